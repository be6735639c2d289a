"""The phase portrait of a plane of the neuron's flow: plain data in, a matplotlib figure out.

No files are read or written. Loaded when first used, since it needs matplotlib.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from figures.plots import style

style.load_matplotlib()

from matplotlib.figure import Figure  # noqa: E402
from matplotlib.lines import Line2D  # noqa: E402
from matplotlib.patches import FancyArrowPatch, Patch  # noqa: E402

from figures.plots.portrait_time import colour_by_time  # noqa: E402

COLOURS = ("verdict", "time")
LEARNS = 1  # the code of a verdict
AXES = {
    "a": "a, outer weight",
    "w": "w, inner weight",
    "r": "r, length of w",
    "theta": "θ, angle between w and e₁",
}
_SIGNS = {"C+": "C₊", "C-": "C₋", "theta": "θ", "pi": "π", "_1": "₁", "'": "′", "-": "−"}
_ANGLES = {0: "0", 1: "π/4", 2: "π/2", 3: "3π/4", 4: "π"}
_NULLCLINES = (  # of x, then of y; its colour is LRR's
    {"color": style.BLUE, "linewidth": 1.2, "linestyle": (0, (4, 1.5)), "zorder": 2.6},
    {"linewidth": 1.2, "linestyle": (0, (1.5, 1)), "zorder": 2.6},
)
_LINES = {
    "separatrix": {"color": style.FAILS_DARK, "linewidth": 2.4, "linestyle": "-", "zorder": 2.5},
    "switching": {"color": style.MUTED, "linewidth": 0.7, "linestyle": "-", "zorder": 2.2},
    "kink": {"color": style.MUTED, "linewidth": 0.7, "linestyle": "-", "zorder": 2.2},
    "level": {"color": style.SKY, "linewidth": 0.9, "linestyle": "-", "zorder": 1.4},
}
_STREAM = {"color": "#6E6E6E", "linewidth": 0.5, "arrowsize": 0.6, "zorder": 1.6}
_EQUILIBRIA = {  # stability -> line of a curve, fill of a point
    "stable": ("-", "full"),
    "half-stable": ((0, (4, 1, 1, 1)), "left"),
    "saddle": ((0, (4, 1, 1, 1)), "left"),
    "unstable": ((0, (2, 1)), "none"),
}


class Portrait(Figure):
    """A figure that is saved in this project's style, whatever the user's settings.

    The style has type 42 fonts and 300 dots per inch.
    """

    def savefig(self, *args, **kwargs):
        """Save as `matplotlib.figure.Figure.savefig` does."""
        with style.drawing_style():
            super().savefig(*args, **kwargs)

    def _repr_png_(self) -> bytes:
        return style.shown(self)


def phase_portrait(
    plane: Any, *, colour: str = "verdict", levels: bool = False, paths: Sequence = (), columns: int = 1
) -> Figure:
    """The phase portrait of a plane.

    Parameters
    ----------
    plane : any object with the attributes of `theory.PhasePlane`
    colour : `verdict` (who learns), or `time` (how long it takes)
    levels : draw the level sets of the conserved c
    paths : sequence of array_like, shape (m, 2), trajectories in the plane's coordinates
        (`plane.trajectory(a0, w0, times)`)
    columns : 1 or 2, columns of the page that the picture takes: 3.3 or 6.9 inches

    Returns
    -------
    matplotlib.figure.Figure : a pure function of its arguments; equal planes give equal bytes in `style.render`

    Raises
    ------
    ValueError: an unknown colour, columns, or paths of another shape.

    Layout and colours are not from the paper.

    Examples
    --------
    >>> import numpy as np
    >>> from types import SimpleNamespace as Data
    >>> axis, one = np.array([-1.0, 0.0, 1.0]), np.ones((3, 3))
    >>> field = dict(coordinates=("a", "w"), x=axis, y=axis, field_x=one, field_y=-one)
    >>> plane = Data(about="a drift", curves=(), equilibria=(), **field)
    >>> phase_portrait(plane).axes[0].get_xlabel()
    'a, outer weight'
    """
    if colour not in COLOURS:
        raise ValueError(f"colour must be one of {', '.join(COLOURS)}, got {colour!r}")
    if columns not in (1, 2):
        raise ValueError(f"columns must be 1 or 2, got {columns!r}: a page has two")
    tracks = [_track(path) for path in paths]
    with style.drawing_style():
        return _drawn(plane, colour, levels, tracks, columns)


def _track(path) -> np.ndarray:
    track = np.asarray(path, float)
    if track.ndim != 2 or track.shape[1] != 2 or len(track) == 0:
        raise ValueError(f"a path must have shape (m, 2), got {track.shape}: pass plane.trajectory(a0, w0, times)")
    return track


def _drawn(plane, colour: str, levels: bool, tracks: list, columns: int) -> Figure:
    figure = Portrait(layout="compressed")  # for square axes
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04)
    axes = figure.add_subplot()
    keys = _shading(axes, plane, colour)
    _stream(axes, plane)
    keys += _draw_curves(axes, plane, levels) + _equilibria(axes, plane) + _paths(axes, tracks)
    _frame(axes, plane)
    _legend(figure, keys, columns)
    figure.set_size_inches(*_size(len(keys), columns, axes.get_aspect() == 1, bool(axes.child_axes)))
    for _ in range(2):  # makes the ticks in this style; the layout of square axes needs a second pass
        figure.draw_without_rendering()
    for arrow in [patch for patch in axes.patches if isinstance(patch, FancyArrowPatch)]:
        if _from_rest(np.concatenate(arrow.get_path().to_polygons(closed_only=False)), plane).min() < 0.008:
            arrow.remove()  # on a curve of equilibria the arrow shows an interpolation error of the field, not a flow
    figure.set_layout_engine("none")
    return figure


def _size(keys: int, columns: int, square: bool, bar: bool) -> tuple[float, float]:
    """Width and height in inches: the height has room for square axes and for the legend below them."""
    if columns == 2:
        return style.TWO_COLUMNS, 5.2 - 0.4 * bar if square else 3.8
    return style.ONE_COLUMN, (3.38 - 0.53 * bar if square else 3.1) + 0.15 * -(-keys // 2)


def _with_symbols(text: str) -> str:
    for plain, sign in _SIGNS.items():
        text = text.replace(plain, sign)
    return text


# --- the shading of the plane and the streamlines


def _shading(axes, plane, colour: str) -> list:
    x = plane.x
    y = plane.y
    axes.fill(x[[0, -1, -1, 0]], y[[0, 0, -1, -1]], color=style.FAILS_COLOUR, linewidth=0, zorder=0.5)
    basins = [curve.points for curve in plane.curves if curve.kind == "basin"]
    for points in basins:
        axes.fill(*points.T, color=style.LEARNS_COLOUR, linewidth=0, zorder=1)
    timed = colour == "time" and basins and (plane.time_to_learn > 0).any()
    if timed:
        colour_by_time(axes, plane, basins)
    fails = not basins or (plane.verdict[1:-1, 1:-1] != LEARNS).any()  # more than an edge of the plane
    keys = [Patch(color=style.LEARNS_COLOUR, label="learns")] if basins and not timed else []
    return keys + ([Patch(color=style.FAILS_COLOUR, label="fails")] if fails else [])


def _stream(axes, plane) -> None:
    """Draw streamlines, separately on each side of a kink: none crosses it."""
    kinks = sorted(float(curve.points[0, 1]) for curve in plane.curves if curve.kind == "kink")
    for low, high in zip([-np.inf, *kinks], [*kinks, np.inf], strict=True):
        rows = (plane.y >= low) & (plane.y <= high)
        if rows.sum() > 1:
            axes.streamplot(
                plane.x,
                plane.y[rows],
                plane.field_x[rows],
                plane.field_y[rows],
                density=(0.85, 0.85 * rows.mean()),
                **_STREAM,
            )


# --- curves, points and axes


def _draw_curves(axes, plane, levels: bool) -> list:
    of_x, of_y = plane.coordinates
    looks = {f"{of_x}' = 0": _NULLCLINES[0], f"{of_y}' = 0": {"color": style.arm_style("lrr").colour, **_NULLCLINES[1]}}
    keys: dict[str, dict] = {}
    for curve in plane.curves:
        look = looks.get(curve.name) if curve.kind == "nullcline" else _LINES.get(curve.kind)
        if look is None or (curve.kind == "level" and not levels) or _hidden(curve.points, plane):
            continue
        axes.plot(*curve.points.T, clip_on=False, solid_capstyle="butt", **look)
        group = curve.name if curve.kind == "nullcline" else curve.kind
        keys.setdefault(group, {"kind": curve.kind, "look": look, "names": {}})["names"][curve.name] = None
    return [Line2D([], [], label=_label(key["kind"], list(key["names"])), **key["look"]) for key in keys.values()]


def _hidden(points: np.ndarray, plane) -> bool:
    """Whether a curve runs along equilibria from end to end, which are drawn over it."""
    return bool((_from_rest(points, plane) < 0.01).all())


def _from_rest(points: np.ndarray, plane) -> np.ndarray:
    """The distance of points, shape (m, 2), from the nearest curve of equilibria.

    It is a share of the sides of the plane.
    """
    scale = np.array([np.ptp(plane.x), np.ptp(plane.y)])
    sets = [found.points / scale for found in plane.equilibria if len(found.points) > 1]
    if not sets:
        return np.full(len(points), np.inf)
    starts, ends = (np.concatenate([curve[part] for curve in sets]) for part in (slice(-1), slice(1, None)))
    along = ends - starts
    to = (points / scale)[:, None] - starts
    share = np.clip((to * along).sum(-1) / (along**2).sum(-1), 0, 1)
    return np.abs(to - share[..., None] * along).max(-1).min(-1)


def _label(kind: str, names: list[str]) -> str:
    if kind == "level":
        return f"c = {_with_symbols(', '.join(name.removeprefix('c = ') for name in names))}"
    return f"{kind} {_with_symbols(', '.join(names))}"


def _equilibria(axes, plane) -> list:
    keys = {}
    for found in plane.equilibria:
        line, fill = _EQUILIBRIA[found.stability]
        look = {"color": style.INK, "linewidth": 2, "linestyle": line, "zorder": 3}
        if len(found.points) == 1:
            look |= {"marker": "o", "fillstyle": fill, "markersize": 5.5, "markerfacecoloralt": "white"}
            look |= {"markeredgecolor": style.INK, "markeredgewidth": 0.9, "linestyle": "none", "zorder": 3.5}
            look |= {"markerfacecolor": "white" if fill == "none" else style.INK}
        elif line != "-":  # so that no nullcline shows through the gaps
            axes.plot(*found.points.T, color="white", linewidth=2, solid_capstyle="butt", clip_on=False, zorder=2.9)
        axes.plot(*found.points.T, clip_on=False, solid_capstyle="butt", **look)
        keys.setdefault((found.stability, len(found.points) == 1), look)
    order = sorted(keys, key=lambda key: (list(_EQUILIBRIA).index(key[0]), key[1]))
    what = {True: "equilibrium", False: "equilibria"}
    return [Line2D([], [], label=f"{what[point]}, {word}", **keys[word, point]) for word, point in order]


def _paths(axes, tracks: list) -> list:
    look = {"color": style.GREEN, "linewidth": 1.3, "markersize": 3.6, "zorder": 3.2}
    for track in tracks:
        axes.plot(*track.T, **look)
        axes.plot(*track[0], marker="o", **look)
    return [Line2D([], [], marker="o", label="trajectory, dot: start", **look)] if tracks else []


def _frame(axes, plane) -> None:
    for name, values, axis, limits in zip(
        plane.coordinates, (plane.x, plane.y), (axes.xaxis, axes.yaxis), (axes.set_xlim, axes.set_ylim), strict=True
    ):
        margin = 0.02 * np.ptp(values)
        limits(values[0] - margin, values[-1] + margin)
        axis.set_label_text(AXES.get(name, name))
        if name == "theta":
            axis.set_ticks([k * np.pi / 4 for k in _ANGLES], labels=list(_ANGLES.values()))
        else:
            ticks = [
                tick
                for tick in axis.get_major_locator().tick_values(*values[[0, -1]])
                if values[0] <= tick <= values[-1]
            ]
            axis.set_ticks(ticks, labels=[_with_symbols(f"{tick:.6g}") for tick in ticks])
    if plane.coordinates == ("a", "w"):
        axes.set_aspect("equal")
    axes.set_title(_with_symbols(plane.about), loc="left")


def _legend(figure: Figure, keys: list, columns: int) -> None:
    place, count = ("outside lower center", 2) if columns == 1 else ("outside right upper", 1)
    if keys:
        figure.legend(handles=keys, loc=place, ncols=count, handlelength=2.2, columnspacing=1.0, labelspacing=0.35)
