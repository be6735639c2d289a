"""Table 1: every setting of every preset, with its source."""

from empirics.config import RunConfig
from empirics.presets import PRESETS, Preset

# what every preset leaves at its default
_COMMON = {name: getattr(RunConfig(), name) for name in ("momentum", "precision", "criterion", "densities")}
# what the code knows and no setting says
_FIXED = {"optimizer": "SGD", "initialisation": "Kaiming-normal, fan-in"}
_AUGMENTATION = {
    "digits": "shift by 1",
    "cifar10": "shift by 4, mirror",
    "cifar100": "shift by 4, mirror",
    "tiny-imagenet": "shift by 8, mirror",
    "imagenet": "random resized crop, mirror",
}
_ALL = {"images_per_class": "all", "image_size": "native", "micro_batch": "whole batch"}


def table1() -> str:
    """Table 1 as Markdown: every setting of every preset, with its source.

    The summary of the paper states no hyper-parameter, so most come from published code or are ours.
    """
    settings = dict.fromkeys(name for preset in PRESETS.values() for name in preset.settings)
    rows = [["setting", *PRESETS], ["---"] * (len(PRESETS) + 1)]
    for name in dict.fromkeys([*settings, *_COMMON, *_FIXED, "augmentation", "seeds", "arms"]):
        rows.append([name, *(_cell(preset, name) for preset in PRESETS.values())])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(preset: Preset, name: str) -> str:
    own = {"seeds": len(preset.seeds), "arms": len(preset.arms)}
    own["augmentation"] = _AUGMENTATION[preset.settings["dataset"]]
    value = {**_COMMON, **_FIXED, **_ALL, **own, **preset.settings}.get(name)
    if value is None:
        return "-"
    text = ", ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else str(value)
    return f"{text} ({preset.sources.get(name, 'ours')})"
