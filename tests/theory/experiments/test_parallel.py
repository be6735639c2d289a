"""Experiments in processes of their own: the same results, and an end that leaves nothing behind."""

import multiprocessing
import multiprocessing.process
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from empirics import commands
from tests import ROOT
from tests.support.processes import alive, children, finish, seconds_worked, start
from tests.support.waiting import wait_for
from theory.experiments import registry
from theory.experiments.parallel import timed, worth_a_process
from theory.results import Result

pytestmark = pytest.mark.slow

SHORT = ("stories", "pruning-iterations", "factorial")


def test_no_experiment_is_marked_slow_that_the_registry_does_not_hold():
    slow = [name for name, experiment in registry.EXPERIMENTS.items() if experiment.slow]
    assert {"mask-recovery", "hidden-neurons", "sample-size"} <= set(slow)
    assert not {"quadrants", "stories", "factorial"} & set(slow), "figures 1 and 2 start no process"


def run_parallel(names: Sequence[str], workers: int) -> dict[str, Result]:
    """Experiments as the commands run them: their results, in the order in which they finish."""
    found = {}
    runs = {name: partial(timed, registry.EXPERIMENTS[name]) for name in names}

    def on_result(name: str, result: Result, seconds: float) -> None:
        assert seconds >= 0
        found[name] = result

    commands.run_experiments(runs, worth_a_process(names, workers), workers, on_result)
    return found


def test_processes_side_by_side_give_the_same_results_as_one_after_the_other(monkeypatch):
    for name in SHORT[:2]:
        monkeypatch.setitem(registry.EXPERIMENTS, name, replace(registry.EXPERIMENTS[name], slow=True))
    found = run_parallel(SHORT, 2)
    assert sorted(found) == sorted(SHORT)
    for name in SHORT:
        alone, _ = timed(registry.EXPERIMENTS[name])
        assert found[name].values == alone.values
        for key, array in (alone.arrays or {}).items():
            np.testing.assert_array_equal(found[name].arrays[key], array)


def test_short_experiments_and_one_worker_start_no_process(monkeypatch):
    monkeypatch.setattr(multiprocessing.process.BaseProcess, "start", None)
    assert list(run_parallel(SHORT, 2)) == list(SHORT)
    monkeypatch.setitem(registry.EXPERIMENTS, "stories", replace(registry.EXPERIMENTS["stories"], slow=True))
    assert list(run_parallel(SHORT, 2)) == list(SHORT)
    monkeypatch.setitem(registry.EXPERIMENTS, "factorial", replace(registry.EXPERIMENTS["factorial"], slow=True))
    assert list(run_parallel(SHORT, 1)) == list(SHORT)


def test_an_experiment_that_fails_in_its_process_is_named_with_what_is_wrong(monkeypatch):
    for name in SHORT[:2]:
        entry = replace(registry.EXPERIMENTS[name], slow=True, params={"no such parameter": 1})
        monkeypatch.setitem(registry.EXPERIMENTS, name, entry)
    with pytest.raises(commands.ExperimentError, match="^the experiment '(stories|pruning-iterations)' failed: .*"):
        run_parallel(SHORT[:2], 2)
    assert not multiprocessing.active_children()


# the command on a machine with two cores, whatever this one has
COMMAND = """
import empirics.cores, sys
empirics.cores.usable_cores = lambda *_: 2
import paper_repro
sys.exit(paper_repro.main(["theory", "mask-recovery", "hidden-neurons"]))
"""


def _command(folder):
    return start([sys.executable, "-c", COMMAND], cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT)})


def _started(folder):
    """The command, and the two processes that run its experiments, each with a second of work behind it."""
    parent = _command(folder)

    def working() -> list[int] | None:
        assert parent.poll() is None, parent.stderr.read()
        found = [child for child in children(parent.pid) if seconds_worked(child) > 1]
        return found if len(found) == 2 else None

    return parent, wait_for(working, "two processes at work")


def test_a_process_that_is_killed_is_started_once_more_and_then_said_and_not_waited_for(tmp_path):
    parent, workers = _started(tmp_path)
    os.kill(workers[0], signal.SIGKILL)
    before = set(children(parent.pid))
    (again,) = wait_for(lambda: set(children(parent.pid)) - before, "the process that takes its place")
    os.kill(again, signal.SIGKILL)
    _, said = finish(parent)
    assert parent.returncode == 2 and "Traceback" not in said
    first, last = said.splitlines()
    assert first.endswith("is started again: its process ended with code -9 before it was done")
    assert last.startswith("error: a process that ran an experiment of the neuron was ended")


@pytest.mark.parametrize("count", [2, 3])
def test_ctrl_c_at_a_terminal_says_one_line_even_while_processes_start(count, tmp_path):
    """One of the children that come up is multiprocessing's own."""
    parent = _command(tmp_path)
    wait_for(lambda: len(children(parent.pid)) >= count or parent.poll() is not None, f"{count} children")
    os.killpg(parent.pid, signal.SIGINT)
    _, said = finish(parent)
    assert parent.returncode == 130 and len(said.splitlines()) == 1, said


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_an_interrupt(sent, tmp_path):
    parent, workers = _started(tmp_path)
    parent.send_signal(sent)
    _, said = finish(parent)
    assert parent.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sent]
    assert "Traceback" not in said
    wait_for(lambda: not any(map(alive, workers)), "the processes end")
    assert not list(tmp_path.rglob("*.json"))
