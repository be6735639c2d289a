"""The whole reproduction as one HTML page: claims, figures, Table 1, time, provenance. Pure.

Data in, page out. The page needs no server, network or script, and its security policy forbids them. Every text in it
that comes from a file is escaped; equal contents give equal bytes.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

from figures.analysis.measures import CHANCE_FACTOR, HIGH_SPARSITY
from figures.claims.tables import EVIDENCE, claims_tables, glance, smoke_note
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
from figures.report.inline_svg import UnsafePicture, inline_svg
from figures.results.variants import OURS_PROTOCOL, protocol_mark, with_protocol

CSS = """
:root { color-scheme: light; }
body { margin: 0 auto; max-width: 62rem; padding: 1rem 1.2rem 4rem; background: #fff; color: #222;
  font: 16px/1.5 Georgia, "Times New Roman", serif; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { font-size: 1.2rem; margin: 2.5rem 0 .6rem; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; }
a { color: #005a9c; } nav ul { columns: 18rem; padding-left: 1.2rem; } li { overflow-wrap: anywhere; }
figure { margin: 0; } figure svg { display: block; max-width: 100%; height: auto; margin: 0 auto .6rem; }
figcaption { font-size: .9rem; max-width: 48rem; margin: 0 auto; overflow-wrap: anywhere; }
figcaption p { margin: .2rem 0; } summary { cursor: pointer; color: #005a9c; }
dt { font-weight: bold; margin-top: .4rem; } dd { margin-left: 1.4rem; }
.note { border-left: 4px solid #b03a00; padding-left: .7rem; overflow-wrap: anywhere; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-size: .82rem; line-height: 1.35; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: .25rem .5rem; border-bottom: 1px solid #ddd;
  font-weight: normal; overflow-wrap: break-word; }
thead th, tr.claim th, tr.claim td { font-weight: bold; } thead th { border-bottom: 1px solid #222; }
tr.part th { padding-left: 1.4rem; } small { color: #595959; }
code, pre { font: .8rem/1.4 "DejaVu Sans Mono", Menlo, Consolas, monospace; }
pre { white-space: pre-wrap; overflow-wrap: anywhere; background: #f6f6f6; padding: .6rem; margin: .3rem 0; }
@page { size: A4; margin: 14mm; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; } a { color: inherit; }
  .page { break-before: page; } h2, h3 { break-after: avoid; } figure, tr { break-inside: avoid; }
  details::details-content { content-visibility: visible; block-size: auto; } summary { display: none; }
  thead { display: table-header-group; } .wide { overflow: visible; } table { font-size: 7.5pt; }
  code, pre { font-size: 7pt; } pre { background: none; padding: 0; }
}
""".strip()


_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


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
    svg: str | None = None
    why: str = ""
    commands: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The figure's name in text."""
        return f"Figure {self.id}" if self.id.isdigit() else f"Figure “{self.id}”"

    @property
    def anchor(self) -> str:
        """The id of the figure's section in the page."""
        return f"fig{self.id}"


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


def report_html(content: Content) -> bytes:
    """The page, as UTF-8."""
    sections = [
        _introduction(content),
        _definitions(),
        _claims(content),
        _contents(content),
        *(_figure(picture) for picture in content.pictures),
        _table(content.table),
        _time(content.pictures),
        _provenance(content.pictures, content.claims),
    ]
    title = "Masks, signs and learning rate rewinding: a reproduction"
    title = ", ".join(filter(None, [title, protocol_mark(content.protocol)]))
    page = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        "<head>",
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{title}</title>",
        f"<style>{CSS}</style>",
        "</head>",
        "<body>",
        f"<header><h1>{title}</h1></header>",
        "<main>",
        *sections,
        "</main>",
        "</body>",
        "</html>",
    ]
    return ("\n".join(part for part in page if part) + "\n").encode("utf-8", "replace")


def _text(value: Any) -> str:
    """Text of a file, safe within an element or an attribute."""
    return escape(str(value))


def _list(items: Iterable[str]) -> str:
    return "<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>"


def _code(text: str) -> str:
    return f"<code>{_text(text)}</code>"


def _introduction(content: Content) -> str:
    """What the page is, where its parts are, and files that could not be read."""
    intro = (
        "<p>Figures, verdicts and settings of a reproduction, from scratch, of <cite>Masks, Signs, And Learning Rate "
        "Rewinding</cite> (Gadhikar and Burkholz, ICLR 2024). Every number here is this reproduction’s own unless "
        "its caption says whose it is. What a caption or a table calls “ours” is not in the paper.</p>"
    )
    smoke = _smoke_note(content)
    notes = _list(_text(note) for note in content.notes) if content.notes else ""
    marked = f'<p class="note">{smoke}</p>' if smoke else ""
    if protocol_mark(content.protocol):
        marked = f'<p class="note">{_text(_protocol_note(content.protocol))}</p>{marked}'
    return f'<section>{intro}{marked}{notes}<nav aria-label="Parts of the page">{_links(_PARTS)}</nav></section>'


def _protocol_note(protocol: str) -> str:
    return (
        f"Every network here is trained under the protocol {protocol}: as the code of the paper’s authors does (Table 1"
        " has each setting). report.html shows our protocol, and the figures of the neuron alone."
    )


def _smoke_note(content: Content) -> str:
    """The note on the smoke runs that the figures show and the claims leave out; "" where there are none."""
    names = dict.fromkeys((content.claims or {}).get("smoke_runs", []))
    for picture in content.pictures:
        studies = (picture.sidecar or {}).get("studies", {})
        names |= {name: None for name, study in studies.items() if study.get("smoke")}
    return smoke_note(map(_text, names), _code(with_protocol(EVIDENCE, content.protocol)))


_PARTS = (
    ("words", "Words"),
    ("claims", "Claims and verdicts"),
    ("figures", "Figures"),
    ("table1", "Table 1"),
    ("time", "Time"),
    ("provenance", "Provenance"),
)


def _links(links: Iterable[tuple[str, str]]) -> str:
    """A list of links to places in the page; each is (id, words)."""
    return _list(f'<a href="#{_text(anchor)}">{_text(words)}</a>' for anchor, words in links)


def _definitions() -> str:
    """The words that the claims' tables use, with the numbers that the verdicts are made with."""
    points, others = SMALLEST_EFFECT[ACCURACY_POINTS], SMALLEST_EFFECT[PROBABILITY]
    found = {
        "IMP, LRR": "iterative magnitude pruning, which rewinds the weights that are left to their initial values after"
        " each pruning; learning rate rewinding, which keeps their trained values and restarts the learning rate",
        "density, level": "the share of the weights that a mask keeps; one round of training between two prunings, of"
        " which level 0 trains the dense network",
        "high-sparsity accuracy": f"the mean test accuracy over the levels of density at most {HIGH_SPARSITY:g}",
        ACCURACY_POINTS: "hundredths of an accuracy: from .90 to .91 is one accuracy point",
        "smallest effect that matters": f"{points:g} {ACCURACY_POINTS}, and {others:g} for probabilities, shares,"
        " levels and switches",
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
    entries = "".join(f"<dt>{_text(word)}</dt><dd>{_text(meaning)}</dd>" for word, meaning in found.items())
    return f'<section id="words"><h2>Words</h2><dl>{entries}</dl></section>'


def _contents(content: Content) -> str:
    """The heading of the figures: which are here, and which have not been made."""
    there = [picture for picture in content.pictures if picture.svg is not None]
    absent = [picture for picture in content.pictures if picture.svg is None]
    parts = []
    if there:
        links = _links((picture.anchor, f"{picture.name}: {picture.title}") for picture in there)
        parts.append(f'<nav aria-label="Figures">{links}</nav>')
    if absent:
        lines = (f"{_text(picture.name)}: {_code(picture.command)}" for picture in absent)
        parts += [f"<p>{len(absent)} of {len(content.pictures)} figures are not made yet:</p>", _list(lines)]
    return f'<section id="figures" class="page"><h2>Figures</h2>{"".join(parts)}</section>'


def _glance(verdicts: Sequence[ClaimVerdict]) -> str:
    counts = glance(verdicts).items()
    lines = (f"<strong>{_text(verdict)}</strong>: {_text(', '.join(ids))}" for verdict, ids in counts)
    return f"<p>Claims by verdict (an entry for each study that one was judged on):</p>{_list(lines)}"


def _figure(picture: Picture) -> str:
    """One figure with its caption, or a note where it was not made or cannot be shown."""
    heading = f"<h2>{_text(picture.name)}: {_text(picture.title)}</h2>"
    drawn, problem = "", picture.why
    caption = _caption(picture)
    if picture.svg is not None:
        try:
            label = f"{picture.name}: {picture.title}"
            described_by = f"{picture.anchor}-caption" if caption else ""
            drawn = inline_svg(picture.svg, picture.anchor, label, described_by)
        except UnsafePicture as error:
            problem = f"{problem}; " * bool(problem) + f"not shown, {error}: draw it again"
    elif not problem:
        problem = "not made yet"
    note = f'<p class="note">{_text(problem)}</p>' if problem else ""
    if picture.commands or picture.svg is None:
        wanted = picture.commands or (picture.command,)
        note += f"<p>Commands that make the missing results:</p>{_list(map(_code, wanted))}"
    body = f'<figcaption id="{_text(picture.anchor)}-caption">{caption}</figcaption>' if caption else ""
    return f'<section id="{_text(picture.anchor)}">{heading}<figure>{drawn}{body}</figure>{note}</section>'


def _caption(picture: Picture) -> str:
    """The caption's opening, and the rest to be unfolded; the whole where it has no opening."""
    sidecar = picture.sidecar or {}
    whole, opening = sidecar.get("caption", ""), sidecar.get("caption_opening", "")
    if picture.svg is None or not whole:
        return ""
    if not opening or not whole.startswith(opening):
        return f"<p>{_text(whole)}</p>"
    rest = whole.removeprefix(opening).strip()
    more = f"<details><summary>Details of {_text(picture.name)}</summary><p>{_text(rest)}</p></details>" if rest else ""
    return f"<p>{_text(opening)}</p>{more}"


def _claims(content: Content) -> str:
    document, verdicts = content.claims, content.verdicts
    if document is None or verdicts is None:
        how = _code(with_protocol("paper_repro.py claims", content.protocol))
        if _smoke_note(content):
            evidence = with_protocol(EVIDENCE, content.protocol)
            how = f"a smoke run never is. {_code(evidence)} runs what can be judged"
        words = f"<p>The claims have not been judged: {how}.</p>"
        return f'<section id="claims"><h2>Claims and verdicts</h2>{words}</section>'
    problems = [_text(problem.get("message")) for problem in document.get("problems", [])]
    lost = f"<p>Files that could not be trusted (nothing in them was used):</p>{_list(problems)}" if problems else ""
    tables = claims_tables(verdicts, _grid)
    return f'<section id="claims"><h2>Claims and verdicts</h2>{_glance(verdicts)}{tables}{lost}</section>'


def _grid(columns: Sequence[str], rows: str) -> str:
    head = "".join(f'<th scope="col">{_text(column)}</th>' for column in columns)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'


def _table(document: Mapping | None) -> str:
    if document is None:
        return f'<section id="table1"><h2>Table 1</h2><p>Not made: {_code("paper_repro.py figures")}.</p></section>'
    presets, rows = document["presets"], ""
    for setting in document["settings"]:
        cells = [_setting(entries.get(setting, {})) for entries in presets.values()]
        rows += f'<tr><th scope="row">{_text(setting)}</th>{"".join(cells)}</tr>'
    note = f"<p>{_text(document.get('note', ''))}</p>"
    heading = "<h2>Table 1: settings of every preset</h2>"
    return f'<section id="table1" class="page">{heading}{note}{_grid(("setting", *presets), rows)}</section>'


def _setting(entry: Mapping) -> str:
    text = entry.get("text", "-")
    source = "" if text == "-" else f" <small>{_text(entry.get('source', ''))}</small>"
    return f"<td>{_text(text)}{source}</td>"


def _time(pictures: Sequence[Picture]) -> str:
    """The time that the results in the figures took, each run counted once."""
    spent, theory, drawing = {}, {}, 0.0
    for sidecar in (picture.sidecar for picture in pictures if picture.sidecar):
        theory |= {name: result.get("seconds") for name, result in sidecar.get("theory", {}).items()}
        for name, study in sidecar.get("studies", {}).items():
            found = {run["run"]: run.get("seconds") for run in study["arms"].values()}
            spent.setdefault(name, {}).update(found | study.get("dense_seconds", {}))
        drawing += sidecar.get("seconds", 0.0)
    lines = [(f"Study {name}: {len(found)} runs", found.values()) for name, found in spent.items()]
    lines += [(f"Neuron: {name}", [seconds]) for name, seconds in theory.items()]
    lines += [("Drawing the figures", [drawing])]
    rows = "".join(f'<tr><th scope="row">{_text(name)}</th><td>{_sum(values)}</td></tr>' for name, values in lines)
    note = "<p>Time of one process, summed over runs; runs in parallel took less wall-clock time.</p>"
    return f'<section id="time"><h2>Time</h2>{note}{_grid(("what", "time"), rows)}</section>'


def _sum(seconds: Iterable[float | None]) -> str:
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


def _provenance(pictures: Sequence[Picture], claims: Mapping | None) -> str:
    blocks = [(picture.name, picture.sidecar) for picture in pictures if picture.sidecar]
    blocks += [("Claims", claims)] if claims else []
    text = "".join(f"<h3>{_text(name)}</h3><pre>{_text(_provenance_of(sidecar))}</pre>" for name, sidecar in blocks)
    note = "<p>The SHA-256 of every file that was read is in the .json file next to each picture.</p>"
    return f'<section id="provenance" class="page"><h2>Provenance</h2>{note}{text}</section>'


def _provenance_of(sidecar: Mapping) -> str:
    files = f"Read {len(sidecar.get('inputs', []))} result files"
    return "\n".join([*made_by(sidecar), *runs(sidecar), *missing(sidecar), files])
