"""All claims at a glance: a line for each effect, its interval and its verdict. Not in the paper.

The verdict is shown as colour, marker and word. Effects have five units, so each is drawn in multiples of the smallest
effect that matters in its own unit: zero and that smallest effect are the same place on every line. The axis is linear
up to it and logarithmic beyond.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures.claims.registry import evaluate
from figures.claims.tables import by_place, format_number
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
    ClaimVerdict,
    Row,
)
from figures.plots import style
from figures.plots.builder import Caption, Drawing, Missing, NothingToDraw, join_caption
from figures.plots.choose import absent_datasets, dataset_name
from figures.plots.sentences import format_data, format_missing, format_seeds
from figures.results.datasets import PAPER_DATASETS
from figures.results.network import Records, StudyResults
from figures.results.variants import LAST_EPOCH, plain_preset

# inches
_LINE, _TOP, _BOTTOM, _LEFT, _PLOT, _INDENT = 0.142, 0.44, 0.4, 1.88, 1.9, 0.16
# columns of text at the right of the plot, inches from its left edge: where values start, n ends, verdicts start
_VALUE, _N, _WORD = _PLOT + 0.08, _PLOT + 1.56, _PLOT + 1.65
_UNITS = {
    ACCURACY_POINTS: ACCURACY_POINTS,
    PROBABILITY: "prob.",
    SHARE: "share",
    NUMBER_OF_LEVELS: "levels",
    NUMBER_OF_SWITCHES: "switches",
}
_OTHERS = "probability, share, levels or switches"
_LONGEST = 25
_GREEN, _RED, _GREY = style.LEARNS_DARK, style.FAILS_DARK, "#5A5A5A"
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


def figure_claims(records: Records) -> Drawing:
    """Every claim's deciding effects and training-length controls, grouped by what they are judged on."""
    records = records.judged
    verdicts = evaluate(records)
    rows = [row for verdict in verdicts for row in verdict.rows if row.role != "secondary"]
    missing = _missing(verdicts, records)
    if all(row.effect is None for row in rows):
        raise NothingToDraw(missing)
    names = {r.study.dataset: dataset_name(r.study) for r in (*records.studies, *records.sweeps)}
    lines = [line for title, group in _places(verdicts).items() for line in _group(title, group, names)]
    figure = draw_lines(lines)
    plotted = {title: [_numbers(verdict) for verdict in group] for title, group in _places(verdicts).items()}
    return Drawing(figure, plotted, _caption(records, missing), tuple(missing))


def _places(verdicts: Sequence[ClaimVerdict]) -> dict[str, list[ClaimVerdict]]:
    """The verdicts under the headings of the table; those without any result are last."""
    empty = [v for v in verdicts if v.dataset is None and all(r.verdict == NOT_RUN for r in v.rows if r.decides)]
    found = by_place([verdict for verdict in verdicts if verdict not in empty])
    return found | ({NOT_RUN: empty} if empty else {})


def _group(title: str, verdicts: Sequence[ClaimVerdict], names: Mapping[str, str]) -> list[Line]:
    """The lines of one heading; `names` holds the titles of the data sets."""
    lines = [Line(_heading(title, verdicts[0], names), "heading")]
    for verdict in verdicts:
        shown = [row for row in verdict.rows if row.role != "secondary"]
        deciding = [row for row in shown if row.decides]
        parts = len(deciding) > 1
        head, asked = f"{verdict.id}  {verdict.short}", not verdict.id[0].isdigit()
        head = verdict.short if asked else head
        lines.append(Line(head, "claim", verdict.verdict, None if parts else deciding[0]))
        lines += [Line(row.label, row.role, row.verdict, row) for row in shown if parts or row is not deciding[0]]
    return lines


def _heading(title: str, verdict: ClaimVerdict, names: Mapping[str, str]) -> str:
    if verdict.dataset is None:
        return "One neuron: theory" if title != NOT_RUN else "Not run"
    changes = f", {verdict.shared_overrides}" if verdict.shared_overrides else ""
    what = "sweeps of preset" if verdict.sweep else "preset"
    return f"{names[verdict.dataset]}: {what} {plain_preset(verdict.preset)}{changes}"


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


def _multiple(row: Row, value: float) -> float:
    """A value of a row in multiples of the smallest effect that matters.

    It is counted from the row's reference value, `against`.
    """
    return (value - row.against) / SMALLEST_EFFECT[row.unit]


def _scales(axes, lines: Sequence[Line]) -> None:
    """Draw the x axes: accuracy points below, the other units above.

    Zero and the smallest effect that matters are marked.
    """
    rows = [line.row for line in lines if line.row is not None and line.row.effect is not None]
    ends = [_multiple(row, end) for row in rows for end in (row.effect, row.low, row.high) if end is not None]
    low, high = min([*ends, -1.0]), max([*ends, 1.0])
    limits = (low * 1.25, high * 1.25)
    axes.axvspan(0, 1, color="#EFEFEF", linewidth=0, zorder=0)
    axes.axvline(0, color=style.INK, linewidth=0.7, zorder=1)
    upper, (linear, ticks) = axes.twiny(), _ticks(*limits)
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
        text, behind = textwrap.shorten(line.text, _HEADING, placeholder=" ..."), {"facecolor": "white", "linewidth": 0}
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
        ends = [_multiple(row, row.low), _multiple(row, row.high)]
        axes.plot(ends, [place, place], color=colour, linewidth=0.8 if thin else 1.4, zorder=2, solid_capstyle="butt")
    face = colour if filled else "white"
    look = {"color": colour, "marker": marker, "markerfacecolor": face, "markersize": 3 if thin else 4.2}
    axes.plot([_multiple(row, row.effect)], [place], linestyle="none", zorder=3, **look)


def _numbers(verdict: ClaimVerdict) -> dict:
    """The plotted numbers of a verdict.

    For each row they are the value and the interval, in its unit and in multiples of the smallest effect that matters.
    """
    rows = []
    for row in verdict.rows:
        if row.role != "secondary":
            rows.append(plotted_row(row))
    head = ("id", "claim", "source", "study", "sweep", "preset", "dataset", "scope", "verdict", "control")
    return {key: getattr(verdict, key) for key in head} | {"rows": rows}


def plotted_row(row: Row) -> dict:
    """The fields of a row, with its effect and interval in multiples of the smallest effect that matters."""
    drawn = {key: None if row.effect is None else getattr(row, key) for key in ("effect", "low", "high")}
    multiples = {key: None if end is None else _multiple(row, end) for key, end in drawn.items()}
    return row.fields | {"multiples": multiples}


def _missing(verdicts: Sequence[ClaimVerdict], records: Records) -> list[Missing]:
    """The rows that have not been run, by command, and the data sets of the paper that have not been run."""
    wanted: dict[str, list[str]] = {}
    for verdict in verdicts:
        for row in verdict.rows:
            if row.verdict == NOT_RUN and row.role != "secondary":
                wanted.setdefault(row.command, []).append(verdict.id)
    found = [Missing(f"claims {', '.join(dict.fromkeys(ids))}", "not run", command) for command, ids in wanted.items()]
    return [*found, *absent_datasets(records, tuple(PAPER_DATASETS), "claims")]


_SEEN = "Every claim with the effect that decides it, the 95 % interval of the effect, and the verdict."


def _caption(records: Records, missing: Sequence[Missing]) -> Caption:
    studies = [_seeds(results) for results in records.studies]
    drawn = [(results, arms) for results in records.studies if (arms := _shown_arms(results))]
    networks = f"networks: {format_data(drawn)}; " if drawn else ""
    data = f"Data: {networks}the number n of seeds or trials of each effect is in its line."
    last = "" if records.accuracy == LAST_EPOCH else ", for the accuracy of the last epoch"
    more = join_caption(
        f"The effects were fixed before the data{last}. Intervals over seeds are Student-t intervals, paired by seed."
        " Those of the neuron are over trials.",
        "Reproduced: the interval lies wholly above zero. Not reproduced: it lies wholly below the smallest effect that"
        " matters (.2 accuracy points, or .02), which is the right edge of the grey band. Reversed: it lies wholly"
        " below zero. Inconclusive: all else.",
        "The axis is linear up to the smallest effect that matters and logarithmic beyond. A value that is not compared"
        " with 0 is drawn minus its reference value: 1/2 and 1/4 in claim 3, .98 in 4a, -.2 accuracy points in 15a,"
        " 0 contradictions in 1 and 2. A claim of several parts needs all of them. Against training length: the same"
        " relative to IMP's rewinding trained for as many epochs as LRR's weights have seen. Sweeps have no such"
        " control. At chance: no arm of the comparison is clearly better than a guess. The mask converges: share of a"
        " level's last mask that the mask one cycle of the schedule earlier already had, minus .98.",
        *studies,
        *_other_networks(records),
        "Each verdict holds for its preset, network and data set alone.",
        format_missing(missing),
    )
    return Caption(_SEEN, data, more)


def _other_networks(records: Records) -> list[str]:
    """The settings of every sweep that differ from the preset's own.

    Returns a sentence for each preset and data set.
    """
    common = {r.study.place: r.study for r in records.sweeps if r.study.shared_overrides}
    return [
        f"Sweeps ({dataset_name(study)}, preset {study.base}) run with {_settings(study.shared_overrides)}, unless that"
        " is varied."
        for study in common.values()
    ]


def _settings(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in settings.items())


def _seeds(results: StudyResults) -> str:
    arms = _shown_arms(results)
    return f"{format_seeds(results, arms)}." if arms else ""


def _shown_arms(results: StudyResults) -> list[str]:
    """The arms whose seeds stand for the study: IMP and LRR, or else its first arm."""
    return [arm for arm in ("imp", "lrr") if arm in results.arms] or list(results.arms)[:1]
