"""The report from the files in the output folder: read them, compose the page, write it if changed."""

import hashlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from figures.catalogue import FIGURES, figures_under
from figures.claims.tables import selection_note, verdicts_of
from figures.claims.verdicts import ClaimVerdict
from figures.provenance.sidecars import UnknownPicture, read_sidecar, standing_figure
from figures.report.page import Content, Picture, report_html
from figures.results.fields import ResultError, Table, convert, parse_json
from figures.results.variants import LAST_EPOCH, OURS_PROTOCOL, file_suffix, with_accuracy, with_protocol

if TYPE_CHECKING:
    from figures.regenerate import Outcome

_LOST = ("missing", "failed")


class _Table1(Struct, frozen=True):
    settings: list[str]
    presets: dict[str, dict[str, Table]]


def write_report(
    out_dir: Path | str,
    outcomes: Iterable["Outcome"],
    write: Callable[[Path, bytes], object],
    protocol: str = OURS_PROTOCOL,
    accuracy: str = LAST_EPOCH,
) -> Path | None:
    """Write `out_dir`/report.html, or report-authors.html and the like; returns its path if changed.

    Args:
        out_dir: folder with `figures/`, claims.json and table1.json; each may be absent.
        outcomes: of the figures that were just made; others are shown from the files in the folder.
        write: atomic writer `write(path, data)`.
        protocol: of the figures and claims that it shows.
        accuracy: of the figures and claims that it shows: "last" or "best".
    """
    out = Path(out_dir)
    page = report_html(gather(out, outcomes, protocol, accuracy))
    target = out / f"report{file_suffix(protocol, accuracy)}.html"
    if target.is_file() and target.read_bytes() == page:
        return None
    write(target, page)
    return target


def gather(
    out_dir: Path, outcomes: Iterable["Outcome"], protocol: str = OURS_PROTOCOL, accuracy: str = LAST_EPOCH
) -> Content:
    """Read an output folder: every figure of the catalogue in its order, the claims and Table 1."""
    lost = {outcome.id: outcome for outcome in outcomes if outcome.status in _LOST}
    pictures = [
        _picture(figure_id, out_dir, lost.get(figure_id), protocol, accuracy) for figure_id in figures_under(protocol)
    ]
    notes = [note] if (note := selection_note(accuracy)) else []
    judged = _document(out_dir / f"claims{file_suffix(protocol, accuracy)}.json", notes, _read_claims)
    claims, verdicts = judged or (None, None)
    table = _document(out_dir / "table1.json", notes, _read_table)
    return Content(pictures, claims, verdicts, table, tuple(notes), protocol)


def _read_claims(path: Path) -> tuple[Mapping[str, Any], list[ClaimVerdict]]:
    document = read_sidecar(path)
    return document, verdicts_of(document)


def _picture(figure_id: str, out_dir: Path, outcome: "Outcome | None", protocol: str, accuracy: str) -> Picture:
    spec = FIGURES[figure_id]
    accuracy = accuracy if spec.has_accuracy else LAST_EPOCH
    why = outcome.message if outcome else ""
    commands = outcome.commands if outcome else ()
    place = out_dir / "figures" / f"fig{figure_id}{file_suffix(protocol, accuracy)}"
    known = (figure_id, spec.title, with_accuracy(with_protocol(spec.command, protocol), accuracy))
    if not place.with_suffix(".json").is_file() or not place.with_suffix(".svg").is_file():
        return Picture(*known, why=why, commands=tuple(commands))
    try:
        sidecar = standing_figure(figure_id, place.with_suffix(".json"), protocol)
    except UnknownPicture as error:
        return Picture(*known, why=str(error), commands=tuple(commands))
    drawing = place.with_suffix(".svg")
    svg = drawing.read_bytes()
    if sidecar.get("outputs", {}).get(drawing.name) != hashlib.sha256(svg).hexdigest():
        changed = f"{drawing.name} is not the picture that its record describes, and is not shown: draw it again"
        return Picture(*known, sidecar, None, "; ".join(filter(None, [why, changed])), tuple(commands))
    return Picture(*known, sidecar, svg, why, tuple(commands))


def _read_table(path: Path) -> Mapping[str, Any]:
    document = parse_json(path.read_bytes(), path.name)
    convert(document, _Table1, path.name)
    return document


def _document(path: Path, notes: list[str], read: Callable[[Path], Any]) -> Any:
    """Read a JSON document of this project.

    Returns None, and adds a note, where it cannot be read; None without a note where it does not exist.
    """
    if not path.is_file():
        return None
    try:
        return read(path)
    except (UnknownPicture, ResultError) as error:
        notes.append(str(error))
        return None
