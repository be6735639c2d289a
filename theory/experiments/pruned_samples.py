"""IMP and LRR on finite samples, pruned to several inputs or one, from two kinds of start.

The authors' driver of the neuron prunes ten inputs in three iterations down to 5, 3 or 1, on noisy samples. The start
and the inputs of that driver are not known; their code of a month later has uniform inputs and a(0) = u |w(0)|
(`theory.sampling.bounded_starts`). Their combination here is ours; the balanced start is compared.

A flow is followed until it rests. Two kinds of trials need no flow, as they fail whatever else happens: input 1 is
pruned; or a(0) has the wrong sign and |a(0)| >= |w(0)|, so that a, whose square is at least a^2 - |w|^2 >= 0, keeps it.
Pruning makes |w| smaller, so these trials fail at later levels too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.exact.limits import BAND
from theory.experiments.finite_samples import AT_ONCE, RESTS, RULES, learns_exactly, rested
from theory.flow.batch import settle_samples
from theory.flow.integrate import LEARNED_BELOW
from theory.losses.samples import Sample
from theory.probability import known_probability
from theory.pruning import REWINDS, weakest_pruned
from theory.results import Result
from theory.sampling import STARTS, clopper_pearson, generator, paired_shares_interval
from theory.validation import Array, known, whole

INPUTS: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "normal": lambda rng, shape: rng.normal(size=shape),
    "uniform": lambda rng, shape: rng.uniform(-1, 1, size=shape),
}

Trials = NDArray[np.bool_]  # one value a trial


def pruned_samples(
    d: int,
    ends: Sequence[int],
    prunings: int,
    inits: Sequence[str],
    inputs: Sequence[str],
    sizes: Sequence[int],
    noises: Sequence[float],
    trials: int,
    horizon: float,
    seed: int,
) -> Result:
    """Figure `pruned-samples`: success of IMP and LRR over the sample size.

    There is a cell for each start, kind of inputs, label noise, sample size and number of inputs left.

    Source: this project; numbers of inputs, of prunings, sizes and noise are those of the authors' driver.

    Args:
        d: int, inputs, at least 2
        ends: inputs that survive in the end, each from 1 to d - prunings
        prunings: int, at least 1, after which that number is left (`even_schedule`)
        inits: names of `theory.sampling.STARTS`
        inputs: `normal`, N(0, I), and `uniform`, U[-1, 1]^d
        sizes: sample sizes n, each at least d
        noises: standard deviations of the label noise, at least 0
        trials: int, data sets (and starts) for each condition, at least 2; IMP, LRR and all ends share them
        horizon: float, the time at which flows that do not rest are stopped
        seed: int, at least 0

    Returns:
        Result: values["cells"], one for each condition: for `imp` and `lrr` the trials that learn (every flow rests,
            and the last one at a loss of at most that of the best fit by input 1 with w_1 > 0; one input: its exact
            limit) with a Clopper-Pearson interval, those that did not rest, and the paired difference lrr - imp;
            values["exact"], the exact probabilities of normal inputs without noise, by end and start, None where no
            closed form is known

    Raises:
        ValueError: an unknown name, or a number out of range.
    """
    d, trials = whole("d", d, 2), whole("trials", trials, 2)
    schedules = [even_schedule(d, end, prunings) for end in ends]
    for name, chosen, names in (("init", inits, STARTS), ("inputs", inputs, INPUTS)):
        for one in chosen:
            known(name, one, tuple(names))
    for n in sizes:
        whole("sizes", n, d)
    cells = [
        cell
        for init, kind, noise, n in product(inits, inputs, noises, sizes)
        for cell in _cells(schedules, init, kind, noise, n, trials, horizon, seed)
    ]
    exact = [
        {"end": end, "init": init} | {rule: known_probability(rule, init, d, end) for rule in RULES}
        for end, init in product(ends, inits)
    ]
    head = {"d": d, "trials": trials, "schedules": schedules, "ends": list(ends), "inits": list(inits)}
    head |= {"inputs": list(inputs), "sizes": list(sizes), "noises": list(noises)}
    return Result({**head, "exact": exact, "cells": cells})


def even_schedule(d: int, end: int, prunings: int) -> list[int]:
    """Return the inputs that survive each pruning; each removes about the same share.

    They are the rounded values of d (end / d)^(k / prunings), k = 0, 1, ..., prunings.

    Raises:
        ValueError: a number out of range, or an `end` so near to d that a pruning would remove nothing.

    Examples:
        >>> [even_schedule(10, end, 3) for end in (5, 3, 1)]
        [[10, 8, 6, 5], [10, 7, 4, 3], [10, 5, 2, 1]]
    """
    prunings, d = whole("prunings", prunings, 1), whole("d", d, 2)
    end = whole(f"ends of d = {d} inputs", end, 1, d - prunings)
    counts = [round(d * (end / d) ** (k / prunings)) for k in range(prunings + 1)]
    if len(set(counts)) <= prunings:
        raise ValueError(f"{prunings} prunings from {d} to {end} inputs give {counts}: use fewer, or a smaller end")
    return counts


def _cells(
    schedules: Sequence[Sequence[int]],
    init: str,
    kind: str,
    noise: float,
    n: int,
    trials: int,
    horizon: float,
    seed: int,
) -> list[dict[str, Any]]:
    """Return the cells of one condition, one a schedule; its generator depends on it alone."""
    rng = generator(seed, list(STARTS).index(init), list(INPUTS).index(kind), noise, n)
    blocks = []
    for first in range(0, trials, AT_ONCE):
        many = min(AT_ONCE, trials - first)
        a0, w0 = STARTS[init](rng, many, schedules[0][0])
        x = INPUTS[kind](rng, (many, n, schedules[0][0]))
        y = np.maximum(x[..., 0], 0) + noise * rng.normal(size=(many, n))
        dense = followed(x, y, a0, w0, np.ones(w0.shape, bool), ~hopeless(x, y, a0, w0), horizon)
        blocks.append([{rule: pruned(rule, x, y, a0, w0, dense, survivors, horizon) for rule in RULES}
                       for survivors in schedules])  # fmt: skip
    out = []
    for place, survivors in enumerate(schedules):
        found = {rule: [np.concatenate(part) for part in zip(*(block[place][rule] for block in blocks), strict=True)]
                 for rule in RULES}  # fmt: skip
        head = {"end": survivors[-1], "init": init, "inputs": kind, "noise": noise, "n": n}
        difference = paired_shares_interval(found["imp"][0], found["lrr"][0])
        out.append(head | {rule: _counted(*found[rule]) for rule in RULES} | {"lrr - imp": difference})
    return out


def _counted(learns: Trials, rests: Trials) -> dict[str, Any]:
    count = int(learns.sum())
    trials = len(learns)
    low, high = clopper_pearson(count, trials)
    return {"successes": count, "trials": trials, "low": low, "high": high, "unsettled": int((~rests).sum())}


def pruned(
    rule: str,
    x: Array,
    y: Array,
    a0: Array,
    w0: Array,
    dense: tuple[Array, Array, Trials],
    survivors: Sequence[int],
    horizon: float,
) -> tuple[Trials, Trials]:
    """Prune, rewind and train, level by level; return which trials learn, and which rest.

    Args:
        rule: a rewinding rule of `theory.pruning.REWINDS`
        x: shape (trials, n, d): each trial has its own sample
        y: shape (trials, n)
        a0: shape (trials,), a at the start
        w0: shape (trials, d), w at the start
        dense: (a, w, which trials rest) at the end of the dense flow, from `followed`
        survivors: inputs that survive at each level, d first
        horizon: float, the time at which flows that do not rest are stopped

    Returns:
        learns, rests: bool ndarrays, shape (trials,); a trial that does not rest counts as not learning
    """
    a, w, rests = dense
    rests = rests.copy()
    mask = np.ones(w0.shape, bool)
    failed = hopeless(x, y, a0, w0)
    for number in survivors[1:]:
        mask = weakest_pruned(mask, w, w0, number)
        a = REWINDS[rule](a0, a)
        w = np.where(mask, REWINDS[rule](w0, w), 0.0)
        failed |= ~mask[:, 0] | hopeless(x, y, a, w)
        if number > 1:
            a, w, at_rest = followed(x, y, a, w, mask, ~failed, horizon)
            rests &= at_rest
    learns = np.zeros(len(a0), bool)
    for i in np.flatnonzero(~failed):
        learns[i] = (learns_exactly if survivors[-1] == 1 else _fits)(x[i], y[i], a[i], w[i], mask[i])
    return learns & rests, rests


def hopeless(x: Array, y: Array, a: Array, w: Array) -> Trials:
    """Return which neurons cannot reach the fit with w_1 > 0: a has the wrong sign and keeps it."""
    wanted = np.sign(np.einsum("tn,tn->t", np.maximum(x[..., 0], 0), y))
    return (np.sign(a) != wanted) & (abs(a) >= (1 - BAND) * np.hypot.reduce(w, axis=1))


def followed(
    x: Array, y: Array, a: Array, w: Array, mask: NDArray[np.bool_], which: Trials, horizon: float
) -> tuple[Array, Array, Trials]:
    """Return (a, w, which rest) where the flows of the trials `which` rest.

    The other trials are as they were, at rest. Pruned inputs are left out of the data, which is faster than a weight of
    0. Each mask has as many survivors.
    """
    a = a.copy()
    w = w.copy()
    rests = np.ones(len(a), bool)
    at = np.flatnonzero(which)
    if len(at):
        kept = np.nonzero(mask[at])[1].reshape(len(at), -1)
        rows = np.take_along_axis(x[at], kept[:, None], axis=2)
        ends = settle_samples(rows, y[at], a[at], np.take_along_axis(w[at], kept, axis=1), horizon, tolerance=RESTS)
        a[at], inner, rests[at] = rested(*ends)
        w[at[:, None], kept] = inner
    return a, w, rests


def _fits(x: Array, y: Array, a: float, w: Array, mask: NDArray[np.bool_]) -> bool:
    """Return whether the loss is at most that of the best fit by input 1 with w_1 > 0.

    Up to 1e-6 of the loss at a = 0.
    """
    sample = Sample(x, y)
    return bool(sample.loss(a, w) <= sample.target_fit_loss + LEARNED_BELOW * sample.loss(0.0, w))
