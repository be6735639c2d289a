"""`connectivity`: barriers between IMP's and LRR's networks, and the signs they share.

Records in, drawing out; pure. Not in the paper: its first author's later work asks it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis.statistics import interval_columns
from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.choose import panel_name
from figures.plots.layout import legend_below
from figures.plots.panels import error_bar_lengths, fit_height, mark_cut
from figures.plots.sentences import LAYOUT_NOTE, format_data, format_missing, format_n, format_seeds
from figures.plots.style import GREEN, ArmStyle
from figures.results.connectivity import NetworkPair
from figures.results.network import Records, StudyResults, connectivity_command
from figures.results.variants import with_protocol

IMP_AND_LRR = ("imp", "lrr")
_PANEL = "barriers and shared signs"
_SEEN = (
    "Test error on the line between IMP's and LRR's last networks, barriers between trained networks over levels, and"
    " how many signs they share."
)
_MEASURES = {  # panel -> title, label of its axis, the number of a pair
    "barrier": ("barriers, batch norm recomputed", "barrier of the test error", lambda pair: pair.barrier),
    "barrier_not_recomputed": (
        "barriers, batch norm interpolated",
        "barrier of the test error",
        lambda pair: pair.barrier_not_recomputed,
    ),
    "sign_similarity": ("equal signs", "share of common survivors", lambda pair: pair.sign_similarity),
}
_SHORT = (0, (2, 1))


@dataclass(frozen=True)
class PairKind:
    """The pairs of one curve: `between` as in the record, the arm of their second end, and the look."""

    between: str
    arm: str
    look: ArmStyle

    def has(self, pair: NetworkPair) -> bool:
        """Whether a pair belongs to the curve; level 0 of two seeds is the same for both arms."""
        return pair.between == self.between and (pair.arms[1] in (self.arm, "dense"))


_KINDS = {
    "rules": PairKind("rules", "lrr", ArmStyle("IMP and LRR of a seed", GREEN, "D", "-")),
    "levels imp": PairKind("levels", "imp", ArmStyle("IMP, levels k - 1 and k", "imp", "o", "-")),
    "levels lrr": PairKind("levels", "lrr", ArmStyle("LRR, levels k - 1 and k", "lrr", "s", "-")),
    "seeds imp": PairKind("seeds", "imp", ArmStyle("IMP, two seeds", "imp", "o", _SHORT, filled=False)),
    "seeds lrr": PairKind("seeds", "lrr", ArmStyle("LRR, two seeds", "lrr", "s", _SHORT, filled=False)),
}
_ON_THE_LINE = {
    "errors": _KINDS["rules"].look,
    "errors_not_recomputed": ArmStyle("the same, batch norm interpolated", style.GREY, "x", _SHORT),
}


def figure_connectivity(records: Records) -> Drawing:
    """`connectivity`: the error between the last networks, and barriers and shared signs over levels."""
    kept, missing = [], []
    for results in records.studies:
        if set(IMP_AND_LRR) & set(results.arms):
            missing += _missing(results)
            kept += [results] if results.connectivity and results.connectivity.pairs else []
    if not kept:
        raise NothingToDraw(
            missing
            or [Missing(_PANEL, "nothing has been run", with_protocol(connectivity_command(None), records.protocol))]
        )
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 4.5 * len(kept) + 0.4), {}
    grid = sheet.figure.subplots(2 * len(kept), 2, squeeze=False)
    for number, results in enumerate(kept):
        axes = grid[2 * number : 2 * number + 2].ravel()
        plotted[results.study.study] = _block(sheet, axes, results)
    legend_below(sheet, list(grid.ravel()), 3)
    more = join_caption(
        "Networks on the line between two trained networks have (1 - alpha) of the weights of one and alpha of the"
        " other's; pruned weights are zeros. A barrier is the largest excess of their test error over the straight line"
        " between the errors of the ends, at alpha = 0, .1, ..., 1.",
        "Batch-norm statistics are recomputed by one pass over the training set without augmentation, or interpolated"
        " as the weights are.",
        *sheet.captions,
        "Signs are compared where both networks keep the weight; the dotted line is what two unrelated networks would"
        " share. Pairs of consecutive levels stand at the later one; levels 0 are the dense networks. Of two seeds each"
        " seed is in one pair only.",
        "Points are means over pairs, bars are Student-t 95 % intervals of each curve by itself.",
        mark_cut(sheet.figure),
        "LRR's weights have seen more epochs than IMP's at the same level.",
        LAYOUT_NOTE,
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, Caption(_SEEN, f"Data: {_data(kept, plotted)}.", more), tuple(missing))


def _data(kept: Sequence[StudyResults], plotted: dict) -> str:
    """The data of the studies and their numbers, of seeds and of pairs of two seeds."""
    curves = [of_study["barrier"] for of_study in plotted.values()]
    counts = [n for of_kind in curves for kind in ("seeds imp", "seeds lrr") for n in of_kind[kind]["n"]]
    pairs = f"; between seeds, {format_n(counts, 'pair')}" if counts else ""
    return format_data([(results, IMP_AND_LRR) for results in kept]) + pairs


def _missing(results: StudyResults) -> list[Missing]:
    """What a study lacks: the whole measurement, or some kinds of pairs."""
    place, command = f"{_PANEL}, {panel_name(results.study)}", connectivity_command(results.study)
    if results.connectivity is None:
        return [Missing(place, "it has not been measured", command)]
    lost = [kind for kind in _KINDS.values() if not any(map(kind.has, results.connectivity.pairs))]
    lost = [kind for kind in lost if kind.between != "seeds" or len(results.study.seeds) > 1]
    return [Missing(place, "no such pair could be measured", command, kind.look.label) for kind in lost]


def _block(sheet: FigureBuilder, axes: Sequence, results: StudyResults) -> dict:
    """The four panels of one study; returns the plotted numbers."""
    name, pairs = panel_name(results.study), results.connectivity.pairs
    line = line_curves(results)
    if line:
        _draw_line(axes[0], line)
        about = "the lines from IMP (alpha = 0) to LRR (alpha = 1) of a seed, batch norm recomputed and interpolated."
    else:
        axes[0].text(0.5, 0.5, "not measured", ha="center", transform=axes[0].transAxes, color=style.MUTED)
        about = "no line between IMP's and LRR's last networks was measured."
    about = f"{format_seeds(results, IMP_AND_LRR)}; {about}"
    sheet.add_panel_label(axes[0], f"{name}: from IMP to LRR, level {results.study.levels - 1}", about, 52)
    plotted = {"line": {"alpha": list(results.connectivity.alphas), **line}}
    for panel, (measure, (title, label, _)) in zip(axes[1:], _MEASURES.items(), strict=True):
        plotted[measure] = {kind: level_curve(pairs, kind, measure) for kind in _KINDS}
        _draw_levels(panel, plotted[measure], measure)
        panel.set_ylabel(label)
        sheet.add_panel_label(panel, title, _about(measure, plotted[measure], results), 52)
    return plotted


def _about(measure: str, curves: dict, results: StudyResults) -> str:
    """What the caption says of a panel: the numbers of pairs, once, and what was left out."""
    if measure != "barrier":
        return f"{_MEASURES[measure][0]}, of the same pairs."
    counts = {kind: curve["n"] for kind, curve in curves.items() if curve["n"]}
    parts = [f"{_KINDS[kind].look.label}: {format_n(n, 'pair')}" for kind, n in counts.items()]
    return f"{_MEASURES[measure][0]}; {'; '.join(parts)}.{_left_out(results)}"


def _left_out(results: StudyResults) -> str:
    """Networks that a pair needed and that could not be used, each once, with the reason."""
    found: dict[str, dict[str, None]] = {}
    for pair in results.connectivity.left_out:
        for arm, seed, level, why in zip(pair.arms, pair.seeds, pair.levels, pair.reasons, strict=True):
            if why:
                found.setdefault(why, {})[f"{style.arm_style(arm).label} seed {seed} level {level}"] = None
    parts = [f"{', '.join(names)} ({why})" for why, names in found.items()]
    return f" Left out: {'; '.join(parts)}." if parts else ""


def line_curves(results: StudyResults) -> dict[str, dict[str, list]]:
    """The test error on the line from IMP to LRR at the last level; empty without a pair.

    It is given by the treatment of batch norm. The lists `mean`, `low`, `high`, `n` and `values` (one per seed, in the
    order of `seeds`) have an entry per alpha.
    """
    last = results.study.levels - 1
    there = [pair for pair in results.connectivity.pairs if _KINDS["rules"].has(pair) and pair.levels == (last, last)]
    curves = {}
    for name in _ON_THE_LINE if there else ():
        values = [list(errors) for errors in zip(*(getattr(pair, name) for pair in there), strict=True)]
        columns = {"alpha": list(results.connectivity.alphas), **interval_columns(values), "values": values}
        curves[name] = columns | {"seeds": [pair.seeds[0] for pair in there]}
    return curves


def level_curve(pairs: Sequence[NetworkPair], kind: str, measure: str) -> dict[str, list]:
    """A number of the pairs of one kind over levels; pairs without it (no common survivor) are left out.

    Lists `level`, `mean`, `low`, `high`, `n`, `seeds` (of each pair) and `values`, with an entry per level.
    """
    of_pair = _MEASURES[measure][2]
    mine = [pair for pair in pairs if _KINDS[kind].has(pair) and of_pair(pair) is not None]
    levels = sorted({pair.levels[1] for pair in mine})
    at = [[pair for pair in mine if pair.levels[1] == level] for level in levels]
    values = [list(map(of_pair, there)) for there in at]
    seeds = [[list(pair.seeds) for pair in there] for there in at]
    return {"level": levels, **interval_columns(values), "seeds": seeds, "values": values}


def _draw_line(axes, curves: dict) -> None:
    for name, curve in curves.items():
        _draw_curve(axes, _ON_THE_LINE[name], curve["alpha"], curve)
    fit_height(axes, list(curves.values()), least=0.0, most=1.0)
    axes.set_xlabel("alpha (0: IMP, 1: LRR)")
    axes.set_ylabel("test error")
    axes.grid(axis="y")


def _draw_levels(axes, curves: dict, measure: str) -> None:
    there = {kind: curve for kind, curve in curves.items() if curve["level"]}
    for place, (kind, curve) in enumerate(there.items()):
        shift = (place - (len(there) - 1) / 2) * 0.07
        _draw_curve(axes, style.with_colour(_KINDS[kind].look), [level + shift for level in curve["level"]], curve)
    if measure == "sign_similarity":
        axes.axhline(0.5, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1)
    fit_height(axes, list(there.values()), least=-0.02, most=1.02)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_xlabel("level")
    axes.grid(axis="y")


def _draw_curve(axes, look: ArmStyle, x: Sequence[float], curve: dict) -> None:
    bars = error_bar_lengths(curve["mean"], curve["low"], curve["high"])
    axes.errorbar(x, curve["mean"], yerr=bars, elinewidth=0.7, capsize=1.2, zorder=3, **look.line_kwargs())
