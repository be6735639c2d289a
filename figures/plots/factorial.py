"""The figure `factorial`: {initial, trained} signs x {initial, trained} magnitudes.

This 2x2 design, on the neuron and on networks, tests the paper's explanation that LRR carries over trained signs.
"""

from collections.abc import Mapping, Sequence

from figures.analysis import measures
from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.choose import arms_there, panel_name
from figures.plots.contrasts import HIGH_SPARSITY_NOTE
from figures.plots.layout import legend_below
from figures.plots.neuron_phase_plane import theory_missing
from figures.plots.panels import error_bar_lengths, fit_height, mark_cut
from figures.plots.sentences import format_data, format_missing, format_seeds
from figures.results.network import Records, StudyResults, TheoryResult

FACTORIAL_ARMS = ("imp", "magnitude", "sign", "lrr-bn-rewind")
_NEURON = {"imp": "imp", "magnitude": "magnitude", "sign": "sign", "lrr-bn-rewind": "lrr"}
_PLACE = {"imp": 0, "magnitude": 0, "sign": 1, "lrr-bn-rewind": 1}
_SHIFT = {"imp": -0.07, "magnitude": 0.07, "sign": -0.07, "lrr-bn-rewind": 0.07}
_SHORT = {"magnitude": "magn.", "sign": "sign", "lrr-bn-rewind": "LRR, BN\nrewound", "imp-long": "long"}
_SEEN = (
    "Success where a level starts from initial or trained signs, crossed with initial or trained magnitudes, and the"
    " effect of each."
)
_EFFECTS = {"signs": measures.SIGN_CONTRAST, "magnitudes": measures.MAGNITUDES, "interaction": measures.INTERACTION}


def figure_factorial(records: Records) -> Drawing:
    """Signs x magnitudes: success of the neuron, accuracy of networks, and main effects.

    The neuron has two kinds of start.
    """
    neuron, missing, kept = records.theory.get("factorial"), [], []
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
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.15 * rows + 0.5), {}
    grid = sheet.figure.subplots(rows, 3, squeeze=False)
    if neuron:
        plotted["neuron"] = _neuron_row(sheet, grid[0], neuron)
    for axes, (results, there) in zip(grid[bool(neuron) :], kept, strict=True):
        plotted[results.study.study] = _network_row(sheet, axes, results, there)
    legend_below(sheet, grid[:, :2].ravel(), 4)
    trials = [f"one neuron, n = {neuron.values['trials']:,} trials"] if neuron else []
    data = "; ".join([*trials, *([format_data(kept)] if kept else [])])
    more = join_caption(
        "IMP starts a level from initial signs and magnitudes, LRR from trained ones. Sign rewind takes trained signs"
        " and initial magnitudes, magnitude rewind the reverse.",
        *sheet.captions,
        HIGH_SPARSITY_NOTE if kept else "",
        mark_cut(sheet.figure),
        "The experiment, the layout and all settings are ours, not the paper's.",
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, Caption(_SEEN, f"Data: {data}.", more), tuple(missing))


def _interaction_plot(axes, cells: dict) -> None:
    """Draw each cell at its signs, joined by lines of equal magnitudes.

    `cells`: arm -> (value, low, high).
    """
    for pair, line in ((("imp", "sign"), (0, (4, 1.5))), (("magnitude", "lrr-bn-rewind"), "-")):
        shift = _SHIFT[pair[0]]
        axes.plot(
            [shift, 1 + shift],
            [cells[arm][0] for arm in pair],
            color=style.MUTED,
            linestyle=line,
            linewidth=0.9,
            zorder=1,
            label="trained magnitudes" if line == "-" else "initial magnitudes",
        )
    for arm, (value, low, high) in cells.items():
        look = style.arm_style(arm).line_kwargs() | {"linestyle": "none"}
        bars, x = error_bar_lengths([value], [low], [high]), _PLACE[arm] + _SHIFT[arm]
        axes.errorbar([x], [value], yerr=bars, elinewidth=0.9, zorder=3, markersize=5.5, **look)
    axes.set(xlim=(-0.45, 1.45), xlabel="signs")
    axes.set_xticks([0, 1], ["initial", "trained"])
    axes.grid(axis="y")


def _neuron_row(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    plotted, values = {}, result.values
    titles = {"balanced": "neuron, balanced", "normal": "neuron, N(0, 1/d)"}
    for axis, (init, title) in zip(axes, titles.items(), strict=False):
        content = values["inits"][init]
        cells = {arm: _neuron_cell(content[rule]) for arm, rule in _NEURON.items()}
        _interaction_plot(axis, cells)
        for arm, rule in _NEURON.items():
            place = _PLACE[arm] + _SHIFT[arm]
            axis.plot(
                [place - 0.13, place + 0.13], [content[rule]["exact"]] * 2, color="black", linewidth=0.8, zorder=4
            )
        axis.set(ylim=(0, 1.05), ylabel="share that learns")
        sheet.add_panel_label(axis, title)
        plotted[init] = {
            "cells": {arm: list(cell) for arm, cell in cells.items()},
            "effects": content["effects"],
            "exact": {arm: content[rule]["exact"] for arm, rule in _NEURON.items()},
        }
    effects = {init: _intervals(plotted[init]["effects"]) for init in titles}
    _effects_plot(axes[2], effects, "difference of shares")
    sheet.add_panel_label(axes[2], "neuron, effects")
    sheet.captions.append(
        f"(a-c) One hidden neuron, d = {values['d']}, {values['trials']:,} trials: share that learns after pruning to"
        " one input, with Clopper-Pearson 95 % intervals. Black lines are exact probabilities. Effects are paired by"
        " trial. On the neuron the rules act on a as well."
    )
    return plotted


def _intervals(effects) -> dict:
    return {name: (effect["value"], effect["low"], effect["high"]) for name, effect in effects.items()}


def _neuron_cell(cell: dict) -> tuple:
    return cell["successes"] / cell["trials"], cell["low"], cell["high"]


def _network_row(sheet: FigureBuilder, axes, results: StudyResults, there) -> dict:
    name, levels = panel_name(results.study), measures.high_sparsity_levels(results)
    cells = {arm: _mean_and_ends(results, {arm: 1}, levels) for arm in FACTORIAL_ARMS}
    _interaction_plot(axes[0], cells)
    fit_height(axes[0], [_interval_columns(cells.values())], least=0.0, most=1.005)
    axes[0].set_ylabel("high-sparsity accuracy")
    first = sheet.add_panel_label(axes[0], f"{name}, accuracy", characters=30)
    plotted = {"levels": list(levels), "cells": {arm: list(cell) for arm, cell in cells.items()}}
    plotted["control"] = _control_panel(sheet, axes[1], results, there)
    effects = {}
    for effect, arms in _EFFECTS.items():
        effects[effect] = _mean_and_ends(results, arms, levels)
    _effects_plot(axes[2], {"network": effects}, "difference of\nhigh-sparsity accuracy")
    last = sheet.add_panel_label(axes[2], f"{name}, effects", characters=30)
    sheet.captions.append(
        f"({first}-{last}) {format_seeds(results, FACTORIAL_ARMS)}: high-sparsity accuracy (levels"
        f" {_list_levels(levels)}), all four cells with batch norm rewound. The lead over IMP is over levels"
        f" {_list_levels(plotted['control']['levels'])}. Bars are Student-t 95 % intervals, effects are paired by seed."
        " Magnitude rewind and LRR have seen more epochs than IMP and sign rewind. For comparison, imp-long trains"
        " IMP's mask and initial values for as many epochs as LRR's weights have seen."
    )
    return plotted | {"effects": {effect: list(value) for effect, value in effects.items()}}


def _list_levels(levels) -> str:
    return ", ".join(map(str, levels))


def _interval_columns(triples) -> dict:
    return {name: [triple[i] for triple in triples] for i, name in enumerate(("mean", "low", "high"))}


def _mean_and_ends(results, arms: Mapping[str, float], levels: Sequence[int]) -> tuple:
    """A contrast of the mean accuracy over some levels, and the ends of its interval."""
    interval = measures.interval(measures.combine(results, arms, measures.mean_accuracy(levels)))
    return interval.mean, interval.low, interval.high


def _control_panel(sheet: FigureBuilder, axes, results, there) -> dict:
    """The cells' leads over IMP, paired by seed, and the lead of imp-long.

    They are over the levels that imp-long has, or the high-sparsity levels where it has not been run.
    """
    has_long = "imp-long" in there and bool(measures.shared_seeds(results, ("imp-long", *FACTORIAL_ARMS)))
    levels = measures.expected_levels(results, "imp-long") if has_long else measures.high_sparsity_levels(results)
    arms = (*FACTORIAL_ARMS[1:], *(("imp-long",) if has_long else ()))
    plotted = {"levels": list(levels)}
    for place, arm in enumerate(arms):
        plotted[arm] = list(_mean_and_ends(results, {arm: 1, "imp": -1}, levels))
        mean, low, high = plotted[arm]
        look = style.arm_style(arm).line_kwargs() | {"linestyle": "none"}
        bars = error_bar_lengths([mean], [low], [high])
        axes.errorbar([place], [mean], yerr=bars, elinewidth=0.9, markersize=5.5, **look)
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    axes.set_xticks(range(len(arms)), [_SHORT[arm] for arm in arms])
    whose = "high-sparsity accuracy" if levels == measures.high_sparsity_levels(results) else "accuracy"
    axes.set(xlim=(-0.6, len(arms) - 0.4), ylabel=f"{whose} - IMP's")
    axes.grid(axis="y")
    sheet.add_panel_label(axes, f"{panel_name(results.study)}, lead over IMP", characters=30)
    return plotted


def _effects_plot(axes, groups: dict, unit: str) -> None:
    """Main effects and interaction with intervals; `groups`: name -> effect -> (value, low, high)."""
    looks = {
        "balanced": ("o", "black", "balanced"),
        "normal": ("s", style.GREY, "N(0, 1/d)"),
        "network": ("o", "black", None),
    }
    for side, (group, effects) in zip((-0.12, 0.12) if len(groups) > 1 else (0,), groups.items(), strict=True):
        marker, colour, label = looks[group]
        for place, (value, low, high) in enumerate(effects.values()):
            axes.errorbar(
                [place + side],
                [value],
                yerr=error_bar_lengths([value], [low], [high]),
                marker=marker,
                color=colour,
                linestyle="none",
                elinewidth=0.9,
                markersize=4.5,
                label=label if place == 0 else None,
            )
    axes.axhline(0, color=style.MUTED, linewidth=0.7, zorder=1)
    axes.set(xlim=(-0.5, 2.5), ylabel=unit)
    axes.set_xticks([0, 1, 2], ["signs", "magn.", "interact."])
    if len(groups) > 1:
        axes.legend(loc="upper right")
    axes.grid(axis="y")
