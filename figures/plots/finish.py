"""The last step of every figure: its caption is filled in, and the drawing is made."""

from figures.plots.builder import Caption, Drawing, FigureBuilder, join_caption
from figures.plots.captions.text import SHARED, CaptionText, fill
from figures.plots.panels import mark_cut
from figures.plots.sentences import format_missing


def finish(sheet: FigureBuilder, text: CaptionText, data: str, **words: str) -> Drawing:
    """The drawing of a builder, with its caption.

    Parameters
    ----------
    sheet : the builder, with its panels' captions, its plotted numbers and what is missing.
    text : the text of the caption.
    data : the data and their number n, as in `Data: resnet20 on digits, n = 4 seeds.`
    words : the values of the text's own fields.
    """
    cut = mark_cut(sheet.figure) if "{cut}" in text.more else ""
    given = {"panels": join_caption(*sheet.captions), "cut": cut, "missing": format_missing(sheet.missing)}
    words = SHARED | given | words
    caption = Caption(fill(text.seen, words), f"Data: {data}.", fill(text.more, words))
    return Drawing(sheet.figure, sheet.plotted, caption, tuple(sheet.missing))
