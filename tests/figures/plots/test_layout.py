"""A figure fits its panels: no cell of its grid is empty, however many panels there are."""

from dataclasses import replace

import pytest
from matplotlib.gridspec import GridSpecFromSubplotSpec

from figures.catalogue import FIGURES
from figures.plots.builder import new_sheet
from figures.plots.layout import even_rows, joined_rows, row_cells
from figures.plots.style import drawing_style
from figures.results.load import load
from figures.results.network import Records
from tests.figures import perturbed

pytestmark = pytest.mark.slow


def empty_cells(figure) -> list[tuple[int, int]]:
    """The cells, row and column, of the grids that hold a figure's panels, in which nothing is drawn."""
    filled: dict = {}

    def fill(place):
        grid = place.get_gridspec()
        cells = filled.setdefault(id(grid), (grid, set()))[1]
        cells |= {(row, column) for row in place.rowspan for column in place.colspan}
        if isinstance(grid, GridSpecFromSubplotSpec):
            fill(grid._subplot_spec)

    for axes in figure.axes:
        drawn = axes.get_visible() and axes.axison and (axes.has_data() or axes.texts)
        if axes.get_subplotspec() is not None and drawn:
            fill(axes.get_subplotspec())
    return [
        (row, column)
        for grid, cells in filled.values()
        for row in range(grid.nrows)
        for column in range(grid.ncols)
        if (row, column) not in cells
    ]


def test_an_empty_cell_is_found_even_where_its_axes_are_switched_off():
    figure = new_sheet(4, 4).figure
    for place, axes in enumerate(figure.subplots(2, 2).ravel()):
        axes.plot([0, 1]) if place < 3 else axes.set_axis_off()
    assert empty_cells(figure) == [(1, 1)]


@pytest.mark.parametrize("name", FIGURES)
def test_no_cell_of_a_figure_is_empty(drawings, name):
    assert empty_cells(drawings[name].figure) == []


@pytest.mark.parametrize(("count", "rows"), [(1, [1]), (2, [2]), (3, [3]), (4, [2, 2]), (5, [3, 2]), (7, [3, 2, 2])])
def test_panels_stand_in_even_rows_of_at_most_three(count, rows):
    assert even_rows(count) == rows


@pytest.mark.parametrize(
    ("blocks", "rows"), [([2, 1], [3]), ([2, 2], [2, 2]), ([3, 1], [3, 1]), ([1, 1, 1, 1], [3, 1]), ([3, 2, 1], [3, 3])]
)
def test_a_panel_alone_joins_the_row_above_where_there_is_room(blocks, rows):
    assert joined_rows(blocks) == rows


def test_rows_of_different_lengths_all_fill_the_width():
    figure = new_sheet(6, 6).figure
    for cell in row_cells(figure, [3, 2, 1]):
        figure.add_subplot(cell).plot([0, 1])
    assert len(figure.axes) == 6 and empty_cells(figure) == []


def test_figure_6_has_three_panels_in_one_row_where_only_the_share_is_varied(synthetic):
    values = [value for k, value in enumerate(perturbed.swept(synthetic)) if k < 3]
    drawing = perturbed.draw(perturbed.plain(synthetic), sweeps=values)
    places = [axes.get_subplotspec() for axes in drawing.figure.axes]
    assert [(place.rowspan.start, place.get_gridspec().nrows) for place in places] == [(0, 1)] * 3
    assert empty_cells(drawing.figure) == []
    with drawing_style():
        drawing.figure.draw_without_rendering()
        right = max(axes.get_tightbbox().x1 for axes in drawing.figure.axes)
    assert right <= drawing.figure.bbox.width, "a title runs off the paper"


def test_several_data_sets_leave_no_cell_empty(synthetic, tmp_path):
    synthetic.theory(tmp_path)
    for dataset in ("cifar10", "cifar100", "tiny-imagenet"):
        synthetic.study(tmp_path, dataset, dataset, seeds=(0, 1), levels=14, rate=0.3)
    records = load(tmp_path)
    with drawing_style():
        for name in ("2", "5"):
            assert empty_cells(FIGURES[name].draw(records).figure) == []


def test_two_numbers_of_inputs_leave_no_cell_of_the_hidden_neurons_empty(records):
    result = records.theory["hidden-neurons"]
    fewer = replace(result, values=result.values | {"dimensions": result.values["dimensions"][:2]})
    drawing = FIGURES["hidden-neurons"].draw(Records(theory={"hidden-neurons": fewer}))
    assert len(drawing.figure.axes) == 3 and empty_cells(drawing.figure) == []


def test_arms_without_a_common_seed_leave_no_cell_empty(synthetic):
    arms = ("imp", "imp-bn-kept", "lrr", "lrr-bn-rewind", "imp-long")
    accuracy = {arm: {s: 0.9 + s / 100 for s in ((0, 1) if arm.startswith("imp") else (2, 3))} for arm in arms}
    for name in ("9", "13"):
        assert empty_cells(FIGURES[name].draw(synthetic.in_memory(accuracy)).figure) == []
