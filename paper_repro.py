"""Reproduce "Masks, Signs, And Learning Rate Rewinding": run the experiments, draw the figures, judge the claims.

This file wires: what it runs lives in `theory`, `empirics` and `figures`, which it imports only where it uses them.
Without arguments it is `figures` with the `quick` preset.
"""

import os
import shlex
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from empirics.choices import ConfigError, choose
from empirics.study import Plan, Study, forecast, plan_study, plan_variation, train

if TYPE_CHECKING:
    from figures.catalogue import FigureSpec

Positional = tyro.conf.Positional
FAILED, REFUSED, INTERRUPTED, TERMINATED = 1, 2, 130, 143
MAIN_FIGURES = ("1", "2", "3", "4", "5")


@dataclass(frozen=True)
class Figures(Study):
    """Run what the figures need, draw them, judge the claims (the default command)."""

    ids: Positional[tuple[str, ...]] = ()
    """figures to draw; default: all"""
    out: Path = Path("out")
    """folder for figures and claims"""


@dataclass(frozen=True)
class Train(Study):
    """Train the arms of a preset, and no more."""

    arms: tuple[str, ...] = ()
    """arms; default: the preset's"""
    vary: tuple[str, ...] = ()
    """vary something in the preset, such as width or prune-rate (`list` names all): a study for each value"""
    everything: bool = False
    """the preset's arms and then every variation: the whole experimental section"""
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
    """Print the hyper-parameters of every preset, with the source of each."""


@dataclass(frozen=True)
class Data:
    """Download a data set: `data fetch cifar10`. The only command that uses the network."""

    what: Positional[str]
    """fetch"""
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
    """Say where a figure came from."""

    file: Positional[Path]
    """a figure (.pdf, .png, .svg) or its .json"""


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
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code: 0 done, 1 something failed, 2 refused, 130 interrupted, 143 asked to end."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if not given or given[0] not in (*COMMANDS, "-h", "--help"):
            _check_first_word(given)
            given.insert(0, "figures")
        command = tyro.extras.subcommand_cli_from_dict(
            COMMANDS,
            args=given,
            prog="paper_repro.py",
            description=__doc__.split("\n\n")[0],
            config=(tyro.conf.OmitArgPrefixes,),
        )
        signal.signal(signal.SIGTERM, _interrupt)
        return RUN[type(command)](command, _command_line(given))
    except KeyboardInterrupt as stop:
        _say("interrupted: everything up to the last epoch stays; the same command goes on from there")
        return TERMINATED if isinstance(stop, _Terminated) else INTERRUPTED
    except BrokenPipeError:  # the reader of our output has gone, as in `... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except (ValueError, RuntimeError, ArithmeticError) as error:
        # ours carry a message for the user; anything else is a defect, and its traceback is what helps
        if not type(error).__module__.startswith(("empirics", "theory", "figures")):
            raise
        _say(f"error: {error}")
        return REFUSED


def _check_first_word(given: Sequence[str]) -> None:
    """The first word may be left out where it is `figures`; a misspelt command must not be taken for a figure."""
    from empirics.config import choose
    from figures.catalogue import FIGURES

    if given and not given[0].startswith("-"):
        choose(given[0], [*COMMANDS, *FIGURES], "command or figure")


class _Terminated(KeyboardInterrupt):
    """SIGTERM was sent."""


def _interrupt(*_: object) -> None:
    raise _Terminated


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _command_line(given: Sequence[str]) -> str:
    return shlex.join(["paper_repro.py", *given])


# --- what each command does ---------------------------------------------------------------------------------------


def run_figures(command: Figures, line: str) -> int:
    """Theory first, then the networks, then the pictures: each stage makes only what is not there."""
    from empirics.config import choose
    from empirics.store import check_writable
    from figures.catalogue import FIGURES

    chosen = [choose(figure, FIGURES, "figure") for figure in command.ids or FIGURES]
    if not command.dry_run:
        check_writable(command.out)
        check_writable(command.results)
    if command.dry_run:
        plans = _plans(command, [FIGURES[name] for name in chosen], not command.ids)
        alone = "no network to train: these figures need the neuron alone, in seconds"
        print("\n".join(forecast(plan, command) for plan in plans) or alone)
        return 0
    first, failed = [name for name in chosen if name in MAIN_FIGURES], 0
    if first and len(first) < len(chosen):  # the paper's own figures do not wait for the others
        failed = _make([FIGURES[name] for name in first], command, False)
        failed = max(failed, draw(first, command.results, command.out, line))
    failed = max(failed, _make([FIGURES[name] for name in chosen], command, not command.ids))
    return max(failed, draw(command.ids or None, command.results, command.out, line))


def _make(specs: Sequence["FigureSpec"], command: Figures, whole: bool) -> int:
    """Run what some figures need; `whole`: the preset's every arm and every experiment of the neuron."""
    run_experiments(None if whole else tuple({name: None for spec in specs for name in spec.theory}), command.results)
    return max((_train(plan, command) for plan in _plans(command, specs, whole)), default=0)


def _plans(command: Figures, specs: Sequence["FigureSpec"], whole: bool) -> list[Plan]:
    """The studies that some figures read: the preset's, then those of the variations."""
    arms = () if whole else tuple({arm: None for spec in specs for arm in spec.arms})
    plans = [plan_study(command, arms, {})] if whole or arms else []
    varied: dict[str, dict[str, None]] = {}
    for spec in specs:
        for name, read in spec.variations.items():
            varied.setdefault(name, {}).update(dict.fromkeys(read))
    return plans + [plan for name, read in varied.items() for plan in plan_variation(command, name, tuple(read), {})]


def _train(plan: Plan, command: Study) -> int:
    failures = train(plan, command)
    if failures:
        _say(f"{failures} of {len(plan.tasks)} runs failed; the same command tries them again")
    return FAILED if failures else 0


def run_train(command: Train, line: str) -> int:
    """Train the arms asked for, or what a variation asks for."""
    from empirics.presets import PRESETS
    from empirics.store import check_writable
    from empirics.variations import VARIATIONS

    given = {name: getattr(command, name) for name in OVERRIDES if getattr(command, name) is not None}
    if command.milestones:
        given["milestones"] = command.milestones
    elif command.schedule is not None:
        usual = PRESETS[choose(command.preset, PRESETS, "preset")].settings.get("milestones") or (0.5, 0.75)
        given["milestones"] = usual if command.schedule == "step" else ()
    if not command.dry_run:
        check_writable(command.results)
    varied = [*command.vary, *(VARIATIONS if command.everything else ())]
    plans = [] if command.vary and not command.everything else [plan_study(command, command.arms, given)]
    plans += [plan for name in dict.fromkeys(varied) for plan in plan_variation(command, name, command.arms, given)]
    if command.dry_run:
        print("\n".join(forecast(plan, command) for plan in plans))
        return 0
    return max(_train(plan, command) for plan in plans)


def run_data(command: Data, line: str) -> int:
    """Download a data set."""
    from empirics.fetch import fetch
    from empirics.store import check_writable

    if command.what != "fetch":
        raise ConfigError(f"unknown action {command.what!r}: write `paper_repro.py data fetch {command.name}`")
    check_writable(command.data_dir)
    file = fetch(command.name, command.data_dir, progress=_say)
    _say(f"{file.name} is there and has the published size and MD5")
    return 0


def run_theory(command: Theory, line: str) -> int:
    """Run experiments, or check the theorems."""
    if command.check:
        return check_theorems()
    run_experiments(command.experiments or None, command.results)
    return 0


def run_claims(command: Claims, line: str) -> int:
    """Judge the claims."""
    code = draw(["claims"], command.results, command.out, line)
    print((command.out / "CLAIMS.md").read_text())
    return code


def run_doctor(command: Doctor, line: str) -> int:
    """Print the report; 1 where something must be done."""
    from empirics.doctor import examine

    code = 0
    for finding in examine(command.results, command.data_dir):
        print(("PROBLEM  " if finding.bad else "ok       ") + finding.text, flush=True)
        code = FAILED if finding.bad else code
    return code


def run_list(command: List, line: str) -> int:
    """Print every registry."""
    import theory
    from empirics import arms, criteria, datasets, models, presets, rewinding, schedules, variations
    from figures.catalogue import FIGURES
    from figures.claims import CLAIMS

    registries = {
        "presets": {name: preset.about for name, preset in presets.PRESETS.items()},
        "arms": {name: arm.about for name, arm in arms.ARMS.items()},
        "variations": {name: variation.about for name, variation in variations.VARIATIONS.items()},
        "data sets": datasets.DATASETS,
        "models": models.MODELS,
        "criteria": criteria.CRITERIA,
        "layer densities of random masks": criteria.DENSITIES,
        "rewinding rules": rewinding.REWINDS,
        "schedules": schedules.SCHEDULES,
        "theorems": {name: theorem.statement for name, theorem in theory.THEOREMS.items()},
        "experiments of the neuron": {name: experiment.about for name, experiment in theory.EXPERIMENTS.items()},
        "figures": {name: spec.title for name, spec in FIGURES.items()},
        "claims": {name: claim.sentence for name, claim in CLAIMS.items()},
    }
    for title, entries in registries.items():
        print(title)
        for name, entry in entries.items():
            print(f"  {name:28} {_about(entry)}".rstrip())
    return 0


def _about(entry: object) -> str:
    """A line on a registry's entry: the entry itself, what it says it is about, or its docstring's first line."""
    if isinstance(entry, str):
        return entry
    return getattr(entry, "about", None) or (getattr(entry, "score", entry).__doc__ or "").split("\n")[0]


def run_table1(command: Table1, line: str) -> int:
    """Print Table 1."""
    from empirics.table1 import table1

    print(table1())
    return 0


def run_explain(command: Explain, line: str) -> int:
    """Print a figure's provenance."""
    from figures.regenerate import explain

    print(explain(command.file))
    return 0


RUN = {
    Figures: run_figures,
    Train: run_train,
    Theory: run_theory,
    Data: run_data,
    Claims: run_claims,
    Doctor: run_doctor,
    List: run_list,
    Table1: run_table1,
    Explain: run_explain,
}


# --- stages -------------------------------------------------------------------------------------------------------


def run_experiments(names: Sequence[str] | None, results: Path) -> None:
    """The neuron's experiments (all of them for None): those whose result file does not stand."""
    from empirics.config import choose
    from empirics.runtime import provenance
    from empirics.store import check_writable, theory_result_stands, write_atomic
    from theory.experiments import EXPERIMENTS, files, result_name

    folder = results / "theory"
    for name in [choose(name, EXPERIMENTS, "experiment") for name in (EXPERIMENTS if names is None else names)]:
        experiment = EXPERIMENTS[name]
        if theory_result_stands(folder, result_name(name)):
            continue
        check_writable(folder)
        started = time.perf_counter()
        result = experiment.run(**experiment.params)
        seconds = time.perf_counter() - started
        made = files(name, result, experiment.params, seconds, provenance(threads=1), f"paper_repro.py theory {name}")
        for file, data in made.items():
            write_atomic(folder / file, data)
        _say(f"theory: {name}, {seconds:.1f} s")


def check_theorems() -> int:
    """Print a table of every theorem's checks."""
    import theory

    print(f"{'theorem':16} {'holds':6} {'symbolic':9} {'numeric':8} {'mutants fail':13} {'seconds':8}")
    failed = 0
    for name in theory.THEOREMS:
        verdict = theory.check(name)
        failed |= not (verdict.holds and verdict.mutants_fail)
        word = {True: "yes", False: "NO", None: "-"}
        print(
            f"{name:16} {word[verdict.holds]:6} {word[verdict.symbolic]:9} {word[verdict.numeric]:8} "
            f"{word[verdict.mutants_fail]:13} {verdict.seconds:8.1f}  {verdict.message}"
        )
    return FAILED if failed else 0


def draw(ids: Sequence[str] | None, results: Path, out: Path, line: str) -> int:
    """Draw figures and judge claims (all of them for None) from the results that stand."""
    from empirics.runtime import provenance
    from empirics.store import check_writable, write_atomic
    from figures.regenerate import regenerate
    from theory.experiments import EXPERIMENTS, result_name

    check_writable(out)
    outcomes = regenerate(
        ids,
        results,
        out,
        write=write_atomic,
        provenance=provenance(threads=1),
        command=line,
        log=_say,
        prefer={name: result_name(name) for name in EXPERIMENTS},
    )
    return FAILED if any(outcome.status == "failed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
