"""Run experiments in parallel processes.

A result depends on its parameters alone, so the number of processes changes nothing.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker

from theory.experiments.registry import EXPERIMENTS, Experiment
from theory.results import Result

_log = logging.getLogger(__name__)


class ExperimentError(RuntimeError):
    """The process of an experiment was ended from outside."""


def run_parallel(names: Sequence[str], workers: int) -> Iterator[tuple[str, Result, float]]:
    """Run experiments with their default parameters; yield name, result and seconds as each finishes.

    Experiments that are not slow run first, in this process, and so do those whose function no other can import.

    Args:
        names: keys of EXPERIMENTS
        workers: int, at least 1, processes at a time

    Raises:
        ExperimentError: a process was ended; results of the others have been yielded or are computed again next time.
    """
    slow = [name for name in names if EXPERIMENTS[name].slow]
    for name in [name for name in slow if not importable(EXPERIMENTS[name])]:
        _log.warning(
            "the experiment %r runs in this process: another one cannot import its function. "
            "To run it beside others, define the function at the top of a module",
            name,
        )
        slow.remove(name)
    here = names if workers == 1 or len(slow) < 2 else [name for name in names if name not in slow]
    for name in here:
        yield name, *timed(EXPERIMENTS[name])
    if len(here) == len(names):
        return
    context = multiprocessing.get_context("spawn")
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(min(workers, len(slow)), mp_context=context, initializer=_begin) as pool:
        try:
            with ignoring_interrupts():
                running = {pool.submit(timed, EXPERIMENTS[name]): name for name in slow}
            for future in as_completed(running):
                yield running[future], *future.result()
        except BrokenProcessPool:
            raise ExperimentError(
                "a process that ran an experiment of the neuron was ended, perhaps for lack of memory: run it again"
            ) from None
        except BaseException:  # Ctrl-C ends the run at once: the executor itself would wait for the longest experiment
            for child in set(multiprocessing.active_children()) - set(others):
                child.kill()
            raise


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


@contextmanager
def ignoring_interrupts() -> Iterator[None]:
    """Make processes started within this context ignore Ctrl-C and a hang-up.

    Only the parent process handles these signals.
    """
    resource_tracker.ensure_running()  # started with the first process, it would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Make this process end when its parent ends, in whatever way that ends."""
    threading.Thread(target=exit_with_parent, daemon=True).start()


def exit_with_parent() -> None:
    """End this process when its parent has ended, however that ended."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
