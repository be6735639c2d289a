"""What a run is: `RunConfig`, hashed over every field that can change a result, and the run names made from it."""

import dataclasses
import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from empirics.choices import AS_LONG_AS_LRR, FRESH_REWINDS, ConfigError, choose
from empirics.config_checks import check

__all__ = ["SCHEMA", "ConfigError", "RunConfig", "choose", "config_hash"]

SCHEMA = 1

# What level 0 depends on: every arm that agrees in these fields starts from the same dense run.
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
    "mask_epochs",
)
# `arm` is what a reader calls the run; two labels for one experiment must not train it twice with other names inside.
UNHASHED_FIELDS = ("arm",)


@dataclass(frozen=True)
class RunConfig:
    """One run: a network, how it is trained, and how it is pruned and rewound between levels.

    Args:
        arm: label of the run (lower case, digits and hyphens); not hashed.
        dataset: key of `datasets.DATASETS`, or the label of an image folder.
        data_hash: SHA-256 of a data folder's content, empty for data that are one and the same for everybody.
        images_per_class: train on the first so many training images of each class; 0 takes all.
        validation_per_class: the last so many training images of each class are held out, and measured on.
        image_size: streamed images are cut to so many pixels a side; 0 takes images as they are, held in memory.
        model: key of `models.MODELS`.
        width: channels of the first stage.
        epochs: epochs a level.
        batch_size: images a step; the last short batch of an epoch is dropped.
        micro_batch: images that pass through the network together, of which batch norm takes its statistics; 0: all of
            a step's, else a divisor of them.
        lr: peak learning rate.
        schedule: key of `schedules.SCHEDULES`.
        milestones: for `step`, the fractions of the level at which the rate falls by ten.
        warmup_epochs: epochs of linear warm-up at the start of every level.
        momentum: of SGD, in [0, 1).
        weight_decay: on every parameter.
        precision: `float32`, or `bfloat16` (autocast; weights stay float32).
        mask_epochs: epochs of every level (over its cycles) after which the mask that pruning would take is compared
            with the one that it takes at the level's end.
        prune_rate: fraction of the surviving weights removed between two levels, in (0, 1).
        levels: number of levels, level 0 (dense) included.
        criterion: key of `criteria.CRITERIA`, for mask source `own`.
        densities: layer densities of masks that are chosen within layers, key of `densities.DENSITIES`.
        pruning: `iterative`, from level to level, or `one-shot`: every level is pruned at once from the dense network
            and builds on nothing else.
        scores_from: weights that the criterion scores: `trained` (at the end of the level before; one-shot: of the
            dense run) or at `initialisation`.
        rewind: key of `rewinding.REWINDS`.
        rewind_epoch: for `wr`, the epoch k of the dense run that weights return to.
        bn_rewind: whether biases and batch norm return to their initial values too.
        mask_source: `own`, `run` (another run's mask of the level), `shuffled` (that mask, permuted), `random`, or
            `dense` (nothing is pruned).
        mask_run: name of the run whose masks (and signs, for `sign-transfer`) are used.
        cycles: cycles of the schedule a level: a whole number, or `level + 1` (the control `imp-long`).
        first_level: first level that is trained; above 1 only where no level builds on another.
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
    mask_epochs: tuple[int, ...] = ()
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
        """Refuse what cannot be run, before anything is trained."""
        check(self)

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
        return level + 1 if self.cycles == AS_LONG_AS_LRR else int(self.cycles)

    @property
    def has_sign_statistics(self) -> bool:
        """Whether a sign can be followed over all levels: each is trained, and from the dense run's initialisation."""
        return not self.is_dense and self.first_level == 1 and not self.has_fresh_network

    @property
    def has_fresh_network(self) -> bool:
        """Whether its network is initialised anew, unlike that of the dense run."""
        return self.rewind in FRESH_REWINDS

    @property
    def borrows_masks(self) -> bool:
        """Whether its masks come from another run."""
        return self.mask_source in ("run", "shuffled")

    @property
    def dense(self) -> "RunConfig":
        """The run of level 0 that this run starts from: what can change level 0, everything else at its default."""
        return RunConfig(arm="dense", levels=1, **{name: getattr(self, name) for name in self._fields_of_level_0})

    @property
    def _fields_of_level_0(self) -> tuple[str, ...]:
        names = DENSE_FIELDS
        if self.cycles not in ("1", AS_LONG_AS_LRR):
            names += ("cycles",)
        if self.mask_epochs:  # level 0 compares masks of level 1, by the run's own criterion
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
    """Eight hexadecimal digits over the schema version and every field that can change a result, defaults included.

    A dense run hashes what can change level 0 only. Defaults are hashed too, so a changed default never relabels an old
    run.
    """
    text = json.dumps({"schema": SCHEMA, "config": config.record()}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:8]
