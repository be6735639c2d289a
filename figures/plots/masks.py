"""`mask-convergence`: does the mask change when a level is trained longer? Not in the paper.

The mask is the one that pruning would take.
"""

from collections.abc import Sequence

from figures.analysis import measures
from figures.analysis.sweeps import IMP_AND_LRR, Sweep, find_sweeps, sweep_command
from figures.plots import style
from figures.plots.builder import Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.captions import sweeps as captions
from figures.plots.finish import finish
from figures.plots.layout import legend_below
from figures.plots.mask_panels import draw_over_epochs, draw_over_levels
from figures.plots.mask_shares import Cycles, cycles_of, overlaps
from figures.plots.panels import fit_height
from figures.plots.sentences import format_n, format_seeds
from figures.plots.sweep_sentences import format_preset, heading
from figures.results.network import Records, StudyResults

_PANEL = "masks within a level"


def figure_mask_convergence(records: Records) -> Drawing:
    """`mask-convergence`: the share of a level's last mask in the masks recorded before, over epochs."""
    found = find_sweeps(records, "mask-convergence")
    kept = []
    missing = []
    for sweep in found:
        for results in sweep.studies:
            there = [arm for arm in IMP_AND_LRR if overlaps(results, arm)]
            lost = [arm for arm in IMP_AND_LRR if arm not in there]
            missing += [_missing(sweep, results, arm) for arm in lost]
            kept += [(sweep, results, there)] if there else []
    if not kept:
        command = sweep_command("mask-convergence", records.protocol)
        raise NothingToDraw(missing or [Missing(_PANEL, "nothing has been run", command)])
    sheet = new_sheet(style.TWO_COLUMNS, 2.55 * len(kept) + 0.35, missing)
    curves = []
    parts = sheet.figure.subfigures(len(kept), 1, squeeze=False).ravel()
    for part, (sweep, results, there) in zip(parts, kept, strict=True):
        panels, sheet.plotted[results.study.study] = _block(sheet, part, sweep, results, there)
        curves += panels
    legend_below(sheet, curves, 3)
    return finish(sheet, captions.MASKS, "; ".join(_data(sweep, results, there) for sweep, results, there in kept))


def _data(sweep: Sweep, results: StudyResults, there: Sequence[str]) -> str:
    """The data of one study and their number, for the opening of the caption."""
    return f"{heading(sweep)}, {format_n([len(measures.seeds_of(results, arm)[0]) for arm in there])}"


def _missing(sweep: Sweep, results: StudyResults, arm: str) -> Missing:
    _, diverged, absent = measures.seeds_of(results, arm)
    why = "every seed diverged" if diverged and not absent else "no complete seed with masks recorded during the level"
    place = f"{_PANEL}, {sweep.place}"
    return Missing(place, f"{arm}: {why}", sweep.command, f"{style.arm_style(arm).label} ({why})")


def _block(sheet: FigureBuilder, part, sweep: Sweep, results: StudyResults, there: Sequence[str]) -> tuple[list, dict]:
    """One study: a panel per rule over epochs, and the masks at the ends of cycles over levels."""
    part.suptitle(heading(sweep), x=0.01, ha="left", fontsize=style.RC["axes.titlesize"])
    axes = part.subplots(1, 1 + len(there), sharey=True, squeeze=False)[0]
    chance = 1 - results.study.prune_rate
    letters = []
    found = {arm: overlaps(results, arm) for arm in there}
    cycles = cycles_of(results, there[0])
    for panel, arm in zip(axes, there, strict=False):
        draw_over_epochs(panel, arm, found[arm], cycles)
        letters.append(sheet.add_panel_label(panel, f"{style.arm_style(arm).label}, within a level"))
    ends = draw_over_levels(axes[-1], found, cycles)
    letters.append(sheet.add_panel_label(axes[-1], "at the ends of cycles"))
    for panel in axes:
        panel.axhline(chance, color=style.MUTED, linewidth=0.8, linestyle=(0, (1, 1.5)), zorder=1,
                      label="random masks")  # fmt: skip
        panel.grid(axis="y")
    axes[0].set_ylabel("share of the last mask")
    every = [curve for curves in found.values() for curve in curves.values()]
    fit_height(axes[0], [*every, {"mean": [chance], "low": [], "high": []}], least=0.0, most=1.02)
    sheet.captions.append(_mask_caption(sweep, results, letters, cycles, ends))
    return [axes[-1]], {"curves": found, "ends": ends, "chance": chance, "cycle_ends": cycles.ends}


def _mask_caption(sweep: Sweep, results: StudyResults, letters: Sequence[str], cycles: Cycles, ends: dict) -> str:
    """Seeds, cycles, and what the last cycle replaced."""
    study = results.study
    changed = []
    for arm, of_cycle in ends.items():
        means = of_cycle.get("last but one", {}).get("mean", [])
        if means:
            least, most = (f"{1 - x:.3f}" for x in (max(means), min(means)))
            between = least if least == most else f"{least} to {most}"
            changed.append(f"{between} for {style.arm_style(arm).label}")
    last = f"Share of the last mask that the last cycle added, over levels: {'; '.join(changed)}." if changed else ""
    words = format_seeds(results, IMP_AND_LRR).replace(f"preset {study.preset}", f"preset {format_preset(sweep)}")
    return join_caption(
        f"({letters[0]}-{letters[-1]}) {words}; levels of {cycles.count} cycles of {cycles.epochs} epochs.",
        f"The dotted line is the share that two random masks would have in common, {1 - study.prune_rate:g}.",
        last,
    )
