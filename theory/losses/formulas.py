"""The neuron f(x) = a relu(w.x), its losses for the target relu(x_1), and their gradients.

The loss is half the mean squared error; the gradient flow is the negative of the gradients below.
With r = |w|, theta the angle between w and e_1, psi = pi - theta and G(x) = sin x - x cos x, the population
x ~ N(0, I_d) has

    L = a^2 r^2 / 4 - a r G(psi) / (2 pi) + 1/4 = (a r - 1)^2 / 4 + a r (2 pi sin^2(theta / 2) - G(theta)) / (2 pi).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import Array, finite, four_numbers, neuron, together

# G(x) = sum of (-1)^(k+1) 2k / (2k+1)! x^(2k+1). Below SERIES_BELOW the difference sin x - x cos x has lost
# a digit and a half, and six terms leave a relative 2e-18.
SERIES = (1 / 3, -1 / 30, 1 / 840, -1 / 45360, 1 / 3991680, -1 / 518918400)
SERIES_BELOW = 0.25


def sin_minus_x_cos(x: ArrayLike) -> Array:
    """Return G(x) = sin x - x cos x for array_like 0 <= x <= pi, to a relative 1e-14.

    Source: this project (Taylor series near 0).
    """
    x = np.asarray(x, float)
    series = x**3 * np.polynomial.polynomial.polyval(x * x, SERIES)
    return np.where(x < SERIES_BELOW, series, np.sin(x) - x * np.cos(x))


def gradient_1d(
    a: ArrayLike,
    w: ArrayLike,
    c_plus: float = 0.5,
    c_minus: float = 0.5,
    k_plus: float = 1.0,
    k_minus: float = 0.0,
) -> tuple[Array, Array]:
    """Return (dL/da, dL/dw) for d = 1.

    Source: the loss of section 2 with d = 1; fits other than 1 and 0: this project.

    Args:
        a: array_like, broadcast with w
        w: array_like
        c_plus: float, C+ = E[x^2 1{x > 0}], at least 0; 1/2 for N(0, 1)
        c_minus: float, C- = E[x^2 1{x < 0}], at least 0; 1/2 for N(0, 1)
        k_plus: float, the a |w| that fits the data on w > 0; 1 for the target relu(x)
        k_minus: float, the same on w < 0; 0 for the target relu(x)

    Returns:
        da, dw: ndarray of the broadcast shape. At w = 0 both are 0: relu'(0) = 0.

    Raises:
        ValueError: a value that is no number, NaN, infinity, a negative moment, or shapes that do not broadcast.
    """
    a, w = together(*finite(a=a, w=w), names=("a", "w"))
    return _gradient_1d(a, w, *four_numbers(c_plus, c_minus, k_plus, k_minus))


def _gradient_1d(
    a: Array, w: Array, c_plus: float, c_minus: float, k_plus: float, k_minus: float
) -> tuple[Array, Array]:
    up = side_gradient(1, a, w, c_plus, k_plus)
    down = side_gradient(-1, a, w, c_minus, k_minus)
    da, dw = np.where(w > 0, up[0], down[0]), np.where(w > 0, up[1], down[1])
    return np.where(w == 0, 0.0, da), np.where(w == 0, 0.0, dw)


def side_gradient(side: int, a: float | Array, w: Array, c: float, k: float) -> tuple[Array, Array]:
    """Return the gradient of c / 2 (a |w| - k)^2 on one side of w = 0, continued smoothly across it.

    Args:
        side: 1 for w > 0, -1 for w < 0
        a: ndarray, broadcast with w; unchecked: this runs in the inner loop of `integrate`
        w: ndarray, unchecked
        c: float, the second moment of that side
        k: float, the fit of that side
    """
    slope = c * (a * (side * w) - k)
    return slope * (side * w), slope * (side * a)


def loss_1d(
    a: ArrayLike,
    w: ArrayLike,
    c_plus: float = 0.5,
    c_minus: float = 0.5,
    k_plus: float = 1.0,
    k_minus: float = 0.0,
) -> Array:
    """Return the loss for d = 1.

    It is C+ (a w - k+)^2 / 2 + C- k-^2 / 2 for w > 0, else C- (a |w| - k-)^2 / 2 + C+ k+^2 / 2.

    Parameters, errors and source as in `gradient_1d`.
    """
    a, w = together(*finite(a=a, w=w), names=("a", "w"))
    return _loss_1d(a, w, *four_numbers(c_plus, c_minus, k_plus, k_minus))


def _loss_1d(a: Array, w: Array, c_plus: float, c_minus: float, k_plus: float, k_minus: float) -> Array:
    up = c_plus * (a * w - k_plus) ** 2 + c_minus * k_minus**2
    return np.where(w > 0, up, c_minus * (a * abs(w) - k_minus) ** 2 + c_plus * k_plus**2) / 2


def split(w: Array) -> tuple[Array, Array, Array]:
    """Return (w_1, |w_perp|, |w|) of w, shape (..., d): free of over- and underflow."""
    along = w[..., 0]
    across = np.hypot.reduce(w[..., 1:], axis=-1)
    return along, across, np.hypot(along, across)


def population_loss(a: ArrayLike, w: ArrayLike) -> Array:
    """Return the population loss of x ~ N(0, I_d), shape (...).

    Source: section 2; the formula is checked by `theory.check("population")`.

    Args:
        a: array_like, shape (...)
        w: array_like, shape (..., d), d >= 1; the leading shapes broadcast

    Raises:
        ValueError: a value that is no number, NaN, infinity, or shapes that do not match.

    Examples:
        >>> float(population_loss(0.5, [2.0, 0.0]))  # a |w| = 1 along e_1: learned
        0.0
        >>> population_loss([1.0, -1.0], [[0.0, 0.0], [-1.0, 0.0]]).tolist()  # dead, and opposite
        [0.25, 0.5]
    """
    return _population_loss(*neuron(*finite(a=a, w=w)))


def _population_loss(a: Array, w: Array) -> Array:
    along, across, r = split(w)
    theta = np.arctan2(across, along)
    ar = a * r
    return (ar - 1) ** 2 / 4 + ar * (np.sin(theta / 2) ** 2 - sin_minus_x_cos(theta) / (2 * np.pi))


def population_gradient(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Return the gradient of the population loss: dL/da of shape (...) and dL/dw of shape (..., d).

    The flow is its negative.

    At w = 0 both are 0: relu'(0) = 0.

    Source: derived by this project, checked by `theory.check("population")`.

    Args:
        a: array_like, shape (...)
        w: array_like, shape (..., d), d >= 1; the leading shapes broadcast

    Raises:
        ValueError: a value that is no number, NaN, infinity, or shapes that do not match.
    """
    return _population_gradient(*neuron(*finite(a=a, w=w)))


def _population_gradient(a: Array, w: Array) -> tuple[Array, Array]:
    along, across, r = split(w)
    psi = np.arctan2(across, -along)  # pi - theta without cancellation
    alive = np.where(r > 0, r, 1.0)
    push = (w / alive[..., None]) * (across / alive)[..., None]
    push[..., 0] += psi
    da = a * r * r / 2 - r * sin_minus_x_cos(psi) / (2 * np.pi)
    dw = (a * a / 2)[..., None] * w - (a / (2 * np.pi))[..., None] * push
    return da, np.where((r > 0)[..., None], dw, 0.0)
