"""Experiments in processes of their own: the same results, and an end that leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from theory import experiments, side_by_side
from theory.side_by_side import run_side_by_side, timed

ROOT = Path(__file__).parents[2]
SHORT = ("stories", "pruning-iterations", "factorial")


def test_no_experiment_is_marked_slow_that_the_registry_does_not_hold():
    slow = [name for name, experiment in experiments.EXPERIMENTS.items() if experiment.slow]
    assert {"mask-recovery", "hidden-neurons", "sample-size"} <= set(slow)
    assert not {"quadrants", "stories", "factorial"} & set(slow), "figures 1 and 2 start no process"


def test_processes_side_by_side_give_the_same_results_as_one_after_the_other(monkeypatch):
    for name in SHORT[:2]:
        monkeypatch.setitem(experiments.EXPERIMENTS, name, replace(experiments.EXPERIMENTS[name], slow=True))
    found = {name: result for name, result, _ in run_side_by_side(SHORT, 2)}
    assert sorted(found) == sorted(SHORT)
    for name in SHORT:
        alone, _ = timed(name)
        assert found[name].values == alone.values
        for key, array in (alone.arrays or {}).items():
            np.testing.assert_array_equal(found[name].arrays[key], array)


def test_short_experiments_and_one_worker_start_no_process(monkeypatch):
    monkeypatch.setattr(side_by_side, "ProcessPoolExecutor", None)
    assert [name for name, _, _ in run_side_by_side(SHORT, 2)] == list(SHORT)
    monkeypatch.setitem(experiments.EXPERIMENTS, "stories", replace(experiments.EXPERIMENTS["stories"], slow=True))
    assert [name for name, _, seconds in run_side_by_side(SHORT, 1) if seconds >= 0] == list(SHORT)


def _started(folder):
    command = [sys.executable, str(ROOT / "paper_repro.py"), "theory", "mask-recovery", "hidden-neurons"]
    parent = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True)
    return parent, _wait_for(lambda: _working(parent.pid))


def test_a_process_that_is_killed_is_said_and_not_waited_for(tmp_path):
    parent, children = _started(tmp_path)
    os.kill(children[0], signal.SIGKILL)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == 2 and "Traceback" not in said
    assert said.startswith("error: a process that ran an experiment of the neuron was ended")


def test_ctrl_c_at_a_terminal_says_one_line_even_while_processes_start(tmp_path):
    command = [sys.executable, str(ROOT / "paper_repro.py"), "theory", "mask-recovery", "hidden-neurons"]
    parent = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, start_new_session=True)
    _wait_for(lambda: len(_children(parent.pid)) >= 2)
    time.sleep(0.2)
    os.killpg(parent.pid, signal.SIGINT)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == 130 and len(said.splitlines()) == 1, said


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_no_process_outlives_an_interrupt(sent, tmp_path):
    parent, children = _started(tmp_path)
    parent.send_signal(sent)
    _, said = parent.communicate(timeout=30)
    assert parent.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[sent]
    assert "Traceback" not in said
    _wait_for(lambda: not any(Path(f"/proc/{child}/stat").exists() and _state(child) != "Z" for child in children))
    assert not list(tmp_path.rglob("*.json"))


def _wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.05)
    return found


def _state(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def _children(pid):
    """Process -> ticks of the clock that it has worked."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid:
            found[int(stat.parent.name)] = int(fields[11])
    return found


def _working(pid):
    """The processes that run an experiment: two, each with a second of work behind it."""
    found = [child for child, ticks in _children(pid).items() if ticks > os.sysconf("SC_CLK_TCK")]
    return found if len(found) == 2 else None
