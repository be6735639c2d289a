"""The only loop over levels: prune, rewind, train.

Level 0 is a run of its own (`dense-...`), trained once a seed; every arm starts from it.
"""

import time
from typing import Any

import torch

from empirics.config import RunConfig
from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.runs import level_record
from empirics.runs.context import Lab, State, Trial, new_trial, state_of
from empirics.runs.level_start import dense_start, level_start, load_signs, rewind_point
from empirics.runs.mask_sources import level_masks, load_masks, own_masks
from empirics.runs.resume import Going, Progress, going_on
from empirics.storage import checkpoints
from empirics.storage.run_folder import INITIAL, MASKS, SIGNS, WEIGHTS, StoreError
from empirics.train import Diverged, evaluate, train_cycle


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
    trial = new_trial(config, seed, lab)
    with trial.folder.lease():
        trial.folder.write_config(config)
        return [*_train_levels(trial), *_remarks(trial)]


def _train_levels(trial: Trial) -> list[str]:
    """Train what is missing; what a reader should know of how it went on from what stood."""
    config, point, remarks = trial.config, None, []
    # each level is looked at once: a look reads all of its tensors, to check their hashes
    for level in config.trained_levels:
        if (standing := trial.folder.level_record(level)) is not None:
            if standing["status"] == "diverged":
                return remarks
            continue
        going = going_on(trial, level)
        if (reason := _built_on_divergence(trial, level)) is not None:
            made = level_record.made(trial.lab, going.lineage, going.built_on)
            trial.folder.save_level(
                level_record.diverged(level_record.header(config, trial.seed, level), reason, made), {}
            )
            return remarks
        for text in [*going.remarks, *_new_remarks(trial, level, going, remarks)]:
            trial.lab.remark(text)
            remarks.append(text)
        if going.resumed is not None:
            start, masks = going.resumed.start, going.resumed.masks
        elif config.is_dense:
            start, masks = dense_start(trial), m.dense(trial.layers)
        else:
            if point is None:
                _check_mask_run(trial, level)
                point = rewind_point(trial)
            folder, previous = trial.built_on(level)
            trained = folder.load_tensors(previous, WEIGHTS)
            masks = level_masks(trial, level, trained)
            start = level_start(trial, level, point, trained, masks)
        if not train_level(trial, level, start, masks, going):
            return remarks
    if config.has_sign_statistics and trial.folder.signs_record() is None:
        _save_sign_statistics(trial)
    return remarks


def _new_remarks(trial: Trial, level: int, going: Going, said: list[str]) -> list[str]:
    """Why a level that was there is trained anew; and, once a run, that it goes on under other conditions."""
    found = []
    if trial.folder.level_path(level).is_dir():
        stale = trial.folder.peek(level)
        why = "was damaged or not finished"
        if stale is not None and not trial.folder.stands_on(stale["built_on"]):
            why = "builds on a level that has been trained anew since, to other bits"
        found.append(f"level {level} {why}, and is trained anew")
    if going.changed and not any("under other conditions" in text for text in said):
        found.append(
            f"level {level} goes on under other conditions ({going.changed}): equal within rounding, not in bits"
        )
    return found


def _check_mask_run(trial: Trial, first: int) -> None:
    """Refuse, before anything is trained, a mask run that does not reach every level from `first` on."""
    config, source = trial.config, trial.mask_run
    if not config.borrows_masks or source.diverged_at() is not None:
        return
    missing = [level for level in range(first, config.levels) if source.level_record(level) is None]
    if missing:
        raise StoreError(
            f"run {config.name} takes the masks of levels {first} to {config.levels - 1} from run {source.run}, seed "
            f"{trial.seed}, whose level {missing[0]} is missing or damaged: train that run first"
        )


def _remarks(trial: Trial) -> list[str]:
    for level in trial.config.trained_levels:
        record = trial.folder.peek(level)  # its files were hashed when it was written or looked at
        if record is None or record["status"] == "diverged":
            return [f"diverged at level {level}: {record and record['reason']}"]
        empty = [name for name, layer in record["layers"].items() if not layer["kept"]]
        if empty:
            return [f"from level {level} on pruning left layers without a weight: {', '.join(empty)}"]
    return []


def _built_on_divergence(trial: Trial, level: int) -> str | None:
    """Why a level cannot be trained: the run that it starts from, or takes its masks from, diverged."""
    for what, folder in (("dense run", trial.dense), ("mask run", trial.mask_run)):
        at = folder.diverged_at() if folder.run else None
        if at is not None and at <= level:
            return f"its {what} {folder.run} diverged at level {at}"
    return None


def train_level(trial: Trial, level: int, start: State, masks: m.Masks, going: Going) -> bool:
    """Train one level from `start`, or on from a checkpoint of it, and save it.

    Returns:
        False where its loss was not finite and it is saved as `diverged`.
    """
    config, folder, lab = trial.config, trial.folder, trial.lab
    header, made = (
        level_record.header(config, trial.seed, level, masks),
        level_record.made(lab, going.lineage, going.built_on),
    )
    try:
        measured = _measure_training(trial, level, start, masks, going)
    except Diverged as reason:
        folder.save_level(level_record.diverged(header, str(reason), made), {})
        checkpoints.clear(folder.checkpoints, level)
        return False
    end = state_of(trial.model)
    bits = {"start": signs.sign_bits(start, list(masks)), "end": signs.sign_bits(end, list(masks))}
    before = _masks_before(trial, level)
    described = {
        "overlap_before": None if before is None else m.overlap(before, masks),
        "kept_before": None if before is None else m.count(before),
        "layers": level_record.layers(masks, bits["end"], _moments(trial, level, bits["start"], masks), start, end),
        **made,
    }
    packed = {f"{moment}/{name}": value for moment in bits for name, value in signs.pack(bits[moment]).items()}
    files = {WEIGHTS: end, MASKS: signs.pack(masks), SIGNS: packed} | ({INITIAL: start} if config.is_dense else {})
    folder.sync_metrics()  # a level that stands has its metrics
    described["metrics_sha256"] = folder.metrics_hash(level)
    folder.save_level(header | measured | described, files)
    checkpoints.clear(folder.checkpoints, level)
    return True


def _measure_training(trial: Trial, level: int, start: State, masks: m.Masks, going: Going) -> dict[str, Any]:
    """Train every cycle of a level; the numbers of `level.json` that come of it."""
    config, lab = trial.config, trial.lab
    progress = Progress(trial, level, start, masks, going)
    trial.load(start if going.resumed is None else going.resumed.weights)
    on_device = {name: mask.to(lab.device) for name, mask in masks.items()}
    started = time.perf_counter()
    for cycle, first_epoch in progress.cycles():
        train_cycle(
            trial.model,
            lab.dataset,
            on_device,
            config,
            seed=trial.seed,
            level=level,
            cycle=cycle,
            first_epoch=first_epoch,
            momentum=progress.momentum(cycle),
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
        )
    train_loss, train_accuracy = evaluate(trial.model, lab.dataset, "train", config.precision)
    seconds, last = time.perf_counter() - started + progress.seconds_before, progress.seen[-1]
    values = [*trial.model.state_dict().values(), torch.tensor(train_loss)]
    if not all(torch.isfinite(value).all() for value in values):
        raise Diverged(f"a weight or the loss is not finite at the end of level {level}: lower lr")
    return {
        "epochs": len(progress.seen),
        "train_loss": train_loss,
        "train_accuracy": train_accuracy,
        "test_loss": last.test_loss,
        "test_accuracy": last.test_accuracy,
        "validation_loss": last.validation_loss,
        "validation_accuracy": last.validation_accuracy,
        "mask_epochs": _mask_overlaps(trial, level, masks, progress.taken),
        "seconds": seconds,
        "images_per_s": sum(metrics.images_per_s for metrics in progress.seen) / len(progress.seen),
    }


def _mask_overlaps(trial: Trial, level: int, masks: m.Masks, taken: dict[int, m.Masks]) -> list[dict[str, int]]:
    """For each epoch at which the next level's mask was taken: its survivors, and those shared with the end's mask."""
    if not taken:
        return []
    final = own_masks(trial, level + 1, state_of(trial.model), masks)
    return [{"epoch": e, "kept": m.count(mask), "shared": m.overlap(mask, final)} for e, mask in sorted(taken.items())]


def _masks_before(trial: Trial, level: int) -> m.Masks | None:
    """The masks of the level before; None at level 0, and where the run has no level before."""
    place = trial.level_before(level) if level else None
    return place and load_masks(*place, trial.layers)


def _moments(trial: Trial, level: int, start: signs.Signs, masks: m.Masks) -> dict[str, signs.Signs | None]:
    """Sign bits at the moments that the three readings compare the end of a level with.

    A reading that does not exist is None: there may be no level before, or the network may not be the dense run's.
    """
    if trial.config.is_dense:
        return dict.fromkeys(signs.READINGS, start)
    if trial.config.has_fresh_network:
        return {"level_start": start, "initial": None, "previous": None}
    place = trial.level_before(level)
    previous = place and load_signs(*place, "end", masks)
    return {"level_start": start, "initial": load_signs(trial.dense, 0, "start", masks), "previous": previous}


def _save_sign_statistics(trial: Trial) -> None:
    masks = load_masks(trial.folder, trial.config.levels - 1, trial.layers)
    places = [(trial.folder if level else trial.dense, level) for level in range(trial.config.levels)]
    ends, starts = ([load_signs(*place, moment, masks) for place in places] for moment in ("end", "start"))
    statistics = signs.run_statistics(ends, starts, starts[0], masks)
    trial.folder.save_signs(level_record.run_signs(trial.config, trial.seed, statistics))
