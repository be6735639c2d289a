"""Figure 6: what a share of flipped signs costs IMP and LRR.

The cost is drawn over density, over the share, and by level and scope.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.statistics import as_columns
from figures.analysis.sweeps import PERTURBED_ARMS, Sweep, find_sweeps, perturbed_studies
from figures.analysis.table import frame
from figures.plots import style
from figures.plots.accuracy import EPOCHS, draw_curves, means_note
from figures.plots.builder import Caption, Drawing, FigureBuilder, Missing, NothingToDraw, join_caption, new_sheet
from figures.plots.captions import network_name
from figures.plots.choose import arms_there, dataset_name, nothing_run, panel_name
from figures.plots.contrasts import (
    HIGH_SPARSITY_NOTE,
    draw_contrasts,
    format_high_sparsity_accuracy,
    format_sweep_seeds,
    h_contrast,
    plot_intervals,
    unpaired,
)
from figures.plots.layout import add_blocks, joined_rows, legend_below, letters_above
from figures.plots.panels import dodge, fit_height, mark_cut
from figures.plots.sentences import LAYOUT_NOTE, format_data, format_missing, format_n, format_seeds
from figures.results.network import Records, StudyResults, train_command
from figures.results.variants import with_protocol

PERTURBATION_PANEL = "perturbed signs"
PERTURBATION_ARMS = ("imp", "lrr", *PERTURBED_ARMS)
CONTROL_ARM = "imp-long"
_DROPS = {"imp": {"imp": 1, "imp-perturbed": -1}, "lrr": {"lrr": 1, "lrr-perturbed": -1}}
_EXCESS = {"imp": 1, "imp-perturbed": -1, "lrr": -1, "lrr-perturbed": 1}
_SCOPES = {"global": "", "layerwise": ", within layers"}


@dataclass(frozen=True)
class Perturbed:
    """One perturbation of the signs, and its study.

    `share` of the surviving signs is flipped at the start of `level`; `scope` is `global` or `layerwise`.
    """

    share: float
    level: int
    scope: str
    results: StudyResults

    @property
    def place(self) -> tuple[int, str]:
        """The level and the scope of the flip, without its share."""
        return self.level, self.scope


def figure_6(records: Records) -> Drawing:
    """Figure 6: accuracy with and without perturbed signs, and what the perturbation costs each rule."""
    kept, missing = _kept(records)
    varied = [(sweep, perturbations(sweep)) for sweep in find_sweeps(records, "perturbation")]
    missing += [item for sweep, _ in varied for item in _absent_values(sweep)]
    varied = [(sweep, found) for sweep, found in varied if found]
    missing += _absent_sweeps(records, varied)
    if not kept and not varied:
        raise NothingToDraw(
            [*([] if records.studies else [nothing_run(PERTURBATION_PANEL, records.protocol)]), *missing]
        )
    panels = [1 + bool(_rules_with_drops(results)) for results, _ in kept]
    panels += [1 + bool(_other_places(found)) for _, found in varied]
    sheet, plotted = new_sheet(style.TWO_COLUMNS, 2.3 * len(joined_rows(panels)) + 0.55), {}
    blocks = add_blocks(sheet, panels)
    for axes, (results, there) in zip(blocks, kept, strict=False):
        plotted[results.study.study], lost = _study_row(sheet, axes, results, there)
        missing += lost
    for axes, (sweep, found) in zip(blocks[len(kept) :], varied, strict=True):
        plotted[sweep.place] = _sweep_row(sheet, axes, sweep, found)
    legend_below(sheet, [*(axes[-1] for axes in blocks), *(axes[0] for axes in blocks)], 4)
    more = join_caption(
        means_note(records),
        *sheet.captions,
        "The cost is the accuracy without the perturbation less the accuracy with it, paired by seed.",
        HIGH_SPARSITY_NOTE,
        mark_cut(sheet.figure),
        "The flip is written into the values that IMP rewinds to as well.",
        "The dashed vertical line lies between the levels before and after the flip." if kept else "",
        EPOCHS,
        "Grey: IMP's rewinding, unperturbed, trained for as many epochs as LRR's weights have seen, where it was run."
        if any(CONTROL_ARM in there for _, there in kept)
        else "",
        LAYOUT_NOTE,
        format_missing(missing),
    )
    return Drawing(sheet.figure, plotted, _caption(kept, varied, more), tuple(missing))


def _caption(kept: Sequence[tuple], varied: Sequence[tuple], more: str) -> Caption:
    """The caption, from the studies drawn over density and the sweeps drawn over the share."""
    lost = "the accuracy that flipped signs cost IMP and LRR"
    seen = f"Test accuracy with and without flipped signs, and {lost}." if kept else f"{lost.capitalize()}."
    data = [format_data(kept)] if kept else []
    for sweep, found in varied:
        seeds = [len(measures.shared_seeds(p.results, _DROPS[rule])) for p in found for rule in _DROPS]
        data.append(f"{network_name(sweep)}, {format_n([n for n in seeds if n])} at each of {len(found)} perturbations")
    return Caption(seen, f"Data: {'; '.join(data)}.", more)


def _kept(records: Records) -> tuple[list, list[Missing]]:
    """The studies whose accuracy is drawn over density, and what is missing.

    Each study comes with its arms that have a complete seed.
    """
    kept, missing = [], []
    shown = perturbed_studies(records)
    judged = {results.study.place for results, _ in shown}
    plain = [r for r in records.studies if r.study.place not in judged]
    for results, sweep in (*shown, *((r, None) for r in plain)):
        there, lost = arms_there(
            results, PERTURBATION_ARMS if sweep else (*PERTURBATION_ARMS, CONTROL_ARM), PERTURBATION_PANEL
        )
        missing += lost
        kept += [(results, there)] if set(PERTURBATION_ARMS) <= set(there) else []
    return kept, missing


def perturbations(sweep: Sweep) -> list[Perturbed]:
    """The perturbations of a sweep, as its runs' configurations record them.

    Only those are returned whose drop of accuracy can be paired for IMP or for LRR.
    """
    found = []
    for results in sweep.studies:
        run = next((results.arms[arm] for arm in PERTURBATION_ARMS[2:] if arm in results.arms), None)
        if run and measures.high_sparsity_levels(results) and _rules_with_drops(results):
            config = run.config
            share, level, scope = (config.get(f"perturb_{name}") for name in ("rate", "level", "scope"))
            found.append(Perturbed(share, level, scope or "global", results))
    return sorted(found, key=lambda p: (p.share, p.level, p.scope))


def _rules_with_drops(results: StudyResults) -> list[str]:
    return [rule for rule, arms in _DROPS.items() if measures.shared_seeds(results, arms)]


def _absent_values(sweep: Sweep) -> list[Missing]:
    """The arms that are missing at a value, each value named by its study."""
    return [
        Missing(
            f"cost over the share, {results.study.study}",
            f"{', '.join(absent)} without a complete seed",
            train_command(results.study, ()),
            ", ".join(style.arm_style(arm).label for arm in absent),
        )
        for results in sweep.studies
        if (absent := [arm for arm in PERTURBATION_ARMS if not measures.seeds_of(results, arm)[0]])
    ]


def _absent_sweeps(records: Records, varied: Sequence[tuple]) -> list[Missing]:
    """The presets whose share and level of perturbation have not been varied."""
    there = {sweep.study.place for sweep, _ in varied}
    plain = {r.study.place: r.study for r in records.studies if not r.study.overrides}
    return [
        Missing(
            f"cost over the share, {panel_name(study)}",
            "the share and the level have not been varied",
            with_protocol(f"paper_repro.py train --preset {study.base} --sweep perturbation", study.protocol),
        )
        for place, study in plain.items()
        if place not in there
    ]


def _study_row(sheet: FigureBuilder, axes, results: StudyResults, there) -> tuple[dict, list[Missing]]:
    """Accuracy over density at the left, the cost of the perturbation at the right."""
    config = results.arms["imp-perturbed"].config
    where = Perturbed(*(config.get(f"perturb_{name}") for name in ("rate", "level", "scope")), results)
    table = frame(results, there)
    plotted = {"curves": draw_curves(axes[0], table, there), "perturbed": _described(where)}
    _mark_start(axes, where)
    study = results.study
    name = f"{dataset_name(study)}, {study.model}" if study.swept else panel_name(study)
    sheet.add_panel_label(
        axes[0], name, f"{format_seeds(results, there)}; {_perturbation_in_words(where)}.", letters_above(axes[0])
    )
    costs = {rule: arms for rule, arms in _DROPS.items() if rule in _rules_with_drops(results)}
    missing = [
        item
        for rule in _DROPS
        if rule not in costs
        for item in unpaired(results, tuple(_DROPS[rule]), PERTURBATION_PANEL)
    ]
    if costs:
        shown = [(style.arm_style(rule), arms) for rule, arms in costs.items()]
        curves = draw_contrasts(axes[1], table, shown)
        plotted["costs"] = dict(zip(costs, curves.values(), strict=True))
        axes[1].set_ylabel("accuracy lost")
        _show_no_loss(axes[1])
        in_h = ", ".join(
            f"{style.arm_style(rule).label}{format_high_sparsity_accuracy(results, arms)}"
            for rule, arms in costs.items()
        )
        excess = (
            f", IMP's less LRR's{format_high_sparsity_accuracy(results, _EXCESS)}"
            if measures.shared_seeds(results, PERTURBATION_ARMS)
            else ""
        )
        sheet.add_panel_label(axes[1], "cost of the perturbation", f"its cost: {in_h}{excess}.", letters_above(axes[1]))
    return plotted, missing


def _mark_start(axes, where: Perturbed) -> None:
    """Draw a line between the levels before and after the flip."""
    if where.level:
        edge = where.results.study.density(where.level) * (1 - where.results.study.prune_rate) ** -0.5
        for axis in axes:
            axis.axvline(edge, color=style.MUTED, linewidth=0.8, linestyle=(0, (3, 2)), zorder=1)


def _perturbation_in_words(where: Perturbed) -> str:
    scope = "" if where.scope == "global" else " within each layer"
    return f"a share of {where.share:g} of the surviving signs{scope} flipped at the start of level {where.level}"


def _described(where: Perturbed) -> dict:
    return {"share": where.share, "level": where.level, "scope": where.scope, "study": where.results.study.study}


def _usual_place(found: Sequence[Perturbed]) -> tuple[int, str]:
    """The level and the scope at which most shares have been flipped."""
    return Counter(where.place for where in found).most_common(1)[0][0]


def _other_places(found: Sequence[Perturbed]) -> list[Perturbed]:
    return [where for where in found if where.place != _usual_place(found)]


def _sweep_row(sheet: FigureBuilder, axes, sweep: Sweep, found: Sequence[Perturbed]) -> dict:
    """Cost over the share at the usual level; at the right the other levels and scopes at one share."""
    usual, others = _usual_place(found), _other_places(found)
    over_share = [where for where in found if where.place == usual]
    share = Counter(where.share for where in others).most_common(1)[0][0] if others else None
    by_place = [where for where in found if where.share == share]
    by_place.sort(key=lambda where: (where.scope, where.level))
    plotted = {"usual": {"level": usual[0], "scope": usual[1]}}
    name = network_name(sweep)
    seeds = format_sweep_seeds(sweep, PERTURBATION_ARMS)
    where = f"flipped at the start of level {usual[0]}{_SCOPES[usual[1]]}"
    plotted["over share"] = _costs(axes[0], over_share, [p.share for p in over_share], 0.008)
    axes[0].set(xlabel="share of the signs that is flipped", xlim=(0, None), ylabel="high-sparsity accuracy lost")
    axes[0].set_xticks([p.share for p in over_share])
    sheet.add_panel_label(
        axes[0],
        f"{name}: over the share",
        f"cost of high-sparsity accuracy over the share, {seeds}; signs {where}.",
        letters_above(axes[0]),
    )
    if not others:
        return plotted
    plotted["by level and scope"] = _costs(axes[1], by_place, list(range(len(by_place))), 0.16, lines=False)
    labels = [f"level {p.level}" + ("\nin layers" if p.scope == "layerwise" else "") for p in by_place]
    axes[1].set_xticks(range(len(by_place)), labels)
    axes[1].set(
        xlabel="flipped at the start of", ylabel="high-sparsity accuracy lost", xlim=(-0.5, len(by_place) - 0.5)
    )
    layers = any(p.scope == "layerwise" for p in by_place)
    words = f"by level{', and drawn within layers' * layers}; a share of {share:g}"
    title = f"{name}: level{' and scope' * layers}, share {share:g}"
    sheet.add_panel_label(
        axes[1],
        title,
        f"cost of high-sparsity accuracy {words}; a flip affects its level and those after it.",
        letters_above(axes[1]),
    )
    return plotted


def _costs(axes, found: Sequence[Perturbed], x: Sequence[float], step: float, lines: bool = True) -> dict:
    """Draw the cost for each rule at `x`; returns the plotted numbers.

    A perturbation without a pair of seeds for a rule is left out for that rule.
    """
    plotted = {}
    for shift, (rule, arms) in zip(dodge(2, step), _DROPS.items(), strict=True):
        pairs = [(p, place, h_contrast(p.results, arms)) for p, place in zip(found, x, strict=True)]
        pairs = [pair for pair in pairs if pair[2]]
        curve = as_columns(cost for _, _, cost in pairs)
        plot_intervals(axes, style.arm_style(rule), [place + shift for _, place, _ in pairs], curve, lines)
        plotted[rule] = {"perturbed": [_described(p) for p, _, _ in pairs], **curve}
    fit_height(axes, list(plotted.values()))
    _show_no_loss(axes)
    return plotted


def _show_no_loss(axes) -> None:
    low, high = axes.get_ylim()
    axes.set_ylim(min(low, -0.04 * high), max(high, -0.04 * low))
