"""Overlay the figures of two results folders: the curves of the second behind those of the first.

No experiment is run: the results in the two folders are drawn, and the normal pictures are not changed.
"""

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from figures.catalogue import FIGURES, FigureSpec, figures_under
from figures.comparison.overlay_drawing import Overlay, overlay
from figures.comparison.verify import ABSENT, Comparison, compare, format_path
from figures.drawing import draw_figure, drawing_failure
from figures.inputs import figure_inputs, figure_problems, shown_in, studies_used, theory_used
from figures.plots.builder import Drawing, NothingToDraw, join_caption
from figures.plots.style import PICTURE_FORMATS, drawing_style, render
from figures.provenance.code import code_hashes
from figures.provenance.sidecars import UnknownPicture, standing_figure
from figures.regenerate import DRAWN, FAILED_TO_DRAW, MISSING, Outcome, status_of
from figures.results.bundled import with_bundled
from figures.results.fields import SCHEMA, ClosedFolder, NoFolder
from figures.results.folders import FOLDER, kind, names_in
from figures.results.load import check_folder, load
from figures.results.network import Records
from figures.results.variants import OURS_PROTOCOL, file_suffix

COMPARISON_FOLDER = "compare"
_RESULTS = ("theory", "studies", "runs")
_ALONE_SHOWN = 6


@dataclass(frozen=True)
class Sides:
    """The two sets of results.

    `first` and `second` are their records; `second` is None where its `folder` holds only records of figures (.json).
    `names` are the names of the two in captions.
    """

    first: Records
    second: Records | None
    folder: Path
    names: tuple[str, str]


@dataclass(frozen=True)
class _Other:
    """What the second set has for a figure: its numbers, their provenance, and the drawing.

    `drawing` is None where the second set has only records of figures.
    """

    plotted: Mapping[str, Any]
    provenance: Mapping[str, Any]
    drawing: Drawing | None


def compare_results(
    ids: Iterable[str] | None,
    results: Path | str,
    other: Path | str,
    out_dir: Path | str,
    *,
    write: Callable[[Path, bytes], object],
    provenance: Mapping[str, Any],
    command: str,
    log: Callable[[str], object] = lambda line: None,
    prefer: Mapping[str, str] | None = None,
    protocol: str = OURS_PROTOCOL,
) -> list[Outcome]:
    """Draw figures of `results` with those of `other` behind, into `out_dir`/compare.

    Both show the studies of one protocol.

    Args:
        ids: figure ids; None for all that have curves or numbers of their own.
        results: folder of result files.
        other: folder of result files; or of figures' records (.json), such as `figures/reference/quick`, with which
            only numbers are compared.
        out_dir: folder to write into; `write` makes missing folders.
        write: atomic writer `write(path, data)`.
        provenance: versions, git commit, hardware and thread count of this process; kept in every record.
        command: the command line that runs this, kept in every record.
        log: called with a line for each outcome.
        prefer: theory experiment -> file stem to take where several parameter sets have been run.
        protocol: whose studies are shown: "ours" or "authors".

    Raises:
        NoFolder: one of the folders does not exist, or `other` holds neither results nor records of figures.
    """
    sides = _sides(Path(results), Path(other), prefer, protocol)
    wanted = dict.fromkeys(figures_under(protocol) if ids is None else ids)
    code = code_hashes(FIGURES[figure_id] for figure_id in wanted)
    outcomes = []
    for figure_id in wanted:
        start = time.perf_counter()
        made = {"command": command, "code_sha256": code[figure_id], "provenance": dict(provenance)}
        status, message, files = _compare(FIGURES[figure_id], sides, Path(out_dir), write, made)
        outcomes.append(Outcome(figure_id, status, message, files, (), time.perf_counter() - start))
        log(": ".join(filter(None, [figure_id, status, message])))
    return outcomes


def _sides(results: Path, other: Path, prefer: Mapping[str, str] | None, protocol: str) -> Sides:
    for folder in (results, other):
        check_folder(folder)
    plain = _holds_results(other)
    if not plain and not any(name.startswith("fig") and name.endswith(".json") for name in names_in(other)):
        raise NoFolder(f"{other} (with result files or records of figures)")
    second = load(other, prefer, protocol) if plain else None
    return Sides(load(results, prefer, protocol), second, other, _names(results, other))


def _holds_results(folder: Path) -> bool:
    """Whether any part of a results folder exists.

    Raises:
        ClosedFolder: a part of it cannot be accessed.
    """
    try:
        return FOLDER in [kind(folder / name) for name in _RESULTS]
    except OSError as error:
        raise ClosedFolder(str(folder), error.strerror or str(error)) from None


def _names(results: Path, other: Path) -> tuple[str, str]:
    """Short names for the two folders: their last parts, as many as are needed to tell them apart.

    Folders above these parts are not named.
    """
    a = results.resolve().parts
    b = other.resolve().parts
    for length in range(1, max(len(a), len(b)) + 1):
        if a[-length:] != b[-length:]:
            return "/".join(a[-length:]).lstrip("/"), "/".join(b[-length:]).lstrip("/")
    return a[-1], f"{b[-1]}, the same folder"


def _compare(
    spec: FigureSpec, sides: Sides, out: Path, write: Callable[[Path, bytes], object], made: Mapping[str, Any]
) -> tuple[str, str, tuple[str, ...]]:
    """Status, message and files of one figure; it fails where a file could not be read or trusted."""
    why = ""
    try:
        with drawing_style():
            sides = replace(sides, first=_first(spec, sides))
            why = _problems(spec, sides)
            drawing = draw_figure(spec, sides.first)
            other = _other(spec, sides)
            laid = overlay(drawing.figure, other.drawing.figure, sides.names) if other.drawing else None
            pictures = {fmt: render(drawing.figure, fmt) for fmt in PICTURE_FORMATS}
    except NothingToDraw:
        if why:
            return FAILED_TO_DRAW, why, ()
        return MISSING, f"{sides.names[0]} and {sides.names[1]} have no results for it in common", ()
    except UnknownPicture as error:
        return MISSING, str(error), ()
    except Exception as error:
        return FAILED_TO_DRAW, drawing_failure(spec, error), ()
    plotted = _json(drawing.plotted)
    name = f"fig{spec.id}{file_suffix(sides.first.protocol)}"
    found = compare(plotted, other.plotted)
    summary = _summary(found, sides.names)
    document = {
        "schema": SCHEMA, "kind": "comparison", "id": spec.id, "protocol": sides.first.protocol,
        "title": f"{spec.title}: {' and '.join(sides.names)}",
        "caption": join_caption(drawing.caption, _overlay_words(laid, sides), *summary),
        "missing": [asdict(item) for item in drawing.missing],
        "command": made["command"], "code_sha256": made["code_sha256"],
        "outputs": {f"{name}.{fmt}": hashlib.sha256(data).hexdigest() for fmt, data in pictures.items()},
        **_provenance_of(spec, sides.first), "provenance": made["provenance"], "reference": dict(other.provenance),
        "summary": summary, "differences": _differences(found), "overlay": asdict(laid) if laid else None,
        "plotted": plotted, "plotted_against": other.plotted,
    }  # fmt: skip
    files = pictures | {"json": (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()}
    for ending, data in files.items():
        write(out / COMPARISON_FOLDER / f"{name}.{ending}", data)
    status, left_out = status_of(DRAWN, why, ())
    said = " ".join([left_out + "; without them:", *summary] if why else summary)
    return status, said, tuple(f"{COMPARISON_FOLDER}/{name}.{ending}" for ending in files)


def _problems(spec: FigureSpec, sides: Sides) -> str:
    """What could not be read or trusted of the files that a figure reads, on either side."""
    both = zip(sides.names, (sides.first, sides.second), strict=True)
    named = [(name, problem.message) for name, of in both if of is not None for problem in figure_problems(spec, of)]
    return "; ".join(dict.fromkeys(f"{name}: {message}" for name, message in named))


def _first(spec: FigureSpec, sides: Sides) -> Records:
    """The first results, with the bundled studies if the other's record of the figure shows them."""
    if sides.second is not None:
        return sides.first
    studies = standing_figure(spec.id, sides.folder, sides.first.protocol).get("studies", {})
    bundled = any(study.get("records") for study in studies.values())
    return shown_in(spec, with_bundled(sides.first)) if bundled else sides.first


def _other(spec: FigureSpec, sides: Sides) -> _Other:
    if sides.second is None:
        sidecar = standing_figure(spec.id, sides.folder, sides.first.protocol)
        provenance = {name: sidecar.get(name, {}) for name in ("theory", "studies", "inputs", "provenance")}
        return _Other(sidecar.get("plotted", {}), provenance, None)
    records = _in_common(sides.second, sides.first)
    drawing = draw_figure(spec, records)
    return _Other(_json(drawing.plotted), _provenance_of(spec, records), drawing)


def _in_common(records: Records, other: Records) -> Records:
    """The studies and experiments that both have; panels of others would have no counterpart."""
    names = {results.study.study for results in (*other.studies, *other.sweeps)}
    kept = [
        tuple(results for results in group if results.study.study in names)
        for group in (records.studies, records.sweeps)
    ]
    theory = {name: result for name, result in records.theory.items() if name in other.theory}
    return replace(records, studies=kept[0], sweeps=kept[1], theory=theory)


def _provenance_of(spec: FigureSpec, records: Records) -> dict[str, Any]:
    return {
        "theory": theory_used(spec, records),
        "studies": studies_used(spec, records),
        "inputs": [asdict(source) for source in figure_inputs(spec, records)],
    }


def _json(tree: Mapping[str, Any]) -> dict[str, Any]:
    """A tree as it is read back from JSON: numpy's numbers become plain ones."""
    return json.loads(json.dumps(tree, default=lambda value: value.tolist()))


def _overlay_words(laid: Overlay | None, sides: Sides) -> str:
    first, second = sides.names
    if laid is None:
        return f"{second} holds records of figures and no result files: only numbers are compared with {first}."
    if not laid.curves:
        return f"No curve can be overlaid: only the numbers of {first} and {second} are compared."
    panels = f"{laid.panels} panel" if laid.panels == 1 else f"{laid.panels} panels"
    words = [f"Pale and thin, without intervals: {second}, behind {first}; {laid.curves} curves in {panels}."]
    if laid.cut:
        words.append(f"Cut off at the axis limits: {_listed(laid.cut)}.")
    if laid.alone:
        words.append(f"In one of the two only: {_listed(laid.alone)}.")
    return " ".join(words)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - _ALONE_SHOWN
    return "; ".join(names[:_ALONE_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _summary(found: Comparison, names: Sequence[str]) -> list[str]:
    """What differs between the numbers of the two, in sentences."""
    unequal = [d for d in found.differences if d.amount is not None]
    only = [sum(getattr(d, side) is ABSENT for d in found.differences) for side in ("right", "left")]
    lines = [f"Of {found.numbers} plotted numbers {len(unequal)} differ."]
    if found.largest is not None and found.largest.amount:
        largest = found.largest
        where = format_path(largest.path)
        lines.append(f"Largest difference: {largest.amount:.3g} ({where}: {largest.left:.6g} and {largest.right:.6g}).")
    for name, count in zip(names, only, strict=True):
        if count:
            lines.append(f"Only {name} has {count} further {'entry' if count == 1 else 'entries'}.")
    rest = len(found.differences) - len(unequal) - sum(only)
    return [*lines, f"{rest} other entries differ (words, lengths of lists)."] if rest else lines


def _differences(found: Comparison) -> dict[str, Any]:
    largest = found.largest
    return {
        "numbers": found.numbers,
        "different": sum(d.amount is not None for d in found.differences),
        "largest": largest
        and {
            "path": format_path(largest.path), "first": largest.left, "second": largest.right,
            "difference": largest.amount,
        },
        "only_first": [format_path(d.path) for d in found.differences if d.right is ABSENT],
        "only_second": [format_path(d.path) for d in found.differences if d.left is ABSENT],
    }  # fmt: skip
