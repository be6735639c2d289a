"""The only loop over levels: prune, rewind, train.

Level 0 is a run of its own (`dense-...`), trained once a seed; every arm starts from it.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from empirics import masks as m
from empirics import models, signs
from empirics.config import SCHEMA, RunConfig, choose
from empirics.criteria import CRITERIA, DENSITIES, select
from empirics.datasets import Dataset
from empirics.rewinding import restart
from empirics.runtime import provenance
from empirics.schedules import SCHEDULES, kept_weights
from empirics.seeding import generator
from empirics.store import INITIAL, MASKS, SIGNS, WEIGHTS, RunFolder, StoreError
from empirics.train import Diverged, EpochMetrics, evaluate, steps_per_epoch, train_cycle

State = dict[str, Tensor]


@dataclass(frozen=True)
class Lab:
    """Where a run happens: its data on a device, the results folder, and who is told of every epoch."""

    dataset: Dataset
    device: torch.device
    results: Path
    threads: int = 1
    report: Callable[[EpochMetrics], None] = lambda metrics: None


def run(config: RunConfig, seed: int, lab: Lab) -> None:
    """Train every level of `config` that does not stand already, and write its sign statistics.

    Args:
        config: the run; its dense run, and the run of its masks, must stand for this seed.
        seed: at least 0.
        lab: data, device and folders.

    Raises:
        StoreError: a run that this one builds on is missing or diverged.
        EmptyNetworkError: a level would leave the network, or a layer of random masks, without a weight.
    """
    folder = RunFolder(lab.results, config.name, seed)
    folder.write_config(config)
    model = initial_network(config, seed, lab.dataset)
    if config.is_dense:
        if folder.next_level(config) is not None:
            _train_dense(model, config, seed, lab, folder)
        return
    dense = RunFolder(lab.results, config.dense.name, seed)
    if (reason := _built_on_divergence(config, seed, lab.results)) is not None:
        level = folder.next_level(config)
        if level is not None:
            _save_diverged(folder, _header(config, seed, level, None), reason, lab)
        return
    initial = dense.load_tensors(0, INITIAL)
    rewind_point = initial if config.rewind != "wr" else _epoch_of_dense(model, initial, config, seed, lab)
    while (level := folder.next_level(config)) is not None:
        before = dense if level == config.first_level else folder
        trained = before.load_tensors(0 if before is dense else level - 1, WEIGHTS)
        masks = level_masks(model, config, seed, level, trained, lab.results)
        start = restart(config.rewind, rewind_point, trained, masks, bn_rewind=config.bn_rewind)
        _train_level(model, start, masks, level, config, seed, lab, folder)
    if config.has_sign_statistics and not folder.is_complete(config):
        _save_sign_statistics(model, config, seed, lab.results)


def initial_network(config: RunConfig, seed: int, dataset: Dataset) -> nn.Module:
    """The network at initialisation, a function of the seed alone."""
    channels = dataset.train.images.shape[1]
    return models.create(config.model, config.width, channels, dataset.classes, generator(seed, "initial weights"))


def level_masks(model: nn.Module, config: RunConfig, seed: int, level: int, trained: State, results: Path) -> m.Masks:
    """The masks of `level`, from the run's mask source.

    Args:
        model: names and shapes of the prunable weights.
        config, seed, level: which masks.
        trained: state at the end of the level before.
        results: where masks of earlier levels and of other runs are.
    """
    layers = models.prunable_weights(model)
    if config.mask_source in ("run", "shuffled"):
        masks = load_masks(RunFolder(results, config.mask_run, seed), level, layers)
        return m.shuffle(masks, seed) if config.mask_source == "shuffled" else masks
    if config.mask_source == "random":
        return random_masks(layers, config, seed, level)
    before = m.dense(layers) if level == 1 else load_masks(RunFolder(results, config.name, seed), level - 1, layers)
    keep = kept_weights(sum(w.numel() for w in layers.values()), config.prune_rate, level)
    return select(config.criterion, trained, before, keep, seed=seed, densities=config.densities)


def random_masks(layers: dict[str, nn.Parameter], config: RunConfig, seed: int, level: int) -> m.Masks:
    """Random masks of `level`: counts are nested over levels, so those of every level before are made too."""
    masks = m.dense(layers)
    total = sum(w.numel() for w in layers.values())
    for k in range(1, level + 1):
        keep = kept_weights(total, config.prune_rate, k)
        masks = select("random", layers, masks, keep, seed=seed, densities=config.densities)
    return masks


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
    total, last = sum(w.numel() for w in layers.values()), config.levels - 1
    if kept_weights(total, config.prune_rate, last) < 1:
        raise m.EmptyNetworkError(
            f"level {last} would keep none of the network's {total} weights "
            f"at prune_rate {config.prune_rate:g}: use fewer levels"
        )
    if "random" in (config.mask_source, config.criterion):
        random_masks(layers, config, seed, last)


def _train_dense(model: nn.Module, config: RunConfig, seed: int, lab: Lab, folder: RunFolder) -> None:
    _train_level(model, _state(model), m.dense(models.prunable_weights(model)), 0, config, seed, lab, folder)


def _epoch_of_dense(model: nn.Module, initial: State, config: RunConfig, seed: int, lab: Lab) -> State:
    """The state after epoch `rewind_epoch` of the dense run: the same bits, since its first epochs are run again."""
    model.load_state_dict(initial)
    model.to(lab.device)
    whole = m.dense(models.prunable_weights(model))
    train_cycle(model, lab.dataset, whole, config, seed=seed, level=0, last_epoch=config.rewind_epoch)
    return _state(model)


def _state(model: nn.Module) -> State:
    return {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}


def _train_level(
    model: nn.Module,
    start: State,
    masks: m.Masks,
    level: int,
    config: RunConfig,
    seed: int,
    lab: Lab,
    folder: RunFolder,
) -> None:
    """Train one level from `start` and save it; a loss that is not finite is saved as `diverged`."""
    folder.start_metrics(level)

    def on_epoch(metrics: EpochMetrics) -> None:
        folder.append_metrics(metrics)
        lab.report(metrics)

    record = _header(config, seed, level, masks)
    try:
        measured = _measure_training(model, start, masks, level, config, seed, lab, on_epoch)
    except Diverged as reason:
        _save_diverged(folder, record, str(reason), lab)
        return
    end = _state(model)
    bits = {"end": signs.sign_bits(end, list(masks)), "start": signs.sign_bits(start, list(masks))}
    record |= measured | {"layers": _layer_records(bits, masks, config, seed, level, lab.results)}
    packed = {f"{moment}/{name}": value for moment in bits for name, value in signs.pack(bits[moment]).items()}
    files = {WEIGHTS: end, MASKS: signs.pack(masks), SIGNS: packed}
    if config.is_dense:
        files[INITIAL] = start
    folder.save_level({**record, "provenance": _provenance(lab)}, files)


def _measure_training(
    model: nn.Module,
    start: State,
    masks: m.Masks,
    level: int,
    config: RunConfig,
    seed: int,
    lab: Lab,
    on_epoch: Callable[[EpochMetrics], None],
) -> dict[str, Any]:
    """Train every cycle of a level; the numbers of `level.json` that come of it."""
    model.load_state_dict(start)
    model.to(lab.device)
    masks = {name: mask.to(lab.device) for name, mask in masks.items()}
    cycles = level + 1 if config.cycles == "level + 1" else 1
    started, rates = time.perf_counter(), []
    for cycle in range(cycles):
        train_cycle(
            model,
            lab.dataset,
            masks,
            config,
            seed=seed,
            level=level,
            cycle=cycle,
            first_epoch=config.rewind_epoch if level else 0,
            on_epoch=lambda metrics: (rates.append(metrics.images_per_s), on_epoch(metrics)),
        )
    train_loss, train_accuracy = evaluate(model, lab.dataset, lab.dataset.train)
    test_loss, test_accuracy = evaluate(model, lab.dataset, lab.dataset.test)
    if not all(torch.isfinite(value).all() for value in model.state_dict().values()) or train_loss != train_loss:
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


def _header(config: RunConfig, seed: int, level: int, masks: m.Masks | None) -> dict[str, Any]:
    """The part of `level.json` that is known before training; None for masks that were never made."""
    return {
        "schema": SCHEMA,
        "kind": "level",
        "run": config.name,
        "arm": config.arm,
        "seed": seed,
        "level": level,
        "status": "complete",
        "reason": None,
        "density": None if masks is None else m.density(masks),
        "kept": None if masks is None else m.count(masks),
        "total": None if masks is None else sum(mask.numel() for mask in masks.values()),
    }


def _save_diverged(folder: RunFolder, header: dict[str, Any], reason: str, lab: Lab) -> None:
    measured = ("epochs", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "seconds", "images_per_s")
    nothing = {name: None for name in measured} | {"layers": {}, "provenance": _provenance(lab)}
    folder.save_level({**header, "status": "diverged", "reason": reason, **nothing}, {})


def _built_on_divergence(config: RunConfig, seed: int, results: Path) -> str | None:
    """Why a run cannot be trained: the run that it starts from, or takes its masks from, diverged."""
    for what, name in (("dense run", config.dense.name), ("mask run", config.mask_run)):
        if name and (level := RunFolder(results, name, seed).diverged_at()) is not None:
            return f"its {what} {name} diverged at level {level}"
    return None


def _provenance(lab: Lab) -> dict[str, Any]:
    accelerator = torch.cuda.get_device_name(lab.device) if lab.device.type == "cuda" else None
    return provenance(lab.threads, accelerator)


def _layer_records(
    bits: dict[str, signs.Signs], masks: m.Masks, config: RunConfig, seed: int, level: int, results: Path
) -> dict[str, Any]:
    """Size, kept weights and flips of each layer, over this level's survivors."""
    moments = {"level_start": bits["start"], "initial": bits["start"], "previous": bits["start"]}
    if not config.is_dense:
        dense = RunFolder(results, config.dense.name, seed)
        moments["initial"] = load_signs(dense, 0, "start", masks)
        before, where = (dense, 0) if level == 1 else (RunFolder(results, config.name, seed), level - 1)
        # a run that begins later has no level before its first: that reading is null there
        moments["previous"] = None if level == config.first_level > 1 else load_signs(before, where, "end", masks)
    flips = signs.level_flips(bits["end"], moments, masks)
    return {name: {"size": mask.numel(), "kept": int(mask.sum()), "flips": flips[name]} for name, mask in masks.items()}


def load_signs(folder: RunFolder, level: int, moment: str, masks: m.Masks) -> signs.Signs:
    """Sign bits of a level at its `start` or `end`."""
    packed = folder.load_tensors(level, SIGNS)
    shapes = {name: mask.shape for name, mask in masks.items()}
    return signs.unpack({name: packed[f"{moment}/{name}"].numpy() for name in masks}, shapes)


def _save_sign_statistics(model: nn.Module, config: RunConfig, seed: int, results: Path) -> None:
    folder, dense = RunFolder(results, config.name, seed), RunFolder(results, config.dense.name, seed)
    last = config.levels - 1
    record = folder.level_record(last)
    if record is None or record["status"] != "complete":
        return
    masks = load_masks(folder, last, models.prunable_weights(model))
    at = lambda level: folder if level else dense  # noqa: E731
    ends = [load_signs(at(level), level, "end", masks) for level in range(config.levels)]
    starts = [load_signs(at(level), level, "start", masks) for level in range(config.levels)]
    folder.save_signs(
        {
            "schema": SCHEMA,
            "kind": "signs",
            "run": config.name,
            "arm": config.arm,
            "seed": seed,
            "levels": list(range(config.levels)),
            "layers": signs.run_statistics(ends, starts, starts[0], masks),
        }
    )
