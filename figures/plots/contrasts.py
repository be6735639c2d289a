"""Contrasts of arms at each level, paired by seed: numbers and drawing.

They are for figures that switch one thing off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from figures.analysis import measures
from figures.analysis.statistics import Interval
from figures.analysis.sweeps import Sweep, format_value
from figures.analysis.table import contrast_curve
from figures.plots import style
from figures.plots.builder import Missing
from figures.plots.choose import panel_name
from figures.plots.panels import THIN, density_axis, dodge, fit_height, plot_means
from figures.plots.sentences import format_seeds
from figures.plots.style import ArmStyle
from figures.plots.sweep_sentences import format_preset
from figures.results.network import StudyResults, train_command

if TYPE_CHECKING:
    from pandas import DataFrame

Coefficients = Mapping[str, float]


def h_contrast(results: StudyResults, coefficients: Coefficients) -> Interval | None:
    """The contrast of high-sparsity accuracy, paired by seed; None without a shared seed."""
    of_arm = measures.mean_accuracy(measures.high_sparsity_levels(results))
    return measures.interval(measures.combine(results, coefficients, of_arm))


def format_points(interval: Interval) -> str:
    """An effect in accuracy points with its interval: `+1.63 [-1.00, +4.25] accuracy points`."""
    ends = [f"{measures.PERCENT * end:+.2f}" for end in (interval.low, interval.high) if end is not None]
    return (
        f"{measures.PERCENT * interval.mean:+.2f}{' [' * bool(ends)}{', '.join(ends)}{']' * bool(ends)} accuracy points"
    )


def format_high_sparsity_accuracy(results: StudyResults, coefficients: Coefficients) -> str:
    """The contrast of high-sparsity accuracy for a caption; empty where no level is sparse enough."""
    found = h_contrast(results, coefficients) if measures.high_sparsity_levels(results) else None
    return f" (high-sparsity accuracy: {format_points(found)})" if found else ""


def plot_intervals(axes, look: ArmStyle, x: Sequence[float], curve: Mapping[str, list], line: bool = True) -> None:
    """Draw means with intervals at `x` in the style `look`, and the line of no difference.

    `line`: whether the means are joined by lines.
    """
    how = look.line_kwargs() | ({} if line else {"linestyle": "none"})
    plot_means(axes, x, curve, **THIN, **how)
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    axes.grid(True, axis="y")


def draw_contrasts(axes, table: "DataFrame", contrasts: Sequence[tuple[ArmStyle, Coefficients]]) -> dict:
    """Draw contrasts over density, each in its style; returns the plotted numbers by the style's label."""
    curves = {look.label: contrast_curve(table, coefficients) for look, coefficients in contrasts}
    for shift, (look, _) in zip(dodge(len(contrasts), 0.02), contrasts, strict=True):
        curve = curves[look.label]
        plot_intervals(axes, look, [density * 10**shift for density in curve["density"]], curve)
    density_axis(axes, [density for curve in curves.values() for density in curve["density"]])
    fit_height(axes, list(curves.values()))
    return curves


def unpaired(results: StudyResults, arms: Sequence[str], panel: str) -> list[Missing]:
    """The contrast of some arms as missing: they share no complete seed."""
    why = f"{', '.join(arms)} share no complete seed"
    command = train_command(results.study, arms)
    return [Missing(f"{panel}, {panel_name(results.study)}", why, command)]


def format_sweep_seeds(sweep: Sweep, arms: Sequence[str]) -> str:
    """Preset, network and seeds of a sweep: only once where they are the same for all values."""
    words: dict[str, list[str]] = {}
    for x, results in zip(sweep.x, sweep.studies, strict=True):
        named = replace(results, study=replace(results.study, preset=format_preset(sweep)))
        there = [arm for arm in arms if measures.has_arm(results, arm)]
        words.setdefault(format_seeds(named, there), []).append(format_value(x))
    if len(words) == 1:
        return next(iter(words))
    return "; ".join(f"{said} (at {', '.join(values)})" for said, values in words.items())
