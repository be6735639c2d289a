"""The only loop over levels: prune, rewind, train.

Level 0 is a separate run (`dense-...`), trained once per seed; every arm starts from it.
"""

import time
from typing import Any

import torch

from empirics.config import RunConfig
from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.runs import level_record
from empirics.runs.context import RunContext, RunSetup, State, new_context, state_of
from empirics.runs.level_start import dense_start, level_start, load_signs, rewind_point
from empirics.runs.mask_sources import level_masks, load_masks, own_masks
from empirics.runs.resume import LevelProgress, ResumeState, resume_level
from empirics.storage import checkpoints
from empirics.storage.run_folder import INITIAL_TENSORS, MASK_TENSORS, SIGN_TENSORS, WEIGHT_TENSORS, StoreError
from empirics.train import Diverged, evaluate, train_cycle


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
    context = new_context(config, seed, setup)
    with context.folder.lease():
        context.folder.write_config(config)
        return [*_train_levels(context), *_closing_notes(context)]


def _train_levels(context: RunContext) -> list[str]:
    """Train the missing levels; returns warnings about retrained and resumed levels."""
    config, point, notes = context.config, None, []
    # each level is verified once, since this reads all of its tensors to check their hashes
    for level in config.trained_levels:
        if (existing := context.folder.level_record(level)) is not None:
            if existing["status"] == "diverged":
                return notes
            continue
        resume_state = resume_level(context, level)
        if (reason := _inherited_divergence(context, level)) is not None:
            made = level_record.made(context.setup, resume_state.environments, resume_state.depends_on)
            context.folder.save_level(
                level_record.diverged(level_record.header(config, context.seed, level), reason, made), {}
            )
            return notes
        for text in [*resume_state.notes, *_resume_notes(context, level, resume_state, notes)]:
            context.setup.warn(text)
            notes.append(text)
        if resume_state.resumed is not None:
            start, masks = resume_state.resumed.start, resume_state.resumed.masks
        elif config.is_dense:
            start, masks = dense_start(context), m.dense(context.layers)
        else:
            if point is None:
                _check_mask_run(context, level)
                point = rewind_point(context)
            folder, previous = context.source_level(level)
            trained = folder.load_tensors(previous, WEIGHT_TENSORS)
            masks = level_masks(context, level, trained)
            start = level_start(context, level, point, trained, masks)
        if not train_level(context, level, start, masks, resume_state):
            return notes
    if config.has_sign_statistics and context.folder.signs_record() is None:
        _save_sign_statistics(context)
    return notes


def _resume_notes(context: RunContext, level: int, resume_state: ResumeState, said: list[str]) -> list[str]:
    """Warnings that an existing level is retrained, and, once per run, that conditions have changed."""
    found = []
    if context.folder.level_path(level).is_dir():
        stale = context.folder.level_record(level, verify=False)
        why = "was damaged or not finished"
        if stale is not None and not context.folder.dependencies_unchanged(stale["depends_on"]):
            why = "depends on a level whose result has changed since"
        found.append(f"level {level} {why}, and is retrained")
    if resume_state.changed and not any("under other conditions" in text for text in said):
        found.append(
            f"level {level} resumes under other conditions ({resume_state.changed}): results agree within rounding only"
        )
    return found


def _check_mask_run(context: RunContext, first: int) -> None:
    """Check, before training, that the mask run has every level from `first` on."""
    config, source = context.config, context.mask_run
    if not config.uses_external_masks or source.diverged_at() is not None:
        return
    missing = [level for level in range(first, config.levels) if source.level_record(level) is None]
    if missing:
        raise StoreError(
            f"run {config.name} takes the masks of levels {first} to {config.levels - 1} from run {source.run}, seed "
            f"{context.seed}, whose level {missing[0]} is missing or damaged: train that run first"
        )


def _closing_notes(context: RunContext) -> list[str]:
    for level in context.config.trained_levels:
        record = context.folder.level_record(
            level, verify=False
        )  # its hashes were checked when it was written or verified
        if record is None or record["status"] == "diverged":
            return [f"diverged at level {level}: {record and record['reason']}"]
        empty = [name for name, layer in record["layers"].items() if not layer["n_kept"]]
        if empty:
            return [f"from level {level} on pruning left layers without a weight: {', '.join(empty)}"]
    return []


def _inherited_divergence(context: RunContext, level: int) -> str | None:
    """Why a level cannot be trained: the run that it starts from, or takes its masks from, diverged."""
    for what, folder in (("dense run", context.dense), ("mask run", context.mask_run)):
        at = folder.diverged_at() if folder.run else None
        if at is not None and at <= level:
            return f"its {what} {folder.run} diverged at level {at}"
    return None


def train_level(context: RunContext, level: int, start: State, masks: m.Masks, resume_state: ResumeState) -> bool:
    """Train one level, from `start` or from a checkpoint of it, and save it.

    Returns:
        False if its loss was not finite and it was saved as `diverged`.
    """
    config, folder, setup = context.config, context.folder, context.setup
    header, made = (
        level_record.header(config, context.seed, level, masks),
        level_record.made(setup, resume_state.environments, resume_state.depends_on),
    )
    try:
        measured = _measure_training(context, level, start, masks, resume_state)
    except Diverged as reason:
        folder.save_level(level_record.diverged(header, str(reason), made), {})
        checkpoints.clear(folder.checkpoints, level)
        return False
    end = state_of(context.model)
    bits = {"start": signs.sign_bits(start, list(masks)), "end": signs.sign_bits(end, list(masks))}
    before = _masks_before(context, level)
    described = {
        "overlap_with_previous_level": None if before is None else m.overlap(before, masks),
        "n_kept_previous_level": None if before is None else m.count(before),
        "layers": level_record.layers(masks, bits["end"], _moments(context, level, bits["start"], masks), start, end),
        **made,
    }
    packed = {f"{moment}/{name}": value for moment in bits for name, value in signs.pack(bits[moment]).items()}
    files = {WEIGHT_TENSORS: end, MASK_TENSORS: signs.pack(masks), SIGN_TENSORS: packed} | (
        {INITIAL_TENSORS: start} if config.is_dense else {}
    )
    folder.sync_metrics()  # a complete level has its metrics on the disk
    described["metrics_sha256"] = folder.metrics_hash(level)
    folder.save_level(header | measured | described, files)
    checkpoints.clear(folder.checkpoints, level)
    return True


def _measure_training(
    context: RunContext, level: int, start: State, masks: m.Masks, resume_state: ResumeState
) -> dict[str, Any]:
    """Train every cycle of a level; returns the numbers for `level.json`."""
    config, setup = context.config, context.setup
    progress = LevelProgress(context, level, start, masks, resume_state)
    context.load(start if resume_state.resumed is None else resume_state.resumed.weights)
    on_device = {name: mask.to(setup.device) for name, mask in masks.items()}
    started = time.perf_counter()
    for cycle, first_epoch in progress.cycles():
        train_cycle(
            context.model,
            setup.dataset,
            on_device,
            config,
            seed=context.seed,
            level=level,
            cycle=cycle,
            first_epoch=first_epoch,
            momentum=progress.momentum(cycle),
            on_epoch=progress.on_epoch,
            on_step=progress.on_step,
        )
    train_loss, train_accuracy = evaluate(context.model, setup.dataset, "train", config.precision)
    seconds, last = time.perf_counter() - started + progress.seconds_before, progress.seen[-1]
    values = [*context.model.state_dict().values(), torch.tensor(train_loss)]
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
        "mask_snapshots": _mask_overlaps(context, level, masks, progress.taken),
        "seconds": seconds,
        "images_per_s": sum(metrics.images_per_s for metrics in progress.seen) / len(progress.seen),
    }


def _mask_overlaps(context: RunContext, level: int, masks: m.Masks, taken: dict[int, m.Masks]) -> list[dict[str, int]]:
    """The overlap of each mask snapshot with the mask at the level's end.

    For each epoch of a snapshot: the number of survivors, and of those that the mask at the end keeps too.
    """
    if not taken:
        return []
    final = own_masks(context, level + 1, state_of(context.model), masks)
    return [
        {"epoch": e, "n_kept": m.count(mask), "shared": m.overlap(mask, final)} for e, mask in sorted(taken.items())
    ]


def _masks_before(context: RunContext, level: int) -> m.Masks | None:
    """The masks of the previous level; None at level 0, and if the run has no previous level."""
    place = context.level_before(level) if level else None
    return place and load_masks(*place, context.layers)


def _moments(context: RunContext, level: int, start: signs.Signs, masks: m.Masks) -> dict[str, signs.Signs | None]:
    """The sign bits that the three readings compare the end of a level with.

    A reading that does not exist is None: there may be no previous level, or the initialisation may not be that of the
    dense run.
    """
    if context.config.is_dense:
        return dict.fromkeys(signs.READINGS, start)
    if context.config.has_fresh_network:
        return {"level_start": start, "initial": None, "previous": None}
    place = context.level_before(level)
    previous = place and load_signs(*place, "end", masks)
    return {"level_start": start, "initial": load_signs(context.dense, 0, "start", masks), "previous": previous}


def _save_sign_statistics(context: RunContext) -> None:
    masks = load_masks(context.folder, context.config.levels - 1, context.layers)
    places = [(context.folder if level else context.dense, level) for level in range(context.config.levels)]
    ends, starts = ([load_signs(*place, moment, masks) for place in places] for moment in ("end", "start"))
    statistics = signs.run_statistics(ends, starts, starts[0], masks)
    context.folder.save_signs(level_record.run_signs(context.config, context.seed, statistics))
