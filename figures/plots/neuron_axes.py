"""Axes and markers of counted shares of the neuron."""

from collections.abc import Mapping, Sequence

from figures.plots.panels import plot_means

PALE = {"linewidth": 3.2, "alpha": 0.3, "zorder": 2, "solid_capstyle": "butt"}
_QUARTERS = {0: "0", 0.25: "1/4", 0.5: "1/2", 0.75: "3/4", 1: "1"}


def interval_words(cells: Sequence[dict]) -> str:
    """The widest of the intervals, for a caption."""
    half = max((cell["high"] - cell["low"]) / 2 for cell in cells)
    return f"Clopper-Pearson 95 % intervals of half-width at most {half:.3f}, mostly hidden by the marker"


def share_columns(cells: Sequence[Mapping], shares: Sequence[float]) -> dict[str, list]:
    """Counted shares, with the ends of the interval that each cell has, as the columns that are drawn."""
    return {"mean": list(shares)} | {end: [cell[end] for cell in cells] for end in ("low", "high")}


def plot_shares(axes, x: Sequence[float], cells: Sequence[dict], look: dict) -> list[float]:
    """Draw counted shares with their intervals at `x`; returns the shares."""
    shares = share_columns(cells, [cell["successes"] / cell["trials"] for cell in cells])
    plot_means(axes, x, shares, elinewidth=0.8, zorder=3, markersize=3.4, **(look | {"linestyle": "none"}))
    return shares["mean"]


def log_axis(axes, ends: Sequence[float], ticks: Sequence[float], label: str) -> None:
    """Set a logarithmic x axis with plain numbers at the ticks."""
    axes.set_xscale("log")
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set(xlim=(min(ends) / 1.25, max(ends) * 1.25), xlabel=label)


def shares_axis(axes, low: float, high: float) -> None:
    """Set a y axis of shares, with ticks at the quarters."""
    axes.set_ylim(low, high)
    shown = {share: word for share, word in _QUARTERS.items() if low <= share <= high}
    axes.set_yticks(list(shown), list(shown.values()))
    axes.grid(axis="y")
