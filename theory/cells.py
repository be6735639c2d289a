"""Smooth pieces of a loss: `theory.integrate` follows each on its own smooth extension up to its edge, and lands on it.

A cell gives the gradient of its extension; `margin` is positive inside and falls to 0 at the edge; `beyond` says where
the flow lands and in which cell it goes on. Where both sides of a kink push towards it, the flow slides along it: the
kink's share of the gradient is then the one between its two one-sided values that keeps w on it (Filippov's solution,
which for a gradient flow is the element of least norm of Clarke's subdifferential).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from theory.checks import Array
from theory.network import side_gradient

if TYPE_CHECKING:
    from theory.losses import Line, Loss
    from theory.samples import Sample

ON_THE_KINK = 1e-12  # |w.x| below this share of |w| |x| is on the kink: w has been landed there, up to rounding


class Cell(Protocol):
    """A smooth piece of a loss; `edge` says whether the flow can reach one."""

    edge: bool

    def gradient(self, a: float, w: Array) -> tuple[float, Array]:
        """Return (dL/da, dL/dw), continued smoothly across the edge."""

    def margin(self, a: float, w: Array) -> float:
        """Return how far inside (a, w) lies: 0 at the edge."""

    def beyond(self, a: float, w: Array) -> tuple[Array, Cell]:
        """Return w landed on the edge exactly, and the cell in which the flow goes on."""

    def held(self, w: Array) -> Array:
        """Return w without what rounding put beyond a kink that the flow cannot reach."""
        return w


@dataclass(frozen=True)
class Smooth(Cell):
    """A loss that is smooth where the flow goes."""

    inner: Loss
    edge: bool = False

    def gradient(self, a: float, w: Array) -> tuple[float, Array]:
        """Return the gradient of the loss."""
        return self.inner.gradient(a, w)


@dataclass(frozen=True)
class Rest(Cell):
    """A point at which the flow rests: both sides of the kink push towards it, or neither pushes."""

    edge: bool = False

    def gradient(self, a: float, w: Array) -> tuple[float, Array]:
        """Return zeros."""
        return 0.0, np.zeros_like(w)


@dataclass(frozen=True)
class LineSide(Cell):
    """One side of w = 0 of a `Line`: sign 1 is w > 0, -1 is w < 0.

    edge : the side pushes towards w = 0 (k a < 0); where it does not, w only decays towards 0 and rounding could cross
    """

    line: Line
    sign: int
    edge: bool

    @classmethod
    def at(cls, line: Line, sign: int, a: float) -> LineSide:
        """Return the side for a flow that enters it at a."""
        return cls(line, sign, line.side(sign)[1] * a < 0)

    def gradient(self, a: float, w: Array) -> tuple[float, Array]:
        """Return the gradient of the side's formula, on both sides of w = 0."""
        da, dw = side_gradient(self.sign, a, w[0], *self.line.side(self.sign))
        return da, np.array([dw])

    def margin(self, a: float, w: Array) -> float:
        """Return |w| with the sign of being inside."""
        return self.sign * w[0]

    def beyond(self, a: float, w: Array) -> tuple[Array, Cell]:
        """Land on w = 0; the other side carries on where it pushes w away from 0, else the flow rests."""
        c, k = self.line.side(-self.sign)
        return np.zeros(1), LineSide.at(self.line, -self.sign, a) if c * k * a > 0 else Rest()

    def held(self, w: Array) -> Array:
        """Return w, not beyond w = 0."""
        return self.sign * np.maximum(self.sign * w, 0.0)


@dataclass(frozen=True)
class SampleCell(Cell):
    """An activation pattern of a `Sample`, and the kinks along which w slides.

    active : bool ndarray, shape (n,), which points have w.x_i > 0
    sliding : tuple of int, points with w.x_i = 0 kept
    """

    sample: Sample
    active: NDArray[np.bool_]
    sliding: tuple[int, ...] = ()
    edge: bool = True

    @classmethod
    def at(cls, sample: Sample, a: float, w: Array) -> SampleCell:
        """Return the pattern that holds w; points on their kink go where the flow takes them."""
        z = sample.x @ w
        cell = cls(sample, z > 0)
        return cell.settled(a, w, np.flatnonzero(abs(z) <= cell._width(w)))

    def gradient(self, a: float, w: Array) -> tuple[float, Array]:
        """Return the gradient of the pattern's polynomial; along kinks, of what is left on them."""
        da, dw = self._smooth(a, w)
        return (da, dw - self._share(dw) @ self.sample.x[list(self.sliding)]) if self.sliding else (da, dw)

    def margin(self, a: float, w: Array) -> float:
        """Return the least distance to a kink, or of a sliding point's factor to phi' on one of its sides."""
        z = self.sample.x @ w
        inside = np.where(self.active, z, -z)
        if not self.sliding:
            return float(inside.min())
        inside[list(self.sliding)] = np.inf
        return float(min(inside.min(), self._slack(a, w).min()))

    def beyond(self, a: float, w: Array) -> tuple[Array, SampleCell]:
        """Land on the nearest kink, or leave one; points that share a kink are decided one after the other."""
        sample, z = self.sample, self.sample.x @ w
        inside = np.where(self.active, z, -z)
        inside[list(self.sliding)] = np.inf
        if self.sliding and self._slack(a, w).min() <= inside.min():
            leaving = self.sliding[int(self._slack(a, w).argmin())]
            factor = self._factors(a, w)[self.sliding.index(leaving)]
            return w, self._turned(leaving, factor > (1 + sample.slope) / 2)
        first = sample.x[int(inside.argmin())]
        w = w - (first @ w) / (first @ first) * first
        close = np.flatnonzero((abs(sample.x @ w) <= self._width(w)) & np.isfinite(inside))
        return w, self.settled(a, w, close)

    def settled(self, a: float, w: Array, points: NDArray[np.intp]) -> SampleCell:
        """Return the cell in which each of the points on their kink has gone where both sides take it, or slides."""
        cell = self
        for point in points.tolist():
            off, on = (cell._turned(point, side)._push(a, w, point) for side in (False, True))
            if off > 0 and on <= 0:
                cell = replace(cell, sliding=(*cell.sliding, point))
            else:
                cell = cell._turned(point, bool(off > 0 and on > 0))
        return cell

    def _smooth(self, a: float, w: Array) -> tuple[float, Array]:
        sample = self.sample
        z, factors = sample.x @ w, np.where(self.active, 1.0, sample.slope)
        factors[list(self.sliding)] = 0.0
        pull = factors * (a * factors * z - sample.y) / len(z)
        return float(pull @ z), a * (pull @ sample.x)

    def _share(self, dw: Array) -> Array:
        """Return the multipliers of the sliding points' x that leave no motion off their kinks."""
        x = self.sample.x[list(self.sliding)]
        return np.linalg.lstsq(x @ x.T, x @ dw, rcond=None)[0]

    def _factors(self, a: float, w: Array) -> Array:
        """Return phi' of each sliding point: between the slope and 1 while it slides."""
        y = self.sample.y[list(self.sliding)]
        return self._share(self._smooth(a, w)[1]) * len(self.active) / (a * y)

    def _slack(self, a: float, w: Array) -> Array:
        factors = self._factors(a, w)
        return np.minimum(factors - self.sample.slope, 1 - factors)

    def _push(self, a: float, w: Array, point: int) -> float:
        """Return the speed of w.x of a point: positive towards w.x > 0."""
        return float(-self.sample.x[point] @ self.gradient(a, w)[1])

    def _turned(self, point: int, on: bool) -> SampleCell:
        active = self.active.copy()
        active[point] = on
        return replace(self, active=active, sliding=tuple(i for i in self.sliding if i != point))

    def _width(self, w: Array) -> Array:
        return ON_THE_KINK * np.hypot.reduce(w) * np.hypot.reduce(self.sample.x, axis=1)
