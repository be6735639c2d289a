"""A terminal that goes away, handlers that are given back, and commands in threads beside the main one."""

import fcntl
import os
import select
import signal
import sys
import termios
import threading
from pathlib import Path

import pytest

import paper_repro
from empirics.cli import Table1
from empirics.execution import interrupts
from tests import ROOT
from tests.support.processes import Popen, finish, start
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, str(ROOT / "paper_repro.py")]
# a step takes a good part of a second: whoever does not wait for the worker loses its epoch
SLOW = ["train", "--arms", "lrr", "--model", "resnet8", "--width", "64", "--images-per-class", "100", "--batch-size",
        "500", "--epochs", "200", "--levels", "2", "--seeds", "0", "--workers", "1"]  # fmt: skip
TINY = ["train", "--arms", "lrr", "--model", "resnet8", "--width", "4", "--images-per-class", "20", "--batch-size",
        "32", "--epochs", "2", "--levels", "2", "--seeds", "0", "--workers", "1"]  # fmt: skip


def at_work(folder: Path, command: list[str], **options) -> Popen:
    """The command when an epoch is done."""
    process = start(command, cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, **options)

    def epochs_done() -> bool:
        assert process.poll() is None, process.stderr and process.stderr.read()
        return any(path.read_bytes().count(b"\n") for path in folder.rglob("metrics.jsonl"))

    wait_for(epochs_done, "an epoch")
    return process


@pytest.mark.parametrize(
    "numbers, codes",
    [
        ((signal.SIGHUP, signal.SIGHUP), {129}),
        ((signal.SIGTERM, signal.SIGHUP), {129, 143}),
    ],  # whichever is heard first
)
def test_a_hang_up_keeps_the_last_epoch_however_often_it_is_said(tmp_path, numbers, codes):
    process = at_work(tmp_path, [*PROGRAM, *SLOW])
    for number in numbers:
        os.killpg(process.pid, number)
    _, stderr = finish(process)
    assert process.returncode in codes and stderr.count("\n") == 1 and "the same command resumes" in stderr, stderr
    assert list(tmp_path.rglob("checkpoints/*.safetensors")), "the last epoch is on the disk"


def test_a_run_whose_terminal_is_closed_keeps_its_last_epoch(tmp_path):
    controller, terminal = os.openpty()
    closing = threading.Event()

    def read_until_closing() -> None:
        while not closing.is_set():
            if select.select([controller], [], [], 0.05)[0]:
                os.read(controller, 65536)
        os.close(controller)

    reader = threading.Thread(target=read_until_closing)
    reader.start()
    try:
        streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal)
        own = lambda: fcntl.ioctl(terminal, termios.TIOCSCTTY, 0)  # noqa: E731
        process = at_work(tmp_path, [*PROGRAM, *SLOW], **streams, preexec_fn=own)
    finally:
        os.close(terminal)
        closing.set()
        reader.join()
    finish(process)
    assert process.returncode == 129
    assert list(tmp_path.rglob("checkpoints/*.safetensors")), "the last epoch is on the disk"


def test_a_run_started_with_nohup_outlives_its_terminal(tmp_path):
    process = at_work(tmp_path, ["sh", "-c", 'trap "" HUP; exec "$0" "$@"', *PROGRAM, *TINY])
    os.killpg(process.pid, signal.SIGHUP)
    _, stderr = finish(process)
    assert process.returncode == 0, stderr
    assert list(tmp_path.rglob("lrr-*/seed-0/level-01/level.json"))


def handlers() -> list:
    return [signal.getsignal(number) for number in interrupts.ENDING_SIGNALS]


@pytest.fixture
def own_handlers():
    """Handlers of a program that calls ours, all different; its former ones return."""
    before = handlers()
    ours = [lambda number, frame, place=place: None for place in range(len(before))]
    for number, handler in zip(interrupts.ENDING_SIGNALS, ours, strict=True):
        signal.signal(number, handler)
    yield ours
    for number, handler in zip(interrupts.ENDING_SIGNALS, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.parametrize("arguments, code", [(["table1"], 0), (["trian"], 2), (["--help"], None)])
def test_handlers_of_signals_return_after_a_command(arguments, code, own_handlers, capsys):
    try:
        assert paper_repro.main(arguments) == code
    except SystemExit:
        assert code is None
    assert handlers() == own_handlers


@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_a_command_with_its_code_and_handlers_return(number, code, own_handlers, monkeypatch, capsys):
    monkeypatch.setitem(paper_repro.RUN, Table1, lambda *_: signal.raise_signal(number))
    assert paper_repro.main(["table1"]) == code and "interrupted" in capsys.readouterr().err
    assert handlers() == own_handlers


def test_a_hang_up_that_is_ignored_stays_ignored(own_handlers):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupts.raised():
        signal.raise_signal(signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_hang_up_is_no_second_interrupt_and_alone_it_is_heard(own_handlers):
    for first in interrupts.ENDING_SIGNALS:
        with interrupts.raised(), interrupts.deferred_interrupts() as pressed:
            with pytest.raises(interrupts.Ended) as ended:
                signal.raise_signal(first)
            signal.raise_signal(signal.SIGHUP)
            assert len(pressed) == 1 and ended.value.code == 128 + first
            with pytest.raises(interrupts.Ended) as again:
                pressed[0]()
            assert again.value.code == 128 + first, "one that Python swallowed is raised again"
    assert handlers() == own_handlers


def test_a_command_runs_in_a_thread_beside_the_main_one(own_handlers, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    codes = []
    thread = threading.Thread(target=lambda: codes.append(paper_repro.main(TINY)))
    thread.start()
    thread.join()
    assert codes == [0], capsys.readouterr().err
    assert handlers() == own_handlers and list(tmp_path.rglob("lrr-*/seed-0/level-01/level.json"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_after_a_hang_up_the_first_other_signal_asks_for_the_same_and_the_second_ends_at_once(number, own_handlers):
    with interrupts.raised(), interrupts.deferred_interrupts() as pressed:
        with pytest.raises(interrupts.Ended) as ended:
            signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(number)
        assert len(pressed) == 1 and ended.value.code == 129, "they came together, and are heard by number"
        with pytest.raises(interrupts.Ended) as again:
            signal.raise_signal(number)
        assert len(pressed) == 2 and again.value.code == 128 + number


def test_signals_that_come_together_are_one_request(own_handlers):
    with interrupts.raised(), interrupts.deferred_interrupts() as pressed:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGHUP})
        for number in (signal.SIGTERM, signal.SIGHUP):
            # to this thread, which holds them back: of a whole process any other thread would take them
            signal.pthread_kill(threading.get_ident(), number)
        with pytest.raises(interrupts.Ended):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM, signal.SIGHUP})
            wait_for(lambda: False, "a signal")
        assert len(pressed) == 1
