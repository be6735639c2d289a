"""The time to learn, as the colour of a phase portrait.

Loaded when first used, since it needs matplotlib.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps, colors
from matplotlib.cm import ScalarMappable
from matplotlib.patches import Polygon

_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def colour_by_time(axes, plane, basins: Sequence[np.ndarray]) -> None:
    """Fill the polygons `basins` by `plane.time_to_learn` on a logarithmic scale.

    A colour bar is drawn at the right.
    """
    times = plane.time_to_learn
    positive = times[np.isfinite(times) & (times > 0)]
    low = np.quantile(positive, 0.02)
    high = positive.max()
    norm = colors.LogNorm(low, max(high, 1.01 * low), clip=True)
    shown = np.clip(_widened(times), low, high)
    palette = colors.ListedColormap(colormaps["YlGnBu"](np.linspace(0, 0.8, 256)))  # black lines stay visible on it
    for points in basins:
        mesh = axes.pcolormesh(
            plane.x, plane.y, shown, norm=norm, cmap=palette, shading="gouraud", rasterized=True, zorder=1.1
        )
        mesh.set_clip_path(Polygon(points, transform=axes.transData))
    beside = axes.inset_axes((1.03, 0, 0.045, 1))
    bar = axes.figure.colorbar(ScalarMappable(norm, palette), cax=beside, extend="min")
    ticks = _ticks(low, high)
    bar.set_ticks(list(ticks), labels=list(ticks.values()))
    bar.ax.minorticks_off()
    bar.outline.set_linewidth(0.5)
    bar.set_label(f"time until the loss is {_power(plane.tolerance)}")


def _widened(times: np.ndarray) -> np.ndarray:
    """Give nodes next to the basin the longest time of their neighbours.

    The colour then reaches the basin's boundary.
    """
    padded = np.pad(times, 1, constant_values=np.nan)
    rows, columns = times.shape
    around = [padded[i : i + rows, j : j + columns] for i in range(3) for j in range(3)]
    return np.where(np.isnan(times), np.fmax.reduce(around), times)


def _power(value: float) -> str:
    exponent = int(np.floor(np.log10(value) + 1e-9))
    if -2 <= exponent <= 3:
        return f"{float(f'{value:.3g}'):g}"
    factor = f"{value / 10.0**exponent:.3g}"
    return f"{'' if factor == '1' else factor + '·'}10{str(exponent).translate(_SUPERSCRIPTS)}"


def _ticks(low: float, high: float) -> dict[float, str]:
    """Ticks of a logarithmic axis and their labels: the coarsest steps that give three, at most eight."""
    first = int(np.floor(np.log10(low)))
    last = int(np.ceil(np.log10(high)))
    every = max(1, -(-(last - first) // 7))
    ticks = []
    for steps in ((1,), (1, 3), (1, 2, 5), (1, 2, 3, 5, 7), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [step * 10.0**k for k in range(first, last + 1, every) for step in steps]
        ticks = [tick for tick in ticks if low <= tick <= high]
        if len(ticks) >= 3:
            break
    return {tick: _power(tick) for tick in ticks}
