"""`RunConfig`, the settings of a run, with its hash and the run's name.

The hash covers every setting that can change a result.
"""

import dataclasses
import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from empirics import cycles
from empirics.choices import (
    AS_LONG_AS_LRR,
    MASK_SOURCES,
    PERTURB_SCOPES,
    PRECISIONS,
    PRUNING,
    SCORES_FROM,
    WARMUP_SHAPES,
    WARMUPS,
    ConfigError,
    check_choice,
)
from empirics.cycles import Cycle
from empirics.names import MOST_LETTERS_OF_ARM, MOST_LETTERS_OF_DATASET, MOST_LEVELS
from empirics.pruning.rules import REWINDS, RewindRule
from empirics.setting_checks import validate
from empirics.settings import (
    OneOf,
    at_least,
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
    warmup_epochs: int = setting(1, "epochs of warm-up", at_least(0), level_0=True)
    warmup: str = setting(
        "every",
        "every: each level begins with the warm-up, which is part of its epochs; once: the warm-up comes before the "
        "epochs of level 0, and later levels start at the peak rate",
        OneOf(WARMUPS),
        level_0=True,
        neutral="every",
    )
    warmup_shape: str = setting(
        "linear",
        "linear: the rate of the warm-up rises to the peak, step by step; constant: it is a tenth of the peak",
        OneOf(WARMUP_SHAPES),
        level_0=True,
        neutral="linear",
    )
    lr_floor: float = setting(
        0.0, "rate that the cosine schedule falls to; below the peak", not_negative, level_0=True, neutral=0.0
    )
    classifier_bias: bool = setting(True, "whether linear layers have a bias", level_0=True, neutral=True)
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
    rewind_epoch: int = setting(
        0,
        "the rewind point: the number of epochs of the dense run after it; 0: initialisation",
        at_least(0),
        option=False,
    )
    initial_epoch: int = setting(
        0,
        "the number of epochs of the dense run after which its signs count as initial, in sign flips",
        at_least(0),
        option=False,
        level_0=True,
        neutral=0,
    )
    bn_rewind: bool = setting(True, "whether biases and batch norm return to the rewind point too", option=False)
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
    strikes: int = setting(
        0,
        "times per level, evenly spread over its epochs, at which each sign is flipped with probability strike_rate; "
        "0: never",
        at_least(0),
        option=False,
        level_0=True,
        neutral=0,
    )
    strike_rate: float = setting(
        0.0,
        "probability with which a strike flips the sign of a surviving weight",
        within("[0, 1]", lambda v: 0 <= v <= 1),
        option=False,
        level_0=True,
        neutral=0.0,
    )
    sign_run: str = setting(
        "",
        "for `sign`, the name of the run whose signs at the end of the level before are used in place of the run's own",
        option=False,
        neutral="",
    )
    shuffled_magnitudes: bool = setting(
        False,
        "permute the magnitudes at the rewind point among the survivors of each layer",
        option=False,
        neutral=False,
    )
    fixed_signs: bool = setting(
        False,
        "from level 1 on, set a weight to zero when a step carries it across zero",
        option=False,
        neutral=False,
    )
    sculpt_factor: float = setting(
        0.0,
        "SCULPT: draw random masks of this many times the level's density, and prune by the criterion before the last "
        "cycle; 0: no",
        not_negative,
        option=False,
        neutral=0.0,
    )
    evaluate_every: int = setting(
        1,
        "evaluate on the test (and validation) images after every so many epochs of a cycle, and after its last one; "
        "training does not depend on it",
        at_least(1),
        level_0=True,
        neutral=1,
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

    def cycles_at(self, level: int) -> list[Cycle]:
        """The cycles of the learning-rate schedule at a level."""
        number = level + 1 if self.cycles == AS_LONG_AS_LRR else int(self.cycles)
        before = self.warmup_epochs if level == 0 and self.warmup == "once" else 0
        skipped = self.rewind_epoch if level and self.rewind_rule.schedule == "resume" else 0
        return cycles.cycles(number, self.epochs, before, skipped)

    def strike_epochs(self, level: int) -> dict[int, int]:
        """The epochs of a level that begin with a strike, with the strike's number from 1."""
        return cycles.strike_epochs(self.strikes, self.epochs, self.cycles_at(level)[0].start)

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


RunConfig.__doc__ = f"{RunConfig.__doc__}\n\n{documentation(RunConfig)}"
