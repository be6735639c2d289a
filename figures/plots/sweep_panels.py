"""Panels of a sweep: accuracy over density by value, and high-sparsity accuracy over the values."""

import textwrap
from collections.abc import Sequence

from figures.analysis.sweeps import CHANCE, IMP_AND_LRR, Value, format_value
from figures.plots import style
from figures.plots.panels import density_axis, dodge, fit_height, plot_curve, plot_means

_TICKS = (1, 0.1, 0.01, 0.001)  # ticks of narrow panels
_FEW = 5  # columns: under more of them a long label of the x axis does not fit


def characters_over(values: Sequence[Value]) -> int:
    """The number of letters that fit over a column."""
    return max(9, 80 // len(values))


def _title(value: Value, values: Sequence[Value]) -> str:
    return textwrap.fill(format_value(value.x), characters_over(values))


def draw_accuracies(panels: Sequence, values: Sequence[Value]) -> None:
    """Draw accuracy over density, one panel per value, on the same axes."""
    every = [curve for value in values for curve in value.curves.values() if curve["mean"]]
    densities = [density for curve in every for density in curve["density"]] or [1.0, 0.01]
    for k, (axes, value) in enumerate(zip(panels, values, strict=True)):
        for shift, arm in zip(dodge(len(IMP_AND_LRR)), IMP_AND_LRR, strict=True):
            if value.curves[arm]["mean"]:
                plot_curve(axes, arm, value.curves[arm], shift)
                axes.containers[-1].lines[0].set_markersize(4.2 if len(values) < 4 else 3.0)
        axes.text(0.05, 0.05, _lost(value), transform=axes.transAxes, fontsize=style.SMALLEST_TYPE, va="bottom")
        density_axis(axes, densities)
        if len(values) > 2:
            axes.set_xticks([tick for tick in _TICKS if tick >= min(densities) / 1.3])
        if len(values) > _FEW:
            axes.set_xlabel("density")
        axes.tick_params(labelleft=k == 0)
        axes.grid(axis="y")
    panels[0].set_ylabel("test accuracy")
    _chance(panels, values, [mean for curve in every for mean in curve["mean"]])
    fit_height(panels[0], every, least=0.0, most=1.03)


def _lost(value: Value) -> str:
    """The text in a value's panel about diverged seeds and incomplete arms."""
    lines = []
    for arm in IMP_AND_LRR:
        of = len(value.results.study.seeds)
        label = style.arm_style(arm).label
        if value.diverged[arm]:
            lines.append(f"{label}: {len(value.diverged[arm])} of\n{of} diverged")
        elif not value.complete[arm]:
            lines.append(f"{label}: not\ncomplete")
    return "\n".join(lines)


def _chance(panels: Sequence, values: Sequence[Value], means: Sequence[float]) -> None:
    """Draw the accuracy of a network that has learnt nothing, if any accuracy is near it."""
    chance = values[0].chance
    if chance and means and min(means) < 2 * chance:
        for axes in panels:
            axes.axhline(chance, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1, label=CHANCE)


def draw_high_sparsity(axes, values: Sequence[Value]) -> None:
    """Draw high-sparsity accuracy of each rule at each value; unfilled where a seed is at chance."""
    beside = 0.014 * len(values)  # the same on paper for any number of columns
    for shift, arm in ((-beside, "imp"), (beside, "lrr")):
        look = style.arm_style(arm).line_kwargs() | {"linestyle": "none"}
        for place, value in enumerate(values):
            face = {"markerfacecolor": "white"} if value.at_chance[arm] else {}
            _point(axes, place + shift, value.h[arm], **(look | face))
    found = [value.h[arm] for value in values for arm in IMP_AND_LRR]
    fit_height(axes, _estimate_columns(found), least=0.0, most=1.03)
    _chance([axes], values, [h["mean"] for h in found if h["n"]])
    axes.set_ylabel("high-sparsity\naccuracy")
    _places(axes, values)
    axes.tick_params(labelbottom=False)


def draw_leads(axes, values: Sequence[Value]) -> None:
    """Draw the lead in high-sparsity accuracy, LRR - IMP, at each value, with its seeds.

    Where there is no lead, a text gives the reason.
    """
    for place, value in enumerate(values):
        face = "white" if any(value.at_chance.values()) else "black"
        look = {"marker": "D", "color": "black", "markerfacecolor": face, "linestyle": "none", "zorder": 4}
        _point(axes, place, value.lead, **look)
        dots = [place + 0.02 * len(values)] * len(value.lead["values"])
        axes.plot(dots, value.lead["values"], linestyle="none", marker=".", color=style.MUTED, markersize=3)
        if value.state:
            axes.text(place, 0.5, value.state, transform=axes.get_xaxis_transform(), ha="center", va="center",
                      fontsize=style.SMALLEST_TYPE)  # fmt: skip
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    seeds = [{"mean": value.lead["values"], "low": [], "high": []} for value in values]
    fit_height(
        axes, [*_estimate_columns([value.lead for value in values]), *seeds, {"mean": [0.0], "low": [], "high": []}]
    )
    axes.set_ylabel("high-sparsity\naccuracy,\nLRR - IMP")
    _places(axes, values)


def _point(axes, x: float, summary: dict, **look) -> None:
    if summary["n"]:
        (column,) = _estimate_columns([summary])
        plot_means(axes, [x], column, elinewidth=0.9, markersize=4.6, **look)


def _estimate_columns(summaries: Sequence[dict]) -> list[dict]:
    return [{name: [s[name]] for name in ("mean", "low", "high")} for s in summaries if s["n"]]


def _places(axes, values: Sequence[Value]) -> None:
    """Set the x axis: values side by side, in their order and not to scale.

    n is given where a value has fewer seeds than another.
    """
    most = max(value.lead["n"] for value in values)
    labels = [_title(v, values) + (f"\nn = {v.lead['n']}" if 0 < v.lead["n"] < most else "") for v in values]
    axes.set_xticks(range(len(values)), labels)
    axes.set_xlim(-0.5, len(values) - 0.5)
    axes.grid(axis="y")
