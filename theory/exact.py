"""Exact solutions for d = 1, exact limits and basins for every d.

Theorem A.1 (our reading). With A = a0 + w0, B = a0 - w0, c = A B, D = sqrt(4 + c^2), S = 2 + D,
e = exp(-C+ D t), f = 1 - e and k = c^2 / S, the flow on w > 0 is a + w = A sqrt(z), a - w = B / sqrt(z) with

    z = (S + B^2 f + k e) / (S e + A^2 f + k):

a fraction of positive terms only, so nothing cancels.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.network import Array, finite, moment, neuron, split, together

FAILS, LEARNS, SEPARATRIX = 0, 1, 2
VERDICTS = ("fails", "learns", "separatrix")  # the word of each code
BAND = 1e-12  # |w| is rounded, so "on the separatrix" is a relative band
LARGEST = 1e150  # above it c = a^2 - w^2 overflows


@dataclass(frozen=True)
class Limit:
    """Where a trajectory ends.

    a : float
    w : float, or ndarray of shape (d,) if the start was a vector
    verdict : `learns`, `fails` or `separatrix` (on the stable manifold of the origin: does not learn)
    """

    a: float
    w: float | Array
    verdict: str


def closed_form(
    a0: ArrayLike, w0: ArrayLike, t: ArrayLike, c_plus: float = 0.5, c_minus: float = 0.5
) -> tuple[Array, Array]:
    """Return the exact (a, w) at time t of the d = 1 gradient flow, any balance.

    Parameters
    ----------
    a0, w0 : array_like, the start, |a0| and |w0| at most 1e150
    t : array_like, times, at least 0; broadcast with the starts
    c_plus, c_minus : float, C+ = E[x^2 1{x > 0}] and C- = E[x^2 1{x < 0}], at least 0

    Returns
    -------
    a, w : ndarray of the broadcast shape. A start with a0 < -w0 < 0 reaches w = 0 in finite time and rests there.
        A start with w0 = 0 rests (relu'(0) = 0). Error: below 3e-14 max(|a|, |w|) + 1e-150, measured to 330 digits
        on 26,000 starts with |a0|, |w0| from 1e-75 to 1e75 and t up to 1e6; the worst is exp on the separatrix.

    Raises
    ------
    ValueError: no numbers, NaN, a negative time, a moment that is negative or no number, a start beyond 1e150, or
        shapes that do not broadcast.

    Source: Theorem A.1, our reading.

    Examples
    --------
    >>> a, w = closed_form(1.0, [0.5, -0.5], 1e3)  # the sign of w decides
    >>> (a * w).round(12).tolist()
    [1.0, -0.0]
    >>> closed_form(-1.5, 0.5, [0.0, 1.0])[1].tolist()  # w = 0 is hit in finite time
    [0.5, 0.0]
    """
    a0, w0, t = finite(a0=a0, w0=w0, t=t)
    c_plus, c_minus = moment("c_plus", c_plus), moment("c_minus", c_minus)
    if (t < 0).any():
        raise ValueError(f"t must be at least 0, got {t.min()}: the flow is solved forwards from its start at time 0")
    _refuse_large(a0=a0, w0=w0)
    a0, w0, t = together(a0, w0, t, names=("a0", "w0", "t"))
    out = np.empty((2, a0.size))
    with np.errstate(all="ignore"):  # what over- and underflows has no weight there
        for solve, rate, side in ((_above, c_plus, w0 > 0), (_below, c_minus, w0 <= 0)):
            out[:, side.ravel()] = solve(a0[side], w0[side], rate * t[side])
    return out[0].reshape(a0.shape), out[1].reshape(a0.shape)


def _refuse_large(**starts: Array) -> None:
    for name, start in starts.items():
        if (abs(start) > LARGEST).any():
            raise ValueError(
                f"|{name}| must be at most {LARGEST:g}, got {abs(start).max():g}: its square overflows; "
                "a verdict stays the same if a0 and w0 are divided by a common factor"
            )


def _above(a0: Array, w0: Array, pt: Array) -> tuple[Array, Array]:
    """Solve on w > 0 in the coordinates a + w and a - w, whose product c is conserved."""
    A, B = a0 + w0, a0 - w0
    c = A * B
    D = np.hypot(2, c)
    root_S, root_e, root_f = np.sqrt(2 + D), np.exp(-D * pt / 2), np.sqrt(-np.expm1(-D * pt))
    root_k = abs(c) / root_S
    # hypot and roots: the squares may underflow
    root_above = np.hypot(np.hypot(root_S, B * root_f), root_k * root_e)
    root_below = np.hypot(np.hypot(root_S * root_e, A * root_f), root_k)
    plus = np.where(A == 0, 0.0, A * root_above / root_below)
    minus = B * root_below / root_above
    # Near the start, z = 1 + gain, a hyperbolic turn by ln(z) / 2 keeps the digits of the smaller of a and w.
    gain = 4 * (root_f / root_below) ** 2 * (1 - a0 * w0)
    cosh, sinh = (1 + gain / 2) / np.sqrt(1 + gain), gain / 2 / np.sqrt(1 + gain)
    near = abs(gain) < 0.5
    a = np.where(near, a0 * cosh + w0 * sinh, (plus + minus) / 2)
    w = np.where(near, w0 * cosh + a0 * sinh, (plus - minus) / 2)
    hit = (A < 0) & (w <= 0)  # w has reached 0: at rest on the kink from then on
    return np.where(hit, -np.sqrt(np.maximum(c, 0)), a), np.maximum(w, 0.0)


def _below(a0: Array, w0: Array, qt: Array) -> tuple[Array, Array]:
    """Solve on w <= 0: the larger of |a|, |w| tends to sqrt(|c|), the smaller to 0."""
    big, small = np.maximum(abs(a0), abs(w0)), np.minimum(abs(a0), abs(w0))
    c = (big - small) * (big + small)
    x = 2 * c * qt
    g = np.where(x > 1e-8, -np.expm1(-x) / c, 2 * qt * (1 - x / 2))
    damp = np.hypot(1, small * np.sqrt(g))
    big, small = big / damp, small * np.exp(-x / 2) / damp
    a_leads = abs(a0) >= abs(w0)
    return np.copysign(np.where(a_leads, big, small), a0), -np.where(a_leads, small, big)


def verdicts(a0: ArrayLike, w0: ArrayLike) -> NDArray[np.int8]:
    """Return the exact verdict of each start: 0 fails, 1 learns, 2 separatrix.

    Parameters
    ----------
    a0 : array_like, shape (...), |a0| at most 1e150
    w0 : array_like, shape (...) for d = 1, or (..., d) (one axis more than a0) for the population of d inputs; every
        entry at most 1e150 in size

    Returns
    -------
    int8 ndarray, shape (...); the words are in `theory.exact.VERDICTS`

    Raises
    ------
    ValueError: no numbers, NaN, infinity, a start beyond 1e150, or shapes that do not match.

    A start learns iff a0 > -|w0| and w0 is neither 0 nor on the ray -e_1, for any balance.
    A start with a0 < 0 within a relative 1e-12 of -|w0| counts as balanced, |w0| being rounded: it is `separatrix` for
    d = 1 and w0 > 0 (the stable manifold of the origin); for d > 1 it `fails` (Lemma 2.2: a never changes sign, so
    L >= 1/4 for ever).
    On the ray -e_1 the verdict is always `fails`.

    Source: Theorem 2.1 and Lemma 2.2 for balanced starts; any other balance is ours (`theory.check("basin")`).
    """
    a0, u, v, r, d = _start(a0, w0)
    balanced = (a0 < 0) & (abs(a0 + r) <= BAND * r)
    codes = np.where(((u > 0) | (v > 0)) & (a0 > -r) & ~balanced, LEARNS, FAILS)
    return np.where((u > 0) & balanced, SEPARATRIX if d == 1 else FAILS, codes).astype(np.int8)


def learns(a0: ArrayLike, w0: ArrayLike) -> NDArray[np.bool_]:
    """Return whether each start learns, bool ndarray, shape (...).

    Parameters, rule, errors and source as in `verdicts`; a separatrix start does not learn.
    """
    return verdicts(a0, w0) == LEARNS


def limits(a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array, NDArray[np.int8]]:
    """Return the exact limits (a, w, verdict codes) of many starts.

    Parameters, rule, errors and source as in `verdicts`; a has the shape of a0, w that of w0.

    Learning: a w_1 = 1, w_perp = 0, a^2 = (D + c) / 2. Failing: w = 0 and a = sign(a0) sqrt(c), or on the ray -e_1 with
    c < 0: a = 0 and w_1 = -sqrt(-c). Separatrix: the origin.
    """
    codes = verdicts(a0, w0)
    a0, u, v, r, d = _start(a0, w0)
    balanced = ((u > 0) | (v > 0)) & (abs(a0 + r) <= BAND * r)
    difference = np.where(balanced, 0, abs(a0) - r)
    root = np.sqrt(abs(difference)) * np.sqrt(abs(a0) + r)  # sqrt(|c|), free of overflow
    with np.errstate(over="ignore", under="ignore"):
        big = np.hypot(root, np.sqrt(2 / (np.hypot(2, root * root) + root * root)))
    a_leads, success = difference >= 0, codes == LEARNS
    a = np.where(success, np.where(a_leads, big, 1 / big), np.where(a_leads, np.copysign(root, a0), 0))
    along = np.where(success, np.where(a_leads, 1 / big, big), np.where(a_leads, 0, -root))
    w = along if np.ndim(w0) == a.ndim else along[..., None] * np.eye(1, d)[0]
    return np.where(r > 0, a, a0) + 0.0, w + 0.0, codes  # w = 0 rests; + 0.0: no negative zeros


def limit(a0: float, w0: ArrayLike) -> Limit:
    """Return the exact limit of one start of the gradient flow.

    Parameters
    ----------
    a0 : float, |a0| at most 1e150
    w0 : float (d = 1) or array_like of shape (d,) (the population of d inputs), entries at most 1e150 in size

    Returns
    -------
    Limit : see `verdicts` for the rule and `limits` for the point. Balanced a0 < 0 (a0 = -|w0| up to a relative 1e-12):
        `separatrix` for d = 1, w0 > 0; `fails` for d > 1, with limit 0.

    Raises
    ------
    ValueError: a0 is no scalar, w0 no scalar or vector, or one of them is no number, not finite or beyond 1e150.

    Source: Theorem 2.1 and Lemma 2.2 for balanced starts; any other balance is ours.

    Examples
    --------
    >>> limit(1.0, 1.0)
    Limit(a=1.0, w=1.0, verdict='learns')
    >>> limit(-1.0, 1.0).verdict  # d = 1: on the stable manifold of the origin
    'separatrix'
    >>> limit(0.5, [-0.3, 0.4]).verdict  # d > 1: the second input carries w over to the target's side
    'learns'
    """
    a0, w0 = finite(a0=a0, w0=w0)
    if a0.ndim != 0 or w0.ndim > 1:
        raise ValueError(
            f"limit takes one start, a0 a number and w0 a number or (d,), got {a0.shape} and {w0.shape}: "
            "use limits() or learns() for many"
        )
    a, w, code = limits(a0, w0)
    return Limit(float(a), float(w) if w.ndim == 0 else w, VERDICTS[int(code)])


def _start(a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array, Array, Array, int]:
    """Return a0, w_1, |w_perp|, |w| and d; one axis fewer than w0 means vectors."""
    a0, w0 = finite(a0=a0, w0=w0)
    _refuse_large(a0=a0, w0=w0)
    if w0.ndim == a0.ndim:
        w0 = w0[..., None]
    if w0.ndim != a0.ndim + 1:
        raise ValueError(f"w0 must have the shape of a0 (d = 1) or one axis more, got a0 {a0.shape} and w0 {w0.shape}")
    a0, w0 = neuron(a0, w0)
    return a0, *split(w0), w0.shape[-1]


def known(what: str, name: str, names: tuple[str, ...]) -> None:
    """Raise ValueError unless name is one of names; the message lists them, nearest first."""
    if name not in names:
        from difflib import SequenceMatcher

        order = sorted(names, key=lambda other: -SequenceMatcher(None, str(name).lower(), other.lower()).ratio())
        raise ValueError(f"unknown {what} {name!r}: did you mean {order[0]!r}? Known: {', '.join(order)}")
