"""Presets: the studies of the paper and ours, with the source of each setting, and what is varied in them."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.arms import Settings, needed_arms, resolve
from empirics.choices import choose
from empirics.config import RunConfig

__all__ = ["PRESETS", "VARIATIONS", "Preset", "Variation", "arm_config", "needed_arms"]


@dataclass(frozen=True)
class Preset:
    """A study: one data set and network, its arms and seeds, and where each setting comes from.

    Args:
        about: one line for `list`.
        settings: fields of `RunConfig` shared by all arms.
        arms: keys of `ARMS`.
        seeds: default seeds.
        sources: setting -> source, for Table 1: `summary`, `code: NAME` or `ours`.
        train_images, test_images: of the data set, for estimates made before the data are there.
        image_shape: (channels, height, width), for the same.
        classes: number of classes, for the same.
    """

    about: str
    settings: Mapping[str, Any]
    arms: Sequence[str]
    seeds: Sequence[int]
    sources: Mapping[str, str]
    train_images: int
    test_images: int
    image_shape: tuple[int, int, int]
    classes: int


@dataclass(frozen=True)
class Variation:
    """One thing that is varied in a preset: a study for each of its values.

    Args:
        about: one line for `list`.
        arms: trained at each value.
        values: the settings that are changed, for each value, from the preset's settings.
    """

    about: str
    arms: Sequence[str]
    values: Callable[[Settings], Sequence[dict[str, Any]]]


def arm_config(preset: str, arm: str, **overrides: Any) -> RunConfig:
    """The run of one arm of a preset.

    Args:
        preset: key of `PRESETS`.
        arm: key of `ARMS`.
        overrides: settings of the preset that are changed, such as `prune_rate`, or the `dataset` label and `data_hash`
            of an image folder that takes the place of the preset's data set.

    Raises:
        ConfigError: an unknown preset or arm, nearest name offered; a setting that cannot be run.
    """
    return resolve(arm, {**PRESETS[choose(preset, PRESETS, "preset")].settings, **overrides})


_EXCHANGE = ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "imp-on-random-mask", "lrr-on-random-mask")
_PAPER = (
    *_EXCHANGE,
    "imp-on-shuffled-mask",
    "lrr-on-shuffled-mask",
    "imp-bn-kept",
    "lrr-bn-rewind",
    "sign",
    "magnitude",
    "imp-long",
    "imp-perturbed",
    "lrr-perturbed",
    "imp-without-warmup",
    "lrr-without-warmup",
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

# A new preset: one entry here.
PRESETS: dict[str, Preset] = {
    "quick": Preset(
        about="scikit-learn's digits, ResNet20 of width 8: figures 1 to 5 in minutes",
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
        arms=(*_PAPER, "imp-long-on-shuffled-mask", "imp-long-on-random-mask"),
        seeds=(0, 1, 2, 3),
        sources={"model": "summary"},
        train_images=1297,
        test_images=500,
        image_shape=(1, 8, 8),
        classes=10,
    ),
    "cifar10-small": Preset(
        about="1,000 images a class of CIFAR-10, ResNet8 of width 8: about an hour on 2 cores",
        settings={
            "dataset": "cifar10",
            "images_per_class": 1000,
            "model": "resnet8",
            "width": 8,
            "batch_size": 128,
            "lr": 0.1,
            "schedule": "cosine",
            "epochs": 10,
            "warmup_epochs": 1,
            "weight_decay": 5e-4,
            "precision": "bfloat16",
            "prune_rate": 0.5,
            "levels": 8,
        },
        arms=(*_EXCHANGE, "sign", "magnitude"),
        seeds=(0, 1),
        sources={},
        train_images=50_000,
        test_images=10_000,
        image_shape=(3, 32, 32),
        classes=10,
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
        train_images=50_000,
        test_images=10_000,
        image_shape=(3, 32, 32),
        classes=10,
    ),
    "cifar100": Preset(
        about="CIFAR-100, ResNet18, 150 epochs a level, 25 levels",
        settings={"dataset": "cifar100", **_GROUP_RESNET18},
        arms=_PAPER,
        seeds=(0, 1, 2, 3),
        sources=_GROUP_SOURCES,
        train_images=50_000,
        test_images=10_000,
        image_shape=(3, 32, 32),
        classes=100,
    ),
    "tiny-imagenet": Preset(
        about="Tiny ImageNet, ResNet18, 150 epochs a level, 25 levels",
        settings={"dataset": "tiny-imagenet", **_GROUP_RESNET18},
        arms=_PAPER,
        seeds=(0, 1, 2, 3),
        sources=_GROUP_SOURCES,
        train_images=100_000,
        test_images=10_000,
        image_shape=(3, 64, 64),
        classes=200,
    ),
    "imagenet": Preset(
        about="ImageNet, ResNet50, 90 epochs a level, 15 levels",
        settings={
            "dataset": "imagenet",
            "image_size": 224,
            "model": "resnet50",
            "width": 64,
            "batch_size": 1024,
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
        train_images=1_281_167,
        test_images=50_000,
        image_shape=(3, 224, 224),
        classes=1000,
    ),
}


def _widths(settings: Settings) -> list[dict[str, Any]]:
    return [{"width": max(1, settings["width"] * factor // 4)} for factor in (1, 2, 4, 8)]


def _prune_rates(settings: Settings) -> list[dict[str, Any]]:
    """Rates of .1 to .5, each with the levels that end nearest to the preset's last density."""
    last = (settings["levels"] - 1) * math.log1p(-settings["prune_rate"])
    rates = (0.1, 0.2, 0.3, 0.4, 0.5)
    return [{"prune_rate": rate, "levels": 1 + max(1, round(last / math.log1p(-rate)))} for rate in rates]


def _schedules(settings: Settings) -> list[dict[str, Any]]:
    return [
        {"schedule": name, "milestones": (0.5, 0.75) if name == "step" else ()}
        for name in ("constant", "cosine", "step", "triangular")
    ]


def _warm_ups(settings: Settings) -> list[dict[str, Any]]:
    epochs = settings["epochs"]
    return [{"warmup_epochs": n} for n in sorted({0, max(1, epochs // 16), max(2, epochs // 8), max(4, epochs // 4)})]


def _criteria(settings: Settings) -> list[dict[str, Any]]:
    names = ("magnitude", "magnitude-layerwise", "random", "snip", "synflow", "grasp")
    return [{"criterion": name} for name in names]


def _densities(settings: Settings) -> list[dict[str, Any]]:
    return [{"densities": name} for name in ("balanced", "erk", "uniform")]


def _perturbations(settings: Settings) -> list[dict[str, Any]]:
    middle = settings["levels"] // 2
    levels = sorted({1, middle, settings["levels"] - 1})
    rates = [{"perturb_rate": rate, "perturb_level": middle} for rate in (0.1, 0.2, 0.3, 0.5)]
    return [*rates, *({"perturb_rate": 0.2, "perturb_level": level} for level in levels if level != middle)]


def _longer_levels(settings: Settings) -> list[dict[str, Any]]:
    """Four cycles a level, the mask taken four times in each; the first levels only, where most is still to decide."""
    quarter = max(1, settings["epochs"] // 4)
    epochs = tuple(range(quarter, 4 * settings["epochs"] + 1, quarter))
    return [{"cycles": "4", "mask_epochs": epochs, "levels": min(4, settings["levels"])}]


def _other_models(settings: Settings) -> list[dict[str, Any]]:
    return [{"model": "vgg11" if settings["dataset"] == "digits" else "vgg16"}]


# A new variation: one entry here.
VARIATIONS: dict[str, Variation] = {
    "criterion": Variation("pruning criteria", ("imp", "lrr", "one-shot"), _criteria),
    "densities": Variation("layer densities of random masks", ("imp-on-random-mask", "lrr-on-random-mask"), _densities),
    "mask-convergence": Variation("levels trained longer: does the mask still change?", ("imp", "lrr"), _longer_levels),
    "model": Variation("another architecture (VGG)", ("imp", "lrr"), _other_models),
    "perturbation": Variation("share and level of perturbed signs", ("imp-perturbed", "lrr-perturbed"), _perturbations),
    "prune-rate": Variation("prune rates of .1 to .5, to the same density", ("imp", "lrr"), _prune_rates),
    "schedule": Variation("learning-rate schedules", ("imp", "lrr"), _schedules),
    "warm-up": Variation("epochs of warm-up", ("imp", "lrr"), _warm_ups),
    "width": Variation("width of the network (overparametrisation)", ("imp", "lrr"), _widths),
}
