"""Overlay one figure on another: the curves of the second, thin and pale, in the axes of the first.

Axes are matched by their titles (and those of their row), curves by their labels: this works for any figure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from figures.plots import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

_PALE: dict[str, Any] = {"linewidth": 0.9, "alpha": 0.55, "markersize": 2.6, "markeredgewidth": 0.5, "zorder": 1.5}


@dataclass(frozen=True)
class Overlay:
    """What was overlaid: the numbers of `curves` and `panels`.

    `alone` names the curves that only one figure has, `cut` those that extend beyond the axes.
    """

    curves: int
    panels: int
    alone: tuple[str, ...]
    cut: tuple[str, ...]


def overlay(first: Figure, second: Figure, names: Sequence[str]) -> Overlay:
    """Copy the curves of `second` into `first`, and add a legend on top that identifies them.

    Args:
        first: the figure that is changed.
        second: a figure drawn by the same function.
        names: the names of the two sets of results, for the legend.
    """
    drawn = panels = 0
    cut: list[str] = []
    pairs, unmatched = _matched(list(first.axes), list(second.axes))
    alone = [f"{_title_or_none(title)}: {label}" for title, axes in unmatched for label, _ in _labelled_curves(axes)]
    for title, axes, other in pairs:
        there = dict(_numbered(axes))
        counterpart = dict(_numbered(other))
        alone += [f"{_title_or_none(title)}: {label}" for label, _ in there.keys() ^ counterpart.keys()]
        shared = [key for key in counterpart if key in there]
        for key in shared:
            _copy(axes, counterpart[key])
            if _runs_off(axes, counterpart[key]):
                cut.append(f"{_title_or_none(title)}: {key[0]}")
        drawn += len(shared)
        if shared:
            panels += 1
    if drawn:
        _legend(first, names)
    return Overlay(drawn, panels, tuple(sorted(alone)), tuple(cut))


def _title(axes: Axes) -> str:
    """A panel's title without its letter; some titles are annotations."""
    said = [text.get_text() for text in axes.texts if text.get_gid() == "title"] or [axes.get_title(loc="left")]
    return re.sub(r"^\([a-z]\) ", "", " ".join(said[0].split()))


def _key(axes: Axes, every: Sequence[Axes]) -> tuple[str, str]:
    """A panel's title (or that of the panel above it), and the title at the start of its row.

    The latter names the study.
    """
    place = axes.get_subplotspec()
    if place is None:
        return _title(axes), ""
    spots = [(spot, other) for other in every if (spot := other.get_subplotspec()) is not None]
    spots = [(spot, other) for spot, other in spots if spot.get_gridspec() is place.get_gridspec() and _title(other)]
    row = [(spot.colspan.start, _title(other)) for spot, other in spots if spot.rowspan.start == place.rowspan.start]
    above = [
        (-spot.rowspan.start, _title(other))
        for spot, other in spots
        if spot.colspan.start == place.colspan.start and spot.rowspan.start <= place.rowspan.start
    ]
    return _title(axes) or min(above, default=(0, ""))[1], min(row, default=(0, ""))[1]


def _matched(first: list[Axes], second: list[Axes]) -> tuple[list[tuple[str, Axes, Axes]], list[tuple[str, Axes]]]:
    """Match the axes of two figures: (title, axes, axes) for each pair, and (title, axes) for the rest.

    They are matched by title and row, then by titles that occur once in each figure.
    """
    keys = [[(_key(axes, every), axes) for axes in every] for every in (first, second)]
    pairs: list[tuple[str, Axes, Axes]] = []
    for shorten in (lambda key: key, lambda key: key[0]):
        ours, theirs = (_once([(shorten(key), axes) for key, axes in side]) for side in keys)
        found = [(key, ours[key], theirs[key]) for key in ours if key in theirs and any(key)]
        pairs += [(key if isinstance(key, str) else key[0], a, b) for key, a, b in found]
        taken = {id(axes) for _, a, b in found for axes in (a, b)}
        keys = [[(key, axes) for key, axes in side if id(axes) not in taken] for side in keys]
    return pairs, [(key[0], axes) for side in keys for key, axes in side]


def _once(entries: Sequence[tuple[Any, Axes]]) -> dict[Any, Axes]:
    """The entries whose key is unique."""
    names = [key for key, _ in entries]
    return {key: axes for key, axes in entries if names.count(key) == 1}


def _labelled_curves(axes: Axes) -> Iterator[tuple[str, Line2D]]:
    """Labelled curves of a panel: lines, and the lines of error bars."""
    for line in axes.lines:
        label = str(line.get_label())
        if not label.startswith("_"):
            yield label, line
    for container in axes.containers:
        label = container.get_label()
        if type(container).__name__ == "ErrorbarContainer" and label and not label.startswith("_") and container[0]:
            yield label, container[0]


def _numbered(axes: Axes) -> Iterator[tuple[tuple[str, int], Line2D]]:
    """Curves with points, by label and by how many curves of that label came before."""
    seen: dict[str, int] = {}
    for label, line in _labelled_curves(axes):
        seen[label] = seen.get(label, -1) + 1
        if np.size(line.get_xdata()):
            yield (label, seen[label]), line


def _copy(axes: Axes, line: Line2D) -> None:
    """Draw a curve of another figure behind those of a panel, whose height is extended to show it."""
    x_limits = axes.get_xlim()
    y_limits = axes.get_ylim()
    look = {"color": line.get_color(), "linestyle": line.get_linestyle(), "marker": line.get_marker()}
    face = line.get_markerfacecolor()
    axes.plot(*line.get_data(), **look, **_PALE, markerfacecolor=face, label="_other")
    axes.set_xlim(x_limits)
    points = [y for x, y in _points(line) if min(x_limits) <= x <= max(x_limits)]
    positive = axes.get_yscale() == "log"
    axes.set_ylim(_widened(y_limits, [y for y in points if y > 0 or not positive], positive))


def _points(line: Line2D) -> Iterator[tuple[float, float]]:
    for x, y in zip(*(np.asarray(data, float).tolist() for data in line.get_data()), strict=True):
        if math.isfinite(x) and math.isfinite(y):
            yield x, y


def _widened(limits: tuple[float, float], values: Sequence[float], logarithmic: bool) -> tuple[float, float]:
    """Limits extended to contain the values with a small margin; their direction is kept."""
    low, high = sorted(limits)
    if not values or (low <= min(values) and max(values) <= high):
        return limits
    room = 1.1 if logarithmic else 0.04 * (max(high, *values) - min(low, *values))
    if min(values) < low:
        low = min(values) / room if logarithmic else min(values) - room
    if max(values) > high:
        high = max(values) * room if logarithmic else max(values) + room
    return (low, high) if limits[0] <= limits[1] else (high, low)


def _runs_off(axes: Axes, line: Line2D) -> bool:
    """Whether a curve has points outside the x limits of the axes."""
    low, high = sorted(axes.get_xlim())
    return any(not low <= x <= high for x, _ in _points(line))


def _legend(figure: Figure, names: Sequence[str]) -> None:
    """Add a legend above the figure that says how each set of results is drawn."""
    from matplotlib.lines import Line2D

    full = Line2D([], [], color=style.INK, marker="o")
    pale = Line2D([], [], color=style.INK, marker="o", **_PALE)
    labels = [f"{names[0]}", f"pale and thin: {names[1]}"]
    figure.legend([full, pale], labels, loc="outside upper right", ncols=2, fontsize=style.SMALLEST_TYPE)


def _title_or_none(title: str) -> str:
    return title or "a panel without a title"
