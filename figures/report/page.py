"""The whole reproduction as one HTML page: claims, figures, Table 1, time, provenance. Pure.

Data in, page out, by the template `page.html.jinja`. The page needs no server, network or script, and its security
policy forbids them. Every text in it that comes from a file is escaped, and pictures are images, in which nothing runs;
equal contents give equal bytes.
"""

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from figures.analysis.measures import CHANCE_FACTOR, HIGH_SPARSITY
from figures.claims.tables import (
    EVIDENCE,
    SIDE_BY_SIDE,
    by_place,
    effect_text,
    family_note,
    glance,
    p_text,
    scope_text,
    side_by_side,
    smoke_note,
)
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    AT_CHANCE,
    FEWEST_SEEDS,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    PROBABILITY,
    REPRODUCED,
    REVERSED,
    SMALLEST_EFFECT,
    ClaimVerdict,
)
from figures.provenance.explain import made_by, missing, runs
from figures.results.variants import OURS_PROTOCOL, protocol_mark, with_protocol

PAGE_TITLE = "Masks, signs and learning rate rewinding: a reproduction"

# the words that the claims' tables use, with the numbers that the verdicts are made with
DEFINITIONS = {
    "IMP, LRR": "iterative magnitude pruning, which rewinds the weights that are left to their initial values after"
    " each pruning; learning rate rewinding, which keeps their trained values and restarts the learning rate",
    "density, level": "the share of the weights that a mask keeps; one round of training between two prunings, of"
    " which level 0 trains the dense network",
    "high-sparsity accuracy": f"the mean test accuracy over the levels of density at most {HIGH_SPARSITY:g}",
    ACCURACY_POINTS: "hundredths of an accuracy: from .90 to .91 is one accuracy point",
    "smallest effect that matters": f"{SMALLEST_EFFECT[ACCURACY_POINTS]:g} {ACCURACY_POINTS}, and"
    f" {SMALLEST_EFFECT[PROBABILITY]:g} for probabilities, shares, levels and switches",
    REPRODUCED: "the 95 % interval of the effect lies wholly above 0",
    NOT_REPRODUCED: "the interval lies wholly below the smallest effect that matters",
    REVERSED: "the interval lies wholly below 0",
    INCONCLUSIVE: f"all else; networks of fewer than {FEWEST_SEEDS} seeds are always inconclusive",
    AT_CHANCE: "no arm of the comparison is clearly better than a guess, that is, better than"
    f" {CHANCE_FACTOR:g} times the share of right guesses",
    NOT_RUN: "there are no results; the table’s commands make them",
    "above 0, below 0, spans 0": "where the interval of a secondary effect lies, which decides nothing",
    "no verdict of its own": "a secondary number that is only reported, such as a ratio of two effects",
    "control, against training length": "the same comparison with IMP’s rewinding trained for as many epochs as"
    " LRR’s weights have seen",
}


@dataclass(frozen=True)
class Picture:
    """A figure for the page.

    `sidecar` and `svg` are None where it has not been drawn; `why` says what went wrong. `commands` make the missing
    results.
    """

    id: str
    title: str
    command: str
    sidecar: Mapping[str, Any] | None = None
    svg: bytes | None = None
    why: str = ""
    commands: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The figure's name in text."""
        return f"Figure {self.id}" if self.id.isdigit() else f"Figure “{self.id}”"

    @property
    def label(self) -> str:
        """Its heading, which is also its alternative text."""
        return f"{self.name}: {self.title}"

    @property
    def anchor(self) -> str:
        """The id of the figure's section in the page."""
        return f"fig{self.id}"

    @property
    def address(self) -> str:
        """The drawing itself, as the address of an image.

        Whatever it holds: in an image nothing runs and nothing is fetched.
        """
        return f"data:image/svg+xml;base64,{b64encode(self.svg or b'').decode()}"

    @property
    def caption(self) -> tuple[str, str] | None:
        """The caption's opening, and the rest to be unfolded: nothing where it has no opening of its own."""
        sidecar = self.sidecar or {}
        whole = sidecar.get("caption", "")
        opening = sidecar.get("caption_opening", "")
        if not whole:
            return None
        if not opening or not whole.startswith(opening):
            return whole, ""
        return opening, whole.removeprefix(opening).strip()

    @property
    def problem(self) -> str:
        """Why there is no drawing, or not all of it; "" where nothing is wrong."""
        return self.why or ("not made yet" if self.svg is None else "")


@dataclass(frozen=True)
class Content:
    """What the page shows: figures in order, the claims' document with its verdicts, and Table 1.

    `claims`, `verdicts` and `table` are None where they have not been made. `notes` are warnings about files that could
    not be read. `protocol` is that of the figures and claims.
    """

    pictures: Sequence[Picture]
    claims: Mapping[str, Any] | None = None
    verdicts: Sequence[ClaimVerdict] | None = None
    table: Mapping[str, Any] | None = None
    notes: Sequence[str] = field(default_factory=tuple)
    protocol: str = OURS_PROTOCOL

    @property
    def smoke_runs(self) -> list[str]:
        """The smoke runs that the figures show and the claims leave out."""
        names = dict.fromkeys((self.claims or {}).get("smoke_runs", []))
        for picture in self.pictures:
            studies = (picture.sidecar or {}).get("studies", {})
            names |= {name: None for name, study in studies.items() if study.get("smoke")}
        return list(names)

    @property
    def untrusted(self) -> list[Any]:
        """What is wrong with the files that the claims could not use."""
        return [problem.get("message") for problem in (self.claims or {}).get("problems", [])]

    @property
    def records(self) -> list[tuple[str, Mapping[str, Any]]]:
        """How each figure, and the claims, were made."""
        drawn = [(picture.name, picture.sidecar) for picture in self.pictures if picture.sidecar]
        return [*drawn, ("Claims", self.claims)] if self.claims else drawn


def report_html(content: Content) -> bytes:
    """The page, as UTF-8."""
    page = _TEMPLATES.get_template("page.html.jinja").render(
        content=content,
        title=", ".join(filter(None, [PAGE_TITLE, protocol_mark(content.protocol)])),
        evidence=with_protocol(EVIDENCE, content.protocol),
        claims_command=with_protocol("paper_repro.py claims", content.protocol),
    )
    return f"{page}\n".encode("utf-8", "replace")


def _marked_up(text: str) -> Markup:
    """A text with the marks of CLAIMS.md, code and emphasis, which become elements; all else is escaped."""
    return Markup(re.sub(r"`([^`]+)`|\*([^*]+)\*", _element, escape(text)))


def _element(match: re.Match[str]) -> str:
    code, emphasis = match.groups()
    return f"<code>{code}</code>" if code else f"<em>{emphasis}</em>"


def times(pictures: Iterable[Picture]) -> list[tuple[str, str]]:
    """The time that the results in the figures took, each run counted once: what, and how long."""
    studies: dict[str, dict[str, float | None]] = {}
    theory: dict[str, float | None] = {}
    drawing = 0.0
    for sidecar in (picture.sidecar for picture in pictures if picture.sidecar):
        theory |= {name: result.get("seconds") for name, result in sidecar.get("theory", {}).items()}
        for name, study in sidecar.get("studies", {}).items():
            spent = studies.setdefault(name, {})
            spent |= {run["run"]: run.get("seconds") for run in study["arms"].values()}
            spent |= study.get("dense_seconds", {})
        drawing += sidecar.get("seconds", 0.0)
    lines = [(f"Study {name}: {len(spent)} runs", _total(spent.values())) for name, spent in studies.items()]
    lines += [(f"Neuron: {name}", _total([seconds])) for name, seconds in theory.items()]
    return [*lines, ("Drawing the figures", _total([drawing]))]


def _total(seconds: Iterable[float | None]) -> str:
    values = list(seconds)
    known = [value for value in values if isinstance(value, int | float) and value > 0]
    if not known:
        return "not recorded"
    more = "" if len(known) == len(values) else " (not recorded for all)"
    return duration(sum(known)) + more


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, in two figures or three."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} seconds"


def provenance_text(sidecar: Mapping[str, Any]) -> str:
    """How a figure or the claims were made, as lines of text."""
    files = f"Read {len(sidecar.get('inputs', []))} result files"
    return "\n".join([*made_by(sidecar), *runs(sidecar), *missing(sidecar), files])


_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters["marked_up"] = _marked_up
_TEMPLATES.globals |= {
    "SIDE_BY_SIDE": SIDE_BY_SIDE,
    "by_place": by_place,
    "effect_text": effect_text,
    "family_note": family_note,
    "glance": glance,
    "p_text": p_text,
    "protocol_mark": protocol_mark,
    "provenance_text": provenance_text,
    "scope_text": scope_text,
    "side_by_side": side_by_side,
    "smoke_note": smoke_note,
    "times": times,
    "definitions": DEFINITIONS,
}
