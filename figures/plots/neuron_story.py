"""Panels of figure 1: IMP and LRR on the neuron with two inputs."""

import numpy as np

from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.neuron_rules import RULE_NAMES
from figures.results.network import TheoryResult

_STORY = {
    "imp": ("IMP rewinds the sign", "after pruning, w₁ goes back to its initial value, which is negative"),
    "lrr": ("LRR keeps the sign", "after pruning, w₁ keeps its trained value, which is positive"),
}


def draw_story(sheet: FigureBuilder, axes, result: TheoryResult, rule: str) -> dict:
    """Draw one rule on the neuron with two inputs.

    The path of (w_1, w_2) is above, the learned function below.
    """
    arrays = result.arrays
    look = style.arm_style(rule)
    dense = arrays["dense_w"]
    masked = arrays[f"{rule}_w"]
    limit = result.values["limit"][rule]
    verdict = result.values["verdict"][rule]
    _plane(axes[0], dense, masked, limit["w"], look, rule)
    title, words = _STORY[rule]
    plotted = {
        "dense": dense.tolist(),
        "masked": masked.tolist(),
        "verdict": verdict,
        "final_loss": float(arrays[f"{rule}_loss"][-1]),
    }
    plotted["function"] = _function(axes[1], limit, verdict, look)
    sheet.add_panel_label(
        axes[0],
        title,
        (
            f"two inputs, {RULE_NAMES[rule]}: the dense flow (grey) reaches w₁ > 0 from w₁(0) < 0; {words}; then the"
            f" masked flow (w₂ = 0) {verdict}. Below: its limit and the target."
        ),
    )
    return plotted


def _plane(axes, dense, masked, end, look, rule):
    both = np.concatenate([dense, masked])
    left = min(-0.35, both[:, 0].min()) - 0.3
    right = max(1.0, both[:, 0].max()) + 0.3
    top = max(0.5, both[:, 1].max()) + 0.28
    axes.axvspan(left, 0, color=style.FAILS_COLOUR, alpha=0.55, linewidth=0, zorder=0)
    axes.axvspan(0, right, color=style.LEARNS_COLOUR, alpha=0.8, linewidth=0, zorder=0)
    axes.axhline(0, color=style.INK, linewidth=0.6, zorder=1)
    axes.plot(dense[:, 0], dense[:, 1], color=style.GREY, linewidth=1.6, zorder=2)
    _arrow_on(axes, dense, style.GREY)
    axes.plot(*dense[0], "o", color=style.GREY, markersize=4.5, zorder=4)
    axes.plot(masked[:, 0], masked[:, 1], color=look.colour, linewidth=2.6, zorder=3.5, solid_capstyle="butt")
    axes.plot(*masked[0], marker=look.marker, color=look.colour, markersize=5, zorder=4.2, markeredgecolor="white")
    axes.plot([dense[-1, 0]] * 2, [dense[-1, 1], 0], color=style.INK, linewidth=0.8, linestyle=(0, (2, 1.5)), zorder=3)
    axes.plot(
        *end,
        marker="X" if rule == "imp" else "*",
        color=look.colour,
        zorder=4.4,
        markeredgecolor=style.INK,
        markersize=7 if rule == "imp" else 10,
        markeredgewidth=0.6,
    )
    _story_words(axes, dense, masked, rule)
    axes.set(xlim=(left, right), ylim=(-0.42, top), xlabel="w₁", ylabel="w₂")
    axes.set_xticks([-1, 0, 1] if left < -1 else [-0.5, 0, 0.5, 1])
    axes.set_yticks([0, 0.5])


def _story_words(axes, dense, masked, rule):
    words = {"fontsize": 7, "color": style.INK}
    axes.text(dense[0, 0], dense[0, 1] + 0.07, "start", ha="center", va="bottom", **words)
    middle = dense[np.argmin(np.abs(dense[:, 0] - 0.45))]
    axes.text(middle[0] + 0.02, middle[1] + 0.08, "dense flow", ha="left", va="bottom", **words)
    if rule == "lrr":
        axes.text(masked[0, 0], -0.1, "prune w₂, keep w₁", ha="right", va="top", **words)
        return
    axes.text(0.06, 0.07, "stuck at 0", ha="left", va="bottom", **words)
    axes.annotate(
        "",
        xy=masked[0] + np.array([0.02, -0.05]),
        xytext=(dense[-1, 0] + 0.02, -0.05),
        zorder=3,
        arrowprops={
            "arrowstyle": "-|>",
            "linestyle": (0, (2, 1.5)),
            "color": style.INK,
            "linewidth": 0.8,
            "connectionstyle": "arc3,rad=-0.2",
            "shrinkA": 2,
            "shrinkB": 2,
        },
    )
    axes.text(0.5, 0.03, "prune w₂, rewind w₁", transform=axes.transAxes, ha="center", va="bottom", **words)


def _arrow_on(axes, path, colour):
    step = np.hypot(*np.diff(path, axis=0).T).cumsum()
    index = int(np.searchsorted(step, 0.5 * step[-1]))
    if index + 1 < len(path):
        axes.annotate(
            "",
            xy=path[index + 1],
            xytext=path[index],
            zorder=3,
            arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 1.2, "mutation_scale": 9},
        )


def _function(axes, limit, verdict, look) -> dict:
    x = np.linspace(-2, 2, 81)
    learned = limit["a"] * np.maximum(limit["w"][0] * x, 0)
    axes.plot(x, np.maximum(x, 0), color="#BBBBBB", linewidth=4, solid_capstyle="butt", label="target relu(x₁)")
    axes.plot(x, learned, color=look.colour, linewidth=1.6, label=f"{look.label}, pruned")
    axes.text(
        -1.9,
        1.05,
        verdict,
        weight="bold",
        fontsize=8,
        ha="left",
        va="center",
        color=style.LEARNS_DARK if verdict == "learns" else style.FAILS_DARK,
    )
    axes.set(xlabel="x₁", ylabel="f(x)", xlim=(-2, 2), ylim=(-0.35, 2.1), xticks=[-2, 0, 2], yticks=[0, 1, 2])
    axes.legend(loc="upper left", bbox_to_anchor=(0.0, 1.02), handlelength=1.6)
    return {"x": x.tolist(), "learned": learned.tolist(), "limit": dict(limit)}
