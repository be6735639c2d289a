"""The neuron's panel of figure 2: success over pruning iterations."""

import numpy as np

from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.neuron_rules import RULE_NAMES
from figures.results.network import TheoryResult


def draw_iterations(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """Figure 2 (a): success over pruning iterations against the exact probabilities."""
    values = result.values
    levels = np.arange(len(values["survivors"]))
    plotted = {}
    for shift, (rule, label) in zip((-0.09, 0.09), RULE_NAMES.items(), strict=True):
        cell = values["rules"][rule]
        look = style.arm_style(rule)
        share = np.array(cell["successes"]) / values["trials"]
        bars = np.abs(np.array([cell["low"], cell["high"]]) - share)
        axes.step(levels, cell["exact"], where="mid", color=look.colour, linewidth=3.2, alpha=0.3, zorder=2)
        axes.errorbar(
            levels + shift,
            share,
            yerr=bars,
            elinewidth=0.8,
            zorder=3,
            **(look.line_kwargs() | {"label": label, "linestyle": "none"}),
        )
        plotted[rule] = {
            "level": levels.tolist(),
            "share": share.tolist(),
            "low": cell["low"],
            "high": cell["high"],
            "exact": cell["exact"],
        }
    axes.set_xticks(levels, [str(n) for n in values["survivors"]])
    axes.set(xlabel="inputs left after each iteration", ylabel="share that learns", ylim=(0, 0.62))
    axes.set_yticks([0, 0.25, 0.5], ["0", "1/4", "1/2"])
    axes.grid(axis="y")
    sheet.add_panel_label(
        axes,
        "one hidden neuron",
        (
            f"one hidden neuron, d = {values['d']}, balanced starts, population loss: share of {values['trials']:,}"
            " trials that learn at each pruning iteration, with Clopper-Pearson 95 % intervals. Pale steps are the"
            " exact probabilities."
        ),
    )
    return plotted
