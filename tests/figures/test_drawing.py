"""What is asked of the function of a figure, whoever wrote it, and what is said of one that fails."""

from dataclasses import replace

import pytest

from figures.catalogue import FIGURES, FigureSpec
from figures.drawing import draw_figure, drawing_failure
from figures.plots.builder import Caption, Drawing, NothingToDraw, new_sheet
from figures.plots.choose import SMOKE, panel_name
from figures.results.network import Records
from tests.figures import claim_records as made

TRIED = made.on_every_study(
    Records((made.study(),)), lambda results: replace(results, study=replace(results.study, smoke=True))
)


def plain(records):
    """A figure that names neither its study nor the preset."""
    sheet = new_sheet(3.0, 2.0)
    sheet.figure.subplots().plot([0, 1], [0, 1])
    sheet.figure.suptitle("mine")
    return Drawing(sheet.figure, {"x": 1}, Caption("A line.", "Data: n = 1 line."))


def named(records):
    """A figure whose panel and caption have the name of the study."""
    drawing, name = plain(records), panel_name(records.studies[0].study)
    drawing.figure.axes[0].set_title(name)
    return replace(drawing, caption_parts=Caption("A line.", f"Data: {name}."))


def broken(records):
    return "n" + unknown_name  # noqa: F821


def broken_in_a_library(records):
    return made.np.zeros(2).reshape(3)


def of_networks(function):
    return FigureSpec("mine", "Mine", function, (), ("imp", "lrr"))


def failure(function, records=TRIED):
    with pytest.raises(Exception) as caught:
        draw_figure(of_networks(function), records)
    return drawing_failure(of_networks(function), caught.value)


def test_a_figure_from_outside_that_forgets_to_mark_a_smoke_run_is_marked():
    drawing = draw_figure(of_networks(plain), TRIED)
    assert drawing.figure.get_suptitle() == f"mine\n{SMOKE}"
    assert drawing.caption_parts.opening.endswith(f"This is a {SMOKE}.")


def test_a_mark_is_not_repeated():
    drawing = draw_figure(of_networks(named), TRIED)
    assert drawing.figure.get_suptitle() == "mine" and drawing.caption.count(SMOKE) == 1


@pytest.mark.parametrize("records", [Records(), Records((made.study(),))])
def test_without_a_smoke_run_nothing_is_marked(records):
    drawing = draw_figure(of_networks(plain), records)
    assert drawing.figure.get_suptitle() == "mine" and SMOKE not in drawing.caption


def test_a_figure_of_the_neuron_is_not_marked_beside_a_smoke_run():
    neuron = FigureSpec("mine", "Mine", plain, ("dimension",), ())
    assert draw_figure(neuron, TRIED).figure.get_suptitle() == "mine"


def test_a_smoke_run_is_marked_once_in_the_name_of_its_panels():
    study = replace(TRIED.studies[0].study, preset="smoke", title="digits")
    assert panel_name(study) == f"digits ({SMOKE})"
    assert panel_name(replace(study, preset="smoke, width=4")) == f"digits ({SMOKE}) (changed)"
    assert panel_name(replace(study, smoke=False)) == "digits (smoke)"


def test_a_failure_names_the_function_and_the_line_and_blames_nobody():
    line = broken.__code__.co_firstlineno + 1
    assert failure(broken) == (
        f"could not be drawn by {__name__}:broken: NameError: name 'unknown_name' is not defined "
        f"(test_drawing.py, line {line}): correct that function"
    )


def test_a_failure_within_a_library_names_the_line_that_called_it():
    line = broken_in_a_library.__code__.co_firstlineno + 1
    assert f"(test_drawing.py, line {line}" in failure(broken_in_a_library)


def test_a_function_that_returns_something_else_is_told_what_to_return():
    words = failure(lambda records: 1)
    assert "TypeError: it must return a figures.Drawing, got 1: correct that function" in words


@pytest.mark.parametrize(
    ("function", "says"),
    [
        ("nowhere:draw", "figures.plots.nowhere:draw: ModuleNotFoundError: No module named 'figures.plots.nowhere': "),
        ("loss:nothing", "figures.plots.loss:nothing: AttributeError: module 'figures.plots.loss' has no attribute"),
    ],
)
def test_a_function_that_does_not_exist_is_named(function, says):
    assert says in failure(function)


def test_a_figure_without_results_is_no_failure():
    with pytest.raises(NothingToDraw):
        draw_figure(FIGURES["3"], Records())
