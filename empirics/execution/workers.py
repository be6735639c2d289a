"""Worker processes that train and measure networks.

A task's result depends only on its config and seed, so the number of workers changes only the time.
"""

import dataclasses
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.config import RunConfig, RunOptions
from empirics.execution import gpus
from empirics.execution.processes import Call, Send, Stopped, TaskEvent, make_call, run_tasks
from empirics.execution.tasks import Task
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


def train_task(task: Task, setup: "RunSetup") -> list[str]:
    """Train one task, which is the usual work of a worker; returns its warnings."""
    from empirics.runs import levels

    return levels.run(task.config, task.seed, setup)


@dataclass(frozen=True)
class NetworkWork:
    """The work of a worker on the network of its task, for `processes.run_tasks`.

    On SIGTERM it writes a checkpoint of the last epoch and stops.

    Args:
        source: the data.
        results: results folder.
        device: `cpu`, `cuda` or `auto`.
        run_options: threads and checkpoints.
        work: what it does with a task, returning its warnings; a function at the top of a module. Work other than
            training takes tasks of its own, with the fields `key`, `needs` and `config`.
        entries: entries of the registries from outside.
    """

    source: DataSource
    results: Path
    device: str
    run_options: RunOptions = RunOptions()
    work: Callable[[Any, "RunSetup"], list[str]] = train_task
    entries: Sequence[Addition] = field(default_factory=additions)

    def __call__(self, task: Any, number: int, send: Send) -> str:
        """Do the work of one task in this process; returns its warnings that were not sent before."""
        asked: list[int] = []
        said: list[str] = []
        signal.signal(signal.SIGTERM, lambda number, frame: asked.append(number))
        from empirics import provenance
        from empirics.runs.context import RunSetup
        from empirics.runs.resume import Interrupted

        def warn(text: str) -> None:
            said.append(text)
            send("remark", text)

        add(self.entries)
        where = provenance.prepare(self.device, self.run_options.threads, number)
        if where.type == "cuda":
            gpus.occupy(where, lambda: send("answer", ""))
        setup = RunSetup(
            part_of(self.source.load(), task.config).to(where),
            where,
            self.results,
            report=lambda metrics: send("report", metrics),
            warn=warn,
            stop=lambda: bool(asked),
            **dataclasses.asdict(self.run_options),
        )
        if slow := provenance.slow_precision(where.type, task.config.precision):
            warn(slow)
        try:
            notes = self.work(task, setup)
        except Interrupted as error:
            raise Stopped(str(error)) from None
        return "; ".join(text for text in notes if text not in said)


def free_gpu_memory() -> list[int]:
    """The free memory of every GPU in bytes, as a worker sees it; empty if none can say.

    A process of its own is asked, since asking makes a context, which this process must not have.
    """
    answers: list[TaskEvent] = []
    run_tasks([Call("free memory", _free_memory)], _ask, 1, answers.append)
    return next((event.report for event in answers if event.kind == "finished"), [])


def _ask(call: Call, number: int, send: Send) -> Any:
    """The work of a process that asks the GPUs; it is killed if they do not answer."""
    send("answer", "")
    return make_call(call, number, send)


def _free_memory() -> list[int]:
    import torch

    return [torch.cuda.mem_get_info(k)[0] for k in range(torch.cuda.device_count())]
