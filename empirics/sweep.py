"""Many runs side by side: a plan of tasks that build on one another, each in a process of its own with one thread.

A task's result depends on its config and seed alone, so the number of workers changes nothing but the time.
"""

import dataclasses
import heapq
import multiprocessing
import os
import re
import signal
import threading
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.care import Care
from empirics.config import RunConfig
from empirics.store import RunFolder

if TYPE_CHECKING:
    from empirics.datasets import Dataset

Key = tuple[str, int]


@dataclass(frozen=True)
class Task:
    """One run and seed.

    Args:
        config: the run.
        seed: at least 0.
        needs: the tasks whose results it builds on.
        standing: levels that need no training, since they are whole.
    """

    config: RunConfig
    seed: int
    needs: tuple[Key, ...]
    standing: tuple[int, ...] = ()

    @property
    def key(self) -> Key:
        """Run name and seed."""
        return self.config.name, self.seed

    @property
    def levels(self) -> list[int]:
        """The levels still to train."""
        return [level for level in self.config.trained_levels if level not in self.standing]

    @property
    def epochs(self) -> int:
        """Epochs still to train, over the levels and their cycles."""
        a_cycle = self.config.epochs - self.config.rewind_epoch
        return a_cycle * sum(self.config.cycles_at(level) for level in self.levels)


@dataclass(frozen=True)
class DataSource:
    """Where workers find the data.

    Args:
        name: key of `datasets.DATASETS`, or the label of an image folder.
        folder: where they lie; None for embedded data.
        data_hash: of their content.
        cache: where decoded pixels are kept.
        image_size: streamed and cut to so many pixels a side; 0 holds them in memory as they are.
        threads: that decode streamed images.
    """

    name: str
    folder: Path | None = None
    data_hash: str = ""
    cache: Path | None = None
    image_size: int = 0
    threads: int = 1

    def load(self) -> "Dataset":
        """The data set, on the CPU."""
        from empirics import datasets

        return datasets.load(
            self.name,
            folder=self.folder,
            image_size=self.image_size,
            data_hash=self.data_hash,
            cache=self.cache,
            threads=self.threads,
        )


def part_of(dataset: "Dataset", config: RunConfig) -> "Dataset":
    """The part of a data set that a run trains and validates on."""
    from empirics.datasets import subset

    return subset(dataset, config.images_per_class, config.validation_per_class)


@dataclass(frozen=True)
class Event:
    """What became of a task: `kind` is `started`, `epoch`, `remark`, `finished`, `failed`, `died` or `skipped`."""

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
    """The tasks that still have something to train; needs that are done are dropped from them.

    What builds on one of them stays too, though it may be whole: it must be looked at again once that one is trained.
    """
    left, open_keys = [], set()
    for task in tasks:
        folder = RunFolder(results, task.config.name, task.seed)
        if open_keys & set(task.needs) or not folder.is_complete(task.config):
            whole = tuple(level for level in task.config.trained_levels if folder.level_record(level) is not None)
            left.append(dataclasses.replace(task, standing=whole))
            open_keys.add(task.key)
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
    care: Care | None = None,
) -> list[Event]:
    """Run every task in processes side by side; the events of those that failed or were skipped.

    A worker that dies without a word is started once more. An interrupt ends the processes and is raised again: levels
    that were complete stay, the rest is made next time.

    Args:
        tasks: from `unfinished`.
        source: the data.
        results: results folder.
        device: `cpu`, `cuda` or `auto`.
        workers: processes at a time.
        on_event: told of progress, in this process.
        care: threads and checkpoints; its defaults for None.
    """
    context = multiprocessing.get_context("forkserver")
    # imported once and forked: a worker starts in milliseconds
    context.set_forkserver_preload(["empirics.levels", "sklearn.datasets"])
    schedule = Schedule(tasks, lambda task: task.epochs)
    running: dict[Any, tuple[Task, Any]] = {}
    places: dict[Any, int] = {}  # workers are numbered, so that each keeps to one of several GPUs
    failures: list[Event] = []
    restarted: set[Key] = set()

    def start(task: Task) -> None:
        connection, child = context.Pipe(duplex=False)
        place = min(set(range(workers)) - set(places.values()))
        process = context.Process(
            target=_work, args=(task, source, results, device, place, care or Care(), child), daemon=True
        )
        process.start()
        child.close()
        running[connection], places[connection] = (task, process), place
        on_event(Event("started", task))

    def finish(event: Event) -> None:
        on_event(event)
        if event.kind == "finished":
            schedule.finish(event.task.key)
            return
        lost = [
            Event("skipped", t, message=f"it builds on {event.task.config.name}")
            for t in schedule.drop_dependents(event.task.key)
        ]
        for skipped in lost:
            on_event(skipped)
        failures.extend([event, *lost])

    with _heard_interrupts() as pressed:
        try:
            while len(schedule) or running:
                if pressed:  # raised where Python swallows it (a destructor, a callback), it must not be lost
                    raise KeyboardInterrupt
                while len(running) < workers and (task := schedule.next()) is not None:
                    start(task)
                for connection in wait(list(running)):
                    event = _receive(connection, *running[connection])
                    if event.kind in ("epoch", "remark"):
                        on_event(event)
                        continue
                    task, process = running.pop(connection)
                    del places[connection]
                    connection.close()
                    process.join()
                    if event.kind == "died" and task.key not in restarted:
                        on_event(event)
                        restarted.add(task.key)
                        start(task)
                    else:
                        finish(event)
        finally:
            _end([process for _, process in running.values()])
    return failures


@contextmanager
def _heard_interrupts() -> Iterator[list[bool]]:
    """A list that grows with every SIGINT, which is raised as KeyboardInterrupt as before."""
    pressed: list[bool] = []

    def hear(*_: object) -> None:
        pressed.append(True)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # signals are the main thread's
        yield pressed
        return
    before = signal.signal(signal.SIGINT, hear)
    try:
        yield pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _end(processes: Sequence[Any]) -> None:
    """Ask the workers to end, which they do once their last epoch is on the disk; a second interrupt ends them at once.

    What is being written then is whole or not there, so the state stays valid.
    """
    try:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        raise


def _receive(connection: Any, task: Task, process: Any) -> Event:
    try:
        kind, payload = connection.recv()
    except EOFError:
        process.join()
        return Event("died", task, message=f"its process ended with code {process.exitcode} before it was done")
    return Event(kind, task, epoch=payload) if kind == "epoch" else Event(kind, task, message=payload)


def _work(
    task: Task, source: DataSource, results: Path, device: str, place: int, care: Care, connection: Connection
) -> None:
    """What a worker does. The parent alone answers to Ctrl-C, and its workers end with it, however it ends.

    Asked to end (SIGTERM), it writes a checkpoint of the last epoch first.
    """
    asked: list[int] = []
    said: list[str] = []
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    threading.Thread(target=_follow_parent, daemon=True).start()
    from empirics import levels, runtime

    try:
        where = runtime.prepare(device, care.threads, place)
        dataset = part_of(source.load(), task.config).to(where)
        lab = levels.Lab(
            dataset,
            where,
            results,
            report=lambda metrics: connection.send(("epoch", metrics)),
            remark=lambda text: (said.append(text), connection.send(("remark", text))),
            stop=lambda: bool(asked),
            **dataclasses.asdict(care),
        )
        remarks = levels.run(task.config, task.seed, lab)
    except MemoryError as error:
        connection.send(("failed", f"out of memory: {error}"))
    except Exception as error:
        known = isinstance(error, (ValueError, RuntimeError)) and type(error).__module__.startswith("empirics")
        full = type(error).__name__ == "OutOfMemoryError"  # torch's, on a GPU
        advice = "out of GPU memory: use fewer --workers, or a smaller --micro-batch"
        connection.send(("failed", advice if full else str(error) if known else traceback.format_exc()))
    else:
        connection.send(("finished", "; ".join(text for text in remarks if text not in said)))


def _follow_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def study_record(
    base: str,
    changed: Mapping[str, Any],
    plain: RunConfig,
    configs: Mapping[str, RunConfig],
    seeds: Sequence[int],
    command: str,
) -> dict[str, Any]:
    """The record of a study: which run is which arm, and the command that makes them.

    Args:
        base: key of the preset.
        changed: the settings of the preset that were changed, if any.
        plain: the arm `imp` of the study, whether it is trained or not: what all arms have in common is read from it.
        configs: arm -> run.
        seeds: trained now.
        command: what makes the runs.
    """
    preset = ", ".join([base, *(f"{name}={_label(value)}" for name, value in changed.items())])
    return {
        "study": re.sub(r"[^a-z0-9.]+", "-", f"{preset} {plain.dataset}"),
        "preset": preset,
        "base": base,
        "changed": dict(changed),
        "dataset": plain.dataset,
        "data_hash": plain.data_hash,
        "model": plain.model,
        "width": plain.width,
        "dense_run": plain.dense.name,
        "arms": {arm: config.name for arm, config in configs.items()},
        "seeds": list(seeds),
        "levels": plain.levels,
        "prune_rate": plain.prune_rate,
        "command": command,
    }


def _label(value: object) -> str:
    return "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
