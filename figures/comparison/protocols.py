"""Write the table and the figure of the verdicts that turn with the protocol."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from figures.catalogue import FigureSpec
from figures.claims.protocols import (
    PROTOCOL_SWEEP,
    PROTOCOLS_COMMAND,
    claims_under_both,
    protocol_rows,
    protocols_json,
    protocols_markdown,
)
from figures.claims.registry import CLAIMS, ON_PERTURBED
from figures.claims.verdicts import NOT_RUN
from figures.provenance.code import code_hashes
from figures.regenerate import BuildContext, Outcome, make_figure, table_facts, with_tables
from figures.results.load import load
from figures.results.variants import EVERY_PROTOCOL

PROTOCOLS_FIGURE = "protocols"


def compare_protocols(
    results_dir: Path | str,
    out_dir: Path | str,
    *,
    write: Callable[[Path, bytes], object],
    provenance: Mapping[str, Any],
    command: str,
    log: Callable[[str], object] = lambda line: None,
    prefer: Mapping[str, str] | None = None,
) -> Outcome:
    """Write `out_dir`/PROTOCOLS.md, protocols.json and figures/figprotocols, where they have changed.

    Args:
        results_dir: folder with `theory/`, `studies/` and `runs/`.
        out_dir: folder to write into; `write` makes missing folders.
        write: atomic writer `write(path, data)`.
        provenance: versions, git commit, hardware and thread count of this process; kept in every record.
        command: the command line that runs this, kept in every record.
        log: called with a line for the outcome.
        prefer: theory experiment -> file stem to take where several parameter sets have been run.

    Raises:
        ResultError: `results_dir` is not a folder.
    """
    start = time.perf_counter()
    spec = protocols_figure()
    records = load(results_dir, prefer, EVERY_PROTOCOL).judged
    context = BuildContext(records, Path(out_dir), write, provenance, command, code_hashes([spec]))
    drawn = make_figure(spec, context, start)
    rows = protocol_rows(records)
    tables = {
        "protocols.json": protocols_json(rows, table_facts(spec, context)),
        "PROTOCOLS.md": protocols_markdown(rows).encode(),
    }
    lacking = not rows or any(NOT_RUN in row.verdicts for row in rows)
    outcome = with_tables(drawn, context, tables, (PROTOCOLS_COMMAND,) if lacking else (), start)
    log(outcome.line)
    return outcome


def protocols_figure() -> FigureSpec:
    """The figure of the claims under both protocols.

    It is not in the catalogue, whose figures show one protocol each. It reads what its claims read, and the sweep of
    our protocol with one setting of the authors'.
    """
    judged = [CLAIMS[number] for number in claims_under_both()]
    arms = tuple({arm: None for claim in judged for arm in claim.arms})
    perturbed = tuple({arm: None for claim in judged if claim.kind == ON_PERTURBED for arm in claim.arms})
    return FigureSpec(
        PROTOCOLS_FIGURE,
        "Which verdicts turn with the protocol",
        "protocols:figure_protocols",
        (),
        arms,
        signs=True,
        sweeps={"perturbation": perturbed, PROTOCOL_SWEEP: ("imp", "lrr")},
        claims=tuple(claims_under_both()),
    )
