"""The only loop over levels: prune, rewind, train.

Level 0 is a run of its own (`dense-...`), trained once a seed; every arm starts from it.
"""

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from empirics import masks as m
from empirics import models, records, signs
from empirics.config import RunConfig, choose
from empirics.criteria import CRITERIA, DENSITIES, nested_counts, select
from empirics.datasets import Dataset
from empirics.rewinding import restart
from empirics.schedules import SCHEDULES, kept_weights
from empirics.seeding import generator
from empirics.store import INITIAL, MASKS, SIGNS, WEIGHTS, RunFolder, StoreError
from empirics.train import Diverged, EpochMetrics, evaluate, steps_per_epoch, train_cycle

State = dict[str, Tensor]


@dataclass(frozen=True)
class Lab:
    """Where runs happen: the data on a device, the results folder, and who is told of every epoch."""

    dataset: Dataset
    device: torch.device
    results: Path
    threads: int = 1
    report: Callable[[EpochMetrics], None] = lambda metrics: None


@dataclass(frozen=True)
class Trial:
    """One run and seed at work in a lab, with the network that its levels are trained in."""

    config: RunConfig
    seed: int
    lab: Lab
    model: nn.Module

    @property
    def folder(self) -> RunFolder:
        """Where this run's levels are."""
        return RunFolder(self.lab.results, self.config.name, self.seed)

    @property
    def dense(self) -> RunFolder:
        """Where level 0 is."""
        return RunFolder(self.lab.results, self.config.dense.name, self.seed)

    @property
    def layers(self) -> dict[str, nn.Parameter]:
        """The prunable weights, in network order."""
        return models.prunable_weights(self.model)

    def before(self, level: int) -> tuple[RunFolder, int]:
        """Folder and number of the level whose weights `level` builds on."""
        return (self.dense, 0) if level == self.config.first_level else (self.folder, level - 1)


def run(config: RunConfig, seed: int, lab: Lab) -> list[str]:
    """Train every level of `config` that does not stand already, and write its sign statistics.

    Args:
        config: the run; its dense run, and the run of its masks, must stand for this seed.
        seed: at least 0.
        lab: data, device and folders.

    Returns:
        What a reader should know of the run: that it diverged, or that pruning emptied layers.

    Raises:
        StoreError: a run that this one builds on is missing, or another process is training this one.
        EmptyNetworkError: a level would leave the network, or a layer of random masks, without a weight.
    """
    trial = Trial(config, seed, lab, initial_network(config, seed, lab.dataset))
    with trial.folder.lease():
        trial.folder.write_config(config)
        _train_levels(trial)
        return _remarks(trial)


def _train_levels(trial: Trial) -> None:
    config, seed, lab = trial.config, trial.seed, trial.lab
    point = None
    # each level is looked at once: a look reads all of its tensors, to check their hashes
    for level in config.trained_levels:
        if (standing := trial.folder.level_record(level)) is not None:
            if standing["status"] == "diverged":
                return
            continue
        if config.is_dense:
            train_level(trial, 0, state_of(trial.model), m.dense(trial.layers))
            return
        if (reason := _built_on_divergence(trial, level)) is not None:
            trial.folder.save_level(records.diverged(records.header(config, seed, level), reason, lab), {})
            return
        folder, previous = trial.before(level)
        trained = folder.load_tensors(previous, WEIGHTS)
        masks = level_masks(trial, level, trained)
        point = rewind_point(trial) if point is None else point
        start = restart(config.rewind, point, trained, masks, bn_rewind=config.bn_rewind)
        if not train_level(trial, level, start, masks):
            return
    if config.has_sign_statistics and trial.folder.signs_record() is None:
        _save_sign_statistics(trial)


def _remarks(trial: Trial) -> list[str]:
    for level in trial.config.trained_levels:
        record = trial.folder.level_record(level)
        if record is None or record["status"] == "diverged":
            return [f"diverged at level {level}: {record and record['reason']}"]
        empty = [name for name, layer in record["layers"].items() if not layer["kept"]]
        if empty:
            return [f"from level {level} on pruning left layers without a weight: {', '.join(empty)}"]
    return []


def initial_network(config: RunConfig, seed: int, dataset: Dataset) -> nn.Module:
    """The network at initialisation, a function of the seed alone."""
    channels = dataset.train.images.shape[1]
    return models.create(config.model, config.width, channels, dataset.classes, generator(seed, "initial weights"))


def rewind_point(trial: Trial) -> State:
    """What rewinding rules call initial: initialisation, or for `wr` the dense run's state after epoch `rewind_epoch`.

    That epoch is reached by training the first epochs of the dense run again, to the same bits, so it is never missing.
    """
    initial = trial.dense.load_tensors(0, INITIAL)
    if trial.config.rewind != "wr":
        return initial
    _load(trial, initial)
    last = trial.config.rewind_epoch
    train_cycle(
        trial.model, trial.lab.dataset, m.dense(trial.layers), trial.config, seed=trial.seed, level=0, last_epoch=last
    )
    return state_of(trial.model)


def level_masks(trial: Trial, level: int, trained: State) -> m.Masks:
    """The masks of `level`, from the run's mask source; `trained` is the state at the end of the level before."""
    config, layers = trial.config, trial.layers
    if config.mask_source in ("run", "shuffled"):
        masks = load_masks(dataclasses.replace(trial.folder, run=config.mask_run), level, layers)
        return m.shuffle(masks, trial.seed) if config.mask_source == "shuffled" else masks
    if config.mask_source == "random":
        return random_masks(layers, config, trial.seed, level)
    before = m.dense(layers) if level == 1 else load_masks(trial.folder, level - 1, layers)
    keep = kept_weights(sum(weight.numel() for weight in layers.values()), config.prune_rate, level)
    return select(config.criterion, trained, before, keep, seed=trial.seed, densities=config.densities)


def random_masks(layers: dict[str, nn.Parameter], config: RunConfig, seed: int, level: int) -> m.Masks:
    """Random masks of `level`: in each layer, the first weights of an order that depends on the seed alone."""
    total = sum(weight.numel() for weight in layers.values())
    totals = [kept_weights(total, config.prune_rate, k) for k in range(1, level + 1)]
    counts = nested_counts(config.densities, {name: tuple(weight.shape) for name, weight in layers.items()}, totals)
    whole = m.dense(layers)
    return m.keep_by_layer(m.random_scores(whole, seed), whole, counts)


def load_masks(folder: RunFolder, level: int, layers: dict[str, nn.Parameter]) -> m.Masks:
    """The masks of one level of any run.

    Raises:
        StoreError: the level is missing, or of another network.
    """
    packed = folder.load_tensors(level, MASKS)
    wrong = [n for n, w in layers.items() if n not in packed or packed[n].numel() != (w.numel() + 7) // 8]
    if wrong:
        raise StoreError(f"the masks of run {folder.run} are of another network: layer {wrong[0]} differs")
    return signs.unpack({n: packed[n].numpy() for n in layers}, {n: w.shape for n, w in layers.items()})


def check_run(config: RunConfig, seed: int, dataset: Dataset) -> None:
    """Refuse, before training, what would fail in the middle of it.

    Raises:
        ConfigError: an unknown criterion, layer density, schedule or model; a batch larger than the training set.
        EmptyNetworkError: a level would leave the network, or a layer of random masks, without a weight.
    """
    choose(config.criterion, CRITERIA, "criterion")
    choose(config.densities, DENSITIES, "layer densities")
    choose(config.schedule, SCHEDULES, "schedule")
    steps_per_epoch(config, len(dataset.train))
    layers = models.prunable_weights(initial_network(config, seed, dataset))
    total, last = sum(weight.numel() for weight in layers.values()), config.levels - 1
    if kept_weights(total, config.prune_rate, last) < 1:
        raise m.EmptyNetworkError(
            f"level {last} would keep none of the network's {total} weights "
            f"at prune_rate {config.prune_rate:g}: use fewer levels"
        )
    if "random" in (config.mask_source, config.criterion):
        totals = [kept_weights(total, config.prune_rate, k) for k in range(1, config.levels)]
        nested_counts(config.densities, {name: tuple(weight.shape) for name, weight in layers.items()}, totals)


def state_of(model: nn.Module) -> State:
    """A copy of a network's state dict, on the CPU."""
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _load(trial: Trial, state: State) -> None:
    trial.model.load_state_dict(state)
    trial.model.to(trial.lab.device)


def _built_on_divergence(trial: Trial, level: int) -> str | None:
    """Why a level cannot be trained: the run that it starts from, or takes its masks from, diverged."""
    for what, name in (("dense run", trial.config.dense.name), ("mask run", trial.config.mask_run)):
        at = dataclasses.replace(trial.folder, run=name).diverged_at() if name else None
        if at is not None and at <= level:
            return f"its {what} {name} diverged at level {at}"
    return None


def train_level(trial: Trial, level: int, start: State, masks: m.Masks) -> bool:
    """Train one level from `start` and save it; False where its loss was not finite and it is saved as `diverged`."""
    config, folder, lab = trial.config, trial.folder, trial.lab
    header = records.header(config, trial.seed, level, masks)
    folder.start_metrics(level)
    try:
        measured = _measure_training(trial, level, start, masks)
    except Diverged as reason:
        folder.save_level(records.diverged(header, str(reason), lab), {})
        return False
    end = state_of(trial.model)
    bits = {"start": signs.sign_bits(start, list(masks)), "end": signs.sign_bits(end, list(masks))}
    layers = records.layers(masks, bits["end"], _moments(trial, level, bits["start"], masks))
    packed = {f"{moment}/{name}": value for moment in bits for name, value in signs.pack(bits[moment]).items()}
    files = {WEIGHTS: end, MASKS: signs.pack(masks), SIGNS: packed} | ({INITIAL: start} if config.is_dense else {})
    folder.save_level(header | measured | {"layers": layers, "provenance": records.origin(lab)}, files)
    return True


def _measure_training(trial: Trial, level: int, start: State, masks: m.Masks) -> dict[str, Any]:
    """Train every cycle of a level; the numbers of `level.json` that come of it."""
    config, lab, rates = trial.config, trial.lab, []

    def on_epoch(metrics: EpochMetrics) -> None:
        rates.append(metrics.images_per_s)
        trial.folder.append_metrics(metrics)
        lab.report(metrics)

    _load(trial, start)
    on_device = {name: mask.to(lab.device) for name, mask in masks.items()}
    started = time.perf_counter()
    for cycle in range(config.cycles_at(level)):
        train_cycle(
            trial.model,
            lab.dataset,
            on_device,
            config,
            seed=trial.seed,
            level=level,
            cycle=cycle,
            first_epoch=config.rewind_epoch if level else 0,
            on_epoch=on_epoch,
        )
    train_loss, train_accuracy = evaluate(trial.model, lab.dataset, lab.dataset.train)
    test_loss, test_accuracy = evaluate(trial.model, lab.dataset, lab.dataset.test)
    values = [*trial.model.state_dict().values(), torch.tensor([train_loss, test_loss])]
    if not all(torch.isfinite(value).all() for value in values):
        raise Diverged(f"a weight or the loss is not finite at the end of level {level}: lower lr")
    return {
        "epochs": len(rates),
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
        "seconds": time.perf_counter() - started,
        "images_per_s": sum(rates) / len(rates),
    }


def _moments(trial: Trial, level: int, start: signs.Signs, masks: m.Masks) -> dict[str, signs.Signs | None]:
    """Sign bits at the moments that the three readings compare the end of a level with."""
    if trial.config.is_dense:
        return dict.fromkeys(signs.READINGS, start)
    # a run that begins later has no level before its first: that reading does not exist there
    lone = level == trial.config.first_level > 1
    previous = None if lone else load_signs(*trial.before(level), "end", masks)
    return {"level_start": start, "initial": load_signs(trial.dense, 0, "start", masks), "previous": previous}


def load_signs(folder: RunFolder, level: int, moment: str, masks: m.Masks) -> signs.Signs:
    """Sign bits of a level at its `start` or `end`."""
    packed = folder.load_tensors(level, SIGNS)
    shapes = {name: mask.shape for name, mask in masks.items()}
    return signs.unpack({name: packed[f"{moment}/{name}"].numpy() for name in masks}, shapes)


def _save_sign_statistics(trial: Trial) -> None:
    masks = load_masks(trial.folder, trial.config.levels - 1, trial.layers)
    places = [(trial.folder if level else trial.dense, level) for level in range(trial.config.levels)]
    ends, starts = ([load_signs(*place, moment, masks) for place in places] for moment in ("end", "start"))
    statistics = signs.run_statistics(ends, starts, starts[0], masks)
    trial.folder.save_signs(records.run_signs(trial.config, trial.seed, statistics))
