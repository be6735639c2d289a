"""Figures 7 (random masks), 9 (BN rewind) and 10 (warm-up): one thing switched off for IMP and LRR.

Pure: records in, drawings out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.statistics import as_columns
from figures.analysis.sweeps import Sweep, find_sweeps
from figures.analysis.table import frame
from figures.plots import style
from figures.plots.accuracy import EPOCHS, draw_curves, means_note
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.captions import network_name
from figures.plots.choose import arms_there, nothing_run, panel_name
from figures.plots.contrasts import (
    HIGH_SPARSITY_NOTE,
    Coefficients,
    draw_contrasts,
    format_high_sparsity_accuracy,
    format_sweep_seeds,
    h_contrast,
    plot_intervals,
    unpaired,
)
from figures.plots.layout import add_blocks, joined_rows, legend_below
from figures.plots.panels import dodge, fit_height, mark_cut
from figures.plots.sentences import LAYOUT_NOTE, format_data, format_missing, format_n, format_seeds
from figures.plots.style import ArmStyle
from figures.results.network import Records, StudyResults

AS_DEFINED = ArmStyle("LRR - IMP, each as defined", style.VERMILLION, "v", (0, (2, 1)), filled=False)
_ON, _OFF = ("#000000", "o", "-"), (style.BLUE, "s", (0, (5, 1.5)))
_EFFECT = ArmStyle("lead with - lead without", style.GREEN, "p", "-")
INTERVALS = "Leads are paired by seed. Their bars are Student-t 95 % intervals of each level by itself."


@dataclass(frozen=True)
class Ablation:
    """What is switched off, in which arms, and the leads of LRR over IMP with it and without it.

    `seen`: the first sentence of the caption, `notes`: some of its last; `arms`: those without which there is no panel;
    `more`: those drawn if they have been run; `leads`: by the label of their curve. The effect is the first of `leads`
    minus the second.
    """

    seen: str
    panel: str
    arms: tuple[str, ...]
    more: tuple[str, ...]
    leads: Mapping[str, Coefficients]
    effect: str
    notes: tuple[str, ...]


def figure_7(records: Records) -> Drawing:
    """Figure 7: IMP and LRR on random masks of the same layer densities, with and without BN rewind."""
    return _figure(records, RANDOM_MASKS)


def figure_9(records: Records) -> Drawing:
    """Figure 9: batch norm rewound or kept, for IMP and for LRR."""
    return _figure(records, BN_REWIND)


def figure_10(records: Records) -> Drawing:
    """Figure 10: with and without warm-up, and over its number of epochs if that sweep has been run."""
    return _figure(records, WARM_UP, find_sweeps(records, "warm-up"))


def _figure(records: Records, ablation: Ablation, varied: Sequence[Sweep] = ()) -> Drawing:
    kept, missing = _kept(records, ablation)
    varied = [sweep for sweep in varied if any(_lead(results) for results in sweep.studies)]
    if not kept and not varied:
        raise NothingToDraw(missing or [nothing_run(ablation.panel, records.protocol)])
    panels = [*(_count_panels(results, there, ablation) for results, there in kept), *([2] * len(varied))]
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.3 * len(joined_rows(panels)) + 0.75), {}
    blocks = add_blocks(sheet, panels)
    for axes, (results, there) in zip(blocks, kept, strict=False):
        plotted[results.study.study], lost = _ablation_row(sheet, axes, results, there, ablation)
        missing += lost
    for axes, sweep in zip(blocks[len(kept) :], varied, strict=True):
        plotted[f"{sweep.name}: {sweep.place}"] = _epochs_row(sheet, axes, sweep)
    legend_below(sheet, [panel for axes in blocks for panel in axes], 3)
    data = "; ".join([*([format_data(kept)] if kept else []), *map(_sweep_data, varied)])
    more = join_caption(
        means_note(records),
        *sheet.captions,
        HIGH_SPARSITY_NOTE,
        INTERVALS,
        mark_cut(sheet.figure),
        EPOCHS,
        *ablation.notes,
        _CONTROL,
        LAYOUT_NOTE,
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, Caption(ablation.seen, f"Data: {data}.", more), tuple(missing))


def _kept(records: Records, ablation: Ablation) -> tuple[list, list[Missing]]:
    """The studies that have what the figure is about, and what is missing.

    Each study comes with its arms that have a complete seed.
    """
    kept, missing = [], []
    for results in records.studies:
        there, lost = arms_there(results, (*ablation.arms, *ablation.more), ablation.panel)
        missing += lost
        if set(ablation.arms) <= set(there):
            kept.append((results, there))
    return kept, missing


def _ablation_row(
    sheet: FigureBuilder, axes, results: StudyResults, there, ablation: Ablation
) -> tuple[dict, list[Missing]]:
    """Accuracy, the leads of LRR over IMP, and the difference of the first two leads."""
    name = panel_name(results.study)
    leads, paired = _leads(results, there, ablation)
    missing = [item for words in leads if words not in paired for item in unpaired(results, leads[words], words)]
    table = frame(results, there)
    plotted = {"curves": draw_curves(axes[0], table, there), "leads": {}, "effect": None}
    sheet.add_panel_label(axes[0], name, f"{format_seeds(results, there)}.", 36)
    if paired:
        axes[1].set_ylabel("accuracy, LRR - IMP")
        shown = [(_look(words, ablation), paired[words]) for words in paired]
        plotted["leads"] = draw_contrasts(axes[1], table, shown)
        sheet.add_panel_label(
            axes[1], "lead of LRR over IMP", f"lead of LRR over IMP: {_leads_words(results, paired)}.", 36
        )
    effect = _effect_of(ablation)
    if _has_effect(results, there, ablation):
        (plotted["effect"],) = draw_contrasts(axes[2], table, [(_EFFECT, effect)]).values()
        axes[2].set_ylabel("difference of the leads")
        sheet.add_panel_label(
            axes[2], _EFFECT.label, f"{ablation.effect}{format_high_sparsity_accuracy(results, effect)}.", 36
        )
    return plotted, missing


def _leads(results: StudyResults, there: Sequence[str], ablation: Ablation) -> tuple[dict, dict]:
    """The leads whose arms have been run, and those of them that can be paired by seed."""
    leads = {words: arms for words, arms in ablation.leads.items() if set(arms) <= set(there)}
    return leads, {words: arms for words, arms in leads.items() if measures.shared_seeds(results, arms)}


def _count_panels(results: StudyResults, there: Sequence[str], ablation: Ablation) -> int:
    """The number of panels of a study: accuracy, the leads and their difference, where there are any."""
    return 1 + bool(_leads(results, there, ablation)[1]) + _has_effect(results, there, ablation)


def _has_effect(results: StudyResults, there: Sequence[str], ablation: Ablation) -> bool:
    effect = _effect_of(ablation)
    return set(effect) <= set(there) and bool(measures.shared_seeds(results, effect))


def _effect_of(ablation: Ablation) -> dict[str, float]:
    """The coefficients, by arm, of the first lead minus the second."""
    first, second = list(ablation.leads.values())[:2]
    total = {arm: first.get(arm, 0) - second.get(arm, 0) for arm in (*first, *second)}
    return {arm: factor for arm, factor in total.items() if factor}


def _look(words: str, ablation: Ablation) -> ArmStyle:
    """The style of a lead: the first is black, the second blue, another one grey."""
    place = list(ablation.leads).index(words)
    return ArmStyle(words, *(_ON, _OFF)[place]) if place < 2 else AS_DEFINED


def _leads_words(results: StudyResults, leads: Mapping[str, Coefficients]) -> str:
    parts = (
        f"{words.removeprefix('LRR - IMP, ')}{format_high_sparsity_accuracy(results, arms)}"
        for words, arms in leads.items()
    )
    return ", ".join(parts)


def _lead(results: StudyResults) -> bool:
    return bool(measures.high_sparsity_levels(results) and measures.shared_seeds(results, ("imp", "lrr")))


def _pairs_there(sweep: Sweep) -> list[tuple]:
    """The values of a sweep at which IMP and LRR can be compared, each with its results."""
    return [(x, results) for x, results in zip(sweep.x, sweep.studies, strict=True) if _lead(results)]


def _sweep_data(sweep: Sweep) -> str:
    """The data of a sweep's row and their number, for the opening of the caption."""
    pairs = _pairs_there(sweep)
    seeds = format_n([len(measures.shared_seeds(results, ("imp", "lrr"))) for _, results in pairs])
    return f"{network_name(sweep)}, {seeds} at each of {len(pairs)} lengths of warm-up"


def _epochs_row(sheet: FigureBuilder, axes, sweep: Sweep) -> dict:
    """High-sparsity accuracy of IMP and LRR, and their paired difference, over the epochs of warm-up."""
    pairs = _pairs_there(sweep)
    numbers, plotted = [x for x, _ in pairs], {}
    for shift, arm in zip(dodge(2, 0.12), ("imp", "lrr"), strict=True):
        plotted[arm] = _h_curve(pairs, {arm: 1})
        plot_intervals(axes[0], style.arm_style(arm), [x + shift for x in numbers], plotted[arm])
    plotted["lrr - imp"] = _h_curve(pairs, {"lrr": 1, "imp": -1})
    look = ArmStyle("LRR - IMP, with warm-up", *_ON)
    plot_intervals(axes[1], look, numbers, plotted["lrr - imp"])
    fit_height(axes[0], [plotted["imp"], plotted["lrr"]], least=0.0, most=1.005)
    fit_height(axes[1], [plotted["lrr - imp"]])
    for axis, label in zip(axes, ("high-sparsity accuracy", "high-sparsity accuracy, LRR - IMP"), strict=False):
        axis.set(xlabel="epochs of warm-up", ylabel=label)
        axis.set_xticks(numbers)
    words = f"high-sparsity accuracy over the epochs of warm-up, {format_sweep_seeds(sweep, ('imp', 'lrr'))}"
    first = sheet.add_panel_label(axes[0], network_name(sweep), characters=36)
    last = sheet.add_panel_label(axes[1], "lead of LRR over IMP", characters=36)
    sheet.captions.append(f"({first}, {last}) {words}.")
    return plotted | {"warmup_epochs": numbers}


def _h_curve(pairs: Sequence[tuple], coefficients: Coefficients) -> dict[str, list]:
    return as_columns(h_contrast(results, coefficients) for _, results in pairs)


_CONTROL = (
    "Grey diamonds: the training-length control. It is IMP's rewinding on the same masks, trained for as many epochs as"
    " LRR's weights have seen, at the levels where it was run."
)

RANDOM_MASKS = Ablation(
    "Test accuracy of IMP and LRR on random masks, with batch norm rewound and kept, and LRR's lead over IMP.",
    "random masks",
    ("imp-on-random-mask", "lrr-on-random-mask"),
    ("imp-bn-kept-on-random-mask", "lrr-bn-rewind-on-random-mask", "imp-long-on-random-mask"),
    {
        "LRR - IMP, both rewind BN": {"lrr-bn-rewind-on-random-mask": 1, "imp-on-random-mask": -1},
        "LRR - IMP, both keep BN": {"lrr-on-random-mask": 1, "imp-bn-kept-on-random-mask": -1},
        AS_DEFINED.label: {"lrr-on-random-mask": 1, "imp-on-random-mask": -1},
    },
    "lead with BN rewind - lead without",
    (
        "The masks are random and nested, with the layer densities of ERK. As defined, IMP rewinds batch norm and LRR"
        " keeps it.",
    ),
)
BN_REWIND = Ablation(
    "Test accuracy of IMP and LRR with batch norm rewound and kept, and LRR's lead over IMP.",
    "BN rewind",
    ("imp", "imp-bn-kept", "lrr", "lrr-bn-rewind"),
    ("imp-long",),
    {
        "LRR - IMP, both rewind BN": {"lrr-bn-rewind": 1, "imp": -1},
        "LRR - IMP, both keep BN": {"lrr": 1, "imp-bn-kept": -1},
    },
    "lead with BN rewind - lead without",
    ("As defined, IMP rewinds batch norm and LRR keeps it.",),
)
WARM_UP = Ablation(
    "Test accuracy of IMP and LRR with and without warm-up, and LRR's lead over IMP.",
    "warm-up",
    ("imp", "lrr", "imp-without-warmup", "lrr-without-warmup"),
    ("imp-long",),
    {
        "LRR - IMP, with warm-up": {"lrr": 1, "imp": -1},
        "LRR - IMP, without warm-up": {"lrr-without-warmup": 1, "imp-without-warmup": -1},
    },
    "lead with warm-up - lead without",
    ("The arms without warm-up start from dense networks trained without it.",),
)
