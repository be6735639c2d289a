"""The neuron on finite samples, pruned step by step, from two kinds of start.

It is figure `pruned-samples`: a row for each number of inputs left, a column for each kind of inputs and label noise.
"""

from collections.abc import Sequence
from itertools import product

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.neuron_axes import log_axis, share_columns, shares_axis
from figures.plots.neuron_dimension import INIT_NAMES
from figures.plots.neuron_rules import RULE_NAMES, theory_result
from figures.plots.panels import plot_means
from figures.plots.sentences import format_n
from figures.results.network import Records

_INPUT_NAMES = {"normal": "N(0, I)", "uniform": "U[-1, 1]"}
_LOOK = {"bounded": ("-", True), "balanced": ((0, (4, 1.5)), False)}  # line, filled
_SHIFT = {"imp": 0.96, "lrr": 1.04}  # sideways, on a log axis
_PALE = {"linewidth": 3.2, "alpha": 0.3, "zorder": 1}


def figure_pruned_samples(records: Records) -> Drawing:
    """Success of IMP and LRR over the sample size, by start, inputs, label noise and inputs left."""
    result = theory_result(records, "pruned-samples", "success on samples")
    values = result.values
    columns = list(product(values["inputs"], values["noises"]))
    sheet = new_sheet(style.TWO_COLUMNS, 0.8 + 1.5 * len(values["ends"]))
    grid = sheet.figure.subplots(len(values["ends"]), len(columns), squeeze=False, sharex=True, sharey=True)
    for row, end in zip(grid, values["ends"], strict=True):
        for axes, (inputs, noise) in zip(row, columns, strict=True):
            sheet.plotted[f"{end} left, {inputs}, noise {noise:g}"] = _panel(sheet, axes, values, end, inputs, noise)
        row[0].set_ylabel(f"{end} left: share that learns")
    for axes in grid[:-1].ravel():
        axes.set_xlabel("")
    legend_below(sheet, grid.ravel(), 4)
    trials = format_n([cell[rule]["trials"] for cell in values["cells"] for rule in RULE_NAMES], "trial")
    sizes = f"{min(values['sizes']):,} to {max(values['sizes']):,}"
    data = f"one hidden neuron with {values['d']} inputs, samples of size {sizes}, {trials} for each marker"
    late = sum(cell[rule]["unsettled"] for cell in values["cells"] for rule in RULE_NAMES)
    return finish(
        sheet,
        captions.PRUNED_SAMPLES,
        data,
        prunings=str(len(values["schedules"][0]) - 1),
        ladders="; ".join(", ".join(map(str, survivors)) for survivors in values["schedules"]),
        rested=f"{late:,} trials did not rest, and count as not learning." if late else "Every flow rested.",
    )


def _panel(sheet: FigureBuilder, axes, values: dict, end: int, inputs: str, noise: float) -> dict:
    plotted = {}
    for init, rule in product(values["inits"], RULE_NAMES):
        condition = {"end": end, "init": init, "inputs": inputs, "noise": noise}
        cells = [cell for cell in values["cells"] if condition.items() <= cell.items()]
        cells.sort(key=lambda cell: cell["n"])
        plotted[f"{rule}, {init}"] = _curve(axes, rule, init, cells)
        if inputs == "normal" and noise == 0:  # the exact probabilities are those of this population
            (exact,) = (row[rule] for row in values["exact"] if (row["end"], row["init"]) == (end, init))
            plotted[f"{rule}, {init}"]["exact"] = exact
            if exact is not None:
                axes.axhline(exact, color=style.arm_style(rule).colour, **_PALE)
    log_axis(axes, values["sizes"], sorted(values["sizes"]), "sample size n (log)")
    shares_axis(axes, -0.03, 1.05)
    axes.label_outer()
    sheet.add_panel_label(axes, f"{_INPUT_NAMES.get(inputs, inputs)}, noise {noise:g}")
    return plotted


def _curve(axes, rule: str, init: str, cells: Sequence[dict]) -> dict:
    look = style.arm_style(rule)
    (line, filled) = _LOOK.get(init, ((0, (1, 1.2)), False))
    counts = [cell[rule] for cell in cells]
    share = [count["successes"] / count["trials"] for count in counts]
    plot_means(
        axes,
        [cell["n"] * _SHIFT[rule] for cell in cells],
        share_columns(counts, share),
        elinewidth=0.7,
        linewidth=0.9,
        markersize=3.4,
        zorder=3,
        color=look.colour,
        marker=look.marker,
        linestyle=line,
        markerfacecolor=look.colour if filled else "white",
        label=f"{look.label}, {INIT_NAMES.get(init, init)}",
    )
    return {"n": [cell["n"] for cell in cells], "share": share, "cells": [dict(count) for count in counts]}
