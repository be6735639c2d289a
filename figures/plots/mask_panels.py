"""Panels of masks within a level: over its epochs, and at the ends of cycles over levels."""

from collections.abc import Mapping

from figures.analysis.statistics import interval_columns
from figures.plots import style
from figures.plots.mask_shares import Cycles
from figures.plots.panels import plot_means

_SHADES = (1.0, 0.8, 0.62, 0.48)  # strength of an arm's colour, from level 1 on; the dense level is black
_PATTERNS = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (1, 1.2)))


def draw_over_epochs(axes, arm: str, levels: Mapping[int, dict], cycles: Cycles) -> None:
    """Draw one curve per level; the ends of cycles are marked."""
    for end in cycles.ends:
        axes.axvline(end, color="#CFCFCF", linewidth=0.8, zorder=0)
    for place, (number, curve) in enumerate(levels.items()):
        plot_means(
            axes,
            curve["epoch"],
            curve,
            color=_shade(arm, number),
            linestyle=_PATTERNS[place % len(_PATTERNS)],
            linewidth=1.1,
            marker=".",
            markersize=3,
            elinewidth=0.5,
            capsize=0,
            zorder=3,
            label=f"{number} (dense)" if number == 0 else str(number),
        )
    axes.legend(title="level", title_fontsize=style.SMALLEST_TYPE, loc="lower right", bbox_to_anchor=(1, 0.1),
                frameon=True, edgecolor="none", framealpha=1)  # fmt: skip
    axes.set_xticks([0, *cycles.ends])
    axes.set_xlabel("epoch of the level")


def _shade(arm: str, number: int):
    """The arm's colour, paler from level to level; black for the dense level, which all arms share."""
    if number == 0:
        return style.INK
    from matplotlib.colors import to_rgb

    strength = _SHADES[min(number, len(_SHADES)) - 1]
    return tuple(1 - strength * (1 - channel) for channel in to_rgb(style.arm_style(arm).colour))


def draw_over_levels(axes, found: Mapping[str, Mapping[int, dict]], cycles: Cycles) -> dict:
    """Draw the masks at the end of the first cycle and of the last but one, over levels.

    Returns the plotted numbers.
    """
    ends = cycles.ends
    out = {}
    wanted = {"last but one": ends[-2], "first": ends[0]} if len(ends) > 1 else {}
    for side, (arm, levels) in zip((-1, 1), found.items(), strict=False):
        for name, epoch in wanted.items():
            values = {
                number: curve["values"][curve["epoch"].index(epoch)]
                for number, curve in levels.items()
                if epoch in curve["epoch"]
            }
            columns = {"level": list(values), **interval_columns(values.values()), "values": list(values.values())}
            out.setdefault(arm, {})[name] = {"epoch": epoch, **columns}
            face = {} if name != "first" else {"markerfacecolor": "white"}
            label = f"{style.arm_style(arm).label}, end of cycle {epoch // cycles.epochs} of {cycles.count}"
            look = style.arm_style(arm).line_kwargs() | {"linestyle": "none", "label": label} | face
            plot_means(axes, [number + side * 0.13 for number in values], columns, elinewidth=0.8, zorder=3, **look)
    axes.set_xticks(sorted({number for levels in found.values() for number in levels}))
    axes.set_xlabel("level")
    axes.margins(x=0.12)
    return out
