"""The figure `factorial`: {initial, trained} signs x {initial, trained} magnitudes.

This 2x2 design, on the neuron and on networks, tests the paper's explanation that LRR carries over trained signs.
"""

from figures.analysis import measures
from figures.plots import style
from figures.plots.builder import Drawing, Missing, NothingToDraw, new_sheet
from figures.plots.captions import interventions as captions
from figures.plots.choose import arms_there, panel_name
from figures.plots.factorial_network import FACTORIAL_ARMS, draw_network
from figures.plots.factorial_neuron import draw_neuron
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.neuron_rules import theory_missing
from figures.plots.sentences import format_data
from figures.results.network import Records


def figure_factorial(records: Records) -> Drawing:
    """Signs x magnitudes: success of the neuron, accuracy of networks, and main effects.

    The neuron has two kinds of start.
    """
    neuron = records.theory.get("factorial")
    missing = []
    kept = []
    missing += [] if neuron else [theory_missing("factorial", "signs x magnitudes on the neuron")]
    for results in records.studies:
        there, lost = arms_there(results, (*FACTORIAL_ARMS, "imp-long"), "signs x magnitudes")
        missing += lost
        if not set(FACTORIAL_ARMS) <= set(there) or not measures.high_sparsity_levels(results):
            continue
        if measures.shared_seeds(results, FACTORIAL_ARMS):
            kept.append((results, there))
        else:
            place = f"signs x magnitudes, {panel_name(results.study)}"
            missing.append(Missing(place, "its four cells share no complete seed", results.study.command))
    if not neuron and not kept:
        raise NothingToDraw(missing)
    rows = bool(neuron) + len(kept)
    sheet = new_sheet(style.TWO_COLUMNS, 2.15 * rows + 0.5, missing)
    grid = sheet.figure.subplots(rows, 3, squeeze=False)
    if neuron:
        sheet.plotted["neuron"] = draw_neuron(sheet, grid[0], neuron)
    for axes, (results, there) in zip(grid[bool(neuron) :], kept, strict=True):
        sheet.plotted[results.study.study] = draw_network(sheet, axes, results, there)
    legend_below(sheet, grid[:, :2].ravel(), 4)
    trials = [f"one neuron, n = {neuron.values['trials']:,} trials"] if neuron else []
    data = "; ".join([*trials, *([format_data(kept)] if kept else [])])
    return finish(sheet, captions.FACTORIAL_CAPTION, data, **({} if kept else {"high_sparsity": ""}))
