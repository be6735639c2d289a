"""The figure `large-steps`: where gradient descent on the neuron departs from the gradient flow.

Theory records in, a drawing out.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np

from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, NothingToDraw, join_caption, new_sheet
from figures.plots.neuron_phase_plane import theory_missing
from figures.results.network import Records, TheoryResult

_ANGLE_LOOKS = (("black", "o"), ("#555555", "s"), ("#7A7A7A", "^"), ("#9A9A9A", "D"))
_STEP_COLOURS = (style.BLUE, style.GREEN, style.VERMILLION, style.PINK)
_BALANCE_LOOKS = ((style.BLUE, "o"), (style.VERMILLION, "s"))
DASHED = (0, (3, 1.5))
_SEEN = "How gradient descent with large steps learns from starts from which the gradient flow cannot learn."


def figure_large_steps(records: Records) -> Drawing:
    """Gradient descent from balanced starts with a < 0, and the stable step.

    It learns in d = 2, never in d = 1.
    """
    result = records.theory.get("large-steps")
    if result is None:
        raise NothingToDraw([theory_missing("large-steps", "gradient descent with large steps")])
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 4.7), {}
    (first, second), (third, fourth) = sheet.figure.subplots(2, 2)
    plotted["steps to learn"] = _steps_to_learn(sheet, first, result)
    plotted["loss"] = _over_steps(sheet, second, result, "loss")
    plotted["c"] = _over_steps(sheet, third, result, "c")
    plotted["pushed"] = _pushed(sheet, fourth, result)
    runs = sum(len(start["steps"]) for start in result.values["starts"])
    runs += len(result.values["d1"]["status"])
    runs += sum(len(minimum["step"]) for minimum in result.values["pushed"]["minima"])
    more = join_caption(
        "The starts are |a| = |w| = 1 with a < 0: the balanced starts from which the flow never learns. The flow"
        " conserves c = a² - |w|², a step does not.",
        *sheet.captions,
        "d = 2 represents every d > 1, since only w₁ and the size of the rest of w enter.",
        "The experiment is ours, not the paper's.",
    )
    data = f"Data: one hidden neuron, population loss, n = {runs} runs of plain gradient descent."
    return Drawing(sheet.figure, plotted, Caption(_SEEN, data, more))


def _steps_to_learn(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    values, horizon = result.values, result.params["max_steps"]
    steps, plotted = values["step"], {"step": list(values["step"]), "horizon": horizon}
    for start, (colour, marker) in zip(values["starts"], _ANGLE_LOOKS, strict=False):
        done = [status == "learned" for status in start["status"]]
        taken = [n if ok else horizon for n, ok in zip(start["steps"], done, strict=True)]
        name = f"d = 2, θ₀ = {start['angle']:g}"
        line = [n if ok else math.nan for n, ok in zip(taken, done, strict=True)]
        axes.plot(steps, line, color=colour, marker=marker, markersize=3, linewidth=0.9, label=name, zorder=3)
        _open_marks(axes, steps, taken, done, colour, marker)
        plotted[name] = {"steps": taken, "learned": done}
    failed = [step for step, status in zip(steps, values["d1"]["status"], strict=True) if status != "learned"]
    look = {"color": style.FAILS_DARK, "markersize": 3.4, "label": "d = 1: not learned", "zorder": 3}
    axes.plot(failed, [2.4 * horizon] * len(failed), "x", **look)
    plotted["d = 1"] = {"not learned": failed, "status": list(values["d1"]["status"])}
    _horizon_and_guide(axes, horizon)
    _steps_axes(axes, steps, horizon)
    sheet.add_panel_label(axes, f"steps until loss < {short(values['learned_below'])}", _words_to_learn(result))
    return plotted


def _open_marks(axes, x: Sequence[float], y: Sequence[float], filled: Sequence[bool], colour, marker) -> None:
    at = [i for i, full in enumerate(filled) if not full]
    look = {"linestyle": "none", "markerfacecolor": "white", "markersize": 3.4, "zorder": 3.2}
    axes.plot([x[i] for i in at], [y[i] for i in at], color=colour, marker=marker, **look)


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
    _powers(axes.yaxis, 1, horizon)
    axes.set(xlim=(min(steps) / 1.1, max(steps) * 1.1), ylim=(0.9, 6 * horizon))
    axes.legend(loc="lower left", handlelength=1.6, labelspacing=0.25)
    axes.grid(axis="y")


def short(number: float) -> str:
    """A small number in its shortest form: 1e-6."""
    return f"{number:g}".replace("e-0", "e-")


def _powers(axis, low: float, high: float) -> None:
    """Set ticks at even powers of ten, in plain text: mathtext would draw their exponents smaller."""
    powers = [p for p in range(-12, 13, 2) if low * 0.999 <= 10.0**p <= high * 1.001]
    axis.set_ticks([10.0**p for p in powers], [_power_word(p) for p in powers])


def _power_word(power: int) -> str:
    if power in (0, 2):
        return "1" if power == 0 else "100"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _words_to_learn(result: TheoryResult) -> str:
    values, horizon = result.values, result.params["max_steps"]
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


def _over_steps(sheet: FigureBuilder, axes, result: TheoryResult, part: str) -> dict:
    """Draw loss or c over steps for a few step sizes, d = 2 in colour and d = 1 dashed."""
    horizon, plotted = result.params["max_steps"], {}
    colours = dict(zip(dict.fromkeys(run["step"] for run in result.values["shown"]), _STEP_COLOURS, strict=False))
    for i, run in enumerate(result.values["shown"]):
        at, y = result.arrays[f"shown_{i}_at"], result.arrays[f"shown_{i}_{part}"]
        name = f"d = {run['d']}, step {run['step']:g}"
        plotted[name] = {"at": at.tolist(), part: y.tolist(), "status": run["status"]}
        if run["status"] == "stationary":
            at, y = np.append(at, horizon), np.append(y, y[-1])
        alone = run["d"] == 1
        axes.plot(
            np.maximum(at, 0.5),
            y,
            color="black" if alone else colours[run["step"]],
            linestyle=DASHED if alone else "-",
            linewidth=0.8 if alone else 1.6,
            label="d = 1" if alone else f"step {run['step']:g}",
            zorder=3.5 if alone else 3,
        )
    axes.set(xscale="log", xlabel="steps (log scale)", xlim=(0.4, 2 * horizon))
    _powers(axes.xaxis, 1, horizon)
    axes.minorticks_off()
    axes.grid(axis="y")
    (_finish_loss if part == "loss" else _finish_c)(sheet, axes, result)
    return plotted


def _finish_loss(sheet: FigureBuilder, axes, result: TheoryResult) -> None:
    learned = result.values["learned_below"]
    axes.set(yscale="log", ylabel="loss (log scale)", ylim=(0.1 * learned, 4))
    axes.axhline(learned, color=style.MUTED, linewidth=0.6, linestyle=DASHED, zorder=1)
    _powers(axes.yaxis, 0.1 * learned, 4)
    axes.minorticks_off()
    handles = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    handles["d = 1"] = handles.pop("d = 1")  # last
    axes.legend(handles=handles.values(), loc="lower left", handlelength=1.8, labelspacing=0.25,
                bbox_to_anchor=(0.36, 0.14))  # fmt: skip
    two = [run for run in result.values["shown"] if run["d"] == 2]
    words = ", ".join(
        f"{run['steps']:,} at step {run['step']:g}" if run["status"] == "learned" else f"not at step {run['step']:g}"
        for run in two
    )
    sheet.add_panel_label(
        axes,
        f"loss, θ₀ = {two[0]['angle']:g}",
        f"loss over steps. Solid: d = 2, θ₀ = {two[0]['angle']:g}, which learns after {words}. Dashed: d = 1 at the"
        " same steps (extended where no further step changes a bit). The start is drawn at 0.5.",
    )


def _finish_c(sheet: FigureBuilder, axes, result: TheoryResult) -> None:
    axes.set(ylabel="c = a² - |w|²")
    low = min(float(result.arrays[f"shown_{i}_c"].min()) for i in range(len(result.values["shown"])))
    axes.set_ylim(1.25 * low, -0.15 * low)
    largest = result.values["d1"]["largest_c"]
    word = "d = 1: exactly 0" if largest == 0 else f"d = 1: |c| up to {largest:.0e}"
    axes.text(0.6, -0.03 * low, word, fontsize=7, ha="left", va="bottom", color=style.INK)
    sheet.add_panel_label(
        axes,
        "what the steps do to c",
        "c over steps, marked as in (b). In d = 2 it falls below 0, where a can change its sign. In d = 1 the same"
        f" rounding errors act on a and on w (largest |c| over all steps kept: {largest:g}).",
    )


def _pushed(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """The c of the minimum that a run reaches after a push off another minimum, over the step size.

    It is drawn on the region of stable minima.
    """
    pushed, plotted = result.values["pushed"], {}
    for minimum, (colour, marker) in zip(pushed["minima"], _BALANCE_LOOKS, strict=False):
        shown = [i for i, c in enumerate(minimum["c"]) if c is not None and abs(c) < 10]
        step, c = ([minimum[name][i] for i in shown] for name in ("step", "c"))
        done = [minimum["status"][i] == "learned" for i in shown]
        at = [i for i, ok in enumerate(done) if ok]
        name = f"pushed off c = {minimum['balance']:g}"
        look = {"color": colour, "marker": marker, "markersize": 3, "linestyle": "none"}
        axes.plot([step[i] for i in at], [c[i] for i in at], label=name, zorder=3, **look)
        _open_marks(axes, step, c, done, colour, marker)
        plotted[name] = {"step": step, "c": c, "learned": done, "limit": minimum["limit"]}
    plotted["stable"] = _stable_region(axes, pushed)
    sheet.add_panel_label(axes, "the stable step at a minimum", _pushed_words(pushed))
    return plotted


def _stable_region(axes, pushed: Mapping) -> dict:
    ends = [step for minimum in pushed["minima"] for step in minimum["step"]]
    top = 1.2 * max(abs(minimum["balance"]) for minimum in pushed["minima"])
    step = np.linspace(min(ends), 2, 200)
    edge = np.sqrt(np.maximum(16 / step**2 - 4, 0))
    axes.fill_between(step, -edge, edge, color=style.LEARNS_COLOUR, linewidth=0, zorder=0)
    for side in (1, -1):
        axes.plot(step, side * edge, color=style.INK, linewidth=0.8, zorder=1)
    axes.set(xlim=(min(ends) - 0.04, max(ends) + 0.04), ylim=(-top, top), xlabel="step size", ylabel="c at the end")
    axes.text(0.8, 0, "stable minima", fontsize=7, ha="left", va="center", color=style.INK)
    axes.legend(loc="upper right", handlelength=1.2, labelspacing=0.25)
    return {"step": step.tolist(), "edge": edge.tolist()}


def _pushed_words(pushed: Mapping) -> str:
    limits = sorted({minimum["limit"] for minimum in pushed["minima"]})
    stays = [step for m in pushed["minima"] for step, left in zip(m["step"], m["left"], strict=True) if not left]
    leaves = [step for m in pushed["minima"] for step, left in zip(m["step"], m["left"], strict=True) if left]
    words = (
        f"d = 2, a push of {pushed['push']:g} off a minimum of balance c, and the c where the run then ends. Shaded:"
        f" step < 4 / sqrt(4 + c²), here {', '.join(f'{limit:.3f}' for limit in limits)}."
    )
    if stays and leaves:
        words += (
            f" Runs up to step {max(stays):g} come back; from {min(leaves):g} on they leave (the loss grows more than"
            f" {pushed['left']:g}-fold), and |c| shrinks until the step is stable. Open marks are runs that have not"
            " learned. Above 2 no minimum is stable."
        )
    return words
