"""The sweep `hidden-neurons`: IMP and LRR over the number of hidden neurons and of inputs. Numerical."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.extensions.hidden_neurons import (
    GRADIENT_BELOW,
    HIDDEN_STATUSES,
    LEARNED,
    LOSS_BELOW,
    RULES,
    HiddenLevels,
    hidden_schedule,
    hidden_starts,
    prune_hidden,
    train_hidden,
)
from theory.probability import success_probability_exact
from theory.pruning import prune
from theory.results import Result
from theory.sampling import clopper_pearson, generator, paired_interval
from theory.validation import Array

PRUNE_RATE = 0.5


def hidden_neurons(dimensions: Sequence[int], neurons: Sequence[int], trials: int, horizon: float, seed: int) -> Result:
    """Prune k d inner weights to k, half of the survivors at each level, by IMP and by LRR.

    Both rules run on the same starts.

    Raises ValueError for a number out of range. Source: this project.

    Args:
        dimensions: numbers of inputs d, each at least 1
        neurons: numbers of hidden neurons k, each at least 1
        trials: int, starts for each (d, k) (`theory.extensions.hidden_neurons.hidden_starts`), at least 2
        horizon: float, the time of the flow at which an undecided run ends
        seed: int; each (d, k) has its own random generator
    """
    cells = [_cell(d, k, trials, horizon, seed) for d in dimensions for k in neurons]
    values = {
        "dimensions": list(dimensions),
        "neurons": list(neurons),
        "trials": trials,
        "prune_rate": PRUNE_RATE,
        "statuses": list(HIDDEN_STATUSES),
        "criterion": {"learned": LOSS_BELOW, "stationary": GRADIENT_BELOW},
        "cells": cells,
    }
    return Result(values)


def _cell(d: int, k: int, trials: int, horizon: float, seed: int) -> dict[str, Any]:
    a0, w0 = hidden_starts(generator(seed, d, k), trials, k, d)
    survivors = hidden_schedule(k, d, PRUNE_RATE)
    dense = train_hidden(a0, w0, horizon=horizon)
    levels = {rule: prune_hidden(rule, a0, w0, survivors[1:], dense=dense, horizon=horizon) for rule in RULES}
    learned = {rule: levels[rule].status[-1] == LEARNED for rule in RULES}
    right = {"imp": ((a0 > 0) & (w0[..., 0] > 0)).any(axis=1), "lrr": (a0 > 0).any(axis=1)}
    cell = {"d": d, "k": k, "survivors": survivors}
    for rule, quarter in (("imp", 0.25), ("lrr", 0.5)):
        cell[rule] = {
            **_counts(levels[rule]),
            "heuristic": 1 - (1 - quarter) ** k,
            "n_as_predicted": int((learned[rule] == right[rule]).sum()),
            "n_contradicting": int((learned[rule] & ~right[rule]).sum()),
        }
    cell["difference"] = {"lrr - imp": paired_interval(learned["lrr"].astype(float) - learned["imp"])}
    return cell | ({"against_exact": _against_exact(a0, w0, survivors, learned)} if k == 1 else {})


def _counts(levels: HiddenLevels) -> dict[str, Any]:
    """Return the number of trials of each status level by level, and the successes of the last level."""
    trials = levels.status.shape[1]
    counts = {word: (levels.status == code).sum(axis=1).tolist() for code, word in enumerate(HIDDEN_STATUSES)}
    successes = counts["learned"][-1]
    low, high = clopper_pearson(successes, trials)
    return {**counts, "successes": successes, "trials": trials, "low": low, "high": high}


def _against_exact(a0: Array, w0: Array, survivors: list[int], learned: dict[str, np.ndarray]) -> dict[str, Any]:
    """Compare with the exact results for one neuron.

    Returns the exact probability, and in how many trials the exact limits differ from the run.
    """
    d = w0.shape[-1]
    return {
        rule: {
            "exact": success_probability_exact(rule, "balanced", d),
            "contradictions": int((prune(rule, a0[:, 0], w0[:, 0], survivors[1:]).learns[-1] != learned[rule]).sum()),
        }
        for rule in RULES
    }
