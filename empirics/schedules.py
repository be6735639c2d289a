"""Learning rate over steps and number of kept weights over levels: plain functions of numbers.

A level has `total` steps, the first `warmup` of them linear warm-up. Milestones are fractions of the whole level, so a
warm-up does not shift them; cosine and triangular stretch over the steps that remain after the warm-up.
"""

import math
from collections.abc import Callable, Sequence

from empirics.config import check_choice

Schedule = Callable[[int, int, int, Sequence[float]], float]


def kept_weights(total: int, prune_rate: float, level: int) -> int:
    """Weights that survive at `level`: `round(total * (1 - prune_rate) ** level)`, exactly."""
    return round(total * (1 - prune_rate) ** level)


def learning_rate(
    step: int, *, total: int, warmup: int, peak: float, schedule: str, milestones: Sequence[float] = ()
) -> float:
    """Learning rate of step `step` (0 to total - 1) of a level, in [0, peak]."""
    if step < warmup:
        return peak * (step + 1) / warmup
    return peak * SCHEDULES[check_choice(schedule, SCHEDULES, "schedule")](step, total, warmup, milestones)


def final_rate(
    *, total: int, last: int, warmup: int, peak: float, schedule: str, milestones: Sequence[float] = ()
) -> float:
    """What fine-tuning trains at: the mean rate of a schedule's last `last` steps.

    For `step` that is its final rate. A cosine ends at next to 0, at which nothing would be learnt, hence the mean over
    an epoch.
    """
    steps = range(total - last, total)
    settings = dict(total=total, warmup=warmup, peak=peak, schedule=schedule, milestones=milestones)
    return math.fsum(learning_rate(step, **settings) for step in steps) / last


def constant(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """The peak throughout."""
    return 1.0


def cosine(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """Half a cosine from the peak towards 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def stepwise(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """A tenth at each milestone passed."""
    return 0.1 ** sum(step >= round(m * total) for m in milestones)


def triangular(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """A straight fall to 0: with the warm-up before it, a triangle with its peak at the warm-up's end."""
    return (total - step) / (total - warmup)


# A new schedule: one function above, one line here.
SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "step": stepwise,
    "triangular": triangular,
}
