"""The neuron on finite samples, pruned step by step, from two kinds of start.

It is figure `pruned-samples`: a row for each number of inputs left, a column for each kind of inputs and label noise.
"""

from collections.abc import Sequence
from itertools import product

from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, NothingToDraw, join_caption, new_sheet
from figures.plots.layout import legend_below
from figures.plots.neuron_axes import log_axis, shares_axis
from figures.plots.neuron_dimension import INIT_NAMES
from figures.plots.neuron_rules import RULE_NAMES, theory_missing
from figures.plots.panels import error_bar_lengths
from figures.plots.sentences import format_n
from figures.results.network import Records, TheoryResult

_INPUT_NAMES = {"normal": "N(0, I)", "uniform": "U[-1, 1]"}
_LOOK = {"bounded": ("-", True), "balanced": ((0, (4, 1.5)), False)}  # line, filled
_SHIFT = {"imp": 0.96, "lrr": 1.04}  # sideways, on a log axis
_PALE = {"linewidth": 3.2, "alpha": 0.3, "zorder": 1}
_SEEN = "How often IMP and LRR learn on samples, from the start of the authors' code and from the balanced start."


def figure_pruned_samples(records: Records) -> Drawing:
    """Success of IMP and LRR over the sample size, by start, inputs, label noise and inputs left."""
    result = records.theory.get("pruned-samples")
    if result is None:
        raise NothingToDraw([theory_missing("pruned-samples", "success on samples")])
    values, plotted = result.values, {}
    columns = list(product(values["inputs"], values["noises"]))
    sheet = new_sheet(style.TWO_COLUMNS, 0.8 + 1.5 * len(values["ends"]))
    grid = sheet.figure.subplots(len(values["ends"]), len(columns), squeeze=False, sharex=True, sharey=True)
    for row, end in zip(grid, values["ends"], strict=True):
        for axes, (inputs, noise) in zip(row, columns, strict=True):
            plotted[f"{end} left, {inputs}, noise {noise:g}"] = _panel(sheet, axes, values, end, inputs, noise)
        row[0].set_ylabel(f"{end} left: share that learns")
    for axes in grid[:-1].ravel():
        axes.set_xlabel("")
    legend_below(sheet, grid.ravel(), 4)
    trials = [cell[rule]["trials"] for cell in values["cells"] for rule in RULE_NAMES]
    data = (
        f"Data: one hidden neuron with {values['d']} inputs, samples of size {min(values['sizes']):,} to"
        f" {max(values['sizes']):,}, {format_n(trials, 'trial')} for each marker."
    )
    return Drawing(sheet.figure, plotted, Caption(_SEEN, data, _more(result)))


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
    look, (line, filled) = style.arm_style(rule), _LOOK.get(init, ((0, (1, 1.2)), False))
    counts = [cell[rule] for cell in cells]
    share = [count["successes"] / count["trials"] for count in counts]
    bars = error_bar_lengths(share, [count["low"] for count in counts], [count["high"] for count in counts])
    axes.errorbar(
        [cell["n"] * _SHIFT[rule] for cell in cells],
        share,
        yerr=bars,
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


def _more(result: TheoryResult) -> str:
    values = result.values
    ladders = "; ".join(", ".join(map(str, survivors)) for survivors in values["schedules"])
    late = sum(cell[rule]["unsettled"] for cell in values["cells"] for rule in RULE_NAMES)
    rested = f"{late:,} trials did not rest, and count as not learning." if late else "Every flow rested."
    return join_caption(
        f"Rows: the inputs left after {len(values['schedules'][0]) - 1} prunings ({ladders}). Columns: the"
        " distribution of the inputs, normal or each uniform, and the standard deviation of the labels' noise (that of"
        " the target is .58 for N(0, I) and .32 for U[-1, 1]).",
        "Starts: w(0) ~ N(0, I/d) and a(0) = u |w(0)|, u uniform in (-1, 1), as in the authors' code of the neuron"
        " (filled), or a(0) = ±|w(0)|, balanced (open); the theorem's probabilities belong to the latter.",
        "A trial is one data set and one start, the same for IMP and LRR. It learns where its flows rest, the last one"
        " at a loss of at most that of the best fit by input 1 with w₁ > 0 (one input left: by its exact limit)."
        f" {rested} Bars are Clopper-Pearson 95 % intervals over trials.",
        "Pale lines: the population's exact probabilities, for N(0, I) without noise; for IMP from a = u |w| with"
        " several inputs left no closed form is known.",
        "The combination is ours: inputs, prunings, sample sizes and noise .5 are those of a driver in the authors'"
        " code, whose own start is not known; that this driver made figure 2 (a) of the paper is inferred.",
    )
