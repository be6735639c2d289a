"""The only loop over levels: prune, rewind, train, save.

Level 0 is a separate run (`dense-...`), trained once per seed; every arm starts from it.
"""

import time

import torch

from empirics.config import RunConfig
from empirics.pruning import masks as m
from empirics.runs.context import RunSetup, State, state_of
from empirics.runs.level_start import level_start
from empirics.runs.mask_sources import cycle_masks, level_masks, own_masks
from empirics.runs.open_run import OpenRun, TrainedLevel, open_run
from empirics.runs.resume import LevelProgress
from empirics.runs.strikes import Strikes
from empirics.runs.training import rate_at, training_settings
from empirics.train import Diverged, evaluate, steps_per_epoch, train_cycle


def run(config: RunConfig, seed: int, setup: RunSetup) -> list[str]:
    """Train every level of `config` that is not complete, and write the run's sign statistics.

    Args:
        config: the run; its dense run, and the run of its masks, must be complete for this seed.
        seed: at least 0.
        setup: data, device and folders.

    Returns:
        Warnings about the run, for example that it diverged, or that pruning emptied layers.

    Raises:
        StoreError: a run that this one depends on is missing, or another process is training this one.
        EmptyNetworkError: a level would leave the network, or a layer of random masks, without a weight.
    """
    with open_run(config, seed, setup) as opened:
        for level in config.trained_levels:
            if opened.begin(level):
                masks = level_masks(opened, level)  # prune
                start = level_start(opened, level, masks)  # rewind
                trained = train_level(opened, level, start, masks)  # train, or resume from a checkpoint
                opened.save(level, trained)
            if opened.is_diverged(level):
                return opened.all_notes()
        opened.save_sign_statistics()
        return opened.all_notes()


def train_level(opened: OpenRun, level: int, start: State, masks: m.Masks) -> TrainedLevel:
    """Train one level, from `start` or from a checkpoint of it.

    The result says so if the loss, or a weight at the end, is not finite.
    """
    context = opened.context
    config = context.config
    setup = context.setup
    model = context.model
    opened.check_start(level, start, masks)
    progress = LevelProgress(context, level, start, masks, opened.resume_state)
    context.load(start if opened.checkpoint is None else opened.checkpoint.weights)
    kept_signs = fixed_signs(config, level, start, masks, setup.device)
    strikes = None
    rate = rate_at(config, level, steps_per_epoch(config.batch_size, len(setup.dataset.labels("train"))))
    started = time.perf_counter()
    try:
        for cycle in progress.cycles():
            progress.masks = cycle_masks(context, level, cycle, progress.masks)
            on_device = {name: mask.to(setup.device) for name, mask in progress.masks.items()}
            strikes = Strikes(config, context.seed, level, model, on_device, setup.dataset)
            train_cycle(
                model,
                setup.dataset,
                on_device,
                training_settings(config),
                rate,
                cycle,
                seed=context.seed,
                level=level,
                momentum=progress.momentum(cycle),
                fixed_signs=kept_signs,
                on_epoch_start=strikes,
                on_epoch=progress.on_epoch,
                on_step=progress.on_step,
            )
        train_loss, train_accuracy = evaluate(model, setup.dataset, "train", config.precision)
        seconds = time.perf_counter() - started + progress.seconds_before
        _refuse_infinite([*model.state_dict().values(), torch.tensor(train_loss)], level)
    except Diverged as reason:
        return TrainedLevel(start, progress.masks, diverged=str(reason))
    last = progress.seen[-1]
    measured = {
        "epochs": len(progress.seen),
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": last.test_loss,
        "test_accuracy": last.test_accuracy,
        "validation_loss": last.validation_loss,
        "validation_accuracy": last.validation_accuracy,
        "strike": strikes.last,
        "mask_snapshots": _mask_overlaps(opened, level, masks, progress.mask_snapshots),
        "seconds": seconds,
        "images_per_s": sum(metrics.images_per_s for metrics in progress.seen) / len(progress.seen),
    }
    return TrainedLevel(start, progress.masks, end=state_of(model), measured=measured)


def fixed_signs(
    config: RunConfig, level: int, start: State, masks: m.Masks, device: torch.device
) -> dict[str, torch.Tensor] | None:
    """The weights whose signs a level keeps, on the device; None if signs are free."""
    return {name: start[name].to(device) for name in masks} if config.fixed_signs and level else None


def _refuse_infinite(values: list[torch.Tensor], level: int) -> None:
    if not all(torch.isfinite(value).all() for value in values):
        raise Diverged(f"a weight or the loss is not finite at the end of level {level}: lower lr")


def _mask_overlaps(opened: OpenRun, level: int, masks: m.Masks, taken: dict[int, m.Masks]) -> list[dict[str, int]]:
    """The overlap of each mask snapshot with the mask at the level's end.

    For each epoch of a snapshot: the number of survivors, and of those that the mask at the end keeps too.
    """
    if not taken:
        return []
    final = own_masks(opened.context, level + 1, state_of(opened.context.model), masks)
    return [
        {"epoch": e, "n_kept": m.count(mask), "shared": m.overlap(mask, final)} for e, mask in sorted(taken.items())
    ]
