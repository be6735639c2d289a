"""The row of the figure `factorial` on one neuron."""

from figures.plots.builder import FigureBuilder
from figures.plots.factorial_panels import PLACE, SHIFT_OF_ARM, draw_effects, draw_interaction
from figures.results.network import TheoryResult

_NEURON = {"imp": "imp", "magnitude": "magnitude", "sign": "sign", "lrr-bn-rewind": "lrr"}


def draw_neuron(sheet: FigureBuilder, axes, result: TheoryResult) -> dict:
    """The cells of both kinds of start, and the effects; returns the plotted numbers."""
    plotted = {}
    values = result.values
    titles = {"balanced": "neuron, balanced", "normal": "neuron, N(0, 1/d)"}
    for axis, (init, title) in zip(axes, titles.items(), strict=False):
        content = values["inits"][init]
        cells = {arm: _neuron_cell(content[rule]) for arm, rule in _NEURON.items()}
        draw_interaction(axis, cells)
        for arm, rule in _NEURON.items():
            place = PLACE[arm] + SHIFT_OF_ARM[arm]
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
    draw_effects(axes[2], effects, "difference of shares")
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
