"""The options of every command, as classes that the command line is parsed into.

To add a command: one class here, and one entry in `COMMANDS`.
"""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from empirics.choices import ConfigError, check_choice
from empirics.config import RunConfig
from empirics.studies.plan import Plan, Study, plan_study, plan_sweep
from empirics.studies.presets import PRESETS
from empirics.studies.protocols import settings_under, usual_milestones
from empirics.studies.sweeps import SWEEPS

Positional = tyro.conf.Positional
Accuracy = Literal["last", "best"]


@dataclass(frozen=True)
class Figures(Study):
    """Run what the figures need, draw them, judge the claims (the default command)."""

    ids: Positional[tuple[str, ...]] = ()
    """figures to draw; default: all"""
    out: Path = Path("out")
    """folder for figures, claims, Table 1 and the report"""
    compare: Path | None = None
    """run nothing; draw the results in --results over those in this folder, into OUT/compare"""
    results_alone: bool = False
    """leave out the studies whose records come with the code (figures/reference)"""
    accuracy: Accuracy = "last"
    """which test accuracy of a level counts; best: run nothing, draw the best epoch's (selected on the test set) into
    files named ...-best, if every epoch was evaluated"""


@dataclass(frozen=True)
class TrainOptions(Study):
    """Train the arms of a preset, without drawing figures."""

    arms: tuple[str, ...] = ()
    """arms to train; default: the preset's"""
    sweep: tuple[str, ...] = ()
    """run a sweep: one study for each value of a setting, such as width or prune-rate (`list` shows the sweeps)"""
    tiers: tuple[str, ...] = ()
    """tiers of the preset's plan to train, such as A B; default: all"""
    records: Path | None = None
    """folder of records of complete seeds (see the command `records`): they are not trained again, unless masks or
    signs of theirs are needed"""
    all: bool = False
    """train the preset's arms and then every sweep: all experiments on networks"""


SETTINGS = tuple(field for field in dataclasses.fields(RunConfig) if field.metadata["option"])


def _option(setting: dataclasses.Field) -> tuple[str, Any, Any]:
    """The option of a setting, as a field of `Train`.

    An option that is not given leaves the preset's value.
    """
    about = tyro.conf.arg(help=setting.metadata["help"], help_behavior_hint="(default: the preset's)")
    if isinstance(setting.default, tuple):
        return setting.name, Annotated[setting.type, about], ()
    return setting.name, Annotated[setting.type | None, about], None


Train = dataclasses.make_dataclass(
    "Train",
    map(_option, SETTINGS),
    bases=(TrainOptions,),
    frozen=True,
    namespace={"__doc__": TrainOptions.__doc__, "__module__": __name__},
)


@dataclass(frozen=True)
class Theory:
    """Run the experiments of the neuron, or check the theorems."""

    experiments: Positional[tuple[str, ...]] = ()
    """experiments to run; default: all"""
    check: bool = False
    """check every theorem, symbolically and numerically, and print a table"""
    results: Path = Path("results")
    """folder of result files"""


@dataclass(frozen=True)
class Explore:
    """Write the page that draws the neuron's phase planes: one file, without a server or a network."""

    open: bool = False
    """show it in the browser"""
    out: Path = Path("out")
    """folder for explore.html"""


@dataclass(frozen=True)
class Claims:
    """Judge the claims from the existing results, and print the table."""

    protocol: Literal["ours", "authors"] = "ours"
    """whose training protocol the judged studies follow"""
    results: Path = Path("results")
    """folder of result files"""
    out: Path = Path("out")
    """folder for claims.json and CLAIMS.md (claims-authors.json and CLAIMS-authors.md under that protocol)"""
    results_alone: bool = False
    """leave out the studies whose records come with the code (figures/reference)"""
    accuracy: Accuracy = "last"
    """which test accuracy of a level counts; best: the best epoch's (selected on the test set), into claims-best.json
    and CLAIMS-best.md, if every epoch was evaluated"""


@dataclass(frozen=True)
class Protocols(Study):
    """Run both protocols, and show which verdicts turn with the protocol: a table and a figure."""

    out: Path = Path("out")
    """folder for PROTOCOLS.md, protocols.json and the figure"""


@dataclass(frozen=True)
class List:
    """List all names: presets, arms, sweeps, data sets, models, theorems, figures, claims and others."""

    protocol: Literal["ours", "authors"] = "ours"
    """leave out the arms that are another arm under this protocol"""


@dataclass(frozen=True)
class Table1:
    """Print the settings of every preset, with the source of each."""

    format: Literal["markdown", "latex", "json"] = "markdown"
    """markdown, latex (for the package booktabs) or json"""
    protocol: Literal["ours", "authors"] | None = None
    """show one protocol alone; default: both, side by side"""


@dataclass(frozen=True)
class Data:
    """Download a data set, as in `data download cifar10`. The only command that uses the network."""

    what: Positional[str]
    """the action: download"""
    name: Positional[str]
    """cifar10 or cifar100"""
    data_dir: Path = Path("data")
    """folder for the archive"""


@dataclass(frozen=True)
class Records:
    """Copy the records of complete seeds, without weights, into a small folder.

    It is kept with the code and read like a results folder. Seeds from several machines are merged; a seed that is
    recorded is never replaced.
    """

    studies: Positional[tuple[str, ...]] = ()
    """studies to record; default: those with a plan of seeds"""
    results: Path = Path("results")
    """folder of result files"""
    output_dir: Path = Path("figures/reference/cifar10-jpeg")
    """folder of records, which may hold some already"""
    seeds: tuple[int, ...] = ()
    """seeds to record; default: all that are complete"""


@dataclass(frozen=True)
class Pilot:
    """Judge the pilot of a preset: can its network be trained and pruned at all?

    Exit code 1: it has not been passed, or is not complete.
    """

    preset: str = "cifar10-small"
    """a preset whose plan has a pilot; `train` with the pilot's seeds runs it"""
    results: Path = Path("results")
    """folder of result files"""


@dataclass(frozen=True)
class Doctor:
    """Check versions, disk space, hardware, data sets and result files. Prints no personal paths."""

    results: Path = Path("results")
    """folder of result files"""
    data_dir: Path = Path("data")
    """folder of data sets"""


@dataclass(frozen=True)
class Explain:
    """Show how a figure was made: the command, the files it read, and whether they have changed since."""

    what: Positional[str]
    """a figure, such as 3 or claims, or a file: its .pdf, .png, .svg or .json"""
    protocol: Literal["ours", "authors"] = "ours"
    """of a figure that is given by its name; the name of a file says it"""
    results: Path = Path("results")
    """folder of result files, with which its inputs are compared"""
    out: Path = Path("out")
    """folder that is searched for the figure"""


@dataclass(frozen=True)
class Verify:
    """Recompute a figure in a fresh folder and compare every plotted number; exit code 1: it differs.

    Numbers of the neuron must agree within 1e-9 (relative). Those of networks must be equal where versions, hardware
    and threads are equal; otherwise they must agree within 5 % or .05.
    """

    figure: Positional[str]
    """the figure"""
    protocol: Literal["ours", "authors"] = "ours"
    """whose training protocol the figure shows"""
    reference: Path = Path("out/figures")
    """the existing figure: its .json file, or the folder of that file, such as figures/reference/quick"""
    output_dir: Path | None = None
    """keep the recomputed results in this folder, where an interrupted run resumes; default: a temporary folder"""
    studies: tuple[str, ...] = ()
    """recompute only these studies of the figure; default: all"""
    tolerance: float | None = None
    """relative and absolute tolerance for numbers of networks; default: 5 % and .05"""
    data_dir: Path | None = None
    """folder of the data sets; default: data"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where networks are trained"""
    workers: int | None = None
    """number of parallel processes; default: the number of cores (on a GPU, at most 4)"""
    threads: int = 1
    """torch threads in each process; a different number changes the last bits of the results"""
    dry_run: bool = False
    """print what would run, and exit"""


# Former names of options: the error for a former name gives the present one.
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
    "explore": Explore,
    "data": Data,
    "claims": Claims,
    "protocols": Protocols,
    "records": Records,
    "pilot": Pilot,
    "doctor": Doctor,
    "list": List,
    "table1": Table1,
    "explain": Explain,
    "verify": Verify,
}


def plans(command: Train) -> list[Plan]:
    """The plans of a command: for the preset's arms, for each value of the sweeps, or for both.

    Raises:
        ConfigError: an unknown name, or a setting that cannot be run.
    """
    given = _overrides(command)
    varied = [*command.sweep, *(SWEEPS if command.all else ())]
    found = [] if command.sweep and not command.all else [_own_plan(command, given)]
    for name in dict.fromkeys(varied):
        found += plan_sweep(command, name, command.arms, given)
    return [plan for plan in found if plan.configs]  # of a study that is recorded as a whole nothing is left


def _own_plan(command: Train, given: Mapping[str, Any]) -> Plan:
    """The plan of the preset's own study."""
    return plan_study(command, command.arms, given, tiers=command.tiers, records=command.records)


def _overrides(command: Train) -> dict[str, Any]:
    """The settings of the preset that a command changes."""
    values = {setting.name: getattr(command, setting.name) for setting in SETTINGS}
    given = {name: value for name, value in values.items() if value not in (None, ())}
    if command.schedule is not None and "milestones" not in given:
        settings = settings_under(command.protocol, PRESETS[check_choice(command.preset, PRESETS, "preset")])
        usual = settings.get("milestones") or usual_milestones(settings)
        given["milestones"] = usual if command.schedule == "step" else ()
    return given


def plans_again(recorded: str, study: str, seeds: Mapping[str, Sequence[int]], kept: Study) -> list[Plan]:
    """The plans that recompute a study, from the command in its record.

    Args:
        recorded: `paper_repro.py train ...`.
        study: the study's name; other studies of the command are left out.
        seeds: arm -> its seeds; arms with the same seeds are planned together.
        kept: options of the present command, such as the results folder, the device and the workers; they replace the
            recorded ones.

    Raises:
        ConfigError: it is not a command of this program, or makes no such study in this version.
    """
    now = {field.name: getattr(kept, field.name) for field in dataclasses.fields(Study)}
    command = read_command(recorded)
    found = []
    together: dict[tuple[int, ...], list[str]] = {}
    for arm, numbers in seeds.items():
        together.setdefault(tuple(sorted(numbers)), []).append(arm)
    for numbers, arms in together.items():
        label = {name: getattr(command, name) for name in ("preset", "protocol", "dataset", "dataset_name")}
        label |= {"seeds": numbers, "arms": tuple(arms)}
        found += [p for p in plans(dataclasses.replace(command, **now | label)) if p.record["study"] == study]
    if not found:
        raise ConfigError(f"`{recorded}` makes no study {study!r} in this version: run the figure again")
    return found


def read_command(recorded: str) -> Train:
    """Parse a recorded command line of `train` into its options.

    Raises:
        ConfigError: it is not a command line of `train`.
    """
    try:
        program, name, *options = shlex.split(recorded)
        if (program, name) != ("paper_repro.py", "train"):
            raise ValueError
        return tyro.cli(Train, args=options, console_outputs=False, config=(tyro.conf.OmitArgPrefixes,))
    except (ValueError, SystemExit):
        raise ConfigError(f"{recorded!r} is not a `paper_repro.py train` command: run the figure again") from None
