"""The training of a level in numbers: what `train` needs of a run's settings."""

import dataclasses
from collections.abc import Callable

from empirics.config import RunConfig
from empirics.schedules import final_rate, learning_rate
from empirics.train import TrainingSettings


def training_settings(config: RunConfig) -> TrainingSettings:
    """The numbers of the training loop."""
    return TrainingSettings(**{f.name: getattr(config, f.name) for f in dataclasses.fields(TrainingSettings)})


def rate_at(config: RunConfig, level: int, steps: int) -> Callable[[int], float]:
    """The learning rate as a function of the step of a cycle at `level`, with `steps` steps per epoch."""
    schedule = dict(
        total=config.epochs * steps,
        warmup=config.warmup_epochs * steps,
        peak=config.lr,
        schedule=config.schedule,
        milestones=config.milestones,
    )
    if level and not config.rewind_rule.restarts_schedule:
        final = final_rate(last=steps, **schedule)
        return lambda step: final
    return lambda step: learning_rate(step, **schedule)
