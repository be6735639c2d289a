"""What a run is: `RunConfig`, hashed over every field that can change a result, and the run names made from it."""

import dataclasses
import difflib
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Any

SCHEMA = 1

# What level 0 depends on: every arm that agrees in these fields starts from the same dense run.
DENSE_FIELDS = (
    "dataset",
    "data_hash",
    "images_per_class",
    "model",
    "width",
    "epochs",
    "batch_size",
    "lr",
    "schedule",
    "milestones",
    "warmup_epochs",
    "momentum",
    "weight_decay",
)
# `arm` is what a reader calls the run; two labels for one experiment must not train it twice with other names inside.
UNHASHED_FIELDS = ("arm",)

REWIND_NAMES = ("imp", "wr", "lrr", "sign", "magnitude")
MASK_SOURCES = ("own", "run", "shuffled", "random")
CYCLES = ("one", "level + 1")


class ConfigError(ValueError):
    """A setting that cannot be run; the message says what it is, what was given and what to do."""


@dataclass(frozen=True)
class RunConfig:
    """One run: a network, how it is trained, and how it is pruned and rewound between levels.

    Args:
        arm: label of the run (lower case, digits and hyphens); not hashed.
        dataset: key of `datasets.DATASETS`, or the label of an image folder.
        data_hash: SHA-256 of an image folder's content, empty for embedded data.
        images_per_class: train on the first so many training images of each class; 0 takes all.
        model: key of `models.MODELS`.
        width: channels of the first stage.
        epochs: epochs a level.
        batch_size: images a step; the last short batch of an epoch is dropped.
        lr: peak learning rate.
        schedule: key of `schedules.SCHEDULES`.
        milestones: for `step`, the fractions of the level at which the rate falls by ten.
        warmup_epochs: epochs of linear warm-up at the start of every level.
        momentum: of SGD, in [0, 1).
        weight_decay: on every parameter.
        prune_rate: fraction of the surviving weights removed between two levels, in (0, 1).
        levels: number of levels, level 0 (dense) included.
        criterion: key of `criteria.CRITERIA`, for mask source `own`.
        densities: layer densities of random masks, key of `criteria.DENSITIES`.
        rewind: key of `rewinding.REWINDS`.
        rewind_epoch: for `wr`, the epoch k of the dense run that weights return to.
        bn_rewind: whether biases and batch norm return to their initial values too.
        mask_source: `own`, `run` (another run's mask of the level), `shuffled` (that mask, permuted) or `random`.
        mask_run: name of the run whose masks are used, for `run` and `shuffled`.
        cycles: cycles of the schedule a level: `one`, or `level + 1` (the control `imp-long`).
        first_level: first level that is trained; above 1 only where no level builds on another.
    """

    arm: str = "imp"
    dataset: str = "digits"
    data_hash: str = ""
    images_per_class: int = 0
    model: str = "resnet20"
    width: int = 8
    epochs: int = 16
    batch_size: int = 64
    lr: float = 0.1
    schedule: str = "cosine"
    milestones: tuple[float, ...] = ()
    warmup_epochs: int = 1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    prune_rate: float = 0.5
    levels: int = 8
    criterion: str = "magnitude"
    densities: str = "erk"
    rewind: str = "imp"
    rewind_epoch: int = 0
    bn_rewind: bool = True
    mask_source: str = "own"
    mask_run: str = ""
    cycles: str = "one"
    first_level: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be run, before anything is trained."""
        for field in dataclasses.fields(self):
            _check_type(field.name, getattr(self, field.name), field.type)
        _check_slug("arm", self.arm)
        _check_slug("dataset", self.dataset)
        _check_numbers(self)
        choose(self.rewind, REWIND_NAMES, "rewinding rule")
        choose(self.mask_source, MASK_SOURCES, "mask source")
        choose(self.cycles, CYCLES, "cycles setting")
        _check_combinations(self)

    @property
    def is_dense(self) -> bool:
        """Whether this is the run of level 0 alone."""
        return self.levels == 1

    @property
    def trained_levels(self) -> range:
        """The levels that the run trains itself; level 0 is the dense run's."""
        return range(1) if self.is_dense else range(self.first_level, self.levels)

    def cycles_at(self, level: int) -> int:
        """Cycles of the learning-rate schedule at a level."""
        return level + 1 if self.cycles == "level + 1" else 1

    @property
    def has_sign_statistics(self) -> bool:
        """Whether the run trains every level from 1 on, so that a sign can be followed over all of them."""
        return not self.is_dense and self.first_level == 1

    @property
    def dense(self) -> "RunConfig":
        """The run of level 0 that this run starts from: the dense fields, everything else at its default."""
        kept = {name: getattr(self, name) for name in DENSE_FIELDS}
        return RunConfig(arm="dense", levels=1, **kept)

    @property
    def name(self) -> str:
        """The run's name: `<arm>-<dataset>-<model>-<hash>`."""
        return f"{self.arm}-{self.dataset}-{self.model}-{config_hash(self)}"

    def record(self) -> dict[str, Any]:
        """Every hashed field, as JSON types."""
        fields = dataclasses.asdict(self) if not self.is_dense else {name: getattr(self, name) for name in DENSE_FIELDS}
        # 1 and 1.0 are one learning rate
        floats = {field.name for field in dataclasses.fields(self) if field.type is float}
        fields = {n: float(v) if n in floats else v for n, v in fields.items() if n not in UNHASHED_FIELDS}
        return json.loads(json.dumps(fields))


def config_hash(config: RunConfig) -> str:
    """Eight hexadecimal digits over the schema version and every field that can change a result, defaults included.

    A dense run hashes `DENSE_FIELDS` only. Defaults are hashed too, so a changed default never relabels an old run.
    """
    text = json.dumps({"schema": SCHEMA, "config": config.record()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def choose(name: str, known: Any, what: str) -> str:
    """`name` if it is known, else an error that lists the known names, nearest first."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, list(known), n=len(list(known)), cutoff=0.0)
    offer = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"unknown {what} {name!r}: {offer}known: {', '.join(near)}")


def _check_type(name: str, value: Any, kind: Any) -> None:
    kinds: dict[Any, tuple[type, ...]] = {float: (int, float), tuple[float, ...]: (tuple,)}
    wanted = kinds.get(kind, (kind,))
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind is not bool):
        raise ConfigError(f"{name} must be {getattr(kind, '__name__', kind)}, got {value!r}")


def _check_slug(name: str, value: str) -> None:
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
        raise ConfigError(f"{name} must be lower-case words joined by hyphens, got {value!r}")


def _check_numbers(config: RunConfig) -> None:
    if not 0 < config.prune_rate < 1:
        rate = config.prune_rate
        hint = f": {rate:g} % is written {rate / 100:g}" if 1 <= rate < 100 else ""
        raise ConfigError(f"prune_rate must lie in (0, 1), got {rate:g}{hint}")
    for name in ("width", "epochs", "batch_size", "levels", "first_level"):
        if getattr(config, name) < 1:
            raise ConfigError(f"{name} must be at least 1, got {getattr(config, name)}")
    if config.images_per_class < 0:
        raise ConfigError(f"images_per_class must be 0 (all) or more, got {config.images_per_class}")
    if not 0 <= config.warmup_epochs < config.epochs:
        raise ConfigError(f"warmup_epochs must lie in [0, epochs = {config.epochs}), got {config.warmup_epochs}")
    if not 0 <= config.momentum < 1:
        raise ConfigError(f"momentum must lie in [0, 1), got {config.momentum:g}")
    for name in ("lr", "weight_decay"):
        if not 0 <= getattr(config, name) < float("inf"):
            raise ConfigError(f"{name} must be finite and not negative, got {getattr(config, name)}")
    if not all(isinstance(m, (int, float)) for m in config.milestones):
        raise ConfigError(f"milestones must be numbers, got {config.milestones}")
    if any(not 0 < m < 1 for m in config.milestones) or list(config.milestones) != sorted(set(config.milestones)):
        raise ConfigError(f"milestones must rise within (0, 1): fractions of the level, got {config.milestones}")


def _check_combinations(config: RunConfig) -> None:
    borrows = config.mask_source in ("run", "shuffled")
    if borrows != bool(config.mask_run):
        raise ConfigError(
            f"mask_source {config.mask_source!r} "
            + ("needs mask_run, the name of the run whose masks it takes" if borrows else "takes no mask_run")
            + f", got {config.mask_run!r}"
        )
    if (config.rewind == "wr") != (config.rewind_epoch > 0):
        raise ConfigError(f"rewind_epoch goes with rewind 'wr', got {config.rewind_epoch} with {config.rewind!r}")
    if not 0 <= config.rewind_epoch < config.epochs:
        raise ConfigError(f"rewind_epoch must lie in [0, epochs = {config.epochs}), got {config.rewind_epoch}")
    if config.levels > 1 and not 1 <= config.first_level < config.levels:
        raise ConfigError(f"first_level must lie in [1, levels = {config.levels}), got {config.first_level}")
    if (config.schedule == "step") != bool(config.milestones):
        raise ConfigError(f"milestones go with schedule 'step', got {config.milestones} with {config.schedule!r}")
    independent = config.rewind in ("imp", "wr") and config.bn_rewind and config.mask_source != "own"
    if config.first_level > 1 and not independent:
        raise ConfigError(
            f"first_level {config.first_level} skips levels that later ones build on: "
            "it needs rewind 'imp' or 'wr', bn_rewind, and masks that are not the run's own"
        )
    if config.cycles != "one" and not (config.rewind == "imp" and config.mask_source != "own"):
        raise ConfigError(
            "cycles 'level + 1' is a control on given masks: it needs rewind 'imp' and another mask source"
        )
