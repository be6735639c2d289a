"""Exact solutions for d = 1, exact limits and basins for every d.

Theorem A.1 (our reading). With A = a0 + w0, B = a0 - w0, c = A B, D = sqrt(4 + c^2), S = 2 + D,
e = exp(-C+ D t), f = 1 - e and k = c^2 / S, the flow on w > 0 is a + w = A sqrt(z), a - w = B / sqrt(z) with

    z = (S + B^2 f + k e) / (S e + A^2 f + k):

a fraction of positive terms only, so nothing cancels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.network import Array, finite, four_numbers, neuron, split, together

if TYPE_CHECKING:
    from theory.losses import Loss

FAILS, LEARNS, SEPARATRIX = 0, 1, 2
_HIT = 3  # w = 0 is reached in finite time: what follows depends on the other side
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
    a0: ArrayLike,
    w0: ArrayLike,
    t: ArrayLike,
    c_plus: float = 0.5,
    c_minus: float = 0.5,
    k_plus: float = 1.0,
    k_minus: float = 0.0,
) -> tuple[Array, Array]:
    """Return the exact (a, w) at time t of the d = 1 gradient flow, any balance.

    Parameters
    ----------
    a0, w0 : array_like, the start, |a0| and |w0| at most 1e150
    t : array_like, times, at least 0; broadcast with the starts
    c_plus, c_minus, k_plus, k_minus : float, the loss, as in `theory.Line`: second moments, at least 0, and fits; pass
        `*line.numbers` for the `Line` of a sample

    Returns
    -------
    a, w : ndarray of the broadcast shape. A start with a0 < -w0 < 0 reaches w = 0 in finite time and rests there,
        unless the other side (k_minus < 0) carries it on. A start with w0 = 0 rests (relu'(0) = 0). Error for the
        population: below 3e-14 max(|a|, |w|) + 1e-150, measured to 330 digits on 26,000 starts with |a0|, |w0| from
        1e-75 to 1e75 and t up to 1e6; the worst is exp on the separatrix.

    Raises
    ------
    ValueError: no numbers, NaN, a negative time, a moment that is negative or no number, a start beyond 1e150, or
        shapes that do not broadcast.

    Source: Theorem A.1, our reading; other fits than 1 and 0 are ours.

    Examples
    --------
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
    _refuse_large(a0=a0, w0=w0)
    a0, w0, t = together(a0, w0, t, names=("a0", "w0", "t"))
    out = np.empty((2, a0.size))
    sides = ((1, c_plus, k_plus), (-1, c_minus, k_minus))
    with np.errstate(all="ignore"):  # what over- and underflows has no weight there
        for (sign, c, k), (_, c_other, k_other) in (sides, sides[::-1]):
            here = w0 > 0 if sign > 0 else w0 <= 0
            a, r, later = _on_side(a0[here], abs(w0[here]), t[here], c, k)
            a, r, sign = _carried_on(a, r, sign, later, c_other, k_other)
            out[:, here.ravel()] = a, sign * r
    return out[0].reshape(a0.shape), out[1].reshape(a0.shape)


def _on_side(a0: Array, r0: Array, t: Array, c: float, k: float) -> tuple[Array, Array, Array]:
    """Follow the flow of c / 2 (a r - k)^2, r = |w|: (a, r), and the time since it hit r = 0 (NaN if it has not)."""
    if k == 0:
        return *_decaying(a0, r0, c * t), np.full(t.shape, np.nan)
    root, sign = np.sqrt(abs(k)), np.sign(k)
    ct = c * abs(k) * t  # a = root alpha, r = root rho obey the flow of k = 1 on this clock
    alpha, rho = sign * a0 / root, r0 / root
    a, r = _fitting(alpha, rho, ct)
    hit = (r0 > 0) & (alpha < -rho) & (r <= 0)
    rests = r0 == 0
    since = np.where(hit, (ct - _time_of_hit(alpha, rho)) / (c * abs(k) or 1.0), np.nan)
    return np.where(rests, a0, sign * root * a), np.where(rests, 0.0, root * r), since


def _carried_on(a: Array, r: Array, sign: int, since: Array, c: float, k: float) -> tuple[Array, Array, Array]:
    """Go on from r = 0 on the other side of the kink, where that side pushes away from it (k a > 0)."""
    over = ~np.isnan(since) & (c * k * a > 0)
    signs = np.where(over, -sign, sign)
    if over.any():
        root = np.sqrt(abs(k))
        on = _fitting(abs(a[over]) / root, np.zeros(over.sum()), c * abs(k) * np.maximum(since[over], 0.0))
        a[over], r[over] = np.sign(k) * root * on[0], root * on[1]
    return a, r, signs


def _time_of_hit(a0: Array, r0: Array) -> Array:
    """Return when a start with a0 < -r0 < 0 hits r = 0, for c = k = 1: where z = B / A, solved for e."""
    difference, size = (-a0 - r0) * (r0 - a0), -a0 + r0  # a^2 - r^2 and |B|; |A| = -a0 - r0
    D = np.hypot(2, difference)
    return -np.log1p(-4 * D * r0 / (4 * (size - 2 * r0) + 2 * r0 * (2 + D + difference))) / D


def _refuse_large(**starts: Array) -> None:
    for name, start in starts.items():
        if (abs(start) > LARGEST).any():
            raise ValueError(
                f"|{name}| must be at most {LARGEST:g}, got {abs(start).max():g}: its square overflows; "
                "a verdict stays the same if a0 and w0 are divided by a common factor"
            )


def _fitting(a0: Array, w0: Array, pt: Array) -> tuple[Array, Array]:
    """Solve for a fit 1, w >= 0, in the coordinates a + w and a - w, whose product c is conserved."""
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


def _decaying(a0: Array, r0: Array, qt: Array) -> tuple[Array, Array]:
    """Solve for a fit 0: the larger of |a|, r = |w| tends to sqrt(|c|), the smaller to 0."""
    big, small = np.maximum(abs(a0), r0), np.minimum(abs(a0), r0)
    c = (big - small) * (big + small)
    x = 2 * c * qt
    g = np.where(x > 1e-8, -np.expm1(-x) / c, 2 * qt * (1 - x / 2))
    damp = np.hypot(1, small * np.sqrt(g))
    big, small = big / damp, small * np.exp(-x / 2) / damp
    a_leads = abs(a0) >= r0
    return np.copysign(np.where(a_leads, big, small), a0), np.where(a_leads, small, big)


def verdicts(a0: ArrayLike, w0: ArrayLike, loss: Loss | None = None) -> NDArray[np.int8]:
    """Return the exact verdict of each start: 0 fails, 1 learns, 2 separatrix.

    Parameters
    ----------
    a0 : array_like, shape (...), |a0| at most 1e150
    w0 : array_like, shape (...) for d = 1, or (..., d) (one axis more than a0) for d inputs; every entry at most 1e150
        in size
    loss : a loss with exact limits: `Line`, a relu `Population`, a `Sample` of one input, or a mask of these; default:
        the population of as many inputs as w0 has

    Returns
    -------
    int8 ndarray, shape (...); the words are in `theory.exact.VERDICTS`

    Raises
    ------
    ValueError: no numbers, NaN, infinity, a start beyond 1e150, shapes that do not match, or a loss without exact
        limits.

    Population: a start learns iff a0 > -|w0| and w0 is neither 0 nor on the ray -e_1, for any balance (target -relu:
    the same of -a0). A start with a0 < 0 within a relative 1e-12 of -|w0| counts as balanced, |w0| being rounded: it is
    `separatrix` for d = 1 and w0 > 0 (the stable manifold of the origin); for d > 1 it `fails` (Lemma 2.2: a never
    changes sign, so L >= 1/4 for ever). On the ray -e_1 the verdict is always `fails`.
    Line: it learns where a |w| tends to k_plus, with w > 0.

    Source: Theorem 2.1 and Lemma 2.2 for balanced starts; any other balance is ours (`theory.check("basin")`).
    """
    return limits(a0, w0, loss)[2]


def learns(a0: ArrayLike, w0: ArrayLike, loss: Loss | None = None) -> NDArray[np.bool_]:
    """Return whether each start learns, bool ndarray, shape (...).

    Parameters, rule, errors and source as in `verdicts`; a separatrix start does not learn.
    """
    return verdicts(a0, w0, loss) == LEARNS


def limits(a0: ArrayLike, w0: ArrayLike, loss: Loss | None = None) -> tuple[Array, Array, NDArray[np.int8]]:
    """Return the exact limits (a, w, verdict codes) of many starts.

    Parameters, rule, errors and source as in `verdicts`; a has the shape of a0, w that of w0.

    Learning: a w_1 = 1, w_perp = 0, a^2 = (D + c) / 2. Failing: w = 0 and a = sign(a0) sqrt(c), or on the ray -e_1 with
    c < 0: a = 0 and w_1 = -sqrt(-c). Separatrix: the origin. Pruned inputs are taken as 0 and stay so.
    """
    a0, w0, vectors = _start(a0, w0)
    solve, kept = _exact(loss, w0.shape[-1])
    w = np.zeros(w0.shape)
    a, w[..., kept], codes = solve(a0, w0[..., kept])
    return a + 0.0, (w if vectors else w[..., 0]) + 0.0, codes.astype(np.int8)  # + 0.0: no negative zeros


def _exact(loss: Loss | None, d: int) -> tuple[Callable, Array]:
    """Return the function (a0, w0) -> (a, w, codes) of a loss, and which inputs it acts on."""
    from theory.losses import Independent, Masked, Population

    loss = Population(d) if loss is None else loss
    if loss.d != d:
        raise ValueError(f"w0 must have {loss.d} inputs for this loss, got {d}: shape (..., {loss.d})")
    kept = loss.mask if isinstance(loss, Masked) else np.ones(d, bool)
    loss = loss.survivors if isinstance(loss, Masked) else loss
    line = loss.line(np.zeros(loss.d)) if loss.d == 1 else None
    if line is not None:
        return partial(_line_limits, sides=(line.side(1), line.side(-1))), kept
    if isinstance(loss, Independent):
        return partial(_independent_limits, target=loss.target), kept
    if isinstance(loss, Population) and loss.slope == 0:
        return partial(_population_limits, target=loss.target), kept
    raise ValueError(f"no exact limit is known for {type(loss).__name__} with d = {loss.d}: use theory.integrate")


def _line_limits(a0: Array, w0: Array, sides: tuple[tuple[float, float], ...]) -> tuple[Array, Array, Array]:
    """Return the limits of d = 1; sides: (c, k) of w > 0 and of w < 0."""
    a, w, codes = a0.copy(), w0[..., 0].copy(), np.full(a0.shape, FAILS)
    for sign, (c, k), other in ((1, *sides), (-1, *sides[::-1])):
        here = (sign * w0[..., 0] > 0) & (c > 0)
        end_a, end_r, how = _side_limits(a0[here], abs(w0[here, 0]), k)
        over = (how == _HIT) & (other[0] * other[1] * end_a > 0)  # the other side carries it on from w = 0
        if over.any():
            end_a[over], on_r, _ = _side_limits(end_a[over], np.zeros(over.sum()), other[1])
            end_r[over] = -on_r
        fits = how == LEARNS if sign > 0 else over  # those that end with w > 0
        a[here], w[here] = end_a, sign * end_r
        codes[here] = np.where(fits & (sides[0][1] != 0), LEARNS, np.where(how == SEPARATRIX, SEPARATRIX, FAILS))
    return a, w[..., None], codes


def _population_limits(a0: Array, w0: Array, target: float) -> tuple[Array, Array, Array]:
    """Return the limits of a relu population, d > 1; on the axis w_perp = 0 they are those of d = 1."""
    u, v, r = split(w0)
    a, length, how = _side_limits(a0, r, target)
    codes = np.where((how == LEARNS) & (r > 0), LEARNS, FAILS)
    line = _line_limits(a0, u[..., None], ((0.5, target), (0.5, 0.0)))
    on_axis = v == 0
    a, length = np.where(on_axis, line[0], a), np.where(on_axis, line[1][..., 0], length)
    codes = np.where(on_axis, np.where(line[2] == LEARNS, LEARNS, FAILS), codes)
    return a, length[..., None] * np.eye(1, w0.shape[-1])[0], codes


def _independent_limits(a0: Array, w0: Array, target: float) -> tuple[Array, Array, Array]:
    """Return the limits without input 1: w keeps its direction, a |w| tends to target / pi."""
    r = split(w0)[2]
    a, length, _ = _side_limits(a0, r, target / np.pi)
    direction = w0 / np.where(r > 0, r, 1.0)[..., None]
    return np.where(r > 0, a, a0), length[..., None] * direction, np.full(a0.shape, FAILS)


def _side_limits(a0: Array, r0: Array, k: float) -> tuple[Array, Array, Array]:
    """Return the limits (a, r) of c / 2 (a r - k)^2, and how: LEARNS (a r = k), SEPARATRIX (origin), _HIT or FAILS."""
    against = k != 0 and np.sign(k) * a0 < 0
    balanced = against & (abs(abs(a0) - r0) <= BAND * r0) & (r0 > 0)
    difference = np.where(balanced, 0, abs(a0) - r0)
    root = np.sqrt(abs(difference)) * np.sqrt(abs(a0) + r0)  # sqrt(|c|), free of overflow
    how = np.where(against & (difference >= 0), np.where(difference > 0, _HIT, SEPARATRIX), LEARNS if k else FAILS)
    scale = np.sqrt(abs(k) or 1.0)
    with np.errstate(over="ignore", under="ignore"):
        big = np.hypot(root, scale * np.sqrt(2 / (np.hypot(2, (root / scale) ** 2) + (root / scale) ** 2)))
        small = abs(k) / big
    a_leads, fits = difference >= 0, how == LEARNS
    a = np.where(a_leads, np.where(fits, np.copysign(big, k or 1.0), np.copysign(root, a0)), 0)
    a = np.where(fits & ~a_leads, np.copysign(small, k or 1.0), a)
    r = np.where(a_leads, np.where(fits, small, 0), np.where(fits, big, root))
    return a, r, how


def limit(a0: float, w0: ArrayLike, loss: Loss | None = None) -> Limit:
    """Return the exact limit of one start of the gradient flow.

    Parameters
    ----------
    a0 : float, |a0| at most 1e150
    w0 : float (d = 1) or array_like of shape (d,), entries at most 1e150 in size
    loss : as in `verdicts`; default: the population of as many inputs as w0 has

    Returns
    -------
    Limit : see `verdicts` for the rule and `limits` for the point. Balanced a0 < 0 (a0 = -|w0| up to a relative 1e-12):
        `separatrix` for d = 1, w0 > 0; `fails` for d > 1, with limit 0.

    Raises
    ------
    ValueError: a0 is no scalar, w0 no scalar or vector, one of them is no number, not finite or beyond
        1e150, or the loss has no exact limits.

    Source: Theorem 2.1 and Lemma 2.2 for balanced starts; any other balance is ours.

    Examples
    --------
    >>> limit(1.0, 1.0)
    Limit(a=1.0, w=1.0, verdict='learns')
    >>> limit(-1.0, 1.0).verdict  # d = 1: on the stable manifold of the origin
    'separatrix'
    >>> limit(0.5, [-0.3, 0.4]).verdict  # d > 1: the second input carries w over to the target's side
    'learns'
    >>> from theory.losses import Line, Masked, Population
    >>> limit(-0.5, [0.3, 0.4], Population(2, target=-1.0)).verdict  # the target -relu wants a < 0
    'learns'
    >>> limit(0.5, [-0.3, 0.4], Masked(Population(2), [1, 0])).verdict  # pruned: nothing turns w_1 round
    'fails'
    >>> end = limit(-1.0, 0.5, Line(k_minus=-0.2))  # noise: w < 0 fits with a < 0, and is reached through w = 0
    >>> round(end.a * abs(end.w), 12), end.w < 0, end.verdict
    (-0.2, True, 'fails')
    """
    a0, w0 = finite(a0=a0, w0=w0)
    if a0.ndim != 0 or w0.ndim > 1:
        raise ValueError(
            f"limit takes one start, a0 a number and w0 a number or (d,), got {a0.shape} and {w0.shape}: "
            "use limits() or learns() for many"
        )
    a, w, code = limits(a0, w0, loss)
    return Limit(float(a), float(w) if w.ndim == 0 else w, VERDICTS[int(code)])


def _start(a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array, bool]:
    """Return a0 (...), w0 (..., d), and whether w0 came as vectors: one axis more than a0."""
    a0, w0 = finite(a0=a0, w0=w0)
    _refuse_large(a0=a0, w0=w0)
    vectors = w0.ndim != a0.ndim
    if vectors and w0.ndim != a0.ndim + 1:
        raise ValueError(f"w0 must have the shape of a0 (d = 1) or one axis more, got a0 {a0.shape} and w0 {w0.shape}")
    return *neuron(a0, w0 if vectors else w0[..., None]), vectors


def known(what: str, name: str, names: tuple[str, ...]) -> None:
    """Raise ValueError unless name is one of names; the message lists them, nearest first."""
    if name not in names:
        from difflib import SequenceMatcher

        order = sorted(names, key=lambda other: -SequenceMatcher(None, str(name).lower(), other.lower()).ratio())
        raise ValueError(f"unknown {what} {name!r}: did you mean {order[0]!r}? Known: {', '.join(order)}")
