"""Smooth pieces (regions) of a loss, which `theory.integrate` follows one after the other.

Each region has a smooth extension beyond its edge, and the flow is landed on the edge exactly.

A region has its own coordinates v, so that its constraints (w on the axis, w on the kinks along which it slides) hold
exactly: `inner` gives v of w, `outer` w of v, |v| = |w|. It gives the gradient of its extension in (a, v);
`edge_margins` are positive inside and one of them falls to 0 at the edge; `next_region` returns where the flow lands
and how it continues. `theory.losses.kinks` decides how the flow continues on a kink of a sample.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from theory.losses.formulas import side_gradient
from theory.losses.kinks import AT_BOUND, MOVED, ON_THE_KINK, QUIET
from theory.validation import Array

if TYPE_CHECKING:
    from theory.losses.losses import Line, Loss
    from theory.losses.samples import Sample


# A slide that ends at a = 0 with theta in (DOUBT, 1 - DOUBT) is left by gradient descent to a side that depends on
# the phase of its steps, however small: measured on the oscillation z -> z + k theta for z <= 0 and z + k (theta - 1)
# for z > 0, with k decreasing by 1 at each step from hundreds through 0.
DOUBT = 0.25
DIED = "w died: it tends to 0 and a to +-sqrt(c)"
OFF_ZERO = 1e-9  # |w| at which a solver takes over from w = 0, as a share of |a| or of what fits the data


@dataclass(frozen=True)
class Ended:
    """The end of a flow: `status` and `message` as in `theory.flow.integrate.Trajectory`."""

    status: str
    message: str


@runtime_checkable
class Region(Protocol):
    """A smooth piece of a loss."""

    def inner(self, w: Array) -> Array:
        """Return the coordinates v, shape (..., m), of w, shape (..., d)."""
        return w

    def outer(self, v: Array) -> Array:
        """Return w, shape (..., d), of v, shape (..., m), moved back where rounding put it beyond an edge."""
        return v

    def gradient(self, a: float, v: Array) -> tuple[float | Array, Array]:
        """Return (dL/da, dL/dv), continued smoothly across the edge."""
        raise NotImplementedError

    def edge_margins(self, a: Array, v: Array) -> Array:
        """Return the margins of (a, v), shape (..., edges), for a (...) and v (..., m): 0 at an edge.

        A margin is positive inside the region.
        """
        return np.zeros((*np.shape(a), 0))

    def noise(self, v: Array) -> Array:
        """Return the rounding error of each margin, shape (edges,): below it, its sign is unknown."""
        return np.zeros(self.edge_margins(np.zeros(1), v[None]).shape[-1])

    def next_region(self, edge: int, a: float, v: Array) -> tuple[float, Array, Region | Ended]:
        """Return (a, w), landed on an edge exactly, and the region in which the flow continues.

        If the flow has ended, `Ended` is returned instead of a region. One without edges is never left.
        """
        return a, self.outer(v), self


@dataclass(frozen=True)
class SmoothRegion(Region):
    """A loss that is smooth where the flow goes."""

    loss: Loss

    def gradient(self, a: float, v: Array) -> tuple[float | Array, Array]:
        """Return the gradient of the loss."""
        da, dv = self.loss.gradient(a, v)
        return da, np.asarray(dv)


@dataclass(frozen=True)
class Equilibrium(Region):
    """A point at which the flow rests: both sides of the kink push towards it, or neither pushes.

    Attributes:
        up_to_rounding: the force there is rounding, or cannot be distinguished from it
        doubtful: as that of `SampleRegion`
    """

    up_to_rounding: bool = False
    doubtful: bool = False

    def gradient(self, a: float, v: Array) -> tuple[float | Array, Array]:
        """Return zeros."""
        return 0.0, np.zeros_like(v)


@dataclass(frozen=True)
class LineSide(Region):
    """One side of w = 0 of a `Line`, for the first of d inputs: sign 1 is w > 0, -1 is w < 0.

    Attributes:
        pushed: the side pushes towards w = 0 (k a < 0); where it does not, w only decays towards 0 and rounding could
            cross
    """

    line: Line
    sign: int
    pushed: bool
    d: int = 1

    @classmethod
    def at(cls, line: Line, sign: int, a: float, d: int = 1) -> LineSide:
        """Return the side for a flow that enters it at a."""
        return cls(line, sign, bool(np.sign(line.side(sign)[1]) * a < 0), d)  # a product may underflow

    def inner(self, w: Array) -> Array:
        """Return w_1."""
        return w[..., :1]

    def outer(self, v: Array) -> Array:
        """Return (w_1, 0, ..., 0), not beyond w = 0."""
        w = np.zeros((*v.shape[:-1], self.d))
        w[..., :1] = self.sign * np.maximum(self.sign * v, 0.0)
        return w

    def gradient(self, a: float, v: Array) -> tuple[float | Array, Array]:
        """Return the gradient of the side's formula, on both sides of w = 0."""
        da, dw = side_gradient(self.sign, a, v[0], *self.line.side(self.sign))
        return da, np.array([dw])

    def edge_margins(self, a: Array, v: Array) -> Array:
        """Return |w| with the sign of being inside."""
        return self.sign * v if self.pushed else np.zeros((*np.shape(a), 0))

    def next_region(self, edge: int, a: float, v: Array) -> tuple[float, Array, Region]:
        """Land on w = 0; the flow continues on the other side if that pushes w away from 0, else it rests."""
        c, k = self.line.side(-self.sign)
        on = LineSide.at(self.line, -self.sign, a, self.d) if np.sign(c) * np.sign(k) * a > 0 else Equilibrium()
        return a, np.zeros(self.d), on


@dataclass(frozen=True, eq=False)
class SampleRegion(Region):
    """The sides of a sample's kinks, and the kinks along which w slides; v are coordinates along these.

    Attributes:
        on: bool ndarray, shape (K,), the side of each kink that does not slide
        sliding: tuple of int, kinks with w.n = 0 kept; their normals are independent
        sign: of a, or of what a becomes next
        start: v at which the flow enters
        doubtful: a slide has ended at a = 0 where either side may follow, or a push that may be an error led through a
            kink, or w may be held between kinks that were joined
    """

    sample: Sample
    on: NDArray[np.bool_]
    sliding: tuple[int, ...]
    sign: float
    start: Array
    doubtful: bool = False

    @classmethod
    def at(
        cls,
        sample: Sample,
        a: float,
        w: Array,
        on: NDArray[np.bool_] | None = None,
        near: NDArray[np.intp] | None = None,
        doubtful: bool = False,
    ) -> tuple[float, Array, SampleRegion]:
        """Return (a, w) put on the kinks along which the flow slides from there, and its region.

        `on` are the sides that the flow comes from, and `near` the kinks on which w lies; default: those at (a, w).
        """
        kinks = sample.kinks
        starts = on is None
        near = kinks.near(w) if near is None else near
        if on is None:
            on = kinks.normal @ w > 0
            on[near] = False  # relu'(0) = 0
        sign = float(np.sign(a))
        for _ in range(2):  # the next sign of a = 0 depends on the sides, and on itself only where nothing moves
            sides, sliding, faint = kinks.decided(sign, a, w, on, near)
            if sign:
                break
            sign = float(np.sign(w @ kinks.force(a, w, sides)))
        basis = _across(kinks.normal[list(sliding)])
        v = w if basis is None else w @ basis
        region = cls(sample, sides, sliding, sign, v, doubtful or (faint and not starts))
        w = region.outer(v)
        if kinks.joins and kinks.hides(sign, region.outer(region._pushed(a, v)), w, sides, sliding):
            region = replace(region, doubtful=True)
        return a, w, region

    @cached_property
    def basis(self) -> Array | None:
        """Orthonormal columns, shape (d, m), that span the directions along the sliding kinks.

        None where nothing slides.
        """
        return _across(self.sample.kinks.normal[list(self.sliding)])

    def inner(self, w: Array) -> Array:
        """Return v."""
        return w if self.basis is None else w @ self.basis

    def outer(self, v: Array) -> Array:
        """Return w, on the sliding kinks exactly."""
        return v if self.basis is None else v @ self.basis.T

    @cached_property
    def _force(self) -> tuple[Array, Array]:
        """Pull (m,) and square (m, m) of F = pull - a square v; sliding kinks do not contribute."""
        kinks = self.sample.kinks
        side = self.on.astype(int)
        every = np.arange(len(self.on))
        pull = kinks.pull[side, every].copy()
        square = kinks.square[side, every].copy()
        pull[list(self.sliding)] = square[list(self.sliding)] = 0.0
        normal = kinks.normal if self.basis is None else kinks.normal @ self.basis
        summed = pull @ normal
        size = np.abs(pull) @ np.abs(normal)
        summed[np.abs(summed) <= np.finfo(float).eps * len(pull) * size] = 0.0  # rounding, where the parts cancel
        return summed, (normal * square[:, None]).T @ normal

    def gradient(self, a: float, v: Array) -> tuple[float | Array, Array]:
        """Return the gradient of the piece; along kinks, of its restriction to them."""
        force = self._pushed(a, v)
        return -float(v @ force), -a * force

    def _pushed(self, a: float, v: Array) -> Array:
        """Return F, shape (m,)."""
        pull, square = self._force
        return pull - a * (square @ v)

    @cached_property
    def radial(self) -> Array | None:
        """The direction of v where it can only grow and shrink along it, and reach w = 0; None elsewhere."""
        radius = float(np.hypot.reduce(self.start))
        if radius == 0:
            return None
        unit = self.start / radius
        across = self._walls[1] - np.outer(self._walls[1] @ unit, unit)  # only kinks can turn the direction
        return unit if len(across) and np.abs(across).max() <= 1e-10 else None

    @cached_property
    def _walls(self) -> tuple[NDArray[np.intp], Array]:
        """The kinks that w may reach, and side * n in the coordinates v, shape (walls, m)."""
        kinks = self.sample.kinks
        normal = kinks.normal if self.basis is None else kinks.normal @ self.basis
        free = np.abs(normal).max(axis=1, initial=0.0) > 1e-10  # sliding keeps w on the others
        free[list(self.sliding)] = False
        return np.flatnonzero(free), np.where(self.on[free], 1.0, -1.0)[:, None] * normal[free]

    @cached_property
    def _theta(self) -> tuple[Array, Array]:
        """Theta of the sliding kinks, which is alpha - (a v) beta: alpha (s,), beta (m, s)."""
        kinks = self.sample.kinks
        s = list(self.sliding)
        on = self.on.copy()
        on[s] = False
        side = on.astype(int)
        every = np.arange(len(on))
        turn = np.linalg.pinv(kinks.normal[s].T) / kinks.jump[s][:, None]  # force -> -theta
        spread = kinks.square[side, every][:, None] * (
            kinks.normal if self.basis is None else kinks.normal @ self.basis
        )
        return -turn @ (kinks.pull[side, every] @ kinks.normal), -(turn @ (kinks.normal.T @ spread)).T

    def edge_margins(self, a: Array, v: Array) -> Array:
        """Return the margins: distances to the kinks, of theta to 0 and 1, and of a to 0 during a slide.

        Where w can only shrink along a ray, its length replaces the distances to all kinks.
        """
        parts = [(v @ self.radial)[..., None] if self.radial is not None else v @ self._walls[1].T]
        if self.sliding:
            alpha, beta = self._theta
            theta = alpha - (a[..., None] * v) @ beta
            parts += [theta, 1 - theta, self.sign * a[..., None]]
        return np.concatenate(parts, axis=-1)

    def noise(self, v: Array) -> Array:
        """Return the share of |w| and of theta that rounding may move."""
        walls = 1 if self.radial is not None else len(self._walls[0])
        s = len(self.sliding)
        out = np.zeros(walls + (2 * s + 1 if s else 0))
        out[:walls] = ON_THE_KINK * np.hypot.reduce(v)
        out[walls : walls + 2 * s] = AT_BOUND
        return out

    def keeps_direction(self, v: Array) -> bool:
        """Return whether w, falling along a ray, keeps its direction for ever.

        Its slides must last while a |w| falls to 0.
        """
        return self.radial is not None and bool(((self._theta[0] > 0) & (self._theta[0] < 1)).all())

    def next_region(self, edge: int, a: float, v: Array) -> tuple[float, Array, Region | Ended]:
        """Land on a kink, leave one, or pass through w = 0; kinks that meet are decided together."""
        walls = 1 if self.radial is not None else len(self._walls[0])
        s = len(self.sliding)
        w = self.outer(v)
        if edge < walls and self.radial is not None:
            return self.through_zero(a, self.start)
        kinks = self.sample.kinks
        on = self.on
        doubtful = False
        met = kinks.near(w)
        if edge < walls:
            wall = self._walls[1][edge]
            square = wall @ wall  # a wall nearly parallel to a sliding kink is short, and w stays beside it
            landed = v - (wall @ v) / square * wall if square > MOVED**2 else v
            small = OFF_ZERO * min(kinks.near_zero(a), np.hypot.reduce(self.start))
            if np.hypot.reduce(landed) <= small:  # it reaches 0 in a straight line
                return self.through_zero(a, -self.sign * self._force[0])
            w = self.outer(landed)
            met = np.union1d(met, self._walls[0][edge])
        elif edge == walls + 2 * s:  # every push changes its sign: kinks are left to their side nearer to theta
            if abs(v @ self._force[0]) <= QUIET * kinks.most * np.hypot.reduce(v):  # a only decays
                return 0.0, w, Equilibrium()
            theta = self._theta[0]
            a = 0.0
            on = on.copy()
            on[list(self.sliding)] = theta > 0.5
            doubtful = bool(((theta > DOUBT) & (theta < 1 - DOUBT)).any())
        a, w, after = SampleRegion.at(self.sample, a, w, on, np.union1d(met, self.sliding).astype(int), doubtful)
        if a and np.hypot.reduce(after._pushed(a, after.start)) <= QUIET * kinks.cancelling(a, w, after.on):
            return a, w, Equilibrium(up_to_rounding=True, doubtful=after.doubtful)
        return a, w, after

    def through_zero(self, a: float, along: Array) -> tuple[float, Array, Region | Ended]:
        """Arrive at w = 0 from the direction `along`, shape (m,), and continue where the flow grows."""
        from theory.losses.kinks import leave_zero

        length = np.hypot.reduce(along)
        zero = np.zeros(self.sample.d)
        if abs(along @ self._force[0]) <= QUIET * self.sample.kinks.most * length:  # w only decays
            return a, zero, Ended("dead", DIED)
        u = self.outer(along / length)
        how, grows = leave_zero(self.sample.kinks, self.sign, u)
        if how != "grows":
            return a, zero, Ended(*AT_ZERO[how])
        return a, zero, SampleRegion.at(self.sample, a, OFF_ZERO * self.sample.kinks.near_zero(a) * grows)[2]

    def off_zero(self, a: float) -> tuple[float, Array]:
        """Return the time in which the flow leaves w = 0 along `start` for a w next to 0, and that w.

        This w is so small that the curvature of its path is below rounding; a solver that starts at 0 has no direction.
        """
        pull, square = self._force
        unit = self.start / np.hypot.reduce(self.start)
        speed = abs(a) * float(unit @ pull) * self.sign
        spread = abs(a) * float(np.abs(square).max(initial=0.0))
        grown = OFF_ZERO * min(abs(a), abs(speed) / (abs(a) * spread) if spread > 0 else np.inf)
        return grown / abs(speed), self.outer(grown * unit)


AT_ZERO = {
    "dies": ("dead", "w died: it reached 0, where every push leads back to 0"),
    "differs": ("undecided", "w reached 0, where the flow may continue in different directions"),
}


def _across(normals: Array) -> Array | None:
    """Return orthonormal columns that span what is orthogonal to the rows; None for no rows."""
    if len(normals) == 0:
        return None
    return np.linalg.qr(normals.T, mode="complete")[0][:, len(normals) :]
