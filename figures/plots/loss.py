"""Figure 13: the training loss at the end of each level, over density. Records in, drawing out; pure."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from figures.analysis import measures
from figures.analysis.table import contrast_curve, frame
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, NothingToDraw, new_sheet
from figures.plots.captions import accuracy as captions
from figures.plots.choose import nothing_run, panel_name, studies_with
from figures.plots.contrasts import unpaired
from figures.plots.finish import finish
from figures.plots.layout import add_blocks, joined_rows, legend_below
from figures.plots.panels import density_axis, dodge, plot_curve
from figures.plots.sentences import format_data, format_seeds
from figures.results.network import Records, StudyResults

if TYPE_CHECKING:
    from pandas import DataFrame

LOSS_PANEL = "training loss"
LOSS_ARMS = ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "imp-long")
SMALLEST_LOSS = 1e-12  # a loss of 0 has no logarithm


def figure_13(records: Records) -> Drawing:
    """Figure 13: training loss over sparsity, and its ratio to IMP's."""
    kept, missing = studies_with(records, ("imp", "lrr"), LOSS_ARMS, LOSS_PANEL)
    if not kept:
        raise NothingToDraw(missing or [nothing_run(LOSS_PANEL, records.protocol)])
    panels = [1 + bool(_paired(results, there)) for results, there in kept]
    sheet = new_sheet(style.TWO_COLUMNS, 2.35 * len(joined_rows(panels)) + 0.5, missing)
    blocks = add_blocks(sheet, panels)
    for axes, (results, there) in zip(blocks, kept, strict=True):
        sheet.plotted[results.study.study] = _loss_row(sheet, axes, results, there)
    legend_below(sheet, [panel for axes in blocks for panel in axes], 3)
    return finish(sheet, captions.TRAINING_LOSS, format_data(kept))


def _loss_row(sheet: FigureBuilder, axes, results: StudyResults, there: Sequence[str]) -> dict:
    """A study's losses, and their ratios to IMP's."""
    table = frame(results, there)
    table["log_loss"] = [math.log10(max(loss, SMALLEST_LOSS)) for loss in table["train_loss"]]
    losses = {arm: loss_curve(table, {arm: 1}) for arm in there}
    paired = _paired(results, there)
    ratios = {arm: loss_curve(table, {arm: 1, "imp": -1}) for arm in paired}
    _draw(axes[0], losses, "training loss (log scale)")
    sheet.add_panel_label(axes[0], panel_name(results.study), f"{format_seeds(results, there)}.", 44)
    if ratios:
        _draw(axes[1], ratios, "training loss / IMP's (log scale)")
        axes[1].axhline(1, color=style.MUTED, linewidth=0.7, zorder=1)
        sheet.add_panel_label(axes[1], "the same, relative to IMP", "the same, divided by IMP's of the same seed.", 44)
    alone = [arm for arm in there if arm != "imp" and arm not in paired]
    sheet.missing += [lost for arm in alone for lost in unpaired(results, (arm, "imp"), LOSS_PANEL)]
    return {"loss": losses, "ratio": ratios}


def _paired(results: StudyResults, there: Sequence[str]) -> list[str]:
    """The arms that share a complete seed with IMP."""
    return [arm for arm in there if arm != "imp" and measures.shared_seeds(results, (arm, "imp"))]


def loss_curve(table: "DataFrame", powers: Mapping[str, int]) -> dict[str, list]:
    """A product of powers of the arms' training losses at each level that all have, paired by seed.

    `powers`: arm -> exponent; `{"lrr": 1, "imp": -1}` is LRR's loss divided by IMP's. As `contrast_curve`, but the mean
    is geometric, and the interval that of the logarithm.
    """
    found = contrast_curve(table, powers, "log_loss")
    del found["values"]
    back = {key: [None if x is None else 10**x for x in found[key]] for key in ("mean", "low", "high")}
    return found | back


def _draw(axes, curves: Mapping[str, dict], label: str) -> None:
    for shift, (arm, curve) in zip(dodge(len(curves)), curves.items(), strict=True):
        plot_curve(axes, arm, curve, shift)
    axes.set_yscale("log")
    _fit(axes, [mean for curve in curves.values() for mean in curve["mean"]])
    density_axis(axes, [density for curve in curves.values() for density in curve["density"]])
    axes.set_ylabel(label)
    axes.grid(axis="y")


def _fit(axes, means: Sequence[float]) -> None:
    """Set the y limits to a factor around the means, with ticks at 1, 2 and 5 times powers of ten.

    A very wide interval extends beyond the axis.
    """
    low = min(means) / 2.5
    high = max(means) * 2.5
    steps = (1,) if high / low > 300 else (1, 2, 5)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks = [tick for k in decades for step in steps if low <= (tick := step * 10.0**k) <= high]
    axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.yaxis.minorticks_off()
    axes.set_ylim(low, high)
