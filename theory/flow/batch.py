"""Many independent trajectories at once: `integrate_batch`, and `settle_samples` for a fresh data set each.

d = 1 and the w_1 axis use the closed form, never a solver; the Gaussian population and finite samples run in compiled
loops (`theory.compiled.population`, `theory.compiled.sample`), each trajectory with its own step.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.exact.closed_form import refuse_large
from theory.flow.batch_flows import FLOWS, balanced, follow, on_samples
from theory.losses.formulas import split
from theory.losses.losses import Loss
from theory.losses.samples import Masked
from theory.validation import Array, bits, finite, known, number

STATUSES = ("finished", "dead", "failed", "undecided", "doubtful")  # the word of each code
_CELLS = 2**18  # numbers of w worked on at once


@dataclass(frozen=True)
class Batch:
    """Trajectories of n starts at m times; memory: 8 n m (d + 2) bytes and what one block of starts needs (some MB).

    t : ndarray, shape (m,)
    a : ndarray, shape (n, m)
    w : ndarray, shape (n, m, d)
    loss : ndarray, shape (n, m)
    status : int8 ndarray, shape (n,); the words are in `theory.flow.batch.STATUSES`: 0 finished; 1 dead, that is w dies
    out,
        and later rows are its exact decay (of a sample: next to 0, with its last direction); 2 failed; 3 undecided, w
        having come to 0, where the flow of a sample may go on in different directions; 4 doubtful, a having passed 0 on
        a kink that the flow may have left to either side, and its rows being those of one; rows not reached are NaN
    drift : ndarray, shape (n,), largest |c - c(0)| / (a^2 + |w|^2 + |c(0)|) over its rows, c = a^2 - |w|^2 being
        conserved; c(0) = 0 where the start is balanced up to a relative 1e-12
    """

    t: Array
    a: Array
    w: Array
    loss: Array
    status: NDArray[np.int8]
    drift: Array


def integrate_batch(loss: Loss, a0: ArrayLike, w0: ArrayLike, t: ArrayLike) -> Batch:
    """Follow the gradient flow of a loss from n starts, independently of each other.

    Parameters
    ----------
    loss : `Population`, `Line`, `Sample` or `Masked`, as for `theory.integrate`
    a0 : array_like, shape (n,), |a0| at most 1e150
    w0 : array_like, shape (n, d), or (n,) for d = 1, entries at most 1e150 in size; those that the loss masks are taken
        as 0
    t : float (the horizon: one row) or increasing array_like (m,), at least 0

    Returns
    -------
    Batch : memory proportional to n times m times d. The same start gives the same bits, whatever is beside it.

    Raises
    ------
    ValueError: shapes that do not match, no numbers, NaN, infinity, a start beyond 1e150, times that fall or lie below
        0, a loss it does not know.

    Exact: d = 1, and starts on the w_1 axis (`closed_form`). Population: error below 1e-8 |(a, w)| at t = 50 (measured;
    more where the start is ill-conditioned, leaving the ray -e_1 late); where |w| is much larger than |a| the flow is
    stiff, takes about |w|^2 t / 12 steps, and fails above 20,000. Finite sample: relative error 1e-9 a step, kinks
    located to 1e-9 |w| |x| and slides along them followed exactly (`theory.losses.kinks`), through w = 0 where the flow
    grows again (`theory.compiled.zero`); it rests where the gradient norm is below 1e-12 |(a, w)| times the pulls of
    all rows, and fails after 10,000 steps. Balanced starts, a0 = +-|w0| up to a relative 1e-12, stay so exactly: with
    a0 against the target they never learn, at any horizon.

    The first call for a kind of loss compiles its loop (some seconds, kept on disk).

    Source: the gradient flow of section 2; the reductions are ours (`theory.compiled.population`).

    Examples
    --------
    >>> from theory.losses.losses import Population
    >>> run = integrate_batch(Population(2), [0.5, -0.5], [[-0.3, 0.4], [-0.3, 0.4]], [0.0, 1e6])
    >>> run.w.shape, run.loss[:, -1].round(5).tolist()  # a0 = -|w0| never learns: the loss of w = 0 is 1/4
    ((2, 2, 2), [0.0, 0.25])
    """
    a0, w0 = _starts(loss, a0, w0)
    t = _times(t)
    n, m, d = len(a0), len(t), w0.shape[1]
    out = Batch(t, np.empty((n, m)), np.empty((n, m, d)), np.empty((n, m)), np.zeros(n, np.int8), np.zeros(n))
    now, size = int(t[0] == 0), max(_CELLS // (m * d), 1)
    for part in (slice(i, i + size) for i in range(0, n, size)):
        a, w = out.a[part], out.w[part]
        a[:, :now], w[:, :now] = a0[part, None], w0[part, None]
        if now < m:
            a[:, now:], w[:, now:], out.status[part] = follow(loss, a0[part], w0[part], t[now:])
        with np.errstate(all="ignore"):  # NaN where a trajectory failed; what underflows has no weight
            out.loss[part], out.drift[part] = loss.loss(a, w), _drift(a0[part], w0[part], a, w)
    return out


def _starts(loss: Loss, a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array]:
    known("loss", type(loss).__name__, tuple(kind.__name__ for kind in FLOWS))
    a0, w0 = finite(a0=a0, w0=w0)
    if loss.d == 1 and w0.ndim == 1:
        w0 = w0[:, None]
    if a0.ndim != 1 or w0.shape != (len(a0), loss.d):
        raise ValueError(
            f"n starts need a0 of shape (n,) and w0 of shape (n, {loss.d}), got {a0.shape} and {w0.shape}: "
            "use theory.integrate for one start"
        )
    refuse_large(a0=a0, w0=w0)
    return a0, np.where(loss.mask, w0, 0.0) if isinstance(loss, Masked) else w0


def _times(t: ArrayLike) -> Array:
    (t,) = finite(t=t)
    if t.ndim > 1 or t.size == 0 or t.min() < 0 or (np.diff(np.atleast_1d(t)) <= 0).any():
        raise ValueError(f"t must be a horizon or increasing times, at least 0, got {t}: the flow starts at time 0")
    return np.atleast_1d(t)


def _drift(a0: Array, w0: Array, a: Array, w: Array) -> Array:
    r0 = split(w0)[2]
    a0 = abs(balanced(a0, r0))
    size = np.fmax(np.fmax.reduce(abs(a), axis=1), np.fmax(a0, r0))  # the squares would overflow
    size = np.where(size > 0, size, 1.0)
    c0 = ((a0 - r0) / size) * ((a0 + r0) / size)
    a, w = a / size[:, None], w / size[:, None, None]
    a2, w2 = a * a, np.einsum("...i,...i", w, w)
    scale = np.fmax(a2 + w2 + abs(c0)[:, None], np.finfo(float).tiny)
    return np.fmax.reduce(abs(a2 - w2 - c0[:, None]) / scale, axis=1, initial=0.0)


# --- finite samples


def settle_samples(
    x: ArrayLike,
    y: ArrayLike,
    a0: ArrayLike,
    w0: ArrayLike,
    horizon: float,
    masks: ArrayLike | None = None,
    tolerance: float = 1e-9,
) -> tuple[Array, Array, Array]:
    """Follow the relu neuron of each trial, on a sample of its own, until it rests.

    Parameters
    ----------
    x, y : array_like, shape (trials, n, d) and (trials, n), as in `theory.Sample`
    a0, w0 : array_like, shape (trials,) and (trials, d)
    horizon : float, above 0, the time at which a flow that does not rest is stopped
    masks : array_like of bool, shape (trials, d), True survives; default: nothing is pruned. Pruned entries of w are 0
    tolerance : float, above 0: a flow rests where its gradient norm is at most this share of |(a, w)| times the pulls
        of all rows (mean |y x|, and a |w| times mean |x|^2), which makes it the same in every unit of x and y

    Returns
    -------
    a, w, gradient : ndarrays of shape (trials,), (trials, d), (trials,); the gradient's norm at the end, 0 for a neuron
        that has died (w is next to 0 and keeps its direction). Along a kink that both sides push to, it is the norm of
        what is left of the gradient there (the least in Clarke's subdifferential), so that it vanishes at a minimum on
        kinks too. NaN in a row whose flow failed (10,000 steps)
        or is undecided at w = 0.

    Raises
    ------
    ValueError: shapes that do not match, no numbers, NaN, infinity, a start beyond 1e150, a horizon or tolerance that
        is none.

    Accuracy and balance as in `integrate_batch`. About a millisecond a trial for n = 100, d = 10. With one input left
    the flow goes through w = 0 where the other side carries it on, as in `theory.closed_form`.

    Source: the gradient flow of section 2; ours (`theory.compiled.sample`).

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(2, 50, 3))
    >>> a, w, gradient = settle_samples(x, np.maximum(x[..., 0], 0), [1.0, 1.0], [[0.5, 0.5, 0.5]] * 2, 1e3)
    >>> (a[:, None] * w).round(6).tolist(), bool((gradient < 1e-8).all())
    ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], True)
    """
    x, y, a0, w0 = finite(x=x, y=y, a0=a0, w0=w0)
    horizon, tolerance = _positive(horizon=horizon, tolerance=tolerance)
    _refuse_trials(x, y, a0, w0)
    if masks is not None:
        given, masks = masks, bits(masks)
        if masks is None or masks.shape != w0.shape:
            shape = np.shape(given)
            raise ValueError(f"masks must be of 0 and 1, shape {w0.shape}, got {shape}: one row a trial, as w0")
        x, w0 = x * masks[:, None], w0 * masks
    a, w, _, gradient = on_samples(x, y, balanced(a0, split(w0)[2]), w0, np.array([horizon]), tolerance)
    return a[:, 0], w[:, 0], gradient


def _refuse_trials(x: Array, y: Array, a0: Array, w0: Array) -> None:
    if x.ndim != 3 or x[..., 0].size == 0 or y.shape != x.shape[:2] or a0.shape != x.shape[:1]:
        raise ValueError(
            f"trials need x (trials, n, d), y (trials, n), a0 (trials,), got {x.shape}, {y.shape}, {a0.shape}: "
            "repeat a sample that all of them share, or use theory.integrate_batch(Sample(x, y), ...)"
        )
    if w0.shape != (len(x), x.shape[2]):
        raise ValueError(f"w0 must have shape {(len(x), x.shape[2])}, one row a trial, got {w0.shape}")
    refuse_large(a0=a0, w0=w0)


def _positive(**numbers: float) -> tuple[float, ...]:
    for name, value in numbers.items():
        if number(name, value) <= 0:
            raise ValueError(f"{name} must be above 0, got {value}")
    return tuple(float(value) for value in numbers.values())
