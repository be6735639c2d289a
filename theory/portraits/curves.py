"""The parts of a phase plane as data: curves, sets of equilibria, and the plane itself.

Nothing is drawn here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.losses.formulas import split
from theory.reprs import short_repr
from theory.validation import Array, finite, neuron

CURVE_KINDS = ("nullcline", "separatrix", "kink", "switching", "invariant", "basin", "level")
STABILITIES = ("stable", "half-stable", "saddle", "unstable")
CURVE_POINTS = 201  # of a curve


@short_repr
@dataclass(frozen=True, eq=False)
class Curve:
    """One connected stretch of a curve of a phase plane.

    Attributes:
        name: what holds on it, such as "a' = 0"; stretches of one set share it
        kind: one of `theory.portraits.curves.KINDS`. `separatrix`: the stable set of a saddle, a boundary of the basin;
            `kink`: the field jumps there, and nothing crosses it; `switching`: a or w_1 changes its sign; `invariant`:
            a start on it stays on it; `basin`: a polygon around the starts that learn; `level`: constant c = a^2 -
            |w|^2
        points: ndarray, shape (m, 2), columns as the plane's coordinates
    """

    name: str
    kind: str
    points: Array


@short_repr
@dataclass(frozen=True, eq=False)
class EquilibriumSet:
    """Points at which the flow rests, all of the same stability.

    Attributes:
        points: ndarray, shape (m, 2)
        directions: the direction of each eigenvalue, in words
        eigenvalues: ndarray, shape (m, k), of the Jacobian of the flow; 0 along a curve of equilibria. NaN where the
            field jumps, so that there is none: neighbouring points approach or leave at finite speed
        stability: `stable`, `half-stable` (attracts from one side, repels to the other), `saddle` or `unstable`; where
            an transverse eigenvalue is 0, decided by the terms of higher order
    """

    name: str
    points: Array
    directions: tuple[str, ...]
    eigenvalues: Array
    stability: str


@short_repr
@dataclass(frozen=True, eq=False)
class PhasePlane:
    """The data of a phase portrait; rows of the arrays follow y, columns x.

    Attributes:
        name: the plane's name in `theory.portraits.planes.PLANES`
        about: a few words on it
        parameters: dict that JSON can hold
        coordinates: names of x and y: a, w, r or theta
        x: ndarray, shape (n,)
        y: ndarray, shape (n,)
        field_x: ndarray, shape (n, n): x'
        field_y: ndarray, shape (n, n): y', NaN where r = 0 leaves theta without a speed
        verdict: int8 ndarray, shape (n, n), codes of `theory.verdicts`
        time_to_learn: ndarray, shape (n, n): first time at which the loss is at `tolerance`, NaN where it never is
        tolerance: float, the loss at which a start has learned
        curves: tuple of Curve
        equilibria: tuple of EquilibriumSet
        flow: function (a0, w0, times) -> (a, w) at these times from a start that it checks; None where the plane has
            none
    """

    name: str
    about: str
    parameters: dict[str, Any]
    coordinates: tuple[str, str]
    x: Array
    y: Array
    field_x: Array
    field_y: Array
    verdict: NDArray[np.int8]
    time_to_learn: Array
    tolerance: float
    curves: tuple[Curve, ...]
    equilibria: tuple[EquilibriumSet, ...]
    flow: Callable[[float, ArrayLike, ArrayLike], tuple[Array, Array]] | None = field(
        default=None, repr=False, compare=False
    )

    def trajectory(self, a0: float, w0: ArrayLike, times: ArrayLike) -> Array:
        """Return the path of this plane's own flow from a start, shape (m, 2): draw it in the plane.

        The path of one input is exact (`theory.closed_form`), that of several is integrated (`theory.integrate`).

        Raises ValueError for a start outside the plane, shapes that do not match, times below 0, and a plane (from
        outside this package) that has no `flow`.

        Args:
            a0: float, a at time 0
            w0: w at time 0. One input: a float. Several inputs: shape (d,), d > 1, and the start lies in the plane,
                a0^2 - |w0|^2 = c with the plane's sign of a0
            times: increasing array_like, shape (m,), at least 0

        Examples:
            >>> from theory import phase_plane
            >>> phase_plane("line", c_plus=0.8, grid=5).trajectory(-0.6, 1.5, [0.0, 1.0]).round(3).tolist()
            [[-0.6, 1.5], [0.441, 1.444]]
        """
        if self.flow is None:
            raise ValueError(f"the plane {self.name!r} states no flow: give it one, or draw the points of path(a, w)")
        return self.path(*self.flow(a0, w0, times))

    def path(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the points of any trajectory in this plane, shape (m, 2).

        Raises ValueError for shapes that do not match.

        Args:
            a: array_like, shape (m,)
            w: array_like, shape (m, d), or (m,) for one input
        """
        (w,) = finite(w=w)
        a, w = neuron(a, w[:, None] if w.ndim == 1 else w)
        along, across, r = split(w)
        all_of_them = {"a": a, "w": along, "r": r, "theta": np.arctan2(across, along)}
        return np.stack([all_of_them[name] for name in self.coordinates], axis=1)


def span(low: float, high: float, count: int = CURVE_POINTS) -> Array:
    """Return evenly spaced values from low to high.

    The values of an axis around 0 are exact negatives of one another.
    """
    half = np.linspace(low, high, count)
    return (half - half[::-1]) / 2 if low == -high else half


def within(sets: Sequence[EquilibriumSet], low: float, high: float) -> tuple[EquilibriumSet, ...]:
    """Return the sets restricted to points with x from low to high.

    Sets without such a point are left out.
    """
    out = []
    for found in sets:
        there = (found.points[:, 0] >= low) & (found.points[:, 0] <= high)
        if there.any():
            out.append(replace(found, points=found.points[there], eigenvalues=found.eigenvalues[there]))
    return tuple(out)
