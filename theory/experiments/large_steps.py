"""The sweep `large-steps`: gradient descent over the step size.

Runs begin at balanced starts with a < 0, and next to minima, with steps below and above the largest stable one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from theory.extensions.gradient_descent import DESCENT_STATUSES, LOSS_BELOW, Descent, descend, step_limit
from theory.results import Result
from theory.validation import Array, whole

# The target is 1 here; these are shares and losses relative to it
PUSH = 1e-3  # of the length and of the angle of w
LEFT = 100.0  # times the loss after the push: the run has left the minimum
PUSHED_STEPS = 20_000
PUSHED_BY = np.linspace(0.6, 2.2, 33)  # steps


def large_steps(
    angles: Sequence[float],
    shown: Sequence[float],
    balances: Sequence[float],
    smallest: float,
    largest: float,
    grid: int,
    max_steps: int,
) -> Result:
    """Sweep the step size: balanced starts with a < 0, d = 2 against d = 1, and pushed minima.

    A pushed minimum is a run that starts next to a minimum.

    Starts: |a0| = |w0| = 1, a0 < 0. The results for d = 2 hold for every d > 1: only w_1 and |w_perp| enter. Raises
    ValueError for a number out of range. Source: this project.

    Args:
        angles: between w0 and e_1 in d = 2, one or more
        shown: steps whose runs are kept, for the first of the angles and for d = 1
        balances: c of the minima that are pushed
        smallest: the first step of the logarithmic grid
        largest: the last step of the grid
        grid: number of steps in the grid, at least 2
        max_steps: int, the horizon in steps, at least 1; a run that has not learned by then is counted as such
    """
    if not 0 < smallest < largest:
        raise ValueError(f"steps need 0 < smallest < largest, got {smallest} and {largest}: swap or change them")
    steps = np.geomspace(smallest, largest, whole("grid", grid, 2))
    runs = {angle: [_balanced_run(2, angle, step, max_steps) for step in steps] for angle in angles}
    twins = [_balanced_run(1, 0.0, step, max_steps) for step in steps]
    kept, arrays = _runs_to_draw(shown, angles[0], max_steps)
    values = {
        "statuses": list(DESCENT_STATUSES),
        "learned_below": LOSS_BELOW,
        "step": steps.tolist(),
        "starts": [{"angle": angle, **_run_columns(found)} for angle, found in runs.items()],
        "d1": {**_run_columns(twins), "largest_c": max(float(abs(run.c).max()) for run in twins)},
        "shown": kept,
        "pushed": {"push": PUSH, "left": LEFT, "minima": [_pushed(c) for c in balances]},
    }
    return Result(values, arrays)


def _balanced_run(d: int, angle: float, step: float, max_steps: int) -> Descent:
    from theory.losses.losses import Population

    w0 = [np.cos(angle), np.sin(angle)] if d > 1 else [1.0]
    return descend(Population(d), -1.0, w0, float(step), max_steps=max_steps, at=_log_spaced(max_steps))


def _log_spaced(max_steps: int, points: int = 240) -> Array:
    return np.unique([0, *np.round(np.geomspace(1, max_steps, points))])


def _run_columns(runs: list[Descent]) -> dict[str, list]:
    return {
        "status": [run.status for run in runs],
        "steps": [run.steps for run in runs],
        "least_loss": [_or_none(run.loss.min()) for run in runs],
        "c": [_or_none(run.c[-1]) for run in runs],
    }


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _runs_to_draw(
    steps: Sequence[float], angle: float, max_steps: int
) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return the runs whose loss and c are drawn over steps.

    The result is how each run ended, and their arrays by number.
    """
    found = []
    arrays = {}
    for step in steps:
        for d, theta in ((2, angle), (1, 0.0)):
            run = _balanced_run(d, theta, step, max_steps)
            i = len(found)
            found.append({"d": d, "angle": theta, "step": step, "status": run.status, "steps": run.steps})
            arrays |= {f"shown_{i}_at": run.at.astype(float), f"shown_{i}_loss": run.loss, f"shown_{i}_c": run.c}
    return found, arrays


def _pushed(c: float) -> dict[str, Any]:
    """Return what happens to the minimum of balance c after a push, for each step size."""
    from theory.losses.losses import Population

    a = np.sqrt((np.hypot(2.0, c) + c) / 2) if c > 0 else np.sqrt(2 / (np.hypot(2.0, c) - c))
    w0 = (1 + PUSH) / a * np.array([np.cos(PUSH), np.sin(PUSH)])
    options = {"max_steps": PUSHED_STEPS, "learned": 1e-12, "at": range(PUSHED_STEPS)}
    runs = [descend(Population(2), float(a), w0, float(step), **options) for step in PUSHED_BY]
    left = [bool(run.loss.max() > LEFT * run.loss[0]) for run in runs]
    return {
        "balance": c,
        "limit": float(step_limit(c)),
        "step": PUSHED_BY.tolist(),
        "left": left,
        **_run_columns(runs),
    }
