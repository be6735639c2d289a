"""In a notebook a figure that ends a cell is a picture, once. IPython asks a value for `_repr_png_`, as here."""

import struct
import sys
from types import SimpleNamespace as Data

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from figures import FIGURES, phase_portrait
from figures.plots import style
from figures.plots.builder import Caption, Drawing
from tests import ROOT
from tests.support.processes import run

pytestmark = pytest.mark.slow

PICTURES = ("_repr_png_", "_repr_svg_", "_repr_html_", "_repr_jpeg_", "_repr_pdf_", "_repr_mimebundle_")


def portrait(**options):
    axis, one = np.array([-1.0, 0.0, 1.0]), np.ones((3, 3))
    field = dict(coordinates=("a", "w"), x=axis, y=axis, field_x=one, field_y=-one)
    return phase_portrait(Data(about="a drift", curves=(), equilibria=(), **field), **options)


def size(picture: bytes) -> tuple[int, int]:
    """Width and height of a png, which it must be."""
    assert (
        picture.startswith(b"\x89PNG\r\n\x1a\n") and picture[12:16] == b"IHDR" and picture.endswith(b"IEND\xaeB`\x82")
    )
    return struct.unpack(">II", picture[16:24])


def pictures(value) -> dict[str, object]:
    """What a notebook finds to show of a value beside its text: methods, of the class, that give something."""
    return {n: found for n in PICTURES if hasattr(type(value), n) and (found := getattr(value, n)()) is not None}


@pytest.mark.parametrize("columns, inches", [(1, style.ONE_COLUMN), (2, style.TWO_COLUMNS)])
def test_a_portrait_is_one_picture_of_its_size_on_screen(columns, inches):
    figure = portrait(columns=columns)
    found = pictures(figure)
    assert list(found) == ["_repr_png_"]
    width, height = size(found["_repr_png_"])
    assert (width, height) == pytest.approx(figure.get_size_inches() * style.ON_SCREEN, abs=1)
    assert width == pytest.approx(inches * style.ON_SCREEN, abs=1)


def test_every_figure_of_the_catalogue_is_a_picture(records):
    with style.drawing_style():
        drawing = FIGURES["1"].draw(records)
    assert list(pictures(drawing)) == ["_repr_png_"] and min(size(drawing._repr_png_())) > 300


def test_a_picture_is_the_same_twice_whatever_the_user_has_set_and_leaves_the_figure_as_it_was():
    figure = portrait()
    saved, dots = style.render(figure, "png"), figure.dpi
    first = figure._repr_png_()
    with matplotlib.rc_context({"font.size": 30, "savefig.dpi": 20, "savefig.format": "svg"}):
        assert figure._repr_png_() == first
    assert style.render(figure, "png") == saved and figure.dpi == dots
    figure.axes[0].set_title("mine")
    assert figure._repr_png_() != first, "it is shown as it is now"


def test_a_drawing_of_a_plain_figure_is_a_picture_too():
    figure = Figure(figsize=(2, 1))
    assert size(Drawing(figure, {}, Caption("A square.", "No data, n = 0."))._repr_png_()) == (400, 200)


def test_pyplot_does_not_know_our_figures_so_that_none_is_shown_a_second_time():
    code = """
import numpy as np, theory, figures
figure = figures.phase_portrait(theory.phase_plane("line", grid=11))
figure._repr_png_()
import sys
assert "matplotlib.pyplot" not in sys.modules
import matplotlib
matplotlib.use("agg")
import matplotlib.pyplot as plt
figure._repr_png_()
assert plt.get_fignums() == []
plain = plt.figure()
assert plt.get_fignums() == [1] and not hasattr(plain, "_repr_png_"), "matplotlib's own figures are matplotlib's"
"""
    run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_the_lines_of_the_readme_end_in_a_picture(tmp_path, monkeypatch):
    import re

    (lines,) = re.findall(r"five lines:\n\n```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(lines.replace("c_minus=0.5", "c_minus=0.5, grid=21"), names)
    assert size(names["figure"]._repr_png_()) == pytest.approx(names["figure"].get_size_inches() * 200, abs=1)
