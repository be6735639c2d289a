"""Processes that tests start end with their test, however that ends, and so does all that they have started."""

import shutil
import signal
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support import waiting
from tests.support.processes import (
    PIPE,
    PROC,
    TimeoutExpired,
    alive,
    children,
    end_all,
    finish,
    fork,
    marked,
    run,
    start,
    status,
)
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

# a process that starts another: in a session of its own, deaf to every polite signal, its parent gone
STUBBORN = """
import os, signal, sys, time
if os.fork():
    time.sleep(1000 if sys.argv[2] == "stays" else 0)
    os._exit(0)
os.setsid()
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_IGN)
with open(sys.argv[1] + ".new", "w") as file:
    print(os.getpid(), os.getppid(), file=file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
os.execv(sys.executable, [sys.executable, "-c", "import time; time.sleep(1000)"])
"""
# replaces itself by itself, on and on
EXECS = 'exec "$0" -c "$1" "$0" "$1"'
needs_proc = pytest.mark.skipif(not PROC, reason="orphans are found in /proc")


def pids(file: Path) -> list[int]:
    wait_for(file.exists, "the processes are there")
    return [number for number in map(int, file.read_text().split()) if number > 1]


def gone(numbers: list[int]) -> bool:
    return not any(map(alive, numbers))


def stubborn(file: Path, parent: str = "stays"):
    process = start([sys.executable, "-c", STUBBORN, str(file), parent])
    return process, pids(file)


@needs_proc
@pytest.mark.parametrize("parent", ["stays", "goes"])
def test_a_command_that_is_ended_by_its_timeout_leaves_no_process_behind(tmp_path, parent):
    process, started = stubborn(tmp_path / "pids", parent)
    assert any(map(alive, started))
    with pytest.raises(TimeoutExpired):  # while the pipes are held open
        finish(process, seconds=0.001)
    assert gone(started) and process.returncode is not None


@needs_proc
def test_a_command_that_ends_by_itself_takes_along_what_it_has_started(tmp_path):
    quiet = f"import os; null = os.open(os.devnull, os.O_RDWR); os.dup2(null, 1); os.dup2(null, 2)\n{STUBBORN}"
    assert run([sys.executable, "-c", quiet, str(tmp_path / "pids"), "goes"]).returncode == 0
    assert not (tmp_path / "pids").exists() or gone(pids(tmp_path / "pids"))


@needs_proc
def test_one_that_is_replacing_itself_shows_no_environment_and_is_found_all_the_same(tmp_path):
    for attempt in range(20):  # an eighth of all looks falls into an exec
        file = tmp_path / str(attempt)
        run(["sh", "-c", f'sh -c \'echo $$ > {file}; exec "$0" -c "$1" "$0" "$1"\' sh "$0" > /dev/null 2>&1 &', EXECS])
        assert not file.exists() or gone(pids(file)), attempt


def test_what_a_test_has_forked_or_started_is_gone_after_it(tmp_path):
    process = start([sys.executable, "-c", "input()"], stdin=PIPE)
    copy = fork(lambda: signal.pause())
    end_all()
    assert process.returncode == -signal.SIGKILL and gone([copy, process.pid]) and not children(process.pid)
    end_all()


@pytest.mark.parametrize(
    "work, code", [(lambda: None, 0), (lambda: 3, 3), (lambda: signal.raise_signal(9), -9), (lambda: 1 / 0, 1)]
)
def test_a_fork_ends_as_its_work_does(work, code, capfd):
    assert status(fork(work)) == code
    assert ("ZeroDivisionError" in capfd.readouterr().err) == (code == 1)


def test_text_is_handed_over_and_everything_written_comes_back():
    code = "import sys; text = sys.stdin.read(); print(text * 2); print(len(text), file=sys.stderr); sys.exit(5)"
    done = run([sys.executable, "-c", code], given="abc" * 100_000)
    assert (done.returncode, done.stdout, done.stderr) == (5, "abc" * 200_000 + "\n", "300000\n")
    assert run([sys.executable, "-c", "import sys; print(sys.stdin.read())"]).stdout == "\n", "nothing is waited for"


@pytest.mark.parametrize("before", [signal.SIG_IGN, signal.default_int_handler])
def test_what_is_started_hears_ctrl_c_also_where_the_tests_are_in_the_background(before):
    former = signal.signal(signal.SIGINT, before)
    try:
        done = run([sys.executable, "-c", "import signal; print(signal.getsignal(2) is signal.default_int_handler)"])
        assert done.stdout == "True\n" and signal.getsignal(signal.SIGINT) == before
    finally:
        signal.signal(signal.SIGINT, former)


INNER = """
import signal, sys, pytest
from pathlib import Path
from tests.support.processes import alive, fork, start
from tests.support.waiting import wait_for

FILE = Path(__file__).with_name("pids")

def test_that_leaves_processes():
    start([sys.executable, "-c", {stubborn!r}, str(FILE), {parent!r}])
    wait_for(FILE.exists, "it is there")
    FILE.write_text(FILE.read_text() + f"{{fork(lambda: signal.pause())}}")
    FILE.rename(FILE.with_suffix(".all"))
    {end}

def test_that_comes_after():
    assert not any(alive(int(pid)) for pid in FILE.with_suffix(".all").read_text().split() if pid != "1")
"""


def inner(folder: Path, parent: str, end: str):
    """Tests of a user's in a process of their own, with the house's conftest."""
    shutil.copy(ROOT / "tests/conftest.py", folder)
    (folder / "test_inner.py").write_text(INNER.format(stubborn=STUBBORN, parent=parent, end=end))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-c"]
    return start([*words, str(ROOT / "pyproject.toml"), "--rootdir", str(folder), str(folder)], cwd=ROOT)


@needs_proc
@pytest.mark.parametrize("end", ["pass", "assert False", "raise KeyboardInterrupt"])
def test_processes_of_a_test_are_gone_when_the_next_one_begins(tmp_path, end):
    process = inner(tmp_path, "goes", end)
    stdout, _ = finish(process)
    assert {"pass": "2 passed", "assert False": "1 failed, 1 passed"}.get(end, "KeyboardInterrupt") in stdout, stdout
    assert gone(pids(tmp_path / "pids.all"))


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_tests_that_are_killed_leave_no_process_behind(tmp_path, number):
    process = inner(tmp_path, "stays", "signal.pause()")
    started = pids(tmp_path / "pids.all")
    assert not gone(started)
    process.send_signal(number)
    wait_for(lambda: gone(started), "its guard ends them")
    finish(process)


@needs_proc
def test_the_mark_finds_what_this_process_has_started_and_nothing_else():
    process = start([sys.executable, "-c", "input()"], stdin=PIPE)
    wait_for(lambda: marked("") and process.pid in marked(""), "it bears the mark")
    assert marked("nobody has this one") == []


def test_a_condition_that_never_comes_is_named_and_one_that_comes_late_is_waited_for(monkeypatch):
    monkeypatch.setattr(waiting, "PAUSE", 0)
    with pytest.raises(AssertionError, match="waited in vain: godot"):
        wait_for(lambda: False, "godot", seconds=0.001)
    looks = iter([0, "", None, "here"])
    assert wait_for(lambda: next(looks), "it") == "here" and list(looks) == []


@pytest.mark.parametrize("busy, cores, factor", [(1, 2, 1), (2, 2, 1), (3, 1, 3), (12, 2, 6), (900, 1, 20)])
def test_limits_grow_with_the_processes_that_share_a_core(monkeypatch, busy, cores, factor):
    monkeypatch.setattr(waiting, "_PIECE_SECONDS", 1e9)
    monkeypatch.setattr(waiting, "_wanting", lambda: busy)
    monkeypatch.setattr(waiting, "usable_cores", lambda: cores)
    assert waiting.slowness() == factor
    limit = waiting.Limit(100)
    for share, passed in ((0.9, False), (1.1, True)):
        monkeypatch.setattr(limit, "started", waiting.time.monotonic() - 100 * factor * share)
        assert limit.passed() == passed


def test_limits_grow_with_the_time_that_a_piece_of_work_takes(monkeypatch):
    monkeypatch.setattr(waiting, "_wanting", lambda: 1)
    monkeypatch.setattr(waiting, "_PIECE_SECONDS", 1e-9)
    assert waiting.slowness() == 20


def test_what_is_started_hears_a_hang_up_also_where_the_tests_run_by_nohup():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        done = run([sys.executable, "-c", "import signal; print(signal.getsignal(1) is signal.SIG_DFL)"])
        assert done.stdout == "True\n" and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
