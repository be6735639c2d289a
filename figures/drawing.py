"""Call the function of a figure: check what it returns, mark smoke runs, say where it failed."""

import importlib
import sys
import traceback
from dataclasses import replace
from pathlib import Path

from figures.catalogue import FigureSpec
from figures.inputs import studies_read
from figures.plots.builder import Drawing
from figures.plots.choose import SMOKE
from figures.results.network import Records
from figures.results.variants import BEST_EPOCH, SELECTED_ON_TEST_SET, protocol_mark

_CALLERS = {__file__, str(Path(__file__).with_name("catalogue.py")), importlib.__file__}


def draw_figure(spec: FigureSpec, records: Records) -> Drawing:
    """The drawing of a figure, marked with its protocol, and with the best accuracies where it has them.


    So is a smoke run that a figure from outside reads. The package's own figures mark the panels of smoke runs
    themselves: they may leave out studies that they read.

    Raises
    ------
    NothingToDraw : nothing that the figure needs has been run.
    TypeError : its function returns something else than a `Drawing`.
    """
    drawing = spec.draw(records)
    if not isinstance(drawing, Drawing):
        raise TypeError(f"it must return a figures.Drawing, got {drawing!r:.60}")
    from_outside = not isinstance(spec.function, str)
    smoke = any(arms and results.study.smoke for results, arms in studies_read(spec, records))
    drawing = _marked(drawing, SMOKE, f"This is a {SMOKE}.") if from_outside and smoke else drawing
    mark = protocol_mark(records.protocol)
    drawing = _marked(drawing, mark, f"All networks: {mark}.") if mark else drawing
    return _selected(drawing) if records.accuracy == BEST_EPOCH else drawing


def _selected(drawing: Drawing) -> Drawing:
    """The drawing of the best accuracies: its caption says at once how they were selected."""
    parts = drawing.caption_parts
    return replace(drawing, caption_parts=replace(parts, data=f"{parts.data} {SELECTED_ON_TEST_SET}"))


def _marked(drawing: Drawing, mark: str, sentence: str) -> Drawing:
    """The drawing with a mark above its panels and a sentence in its caption, where they lack it."""
    from matplotlib.text import Text

    shown = [" ".join(text.get_text().split()) for text in drawing.figure.findobj(Text) if text.get_visible()]
    if not any(mark in text for text in shown):
        drawing.figure.suptitle("\n".join(filter(None, [drawing.figure.get_suptitle(), mark])))
    parts = drawing.caption_parts
    if mark in parts.opening:
        return drawing
    return replace(drawing, caption_parts=replace(parts, data=f"{parts.data} {sentence}"))


def drawing_failure(spec: FigureSpec, error: Exception) -> str:
    """Which function failed to draw a figure, how, and at which lines."""
    lines = _lines_of(error, spec.place.split(":")[0])
    where = f" ({', '.join(lines)})" if lines else ""
    return f"could not be drawn by {spec.place}: {type(error).__name__}: {error}{where}: correct that function"


def _lines_of(error: Exception, module: str) -> list[str]:
    """The last line of the module in an error's traceback, and the line that raised it if another.

    The lines that only lead to the function, and those of Python's import, are left out.
    """
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    frames = frames[1 + max((i for i, frame in enumerate(frames) if frame.filename in _CALLERS), default=-1) :]
    own_file = getattr(sys.modules.get(module), "__file__", None)
    own = [frame for frame in frames if frame.filename == own_file]
    return list(dict.fromkeys(f"{Path(f.filename).name}, line {f.lineno}" for f in (*own[-1:], *frames[-1:])))
