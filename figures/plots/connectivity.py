"""`connectivity`: barriers between IMP's and LRR's networks, and the signs they share.

Records in, drawing out; pure. Not in the paper: its first author's later work asks it.
"""

from collections.abc import Sequence

from figures.analysis.sweeps import IMP_AND_LRR
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, new_sheet
from figures.plots.captions import signs as captions
from figures.plots.choose import panel_name
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.pairs import KINDS_OF_PAIRS, MEASURES, draw_levels, draw_line, level_curve, line_curves
from figures.plots.sentences import format_data, format_n, format_seeds
from figures.results.network import Records, StudyResults, connectivity_command
from figures.results.variants import with_protocol

_PANEL = "barriers and shared signs"


def figure_connectivity(records: Records) -> Drawing:
    """`connectivity`: the error between the last networks, and barriers and shared signs over levels."""
    kept = []
    missing = []
    for results in records.studies:
        if set(IMP_AND_LRR) & set(results.arms):
            missing += _missing(results)
            kept += [results] if results.connectivity and results.connectivity.pairs else []
    if not kept:
        raise NothingToDraw(
            missing
            or [Missing(_PANEL, "nothing has been run", with_protocol(connectivity_command(None), records.protocol))]
        )
    sheet = new_sheet(style.TWO_COLUMNS, 4.5 * len(kept) + 0.4, missing)
    grid = sheet.figure.subplots(2 * len(kept), 2, squeeze=False)
    for number, results in enumerate(kept):
        axes = grid[2 * number : 2 * number + 2].ravel()
        sheet.plotted[results.study.study] = _block(sheet, axes, results)
    legend_below(sheet, list(grid.ravel()), 3)
    return finish(sheet, captions.CONNECTIVITY_CAPTION, _data(kept, sheet.plotted))


def _data(kept: Sequence[StudyResults], plotted: dict) -> str:
    """The data of the studies and their numbers, of seeds and of pairs of two seeds."""
    curves = [of_study["barrier"] for of_study in plotted.values()]
    counts = [n for of_kind in curves for kind in ("seeds imp", "seeds lrr") for n in of_kind[kind]["n"]]
    pairs = f"; between seeds, {format_n(counts, 'pair')}" if counts else ""
    return format_data([(results, IMP_AND_LRR) for results in kept]) + pairs


def _missing(results: StudyResults) -> list[Missing]:
    """What a study lacks: the whole measurement, or some kinds of pairs."""
    place = f"{_PANEL}, {panel_name(results.study)}"
    command = connectivity_command(results.study)
    if results.connectivity is None:
        return [Missing(place, "it has not been measured", command)]
    lost = [kind for kind in KINDS_OF_PAIRS.values() if not any(map(kind.has, results.connectivity.pairs))]
    lost = [kind for kind in lost if kind.between != "seeds" or len(results.study.seeds) > 1]
    return [Missing(place, "no such pair could be measured", command, kind.look.label) for kind in lost]


def _block(sheet: FigureBuilder, axes: Sequence, results: StudyResults) -> dict:
    """The four panels of one study; returns the plotted numbers."""
    name = panel_name(results.study)
    pairs = results.connectivity.pairs
    line = line_curves(results)
    if line:
        draw_line(axes[0], line)
        about = "the lines from IMP (alpha = 0) to LRR (alpha = 1) of a seed, batch norm recomputed and interpolated."
    else:
        axes[0].text(0.5, 0.5, "not measured", ha="center", transform=axes[0].transAxes, color=style.MUTED)
        about = "no line between IMP's and LRR's last networks was measured."
    about = f"{format_seeds(results, IMP_AND_LRR)}; {about}"
    sheet.add_panel_label(axes[0], f"{name}: from IMP to LRR, level {results.study.levels - 1}", about, 52)
    plotted = {"line": {"alpha": list(results.connectivity.alphas), **line}}
    for panel, (measure, (title, label, _)) in zip(axes[1:], MEASURES.items(), strict=True):
        plotted[measure] = {kind: level_curve(pairs, kind, measure) for kind in KINDS_OF_PAIRS}
        draw_levels(panel, plotted[measure], measure)
        panel.set_ylabel(label)
        sheet.add_panel_label(panel, title, _about(measure, plotted[measure], results), 52)
    return plotted


def _about(measure: str, curves: dict, results: StudyResults) -> str:
    """What the caption says of a panel: the numbers of pairs, once, and what was left out."""
    if measure != "barrier":
        return f"{MEASURES[measure][0]}, of the same pairs."
    counts = {kind: curve["n"] for kind, curve in curves.items() if curve["n"]}
    parts = [f"{KINDS_OF_PAIRS[kind].look.label}: {format_n(n, 'pair')}" for kind, n in counts.items()]
    return f"{MEASURES[measure][0]}; {'; '.join(parts)}.{_left_out(results)}"


def _left_out(results: StudyResults) -> str:
    """Networks that a pair needed and that could not be used, each once, with the reason."""
    found: dict[str, dict[str, None]] = {}
    for pair in results.connectivity.left_out:
        for arm, seed, level, why in zip(pair.arms, pair.seeds, pair.levels, pair.reasons, strict=True):
            if why:
                found.setdefault(why, {})[f"{style.arm_style(arm).label} seed {seed} level {level}"] = None
    parts = [f"{', '.join(names)} ({why})" for why, names in found.items()]
    return f" Left out: {'; '.join(parts)}." if parts else ""
