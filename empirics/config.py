"""`RunConfig`, the settings of a run, with its hash and the run's name.

The hash covers every field that can change a result.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import asdict, dataclass
from typing import Any

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
    check_choice,
)
from empirics.names import MOST_LETTERS_OF_ARM, MOST_LETTERS_OF_DATASET, MOST_LEVELS, is_slug


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """Options of a run that do not belong to its settings: threads, checkpoints, bit-exactness.

    Args:
        threads: torch threads in the process that trains.
        checkpoint_epochs: write a checkpoint every so many epochs of a level; 0: only by time.
        checkpoint_minutes: write a checkpoint after so many minutes.
        bit_exact: raise an error if inputs were made with other versions, code, hardware or thread counts.
    """

    threads: int = 1
    checkpoint_epochs: int = 0
    checkpoint_minutes: float = 5.0
    bit_exact: bool = False


__all__ = ["SCHEMA", "ConfigError", "RunConfig", "check_choice", "config_hash"]

SCHEMA = 2  # of every result file of networks; files of another schema are refused

# Run names are made from the field names and the schema number of the first schema: a field of `RunConfig` may be
# renamed, a run may not.
_HASHED_SCHEMA = 1
_HASHED_NAMES = {"mask_snapshot_epochs": "mask_epochs"}

# The fields that level 0 depends on: arms that agree in them start from the same dense run.
DENSE_FIELDS = (
    "dataset",
    "data_hash",
    "images_per_class",
    "validation_per_class",
    "image_size",
    "model",
    "width",
    "epochs",
    "batch_size",
    "micro_batch",
    "lr",
    "schedule",
    "milestones",
    "warmup_epochs",
    "momentum",
    "weight_decay",
    "precision",
    "mask_snapshot_epochs",
)
# `arm` is a label: an experiment that has two labels must be trained only once.
UNHASHED_FIELDS = ("arm",)


@dataclass(frozen=True)
class RunConfig:
    """The settings of one run: a network, its training, and its pruning and rewinding between levels.

    Args:
        arm: label of the run (lower case, digits and hyphens); not hashed.
        dataset: key of `datasets.DATASETS`, or the label of an image folder.
        data_hash: SHA-256 of a data folder's content; empty for data that are the same everywhere.
        images_per_class: train on the first so many training images of each class; 0 takes all.
        validation_per_class: the last so many training images of each class are held out for validation.
        image_size: side in pixels that streamed images are cropped to; 0: images are held in memory as they are.
        model: key of `models.MODELS`.
        width: channels of the first stage.
        epochs: epochs per level.
        batch_size: images per step; the last incomplete batch of an epoch is dropped.
        micro_batch: images per forward pass, over which batch norm computes its statistics; 0: the whole batch, else
            a divisor of `batch_size`.
        lr: peak learning rate.
        schedule: key of `schedules.SCHEDULES`.
        milestones: for `step`, the fractions of the level at which the rate is divided by ten.
        warmup_epochs: epochs of linear warm-up at the start of every level.
        momentum: of SGD, in [0, 1).
        weight_decay: on every parameter.
        precision: `float32`, or `bfloat16` (autocast; weights stay float32).
        mask_snapshot_epochs: epochs of every level (over its cycles) after which the mask that pruning would choose is
            compared with the one that it chooses at the level's end.
        prune_rate: fraction of the surviving weights removed between two levels, in (0, 1).
        levels: number of levels, level 0 (dense) included.
        criterion: key of `criteria.CRITERIA`, for mask source `own`.
        densities: layer densities of masks that are chosen within layers, key of `densities.DENSITIES`.
        pruning: `iterative`, from level to level, or `one-shot`: every level is pruned directly from the dense network
            and depends on no other level.
        scores_from: weights that the criterion scores: `trained` (at the end of the level before; one-shot: of the
            dense run) or at `initialisation`.
        rewind: key of `rewinding.REWINDS`.
        rewind_epoch: for `wr`, the epoch k of the dense run that weights return to.
        bn_rewind: whether biases and batch norm return to their initial values too.
        mask_source: `own`, `run` (another run's mask of the level), `shuffled` (that mask, permuted), `random`, or
            `dense` (nothing is pruned).
        mask_run: name of the run whose masks (and signs, for `sign-transfer`) are used.
        cycles: cycles of the schedule per level: a whole number, or `level + 1` (the control `imp-long`).
        first_level: first level that is trained; above 1 only if no level depends on another.
        perturb_rate: fraction of the surviving signs that are flipped once, in [0, 1].
        perturb_level: the level at whose start they are flipped; 0: at initialisation, before the dense run.
        perturb_scope: whether they are drawn over the network (`global`) or in each layer (`layerwise`).
    """

    arm: str = "imp"
    dataset: str = "digits"
    data_hash: str = ""
    images_per_class: int = 0
    validation_per_class: int = 0
    image_size: int = 0
    model: str = "resnet20"
    width: int = 8
    epochs: int = 16
    batch_size: int = 64
    micro_batch: int = 0
    lr: float = 0.1
    schedule: str = "cosine"
    milestones: tuple[float, ...] = ()
    warmup_epochs: int = 1
    momentum: float = 0.9
    weight_decay: float = 5e-4
    precision: str = "float32"
    mask_snapshot_epochs: tuple[int, ...] = ()
    prune_rate: float = 0.5
    levels: int = 8
    criterion: str = "magnitude"
    densities: str = "erk"
    pruning: str = "iterative"
    scores_from: str = "trained"
    rewind: str = "imp"
    rewind_epoch: int = 0
    bn_rewind: bool = True
    mask_source: str = "own"
    mask_run: str = ""
    cycles: str = "1"
    first_level: int = 1
    perturb_rate: float = 0.0
    perturb_level: int = 0
    perturb_scope: str = "global"

    def __post_init__(self) -> None:
        """Check the settings, so that an invalid one is an error before anything is trained."""
        check(self)

    @property
    def is_dense(self) -> bool:
        """Whether this is a dense run, which has level 0 only."""
        return self.levels == 1

    @property
    def trained_levels(self) -> range:
        """The levels that the run trains itself; level 0 is the dense run's."""
        return range(1) if self.is_dense else range(self.first_level, self.levels)

    def cycles_at(self, level: int) -> int:
        """Cycles of the learning-rate schedule at a level."""
        return level + 1 if self.cycles == AS_LONG_AS_LRR else int(self.cycles)

    @property
    def has_sign_statistics(self) -> bool:
        """Whether signs can be compared over all levels.

        Every level must be trained, and from the dense run's initialisation.
        """
        return not self.is_dense and self.first_level == 1 and not self.has_fresh_network

    @property
    def has_fresh_network(self) -> bool:
        """Whether the run starts from a new initialisation, not from that of the dense run."""
        return self.rewind in FRESH_REWINDS

    @property
    def uses_external_masks(self) -> bool:
        """Whether its masks come from another run."""
        return self.mask_source in ("run", "shuffled")

    @property
    def dense(self) -> "RunConfig":
        """The dense run (level 0) that this run starts from.

        It has this run's settings that can change level 0, and the default of every other setting.
        """
        return RunConfig(arm="dense", levels=1, **{name: getattr(self, name) for name in self._fields_of_level_0})

    @property
    def _fields_of_level_0(self) -> tuple[str, ...]:
        names = DENSE_FIELDS
        if self.cycles not in ("1", AS_LONG_AS_LRR):
            names += ("cycles",)
        if self.mask_snapshot_epochs:  # level 0 compares masks of level 1, by the run's own criterion
            names += ("prune_rate", "criterion", "densities")
        if self.perturb_rate and not self.perturb_level:
            names += ("perturb_rate", "perturb_scope")
        return names

    @property
    def name(self) -> str:
        """The run's name: `<arm>-<dataset>-<model>-<hash>`."""
        return f"{self.arm}-{self.dataset}-{self.model}-{config_hash(self)}"

    def record(self) -> dict[str, Any]:
        """Every hashed field, as JSON types."""
        fields = {name: getattr(self, name) for name in self._fields_of_level_0} if self.is_dense else asdict(self)
        # 1 and 1.0 are one learning rate
        floats = {field.name for field in dataclasses.fields(self) if field.type is float}
        fields = {n: float(v) if n in floats else v for n, v in fields.items() if n not in UNHASHED_FIELDS}
        return json.loads(json.dumps(fields))


def config_hash(config: RunConfig) -> str:
    """Hash of every field that can change a result, as eight hexadecimal digits.

    For a dense run only the fields that can change level 0 are hashed. Defaults are hashed too, so changing a default
    never changes which run an old name stands for.
    """
    fields = {_HASHED_NAMES.get(name, name): value for name, value in config.record().items()}
    text = json.dumps({"schema": _HASHED_SCHEMA, "config": fields}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def check(config: "RunConfig") -> None:
    """Refuse settings that cannot be run.

    Raises:
        ConfigError: names the setting, the value and what to do.
    """
    for field in dataclasses.fields(config):
        _check_type(field.name, getattr(config, field.name), field.type)
    _check_slug("arm", config.arm, MOST_LETTERS_OF_ARM)
    _check_slug("dataset", config.dataset, MOST_LETTERS_OF_DATASET)
    _check_numbers(config)
    for name, known in _CHOICES.items():
        check_choice(getattr(config, name), known, name.replace("_", " "))
    for check_some in (_check_masks, _check_schedule, _check_first_level, _check_perturbation, _check_mask_snapshots):
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


def _check_mask_snapshots(config: "RunConfig") -> None:
    epochs = config.mask_snapshot_epochs
    last = config.epochs * (1 if config.cycles == AS_LONG_AS_LRR else int(config.cycles))
    if not all(type(e) is int for e in epochs) or list(epochs) != sorted(set(epochs)):
        raise ConfigError(f"mask_snapshot_epochs must be whole numbers that rise, got {epochs}")
    if epochs and not config.rewind_epoch < epochs[0] <= epochs[-1] <= last:
        raise ConfigError(
            f"mask_snapshot_epochs must lie in [{config.rewind_epoch + 1}, {last}], the epochs of a level: {epochs}"
        )
    if epochs and config.mask_source != "own":
        raise ConfigError(
            f"mask_snapshot_epochs asks for masks of the run's own, got mask_source {config.mask_source!r}"
        )


_CHOICES = {
    "rewind": REWIND_NAMES,
    "mask_source": MASK_SOURCES,
    "pruning": PRUNING,
    "scores_from": SCORES_FROM,
    "perturb_scope": PERTURB_SCOPES,
    "precision": PRECISIONS,
}
