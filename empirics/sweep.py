"""Many runs side by side: a plan of tasks that build on one another, each in a process of its own with one thread.

A task's result depends on its config and seed alone, so the number of workers changes nothing but the time.
"""

import dataclasses
import heapq
import multiprocessing
import re
import signal
import traceback
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from empirics.config import RunConfig
from empirics.store import RunFolder

Key = tuple[str, int]


@dataclass(frozen=True)
class Task:
    """One run and seed.

    Args:
        config: the run.
        seed: at least 0.
        needs: the tasks whose results it builds on.
    """

    config: RunConfig
    seed: int
    needs: tuple[Key, ...]

    @property
    def key(self) -> Key:
        """Run name and seed."""
        return self.config.name, self.seed

    @property
    def epochs(self) -> int:
        """Epochs of the whole task, over its levels and their cycles."""
        return self.config.epochs * sum(self.config.cycles_at(level) for level in self.config.trained_levels)


@dataclass(frozen=True)
class DataSource:
    """Where workers find the data: an embedded data set, or a folder of images with its hash and pixel cache."""

    name: str
    folder: Path | None = None
    data_hash: str = ""
    cache: Path | None = None


@dataclass(frozen=True)
class Event:
    """What a worker tells: `kind` is `started`, `epoch`, `finished`, `failed` or `skipped`."""

    kind: str
    task: Task
    epoch: Any = None
    message: str = ""


def plan(configs: Iterable[RunConfig], seeds: Sequence[int]) -> list[Task]:
    """Every task of these runs and seeds, dense runs included, each after the ones it needs.

    Raises:
        ValueError: a run takes the masks of one that is not in the plan before it.
    """
    tasks: dict[Key, Task] = {}
    for seed in seeds:
        for config in configs:
            dense = config.dense
            tasks.setdefault((dense.name, seed), Task(dense, seed, ()))
            if config.is_dense:
                continue
            needs = [(dense.name, seed)] + ([(config.mask_run, seed)] if config.mask_run else [])
            missing = [run for run, s in needs if (run, s) not in tasks]
            if missing:
                raise ValueError(
                    f"run {config.name} needs run {missing[0]}, which is not planned before it: add that arm"
                )
            tasks.setdefault((config.name, seed), Task(config, seed, tuple(needs)))
    return list(tasks.values())


def unfinished(tasks: Sequence[Task], results: Path) -> list[Task]:
    """The tasks that still have something to train; needs that are done are dropped from them."""
    left = [task for task in tasks if not RunFolder(results, task.config.name, task.seed).is_complete(task.config)]
    open_keys = {task.key for task in left}
    return [dataclasses.replace(task, needs=tuple(key for key in task.needs if key in open_keys)) for task in left]


class Schedule:
    """Hands out ready tasks, those with the longest chain of work behind them first.

    Args:
        tasks: each after the ones it needs.
        cost: of a task, in any unit.
    """

    def __init__(self, tasks: Sequence[Task], cost: Callable[[Task], float]) -> None:
        self._waiting = {task.key: (task, set(task.needs)) for task in tasks}
        chain: dict[Key, float] = {}
        for task in reversed(tasks):
            behind = [chain[other.key] for other in tasks if task.key in other.needs]
            chain[task.key] = cost(task) + max(behind, default=0.0)
        self._rank = {task.key: (-chain[task.key], i) for i, task in enumerate(tasks)}

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> Task | None:
        """A task whose needs are met, or None while there is none."""
        ready = [task for task, needs in self._waiting.values() if not needs]
        if not ready:
            return None
        task = min(ready, key=lambda task: self._rank[task.key])
        del self._waiting[task.key]
        return task

    def finish(self, key: Key) -> None:
        """The task is done: those that need it may start."""
        for _, needs in self._waiting.values():
            needs.discard(key)

    def drop_dependents(self, key: Key) -> list[Task]:
        """The task failed: take out everything that builds on it."""
        dropped = []
        for task in [task for task, needs in self._waiting.values() if key in needs]:
            if self._waiting.pop(task.key, None):
                dropped += [task, *self.drop_dependents(task.key)]
        return dropped


def wall_seconds(tasks: Sequence[Task], seconds: Callable[[Task], float], workers: int) -> float:
    """Time that the tasks take on `workers` processes, by playing the schedule through."""
    schedule, running, now = Schedule(tasks, seconds), [], 0.0
    while len(schedule) or running:
        while len(running) < workers and (task := schedule.next()) is not None:
            heapq.heappush(running, (now + seconds(task), task.key))
        now, key = heapq.heappop(running)
        schedule.finish(key)
    return now


def execute(
    tasks: Sequence[Task],
    source: DataSource,
    results: Path,
    *,
    device: str,
    workers: int,
    on_event: Callable[[Event], None],
) -> list[Event]:
    """Run every task in processes side by side; the events of those that failed or were skipped.

    An interrupt ends the processes and is raised again: levels that were complete stay, the rest is made next time.

    Args:
        tasks: from `unfinished`.
        source: the data.
        results: results folder.
        device: `cpu`, `cuda` or `auto`.
        workers: processes at a time.
        on_event: told of progress, in this process.
    """
    context = multiprocessing.get_context("forkserver")
    # imported once and forked: a worker starts in milliseconds
    context.set_forkserver_preload(["empirics.levels", "sklearn.datasets"])
    schedule = Schedule(tasks, lambda task: task.epochs)
    running: dict[Any, tuple[Task, Any]] = {}
    failures: list[Event] = []

    def tell(event: Event) -> None:
        if event.kind in ("failed", "skipped"):
            failures.append(event)
        on_event(event)

    try:
        while len(schedule) or running:
            while len(running) < workers and (task := schedule.next()) is not None:
                connection, child = context.Pipe(duplex=False)
                process = context.Process(target=_work, args=(task, source, results, device, child), daemon=True)
                process.start()
                child.close()
                running[connection] = (task, process)
                tell(Event("started", task))
            for connection in wait(list(running)):
                task, process = running[connection]
                event = _receive(connection, task, process)
                tell(event)
                if event.kind == "epoch":
                    continue
                del running[connection]
                connection.close()
                process.join()
                if event.kind == "finished":
                    schedule.finish(task.key)
                else:
                    for skipped in schedule.drop_dependents(task.key):
                        tell(Event("skipped", skipped, message=f"it builds on {task.config.name}"))
    finally:
        for _, process in running.values():
            process.terminate()
        for _, process in running.values():
            process.join()
    return failures


def _receive(connection: Any, task: Task, process: Any) -> Event:
    try:
        kind, payload = connection.recv()
    except EOFError:
        process.join()
        return Event("failed", task, message=f"its process ended with code {process.exitcode} before it was done")
    return Event(kind, task, epoch=payload) if kind == "epoch" else Event(kind, task, message=payload)


def _work(task: Task, source: DataSource, results: Path, device: str, connection: Connection) -> None:
    """What a worker does. The parent alone answers to Ctrl-C, and ends its workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    from empirics import datasets, levels, runtime

    try:
        where = runtime.prepare(device)
        dataset = datasets.load(source.name, folder=source.folder, data_hash=source.data_hash, cache=source.cache)
        dataset = datasets.first_per_class(dataset, task.config.images_per_class)
        lab = levels.Lab(dataset.to(where), where, results, report=lambda metrics: connection.send(("epoch", metrics)))
        levels.run(task.config, task.seed, lab)
    except BrokenPipeError:
        return  # the parent is gone: complete levels stand, nobody is left to work for
    except Exception as error:
        known = isinstance(error, (ValueError, RuntimeError, OSError)) and type(error).__module__.startswith("empirics")
        connection.send(("failed", str(error) if known else traceback.format_exc()))
    else:
        connection.send(("finished", ""))


def study_record(preset: str, configs: Mapping[str, RunConfig], seeds: Sequence[int], command: str) -> dict[str, Any]:
    """The record of a study: which run is which arm, and the command that makes them.

    Args:
        preset: its key, followed by the settings that were changed, if any.
        configs: arm -> run.
        seeds: trained now.
        command: what makes the runs.
    """
    one = next(iter(configs.values()))
    return {
        "study": re.sub(r"[^a-z0-9.]+", "-", f"{preset} {one.dataset}"),
        "preset": preset,
        "dataset": one.dataset,
        "model": one.model,
        "width": one.width,
        "dense_run": one.dense.name,
        "arms": {arm: config.name for arm, config in configs.items()},
        "seeds": list(seeds),
        "levels": one.levels,
        "prune_rate": one.prune_rate,
        "command": command,
    }
