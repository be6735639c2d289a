"""Figure 15: the neuron on finite samples with label noise. Theory records in, a drawing out."""

from collections.abc import Sequence

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, NothingToDraw, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.neuron_axes import log_axis, share_columns, shares_axis
from figures.plots.neuron_rules import RULE_NAMES, theory_missing
from figures.plots.panels import plot_means
from figures.plots.sentences import format_n
from figures.results.network import Records, TheoryResult

PANELS = (  # experiment, what is counted, title, words
    ("sample-size", "learns", "balanced: learns", "balanced starts, pruned at once to one input: share that learns"),
    ("mask-recovery", "learns", "N(0, 1/d): learns", "N(0, 1/d) starts, {levels} inputs in turn: share that learns"),
    ("mask-recovery", "recovered", "N(0, 1/d): mask found", "same trials: share in which input 1 survives (claim 4b)"),
)
_LINES = (("-", True), ((0, (4, 1.5)), False), ((0, (1, 1.2)), False))  # by noise: line, filled
_SIZES = (3.6, 3.6, 2.6)


def figure_15(records: Records) -> Drawing:
    """Success of IMP and LRR, and recovery of the mask, over sample size and label noise."""
    there = [panel for panel in PANELS if panel[0] in records.theory]
    missing = [theory_missing(name, name) for name in dict.fromkeys(panel[0] for panel in PANELS) if
               name not in records.theory]  # fmt: skip
    if not there:
        raise NothingToDraw(missing)
    sheet = new_sheet(style.TWO_COLUMNS, 2.75, missing)
    grid = sheet.figure.subplots(1, len(there), squeeze=False)[0]
    for axes, (name, key, title, words) in zip(grid, there, strict=True):
        sheet.plotted[f"{name}, {key}"] = _panel(sheet, axes, records.theory[name], key, title, words)
    legend_below(sheet, grid, 3)
    results = [records.theory[name] for name in dict.fromkeys(panel[0] for panel in there)]
    cells = [cell[rule] for result in results for cell in result.values["cells"] for rule in RULE_NAMES]
    trials = format_n([cell["trials"] for cell in cells], "trial")
    data = f"one hidden neuron on a sample with label noise, {trials} for each marker"
    late = sum(cell["unsettled"] for cell in cells)
    stopped = f"{late:,} trials were stopped before every flow rested." if late else ""
    return finish(sheet, captions.SAMPLES, data, stopped=stopped)


def _panel(sheet: FigureBuilder, axes, result: TheoryResult, key: str, title: str, words: str) -> dict:
    values = result.values
    plotted = {}
    for place, noise in enumerate(values["noises"]):
        cells = sorted((cell for cell in values["cells"] if cell["noise"] == noise), key=lambda cell: cell["ratio"])
        for rule in RULE_NAMES:
            plotted[f"{rule}, noise {noise:g}"] = _curve(axes, rule, place, noise, cells, key)
    ends = [cell["ratio"] for cell in values["cells"]]
    log_axis(axes, ends, sorted(values["ratios"]), "n / d (log scale)")
    shares_axis(axes, -0.03, 1.05)
    axes.set_ylabel("share of trials")
    if key == "learns":
        plotted["population"] = dict(values["population"])
        for rule in RULE_NAMES:
            axes.axhline(values["population"][rule], color=style.arm_style(rule).colour, linewidth=3.2, alpha=0.3)
    levels = " to ".join(map(str, values["survivors"]))
    sheet.add_panel_label(axes, title, f"{words.format(levels=levels)}, d = {values['d']}. {_trials(values['cells'])}")
    return plotted


def _curve(axes, rule: str, place: int, noise: float, cells: Sequence[dict], key: str) -> dict:
    line, filled = _LINES[place % len(_LINES)]
    look = style.arm_style(rule)
    count = [cell[rule][key] for cell in cells]
    shift = (0.975 if rule == "imp" else 1.025) * (1 + 0.03 * (place - 1))
    share = [one["count"] / cell[rule]["trials"] for one, cell in zip(count, cells, strict=True)]
    plot_means(
        axes,
        [cell["ratio"] * shift for cell in cells],
        share_columns(count, share),
        elinewidth=0.7,
        linewidth=0.9,
        markersize=_SIZES[place % len(_SIZES)],
        zorder=3,
        color=look.colour,
        marker=look.marker,
        linestyle=line,
        markerfacecolor=look.colour if filled else "white",
        label=f"{look.label}, noise {noise:g}",
    )
    return {"ratio": [cell["ratio"] for cell in cells], "share": share, "count": [dict(one) for one in count]}


def _trials(cells: Sequence[dict]) -> str:
    """The number of trials per marker of a panel.

    It is the number that most markers have, followed by the markers with another number.
    """
    found: dict[tuple[int, ...], list[dict]] = {}
    for cell in cells:
        found.setdefault(tuple(cell[rule]["trials"] for rule in RULE_NAMES), []).append(cell)
    usual, *others = sorted(found, key=lambda trials: -len(found[trials]))
    words = [f"each marker: {_number(usual)} trials"]
    for trials in others:
        where = "; ".join(f"n / d = {cell['ratio']:g}, noise {cell['noise']:g}" for cell in found[trials])
        words.append(f"{_number(trials)} at {where}")
    sizes = [cell["n"] for cell in cells]
    return f"Sample size n = {min(sizes):,} to {max(sizes):,}; {', but '.join(words)}."


def _number(trials: Sequence[int]) -> str:
    """The number of trials of both rules; one number for each rule where they differ."""
    if len(set(trials)) == 1:
        return f"{trials[0]:,}"
    return ", ".join(f"{n:,} ({style.arm_style(rule).label})" for n, rule in zip(trials, RULE_NAMES, strict=True))
