"""Loss and balance of runs of gradient descent over their steps."""

import numpy as np

from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.descent_axes import DASHED, powers_axis
from figures.results.network import TheoryResult

_STEP_COLOURS = (style.BLUE, style.GREEN, style.VERMILLION, style.PINK)


def draw_over_steps(sheet: FigureBuilder, axes, result: TheoryResult, part: str) -> dict:
    """Draw loss or c over steps for a few step sizes, d = 2 in colour and d = 1 dashed."""
    horizon = result.params["max_steps"]
    plotted = {}
    colours = dict(zip(dict.fromkeys(run["step"] for run in result.values["shown"]), _STEP_COLOURS, strict=False))
    for i, run in enumerate(result.values["shown"]):
        at = result.arrays[f"shown_{i}_at"]
        y = result.arrays[f"shown_{i}_{part}"]
        name = f"d = {run['d']}, step {run['step']:g}"
        plotted[name] = {"at": at.tolist(), part: y.tolist(), "status": run["status"]}
        if run["status"] == "stationary":
            at = np.append(at, horizon)
            y = np.append(y, y[-1])
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
    powers_axis(axes.xaxis, 1, horizon)
    axes.minorticks_off()
    axes.grid(axis="y")
    (_finish_loss if part == "loss" else _finish_c)(sheet, axes, result)
    return plotted


def _finish_loss(sheet: FigureBuilder, axes, result: TheoryResult) -> None:
    learned = result.values["learned_below"]
    axes.set(yscale="log", ylabel="loss (log scale)", ylim=(0.1 * learned, 4))
    axes.axhline(learned, color=style.MUTED, linewidth=0.6, linestyle=DASHED, zorder=1)
    powers_axis(axes.yaxis, 0.1 * learned, 4)
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
