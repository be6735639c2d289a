"""Figure 2: IMP and LRR on a neuron, and on masks that they did not choose. Records in, drawing out."""

from collections.abc import Sequence

from figures.analysis.table import frame
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, new_sheet
from figures.plots.captions import accuracy as captions
from figures.plots.captions.text import means_note
from figures.plots.choose import absent_datasets, arms_there, panel_name
from figures.plots.curves import CIFAR, draw_curves
from figures.plots.finish import finish
from figures.plots.layout import even_rows, legend_below, row_cells
from figures.plots.neuron_iterations import draw_iterations
from figures.plots.neuron_rules import theory_missing
from figures.plots.sentences import format_data, format_seeds
from figures.results.network import Records, TheoryResult

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
    rows = even_rows(count)
    sheet = new_sheet(style.TWO_COLUMNS if count > 1 else style.ONE_COLUMN, 2.15 * len(rows) + 0.6, missing)
    axes = [sheet.figure.add_subplot(cell) for cell in row_cells(sheet.figure, rows)]
    free = iter(axes)
    if iterations:
        sheet.plotted["neuron"] = draw_iterations(sheet, next(free), iterations)
    for results, there in masks:
        sheet.plotted[f"masks {results.study.study}"] = _mask_panel(sheet, next(free), results, there)
    for results, there in exchanges:
        sheet.plotted[f"exchange {results.study.study}"] = _exchange_draw(sheet, next(free), results, there)
    legend_below(sheet, axes, 4)
    seen, data = _shown(iterations, [*masks, *exchanges])
    return finish(sheet, captions.OTHER_MASKS, data, seen=seen, means=means_note(records))


def _shown(iterations: TheoryResult | None, drawn: Sequence[tuple]) -> tuple[str, str]:
    """What the figure shows and its data, from the panels that it has."""
    seen = []
    data = []
    if iterations:
        seen.append(captions.ON_NEURON)
        data.append(f"one neuron, n = {iterations.values['trials']:,} trials")
    if drawn:
        seen.append(captions.SEEN_ON_NETWORKS)
        data.append(format_data({results.study.study: (results, there) for results, there in drawn}.values()))
    sentence = ", and ".join(seen)
    return f"{sentence[0].upper()}{sentence[1:]}.", "; ".join(data)


def _mask_panel(sheet: FigureBuilder, axes, results, there) -> dict:
    name = panel_name(results.study)
    sheet.add_panel_label(axes, f"{name}: other masks", f"mask randomisation, {format_seeds(results, there)}.", 30)
    return draw_curves(axes, frame(results, there), there)


def _exchange_panels(records: Records) -> tuple[list[tuple], list[Missing]]:
    """The studies of the last panels, with their arms, and what is missing.

    They are Tiny ImageNet as in the paper, else the first study that has the arms, and those that come with the code.
    """
    panel = "LRR on the IMP mask"
    arms = ("imp", "lrr-on-imp-mask", "lrr", "imp-long")
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
