"""The learning rate at each step, and the number of kept weights at each level.

A level has `total` steps, of which the first `warmup` are a linear warm-up. Milestones are fractions of the whole
level, so a warm-up does not shift them; cosine and triangular span the steps after the warm-up.
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
    """The constant rate of fine-tuning: the mean rate of a schedule's last `last` steps.

    For `step` this is its final rate. A cosine ends near 0, where nothing would be learnt, hence the mean over an
    epoch.
    """
    steps = range(total - last, total)
    settings = dict(total=total, warmup=warmup, peak=peak, schedule=schedule, milestones=milestones)
    return math.fsum(learning_rate(step, **settings) for step in steps) / last


def constant(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """A constant rate: the peak at every step."""
    return 1.0


def cosine(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """Half a cosine from the peak towards 0 (Loshchilov and Hutter 2017, without restarts)."""
    return 0.5 * (1 + math.cos(math.pi * (step - warmup) / (total - warmup)))


def stepwise(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """The rate is divided by ten at each milestone."""
    return 0.1 ** sum(step >= round(m * total) for m in milestones)


def triangular(step: int, total: int, warmup: int, milestones: Sequence[float]) -> float:
    """Linear decay to 0: with the warm-up before it, a triangle with its peak at the end of the warm-up."""
    return (total - step) / (total - warmup)


# A new schedule: one function above, one line here.
SCHEDULES: dict[str, Schedule] = {
    "constant": constant,
    "cosine": cosine,
    "step": stepwise,
    "triangular": triangular,
}
