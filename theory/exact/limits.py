"""Where every start ends: exact verdicts, basins and limits, without a long run."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.exact.closed_form import LARGEST, refuse_large
from theory.losses.formulas import split
from theory.reprs import short_repr
from theory.validation import Array, finite, neuron

if TYPE_CHECKING:
    from theory.losses.losses import CompletedLoss, Loss

FAILS, LEARNS, SEPARATRIX = 0, 1, 2
_HIT = 3  # w = 0 is reached in finite time: the other side decides what follows
VERDICTS = ("fails", "learns", "separatrix")  # the word of each code
BAND = 1e-12  # |w| is rounded, so "on the separatrix" is a relative band


@short_repr
@dataclass(frozen=True)
class Limit:
    """Where a trajectory ends.

    Attributes:
        a: float
        w: float, or ndarray of shape (d,) if the start was a vector
        verdict: `learns`, `fails` or `separatrix` (on the stable manifold of the origin: does not learn)
    """

    a: float
    w: float | Array
    verdict: str


def verdicts(a0: ArrayLike, w0: ArrayLike, loss: Loss | None = None) -> NDArray[np.int8]:
    """Return the exact verdict of each start: 0 fails, 1 learns, 2 separatrix.

    Population: a start learns iff a0 > -|w0| and w0 is neither 0 nor on the ray -e_1, for any balance (target -relu:
    the same rule for -a0). A start with a0 < 0 within a relative 1e-12 of -|w0| counts as balanced, |w0| being rounded:
    it is `separatrix` for d = 1 and w0 > 0 (the stable manifold of the origin); for d > 1 it `fails` (Lemma 2.2: a
    never changes sign, so L >= 1/4 for ever). On the ray -e_1 the verdict is always `fails`.
    Line: it learns where a |w| tends to k_plus, with w > 0.

    Source: Theorem 2.1 and Lemma 2.2 for balanced starts; any other balance: this project (`theory.check`: `basin`,
    `basin-1d`).

    Args:
        a0: array_like, shape (...), |a0| at most 1e150
        w0: array_like, shape (...) for d = 1, or (..., d) (one axis more than a0) for d inputs; every entry at most
            1e150 in size
        loss: a loss with exact limits: `Line`, a relu `Population`, a `Sample` of one input, or a mask of these;
            default: the population of as many inputs as w0 has

    Returns:
        int8 ndarray, shape (...); the words are in `theory.exact.limits.VERDICTS`

    Raises:
        ValueError: a value that is no number, NaN, infinity, a start beyond 1e150, shapes that do not match, or a loss
            without exact limits.
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
    if not kept[0]:  # the fit of another input
        codes = np.where(codes == LEARNS, FAILS, codes)
    return a + 0.0, (w if vectors else w[..., 0]) + 0.0, codes.astype(np.int8)  # + 0.0: no negative zeros


def _exact(loss: Loss | None, d: int) -> tuple[Callable, NDArray[np.bool_]]:
    """Return the function (a0, w0) -> (a, w, codes) of a loss, and which inputs it acts on."""
    from theory.losses.losses import Population, completed
    from theory.losses.samples import Masked

    given = Population(d) if loss is None else loss
    if not hasattr(given, "d"):
        raise ValueError(f"loss must be a Line, Population, Sample or Masked of them, got {given!r:.60}: pass one")
    if given.d != d:
        raise ValueError(f"w0 must have {given.d} inputs for this loss, got {d}: shape (..., {given.d})")
    whole = completed(given)
    kept = whole.mask if isinstance(whole, Masked) else np.ones(d, bool)
    acting = whole.survivors if isinstance(whole, Masked) else whole
    solve = _solver(acting)
    if solve is None:
        raise ValueError(
            f"no exact limit is known for {type(given).__name__} with d = {acting.d}: use theory.integrate"
        )
    return solve, kept


def _solver(loss: CompletedLoss) -> Callable | None:
    """Return the function (a0, w0) -> (a, w, codes) of a loss without a mask.

    None where no exact limit is known.
    """
    from theory.losses.losses import Independent, Population

    line = loss.line(np.zeros(loss.d)) if loss.d == 1 else None
    if line is not None:
        return partial(_line_limits, sides=(line.side(1), line.side(-1)))
    if isinstance(loss, Independent):
        return partial(_independent_limits, target=loss.target)
    if isinstance(loss, Population) and loss.slope == 0:
        return partial(_population_limits, target=loss.target)
    return None


def exact_verdict(a0: float, w0: Array, loss: CompletedLoss) -> str | None:
    """Return the verdict of one start, w0 (d,), of any size; None where no exact limit is known.

    The loss is completed (`theory.losses.losses.completed`) and without a mask. Where no exact limit of it is known,
    that of `loss.line(w0)` is taken, the line on which the flow from w0 stays.
    """
    solve = _solver(loss)
    line = loss.line(w0)
    if solve is None and line is not None:
        solve = _solver(line)
        w0 = w0[:1]
    scale = 2.0 ** -max(math.frexp(max(abs(a0), *abs(w0)) / LARGEST)[1], 0)  # where it ends, not how fast: no scale
    a = np.array(a0 * scale)
    w = w0 * scale
    lost = scale < 1 and (((a == 0) & (a0 != 0)) or ((w == 0) & (w0 != 0)).any())
    if solve is None or lost:
        return None
    code = int(solve(a, w)[2])
    return VERDICTS[FAILS if code == SEPARATRIX and loss.d > 1 else code]  # of d = 1 alone, as in `verdicts`


def _line_limits(a0: Array, w0: Array, sides: tuple[tuple[float, float], ...]) -> tuple[Array, Array, Array]:
    """Return the limits of d = 1.

    `sides` holds (c, k) of w > 0 and of w < 0.
    """
    a = a0.copy()
    w = w0[..., 0].copy()
    codes = np.full(a0.shape, FAILS)
    for sign, (c, k), other in ((1, *sides), (-1, *sides[::-1])):
        here = (sign * w0[..., 0] > 0) & (c > 0)
        end_a, end_r, how = _side_limits(a0[here], abs(w0[here, 0]), k)
        # the other side pushes it away from w = 0; decided by signs, since a product may underflow
        over = (how == _HIT) & (np.sign(other[0]) * np.sign(other[1]) * end_a > 0)
        if over.any():
            end_a[over], on_r, _ = _side_limits(end_a[over], np.zeros(over.sum()), other[1])
            end_r[over] = -on_r
        fits = how == LEARNS if sign > 0 else over  # those that end with w > 0
        a[here] = end_a
        w[here] = sign * end_r
        codes[here] = np.where(fits & (sides[0][1] != 0), LEARNS, np.where(how == SEPARATRIX, SEPARATRIX, FAILS))
    return a, w[..., None], codes


def _population_limits(a0: Array, w0: Array, target: float) -> tuple[Array, Array, Array]:
    """Return the limits of a relu population, d > 1; on the axis w_perp = 0 they are those of d = 1."""
    u, v, r = split(w0)
    a, length, how = _side_limits(a0, r, target)
    codes = np.where((how == LEARNS) & (r > 0), LEARNS, FAILS)
    line = _line_limits(a0, u[..., None], ((0.5, target), (0.5, 0.0)))
    on_axis = v == 0
    a = np.where(on_axis, line[0], a)
    length = np.where(on_axis, line[1][..., 0], length)
    codes = np.where(on_axis, np.where(line[2] == LEARNS, LEARNS, FAILS), codes)
    return a, length[..., None] * np.eye(1, w0.shape[-1])[0], codes


def _independent_limits(a0: Array, w0: Array, target: float) -> tuple[Array, Array, Array]:
    """Return the limits without input 1: w keeps its direction, a |w| tends to target / pi."""
    r = split(w0)[2]
    a, length, _ = _side_limits(a0, r, target / np.pi)
    direction = w0 / np.where(r > 0, r, 1.0)[..., None]
    return np.where(r > 0, a, a0), length[..., None] * direction, np.full(a0.shape, FAILS)


def _side_limits(a0: Array, r0: Array, k: float) -> tuple[Array, Array, Array]:
    """Return the limits (a, r) of the flow of the loss c / 2 (a r - k)^2, and how it ends.

    The end is LEARNS (a r = k), SEPARATRIX (the origin), _HIT (r = 0 in finite time) or FAILS.
    """
    against = k != 0 and np.sign(k) * a0 < 0
    balanced = against & (abs(abs(a0) - r0) <= BAND * r0) & (r0 > 0)
    difference = np.where(balanced, 0, abs(a0) - r0)
    total = abs(a0) + r0
    root = total * np.sqrt(abs(difference) / np.where(total > 0, total, 1.0))  # sqrt(|c|), free of overflow
    how = np.where(against & (difference >= 0), np.where(difference > 0, _HIT, SEPARATRIX), LEARNS if k else FAILS)
    scale = np.sqrt(abs(k) or 1.0)
    with np.errstate(over="ignore", under="ignore"):
        big = np.hypot(root, scale * np.sqrt(2 / (np.hypot(2, (root / scale) ** 2) + (root / scale) ** 2)))
        small = abs(k) / big
    a_leads = difference >= 0
    fits = how == LEARNS
    a = np.where(a_leads, np.where(fits, np.copysign(big, k or 1.0), np.copysign(root, a0)), 0)
    a = np.where(fits & ~a_leads, np.copysign(small, k or 1.0), a)
    r = np.where(a_leads, np.where(fits, small, 0), np.where(fits, big, root))
    return a, r, how


def limit(a0: float, w0: ArrayLike, loss: Loss | None = None) -> Limit:
    """Return the exact limit of one start of the gradient flow.

    Source: Theorem 2.1 and Lemma 2.2 for balanced starts; any other balance: this project.

    Args:
        a0: float, |a0| at most 1e150
        w0: float (d = 1) or array_like of shape (d,), entries at most 1e150 in size
        loss: as in `verdicts`; default: the population of as many inputs as w0 has

    Returns:
        Limit: see `verdicts` for the rule and `limits` for the point. Balanced a0 < 0 (a0 = -|w0| up to a relative
            1e-12): `separatrix` for d = 1, w0 > 0; `fails` for d > 1, with limit 0.

    Raises:
        ValueError: a0 is not a scalar, w0 is neither a scalar nor a vector, one of them is no number, not finite or
            beyond 1e150, or the loss has no exact limits.

    Examples:
        >>> limit(1.0, 1.0)
        Limit(a=1.0, w=1.0, verdict='learns')
        >>> limit(-1.0, 1.0).verdict  # d = 1: on the stable manifold of the origin
        'separatrix'
        >>> limit(0.5, [-0.3, 0.4]).verdict  # d > 1: the second input lets w turn to the side of the target
        'learns'
        >>> from theory import Line, Population
        >>> from theory import Masked
        >>> limit(-0.5, [0.3, 0.4], Population(2, target=-1.0)).verdict  # the target -relu needs a < 0
        'learns'
        >>> limit(0.5, [-0.3, 0.4], Masked(Population(2), [1, 0])).verdict  # pruned: nothing turns w_1 round
        'fails'
        >>> end = limit(-1.0, 0.5, Line(k_minus=-0.2))  # noise: w < 0 fits with a < 0, and is reached through w = 0
        >>> round(end.a * abs(end.w), 12), end.w < 0, end.verdict
        (-0.2, True, 'fails')
    """
    start_a, start_w = finite(a0=a0, w0=w0)
    if start_a.ndim != 0 or start_w.ndim > 1:
        raise ValueError(
            f"limit takes one start, a0 a number and w0 a number or (d,), got {start_a.shape} and {start_w.shape}: "
            "use limits() or learns() for many"
        )
    a, w, code = limits(start_a, start_w, loss)
    return Limit(float(a), float(w) if w.ndim == 0 else w, VERDICTS[int(code)])


def _start(a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array, bool]:
    """Return a0 (...), w0 (..., d), and whether w0 came as vectors: one axis more than a0."""
    a0, w0 = finite(a0=a0, w0=w0)
    refuse_large(a0=a0, w0=w0)
    vectors = w0.ndim != a0.ndim
    if vectors and w0.ndim != a0.ndim + 1:
        raise ValueError(f"w0 must have the shape of a0 (d = 1) or one axis more, got a0 {a0.shape} and w0 {w0.shape}")
    return *neuron(a0, w0 if vectors else w0[..., None]), vectors
