"""Panels of a 2x2 design: its four cells, and the effects."""

from collections.abc import Sequence

from figures.plots import style
from figures.plots.panels import plot_means

PLACE = {"imp": 0, "magnitude": 0, "sign": 1, "lrr-bn-rewind": 1}
SHIFT_OF_ARM = {"imp": -0.07, "magnitude": 0.07, "sign": -0.07, "lrr-bn-rewind": 0.07}


def as_column(estimate: Sequence) -> dict[str, list]:
    """One estimate, a mean and the ends of its interval, as the columns that are drawn."""
    return {name: [number] for name, number in zip(("mean", "low", "high"), estimate, strict=True)}


def draw_interaction(axes, cells: dict) -> None:
    """Draw each cell at its signs, joined by lines of equal magnitudes.

    `cells`: arm -> (value, low, high).
    """
    for pair, line in ((("imp", "sign"), (0, (4, 1.5))), (("magnitude", "lrr-bn-rewind"), "-")):
        shift = SHIFT_OF_ARM[pair[0]]
        axes.plot(
            [shift, 1 + shift],
            [cells[arm][0] for arm in pair],
            color=style.MUTED,
            linestyle=line,
            linewidth=0.9,
            zorder=1,
            label="trained magnitudes" if line == "-" else "initial magnitudes",
        )
    for arm, cell in cells.items():
        look = style.arm_style(arm).line_kwargs() | {"linestyle": "none"}
        plot_means(
            axes, [PLACE[arm] + SHIFT_OF_ARM[arm]], as_column(cell), elinewidth=0.9, zorder=3, markersize=5.5, **look
        )
    axes.set(xlim=(-0.45, 1.45), xlabel="signs")
    axes.set_xticks([0, 1], ["initial", "trained"])
    axes.grid(axis="y")


def draw_effects(axes, groups: dict, unit: str) -> None:
    """Main effects and interaction with intervals; `groups`: name -> effect -> (value, low, high)."""
    looks = {
        "balanced": ("o", "black", "balanced"),
        "normal": ("s", style.GREY, "N(0, 1/d)"),
        "network": ("o", "black", None),
    }
    for side, (group, effects) in zip((-0.12, 0.12) if len(groups) > 1 else (0,), groups.items(), strict=True):
        marker, colour, label = looks[group]
        for place, effect in enumerate(effects.values()):
            plot_means(
                axes,
                [place + side],
                as_column(effect),
                marker=marker,
                color=colour,
                linestyle="none",
                elinewidth=0.9,
                markersize=4.5,
                label=label if place == 0 else None,
            )
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    axes.set(xlim=(-0.5, 2.5), ylabel=unit)
    axes.set_xticks([0, 1, 2], ["signs", "magn.", "interact."])
    if len(groups) > 1:
        axes.legend(loc="upper right")
    axes.grid(axis="y")
