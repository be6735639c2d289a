"""A row of the figure `factorial` on networks."""

from collections.abc import Mapping, Sequence

from figures.analysis import measures
from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.choose import panel_name
from figures.plots.factorial_panels import as_column, draw_effects, draw_interaction
from figures.plots.panels import fit_height, plot_means
from figures.plots.sentences import format_seeds
from figures.results.network import StudyResults

FACTORIAL_ARMS = ("imp", "magnitude", "sign", "lrr-bn-rewind")
_SHORT = {"magnitude": "magn.", "sign": "sign", "lrr-bn-rewind": "LRR, BN\nrewound", "imp-long": "long"}
_EFFECTS = {"signs": measures.SIGN_CONTRAST, "magnitudes": measures.MAGNITUDES, "interaction": measures.INTERACTION}


def draw_network(sheet: FigureBuilder, axes, results: StudyResults, there) -> dict:
    """The cells, their leads over IMP and the effects of one study; returns the plotted numbers."""
    name = panel_name(results.study)
    levels = measures.high_sparsity_levels(results)
    cells = {arm: _mean_and_ends(results, {arm: 1}, levels) for arm in FACTORIAL_ARMS}
    draw_interaction(axes[0], cells)
    fit_height(axes[0], [_interval_columns(cells.values())], least=0.0, most=1.005)
    axes[0].set_ylabel("high-sparsity accuracy")
    first = sheet.add_panel_label(axes[0], f"{name}, accuracy", characters=30)
    plotted = {"levels": list(levels), "cells": {arm: list(cell) for arm, cell in cells.items()}}
    plotted["control"] = _control_panel(sheet, axes[1], results, there)
    effects = {}
    for effect, arms in _EFFECTS.items():
        effects[effect] = _mean_and_ends(results, arms, levels)
    draw_effects(axes[2], {"network": effects}, "difference of\nhigh-sparsity accuracy")
    last = sheet.add_panel_label(axes[2], f"{name}, effects", characters=30)
    sheet.captions.append(
        f"({first}-{last}) {format_seeds(results, FACTORIAL_ARMS)}: high-sparsity accuracy (levels"
        f" {_list_levels(levels)}), all four cells with batch norm rewound. The lead over IMP is over levels"
        f" {_list_levels(plotted['control']['levels'])}. Bars are Student-t 95 % intervals, effects are paired by seed."
        " Magnitude rewind and LRR have seen more epochs than IMP and sign rewind. For comparison, imp-long trains"
        " IMP's mask and initial values for as many epochs as LRR's weights have seen."
    )
    return plotted | {"effects": {effect: list(value) for effect, value in effects.items()}}


def _list_levels(levels) -> str:
    return ", ".join(map(str, levels))


def _interval_columns(triples) -> dict:
    return {name: [triple[i] for triple in triples] for i, name in enumerate(("mean", "low", "high"))}


def _mean_and_ends(results, arms: Mapping[str, float], levels: Sequence[int]) -> tuple:
    """A contrast of the mean accuracy over some levels, and the ends of its interval."""
    interval = measures.interval(measures.combine(results, arms, measures.mean_accuracy(levels)))
    return interval.mean, interval.low, interval.high


def _control_panel(sheet: FigureBuilder, axes, results, there) -> dict:
    """The cells' leads over IMP, paired by seed, and the lead of imp-long.

    They are over the levels that imp-long has, or the high-sparsity levels where it has not been run.
    """
    has_long = "imp-long" in there and bool(measures.shared_seeds(results, ("imp-long", *FACTORIAL_ARMS)))
    levels = measures.expected_levels(results, "imp-long") if has_long else measures.high_sparsity_levels(results)
    arms = (*FACTORIAL_ARMS[1:], *(("imp-long",) if has_long else ()))
    plotted = {"levels": list(levels)}
    for place, arm in enumerate(arms):
        plotted[arm] = list(_mean_and_ends(results, {arm: 1, "imp": -1}, levels))
        look = style.arm_style(arm).line_kwargs() | {"linestyle": "none"}
        plot_means(axes, [place], as_column(plotted[arm]), elinewidth=0.9, markersize=5.5, **look)
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    axes.set_xticks(range(len(arms)), [_SHORT[arm] for arm in arms])
    whose = "high-sparsity accuracy" if levels == measures.high_sparsity_levels(results) else "accuracy"
    axes.set(xlim=(-0.6, len(arms) - 0.4), ylabel=f"{whose} - IMP's")
    axes.grid(axis="y")
    sheet.add_panel_label(axes, f"{panel_name(results.study)}, lead over IMP", characters=30)
    return plotted
