"""A drawn SVG as an element of an HTML page. Pure.

It has its own ids, no scripts and no external links. Pictures come from files, and a file may have been changed:
whatever a picture of this project does not need is an error, not copied.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from html import escape

_SVG, _XLINK = "{http://www.w3.org/2000/svg}", "{http://www.w3.org/1999/xlink}"
# the elements of matplotlib's pictures; those of `_LEFT_OUT` are dropped, since the page does not need them
_ELEMENTS = {"svg", "g", "defs", "path", "use", "clipPath", "rect", "image", "pattern", "text", "tspan", "stop", "line",
             "linearGradient", "radialGradient", "circle", "ellipse", "polygon", "polyline"}  # fmt: skip
_LEFT_OUT = {"metadata", "style", "title", "desc"}
_REFERENCE = re.compile(r"url\(\s*#([^)\s]+)\s*\)")
_PICTURE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=\s]*")


class UnsafePicture(ValueError):
    """A picture with content that no drawing of this project has; the message names it."""


def inline_svg(text: str, name: str, label: str, described_by: str = "") -> str:
    """An `<svg>` element that can be combined with others in one HTML page.

    Parameters
    ----------
    text : an SVG document.
    name : prefix of every id of the picture, and of every reference to one.
    label : what the picture shows, for screen readers.
    described_by : id of the element that describes it further.

    Raises
    ------
    UnsafePicture : not an SVG, or one with scripts or other unexpected elements, event handlers, style imports,
        external links or declarations.
    """
    if "<!ENTITY" in text:
        raise UnsafePicture("the picture declares entities")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        raise UnsafePicture(f"the picture is not whole XML ({error})") from None
    if root.tag != f"{_SVG}svg":
        raise UnsafePicture(f"the picture is a {root.tag[:40]!r}, not an svg")
    extra = {"role": "img", "aria-label": label, "stroke-linejoin": "round", "stroke-linecap": "butt"}
    extra |= {"aria-describedby": described_by} if described_by else {}
    return _element(root, name, extra)


def _element(node: ElementTree.Element, name: str, extra: dict[str, str] | None = None) -> str:
    tag = node.tag.removeprefix(_SVG) if isinstance(node.tag, str) else ""
    if tag not in _ELEMENTS:
        raise UnsafePicture(f"the picture holds an element {str(node.tag)[:60]!r}")
    attributes = {key: value for pair in node.attrib.items() for key, value in [_attribute(*pair, name)]}
    words = "".join(f' {key}="{escape(value)}"' for key, value in (attributes | (extra or {})).items())
    children = [child for child in node if _local(child) not in _LEFT_OUT]
    inner = escape((node.text or "").strip()) if tag in ("text", "tspan") else ""
    inner += "".join(_element(child, name) for child in children)
    return f"<{tag}{words}>{inner}</{tag}>"


def _local(node: ElementTree.Element) -> str:
    return node.tag.removeprefix(_SVG) if isinstance(node.tag, str) else ""


def _attribute(key: str, value: str, name: str) -> tuple[str, str]:
    """An attribute with its ids renamed."""
    key = "href" if key == f"{_XLINK}href" else key
    if key.startswith("{") or not re.fullmatch(r"[A-Za-z][A-Za-z-]*\d?", key) or key.lower().startswith("on"):
        raise UnsafePicture(f"the picture holds an attribute {key[:60]!r}")
    return key, _RENAMED.get(key, _other)(value, name)


def _id(value: str, name: str) -> str:
    return f"{name}-{value}"


def _link(value: str, name: str) -> str:
    if value.startswith("#"):
        return f"#{name}-{value[1:]}"
    if not _PICTURE.fullmatch(value):
        raise UnsafePicture(f"the picture links to {value[:60]!r}")
    return value


def _other(value: str, name: str) -> str:
    value = _REFERENCE.sub(rf"url(#{name}-\1)", value)
    rest = value.replace(f"url(#{name}-", "").lower()
    if "url(" in rest or "@import" in rest or "expression(" in rest or "\\" in rest:
        raise UnsafePicture(f"the picture refers to {value[:60]!r}")
    return " ".join(value.split())


_RENAMED: dict[str, Callable[[str, str], str]] = {"id": _id, "href": _link}
