"""Several hidden neurons: population loss, gradient flow, IMP and LRR. All results are numerical.

The network is f(x) = sum_i a_i relu(w_i.x).

With K(w, v) = E relu(w.x) relu(v.x) = |w||v| (sin f + (pi - f) cos f) / (2 pi), f the angle between w and v, and the
target relu(x_1), the loss is sum_ij a_i a_j K(w_i, w_j) / 2 - sum_i a_i K(w_i, e_1) + 1/4. No exact basin is known:
success is a loss below 1e-6 where the flow is stopped, and a run that neither learns nor rests counts as undecided.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.pruning import REWINDS, weakest_pruned
from theory.reprs import short_repr
from theory.sampling import balanced_starts
from theory.validation import Array, bits, finite, known, positive, share, whole

HIDDEN_STATUSES = ("learned", "stationary", "undecided")
LEARNED, STATIONARY, UNDECIDED = range(3)
RULES = ("imp", "lrr")
# The target is 1 here, which gives a scale to loss and gradient; the scale of a state is that of its neurons
# (`theory.compiled.hidden.rests`).
LOSS_BELOW = 1e-6  # learned
GRADIENT_BELOW = 1e-8  # stationary; a pair of neurons that cancel near -e_1 has a gradient of 1e-6, and learns later


@short_repr
@dataclass(frozen=True, eq=False)
class HiddenRun:
    """Where the flow of several hidden neurons was stopped, trial by trial.

    Attributes:
        status (trials,): int8: 0 `learned` (loss below `learned`), 1 `stationary` (every neuron rests: it fails), 2
            `undecided` (the horizon, or 50,000 steps, came first, or a neuron starts below 2e-308 / rtol, where numbers
            lose their digits)
        a (trials, k), w (trials, k, d): the state there
        time, loss, gradient_norm (trials,): the time of the flow there, and loss and norm of the gradient
        steps (trials,): int, steps tried
    """

    status: NDArray[np.int8]
    a: Array
    w: Array
    time: Array
    loss: Array
    gradient_norm: Array
    steps: NDArray[np.int64]


@short_repr
@dataclass(frozen=True, eq=False)
class HiddenLevels:
    """The result of pruning several hidden neurons, over levels and trials.

    Attributes:
        survivors: tuple of int, inner weights that survive at each level, k d at level 0
        status (levels, trials): int8, as in `HiddenRun`
        masks (levels, trials, k, d): bool
    """

    survivors: tuple[int, ...]
    status: NDArray[np.int8]
    masks: NDArray[np.bool_]


def hidden_loss(a: ArrayLike, w: ArrayLike) -> Array:
    """Return the population loss, shape (...), of a (..., k) and w (..., k, d), for the target relu(x_1).

    Raises ValueError for NaN, infinity, or shapes that do not match. Source: derived by this project.

    Examples:
        >>> round(hidden_loss([0.5, 0.5], [[1.0, 0.0], [1.0, 0.0]]).item(), 15)  # two halves of the target
        0.0
    """
    return _loss_and_gradient(a, w)[0]


def hidden_gradient(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Return (dL/da, dL/dw), shapes (..., k) and (..., k, d), of the population loss.

    Both are 0 for neurons with w_i = 0.

    Raises ValueError for NaN, infinity, or shapes that do not match. Source: derived by this project.
    """
    return _loss_and_gradient(a, w)[1:]


def _loss_and_gradient(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array, Array]:
    from theory.compiled.hidden import gradients

    a, w = _network(a, w)
    k, d = w.shape[-2:]
    loss = np.empty(a.shape[:-1])
    da = np.empty(a.shape)
    dw = np.empty(w.shape)
    gradients(a.reshape(-1, k), w.reshape(-1, k, d), loss.reshape(-1), da.reshape(-1, k), dw.reshape(-1, k, d))
    return loss, da, dw


def _network(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    a, w = finite(a=a, w=w)
    if w.ndim < 2 or w.size == 0 or a.shape != w.shape[:-1]:
        raise ValueError(f"a must have shape (..., k) and w (..., k, d), k, d >= 1, got {a.shape} and {w.shape}")
    return np.ascontiguousarray(a), np.ascontiguousarray(w)


def hidden_starts(rng: np.random.Generator, trials: int, k: int, d: int) -> tuple[Array, Array]:
    """Return random starts a0 (trials, k) and w0 (trials, k, d), every neuron balanced.

    w_ij ~ N(0, 1 / (k d)) and a_i = +-|w_i|.

    Either sign of a_i is equally likely. With k = 1 these are `theory.sampling.balanced_starts`; the factor 1 / sqrt(k)
    keeps the size of f at the start independent of k. Raises ValueError unless all three are whole numbers, at least 1.
    Source: this project.
    """
    trials, k = whole("trials", trials, 1), whole("k", k, 1)
    a0, w0 = balanced_starts(rng, trials * k, d)
    return a0.reshape(trials, k) / np.sqrt(k), w0.reshape(trials, k, -1) / np.sqrt(k)


def train_hidden(
    a0: ArrayLike,
    w0: ArrayLike,
    mask: ArrayLike | None = None,
    *,
    horizon: float = 1e6,
    learned: float = LOSS_BELOW,
    still: float = GRADIENT_BELOW,
    rtol: float = 1e-9,
    atol: float = 1e-11,
) -> HiddenRun:
    """Follow the population's gradient flow of each trial until it is decided, each with its own steps.

    A neuron with one remaining weight lands on w_i = 0 exactly, continues where the gradient of the other side pushes
    it away from 0, and is dead otherwise, as relu'(0) = 0; one with more weights is dead when it is pushed down below
    100 atol and below 1e-7 of its start. Balanced neurons, a_i = +-|w_i| up to a relative 1e-12, stay so exactly. Where
    |w| is much larger than |a|, or the other way round, the flow is stiff: steps of about 6 / (a^2 + |w|^2).

    Source: this project.

    Args:
        a0: array_like, shape (trials, k)
        w0: array_like, shape (trials, k, d)
        mask: array_like of bool, shape of w0: False is pruned and stays 0; None prunes nothing
        horizon: float above 0, the time at which an undecided run ends
        learned: float above 0, the loss below which a run has learned
        still: float above 0, the gradient below which a run that has not learned is stationary, unless a neuron can
            still grow: a small neuron has a small gradient, but may grow. A run may never reach one below 10 atol.
        rtol: float above 0, the relative tolerance of each step of Dormand and Prince's method of order 5
        atol: float above 0, the absolute one, reduced to rtol times the size of each neuron, so that starts of any size
            are followed alike

    Returns:
        HiddenRun

    Raises:
        ValueError: shapes that do not match, NaN, or a number that is not above 0.

    Examples:
        >>> alone = train_hidden([[-1.0]], [[[1.0, 0.0]]])  # the wrong sign
        >>> HIDDEN_STATUSES[alone.status[0]]
        'stationary'
        >>> rescued = train_hidden([[-1.0, 1.0]], [[[1.0, 0.0], [0.6, 0.8]]])
        >>> HIDDEN_STATUSES[rescued.status[0]]
        'learned'
    """
    from theory.compiled.hidden import flows

    a0, w0 = _network(a0, w0)
    if w0.ndim != 3:
        raise ValueError(f"w0 must have shape (trials, k, d), got {w0.shape}: pass w0[None] for one trial")
    trials, k, d = w0.shape
    mask = _mask(mask, w0)
    limits = {"horizon": horizon, "learned": learned, "still": still, "rtol": rtol, "atol": atol}
    horizon, learned, still, rtol, atol = (positive(name, value) for name, value in limits.items())
    states = np.concatenate([a0, (w0 * mask).reshape(trials, -1)], axis=1)
    out = np.empty((trials, 5))
    flows(states, mask.astype(float), horizon, learned, still, (rtol, atol), out)
    status, time, loss, norm, steps = out.T
    w = states[:, k:].reshape(trials, k, d)
    return HiddenRun(status.astype(np.int8), states[:, :k], w, time, loss, norm, steps.astype(np.int64))


def _mask(mask: ArrayLike | None, w0: Array) -> NDArray[np.bool_]:
    kept = np.ones(w0.shape, bool) if mask is None else bits(mask)
    if kept is None or kept.shape != w0.shape:
        got = f"{mask!r:.60}" if kept is None else f"shape {kept.shape}"
        raise ValueError(f"mask must hold 0 and 1 and have the shape of w0, {w0.shape}, got {got}: True survives")
    return kept


def hidden_schedule(k: int, d: int, prune_rate: float = 0.5) -> list[int]:
    """Return the number of surviving weights at each level, from k d down to k.

    These are the values of round(k d (1 - prune_rate)^level), each number once.

    Raises ValueError for a number out of range. Source: this project (k of k d weights is density 1 / d).

    Examples:
        >>> hidden_schedule(2, 10)
        [20, 10, 5, 2]
    """
    k = whole("k", k, 1)
    d = whole("d", d, 1)
    prune_rate = share("prune_rate", prune_rate, "50 % is written 0.5")
    counts = [k * d]
    while counts[-1] > k:
        counts.append(max(k, min(round(k * d * (1 - prune_rate) ** len(counts)), k * d)))
    return list(dict.fromkeys(counts))


def prune_hidden(
    rule: str, a0: ArrayLike, w0: ArrayLike, survivors: ArrayLike, *, dense: HiddenRun | None = None, **options: float
) -> HiddenLevels:
    """Train, prune the weakest inner weights and rewind, level by level, on many starts at once.

    The weights of all neurons are ranked together.

    Source: this project.

    Args:
        rule: `imp` (surviving weights and every a_i restart at their initial values) or `lrr` (at their trained ones)
        a0: array_like, shape (trials, k)
        w0: array_like, shape (trials, k, d)
        survivors: inner weights that survive at level 1, 2, ...: whole numbers falling from k d; ties go to the lower
            index, neuron by neuron
        dense: the result of level 0, if it is known: it is the same for both rules
        options: as for `train_hidden`

    Returns:
        HiddenLevels

    Raises:
        ValueError: an unknown rule, shapes that do not match, NaN, or survivors that do not fall from k d to at least
            1.
    """
    known("rule", rule, RULES)
    a0, w0 = _network(a0, w0)
    run = train_hidden(a0, w0, **options) if dense is None else dense
    counts = (w0[0].size, *(whole("survivors", n, 1, w0[0].size) for n in finite(survivors=survivors)[0].ravel()))
    if any(later >= earlier for earlier, later in zip(counts, counts[1:], strict=False)):
        raise ValueError(f"survivors must fall from k d = {counts[0]}, got {list(counts[1:])}: sort them, drop repeats")
    mask = np.ones((len(w0), counts[0]), bool)
    masks = [np.ones(w0.shape, bool)]
    status = [run.status]
    for n in counts[1:]:
        mask = weakest_pruned(mask, run.w.reshape(mask.shape), w0.reshape(mask.shape), n)
        masks.append(mask.reshape(w0.shape))
        run = train_hidden(REWINDS[rule](a0, run.a), REWINDS[rule](w0, run.w), masks[-1], **options)
        status.append(run.status)
    return HiddenLevels(counts, np.array(status), np.array(masks))
