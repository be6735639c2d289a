"""Coordinates in which a start is integrated: a balanced start stays balanced exactly.

For every loss of the neuron a dL/da = w.dL/dw, so with sigma = sign(a) the difference b = a - sigma |w| obeys
b' = sigma (dL/da / |w|) b: it never changes sign, and a balanced start (b = 0) stays balanced. Integrating b instead
of a keeps its digits near the separatrix a = -|w|; for b = 0 only w is integrated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from theory.exact.limits import BAND
from theory.losses.formulas import sin_minus_x_cos
from theory.validation import Array

TWO_PI = 2 * np.pi


@dataclass(frozen=True, eq=False)
class Slice:
    """The flow at constant c; every method broadcasts and checks nothing.

    Source: this project; the gradient of `theory.losses.formulas` in polar coordinates.

    Attributes:
        c: float or ndarray, a^2 - |w|^2
        sign_a: float or ndarray, 1.0 or -1.0: the sign of a where c >= 0; not read where c < 0
    """

    c: Any
    sign_a: Any = 1.0

    def other(self, x: Array) -> Array:
        """Return y: a with its sign where c >= 0, r where c < 0."""
        return np.where(np.less(self.c, 0), 1.0, self.sign_a) * np.hypot(x, np.sqrt(np.abs(self.c)))

    def neuron(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return (a, r)."""
        x = np.asarray(x, float)
        y = self.other(x)
        swap = np.less(self.c, 0)
        return np.where(swap, x, y), np.where(swap, y, x)

    def velocity(self, x: Array, psi: Array) -> tuple[Array, Array]:
        """Return (x', psi'); at r = 0 the angle has no speed (NaN), except in the limit where c = 0."""
        y = self.other(x)
        turn = psi * _sin(psi) / TWO_PI
        return y * (sin_minus_x_cos(psi) / TWO_PI - x * y / 2), self._ratio(x, y) * turn

    def jacobian(self, x: Array, psi: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Return ((dx'/dx, dx'/dpsi), (dpsi'/dx, dpsi'/dpsi))."""
        y = self.other(x)
        _, r = self.neuron(x)
        push = sin_minus_x_cos(psi) / TWO_PI
        turn = psi * _sin(psi) / TWO_PI
        with np.errstate(divide="ignore", invalid="ignore"):
            slope = np.where(y != 0, x / y, self.sign_a)
            bend = np.where(np.equal(self.c, 0), 0.0, -turn * self.c / (y * r * r))
        across = self._ratio(x, y) * (_sin(psi) + psi * np.cos(psi)) / TWO_PI
        return (-(y * y / 2 + x * x) + slope * push, y * turn), (bend, across)

    def nullcline(self, psi: ArrayLike) -> Array:
        """Return the x >= 0 at which x' = 0, the root of x y = G(psi) / pi with y > 0."""
        reach = sin_minus_x_cos(psi) / np.pi
        with np.errstate(divide="ignore", invalid="ignore"):
            x = reach * np.sqrt(2 / (np.abs(self.c) + np.hypot(self.c, 2 * reach)))
        return np.where(reach > 0, x, 0.0)

    def _ratio(self, x: Array, y: Array) -> Array:
        """Return a / r; NaN at r = 0, except in the limit where c = 0."""
        swap = np.less(self.c, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(swap, x, y) / np.where(swap, y, x)
        return np.where(np.equal(self.c, 0), self.sign_a, np.where(np.isinf(ratio), np.nan, ratio))


def polar_loss(a: Array, r: Array, psi: Array) -> Array:
    """Return the loss of d > 1 inputs from a, r = |w| and psi = pi - theta.

    Source: `theory.losses.formulas`.
    """
    theta = np.pi - psi
    ar = a * r
    return (ar - 1) ** 2 / 4 + ar * (np.sin(theta / 2) ** 2 - sin_minus_x_cos(np.maximum(theta, 0)) / TWO_PI)


def polar_descent(a: Array, r: Array, psi: Array) -> Array:
    """Return -dL/dt = |dL/da|^2 + |dL/dw|^2 on the flow."""
    push = sin_minus_x_cos(psi) / TWO_PI
    turn = psi * _sin(psi) / TWO_PI
    return (r * (a * r / 2 - push)) ** 2 + (a * (a * r / 2 - push)) ** 2 + (a * turn) ** 2


def _sin(psi: Array) -> Array:
    return np.sin(np.minimum(psi, np.pi - psi))  # exactly 0 at pi: theta = 0 is invariant


SMALL_BALANCE = 0.5  # b is integrated instead of a where |b| is at most this share of |w|


@dataclass(frozen=True)
class Coordinates:
    """State y = w (balanced), (b, w) (nearly balanced) or (a, w); a = b + sigma |w|.

    Attributes:
        sigma: sign of a0 where the start is balanced or nearly so, else 0
        balanced: b = 0 for ever
        b0: float, the start's b
    """

    sigma: float
    balanced: bool
    b0: float

    @classmethod
    def of(cls, a0: float, w0: Array) -> Coordinates:
        """Return the coordinates for a start; it is balanced up to a relative 1e-12, |w0| being rounded."""
        r0 = float(np.hypot.reduce(w0))
        b0 = abs(a0) - r0
        sigma = float(np.sign(a0))
        if r0 == 0 or abs(b0) > SMALL_BALANCE * r0:
            return cls.plain(a0)
        return cls(sigma, abs(b0) <= BAND * r0, sigma * b0)

    @classmethod
    def plain(cls, a0: float) -> Coordinates:
        """Return the coordinates y = (a, w), which do not use the balance."""
        return cls(0.0, False, a0)

    def state(self, a: float, w: Array) -> Array:
        """Return y."""
        return w if self.balanced else np.array([a - self.sigma * np.hypot.reduce(w), *w])

    def point(self, y: Array) -> tuple[float, Array]:
        """Return (a, w)."""
        w = y if self.balanced else y[1:]
        r = self.sigma * float(np.hypot.reduce(w)) if self.sigma else 0.0
        return (r if self.balanced else float(y[0]) + r), w

    def points(self, y: Array) -> tuple[Array, Array]:
        """Return (a (n,), w (n, m)) of states y, shape (size, n)."""
        w = (y if self.balanced else y[1:]).T
        r: Any = self.sigma * np.sqrt(np.einsum("ij,ij->i", w, w)) if self.sigma else 0.0
        return (r if self.balanced else y[0] + r), w

    def velocity(self, y: Array, da: float | Array, dw: Array) -> Array:
        """Return dy/dt from the gradient (dL/da, dL/dw) at y."""
        if self.balanced:
            return -dw
        if not self.sigma:
            return np.array([-da, *-dw])
        r = float(np.hypot.reduce(y[1:]))
        return np.array([self.sigma * (da / r) * y[0] if r > 0 else 0.0, *-dw])

    def tolerance(self, rtol: float, atol: float, least: float, size: int, radius: float) -> Array:
        """Return the absolute tolerance of y, shape (size,), at |w| = radius.

        With it, small w keep their digits and b keeps its sign.

        None lies below `least`.
        """
        out = np.full(size, max(min(atol, 10 * rtol * radius), least) if radius > 0 else atol)
        if not self.balanced:
            out[0] = max(min(atol, rtol * abs(self.b0)), least) if self.sigma else atol
        return out
