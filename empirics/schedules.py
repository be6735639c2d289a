"""The learning rate at each step, and the number of kept weights at each level.

A cycle has `total` steps, of which the first `warmup` are a warm-up. Milestones are fractions of the whole cycle, so a
warm-up does not shift them; cosine and triangular span the steps after the warm-up. A once-only warm-up comes before
the first cycle of level 0, at negative steps.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

from empirics.choices import check_choice

Schedule = Callable[[int, int, int, Sequence[float]], float]


CONSTANT_WARMUP = 0.1  # of the peak rate, throughout a warm-up of constant rate


def kept_weights(total: int, prune_rate: float, level: int) -> int:
    """Weights that survive at `level`: `round(total * (1 - prune_rate) ** level)`, exactly."""
    return round(total * (1 - prune_rate) ** level)


def learning_rate(
    step: int,
    *,
    total: int,
    warmup: int,
    peak: float,
    schedule: str,
    milestones: Sequence[float] = (),
    floor: float = 0.0,
    warmup_shape: str = "linear",
) -> float:
    """Learning rate of step `step` (0 to total - 1) of a cycle, in [0, peak].

    Args:
        step: of the cycle.
        total, warmup: steps of the cycle, and of the warm-up at its start.
        peak: largest rate.
        schedule: key of `SCHEDULES`.
        milestones: of the step schedule, fractions of the cycle.
        floor: rate that the schedule falls to in place of 0.
        warmup_shape: `linear`, or `constant` (`CONSTANT_WARMUP` of the peak).
    """
    if step < warmup:
        return warmup_rate(step, warmup, peak, warmup_shape)
    height = SCHEDULES[check_choice(schedule, SCHEDULES, "schedule")](step, total, warmup, milestones)
    return peak * height + floor * (1 - height) if floor else peak * height


def warmup_rate(step: int, warmup: int, peak: float, shape: str = "linear") -> float:
    """Learning rate of step `step` (0 to warmup - 1) of a warm-up."""
    return peak * (step + 1) / warmup if shape == "linear" else peak * CONSTANT_WARMUP


def final_rate(*, total: int, last: int, **schedule: Any) -> float:
    """The constant rate of fine-tuning: the mean rate of a schedule's last `last` steps.

    `schedule` holds the other settings of `learning_rate`.

    For `step` this is its final rate. A cosine ends near 0, where nothing would be learnt, hence the mean over an
    epoch.
    """
    return math.fsum(learning_rate(step, total=total, **schedule) for step in range(total - last, total)) / last


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
