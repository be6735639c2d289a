"""Figure 1: the phase plane of one input, and an example of IMP and LRR with two inputs."""

from __future__ import annotations

import numpy as np

from theory.exact.closed_form import closed_form
from theory.exact.limits import LEARNS, VERDICTS, limit, verdicts
from theory.flow.integrate import integrate
from theory.losses.formulas import gradient_1d
from theory.losses.losses import Population
from theory.results import Result
from theory.validation import Array

QUADRANTS = {"++": (1, 1), "+-": (1, -1), "-+": (-1, 1), "--": (-1, -1)}  # sign of a0, then of w0


def quadrants(grid: int, extent: float, horizon: float, starts: int, seed: int) -> Result:
    """Figure 1 (a), d = 1: velocity, verdicts and trajectories.

    Velocity and exact verdict are given on a grid, balanced starts by quadrant.
    """
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
    sizes = abs(np.random.default_rng(seed).normal(size=(len(QUADRANTS), starts)))
    counts = {
        key: {"starts": starts, "learns": int((verdicts(sa * size, sw * size) == LEARNS).sum())}
        for (key, (sa, sw)), size in zip(QUADRANTS.items(), sizes, strict=True)
    }
    return Result({"quadrants": counts, "verdicts": list(VERDICTS)}, arrays)


def _quadrant_starts(extent: float) -> tuple[Array, Array, np.ndarray]:
    balanced = [
        (sa * size, sw * size) for sa, sw in QUADRANTS.values() for size in (0.15 * extent, 0.4 * extent, 0.8 * extent)
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


def imp_lrr_example(angle: float, size: float, horizon: float, points: int) -> Result:
    """Figure 1 (b, c), d = 2: one start, trained dense and then as IMP and LRR prune it.

    The dense flow turns w_1 positive. Rewound to its initial value (IMP) the neuron dies; kept (LRR) it learns.
    """
    loss = Population(2)
    times = np.linspace(0, horizon, points)
    mask = np.array([1.0, 0.0])
    w0 = size * np.array([np.cos(angle), np.sin(angle)])
    a0 = float(np.hypot(*w0))
    dense = integrate(loss, a0, w0, times)
    starts = {"dense": (a0, w0), "imp": (a0, w0 * mask), "lrr": (float(dense.a[-1]), dense.w[-1] * mask)}
    runs = {phase: dense if phase == "dense" else integrate(loss, a, w, times) for phase, (a, w) in starts.items()}
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
        "limit": {phase: {"a": end.a, "w": np.asarray(end.w).tolist()} for phase, end in ends.items()},
    }
    return Result(values, arrays)
