"""Phase portraits: what is drawn is what the plane holds; type, room and bytes as in every figure."""

import doctest
import io
from dataclasses import replace
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.patches import FancyArrowPatch
from matplotlib.text import Text

import figures.plots.portrait
from figures import phase_portrait
from figures.plots import style
from figures.plots.portrait_time import _power, _ticks, _widened
from figures.plots.style import PICTURE_FORMATS, SMALLEST_TYPE, render
from theory import closed_form, phase_plane

pytestmark = pytest.mark.slow

VIEWS = {
    "line": {"plane": "line"},
    "uneven line": {"plane": "line", "c_plus": 0.3, "c_minus": 1.7},
    "wide line": {"plane": "line", "extent": 30.0},
    "balanced, a > 0": {"plane": "balanced"},
    "balanced, a < 0": {"plane": "balanced", "sign_a": -1},
    "c > 0, a > 0": {"plane": "slice", "c": 1.0},
    "c > 0, a < 0": {"plane": "slice", "c": 1.0, "sign_a": -1},
    "c < 0": {"plane": "slice", "c": -1.0},
}
WAYS = {"verdict": {}, "time": {"colour": "time"}, "two columns": {"colour": "time", "columns": 2}}
WHICH = [(view, way) for view in VIEWS for way in ("verdict", "time")]
WHICH += [("line", "two columns"), ("c < 0", "two columns")]


@pytest.fixture(scope="module")
def planes():
    return {name: phase_plane(grid=21, **view) for name, view in VIEWS.items()}


def paths(plane):
    times = np.linspace(0, 30, 200)
    return [plane.path(*closed_form(a, w, times)) for a, w in ((-0.6, 1.5), (1.6, -1.0))]


class Drawn(dict):
    """(view, way) -> (figure, [(text, box)]) at printed size, drawn when first asked for."""

    def __init__(self, planes):
        self.planes = planes

    def __missing__(self, which):
        plane, options = self.planes[which[0]], WAYS[which[1]]
        more = {"levels": True, "paths": paths(plane)} if which[0] == "line" else {}
        figure = phase_portrait(plane, **options, **more)
        self[which] = figure, boxes(figure)
        return self[which]


@pytest.fixture(scope="module")
def portraits(planes):
    return Drawn(planes)


each_portrait = pytest.mark.parametrize("which", WHICH, ids=" | ".join)


def boxes(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    return [(text, text.get_window_extent(canvas.get_renderer())) for text in texts]


def legend(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


# --- type and room


@each_portrait
def test_no_text_is_under_seven_points(portraits, which):
    figure, found = portraits[which]
    assert len(found) > 15 and all(text.get_fontsize() >= SMALLEST_TYPE for text, _ in found)
    assert not any("$" in text.get_text() for text, _ in found)


@each_portrait
def test_no_text_leaves_the_paper_or_meets_another(portraits, which):
    figure, found = portraits[which]
    width, height = figure.bbox.size
    for i, (first, a) in enumerate(found):
        assert min(a.x0, a.y0) >= -0.5 and a.x1 <= width + 0.5 and a.y1 <= height + 0.5, (first.get_text(), a)
        for second, b in found[i + 1 :]:
            apart = min(a.x1, b.x1) - max(a.x0, b.x0) <= 0.5 or min(a.y1, b.y1) - max(a.y0, b.y0) <= 0.5
            assert apart, (first.get_text(), second.get_text())


@each_portrait
def test_the_legend_stands_outside_the_axes(portraits, which):
    figure, _ = portraits[which]
    place = figure.legends[0].get_window_extent()
    for axes in (figure.axes[0], *figure.axes[0].child_axes):
        assert not axes.get_window_extent().overlaps(place)


@each_portrait
def test_the_picture_fits_its_columns_and_uses_their_width(portraits, which):
    figure, _ = portraits[which]
    width, height = figure.get_size_inches()
    assert width == (style.TWO_COLUMNS if which[1] == "two columns" else style.ONE_COLUMN) and height < 5.5
    box = figure.axes[0].get_position()
    assert box.width * width > 0.55 * width
    if figure.axes[0].get_xlabel().startswith("a") and "line" in which[0]:
        assert box.width * width == pytest.approx(box.height * height)


def test_a_check_of_overlaps_can_fail(planes):
    figure = phase_portrait(planes["line"])
    figure.axes[0].set_xticks(np.linspace(-2, 2, 41), [f"{x:.2f}" for x in np.linspace(-2, 2, 41)])
    found = [box for text, box in boxes(figure) if text in figure.axes[0].get_xticklabels()]
    assert any(a.overlaps(b) for a, b in zip(found, found[1:], strict=False))


# --- bytes


@pytest.mark.parametrize("fmt", PICTURE_FORMATS)
@pytest.mark.parametrize("colour", ["verdict", "time"])
def test_the_same_plane_gives_the_same_bytes(planes, fmt, colour):
    figure, again = (phase_portrait(planes["balanced, a > 0"], colour=colour) for _ in range(2))
    assert render(figure, fmt) == render(again, fmt) == render(figure, fmt)


def test_every_change_of_the_data_changes_the_bytes(planes):
    plane = planes["c < 0"]
    mutants = [
        replace(plane, field_x=-plane.field_x),
        replace(plane, time_to_learn=2 * plane.time_to_learn),
        replace(plane, tolerance=1e-5),
        replace(plane, curves=tuple(c for c in plane.curves if c.kind != "separatrix")),
        replace(
            plane, curves=tuple(replace(c, points=0.9 * c.points) if c.kind == "basin" else c for c in plane.curves)
        ),
        replace(plane, equilibria=tuple(replace(e, stability="unstable") for e in plane.equilibria)),
        replace(plane, about="another"),
        phase_plane("slice", c=-1.1, grid=21),
    ]
    pictures = [render(phase_portrait(p, colour="time"), "svg") for p in (plane, *mutants)]
    assert len(set(pictures)) == len(pictures)


HOSTILE = {
    "font.size": 20,
    "font.family": "serif",
    "axes.facecolor": "red",
    "lines.linewidth": 9,
    "xtick.labelsize": 25,
    "xtick.major.size": 20,
    "axes.grid": True,
    "legend.fontsize": 30,
    "savefig.dpi": 17,
    "savefig.facecolor": "green",
    "savefig.bbox": "tight",
    "svg.fonttype": "none",
    "text.usetex": False,
}


def test_the_users_settings_change_neither_the_drawing_nor_the_saved_file(planes):
    plain = render(phase_portrait(planes["line"]), "svg")
    with matplotlib.rc_context(HOSTILE):
        figure = phase_portrait(planes["line"])
        assert render(figure, "svg") == plain
        saved = io.BytesIO()
        figure.savefig(saved, format="svg", metadata={"Date": None, "Creator": "figures"})
        assert saved.getvalue() == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_a_canvas_of_the_users_own_shows_the_same_artists(planes):
    figure = phase_portrait(planes["line"], colour="time")
    before = [(text.get_text(), text.get_fontsize(), box.bounds) for text, box in boxes(figure)]
    with matplotlib.rc_context(HOSTILE):
        after = [(text.get_text(), text.get_fontsize(), box.bounds) for text, box in boxes(figure)]
    assert [row[:2] for row in before] == [row[:2] for row in after]
    np.testing.assert_allclose([row[2] for row in before], [row[2] for row in after], atol=0.5)


def test_the_saved_png_has_three_hundred_dots_an_inch(planes, tmp_path):
    figure = phase_portrait(planes["line"])
    figure.savefig(tmp_path / "portrait.png")
    height, width = matplotlib.image.imread(tmp_path / "portrait.png").shape[:2]
    np.testing.assert_allclose([width, height], 300 * figure.get_size_inches(), atol=1)
    figure.savefig(tmp_path / "small.png", dpi=50)  # what is asked for is given
    assert matplotlib.image.imread(tmp_path / "small.png").shape[1] == 165


# --- what is drawn


def drawn_lines(figure):
    return [line.get_xydata() for line in figure.axes[0].lines]


def test_the_curves_and_equilibria_drawn_are_those_of_the_plane(planes, portraits):
    for name in ("balanced, a > 0", "c < 0", "c > 0, a > 0"):
        found = drawn_lines(portraits[name, "verdict"][0])
        wanted = [c.points for c in planes[name].curves if c.kind in ("nullcline", "separatrix", "switching")]
        for points in wanted + [e.points for e in planes[name].equilibria]:
            assert any(np.array_equal(points, line) for line in found)


def test_a_curve_along_equilibria_is_left_to_them(planes, portraits):
    found = drawn_lines(portraits["uneven line", "verdict"][0])
    for curve in planes["uneven line"].curves:
        if curve.kind in ("nullcline", "kink"):
            along = curve.points[:, 1].min() < 0 or not np.ptp(curve.points[:, 0]) == 0
            drawn = any(line.shape == curve.points.shape and np.array_equal(line, curve.points) for line in found)
            equilibria = any(np.array_equal(e.points, curve.points) for e in planes["uneven line"].equilibria)
            assert drawn != along or equilibria, curve.name
    words = legend(portraits["uneven line", "verdict"][0])
    assert "nullcline w′ = 0" in words and "nullcline a′ = 0" not in words


def test_shading_is_the_basin_polygon(planes, portraits):
    axes = portraits["uneven line", "verdict"][0].axes[0]
    (learns,) = (p for p in axes.patches if p.get_facecolor() == matplotlib.colors.to_rgba(style.LEARNS_COLOUR))
    (basin,) = (c.points for c in planes["uneven line"].curves if c.kind == "basin")
    np.testing.assert_array_equal(learns.get_xy()[:-1], basin)
    failing = portraits["balanced, a < 0", "verdict"][0].axes[0]
    assert not [p for p in failing.patches if p.get_facecolor() == matplotlib.colors.to_rgba(style.LEARNS_COLOUR)]


@pytest.mark.parametrize(
    ("view", "words", "not_there"),
    [
        ("uneven line", ["learns", "fails", "separatrix a = −w", "equilibria, half-stable"], ["equilibria, unstable"]),
        ("balanced, a > 0", ["learns", "separatrix θ = π", "nullcline θ′ = 0", "switching w₁ = 0"], ["fails"]),
        ("balanced, a < 0", ["fails", "equilibrium, stable", "equilibrium, saddle"], ["learns", "separatrix θ = π"]),
        ("c > 0, a > 0", ["equilibria, unstable", "equilibrium, saddle"], ["equilibria, stable"]),
        ("c > 0, a < 0", ["equilibria, stable", "equilibrium, stable"], ["equilibria, unstable", "learns"]),
        ("c < 0", ["nullcline a′ = 0", "switching a = 0, w₁ = 0"], ["fails"]),
    ],
)
def test_the_legend_names_what_is_there_and_nothing_else(portraits, view, words, not_there):
    found = legend(portraits[view, "verdict"][0])
    assert set(words) <= set(found) and not set(not_there) & set(found) and len(found) == len(set(found))


def test_solid_is_stable_and_dashed_is_not(planes, portraits):
    figure = portraits["uneven line", "verdict"][0]
    for found in planes["uneven line"].equilibria:
        if len(found.points) > 1:
            lines = [li for li in figure.axes[0].lines if np.array_equal(li.get_xydata(), found.points)]
            assert (lines[-1].get_linestyle() == "-") == (found.stability == "stable")


def test_level_sets_and_paths_are_drawn_when_asked_for(planes, portraits):
    more, plain = portraits["line", "verdict"][0], phase_portrait(planes["line"])
    extra = [c.points for c in planes["line"].curves if c.kind == "level"] + paths(planes["line"])
    for points in extra:
        assert any(np.array_equal(points, line) for line in drawn_lines(more))
        assert not any(np.array_equal(points, line) for line in drawn_lines(plain))
    assert "c = −2, −1, 0, 1, 2" in legend(more) and "trajectory, dot: start" in legend(more)


def test_no_streamline_crosses_the_kink(portraits):
    for view in ("line", "uneven line", "wide line"):
        for collection in portraits[view, "verdict"][0].axes[0].collections:
            if isinstance(collection, matplotlib.collections.LineCollection):
                for line in collection.get_segments():
                    assert line[:, 1].min() > -1e-9 or line[:, 1].max() < 1e-9


@pytest.mark.parametrize("options", [{}, {"columns": 2}, {"colour": "time"}])
def test_no_arrow_sits_on_equilibria_and_those_elsewhere_stay(options):
    figure = phase_portrait(phase_plane("line"), **options)
    paths = [p.get_path() for p in figure.axes[0].patches if isinstance(p, FancyArrowPatch)]
    arrows = [np.concatenate(path.to_polygons(closed_only=False)) for path in paths]
    assert len(arrows) > 60 and all(abs(ends[:, 1]).min() > 0.02 for ends in arrows)
    target = [ends.prod(axis=1) - 1 for ends in arrows if ends.min() > 0]
    assert len(target) > 8 and min(abs(gap).min() for gap in target) > 0.01
    assert all(abs(ends.mean(axis=0)).max() < 2 for ends in arrows)


def test_the_times_are_the_colours(planes):
    plane = planes["line"]
    figure = phase_portrait(plane, colour="time")
    mesh = next(c for c in figure.axes[0].collections if c.get_array() is not None and c.get_array().size == 441)
    shown = np.asarray(mesh.get_array()).reshape(21, 21)
    inner = np.isfinite(plane.time_to_learn) & (plane.time_to_learn > mesh.norm.vmin)
    np.testing.assert_array_equal(shown[inner], plane.time_to_learn[inner])
    assert mesh.norm.vmax == np.nanmax(plane.time_to_learn) and inner.sum() > 100
    assert mesh.get_clip_path() is not None
    label = figure.axes[0].child_axes[0].get_ylabel()
    assert label == "time until the loss is 10⁻⁶"


def test_a_plane_on_which_nothing_learns_has_no_bar(portraits):
    assert not portraits["balanced, a < 0", "time"][0].axes[0].child_axes


def test_colour_reaches_one_node_beyond_the_basin_and_keeps_the_longest_time():
    times = np.full((5, 5), np.nan)
    times[2, 2], times[2, 3] = 3.0, 7.0
    wide = _widened(times)
    assert wide[2, 2] == 3 and wide[2, 3] == 7 and wide[1, 2] == 7 and wide[3, 1] == 3 and np.isnan(wide[:, 0]).all()


def test_ticks_of_the_bar_are_few_and_within_it():
    for low, high in ((2.0, 15.0), (0.3, 0.5), (1.0, 1e7), (3.0, 200.0), (1e-8, 1e20)):
        ticks = _ticks(low, high)
        assert 2 <= len(ticks) <= 9 and all(low <= tick <= high for tick in ticks)
        assert len(set(ticks.values())) == len(ticks)
    assert [_power(x) for x in (1e-6, 2e-5, 0.01, 1000, 1e4)] == ["10⁻⁶", "2·10⁻⁵", "0.01", "1000", "10⁴"]


# --- what may be passed


def test_any_object_with_the_attributes_will_do(planes):
    plane = planes["c < 0"]
    names = ("about coordinates x y field_x field_y verdict time_to_learn tolerance curves equilibria").split()
    plain = SimpleNamespace(**{name: getattr(plane, name) for name in names})
    assert render(phase_portrait(plain), "svg") == render(phase_portrait(plane), "svg")


@pytest.mark.parametrize(("view", "grid"), [("line", 2), ("line", 3), ("c > 0, a > 0", 2), ("c < 0", 2)])
def test_the_coarsest_grids_are_drawn(view, grid):
    assert phase_portrait(phase_plane(grid=grid, **VIEWS[view]), colour="time").axes[0].lines


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"colour": "verdicts"}, "colour must be one of verdict, time, got 'verdicts'"),
        ({"columns": 3}, "columns must be 1 or 2, got 3"),
        ({"paths": [np.zeros(4)]}, r"a path must have shape \(m, 2\), got \(4,\)"),
        ({"paths": [np.zeros((0, 2))]}, "a path must have shape"),
    ],
)
def test_bad_input_is_named(planes, options, message):
    with pytest.raises(ValueError, match=message):
        phase_portrait(planes["line"], **options)


def test_the_examples_give_what_they_state():
    assert doctest.testmod(figures.plots.portrait).failed == 0
    assert any(test.examples for test in doctest.DocTestFinder().find(phase_portrait, "phase_portrait"))
