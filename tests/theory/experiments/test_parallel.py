"""Experiments in processes of their own: the same results, and an end that leaves nothing behind."""

import os
import signal
import sys
from dataclasses import replace

import numpy as np
import pytest

from tests import ROOT
from tests.support.processes import alive, children, finish, seconds_worked, start
from tests.support.waiting import wait_for
from theory.experiments import parallel, registry
from theory.experiments.parallel import run_parallel, timed

pytestmark = pytest.mark.slow

SHORT = ("stories", "pruning-iterations", "factorial")


def test_no_experiment_is_marked_slow_that_the_registry_does_not_hold():
    slow = [name for name, experiment in registry.EXPERIMENTS.items() if experiment.slow]
    assert {"mask-recovery", "hidden-neurons", "sample-size"} <= set(slow)
    assert not {"quadrants", "stories", "factorial"} & set(slow), "figures 1 and 2 start no process"


def test_processes_side_by_side_give_the_same_results_as_one_after_the_other(monkeypatch):
    for name in SHORT[:2]:
        monkeypatch.setitem(registry.EXPERIMENTS, name, replace(registry.EXPERIMENTS[name], slow=True))
    found = {name: result for name, result, _ in run_parallel(SHORT, 2)}
    assert sorted(found) == sorted(SHORT)
    for name in SHORT:
        alone, _ = timed(registry.EXPERIMENTS[name])
        assert found[name].values == alone.values
        for key, array in (alone.arrays or {}).items():
            np.testing.assert_array_equal(found[name].arrays[key], array)


def test_short_experiments_and_one_worker_start_no_process(monkeypatch):
    monkeypatch.setattr(parallel, "ProcessPoolExecutor", None)
    assert [name for name, _, _ in run_parallel(SHORT, 2)] == list(SHORT)
    monkeypatch.setitem(registry.EXPERIMENTS, "stories", replace(registry.EXPERIMENTS["stories"], slow=True))
    assert [name for name, _, seconds in run_parallel(SHORT, 1) if seconds >= 0] == list(SHORT)


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


def test_a_process_that_is_killed_is_said_and_not_waited_for(tmp_path):
    parent, workers = _started(tmp_path)
    os.kill(workers[0], signal.SIGKILL)
    _, said = finish(parent)
    assert parent.returncode == 2 and "Traceback" not in said
    assert said.startswith("error: a process that ran an experiment of the neuron was ended")


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
