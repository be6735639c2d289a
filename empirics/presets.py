"""Arms and presets: which runs a study is made of. Imports no torch, so the command line can list and plan quickly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.config import ConfigError, RunConfig, choose


@dataclass(frozen=True)
class Arm:
    """How one arm differs from the others of its study.

    Args:
        rewind: rewinding rule.
        bn_rewind: whether biases and batch norm are rewound too.
        mask_source: where its masks come from.
        mask_arm: the arm whose masks it takes, for sources `run` and `shuffled`.
        cycles: cycles of the schedule a level.
        last_levels: train only the last so many levels; 0 trains all.
        about: one line for `list`.
    """

    rewind: str
    bn_rewind: bool
    about: str
    mask_source: str = "own"
    mask_arm: str = ""
    cycles: str = "one"
    last_levels: int = 0

    def rewind_epoch(self, settings: Mapping[str, Any]) -> int:
        """Weight rewinding returns to the first epoch after the warm-up."""
        return settings["warmup_epochs"] + 1 if self.rewind == "wr" else 0


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
    settings = {**PRESETS[choose(preset, PRESETS, "preset")].settings, **overrides}
    return _resolve(choose(arm, ARMS, "arm"), settings)


def _resolve(arm: str, settings: Mapping[str, Any]) -> RunConfig:
    spec = ARMS[arm]
    levels = settings["levels"]
    if spec.last_levels >= levels:
        raise ConfigError(
            f"arm {arm!r} trains the last {spec.last_levels} levels, and there are {levels}: use more levels"
        )
    return RunConfig(
        **settings,
        arm=arm,
        rewind=spec.rewind,
        rewind_epoch=spec.rewind_epoch(settings),
        bn_rewind=spec.bn_rewind,
        mask_source=spec.mask_source,
        mask_run=_resolve(spec.mask_arm, settings).name if spec.mask_arm else "",
        cycles=spec.cycles,
        first_level=levels - spec.last_levels if spec.last_levels else 1,
    )


def table1() -> str:
    """Table 1 as Markdown: every setting of every preset, with its source.

    The summary of the paper states no hyper-parameter, so most come from published code or are ours.
    """
    names = list(dict.fromkeys(name for preset in PRESETS.values() for name in (*preset.settings, *_COMMON)))
    rows = [["setting", *PRESETS], ["---"] * (len(PRESETS) + 1)]
    for name in [*names, "seeds"]:
        cells = [_cell(preset, name) for preset in PRESETS.values()]
        rows.append([name, *cells])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


_COMMON = {name: getattr(RunConfig(), name) for name in ("momentum", "criterion", "densities")}


def _cell(preset: Preset, name: str) -> str:
    value = len(preset.seeds) if name == "seeds" else preset.settings.get(name, _COMMON.get(name))
    if value is None:
        return "-"
    text = ", ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else str(value)
    return f"{text} ({preset.sources.get(name, 'ours')})"


def needed_arms(arms: Sequence[str]) -> list[str]:
    """`arms` with the arms whose masks they take, those first, each once."""
    ordered: list[str] = []
    for arm in arms:
        source = ARMS[choose(arm, ARMS, "arm")].mask_arm
        ordered += [a for a in (*(needed_arms([source]) if source else []), arm) if a not in ordered]
    return ordered


# A new arm: one line here.
ARMS: dict[str, Arm] = {
    "imp": Arm("imp", True, "iterative magnitude pruning"),
    "imp-bn-kept": Arm("imp", False, "IMP that keeps its trained batch norm and biases"),
    "lrr": Arm("lrr", False, "learning rate rewinding"),
    "lrr-bn-rewind": Arm("lrr", True, "LRR with batch norm and biases rewound"),
    "wr": Arm("wr", True, "weight rewinding to the first epoch after the warm-up"),
    "sign": Arm("sign", True, "sign rewind: initial magnitudes, trained signs"),
    "magnitude": Arm("magnitude", True, "magnitude rewind: trained magnitudes, initial signs"),
    "imp-on-lrr-mask": Arm("imp", True, "IMP on the masks of LRR", "run", "lrr"),
    "lrr-on-imp-mask": Arm("lrr", False, "LRR on the masks of IMP", "run", "imp"),
    "imp-on-shuffled-mask": Arm("imp", True, "IMP on IMP's masks, shuffled in each layer", "shuffled", "imp"),
    "lrr-on-shuffled-mask": Arm("lrr", False, "LRR on IMP's masks, shuffled in each layer", "shuffled", "imp"),
    "imp-on-random-mask": Arm("imp", True, "IMP on random masks of ERK densities", "random"),
    "lrr-on-random-mask": Arm("lrr", False, "LRR on random masks of ERK densities", "random"),
    "imp-long": Arm("imp", True, "control: IMP trained as long as LRR, on IMP's masks", "run", "imp", "level + 1", 2),
    "imp-long-on-shuffled-mask": Arm("imp", True, "the control on shuffled masks", "shuffled", "imp", "level + 1", 2),
    "imp-long-on-random-mask": Arm("imp", True, "the control on random masks", "random", "", "level + 1", 2),
}

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
_PAPER_SOURCES = {"dataset": "summary", "model": "summary", "criterion": "summary", "momentum": _GROUP}
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
        about="1,000 images a class of CIFAR-10, ResNet8 of width 8: an hour on 2 cores",
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
            "prune_rate": 0.5,
            "levels": 7,
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
            **dict.fromkeys(("batch_size", "lr", "weight_decay"), "code: open_lth"),
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
