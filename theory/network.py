"""The neuron f(x) = a relu(w.x), its losses for the target relu(x_1), and their gradients.

The loss is half the mean squared error; the gradient flow is the negative of the gradients below.
With r = |w|, theta the angle between w and e_1, psi = pi - theta and G(x) = sin x - x cos x, the population
x ~ N(0, I_d) has

    L = a^2 r^2 / 4 - a r G(psi) / (2 pi) + 1/4 = (a r - 1)^2 / 4 + a r (2 pi sin^2(theta / 2) - G(theta)) / (2 pi).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

# G(x) = sum of (-1)^(k+1) 2k / (2k+1)! x^(2k+1). Below SERIES_BELOW the difference sin x - x cos x has lost
# a digit and a half, and six terms leave a relative 2e-18.
SERIES = (1 / 3, -1 / 30, 1 / 840, -1 / 45360, 1 / 3991680, -1 / 518918400)
SERIES_BELOW = 0.25


def sin_minus_x_cos(x: ArrayLike) -> Array:
    """Return G(x) = sin x - x cos x for 0 <= x <= pi, to full relative precision near 0."""
    x = np.asarray(x, float)
    series = x**3 * np.polynomial.polynomial.polyval(x * x, SERIES)
    return np.where(x < SERIES_BELOW, series, np.sin(x) - x * np.cos(x))


def gradient_1d(a: ArrayLike, w: ArrayLike, c_plus: float = 0.5, c_minus: float = 0.5) -> tuple[Array, Array]:
    """Return (dL/da, dL/dw) for d = 1.

    Parameters
    ----------
    a, w : array_like, broadcast together
    c_plus, c_minus : float, C+ = E[x^2 1{x > 0}] and C- = E[x^2 1{x < 0}], at least 0; 1/2 each for N(0, 1)

    At w = 0 both are 0: relu'(0) = 0.
    """
    a, w = np.broadcast_arrays(np.asarray(a, float), np.asarray(w, float))
    up, down = branch_gradient(1, a, w, c_plus, c_minus), branch_gradient(-1, a, w, c_plus, c_minus)
    return np.where(w > 0, up[0], down[0]), np.where(w > 0, up[1], down[1])


def branch_gradient(side: int, a: Array, w: Array, c_plus: float = 0.5, c_minus: float = 0.5) -> tuple[Array, Array]:
    """Return the d = 1 gradient of one side of the kink (side 1: w > 0, -1: w < 0), continued smoothly across w = 0."""
    if side > 0:
        slope = c_plus * (a * w - 1)
        return slope * w, slope * a
    slope = c_minus * a * w
    return slope * w, slope * a


def loss_1d(a: ArrayLike, w: ArrayLike, c_plus: float = 0.5, c_minus: float = 0.5) -> Array:
    """Return the d = 1 loss: C+ (a w - 1)^2 / 2 for w > 0, else (C- a^2 w^2 + C+) / 2."""
    a, w = np.asarray(a, float), np.asarray(w, float)
    return np.where(w > 0, c_plus * (a * w - 1) ** 2, c_minus * (a * w) ** 2 + c_plus) / 2


def split(w: Array) -> tuple[Array, Array, Array]:
    """Return (w_1, |w_perp|, |w|) of w, shape (..., d): free of over- and underflow."""
    along, across = w[..., 0], np.hypot.reduce(w[..., 1:], axis=-1)
    return along, across, np.hypot(along, across)


def population_loss(a: ArrayLike, w: ArrayLike) -> Array:
    """Return the population loss of x ~ N(0, I_d), shape (...).

    Parameters
    ----------
    a : array_like, shape (...)
    w : array_like, shape (..., d), d >= 1
    """
    a, w = neuron(a, w)
    along, across, r = split(w)
    theta, ar = np.arctan2(across, along), a * r
    return (ar - 1) ** 2 / 4 + ar * (np.sin(theta / 2) ** 2 - sin_minus_x_cos(theta) / (2 * np.pi))


def population_gradient(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Return (dL/da of shape (...), dL/dw of shape (..., d)) of the population loss; the flow is their negative.

    Parameters
    ----------
    a : array_like, shape (...)
    w : array_like, shape (..., d), d >= 1

    At w = 0 both are 0: relu'(0) = 0.
    """
    a, w = neuron(a, w)
    along, across, r = split(w)
    psi = np.arctan2(across, -along)  # pi - theta without cancellation
    alive = np.where(r > 0, r, 1.0)
    push = (w / alive[..., None]) * (across / alive)[..., None]
    push[..., 0] += psi
    da = a * r * r / 2 - r * sin_minus_x_cos(psi) / (2 * np.pi)
    dw = (a * a / 2)[..., None] * w - (a / (2 * np.pi))[..., None] * push
    return da, np.where((r > 0)[..., None], dw, 0.0)


def neuron(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Return a, shape (...), and w, shape (..., d), broadcast together as floats.

    Raises
    ------
    ValueError: w has no last axis of length d >= 1, or the leading shapes do not broadcast.
    """
    a, w = np.asarray(a, float), np.asarray(w, float)
    if w.ndim == 0 or w.shape[-1] == 0:
        raise ValueError(f"w must have shape (..., d) with d >= 1, got {w.shape}: for d = 1 pass w[..., None]")
    try:
        shape = np.broadcast_shapes(a.shape, w.shape[:-1])
    except ValueError:
        raise ValueError(
            f"a {a.shape} and w {w.shape} do not match: w needs the shape of a and a last axis of length d"
        ) from None
    return np.broadcast_to(a, shape), np.broadcast_to(w, (*shape, w.shape[-1]))


def finite(**arrays: ArrayLike) -> tuple[Array, ...]:
    """Return the named values as float arrays.

    Raises
    ------
    ValueError: one of them holds NaN or infinity.
    """
    out = tuple(np.asarray(value, float) for value in arrays.values())
    for name, value in zip(arrays, out, strict=True):
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} must be finite, got {value[~np.isfinite(value)].flat[0]}: remove such starts first"
            )
    return out


@dataclass(frozen=True)
class Population:
    """The population x ~ N(0, I_d) as a loss: what `theory.integrate` takes.

    d : int, number of inputs, at least 1
    """

    d: int

    def __post_init__(self):
        """Refuse a dimension that is no whole number of inputs."""
        if self.d != int(self.d) or self.d < 1:
            raise ValueError(f"d must be a whole number of inputs, at least 1, got {self.d}")

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        return population_loss(a, self._vectors(w))

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., d)."""
        return population_gradient(a, self._vectors(w))

    def branch(self, side: int) -> Callable[[Array, Array], tuple[Array, Array]]:
        """Return the gradient in (a, w_1) on the axis w_perp = 0: the side's smooth extension across w_1 = 0."""
        return lambda a, w: branch_gradient(side, a, w)

    def _vectors(self, w: ArrayLike) -> Array:
        w = np.asarray(w, float)
        if w.ndim == 0 or w.shape[-1] != self.d:
            raise ValueError(f"w must have shape (..., {self.d}) for Population({self.d}), got {w.shape}")
        return w


@dataclass(frozen=True)
class Line:
    """One input (d = 1) of any distribution, known by its half moments, as a loss for `theory.integrate`.

    c_plus, c_minus : float, C+ = E[x^2 1{x > 0}] and C- = E[x^2 1{x < 0}], at least 0
    """

    c_plus: float = 0.5
    c_minus: float = 0.5
    d = 1

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., 1)."""
        return loss_1d(a, np.asarray(w, float)[..., 0], self.c_plus, self.c_minus)

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., 1)."""
        da, dw = gradient_1d(a, np.asarray(w, float)[..., 0], self.c_plus, self.c_minus)
        return da, dw[..., None]

    def branch(self, side: int) -> Callable[[Array, Array], tuple[Array, Array]]:
        """Return the gradient in (a, w) of one side, continued smoothly across w = 0."""
        return lambda a, w: branch_gradient(side, a, w, self.c_plus, self.c_minus)
