"""Which experiments may run in processes of their own, beside one another.

A result depends on its parameters alone, so the number of processes changes nothing. This package starts none.
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Sequence

from theory.experiments.registry import EXPERIMENTS, Experiment
from theory.results import Result

_log = logging.getLogger(__name__)


def worth_a_process(names: Sequence[str], workers: int) -> list[str]:
    """Return those of some experiments that are to run in other processes.

    They are the slow ones, if there are several, without those whose function no other process can import.

    Args:
        names: keys of EXPERIMENTS
        workers: int, at least 1, processes at a time
    """
    slow = [name for name in names if EXPERIMENTS[name].slow]
    for name in [name for name in slow if not importable(EXPERIMENTS[name])]:
        _log.warning(
            "the experiment %r runs in this process: another one cannot import its function. "
            "To run it beside others, define the function at the top of a module",
            name,
        )
        slow.remove(name)
    return [] if workers == 1 or len(slow) < 2 else slow


def timed(experiment: Experiment) -> tuple[Result, float]:
    """Return the result of an experiment with its default parameters, and its run time in seconds.

    It takes the entry, not its name: the registry of another process lacks entries from outside.
    """
    started = time.perf_counter()
    return experiment.run(**experiment.params), time.perf_counter() - started


def importable(experiment: Experiment) -> bool:
    """Return whether another process can import the function of an experiment.

    It cannot where the function is local to another one, or was defined in a script or at a prompt.
    """
    function = experiment.function
    if isinstance(function, str):
        return True
    found = sys.modules.get(getattr(function, "__module__", "__main__"))
    if found is None or found.__name__ == "__main__":
        return False
    for part in getattr(function, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is function
