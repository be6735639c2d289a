"""Run tasks in parallel, each in a process of its own, in the order of their dependencies.

This is the only manager of processes: of those that train and measure networks (`empirics.execution.workers`), and of
those that run the long experiments of the neuron. Their results do not depend on the number of processes.
"""

import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import Any

from empirics.execution import gpus
from empirics.execution.interrupts import ENDING_SIGNALS, deferred_interrupts, left_to_the_parent
from empirics.execution.process_start import start_process
from empirics.execution.tasks import Schedule


@dataclass(frozen=True)
class TaskEvent:
    """A change of a task's state, or a message about it.

    `kind` is `started`, `report` (what its work reports, such as the metrics of an epoch), `remark` (a warning),
    `finished` (with what its work returns, if that is no text), `failed`, `died` or `skipped`. Within this module it
    may also be `answer` (its GPU answers), or `no-memory`.
    """

    kind: str
    task: Any
    report: Any = None
    message: str = ""


class Stopped(Exception):
    """The work of a process was told to end, by SIGTERM, and has saved what it had done."""


Send = Callable[[str, Any], None]  # (kind of an event, what it reports or its message)
Work = Callable[[Any, int, Send], Any]  # (task, number of the process, send) -> what it returns

ONGOING = ("report", "remark", "answer")  # kinds of events after which a process continues
RETRIED = ("died", "no-memory")  # those after which a task is started once more

HUNG_SECONDS = 600.0  # a process whose GPU has not answered for so long hangs
LOOK_SECONDS = 5.0  # between two looks at the answers

OUR_PACKAGES = ("empirics", "theory")  # whose errors carry a message for the user; others are defects


def run_tasks(
    tasks: Sequence[Any],
    work: Work,
    processes: int,
    on_event: Callable[[TaskEvent], None],
    *,
    cost: Callable[[Any], float] = lambda task: 1.0,
    stage: Callable[[Any], int] = lambda task: 0,
    start_method: str = "forkserver",
) -> list[TaskEvent]:
    """Run every task in parallel processes; returns the events of tasks that failed or were skipped.

    A process that dies, or is ended by any process but this one, is restarted once. So is one whose GPU has too little
    memory beside others, when one of these has ended; from then on fewer run at a time. An interrupt ends the
    processes and is raised again.

    Args:
        tasks: each with a `key`, and with the keys of the tasks that it `needs`, which precede it.
        work: what a process does with a task, which another process can import. SIGTERM ends it at once unless it
            handles that signal; then it raises `Stopped`.
        processes: how many at a time.
        on_event: called with every event, in this process.
        cost: of a task, in any unit; the tasks whose dependents take longest run first.
        stage: of a task; tasks of an earlier stage run before those of later ones.
        start_method: of multiprocessing: `forkserver`, whose processes start in milliseconds once torch is loaded for
            all, or `spawn`, for work that needs no torch.
    """
    schedule = Schedule(tasks, cost, stage)
    pool = _Processes(processes, work, start_method)
    failures: list[TaskEvent] = []
    retried: set[tuple[Hashable, str]] = set()
    most = processes

    def finish(event: TaskEvent) -> None:
        if event.kind == "finished":
            schedule.finish(event.task.key)
            return
        lost = [
            TaskEvent("skipped", task, message=f"it depends on {event.task.key[0]}")
            for task in schedule.drop_dependents(event.task.key)
        ]
        for skipped in lost:
            on_event(skipped)
        failures.extend([event, *lost])

    with deferred_interrupts() as signals_received:
        try:
            while len(schedule) or len(pool):
                if signals_received:  # raised again, since Python drops an exception in a destructor or a callback
                    signals_received[0]()
                while len(pool) < most and (task := schedule.next()) is not None:
                    pool.start(task)
                    on_event(TaskEvent("started", task))
                for event in pool.events():
                    again = event.kind in RETRIED and (event.task.key, event.kind) not in retried
                    if again:
                        retried.add((event.task.key, event.kind))
                        schedule.put_back(event.task)
                    if event.kind == "no-memory" and again:
                        most = max(1, len(pool))  # so it starts when one of them has ended
                        event = replace(event, kind="died", message=gpus.TOO_MANY_WORKERS)
                    elif event.kind == "no-memory":
                        event = replace(event, kind="failed", message=gpus.FEWER_WORKERS)
                    on_event(event)
                    if not again and event.kind not in ONGOING:
                        finish(event)
        finally:
            pool.end()
    return failures


@dataclass(frozen=True)
class Call:
    """A task that calls a function without arguments, which another process can import."""

    name: str
    function: Callable[[], Any]
    needs: tuple = ()

    @property
    def key(self) -> tuple[str]:
        """Its name."""
        return (self.name,)


def make_call(call: Call, number: int, send: Send) -> Any:
    """The work of a process that makes a call."""
    return call.function()


@dataclass
class _Process:
    """A running process.

    Args:
        task: what it works on.
        process: of multiprocessing.
        number: it selects one of several GPUs; the smallest that no other process has.
        alone: whether no other process has run beside it.
        answered: when its GPU was last heard of; None if it has none.
    """

    task: Any
    process: Any
    number: int
    alone: bool
    answered: float | None = None


class _Processes:
    """The running processes, one per task, by the connections from which their events are received.

    Args:
        most: largest number of processes at a time.
        work: what each does with its task.
        start_method: of multiprocessing.
    """

    def __init__(self, most: int, work: Work, start_method: str) -> None:
        self._context = multiprocessing.get_context(start_method)
        if start_method == "forkserver":  # imported once and forked, so that a process starts in milliseconds
            self._context.set_forkserver_preload(
                ["empirics.execution.fork_server", "empirics.runs.levels", "filelock", "sklearn.datasets"]
            )
        self._most = most
        self._work = work
        self._running: dict[Any, _Process] = {}

    def __len__(self) -> int:
        return len(self._running)

    def start(self, task: Any) -> None:
        """Start a process on a task."""
        connection, child = self._context.Pipe(duplex=False)
        number = min(set(range(self._most)) - {one.number for one in self._running.values()})
        process = self._context.Process(target=_main, args=(task, self._work, number, child), daemon=True)
        with left_to_the_parent():
            start_process(process)
            child.close()
            self._running[connection] = _Process(task, process, number, alone=True)
        if len(self) > 1:
            for one in self._running.values():
                one.alone = False

    def events(self) -> Iterator[TaskEvent]:
        """Wait for events of the processes; a process is removed before its last event is passed on.

        One whose GPU has not answered for `HUNG_SECONDS` is killed, and has failed.
        """
        watched = any(one.answered is not None for one in self._running.values())
        for connection in wait(list(self._running), LOOK_SECONDS if watched else None):
            one = self._running[connection]
            kind, content = _receive(connection, one.process)
            if kind == "answer":
                one.answered = time.monotonic()
                continue
            if kind not in ONGOING:
                self._remove(connection)
                one.process.join()
            if kind == "no-memory" and one.alone:
                kind = "failed"
                content = gpus.FEWER_WORKERS
            yield TaskEvent(kind, one.task, **{"message" if isinstance(content, str) else "report": content})
        for connection, one in list(self._running.items()):
            if one.answered is None or time.monotonic() - one.answered <= HUNG_SECONDS:
                continue
            one.process.kill()
            one.process.join(LOOK_SECONDS)  # one that hangs in the driver cannot be waited for
            self._remove(connection)
            message = (
                f"its GPU has not answered for {HUNG_SECONDS / 60:.0f} minutes: look at nvidia-smi; the same command "
                "resumes at the last checkpoint"
            )
            yield TaskEvent("failed", one.task, message=message)

    def _remove(self, connection: Any) -> None:
        del self._running[connection]
        connection.close()

    def end(self) -> None:
        """End all processes; those that train write a checkpoint of their last epoch first."""
        end_processes([one.process for one in self._running.values()])


def end_processes(processes: Sequence[Any]) -> None:
    """End processes with SIGTERM, and wait until they have saved what they save.

    A second interrupt kills them at once. Files are written atomically, so the results stay valid.
    """
    try:
        while alive := [process for process in processes if process.is_alive()]:
            for process in alive:
                process.terminate()  # repeated: a process that is just starting ignores the signal
            for process in alive:
                process.join(0.5)
    except KeyboardInterrupt:
        for process in processes:
            process.kill()
        for process in processes:
            process.join()
        raise


def _receive(connection: Any, process: Any) -> tuple[str, Any]:
    """The kind of a process's next event, and its message or what it reports."""
    try:
        return connection.recv()
    except EOFError:
        process.join()
        return "died", f"its process ended with code {process.exitcode} before it was done"


def _main(task: Any, work: Work, number: int, connection: Connection) -> None:
    """The main function of a process: do the work of one task and send its events.

    Only the parent handles Ctrl-C and hang-ups; the process ends when its parent ends, for whatever reason.
    """
    one_at_a_time = threading.Lock()

    def send(kind: str, content: Any) -> None:
        with one_at_a_time:
            connection.send((kind, content))

    for ending in ENDING_SIGNALS:
        signal.signal(ending, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    try:
        result = work(task, number, send)
    except Stopped as error:
        send("died", str(error))  # only the parent may stop a process: otherwise it is restarted once
    except MemoryError as error:
        send("failed", f"out of memory: {error}")
    except Exception as error:
        ours = (
            isinstance(error, (ValueError, RuntimeError)) and type(error).__module__.partition(".")[0] in OUR_PACKAGES
        )
        if gpus.is_out_of_gpu_memory(error):
            send("no-memory", "")
        else:
            send("failed", str(error) if ours else traceback.format_exc())
    else:
        send("finished", result)


def _exit_with_parent() -> None:
    """End this process when its parent has ended, for whatever reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
