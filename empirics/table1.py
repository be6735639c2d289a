"""Table 1: every setting of every preset, with its source."""

from empirics.config import RunConfig
from empirics.presets import PRESETS, Preset

# what every preset leaves at its default
_COMMON = {name: getattr(RunConfig(), name) for name in ("momentum", "precision", "criterion", "densities")}
# what the code knows and no setting says
_FIXED = {"optimizer": "SGD", "initialisation": "Kaiming-normal, fan-in"}
_ALL = {"images_per_class": "all", "image_size": "native"}


def table1() -> str:
    """Table 1 as Markdown: every setting of every preset, with its source.

    The summary of the paper states no hyper-parameter, so most come from published code or are ours.
    """
    settings = dict.fromkeys(name for preset in PRESETS.values() for name in preset.settings)
    rows = [["setting", *PRESETS], ["---"] * (len(PRESETS) + 1)]
    for name in dict.fromkeys([*settings, *_COMMON, *_FIXED, "seeds", "arms"]):
        rows.append([name, *(_cell(preset, name) for preset in PRESETS.values())])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(preset: Preset, name: str) -> str:
    counted = {"seeds": len(preset.seeds), "arms": len(preset.arms)}
    value = {**_COMMON, **_FIXED, **_ALL, **counted, **preset.settings}.get(name)
    if value is None:
        return "-"
    text = ", ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else str(value)
    return f"{text} ({preset.sources.get(name, 'ours')})"
