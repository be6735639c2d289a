"""Refuse, before training, what would fail in the middle of it."""

import math

from empirics import models
from empirics.config import RunConfig, choose
from empirics.data.datasets import Dataset
from empirics.pruning import masks as m
from empirics.pruning.criteria import CRITERIA, DENSITIES, nested_counts
from empirics.runs.context import initial_network
from empirics.schedules import SCHEDULES, kept_weights
from empirics.train import steps_per_epoch


def check_run(config: RunConfig, seed: int, dataset: Dataset) -> None:
    """Refuse a run that cannot be trained to its end on `dataset`.

    Raises:
        ConfigError: an unknown criterion, layer density, schedule or model; a batch larger than the training set.
        EmptyNetworkError: a level would leave the network, or a layer of random masks, without a weight.
    """
    choose(config.criterion, CRITERIA, "criterion")
    choose(config.densities, DENSITIES, "layer densities")
    choose(config.schedule, SCHEDULES, "schedule")
    steps_per_epoch(config, len(dataset.labels("train")))
    layers = models.prunable_weights(initial_network(config, seed, dataset))
    # the masks of `mask_epochs` are those of the level after
    last = config.levels if config.mask_epochs else config.levels - 1
    if config.mask_source != "dense":
        _check_counts(config, {name: tuple(weight.shape) for name, weight in layers.items()}, last)


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
        nested_counts(config.densities, shapes, totals)
