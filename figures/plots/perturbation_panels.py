"""Panels of figure 6: accuracy and its cost over density, and the cost over the share and by level."""

from collections import Counter
from collections.abc import Sequence

from figures.analysis import measures
from figures.analysis.statistics import as_columns
from figures.analysis.sweeps import Sweep
from figures.analysis.table import frame
from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.choose import dataset_name, panel_name
from figures.plots.contrasts import (
    draw_contrasts,
    format_high_sparsity_accuracy,
    format_sweep_seeds,
    h_contrast,
    plot_intervals,
    unpaired,
)
from figures.plots.curves import draw_curves
from figures.plots.layout import letters_above
from figures.plots.panels import dodge, fit_height
from figures.plots.perturbations import (
    DROPS,
    PERTURBATION_ARMS,
    PERTURBATION_PANEL,
    Perturbed,
    other_places,
    rules_with_drops,
    usual_place,
)
from figures.plots.sentences import format_seeds
from figures.plots.sweep_sentences import network_name
from figures.results.network import StudyResults

_EXCESS = {"imp": 1, "imp-perturbed": -1, "lrr": -1, "lrr-perturbed": 1}
_SCOPES = {"global": "", "layerwise": ", within layers"}


def draw_study(sheet: FigureBuilder, axes, results: StudyResults, there) -> dict:
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
    costs = {rule: arms for rule, arms in DROPS.items() if rule in rules_with_drops(results)}
    sheet.missing += [
        item
        for rule in DROPS
        if rule not in costs
        for item in unpaired(results, tuple(DROPS[rule]), PERTURBATION_PANEL)
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
    return plotted


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


def draw_sweep(sheet: FigureBuilder, axes, sweep: Sweep, found: Sequence[Perturbed]) -> dict:
    """Cost over the share at the usual level; at the right the other levels and scopes at one share."""
    usual = usual_place(found)
    others = other_places(found)
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
    for shift, (rule, arms) in zip(dodge(2, step), DROPS.items(), strict=True):
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
