"""How tests wait: for a condition, up to a limit that grows with how slow and how busy the machine is.

No test sleeps for a fixed time and hopes: it says what must come true. A limit is there for what never comes; it is
written for an idle machine of 2.5 GHz with a core to spare, and `slowness` stretches it.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from empirics.cores import usable_cores

T = TypeVar("T")

LIMIT = 120  # seconds, on an idle machine
PAUSE = 0.02  # seconds between two looks
_PIECE, _PIECE_SECONDS = 200_000, 0.01  # a piece of work in Python, and what it takes at 2.5 GHz
_MOST = 20  # what has not come by then never will


def slowness() -> float:
    """How many times longer than on an idle machine something may take here and now: from 1 to 20."""
    started = time.perf_counter()
    sum(range(_PIECE))
    speed = (time.perf_counter() - started) / _PIECE_SECONDS
    return min(_MOST, max(1.0, speed) * max(1.0, _wanting() / usable_cores()))


def _wanting() -> float:
    """Processes that want a core: those of this moment or, if more, the mean of the last minute."""
    try:
        now = int(Path("/proc/loadavg").read_text().split()[3].split("/")[0])
    except OSError:
        now = 1
    return max(now, os.getloadavg()[0] if hasattr(os, "getloadavg") else 1)


class Limit:
    """Says when to give up: `passed()` after so many seconds of an idle machine."""

    def __init__(self, seconds: float = LIMIT):
        self.seconds, self.started = seconds, time.monotonic()

    def passed(self) -> bool:
        waited = time.monotonic() - self.started
        return waited > self.seconds and waited > self.seconds * slowness()  # how busy it has been shows at the end


def wait_for(condition: Callable[[], T], what: str, seconds: float = LIMIT) -> T:
    """What `condition` returns as soon as that is true; AssertionError with `what` where it never is."""
    limit = Limit(seconds)
    while not (found := condition()):
        assert not limit.passed(), f"waited in vain: {what}"
        time.sleep(PAUSE)
    return found
