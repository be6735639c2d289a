"""Progress of a pool's tasks: bars on a terminal, otherwise one line of text per level."""

import sys
import time
from collections.abc import Sequence
from typing import Any, TextIO

from empirics.execution.processes import TaskEvent
from empirics.execution.tasks import Key, Task


def reporter(tasks: Sequence[Task], stream: TextIO | None = None) -> Any:
    """A context manager that shows progress; it is called with each event of `processes.run_tasks`.

    Args:
        tasks: tasks that will run.
        stream: where progress is shown; None: the present standard error.
    """
    stream = sys.stderr if stream is None else stream
    return Bars(tasks) if stream.isatty() else Lines(tasks, stream)


def _last_epoch_of_level(event: TaskEvent) -> bool:
    config = event.task.config
    metrics = event.report
    return metrics.epoch + 1 == config.cycles_at(metrics.level)[-1].epochs.stop


def _label(task: Task) -> str:
    return f"{task.config.name} (seed {task.seed})"  # several studies may contain the same arm


class Lines:
    """Progress as text: one line per level, and one per message of a run."""

    def __init__(self, tasks: Sequence[Task], stream: TextIO) -> None:
        self._total = len(tasks)
        self._stream = stream
        self._done = 0
        self._started = time.monotonic()

    def __enter__(self) -> "Lines":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def __call__(self, event: TaskEvent) -> None:
        """Print a line if a level or the last run has ended, or the event has a message."""
        self._done += event.kind == "finished"
        if event.kind == "report" and _last_epoch_of_level(event):
            metrics = event.report
            text = (
                f"level {metrics.level}: test accuracy {metrics.test_accuracy:.3f}, {metrics.images_per_s:.0f} images/s"
            )
        elif event.message:
            text = f"{event.kind}: {event.message}"
        elif event.kind == "finished" and self._done == self._total:
            text = "finished"
        else:
            return
        clock = f"{time.monotonic() - self._started:6.0f} s"
        print(
            f"{clock}  {self._done}/{self._total} runs done  {_label(event.task)} {text}", file=self._stream, flush=True
        )


class Bars:
    """Progress as bars: one for all epochs, and one for each running task, with rate and remaining time."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        from rich import progress
        from rich.console import Console
        from rich.text import Text

        class _Rate(progress.ProgressColumn):
            """Epochs per second."""

            def render(self, task: progress.Task) -> Text:
                """The rate as text; empty before the first epoch."""
                return Text("" if task.speed is None else f"{task.speed:.1f} epochs/s")

        self._progress = progress.Progress(
            progress.TextColumn("{task.description}"),
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            _Rate(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._all = self._progress.add_task(f"all {len(tasks)} runs", total=sum(task.epochs for task in tasks))
        self._bars: dict[Key, Any] = {}

    def __enter__(self) -> "Bars":
        self._progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._progress.stop()

    def __call__(self, event: TaskEvent) -> None:
        """Update the bars."""
        key = event.task.key
        if event.kind == "started":
            self._bars[key] = self._progress.add_task(_label(event.task), total=event.task.epochs)
        elif event.kind == "report":
            self._progress.advance(self._bars[key])
            self._progress.advance(self._all)
        else:
            if event.message:
                text = f"{_label(event.task)} {event.kind}: {event.message}"
                self._progress.console.print(text, markup=False, highlight=False)
            if key in self._bars and event.kind != "remark":
                self._progress.remove_task(self._bars.pop(key))
