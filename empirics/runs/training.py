"""The training of a level in numbers: what `train` needs of a run's settings."""

import dataclasses
from collections.abc import Callable

from empirics.config import RunConfig
from empirics.schedules import final_rate, learning_rate, warmup_rate
from empirics.train import TrainingSettings


def training_settings(config: RunConfig) -> TrainingSettings:
    """The numbers of the training loop."""
    return TrainingSettings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(TrainingSettings)})


def rate_at(config: RunConfig, level: int, steps: int) -> Callable[[int], float]:
    """The learning rate as a function of the step of a cycle at `level`, with `steps` steps per epoch.

    A negative step lies before the first cycle, in a once-only warm-up.
    """
    warmup = config.warmup_epochs * steps
    once = config.warmup == "once"
    schedule = dict(
        total=config.epochs * steps,
        warmup=0 if once else warmup,
        peak=config.lr,
        schedule=config.schedule,
        milestones=config.milestones,
        floor=config.lr_floor,
        warmup_shape=config.warmup_shape,
    )
    if level and config.rewind_rule.schedule == "end":
        final = final_rate(last=steps, **schedule)
        return lambda step: final

    def rate(step: int) -> float:
        if step < 0:
            return warmup_rate(warmup + step, warmup, config.lr, config.warmup_shape)
        return learning_rate(step, **schedule)

    return rate
