"""`RunConfig`, the settings of a run, with its hash and the run's name.

The hash covers every setting that can change a result.
"""

import dataclasses
import hashlib
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from empirics.choices import (
    AS_LONG_AS_LRR,
    MASK_SOURCES,
    PERTURB_SCOPES,
    PRECISIONS,
    PRUNING,
    SCORES_FROM,
    ConfigError,
    check_choice,
)
from empirics.names import MOST_LETTERS_OF_ARM, MOST_LETTERS_OF_DATASET, MOST_LEVELS
from empirics.pruning.rules import REWINDS, RewindRule
from empirics.settings import (
    OneOf,
    at_least,
    check_each,
    documentation,
    fraction_removed,
    names_run,
    not_negative,
    rising_epochs,
    rising_fractions,
    setting,
    slug,
    within,
)


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


def _for_snapshots(config: "RunConfig") -> bool:
    """Whether level 0 compares masks of level 1, and so depends on how the run chooses them."""
    return bool(config.mask_snapshot_epochs)


def _from_the_start(config: "RunConfig") -> bool:
    """Whether signs are perturbed before the dense run."""
    return bool(config.perturb_rate) and not config.perturb_level


@dataclass(frozen=True)
class RunConfig:
    """The settings of one run: a network, its training, and its pruning and rewinding between levels."""

    arm: str = setting(
        "imp",
        "label of the run, lower-case words joined by hyphens; two labels of one experiment are one run",
        slug(MOST_LETTERS_OF_ARM),
        option=False,
        hashed=False,
    )
    dataset: str = setting(
        "digits",
        "key of `datasets.DATASETS`, or the label of a folder of images",
        slug(MOST_LETTERS_OF_DATASET),
        option=False,
        level_0=True,
    )
    data_hash: str = setting(
        "",
        "SHA-256 of a data folder's content; empty for data that are the same everywhere",
        option=False,
        level_0=True,
    )
    images_per_class: int = setting(
        0, "train on the first N images of each class; 0: on all", at_least(0), level_0=True
    )
    validation_per_class: int = setting(
        0, "hold out the last N training images of each class as a validation set", at_least(0), level_0=True
    )
    image_size: int = setting(
        0, "stream images and crop them to N x N pixels; 0: hold them in memory as they are", at_least(0), level_0=True
    )
    model: str = setting("resnet20", "network (`list` shows them)", level_0=True)
    width: int = setting(8, "number of channels in the first stage of the network", at_least(1), level_0=True)
    epochs: int = setting(16, "epochs per level", at_least(1), level_0=True)
    batch_size: int = setting(
        64, "images per optimisation step; the last incomplete batch of an epoch is dropped", at_least(1), level_0=True
    )
    micro_batch: int = setting(
        0,
        "images per forward pass, over which batch norm computes its statistics: a divisor of the batch size; "
        "gradients are summed over the batch; 0: the whole batch",
        at_least(0),
        level_0=True,
    )
    lr: float = setting(0.1, "peak learning rate", not_negative, level_0=True)
    schedule: str = setting("cosine", "learning-rate schedule (`list` shows them)", level_0=True)
    milestones: tuple[float, ...] = setting(
        (),
        "fractions of a level at which the step schedule divides the rate by ten; with --schedule step they default to "
        "the preset's, or to .5 and .75",
        rising_fractions,
        level_0=True,
    )
    warmup_epochs: int = setting(1, "epochs of linear warm-up at the start of every level", at_least(0), level_0=True)
    momentum: float = setting(0.9, "momentum of SGD", within("[0, 1)", lambda v: 0 <= v < 1), level_0=True)
    weight_decay: float = setting(5e-4, "weight decay, applied to every parameter", not_negative, level_0=True)
    precision: str = setting(
        "float32", "float32, or bfloat16 (autocast; weights stay float32)", OneOf(PRECISIONS), level_0=True
    )
    mask_snapshot_epochs: tuple[int, ...] = setting(
        (),
        "epochs of every level (over its cycles) after which the mask that pruning would choose is compared with the "
        "one that it chooses at the level's end",
        rising_epochs,
        option=False,
        level_0=True,
    )
    prune_rate: float = setting(
        0.5,
        "fraction of the remaining weights that is removed between two levels",
        fraction_removed,
        level_0=_for_snapshots,
    )
    levels: int = setting(8, "number of levels, including the dense level 0", at_least(1, MOST_LEVELS))
    criterion: str = setting(
        "magnitude",
        "pruning criterion of runs that choose their own masks (`list` shows them)",
        level_0=_for_snapshots,
    )
    densities: str = setting(
        "erk",
        "rule for the number of weights that each layer keeps, for masks that are chosen layer by layer (`list` shows "
        "the rules)",
        level_0=_for_snapshots,
    )
    pruning: str = setting(
        "iterative",
        "iterative: prune from level to level; one-shot: prune every level directly from the dense network",
        OneOf(PRUNING),
    )
    scores_from: str = setting(
        "trained",
        "weights that the criterion scores: trained (those of the level before; one-shot: of the dense run), or "
        "initialisation",
        OneOf(SCORES_FROM),
    )
    rewind: str = setting("imp", "rewinding rule, a key of `rules.REWINDS`", OneOf(REWINDS), option=False)
    rewind_epoch: int = setting(0, "for `wr`, the epoch of the dense run that weights return to", option=False)
    bn_rewind: bool = setting(True, "whether biases and batch norm return to their initial values too", option=False)
    mask_source: str = setting(
        "own",
        "`own`, `run` (another run's mask of the level), `shuffled` (that mask, permuted), `random`, or `dense` "
        "(nothing is pruned)",
        OneOf(MASK_SOURCES),
        option=False,
    )
    mask_run: str = setting("", "name of the run whose masks (and signs, for `sign-transfer`) are used", option=False)
    cycles: str = setting(
        "1",
        "cycles of the schedule per level: a whole number, or `level + 1` (the control `imp-long`)",
        option=False,
        level_0=lambda config: config.cycles not in ("1", AS_LONG_AS_LRR),
    )
    first_level: int = setting(
        1,
        "first level that is trained; above 1 only if no level depends on another",
        at_least(1),
        option=False,
    )
    perturb_rate: float = setting(
        0.0,
        "fraction of the remaining weights whose signs are flipped once",
        within("[0, 1]", lambda v: 0 <= v <= 1, ", a fraction of the signs"),
        level_0=_from_the_start,
    )
    perturb_level: int = setting(
        0, "level at whose start the signs are flipped; 0: at initialisation, before the dense run", at_least(0)
    )
    perturb_scope: str = setting(
        "global",
        "global: draw the flipped weights from the whole network; layerwise: draw that fraction from each layer",
        OneOf(PERTURB_SCOPES),
        level_0=_from_the_start,
    )
    # A new setting: one field here. With `neutral`, the value at which a run is as it was before, every run that is
    # stored keeps its name.

    def __post_init__(self) -> None:
        """Check the settings, so that an invalid one is an error before anything is trained."""
        validate(self)

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
        return self.rewind_rule.point == "fresh"

    @property
    def rewind_rule(self) -> RewindRule:
        """The rewinding rule."""
        return REWINDS[self.rewind]

    @property
    def uses_external_masks(self) -> bool:
        """Whether its masks come from another run."""
        return self.mask_source in ("run", "shuffled")

    @property
    def dense(self) -> "RunConfig":
        """The dense run (level 0) that this run starts from.

        It has this run's settings that can change level 0, and the default of every other setting.
        """
        return RunConfig(arm="dense", levels=1, **{f.name: getattr(self, f.name) for f in self._settings_of_level_0()})

    def _settings_of_level_0(self) -> list[dataclasses.Field]:
        return [field for field in dataclasses.fields(self) if field.metadata["level_0"](self)]

    @property
    def name(self) -> str:
        """The run's name: `<arm>-<dataset>-<model>-<hash>`."""
        return f"{self.arm}-{self.dataset}-{self.model}-{config_hash(self)}"

    def record(self) -> dict[str, Any]:
        """Every setting that is part of the run's name, as JSON types."""
        settings = self._settings_of_level_0() if self.is_dense else dataclasses.fields(self)
        values = {field: getattr(self, field.name) for field in settings}
        # 1 and 1.0 are one learning rate
        values = {field: float(value) if field.type is float else value for field, value in values.items()}
        return json.loads(json.dumps({f.name: value for f, value in values.items() if names_run(f, value)}))


def config_hash(config: RunConfig) -> str:
    """Hash of every setting that can change a result, as eight hexadecimal digits.

    For a dense run only the settings that can change level 0 are hashed. Defaults are hashed too, so changing a default
    never changes which run an old name stands for. Settings that were added later are left out at their neutral value,
    at which a run is as it was before.
    """
    fields = {_HASHED_NAMES.get(name, name): value for name, value in config.record().items()}
    text = json.dumps({"schema": _HASHED_SCHEMA, "config": fields}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def config_of(record: dict[str, Any], arm: str) -> RunConfig:
    """The `RunConfig` that a `config.json` holds.

    Raises:
        ConfigError: an unknown setting, or one that cannot be run.
    """
    known = {field.name for field in dataclasses.fields(RunConfig)} - {"arm"}
    if not set(record) <= known:
        raise ConfigError(f"unknown setting {sorted(set(record) - known)[0]!r}: another version wrote it")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    # a dense run's record holds only the fields that can change level 0
    return RunConfig(**({"levels": 1} | values if arm == "dense" else values), arm=arm)


def check_names(settings: Iterable[str], where: str) -> None:
    """Refuse names that are no settings of a run.

    Raises:
        ConfigError: names `where` they stand, and the nearest setting.
    """
    known = [field.name for field in dataclasses.fields(RunConfig)]
    for name in settings:
        check_choice(name, known, f"setting of {where}")


def validate(config: "RunConfig") -> None:
    """Refuse settings that cannot be run.

    Raises:
        ConfigError: names the setting, the value and what to do.
    """
    check_each(config)
    for check in (_check_batch, _check_masks, _check_schedule, _check_first_level, _check_perturbation):
        check(config)
    _check_mask_snapshots(config)


def _check_batch(config: "RunConfig") -> None:
    if config.micro_batch and config.batch_size % config.micro_batch:
        raise ConfigError(
            f"micro_batch must divide batch_size = {config.batch_size} (0: no parts), got {config.micro_batch}"
        )


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
    if config.rewind_rule.uses_external_signs and config.mask_source != "run":
        raise ConfigError(
            f"rewind {config.rewind!r} takes masks and signs of a run: mask_source is {config.mask_source!r}"
        )
    if config.mask_source != "own" and (config.pruning, config.scores_from) != ("iterative", "trained"):
        raise ConfigError(
            f"pruning and scores_from say how a run chooses its own masks, got {config.pruning!r} and "
            f"{config.scores_from!r} with mask_source {config.mask_source!r}"
        )


def _check_schedule(config: "RunConfig") -> None:
    if config.warmup_epochs >= config.epochs:
        most = f"{config.epochs - 1} or less" if config.epochs > 1 else "0"
        raise ConfigError(
            f"warmup_epochs must lie in [0, epochs = {config.epochs}), got {config.warmup_epochs}: use "
            f"--warmup-epochs {most}, or raise --epochs"
        )
    if (config.rewind_rule.point == "epoch") != (config.rewind_epoch > 0):
        rules = " or ".join(repr(name) for name, rule in REWINDS.items() if rule.point == "epoch")
        raise ConfigError(f"rewind_epoch goes with rewind {rules}, got {config.rewind_epoch} with {config.rewind!r}")
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
    to_a_point = [name for name, rule in REWINDS.items() if not rule.uses_trained]
    rewound = config.rewind in to_a_point and config.bn_rewind and config.mask_source != "own"
    if config.first_level > 1 and not (rewound or config.pruning == "one-shot"):
        raise ConfigError(
            f"first_level {config.first_level} skips levels that later ones build on: it needs pruning 'one-shot', or "
            f"a rewind among {', '.join(to_a_point)} with bn_rewind and masks that are not the run's own"
        )


def _check_perturbation(config: "RunConfig") -> None:
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


def _check_mask_snapshots(config: "RunConfig") -> None:
    epochs = config.mask_snapshot_epochs
    last = config.epochs * (1 if config.cycles == AS_LONG_AS_LRR else int(config.cycles))
    if epochs and not config.rewind_epoch < epochs[0] <= epochs[-1] <= last:
        raise ConfigError(
            f"mask_snapshot_epochs must lie in [{config.rewind_epoch + 1}, {last}], the epochs of a level: {epochs}"
        )
    if epochs and config.mask_source != "own":
        raise ConfigError(
            f"mask_snapshot_epochs asks for masks of the run's own, got mask_source {config.mask_source!r}"
        )


RunConfig.__doc__ = f"{RunConfig.__doc__}\n\n{documentation(RunConfig)}"
