"""The figure `large-steps`: where gradient descent on the neuron departs from the gradient flow.

Theory records in, a drawing out.
"""

import math
from collections.abc import Sequence

import numpy as np

from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, new_sheet
from figures.plots.captions import neuron as captions
from figures.plots.descent_axes import DASHED, open_marks, powers_axis, short
from figures.plots.descent_runs import draw_over_steps
from figures.plots.descent_stable_step import draw_pushed
from figures.plots.finish import finish
from figures.plots.neuron_rules import theory_result
from figures.results.network import Records, TheoryResult

_ANGLE_LOOKS = (("black", "o"), ("#555555", "s"), ("#7A7A7A", "^"), ("#9A9A9A", "D"))


def figure_large_steps(records: Records) -> Drawing:
    """Gradient descent from balanced starts with a < 0, and the stable step.

    It learns in d = 2, never in d = 1.
    """
    result = theory_result(records, "large-steps", "gradient descent with large steps")
    sheet = new_sheet(style.TWO_COLUMNS, 4.7)
    (first, second), (third, fourth) = sheet.figure.subplots(2, 2)
    sheet.plotted["steps to learn"] = _steps_to_learn(sheet, first, result)
    sheet.plotted["loss"] = draw_over_steps(sheet, second, result, "loss")
    sheet.plotted["c"] = draw_over_steps(sheet, third, result, "c")
    sheet.plotted["pushed"] = draw_pushed(sheet, fourth, result)
    runs = sum(len(start["steps"]) for start in result.values["starts"])
    runs += len(result.values["d1"]["status"])
    runs += sum(len(minimum["step"]) for minimum in result.values["pushed"]["minima"])
    data = f"one hidden neuron, population loss, n = {runs} runs of plain gradient descent"
    return finish(sheet, captions.LARGE_STEPS, data)


def _steps_to_learn(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    values = result.values
    horizon = result.params["max_steps"]
    steps = values["step"]
    plotted = {"step": list(values["step"]), "horizon": horizon}
    for start, (colour, marker) in zip(values["starts"], _ANGLE_LOOKS, strict=False):
        done = [status == "learned" for status in start["status"]]
        taken = [n if ok else horizon for n, ok in zip(start["steps"], done, strict=True)]
        name = f"d = 2, θ₀ = {start['angle']:g}"
        line = [n if ok else math.nan for n, ok in zip(taken, done, strict=True)]
        axes.plot(steps, line, color=colour, marker=marker, markersize=3, linewidth=0.9, label=name, zorder=3)
        open_marks(axes, steps, taken, done, colour, marker)
        plotted[name] = {"steps": taken, "learned": done}
    failed = [step for step, status in zip(steps, values["d1"]["status"], strict=True) if status != "learned"]
    look = {"color": style.FAILS_DARK, "markersize": 3.4, "label": "d = 1: not learned", "zorder": 3}
    axes.plot(failed, [2.4 * horizon] * len(failed), "x", **look)
    plotted["d = 1"] = {"not learned": failed, "status": list(values["d1"]["status"])}
    _horizon_and_guide(axes, horizon)
    _steps_axes(axes, steps, horizon)
    sheet.add_panel_label(axes, f"steps until loss < {short(values['learned_below'])}", _words_to_learn(result))
    return plotted


def _horizon_and_guide(axes, horizon: int) -> None:
    axes.axhline(horizon, color=style.MUTED, linewidth=0.6, linestyle=DASHED, zorder=1)
    ends = np.array([0.6, 1.1])
    axes.plot(ends, horizon / 8 * (ends / 0.6) ** -4, color=style.INK, linewidth=0.7, zorder=1)
    axes.text(0.8, horizon / 16, "step⁻⁴", fontsize=7, ha="left", va="bottom", color=style.INK)


def _steps_axes(axes, steps: Sequence[float], horizon: int) -> None:
    axes.set(xscale="log", yscale="log", xlabel="step size (log scale)", ylabel="steps (log scale)")
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2) if min(steps) * 0.99 <= tick <= max(steps)]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    powers_axis(axes.yaxis, 1, horizon)
    axes.set(xlim=(min(steps) / 1.1, max(steps) * 1.1), ylim=(0.9, 6 * horizon))
    axes.legend(loc="lower left", handlelength=1.6, labelspacing=0.25)
    axes.grid(axis="y")


def _words_to_learn(result: TheoryResult) -> str:
    values = result.values
    horizon = result.params["max_steps"]
    angles = ", ".join(f"{start['angle']:g}" for start in values["starts"])
    late = sum(status == "max_steps" for start in values["starts"] for status in start["status"])
    rest = sum(status in ("stationary", "diverged") for start in values["starts"] for status in start["status"])
    least = min(loss for loss in values["d1"]["least_loss"] if loss is not None)
    alone = values["d1"]["status"].count("learned")
    return (
        f"steps until the loss is below {short(values['learned_below'])}, d = 2, from the angle θ₀ = {angles} to e₁."
        f" Open marks at {horizon:,} steps (dashed) are runs that have not learned by then ({late} runs), or that are"
        f" at rest or diverged ({rest}). Crosses are d = 1 at the same steps, where {alone} of {len(values['step'])}"
        f" runs learn and no loss falls below {least:.4g}. The slope -4 is our estimate, drawn as a guide: the drift of"
        " c is proportional to the step, and the time to leave the ray on which the neuron dies to c⁻³."
    )
