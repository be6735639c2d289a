"""Sweeps of the neuron: success over the number of inputs (figure 14) and over the balance.

The balance is that of a(0) and w(0) (figure `basins`).
"""

from collections.abc import Sequence

from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, NothingToDraw, join_caption, new_sheet
from figures.plots.layout import even_rows, legend_below
from figures.plots.neuron_phase_plane import RULE_NAMES, shade_basin, theory_missing
from figures.plots.panels import error_bar_lengths
from figures.plots.sentences import format_missing
from figures.results.network import Records, TheoryResult

INIT_NAMES = {"balanced": "balanced", "bounded": "a = u |w|", "normal": "N(0, 1/d)"}
_INIT_WORDS = {
    "balanced": "balanced starts, a(0) = ±|w(0)|, those of the theorem",
    "bounded": "starts of the authors' code, a(0) = u |w(0)|, u uniform in (-1, 1), w(0) ~ N(0, I/d)",
}
_INIT_LOOK = {"balanced": ("black", "o"), "bounded": (style.LEARNS_DARK, "s"), "normal": (style.GREY, "D")}
_SHIFT = {"imp": 0.965, "lrr": 1.035, "balanced": 0.965, "bounded": 1.0, "normal": 1.035}  # sideways, on a log axis
_PALE = {"linewidth": 3.2, "alpha": 0.3, "zorder": 2, "solid_capstyle": "butt"}
_WITNESS = {  # code of the verdict -> how a start is marked
    1: ("learns", {"marker": "o", "color": style.LEARNS_DARK}),
    0: ("fails", {"marker": "x", "color": style.FAILS_DARK}),
    2: ("undecided", {"marker": "s", "color": style.INK, "markerfacecolor": "white"}),
}
_QUARTERS = {0: "0", 0.25: "1/4", 0.5: "1/2", 0.75: "3/4", 1: "1"}


def figure_14(records: Records) -> Drawing:
    """Figure 14: success of IMP and LRR over the number of inputs, and switches of w_1's sign.

    There is a panel for each kind of start: the theorem's and that of the authors' code stand side by side.
    """
    result = records.theory.get("dimension")
    if result is None:
        raise NothingToDraw([theory_missing("dimension", "success over the number of inputs")])
    inits = [init for init in INIT_NAMES if init in result.values["inits"]]
    missing = [theory_missing("dimension", f"{INIT_NAMES[init]} starts") for init in INIT_NAMES if init not in inits]
    rows = even_rows(len(inits) + 1)
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.5 if len(rows) == 1 else 4.4), {}
    *panels, last = sheet.figure.subplots(len(rows), rows[0]).ravel()
    for axes, init in zip(panels, inits, strict=True):
        plotted[init] = _success_over_inputs(sheet, axes, result, init)
    plotted["switches"] = _switches(sheet, last, result, inits)
    legend_below(sheet, [*panels, last], 5)
    seen = "Share of starts from which IMP and LRR learn, and share in which w₁ switches its sign, over the inputs."
    trials = result.values["trials"]
    data = f"Data: one hidden neuron with d inputs, population loss, n = {trials:,} random starts for each marker."
    more = join_caption(
        "The neuron is pruned at once to input 1. The theorem's probabilities, 1/2 for LRR and 1/4 for IMP, belong to"
        " balanced starts.",
        *sheet.captions,
        _how_counted(result, [row for init in plotted.values() for rows in init.values() for row in rows["cells"]]),
        "The experiment is ours, not the paper's.",
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, Caption(seen, data, more), tuple(missing))


def _how_counted(result: TheoryResult, cells: Sequence[dict]) -> str:
    return (
        f"Each marker: {result.values['trials']:,} random starts, verdicts of exact limits, {_interval_words(cells)}."
        " IMP and LRR run on the same starts (drawn side by side), other markers on independent ones. Pale lines join"
        " the exact probabilities."
    )


def _interval_words(cells: Sequence[dict]) -> str:
    half = max((cell["high"] - cell["low"]) / 2 for cell in cells)
    return f"Clopper-Pearson 95 % intervals of half-width at most {half:.3f}, mostly hidden by the marker"


def _success_over_inputs(sheet: FigureBuilder, axes, result: TheoryResult, init: str) -> dict:
    content, plotted, name = result.values["inits"][init], {}, INIT_NAMES[init]
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
    content, place = result.values["inits"][init], result.values["dimensions"].index(d)
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
    d, exact = result.values["dimensions"], [cell["exact"] for cell in cells]
    axes.plot(d, exact, color=look["color"], **_PALE)
    share = _markers(axes, [n * shift for n in d], cells, look)
    return {"d": list(d), "share": share, "exact": exact, "cells": [dict(cell) for cell in cells]}


def _markers(axes, x: Sequence[float], cells: Sequence[dict], look: dict) -> list[float]:
    share = [cell["successes"] / cell["trials"] for cell in cells]
    bars = error_bar_lengths(share, [cell["low"] for cell in cells], [cell["high"] for cell in cells])
    axes.errorbar(x, share, yerr=bars, elinewidth=0.8, zorder=3, markersize=3.4, **(look | {"linestyle": "none"}))
    return share


def log_axis(axes, ends: Sequence[float], ticks: Sequence[float], label: str) -> None:
    """Set a logarithmic x axis with plain numbers at the ticks."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlim=(min(ends) / 1.25, max(ends) * 1.25), xlabel=label)


def shares_axis(axes, low: float, high: float) -> None:
    """Set a y axis of shares, with ticks at the quarters."""
    axes.set_ylim(low, high)
    shown = {share: word for share, word in _QUARTERS.items() if low <= share <= high}
    axes.set_yticks(list(shown), list(shown.values()))
    axes.grid(axis="y")


def _inputs_axis(axes, result: TheoryResult, top: float) -> None:
    d = result.values["dimensions"]
    log_axis(axes, d, d, "inputs d (log scale)")
    shares_axis(axes, -0.03, top)


# --- figure `basins`


def figure_basins(records: Records) -> Drawing:
    """Basins for any balance, one input or several, and success of IMP and LRR over s_w / s_a."""
    result = records.theory.get("basins")
    if result is None:
        raise NothingToDraw([theory_missing("basins", "basins and success over the balance")])
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.75), {}
    left, middle, right = sheet.figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    plotted["one"] = _basin(sheet, left, result, "one")
    plotted["several"] = _basin(sheet, middle, result, "several")
    plotted["success"] = _success_over_ratios(sheet, right, result)
    legend_below(sheet, [left, middle, right], 5)
    seen = "From which balance of a(0) and w(0) one hidden neuron learns, and how often IMP and LRR do."
    starts = " and ".join(f"{result.values['witnesses'][panel]['starts']:,}" for panel in _BASIN)
    data = (
        f"Data: population loss, n = {starts} random starts in the first two panels and"
        f" {result.values['trials']:,} for each marker of the last."
    )
    more = join_caption(
        "Basins are exact: starts in the light area learn.", *sheet.captions, "The experiment is ours, not the paper's."
    )
    return Drawing(sheet.figure, plotted, Caption(seen, data, more))


_BASIN = {
    "one": ("one input", "w(0)", "one input: w(0) > 0 and a(0) > -w(0) learns, which is what IMP needs once it has"
            " rewound the one input left"),
    "several": ("several inputs", "|w(0)|", "several inputs, off the ray w₁ = -|w|: a(0) > -|w(0)| learns, whatever the"
                " sign of w₁(0), which is all that LRR needs"),
}  # fmt: skip


def _basin(sheet: FigureBuilder, axes, result: TheoryResult, panel: str) -> dict:
    line = result.arrays["separatrix"]
    end, least = float(line[:, 1].max()), -float(line[:, 1].max()) if panel == "one" else 0.0
    region = shade_basin(axes, {"grid_a": [-end, end], "grid_w": [least, end], "separatrix": line})
    axes.plot(line[:, 0], line[:, 1], color=style.INK, linewidth=1.0, zorder=2)
    start, verdict = result.arrays[f"{panel}_start"], result.arrays[f"{panel}_verdict"]
    for code, (word, look) in _WITNESS.items():
        a, w = start[verdict == code].T
        axes.plot(a, w, linestyle="none", markersize=2.6, zorder=3, label=f"computed: {word}", **look)
    title, label, words = _BASIN[panel]
    axes.set(xlim=(-end, end), ylim=(least, end), xlabel="a(0)", ylabel=label)
    axes.set(xticks=[-2, -1, 0, 1, 2], yticks=[-2, -1, 0, 1, 2] if panel == "one" else [0, 1, 2])
    sheet.add_panel_label(axes, title, f"{words}. {_witness_words(result, panel)}")
    return {"region": region, "counts": dict(result.values["witnesses"][panel]), "start": start.tolist()}


def _witness_words(result: TheoryResult, panel: str) -> str:
    counts = result.values["witnesses"][panel]
    how = "by the closed form's loss at a late time"
    if panel == "several":
        d = ", ".join(map(str, counts["d"]))
        how = f"(d = {d}) by an integrated run up to t = {result.values['horizon']:,g}"
    return (
        f"Marks: {counts['starts']} random starts, each judged {how}, not by the rule: {counts['learns']} learn,"
        f" {counts['fails']} fail, {counts['undecided']} undecided at the end; {counts['contradictions']} contradict"
        " the rule."
    )


def _success_over_ratios(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    values, plotted, cells = result.values, {}, []
    for place, d in enumerate(values["dimensions"]):
        for rule in RULE_NAMES if d > 1 else ("imp",):  # with one input there is nothing to prune: LRR is IMP
            plotted[f"{rule}, d = {d}"] = _over_ratios(axes, result, rule, place)
            cells += values["success"][rule][place]
    log_axis(axes, values["ratios"], (0.1, 0.3, 1, 3, 10), "s_w / s_a (log scale)")
    shares_axis(axes, 0.2, 1.04)
    axes.set_ylabel("share that learns")
    _name_curves(axes, result)
    d = ", ".join(map(str, values["dimensions"]))
    sheet.add_panel_label(
        axes,
        "success over the balance",
        f"a(0) ~ N(0, s_a²), w_i(0) ~ N(0, s_w²), pruned at once to one input: share of {values['trials']:,} random"
        f" starts a marker that learn (exact limits; {_interval_words(cells)}), d = {d} drawn side by side. Pale lines"
        " are exact. With one input there is nothing to prune, and LRR is IMP.",
    )
    return plotted


def _over_ratios(axes, result: TheoryResult, rule: str, place: int) -> dict:
    look, cells = style.arm_style(rule).line_kwargs(), result.values["success"][rule][place]
    ratios, middle = result.values["ratios"], (len(result.values["dimensions"]) - 1) / 2
    curve = result.arrays["curve_ratio"], result.arrays[f"curve_{rule}"][place]
    if rule == "lrr" or place == 0:  # IMP's curve is one for every d
        axes.plot(*curve, color=look["color"], **_PALE)
    share = _markers(axes, [ratio * 1.08 ** (place - middle) for ratio in ratios], cells, look)
    return {"ratio": list(ratios), "share": share, "exact": [cell["exact"] for cell in cells]}


def _name_curves(axes, result: TheoryResult) -> None:
    """Write the number of inputs next to each curve: above the highest, below the others."""
    words, dimensions = {"fontsize": 7, "color": style.INK}, result.values["dimensions"]
    curves = {f"LRR, d = {d}": result.arrays["curve_lrr"][i] for i, d in enumerate(dimensions) if d > 1}
    curves["IMP, every d"] = result.arrays["curve_imp"][0]
    ratio, highest = result.arrays["curve_ratio"], max(curves, key=lambda name: curves[name].mean())
    for name, curve in curves.items():
        at = len(ratio) // (3 if name == highest else 2)
        x, y, side = (0.85, 0.02, "right") if name == highest else (1.2, -0.07, "left")
        axes.text(ratio[at] * x, curve[at] + y, name, ha=side, va="bottom" if side == "right" else "center", **words)
