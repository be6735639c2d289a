"""Lines of effects, each with its interval and its verdict.

The verdict is shown as colour, marker and word. Effects have five units, so each is drawn in multiples of the smallest
effect that matters in its own unit: zero and that smallest effect are the same place on every line. The axis is linear
up to it and logarithmic beyond.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from figures.claims.tables import format_number
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    NUMBER_OF_LEVELS,
    NUMBER_OF_SWITCHES,
    PROBABILITY,
    REPRODUCED,
    REVERSED,
    SHARE,
    SMALLEST_EFFECT,
    Row,
)
from figures.plots import style

# inches
_LINE = 0.142
_TOP = 0.44
_BOTTOM = 0.4
_LEFT = 1.88
_PLOT = 1.9
_INDENT = 0.16
# columns of text at the right of the plot, inches from its left edge: where values start, n ends, verdicts start
_VALUE = _PLOT + 0.08
_N = _PLOT + 1.56
_WORD = _PLOT + 1.65
_UNITS = {
    ACCURACY_POINTS: ACCURACY_POINTS,
    PROBABILITY: "prob.",
    SHARE: "share",
    NUMBER_OF_LEVELS: "levels",
    NUMBER_OF_SWITCHES: "switches",
}
_OTHERS = "probability, share, levels or switches"
_LONGEST = 25
_GREEN = style.LEARNS_DARK
_RED = style.FAILS_DARK
_GREY = "#5A5A5A"
# verdict -> colour, marker, filled
_LOOKS = {
    REPRODUCED: (_GREEN, "o", True),
    NOT_REPRODUCED: (_RED, "X", True),
    REVERSED: (_RED, "<", True),
    INCONCLUSIVE: (_GREY, "o", False),
    NOT_RUN: (_GREY, "", False),
}
_LINEAR = 0.78  # length of each half of the linear part, in decades, where that is enough for its ticks
_APART = 0.4  # inches between ticks
_HEADING = 56  # number of letters that fit before the next column


@dataclass(frozen=True)
class Line:
    """One line of the figure: a heading, a claim of several parts, or a row; `text` is drawn at the left.

    `kind` is "heading", "claim" (both are bold) or the role of its row, by which it is drawn.
    """

    text: str
    kind: str
    verdict: str = ""
    row: Row | None = None


def draw_lines(lines: Sequence[Line]):
    """A figure of lines: text at the left; effect and interval; value, n and verdict at the right."""
    from matplotlib.figure import Figure

    height = _TOP + _BOTTOM + _LINE * len(lines)
    figure = Figure(figsize=(style.TWO_COLUMNS, height))
    box = (_LEFT / style.TWO_COLUMNS, _BOTTOM / height, _PLOT / style.TWO_COLUMNS, _LINE * len(lines) / height)
    axes = figure.add_axes(box)
    _scales(axes, lines)
    for place, line in enumerate(lines):
        _text(axes, place, line)
        if line.row is not None and line.row.effect is not None:
            _mark(axes, place, line.row)
    return figure


def in_multiples(row: Row, value: float) -> float:
    """A value of a row in multiples of the smallest effect that matters.

    It is counted from the row's reference value, `against`.
    """
    return (value - row.against) / SMALLEST_EFFECT[row.unit]


def _scales(axes, lines: Sequence[Line]) -> None:
    """Draw the x axes: accuracy points below, the other units above.

    Zero and the smallest effect that matters are marked.
    """
    rows = [line.row for line in lines if line.row is not None and line.row.effect is not None]
    ends = [in_multiples(row, end) for row in rows for end in (row.effect, row.low, row.high) if end is not None]
    low = min([*ends, -1.0])
    high = max([*ends, 1.0])
    limits = (low * 1.25, high * 1.25)
    axes.axvspan(0, 1, color="#EFEFEF", linewidth=0, zorder=0)
    axes.axvline(0, color=style.INK, linewidth=0.7, zorder=1)
    upper = axes.twiny()
    (linear, ticks) = _ticks(*limits)
    for each, unit, label in ((axes, ACCURACY_POINTS, "effect, accuracy points"), (upper, SHARE, f"effect, {_OTHERS}")):
        each.set_xscale("symlog", linthresh=1, linscale=linear)
        each.set(xlim=limits, ylim=(len(lines) - 0.5, -0.5), xlabel=label)
        each.set_xticks(ticks, [f"{tick * SMALLEST_EFFECT[unit]:g}".replace("-", "\N{MINUS SIGN}") for tick in ticks])
        each.minorticks_off()
        each.set_yticks([])
        each.spines[["left", "right"]].set_visible(False)
    upper.spines["top"].set_visible(True)
    axes.spines["top"].set_visible(False)


def _ticks(low: float, high: float) -> tuple[float, list[float]]:
    """The length of matplotlib's linear part, and the ticks.

    Ticks are zero, the smallest effect that matters (1), and powers of ten of it. The linear part is long enough, and
    the ticks far enough apart, for their labels; `low` and `high` may be far apart.
    """
    decades = math.log10(high) + math.log10(-low)
    linear = max(_LINEAR, _APART * decades / (_PLOT - 2 * _APART))
    step = math.ceil(_APART * (decades + 2 * linear) / _PLOT)
    powers = [10**power for power in range(0, 12, step)]
    return 0.9 * linear, [-p for p in reversed(powers) if -p >= low] + [0] + [p for p in powers if p <= high]


def _text(axes, place: int, line: Line) -> None:
    """Draw the text of a line: what it is at the left; value, n and verdict at the right."""
    indent = 0.0 if line.kind in ("heading", "claim") else _INDENT
    if line.kind == "heading":
        text = textwrap.shorten(line.text, _HEADING, placeholder=" ...")
        behind = {"facecolor": "white", "linewidth": 0}
        _write(axes, place, -_LEFT + 0.04, text, weight="bold", bbox=behind | {"pad": 0.6})
        axes.axhline(place + 0.42, color="#CFCFCF", linewidth=0.5, zorder=0)
        if place == 0:
            _write_column_heads(axes)
        return
    _write(axes, place, -_LEFT + 0.04 + indent, line.text)
    row = line.row
    if row is not None and row.effect is not None:
        _write(axes, place, _VALUE, f"{format_number(row)} {_UNITS[row.unit]}")
        _write(axes, place, _N, f"{row.n:,}", ha="right")
    colour = _look(line.verdict)[0]
    weight = "bold" if line.kind == "claim" else "normal"
    _write(axes, place, _WORD, _word(line.verdict), color=colour, weight=weight)


def _write_column_heads(axes) -> None:
    _write(axes, 0, _VALUE, "effect")
    _write(axes, 0, _N, "n", ha="right")
    _write(axes, 0, _WORD, "verdict")


def _write(axes, place: int, inches: float, text: str, **look) -> None:
    """Draw text on a line, `inches` from the plot's left edge."""
    look = {"ha": "left", "color": style.INK} | look
    axes.text(inches / _PLOT, place, text, transform=axes.get_yaxis_transform(), va="center", fontsize=7, **look)


def _word(verdict: str) -> str:
    """A verdict without its reason where that is too long for the column; n is drawn next to it."""
    return verdict if len(verdict) <= _LONGEST else verdict.split(" (")[0]


def _look(verdict: str) -> tuple[str, str, bool]:
    return _LOOKS.get(verdict) or _LOOKS[INCONCLUSIVE]


def _mark(axes, place: int, row: Row) -> None:
    """Draw a row's effect and interval; a control is thinner."""
    colour, marker, filled = _look(row.verdict)
    thin = row.role == "control"
    if row.low is not None:
        ends = [in_multiples(row, row.low), in_multiples(row, row.high)]
        axes.plot(ends, [place, place], color=colour, linewidth=0.8 if thin else 1.4, zorder=2, solid_capstyle="butt")
    face = colour if filled else "white"
    look = {"color": colour, "marker": marker, "markerfacecolor": face, "markersize": 3 if thin else 4.2}
    axes.plot([in_multiples(row, row.effect)], [place], linestyle="none", zorder=3, **look)


def plotted_row(row: Row) -> dict:
    """The fields of a row, with its effect and interval in multiples of the smallest effect that matters."""
    drawn = {key: None if row.effect is None else getattr(row, key) for key in ("effect", "low", "high")}
    multiples = {key: None if end is None else in_multiples(row, end) for key, end in drawn.items()}
    return row.fields | {"multiples": multiples}
