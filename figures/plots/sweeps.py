"""Figures 11, 16, 17, 18 and `width`: LRR's lead over IMP when one setting of a preset is varied.

Not in the paper. One column per value: accuracy over density, below it the high-sparsity accuracy of both rules and
LRR's lead in it, paired by seed.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis import sweeps
from figures.analysis.statistics import Interval
from figures.analysis.sweeps import CHANCE, IMP_AND_LRR, Sweep, Value, find_sweeps, format_value, sweep_command
from figures.plots import style
from figures.plots.accuracy import EPOCHS
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.captions import format_sweep, format_sweep_data, heading
from figures.plots.contrasts import HIGH_SPARSITY_NOTE, format_points
from figures.plots.layout import legend_below
from figures.plots.panels import density_axis, dodge, error_bar_lengths, fit_height, mark_cut, plot_curve
from figures.plots.sentences import LAYOUT_NOTE, epoch_note, format_missing
from figures.results.network import Records

_TICKS = (1, 0.1, 0.01, 0.001)  # ticks of narrow panels
_FEW = 5  # columns: under more of them a long label of the x axis does not fit


@dataclass(frozen=True)
class SweepFigure:
    """The texts of a sweep's figure.

    They are the sweep's name, the first sentence of the caption, the name of the values, and notes.

    `sizes`: whether the caption lists the networks' weights; `growth`: whether it gives the lead's growth from the
    first to the last value.
    """

    sweep: str
    seen: str
    values: str
    remarks: str = ""
    sizes: bool = False
    growth: bool = False


def figure_11(records: Records) -> Drawing:
    """Figure 11: pruning criteria times rewind rule."""
    return draw(records, PLANS["11"])


def figure_16(records: Records) -> Drawing:
    """Figure 16: sensitivity to the prune rate."""
    return draw(records, PLANS["16"])


def figure_17(records: Records) -> Drawing:
    """Figure 17: sensitivity to the learning-rate schedule."""
    return draw(records, PLANS["17"])


def figure_18(records: Records) -> Drawing:
    """Figure 18: another architecture."""
    return draw(records, PLANS["18"])


def figure_width(records: Records) -> Drawing:
    """`width`: LRR's lead over the width of the network (claim 13 on networks)."""
    return draw(records, PLANS["width"])


def draw(records: Records, plan: SweepFigure) -> Drawing:
    """Draw one block of panels for each preset and data set with results of the sweep."""
    found = find_sweeps(records, plan.sweep)
    missing = [lost for sweep in found for lost in _absent(sweep, plan)]
    blocks = [(sweep, sweeps.values_of(sweep)) for sweep in found]
    kept = [(sweep, values) for sweep, values in blocks if any(value.drawable for value in values)]
    if not kept:
        raise NothingToDraw(
            missing or [Missing(plan.values, "nothing has been run", sweep_command(plan.sweep, records.protocol))]
        )
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 4.15 * len(kept) + 0.3), {}
    shown: list = []
    parts = sheet.figure.subfigures(len(kept), 1, squeeze=False).ravel()
    for part, (sweep, values) in zip(parts, kept, strict=True):
        shown += _block(sheet, part, sweep, plan, values)
        plotted[sweep.place] = sweeps.plotted(values, plan.growth)
    legend_below(sheet, shown, 3)
    more = join_caption(
        *sheet.captions,
        "Top: test accuracy over density.",
        epoch_note(records),
        HIGH_SPARSITY_NOTE,
        "Points are means over seeds, bars are Student-t 95 % intervals. The lead is that of LRR over IMP in"
        " high-sparsity accuracy, paired by seed. Its intervals are not adjusted for the number of values. Dots are the"
        " leads of the seeds.",
        "On the axes accuracies and leads are fractions: .01 is 1 accuracy point.",
        mark_cut(sheet.figure),
        plan.remarks,
        EPOCHS,
        LAYOUT_NOTE,
        format_missing(missing),
    )
    data = "; ".join(format_sweep_data(sweep, values) for sweep, values in kept)
    return Drawing(sheet.figure, plotted, Caption(plan.seen, f"Data: {data}.", more), tuple(missing))


def _absent(sweep: Sweep, plan: SweepFigure) -> list[Missing]:
    """Values of which an arm has no complete seed.

    An arm that diverged is not among them, since another run would not change that.
    """
    panel, lost = f"{plan.values}, {sweep.place}", []
    for value in sweeps.values_of(sweep):
        for arm in IMP_AND_LRR:
            if not value.complete[arm] and not value.diverged[arm]:
                what = f"{style.arm_style(arm).label} at {format_value(value.x)}"
                why = f"{arm} has no complete seed at {format_value(value.x)}"
                lost.append(Missing(panel, why, sweep.command, what))
    if not sweep.has_base:
        lost.append(Missing(panel, "the common settings have not been run", sweep.command, "the common settings"))
    return lost


def _block(sheet: FigureBuilder, part, sweep: Sweep, plan: SweepFigure, values: Sequence[Value]) -> list:
    """The panels of one preset and data set, a column per value: accuracies, and the lead.

    Returns the axes of the accuracy curves.
    """
    part.suptitle(heading(sweep), x=0.01, ha="left", fontsize=style.RC["axes.titlesize"])
    grid = part.add_gridspec(3, len(values), height_ratios=[1.3, 1.1, 1.3])
    first = part.add_subplot(grid[0, 0])
    panels = [first, *(part.add_subplot(grid[0, k], sharey=first) for k in range(1, len(values)))]
    below = [part.add_subplot(grid[row, :]) for row in (1, 2)]
    letter = sheet.add_panel_label(first, _panel_title(sweep, values[0]), characters=_characters(values))
    for axes, value in zip(panels[1:], values[1:], strict=True):
        axes.set_title(textwrap.fill(_panel_title(sweep, value), _characters(values)), loc="left")
    _draw_accuracies(panels, values)
    _heights(below[0], values)
    _leads(below[1], values)
    below[1].set_xlabel(plan.values)
    sheet.add_panel_label(below[0], "high-sparsity accuracy")
    last = sheet.add_panel_label(below[1], "lead of LRR over IMP")
    sheet.captions.append(f"({letter}-{last}) {format_sweep(sweep, values, plan.sizes)}")
    if plan.growth:
        sheet.captions.append(_growth(values))
    return panels


def _growth(values: Sequence[Value]) -> str:
    """The lead's growth in accuracy points, as in claim 13; empty where no seed has it."""
    found = sweeps.growth(values)
    if len(values) < 2 or not found["n"]:
        return ""
    ends = f"the lead at {format_value(values[-1].x)} less that at {format_value(values[0].x)}"
    blind = [format_value(value.x) for value in (values[0], values[-1]) if value.nothing_left]
    doubt = f"; at {' and '.join(blind)} both rules are at chance" if blind else ""
    grown = format_points(Interval(*(found[key] for key in ("mean", "low", "high", "n"))))
    return f"Growth: {ends} is {grown}, paired by seed, n = {found['n']}{doubt}."


def _characters(values: Sequence[Value]) -> int:
    """The number of letters that fit over a column."""
    return max(9, 80 // len(values))


def _title(value: Value, values: Sequence[Value]) -> str:
    return textwrap.fill(format_value(value.x), _characters(values))


def _panel_title(sweep: Sweep, value: Value) -> str:
    """The title of a panel: the value, after the sweep's name if the value is a bare number."""
    bare = isinstance(value.x, (int, float))
    return f"{sweep.name.replace('-', ' ')} " * bare + format_value(value.x)


def _draw_accuracies(panels: Sequence, values: Sequence[Value]) -> None:
    """Draw accuracy over density, one panel per value, on the same axes."""
    every = [curve for value in values for curve in value.curves.values() if curve["mean"]]
    densities = [density for curve in every for density in curve["density"]] or [1.0, 0.01]
    for k, (axes, value) in enumerate(zip(panels, values, strict=True)):
        for shift, arm in zip(dodge(len(IMP_AND_LRR)), IMP_AND_LRR, strict=True):
            if value.curves[arm]["mean"]:
                plot_curve(axes, arm, value.curves[arm], shift)
                axes.containers[-1].lines[0].set_markersize(4.2 if len(values) < 4 else 3.0)
        axes.text(0.05, 0.05, _lost(value), transform=axes.transAxes, fontsize=style.SMALLEST_TYPE, va="bottom")
        density_axis(axes, densities)
        if len(values) > 2:
            axes.set_xticks([tick for tick in _TICKS if tick >= min(densities) / 1.3])
        if len(values) > _FEW:
            axes.set_xlabel("density")
        axes.tick_params(labelleft=k == 0)
        axes.grid(axis="y")
    panels[0].set_ylabel("test accuracy")
    _chance(panels, values, [mean for curve in every for mean in curve["mean"]])
    fit_height(panels[0], every, least=0.0, most=1.03)


def _lost(value: Value) -> str:
    """The text in a value's panel about diverged seeds and incomplete arms."""
    lines = []
    for arm in IMP_AND_LRR:
        of, label = len(value.results.study.seeds), style.arm_style(arm).label
        if value.diverged[arm]:
            lines.append(f"{label}: {len(value.diverged[arm])} of\n{of} diverged")
        elif not value.complete[arm]:
            lines.append(f"{label}: not\ncomplete")
    return "\n".join(lines)


def _chance(panels: Sequence, values: Sequence[Value], means: Sequence[float]) -> None:
    """Draw the accuracy of a network that has learnt nothing, if any accuracy is near it."""
    chance = values[0].chance
    if chance and means and min(means) < 2 * chance:
        for axes in panels:
            axes.axhline(chance, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1, label=CHANCE)


def _heights(axes, values: Sequence[Value]) -> None:
    """Draw high-sparsity accuracy of each rule at each value; unfilled where a seed is at chance."""
    beside = 0.014 * len(values)  # the same on paper for any number of columns
    for shift, arm in ((-beside, "imp"), (beside, "lrr")):
        look = style.arm_style(arm).line_kwargs() | {"linestyle": "none"}
        for place, value in enumerate(values):
            face = {"markerfacecolor": "white"} if value.at_chance[arm] else {}
            _point(axes, place + shift, value.h[arm], **(look | face))
    found = [value.h[arm] for value in values for arm in IMP_AND_LRR]
    fit_height(axes, _estimate_columns(found), least=0.0, most=1.03)
    _chance([axes], values, [h["mean"] for h in found if h["n"]])
    axes.set_ylabel("high-sparsity\naccuracy")
    _places(axes, values)
    axes.tick_params(labelbottom=False)


def _leads(axes, values: Sequence[Value]) -> None:
    """Draw the lead in high-sparsity accuracy, LRR - IMP, at each value, with its seeds.

    Where there is no lead, a text gives the reason.
    """
    for place, value in enumerate(values):
        face = "white" if any(value.at_chance.values()) else "black"
        look = {"marker": "D", "color": "black", "markerfacecolor": face, "linestyle": "none", "zorder": 4}
        _point(axes, place, value.lead, **look)
        dots = [place + 0.02 * len(values)] * len(value.lead["values"])
        axes.plot(dots, value.lead["values"], linestyle="none", marker=".", color=style.MUTED, markersize=3)
        if value.state:
            axes.text(place, 0.5, value.state, transform=axes.get_xaxis_transform(), ha="center", va="center",
                      fontsize=style.SMALLEST_TYPE)  # fmt: skip
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    seeds = [{"mean": value.lead["values"], "low": [], "high": []} for value in values]
    fit_height(
        axes, [*_estimate_columns([value.lead for value in values]), *seeds, {"mean": [0.0], "low": [], "high": []}]
    )
    axes.set_ylabel("high-sparsity\naccuracy,\nLRR - IMP")
    _places(axes, values)


def _point(axes, x: float, summary: dict, **look) -> None:
    if summary["n"]:
        bars = error_bar_lengths([summary["mean"]], [summary["low"]], [summary["high"]])
        axes.errorbar([x], [summary["mean"]], yerr=bars, elinewidth=0.9, markersize=4.6, **look)


def _estimate_columns(summaries: Sequence[dict]) -> list[dict]:
    return [{name: [s[name]] for name in ("mean", "low", "high")} for s in summaries if s["n"]]


def _places(axes, values: Sequence[Value]) -> None:
    """Set the x axis: values side by side, in their order and not to scale.

    n is given where a value has fewer seeds than another.
    """
    most = max(value.lead["n"] for value in values)
    labels = [_title(v, values) + (f"\nn = {v.lead['n']}" if 0 < v.lead["n"] < most else "") for v in values]
    axes.set_xticks(range(len(values)), labels)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.grid(axis="y")


# A figure of another sweep: one entry here, one function above, one line in the catalogue.
PLANS: dict[str, SweepFigure] = {
    "11": SweepFigure(
        "criterion",
        "Accuracy of IMP and LRR under different pruning criteria, and LRR's lead at high sparsity under each.",
        "pruning criterion",
        "Both rules prune by the criterion that is named, which scores the weights at each level's end. Random and"
        " layerwise criteria fix the density of each layer, the others choose it.",
    ),
    "16": SweepFigure(
        "prune-rate",
        "Accuracy of IMP and LRR at different prune rates, and LRR's lead at high sparsity at each.",
        "prune rate (fraction of the surviving weights removed between two levels)",
        "High-sparsity accuracy is over a rate's own levels, each of density at most .03. By then LRR's weights have"
        " been trained for more epochs at smaller rates.",
    ),
    "17": SweepFigure(
        "schedule",
        "Accuracy of IMP and LRR under different learning-rate schedules, and LRR's lead at high sparsity under each.",
        "learning-rate schedule of every level",
    ),
    "18": SweepFigure(
        "model",
        "Accuracy of IMP and LRR on different architectures, and LRR's lead at high sparsity on each.",
        "network",
        "At one density the networks keep different numbers of weights.",
        sizes=True,
    ),
    "width": SweepFigure(
        "width",
        "Accuracy of IMP and LRR at different widths of the network, and LRR's lead at high sparsity at each.",
        "width of the network (channels of the first stage)",
        "At one density a wider network keeps more weights.",
        sizes=True,
        growth=True,
    ),
}
