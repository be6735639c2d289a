"""What ends a command from outside: Ctrl-C, SIGTERM, and the end of its terminal (SIGHUP)."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

HANG_UP = getattr(signal, "SIGHUP", None)
ENDING_SIGNALS = tuple(number for number in (signal.SIGINT, signal.SIGTERM, HANG_UP) if number is not None)


class Ended(KeyboardInterrupt):
    """A signal asked the process to end; `code` is its exit code then, as shells count it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.code = 128 + number


def _end(number: int, frame: Any) -> NoReturn:
    raise Ended(number)


@contextmanager
def raised() -> Iterator[None]:
    """Meanwhile, signals that ask the process to end raise `Ended`; the caller's handlers return at the end.

    In a thread beside the main one nothing changes, since signals are the main thread's. A hang-up that is ignored
    stays ignored: whoever started the process with `nohup` wants it to outlive the terminal.
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
            # None: it was set by other code than Python's, and cannot be set again from here
            signal.signal(number, signal.SIG_DFL if before[number] is None else before[number])
