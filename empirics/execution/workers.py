"""Run tasks in parallel, each in its own process, in the order of their dependencies.

A task's result depends only on its config and seed, so the number of workers changes only the time.
"""

import dataclasses
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.config import RunConfig, RunOptions
from empirics.execution import gpus
from empirics.execution.interrupts import ENDING_SIGNALS, deferred_interrupts
from empirics.execution.process_start import start_process
from empirics.execution.tasks import Key, Schedule, Task
from empirics.registries import Addition, add, additions

if TYPE_CHECKING:
    from empirics.data.datasets import Dataset
    from empirics.runs.context import RunSetup


@dataclass(frozen=True)
class DataSource:
    """The location of a data set, from which workers load it.

    Args:
        name: key of `datasets.DATASETS`, or the label of an image folder.
        folder: folder of the data; None for data that need none.
        data_hash: hash of their content.
        cache: folder for decoded pixels; None: no cache.
        image_size: side in pixels that streamed images are cropped to; 0: images are held in memory as they are.
        threads: number of threads that decode streamed images.
        title: name of the data set in figures.
        classes: number of its classes.
    """

    name: str
    folder: Path | None = None
    data_hash: str = ""
    cache: Path | None = None
    image_size: int = 0
    threads: int = 1
    title: str = ""
    classes: int = 0

    def load(self) -> "Dataset":
        """The data set, on the CPU."""
        from empirics.data import datasets

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
    from empirics.data.datasets import subset

    return subset(dataset, config.images_per_class, config.validation_per_class)


@dataclass(frozen=True)
class TaskEvent:
    """A change of a task's state, or a message about it.

    `kind` is `started`, `epoch` (what its work reports: the metrics of an epoch), `remark` (a warning), `finished`,
    `failed`, `died` or `skipped`. Within this module it may also be `answer` (its GPU answers), or `no-memory`.
    """

    kind: str
    task: Task
    epoch: Any = None
    message: str = ""


ONGOING = ("epoch", "remark", "answer")  # kinds of events after which a worker continues

HUNG_SECONDS = 600.0  # a worker whose GPU has not answered for so long hangs
LOOK_SECONDS = 5.0  # between two looks at the answers


def train_task(task: Task, setup: "RunSetup") -> list[str]:
    """Train one task, which is the usual work of a worker; returns its warnings."""
    from empirics.runs import levels

    return levels.run(task.config, task.seed, setup)


def execute(
    tasks: Sequence[Task],
    source: DataSource,
    results: Path,
    *,
    device: str,
    workers: int,
    on_event: Callable[[TaskEvent], None],
    run_options: RunOptions | None = None,
    work: Callable[[Any, "RunSetup"], list[str]] = train_task,
    cost: Callable[[Any], float] = lambda task: task.epochs,
    stage: Callable[[Any], int] = lambda task: 0,
) -> list[TaskEvent]:
    """Run every task in parallel processes; returns the events of tasks that failed or were skipped.

    A worker that dies, or is ended by any process but this one, is restarted once. So is one whose GPU has too little
    memory beside other runs, when one of these has ended; from then on fewer run at a time. An interrupt ends the
    workers and is raised again: complete levels stay, and the next command trains the remaining ones.

    Args:
        tasks: from `unfinished`.
        source: the data.
        results: results folder.
        device: `cpu`, `cuda` or `auto`.
        workers: number of parallel processes.
        on_event: called with every event, in this process.
        run_options: threads and checkpoints; None: the defaults.
        work: what a worker does with a task; a function at the top of a module. Work other than training takes tasks of
            its own, with the fields `key`, `needs` and `config`.
        cost: of a task, in any unit; the tasks whose dependents take longest run first.
        stage: of a task; tasks of an earlier stage run before those of later ones.
    """
    schedule = Schedule(tasks, cost, stage)
    pool = _Workers(workers, (work, source, results, device, run_options or RunOptions(), additions()))
    failures: list[TaskEvent] = []
    restarted: set[Key] = set()
    postponed: list[Task] = []
    beside_others: set[Key] = set()  # tasks that ran beside another one
    without_memory: set[Key] = set()
    most = workers

    def start(task: Task) -> None:
        pool.start(task)
        if len(pool) > 1:
            beside_others.update(pool.keys)
        on_event(TaskEvent("started", task))

    def finish(event: TaskEvent) -> None:
        if event.kind == "finished":
            schedule.finish(event.task.key)
            return
        lost = [
            TaskEvent("skipped", t, message=f"it depends on {event.task.config.name}")
            for t in schedule.drop_dependents(event.task.key)
        ]
        for skipped in lost:
            on_event(skipped)
        failures.extend([event, *lost])

    with deferred_interrupts() as signals_received:
        try:
            while len(schedule) or len(pool) or postponed:
                if signals_received:  # raised again, since Python drops an exception in a destructor or a callback
                    signals_received[0]()
                while len(pool) < most and (task := postponed.pop(0) if postponed else schedule.next()) is not None:
                    start(task)
                for event in pool.events():
                    if event.kind == "no-memory":
                        event = _without_memory(event, event.task.key in beside_others - without_memory)
                        if event.kind == "died":
                            most = max(1, len(pool))  # so it starts when one of them has ended
                            postponed.append(event.task)
                            without_memory.add(event.task.key)
                            on_event(event)
                            continue
                    on_event(event)
                    if event.kind == "died" and event.task.key not in restarted:
                        restarted.add(event.task.key)
                        start(event.task)
                    elif event.kind not in ONGOING:
                        finish(event)
        finally:
            pool.end()
    return failures


def _without_memory(event: TaskEvent, retried: bool) -> TaskEvent:
    """The event of a task whose GPU had too little memory: it is retried, or has failed."""
    if retried:
        message = "out of GPU memory beside other runs: it starts again when one of them has ended"
        return dataclasses.replace(event, kind="died", message=message)
    return dataclasses.replace(event, kind="failed", message=gpus.FEWER_WORKERS)


class _Workers:
    """The running worker processes, one per task; each has a number, which selects one of several GPUs.

    Args:
        most: largest number of processes at a time.
        shared: arguments of every worker: its work, data source, results folder, device, run options, entries of
            registries.
    """

    def __init__(self, most: int, shared: tuple) -> None:
        self._context = multiprocessing.get_context("forkserver")
        # imported once and forked, so that a worker starts in milliseconds
        self._context.set_forkserver_preload(
            ["empirics.execution.fork_server", "empirics.runs.levels", "sklearn.datasets"]
        )
        self._most, self._shared = most, shared
        self._running: dict[Any, tuple[Task, Any, int]] = {}
        self._answered: dict[Any, float] = {}  # when a worker on a GPU was last heard of

    def __len__(self) -> int:
        return len(self._running)

    @property
    def keys(self) -> list[Key]:
        """The tasks that are running."""
        return [task.key for task, _, _ in self._running.values()]

    def start(self, task: Task) -> None:
        """Start a worker on a task."""
        connection, child = self._context.Pipe(duplex=False)
        place = min(set(range(self._most)) - {place for _, _, place in self._running.values()})
        process = self._context.Process(target=_work, args=(task, *self._shared, place, child), daemon=True)
        start_process(process)
        child.close()
        self._running[connection] = (task, process, place)

    def events(self) -> Iterator[TaskEvent]:
        """Wait for events of the workers; a worker is removed before its last event is passed on.

        One whose GPU has not answered for `HUNG_SECONDS` is killed, and has failed.
        """
        for connection in wait(list(self._running), LOOK_SECONDS if self._answered else None):
            task, process, _ = self._running[connection]
            event = _receive(connection, task, process)
            if event.kind == "answer":
                self._answered[connection] = time.monotonic()
                continue
            if event.kind not in ONGOING:
                self._remove(connection)
                process.join()
            yield event
        late = [one for one, at in self._answered.items() if time.monotonic() - at > HUNG_SECONDS]
        for connection in late:
            task, process, _ = self._running[connection]
            process.kill()
            process.join(LOOK_SECONDS)  # one that hangs in the driver cannot be waited for
            self._remove(connection)
            message = (
                f"its GPU has not answered for {HUNG_SECONDS / 60:.0f} minutes: look at nvidia-smi; the same command "
                "resumes at the last checkpoint"
            )
            yield TaskEvent("failed", task, message=message)

    def _remove(self, connection: Any) -> None:
        del self._running[connection]
        self._answered.pop(connection, None)
        connection.close()

    def end(self) -> None:
        """End all workers; each writes a checkpoint of its last epoch first."""
        _end([process for _, process, _ in self._running.values()])


def _end(processes: Sequence[Any]) -> None:
    """End the workers with SIGTERM: each writes a checkpoint of its last epoch and exits.

    A second interrupt kills them at once. Files are written atomically, so the results stay valid.
    """
    try:
        while alive := [process for process in processes if process.is_alive()]:
            for process in alive:
                process.terminate()  # repeated: a worker that is just starting ignores the signal
            for process in alive:
                process.join(0.5)
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        raise


def _receive(connection: Any, task: Task, process: Any) -> TaskEvent:
    try:
        kind, payload = connection.recv()
    except EOFError:
        process.join()
        return TaskEvent("died", task, message=f"its process ended with code {process.exitcode} before it was done")
    return TaskEvent(kind, task, epoch=payload) if kind == "epoch" else TaskEvent(kind, task, message=payload)


def _work(
    task: Task,
    work: Callable[[Any, "RunSetup"], list[str]],
    source: DataSource,
    results: Path,
    device: str,
    run_options: RunOptions,
    entries: Sequence[Addition],
    place: int,
    connection: Connection,
) -> None:
    """The main function of a worker: do the work of one task and send its events.

    Only the parent handles Ctrl-C and hang-ups; a worker ends when its parent ends, for whatever reason. On SIGTERM it
    writes a checkpoint of the last epoch first.
    """
    asked: list[int] = []
    said: list[str] = []
    one_at_a_time = threading.Lock()

    def send(kind: str, content: Any) -> None:
        with one_at_a_time:
            connection.send((kind, content))

    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
    threading.Thread(target=exit_with_parent, daemon=True).start()
    from empirics import provenance
    from empirics.runs.context import RunSetup
    from empirics.runs.resume import Interrupted

    try:
        add(entries)
        where = provenance.prepare(device, run_options.threads, place)
        if where.type == "cuda":
            gpus.occupy(where, lambda: send("answer", ""))
        dataset = part_of(source.load(), task.config).to(where)
        setup = RunSetup(
            dataset,
            where,
            results,
            report=lambda metrics: send("epoch", metrics),
            warn=lambda text: (said.append(text), send("remark", text)),
            stop=lambda: bool(asked),
            **dataclasses.asdict(run_options),
        )
        if slow := provenance.slow_precision(where.type, task.config.precision):
            setup.warn(slow)
        notes = work(task, setup)
    except Interrupted as error:
        send("died", str(error))  # only the parent may stop a worker: otherwise it is restarted once
    except MemoryError as error:
        send("failed", f"out of memory: {error}")
    except Exception as error:
        known = isinstance(error, (ValueError, RuntimeError)) and type(error).__module__.startswith("empirics")
        if gpus.is_out_of_gpu_memory(error):
            send("no-memory", "")
        else:
            send("failed", str(error) if known else traceback.format_exc())
    else:
        send("finished", "; ".join(text for text in notes if text not in said))


def free_gpu_memory() -> list[int]:
    """The free memory of every GPU in bytes, as a worker sees it; empty if none can say.

    A process of its own is asked, since asking makes a context, which this process must not have.
    """
    context = multiprocessing.get_context("forkserver")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send_free_memory, args=(sending,), daemon=True)
    start_process(process)
    sending.close()
    try:
        return receiving.recv() if receiving.poll(HUNG_SECONDS) else []
    except EOFError:
        return []
    finally:
        process.kill()
        process.join(LOOK_SECONDS)


def _send_free_memory(connection: Connection) -> None:
    for number in ENDING_SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    import torch

    connection.send([torch.cuda.mem_get_info(k)[0] for k in range(torch.cuda.device_count())])


def exit_with_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
