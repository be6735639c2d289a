"""Accuracy over density: the curves of arms, and their differences from one arm."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from figures.analysis.statistics import holm, t_test_p
from figures.analysis.table import arm_curve, contrast_curve
from figures.plots import style
from figures.plots.panels import density_axis, dodge, fit_height, plot_curve

if TYPE_CHECKING:
    from pandas import DataFrame


CIFAR = ("cifar10", "cifar100")  # the data sets of the paper's figures 2 to 5; of its 2d and 5 Tiny ImageNet too
FEWEST_FOR_MARKS = 4


def draw_curves(axes, table: "DataFrame", arms: Sequence[str]) -> dict:
    """Draw test accuracy over density for some arms of a study; returns the plotted numbers by arm."""
    curves = {arm: arm_curve(table, arm) for arm in arms}
    for shift, (arm, curve) in zip(dodge(len(arms)), curves.items(), strict=True):
        plot_curve(axes, arm, curve, shift)
    density_axis(axes, [density for curve in curves.values() for density in curve["density"]])
    fit_height(axes, list(curves.values()), least=0.0, most=1.005)
    axes.set_ylabel("test accuracy")
    axes.grid(axis="y")
    return curves


def draw_differences(axes, table: "DataFrame", arms: Sequence[str], reference: str) -> dict:
    """Draw differences from `reference`, paired by seed, with marks by Holm's method.

    Returns the plotted numbers by arm.
    """
    curves = {}
    for shift, arm in zip(dodge(len(arms)), arms, strict=True):
        curve = contrast_curve(table, {arm: 1, reference: -1})
        curve["p_holm"] = holm([t_test_p(values) for values in curve["values"]])
        curve["marked"] = [
            p <= 0.05 and n >= FEWEST_FOR_MARKS for p, n in zip(curve["p_holm"], curve["n"], strict=True)
        ]
        plot_curve(axes, arm, curve, shift, zero=True)
        curves[arm] = curve
    fit_height(axes, list(curves.values()))
    _marks(axes, arms, curves)
    density_axis(axes, [density for curve in curves.values() for density in curve["density"]] or [1])
    axes.set_ylabel(f"accuracy - {style.arm_style(reference).label}'s")
    axes.grid(axis="y")
    return curves


def _marks(axes, arms, curves):
    """Draw a star over each marked level, in rows above the data, one row per arm."""
    for row, arm in enumerate(arms):
        marked = [d for d, mark in zip(curves[arm]["density"], curves[arm]["marked"], strict=True) if mark]
        axes.plot(
            marked,
            [0.97 - 0.055 * row] * len(marked),
            linestyle="none",
            marker=(6, 2, 0),
            markersize=4,
            color=style.arm_style(arm).colour,
            transform=axes.get_xaxis_transform(),
            zorder=5,
        )
    if any(any(curve["marked"]) for curve in curves.values()):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.07 * (len(arms) + 0.5) * (high - low))
