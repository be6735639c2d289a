"""Figures 3, 4, `cyclic` and `signs`: accuracy over density, beside it the differences from one arm.

Records in, drawings out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.table import frame
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, new_sheet
from figures.plots.captions import accuracy as captions
from figures.plots.captions.text import CaptionText, means_note
from figures.plots.choose import absent_datasets, arms_there, nothing_run, panel_name
from figures.plots.curves import CIFAR, draw_curves, draw_differences
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.sentences import format_data, format_seeds
from figures.results.network import Records, StudyResults


@dataclass(frozen=True)
class PairedFigure:
    """What a figure of accuracies, with differences from one arm at the right, shows.

    `text`: its caption; `arms`: those without which a study has no panels; `control`: one that is named as missing
    where it is; `more`: those drawn only where they have been run. `differences`: the arms drawn at the right,
    `reference`: the arm that they are compared with. `papers`: the data sets of the paper's figure.
    """

    text: CaptionText
    arms: tuple[str, ...]
    differences: tuple[str, ...]
    control: tuple[str, ...] = ("imp-long",)
    more: tuple[str, ...] = ()
    reference: str = "imp"
    papers: tuple[str, ...] = CIFAR


def _paired_figure(records: Records, plan: PairedFigure) -> Drawing:
    """Per study, accuracy at the left and paired differences from an arm at the right."""
    panel = "accuracy over density"
    missing = absent_datasets(records, plan.papers, panel)
    kept = []
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
    sheet = new_sheet(style.TWO_COLUMNS, 2.35 * len(kept) + 0.3, missing)
    grid = sheet.figure.subplots(len(kept), 2, squeeze=False)
    for axes, (results, there) in zip(grid, kept, strict=True):
        sheet.plotted[results.study.study] = _paired_row(sheet, axes, results, there, plan)
    legend_below(sheet, grid.ravel(), 5)
    return finish(sheet, plan.text, format_data(kept), means=means_note(records))


def _paired_row(sheet: FigureBuilder, axes, results: StudyResults, there: Sequence[str], plan: PairedFigure) -> dict:
    """One study: accuracy at the left, differences at the right; returns the numbers."""
    reference = plan.reference
    name = style.arm_style(plan.reference).label
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
    name = style.arm_style(reference).label
    command = results.study.command
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
    captions.LRR_MASK,
    ("imp", "lrr", "imp-on-lrr-mask"),
    ("lrr", "imp-on-lrr-mask", "imp-warm", "imp-long"),
    more=("imp-warm",),
)
_IMP_MASK = PairedFigure(
    captions.IMP_MASK,
    ("imp", "lrr", "lrr-on-imp-mask"),
    ("lrr-on-imp-mask", "lrr-bn-rewind-on-imp-mask", "imp-long"),
    more=("lrr-bn-rewind-on-imp-mask",),
)
_CYCLIC = PairedFigure(
    captions.CYCLIC,
    ("lrr", "cyclic-random"),
    ("cyclic-random", "sculpt"),
    control=(),
    more=("sculpt", "lrr-on-random-mask"),
    reference="lrr",
    papers=(),
)
_FROM_ELSEWHERE = ("sign-shuffled", "signs-of-lrr", "signs-of-lrr-shuffled", "imp-fixed-signs", "lrr-fixed-signs")
_SIGNS = PairedFigure(
    captions.SIGNS_FROM_ELSEWHERE,
    ("imp", "lrr", "sign"),
    ("sign", *_FROM_ELSEWHERE),
    control=(),
    more=_FROM_ELSEWHERE,
    papers=(),
)
