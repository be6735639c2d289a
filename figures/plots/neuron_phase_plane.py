"""Figure 1, and the neuron's panel of figure 2. Theory records in, drawings out."""

import numpy as np

from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.sentences import format_missing
from figures.results.network import Records, TheoryResult

RULE_NAMES = {"imp": "IMP", "lrr": "LRR"}
_SEEN = {  # whether quadrants and whether IMP and LRR are drawn -> the first sentence of figure 1's caption
    (True, True): "From which signs of its weights one hidden neuron learns, and how IMP fails where LRR learns.",
    (True, False): "From which signs of its weights one hidden neuron learns.",
    (False, True): "How IMP fails where LRR learns on one hidden neuron.",
}


def theory_missing(experiment: str, panel: str) -> Missing:
    """A panel whose theory experiment has not been run."""
    return Missing(panel, f"theory experiment {experiment} has not been run", f"paper_repro.py theory {experiment}")


def figure_1(records: Records) -> Drawing:
    """Figure 1: which quadrants learn (d = 1), and why IMP fails where LRR learns (d = 2)."""
    quadrants, stories = records.theory.get("quadrants"), records.theory.get("stories")
    missing = [] if quadrants else [theory_missing("quadrants", "(a) sign quadrants")]
    missing += [] if stories else [theory_missing("stories", "(b, c) IMP and LRR on the neuron")]
    if not (quadrants or stories):
        raise NothingToDraw(missing)
    sheet = new_sheet(style.TWO_COLUMNS, 3.45)
    plotted, widths = {}, ([1.32] if quadrants else []) + ([1, 1] if stories else [])
    grid = sheet.figure.add_gridspec(2, len(widths), width_ratios=widths, height_ratios=[1.25, 1])
    if quadrants:
        plotted["quadrants"] = draw_quadrants(sheet, sheet.figure.add_subplot(grid[:, 0]), quadrants)
    for column, rule in enumerate(RULE_NAMES if stories else (), start=len(widths) - 2):
        axes = [sheet.figure.add_subplot(grid[row, column]) for row in (0, 1)]
        plotted[f"story {rule}"] = draw_story(sheet, axes, stories, rule)
    more = join_caption(
        *sheet.captions,
        "The figure follows the paper's figure 1. The layout, the flow field and the basin of unbalanced starts are"
        " ours.",
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, _caption(quadrants, stories, more), tuple(missing))


def _caption(quadrants: TheoryResult | None, stories: TheoryResult | None, more: str) -> Caption:
    """The caption of figure 1 from the panels that it has."""
    seen = _SEEN[quadrants is not None, stories is not None]
    starts = sum(count["starts"] for count in quadrants.values["quadrants"].values()) if quadrants else 0
    parts = [f"n = {starts:,} random starts with one input"] if quadrants else []
    parts += ["n = 1 start with two inputs"] if stories else []
    data = f"Data: gradient flow of f(x) = a relu(w·x) towards the target relu(x₁), {' and '.join(parts)}."
    return Caption(seen, data, more)


def draw_quadrants(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """Draw the d = 1 phase plane.

    It shows the exact basin, flow, separatrix, minimum, computed trajectories and balanced diagonals.
    """
    arrays = result.arrays
    a, w = arrays["grid_a"], arrays["grid_w"]
    plotted = {"region": shade_basin(axes, arrays), "verdict_counts": _verdict_counts(arrays["verdict"])}
    axes.streamplot(
        a,
        w,
        arrays["field_a"],
        arrays["field_w"],
        density=0.75,
        color="#8A8A8A",
        linewidth=0.45,
        arrowsize=0.55,
        zorder=1.5,
    )
    axes.axhline(0, color=style.INK, linewidth=0.5)
    axes.axvline(0, color=style.INK, linewidth=0.5)
    _lines(axes, arrays, a, w)
    plotted["trajectories"] = [_trajectory(axes, arrays, i) for i in range(len(arrays["trajectories"]))]
    _name_regions(axes, a, w)
    axes.set(xlim=(a[0], a[-1]), ylim=(w[0], w[-1]), xlabel="a, outer weight", ylabel="w, inner weight")
    axes.set(xticks=[-2, -1, 0, 1, 2], yticks=[-2, -1, 0, 1, 2])
    axes.set_aspect("equal", anchor="N")
    axes.grid(False)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=2, handlelength=2.0, columnspacing=1.0)
    counts = result.values["quadrants"]
    learns = ", ".join(f"({key}) {c['learns']} of {c['starts']}" for key, c in sorted(counts.items()))
    sheet.add_panel_label(
        axes,
        "one input: who learns",
        (
            "one input: starts in the light area learn, starts in the dark area fail (exact limits). Coloured lines are"
            " computed trajectories from the dots. Balanced starts lie on the dotted diagonals, and of these only"
            f" a, w > 0 learn. Random balanced starts that learn, by the signs of (a, w): {learns}."
        ),
    )
    return plotted | {"balanced_starts": dict(counts)}


def shade_basin(axes, arrays) -> dict:
    """Shade the learning region exactly (right of the separatrix, above w = 0) and the failing rest."""
    a, w, line = arrays["grid_a"], arrays["grid_w"], arrays["separatrix"]
    line = line[np.argsort(line[:, 1])]
    inside = line[(line[:, 0] >= a[0]) & (line[:, 1] <= w[-1]) & (line[:, 1] >= 0)]
    region = np.concatenate([inside, [[inside[-1, 0], w[-1]], [a[-1], w[-1]], [a[-1], 0.0]]])
    axes.set_facecolor(style.FAILS_COLOUR)
    axes.fill(region[:, 0], region[:, 1], color=style.LEARNS_COLOUR, linewidth=0, zorder=1)
    return {"learns": region.tolist()}


def _verdict_counts(verdict) -> dict:
    return {name: int((verdict == code).sum()) for code, name in enumerate(("fails", "learns", "separatrix"))}


def _lines(axes, arrays, a, w):
    end = min(abs(a[0]), abs(a[-1]), abs(w[0]), abs(w[-1]))
    line, minimum = arrays["separatrix"], arrays["minimum"]
    axes.plot(
        [-end, end],
        [-end, end],
        color=style.INK,
        linewidth=0.8,
        linestyle=(0, (1, 1.5)),
        zorder=2.2,
        label="balanced, |a| = |w|",
    )
    axes.plot([-end, 0], [end, 0], color=style.INK, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2.6)
    axes.plot([0, end], [0, -end], color=style.INK, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=2.2)
    axes.plot(line[:, 0], line[:, 1], color=style.INK, linewidth=3.6, alpha=0.35, zorder=2.4, label="separatrix")
    inside = (minimum[:, 0] <= a[-1]) & (minimum[:, 1] <= w[-1])
    axes.plot(
        minimum[inside, 0], minimum[inside, 1], color="black", linewidth=1.8, zorder=2.5, label="minimum, a w = 1"
    )


def _trajectory(axes, arrays, index: int) -> dict:
    path, learns = arrays["trajectories"][index], int(arrays["trajectory_verdict"][index]) == 1
    colour, line = (style.LEARNS_DARK, "-") if learns else (style.FAILS_DARK, (0, (4, 1)))
    look = {"color": colour, "markeredgecolor": "white", "markeredgewidth": 0.4, "zorder": 4.5}
    look |= {"marker": "*", "markersize": 6} if learns else {"marker": "X", "markersize": 4.5}
    label = "learns, star: end" if learns else "fails, cross: end"
    if all(text.get_label() != label for text in axes.lines):
        axes.plot([], [], linewidth=1.2, linestyle=line, label=label, **look)
    axes.plot(path[:, 0], path[:, 1], color=colour, linewidth=1.2, linestyle=line, zorder=3)
    axes.plot(*path[0], "o", color=colour, markersize=3.2, zorder=4)
    axes.plot(*path[-1], **look)
    return {"start": path[0].tolist(), "end": path[-1].tolist(), "learns": learns}


def _name_regions(axes, a, w):
    box = {"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}
    for x, y, word, colour in ((0.79, 0.95, "learns", style.LEARNS_DARK), (0.26, 0.05, "fails", style.FAILS_DARK)):
        axes.text(
            x,
            y,
            word,
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=colour,
            weight="bold",
            fontsize=8,
            bbox=box,
            zorder=6,
        )


_STORY = {
    "imp": ("IMP rewinds the sign", "after pruning, w₁ goes back to its initial value, which is negative"),
    "lrr": ("LRR keeps the sign", "after pruning, w₁ keeps its trained value, which is positive"),
}


def draw_story(sheet: FigureBuilder, axes, result: TheoryResult, rule: str) -> dict:
    """Draw one rule on the neuron with two inputs.

    The path of (w_1, w_2) is above, the learned function below.
    """
    arrays, look = result.arrays, style.arm_style(rule)
    dense, masked = arrays["dense_w"], arrays[f"{rule}_w"]
    limit, verdict = result.values["limit"][rule], result.values["verdict"][rule]
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
    left, right = min(-0.35, both[:, 0].min()) - 0.3, max(1.0, both[:, 0].max()) + 0.3
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


def draw_iterations(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """Figure 2 (a): success over pruning iterations against the exact probabilities."""
    values = result.values
    levels, plotted = np.arange(len(values["survivors"])), {}
    for shift, (rule, label) in zip((-0.09, 0.09), RULE_NAMES.items(), strict=True):
        cell, look = values["rules"][rule], style.arm_style(rule)
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
