"""Table 1: every setting of every preset, with its source."""

from empirics.config import RunConfig
from empirics.presets import PRESETS, Preset

# what every preset leaves at its default
_COMMON = {name: getattr(RunConfig(), name) for name in ("momentum", "criterion", "densities")}


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


def _cell(preset: Preset, name: str) -> str:
    value = len(preset.seeds) if name == "seeds" else preset.settings.get(name, _COMMON.get(name))
    if value is None:
        return "-"
    text = ", ".join(f"{v:.3g}" for v in value) if isinstance(value, tuple) else str(value)
    return f"{text} ({preset.sources.get(name, 'ours')})"
