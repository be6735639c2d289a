"""Captions of figures 7, 9, 10 and `factorial`: one thing is switched off, or two are crossed."""

from figures.plots.captions.text import CaptionText


def _ablation(seen: str, note: str) -> CaptionText:
    """The caption of an ablation; `note`: what is its own."""
    return CaptionText(
        seen,
        f"""{{means}} {{panels}} {{high_sparsity}} Leads are paired by seed. Their bars are Student-t 95 % intervals of
        each level by itself. {{cut}} {{epochs}} {note} Grey diamonds: the training-length control. It is IMP's
        rewinding on the same masks, trained for as many epochs as LRR's weights have seen, at the levels where it was
        run. {{layout}} {{missing}}""",
    )


RANDOM_MASKS_CAPTION = _ablation(
    "Test accuracy of IMP and LRR on random masks, with batch norm rewound and kept, and LRR's lead over IMP.",
    "The masks are random and nested, with the layer densities of ERK. As defined, IMP rewinds batch norm and LRR keeps"
    " it.",
)
BN_REWIND_CAPTION = _ablation(
    "Test accuracy of IMP and LRR with batch norm rewound and kept, and LRR's lead over IMP.",
    "As defined, IMP rewinds batch norm and LRR keeps it.",
)
WARM_UP_CAPTION = _ablation(
    "Test accuracy of IMP and LRR with and without warm-up, and LRR's lead over IMP.",
    "The arms without warm-up start from dense networks trained without it.",
)
FACTORIAL_CAPTION = CaptionText(
    "Success where a level starts from initial or trained signs, crossed with initial or trained magnitudes, and the"
    " effect of each.",
    """IMP starts a level from initial signs and magnitudes, LRR from trained ones. Sign rewind takes trained signs and
    initial magnitudes, magnitude rewind the reverse. {panels} {high_sparsity} {cut} {ours} {missing}""",
)
