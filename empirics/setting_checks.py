"""The checks of a run's settings: each one alone, and those that hold between several.

A new condition between settings is a function here, called by `validate`.
"""

import re
from typing import Any

from empirics.choices import AS_LONG_AS_LRR, ConfigError
from empirics.pruning.rules import REWINDS
from empirics.settings import check_each


def validate(config: Any) -> None:
    """Refuse settings that cannot be run.

    Raises:
        ConfigError: names the setting, the value and what to do.
    """
    check_each(config)
    for check in (
        _check_batch,
        _check_masks,
        _check_schedule,
        _check_rewind_point,
        _check_strikes,
        _check_sculpt,
        _check_first_level,
        _check_perturbation,
        _check_mask_snapshots,
    ):
        check(config)


def _check_batch(config: Any) -> None:
    if config.micro_batch and config.batch_size % config.micro_batch:
        raise ConfigError(
            f"micro_batch must divide batch_size = {config.batch_size} (0: no parts), got {config.micro_batch}"
        )


def _check_masks(config: Any) -> None:
    if config.uses_external_masks != bool(config.mask_run):
        raise ConfigError(
            f"mask_source {config.mask_source!r} "
            + (
                "needs mask_run, the name of the run whose masks it takes"
                if config.uses_external_masks
                else "takes no mask_run"
            )
            + f", got {config.mask_run!r}"
        )
    if config.rewind_rule.uses_external_signs and config.mask_source != "run":
        raise ConfigError(
            f"rewind {config.rewind!r} takes masks and signs of a run: mask_source is {config.mask_source!r}"
        )
    if config.mask_source != "own" and (config.pruning, config.scores_from) != ("iterative", "trained"):
        raise ConfigError(
            f"pruning and scores_from say how a run chooses its own masks, got {config.pruning!r} and "
            f"{config.scores_from!r} with mask_source {config.mask_source!r}"
        )


def _check_schedule(config: Any) -> None:
    if config.warmup_epochs >= config.epochs:
        most = f"{config.epochs - 1} or less" if config.epochs > 1 else "0"
        raise ConfigError(
            f"warmup_epochs must lie in [0, epochs = {config.epochs}), got {config.warmup_epochs}: use "
            f"--warmup-epochs {most}, or raise --epochs"
        )
    if not config.warmup_epochs and (config.warmup, config.warmup_shape) != ("every", "linear"):
        raise ConfigError(
            f"warmup {config.warmup!r} and warmup_shape {config.warmup_shape!r} go with warmup_epochs above 0"
        )
    if config.lr_floor and not (config.schedule == "cosine" and config.lr_floor < config.lr):
        raise ConfigError(
            f"lr_floor goes with schedule 'cosine' and lies below lr = {config.lr:g}, got {config.lr_floor:g} with "
            f"{config.schedule!r}"
        )
    if (config.schedule == "step") != bool(config.milestones):
        raise ConfigError(f"milestones go with schedule 'step', got {config.milestones} with {config.schedule!r}")
    if config.cycles != AS_LONG_AS_LRR and not re.fullmatch("[1-9][0-9]*", config.cycles):
        raise ConfigError(f"cycles must be a whole number or {AS_LONG_AS_LRR!r}, got {config.cycles!r}")
    if config.cycles == AS_LONG_AS_LRR and not (config.rewind == "imp" and config.mask_source != "own"):
        raise ConfigError(
            f"cycles {AS_LONG_AS_LRR!r} is a control on given masks: it needs rewind 'imp' and another mask source"
        )


def _check_rewind_point(config: Any) -> None:
    for name in ("rewind_epoch", "initial_epoch"):
        if getattr(config, name) >= config.epochs:
            raise ConfigError(f"{name} must lie in [0, epochs = {config.epochs}), got {getattr(config, name)}")
    if config.has_fresh_network and config.rewind_epoch:
        raise ConfigError(
            f"rewind_epoch is a point of the dense run: rewind {config.rewind!r} starts from another network, got "
            f"{config.rewind_epoch}"
        )
    if config.rewind_rule.schedule == "resume" and not config.rewind_epoch:
        raise ConfigError(f"rewind {config.rewind!r} resumes the schedule at rewind_epoch, which must be above 0")
    if config.rewind_rule.schedule == "resume" and config.warmup == "once":
        raise ConfigError(
            f"rewind {config.rewind!r} is `imp` with warmup 'once', whose rewind point comes before the schedule: use "
            "rewind 'imp'"
        )
    if config.rewind != "sign" and (config.sign_run or config.shuffled_magnitudes):
        raise ConfigError(f"sign_run and shuffled_magnitudes go with rewind 'sign', got {config.rewind!r}")


def _check_strikes(config: Any) -> None:
    if bool(config.strikes) != bool(config.strike_rate):
        raise ConfigError(
            f"strikes and strike_rate go together: got strikes {config.strikes}, strike_rate {config.strike_rate:g}"
        )
    if config.strikes and config.cycles != "1":
        raise ConfigError(f"strikes go with one cycle per level, got cycles {config.cycles!r}")


def _check_sculpt(config: Any) -> None:
    if not config.sculpt_factor:
        return
    if config.sculpt_factor < 1:
        raise ConfigError(f"sculpt_factor must be 0 (no) or at least 1, got {config.sculpt_factor:g}")
    if config.mask_source != "random" or config.cycles != AS_LONG_AS_LRR:
        raise ConfigError(
            f"sculpt_factor goes with mask_source 'random' and cycles {AS_LONG_AS_LRR!r}, got {config.mask_source!r} "
            f"and {config.cycles!r}"
        )


def _check_first_level(config: Any) -> None:
    if config.levels > 1 and not 1 <= config.first_level < config.levels:
        raise ConfigError(f"first_level must lie in [1, levels = {config.levels}), got {config.first_level}")
    to_a_point = [name for name, rule in REWINDS.items() if not rule.uses_trained]
    rewound = config.rewind in to_a_point and config.bn_rewind and config.mask_source != "own"
    if config.first_level > 1 and not (rewound or config.pruning == "one-shot"):
        raise ConfigError(
            f"first_level {config.first_level} skips levels that later ones build on: it needs pruning 'one-shot', or "
            f"a rewind among {', '.join(to_a_point)} with bn_rewind and masks that are not the run's own"
        )


def _check_perturbation(config: Any) -> None:
    if not config.perturb_rate:
        if config.perturb_level or config.perturb_scope != "global":
            raise ConfigError("perturb_level and perturb_scope go with a perturb_rate above 0")
    elif config.has_fresh_network:
        raise ConfigError(f"perturb_rate flips signs of the dense run's network: rewind {config.rewind!r} has another")
    elif config.perturb_level and config.pruning == "one-shot":
        raise ConfigError(
            "perturb_level must be 0 (initialisation) with pruning 'one-shot', where no level builds on another, "
            f"got {config.perturb_level}"
        )
    elif config.perturb_level and not config.first_level <= config.perturb_level < config.levels:
        raise ConfigError(
            f"perturb_level must be 0 (initialisation) or lie in [{config.first_level}, levels = {config.levels}), "
            f"got {config.perturb_level}"
        )


def _check_mask_snapshots(config: Any) -> None:
    epochs = config.mask_snapshot_epochs
    last = config.epochs * (1 if config.cycles == AS_LONG_AS_LRR else int(config.cycles))
    first = config.rewind_epoch if config.rewind_rule.schedule == "resume" else 0
    if epochs and not first < epochs[0] <= epochs[-1] <= last:
        raise ConfigError(f"mask_snapshot_epochs must lie in [{first + 1}, {last}], the epochs of a level: {epochs}")
    if epochs and config.mask_source != "own":
        raise ConfigError(
            f"mask_snapshot_epochs asks for masks of the run's own, got mask_source {config.mask_source!r}"
        )
