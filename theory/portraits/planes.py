"""Phase planes of the neuron's flow as data: fields, verdicts, learning times, curves and equilibria.

Nothing is drawn here.

Three planes, all exact reductions: `line` is (a, w) for one input; `balanced` and `slice` are the flow of d > 1 inputs
at constant c = a^2 - |w|^2, in (r, theta) where c >= 0 and in (a, theta) where c < 0, with r = |w| and theta the angle
between w and e_1. The direction of w_perp never changes and d does not enter, so that they hold for every d > 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.exact.limits import verdicts
from theory.extensions.learning_times import TOLERANCE, time_to_learn
from theory.losses.formulas import gradient_1d
from theory.portraits.constant_c import balanced, slice_at
from theory.portraits.curves import CURVE_POINTS, Curve, EquilibriumSet, PhasePlane, span, within
from theory.portraits.trajectories import on_line
from theory.validation import Array, finite, known, moment, positive, whole


def phase_plane(
    plane: Any = "line", *, extent: float = 2.0, grid: int = 81, tolerance: float = TOLERANCE, **parameters: Any
) -> PhasePlane:
    """Return the data of a phase portrait.

    Source: this project. relu'(0) = 0 as everywhere here, so that w = 0 rests.

    Args:
        plane: a name in `theory.portraits.planes.PLANES`, or a loss of one input (`theory.Line`, ...) with the target
            relu(x)
        extent: float above 0; a and w run from -extent to extent, r from 0 to extent, theta from 0 to pi
        grid: int, at least 2, points on each axis
        tolerance: float, the loss at which a start has learned; see `theory.time_to_learn`
        parameters: of the plane.
            line: c_plus, c_minus, second moments above 0 (1/2 each for N(0, 1)); levels, the values of c to trace
            balanced: sign_a, 1 or -1 (a = r or a = -r)
            slice: c, the conserved a^2 - |w|^2; sign_a, 1 or -1, where c >= 0 (where c < 0 the plane holds both signs)

    Returns:
        PhasePlane: verdicts and all curves are exact, and so are the learning times of `line`.

    Raises:
        ValueError: an unknown plane or parameter (the message suggests the nearest name), or one that is out of range.

    Examples:
        >>> plane = phase_plane("line", grid=5)
        >>> plane.verdict[::-1].tolist()  # w from 2 at the top to -2, a from -2 to 2: a(0) > -w(0), w(0) > 0 learns
        [[2, 1, 1, 1, 1], [0, 2, 1, 1, 1], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]
        >>> for found in phase_plane("balanced", grid=5).equilibria:
        ...     print(found.name, found.points.tolist(), found.eigenvalues.round(3).tolist(), found.stability)
        target, a r = 1 [[1.0, 0.0]] [[-1.0, -0.5]] stable
        origin along e_1 [[0.0, 0.0]] [[0.5, -0.5]] saddle
        origin along -e_1 [[0.0, 3.141592653589793]] [[0.0, 0.0]] saddle
    """
    if not isinstance(plane, str):
        parameters = _moments(plane) | parameters
        plane = "line"
    known("plane", plane, tuple(PLANES))
    for name in parameters:
        known(f"parameter of the plane {plane!r}", name, tuple(inspect.signature(PLANES[plane]).parameters)[3:])
    return PLANES[plane](_extent(extent), whole("grid", grid, 2), tolerance, **parameters)


def _extent(extent: float) -> float:
    return positive("extent", extent, "the axes run to it from the origin")


def _moments(loss: Any) -> dict[str, Any]:
    if getattr(loss, "d", None) != 1:
        raise ValueError(f"a loss has a plane if it has one input, got {loss!r:.60}: pass {' or '.join(PLANES)}")
    line = loss.line(np.ones(1))
    if (line.k_plus, line.k_minus) != (1, 0):
        raise ValueError(f"the target must be relu(x) (k_plus = 1, k_minus = 0), got {line}: pass Line(C+, C-)")
    return {"c_plus": line.c_plus, "c_minus": line.c_minus}


def level_sets(levels: ArrayLike, extent: float = 2.0) -> tuple[Curve, ...]:
    """Return the level sets of the conserved c = a^2 - w^2 (d = 1) in |a|, |w| <= extent.

    Source: conservation of c, section 2.

    Args:
        levels: array_like, shape (n,), values of c
        extent: float, above 0

    Returns:
        tuple of Curve: two stretches for each level, points (a, w); none where |c| >= extent^2

    Raises:
        ValueError: levels that are not finite numbers, or an extent that is no number above 0.

    Examples:
        >>> [curve.name for curve in level_sets([0.0, 9.0])]
        ['c = 0', 'c = 0']
    """
    extent = _extent(extent)
    curves = []
    for c in finite(levels=levels)[0].ravel().tolist():
        if abs(c) < extent**2:
            near = span(-1, 1) * np.sqrt(extent**2 - abs(c))  # the smaller of |a| and |w|
            far = np.hypot(near, np.sqrt(abs(c))) if c else near
            for side in (1, -1):
                columns = (side * far, near) if c >= 0 else (near, side * far)
                curves.append(Curve(f"c = {c:g}", "level", np.stack(columns, axis=1)))
    return tuple(curves)


# --- one input: (a, w)


def line(
    extent: float,
    grid: int,
    tolerance: float,
    c_plus: float = 0.5,
    c_minus: float = 0.5,
    levels: ArrayLike | None = None,
) -> PhasePlane:
    """Return the plane (a, w) of one input with the moments C+ and C-; see `phase_plane`."""
    c_plus, c_minus = moment("c_plus", c_plus), moment("c_minus", c_minus)
    for name, value in (("c_plus", c_plus), ("c_minus", c_minus)):
        if value == 0:
            raise ValueError(f"{name} must be above 0, got {value}: a side without data has no flow")
    axis = span(-extent, extent, grid)
    a, w = np.meshgrid(axis, axis)
    field_a, field_w = (0.0 - part for part in gradient_1d(a, w, c_plus, c_minus))
    levels = extent**2 * span(-0.5, 0.5, 5) if levels is None else levels
    return PhasePlane(
        name="line",
        about=f"one input, C+ = {c_plus:g}, C- = {c_minus:g}",
        parameters={"c_plus": c_plus, "c_minus": c_minus},
        coordinates=("a", "w"),
        x=axis,
        y=axis,
        field_x=field_a,
        field_y=field_w,
        verdict=verdicts(a, w),
        time_to_learn=time_to_learn(a, w, tolerance, c_plus),
        tolerance=float(tolerance),
        curves=(*_line_curves(extent), *level_sets(levels, extent)),
        equilibria=within(_line_equilibria(extent, c_plus, c_minus), -extent, extent),
        flow=partial(on_line, c_plus, c_minus),
    )


def _line_curves(extent: float) -> list[Curve]:
    all_along = span(-extent, extent)
    positive = span(0, extent)
    zero = np.zeros(CURVE_POINTS)
    rays = {"a = 0, w > 0": (zero, positive), "a = 0, w < 0": (zero, -positive), "w = 0": (all_along, zero)}
    rays = {name: np.stack(columns, axis=1) for name, columns in rays.items()}
    both = [_hyperbola(extent), rays["w = 0"], rays["a = 0, w < 0"]]
    nullclines = [("a' = 0", stretch) for stretch in both]
    nullclines += [("w' = 0", stretch) for stretch in (*both, rays["a = 0, w > 0"])]
    basin = extent * np.array([(0, 0), (-1, 1), (1, 1), (1, 0)], float)
    return [
        *(Curve(name, "nullcline", stretch) for name, stretch in nullclines if len(stretch)),
        Curve("a = -w", "separatrix", np.stack([-positive, positive], axis=1)),
        Curve("w = 0", "kink", rays["w = 0"]),
        Curve("a = 0", "switching", np.stack([zero, all_along], axis=1)),
        Curve("learns", "basin", basin),
    ]


def _hyperbola(extent: float) -> Array:
    """Return the part of a w = 1, a > 0, in the square of half side `extent`; it is empty for extent < 1."""
    a = np.geomspace(1 / extent, extent, CURVE_POINTS) if extent > 1 else np.ones(int(extent == 1))
    return np.clip(np.stack([a, 1 / a], axis=1), 0, extent)


def _line_equilibria(extent: float, c_plus: float, c_minus: float) -> list[EquilibriumSet]:
    """Return the sets of equilibria with their eigenvalues on each side of w = 0.

    The flow is smooth for w > 0 and for w < 0, not across w = 0.
    """
    target = _hyperbola(extent)
    ray = span(0, extent)[1:]
    zero = np.zeros(len(ray))
    none = np.full(len(ray), np.nan)
    rest = ("along", "from below", "from above")
    return [
        EquilibriumSet(
            "target, a w = 1",
            target,
            ("along", "across"),
            np.stack([np.zeros(len(target)), -c_plus * (target**2).sum(axis=1)], axis=1),
            "stable",
        ),
        EquilibriumSet(
            "a = 0, w < 0",
            np.stack([zero, -ray], axis=1),
            ("along", "across"),
            np.stack([zero, -c_minus * ray**2], axis=1),
            "stable",
        ),
        # from above w' = C+ a on w = 0: the field jumps
        *(
            EquilibriumSet(
                f"w = 0, a {'<' if side < 0 else '>'} 0",
                np.stack([side * ray, zero], axis=1),
                rest,
                np.stack([zero, -c_minus * ray**2, none], axis=1),
                "stable" if side < 0 else "half-stable",
            )
            for side in (-1, 1)
        ),
        EquilibriumSet(
            "origin",
            np.zeros((1, 2)),
            ("a = w from above", "a = -w from above", "from below", "from below"),
            np.array([[c_plus, -c_plus, 0.0, 0.0]]),
            "saddle",
        ),
    ]


PLANES: dict[str, Callable[..., PhasePlane]] = {"line": line, "balanced": balanced, "slice": slice_at}
