"""For every setting, a run and another value of the setting with which the run is valid too."""

import dataclasses
from typing import Any

from empirics.config import RunConfig
from empirics.settings import OneOf

# settings that are valid only beside others, or with few values
BESIDE: dict[str, dict[str, Any]] = {
    "milestones": dict(schedule="step", milestones=(0.5,)),
    "warmup": dict(warmup_epochs=1),
    "lr_floor": dict(schedule="cosine"),
    "strikes": dict(strikes=2, strike_rate=0.3),
    "strike_rate": dict(strikes=2, strike_rate=0.3),
    "sign_run": dict(rewind="sign"),
    "shuffled_magnitudes": dict(rewind="sign"),
    "sculpt_factor": dict(mask_source="random", cycles="level + 1", sculpt_factor=4.0),
    "mask_run": dict(mask_source="run", mask_run="imp-x"),
    "cycles": dict(mask_source="random"),
    "first_level": dict(mask_source="random"),
    "perturb_level": dict(perturb_rate=0.2),
    "perturb_scope": dict(perturb_rate=0.2),
}
OTHER: dict[str, Any] = {
    "mask_source": "random",
    "mask_run": "lrr-x",
    "mask_snapshot_epochs": (2, 4),
    "milestones": (0.5, 0.75),
    "schedule": "constant",
    "cycles": "level + 1",
    "data_hash": "0" * 64,
    "criterion": "random",
    "densities": "uniform",
    "model": "resnet8",
    "dataset": "letters",
    "rewind": "lrr",
    "perturb_rate": 0.1,
    "micro_batch": 32,
    "batch_size": 32,
    "lr_floor": 0.01,
}


def run_beside(name: str) -> RunConfig:
    """A run whose setting `name` can be changed."""
    return RunConfig(**BESIDE.get(name, {}))


def other_value(field: dataclasses.Field) -> Any:
    """A value of the setting that differs from that of `run_beside`; by its type, where nothing else is stated."""
    if field.name in OTHER:
        return OTHER[field.name]
    value, check = getattr(run_beside(field.name), field.name), field.metadata["check"]
    if isinstance(check, OneOf):
        return next(name for name in check.known if name != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2 or 0.5
    return "other"
