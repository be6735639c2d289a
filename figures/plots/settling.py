"""Figure 5: when signs settle, and how often they switch. Records in, drawing out."""

from collections.abc import Sequence

from figures.analysis import measures
from figures.analysis.statistics import interval_columns
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, new_sheet
from figures.plots.captions import signs as captions
from figures.plots.choose import absent_datasets, panel_name
from figures.plots.curves import CIFAR
from figures.plots.finish import finish
from figures.plots.layout import even_rows, legend_below, row_cells, title_beyond
from figures.plots.panels import plot_means
from figures.plots.sentences import format_data, format_seeds
from figures.plots.sweep_sentences import origin
from figures.results.network import Records, StudyResults, train_command


def figure_5(records: Records) -> Drawing:
    """Figure 5: the level at which signs settle (top) and the number of sign switches (bottom)."""
    panel = "sign switches"
    kept = []
    missing = absent_datasets(records, (*CIFAR, "tiny-imagenet"), panel)
    for results in records.studies:
        there = [arm for arm in ("imp", "lrr") if measures.sign_shares(results, arm, "settles_at")]
        if len(there) == 2:
            kept.append(results)
        else:
            why = f"{panel_name(results.study)}: no sign statistics of imp and lrr"
            command = train_command(results.study, ("imp", "lrr"))
            missing.append(Missing(f"{panel}, {panel_name(results.study)}", why, command))
    if not kept:
        raise NothingToDraw(missing)
    rows = even_rows(len(kept), most=2)  # in narrower panels the labels of the axes do not fit
    sheet = new_sheet(style.TWO_COLUMNS if len(kept) > 1 else 4.6, 3.55 * len(rows) + 0.35, missing)
    labelled = []
    for place, results in zip(row_cells(sheet.figure, rows), kept, strict=True):
        cells = place.subgridspec(2, 2, width_ratios=[1, 4.2])
        axes = [[sheet.figure.add_subplot(cells[row, part]) for part in (0, 1)] for row in (0, 1)]
        sheet.plotted[results.study.study] = _signs_panels(sheet, axes, results)
        labelled.append(axes[0][0])
    legend_below(sheet, labelled, 2)
    data = format_data([(results, ("imp", "lrr")) for results in kept], signs=True)
    return finish(sheet, captions.SETTLING, data, origin=origin(records.protocol))


def _signs_panels(sheet: FigureBuilder, axes, results: StudyResults) -> dict:
    """The top and bottom panels of one study.

    Weights that never switch are drawn separately, on their own scale.
    """
    name = panel_name(results.study)
    last = results.study.levels - 1
    settles = _share_bars(axes[0], results, "settles_at", range(last + 1))
    switches = _share_bars(axes[1], results, "switches", range(1, last + 2))
    for row, (first, label) in enumerate(
        (("never", "level at which the sign settles"), ("0", "number of sign switches"))
    ):
        axes[row][0].set_xticks([0], [first])
        axes[row][0].set(ylabel="share of weights", xlim=(-0.6, 0.6), ylim=(0, 1), yticks=[0, 0.5, 1])
        axes[row][1].set_xlabel(label)
    sheet.add_panel_label(axes[0][0], name, f"{format_seeds(results, ('imp', 'lrr'), signs=True)}.", 46)
    title_beyond(axes[0][0])
    return {"settles_at": settles, "switches": switches}


def _thin(numbers: Sequence[int], most: int) -> list[int]:
    return list(numbers)[:: -(-len(numbers) // most)]


def _share_bars(axes, results: StudyResults, counts: str, names: Sequence[int]) -> dict:
    """Bars of the mean shares; returns the plotted numbers.

    The first share is drawn on the narrow axes, the others, labelled by `names`, on the wide one.
    """
    plotted = {}
    for side, arm in ((-0.2, "imp"), (0.2, "lrr")):
        shares = measures.sign_shares(results, arm, counts)
        columns = interval_columns(zip(*shares.values(), strict=True))
        del columns["n"]
        _bars(axes[0], [side], {name: column[:1] for name, column in columns.items()}, arm)
        _bars(axes[1], [number + side for number in names], {name: c[1:] for name, c in columns.items()}, arm)
        plotted[arm] = {"name": ["never", *names], **columns, "seeds": sorted(shares)}
    ticks = _thin(names, 9)
    axes[1].set_xticks(ticks, [str(tick) for tick in ticks])
    axes[1].set_ylim(bottom=0)
    axes[1].grid(axis="y")
    return plotted


def _bars(axes, x: list[float], columns: dict[str, list], arm: str) -> None:
    look = style.arm_style(arm)
    lows = [None if low is None else max(low, 0.0) for low in columns["low"]]  # a share is never below 0
    hatch = "////" if arm == "lrr" else ""
    axes.bar(
        x, columns["mean"], 0.4, color=look.colour, hatch=hatch, edgecolor="white", linewidth=0.4, label=look.label
    )
    look = {"linestyle": "none", "color": style.INK, "elinewidth": 0.7, "capsize": 1.2}
    plot_means(axes, x, columns | {"low": lows}, **look)
