"""IMP and LRR on the neuron from random starts.

Level by level (figure 2 a, claims 3 and 4a), and the 2x2 test of signs and magnitudes (claim 14).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from theory.probability import success_probability_exact
from theory.pruning import REWINDS, prune, schedule
from theory.results import Result
from theory.sampling import STARTS, balanced_starts, clopper_pearson, paired_interval
from theory.validation import Array

INITS = ("balanced", "normal")  # the starts of the factorial


def pruning_iterations(d: int, trials: int, prune_rate: float, seed: int) -> Result:
    """Figure 2 (a), claims 3 and 4a: IMP and LRR from balanced starts, level by level to the mask {1}."""
    a0, w0 = balanced_starts(np.random.default_rng(seed), trials, d)
    survivors = schedule(d, prune_rate)
    rules = {rule: _over_levels(rule, a0, w0, survivors) for rule in ("imp", "lrr")}
    return Result({"d": d, "survivors": survivors, "trials": trials, "rules": rules})


def _over_levels(rule: str, a0: Array, w0: Array, survivors: list[int]) -> dict[str, list]:
    levels = prune(rule, a0, w0, survivors[1:])
    successes = levels.learns.sum(axis=1).tolist()
    intervals = [clopper_pearson(k, len(a0)) for k in successes]
    return {
        "successes": successes,
        "low": [low for low, _ in intervals],
        "high": [high for _, high in intervals],
        "exact": [success_probability_exact(rule, "balanced", w0.shape[1], n) for n in survivors],
        "mask_recovered": levels.masks[..., 0].sum(axis=1).tolist(),
    }


def factorial(d: int, trials: int, seed: int) -> Result:
    """Claims 3 and 14: initial or trained signs times initial or trained magnitudes.

    The neuron is pruned at once to the mask {1}.
    """
    generators = np.random.default_rng(seed).spawn(len(INITS))
    inits = {init: _cells(init, *STARTS[init](rng, trials, d)) for init, rng in zip(INITS, generators, strict=True)}
    return Result({"d": d, "trials": trials, "inits": inits})


def _cells(init: str, a0: Array, w0: Array) -> dict[str, Any]:
    trials, d = w0.shape
    learned = {rule: prune(rule, a0, w0, [1] if d > 1 else []).learns[-1].astype(float) for rule in REWINDS}
    imp, sign, magnitude, lrr = (learned[rule] for rule in ("imp", "sign", "magnitude", "lrr"))
    cells: dict[str, Any] = {}
    for rule, hits in learned.items():
        low, high = clopper_pearson(hits.sum(), trials)
        exact = success_probability_exact(rule, init, d)
        cells[rule] = {"successes": int(hits.sum()), "trials": trials, "low": low, "high": high, "exact": exact}
    cells["effects"] = {
        "signs": paired_interval((sign + lrr - imp - magnitude) / 2),
        "magnitudes": paired_interval((magnitude + lrr - imp - sign) / 2),
        "interaction": paired_interval(lrr - sign - magnitude + imp),
    }
    cells["difference"] = {"lrr - imp": paired_interval(lrr - imp)}
    return cells
