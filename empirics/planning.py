"""What a training command asks for, as plans; a recorded command is read back the same way.

torch is loaded only where something is measured or trained.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

import tyro

from empirics.choices import ConfigError, choose
from empirics.cli import Train
from empirics.studies.plan import Plan, Study, plan_study, plan_variation
from empirics.studies.presets import PRESETS
from empirics.studies.sweeps import VARIATIONS

OVERRIDES = (
    "criterion",
    "densities",
    "pruning",
    "scores_from",
    "prune_rate",
    "levels",
    "epochs",
    "batch_size",
    "micro_batch",
    "warmup_epochs",
    "model",
    "width",
    "lr",
    "schedule",
    "momentum",
    "weight_decay",
    "precision",
    "perturb_rate",
    "perturb_level",
    "perturb_scope",
    "images_per_class",
    "validation_per_class",
    "image_size",
)


def plans(command: Train) -> list[Plan]:
    """What a command asks for: the preset's arms, each value of the variations, or both.

    Raises:
        ConfigError: a name that is not known, a setting that cannot be run.
    """
    given = _overrides(command)
    varied = [*command.vary, *(VARIATIONS if command.everything else ())]
    found = [] if command.vary and not command.everything else [plan_study(command, command.arms, given)]
    for name in dict.fromkeys(varied):
        found += plan_variation(command, name, command.arms, given)
    return found


def _overrides(command: Train) -> dict[str, Any]:
    """The settings of the preset that a command changes."""
    given = {name: getattr(command, name) for name in OVERRIDES if getattr(command, name) is not None}
    if command.milestones:
        given["milestones"] = command.milestones
    elif command.schedule is not None:
        usual = PRESETS[choose(command.preset, PRESETS, "preset")].settings.get("milestones") or (0.5, 0.75)
        given["milestones"] = usual if command.schedule == "step" else ()
    return given


def plans_again(recorded: str, study: str, seeds: Mapping[str, Sequence[int]], kept: Study) -> list[Plan]:
    """The plans that make a study again, from the command that a record names.

    Args:
        recorded: `paper_repro.py train ...`.
        study: the study's name; other studies of the command are left out.
        seeds: arm -> its seeds; arms with the same seeds are planned together.
        kept: where the results go, the device, the workers and the like: what is asked for now, whatever was then.

    Raises:
        ConfigError: the command is none of ours, or makes no such study in this version.
    """
    now = {field.name: getattr(kept, field.name) for field in dataclasses.fields(Study)}
    command, found = read_command(recorded), []
    together: dict[tuple[int, ...], list[str]] = {}
    for arm, numbers in seeds.items():
        together.setdefault(tuple(sorted(numbers)), []).append(arm)
    for numbers, arms in together.items():
        label = {"preset": command.preset, "data_label": command.data_label, "seeds": numbers, "arms": tuple(arms)}
        found += [p for p in plans(dataclasses.replace(command, **now | label)) if p.record["study"] == study]
    if not found:
        raise ConfigError(f"`{recorded}` makes no study {study!r} in this version: run the figure again")
    return found


def read_command(recorded: str) -> Train:
    """A recorded command line as options.

    Raises:
        ConfigError: it is not one of `train`.
    """
    try:
        program, name, *options = shlex.split(recorded)
        if (program, name) != ("paper_repro.py", "train"):
            raise ValueError
        return tyro.cli(Train, args=options, console_outputs=False, config=(tyro.conf.OmitArgPrefixes,))
    except (ValueError, SystemExit):
        raise ConfigError(f"{recorded!r} is no command of `paper_repro.py train`: run the figure again") from None
