"""What checkpoints cost: the copies and saves within a level against its time, for a digits level and a CIFAR level."""

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

from empirics.config import RunConfig
from empirics.data import datasets
from empirics.runs import levels
from empirics.runs.context import RunSetup
from empirics.storage import checkpoints
from empirics.studies import presets


@dataclasses.dataclass
class Meter:
    """Seconds spent in the calls that it wraps, and how many there were."""

    seconds: float = 0.0
    calls: int = 0

    def wrapped(self, call: Callable, counts: bool) -> Callable:
        """The same call, timed."""

        def timed(*args):
            started = time.perf_counter()
            try:
                return call(*args)
            finally:
                self.seconds += time.perf_counter() - started
                self.calls += counts

        return timed


def cost(data: datasets.Dataset, config: RunConfig, every: int) -> tuple[float, Meter]:
    """Seconds of a dense level, and what its checkpoints took of them; `every` 0 writes one in five minutes."""
    meter, copied, save = Meter(), checkpoints.copied, checkpoints.save
    checkpoints.copied, checkpoints.save = meter.wrapped(copied, False), meter.wrapped(save, True)
    try:
        with tempfile.TemporaryDirectory() as folder:
            setup = RunSetup(data, torch.device("cpu"), Path(folder), checkpoint_epochs=every)
            started = time.perf_counter()
            levels.run(config.dense, 0, setup)
            return time.perf_counter() - started, meter
    finally:
        checkpoints.copied, checkpoints.save = copied, save


def report() -> None:
    """Print a line for each kind of level and each pace of checkpoints."""
    torch.set_num_threads(1)
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (2000, 3, 32, 32), generator=draw, dtype=torch.uint8)
    split = datasets.Split(pixels, torch.arange(2000) % 10)
    cifar = datasets.build("random", split, split, 10, 4, True)
    short = {"epochs": 3, "warmup_epochs": 1}
    kinds = {
        "digits, ResNet20 of width 8, 16 epochs": (datasets.load("digits"), presets.arm_config("quick", "imp")),
        "32x32, ResNet20, 3 epochs of 2,000": (cifar, presets.arm_config("cifar10", "imp", **short)),
    }
    print("\ncheckpoints: copies and saves within a level, against its time")
    for name, (data, config) in kinds.items():
        for every in (0, 1):
            seconds, meter = cost(data, config, every)
            pace = "every epoch" if every else "one in five minutes"
            print(
                f"{name:40} {pace:20} {meter.calls:3} written, {1000 * meter.seconds:6.0f} ms of {seconds:5.1f} s: "
                f"{100 * meter.seconds / seconds:.2f} %"
            )
