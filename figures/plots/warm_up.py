"""High-sparsity accuracy over the epochs of warm-up, of figure 10."""

from collections.abc import Sequence

from figures.analysis import measures
from figures.analysis.statistics import as_columns
from figures.analysis.sweeps import Sweep
from figures.plots import style
from figures.plots.ablation_panels import ON_LOOK
from figures.plots.builder import FigureBuilder
from figures.plots.contrasts import (
    Coefficients,
    format_sweep_seeds,
    h_contrast,
    plot_intervals,
)
from figures.plots.panels import dodge, fit_height
from figures.plots.sentences import format_n
from figures.plots.style import ArmStyle
from figures.plots.sweep_sentences import network_name
from figures.results.network import StudyResults


def has_lead(results: StudyResults) -> bool:
    """Whether IMP and LRR can be compared at high sparsity."""
    return bool(measures.high_sparsity_levels(results) and measures.shared_seeds(results, ("imp", "lrr")))


def _pairs_there(sweep: Sweep) -> list[tuple]:
    """The values of a sweep at which IMP and LRR can be compared, each with its results."""
    return [(x, results) for x, results in zip(sweep.x, sweep.studies, strict=True) if has_lead(results)]


def warm_up_data(sweep: Sweep) -> str:
    """The data of a sweep's row and their number, for the opening of the caption."""
    pairs = _pairs_there(sweep)
    seeds = format_n([len(measures.shared_seeds(results, ("imp", "lrr"))) for _, results in pairs])
    return f"{network_name(sweep)}, {seeds} at each of {len(pairs)} lengths of warm-up"


def draw_warm_up(sheet: FigureBuilder, axes, sweep: Sweep) -> dict:
    """High-sparsity accuracy of IMP and LRR, and their paired difference, over the epochs of warm-up."""
    pairs = _pairs_there(sweep)
    numbers = [x for x, _ in pairs]
    plotted = {}
    for shift, arm in zip(dodge(2, 0.12), ("imp", "lrr"), strict=True):
        plotted[arm] = _h_curve(pairs, {arm: 1})
        plot_intervals(axes[0], style.arm_style(arm), [x + shift for x in numbers], plotted[arm])
    plotted["lrr - imp"] = _h_curve(pairs, {"lrr": 1, "imp": -1})
    look = ArmStyle("LRR - IMP, with warm-up", *ON_LOOK)
    plot_intervals(axes[1], look, numbers, plotted["lrr - imp"])
    fit_height(axes[0], [plotted["imp"], plotted["lrr"]], least=0.0, most=1.005)
    fit_height(axes[1], [plotted["lrr - imp"]])
    for axis, label in zip(axes, ("high-sparsity accuracy", "high-sparsity accuracy, LRR - IMP"), strict=False):
        axis.set(xlabel="epochs of warm-up", ylabel=label)
        axis.set_xticks(numbers)
    words = f"high-sparsity accuracy over the epochs of warm-up, {format_sweep_seeds(sweep, ('imp', 'lrr'))}"
    first = sheet.add_panel_label(axes[0], network_name(sweep), characters=36)
    last = sheet.add_panel_label(axes[1], "lead of LRR over IMP", characters=36)
    sheet.captions.append(f"({first}, {last}) {words}.")
    return plotted | {"warmup_epochs": numbers}


def _h_curve(pairs: Sequence[tuple], coefficients: Coefficients) -> dict[str, list]:
    return as_columns(h_contrast(results, coefficients) for _, results in pairs)
