"""Captions of figures 5, 6, 12 and `connectivity`."""

from figures.plots.captions.text import CaptionText

SETTLING = CaptionText(
    "When the signs of IMP's and LRR's weights settle (top), and how often they switch (bottom).",
    """{panels} Shares are of the weights that survive the last level. A switch is counted by reading (iii): from the
    end of a level to the end of the next (level 0: from {origin}). Top: the last level at which a weight's sign
    changed. Bottom: how often it changed. Weights that never switch are drawn separately, on their own scale. Bars are
    mean shares over seeds, whiskers are Student-t 95 % intervals of each arm by itself, unpaired. {epochs} The figure
    follows the paper's figure 5. The reading of a switch, the intervals and all settings are ours. {missing}""",
)
_PERTURBED = """{means} {panels} The cost is the accuracy without the perturbation less the accuracy with it, paired by
    seed. {high_sparsity} {cut} The flip is written into the values that IMP rewinds to as well. {flip_line} {epochs}
    {control} {layout} {missing}"""
PERTURBED = CaptionText(
    "Test accuracy with and without flipped signs, and the accuracy that flipped signs cost IMP and LRR.", _PERTURBED
)
COST_ALONE = CaptionText("The accuracy that flipped signs cost IMP and LRR.", _PERTURBED)
FLIP_LINE = "The dashed vertical line lies between the levels before and after the flip."
UNPERTURBED = (
    "Grey: IMP's rewinding, unperturbed, trained for as many epochs as LRR's weights have seen, where it was run."
)
SIGN_FLIPS = CaptionText(
    "Share of each layer's surviving signs that flip, by level, for IMP and for LRR, and their difference.",
    """Shares are of the weights of a layer that survive the level. They are means over seeds, and differences are
    paired by seed: {imp_colour} where IMP flips more, {lrr_colour} where LRR does. The figure's data hold the Student-t
    95 % intervals of the differences. {panels} {scales} For IMP reading (i), from the start of the level, is reading
    (ii). Grey: a layer without a weight left in some seed; dots: shares of fewer than {few} weights, on average over
    seeds. Layers are drawn from the input (top) to the output. {epochs} {layout} {missing}""",
)
CONNECTIVITY_CAPTION = CaptionText(
    "Test error on the line between IMP's and LRR's last networks, barriers between trained networks over levels, and"
    " how many signs they share.",
    """Networks on the line between two trained networks have (1 - alpha) of the weights of one and alpha of the
    other's; pruned weights are zeros. A barrier is the largest excess of their test error over the straight line
    between the errors of the ends, at alpha = 0, .1, ..., 1. Batch-norm statistics are recomputed by one pass over the
    training set without augmentation, or interpolated as the weights are. {panels} Signs are compared where both
    networks keep the weight; the dotted line is what two unrelated networks would share. Pairs of consecutive levels
    stand at the later one; levels 0 are the dense networks. Of two seeds each seed is in one pair only. Points are
    means over pairs, bars are Student-t 95 % intervals of each curve by itself. {cut} {epochs} {layout} {missing}""",
)
