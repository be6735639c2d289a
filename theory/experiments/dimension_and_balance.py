"""Two sweeps of the neuron: over the input dimension, and over the balance.

`dimension` computes success over the input dimension (figure 14, claim 13), `basins` the basins over the balance.

Every condition has its own random generator, so adding a dimension or a ratio changes no other number.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from theory.exact.closed_form import closed_form
from theory.exact.limits import FAILS, LEARNS, verdicts
from theory.flow.integrate import LEARNED_BELOW, Event, integrate
from theory.losses.formulas import loss_1d
from theory.losses.losses import Population
from theory.probability import Success, success_probability_exact, switch_probability_exact, switches
from theory.pruning import prune
from theory.results import Result
from theory.sampling import STARTS, Init, blocks, difference_interval, generator, paired_interval
from theory.validation import Array, known, whole

RULES = ("imp", "lrr")
COMPARED = (1, 10)  # the dimensions that claim 13 compares
EXTENT = 2.0  # witnesses are drawn from |a0|, |w0| up to it
LATE = 1e9  # a time by which the closed form has settled; the loss of a failing start is at least 1/4 at every time
UNDECIDED = 2
WITNESS_WORDS = ("fails", "learns", "undecided")  # the word of each code of a witness
SLACK = 1e-9

Hits = dict[str, NDArray[np.bool_]]


# --- figure 14, claim 13


def dimension(dimensions: Sequence[int], trials: int, seed: int, inits: Sequence[str] = tuple(STARTS)) -> Result:
    """Figure 14 and claim 13: IMP and LRR over the number of inputs d, on the same starts.

    Sign switches are counted on these starts too.

    Args:
        dimensions: increasing whole numbers, at least 1, that include 1 and 10 (claim 13 compares these)
        trials: int, starts for each dimension and kind of start, at least 2
        seed: int, at least 0
        inits: kinds of start, names of `theory.sampling.STARTS`; one more changes no number of the others

    Returns:
        Result: values["inits"][init] holds a list over d for each of `imp`, `lrr` and `switches` (counts, intervals,
            exact), `lrr - imp` paired by start, and `overparametrisation` (see below)

    Raises:
        ValueError: dimensions that do not increase or lack 1 or 10, an unknown start, or a number out of range.
    """
    _refuse_dimensions(dimensions)
    for init in inits:
        known("init", init, tuple(STARTS))
    found = {init: _over_dimensions(init, dimensions, trials, seed) for init in inits}
    return Result({"dimensions": list(dimensions), "trials": trials, "compared": list(COMPARED), "inits": found})


def _refuse_dimensions(dimensions: Sequence[int]) -> None:
    rising = [whole("dimensions", d, 1) for d in dimensions]
    if rising != sorted(set(rising)) or not set(COMPARED) <= set(rising):
        few, many = COMPARED
        raise ValueError(f"dimensions must increase and hold {few} and {many} (for claim 13), got {list(dimensions)}")


def _over_dimensions(init: str, dimensions: Sequence[int], trials: int, seed: int) -> dict[str, Any]:
    kind = list(STARTS).index(init)
    found = {}
    columns: dict[str, list] = {name: [] for name in (*RULES, "switches", "lrr - imp")}
    for d in dimensions:
        hits = outcomes(init, generator(seed, kind, d), trials, d)
        exact = {rule: success_probability_exact(rule, init, d) for rule in RULES}
        exact["switches"] = switch_probability_exact(init, d)
        for name, p in exact.items():
            columns[name].append(asdict(Success.of(hits[name].sum(), trials, p)))
        columns["lrr - imp"].append(paired_interval(hits["lrr"].astype(float) - hits["imp"]))
        if d in COMPARED:
            found[d] = hits
    return {**columns, "overparametrisation": overparametrisation(*(found[d] for d in COMPARED))}


def outcomes(init: Init, rng: np.random.Generator, trials: int, d: int) -> Hits:
    """Return whether each random start learns by `imp` and by `lrr`, and whether it `switches`.

    Starts are pruned at once to one input; `switches` as in `theory.probability.switches`.

    Args:
        init: kind of start, as in `theory.success_probability`
        rng: generator of the starts
        trials: int, number of starts
        d: int, number of inputs

    Returns:
        dict of bool ndarray, shape (trials,): all three on the same starts
    """
    parts: dict[str, list] = {name: [] for name in (*RULES, "switches")}
    for a0, w0 in blocks(init, rng, trials, d):
        for rule in RULES:
            parts[rule].append(prune(rule, a0, w0, [1] if d > 1 else []).learns[-1])
        parts["switches"].append(switches(a0, w0))
    return {name: np.concatenate(part) for name, part in parts.items()}


def overparametrisation(few: Hits, many: Hits) -> dict[str, float]:
    """Return [P(LRR, many) - P(LRR, few)] - [the same for IMP] with its 95 % interval.

    Source: claim 13; the effect is defined by this project.

    Args:
        few: outcomes with few inputs; LRR and IMP are paired by start
        many: the same with many inputs, on independent starts
    """
    return difference_interval(*(hits["lrr"].astype(float) - hits["imp"] for hits in (many, few)))


# --- figure `basins`


def basins(
    dimensions: Sequence[int], ratios: Sequence[float], trials: int, starts: int, horizon: float, seed: int
) -> Result:
    """Figure `basins`: the exact basin for any balance, and success over s_w / s_a.

    Witnesses, which are starts whose flow is computed, are compared with the exact basin.

    Args:
        dimensions: whole numbers, at least 1, at which success is counted; witnesses with d > 1 are shared among them
        ratios: numbers above 0, s_w / s_a (a ~ N(0, s_a^2), w_i ~ N(0, s_w^2))
        trials: int, starts for each dimension and ratio
        starts: int, witnesses for each panel, each a random start whose flow is computed (`one_input`,
            `several_inputs`)
        horizon: float, the time that integrated runs end at
        seed: int, at least 0

    Returns:
        Result: values["witnesses"] count the words of the witnesses and those that contradict the exact verdict;
            values["success"][rule] hold a row over ratios for each d; arrays hold the witnesses, a curve `separatrix`
            of (a, |w|), and the exact curves

    Raises:
        ValueError: no dimension above 1, no ratio, or a number out of range.
    """
    several = [whole("dimensions", d, 1) for d in dimensions if d > 1]
    if not several or not len(ratios):
        raise ValueError(f"basins needs a dimension above 1 and a ratio, got {list(dimensions)} and {list(ratios)}")
    line = one_input(generator(seed, 0), starts)
    plane = several_inputs(generator(seed, 1), starts, several, horizon)
    edge = np.linspace(0, 1.05 * EXTENT, 3)  # a little beyond the witnesses
    rows = [_over_ratios(d, ratios, trials, seed) for d in dimensions]
    values = {
        "trials": trials,
        "dimensions": list(dimensions),
        "ratios": list(ratios),
        "horizon": horizon,
        "witnesses": {"one": line.values, "several": plane.values},
        "success": {rule: [row[rule] for row in rows] for rule in RULES},
    }
    arrays = {"separatrix": np.stack([-edge, edge], axis=1), **line.arrays, **plane.arrays}
    return Result(values, {**arrays, **_exact_curves(dimensions, min(ratios), max(ratios))})


def _exact_curves(dimensions: Sequence[int], least: float, most: float) -> dict[str, Array]:
    """Return `curve_ratio` (m,), and the exact `curve_imp` and `curve_lrr`, each (len(dimensions), m)."""
    fine = np.geomspace(least, most, 61)
    curves = {
        f"curve_{rule}": [[success_probability_exact(rule, "normal", d, ratio=r) for r in fine] for d in dimensions]
        for rule in RULES
    }
    return {"curve_ratio": fine, **{name: np.array(rows) for name, rows in curves.items()}}


def _over_ratios(d: int, ratios: Sequence[float], trials: int, seed: int) -> dict[str, list]:
    row: dict[str, list] = {rule: [] for rule in RULES}
    for ratio in ratios:
        hits = outcomes((1.0, ratio), generator(seed, 2, d, ratio), trials, d)
        for rule in RULES:
            exact = success_probability_exact(rule, "normal", d, ratio=ratio)
            row[rule].append(asdict(Success.of(hits[rule].sum(), trials, exact)))
    return row


def one_input(rng: np.random.Generator, starts: int) -> Result:
    """Return random starts for d = 1 with the verdict of the closed form's loss at a late time.

    Args:
        rng: generator of the starts
        starts: int, at least 1: (a0, w0) uniform in the square of half side 2

    Returns:
        Result: arrays `one_start` (starts, 2), (a0, w0), and `one_verdict` (starts,), codes of `WITNESS_WORDS`; values
            count them, and those that contradict `theory.exact.limits.verdicts`
    """
    a0, w0 = rng.uniform(-EXTENT, EXTENT, size=(2, whole("starts", starts, 1)))
    late = loss_1d(*closed_form(a0, w0, LATE))
    seen = np.select([late < LEARNED_BELOW, late >= 0.25 - SLACK], [LEARNS, FAILS], UNDECIDED)
    return _witnesses("one", np.stack([a0, w0], axis=1), seen, verdicts(a0, w0))


def several_inputs(rng: np.random.Generator, starts: int, dimensions: Sequence[int], horizon: float) -> Result:
    """Return random starts for d > 1, each with the verdict of an integrated run.

    The run uses only the gradient.

    Args:
        rng: generator of the starts
        starts: int, at least 1, shared among the dimensions in turn: a0 uniform in (-2, 2), |w0| in (0, 2), w0
            isotropic
        dimensions: whole numbers above 1
        horizon: float, the time that a run ends at; a run that has not decided by then is `undecided`

    Returns:
        Result: as `one_input`, with the names `several_start`, (a0, |w0|), and `several_verdict`
    """
    starts = whole("starts", starts, 1)
    a0 = rng.uniform(-EXTENT, EXTENT, size=starts)
    r0 = rng.uniform(0, EXTENT, size=starts)
    seen, exact = np.empty(starts, int), np.empty(starts, int)
    for i in range(starts):
        towards = rng.normal(size=dimensions[i % len(dimensions)])
        w0 = r0[i] * towards / np.hypot.reduce(towards)
        seen[i] = _integrated(a0[i], w0, horizon)
        exact[i] = verdicts(a0[i], w0)
    found = _witnesses("several", np.stack([a0, r0], axis=1), seen, exact)
    return Result({**found.values, "d": list(dimensions)}, found.arrays)


def _integrated(a0: float, w0: Array, horizon: float) -> int:
    loss = Population(len(w0))
    near = Event("learned", lambda _, a, w: float(loss.loss(a, w)) - LEARNED_BELOW / 2, direction=-1)
    return WITNESS_WORDS.index(integrate(loss, a0, w0, horizon, rtol=1e-7, atol=1e-10, events=[near]).verdict)


def _witnesses(name: str, start: Array, seen: NDArray, exact: NDArray) -> Result:
    counts = {word: int((seen == code).sum()) for code, word in enumerate(WITNESS_WORDS)}
    against = int(((seen != UNDECIDED) & ((seen == LEARNS) != (exact == LEARNS))).sum())
    arrays = {f"{name}_start": start, f"{name}_verdict": seen.astype(np.int8)}
    return Result({"starts": len(seen), **counts, "contradictions": against}, arrays)
