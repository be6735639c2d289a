"""Captions of figures 2, 3, 4, 8, 13, `cyclic` and `signs`."""

from figures.plots.captions.text import CaptionText

_FOLLOWS = """{{control}} The figure follows the paper's figure {number}. The panels of differences, the control and all
    settings are ours."""


def _paired(seen: str, note: str) -> CaptionText:
    """The caption of a figure with differences from one arm at the right; `note`: what is its own."""
    stars = "A star marks p <= .05 (paired t-test, corrected by Holm's method over the levels of a curve)."
    return CaptionText(seen, f"{{means}} {{panels}} {{cut}} {stars} {{epochs}} {note} {{missing}}")


LRR_MASK = _paired(
    "Test accuracy over density of IMP, LRR, and IMP on the mask that LRR learnt, and each one's difference from IMP.",
    _FOLLOWS.format(number=3),
)
IMP_MASK = _paired(
    "Test accuracy over density of IMP, LRR, and LRR on the mask that IMP learnt, and its difference from IMP.",
    _FOLLOWS.format(number=4),
)
CYCLIC = _paired(
    "Test accuracy over density of LRR and of a random mask trained in as many cycles, and the difference from LRR.",
    """Cyclic training starts at the rewind point, under the level's random mask, and has one cycle of the schedule more
    at each level: as many epochs as LRR's weights have seen. The question is that of a follow-up of the paper's group
    (Cyclic Sparse Training: Is it Enough?, 2024). The layout and all settings are ours.""",
)
SIGNS_FROM_ELSEWHERE = _paired(
    "Test accuracy over density where a level starts with signs from elsewhere, or holds its signs, and the difference"
    " from IMP.",
    """Sign rewind starts a level with the trained signs and the magnitudes of the rewind point; "signs of LRR" are
    those that LRR had at the end of the level before. "Shuffled" permutes these magnitudes within each layer. Where
    signs are fixed, a weight that crosses zero is set to zero. The arms, the layout and all settings are ours.""",
)
OTHER_MASKS = CaptionText(
    "{seen}",
    """{panels} On networks: {means} They are intervals of each arm by itself, not of paired differences. {cut} {epochs}
    Grey: IMP's rewinding trained for as many epochs as LRR's weights have seen, on IMP's own, shuffled and random
    masks, at the levels where it was run. Random masks have the layer densities of ERK. Shuffled masks are the IMP mask
    permuted within each layer. The figure follows the paper's figure 2. The intervals and all settings are ours.
    {missing}""",
)
ON_NEURON = "how often IMP and LRR learn on one neuron"
SEEN_ON_NETWORKS = "the test accuracy of IMP and LRR on networks, on masks that they did not choose"
PUBLISHED_CAPTION = CaptionText(
    "Test accuracy of LRR and of rewinding over density, on ImageNet and CIFAR-10, as others published it{measured}.",
    """Status of ours on ImageNet: {status}. {panels} Unfilled and dashed: medians published by others ({source};
    released data), no intervals. Dotted: their dense network. These are neither ours nor the paper's. Ours, where there
    are any: filled, means over seeds with Student-t 95 % intervals. {missing}""",
)
TRAINING_LOSS = CaptionText(
    "Training loss of IMP and LRR at the end of each level over density, and its ratio to IMP's.",
    """The loss is the cross-entropy over the whole training set in evaluation mode. {panels} Points are geometric means
    over seeds (those of the ratio are paired by seed), bars are Student-t 95 % intervals of the logarithm. {cut}
    {epochs} {control} {layout} {missing}""",
)
