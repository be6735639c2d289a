"""Figures 11, 16, 17, 18 and `width`: LRR's lead over IMP when one setting of a preset is varied.

Not in the paper. One column per value: accuracy over density, below it the high-sparsity accuracy of both rules and
LRR's lead in it, paired by seed.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis import sweeps
from figures.analysis.statistics import Interval
from figures.analysis.sweeps import IMP_AND_LRR, Sweep, Value, find_sweeps, format_value, sweep_command
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, new_sheet
from figures.plots.captions import sweeps as captions
from figures.plots.captions.text import CaptionText, epoch_note
from figures.plots.contrasts import format_points
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.sweep_panels import characters_over, draw_accuracies, draw_high_sparsity, draw_leads
from figures.plots.sweep_sentences import format_sweep, format_sweep_data, heading
from figures.results.network import Records


@dataclass(frozen=True)
class SweepFigure:
    """The texts of a sweep's figure.

    They are the sweep's name, the caption, and the name of the values.

    `sizes`: whether the caption lists the networks' weights; `growth`: whether it gives the lead's growth from the
    first to the last value.
    """

    sweep: str
    text: CaptionText
    values: str
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
    sheet = new_sheet(style.TWO_COLUMNS, 4.15 * len(kept) + 0.3, missing)
    shown = []
    parts = sheet.figure.subfigures(len(kept), 1, squeeze=False).ravel()
    for part, (sweep, values) in zip(parts, kept, strict=True):
        shown += _block(sheet, part, sweep, plan, values)
        sheet.plotted[sweep.place] = sweeps.plotted(values, plan.growth)
    legend_below(sheet, shown, 3)
    data = "; ".join(format_sweep_data(sweep, values) for sweep, values in kept)
    return finish(sheet, plan.text, data, epoch=epoch_note(records))


def _absent(sweep: Sweep, plan: SweepFigure) -> list[Missing]:
    """Values of which an arm has no complete seed.

    An arm that diverged is not among them, since another run would not change that.
    """
    panel = f"{plan.values}, {sweep.place}"
    lost = []
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
    letter = sheet.add_panel_label(first, _panel_title(sweep, values[0]), characters=characters_over(values))
    for axes, value in zip(panels[1:], values[1:], strict=True):
        axes.set_title(textwrap.fill(_panel_title(sweep, value), characters_over(values)), loc="left")
    draw_accuracies(panels, values)
    draw_high_sparsity(below[0], values)
    draw_leads(below[1], values)
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


def _panel_title(sweep: Sweep, value: Value) -> str:
    """The title of a panel: the value, after the sweep's name if the value is a bare number."""
    bare = isinstance(value.x, (int, float))
    return f"{sweep.name.replace('-', ' ')} " * bare + format_value(value.x)


# A figure of another sweep: one entry here, one function above, one line in the catalogue.
PLANS: dict[str, SweepFigure] = {
    "11": SweepFigure("criterion", captions.CRITERIA_CAPTION, "pruning criterion"),
    "16": SweepFigure(
        "prune-rate",
        captions.PRUNE_RATES,
        "prune rate (fraction of the surviving weights removed between two levels)",
    ),
    "17": SweepFigure("schedule", captions.SCHEDULES_CAPTION, "learning-rate schedule of every level"),
    "18": SweepFigure("model", captions.MODELS_CAPTION, "network", sizes=True),
    "width": SweepFigure(
        "width", captions.WIDTHS, "width of the network (channels of the first stage)", sizes=True, growth=True
    ),
}
