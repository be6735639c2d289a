"""Claims under both protocols, side by side. Not in the paper."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from figures.claims.protocols import PROTOCOLS_COMMAND, ProtocolRow, by_scope, protocol_rows
from figures.claims.verdicts import NOT_RUN, Row
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw
from figures.plots.captions import claims as captions
from figures.plots.claim_lines import Line, draw_lines, plotted_row
from figures.plots.finish import finish
from figures.plots.sentences import format_n
from figures.results.network import Records


def figure_protocols(records: Records) -> Drawing:
    """Each claim under both protocols, and where they differ with single settings of the authors'."""
    rows = protocol_rows(records)
    lost = dict.fromkeys(row.claim for row in rows if NOT_RUN in row.verdicts)
    missing = [Missing(f"claims {', '.join(lost)}", "not run", PROTOCOLS_COMMAND)] if lost or not rows else []
    if all(row.ours.effect is None or row.authors.effect is None for row in rows):
        raise NothingToDraw(missing)
    names = {results.study.dataset: results.study.title for results in (*records.studies, *records.sweeps)}
    lines = [line for title, group in by_scope(rows).items() for line in _group(title, group)]
    plotted = {title: [_numbers(row) for row in group] for title, group in by_scope(rows).items()}
    sheet = FigureBuilder(draw_lines(lines), plotted=plotted, missing=missing)
    drawn = [row for row in rows if row.ours.effect is not None and row.authors.effect is not None]
    return finish(sheet, captions.BOTH_PROTOCOLS, _data(drawn, names), **_differences(drawn))


def _group(title: str, rows: Sequence[ProtocolRow]) -> list[Line]:
    """The lines of one preset and data set: for each effect ours, the authors', and single settings."""
    lines = [Line(f"{title}: ours, then the authors'", "heading")]
    claim = ""
    for row in rows:
        if row.label and row.claim != claim:
            lines.append(Line(f"{row.claim}  {row.short}", "claim"))
        claim = row.claim
        first = Line(f"{row.label}: ours", "effect") if row.label else Line(f"{row.claim}  {row.short}", "claim")
        lines.append(_with(first, row.ours, row.verdicts[0]))
        second = f"{row.label}: authors'" if row.label else "authors'"
        lines.append(_with(Line(f"{second}{' (differs)' * bool(row.differs)}", "effect"), row.authors, row.verdicts[1]))
        for switch in row.switches:
            line = Line(f"with their {switch.name}{' *' * switch.turns}", "control")
            lines.append(_with(line, replace(switch.row, role="control"), switch.row.verdict))
    return lines


def _with(line: Line, row: Row, verdict: str) -> Line:
    """A line with an effect, and the verdict by which both are drawn."""
    return replace(line, verdict=verdict, row=replace(row, verdict=verdict))


def _numbers(row: ProtocolRow) -> dict:
    sides = {"ours": plotted_row(row.ours), "authors": plotted_row(row.authors)}
    switches = [asdict(switch) | {"row": plotted_row(switch.row)} for switch in row.switches]
    return asdict(row) | sides | {"switches": switches, "turned_by": row.turned_by}


def _data(drawn: Sequence[ProtocolRow], names: dict[str, str]) -> str:
    places = dict.fromkeys(f"preset {row.preset} on {names.get(row.dataset) or row.dataset}" for row in drawn)
    counts = format_n([side.n for row in drawn for side in (row.ours, row.authors)])
    seeds = " ".join(map(str, sorted({seed for row in drawn for seed in (*row.ours.seeds, *row.authors.seeds)})))
    return f"{'; '.join(places)}, {counts} ({seeds}), the same for both protocols"


def _differences(drawn: Sequence[ProtocolRow]) -> dict[str, str]:
    """The sentences of the caption on what turns with the protocol."""
    turned = [f"{row.claim}{f', {row.label}' if row.label else ''}: {row.turned_by}" for row in drawn if row.differs]
    words = f"A verdict or a sign turns with the protocol, by (claim: setting) {'; '.join(turned)}."
    switches = any(row.switches for row in drawn)
    return {
        "turned": words if turned else captions.NONE_TURNS,
        "switches": captions.SWITCHED_SETTINGS if switches else "",
    }
