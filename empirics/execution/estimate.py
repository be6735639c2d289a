"""Estimates of a plan's time and disk space, from throughput measured on this machine."""

import dataclasses
import functools
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from empirics import models
from empirics.config import RunConfig, check_choice
from empirics.data.datasets import Dataset, Split, build
from empirics.execution.tasks import Task, wall_seconds
from empirics.pruning import masks
from empirics.pruning import masks as m
from empirics.pruning.criteria import CRITERIA, DENSITIES, nested_counts
from empirics.runs.context import initial_network
from empirics.runs.mask_sources import random_totals
from empirics.runs.training import training_settings
from empirics.schedules import SCHEDULES, kept_weights
from empirics.seeding import generator
from empirics.storage.run_folder import disk_bytes
from empirics.train import evaluate, sgd, steps_per_epoch, to_device, train_epoch


def check_run(config: RunConfig, dataset: Dataset, n_train: int | None = None) -> None:
    """Refuse a run that cannot be trained to its end on `dataset`.

    Args:
        config: the run.
        dataset: determines the network's input shape and number of classes.
        n_train: number of training images; None: those of `dataset`.

    Raises:
        ConfigError: an unknown criterion, layer density, schedule or model; a batch larger than the training set.
        EmptyNetworkError: a level would leave the network, or a layer of random masks, without a weight.
    """
    check_choice(config.criterion, CRITERIA, "criterion")
    check_choice(config.densities, DENSITIES, "layer densities")
    check_choice(config.schedule, SCHEDULES, "schedule")
    steps_per_epoch(config.batch_size, len(dataset.labels("train")) if n_train is None else n_train)
    shapes = _layer_shapes(config.model, config.width, dataset.shape, dataset.classes)
    # the masks of `mask_snapshot_epochs` are those of the next level
    last = config.levels if config.mask_snapshot_epochs else config.levels - 1
    if config.mask_source != "dense":
        _check_counts(config, shapes, last)


@functools.lru_cache
def _layer_shapes(model: str, width: int, shape: tuple[int, int, int], classes: int) -> dict[str, tuple[int, ...]]:
    """The shapes of a network's prunable weights; the network is made once for all the runs of a command."""
    network = models.create(model, width, shape, classes, generator(0, "initial weights"))
    return {name: tuple(weight.shape) for name, weight in models.prunable_weights(network).items()}


def _check_counts(config: RunConfig, shapes: dict[str, tuple[int, ...]], last: int) -> None:
    total = sum(math.prod(shape) for shape in shapes.values())
    totals = [kept_weights(total, config.prune_rate, level) for level in range(1, last + 1)]
    if totals and totals[-1] < 1:
        raise m.EmptyNetworkError(
            f"level {last} would keep none of the network's {total} weights "
            f"at prune_rate {config.prune_rate:g}: use fewer levels"
        )
    within_layers = config.mask_source == "own" and CRITERIA[config.criterion].layerwise
    if totals and (config.mask_source == "random" or within_layers):
        if config.mask_source == "random":
            totals = [kept for kept in random_totals(config, total, last) if kept < total]
        nested_counts(config.densities, shapes, totals)


# most pixels in one measured batch: large images are measured in small batches and scaled
MEASURED_PIXELS = 2**17
MEASURED_STEPS = 12
MEASURED_SECONDS = 2


@dataclass(frozen=True)
class Throughput:
    """Images a second in training and in evaluation."""

    training: float
    evaluation: float


@dataclass(frozen=True)
class Estimate:
    """Seconds on the given number of workers, seconds on one worker, and bytes on disk."""

    wall_seconds: float
    work_seconds: float
    disk: int


def random_dataset(shape: tuple[int, int, int], n_train: int, n_test: int, classes: int, at_least: int = 1) -> Dataset:
    """Random images of the right shape, for estimates made before the data are installed.

    There are few, so that large images need little memory, but `at_least` so many if the training set has them.
    """
    draw = torch.Generator().manual_seed(0)
    n = max(1, min(n_train, max(at_least, MEASURED_PIXELS // (shape[1] * shape[2]))))
    images = torch.randint(0, 256, (n, *shape), generator=draw, dtype=torch.uint8)
    labels = torch.randint(0, classes, (n,), generator=draw)
    return build("random", Split(images, labels), Split(images, labels), classes, 1, False)


def measure(config: RunConfig, dataset: Dataset) -> Throughput:
    """Measure throughput on the data set's device, from a few steps of the real training loop."""
    pixels = dataset.shape[1] * dataset.shape[2]
    n = len(dataset.labels("train"))
    device = next(_steps(dataset, 1, 1).batches("train"))[0].device
    room = n if device.type == "cuda" else MEASURED_PIXELS // pixels  # a GPU is slow on parts of its batch
    batch = max(2, min(config.batch_size, n, room))
    one = _steps(dataset, batch, 1)
    model = to_device(initial_network(config, 0, dataset), device, config.precision)
    # with masks, as in most levels
    half = masks.dense(models.prunable_weights(model))
    for mask in half.values():
        mask.view(-1)[::2] = False
    half = {name: mask.to(device) for name, mask in half.items()}
    quick = dataclasses.replace(
        training_settings(config), batch_size=batch, micro_batch=math.gcd(config.micro_batch, batch)
    )
    optimizer = sgd(model, half, quick)

    def seconds(data: Dataset) -> float:
        started = time.perf_counter()
        train_epoch(model, optimizer, data, torch.Generator().manual_seed(0), quick, lambda step: config.lr, 0)
        return time.perf_counter() - started

    seconds(one)  # the very first step is slow
    steps = max(1, min(MEASURED_STEPS, int(MEASURED_SECONDS / seconds(one))))
    few = _steps(dataset, batch, steps)
    training = batch * steps / min(seconds(few) for _ in range(2))
    started = time.perf_counter()
    evaluate(model, few, "train", config.precision)
    return Throughput(training, batch * steps / (time.perf_counter() - started))


# what a process on a GPU needs besides its tensors: context, kernels, workspaces
GPU_CONTEXT_BYTES = 2**30
# the allocator's blocks are larger than what is in them
FRAGMENTATION = 1.15


def gpu_bytes(config: RunConfig, dataset: Dataset) -> int:
    """The GPU memory, about, that one worker needs to train a run; in bytes.

    It is counted, not measured: tensors that a step keeps for its gradients, five copies of the weights (with their
    gradients, momentum, and both once more for a checkpoint), images, context.

    Args:
        config: the run.
        dataset: determines the network's input shape and number of classes; one in memory is on the GPU as a whole.
    """
    part = min(config.micro_batch or config.batch_size, config.batch_size)
    kept, weights = _step_bytes(config.model, config.width, dataset.shape, dataset.classes, part)
    if config.precision == "bfloat16":
        kept //= 2
    pixels = math.prod(dataset.shape)
    held = 0 if config.image_size else pixels * sum(len(dataset.labels(split)) for split in ("train", "test"))
    batch = 8 * pixels * config.batch_size
    return int(FRAGMENTATION * (kept + 5 * weights + batch) + held + GPU_CONTEXT_BYTES)


@functools.lru_cache
def _step_bytes(model: str, width: int, shape: tuple[int, int, int], classes: int, images: int) -> tuple[int, int]:
    """What a forward pass in float32 keeps for the gradients, and the weights; in bytes.

    It is counted on torch's "meta" device, which uses no memory.
    """
    network = models.create(model, width, shape, classes, generator(0, "initial weights")).to("meta").train()
    own = {parameter.untyped_storage()._cdata for parameter in network.parameters()}
    kept: dict[int, torch.Tensor] = {}  # by storage: a tensor that two operations keep counts once

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept[tensor.untyped_storage()._cdata] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = network(torch.empty((images, *shape), device="meta"))
    sizes = [tensor.untyped_storage().nbytes() for place, tensor in kept.items() if place not in own]
    del logits
    return sum(sizes), 4 * sum(parameter.numel() for parameter in network.parameters())


def workers_that_fit(free: Sequence[int], needed: int, workers: int) -> int:
    """The number of workers, at least one, that the GPUs have memory for.

    Args:
        free: bytes of each GPU; empty if unknown.
        needed: bytes of one worker.
        workers: the most.
    """
    if not free:
        return workers
    # workers take the GPUs in turn, so the smallest one decides
    return max(1, min(workers, len(free) * (min(free) // needed)))


def _steps(dataset: Dataset, batch: int, steps: int) -> Dataset:
    """The part of a data set that so many steps need."""
    return dataset.choose(torch.arange(batch * steps) % len(dataset.labels("train")), torch.arange(0))


def estimate(
    tasks: Sequence[Task], throughput: Throughput, dataset: Dataset, n_train: int, n_test: int, workers: int
) -> Estimate:
    """The time and disk space of a plan.

    Args:
        tasks: from `unfinished`.
        throughput: from `measure`.
        dataset: determines the networks' input shape and number of classes.
        n_train, n_test: images in each split.
        workers: number of parallel processes.
    """

    def seconds(task: Task) -> float:
        steps = n_train // task.config.batch_size
        # the dense run's first epochs are trained again for the rewind point, and for the signs that count as initial
        again = task.config.initial_epoch if task.config.is_dense else task.config.rewind_epoch
        epochs = task.epochs + again
        evaluated = epochs / task.config.evaluate_every * n_test + len(task.levels) * (n_train + n_test)
        return epochs * steps * task.config.batch_size / throughput.training + evaluated / throughput.evaluation

    disk = 0
    for task in tasks:
        state = initial_network(task.config, 0, dataset).state_dict()
        prunable = [name for name, value in state.items() if value.dim() >= 2]
        once = disk_bytes({name: tuple(value.shape) for name, value in state.items()}, prunable)
        disk += once * (len(task.levels) + task.config.is_dense)
    work = sum(seconds(task) for task in tasks)
    return Estimate(wall_seconds(tasks, seconds, workers), work, disk)
