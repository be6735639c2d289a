"""Figure 1: from which signs one hidden neuron learns, and why IMP fails where LRR learns."""

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, NothingToDraw, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.finish import finish
from figures.plots.neuron_basin import shade_basin
from figures.plots.neuron_rules import RULE_NAMES, theory_missing
from figures.plots.neuron_story import draw_story
from figures.results.network import Records, TheoryResult


def figure_1(records: Records) -> Drawing:
    """Figure 1: which quadrants learn (d = 1), and why IMP fails where LRR learns (d = 2)."""
    quadrants = records.theory.get("quadrants")
    stories = records.theory.get("stories")
    missing = [] if quadrants else [theory_missing("quadrants", "(a) sign quadrants")]
    missing += [] if stories else [theory_missing("stories", "(b, c) IMP and LRR on the neuron")]
    if not (quadrants or stories):
        raise NothingToDraw(missing)
    sheet = new_sheet(style.TWO_COLUMNS, 3.45, missing)
    widths = [*([1.32] if quadrants else []), *([1, 1] if stories else [])]
    grid = sheet.figure.add_gridspec(2, len(widths), width_ratios=widths, height_ratios=[1.25, 1])
    if quadrants:
        sheet.plotted["quadrants"] = draw_quadrants(sheet, sheet.figure.add_subplot(grid[:, 0]), quadrants)
    for column, rule in enumerate(RULE_NAMES if stories else (), start=len(widths) - 2):
        axes = [sheet.figure.add_subplot(grid[row, column]) for row in (0, 1)]
        sheet.plotted[f"story {rule}"] = draw_story(sheet, axes, stories, rule)
    seen = captions.QUADRANTS_SEEN[quadrants is not None, stories is not None]
    return finish(sheet, captions.PHASE_PLANE, _data(quadrants, stories), seen=seen)


def _data(quadrants: TheoryResult | None, stories: TheoryResult | None) -> str:
    """The data of figure 1 from the panels that it has."""
    starts = sum(count["starts"] for count in quadrants.values["quadrants"].values()) if quadrants else 0
    parts = [f"n = {starts:,} random starts with one input"] if quadrants else []
    parts += ["n = 1 start with two inputs"] if stories else []
    return f"gradient flow of f(x) = a relu(w·x) towards the target relu(x₁), {' and '.join(parts)}"


def draw_quadrants(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """Draw the d = 1 phase plane.

    It shows the exact basin, flow, separatrix, minimum, computed trajectories and balanced diagonals.
    """
    arrays = result.arrays
    a = arrays["grid_a"]
    w = arrays["grid_w"]
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


def _verdict_counts(verdict) -> dict:
    return {name: int((verdict == code).sum()) for code, name in enumerate(("fails", "learns", "separatrix"))}


def _lines(axes, arrays, a, w):
    end = min(abs(a[0]), abs(a[-1]), abs(w[0]), abs(w[-1]))
    line = arrays["separatrix"]
    minimum = arrays["minimum"]
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
    path = arrays["trajectories"][index]
    learns = int(arrays["trajectory_verdict"][index]) == 1
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
