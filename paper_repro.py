"""Reproduce "Masks, Signs, And Learning Rate Rewinding": run the experiments, draw the figures, judge the claims.

This file wires: what it runs lives in `theory`, `empirics` and `figures`, which it imports only where it uses them.
Without arguments it is `figures` with the `quick` preset.
"""

import errno
import os
import shlex
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # while modules load, Ctrl-C ends the process without a traceback

import tyro

from empirics.choices import ConfigError, choose
from empirics.cli import (
    COMMANDS,
    Claims,
    Data,
    Doctor,
    Explain,
    Figures,
    List,
    Table1,
    Theory,
    Train,
    Verify,
    plans,
    plans_again,
)
from empirics.execution import interrupts
from empirics.studies.plan import DATA_FOLDER, Plan, Study, forecasts, plan_study, plan_variation, train
from empirics.terminal import usable_streams

if TYPE_CHECKING:
    from figures.catalogue import FigureSpec
    from figures.regenerate import Outcome

FAILED, REFUSED, INTERRUPTED = 1, 2, 130
MAIN_FIGURES = ("1", "2", "3", "4", "5")
ABOUT = (
    'Reproduce "Masks, Signs, And Learning Rate Rewinding": run the experiments, draw the figures, judge the claims.'
)
COMPLETION, SHELLS = ("--tyro-print-completion", "--tyro-write-completion"), ("bash", "zsh", "fish")
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; its exit code.

    0 done, 1 something failed, 2 refused, and where it was asked to end: 130 by Ctrl-C, 143 by SIGTERM, 129 by the end
    of its terminal (SIGHUP). Signal handlers and standard streams are as they were when it returns; in a thread beside
    the main one, signals are left to the main one.
    """
    with usable_streams():
        try:
            with interrupts.raised():
                return _run(list(sys.argv[1:] if arguments is None else arguments))
        except KeyboardInterrupt as stop:
            _say("interrupted: results stay up to the last epoch; the same command goes on from there")
            return getattr(stop, "code", INTERRUPTED)
        except BrokenPipeError:  # the reader of our output has gone, as in `... | head`
            return FAILED
        except OSError as error:
            # what commands write they write with messages of their own: what is left is the output
            if error.filename is not None or error.errno not in CANNOT_WRITE:
                raise
            _say(f"error: the output cannot be written: {error.strerror}")
            return FAILED
        except (ValueError, RuntimeError, ArithmeticError) as error:
            # ours carry a message for the user; anything else is a defect, and its traceback is what helps
            if not type(error).__module__.startswith(("empirics", "theory", "figures")):
                raise
            _say(f"error: {error}")
            return REFUSED


def _run(given: list[str]) -> int:
    try:
        command = _parsed(given)
    except SystemExit:
        sys.stdout.flush()
        raise
    code = RUN[type(command)](command, _command_line(given))
    sys.stdout.flush()
    return code


def _parsed(given: list[str]) -> object:
    """The options of the command that is asked for; `figures` is put before them where they name none.

    Raises:
        SystemExit: help or a completion script was asked for and is printed, or the options are wrong.
        ConfigError: an unknown command, figure or shell.
    """
    name, config = "paper_repro.py", (tyro.conf.OmitArgPrefixes,)
    if given and given[0].replace("_", "-") in COMPLETION:
        choose(given[1] if len(given) > 1 else "", SHELLS, "shell")
        name = Path(sys.argv[0]).name  # what the shell will see
    elif not given or given[0] not in (*COMMANDS, "-h", "--help"):
        _check_first_word(given)
        given.insert(0, "figures")
    try:
        return tyro.extras.subcommand_cli_from_dict(COMMANDS, args=given, prog=name, description=ABOUT, config=config)
    except OSError as error:
        if error.filename is None:
            raise
        raise ConfigError(f"cannot write the completion script to {error.filename!r}: {error.strerror}") from None


def _check_first_word(given: Sequence[str]) -> None:
    """The first word may be left out where it is `figures`; a misspelt command must not be taken for a figure."""
    from empirics.config import choose
    from figures.catalogue import FIGURES

    if given and not given[0].startswith("-"):
        choose(given[0], list(dict.fromkeys([*COMMANDS, *FIGURES])), "command or figure")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _command_line(given: Sequence[str]) -> str:
    return shlex.join(["paper_repro.py", *given])


# --- what each command does ---------------------------------------------------------------------------------------


def run_figures(command: Figures, line: str) -> int:
    """Theory first, then the networks, then the pictures: each stage makes only what is not there."""
    from empirics.config import choose
    from empirics.storage.run_folder import check_writable, write_atomic
    from figures.catalogue import FIGURES
    from figures.report.files import REPORT, write_report

    chosen = [choose(figure, FIGURES, "figure") for figure in command.ids or FIGURES]
    if not command.dry_run:
        check_writable(command.out)
    if command.compare is not None:
        return 0 if command.dry_run else _compare(chosen, command, line)
    if not command.dry_run and not os.path.lexists(command.results):
        check_writable(command.results)
    specs, whole = [FIGURES[name] for name in chosen], not command.ids
    plans = _plans(command, specs, whole)
    if command.dry_run:
        alone = "no network to train: these figures need the neuron alone, in seconds"
        print(forecasts(plans, command) or alone)
        return 0
    makes = _makes(plans, missing_experiments(_experiments(specs, whole), command.results), command.results)
    first, failed = [spec for spec in specs if spec.id in MAIN_FIGURES], 0
    if 0 < len(first) < len(specs) and any(plan.tasks for plan in plans):  # the paper's own do not wait for the others
        failed = _make(_plans(command, first, False), first, command, False)
        with _alone_in(command.out):
            failed = max(failed, _code(draw([spec.id for spec in first], command.results, command.out, line)))
        plans = _plans(command, specs, whole)
    failed = max(failed, _make(plans, specs, command, whole) if makes else 0)
    with _alone_in(command.out):
        outcomes = draw(_to_draw(command), command.results, command.out, line)
        write_tables(command.out)
        if write_report(command.out, outcomes, write_atomic):
            _say(f"report: {command.out / REPORT}")
    return max(failed, _code(outcomes))


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Draw into a folder while no other command does: whoever draws last has read what all have made."""
    from empirics.storage.locks import HOURS, locked

    waits = "another command draws into the same folder: this one waits for it"
    with locked(out / "figures", HOURS, lambda: _say(waits), needed=False):
        yield


def _to_draw(command: Figures) -> list[str] | None:
    """Figures to draw, all for None; claims that stand are judged again, since the report shows them too."""
    stands = (command.out / "claims.json").exists() and "claims" not in command.ids
    return [*command.ids, *(["claims"] if stands else [])] if command.ids else None


def _compare(chosen: Sequence[str], command: Figures, line: str) -> int:
    """Draw two sets of results over one another; nothing is run for either."""
    from empirics.provenance import provenance
    from empirics.storage.run_folder import write_atomic
    from figures.comparison.overlay import compare_results

    with _alone_in(command.out):
        outcomes = compare_results(
            chosen,
            command.results,
            command.compare,
            command.out,
            write=write_atomic,
            provenance=provenance(threads=1),
            command=line,
            log=_say,
            prefer=_theory_files(),
        )
    return _code(outcomes)


def _code(outcomes: Sequence["Outcome"]) -> int:
    return FAILED if any(outcome.status == "failed" for outcome in outcomes) else 0


def _makes(plans: Sequence[Plan], experiments: Sequence[str], results: Path) -> bool:
    """Whether results are made, or their records kept up: not in a folder that can only be read and lacks nothing.

    Raises:
        StoreError: something is missing, and the folder cannot be written.
    """
    from empirics.storage.run_folder import StoreError, check_writable

    runs = len({task.key for plan in plans for task in plan.tasks})
    try:
        check_writable(results)
    except StoreError as error:
        if runs or experiments:
            raise StoreError(f"{error}; {runs} runs and {len(experiments)} experiments are missing in it") from None
        _say("the results can only be read, and nothing is missing in them: they are taken as they stand")
        return False
    return True


def _make(plans: Sequence[Plan], specs: Sequence["FigureSpec"], command: Figures, whole: bool) -> int:
    """Run what some figures need; `whole`: every experiment of the neuron."""
    run_experiments(_experiments(specs, whole), command.results)
    return FAILED if _train(plans, command) else 0


def _experiments(specs: Sequence["FigureSpec"], whole: bool) -> tuple[str, ...] | None:
    """The experiments of the neuron that some figures need; None for every one."""
    return None if whole else tuple({name: None for spec in specs for name in spec.theory})


def _plans(command: Figures, specs: Sequence["FigureSpec"], whole: bool) -> list[Plan]:
    """The studies that some figures read; none without a data folder, where what stands is drawn all the same."""
    from empirics.storage.data_files import DataError

    try:
        return _studies(command, specs, whole)
    except DataError as error:
        if command.data_dir is not None or os.path.lexists(DATA_FOLDER):
            raise
        _say(f"no network is trained: {error}")
        return []


def _studies(command: Figures, specs: Sequence["FigureSpec"], whole: bool) -> list[Plan]:
    """The studies that some figures read: the preset's, then those of the variations.

    `whole`: the preset's every arm; and the variations only where they run on a small network (`vary_on`): elsewhere
    they take many times as long, and are asked for by figure or by `train --vary`. Where they do, a figure whose arms
    are all among those of its variations needs no other study.
    """
    from empirics.studies.presets import PRESETS

    small = command.preset in PRESETS and PRESETS[command.preset].vary_on
    own = [spec for spec in specs if not spec.presets or command.preset in spec.presets]
    asked = [spec for spec in own if not (small and spec.reads_variations_alone)]
    arms = () if whole else tuple({arm: None for spec in asked for arm in spec.arms})
    plans = [plan_study(command, arms, {})] if whole or arms else []
    varied: dict[str, dict[str, None]] = {}
    for spec in specs if small or not whole else ():
        for name, read in spec.variations.items():
            varied.setdefault(name, {}).update(dict.fromkeys(read))
    return plans + [plan for name, read in varied.items() for plan in plan_variation(command, name, tuple(read), {})]


def _train(plans: Sequence[Plan], command: Study) -> int:
    """Run some plans; the number of runs that failed."""
    failed, runs = train(plans, command)
    if failed:
        _say(f"{failed} of {runs} runs failed; the same command tries them again")
    return failed


def run_train(command: Train, line: str) -> int:
    """Train the arms asked for, or what a variation asks for."""
    from empirics.storage.run_folder import check_writable

    if not command.dry_run and not os.path.lexists(command.results):
        check_writable(command.results)
    wanted = plans(command)
    if command.dry_run:
        print(forecasts(wanted, command))
        return 0
    return FAILED if _makes(wanted, (), command.results) and _train(wanted, command) else 0


def run_data(command: Data, line: str) -> int:
    """Download a data set."""
    from empirics.data.download import fetch
    from empirics.storage.run_folder import check_writable

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
    from empirics.storage.run_folder import check_writable

    check_writable(command.out)
    with _alone_in(command.out):
        outcomes = draw(["claims"], command.results, command.out, line)
        table = (command.out / "CLAIMS.md").read_text("utf-8")
    print(table)
    return _code(outcomes)


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
    from empirics import models, schedules
    from empirics.data import datasets
    from empirics.pruning import criteria, rewinding
    from empirics.studies import arms, presets, sweeps
    from figures.catalogue import FIGURES
    from figures.claims.registry import CLAIMS

    registries = {
        "presets": {name: preset.about for name, preset in presets.PRESETS.items()},
        "arms": {name: arm.about for name, arm in arms.ARMS.items()},
        "variations": {name: variation.about for name, variation in sweeps.VARIATIONS.items()},
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
    from empirics.studies.table1 import table1

    print(table1(command.format))
    return 0


def run_explain(command: Explain, line: str) -> int:
    """Print a figure's provenance."""
    from figures.provenance.explain import explain

    print(explain(command.what, command.results, command.out))
    return 0


def run_verify(command: Verify, line: str) -> int:
    """Make a figure again in a fresh folder, and compare it with the one that stands."""
    from figures.catalogue import FIGURES
    from figures.comparison.verify import verify
    from figures.provenance.sidecars import standing_figure

    name = choose(command.figure, FIGURES, "figure")
    standing = standing_figure(name, command.against)
    shown = standing.get("studies", {})
    wanted = {choose(study, shown, f"study of figure {name}") for study in command.studies} or set(shown)
    with _fresh(command.into) as folder:
        kept = Study(results=folder / "results", **{option: getattr(command, option) for option in _KEPT})
        again = {study: entry for study, entry in shown.items() if study in wanted and entry["arms"]}
        found = [plan for study, entry in again.items() for plan in _plans_again(study, entry, kept)]
        if command.dry_run:
            print(forecasts(found, kept) or "no network to train")
            return 0
        run_experiments(tuple(standing.get("theory", {})), kept.results)
        if failures := _train(found, kept):
            _say(f"figure {name} cannot be made again: {failures} runs failed")
            return FAILED
        draw([name], kept.results, folder / "out", line)
        again = standing_figure(name, folder / "out/figures")
    verdict = verify(standing, again, set(shown) - wanted, command.tolerance)
    print("\n".join(verdict.lines))
    return 0 if verdict.agrees else FAILED


_KEPT = ("data_dir", "device", "workers", "threads", "dry_run")


def _plans_again(study: str, entry: dict, kept: Study) -> list[Plan]:
    """What makes a study of a figure again, each arm with the seeds that it has there."""
    seeds = {arm: [*run["seeds"], *run["diverged"]] for arm, run in entry["arms"].items()}
    return plans_again(entry["command"], study, {arm: found for arm, found in seeds.items() if found}, kept)


@contextmanager
def _fresh(into: Path | None) -> Iterator[Path]:
    """A folder for what is made again: the one asked for, which stays, or one that is gone at the end."""
    from empirics.storage.run_folder import check_writable

    if into is None:
        with tempfile.TemporaryDirectory(prefix="paper-repro-") as folder:
            try:
                yield Path(folder)
            except KeyboardInterrupt:
                _say("what was made again is gone with its temporary folder: --into DIR keeps it")
                raise
        return
    check_writable(into)
    if (into / "results").exists():
        _say(f"{into} holds results already: what stands there is not run again")
    yield into


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
    Verify: run_verify,
}


# --- stages -------------------------------------------------------------------------------------------------------


def missing_experiments(names: Sequence[str] | None, results: Path) -> list[str]:
    """Those of the neuron's experiments (of all for None) whose result file does not stand, or is damaged."""
    from empirics.config import choose
    from empirics.studies.records import theory_result_stands
    from theory.experiments.registry import EXPERIMENTS, result_name

    wanted = [choose(name, EXPERIMENTS, "experiment") for name in (EXPERIMENTS if names is None else names)]
    return [name for name in dict.fromkeys(wanted) if not theory_result_stands(results / "theory", result_name(name))]


def run_experiments(names: Sequence[str] | None, results: Path) -> None:
    """The neuron's experiments (all of them for None): those whose result file does not stand."""
    from empirics.cores import usable_cores
    from empirics.provenance import provenance
    from empirics.storage.run_folder import check_writable
    from empirics.studies.records import write_theory_result
    from theory.experiments.parallel import run_side_by_side
    from theory.experiments.registry import files, result_name

    folder, missing = results / "theory", missing_experiments(names, results)
    if missing:
        check_writable(folder)
    for name, result, seconds in run_side_by_side(missing, usable_cores()):
        made = files(name, result, None, seconds, provenance(threads=1), f"paper_repro.py theory {name}")
        write_theory_result(folder, result_name(name), made)
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


def draw(ids: Sequence[str] | None, results: Path, out: Path, line: str) -> list["Outcome"]:
    """Draw figures and judge claims (all of them for None) from the results that stand."""
    from empirics.provenance import provenance
    from empirics.storage.run_folder import check_writable, write_atomic
    from figures.regenerate import regenerate

    check_writable(out)
    return regenerate(
        ids,
        results,
        out,
        write=write_atomic,
        provenance=provenance(threads=1),
        command=line,
        log=_say,
        prefer=_theory_files(),
    )


def _theory_files() -> dict[str, str]:
    """The file of each experiment at the parameters of this version."""
    from theory.experiments.registry import EXPERIMENTS, result_name

    return {name: result_name(name) for name in EXPERIMENTS}


def write_tables(out: Path) -> None:
    """Write Table 1 in every format, where it has changed."""
    from empirics.storage.run_folder import write_atomic
    from empirics.studies.table1 import FORMATS, table1

    for form, (ending, _) in FORMATS.items():
        file, text = out / f"table1.{ending}", f"{table1(form)}\n".encode()
        if not file.is_file() or file.read_bytes() != text:
            write_atomic(file, text)


if __name__ == "__main__":
    sys.exit(main())
