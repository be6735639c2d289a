"""What a plan will cost, from throughput measured on this machine just now."""

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from empirics import levels, masks, models, sweep
from empirics.config import RunConfig
from empirics.datasets import Dataset, Split, build
from empirics.store import disk_bytes
from empirics.train import EpochMetrics, evaluate, train_cycle

# as many pixels as one measured batch may hold: large images are measured in small batches and scaled
PIXELS = 2**18
STEPS = 12


@dataclass(frozen=True)
class Throughput:
    """Images a second in training and in evaluation."""

    training: float
    evaluation: float


@dataclass(frozen=True)
class Estimate:
    """Seconds on the given number of workers, seconds on one, and bytes on disk."""

    wall_seconds: float
    work_seconds: float
    disk: int


def random_dataset(shape: tuple[int, int, int], n_train: int, n_test: int, classes: int) -> Dataset:
    """Noise of the right shape, for estimates made before the data are there."""
    draw = torch.Generator().manual_seed(0)
    n = max(1, min(n_train, PIXELS // (shape[1] * shape[2])))
    images = torch.randint(0, 256, (n, *shape), generator=draw, dtype=torch.uint8)
    labels = torch.randint(0, classes, (n,), generator=draw)
    return build("random", Split(images, labels), Split(images, labels), classes, 1, False)


def measure(config: RunConfig, dataset: Dataset) -> Throughput:
    """Throughput of the config's network on the data set's device, from a dozen steps of the real training loop."""
    pixels = dataset.train.images[0, 0].numel()
    batch = max(2, min(config.batch_size, len(dataset.train), PIXELS // pixels))
    few = Split(*(t[: batch * STEPS].repeat(STEPS, *[1] * (t.dim() - 1))[: batch * STEPS] for t in _tensors(dataset)))
    small = dataclasses.replace(dataset, train=few, test=Split(few.images[:batch], few.labels[:batch]))
    quick = dataclasses.replace(config, epochs=3, warmup_epochs=0, batch_size=batch, rewind="imp", rewind_epoch=0)
    model = levels.initial_network(config, 0, dataset).to(dataset.mean.device)
    # with masks, since that is what most levels train under
    half = masks.dense(models.prunable_weights(model))
    for mask in half.values():
        mask.view(-1)[::2] = False
    seen: list[EpochMetrics] = []
    train_cycle(model, small, half, quick, seed=0, level=0, on_epoch=seen.append)
    started = time.perf_counter()
    evaluate(model, small, few)
    return Throughput(max(m.images_per_s for m in seen[1:]), len(few) / (time.perf_counter() - started))


def _tensors(dataset: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    return dataset.train.images, dataset.train.labels


def estimate(
    tasks: Sequence[sweep.Task], throughput: Throughput, dataset: Dataset, n_train: int, n_test: int, workers: int
) -> Estimate:
    """Time and disk of a plan.

    Args:
        tasks: from `sweep.unfinished`.
        throughput: from `measure`.
        dataset: gives the networks their inputs and classes.
        n_train, n_test: images in each split.
        workers: processes side by side.
    """

    def seconds(task: sweep.Task) -> float:
        steps = n_train // task.config.batch_size
        epochs = task.epochs + task.config.rewind_epoch  # weight rewinding runs the dense run's first epochs again
        evaluated = epochs * n_test + len(task.levels) * (n_train + n_test)
        return epochs * steps * task.config.batch_size / throughput.training + evaluated / throughput.evaluation

    disk = 0
    for task in tasks:
        state = levels.initial_network(task.config, 0, dataset).state_dict()
        prunable = [name for name, value in state.items() if value.dim() >= 2]
        once = disk_bytes({name: tuple(value.shape) for name, value in state.items()}, prunable)
        disk += once * (len(task.levels) + task.config.is_dense)
    work = sum(seconds(task) for task in tasks)
    return Estimate(sweep.wall_seconds(tasks, seconds, workers), work, disk)
