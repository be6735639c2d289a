"""Captions of figures 1, 14, 15, `basins`, `pruned-samples`, `large-steps` and `hidden-neurons`."""

from figures.plots.captions.text import CaptionText

# whether quadrants and whether IMP and LRR are drawn -> the first sentence of figure 1's caption
QUADRANTS_SEEN = {
    (True, True): "From which signs of its weights one hidden neuron learns, and how IMP fails where LRR learns.",
    (True, False): "From which signs of its weights one hidden neuron learns.",
    (False, True): "How IMP fails where LRR learns on one hidden neuron.",
}
PHASE_PLANE = CaptionText(
    "{seen}",
    """{panels} The figure follows the paper's figure 1. The layout, the flow field and the basin of unbalanced starts
    are ours. {missing}""",
)
DIMENSION = CaptionText(
    "Share of starts from which IMP and LRR learn, and share in which w₁ switches its sign, over the inputs.",
    """The neuron is pruned at once to input 1. The theorem's probabilities, 1/2 for LRR and 1/4 for IMP, belong to
    balanced starts. {panels} Each marker: {trials} random starts, verdicts of exact limits, {intervals}. IMP and LRR
    run on the same starts (drawn side by side), other markers on independent ones. Pale lines join the exact
    probabilities. {neuron_ours} {missing}""",
)
BASINS = CaptionText(
    "From which balance of a(0) and w(0) one hidden neuron learns, and how often IMP and LRR do.",
    "Basins are exact: starts in the light area learn. {panels} {neuron_ours}",
)
SAMPLES = CaptionText(
    "How often IMP and LRR learn, and how often they find the right mask, over the sample size and label noise.",
    """The sample has n standard normal inputs. The noise is the standard deviation of the labels' noise, where that of
    the target is .58. A trial learns where input 1 survives and its fit with w₁ > 0 is reached. {panels} A trial is one
    data set of n samples and one start, the same for IMP and LRR. Bars are Clopper-Pearson 95 % intervals over trials.
    Several inputs are integrated numerically until the flow rests, one input has exact limits. Pale lines are the
    population's exact probabilities. With noise, half of the data sets push w₁ < 0, a > 0 through w₁ = 0: there IMP
    learns where the population would not. {stopped} {neuron_ours} {missing}""",
)
PRUNED_SAMPLES = CaptionText(
    "How often IMP and LRR learn on samples, from the start of the authors' code and from the balanced start.",
    """Rows: the inputs left after {prunings} prunings ({ladders}). Columns: the distribution of the inputs, normal or
    each uniform, and the standard deviation of the labels' noise (that of the target is .58 for N(0, I) and .32 for
    U[-1, 1]). Starts: w(0) ~ N(0, I/d) and a(0) = u |w(0)|, u uniform in (-1, 1), as in the authors' code of the neuron
    (filled), or a(0) = ±|w(0)|, balanced (open); the theorem's probabilities belong to the latter. A trial is one data
    set and one start, the same for IMP and LRR. It learns where its flows rest, the last one at a loss of at most that
    of the best fit by input 1 with w₁ > 0 (one input left: by its exact limit). {rested} Bars are Clopper-Pearson 95 %
    intervals over trials. Pale lines: the population's exact probabilities, for N(0, I) without noise; for IMP from a =
    u |w| with several inputs left no closed form is known. The combination is ours: inputs, prunings, sample sizes and
    noise .5 are those of a driver in the authors' code, whose own start is not known; that this driver made figure 2
    (a) of the paper is inferred.""",
)
LARGE_STEPS = CaptionText(
    "How gradient descent with large steps learns from starts from which the gradient flow cannot learn.",
    """The starts are |a| = |w| = 1 with a < 0: the balanced starts from which the flow never learns. The flow conserves
    c = a² - |w|², a step does not. {panels} d = 2 represents every d > 1, since only w₁ and the size of the rest of w
    enter. {neuron_ours}""",
)
HIDDEN_NEURONS = CaptionText(
    "Share of starts from which IMP and LRR learn, over the number of hidden neurons, and their difference.",
    """The experiment is ours and numerical. The target is relu(x₁). The gradient flow is integrated until the loss is
    below {learned} (learns) or the gradient below {stationary} (fails). At the start every neuron is balanced, w_ij ~
    N(0, 1/(k d)), and a_i has either sign. The k d inner weights are pruned together by size, {rate} of the survivors a
    level, down to k of them. The share is that of the starts that learn at the last level, with Clopper-Pearson 95 %
    intervals. IMP and LRR have the same starts (drawn side by side), and their difference is paired by start (normal
    95 % interval). {panels} Dashed lines are our heuristic, not a theorem: some neuron has the right signs, a_i(0) > 0
    and, for IMP, w_i1(0) > 0. Start by start, of {total}: {against}. LRR's line is an upper bound: from these starts
    a_i² >= |w_i|² at every level, so no a_i changes its sign. Undecided at the last level, counted as not learning:
    {late}. {one_neuron}""",
)
