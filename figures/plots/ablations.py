"""Figures 7 (random masks), 9 (BN rewind) and 10 (warm-up): one thing switched off for IMP and LRR.

Pure: records in, drawings out.
"""

from collections.abc import Sequence

from figures.analysis.sweeps import Sweep, find_sweeps
from figures.plots import style
from figures.plots.ablation_panels import AS_DEFINED, Ablation, count_panels, draw_ablation
from figures.plots.builder import Drawing, NothingToDraw, new_sheet
from figures.plots.captions import interventions as captions
from figures.plots.captions.text import means_note
from figures.plots.choose import nothing_run, studies_with
from figures.plots.finish import finish
from figures.plots.layout import add_blocks, joined_rows, legend_below
from figures.plots.sentences import format_data
from figures.plots.warm_up import draw_warm_up, has_lead, warm_up_data
from figures.results.network import Records


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
    arms = (*ablation.arms, *ablation.more)
    kept, missing = studies_with(records, ablation.arms, arms, ablation.panel)
    varied = [sweep for sweep in varied if any(has_lead(results) for results in sweep.studies)]
    if not kept and not varied:
        raise NothingToDraw(missing or [nothing_run(ablation.panel, records.protocol)])
    panels = [*(count_panels(results, there, ablation) for results, there in kept), *([2] * len(varied))]
    sheet = new_sheet(style.TWO_COLUMNS, 2.3 * len(joined_rows(panels)) + 0.75, missing)
    blocks = add_blocks(sheet, panels)
    for axes, (results, there) in zip(blocks, kept, strict=False):
        sheet.plotted[results.study.study] = draw_ablation(sheet, axes, results, there, ablation)
    for axes, sweep in zip(blocks[len(kept) :], varied, strict=True):
        sheet.plotted[f"{sweep.name}: {sweep.place}"] = draw_warm_up(sheet, axes, sweep)
    legend_below(sheet, [panel for axes in blocks for panel in axes], 3)
    data = "; ".join([*([format_data(kept)] if kept else []), *map(warm_up_data, varied)])
    return finish(sheet, ablation.text, data, means=means_note(records))


RANDOM_MASKS = Ablation(
    captions.RANDOM_MASKS_CAPTION,
    "random masks",
    ("imp-on-random-mask", "lrr-on-random-mask"),
    ("imp-bn-kept-on-random-mask", "lrr-bn-rewind-on-random-mask", "imp-long-on-random-mask"),
    {
        "LRR - IMP, both rewind BN": {"lrr-bn-rewind-on-random-mask": 1, "imp-on-random-mask": -1},
        "LRR - IMP, both keep BN": {"lrr-on-random-mask": 1, "imp-bn-kept-on-random-mask": -1},
        AS_DEFINED.label: {"lrr-on-random-mask": 1, "imp-on-random-mask": -1},
    },
    "lead with BN rewind - lead without",
)
BN_REWIND = Ablation(
    captions.BN_REWIND_CAPTION,
    "BN rewind",
    ("imp", "imp-bn-kept", "lrr", "lrr-bn-rewind"),
    ("imp-long",),
    {
        "LRR - IMP, both rewind BN": {"lrr-bn-rewind": 1, "imp": -1},
        "LRR - IMP, both keep BN": {"lrr": 1, "imp-bn-kept": -1},
    },
    "lead with BN rewind - lead without",
)
WARM_UP = Ablation(
    captions.WARM_UP_CAPTION,
    "warm-up",
    ("imp", "lrr", "imp-without-warmup", "lrr-without-warmup"),
    ("imp-long",),
    {
        "LRR - IMP, with warm-up": {"lrr": 1, "imp": -1},
        "LRR - IMP, without warm-up": {"lrr-without-warmup": 1, "imp-without-warmup": -1},
    },
    "lead with warm-up - lead without",
)
