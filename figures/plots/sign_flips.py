"""Figure 12: sign flips by layer and level, for IMP and LRR. Records in, drawing out; pure."""

import math
from collections.abc import Sequence

from figures.analysis.sweeps import IMP_AND_LRR
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, new_sheet
from figures.plots.captions import signs as captions
from figures.plots.choose import nothing_run, panel_name
from figures.plots.finish import finish
from figures.plots.sentences import format_data, format_seeds
from figures.plots.sign_flip_shares import mean_shares
from figures.plots.sweep_sentences import origin
from figures.results.network import Records, StudyResults, train_command

SIGN_FLIPS_PANEL = "sign flips by layer"
# reading -> its definition; in these two, IMP and LRR can differ by more than the start of a level
READING_NAMES = {
    "previous": "(iii), from the end of the level before to the end of this one",
    "initial": "(ii), from initialisation to the end of the level",
}
MOST_NAMES = 24  # number of layers whose names fit next to a panel
FEW = 20  # weights: a share of fewer weights is imprecise, and is marked


def figure_12(records: Records) -> Drawing:
    """Figure 12: the share of a layer's surviving signs that flip, by layer and level."""
    kept = []
    missing = []
    for results in records.studies:
        if any(mean_shares(results, reading) for reading in READING_NAMES):
            kept.append(results)
        else:
            why = "imp and lrr have no flips by layer"
            command = train_command(results.study, IMP_AND_LRR)
            missing.append(Missing(f"{SIGN_FLIPS_PANEL}, {panel_name(results.study)}", why, command))
    if not kept:
        raise NothingToDraw(missing or [nothing_run(SIGN_FLIPS_PANEL, records.protocol)])
    heights = [_height(results) for results in kept for _ in READING_NAMES]
    sheet = new_sheet(style.TWO_COLUMNS, sum(heights) + 0.3, missing)
    scales = []
    rows = sheet.figure.add_gridspec(len(heights), 1, height_ratios=heights)
    for number, results in enumerate(kept):
        for place, reading in enumerate(READING_NAMES):
            found = mean_shares(results, reading)
            if found:
                cell = rows[number * len(READING_NAMES) + place].subgridspec(1, 3)
                axes = [sheet.figure.add_subplot(cell[part]) for part in range(3)]
                sheet.plotted.setdefault(results.study.study, {})[reading] = found
                scales.append(_flip_maps_row(sheet, axes, results, reading, found))
    return finish(
        sheet,
        captions.SIGN_FLIPS,
        format_data([(results, IMP_AND_LRR) for results in kept]),
        imp_colour=_word("imp"),
        lrr_colour=_word("lrr"),
        scales=_scales_words(scales),
        few=str(FEW),
    )


def _word(arm: str) -> str:
    return style.colour_word(style.arm_style(arm).colour)


def _from_imp_to_lrr():
    """A colour map from IMP's colour over nearly white to LRR's."""
    from matplotlib.colors import LinearSegmentedColormap

    ends = [style.arm_style(arm).colour for arm in IMP_AND_LRR]
    return LinearSegmentedColormap.from_list("from IMP to LRR", [ends[0], _EQUAL, ends[1]])


def _height(results: StudyResults) -> float:
    layers = len((mean_shares(results, "initial") or mean_shares(results, "previous"))["layers"])
    return min(max(1.2, 0.118 * layers), 3.2) + 0.55


def _flip_maps_row(sheet: FigureBuilder, axes, results: StudyResults, reading: str, found: dict) -> tuple[str, float]:
    """Draw IMP, LRR (one scale for both) and LRR - IMP (a scale about 0) as maps of layers and levels.

    Returns the letter of LRR - IMP, and where its scale ends.
    """
    most = max((v for arm in IMP_AND_LRR for row in found[arm] for v in row if v is not None), default=1.0) or 1.0
    gap = max((abs(v) for row in found["lrr - imp"] for v in row if v is not None), default=0.01) or 0.01
    name = panel_name(results.study)
    roman = READING_NAMES[reading].split(",")[0]
    titles = {"imp": f"{name}: IMP, reading {roman}", "lrr": "LRR", "lrr - imp": "LRR - IMP"}
    definition = READING_NAMES[reading].replace("initialisation", origin(results.study.protocol))
    described = {
        "imp": f"IMP, reading {definition}; {format_seeds(results, IMP_AND_LRR)}.",
        "lrr": f"LRR, reading {roman}, on IMP's scale: both from 0 to {most:.3g}.",
        "lrr - imp": f"LRR - IMP, reading {roman}, on a scale about 0: to {gap:.3g} either way.",
    }
    for axis, (key, title) in zip(axes, titles.items(), strict=True):
        about_zero = {"cmap": _from_imp_to_lrr(), "vmin": -gap, "vmax": gap}
        scale = about_zero if key == "lrr - imp" else _SHARES | {"vmax": most}
        mesh = draw_map(axis, found, found[key], scale)
        mark_few(axis, found[key], [found["survivors"][arm] for arm in (IMP_AND_LRR if key == "lrr - imp" else (key,))])
        letter = sheet.add_panel_label(axis, title, described[key], 34)
        if key != "imp":
            axis.set_yticklabels([])
            bar = sheet.figure.colorbar(mesh, ax=axis, fraction=0.07, pad=0.03)
            bar.set_label("difference of shares" if key == "lrr - imp" else "share of the layer's signs")
    return letter, gap


def _scales_words(scales: Sequence[tuple[str, float]]) -> str:
    """A warning for the caption where the colours of the maps of differences cannot be compared.

    `scales` holds (letter, where the scale ends) for each map.
    """
    if len({f"{gap:.3g}" for _, gap in scales}) < 2:  # as the panels' captions give them
        return ""
    *others, last = (f"({letter})" for letter, _ in scales)
    return f"The scales of {', '.join(others)} and {last} differ: the same colour is not the same difference in them."


def mark_few(axis, grid: Sequence, survivors: Sequence) -> None:
    """Draw a dot in each cell whose share is of few weights in any of the arms that it compares."""
    cells = [
        (column + 0.5, row + 0.5)
        for row, shares in enumerate(grid)
        for column, value in enumerate(shares)
        if value is not None and min(of_arm[row][column] for of_arm in survivors) < FEW
    ]
    if cells:
        axis.scatter(*zip(*cells, strict=True), s=2, color=style.INK, linewidths=0, zorder=3)


_SHARES = {"cmap": "YlGnBu", "vmin": 0.0}
_EQUAL = "#F7F7F7"  # IMP and LRR flip equally often


def draw_map(axis, found: dict, grid: Sequence, scale: dict):
    """Draw shares as a map of layers and levels; returns the mesh."""
    import numpy as np

    values = np.ma.masked_invalid([[math.nan if v is None else v for v in row] for row in grid])
    levels = found["levels"]
    layers = found["layers"]
    axis.set_facecolor("#D9D9D9")
    mesh = axis.pcolormesh(np.arange(len(levels) + 1), np.arange(len(layers) + 1), values, rasterized=False, **scale)
    axis.invert_yaxis()
    every = -(-len(levels) // 9)
    axis.set_xticks([k + 0.5 for k in range(len(levels))][::every], [str(k) for k in levels][::every])
    step = -(-len(layers) // MOST_NAMES)
    names = [name.removesuffix(".weight") for name in layers]
    axis.set_yticks([k + 0.5 for k in range(len(layers))][::step], names[::step])
    axis.tick_params(length=0)
    axis.set_xlabel("level")
    return mesh
