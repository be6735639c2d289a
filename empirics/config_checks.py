"""What makes a `RunConfig` one that can be run: each setting by itself, and those that go together."""

import dataclasses
import re
from typing import TYPE_CHECKING, Any

from empirics.choices import (
    AS_LONG_AS_LRR,
    FRESH_REWINDS,
    MASK_SOURCES,
    PERTURB_SCOPES,
    PRECISIONS,
    PRUNING,
    REWIND_NAMES,
    REWINDS_TO_A_POINT,
    SCORES_FROM,
    ConfigError,
    choose,
)
from empirics.names import MOST_LETTERS_OF_ARM, MOST_LETTERS_OF_DATASET, MOST_LEVELS, is_slug

if TYPE_CHECKING:
    from empirics.config import RunConfig


def check(config: "RunConfig") -> None:
    """Refuse what cannot be run.

    Raises:
        ConfigError: the setting, what was given, and what to do.
    """
    for field in dataclasses.fields(config):
        _check_type(field.name, getattr(config, field.name), field.type)
    _check_slug("arm", config.arm, MOST_LETTERS_OF_ARM)
    _check_slug("dataset", config.dataset, MOST_LETTERS_OF_DATASET)
    _check_numbers(config)
    for name, known in _CHOICES.items():
        choose(getattr(config, name), known, name.replace("_", " "))
    for check_some in (_check_masks, _check_schedule, _check_first_level, _check_perturbation, _check_mask_epochs):
        check_some(config)


def _check_type(name: str, value: Any, kind: Any) -> None:
    kinds: dict[Any, tuple[type, ...]] = {float: (int, float), tuple[float, ...]: (tuple,), tuple[int, ...]: (tuple,)}
    wanted = kinds.get(kind, (kind,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name} must be {getattr(kind, '__name__', kind)}, got {value!r}")


def _check_slug(name: str, value: str, most: int) -> None:
    if not is_slug(value):
        raise ConfigError(f"{name} must be lower-case words joined by hyphens, got {value!r}")
    if len(value) > most:
        raise ConfigError(f"{name} must have at most {most} letters, got {len(value)}: {value[:20]}...")


def _check_numbers(config: "RunConfig") -> None:
    if not 0 < config.prune_rate < 1:
        rate = config.prune_rate
        hint = f": {rate:g} % is written {rate / 100:g}" if 1 <= rate < 100 else ""
        raise ConfigError(f"prune_rate must lie in (0, 1), got {rate:g}{hint}")
    for name in ("width", "epochs", "batch_size", "levels", "first_level"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1, got {getattr(config, name)}")
    if config.levels > MOST_LEVELS:
        raise ConfigError(f"levels must be at most {MOST_LEVELS}, got {config.levels}")
    for name in ("images_per_class", "validation_per_class", "image_size", "micro_batch", "perturb_level"):
        if getattr(config, name) < 0:
            raise ConfigError(f"{name} must be 0 or more, got {getattr(config, name)}")
    if config.micro_batch and config.batch_size % config.micro_batch:
        raise ConfigError(
            f"micro_batch must divide batch_size = {config.batch_size} (0: no parts), got {config.micro_batch}"
        )
    if not 0 <= config.perturb_rate <= 1:
        raise ConfigError(f"perturb_rate must lie in [0, 1], a fraction of the signs, got {config.perturb_rate:g}")
    if not 0 <= config.warmup_epochs < config.epochs:
        raise ConfigError(
            f"warmup_epochs must lie in [0, epochs = {config.epochs}), got {config.warmup_epochs}: lower "
            "--warmup-epochs, or raise --epochs"
        )
    if not 0 <= config.momentum < 1:
        raise ConfigError(f"momentum must lie in [0, 1), got {config.momentum:g}")
    for name in ("lr", "weight_decay"):
        if not 0 <= getattr(config, name) < float("inf"):
            raise ConfigError(f"{name} must be finite and not negative, got {getattr(config, name)}")
    if not all(isinstance(m, (int, float)) for m in config.milestones):
        raise ConfigError(f"milestones must be numbers, got {config.milestones}")
    if any(not 0 < m < 1 for m in config.milestones) or list(config.milestones) != sorted(set(config.milestones)):
        raise ConfigError(f"milestones must rise within (0, 1): fractions of the level, got {config.milestones}")


def _check_masks(config: "RunConfig") -> None:
    if config.borrows_masks != bool(config.mask_run):
        raise ConfigError(
            f"mask_source {config.mask_source!r} "
            + (
                "needs mask_run, the name of the run whose masks it takes"
                if config.borrows_masks
                else "takes no mask_run"
            )
            + f", got {config.mask_run!r}"
        )
    if config.rewind == "sign-transfer" and config.mask_source != "run":
        raise ConfigError(
            f"rewind 'sign-transfer' takes masks and signs of a run: mask_source is {config.mask_source!r}"
        )
    if config.mask_source != "own" and (config.pruning, config.scores_from) != ("iterative", "trained"):
        raise ConfigError(
            f"pruning and scores_from say how a run chooses its own masks, got {config.pruning!r} and "
            f"{config.scores_from!r} with mask_source {config.mask_source!r}"
        )


def _check_schedule(config: "RunConfig") -> None:
    if (config.rewind == "wr") != (config.rewind_epoch > 0):
        raise ConfigError(f"rewind_epoch goes with rewind 'wr', got {config.rewind_epoch} with {config.rewind!r}")
    if not 0 <= config.rewind_epoch < config.epochs:
        raise ConfigError(f"rewind_epoch must lie in [0, epochs = {config.epochs}), got {config.rewind_epoch}")
    if (config.schedule == "step") != bool(config.milestones):
        raise ConfigError(f"milestones go with schedule 'step', got {config.milestones} with {config.schedule!r}")
    if config.cycles != AS_LONG_AS_LRR and not re.fullmatch("[1-9][0-9]*", config.cycles):
        raise ConfigError(f"cycles must be a whole number or {AS_LONG_AS_LRR!r}, got {config.cycles!r}")
    if config.cycles == AS_LONG_AS_LRR and not (config.rewind == "imp" and config.mask_source != "own"):
        raise ConfigError(
            f"cycles {AS_LONG_AS_LRR!r} is a control on given masks: it needs rewind 'imp' and another mask source"
        )


def _check_first_level(config: "RunConfig") -> None:
    if config.levels > 1 and not 1 <= config.first_level < config.levels:
        raise ConfigError(f"first_level must lie in [1, levels = {config.levels}), got {config.first_level}")
    rewound = config.rewind in REWINDS_TO_A_POINT and config.bn_rewind and config.mask_source != "own"
    if config.first_level > 1 and not (rewound or config.pruning == "one-shot"):
        raise ConfigError(
            f"first_level {config.first_level} skips levels that later ones build on: it needs pruning 'one-shot', or "
            f"a rewind among {', '.join(REWINDS_TO_A_POINT)} with bn_rewind and masks that are not the run's own"
        )


def _check_perturbation(config: "RunConfig") -> None:
    if not config.perturb_rate:
        if config.perturb_level or config.perturb_scope != "global":
            raise ConfigError("perturb_level and perturb_scope go with a perturb_rate above 0")
    elif config.rewind in FRESH_REWINDS:
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


def _check_mask_epochs(config: "RunConfig") -> None:
    epochs = config.mask_epochs
    last = config.epochs * (1 if config.cycles == AS_LONG_AS_LRR else int(config.cycles))
    if not all(type(e) is int for e in epochs) or list(epochs) != sorted(set(epochs)):
        raise ConfigError(f"mask_epochs must be whole numbers that rise, got {epochs}")
    if epochs and not config.rewind_epoch < epochs[0] <= epochs[-1] <= last:
        raise ConfigError(
            f"mask_epochs must lie in [{config.rewind_epoch + 1}, {last}], the epochs of a level: {epochs}"
        )
    if epochs and config.mask_source != "own":
        raise ConfigError(f"mask_epochs asks for masks of the run's own, got mask_source {config.mask_source!r}")


_CHOICES = {
    "rewind": REWIND_NAMES,
    "mask_source": MASK_SOURCES,
    "pruning": PRUNING,
    "scores_from": SCORES_FROM,
    "perturb_scope": PERTURB_SCOPES,
    "precision": PRECISIONS,
}
