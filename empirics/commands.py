"""The work of the commands on networks, files and the terminal.

`paper_repro.py` adds what needs `theory` or `figures`.
"""

import errno
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import tyro

from empirics.choices import ConfigError, check_choice
from empirics.cli import (
    COMMANDS,
    RENAMED_OPTIONS,
    Data,
    Doctor,
    Explore,
    Figures,
    Pilot,
    Records,
    Study,
    Table1,
    Train,
    Verify,
    plans,
    plans_again,
)
from empirics.execution import interrupts
from empirics.execution.processes import Call, TaskEvent, make_call, run_tasks
from empirics.studies.plan import DATA_FOLDER, Plan, forecasts, plan_study, plan_sweep, train
from empirics.terminal import usable_streams

EXIT_FAILED = 1
EXIT_REFUSED = 2
EXIT_INTERRUPTED = 130
ABOUT = (
    'Reproduce "Masks, Signs, And Learning Rate Rewinding": run the experiments, draw the figures, judge the claims.'
)
COMPLETION = ("--tyro-print-completion", "--tyro-write-completion")
SHELLS = ("bash", "zsh", "fish")
NEURON_ALONE = "no network to train: these figures need only the neuron, which takes seconds"
CANNOT_WRITE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EBADF)


class Figure(Protocol):
    """What a figure shows; an entry of the figures' catalogue."""

    id: str
    theory: Sequence[str]
    presets: Sequence[str]
    arms: Sequence[str]
    sweeps: Mapping[str, Sequence[str]]
    reads_sweeps_alone: bool
    connectivity: bool


class Outcome(Protocol):
    """What became of a figure or a table: its status, and the files in the output folder."""

    status: str
    files: Sequence[str]


def say(text: str) -> None:
    """Write a message for the user."""
    print(text, file=sys.stderr, flush=True)


def exit_code(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; an error or an interrupt gives a message and its own code.

    While it runs, signals to end the process raise `interrupts.Ended`. Signal handlers and standard streams are
    restored when it returns.
    """
    with usable_streams():
        try:
            with interrupts.raised():
                _refuse_in_an_import()
                code = command()
                sys.stdout.flush()
                return code
        except KeyboardInterrupt as stop:
            say("interrupted: results are saved up to the last epoch; the same command resumes there")
            return getattr(stop, "code", EXIT_INTERRUPTED)
        except BrokenPipeError:  # the output is a closed pipe, as in `... | head`
            return EXIT_FAILED
        except OSError as error:
            if isinstance(error, FileNotFoundError) and not _has_current_folder():
                say("error: the current folder does not exist any more: change to another one (cd), and try again")
                return EXIT_REFUSED
            # commands report errors of the files that they write themselves: only the standard output remains
            if error.filename is not None or error.errno not in CANNOT_WRITE:
                raise
            say(f"error: the output cannot be written: {error.strerror}")
            return EXIT_FAILED
        except (ValueError, RuntimeError, ArithmeticError) as error:
            # errors of this project carry a message for the user; any other is a defect, which needs its traceback
            if type(error).__module__.partition(".")[0] not in ("empirics", "theory", "figures"):
                raise
            say(f"error: {error}")
            return EXIT_REFUSED


def _refuse_in_an_import() -> None:
    """Refuse to run while a worker process imports the script that started it.

    Otherwise the script would start itself again.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):
        raise ConfigError(
            "a worker process imports this script, which then runs the command again: put the call of "
            'paper_repro.main under `if __name__ == "__main__":`'
        )


def _has_current_folder() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return False
    return True


def parsed(given: list[str], figures: Callable[[], Sequence[str]]) -> object:
    """Parse the command line; without a command, `figures` is inserted.

    Args:
        given: the words of the command line; `figures` is inserted into this list if it lacks a command.
        figures: returns the names of the figures; called only if the first word is no command, to suggest the nearest
            name for a misspelt one.

    Raises:
        SystemExit: help or a completion script was printed, or the options are wrong.
        ConfigError: an unknown command, figure or shell, or the former name of an option.
    """
    name = "paper_repro.py"
    config = (tyro.conf.OmitArgPrefixes,)
    if given and given[0].replace("_", "-") in COMPLETION:
        check_choice(given[1] if len(given) > 1 else "", SHELLS, "shell")
        name = Path(sys.argv[0]).name  # the name under which the shell calls it
    elif not given or given[0] not in (*COMMANDS, "-h", "--help"):
        if given and not given[0].startswith("-"):
            check_choice(given[0], list(dict.fromkeys([*COMMANDS, *figures()])), "command or figure")
        given.insert(0, "figures")
    for word in given:
        option, equals, value = word.partition("=")
        option = option.replace("_", "-")
        if new := RENAMED_OPTIONS.get(option):
            raise ConfigError(f"{option} is called {new} now: write {new}{equals}{value}")
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
    """The plans of the studies that some figures read: the preset's study, then those of the sweeps.

    Without a data folder there are none, and the existing results are drawn.

    Args:
        command: the options of the command.
        figures: entries of the catalogue.
        every_arm: whether to plan all arms of the preset, and the sweeps only if they run on a small network
            (`sweep_on`): otherwise sweeps take many times as long, and must be requested by figure or by
            `train --sweep`. If sweeps run on a small network, a figure whose arms are all among those of its sweeps
            needs no other study.
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
    plan = PRESETS[command.preset].plan if command.preset in PRESETS else None
    if plan is not None:  # n of its arms was fixed before the data: figures add none
        arms = tuple(arm for arm in arms if arm in plan.arms(command.protocol))
    found = [plan_study(command, arms, {})] if every_arm or arms else []
    varied: dict[str, dict[str, None]] = {}
    for figure in figures if small or not every_arm else ():
        for name, read in figure.sweeps.items():
            varied.setdefault(name, {}).update(dict.fromkeys(read))
    return found + [plan for name, read in varied.items() for plan in plan_sweep(command, name, tuple(read), {})]


def protocol_plans(command: Study) -> list[Plan]:
    """The plans of the studies that show which verdicts turn with the protocol.

    They are the arms that the preset has under the authors' protocol, under both, and the sweep in which our protocol
    has one of its settings from the authors'.

    Raises:
        ConfigError: a protocol is given, or an unknown preset.
    """
    from empirics.studies.arms import differs
    from empirics.studies.presets import PRESETS
    from empirics.studies.protocols import AUTHORS, OURS, arms_under, settings_under

    if command.protocol != OURS:
        raise ConfigError("`protocols` compares the two protocols: leave out --protocol")
    preset = PRESETS[check_choice(command.preset, PRESETS, "preset")]
    usual = settings_under(OURS, preset)
    arms = [arm for arm in arms_under(AUTHORS, preset) if differs(arm, usual)]
    theirs = replace(command, protocol=AUTHORS)
    return [plan_study(command, arms, {}), plan_study(theirs, (), {}), *plan_sweep(command, "protocol", (), {})]


def studies_again(shown: Mapping[str, Mapping], kept: Study) -> list[Plan]:
    """The plans that recompute studies of a figure, each arm with the seeds that it has there.

    Args:
        shown: the studies' entries in the figure's sidecar, by name; one of which no arm is shown is left out, and so
            is one whose records come with the code.
        kept: options of the present command, such as the results folder, the device and the workers.
    """
    found = []
    for study, entry in shown.items():
        seeds = {arm: [*run["seeds"], *run["diverged"]] for arm, run in entry["arms"].items()}
        wanted = {arm: numbers for arm, numbers in seeds.items() if numbers}
        if entry["arms"] and not entry.get("records"):
            found += plans_again(entry["command"], study, wanted, kept)
    return found


def options_kept(command: Verify, results: Path) -> Study:
    """The options of `verify` for the runs that it makes again, in a results folder of its own."""
    names = ("data_dir", "device", "workers", "threads", "dry_run")
    return Study(results=results, **{name: getattr(command, name) for name in names})


def only_draws(command: Figures) -> bool:
    """Whether a command draws existing results, and runs nothing.

    Raises:
        ConfigError: it asks for a comparison and for the best accuracies, which a comparison does not have.
    """
    best = command.accuracy == "best"
    if best and command.compare is not None:
        raise ConfigError("--compare draws the accuracy of the last epoch: leave out --accuracy best, or --compare")
    return best or command.compare is not None


def is_written(wanted: Sequence[Plan], experiments: Sequence[str], results: Path) -> bool:
    """Whether the results folder can be written, and so whether runs and records are written to it.

    False for a read-only folder that is complete.

    Raises:
        StoreError: the folder is read-only and something is missing.
    """
    from empirics.storage.files import StoreError, check_writable

    runs = len({task.key for plan in wanted for task in plan.tasks})
    try:
        check_writable(results)
    except StoreError as error:
        if runs or experiments:
            raise StoreError(f"{error}; {runs} runs and {len(experiments)} experiments are missing in it") from None
        say("the results folder is read-only and complete: it is used as it is")
        return False
    return True


def figures_forecast(figures: Sequence[Figure], wanted: Sequence[Plan], command: Study) -> str:
    """What some figures would run and measure, for a dry run."""
    measured = connectivity_forecast(wanted, command) if any(figure.connectivity for figure in figures) else ""
    return "\n".join(filter(None, [forecasts(wanted, command) or NEURON_ALONE, measured]))


def measure_for(figures: Sequence[Figure], wanted: Sequence[Plan], command: Study) -> int:
    """Measure what some figures read beside runs; returns how many series of measurements failed."""
    return measure_connectivity(wanted, command) if any(figure.connectivity for figure in figures) else 0


def run_plans(wanted: Sequence[Plan], command: Study) -> int:
    """Run some plans; returns the number of runs that failed."""
    failed, runs = train(wanted, command)
    if failed:
        say(f"{failed} of {runs} runs failed; the same command tries them again")
    return failed


def measure_connectivity(wanted: Sequence[Plan], command: Study) -> int:
    """Measure what is missing of the connectivity of some plans' studies.

    Returns how many series of pairs failed. The values of sweeps are left out: no figure shows theirs.
    """
    from empirics.studies.connectivity import measure

    failed = 0
    options = {name: getattr(command, name) for name in ("data_dir", "device", "workers", "threads")}
    for study in _connected(wanted, command.results):
        started = time.perf_counter()
        failures, measured = measure(command.results, study["study"], **options, say=say)
        if measured:
            seconds = time.perf_counter() - started
            say(f"connectivity of {study['study']}: {measured} pairs of networks measured, {seconds:.1f} s")
        failed += failures
    return failed


def connectivity_forecast(wanted: Sequence[Plan], command: Study) -> str:
    """What `measure_connectivity` would measure once the plans have run: a line for each study."""
    from empirics.studies.connectivity import unmeasured

    studies = _connected(wanted, command.results)
    counts = ((study["study"], unmeasured(command.results, study)) for study in studies)
    return "\n".join(f"connectivity of {name}: {count} pairs of networks to measure" for name, count in counts)


def _connected(wanted: Sequence[Plan], results: Path) -> list[Mapping[str, Any]]:
    """The records of the plans' studies that have both IMP and LRR, without values of sweeps.

    The seeds of other commands are included.
    """
    from empirics.studies.connectivity import CONNECTED_ARMS
    from empirics.studies.records import study_now

    records = {plan.record["study"]: plan.record for plan in wanted if not plan.record["swept"]}
    both = [record for record in records.values() if {*CONNECTED_ARMS} <= {*record["arms"]}]
    return [{**one, "seeds": sorted({*one["seeds"], *study_now(results, one)["seeds"]})} for one in both]


def run_train(command: Train, line: str) -> int:
    """Train the requested arms and sweeps; with `--all` also measure connectivity."""
    from empirics.storage.files import check_writable

    if not command.dry_run and not os.path.lexists(command.results):
        check_writable(command.results)
    wanted = plans(command)
    if not wanted:
        say("every seed that this command would train is recorded already")
        return 0
    if command.dry_run:
        print(forecasts(wanted, command))
        if command.all and (measured := connectivity_forecast(wanted, command)):
            print(measured)
        return 0
    if not is_written(wanted, (), command.results):
        return 0
    failed = run_plans(wanted, command)
    failed += measure_connectivity(wanted, command) if command.all else 0
    return EXIT_FAILED if failed else 0


# --- folders ------------------------------------------------------------------------------------------------------


@contextmanager
def alone_in(out: Path) -> Iterator[None]:
    """Hold the lock of the figures folder, so that only one command draws into it at a time.

    The last command to draw has then read the results of all.

    Raises:
        StoreError: the folder cannot be written.
    """
    from empirics.storage.files import check_writable
    from empirics.storage.locks import HOURS, locked

    check_writable(out)
    waits = "another command is drawing into the same folder: waiting for it"
    with locked(out / "figures", HOURS, lambda: say(waits), needed=False):
        yield


def write_page(html: str, command: Explore) -> int:
    """Write the page of the neuron's phase planes, and show it in the browser where that is asked for.

    Raises:
        StoreError: the folder cannot be written.
    """
    import webbrowser

    from empirics.storage.files import check_writable, write_atomic

    path = command.out / "explore.html"
    check_writable(path.parent)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, html.encode())
    say(f"page: {path}")
    if command.open and not webbrowser.open(path.resolve().as_uri()):
        say(f"no browser was found: open {path} in one")
        return EXIT_FAILED
    return 0


@contextmanager
def fresh(into: Path | None) -> Iterator[Path]:
    """A folder for recomputed results: the given one, which is kept, or a temporary one.

    Raises:
        StoreError: it cannot be made or written.
    """
    from empirics.storage.files import StoreError, check_writable

    if into is None:
        try:
            temporary = tempfile.TemporaryDirectory(prefix="paper-repro-")
        except OSError as error:
            why = f" ({error.strerror})" if error.filename else ""
            raise StoreError(
                f"no temporary folder can be made{why}: set TMPDIR to a folder that can be written to, or give "
                "--output-dir"
            ) from None
        with temporary as folder:
            (Path(folder) / "results").mkdir()  # it stays empty if all that is shown is read, not run
            try:
                yield Path(folder)
            except KeyboardInterrupt:
                say("the recomputed results were deleted with their temporary folder: --output-dir DIR keeps them")
                raise
        return
    check_writable(into, "--output-dir")
    if (into / "results").exists():
        say(f"{into} already contains results: complete ones are not run again")
    (into / "results").mkdir(exist_ok=True)
    yield into


def print_checks(rows: Iterable[tuple[str, bool]]) -> bool:
    """Print the rows of a check as they are made; returns whether all are right."""
    results = []
    for row, right in rows:
        print(row, flush=True)
        results.append(right)
    return all(results)


class ExperimentError(RuntimeError):
    """An experiment of the neuron failed in its process, or that process was ended from outside."""


def run_experiments(
    runs: Mapping[str, Callable[[], tuple[object, float]]],
    apart: Sequence[str],
    workers: int,
    on_result: Callable[[str, object, float], None],
) -> None:
    """Run experiments of the neuron.

    Args:
        runs: name -> function that returns the result and the seconds that it took.
        apart: those that run in processes of their own, after the others.
        workers: number of these processes at a time.
        on_result: called with name, result and seconds as each finishes.

    Raises:
        ExperimentError: one in another process failed, or its process was ended twice; the others are ended.
    """
    for name in [name for name in runs if name not in apart]:
        on_result(name, *runs[name]())

    died: set[str] = set()

    def on_event(event: TaskEvent) -> None:
        name = event.task.name
        if event.kind == "finished":
            on_result(name, *event.report)
        elif event.kind == "failed":
            raise ExperimentError(f"the experiment {name!r} failed: {event.message}")
        elif event.kind == "died" and name in died:
            raise ExperimentError(
                "a process that ran an experiment of the neuron was ended, perhaps for lack of memory: run it again"
            )
        elif event.kind == "died":
            died.add(name)
            say(f"theory: {name} is started again: {event.message}")

    run_tasks([Call(name, runs[name]) for name in apart], make_call, workers, on_event, start_method="spawn")


def experiment_writer(results: Path, files: Callable, result_name: Callable) -> Callable[[str, object, float], None]:
    """A function that writes the result of an experiment of the neuron: (name, result, seconds).

    Args:
        results: folder of result files.
        files: makes the files of a result: (name, result, parameters, seconds, provenance, command) -> bytes by ending.
        result_name: name of an experiment -> stem of its files.
    """
    from empirics.provenance import provenance
    from empirics.storage.files import check_writable
    from empirics.studies.records import write_theory_result

    def write(name: str, result: object, seconds: float) -> None:
        made = files(name, result, None, seconds, provenance(threads=1), f"paper_repro.py theory {name}")
        write_theory_result(results / "theory", result_name(name), made)
        say(f"theory: {name}, {seconds:.1f} s")

    check_writable(results / "theory")
    return write


def code_of(outcomes: Sequence[Outcome]) -> int:
    """The exit code of a command that made figures: whether one of them failed."""
    return EXIT_FAILED if any(outcome.status == "failed" for outcome in outcomes) else 0


def read_table(out: Path, outcomes: Sequence[Outcome]) -> str:
    """The Markdown table that a command has written, from the files of its outcomes."""
    tables = [name for outcome in outcomes for name in outcome.files if name.endswith(".md")]
    return "\n".join((out / name).read_text("utf-8") for name in tables)


# --- commands that need neither theory nor figures ----------------------------------------------------------------


def run_data(command: Data, line: str) -> int:
    """Download a data set."""
    from empirics.data.download import fetch
    from empirics.storage.files import check_writable

    if command.what != "download":
        raise ConfigError(f"unknown action {command.what!r}: write `paper_repro.py data download {command.name}`")
    check_writable(command.data_dir, "--data-dir")
    file = fetch(command.name, command.data_dir, progress=say)
    say(f"{file.name} is complete: it has the published size and MD5")
    return 0


def run_records(command: Records, line: str) -> int:
    """Record the complete seeds of studies, and say what is recorded."""
    from empirics.storage.files import check_writable
    from empirics.studies.seed_records import MOST_BYTES, bytes_of, record_seeds

    check_writable(command.output_dir, "--output-dir")
    for found in record_seeds(command.results, command.output_dir, command.studies, command.seeds):
        print(found.text())
    size = bytes_of(command.output_dir)
    print(f"{command.output_dir} holds {size / 1e6:.2f} MB")
    if size > MOST_BYTES:
        say(f"this is more than the {MOST_BYTES / 1e6:.0f} MB that a folder of the code should have")
    return 0


def run_pilot(command: Pilot, line: str) -> int:
    """Print the verdict on a preset's pilot; exit code 1 unless every study's is passed."""
    from empirics.studies.pilot import pilot_text, pilots

    found = pilots(command.results, command.preset)
    print(pilot_text(command.preset, found))
    return 0 if found and all(verdict.passed for verdict in found.values()) else EXIT_FAILED


def run_doctor(command: Doctor, line: str) -> int:
    """Print the report; exit code 1 if it contains a problem."""
    from empirics.doctor import examine

    code = 0
    for finding in examine(command.results, command.data_dir):
        print(("PROBLEM  " if finding.bad else "ok       ") + finding.text, flush=True)
        code = EXIT_FAILED if finding.bad else code
    return code


def run_table1(command: Table1, line: str) -> int:
    """Print Table 1."""
    from empirics.studies.table1 import table1

    print(table1(command.format, protocol=command.protocol))
    return 0


def write_tables(out: Path) -> None:
    """Write Table 1 in every format; unchanged files are left alone."""
    from empirics.storage.files import write_atomic
    from empirics.studies.table1 import TABLE_FORMATS, table1

    for form, (ending, _) in TABLE_FORMATS.items():
        file = out / f"table1.{ending}"
        text = f"{table1(form)}\n".encode()
        if not file.is_file() or file.read_bytes() != text:
            write_atomic(file, text)


def registries_listed(protocol: str) -> dict[str, Mapping[str, object]]:
    """Every registry of this package by its title; of the arms, those that differ under a protocol."""
    from empirics.registries import by_title
    from empirics.studies.arms import ARMS, differs
    from empirics.studies.presets import PRESETS
    from empirics.studies.protocols import PROTOCOLS, settings_under

    settings = settings_under(protocol, PRESETS["quick"])
    return {
        **by_title(),
        "protocols": PROTOCOLS,
        "arms": {name: arm for name, arm in ARMS.items() if differs(name, settings)},
    }


def listing(title: str, entries: Mapping[str, object]) -> str:
    """A registry as text: one line per entry, its name and description."""
    return "\n".join([title, *(f"  {name:28} {_about(entry)}".rstrip() for name, entry in entries.items())])


def _about(entry: object) -> str:
    """One line about a registry's entry: the entry itself, its `about`, or its docstring's first line.

    Entries of other packages have a `statement`, `title` or `sentence` in place of `about`.
    """
    if isinstance(entry, str):
        return entry
    for name in ("about", "statement", "title", "sentence"):
        if isinstance(getattr(entry, name, None), str):
            return getattr(entry, name)
    return (entry.__doc__ or "").split("\n")[0]


# the commands that need neither theory nor figures
RUN: dict[type, Callable[[Any, str], int]] = {
    Train: run_train,
    Data: run_data,
    Records: run_records,
    Pilot: run_pilot,
    Doctor: run_doctor,
    Table1: run_table1,
}
