"""Theorem A.1: the exact solution of the flow for d = 1, any balance.

As this project reads the theorem: with A = a0 + w0, B = a0 - w0, c = A B, D = sqrt(4 + c^2), S = 2 + D,
e = exp(-C+ D t), f = 1 - e and k = c^2 / S, the flow on w > 0 is a + w = A sqrt(z), a - w = B / sqrt(z) with

    z = (S + B^2 f + k e) / (S e + A^2 f + k):

a fraction of positive terms only, so nothing cancels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory.validation import Array, finite, four_numbers, together

LARGEST = 1e150  # above it c = a^2 - w^2 overflows


def closed_form(
    a0: ArrayLike,
    w0: ArrayLike,
    t: ArrayLike,
    c_plus: float = 0.5,
    c_minus: float = 0.5,
    k_plus: float = 1.0,
    k_minus: float = 0.0,
) -> tuple[Array, Array]:
    """Return the exact (a, w) at time t of the d = 1 gradient flow, any balance.

    Source: Theorem A.1, as this project reads it; fits other than 1 and 0: this project.

    Args:
        a0: array_like, a at the start, |a0| at most 1e150
        w0: array_like, w at the start, |w0| at most 1e150
        t: array_like, times, at least 0; broadcast with the starts
        c_plus: float, at least 0, the second moment of the inputs above 0, as in `theory.Line`; pass `*line.numbers`
            for the `Line` of a sample
        c_minus: the same of the inputs below 0
        k_plus: float, the a |w| that fits the data on w > 0
        k_minus: the same on w < 0

    Returns:
        a, w: ndarray of the broadcast shape. A start with a0 < -w0 < 0 reaches w = 0 in finite time and rests there,
            unless the other side (k_minus < 0) pushes it away from 0. A start with w0 = 0 rests (relu'(0) = 0). Error
            for the population: below 3e-14 max(|a|, |w|) + 1e-150, measured to 330 digits on 26,000 starts with |a0|,
            |w0| from 1e-75 to 1e75 and t up to 1e6; the worst is exp on the separatrix.

    Raises:
        ValueError: a value that is no number, NaN, a negative time, a negative moment, a start beyond 1e150, or shapes
            that do not broadcast.

    Examples:
        >>> a, w = closed_form(1.0, [0.5, -0.5], 1e3)  # the sign of w decides
        >>> (a * w).round(12).tolist()
        [1.0, -0.0]
        >>> closed_form(-1.5, 0.5, [0.0, 1.0])[1].tolist()  # w = 0 is hit in finite time
        [0.5, 0.0]
    """
    a0, w0, t = finite(a0=a0, w0=w0, t=t)
    c_plus, c_minus, k_plus, k_minus = four_numbers(c_plus, c_minus, k_plus, k_minus)
    if (t < 0).any():
        raise ValueError(f"t must be at least 0, got {t.min()}: the flow is solved forwards from its start at time 0")
    refuse_large(a0=a0, w0=w0)
    a0, w0, t = together(a0, w0, t, names=("a0", "w0", "t"))
    out = np.empty((2, a0.size))
    sides = ((1, c_plus, k_plus), (-1, c_minus, k_minus))
    with np.errstate(all="ignore"):  # terms that over- or underflow have no effect on the result
        for (sign, c, k), (_, c_other, k_other) in (sides, sides[::-1]):
            here = w0 > 0 if sign > 0 else w0 <= 0
            a, r, later = _on_side(a0[here], abs(w0[here]), t[here], c, k)
            a, r, sign = _carried_on(a, r, sign, later, c_other, k_other)
            out[:, here.ravel()] = a, sign * r
    return out[0].reshape(a0.shape), out[1].reshape(a0.shape)


def _on_side(a0: Array, r0: Array, t: Array, c: float, k: float) -> tuple[Array, Array, Array]:
    """Follow the flow of the loss c / 2 (a r - k)^2, r = |w|, up to r = 0.

    Returns (a, r, since): `since` is the time since the flow hit r = 0, NaN if it has not.
    """
    if k == 0:
        return *_decaying(a0, r0, c * t), np.full(t.shape, np.nan)
    root = np.sqrt(abs(k))
    sign = np.sign(k)
    ct = c * abs(k) * t  # a = root alpha, r = root rho obey the flow of k = 1 on this clock
    alpha = sign * a0 / root
    rho = r0 / root
    a, r = _fitting(alpha, rho, ct)
    hit = (r0 > 0) & (alpha < -rho) & (r <= 0)
    rests = r0 == 0
    since = np.where(hit, (ct - _time_of_hit(alpha, rho)) / (c * abs(k) or 1.0), np.nan)
    return np.where(rests, a0, sign * root * a), np.where(rests, 0.0, root * r), since


def _carried_on(a: Array, r: Array, sign: int, since: Array, c: float, k: float) -> tuple[Array, Array, Array]:
    """Continue from r = 0 on the other side of the kink, where that side pushes away from it (k a > 0)."""
    over = ~np.isnan(since) & (c * k * a > 0)
    signs = np.where(over, -sign, sign)
    if over.any():
        root = np.sqrt(abs(k))
        on = _fitting(abs(a[over]) / root, np.zeros(over.sum()), c * abs(k) * np.maximum(since[over], 0.0))
        a[over] = np.sign(k) * root * on[0]
        r[over] = root * on[1]
    return a, r, signs


def _time_of_hit(a0: Array, r0: Array) -> Array:
    """Return when a start with a0 < -r0 < 0 hits r = 0, for c = k = 1: where z = B / A, solved for e."""
    difference = (-a0 - r0) * (r0 - a0)
    size = -a0 + r0  # a^2 - r^2 and |B|; |A| = -a0 - r0
    D = np.hypot(2, difference)
    return -np.log1p(-4 * D * r0 / (4 * (size - 2 * r0) + 2 * r0 * (2 + D + difference))) / D


def refuse_large(**starts: Array) -> None:
    """Raise ValueError where a start is beyond 1e150."""
    for name, start in starts.items():
        if (abs(start) > LARGEST).any():
            raise ValueError(
                f"|{name}| must be at most {LARGEST:g}, got {abs(start).max():g}: its square overflows; "
                "divide a0 and w0 by a common factor, which leaves the verdict unchanged"
            )


def _fitting(a0: Array, w0: Array, pt: Array) -> tuple[Array, Array]:
    """Solve for a fit 1, w >= 0, in the coordinates a + w and a - w, whose product c is conserved."""
    A = a0 + w0
    B = a0 - w0
    c = A * B
    D = np.hypot(2, c)
    root_S = np.sqrt(2 + D)
    root_e = np.exp(-D * pt / 2)
    root_f = np.sqrt(-np.expm1(-D * pt))
    root_k = abs(c) / root_S
    # hypot and roots: the squares may underflow
    root_above = np.hypot(np.hypot(root_S, B * root_f), root_k * root_e)
    root_below = np.hypot(np.hypot(root_S * root_e, A * root_f), root_k)
    plus = np.where(A == 0, 0.0, A * root_above / root_below)
    minus = B * root_below / root_above
    # Near the start, z = 1 + gain, a hyperbolic turn by ln(z) / 2 keeps the digits of the smaller of a and w.
    gain = 4 * (root_f / root_below) ** 2 * (1 - a0 * w0)
    cosh = (1 + gain / 2) / np.sqrt(1 + gain)
    sinh = gain / 2 / np.sqrt(1 + gain)
    near = abs(gain) < 0.5
    a = np.where(near, a0 * cosh + w0 * sinh, (plus + minus) / 2)
    w = np.where(near, w0 * cosh + a0 * sinh, (plus - minus) / 2)
    hit = (A < 0) & (w <= 0)  # w has reached 0: at rest on the kink from then on
    return np.where(hit, -np.sqrt(np.maximum(c, 0)), a), np.maximum(w, 0.0)


def _decaying(a0: Array, r0: Array, qt: Array) -> tuple[Array, Array]:
    """Solve for a fit 0: the larger of |a|, r = |w| tends to sqrt(|c|), the smaller to 0."""
    big = np.maximum(abs(a0), r0)
    small = np.minimum(abs(a0), r0)
    c = (big - small) * (big + small)
    x = 2 * c * qt
    # x has no unit, and so has the gain of `_fitting`: they need no scale
    g = np.where(x > 1e-8, -np.expm1(-x) / c, 2 * qt * (1 - x / 2))
    damp = np.hypot(1, small * np.sqrt(g))
    big = big / damp
    small = small * np.exp(-x / 2) / damp
    a_leads = abs(a0) >= r0
    return np.copysign(np.where(a_leads, big, small), a0), np.where(a_leads, small, big)
