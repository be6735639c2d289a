"""Two experiments on finite samples with label noise: does the neuron find its mask and its sign?

Every trial has its own data set, the same for IMP and LRR, which start from the same weights. The dense and the masked
flows of several inputs are integrated until they rest (`theory.flow.batch.settle_samples`); with one remaining input
the sample is a `theory.Line`, given by four numbers, and its limit is exact.

Label noise, however small, gives the side w_1 < 0 its own fit, below 0 in half of the data sets; there the flow passes
through w_1 = 0 with a > 0, and IMP learns where the population's flow would not (balanced: 3/8 instead of 1/4).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.exact.limits import LEARNS, limits
from theory.flow.batch import settle_samples
from theory.losses.samples import Masked, Sample
from theory.probability import success_probability_exact
from theory.pruning import REWINDS, schedule, weakest_pruned
from theory.results import Result
from theory.sampling import STARTS, clopper_pearson, generator, paired_shares_interval
from theory.validation import Array, whole

RULES = ("imp", "lrr")
AT_ONCE = 200  # trials in memory together
RESTS = 2e-9  # a flow is followed until its gradient norm is at most this share of |(a, w)| times the sample's pulls,
SETTLED = 1e-7  # and counts as settled where the norm itself is at most this: a balanced dying neuron has no size left

Found = dict[str, NDArray[np.bool_]]


def sample_size(
    d: int, ratios: Sequence[float], noises: Sequence[float], trials: int, horizon: float, seed: int
) -> Result:
    """Figure 15: success of IMP and LRR over sample size and label noise.

    Starts are balanced, and pruned at once to one input.

    Args:
        d: int, inputs, at least 2
        ratios: n / d, the sample size over the number of inputs, each at least 1 / d
        noises: standard deviations of the label noise, each at least 0; the target relu(x_1) has .58
        trials: int, data sets (and starts) for each condition, at least 2
        horizon: float, the time at which flows that do not rest are stopped
        seed: int

    Returns:
        Result: values["cells"], one for each ratio and noise: for `imp` and `lrr` counts of `learns` (input 1 survives
            and a w_1 tends to the least-squares fit with w_1 > 0) and `recovered` (input 1 survives) with
            Clopper-Pearson intervals, paired differences lrr - imp, and how many trials did not rest

    Raises:
        ValueError: a number out of range.
    """
    d, trials = _counts(d, ratios, noises, trials)
    return _sweep(d, [d, 1], "balanced", ratios, noises, trials, horizon, seed)


def mask_recovery(
    d: int,
    ratios: Sequence[float],
    noises: Sequence[float],
    decides: tuple[float, float],
    prune_rate: float,
    trials: int,
    deciding_trials: int,
    horizon: float,
    seed: int,
) -> Result:
    """Claim 4b: how often IMP and LRR find the mask on finite, noisy samples, level by level.

    Starts are N(0, 1/d).

    Args:
        d: as in `sample_size`
        ratios: as in `sample_size`
        noises: as in `sample_size`
        decides: (ratio, noise) of the condition that decides the claim, fixed before the data; one of the conditions
        prune_rate: float, the fraction of the surviving inputs that each level removes, in (0, 1)
        trials: as in `sample_size`
        deciding_trials: int, trials of the deciding condition, at least 2
        horizon: as in `sample_size`
        seed: as in `sample_size`

    Returns:
        Result: as in `sample_size`, and values["decides"]

    Raises:
        ValueError: a number out of range, or a deciding condition that is none of the conditions.
    """
    d, trials = _counts(d, ratios, noises, trials)
    deciding_trials = whole("deciding_trials", deciding_trials, 2)
    ratio, noise = decides
    if ratio not in ratios or noise not in noises:
        raise ValueError(
            f"decides must be one of the ratios and one of the noises, got {list(decides)}: add it to them"
        )
    more = {(ratio, noise): deciding_trials}
    result = _sweep(d, schedule(d, prune_rate), "normal", ratios, noises, trials, horizon, seed, more)
    return Result({**result.values, "decides": {"ratio": ratio, "noise": noise}})


def _counts(d: int, ratios: Sequence[float], noises: Sequence[float], trials: int) -> tuple[int, int]:
    d, trials = whole("d", d, 2), whole("trials", trials, 2)
    for name, values, least in (("ratios", ratios, 1 / d), ("noises", noises, 0.0)):
        if not values or not all(least <= value < np.inf for value in values):
            raise ValueError(f"{name} must be finite numbers, at least {least:g}, got {list(values)}: try [10.0]")
    return d, trials


def _sweep(
    d: int,
    survivors: Sequence[int],
    init: str,
    ratios: Sequence[float],
    noises: Sequence[float],
    trials: int,
    horizon: float,
    seed: int,
    more: dict[tuple[float, float], int] | None = None,
) -> Result:
    cells = [
        {"ratio": ratio, "n": round(ratio * d), "noise": noise}
        | _cell(d, survivors, init, round(ratio * d), noise, (more or {}).get((ratio, noise), trials), horizon, seed)
        for ratio in ratios
        for noise in noises
    ]
    exact = {rule: success_probability_exact(rule, init, d) for rule in RULES}
    head = {"d": d, "survivors": list(survivors), "init": init, "trials": trials}
    return Result({**head, "ratios": list(ratios), "noises": list(noises), "population": exact, "cells": cells})


def _cell(
    d: int, survivors: Sequence[int], init: str, n: int, noise: float, trials: int, horizon: float, seed: int
) -> dict[str, Any]:
    rng = generator(seed, n, noise)
    blocks = []
    for first in range(0, trials, AT_ONCE):
        blocks.append(_block(rng, min(AT_ONCE, trials - first), d, survivors, init, n, noise, horizon))
    found = {rule: {key: np.concatenate([block[rule][key] for block in blocks]) for key in blocks[0][rule]}
             for rule in RULES}  # fmt: skip
    out: dict[str, Any] = {rule: _counted(found[rule]) for rule in RULES}
    for key in ("learns", "recovered"):
        out[f"lrr - imp, {key}"] = paired_shares_interval(found["imp"][key], found["lrr"][key])
    return out


def _block(
    rng: np.random.Generator,
    trials: int,
    d: int,
    survivors: Sequence[int],
    init: str,
    n: int,
    noise: float,
    horizon: float,
) -> dict[str, Found]:
    a0, w0 = STARTS[init](rng, trials, d)
    x = rng.normal(size=(trials, n, d))
    y = np.maximum(x[..., 0], 0) + noise * rng.normal(size=(trials, n))
    dense = settle_samples(x, y, a0, w0, horizon, tolerance=RESTS)
    return {rule: pruned_on_samples(rule, x, y, a0, w0, dense, survivors, horizon) for rule in RULES}


def pruned_on_samples(
    rule: str,
    x: Array,
    y: Array,
    a0: Array,
    w0: Array,
    dense: tuple[Array, Array, Array],
    survivors: Sequence[int],
    horizon: float,
) -> Found:
    """Prune, rewind and train, level by level, each trial on its own sample.

    Args:
        rule: a rewinding rule of `theory.pruning.REWINDS`
        x: shape (trials, n, d)
        y: shape (trials, n)
        a0: shape (trials,), a at the start
        w0: shape (trials, d), w at the start
        dense: (a, w, gradient norm) where the dense flow rests
        survivors: inputs that survive at each level, d first, 1 last
        horizon: float, the time at which flows that do not rest are stopped

    Returns:
        dict of bool ndarrays, shape (trials,): `recovered` (input 1 survives), `learns`, `rests` (every flow came to
            rest)
    """
    a, w, rests = rested(*dense)
    mask = np.ones(w0.shape, bool)
    for number in survivors[1:]:
        mask = weakest_pruned(mask, w, w0, number)
        a = REWINDS[rule](a0, a)
        w = np.where(mask, REWINDS[rule](w0, w), 0.0)
        if number > 1:
            a, w, at_rest = rested(*settle_samples(x, y, a, w, horizon, mask, RESTS))
            rests &= at_rest
    learns = np.array([learns_exactly(*trial) for trial in zip(x, y, a, w, mask, strict=True)])
    return {"recovered": mask[:, 0], "learns": learns, "rests": rests}


def rested(a: Array, w: Array, gradient: Array) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Return (a, w, which flows came to rest).

    A flow that could not be followed counts as dead, and as not at rest.
    """
    failed = np.isnan(a)
    a = np.where(failed, 0.0, a)
    w = np.where(failed[:, None], 0.0, w)
    return a, w, ~failed & (gradient <= SETTLED)


def learns_exactly(x: Array, y: Array, a: float, w: Array, mask: NDArray[np.bool_]) -> bool:
    """Return whether one surviving input learns, exactly. Without input 1 there is nothing to learn."""
    return bool(mask[0] and limits(a, w, Masked(Sample(x, y), mask))[2] == LEARNS)


def _counted(found: Found) -> dict[str, Any]:
    trials = len(found["rests"])
    out: dict[str, Any] = {"trials": trials, "unsettled": int((~found["rests"]).sum())}
    for key in ("learns", "recovered"):
        low, high = clopper_pearson(found[key].sum(), trials)
        out[key] = {"count": int(found[key].sum()), "low": low, "high": high}
    return out
