"""What every figure is made of: drawing, caption, what is missing, and the builder of panels.

No files are read or written.
"""

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from figures.plots import style
from figures.results.reprs import short_repr


@dataclass(frozen=True)
class Missing:
    """A panel that is left out, the reason, and the command that would make it.

    `what`: if only some curves of the panel are missing, their legend labels.
    """

    panel: str
    why: str
    command: str
    what: str = ""


@dataclass(frozen=True)
class Caption:
    """The caption of a figure in its three parts.

    `seen` is one sentence on what the figure shows, `data` one on its data and their number n. `more` is the rest: the
    panels, how means and intervals are made, controls, and what is not drawn. The report shows `more` on demand.
    """

    seen: str
    data: str
    more: str = ""

    def __post_init__(self):
        """Refuse a caption without its first two sentences."""
        for name in ("seen", "data"):
            if not getattr(self, name):
                raise ValueError(f"a caption needs a sentence {name!r}, got {self!r}: write it")

    @property
    def opening(self) -> str:
        """The first two sentences."""
        return f"{self.seen} {self.data}"

    @property
    def text(self) -> str:
        """The whole caption."""
        return join_caption(self.opening, self.more)


@short_repr
@dataclass(frozen=True)
class Drawing:
    """A drawn figure, its plotted numbers (JSON-able), the parts of its caption, and what was left out."""

    figure: Any
    plotted: dict
    caption_parts: Caption
    missing: tuple[Missing, ...] = ()

    def __post_init__(self):
        """Refuse a caption that is not given in its parts."""
        if not isinstance(self.caption_parts, Caption):
            raise TypeError(
                f"the caption of a drawing must be a Caption(seen, data, more), got {self.caption_parts!r:.60}"
            )

    @property
    def caption(self) -> str:
        """The whole caption."""
        return self.caption_parts.text

    def _repr_png_(self) -> bytes:
        """The picture that a notebook shows."""
        return style.shown(self.figure)


class NothingToDraw(Exception):
    """No panel of the figure has results; `missing` names the command that makes each."""

    def __init__(self, missing: Sequence[Missing]):
        """Keep the missing panels and list their commands in the message."""
        commands = dict.fromkeys(item.command for item in missing)
        super().__init__("no results for this figure: run " + "; ".join(commands))
        self.missing = tuple(missing)


@dataclass
class FigureBuilder:
    """A figure that is being built: its axes get letters, and their captions are collected.

    `plotted` collects the numbers, `missing` what is left out.
    """

    figure: Any
    letters: list[str] = field(default_factory=list)
    captions: list[str] = field(default_factory=list)
    plotted: dict[str, Any] = field(default_factory=dict)
    missing: list[Missing] = field(default_factory=list)

    def add_panel_label(self, axes, title: str, caption: str = "", characters: int = 200) -> str:
        """Give `axes` the next letter and a title, broken into lines of at most `characters` letters.

        `caption` describes the panel. Returns the letter.
        """
        name = "abcdefghijklmnopqrstuvwxyz"[len(self.letters)]
        self.letters.append(name)
        axes.set_title(textwrap.fill(f"({name}) {title}", characters), loc="left")
        if caption:
            self.captions.append(f"({name}) {caption}")
        return name


def new_sheet(width: float, height: float, missing: Iterable[Missing] = ()) -> FigureBuilder:
    """An empty figure of a size in inches, in which nothing overlaps; `missing`: what it lacks."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.04, h_pad=0.04, wspace=0.04, hspace=0.05)
    return FigureBuilder(figure, missing=list(missing))


def join_caption(*sentences: str) -> str:
    """Sentences joined by single spaces, empty ones dropped."""
    return " ".join(sentence for sentence in sentences if sentence)
