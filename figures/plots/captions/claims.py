"""Captions of the figures of all claims, and of claims under both protocols."""

from figures.plots.captions.text import CaptionText

ALL_CLAIMS = CaptionText(
    "Every claim with the effect that decides it, the 95 % interval of the effect, and the verdict.",
    """The effects were fixed before the data{of_last_epoch}. Intervals over seeds are Student-t intervals, paired by
    seed. Those of the neuron are over trials. Reproduced: the interval lies wholly above zero. Not reproduced: it lies
    wholly below the smallest effect that matters (.2 accuracy points, or .02), which is the right edge of the grey
    band. Reversed: it lies wholly below zero. Inconclusive: all else. The axis is linear up to the smallest effect that
    matters and logarithmic beyond. A value that is not compared with 0 is drawn minus its reference value: 1/2 and 1/4
    in claim 3, .98 in 4a, -.2 accuracy points in 15a, 0 contradictions in 1 and 2. A claim of several parts needs all
    of them. Against training length: the same relative to IMP's rewinding trained for as many epochs as LRR's weights
    have seen. Sweeps have no such control. At chance: no arm of the comparison is clearly better than a guess. The mask
    converges: share of a level's last mask that the mask one cycle of the schedule earlier already had, minus .98.
    {studies} {sweeps} Each verdict holds for its preset, network and data set alone. {missing}""",
)
BOTH_PROTOCOLS = CaptionText(
    "Effects of the claims on networks under our protocol and under the authors', with 95 % intervals and verdicts.",
    """The first line of a claim is ours: IMP is rewound to initialisation, and every level warms up. The second is the
    authors', as their code does it: warm-up once, IMP rewound to the weights after it, a floor of the learning rate, a
    classifier without bias. {turned} {switches} Intervals are Student-t intervals, paired by seed. The grey band ends
    at the smallest effect that matters (.2 accuracy points, or .02); the axis is linear up to it and logarithmic
    beyond. Verdicts are made as in the figure of all claims, and hold for their preset, network and data set alone.
    {missing}""",
)
NONE_TURNS = "No verdict and no sign turns with the protocol."
SWITCHED_SETTINGS = (
    "Thin: our protocol with one setting of the authors'; a star marks a setting with which alone the verdict (or the"
    " sign, where only that differs) is the authors'."
)
