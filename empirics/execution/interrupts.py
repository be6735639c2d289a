"""The signals that end a command: Ctrl-C (SIGINT), SIGTERM, and a closed terminal (SIGHUP)."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import resource_tracker
from typing import Any, NoReturn

HANG_UP = getattr(signal, "SIGHUP", None)
ENDING_SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None)


class Ended(KeyboardInterrupt):
    """A signal to end the process was received; `code` is the exit code, 128 + the signal's number."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def _end(number: int, frame: Any) -> NoReturn:
    raise Ended(number)


@contextmanager
def raised() -> Iterator[None]:
    """Within this context, signals to end the process raise `Ended`; old handlers are restored after it.

    In any thread other than the main one nothing changes, since only the main thread handles signals. A hang-up
    (SIGHUP) that is ignored stays ignored: a process started with `nohup` must outlive its terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}
    heard = [number for number in ENDING_SIGNALS if number != HANG_UP or before[number] is not signal.SIG_IGN]
    try:
        for number in heard:
            signal.signal(number, _end)
        yield
    finally:
        for number in heard:
            # None: the handler was not set from Python, and cannot be restored from here
            signal.signal(number, signal.SIG_DFL if before[number] is None else before[number])


@contextmanager
def deferred_interrupts() -> Iterator[list[Callable[[], None]]]:
    """Collect the signals to end the process: a list of calls of the caller's handlers, one per signal.

    A hang-up (SIGHUP) counts only if it is the first signal. When a terminal closes, its shell and the system may both
    send one, and batch systems send one right before or after SIGTERM; signals that arrive together are handled in the
    order of their numbers. Such repeated signals must not kill workers in the middle of an epoch.
    """
    signals_received: list[Callable[[], None]] = []
    heard: list[int] = []
    before = {number: signal.getsignal(number) for number in ENDING_SIGNALS}

    def on_signal(number: int, frame: Any) -> None:
        heard.append(number)
        if len(heard) > 1 and (number == HANG_UP or set(heard[:-1]) == {HANG_UP}):
            return
        signals_received.append(lambda: before[number](number, frame))
        before[number](number, frame)

    if threading.current_thread() is not threading.main_thread():  # only the main thread handles signals
        yield signals_received
        return
    ours = {number: handler for number, handler in before.items() if callable(handler)}
    for number in ours:
        signal.signal(number, on_signal)
    try:
        yield signals_received
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


@contextmanager
def left_to_the_parent() -> Iterator[None]:
    """Processes started within this context ignore Ctrl-C and a hang-up: only the parent handles them."""
    resource_tracker.ensure_running()  # started with the first process, it would unblock the signals again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
