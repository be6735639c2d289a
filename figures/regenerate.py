"""Make figures from a results folder: load, draw, render, write.

Next to each picture a sidecar (a .json file) records where it came from. A figure whose inputs, drawing code and
outputs are unchanged is skipped, and matplotlib is not imported when all are. One figure's missing or corrupt results
never keep another from being drawn.
"""

import difflib
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from figures.catalogue import CLAIMS_FIGURE, FIGURES, FigureSpec, check_protocol, figures_under
from figures.claims.registry import evaluate
from figures.claims.tables import claims_json, claims_markdown
from figures.claims.verdicts import NOT_RUN, ClaimVerdict
from figures.drawing import draw_figure, drawing_failure
from figures.inputs import figure_inputs, figure_problems, shown_in, studies_used, theory_used
from figures.plots.builder import Drawing, NothingToDraw
from figures.plots.style import PICTURE_FORMATS
from figures.provenance.code import UNKNOWN_CODE, code_hashes
from figures.provenance.explain import explain
from figures.results.bundled import with_bundled
from figures.results.fields import SCHEMA
from figures.results.load import OF_CONNECTIVITY, load
from figures.results.network import Problem, Records, Source
from figures.results.variants import LAST_EPOCH, OURS_PROTOCOL, file_suffix, with_accuracy, with_protocol

__all__ = ["Outcome", "explain", "figure_inputs", "regenerate"]

DRAWN = "drawn"
CURRENT = "current"
MISSING = "missing"
FAILED_TO_DRAW = "failed"


@dataclass(frozen=True)
class Outcome:
    """What became of one figure (for `claims`: of the figure and its tables).

    `status` is drawn, current, missing or failed. A figure or table that lost an untrusted file is `failed` as well:
    `message` names the file, and `files` lists what was made without it (nothing where the figure cannot be drawn).
    Otherwise `message` gives the reason, `files` lists the figure's files in the output folder, and `commands` lists
    the commands that make the missing results.
    """

    id: str
    status: str
    message: str
    files: tuple[str, ...]
    commands: tuple[str, ...]
    seconds: float

    @property
    def line(self) -> str:
        """The outcome in a line, for the log."""
        outcome = f"{self.id}: {self.status} ({self.seconds:.1f} s)"
        return f"{outcome}: {self.message}" if self.message else outcome


@dataclass(frozen=True)
class BuildContext:
    """What all figures of one call share; `code` holds the hash of the code that draws each.

    `records` are of one protocol, of which the names of all files say `suffix`.
    """

    records: Records
    out_dir: Path
    write: Callable[[Path, bytes], object]
    provenance: Mapping[str, Any]
    command: str
    code: Mapping[str, str]

    @property
    def suffix(self) -> str:
        """What the names of files made from these records end in."""
        return file_suffix(self.records.protocol, self.records.accuracy)


def regenerate(
    ids: Iterable[str] | None,
    results_dir: Path | str,
    out_dir: Path | str,
    *,
    write: Callable[[Path, bytes], object],
    provenance: Mapping[str, Any],
    command: str,
    log: Callable[[str], object] = lambda line: None,
    prefer: Mapping[str, str] | None = None,
    protocol: str = OURS_PROTOCOL,
    accuracy: str = LAST_EPOCH,
    bundled: bool = False,
) -> list[Outcome]:
    """Draw figures from result files into `out_dir`/figures.

    The figure `claims` also writes `out_dir`/claims.json and `out_dir`/CLAIMS.md. Under another protocol than ours all
    names end in it, as in `fig3-authors.png`.

    Args:
        ids: figure ids (keys of `FIGURES`); None for all of them (that show networks, where the protocol is not ours).
        results_dir: folder with `theory/`, `studies/` and `runs/`.
        out_dir: folder to write into; `write` makes missing folders.
        write: atomic writer `write(path, data)`.
        provenance: versions, git commit, hardware and thread count of this process; kept in every sidecar.
        command: the command line that runs this, kept in every sidecar.
        log: called with a line for each outcome.
        prefer: theory experiment -> file stem to take where several parameter sets have been run.
        protocol: whose studies are shown: "ours" or "authors".
        accuracy: "last", or "best": figures that show accuracies are drawn with the best of each level's epochs, into
            files of their own, whose names end in "-best"; other figures are left as they are.
        bundled: whether the studies whose records come with the code are shown too (`figures.results.bundled`).

    Returns:
        One `Outcome` per figure, in the order requested; none for figures that are left as they are.

    Raises:
        ValueError: an id that is not known (the nearest is named).
        NoProtocol: a figure of the neuron alone under another protocol than ours.
        ResultError: `results_dir` is not a folder.
    """
    wanted = list(figures_under(protocol) if ids is None else dict.fromkeys(ids))
    for figure_id in wanted:
        _check_id(figure_id)
        check_protocol(figure_id, protocol)
    if accuracy != LAST_EPOCH:
        wanted, plain = _split(wanted)
        if plain:
            log(f"these show no accuracies and stay as they are: {', '.join(plain)}")
    code = code_hashes(FIGURES[figure_id] for figure_id in wanted)
    records = load(results_dir, prefer, protocol, accuracy)
    records = with_bundled(records) if bundled else records
    context = BuildContext(records, Path(out_dir), write, provenance, command, code)
    if context.records.left_out:
        log(f"unused theory files (others of the same experiments are used): {', '.join(context.records.left_out)}")
    if unlisted := context.records.unlisted:
        more = f" and {len(unlisted) - 3} more" if len(unlisted) > 3 else ""
        log(
            f"trained, but not used because no study's record lists them: {'; '.join(unlisted[:3])}{more}: "
            "run `train` with the options of their study and these --seeds to list them"
        )
    outcomes = []
    for figure_id in wanted:
        start = time.perf_counter()
        make = _claims if figure_id == CLAIMS_FIGURE else make_figure
        outcome = make(FIGURES[figure_id], context, start)
        log(outcome.line)
        outcomes.append(outcome)
    return outcomes


def _split(ids: Sequence[str]) -> tuple[list[str], list[str]]:
    """The figures that show accuracies of networks, and the others."""
    shown = [figure_id for figure_id in ids if FIGURES[figure_id].has_accuracy]
    return shown, [figure_id for figure_id in ids if figure_id not in shown]


def with_claims(
    ids: Sequence[str], out_dir: Path, protocol: str = OURS_PROTOCOL, accuracy: str = LAST_EPOCH
) -> list[str] | None:
    """The figures to draw when some are requested: `ids`, with `claims` if the claims were judged before.

    The report shows both, so existing claims (`out_dir`/claims.json) are judged again. Returns None, for all figures,
    when `ids` is empty.
    """
    stands = (out_dir / f"claims{file_suffix(protocol, accuracy)}.json").exists() and CLAIMS_FIGURE not in ids
    return [*ids, *([CLAIMS_FIGURE] if stands else [])] if ids else None


def _check_id(figure_id: str) -> None:
    if figure_id not in FIGURES:
        near = difflib.get_close_matches(str(figure_id).removeprefix("fig"), FIGURES, n=len(FIGURES), cutoff=0.0)
        raise ValueError(f"unknown figure {figure_id!r}: did you mean {near[0]!r}? known: {', '.join(near)}")


def make_figure(spec: FigureSpec, context: BuildContext, start: float) -> Outcome:
    """Draw a figure and write it, unless nothing has changed since; `start` is when the work on it began."""
    name = f"fig{spec.id}{context.suffix}"
    context = replace(context, records=shown_in(spec, context.records))
    inputs = figure_inputs(spec, context.records)
    problems = figure_problems(spec, context.records)
    code = context.code[spec.id]
    files = tuple(f"figures/{name}.{fmt}" for fmt in (*PICTURE_FORMATS, "json"))
    record = context.out_dir / files[-1]

    def made(status: str, message: str, commands: Iterable[str]) -> Outcome:
        return Outcome(spec.id, status, message, files, tuple(commands), time.perf_counter() - start)

    def not_made(status: str, message: str, commands: Iterable[str] = ()) -> Outcome:
        if os.path.exists(record):
            message += "; the existing picture is an older one"
        return Outcome(spec.id, status, message, (), tuple(commands), time.perf_counter() - start)

    why = "; ".join(problem.message for problem in problems)
    if spec.id != CLAIMS_FIGURE and any(problem.owner in spec.theory for problem in problems):
        return not_made(FAILED_TO_DRAW, why)
    key = _key(spec, inputs, problems, code)
    kept = _sidecar(record) or {}
    unchanged = code != UNKNOWN_CODE and kept.get("key") == key
    if unchanged and _outputs_intact(kept, context.out_dir / "figures"):
        commands = dict.fromkeys(item["command"] for item in kept.get("missing", []))
        return made(*status_of(CURRENT, why, commands), commands)
    try:
        drawing, pictures = _draw(spec, context.records)
    except NothingToDraw as nothing:
        commands = dict.fromkeys(item.command for item in nothing.missing)
        return not_made(FAILED_TO_DRAW if problems else MISSING, why or str(nothing), commands)
    except Exception as error:  # a mistake in the function that draws: report it, and continue with the others
        return not_made(FAILED_TO_DRAW, drawing_failure(spec, error))
    sidecar = _describe(spec, context, drawing, inputs, key, pictures, time.perf_counter() - start)
    for fmt, data in pictures.items():
        context.write(context.out_dir / "figures" / f"{name}.{fmt}", data)
    context.write(record, sidecar)
    commands = dict.fromkeys(item.command for item in drawing.missing)
    return made(*status_of(DRAWN, why, commands), commands)


def status_of(status: str, why: str, commands: Iterable[str]) -> tuple[str, str]:
    """Status and message of a figure that has been drawn or is current.

    A figure that lost files is `failed`, although it has been drawn without them.
    """
    left_out = _left_out(commands)
    if not why:
        return status, left_out
    return FAILED_TO_DRAW, f"drawn without untrusted files: {why}" + (f"; {left_out}" if left_out else "")


def _left_out(commands: Iterable[str]) -> str:
    commands = list(commands)
    return f"panels left out, run {'; '.join(commands)}" if commands else ""


def _draw(spec: FigureSpec, records: Records) -> tuple[Drawing, dict[str, bytes]]:
    from figures.plots.style import drawing_style, render

    with drawing_style():
        drawing = draw_figure(spec, records)
        return drawing, {fmt: render(drawing.figure, fmt) for fmt in PICTURE_FORMATS}


def _key(spec: FigureSpec, inputs: Sequence[Source], problems: Sequence[Problem], code: str) -> str:
    lost = [problem.message for problem in problems]
    content = [spec.id, code, [[source.path, source.sha256] for source in inputs], lost]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _sidecar(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None  # absent or corrupt: the figure is drawn again
    return found if isinstance(found, dict) else None


def _outputs_intact(sidecar: Mapping[str, Any], folder: Path) -> bool:
    outputs = sidecar.get("outputs")
    if not isinstance(outputs, dict) or len(outputs) != len(PICTURE_FORMATS):
        return False
    return all(_sha256_of(folder / Path(str(name)).name) == digest for name, digest in outputs.items())


def _sha256_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""  # absent or not readable: it is written again


def _describe(
    spec: FigureSpec,
    context: BuildContext,
    drawing: Drawing,
    inputs: Sequence[Source],
    key: str,
    pictures: Mapping[str, bytes],
    seconds: float,
) -> bytes:
    """The sidecar: what is plotted, from which files, and by which code."""
    accuracy = context.records.accuracy
    stem = f"fig{spec.id}{context.suffix}"
    document = {
        "schema": SCHEMA, "kind": "figure", "id": spec.id, "title": spec.title,
        "protocol": context.records.protocol, "caption": drawing.caption,
        "caption_opening": drawing.caption_parts.opening,
        "missing": [asdict(item) for item in drawing.missing],
        "accuracy": accuracy, "command": context.command,
        "figure_command": with_accuracy(with_protocol(spec.command, context.records.protocol), accuracy),
        "key": key, "code_sha256": context.code[spec.id],
        "outputs": {f"{stem}.{fmt}": hashlib.sha256(data).hexdigest() for fmt, data in pictures.items()},
        "theory": theory_used(spec, context.records), "studies": studies_used(spec, context.records),
        "inputs": [asdict(source) for source in inputs],
        "provenance": dict(context.provenance), "seconds": round(seconds, 3), "plotted": drawing.plotted,
    }  # fmt: skip
    return (json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, default=_plain) + "\n").encode()


def _plain(value: Any) -> Any:
    """Scalars and arrays of numpy as JSON numbers and lists."""
    return value.tolist()


def _claims(spec: FigureSpec, context: BuildContext, start: float) -> Outcome:
    """Make the figure `claims`, and its tables if they have changed.

    claims.json and CLAIMS.md in the output folder are written where a verdict, an input or the code has changed. Smoke
    runs are not judged: both only name them. Under another protocol than ours the names say so.
    """
    smoke_runs = context.records.smoke_runs
    read = [problem for problem in context.records.problems if problem.owner != OF_CONNECTIVITY]  # no claim reads it
    context = replace(context, records=replace(context.records.judged, problems=tuple(read)))
    drawn = make_figure(spec, context, start)
    verdicts = evaluate(context.records)
    tables = _claims_tables(verdicts, smoke_runs, context)
    commands = dict.fromkeys(row.command for v in verdicts for row in v.rows if row.verdict == NOT_RUN)
    return with_tables(drawn, context, tables, commands, start)


def _claims_tables(verdicts: list[ClaimVerdict], smoke_runs: Sequence[str], context: BuildContext) -> dict[str, bytes]:
    """The verdicts as JSON and as a Markdown table, by file name."""
    records = context.records
    extra = table_facts(FIGURES[CLAIMS_FIGURE], context) | {"smoke_runs": list(smoke_runs)}
    markdown = claims_markdown(verdicts, records.problems, smoke_runs, records.protocol, records.accuracy)
    return {
        f"claims{context.suffix}.json": claims_json(verdicts, extra),
        f"CLAIMS{context.suffix}.md": markdown.encode(),
    }


def table_facts(spec: FigureSpec, context: BuildContext) -> dict[str, Any]:
    """What the JSON document of a figure's table says of how it was made."""
    return {
        "protocol": context.records.protocol, "accuracy": context.records.accuracy, "command": context.command,
        "code_sha256": context.code[spec.id],
        "problems": [asdict(problem) for problem in context.records.problems],
        "inputs": [asdict(source) for source in figure_inputs(spec, context.records)],
        "provenance": dict(context.provenance),
    }  # fmt: skip


def with_tables(
    drawn: Outcome, context: BuildContext, tables: Mapping[str, bytes], commands: Iterable[str], start: float
) -> Outcome:
    """Write a figure's tables where they have changed; returns what became of the figure and of them.

    `tables` holds the JSON document and the Markdown table, by name in the output folder; `commands` make the results
    that they lack.
    """
    problems = context.records.problems
    written = _write_changed(context, tables)
    if problems or drawn.status == FAILED_TO_DRAW:
        status = FAILED_TO_DRAW
    elif DRAWN in (drawn.status, written):
        status = DRAWN
    else:
        status = CURRENT
    undrawn = [drawn.message] if drawn.status in (MISSING, FAILED_TO_DRAW) else []
    why = "; ".join([problem.message for problem in problems] or undrawn)
    return Outcome(drawn.id, status, why, (*drawn.files, *tables), tuple(commands), time.perf_counter() - start)


def _write_changed(context: BuildContext, tables: Mapping[str, bytes]) -> str:
    """Write a document and its table where either has changed; returns whether they had to be written.

    Who made the document, and by which command, is no change.
    """
    (as_data, document), (table, markdown) = ((context.out_dir / name, data) for name, data in tables.items())
    same = _without_maker(_sidecar(as_data) or {}) == _without_maker(json.loads(document))
    if same and _sha256_of(table) == hashlib.sha256(markdown).hexdigest():
        return CURRENT
    context.write(table, markdown)
    context.write(as_data, document)
    return DRAWN


def _without_maker(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document without who made it, and by which command."""
    return {name: value for name, value in document.items() if name not in ("provenance", "command")}
