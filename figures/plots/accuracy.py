"""Figures 2 to 5, on networks. Records in, drawings out.

Every number comes from `figures.analysis.measures`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from figures.analysis import measures
from figures.analysis.statistics import holm, interval_columns, t_test_p
from figures.analysis.table import arm_curve, contrast_curve, frame
from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.captions import origin
from figures.plots.choose import absent_datasets, arms_there, nothing_run, panel_name
from figures.plots.layout import even_rows, legend_below, row_cells, title_beyond
from figures.plots.neuron_phase_plane import draw_iterations, theory_missing
from figures.plots.panels import density_axis, dodge, error_bar_lengths, fit_height, mark_cut, plot_curve
from figures.plots.sentences import epoch_note, format_data, format_missing, format_seeds
from figures.results.network import Records, StudyResults, TheoryResult, train_command

if TYPE_CHECKING:
    from pandas import DataFrame

CIFAR = ("cifar10", "cifar100")  # the data sets of the paper's figures 2 to 5; of its 2d and 5 Tiny ImageNet too
FEWEST_FOR_MARKS = 4
EPOCHS = "LRR's weights have seen more epochs than IMP's at the same level."
CONTROL_NOTE = (
    "Grey: the training-length control. It trains IMP's mask and initial values for as many epochs as LRR's weights"
    " have seen, at the levels where it was run."
)


def means_note(records: Records) -> str:
    """The sentences of a caption on what its points and bars are."""
    return join_caption(epoch_note(records), "Points are means over seeds, bars are Student-t 95 % intervals.")


def draw_curves(axes, table: "DataFrame", arms: Sequence[str]) -> dict:
    """Draw test accuracy over density for some arms of a study; returns the plotted numbers by arm."""
    curves = {arm: arm_curve(table, arm) for arm in arms}
    for shift, (arm, curve) in zip(dodge(len(arms)), curves.items(), strict=True):
        plot_curve(axes, arm, curve, shift)
    density_axis(axes, [density for curve in curves.values() for density in curve["density"]])
    fit_height(axes, list(curves.values()), least=0.0, most=1.005)
    axes.set_ylabel("test accuracy")
    axes.grid(axis="y")
    return curves


def draw_differences(axes, table: "DataFrame", arms: Sequence[str], reference: str) -> dict:
    """Draw differences from `reference`, paired by seed, with marks by Holm's method.

    Returns the plotted numbers by arm.
    """
    curves = {}
    for shift, arm in zip(dodge(len(arms)), arms, strict=True):
        curve = contrast_curve(table, {arm: 1, reference: -1})
        curve["p_holm"] = holm([t_test_p(values) for values in curve["values"]])
        curve["marked"] = [
            p <= 0.05 and n >= FEWEST_FOR_MARKS for p, n in zip(curve["p_holm"], curve["n"], strict=True)
        ]
        plot_curve(axes, arm, curve, shift, zero=True)
        curves[arm] = curve
    fit_height(axes, list(curves.values()))
    _marks(axes, arms, curves)
    density_axis(axes, [density for curve in curves.values() for density in curve["density"]] or [1])
    axes.set_ylabel(f"accuracy - {style.arm_style(reference).label}'s")
    axes.grid(axis="y")
    return curves


def _marks(axes, arms, curves):
    """Draw a star over each marked level, in rows above the data, one row per arm."""
    for row, arm in enumerate(arms):
        marked = [d for d, mark in zip(curves[arm]["density"], curves[arm]["marked"], strict=True) if mark]
        axes.plot(
            marked,
            [0.97 - 0.055 * row] * len(marked),
            linestyle="none",
            marker=(6, 2, 0),
            markersize=4,
            color=style.arm_style(arm).colour,
            transform=axes.get_xaxis_transform(),
            zorder=5,
        )
    if any(any(curve["marked"]) for curve in curves.values()):
        low, high = axes.get_ylim()
        axes.set_ylim(low, high + 0.07 * (len(arms) + 0.5) * (high - low))


@dataclass(frozen=True)
class PairedFigure:
    """What a figure of accuracies, with differences from one arm at the right, shows.

    `seen`: the first sentence of the caption, `sentence`: one of its last; `arms`: those without which a study has no
    panels; `control`: one that is named as missing where it is; `more`: those drawn only where they have been run.
    `differences`: the arms drawn at the right, `reference`: the arm that they are compared with. `papers`: the data
    sets of the paper's figure.
    """

    seen: str
    arms: tuple[str, ...]
    differences: tuple[str, ...]
    sentence: str
    control: tuple[str, ...] = ("imp-long",)
    more: tuple[str, ...] = ()
    reference: str = "imp"
    papers: tuple[str, ...] = CIFAR


def _paired_figure(records: Records, plan: PairedFigure) -> Drawing:
    """Per study, accuracy at the left and paired differences from an arm at the right."""
    panel = "accuracy over density"
    missing, kept = absent_datasets(records, plan.papers, panel), []
    for results in records.studies:
        there, lost = arms_there(results, (*plan.arms, *plan.control), panel)
        there += arms_there(results, plan.more, panel)[0]
        missing += lost
        if set(plan.arms) <= set(there):
            kept.append((results, there))
            compared = [arm for arm in plan.differences if arm in there]
            missing += _unpaired(results, compared, plan.reference, panel)
    if not kept:
        raise NothingToDraw(missing or [nothing_run(panel, records.protocol)])
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.35 * len(kept) + 0.3), {}
    grid = sheet.figure.subplots(len(kept), 2, squeeze=False)
    for axes, (results, there) in zip(grid, kept, strict=True):
        plotted[results.study.study] = _paired_row(sheet, axes, results, there, plan)
    legend_below(sheet, grid.ravel(), 5)
    stars = "A star marks p <= .05 (paired t-test, corrected by Holm's method over the levels of a curve)."
    notes = (*sheet.captions, mark_cut(sheet.figure), stars, EPOCHS, plan.sentence, format_missing(missing))
    more = join_caption(means_note(records), *notes)
    return Drawing(sheet.figure, plotted, Caption(plan.seen, f"Data: {format_data(kept)}.", more), tuple(missing))


def _paired_row(sheet: FigureBuilder, axes, results: StudyResults, there: Sequence[str], plan: PairedFigure) -> dict:
    """One study: accuracy at the left, differences at the right; returns the numbers."""
    reference, name = plan.reference, style.arm_style(plan.reference).label
    shown = [arm for arm in plan.differences if arm in there and measures.shared_seeds(results, (arm, reference))]
    words = f"the same, difference from {name}"
    sheet.add_panel_label(axes[0], panel_name(results.study), f"{format_seeds(results, there)}.", 52)
    sheet.add_panel_label(axes[1], words, f"{words} paired by seed.")
    table = frame(results, there)
    return {
        "curves": draw_curves(axes[0], table, there),
        "differences": draw_differences(axes[1], table, shown, reference),
    }


def _unpaired(results: StudyResults, arms: Sequence[str], reference: str, panel: str) -> list[Missing]:
    """Differences that cannot be paired: the arm and the reference have no complete seed in common."""
    name, command = style.arm_style(reference).label, results.study.command
    place = f"{panel}, {panel_name(results.study)}, difference from {name}"
    lost = [arm for arm in arms if not measures.shared_seeds(results, (arm, reference))]
    return [
        Missing(place, f"{arm} and {reference} share no complete seed", command, style.arm_style(arm).label)
        for arm in lost
    ]


def figure_3(records: Records) -> Drawing:
    """Figure 3: the LRR mask is superior, and IMP improves with it."""
    return _paired_figure(records, _LRR_MASK)


def figure_4(records: Records) -> Drawing:
    """Figure 4: LRR optimises better within the IMP mask; with the training-length control."""
    return _paired_figure(records, _IMP_MASK)


def figure_cyclic(records: Records) -> Drawing:
    """`cyclic`: cyclic training of a random mask beside LRR (claim 15)."""
    return _paired_figure(records, _CYCLIC)


def figure_signs(records: Records) -> Drawing:
    """`signs`: levels that start with signs from elsewhere, and signs that are held."""
    return _paired_figure(records, _SIGNS)


_LRR_MASK = PairedFigure(
    "Test accuracy over density of IMP, LRR, and IMP on the mask that LRR learnt, and each one's difference from IMP.",
    ("imp", "lrr", "imp-on-lrr-mask"),
    ("lrr", "imp-on-lrr-mask", "imp-warm", "imp-long"),
    f"{CONTROL_NOTE} The figure follows the paper's figure 3. The panels of differences, the control and all"
    " settings are ours.",
    more=("imp-warm",),
)
_IMP_MASK = PairedFigure(
    "Test accuracy over density of IMP, LRR, and LRR on the mask that IMP learnt, and its difference from IMP.",
    ("imp", "lrr", "lrr-on-imp-mask"),
    ("lrr-on-imp-mask", "lrr-bn-rewind-on-imp-mask", "imp-long"),
    f"{CONTROL_NOTE} The figure follows the paper's figure 4. The panels of differences, the control and all"
    " settings are ours.",
    more=("lrr-bn-rewind-on-imp-mask",),
)
_CYCLIC = PairedFigure(
    "Test accuracy over density of LRR and of a random mask trained in as many cycles, and the difference from LRR.",
    ("lrr", "cyclic-random"),
    ("cyclic-random", "sculpt"),
    "Cyclic training starts at the rewind point, under the level's random mask, and has one cycle of the schedule more"
    " at each level: as many epochs as LRR's weights have seen. The question is that of a follow-up of the paper's"
    " group (Cyclic Sparse Training: Is it Enough?, 2024). The layout and all settings are ours.",
    control=(),
    more=("sculpt", "lrr-on-random-mask"),
    reference="lrr",
    papers=(),
)


_SIGNS = PairedFigure(
    "Test accuracy over density where a level starts with signs from elsewhere, or holds its signs, and the difference"
    " from IMP.",
    ("imp", "lrr", "sign"),
    ("sign", "sign-shuffled", "signs-of-lrr", "signs-of-lrr-shuffled", "imp-fixed-signs", "lrr-fixed-signs"),
    'Sign rewind starts a level with the trained signs and the magnitudes of the rewind point; "signs of LRR" are'
    ' those that LRR had at the end of the level before. "Shuffled" permutes these magnitudes within each layer.'
    " Where signs are fixed, a weight that crosses zero is set to zero. The arms, the layout and all settings are"
    " ours.",
    control=(),
    more=("sign-shuffled", "signs-of-lrr", "signs-of-lrr-shuffled", "imp-fixed-signs", "lrr-fixed-signs"),
    papers=(),
)


_OTHERS = ("imp-on-shuffled-mask", "imp-on-random-mask", "lrr-on-shuffled-mask", "lrr-on-random-mask")
_LONG = ("imp-long", "imp-long-on-shuffled-mask", "imp-long-on-random-mask")
_MASKS = ("imp", *_OTHERS[:2], "lrr", *_OTHERS[2:], *_LONG)


def figure_2(records: Records) -> Drawing:
    """Figure 2: the neuron over pruning iterations, mask randomisation, LRR on the IMP mask."""
    iterations = records.theory.get("pruning-iterations")
    missing = [] if iterations else [theory_missing("pruning-iterations", "(a) one hidden neuron")]
    missing += absent_datasets(records, CIFAR, "mask randomisation")
    masks = []
    for results in records.studies:
        there, lost = arms_there(results, _MASKS, "mask randomisation")
        missing += lost
        masks += [(results, there)] if set(_OTHERS) & set(there) else []
    exchanges, lost = _exchange_panels(records)
    missing += lost
    count = bool(iterations) + len(masks) + len(exchanges)
    if not count:
        raise NothingToDraw(missing)
    sheet, plotted, axes = _grid_of(count)
    free = iter(axes)
    if iterations:
        plotted["neuron"] = draw_iterations(sheet, next(free), iterations)
    for results, there in masks:
        plotted[f"masks {results.study.study}"] = _mask_panel(sheet, next(free), results, there)
    for results, there in exchanges:
        plotted[f"exchange {results.study.study}"] = _exchange_draw(sheet, next(free), results, there)
    legend_below(sheet, axes, 4)
    more = join_caption(
        *sheet.captions,
        f"On networks: {means_note(records)} They are intervals of each arm by itself, not of paired differences.",
        mark_cut(sheet.figure),
        EPOCHS,
        "Grey: IMP's rewinding trained for as many epochs as LRR's weights have seen, on IMP's own, shuffled and random"
        " masks, at the levels where it was run.",
        "Random masks have the layer densities of ERK. Shuffled masks are the IMP mask permuted within each layer.",
        "The figure follows the paper's figure 2. The intervals and all settings are ours.",
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, _masks_caption(iterations, [*masks, *exchanges], more), tuple(missing))


def _masks_caption(iterations: TheoryResult | None, drawn: Sequence[tuple], more: str) -> Caption:
    """The caption of figure 2 from the panels that it has."""
    seen, data = [], []
    if iterations:
        seen.append("how often IMP and LRR learn on one neuron")
        data.append(f"one neuron, n = {iterations.values['trials']:,} trials")
    if drawn:
        seen.append("the test accuracy of IMP and LRR on networks, on masks that they did not choose")
        data.append(format_data({results.study.study: (results, there) for results, there in drawn}.values()))
    sentence = ", and ".join(seen)
    return Caption(f"{sentence[0].upper()}{sentence[1:]}.", f"Data: {'; '.join(data)}.", more)


def _grid_of(count: int):
    """A figure builder, an empty dict and `count` panels in even rows."""
    rows = even_rows(count)
    sheet = new_sheet(style.TWO_COLUMNS if count > 1 else style.ONE_COLUMN, 2.15 * len(rows) + 0.6)
    return sheet, {}, [sheet.figure.add_subplot(cell) for cell in row_cells(sheet.figure, rows)]


def _mask_panel(sheet: FigureBuilder, axes, results, there) -> dict:
    name = panel_name(results.study)
    sheet.add_panel_label(axes, f"{name}: other masks", f"mask randomisation, {format_seeds(results, there)}.", 30)
    return draw_curves(axes, frame(results, there), there)


def _exchange_panels(records: Records) -> tuple[list[tuple], list[Missing]]:
    """The studies of the last panels, with their arms, and what is missing.

    They are Tiny ImageNet as in the paper, else the first study that has the arms, and those that come with the code.
    """
    panel, arms = "LRR on the IMP mask", ("imp", "lrr-on-imp-mask", "lrr", "imp-long")
    missing = absent_datasets(records, ("tiny-imagenet",), panel)
    order = sorted(records.studies, key=lambda results: results.study.plain_preset != "tiny-imagenet")
    found = []
    for results in order:
        there, lost = arms_there(results, arms, panel)
        if {"imp", "lrr-on-imp-mask"} <= set(there) and (results.bundled or not found):
            found.append((results, there))
            missing += lost
    return found, missing


def _exchange_draw(sheet: FigureBuilder, axes, results, there) -> dict:
    name = panel_name(results.study)
    sheet.add_panel_label(
        axes, f"{name}: the IMP mask", f"LRR within the IMP mask, {format_seeds(results, there)}.", 30
    )
    return draw_curves(axes, frame(results, there), there)


def figure_5(records: Records) -> Drawing:
    """Figure 5: the level at which signs settle (top) and the number of sign switches (bottom)."""
    panel, kept = "sign switches", []
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
    sheet, plotted, seen = new_sheet(style.TWO_COLUMNS if len(kept) > 1 else 4.6, 3.55 * len(rows) + 0.35), {}, []
    for place, results in zip(row_cells(sheet.figure, rows), kept, strict=True):
        cells = place.subgridspec(2, 2, width_ratios=[1, 4.2])
        axes = [[sheet.figure.add_subplot(cells[row, part]) for part in (0, 1)] for row in (0, 1)]
        plotted[results.study.study] = _signs_panels(sheet, axes, results)
        seen += [axes[0][0]]
    legend_below(sheet, seen, 2)
    seen = "When the signs of IMP's and LRR's weights settle (top), and how often they switch (bottom)."
    data = format_data([(results, ("imp", "lrr")) for results in kept], signs=True)
    more = join_caption(
        *sheet.captions,
        "Shares are of the weights that survive the last level. A switch is counted by reading (iii): from the end of a"
        f" level to the end of the next (level 0: from {origin(records.protocol)}).",
        "Top: the last level at which a weight's sign changed. Bottom: how often it changed. Weights that never switch"
        " are drawn separately, on their own scale.",
        "Bars are mean shares over seeds, whiskers are Student-t 95 % intervals of each arm by itself, unpaired.",
        EPOCHS,
        "The figure follows the paper's figure 5. The reading of a switch, the intervals and all settings are ours.",
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, Caption(seen, f"Data: {data}.", more), tuple(missing))


def _signs_panels(sheet: FigureBuilder, axes, results: StudyResults) -> dict:
    """The top and bottom panels of one study.

    Weights that never switch are drawn separately, on their own scale.
    """
    name, last = panel_name(results.study), results.study.levels - 1
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
    look, mean = style.arm_style(arm), columns["mean"]
    lows = [None if low is None else max(low, 0.0) for low in columns["low"]]  # a share is never below 0
    whiskers = error_bar_lengths(mean, lows, columns["high"])
    hatch = "////" if arm == "lrr" else ""
    axes.bar(x, mean, 0.4, color=look.colour, hatch=hatch, edgecolor="white", linewidth=0.4, label=look.label)
    axes.errorbar(x, mean, yerr=whiskers, linestyle="none", color=style.INK, elinewidth=0.7, capsize=1.2)
