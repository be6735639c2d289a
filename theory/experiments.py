"""The experiments of the theory: named sweeps whose results become files that the figures read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from theory.claims import theorem_check
from theory.exact import LEARNS, VERDICTS, closed_form, known, limit, verdicts
from theory.flow import integrate
from theory.network import Array, Population, gradient_1d
from theory.probability import success_probability_exact
from theory.pruning import REWINDS, prune, schedule
from theory.records import Result, hashed_name, record_files
from theory.sampling import STARTS, balanced_starts, clopper_pearson, paired_interval

SIGNS = {"++": (1, 1), "+-": (1, -1), "-+": (-1, 1), "--": (-1, -1)}  # sign of a0, then of w0


@dataclass(frozen=True)
class Experiment:
    """A sweep: `run(**params) -> Result`, its default parameters and a sentence on what it shows."""

    name: str
    run: Callable[..., Result]
    params: dict[str, Any]
    about: str


# --- figure 1


def quadrants(grid: int, extent: float, horizon: float, starts: int, seed: int) -> Result:
    """Figure 1 (a), d = 1: velocity and exact verdict on a grid, trajectories, balanced starts by quadrant."""
    axis = np.linspace(-extent, extent, grid)
    a, w = np.meshgrid(axis, axis)  # rows follow w, columns a
    field_a, field_w = (-part for part in gradient_1d(a, w))
    a0, w0, balanced = _quadrant_starts(extent)
    times = horizon * np.linspace(0, 1, 201) ** 3  # dense where the motion is fast
    arrays = {
        "grid_a": axis,
        "grid_w": axis,
        "field_a": field_a,
        "field_w": field_w,
        "verdict": verdicts(a, w),
        **_quadrant_curves(extent),
        "trajectories": np.stack(closed_form(a0[:, None], w0[:, None], times), axis=-1),
        "times": times,
        "trajectory_verdict": verdicts(a0, w0),
        "balanced": balanced,
    }
    sizes = abs(np.random.default_rng(seed).normal(size=(len(SIGNS), starts)))
    counts = {
        key: {"starts": starts, "learns": int((verdicts(sa * size, sw * size) == LEARNS).sum())}
        for (key, (sa, sw)), size in zip(SIGNS.items(), sizes, strict=True)
    }
    return Result({"quadrants": counts, "verdicts": list(VERDICTS)}, arrays)


def _quadrant_starts(extent: float) -> tuple[Array, Array, np.ndarray]:
    balanced = [
        (sa * size, sw * size) for sa, sw in SIGNS.values() for size in (0.15 * extent, 0.4 * extent, 0.8 * extent)
    ]
    others = np.array(
        [(-0.2, 0.9), (-0.45, 0.7), (-0.9, 0.6), (-0.7, 0.25), (0.9, -0.4), (0.3, -0.9), (0.05, 0.8), (0.8, 0.05)]
    )
    start = np.concatenate([balanced, extent * others])
    return start[:, 0], start[:, 1], np.arange(len(start)) < len(balanced)


def _quadrant_curves(extent: float) -> dict[str, np.ndarray]:
    """Return the curves of the phase plane, each (m, 2) with columns (a, w)."""
    line = np.linspace(0, extent, 101)
    rise = np.geomspace(1 / extent, extent, 201)
    return {
        "separatrix": np.stack([-line[::-1], line[::-1]], axis=1),
        "minimum": np.stack([rise, 1 / rise], axis=1),
        # a failing start ends on w = 0, a <= 0 or on a = 0, w <= 0; or, from below only, on w = 0, a > 0
        "stationary": np.concatenate(
            [np.stack([-line[::-1], 0 * line], axis=1), np.stack([0 * line, -line], axis=1)[1:]]
        ),
        "stationary_from_below": np.stack([line, 0 * line], axis=1),
    }


def stories(angle: float, size: float, horizon: float, points: int) -> Result:
    """Figure 1 (b, c), d = 2: the dense flow turns w_1 positive; rewound (IMP) it dies, kept (LRR) it learns."""
    loss, times, mask = Population(2), np.linspace(0, horizon, points), np.array([1.0, 0.0])
    w0 = size * np.array([np.cos(angle), np.sin(angle)])
    a0 = float(np.hypot(*w0))
    dense = integrate(loss, a0, w0, times)
    starts = {"dense": (a0, w0), "imp": (a0, w0 * mask), "lrr": (float(dense.a[-1]), dense.w[-1] * mask)}
    runs = {phase: dense if phase == "dense" else integrate(loss, *start, times) for phase, start in starts.items()}
    ends = {phase: limit(*start) for phase, start in starts.items()}
    arrays = {
        f"{phase}_{name}": getattr(run, attribute)
        for phase, run in runs.items()
        for name, attribute in (("times", "t"), ("a", "a"), ("w", "w"), ("loss", "loss"))
    }
    values = {
        "mask": [1, 0],
        "verdict": {phase: end.verdict for phase, end in ends.items()},
        "start": {phase: {"a": a, "w": w.tolist()} for phase, (a, w) in starts.items()},
        "limit": {phase: {"a": end.a, "w": end.w.tolist()} for phase, end in ends.items()},
    }
    return Result(values, arrays)


# --- claims 3, 4a, 14


def pruning_iterations(d: int, trials: int, prune_rate: float, seed: int) -> Result:
    """Figure 2 (a), claims 3 and 4a: IMP and LRR from balanced starts, input by input down to the mask {1}."""
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
    """Claims 3 and 14: initial or trained signs times initial or trained magnitudes, pruned at once to the mask {1}."""
    generators = np.random.default_rng(seed).spawn(len(STARTS))
    inits = {
        init: _cells(init, *draw(rng, trials, d)) for (init, draw), rng in zip(STARTS.items(), generators, strict=True)
    }
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


# --- result files


def _all_params(name: str, params: dict[str, Any] | None) -> dict[str, Any]:
    known("experiment", name, tuple(EXPERIMENTS))
    defaults = EXPERIMENTS[name].params
    for key in params or {}:
        known(f"parameter of {name}", key, tuple(defaults))
    return {**defaults, **(params or {})}


def result_name(name: str, params: dict[str, Any] | None = None) -> str:
    """Return `<experiment>-<hash8>`; the hash covers the schema version, the name and every parameter.

    Raises
    ------
    ValueError: an unknown experiment or parameter; the message lists the known ones.
    """
    return hashed_name(name, _all_params(name, params))


def files(
    name: str, result: Result, params: dict[str, Any] | None, seconds: float, provenance: dict[str, Any], command: str
) -> dict[str, bytes]:
    """Return file name -> bytes of a result, its npz first.

    Parameters
    ----------
    name, params : the experiment and the parameters it ran with; those not given are its defaults
    seconds : float, run time
    provenance, command : recorded as they are
    """
    return record_files(name, result, _all_params(name, params), seconds, provenance, command)


EXPERIMENTS: dict[str, Experiment] = {
    "quadrants": Experiment(
        "quadrants",
        quadrants,
        {"grid": 161, "extent": 2.0, "horizon": 400.0, "starts": 5000, "seed": 0},
        "d = 1: which sign quadrants learn (figure 1 a)",
    ),
    "stories": Experiment(
        "stories",
        stories,
        {"angle": 2.4, "size": 0.8, "horizon": 12.0, "points": 401},
        "d = 2: on the correct mask IMP starts with the wrong sign, LRR with the trained one (figure 1 b, c)",
    ),
    "pruning-iterations": Experiment(
        "pruning-iterations",
        pruning_iterations,
        {"d": 10, "trials": 20000, "prune_rate": 0.2, "seed": 0},
        "IMP and LRR on the neuron over pruning iterations (figure 2 a, claims 3 and 4a)",
    ),
    "factorial": Experiment(
        "factorial",
        factorial,
        {"d": 10, "trials": 20000, "seed": 0},
        "signs times magnitudes: imp, sign, magnitude, lrr (claims 3 and 14)",
    ),
    "theorem-check": Experiment(
        "theorem-check",
        theorem_check,
        {"starts": 20000, "runs": 200, "horizon": 300.0, "seed": 0},
        "Theorem 2.1 and Lemma 2.2 against exact limits, numerical runs and sympy (claims 1 and 2)",
    ),
}
