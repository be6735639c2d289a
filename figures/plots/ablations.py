"""Figures 7 (random masks), 9 (BN rewind) and 10 (warm-up): one thing switched off for IMP and LRR.

Pure: records in, drawings out.
"""

from collections.abc import Sequence

from figures.analysis.sweeps import Sweep, find_sweeps
from figures.plots import style
from figures.plots.ablation_panels import AS_DEFINED, Ablation, count_panels, draw_ablation
from figures.plots.builder import Caption, Drawing, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.choose import arms_there, nothing_run
from figures.plots.contrasts import HIGH_SPARSITY_NOTE
from figures.plots.curves import EPOCHS, means_note
from figures.plots.layout import add_blocks, joined_rows, legend_below
from figures.plots.panels import mark_cut
from figures.plots.sentences import LAYOUT_NOTE, format_data, format_missing
from figures.plots.warm_up import draw_warm_up, has_lead, warm_up_data
from figures.results.network import Records

INTERVALS = "Leads are paired by seed. Their bars are Student-t 95 % intervals of each level by itself."


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
    varied = [sweep for sweep in varied if any(has_lead(results) for results in sweep.studies)]
    if not kept and not varied:
        raise NothingToDraw(missing or [nothing_run(ablation.panel, records.protocol)])
    panels = [*(count_panels(results, there, ablation) for results, there in kept), *([2] * len(varied))]
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.3 * len(joined_rows(panels)) + 0.75), {}
    blocks = add_blocks(sheet, panels)
    for axes, (results, there) in zip(blocks, kept, strict=False):
        plotted[results.study.study], lost = draw_ablation(sheet, axes, results, there, ablation)
        missing += lost
    for axes, sweep in zip(blocks[len(kept) :], varied, strict=True):
        plotted[f"{sweep.name}: {sweep.place}"] = draw_warm_up(sheet, axes, sweep)
    legend_below(sheet, [panel for axes in blocks for panel in axes], 3)
    data = "; ".join([*([format_data(kept)] if kept else []), *map(warm_up_data, varied)])
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
