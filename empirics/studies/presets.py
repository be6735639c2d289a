"""Presets: the studies of the paper and of this project, with the source of each setting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from empirics.choices import check_choice
from empirics.config import RunConfig, check_names
from empirics.studies.arms import needed_arms, resolve
from empirics.studies.protocols import AUTHORS, OURS, SOURCES, settings_under
from empirics.studies.tiers import Pilot, StudyPlan, Tier

__all__ = ["PRESETS", "Preset", "arm_config", "needed_arms"]


@dataclass(frozen=True)
class Variant:
    """What a protocol changes in one preset, in addition to what it changes in all.

    Args:
        settings: fields of `RunConfig`.
        sources: setting -> source, for Table 1, of every setting that differs under the protocol.
        arms: keys of `ARMS`; empty: those of the preset.
    """

    settings: Mapping[str, Any] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict)
    arms: Sequence[str] = ()


@dataclass(frozen=True)
class Preset:
    """A study: one data set and network, its arms and seeds, and where each setting comes from.

    Args:
        about: one line for `list`.
        settings: fields of `RunConfig` shared by all arms.
        arms: keys of `ARMS`.
        seeds: default seeds.
        sources: setting -> source, for Table 1: `summary`, `code: NAME` or `ours` (chosen by this project).
        sweep_on: settings that all sweeps of the preset use, if its own settings would take too long; its sweeps also
            have fewer values then.
        smoke: whether it only shows that everything runs; its results are marked, and no claim is judged on them.
        protocols: what a protocol (key of `protocols.PROTOCOLS`) changes in this preset.
        plan: the seeds of each arm, in tiers, of a study whose n was fixed before its data; None: all arms on `seeds`.
        control_levels: how many of the last levels the controls of training length train; None: as the arms say.
    """

    about: str
    settings: Mapping[str, Any]
    arms: Sequence[str]
    seeds: Sequence[int]
    sources: Mapping[str, str]
    sweep_on: Mapping[str, Any] = field(default_factory=dict)
    smoke: bool = False
    protocols: Mapping[str, Variant] = field(default_factory=dict)
    plan: StudyPlan | None = None
    control_levels: int | None = None

    def __post_init__(self) -> None:
        """Refuse a value for what is no setting."""
        variants = [name for variant in self.protocols.values() for name in variant.settings]
        check_names([*self.settings, *self.sweep_on, *variants], f"the preset {self.about!r}")


def arm_config(preset: str, arm: str, protocol: str = OURS, **overrides: Any) -> RunConfig:
    """The run of one arm of a preset.

    Args:
        preset: key of `PRESETS`.
        arm: key of `ARMS`.
        protocol: key of `protocols.PROTOCOLS`.
        overrides: settings of the preset that are changed, such as `prune_rate`, or the `dataset` label and `data_hash`
            of an image folder that takes the place of the preset's data set.

    Raises:
        ConfigError: an unknown preset or arm, nearest name offered; a setting that cannot be run.
    """
    spec = PRESETS[check_choice(preset, PRESETS, "preset")]
    return resolve(arm, settings_under(protocol, spec, overrides), spec.control_levels)


_EXCHANGE = ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "imp-on-random-mask", "lrr-on-random-mask")
_STORY = (
    *_EXCHANGE,
    "imp-on-shuffled-mask",
    "lrr-on-shuffled-mask",
    "imp-bn-kept-on-random-mask",
    "lrr-bn-rewind-on-random-mask",
    "imp-bn-kept",
    "lrr-bn-rewind",
    "sign",
    "magnitude",
    "imp-long",
    "imp-long-on-shuffled-mask",
    "imp-long-on-random-mask",
    "imp-without-warmup",
    "lrr-without-warmup",
)
_PAPER = (*_STORY, "imp-warm", "lrr-bn-rewind-on-imp-mask", "imp-perturbed", "lrr-perturbed")
_TWO_MORE = ("magnitude-bn-kept", "imp-perturbed-often", "lrr-perturbed-often", "imp-warmup-every", "lrr-warmup-every")
# arms of claims 5, 6, 7, 9, 10, 11, 12 and 14
_TURNING = (
    "imp",
    "lrr",
    "imp-on-lrr-mask",
    "lrr-on-imp-mask",
    "lrr-bn-rewind-on-imp-mask",
    "imp-bn-kept",
    "lrr-bn-rewind",
    "sign",
    "magnitude",
    "imp-long",
    "imp-perturbed",
    "lrr-perturbed",
    "imp-without-warmup",
    "lrr-without-warmup",
    *_TWO_MORE,
)
# n of each arm was fixed before the data: six seeds for the primary claims (5, 7, 14) and what stands beside them
_SIX = tuple(range(6))
_FOUR = tuple(range(4))
_CIFAR_PLAN = StudyPlan(
    (
        Tier(
            "A",
            ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "lrr-bn-rewind", "sign", "magnitude", "imp-long"),
            _SIX,
        ),
        Tier("B", ("imp-warm",), _SIX),
        Tier("B", ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask"), _SIX, AUTHORS),
        Tier("C", ("imp-on-random-mask", "lrr-on-random-mask", "imp-long-on-random-mask", "imp-bn-kept"), _FOUR),
        Tier(
            "D",
            (
                "imp-on-shuffled-mask",
                "lrr-on-shuffled-mask",
                "imp-long-on-shuffled-mask",
                "imp-without-warmup",
                "lrr-without-warmup",
            ),
            _FOUR,
        ),
    ),
    Pilot(),
)
_GROUP = "code: TurboPrune"
_RENDA = "code: Renda et al."
_GROUP_LEVELS = {
    "schedule": "step",
    "milestones": (0.5, 0.75),
    "epochs": 150,
    "warmup_epochs": 10,
    "prune_rate": 0.2,
    "levels": 25,
}
_GROUP_RESNET18 = {
    "model": "resnet18",
    "width": 64,
    "batch_size": 256,
    "lr": 0.1,
    "weight_decay": 5e-4,
    **_GROUP_LEVELS,
}
_PAPER_SOURCES = {
    "dataset": "summary",
    "model": "summary",
    "criterion": "summary",
    **dict.fromkeys(("momentum", "optimizer"), _GROUP),
}
_LEVEL_SOURCES = dict.fromkeys(("epochs", "warmup_epochs", "prune_rate", "levels"), _GROUP)
_GROUP_SOURCES = {**_PAPER_SOURCES, **_LEVEL_SOURCES, **dict.fromkeys(("batch_size", "lr", "weight_decay"), _GROUP)}

_OF_IMAGENET = ("momentum", "optimizer", "schedule", "prune_rate", "levels", "seeds", "accuracy")

# A new preset: one entry here.
PRESETS: dict[str, Preset] = {
    "quick": Preset(
        about="scikit-learn's digits, ResNet20 of width 8: all figures and claims in about an hour on 2 cores",
        settings={
            "dataset": "digits",
            "model": "resnet20",
            "width": 8,
            "batch_size": 64,
            "lr": 0.1,
            "schedule": "cosine",
            "epochs": 16,
            "warmup_epochs": 1,
            "weight_decay": 5e-4,
            "prune_rate": 0.5,
            "levels": 8,
        },
        # levels 0 to 3, density .0156 at the last: 1,204 weights, on which networks still work
        sweep_on={"model": "resnet8", "width": 16, "prune_rate": 0.75, "levels": 4},
        arms=(*_STORY, "imp-warm", "cyclic-random"),  # signs are perturbed in a sweep
        seeds=(0, 1, 2, 3),
        sources={"model": "summary"},
        protocols={AUTHORS: Variant(arms=_TURNING)},
    ),
    "smoke": Preset(
        about="a minute on digits, to see that everything runs: no evidence for anything",
        settings={
            "dataset": "digits",
            "model": "resnet8",
            "width": 8,
            "batch_size": 64,
            "lr": 0.1,
            "schedule": "cosine",
            "epochs": 4,
            "warmup_epochs": 1,
            "weight_decay": 5e-4,
            "prune_rate": 0.75,
            "levels": 4,
        },
        arms=("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "imp-long"),
        seeds=(0, 1),
        sources={},
        smoke=True,
    ),
    "cifar10-small": Preset(
        about="2,000 images a class of CIFAR-10, ResNet8 of width 8: seeds planned in tiers, 95 min a seed of tier A",
        settings={
            "dataset": "cifar10",
            "images_per_class": 2000,
            "model": "resnet8",
            "width": 8,
            "batch_size": 64,
            "lr": 0.2,
            "schedule": "cosine",
            "epochs": 10,
            "warmup_epochs": 1,
            "weight_decay": 5e-4,
            # not bfloat16: seeds may be trained on several machines, and without AVX-512 it takes 14 times as long
            "precision": "float32",
            "evaluate_every": 10,
            "prune_rate": 0.6,
            "levels": 6,
        },
        arms=_CIFAR_PLAN.arms(OURS),
        seeds=_SIX,
        sources={},
        protocols={AUTHORS: Variant(arms=_CIFAR_PLAN.arms(AUTHORS))},
        plan=_CIFAR_PLAN,
        control_levels=1,
    ),
    "cifar10": Preset(
        about="CIFAR-10, ResNet20, 150 epochs a level, 25 levels",
        settings={
            "dataset": "cifar10",
            "model": "resnet20",
            "width": 16,
            "batch_size": 128,
            "lr": 0.1,
            "weight_decay": 1e-4,
            **_GROUP_LEVELS,
        },
        arms=_PAPER,
        seeds=(0, 1, 2, 3),
        sources={
            **_PAPER_SOURCES,
            **_LEVEL_SOURCES,
            **dict.fromkeys(("batch_size", "lr", "weight_decay", "schedule", "milestones"), "code: open_lth"),
        },
        protocols={AUTHORS: Variant({"batch_size": 256}, SOURCES, (*_PAPER, *_TWO_MORE))},
    ),
    "cifar100": Preset(
        about="CIFAR-100, ResNet18, 150 epochs a level, 25 levels",
        settings={"dataset": "cifar100", **_GROUP_RESNET18},
        arms=_PAPER,
        seeds=(0, 1, 2, 3),
        sources=_GROUP_SOURCES,
        protocols={AUTHORS: Variant({"weight_decay": 1e-3}, SOURCES, (*_PAPER, *_TWO_MORE))},
    ),
    "tiny-imagenet": Preset(
        about="Tiny ImageNet, ResNet18, 150 epochs a level, 25 levels",
        settings={"dataset": "tiny-imagenet", **_GROUP_RESNET18},
        arms=_PAPER,
        seeds=(0, 1, 2, 3),
        sources=_GROUP_SOURCES,
        protocols={
            AUTHORS: Variant(
                {"image_size": 224},
                {**SOURCES, "weight_decay": _GROUP, "augmentation": SOURCES["lr"]},
                (*_PAPER, *_TWO_MORE),
            )
        },
    ),
    "imagenet": Preset(
        about="ImageNet, ResNet50, 90 epochs a level, 15 levels",
        settings={
            "dataset": "imagenet",
            "image_size": 224,
            "model": "resnet50",
            "width": 64,
            "batch_size": 1024,
            "micro_batch": 256,
            "lr": 0.4,
            "schedule": "step",
            "milestones": (30 / 90, 60 / 90, 80 / 90),
            "epochs": 90,
            "warmup_epochs": 5,
            "weight_decay": 1e-4,
            "prune_rate": 0.2,
            "levels": 15,
        },
        arms=_PAPER,
        seeds=(0, 1, 2, 3),
        sources={
            **_PAPER_SOURCES,
            **dict.fromkeys(("batch_size", "lr", "schedule", "milestones", "warmup_epochs", "weight_decay"), _RENDA),
            **dict.fromkeys(("epochs", "prune_rate"), _GROUP),
        },
        protocols={
            AUTHORS: Variant(
                {
                    "warmup": "every",
                    "warmup_shape": "constant",
                    "warmup_epochs": 10,
                    "milestones": (40 / 90, 70 / 90),
                },
                {name: SOURCES[name] for name in _OF_IMAGENET} | {"epochs": SOURCES["schedule"]},
                (*_PAPER, *_TWO_MORE),
            )
        },
    ),
}
