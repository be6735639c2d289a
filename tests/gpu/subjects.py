"""What the checks of a GPU train on: synthetic images, small runs, and where they are trained.

It needs torch, numpy and safetensors alone: no data set, and a stand-in where the package filelock is missing.
"""

import dataclasses
import hashlib
import importlib.util
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from empirics.config import RunConfig
from empirics.data.datasets import InMemory, Split, build
from empirics.runs import levels
from empirics.runs.context import RunSetup
from empirics.studies import presets

STAND_INS = Path(__file__).parent / "stand_ins"


@dataclass(frozen=True)
class Size:
    """How large the checks are: `FULL` on a GPU, `TINY` where tests run them on a CPU.

    Args:
        model, width, batch: the network that is trained and measured, and images a step.
        side: pixels of a small image.
        n_train, n_test: images in each split.
        epochs: of a level.
        large_model, large_width, large_side, large_batch: a network on large images.
        steps: of a measurement of speed.
        stacks: numbers of networks that are trained together.
        backend: of torch.compile.
    """

    model: str
    width: int
    batch: int
    side: int
    n_train: int
    n_test: int
    epochs: int
    large_model: str
    large_width: int
    large_side: int
    large_batch: int
    steps: int
    stacks: tuple[int, ...]
    backend: str


FULL = Size("resnet20", 16, 128, 32, 2048, 512, 2, "resnet50", 64, 224, 64, 100, (8, 32), "inductor")
TINY = Size("resnet8", 4, 16, 16, 64, 32, 2, "resnet8", 4, 32, 8, 2, (2,), "eager")
SIZES = {"full": FULL, "tiny": TINY}


@dataclass(frozen=True)
class Place:
    """Where a check works: a device, its size, and an empty folder."""

    device: torch.device
    size: Size
    folder: Path

    def within(self, name: str) -> "Place":
        """The same with a folder in this folder."""
        folder = self.folder / name
        folder.mkdir()
        return dataclasses.replace(self, folder=folder)

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)


def images(side: int, n_train: int, n_test: int, classes: int = 10) -> InMemory:
    """Images of `classes` patterns under noise, which a network learns within a few epochs; on the CPU."""
    draw = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 128, (classes, 3, side, side), generator=draw, dtype=torch.int16)

    def split(n: int) -> Split:
        labels = torch.arange(n) % classes
        noise = torch.randint(0, 128, (n, 3, side, side), generator=draw, dtype=torch.int16)
        return Split((patterns[labels] + noise).to(torch.uint8), labels)

    return build("patterns", split(n_train), split(n_test), classes, 2, True)


def small_images(size: Size) -> InMemory:
    """The images of most checks."""
    return images(size.side, size.n_train, size.n_test)


def config(size: Size, arm: str = "imp", **settings) -> RunConfig:
    """A run of the preset `quick`, on a network and for as many epochs as the checks are large."""
    shared = dict(model=size.model, width=size.width, batch_size=size.batch, epochs=size.epochs, warmup_epochs=1)
    return presets.arm_config("quick", arm, **{**shared, "levels": 3, "lr": 0.1, **settings})


def train(place: Place, arms: list[str], data: InMemory, **settings) -> dict[str, RunConfig]:
    """Train arms with what they need, one after the other in this process."""
    needs_filelock()
    setup = RunSetup(data.to(place.device), place.device, place.folder)
    configs = {arm: config(place.size, arm, **settings) for arm in presets.needed_arms(arms)}
    for run in {one.name: one for arm in configs.values() for one in (arm.dense, arm)}.values():
        levels.run(run, 0, setup)
    return configs


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file of tensors, by its place."""
    files = sorted(folder.rglob("*.safetensors"))
    return {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def stopping_after(steps: int) -> Callable[[], bool]:
    """A `stop` that says yes at the given step of training, and ever after."""
    left = iter(range(steps))
    return lambda: next(left, None) is None


def missing(names: tuple[str, ...]) -> list[str]:
    """The packages among `names` that are not installed."""
    return [name for name in names if name not in sys.modules and importlib.util.find_spec(name) is None]


def needs_filelock() -> None:
    """Where filelock is missing, put a stand-in in its place, in this process and in those that it starts."""
    if not missing(("filelock",)):
        return
    sys.path.append(str(STAND_INS))
    spec = importlib.util.spec_from_file_location("filelock", STAND_INS / "filelock.py")
    sys.modules["filelock"] = stand_in = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(stand_in)
