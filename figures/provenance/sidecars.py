"""Read the records (sidecars) of the pictures back. Reads one file, writes none.

A sidecar is a file like any other: every field that is used is checked here, and an error names a bad one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures.results.fields import (
    DURATION,
    PROTOCOL,
    SCHEMA,
    SCHEMA_IS,
    TABLE,
    TEXT,
    TRUTH,
    Check,
    ResultError,
    or_null,
    parse_json,
    require,
    validate,
)
from figures.results.folders import FILE, kind
from figures.results.variants import (
    BEST_EPOCH,
    EVERY_PROTOCOL,
    LAST_EPOCH,
    OURS_PROTOCOL,
    file_suffix,
    with_protocol,
)

SIDECAR_KINDS = ("figure", "claims", "comparison", "protocols")


class UnknownPicture(ValueError):
    """A path that is not a picture of this project; the message says what was given and what to do."""


LISTS = Check(lambda v: isinstance(v, list) and all(isinstance(item, dict) for item in v), "a list of objects")
_TEXT = Check(lambda v: isinstance(v, str), "a text")
_TEXTS = Check(lambda v: isinstance(v, list) and all(isinstance(item, str) for item in v), "a list of texts")
_KIND = Check(lambda v: v in SIDECAR_KINDS, f"one of {', '.join(SIDECAR_KINDS)}")
_SEEDS = Check(lambda v: isinstance(v, list) and all(type(seed) is int for seed in v), "a list of seeds")
_SHOWN_PROTOCOL = Check(lambda v: v == EVERY_PROTOCOL or PROTOCOL.test(v), f"{PROTOCOL.says} or {EVERY_PROTOCOL!r}")
_ACCURACY = Check(lambda v: v in (LAST_EPOCH, BEST_EPOCH), f"{LAST_EPOCH!r} or {BEST_EPOCH!r}")
_SOURCE = {"path": _TEXT, "sha256": _TEXT}
_MISSING = {"panel": _TEXT, "why": _TEXT, "command": _TEXT}
_THEORY = {"file": _TEXT, "params": TABLE, "command": _TEXT, "provenance": TABLE}
_STUDY = {"scope": _TEXT, "command": _TEXT, "arms": TABLE}
_RUN = {"run": _TEXT, "seeds": _SEEDS, "diverged": _SEEDS, "missing": _SEEDS, "provenance": LISTS}
_MAY_HAVE = {
    "protocol": _SHOWN_PROTOCOL,
    "id": _TEXT, "title": _TEXT, "caption": _TEXT, "caption_opening": _TEXT, "command": or_null(_TEXT),
    "code_sha256": _TEXT, "outputs": TABLE,
    "theory": TABLE, "studies": TABLE, "inputs": LISTS, "missing": LISTS, "provenance": TABLE, "plotted": TABLE,
    "smoke_runs": _TEXTS, "accuracy": _ACCURACY,
    "claims": LISTS, "problems": LISTS, "reference": TABLE, "summary": _TEXTS, "seconds": DURATION,
}  # fmt: skip


def read_sidecar(path: Path | str) -> dict[str, Any]:
    """Read the record of a figure, a comparison or the claims.

    Raises:
        UnknownPicture: no such file, or one that is not a record of this project; the field is named.
    """
    path = Path(path)
    try:
        return check_sidecar(parse_json(path.read_bytes(), path.name), path.name)
    except FileNotFoundError:
        raise UnknownPicture(f"no sidecar {path.name} for the picture: run `paper_repro.py figures` again") from None
    except OSError as error:
        raise UnknownPicture(f"{path} cannot be read: {error.strerror}") from None
    except ResultError as error:
        text = str(error).removesuffix(f": {error.do}")
        what = f"{path.name} is not whole JSON" if "whole JSON" in text else f"not a figure's sidecar: {text}"
        raise UnknownPicture(f"{what}: run `paper_repro.py figures` again") from None


def standing_figure(
    figure_id: str, place: Path | str, protocol: str = OURS_PROTOCOL, accuracy: str = LAST_EPOCH
) -> dict[str, Any]:
    """Read the record of a figure under a protocol at `place`: its .json, or the folder that holds it.

    `accuracy`: which of its variants is read from a folder.

    Raises:
        UnknownPicture: it does not exist, or is the record of something else.
    """
    path = Path(place)
    path = path / f"fig{figure_id}{file_suffix(protocol, accuracy)}.json" if path.suffix != ".json" else path
    if not is_file(path):
        how = with_protocol(f"paper_repro.py figures {figure_id}", protocol)
        raise UnknownPicture(f"figure {figure_id} has not been made: {path} does not exist: run `{how}`")
    found = read_sidecar(path)
    if (found["kind"], found.get("id")) != ("figure", figure_id):
        raise UnknownPicture(f"{path.name} is the record of {found['kind']} {found.get('id')}, not figure {figure_id}")
    if (there := found.get("protocol", OURS_PROTOCOL)) != protocol:
        raise UnknownPicture(f"{path.name} is of protocol {there}, not {protocol}: give --protocol {there}")
    return found


def is_file(path: Path) -> bool:
    """Whether a file exists.

    Raises:
        UnknownPicture: this is not known: a folder cannot be accessed, or a link leads nowhere.
    """
    try:
        return kind(path) == FILE
    except OSError as error:
        raise UnknownPicture(f"{path} cannot be read: {error.strerror}") from None


def check_sidecar(found: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Check the types of a sidecar's fields, and return it as a dict.

    Fields may be absent, except `schema` and `kind`.

    Raises:
        ResultError: a field has the wrong type; the message names it.
    """
    validate(found, {"schema": SCHEMA_IS, "kind": _KIND}, file)
    present = {name: check for name, check in _MAY_HAVE.items() if name in found}
    validate(found, present, file)
    for name, parts in (("inputs", _SOURCE), ("missing", _MISSING)):
        for place, item in enumerate(found.get(name, [])):
            validate(item, parts, file, f"{name}.{place}")
    for name, result in found.get("theory", {}).items():
        validate(result, _THEORY, file, f"theory.{name}")
    for name, study in found.get("studies", {}).items():
        for arm, run in validate(study, _STUDY, file, f"studies.{name}")["arms"].items():
            validate(run, _RUN, file, f"studies.{name}.arms.{arm}")
        # older sidecars lack the first, and most studies the second
        optional = {key: check for key, check in (("smoke", TRUTH), ("records", _TEXT)) if key in study}
        validate(study, optional, file, f"studies.{name}")
    for name, digest in found.get("outputs", {}).items():
        require(TEXT.test(digest), file, f"outputs.{name}", digest, "a SHA-256")
    if "reference" in found:
        check_sidecar({"schema": SCHEMA, "kind": "figure", **found["reference"]}, f"{file}, reference")
    return dict(found)
