"""Captions of figures 11, 16, 17, 18, `width` and `mask-convergence`."""

from figures.plots.captions.text import CaptionText


def _sweep(seen: str, note: str = "") -> CaptionText:
    """The caption of a sweep; `note`: what is its own."""
    return CaptionText(
        seen,
        f"""{{panels}} Top: test accuracy over density. {{epoch}} {{high_sparsity}} Points are means over seeds, bars
        are Student-t 95 % intervals. The lead is that of LRR over IMP in high-sparsity accuracy, paired by seed. Its
        intervals are not adjusted for the number of values. Dots are the leads of the seeds. On the axes accuracies and
        leads are fractions: .01 is 1 accuracy point. {{cut}} {note} {{epochs}} {{layout}} {{missing}}""",
    )


CRITERIA_CAPTION = _sweep(
    "Accuracy of IMP and LRR under different pruning criteria, and LRR's lead at high sparsity under each.",
    "Both rules prune by the criterion that is named, which scores the weights at each level's end. Random and"
    " layerwise criteria fix the density of each layer, the others choose it.",
)
PRUNE_RATES = _sweep(
    "Accuracy of IMP and LRR at different prune rates, and LRR's lead at high sparsity at each.",
    "High-sparsity accuracy is over a rate's own levels, each of density at most .03. By then LRR's weights have been"
    " trained for more epochs at smaller rates.",
)
SCHEDULES_CAPTION = _sweep(
    "Accuracy of IMP and LRR under different learning-rate schedules, and LRR's lead at high sparsity under each.",
)
MODELS_CAPTION = _sweep(
    "Accuracy of IMP and LRR on different architectures, and LRR's lead at high sparsity on each.",
    "At one density the networks keep different numbers of weights.",
)
WIDTHS = _sweep(
    "Accuracy of IMP and LRR at different widths of the network, and LRR's lead at high sparsity at each.",
    "At one density a wider network keeps more weights.",
)
MASKS = CaptionText(
    "Share of a level's last mask that earlier masks of the level have in common with it, for IMP and LRR.",
    """The last mask is the mask that ends a level, which is the next level's. The share is that of the weights kept by
    the last mask which the mask taken after that many epochs keeps too: both keep equally many. At the level's end it
    is 1 by definition. {panels} Points are means over seeds, bars are Student-t 95 % intervals of each rule by itself,
    unpaired. At a vertical line a cycle of the schedule ends with its learning rate decayed, and the next cycle
    restarts the schedule. {cut} {ours} {missing}""",
)
