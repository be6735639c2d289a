"""The figure `hidden-neurons`: IMP and LRR on several hidden neurons, numerical.

Theory records in, a drawing out.
"""

from collections.abc import Mapping, Sequence

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.descent_axes import DASHED, short
from figures.plots.finish import finish
from figures.plots.layout import even_rows, legend_below, row_cells
from figures.plots.neuron_axes import share_columns, shares_axis
from figures.plots.neuron_rules import RULE_NAMES, theory_result
from figures.plots.panels import plot_means
from figures.results.network import Records, TheoryResult

_D_LOOKS = (("black", "o", -1), ("#666666", "s", 0), ("#999999", "^", 1))
_HEURISTIC = {"imp": "1 - (3/4)ᵏ", "lrr": "1 - (1/2)ᵏ"}


def figure_hidden_neurons(records: Records) -> Drawing:
    """Success of IMP and LRR over the number of hidden neurons, and their paired difference.

    There is a panel for each number of inputs d.
    """
    result = theory_result(records, "hidden-neurons", "several hidden neurons")
    dimensions = result.values["dimensions"]
    rows = even_rows(len(dimensions) + 1)
    sheet = new_sheet(style.TWO_COLUMNS, 2.0 * len(rows) + 0.5)
    *panels, last = [sheet.figure.add_subplot(cell) for cell in row_cells(sheet.figure, rows)]
    for axes, d in zip(panels, dimensions, strict=True):
        sheet.plotted[f"d = {d}"] = _over_neurons(sheet, axes, result, d)
    sheet.plotted["difference"] = _difference(sheet, last, result)
    legend_below(sheet, panels[:1], 4)
    return finish(sheet, captions.HIDDEN_NEURONS, _data(result), **_words(result.values))


def _cells(result: TheoryResult, d: int) -> list[Mapping]:
    return sorted((cell for cell in result.values["cells"] if cell["d"] == d), key=lambda cell: cell["k"])


def _over_neurons(sheet: FigureBuilder, axes, result: TheoryResult, d: int) -> dict:
    cells = _cells(result, d)
    plotted = {}
    k = [cell["k"] for cell in cells]
    for rule, side in zip(RULE_NAMES, (-1, 1), strict=True):
        look = style.arm_style(rule)
        found = [cell[rule] for cell in cells]
        share = [one["successes"] / one["trials"] for one in found]
        heuristic = [one["heuristic"] for one in found]
        axes.plot(k, heuristic, color=look.colour, linewidth=1.0, linestyle=DASHED, zorder=2,
                  label=f"{_HEURISTIC[rule]}, heuristic")  # fmt: skip
        markers = look.line_kwargs() | {"linestyle": "none"}
        plot_means(axes, [n * 1.03**side for n in k], share_columns(found, share), elinewidth=0.8, zorder=3, **markers)
        plotted[rule] = {"k": k, "share": share, "heuristic": heuristic, "cells": [dict(one) for one in found]}
    _neurons_axis(axes, k)
    shares_axis(axes, 0, 1.05)
    axes.set_ylabel("share that learns")
    sheet.add_panel_label(axes, f"d = {d} inputs")
    return plotted


def _neurons_axis(axes, k: Sequence[int]) -> None:
    axes.set_xscale("log")
    axes.set_xticks(k, [str(n) for n in k])
    axes.minorticks_off()
    axes.set(xlim=(min(k) / 1.25, max(k) * 1.25), xlabel="hidden neurons k (log scale)")


def _difference(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    plotted = {}
    every = sorted(result.values["neurons"])
    first = _cells(result, result.values["dimensions"][0])
    gap = [cell["lrr"]["heuristic"] - cell["imp"]["heuristic"] for cell in first]
    axes.plot(every, gap, color=style.MUTED, linewidth=1.0, linestyle=DASHED, zorder=2, label="heuristic")
    for d, (colour, marker, place) in zip(result.values["dimensions"], _D_LOOKS, strict=False):
        found = [cell["difference"]["lrr - imp"] for cell in _cells(result, d)]
        columns = share_columns(found, [one["value"] for one in found])
        k = [cell["k"] for cell in _cells(result, d)]
        look = {"color": colour, "marker": marker, "linestyle": "none", "label": f"d = {d}"}
        plot_means(axes, [n * 1.07**place for n in k], columns, elinewidth=0.8, zorder=3, **look)
        plotted[f"d = {d}"] = {"k": k, "value": columns["mean"], "low": columns["low"], "high": columns["high"]}
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    _neurons_axis(axes, every)
    axes.set_ylabel("LRR - IMP")
    axes.legend(loc="lower left", handlelength=1.6, ncols=2, bbox_to_anchor=(0, 0.06))
    axes.grid(axis="y")
    sheet.add_panel_label(axes, "paired difference")
    return plotted


def _data(result: TheoryResult) -> str:
    values = result.values
    neurons = ", ".join(map(str, values["neurons"]))
    return f"k = {neurons} hidden neurons, population loss, n = {values['trials']:,} starts for each marker"


def _words(values: Mapping) -> dict[str, str]:
    """What the caption says of the setting, of where the heuristic fails, and of undecided trials.

    For one neuron it also compares with the exact limits.
    """
    cells = values["cells"]
    late = {rule: sum(cell[rule]["undecided"][-1] for cell in cells) for rule in RULE_NAMES}
    alone = [cell["against_exact"][rule] for cell in cells if "against_exact" in cell for rule in RULE_NAMES]
    wrong = sum(one["contradictions"] for one in alone)
    exact = f"At k = 1 the lines are exact (1/4 and 1/2); {wrong} trials there contradict the exact limits."
    return {
        "learned": short(values["criterion"]["learned"]),
        "stationary": short(values["criterion"]["stationary"]),
        "rate": f"{values['prune_rate']:g}",
        "total": f"{sum(cell['imp']['trials'] for cell in cells):,}",
        "against": f"{_against('lrr', cells)}; {_against('imp', cells)}",
        "late": f"{late['imp']} (IMP), {late['lrr']} (LRR)",
        "one_neuron": exact if alone else "",
    }


def _against(rule: str, cells: Sequence[Mapping]) -> str:
    found = [cell[rule] for cell in cells]
    more = sum(one["n_contradicting"] for one in found)
    fewer = sum(one["trials"] - one["n_as_predicted"] - one["n_contradicting"] for one in found)
    return f"{RULE_NAMES[rule]} learns in {more:,} without such a neuron and fails in {fewer:,} with one"
