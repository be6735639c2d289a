"""The basin of the phase plane from which one neuron learns."""

import numpy as np

from figures.plots import style


def shade_basin(axes, arrays) -> dict:
    """Shade the learning region exactly (right of the separatrix, above w = 0) and the failing rest."""
    a = arrays["grid_a"]
    w = arrays["grid_w"]
    line = arrays["separatrix"]
    line = line[np.argsort(line[:, 1])]
    inside = line[(line[:, 0] >= a[0]) & (line[:, 1] <= w[-1]) & (line[:, 1] >= 0)]
    region = np.concatenate([inside, [[inside[-1, 0], w[-1]], [a[-1], w[-1]], [a[-1], 0.0]]])
    axes.set_facecolor(style.FAILS_COLOUR)
    axes.fill(region[:, 0], region[:, 1], color=style.LEARNS_COLOUR, linewidth=0, zorder=1)
    return {"learns": region.tolist()}
