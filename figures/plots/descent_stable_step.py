"""The stable step at a minimum of the neuron's loss."""

from collections.abc import Mapping

import numpy as np

from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.descent_axes import open_marks
from figures.results.network import TheoryResult

_BALANCE_LOOKS = ((style.BLUE, "o"), (style.VERMILLION, "s"))


def draw_pushed(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """The c of the minimum that a run reaches after a push off another minimum, over the step size.

    It is drawn on the region of stable minima.
    """
    pushed = result.values["pushed"]
    plotted = {}
    for minimum, (colour, marker) in zip(pushed["minima"], _BALANCE_LOOKS, strict=False):
        shown = [i for i, c in enumerate(minimum["c"]) if c is not None and abs(c) < 10]
        step, c = ([minimum[name][i] for i in shown] for name in ("step", "c"))
        done = [minimum["status"][i] == "learned" for i in shown]
        at = [i for i, ok in enumerate(done) if ok]
        name = f"pushed off c = {minimum['balance']:g}"
        look = {"color": colour, "marker": marker, "markersize": 3, "linestyle": "none"}
        axes.plot([step[i] for i in at], [c[i] for i in at], label=name, zorder=3, **look)
        open_marks(axes, step, c, done, colour, marker)
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
