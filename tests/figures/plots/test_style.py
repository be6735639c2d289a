"""The colour of a rule has one source: its entry in `ARM_STYLES`."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import Collection
from matplotlib.colors import to_hex
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from figures import phase_portrait
from figures.catalogue import FIGURES
from figures.plots import style
from figures.plots.style import ARM_STYLES, PALETTE, arm_style, colour_word, drawing_style
from theory import phase_plane

NEW = "#1A9850"


def colours(figure):
    """Every colour of a figure's lines and patches, and the ends of its colour maps."""
    found = {to_hex(line.get_color()) for line in figure.findobj(Line2D)}
    found |= {to_hex(line.get_markeredgecolor()) for line in figure.findobj(Line2D)}
    found |= {to_hex(patch.get_facecolor()) for patch in figure.findobj(Patch)}
    for mapped in figure.findobj(Collection):
        found |= {to_hex(colour) for colour in (*mapped.get_facecolor(), *mapped.get_edgecolor())}
        found |= {to_hex(mapped.cmap(end)) for end in (0.0, 1.0)}
    return found


@pytest.fixture
def recoloured(monkeypatch):
    monkeypatch.setitem(ARM_STYLES, "lrr", replace(ARM_STYLES["lrr"], colour=NEW))


@pytest.mark.parametrize("name", ["2", "8", "12"])
def test_a_new_colour_of_lrr_reaches_all_of_a_figure(recoloured, drawings, records, name):
    with drawing_style():
        drawing = FIGURES[name].draw(records)
    old = style.PURPLE.lower()
    assert old in colours(drawings[name].figure)
    assert NEW.lower() in colours(drawing.figure) and old not in colours(drawing.figure)
    assert "purple" not in drawing.caption
    if name == "12":
        assert "purple where LRR does" in drawings[name].caption and "green where LRR does" in drawing.caption


def test_a_new_colour_of_lrr_reaches_the_portrait(recoloured):
    found = colours(phase_portrait(phase_plane("line", grid=9)))
    assert NEW.lower() in found and style.PURPLE.lower() not in found


def test_a_style_that_names_an_arm_has_its_colour(recoloured):
    assert arm_style("lrr-on-shuffled-mask").colour == NEW and arm_style("imp-on-shuffled-mask").colour == style.ORANGE


def test_every_style_has_a_colour_in_the_end():
    assert all(to_hex(arm_style(arm).colour) for arm in ARM_STYLES)


def test_the_word_for_a_colour_is_that_of_the_nearest():
    assert {word: colour_word(colour) for word, colour in PALETTE.items()} == {word: word for word in PALETTE}
    assert colour_word("#00A070") == "green" and len(np.unique(list(PALETTE.values()))) == len(PALETTE)
