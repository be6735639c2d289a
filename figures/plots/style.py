"""The common style of all figures: sizes, type, and a colour, marker and line for each arm.

No module of figures uses pyplot. Colours are Okabe and Ito's (colour-blind safe); IMP is orange and LRR purple, as in
the paper. The rewinding rule determines the family of colours, the mask the marker and the line, so that arms can be
told apart in black and white too.
"""

import io
import os
import sys
import zlib
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace

ONE_COLUMN = 3.3
TWO_COLUMNS = 6.9
SMALLEST_TYPE = 7.0
PICTURE_FORMATS = ("pdf", "png", "svg")
ON_SCREEN = 200  # dots per inch in a notebook
LEARNS_COLOUR = "#FFF3B0"
FAILS_COLOUR = "#F2B8A0"
LEARNS_DARK = "#00664B"
FAILS_DARK = "#B03A00"
INK = "#222222"
MUTED = "#777777"

RC = {
    "font.family": "DejaVu Sans",
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.titlelocation": "left",
    "axes.titlepad": 5,
    "axes.labelsize": 8,
    "axes.labelpad": 2.5,
    "axes.linewidth": 0.6,
    "axes.edgecolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": "#E4E4E4",
    "grid.linewidth": 0.5,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "legend.fontsize": 7,
    "legend.frameon": False,
    "legend.handlelength": 2.4,
    "legend.columnspacing": 1.4,
    "legend.borderaxespad": 0.2,
    "lines.linewidth": 1.3,
    "lines.markersize": 4.2,
    "lines.markeredgewidth": 0.7,
    "errorbar.capsize": 1.6,
    "hatch.linewidth": 0.5,
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,
    "pdf.compression": 9,
    "svg.fonttype": "path",
    "svg.hashsalt": "masks-signs-lrr",
    "path.simplify": True,
}

_METADATA = {
    "pdf": {"CreationDate": None, "ModDate": None, "Creator": "figures"},
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": "figures"},
}


@dataclass(frozen=True)
class ArmStyle:
    """The style of an arm in every figure: label, colour, marker, line style, and whether it is filled.

    `colour` may be the name of the arm whose colour it is: `arm_style` puts that colour in its place.
    """

    label: str
    colour: str
    marker: str
    line: object
    filled: bool = True

    def line_kwargs(self) -> dict:
        """Keyword arguments for `Axes.plot` and `Axes.errorbar`."""
        face = self.colour if self.filled else "white"
        return {
            "color": self.colour,
            "marker": self.marker,
            "linestyle": self.line,
            "markerfacecolor": face,
            "markeredgecolor": self.colour,
            "label": self.label,
        }


_SHORT = (0, (2, 1))
_LONG = (0, (5, 1.5))
_DOT = (0, (1, 1.2))
_DASH_DOT = (0, (5, 1.2, 1, 1.2))
_PATTERNS = ("-", _LONG, _SHORT, _DASH_DOT, _DOT)


def arm_style(arm: str) -> ArmStyle:
    """The style of an arm.

    An arm that is not in `ARM_STYLES` gets a grey style that depends on its name only.
    """
    if arm in ARM_STYLES:
        return with_colour(ARM_STYLES[arm])
    seed = zlib.crc32(arm.encode())
    greys = ("#444444", "#777777", "#999999")
    markers = "1234x+|_"
    return ArmStyle(arm, greys[seed % 3], markers[seed // 3 % len(markers)], _PATTERNS[seed // 24 % len(_PATTERNS)])


def with_colour(style: ArmStyle) -> ArmStyle:
    """The style with the colour of the arm that it names in place of a colour."""
    other = ARM_STYLES.get(style.colour)
    return style if other is None else replace(style, colour=other.colour)


def colour_word(colour: str) -> str:
    """The word for the nearest colour of the palette, for captions."""

    def distance(other: str) -> int:
        return sum((int(colour[i : i + 2], 16) - int(other[i : i + 2], 16)) ** 2 for i in (1, 3, 5))

    return min(PALETTE, key=lambda word: distance(PALETTE[word]))


def load_matplotlib():
    """Import matplotlib, whatever backend the variable MPLBACKEND names: figures here need none.

    A process that is started from a notebook inherits the notebook's backend, which may not be installed in this
    environment, and matplotlib then cannot be imported. A backend that is installed is set, as matplotlib itself does.
    """
    named = None if "matplotlib" in sys.modules else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib
    finally:
        if named is not None:
            os.environ["MPLBACKEND"] = named
    if named:
        with suppress(ValueError):
            matplotlib.rcParams["backend"] = named
    return matplotlib


@contextmanager
def drawing_style():
    """Use matplotlib's defaults and this project's settings, whatever the user's settings.

    The user's settings are restored at the end.
    """
    matplotlib = load_matplotlib()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(RC)
        yield


def render(figure, fmt: str, **options) -> bytes:
    """The bytes of the figure as a pdf, png or svg file: equal figures give equal bytes, without a date.

    options : as in `matplotlib.figure.Figure.savefig`
    """
    if fmt not in PICTURE_FORMATS:
        raise ValueError(f"format must be one of {', '.join(PICTURE_FORMATS)}, got {fmt!r}")
    buffer = io.BytesIO()
    with drawing_style():
        figure.savefig(buffer, format=fmt, metadata=_METADATA[fmt], **options)
    return buffer.getvalue()


def shown(figure) -> bytes:
    """The png that a notebook shows, of a size that can be read on a screen."""
    return render(figure, "png", dpi=ON_SCREEN)


ORANGE = "#E69F00"
VERMILLION = "#D55E00"
PURPLE = "#6A3D9A"
PINK = "#CC79A7"
SKY = "#56B4E9"
BLUE = "#0072B2"
GREEN = "#009E73"
GREY = "#666666"
PALETTE = {
    "orange": ORANGE,
    "vermillion": VERMILLION,
    "purple": PURPLE,
    "pink": PINK,
    "light blue": SKY,
    "blue": BLUE,
    "green": GREEN,
    "grey": GREY,
}

ARM_STYLES: dict[str, ArmStyle] = {
    "dense": ArmStyle("dense", "#000000", "*", "-"),
    "imp": ArmStyle("IMP", ORANGE, "o", "-"),
    "lrr": ArmStyle("LRR", PURPLE, "s", "-"),
    "imp-on-lrr-mask": ArmStyle("IMP on LRR mask", VERMILLION, "^", _LONG),
    "lrr-on-imp-mask": ArmStyle("LRR on IMP mask", PINK, "v", _LONG),
    "imp-on-shuffled-mask": ArmStyle("IMP, shuffled mask", "imp", "o", _SHORT, filled=False),
    "lrr-on-shuffled-mask": ArmStyle("LRR, shuffled mask", "lrr", "s", _SHORT, filled=False),
    "imp-on-random-mask": ArmStyle("IMP, random mask", VERMILLION, "X", _DOT),
    "lrr-on-random-mask": ArmStyle("LRR, random mask", PINK, "P", _DOT),
    "imp-bn-kept": ArmStyle("IMP, BN kept", VERMILLION, "<", _DASH_DOT),
    "lrr-bn-rewind": ArmStyle("LRR, BN rewound", BLUE, ">", _DASH_DOT),
    "wr": ArmStyle("WR", GREEN, "d", "-"),
    "sign": ArmStyle("sign rewind", GREEN, "p", _LONG),
    "magnitude": ArmStyle("magnitude rewind", SKY, "h", _SHORT),
    "imp-long": ArmStyle("IMP, LRR's epochs", GREY, "D", _DOT),
    "imp-long-on-shuffled-mask": ArmStyle("IMP, LRR's epochs, shuffled", GREY, "D", _SHORT, filled=False),
    "imp-long-on-random-mask": ArmStyle("IMP, LRR's epochs, random", GREY, "d", _DOT),
    "imp-perturbed": ArmStyle("IMP, signs perturbed", VERMILLION, "o", _LONG, filled=False),
    "lrr-perturbed": ArmStyle("LRR, signs perturbed", PINK, "s", _LONG, filled=False),
    "imp-without-warmup": ArmStyle("IMP, no warm-up", VERMILLION, "^", _DOT, filled=False),
    "lrr-without-warmup": ArmStyle("LRR, no warm-up", PINK, "v", _DOT, filled=False),
    "imp-bn-kept-on-random-mask": ArmStyle("IMP, BN kept, random mask", "imp", "<", _SHORT, filled=False),
    "lrr-bn-rewind-on-random-mask": ArmStyle("LRR, BN rewound, random mask", BLUE, ">", _SHORT, filled=False),
    "imp-warm": ArmStyle("IMP, rewound to after warm-up", GREEN, "d", _DASH_DOT, filled=False),
    "lrr-bn-rewind-on-imp-mask": ArmStyle("LRR, BN rewound, IMP mask", BLUE, "v", _LONG, filled=False),
    "cyclic-random": ArmStyle("random mask, LRR's cycles", VERMILLION, "h", _LONG, filled=False),
    "sculpt": ArmStyle("SCULPT", SKY, "*", _LONG),
    "sign-shuffled": ArmStyle("sign rewind, shuffled", GREEN, "p", _DOT, filled=False),
    "signs-of-lrr": ArmStyle("signs of LRR", BLUE, "P", _LONG),
    "signs-of-lrr-shuffled": ArmStyle("signs of LRR, shuffled", BLUE, "P", _DOT, filled=False),
    "imp-fixed-signs": ArmStyle("IMP, signs fixed", VERMILLION, "^", _SHORT),
    "lrr-fixed-signs": ArmStyle("LRR, signs fixed", PINK, "v", _SHORT),
    "magnitude-bn-kept": ArmStyle("magnitude rewind, BN kept", SKY, "h", _DOT, filled=False),
    "imp-perturbed-often": ArmStyle("IMP, signs perturbed often", VERMILLION, "o", _DOT),
    "lrr-perturbed-often": ArmStyle("LRR, signs perturbed often", PINK, "s", _DOT),
    "imp-warmup-every": ArmStyle("IMP, warm-up every level", VERMILLION, ">", _LONG, filled=False),
    "lrr-warmup-every": ArmStyle("LRR, warm-up every level", PINK, "<", _LONG, filled=False),
}
