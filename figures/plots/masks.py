"""`mask-convergence`: does the mask change when a level is trained longer? Not in the paper.

The mask is the one that pruning would take.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.statistics import interval_columns
from figures.analysis.sweeps import Sweep, find_sweeps, sweep_command
from figures.plots import style
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.captions import format_preset, heading
from figures.plots.layout import legend_below
from figures.plots.panels import error_bar_lengths, fit_height, mark_cut
from figures.plots.sentences import format_missing, format_n, format_seeds
from figures.results.network import Records, StudyResults

IMP_AND_LRR = ("imp", "lrr")
_PANEL = "masks within a level"
_SEEN = "Share of a level's last mask that earlier masks of the level have in common with it, for IMP and LRR."
_SHADES = (1.0, 0.8, 0.62, 0.48)  # strength of an arm's colour, from level 1 on; the dense level is black
_PATTERNS = ("-", (0, (5, 1.5)), (0, (2, 1)), (0, (1, 1.2)))


@dataclass(frozen=True)
class Cycles:
    """The cycles of the learning-rate schedule in each level of a run.

    `epochs` is the length of a cycle, `count` the number of cycles per level.
    """

    epochs: int
    count: int

    @property
    def ends(self) -> list[int]:
        """The epochs, counted from the level's start, at which a cycle ends."""
        return [self.epochs * (k + 1) for k in range(self.count)]


def figure_mask_convergence(records: Records) -> Drawing:
    """`mask-convergence`: the share of a level's last mask in the masks recorded before, over epochs."""
    found, kept, missing = find_sweeps(records, "mask-convergence"), [], []
    for sweep in found:
        for results in sweep.studies:
            there = [arm for arm in IMP_AND_LRR if overlaps(results, arm)]
            lost = [arm for arm in IMP_AND_LRR if arm not in there]
            missing += [_missing(sweep, results, arm) for arm in lost]
            kept += [(sweep, results, there)] if there else []
    if not kept:
        command = sweep_command("mask-convergence", records.protocol)
        raise NothingToDraw(missing or [Missing(_PANEL, "nothing has been run", command)])
    sheet, plotted, curves = new_sheet(style.TWO_COLUMNS, 2.55 * len(kept) + 0.35), {}, []
    parts = sheet.figure.subfigures(len(kept), 1, squeeze=False).ravel()
    for part, (sweep, results, there) in zip(parts, kept, strict=True):
        panels, plotted[results.study.study] = _block(sheet, part, sweep, results, there)
        curves += panels
    legend_below(sheet, curves, 3)
    data = "; ".join(_data(sweep, results, there) for sweep, results, there in kept)
    more = join_caption(
        "The last mask is the mask that ends a level, which is the next level's. The share is that of the weights kept"
        " by the last mask which the mask taken after that many epochs keeps too: both keep equally many. At the"
        " level's end it is 1 by definition.",
        *sheet.captions,
        "Points are means over seeds, bars are Student-t 95 % intervals of each rule by itself, unpaired. At a vertical"
        " line a cycle of the schedule ends with its learning rate decayed, and the next cycle restarts the schedule.",
        mark_cut(sheet.figure),
        "The experiment, the layout and all settings are ours, not the paper's.",
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, Caption(_SEEN, f"Data: {data}.", more), tuple(missing))


def _data(sweep: Sweep, results: StudyResults, there: Sequence[str]) -> str:
    """The data of one study and their number, for the opening of the caption."""
    return f"{heading(sweep)}, {format_n([len(measures.seeds_of(results, arm)[0]) for arm in there])}"


def _missing(sweep: Sweep, results: StudyResults, arm: str) -> Missing:
    _, diverged, absent = measures.seeds_of(results, arm)
    why = "every seed diverged" if diverged and not absent else "no complete seed with masks recorded during the level"
    place = f"{_PANEL}, {sweep.place}"
    return Missing(place, f"{arm}: {why}", sweep.command, f"{style.arm_style(arm).label} ({why})")


def cycles_of(results: StudyResults, arm: str) -> Cycles:
    """The cycles of a level, from a run's config; one cycle as long as a level where none are given."""
    config = results.arms[arm].config
    epochs, count = config.get("epochs"), str(config.get("cycles", "1"))
    return Cycles(epochs if type(epochs) is int else 0, int(count) if count.isdecimal() else 1)


def overlaps(results: StudyResults, arm: str) -> dict[int, dict]:
    """By level, the shares over the epochs at which masks were recorded.

    Levels of which no complete seed has masks are absent. A level's lists: `epoch`, `mean`, `low`, `high`, `n`, and
    `values`: the seeds' shares of the last mask that the mask of that epoch keeps. Level 0 is the dense run's, common
    to the rules.
    """
    found = {}
    for number in range(results.study.levels):
        by_seed = {seed: _shares(results, arm, seed, number) for seed in measures.seeds_of(results, arm)[0]}
        by_seed = {seed: shares for seed, shares in by_seed.items() if shares}
        if by_seed:
            found[number] = _level(by_seed)
    return found


def _shares(results: StudyResults, arm: str, seed: int, number: int) -> dict[int, float]:
    record = measures.level(results, arm, seed, number)
    return {mask.epoch: mask.shared / mask.n_kept for mask in record.mask_snapshots} if record else {}


def _level(by_seed: Mapping[int, Mapping[int, float]]) -> dict:
    """Means and intervals at the epochs that every seed has."""
    epochs = sorted(set.intersection(*(set(shares) for shares in by_seed.values())))
    values = [[shares[epoch] for shares in by_seed.values()] for epoch in epochs]
    return {"epoch": epochs, "values": values, **interval_columns(values), "seeds": list(by_seed)}


def _block(sheet: FigureBuilder, part, sweep: Sweep, results: StudyResults, there: Sequence[str]) -> tuple[list, dict]:
    """One study: a panel per rule over epochs, and the masks at the ends of cycles over levels."""
    part.suptitle(heading(sweep), x=0.01, ha="left", fontsize=style.RC["axes.titlesize"])
    axes = part.subplots(1, 1 + len(there), sharey=True, squeeze=False)[0]
    chance, letters = 1 - results.study.prune_rate, []
    found = {arm: overlaps(results, arm) for arm in there}
    cycles = cycles_of(results, there[0])
    for panel, arm in zip(axes, there, strict=False):
        _over_epochs(panel, arm, found[arm], cycles)
        letters.append(sheet.add_panel_label(panel, f"{style.arm_style(arm).label}, within a level"))
    ends = _over_levels(axes[-1], found, cycles)
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


def _over_epochs(axes, arm: str, levels: Mapping[int, dict], cycles: Cycles) -> None:
    """Draw one curve per level; the ends of cycles are marked."""
    for end in cycles.ends:
        axes.axvline(end, color="#CFCFCF", linewidth=0.8, zorder=0)
    for place, (number, curve) in enumerate(levels.items()):
        bars = error_bar_lengths(curve["mean"], curve["low"], curve["high"])
        axes.errorbar(
            curve["epoch"],
            curve["mean"],
            yerr=bars,
            color=_shade(arm, number),
            linestyle=_PATTERNS[place % len(_PATTERNS)],
            linewidth=1.1,
            marker=".",
            markersize=3,
            elinewidth=0.5,
            capsize=0,
            zorder=3,
            label=f"{number} (dense)" if number == 0 else str(number),
        )
    axes.legend(title="level", title_fontsize=style.SMALLEST_TYPE, loc="lower right", bbox_to_anchor=(1, 0.1),
                frameon=True, edgecolor="none", framealpha=1)  # fmt: skip
    axes.set_xticks([0, *cycles.ends])
    axes.set_xlabel("epoch of the level")


def _shade(arm: str, number: int):
    """The arm's colour, paler from level to level; black for the dense level, which all arms share."""
    if number == 0:
        return style.INK
    from matplotlib.colors import to_rgb

    strength = _SHADES[min(number, len(_SHADES)) - 1]
    return tuple(1 - strength * (1 - channel) for channel in to_rgb(style.arm_style(arm).colour))


def _over_levels(axes, found: Mapping[str, Mapping[int, dict]], cycles: Cycles) -> dict:
    """Draw the masks at the end of the first cycle and of the last but one, over levels.

    Returns the plotted numbers.
    """
    ends, out = cycles.ends, {}
    wanted = {"last but one": ends[-2], "first": ends[0]} if len(ends) > 1 else {}
    for side, (arm, levels) in zip((-1, 1), found.items(), strict=False):
        for name, epoch in wanted.items():
            values = {
                number: curve["values"][curve["epoch"].index(epoch)]
                for number, curve in levels.items()
                if epoch in curve["epoch"]
            }
            columns = {"level": list(values), **interval_columns(values.values()), "values": list(values.values())}
            out.setdefault(arm, {})[name] = {"epoch": epoch, **columns}
            face = {} if name != "first" else {"markerfacecolor": "white"}
            label = f"{style.arm_style(arm).label}, end of cycle {epoch // cycles.epochs} of {cycles.count}"
            look = style.arm_style(arm).line_kwargs() | {"linestyle": "none", "label": label} | face
            axes.errorbar(
                [number + side * 0.13 for number in values],
                columns["mean"],
                yerr=error_bar_lengths(columns["mean"], columns["low"], columns["high"]),
                elinewidth=0.8,
                zorder=3,
                **look,
            )
    axes.set_xticks(sorted({number for levels in found.values() for number in levels}))
    axes.set_xlabel("level")
    axes.margins(x=0.12)
    return out


def _mask_caption(sweep: Sweep, results: StudyResults, letters: Sequence[str], cycles: Cycles, ends: dict) -> str:
    """Seeds, cycles, and what the last cycle replaced."""
    study, changed = results.study, []
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
