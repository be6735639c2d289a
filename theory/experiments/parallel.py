"""Run experiments in parallel processes.

A result depends on its parameters alone, so the number of processes changes nothing.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import resource_tracker

from theory.experiments.registry import EXPERIMENTS
from theory.results import Result


class ExperimentError(RuntimeError):
    """The process of an experiment was ended from outside."""


def run_parallel(names: Sequence[str], workers: int) -> Iterator[tuple[str, Result, float]]:
    """Run experiments with their default parameters; yield name, result and seconds as each finishes.

    Experiments that are not slow run first, in this process.

    Parameters
    ----------
    names : keys of EXPERIMENTS
    workers : int, at least 1, processes at a time

    Raises
    ------
    ExperimentError: a process was ended; results of the others have been yielded or are computed again next time.
    """
    slow = [name for name in names if EXPERIMENTS[name].slow]
    here = names if workers == 1 or len(slow) < 2 else [name for name in names if name not in slow]
    for name in here:
        yield name, *timed(name)
    if len(here) == len(names):
        return
    context, others = multiprocessing.get_context("spawn"), multiprocessing.active_children()
    with ProcessPoolExecutor(min(workers, len(slow)), mp_context=context, initializer=_begin) as pool:
        try:
            with ignoring_interrupts():
                running = {pool.submit(timed, name): name for name in slow}
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


def timed(name: str) -> tuple[Result, float]:
    """Return the result of an experiment with its default parameters, and its run time in seconds."""
    experiment, started = EXPERIMENTS[name], time.perf_counter()
    return experiment.run(**experiment.params), time.perf_counter() - started


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
