"""Every command's options, as the command line reads them. To add a command: a class here and a line at the foot."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro

from empirics.choices import ConfigError, check_choice
from empirics.studies.plan import Plan, Study, plan_study, plan_sweep
from empirics.studies.presets import PRESETS
from empirics.studies.sweeps import SWEEPS

Positional = tyro.conf.Positional


@dataclass(frozen=True)
class Figures(Study):
    """Run what the figures need, draw them, judge the claims (the default command)."""

    ids: Positional[tuple[str, ...]] = ()
    """figures to draw; default: all"""
    out: Path = Path("out")
    """folder for figures, claims, Table 1 and the report"""
    compare: Path | None = None
    """run nothing: draw what stands in --results, and behind it what stands in this folder, into OUT/compare"""


@dataclass(frozen=True)
class Train(Study):
    """Train the arms of a preset, and no more."""

    arms: tuple[str, ...] = ()
    """arms; default: the preset's"""
    sweep: tuple[str, ...] = ()
    """train a study for each value of a setting, such as width or prune-rate (`list` names the sweeps)"""
    all: bool = False
    """the preset's arms and then every sweep: the whole experimental section"""
    criterion: str | None = None
    """pruning criterion in place of the preset's"""
    densities: str | None = None
    """layer densities of masks that are chosen within layers"""
    pruning: str | None = None
    """iterative, or one-shot: every level at once from the dense network"""
    scores_from: str | None = None
    """what the criterion scores: trained weights, or those at initialisation"""
    prune_rate: float | None = None
    """fraction of the surviving weights removed between two levels"""
    levels: int | None = None
    """number of levels, the dense one included"""
    epochs: int | None = None
    """epochs a level"""
    batch_size: int | None = None
    """images a step"""
    warmup_epochs: int | None = None
    """epochs of linear warm-up at the start of every level"""
    model: str | None = None
    """network in place of the preset's"""
    micro_batch: int | None = None
    """images that pass through the network together; a divisor of the batch size"""
    width: int | None = None
    """channels of the first stage"""
    lr: float | None = None
    """peak learning rate"""
    schedule: str | None = None
    """learning-rate schedule"""
    milestones: tuple[float, ...] = ()
    """fractions of a level at which the step schedule falls by ten; default: the preset's, or .5 and .75"""
    momentum: float | None = None
    """momentum of SGD"""
    weight_decay: float | None = None
    """weight decay, on every parameter"""
    precision: str | None = None
    """float32, or bfloat16 (autocast)"""
    perturb_rate: float | None = None
    """fraction of the surviving signs that are flipped once"""
    perturb_level: int | None = None
    """level at whose start they are flipped"""
    perturb_scope: str | None = None
    """global, or layerwise: so many in each layer"""
    images_per_class: int | None = None
    """train on the first so many images of each class"""
    validation_per_class: int | None = None
    """hold out the last so many training images of each class, and measure on them"""
    image_size: int | None = None
    """stream images, cut to so many pixels a side; 0 holds them in memory as they are"""


@dataclass(frozen=True)
class Theory:
    """Run the experiments of the neuron, or check the theorems."""

    experiments: Positional[tuple[str, ...]] = ()
    """experiments; default: all"""
    check: bool = False
    """check every theorem, symbolically and numerically, and print a table"""
    results: Path = Path("results")
    """folder of result files"""


@dataclass(frozen=True)
class Claims:
    """Judge the claims from the results that stand, and print the table."""

    results: Path = Path("results")
    """folder of result files"""
    out: Path = Path("out")
    """folder for claims.json and CLAIMS.md"""


@dataclass(frozen=True)
class List:
    """Name everything that can be asked for."""


@dataclass(frozen=True)
class Table1:
    """Print the settings of every preset, with the source of each."""

    format: Literal["markdown", "latex", "json"] = "markdown"
    """markdown, latex (for the package booktabs) or json"""


@dataclass(frozen=True)
class Data:
    """Download a data set: `data download cifar10`. The only command that uses the network."""

    what: Positional[str]
    """download"""
    name: Positional[str]
    """cifar10 or cifar100"""
    data_dir: Path = Path("data")
    """folder for the archive"""


@dataclass(frozen=True)
class Doctor:
    """Look over versions, room, hardware, data sets and every result; the report names no folder of yours."""

    results: Path = Path("results")
    """folder of result files"""
    data_dir: Path = Path("data")
    """folder of data sets"""


@dataclass(frozen=True)
class Explain:
    """Say where a figure came from: what made it, what it read, and whether that still stands."""

    what: Positional[str]
    """a figure, such as 3 or claims, or a file: its .pdf, .png, .svg or .json"""
    results: Path = Path("results")
    """folder of result files, with which its inputs are compared"""
    out: Path = Path("out")
    """folder in which a figure is looked for"""


@dataclass(frozen=True)
class Verify:
    """Run again, in a fresh folder, all that a figure shows, and compare every plotted number; exit code 1: it differs.

    Numbers of the neuron must agree within 1e-9 (relative). Those of networks must be the same where versions, hardware
    and threads are, and else agree within 5 % or .05.
    """

    figure: Positional[str]
    """the figure"""
    reference: Path = Path("out/figures")
    """the figure that stands: its .json or the folder that holds it, such as figures/reference/quick"""
    output_dir: Path | None = None
    """keep what is made again in this folder, and go on there after a stop; default: a temporary one"""
    studies: tuple[str, ...] = ()
    """of the figure's studies run these only; default: all"""
    tolerance: float | None = None
    """tolerance for numbers of networks, relative and absolute, in place of those above"""
    data_dir: Path | None = None
    """folder of the data sets; default: data"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where networks are trained"""
    workers: int | None = None
    """processes side by side; default: the cores (on a GPU, at most 4)"""
    threads: int = 1
    """threads of torch in each process; another number changes the last bits"""
    dry_run: bool = False
    """say what would run, and stop"""


# What options were called before: the old word is answered with the new one.
RENAMED_OPTIONS = {
    "--vary": "--sweep",
    "--everything": "--all",
    "--into": "--output-dir",
    "--against": "--reference",
    "--data-label": "--dataset-name",
}

COMMANDS = {
    "figures": Figures,
    "train": Train,
    "theory": Theory,
    "data": Data,
    "claims": Claims,
    "doctor": Doctor,
    "list": List,
    "table1": Table1,
    "explain": Explain,
    "verify": Verify,
}


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
    """What a command asks for: the preset's arms, each value of the sweeps, or both.

    Raises:
        ConfigError: a name that is not known, a setting that cannot be run.
    """
    given = _overrides(command)
    varied = [*command.sweep, *(SWEEPS if command.all else ())]
    found = [] if command.sweep and not command.all else [plan_study(command, command.arms, given)]
    for name in dict.fromkeys(varied):
        found += plan_sweep(command, name, command.arms, given)
    return found


def _overrides(command: Train) -> dict[str, Any]:
    """The settings of the preset that a command changes."""
    given = {name: getattr(command, name) for name in OVERRIDES if getattr(command, name) is not None}
    if command.milestones:
        given["milestones"] = command.milestones
    elif command.schedule is not None:
        usual = PRESETS[check_choice(command.preset, PRESETS, "preset")].settings.get("milestones") or (0.5, 0.75)
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
        label = {"preset": command.preset, "dataset_name": command.dataset_name, "seeds": numbers, "arms": tuple(arms)}
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
