"""The population flow of d > 1 inputs in two variables: c = a^2 - |w|^2 and the direction of w_perp are conserved.

With r = |w|, psi = pi - theta (theta the angle between w and e_1) and G(x) = sin x - x cos x,

    a' = -a r^2 / 2 + r G(psi) / (2 pi)        r' = -a^2 r / 2 + a G(psi) / (2 pi)
    psi' = (a / r) psi sin(psi) / (2 pi).

The state is (x, psi): x = r where c >= 0 (then a = +-sqrt(r^2 + c), which never changes sign), x = a where c < 0 (then
r = sqrt(a^2 - c)). With y the other one of a and r, both read x' = -x y^2 / 2 + y G(psi) / (2 pi). The angle is psi
and not theta because every slow motion is the one past psi = 0, where theta would lose its digits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from theory.losses.formulas import sin_minus_x_cos
from theory.validation import Array

TWO_PI = 2 * np.pi


@dataclass(frozen=True, eq=False)
class Slice:
    """The flow at constant c; every method broadcasts and checks nothing.

    c : float or ndarray, a^2 - |w|^2
    sign_a : float or ndarray, 1.0 or -1.0: the sign of a where c >= 0; not read where c < 0

    Source: ours, the gradient of `theory.losses.formulas` in polar coordinates.
    """

    c: ArrayLike
    sign_a: ArrayLike = 1.0

    def other(self, x: Array) -> Array:
        """Return y: a with its sign where c >= 0, r where c < 0."""
        return np.where(np.less(self.c, 0), 1.0, self.sign_a) * np.hypot(x, np.sqrt(np.abs(self.c)))

    def neuron(self, x: ArrayLike) -> tuple[Array, Array]:
        """Return (a, r)."""
        x = np.asarray(x, float)
        y, swap = self.other(x), np.less(self.c, 0)
        return np.where(swap, x, y), np.where(swap, y, x)

    def velocity(self, x: Array, psi: Array) -> tuple[Array, Array]:
        """Return (x', psi'); at r = 0 the angle has no speed (NaN), but in the limit where c = 0."""
        y, turn = self.other(x), psi * _sin(psi) / TWO_PI
        return y * (sin_minus_x_cos(psi) / TWO_PI - x * y / 2), self._ratio(x, y) * turn

    def jacobian(self, x: Array, psi: Array) -> tuple[tuple[Array, Array], tuple[Array, Array]]:
        """Return ((dx'/dx, dx'/dpsi), (dpsi'/dx, dpsi'/dpsi))."""
        y, (_, r) = self.other(x), self.neuron(x)
        push, turn = sin_minus_x_cos(psi) / TWO_PI, psi * _sin(psi) / TWO_PI
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
        """Return a / r; NaN at r = 0, but in the limit where c = 0."""
        swap = np.less(self.c, 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(swap, x, y) / np.where(swap, y, x)
        return np.where(np.equal(self.c, 0), self.sign_a, np.where(np.isinf(ratio), np.nan, ratio))


def polar_loss(a: Array, r: Array, psi: Array) -> Array:
    """Return the loss of d > 1 inputs from a, r = |w| and psi = pi - theta. Source: `theory.losses.formulas`."""
    theta, ar = np.pi - psi, a * r
    return (ar - 1) ** 2 / 4 + ar * (np.sin(theta / 2) ** 2 - sin_minus_x_cos(np.maximum(theta, 0)) / TWO_PI)


def polar_descent(a: Array, r: Array, psi: Array) -> Array:
    """Return -dL/dt = |dL/da|^2 + |dL/dw|^2 on the flow."""
    push, turn = sin_minus_x_cos(psi) / TWO_PI, psi * _sin(psi) / TWO_PI
    return (r * (a * r / 2 - push)) ** 2 + (a * (a * r / 2 - push)) ** 2 + (a * turn) ** 2


def _sin(psi: Array) -> Array:
    return np.sin(np.minimum(psi, np.pi - psi))  # exactly 0 at pi: theta = 0 is invariant
