"""A caption as a text with fields, and the sentences that captions share."""

from dataclasses import dataclass

from figures.results.network import Records
from figures.results.variants import LAST_EPOCH

EPOCHS = "LRR's weights have seen more epochs than IMP's at the same level."
SHARED = {
    "epochs": EPOCHS,
    "layout": "The layout and all settings are ours, not the paper's.",
    "ours": "The experiment, the layout and all settings are ours, not the paper's.",
    "neuron_ours": "The experiment is ours, not the paper's.",
    "high_sparsity": "High-sparsity accuracy is the mean test accuracy over the levels of density at most .03.",
    "control": "Grey: the training-length control. It trains IMP's mask and initial values for as many epochs as LRR's"
    " weights have seen, at the levels where it was run.",
}


@dataclass(frozen=True)
class CaptionText:
    """The text of a figure's caption, with fields in braces.

    `seen` is its first sentence, `more` all that follows the sentence on the data. Every text may have the fields of
    `SHARED`; `{panels}`, the descriptions of the panels; `{cut}`, that intervals extend beyond an axis, which are then
    marked; and `{missing}`, what is not drawn. A figure gives the values of all others.
    """

    seen: str
    more: str


def fill(text: str, words: dict[str, str]) -> str:
    """A text with its fields filled in, on one line; an empty field leaves no space."""
    return " ".join(filter(None, (word.format_map(words) for word in text.split())))


def epoch_note(records: Records) -> str:
    """The sentence of a caption on which epoch's accuracy is drawn.

    Empty for the best, of which every caption speaks (`figures.drawing`).
    """
    return "Test accuracy is that of the last epoch." if records.accuracy == LAST_EPOCH else ""


def means_note(records: Records) -> str:
    """The sentences of a caption on what its points and bars are."""
    return f"{epoch_note(records)} Points are means over seeds, bars are Student-t 95 % intervals.".lstrip()
