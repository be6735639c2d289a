"""What the commands do with networks, files and the terminal; `paper_repro.py` puts theory and figures beside it."""

import errno
import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import tyro

from empirics.choices import ConfigError, check_choice
from empirics.cli import COMMANDS, RENAMED_OPTIONS, Data, Doctor, Study, Table1, Train, plans, plans_again
from empirics.execution import interrupts
from empirics.studies.plan import DATA_FOLDER, Plan, forecasts, plan_study, plan_sweep, train
from empirics.terminal import usable_streams

EXIT_FAILED, EXIT_REFUSED, EXIT_INTERRUPTED = 1, 2, 130
ABOUT = (
    'Reproduce "Masks, Signs, And Learning Rate Rewinding": run the experiments, draw the figures, judge the claims.'
)
COMPLETION, SHELLS = ("--tyro-print-completion", "--tyro-write-completion"), ("bash", "zsh", "fish")
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class Figure(Protocol):
    """What a figure says of the networks that it shows; an entry of the figures' catalogue."""

    presets: Sequence[str]
    arms: Sequence[str]
    sweeps: Mapping[str, Sequence[str]]
    reads_sweeps_alone: bool


def say(text: str) -> None:
    """Write a message for the user."""
    print(text, file=sys.stderr, flush=True)


def exit_code(command: Callable[[], int]) -> int:
    """Run a command; its exit code, and that of whatever ends it early, with a message.

    Signals that ask the process to end raise `interrupts.Ended` meanwhile; signal handlers and standard streams are
    as they were when it returns.
    """
    with usable_streams():
        try:
            with interrupts.raised():
                code = command()
                sys.stdout.flush()
                return code
        except KeyboardInterrupt as stop:
            say("interrupted: results stay up to the last epoch; the same command goes on from there")
            return getattr(stop, "code", EXIT_INTERRUPTED)
        except BrokenPipeError:  # the reader of our output has gone, as in `... | head`
            return EXIT_FAILED
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not _has_current_folder():
                say("error: the folder that this was started in is gone: go to one that is there (cd), and try again")
                return EXIT_REFUSED
            # what commands write they write with messages of their own: what is left is the output
            if error.filename is not None or error.errno not in CANNOT_WRITE:
                raise
            say(f"error: the output cannot be written: {error.strerror}")
            return EXIT_FAILED
        except (ValueError, RuntimeError, ArithmeticError) as error:
            # ours carry a message for the user; anything else is a defect, and its traceback is what helps
            if type(error).__module__.partition(".")[0] not in ("empirics", "theory", "figures"):
                raise
            say(f"error: {error}")
            return EXIT_REFUSED


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def parsed(given: list[str], figures: Callable[[], Sequence[str]]) -> object:
    """The options of the command that is asked for; `figures` is put before them where they name none.

    Args:
        given: the command line; the word that it lacks is put into it.
        figures: their names, read only where the first word is no command: a misspelt one is not taken for a figure.

    Raises:
        SystemExit: help or a completion script was asked for and is printed, or the options are wrong.
        ConfigError: an unknown command, figure or shell, or the old word of an option.
    """
    name, config = "paper_repro.py", (tyro.conf.OmitArgPrefixes,)
    if given and given[0].replace("_", "-") in COMPLETION:
        check_choice(given[1] if len(given) > 1 else "", SHELLS, "shell")
        name = Path(sys.argv[0]).name  # what the shell will see
    elif not given or given[0] not in (*COMMANDS, "-h", "--help"):
        if given and not given[0].startswith("-"):
            check_choice(given[0], list(dict.fromkeys([*COMMANDS, *figures()])), "command or figure")
        given.insert(0, "figures")
    if renamed := [word for word in given if word.split("=")[0].replace("_", "-") in RENAMED_OPTIONS]:
        old = renamed[0].split("=")[0].replace("_", "-")
        raise ConfigError(
            f"{old} is called {RENAMED_OPTIONS[old]} now: write {RENAMED_OPTIONS[old]}{renamed[0][len(old) :]}"
        )
    try:
        return tyro.extras.subcommand_cli_from_dict(COMMANDS, args=given, prog=name, description=ABOUT, config=config)
    except SystemExit:
        sys.stdout.flush()
        raise
    except OSError as error:
        if error.filename is None:
            raise
        raise ConfigError(f"cannot write the completion script to {error.filename!r}: {error.strerror}") from None


# --- networks -----------------------------------------------------------------------------------------------------


def figure_plans(command: Study, figures: Sequence[Figure], every_arm: bool) -> list[Plan]:
    """The studies that some figures read: the preset's, then those of the sweeps.

    None without a data folder: what stands is drawn all the same.

    Args:
        command: what is asked for.
        figures: of the catalogue.
        every_arm: all arms of the preset, and the sweeps only where they run on a small network (`sweep_on`):
            elsewhere they take many times as long, and are asked for by figure or by `train --sweep`. Where they do, a
            figure whose arms are all among those of its sweeps needs no other study.
    """
    from empirics.storage.data_files import DataError

    try:
        return _studies(command, figures, every_arm)
    except DataError as error:
        if command.data_dir is not None or os.path.lexists(DATA_FOLDER):
            raise
        say(f"no network is trained: {error}")
        return []


def _studies(command: Study, figures: Sequence[Figure], every_arm: bool) -> list[Plan]:
    from empirics.studies.presets import PRESETS

    small = command.preset in PRESETS and PRESETS[command.preset].sweep_on
    own = [figure for figure in figures if not figure.presets or command.preset in figure.presets]
    requested = [figure for figure in own if not (small and figure.reads_sweeps_alone)]
    arms = () if every_arm else tuple({arm: None for figure in requested for arm in figure.arms})
    found = [plan_study(command, arms, {})] if every_arm or arms else []
    varied: dict[str, dict[str, None]] = {}
    for figure in figures if small or not every_arm else ():
        for name, read in figure.sweeps.items():
            varied.setdefault(name, {}).update(dict.fromkeys(read))
    return found + [plan for name, read in varied.items() for plan in plan_sweep(command, name, tuple(read), {})]


def study_again(study: str, shown: Mapping, kept: Study) -> list[Plan]:
    """What makes a study of a figure again, each arm with the seeds that it has there.

    Args:
        study: its name.
        shown: what the figure's sidecar says of it.
        kept: where the results go, the device, the workers and the like.
    """
    seeds = {arm: [*run["seeds"], *run["diverged"]] for arm, run in shown["arms"].items()}
    return plans_again(shown["command"], study, {arm: found for arm, found in seeds.items() if found}, kept)


def is_written(wanted: Sequence[Plan], experiments: Sequence[str], results: Path) -> bool:
    """Whether results are made, or their records kept up: not in a folder that can only be read and lacks nothing.

    Raises:
        StoreError: something is missing, and the folder cannot be written.
    """
    from empirics.storage.files import StoreError, check_writable

    runs = len({task.key for plan in wanted for task in plan.tasks})
    try:
        check_writable(results)
    except StoreError as error:
        if runs or experiments:
            raise StoreError(f"{error}; {runs} runs and {len(experiments)} experiments are missing in it") from None
        say("the results can only be read, and nothing is missing in them: they are taken as they stand")
        return False
    return True


def run_plans(wanted: Sequence[Plan], command: Study) -> int:
    """Run some plans; the number of runs that failed."""
    failed, runs = train(wanted, command)
    if failed:
        say(f"{failed} of {runs} runs failed; the same command tries them again")
    return failed


def run_train(command: Train, line: str) -> int:
    """Train the arms asked for, or what a sweep asks for."""
    from empirics.storage.files import check_writable

    if not command.dry_run and not os.path.lexists(command.results):
        check_writable(command.results)
    wanted = plans(command)
    if command.dry_run:
        print(forecasts(wanted, command))
        return 0
    return EXIT_FAILED if is_written(wanted, (), command.results) and run_plans(wanted, command) else 0


# --- folders ------------------------------------------------------------------------------------------------------


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Draw into a folder while no other command does: whoever draws last has read what all have made."""
    from empirics.storage.locks import HOURS, locked

    waits = "another command draws into the same folder: this one waits for it"
    with locked(out / "figures", HOURS, lambda: say(waits), needed=False):
        yield


@contextmanager
def fresh(into: Path | None) -> Iterator[Path]:
    """A folder for what is made again: the one asked for, which stays, or one that is gone at the end."""
    from empirics.storage.files import check_writable

    if into is None:
        with tempfile.TemporaryDirectory(prefix="paper-repro-") as folder:
            try:
                yield Path(folder)
            except KeyboardInterrupt:
                say("what was made again is gone with its temporary folder: --output-dir DIR keeps it")
                raise
        return
    check_writable(into)
    if (into / "results").exists():
        say(f"{into} holds results already: what stands there is not run again")
    yield into


# --- what needs neither theory nor figures ------------------------------------------------------------------------


def run_data(command: Data, line: str) -> int:
    """Download a data set."""
    from empirics.data.download import fetch
    from empirics.storage.files import check_writable

    if command.what != "download":
        raise ConfigError(f"unknown action {command.what!r}: write `paper_repro.py data download {command.name}`")
    check_writable(command.data_dir)
    file = fetch(command.name, command.data_dir, progress=say)
    say(f"{file.name} is there and has the published size and MD5")
    return 0


def run_doctor(command: Doctor, line: str) -> int:
    """Print the report; 1 where something must be done."""
    from empirics.doctor import examine

    code = 0
    for finding in examine(command.results, command.data_dir):
        print(("PROBLEM  " if finding.bad else "ok       ") + finding.text, flush=True)
        code = EXIT_FAILED if finding.bad else code
    return code


def run_table1(command: Table1, line: str) -> int:
    """Print Table 1."""
    from empirics.studies.table1 import table1

    print(table1(command.format))
    return 0


def write_tables(out: Path) -> None:
    """Write Table 1 in every format, where it has changed."""
    from empirics.storage.files import write_atomic
    from empirics.studies.table1 import TABLE_FORMATS, table1

    for form, (ending, _) in TABLE_FORMATS.items():
        file, text = out / f"table1.{ending}", f"{table1(form)}\n".encode()
        if not file.is_file() or file.read_bytes() != text:
            write_atomic(file, text)


def registries() -> dict[str, Mapping[str, object]]:
    """Everything of networks that can be asked for, by what it is."""
    from empirics import models, schedules
    from empirics.data import datasets
    from empirics.pruning import criteria, rewinding
    from empirics.studies import arms, presets, sweeps

    return {
        "presets": presets.PRESETS,
        "arms": arms.ARMS,
        "sweeps": sweeps.SWEEPS,
        "data sets": datasets.DATASETS,
        "models": models.MODELS,
        "criteria": criteria.CRITERIA,
        "layer densities of random masks": criteria.DENSITIES,
        "rewinding rules": rewinding.REWINDS,
        "schedules": schedules.SCHEDULES,
    }


def listing(title: str, entries: Mapping[str, object]) -> str:
    """A registry as text: a line for each entry, with what it is about."""
    return "\n".join([title, *(f"  {name:28} {_about(entry)}".rstrip() for name, entry in entries.items())])


def _about(entry: object) -> str:
    """A line on a registry's entry: the entry itself, what it says it is about, or its docstring's first line."""
    if isinstance(entry, str):
        return entry
    for name in ("about", "statement", "title", "sentence"):
        if isinstance(getattr(entry, name, None), str):
            return getattr(entry, name)
    return (getattr(entry, "score", entry).__doc__ or "").split("\n")[0]
