"""What panels share: the density axis, curves with intervals, and their limits."""

import math
from collections.abc import Mapping, Sequence

from figures.plots import style

_DENSITY_TICKS = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)


def density_axis(axes, densities: Sequence[float]) -> None:
    """Set a logarithmic density axis, dense at the left; ticks are plain fractions."""
    low = min(densities)
    high = max(densities)
    axes.set_xscale("log")
    axes.set_xlim(high * 1.3, low / 1.3)
    ticks = [tick for tick in _DENSITY_TICKS if low / 1.3 <= tick <= high * 1.3]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("density (log scale)")


def error_bar_lengths(means: Sequence[float], lows: Sequence, highs: Sequence) -> list[list[float]]:
    """The lower and upper lengths of each error bar.

    NaN, for which nothing is drawn, where there is no interval (one seed) or it has no width.
    """
    ends = list(zip(means, lows, highs, strict=True))
    down = [math.nan if low is None or low == high else mean - low for mean, low, high in ends]
    up = [math.nan if high is None or low == high else high - mean for mean, low, high in ends]
    return [down, up]


def plot_means(axes, x: Sequence[float], columns: Mapping[str, Sequence], **look) -> None:
    """Draw means with their intervals at `x`; `columns`: lists `mean`, `low` and `high`."""
    bars = error_bar_lengths(columns["mean"], columns["low"], columns["high"])
    axes.errorbar(x, columns["mean"], yerr=bars, **look)


THIN = {"elinewidth": 0.7, "capsize": 1.2, "zorder": 3}  # of intervals over density or levels


def plot_curve(axes, arm: str, curve: dict, shift: float = 0.0, zero: bool = False) -> None:
    """Draw an arm's means with intervals over density.

    `shift` moves the curve sideways by that share of the axis' decade.
    """
    x = [density * 10**shift for density in curve["density"]]
    plot_means(axes, x, curve, **THIN, **style.arm_style(arm).line_kwargs())
    if zero:
        axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)


def fit_height(axes, curves: Sequence[dict], least: float | None = None, most: float | None = None) -> None:
    """Set the limits of the y axis from means and intervals.

    A very wide interval (two seeds) extends beyond the axis; the means never do.
    """
    means = [mean for curve in curves for mean in curve["mean"]]
    if not means:
        return
    span = max(max(means) - min(means), 0.01)
    lows = [low for curve in curves for low in curve["low"] if low is not None]
    highs = [high for curve in curves for high in curve["high"] if high is not None]
    low = max(min([*lows, min(means)]), min(means) - 2 * span) - 0.06 * span
    high = min(max([*highs, max(means)]), max(means) + 2 * span) + 0.06 * span
    axes.set_ylim(low if least is None else max(low, least), high if most is None else min(high, most))


def dodge(count: int, step: float = 0.014) -> list[float]:
    """Sideways shifts, in decades, that keep the intervals of `count` curves apart."""
    return [(i - (count - 1) / 2) * step for i in range(count)]


def mark_cut(figure) -> str:
    """Draw an arrow head where an interval extends beyond its axis; returns the sentence for the caption.

    Without it a bar that is cut at both ends looks like an axis. Call it after the limits have been set.
    """
    from matplotlib.lines import Line2D
    from matplotlib.markers import CARETDOWN, CARETUP

    heads = []
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for bars in _interval_bars(axes):
            for segment in bars.get_segments():
                heads += [(axes, bars, x, 0, CARETDOWN) for x, y in segment if y < low]
                heads += [(axes, bars, x, 1, CARETUP) for x, y in segment if y > high]
    for axes, bars, x, end, marker in heads:
        look = {"color": bars.get_color()[0], "marker": marker, "markersize": 4, "linestyle": "none", "zorder": 4}
        look |= {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.add_artist(Line2D([x], [end], label="_cut", **look))  # an underscore: it is no curve of its own
    return "Bars that reach an axis limit extend beyond it." if heads else ""


def _interval_bars(axes) -> list:
    """The bars of the intervals drawn in a panel, a collection of lines for each curve."""
    found = [container for container in axes.containers if type(container).__name__ == "ErrorbarContainer"]
    return [bars for container in found for bars in container.lines[2]]
