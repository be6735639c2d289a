"""Figure `basins`: success of the neuron over the balance of a(0) and w(0)."""

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.neuron_axes import PALE, interval_words, log_axis, plot_shares, shares_axis
from figures.plots.neuron_basin import shade_basin
from figures.plots.neuron_rules import RULE_NAMES, theory_result
from figures.results.network import Records, TheoryResult

_WITNESS = {  # code of the verdict -> how a start is marked
    1: ("learns", {"marker": "o", "color": style.LEARNS_DARK}),
    0: ("fails", {"marker": "x", "color": style.FAILS_DARK}),
    2: ("undecided", {"marker": "s", "color": style.INK, "markerfacecolor": "white"}),
}


def figure_basins(records: Records) -> Drawing:
    """Basins for any balance, one input or several, and success of IMP and LRR over s_w / s_a."""
    result = theory_result(records, "basins", "basins and success over the balance")
    sheet = new_sheet(style.TWO_COLUMNS, 2.75)
    left, middle, right = sheet.figure.subplots(1, 3, width_ratios=[1, 1, 1.25])
    sheet.plotted["one"] = _basin(sheet, left, result, "one")
    sheet.plotted["several"] = _basin(sheet, middle, result, "several")
    sheet.plotted["success"] = _success_over_ratios(sheet, right, result)
    legend_below(sheet, [left, middle, right], 5)
    starts = " and ".join(f"{result.values['witnesses'][panel]['starts']:,}" for panel in _BASIN)
    trials = f"{result.values['trials']:,} for each marker of the last"
    data = f"population loss, n = {starts} random starts in the first two panels and {trials}"
    return finish(sheet, captions.BASINS, data)


_BASIN = {
    "one": ("one input", "w(0)", "one input: w(0) > 0 and a(0) > -w(0) learns, which is what IMP needs once it has"
            " rewound the one input left"),
    "several": ("several inputs", "|w(0)|", "several inputs, off the ray w₁ = -|w|: a(0) > -|w(0)| learns, whatever the"
                " sign of w₁(0), which is all that LRR needs"),
}  # fmt: skip


def _basin(sheet: FigureBuilder, axes, result: TheoryResult, panel: str) -> dict:
    line = result.arrays["separatrix"]
    end = float(line[:, 1].max())
    least = -float(line[:, 1].max()) if panel == "one" else 0.0
    region = shade_basin(axes, {"grid_a": [-end, end], "grid_w": [least, end], "separatrix": line})
    axes.plot(line[:, 0], line[:, 1], color=style.INK, linewidth=1.0, zorder=2)
    start = result.arrays[f"{panel}_start"]
    verdict = result.arrays[f"{panel}_verdict"]
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
    values = result.values
    plotted = {}
    cells = []
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
        f" starts a marker that learn (exact limits; {interval_words(cells)}), d = {d} drawn side by side. Pale lines"
        " are exact. With one input there is nothing to prune, and LRR is IMP.",
    )
    return plotted


def _over_ratios(axes, result: TheoryResult, rule: str, place: int) -> dict:
    look = style.arm_style(rule).line_kwargs()
    cells = result.values["success"][rule][place]
    ratios = result.values["ratios"]
    middle = (len(result.values["dimensions"]) - 1) / 2
    curve = result.arrays["curve_ratio"], result.arrays[f"curve_{rule}"][place]
    if rule == "lrr" or place == 0:  # IMP's curve is one for every d
        axes.plot(*curve, color=look["color"], **PALE)
    share = plot_shares(axes, [ratio * 1.08 ** (place - middle) for ratio in ratios], cells, look)
    return {"ratio": list(ratios), "share": share, "exact": [cell["exact"] for cell in cells]}


def _name_curves(axes, result: TheoryResult) -> None:
    """Write the number of inputs next to each curve: above the highest, below the others."""
    words = {"fontsize": 7, "color": style.INK}
    dimensions = result.values["dimensions"]
    curves = {f"LRR, d = {d}": result.arrays["curve_lrr"][i] for i, d in enumerate(dimensions) if d > 1}
    curves["IMP, every d"] = result.arrays["curve_imp"][0]
    ratio = result.arrays["curve_ratio"]
    highest = max(curves, key=lambda name: curves[name].mean())
    for name, curve in curves.items():
        at = len(ratio) // (3 if name == highest else 2)
        x, y, side = (0.85, 0.02, "right") if name == highest else (1.2, -0.07, "left")
        axes.text(ratio[at] * x, curve[at] + y, name, ha=side, va="bottom" if side == "right" else "center", **words)
