"""The panels of an ablation: accuracy, the leads of LRR over IMP, and their difference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.table import frame
from figures.plots import style
from figures.plots.builder import FigureBuilder
from figures.plots.captions.text import CaptionText
from figures.plots.choose import panel_name
from figures.plots.contrasts import (
    Coefficients,
    draw_contrasts,
    format_high_sparsity_accuracy,
    unpaired,
)
from figures.plots.curves import draw_curves
from figures.plots.sentences import format_seeds
from figures.plots.style import ArmStyle
from figures.results.network import StudyResults

AS_DEFINED = ArmStyle("LRR - IMP, each as defined", style.VERMILLION, "v", (0, (2, 1)), filled=False)
ON_LOOK = ("#000000", "o", "-")
OFF_LOOK = (style.BLUE, "s", (0, (5, 1.5)))
_EFFECT = ArmStyle("lead with - lead without", style.GREEN, "p", "-")


@dataclass(frozen=True)
class Ablation:
    """What is switched off, in which arms, and the leads of LRR over IMP with it and without it.

    `text`: the caption; `arms`: those without which there is no panel;
    `more`: those drawn if they have been run; `leads`: by the label of their curve. The effect is the first of `leads`
    minus the second.
    """

    text: CaptionText
    panel: str
    arms: tuple[str, ...]
    more: tuple[str, ...]
    leads: Mapping[str, Coefficients]
    effect: str


def draw_ablation(sheet: FigureBuilder, axes, results: StudyResults, there, ablation: Ablation) -> dict:
    """Accuracy, the leads of LRR over IMP, and the difference of the first two leads."""
    name = panel_name(results.study)
    leads, paired = _leads(results, there, ablation)
    lost = (words for words in leads if words not in paired)
    sheet.missing += [item for words in lost for item in unpaired(results, leads[words], words)]
    table = frame(results, there)
    plotted = {"curves": draw_curves(axes[0], table, there), "leads": {}, "effect": None}
    sheet.add_panel_label(axes[0], name, f"{format_seeds(results, there)}.", 36)
    if paired:
        axes[1].set_ylabel("accuracy, LRR - IMP")
        shown = [(_look(words, ablation), paired[words]) for words in paired]
        plotted["leads"] = draw_contrasts(axes[1], table, shown)
        sheet.add_panel_label(
            axes[1], "lead of LRR over IMP", f"lead of LRR over IMP: {_leads_words(results, paired)}.", 36
        )
    effect = _effect_of(ablation)
    if _has_effect(results, there, ablation):
        (plotted["effect"],) = draw_contrasts(axes[2], table, [(_EFFECT, effect)]).values()
        axes[2].set_ylabel("difference of the leads")
        sheet.add_panel_label(
            axes[2], _EFFECT.label, f"{ablation.effect}{format_high_sparsity_accuracy(results, effect)}.", 36
        )
    return plotted


def _leads(results: StudyResults, there: Sequence[str], ablation: Ablation) -> tuple[dict, dict]:
    """The leads whose arms have been run, and those of them that can be paired by seed."""
    leads = {words: arms for words, arms in ablation.leads.items() if set(arms) <= set(there)}
    return leads, {words: arms for words, arms in leads.items() if measures.shared_seeds(results, arms)}


def count_panels(results: StudyResults, there: Sequence[str], ablation: Ablation) -> int:
    """The number of panels of a study: accuracy, the leads and their difference, where there are any."""
    return 1 + bool(_leads(results, there, ablation)[1]) + _has_effect(results, there, ablation)


def _has_effect(results: StudyResults, there: Sequence[str], ablation: Ablation) -> bool:
    effect = _effect_of(ablation)
    return set(effect) <= set(there) and bool(measures.shared_seeds(results, effect))


def _effect_of(ablation: Ablation) -> dict[str, float]:
    """The coefficients, by arm, of the first lead minus the second."""
    first, second = list(ablation.leads.values())[:2]
    total = {arm: first.get(arm, 0) - second.get(arm, 0) for arm in (*first, *second)}
    return {arm: factor for arm, factor in total.items() if factor}


def _look(words: str, ablation: Ablation) -> ArmStyle:
    """The style of a lead: the first is black, the second blue, another one grey."""
    place = list(ablation.leads).index(words)
    return ArmStyle(words, *(ON_LOOK, OFF_LOOK)[place]) if place < 2 else AS_DEFINED


def _leads_words(results: StudyResults, leads: Mapping[str, Coefficients]) -> str:
    parts = (
        f"{words.removeprefix('LRR - IMP, ')}{format_high_sparsity_accuracy(results, arms)}"
        for words, arms in leads.items()
    )
    return ", ".join(parts)
