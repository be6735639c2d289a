"""Figure 14: success of the neuron over the number of inputs, by kind of start."""

from collections.abc import Sequence

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.finish import finish
from figures.plots.layout import even_rows, legend_below
from figures.plots.neuron_axes import PALE, interval_words, log_axis, plot_shares, shares_axis
from figures.plots.neuron_rules import RULE_NAMES, theory_missing, theory_result
from figures.results.network import Records, TheoryResult

INIT_NAMES = {"balanced": "balanced", "bounded": "a = u |w|", "normal": "N(0, 1/d)"}
_INIT_WORDS = {
    "balanced": "balanced starts, a(0) = ±|w(0)|, those of the theorem",
    "bounded": "starts of the authors' code, a(0) = u |w(0)|, u uniform in (-1, 1), w(0) ~ N(0, I/d)",
}
_INIT_LOOK = {"balanced": ("black", "o"), "bounded": (style.LEARNS_DARK, "s"), "normal": (style.GREY, "D")}
_SHIFT = {"imp": 0.965, "lrr": 1.035, "balanced": 0.965, "bounded": 1.0, "normal": 1.035}  # sideways, on a log axis


def figure_14(records: Records) -> Drawing:
    """Figure 14: success of IMP and LRR over the number of inputs, and switches of w_1's sign.

    There is a panel for each kind of start: the theorem's and that of the authors' code stand side by side.
    """
    result = theory_result(records, "dimension", "success over the number of inputs")
    inits = [init for init in INIT_NAMES if init in result.values["inits"]]
    missing = [theory_missing("dimension", f"{INIT_NAMES[init]} starts") for init in INIT_NAMES if init not in inits]
    rows = even_rows(len(inits) + 1)
    sheet = new_sheet(style.TWO_COLUMNS, 2.5 if len(rows) == 1 else 4.4, missing)
    *panels, last = sheet.figure.subplots(len(rows), rows[0]).ravel()
    for axes, init in zip(panels, inits, strict=True):
        sheet.plotted[init] = _success_over_inputs(sheet, axes, result, init)
    sheet.plotted["switches"] = _switches(sheet, last, result, inits)
    legend_below(sheet, [*panels, last], 5)
    trials = f"{result.values['trials']:,}"
    data = f"one hidden neuron with d inputs, population loss, n = {trials} random starts for each marker"
    cells = [cell for init in sheet.plotted.values() for rows in init.values() for cell in rows["cells"]]
    return finish(sheet, captions.DIMENSION, data, trials=trials, intervals=interval_words(cells))


def _success_over_inputs(sheet: FigureBuilder, axes, result: TheoryResult, init: str) -> dict:
    content = result.values["inits"][init]
    plotted = {}
    name = INIT_NAMES[init]
    for rule in RULE_NAMES:
        plotted[rule] = _points(axes, result, content[rule], style.arm_style(rule).line_kwargs(), _SHIFT[rule])
    _inputs_axis(axes, result, 1.05)
    axes.set_ylabel("share that learns")
    few, many = result.values["compared"]
    effect = content["overparametrisation"]
    sheet.add_panel_label(
        axes,
        "starts of the authors' code: a = u |w|" if init == "bounded" else f"{name} starts",
        f"{_INIT_WORDS.get(init, f'{name} starts')}: {_measured(result, init, many)}."
        f" [P(LRR, d = {many}) - P(LRR, d = {few})] - [the same for IMP] = {effect['value']:.3f}"
        f" [{effect['low']:.3f}, {effect['high']:.3f}]"
        + (" (the effect that decides claim 13)." if init == "balanced" else "."),
    )
    return plotted


def _measured(result: TheoryResult, init: str, d: int) -> str:
    """The share that learns from d inputs, with its interval and the exact probability, for each rule."""
    content = result.values["inits"][init]
    place = result.values["dimensions"].index(d)
    cells = {style.arm_style(rule).label: content[rule][place] for rule in reversed(RULE_NAMES)}
    parts = [
        f"{label} {cell['successes'] / cell['trials']:.3f} [{cell['low']:.3f}, {cell['high']:.3f}]"
        f" (exactly {cell['exact']:.4g})"
        for label, cell in cells.items()
    ]
    return f"at d = {d} {' and '.join(parts)}"


def _switches(sheet: FigureBuilder, axes, result: TheoryResult, inits: Sequence[str]) -> dict:
    plotted = {}
    for init in inits:
        name = INIT_NAMES[init]
        colour, marker = _INIT_LOOK[init]
        look = {"color": colour, "marker": marker, "markerfacecolor": colour, "label": f"sign switches, {name}"}
        plotted[init] = _points(axes, result, result.values["inits"][init]["switches"], look, _SHIFT[init])
    _inputs_axis(axes, result, 0.62)
    axes.set_ylabel("share that switches")
    sheet.add_panel_label(
        axes,
        "sign of w₁ switches",
        "share of starts whose dense flow carries w₁ from below 0 to above 0, read from the limit (a dying neuron's w₁"
        " tends to 0 and is not counted). It is 0 for one input, else half of those that learn.",
    )
    return plotted


def _points(axes, result: TheoryResult, cells: Sequence[dict], look: dict, shift: float) -> dict:
    """Draw counted shares with intervals, shifted sideways, over a pale line of the exact ones."""
    d = result.values["dimensions"]
    exact = [cell["exact"] for cell in cells]
    axes.plot(d, exact, color=look["color"], **PALE)
    share = plot_shares(axes, [n * shift for n in d], cells, look)
    return {"d": list(d), "share": share, "exact": exact, "cells": [dict(cell) for cell in cells]}


def _inputs_axis(axes, result: TheoryResult, top: float) -> None:
    d = result.values["dimensions"]
    log_axis(axes, d, d, "inputs d (log scale)")
    shares_axis(axes, -0.03, top)
