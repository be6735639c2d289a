"""What every figure shares: the value it returns, panels with letters, the density axis, curves.

No files are read or written.
"""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from figures.analysis import measures
from figures.plots import style
from figures.results.datasets import PAPER_DATASETS
from figures.results.network import QUICK, Records, Study, StudyResults, train_command, train_of
from figures.results.reprs import short_repr
from figures.results.variants import LAST_EPOCH, protocol_mark, with_protocol

SMOKE = "smoke run: not evidence"
MOST_IN_A_ROW, LETTERS_ACROSS = 3, 104  # panels; letters of a title in the width of two columns
MOST_STUDIES_NAMED = 3  # in the opening of a caption
LAYOUT_NOTE = "The layout and all settings are ours, not the paper's."
_DENSITY_TICKS = (1, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)


@dataclass(frozen=True)
class Missing:
    """A panel that is left out, the reason, and the command that would make it.

    `what`: if only some curves of the panel are missing, their legend labels.
    """

    panel: str
    why: str
    command: str
    what: str = ""


@dataclass(frozen=True)
class Caption:
    """The caption of a figure in its three parts.

    `seen` is one sentence on what the figure shows, `data` one on its data and their number n. `more` is the rest: the
    panels, how means and intervals are made, controls, and what is not drawn. The report shows `more` on demand.
    """

    seen: str
    data: str
    more: str = ""

    def __post_init__(self):
        """Refuse a caption without its first two sentences."""
        for name in ("seen", "data"):
            if not getattr(self, name):
                raise ValueError(f"a caption needs a sentence {name!r}, got {self!r}: write it")

    @property
    def opening(self) -> str:
        """The first two sentences."""
        return f"{self.seen} {self.data}"

    @property
    def text(self) -> str:
        """The whole caption."""
        return join_caption(self.opening, self.more)


@short_repr
@dataclass(frozen=True)
class Drawing:
    """A drawn figure, its plotted numbers (JSON-able), the parts of its caption, and what was left out."""

    figure: Any
    plotted: dict
    caption_parts: Caption
    missing: tuple[Missing, ...] = ()

    def __post_init__(self):
        """Refuse a caption that is not given in its parts."""
        if not isinstance(self.caption_parts, Caption):
            raise TypeError(
                f"the caption of a drawing must be a Caption(seen, data, more), got {self.caption_parts!r:.60}"
            )

    @property
    def caption(self) -> str:
        """The whole caption."""
        return self.caption_parts.text

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows."""
        return style.shown(self.figure)


class NothingToDraw(Exception):
    """No panel of the figure has results; `missing` names the command that makes each."""

    def __init__(self, missing: Sequence[Missing]):
        """Keep the missing panels and list their commands in the message."""
        commands = dict.fromkeys(item.command for item in missing)
        super().__init__("no results for this figure: run " + "; ".join(commands))
        self.missing = tuple(missing)


@dataclass
class FigureBuilder:
    """A figure that is being built: its axes get letters, and their captions are collected."""

    figure: Any
    letters: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)

    def add_panel_label(self, axes, title: str, caption: str = "", characters: int = 200) -> str:
        """Give `axes` the next letter and a title, broken into lines of at most `characters` letters.

        `caption` describes the panel. Returns the letter.
        """
        name = "abcdefghijklmnopqrstuvwxyz"[len(self.letters)]
        self.letters.append(name)
        axes.set_title(textwrap.fill(f"({name}) {title}", characters), loc="left")
        if caption:
            self.captions.append(f"({name}) {caption}")
        return name


def title_beyond(axes) -> None:
    """Let the title of narrow axes extend over the axes at their right.

    The layout engine would otherwise widen the narrow axes for it.
    """
    text, pad = axes.get_title(loc="left"), style.RC["axes.titlepad"]
    axes.set_title("\n".join(" " for _ in text.split("\n")), loc="left")  # keeps the height
    label = axes.annotate(text, (0, 1), (0, pad), "axes fraction", textcoords="offset points", annotation_clip=False)
    label.set(fontsize=axes.title.get_fontsize(), va="baseline", ha="left", gid="title")
    label.set_in_layout(False)


def new_sheet(width: float, height: float) -> FigureBuilder:
    """An empty figure of a size in inches, with a layout in which nothing overlaps."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04, wspace=0.04, hspace=0.05)
    return FigureBuilder(figure)


def even_rows(count: int, most: int = MOST_IN_A_ROW) -> list[int]:
    """The number of panels in each row for `count` panels: few rows, as even as possible."""
    rows = -(-count // most)
    least, longer = divmod(count, rows)
    return [least + 1] * longer + [least] * (rows - longer)


def joined_rows(blocks: Sequence[int]) -> list[int]:
    """The number of panels in each row for blocks of panels, a row for each block.

    A panel alone in its row joins the row above it where there is room.
    """
    rows: list[int] = []
    for count in blocks:
        if count == 1 and rows and rows[-1] < MOST_IN_A_ROW:
            rows[-1] += 1
        else:
            rows.append(count)
    return rows


def row_cells(figure, rows: Sequence[int]) -> list:
    """Places for panels in rows that all fill the width: no place stays empty.

    `rows`: the number of panels in each row.
    """
    columns = math.lcm(*rows)
    grid = figure.add_gridspec(len(rows), columns)
    return [
        grid[row, place * columns // count : (place + 1) * columns // count]
        for row, count in enumerate(rows)
        for place in range(count)
    ]


def letters_above(axes) -> int:
    """The number of letters of a title that fit above a panel, from its share of the width."""
    place = axes.get_subplotspec()
    return LETTERS_ACROSS * len(place.colspan) // place.get_gridspec().ncols


def add_blocks(sheet: FigureBuilder, blocks: Sequence[int]) -> list[list]:
    """The axes of blocks of panels, in the rows of `joined_rows`; `blocks`: the number of panels in each."""
    axes = iter([sheet.figure.add_subplot(cell) for cell in row_cells(sheet.figure, joined_rows(blocks))])
    return [[next(axes) for _ in range(count)] for count in blocks]


def dataset_name(study: Study) -> str:
    """The title of a study's data set for panels and captions, with marks of protocol and smoke run."""
    title, marks = study.title or study.dataset, [protocol_mark(study.protocol), SMOKE * study.smoke]
    return f"{title} ({', '.join(filter(None, marks))})" if any(marks) else title


def panel_name(study: Study) -> str:
    """The name of a study's panels: its data set.

    The preset is added where it is not the data set's usual one, as is that of a study with a plan; of a smoke run the
    mark says more.
    """
    name = dataset_name(study)
    preset, *changes = study.plain_preset.split(", ")
    if study.smoke:
        return f"{name} (changed)" if changes else name
    usual = study.plain_preset == study.dataset or (study.plain_preset, study.dataset) == QUICK
    if usual or (study.planned and not changes):
        return name
    return f"{name} ({preset}{', changed' if changes else ''})"


def epoch_note(records: Records) -> str:
    """The sentence of a caption on which epoch's accuracy is drawn.

    Empty for the best, of which every caption speaks (`figures.drawing`).
    """
    return "Test accuracy is that of the last epoch." if records.accuracy == LAST_EPOCH else ""


def nothing_run(panel: str, protocol: str) -> Missing:
    """A panel of networks of which none has been run under a protocol."""
    return Missing(panel, "nothing has been run", train_of(protocol))


def dataset_not_run(panel: str, dataset: str, protocol: str) -> Missing:
    """A panel whose data set, one of the paper's, has not been run under a protocol."""
    command = with_protocol(f"paper_repro.py train --preset {dataset} --data-dir DIR", protocol)
    return Missing(panel, f"{PAPER_DATASETS[dataset]} has not been run", command)


def absent_datasets(records: Records, wanted: Sequence[str], panel: str) -> list[Missing]:
    """The data sets of the paper's figure whose own preset has not been run.

    A smaller preset does not count as the data set's own, nor does a smoke run.
    """
    there = {(results.study.dataset, results.study.plain_preset) for results in records.judged.studies}
    lost = [name for name in wanted if (name, name) not in there]
    return [dataset_not_run(f"{panel}, {PAPER_DATASETS[name]}", name, records.protocol) for name in lost]


def arms_there(results: StudyResults, arms: Sequence[str], panel: str) -> tuple[list[str], list[Missing]]:
    """Split `arms` into those with a complete seed and those that are missing.

    The arms that the study does not list share one command. An arm that a study with a plan has not planned is not
    missing: no seed is added to such a study.
    """
    there = [arm for arm in arms if measures.has_arm(results, arm) and measures.seeds_of(results, arm)[0]]
    planned = results.study.planned or arms
    absent = [arm for arm in arms if arm not in there and arm in planned]
    unlisted = [arm for arm in absent if arm not in results.study.arms]
    place = f"{panel}, {panel_name(results.study)}"
    lost = [
        Missing(
            place,
            f"{arm} has no complete seed",
            train_command(results.study, unlisted if arm in unlisted else ()),
            style.arm_style(arm).label,
        )
        for arm in absent
    ]
    return there, lost


def density_axis(axes, densities: Sequence[float]) -> None:
    """Set a logarithmic density axis, dense at the left; ticks are plain fractions."""
    low, high = min(densities), max(densities)
    axes.set_xscale("log")
    axes.set_xlim(high * 1.3, low / 1.3)
    ticks = [tick for tick in _DENSITY_TICKS if low / 1.3 <= tick <= high * 1.3]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("density (log scale)")


def error_bar_lengths(means: Sequence[float], lows: Sequence, highs: Sequence) -> list[list[float]]:
    """The lower and upper lengths of each error bar.

    NaN, for which nothing is drawn, where there is no interval (one seed) or it has no width.
    """
    ends = list(zip(means, lows, highs, strict=True))
    down = [math.nan if low is None or low == high else mean - low for mean, low, high in ends]
    up = [math.nan if high is None or low == high else high - mean for mean, low, high in ends]
    return [down, up]


def plot_curve(axes, arm: str, curve: dict, shift: float = 0.0, zero: bool = False) -> None:
    """Draw an arm's means with intervals over density.

    `shift` moves the curve sideways by that share of the axis' decade.
    """
    look = style.arm_style(arm).line_kwargs()
    x = [density * 10**shift for density in curve["density"]]
    bars = error_bar_lengths(curve["mean"], curve["low"], curve["high"])
    axes.errorbar(x, curve["mean"], yerr=bars, elinewidth=0.7, capsize=1.2, zorder=3, **look)
    if zero:
        axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)


def fit_height(axes, curves: Sequence[dict], least: float | None = None, most: float | None = None) -> None:
    """Set the limits of the y axis from means and intervals.

    A very wide interval (two seeds) extends beyond the axis; the means never do.
    """
    means = [mean for curve in curves for mean in curve["mean"]]
    if not means:
        return
    span = max(max(means) - min(means), 0.01)
    lows = [low for curve in curves for low in curve["low"] if low is not None]
    highs = [high for curve in curves for high in curve["high"] if high is not None]
    low = max(min([*lows, min(means)]), min(means) - 2 * span) - 0.06 * span
    high = min(max([*highs, max(means)]), max(means) + 2 * span) + 0.06 * span
    axes.set_ylim(low if least is None else max(low, least), high if most is None else min(high, most))


def dodge(count: int, step: float = 0.014) -> list[float]:
    """Sideways shifts, in decades, that keep the intervals of `count` curves apart."""
    return [(i - (count - 1) / 2) * step for i in range(count)]


def legend_below(sheet: FigureBuilder, axes_list: Sequence, columns: int) -> None:
    """Draw one legend below the whole figure, with each label once."""
    found = {}
    for axes in axes_list:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found[label] = handle  # the last one: a later panel shows an arm's line where the first has markers only
    if found:
        sheet.figure.legend(list(found.values()), list(found), loc="outside lower center", ncols=columns)


def format_seeds(results: StudyResults, arms: Sequence[str], signs: bool = False) -> str:
    """Which seeds the panel's means are over, and which runs were left out.

    `signs`: only seeds with sign statistics count.
    """
    study, complete, left_out = results.study, {}, []
    for arm in arms:
        seeds, diverged, missing = measures.seeds_of(results, arm)
        bare = [s for s in seeds if signs and results.arms[arm].seeds[s].signs is None]
        label = style.arm_style(arm).label
        complete.setdefault(tuple(s for s in seeds if s not in bare), []).append(label)
        left_out += [f"{label} seed {s} diverged" for s in diverged]
        left_out += [f"{label} seed {s} without sign statistics" for s in bare]
        left_out += [_why_missing(results, arm, s) for s in missing]
    if len(complete) == 1:
        (seeds,) = complete
        number = "n = 1 seed, no intervals" if len(seeds) == 1 else f"n = {len(seeds)} seeds"
        words = f"{number} ({' '.join(map(str, seeds))})"
    else:
        parts = (f"{', '.join(names)}: {' '.join(map(str, seeds))}" for seeds, names in complete.items())
        words = "seeds by arm (" + "; ".join(parts) + ")"
    words += f"; left out: {', '.join(dict.fromkeys(left_out))}" if left_out else ""
    words += _interim(results, arms)
    return f"{dataset_name(study)} (preset {study.preset}, {study.network}), {words}"


def _interim(results: StudyResults, arms: Sequence[str]) -> str:
    """That a study has not reached the number of seeds that was planned; "" where it has, or has no plan."""
    planned = {arm: results.study.planned[arm] for arm in arms if arm in results.study.planned}
    if all(measures.is_final(results, [arm]) for arm in planned):
        return ""
    numbers = " to ".join(map(str, sorted({min(map(len, planned.values())), max(map(len, planned.values()))})))
    return f"; interim, {numbers} seeds are planned"


def format_data(kept: Iterable[tuple[StudyResults, Sequence[str]]], signs: bool = False) -> str:
    """The networks, data sets and numbers of seeds in few words: `resnet20 on digits, n = 4 seeds`.

    `kept`: the studies that are drawn, each with its arms. `signs`: only seeds with sign statistics count.
    """
    found: dict[str, list[str]] = {}
    for results, arms in kept:
        counts = [len(_seeds_drawn(results, arm, signs)) for arm in arms]
        found.setdefault(format_n(counts), []).append(f"{results.study.model} on {panel_name(results.study)}")
    return "; ".join(f"{_listed(names)}, {n}" for n, names in found.items())


def _seeds_drawn(results: StudyResults, arm: str, signs: bool) -> list[int]:
    seeds, _, _ = measures.seeds_of(results, arm)
    return [seed for seed in seeds if not signs or results.arms[arm].seeds[seed].signs is not None]


def format_n(counts: Sequence[int], unit: str = "seed") -> str:
    """The number of seeds (or of another unit), or its range: `n = 3 to 4 seeds`."""
    numbers = " to ".join(f"{number:,}" for number in sorted({min(counts), max(counts)}))
    return f"n = {numbers} {unit}{'s' if max(counts) != 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    """Names joined by commas and `and`; of many, the first three and the number of the others."""
    if len(names) > MOST_STUDIES_NAMED:
        others = len(names) - MOST_STUDIES_NAMED
        names = [*names[:MOST_STUDIES_NAMED], f"{others} other stud{'y' if others == 1 else 'ies'}"]
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _why_missing(results: StudyResults, arm: str, seed: int) -> str:
    for run, name in ((results.dense_of(arm), "dense"), (results.arms.get(arm), arm)):
        if run and seed in run.unreadable:
            return f"{style.arm_style(name).label} seed {seed} could not be trusted"
    return f"{style.arm_style(arm).label} seed {seed} not complete"


def format_missing(missing: Sequence[Missing]) -> str:
    """The sentence of a caption that names what is not drawn, by panel; each command occurs once."""
    if not missing:
        return ""
    panels: dict[str, dict[str, list[str]]] = {}
    for item in missing:
        labels = panels.setdefault(item.panel, {}).setdefault(item.command, [])
        labels += [f'"{item.what}"'] if item.what else []
    first, parts = {}, []
    for panel, commands in panels.items():
        how = []
        for command, labels in commands.items():
            with_what = f"as for {first[command]}" if command in first else f"`{command}`"
            first.setdefault(command, panel)
            how.append(f"{', '.join(labels)} ({with_what})" if labels else f"({with_what})")
        parts.append(f"{panel}{':' if any(commands.values()) else ''} {'; '.join(how)}")
    return "Not drawn: " + "; ".join(parts) + "."


def mark_cut(figure) -> str:
    """Draw an arrow head where an interval extends beyond its axis; returns the sentence for the caption.

    Without it a bar that is cut at both ends looks like an axis. Call it after the limits have been set.
    """
    from matplotlib.lines import Line2D
    from matplotlib.markers import CARETDOWN, CARETUP

    heads = []
    for axes in figure.axes:
        low, high = axes.get_ylim()
        for bars in _interval_bars(axes):
            for segment in bars.get_segments():
                heads += [(axes, bars, x, 0, CARETDOWN) for x, y in segment if y < low]
                heads += [(axes, bars, x, 1, CARETUP) for x, y in segment if y > high]
    for axes, bars, x, end, marker in heads:
        look = {"color": bars.get_color()[0], "marker": marker, "markersize": 4, "linestyle": "none", "zorder": 4}
        look |= {"transform": axes.get_xaxis_transform(), "clip_on": False}
        axes.add_artist(Line2D([x], [end], label="_cut", **look))  # an underscore: it is no curve of its own
    return "Bars that reach an axis limit extend beyond it." if heads else ""


def _interval_bars(axes) -> list:
    """The bars of the intervals drawn in a panel, a collection of lines for each curve."""
    found = [container for container in axes.containers if type(container).__name__ == "ErrorbarContainer"]
    return [bars for container in found for bars in container.lines[2]]


def join_caption(*sentences: str) -> str:
    """Sentences joined by single spaces, empty ones dropped."""
    return " ".join(sentence for sentence in sentences if sentence)
