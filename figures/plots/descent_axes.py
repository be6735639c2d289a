"""Marks and ticks of the panels of gradient descent."""

from collections.abc import Sequence

DASHED = (0, (3, 1.5))


def open_marks(axes, x: Sequence[float], y: Sequence[float], filled: Sequence[bool], colour, marker) -> None:
    """Draw unfilled marks where `filled` is false."""
    at = [i for i, full in enumerate(filled) if not full]
    look = {"linestyle": "none", "markerfacecolor": "white", "markersize": 3.4, "zorder": 3.2}
    axes.plot([x[i] for i in at], [y[i] for i in at], color=colour, marker=marker, **look)


def short(number: float) -> str:
    """A small number in its shortest form: 1e-6."""
    return f"{number:g}".replace("e-0", "e-")


def powers_axis(axis, low: float, high: float) -> None:
    """Set ticks at even powers of ten, in plain text: mathtext would draw their exponents smaller."""
    powers = [p for p in range(-12, 13, 2) if low * 0.999 <= 10.0**p <= high * 1.001]
    axis.set_ticks([10.0**p for p in powers], [_power_word(p) for p in powers])


def _power_word(power: int) -> str:
    if power in (0, 2):
        return "1" if power == 0 else "100"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
