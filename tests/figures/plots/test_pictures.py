import json

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.markers import CARETDOWN, CARETUP
from matplotlib.text import Text

from figures.analysis import measures
from figures.catalogue import FIGURES
from figures.plots.builder import NothingToDraw, new_sheet
from figures.plots.panels import mark_cut
from figures.plots.style import ARM_STYLES, PICTURE_FORMATS, SMALLEST_TYPE, arm_style, drawing_style, render
from figures.results.load import load
from figures.results.network import Records

NAMES = list(FIGURES)


def unseen_labels(figure):
    """The tick labels that matplotlib keeps beyond an axis' limits, which are not printed."""
    unseen = set()
    for axes in figure.axes:
        for axis, limits in ((axes.xaxis, axes.get_xlim()), (axes.yaxis, axes.get_ylim())):
            for tick in axis.get_major_ticks():
                if not min(limits) <= tick.get_loc() <= max(limits):
                    unseen |= {tick.label1, tick.label2}
    return unseen


def visible_texts(figure):
    unseen = unseen_labels(figure)
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and t not in unseen]


def boxes(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    return [(t, t.get_window_extent(renderer)) for t in visible_texts(figure)]


@pytest.fixture(scope="module")
def drawn(drawings):
    """name -> (drawing, text boxes at print size)."""
    with drawing_style():
        return {name: (drawing, boxes(drawing.figure)) for name, drawing in drawings.items()}


@pytest.mark.parametrize("name", NAMES)
def test_every_figure_draws_with_a_caption_and_json_numbers(drawn, name):
    drawing, _ = drawn[name]
    assert drawing.figure.axes and drawing.plotted
    if FIGURES[name].arms and not FIGURES[name].presets:
        assert "n = 4 seeds (0 1 2 3)" in drawing.caption, (
            f"the caption of figure {name} does not say which seeds its means are over: add the sentence of "
            "figures.plots.sentences.format_seeds for each study to its `more`, as figures/README.md says"
        )
    from figures.regenerate import _plain

    json.dumps(drawing.plotted, allow_nan=False, default=_plain)


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_under_seven_points(drawn, name):
    for text, _ in drawn[name][1]:
        assert text.get_fontsize() >= SMALLEST_TYPE, text.get_text()
        assert "$" not in text.get_text(), "mathtext shrinks its sub- and superscripts"


@pytest.mark.parametrize("name", NAMES)
def test_no_text_leaves_the_paper(drawn, name):
    drawing, found = drawn[name]
    width, height = drawing.figure.bbox.size
    for text, box in found:
        inside = box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5
        assert inside, (text.get_text(), box)


@pytest.mark.parametrize("name", NAMES)
def test_no_two_texts_overlap(drawn, name):
    found = drawn[name][1]
    for i, (first, a) in enumerate(found):
        for second, b in found[i + 1 :]:
            across = min(a.x1, b.x1) - max(a.x0, b.x0)
            along = min(a.y1, b.y1) - max(a.y0, b.y0)
            assert across <= 0.5 or along <= 0.5, (first.get_text(), second.get_text())


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_figure_fits_the_columns_of_the_page(drawn, name):
    assert drawn[name][0].figure.get_size_inches()[0] <= 6.9


@pytest.mark.slow
@pytest.mark.parametrize("fmt", PICTURE_FORMATS)
def test_the_same_results_give_the_same_bytes(records, fmt):
    with drawing_style():
        first, second = (render(FIGURES["3"].draw(records).figure, fmt) for _ in range(2))
    assert first == second


@pytest.mark.slow
def test_the_users_matplotlib_settings_change_nothing(records):
    with drawing_style():
        plain = render(FIGURES["3"].draw(records).figure, "svg")
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "lines.linewidth": 9}):
        with drawing_style():
            assert render(FIGURES["3"].draw(records).figure, "svg") == plain
        assert matplotlib.rcParams["font.size"] == 20


@pytest.mark.slow
def test_changed_results_change_the_bytes(records, synthetic, tmp_path):
    synthetic.study(tmp_path, seed=8)
    with drawing_style():
        assert render(FIGURES["3"].draw(load(tmp_path)).figure, "svg") != render(
            FIGURES["3"].draw(records).figure, "svg"
        )


def containers(axes):
    return {c.get_label(): c for c in axes.containers if type(c).__name__ == "ErrorbarContainer"}


@pytest.mark.parametrize(
    ("name", "arms"), [("3", ("imp", "lrr", "imp-on-lrr-mask")), ("4", ("imp", "lrr-on-imp-mask", "imp-long"))]
)
def test_sidecar_numbers_are_those_on_the_axes(drawings, records, name, arms):
    drawing = drawings[name]
    plotted = drawing.plotted["quick-digits"]
    for axes, part in zip(drawing.figure.axes, ("curves", "differences"), strict=True):
        found = containers(axes)
        for arm in arms if part == "curves" else arms[1:]:
            if arm in plotted[part]:
                line, _, (bars,) = found[ARM_STYLES[arm].label]
                numbers = plotted[part][arm]
                np.testing.assert_allclose(line.get_ydata(orig=False), numbers["mean"])
                np.testing.assert_allclose([s[0][1] for s in bars.get_segments()], numbers["low"])
                np.testing.assert_allclose([s[1][1] for s in bars.get_segments()], numbers["high"])
    lrr = plotted["curves"]["lrr"]
    level = records.studies[0].arms["lrr"].seeds
    assert lrr["mean"][-1] == pytest.approx(np.mean([level[s].levels[7].test_accuracy for s in range(4)]))
    assert lrr["density"] == sorted(lrr["density"], reverse=True)


@pytest.mark.parametrize(("name", "arms"), [("3", ("lrr", "imp-on-lrr-mask")), ("4", ("lrr-on-imp-mask", "imp-long"))])
def test_a_difference_curve_is_the_arm_less_imp_as_the_records_have_them(drawings, records, name, arms):
    results = records.studies[0]

    def accuracy(arm, level):
        return np.array([results.arms[arm].seeds[s].levels[level].test_accuracy for s in range(4)])

    for arm in arms:
        curve = drawings[name].plotted["quick-digits"]["differences"][arm]
        line = containers(drawings[name].figure.axes[1])[ARM_STYLES[arm].label][0]
        expected = [np.mean(accuracy(arm, k) - accuracy("imp", k)) for k in curve["level"]]
        np.testing.assert_allclose(line.get_ydata(orig=False), expected)
        assert max(expected) > 0.002, "the sign can be told"


@pytest.mark.parametrize("name", ["2", "3", "4"])
def test_dense_networks_stand_at_the_left(drawings, name):
    axes = [a for a in drawings[name].figure.axes if a.get_xlabel().startswith("density")]
    assert axes and all(a.get_xlim()[0] > a.get_xlim()[1] for a in axes)


def test_differences_are_paired_by_seed(drawings):
    curve = drawings["3"].plotted["quick-digits"]["differences"]["imp-on-lrr-mask"]
    assert np.allclose(np.mean(curve["values"], axis=1), curve["mean"])
    assert all(len(values) == 4 for values in curve["values"])


def test_figure_2_neuron_numbers_and_exact_lines_are_on_the_axes(drawings):
    axes, plotted = drawings["2"].figure.axes[0], drawings["2"].plotted["neuron"]
    for rule in ("imp", "lrr"):
        line = containers(axes)[ARM_STYLES[rule].label][0]
        np.testing.assert_allclose(line.get_ydata(orig=False), plotted[rule]["share"])
    assert any(list(line.get_ydata()) == plotted["imp"]["exact"] for line in axes.lines)


def test_figure_5_bars_are_shares_that_add_up_to_one(drawings):
    plotted = drawings["5"].plotted["quick-digits"]
    axes = drawings["5"].figure.axes
    for pair, part in ((axes[:2], "settles_at"), (axes[2:], "switches")):
        heights = [[patch.get_height() for patch in ax.patches] for ax in pair]
        imp, lrr = plotted[part]["imp"]["mean"], plotted[part]["lrr"]["mean"]
        assert heights[0] == pytest.approx([imp[0], lrr[0]])
        assert heights[1] == pytest.approx(imp[1:] + lrr[1:])
        assert sum(plotted[part]["lrr"]["mean"]) == pytest.approx(1)
    assert "reading (iii)" in drawings["5"].caption
    assert drawings["5"].figure.axes[0].get_xticklabels()[0].get_text() == "never"


def test_figure_5_draws_settle_levels_at_the_top_and_switches_below_as_the_records_have_them(drawings, records):
    axes = drawings["5"].figure.axes
    for pair, part in ((axes[:2], "settles_at"), (axes[2:], "switches")):
        expected = []
        for arm in ("imp", "lrr"):
            seeds = records.studies[0].arms[arm].seeds
            signs = [seeds[s].signs for s in range(4)]
            expected.append(np.mean([np.array(getattr(found, part)) / found.survivors for found in signs], axis=0))
        assert [patch.get_height() for patch in pair[0].patches] == pytest.approx([e[0] for e in expected])
        assert [patch.get_height() for patch in pair[1].patches] == pytest.approx([*expected[0][1:], *expected[1][1:]])
    assert axes[1].get_xlabel() == "level at which the sign settles"
    assert axes[3].get_xlabel() == "number of sign switches"


def test_figure_1_shades_the_exact_basin(drawings, records):
    from matplotlib.path import Path

    arrays = records.theory["quadrants"].arrays
    region = Path(drawings["1"].plotted["quadrants"]["region"]["learns"])
    a, w = np.meshgrid(arrays["grid_a"], arrays["grid_w"])
    inside = region.contains_points(np.stack([a.ravel(), w.ravel()], 1)).reshape(a.shape)
    clear = (arrays["verdict"] != 2) & (np.abs(w) > 1e-9) & (np.abs(a + w) > 1e-9)
    edge = (np.abs(a) < a.max()) & (np.abs(w) < w.max())
    assert ((arrays["verdict"] == 1) == inside)[clear & edge].all()


def test_the_factorial_shows_the_effects_that_claim_14_judges(drawings, records):
    from figures.claims.registry import evaluate

    row = next(v for v in evaluate(records) if v.id == "14").rows[0]
    plotted = drawings["factorial"].plotted["quick-digits"]["effects"]["signs"]
    assert [100 * x for x in plotted] == pytest.approx([row.effect, row.low, row.high])


def test_each_arm_has_its_own_look_in_colour_and_in_black_and_white():
    looks = [(look.marker, str(look.line), look.filled) for look in ARM_STYLES.values()]
    assert len(set(looks)) == len(looks)
    assert len({look.label for look in ARM_STYLES.values()}) == len(ARM_STYLES)


def lightness(colour):
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    y = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
    return 116 * y ** (1 / 3) - 16


def test_imp_is_orange_lrr_purple_and_far_apart_in_lightness():
    assert ARM_STYLES["imp"].colour == "#E69F00"
    assert lightness(ARM_STYLES["imp"].colour) - lightness(ARM_STYLES["lrr"].colour) > 30


def test_an_unknown_arm_gets_a_grey_look_that_depends_on_its_name_only():
    assert arm_style("new-rule") == arm_style("new-rule") and arm_style("new-rule").label == "new-rule"
    assert arm_style("imp") is ARM_STYLES["imp"]


@pytest.mark.parametrize("name", [name for name in NAMES if name != "8"])  # which shows what others have published
def test_without_results_a_figure_names_the_commands_that_make_them(name):
    with pytest.raises(NothingToDraw) as nothing:
        FIGURES[name].draw(Records())
    assert nothing.value.missing and "paper_repro.py" in str(nothing.value)


def test_datasets_of_the_paper_that_were_not_run_are_named_with_their_command(drawings):
    for name, presets in (("2", ("cifar10", "cifar100", "tiny-imagenet")), ("3", ("cifar10", "cifar100"))):
        commands = {item.command for item in drawings[name].missing}
        for preset in presets:
            assert f"paper_repro.py train --preset {preset} --data-dir DIR" in commands
            assert f"`paper_repro.py train --preset {preset} --data-dir DIR`" in drawings[name].caption


@pytest.mark.slow
def test_a_small_preset_does_not_stand_for_the_papers(synthetic, tmp_path):
    synthetic.study(tmp_path, "cifar10", "cifar10-small")
    drawing = FIGURES["3"].draw(load(tmp_path))
    assert "paper_repro.py train --preset cifar10 --data-dir DIR" in {item.command for item in drawing.missing}
    assert drawing.figure.axes[0].get_title(loc="left") == "(a) CIFAR-10 (cifar10-small)"


@pytest.mark.slow
def test_an_arm_without_a_complete_seed_is_left_out_and_named(synthetic, tmp_path):
    synthetic.study(tmp_path, arms={k: v for k, v in synthetic.ARMS.items() if k != "imp-long"})
    drawing = FIGURES["4"].draw(load(tmp_path))
    assert "imp-long" not in drawing.plotted["quick-digits"]["curves"]
    assert any("imp-long" in item.why for item in drawing.missing)
    assert "(a) digits" in drawing.figure.axes[0].get_title(loc="left")


@pytest.mark.slow
def test_a_diverged_run_is_named_in_the_caption(synthetic):
    from figures.claims.registry import evaluate  # noqa: F401  (the same records feed both)

    accuracy = {arm: {s: 0.9 + s / 100 for s in range(4)} for arm in ("imp", "lrr", "imp-on-lrr-mask")}
    records = synthetic.in_memory(accuracy, diverged={("lrr", 2)})
    drawing = FIGURES["3"].draw(records)
    assert "LRR seed 2 diverged" in drawing.caption
    assert measures.seeds_of(records.studies[0], "lrr") == ([0, 1, 3], [2], [])


@pytest.mark.slow
def test_three_data_sets_fit_as_well(synthetic, folder, tmp_path):
    synthetic.theory(tmp_path)
    for dataset in ("cifar10", "cifar100", "tiny-imagenet"):
        synthetic.study(tmp_path, dataset, dataset, seeds=(0, 1, 2), levels=14, rate=0.3)
    records = load(tmp_path)
    with drawing_style():
        for name in ("2", "5"):
            drawing = FIGURES[name].draw(records)
            width, height = drawing.figure.bbox.size
            found = boxes(drawing.figure)
            assert all(0 <= b.x0 and b.x1 <= width and 0 <= b.y0 and b.y1 <= height for _, b in found)
            assert drawing.missing == ()


@pytest.mark.slow
def test_marks_follow_holm_and_need_four_seeds(drawings, synthetic, tmp_path):
    from figures.analysis.statistics import holm, t_test_p

    curve = drawings["3"].plotted["quick-digits"]["differences"]["lrr"]
    assert curve["p_holm"] == pytest.approx(holm([t_test_p(values) for values in curve["values"]]))
    assert curve["marked"] == [p <= 0.05 for p in curve["p_holm"]] and any(curve["marked"])
    synthetic.study(tmp_path, seeds=(0, 1, 2), noise=0.01)
    three = FIGURES["3"].draw(load(tmp_path)).plotted["quick-digits"]["differences"]["lrr"]
    assert min(three["p_holm"]) <= 0.05 and not any(three["marked"])


@pytest.mark.slow
def test_a_caption_says_where_an_interval_runs_off_the_axis(drawings, synthetic, tmp_path):
    assert "extend beyond it" not in drawings["4"].caption
    synthetic.study(tmp_path, seeds=(0, 1), noise=1.0)
    assert "extend beyond it" in FIGURES["4"].draw(load(tmp_path)).caption


def test_an_interval_beyond_the_axis_ends_in_an_arrow_head_of_its_colour():
    sheet = new_sheet(3.0, 2.0)
    axes = sheet.figure.subplots()
    axes.errorbar([1, 2, 3], [0, 0, 0], yerr=[[0.5, 9, 9], [0.5, 0.5, 9]], color="#123456")
    axes.set_ylim(-1, 1)
    before = len(axes.lines)
    assert mark_cut(sheet.figure) == "Bars that reach an axis limit extend beyond it."
    heads = axes.lines[before:]
    places = [(*line.get_xdata(), *line.get_ydata(), line.get_marker()) for line in heads]
    assert places == [(2, 0, CARETDOWN), (3, 0, CARETDOWN), (3, 1, CARETUP)]
    assert {to_hex(line.get_color()) for line in heads} == {"#123456"}
    assert all(line.get_label().startswith("_") for line in heads), "heads are no curves of a legend or an overlay"
    axes.set_ylim(-10, 10)
    assert mark_cut(sheet.figure) == "" and len(axes.lines) == before + 3


@pytest.mark.slow
def test_arms_that_a_study_lacks_are_asked_for_by_name_once_and_by_their_labels_in_the_caption(synthetic, tmp_path):
    kept = ("imp", "lrr", "imp-on-random-mask", "lrr-on-random-mask", "lrr-on-imp-mask")
    synthetic.study(tmp_path, arms={arm: synthetic.ARMS[arm] for arm in kept})
    drawing = FIGURES["2"].draw(load(tmp_path))
    words = drawing.caption.split("Not drawn: ")[1]
    wanted = "imp-on-shuffled-mask lrr-on-shuffled-mask imp-long imp-long-on-shuffled-mask imp-long-on-random-mask"
    command = f"paper_repro.py train --preset quick --arms {wanted}"
    assert words.count(f"`{command}`") == 1 and "planned" not in words
    labels = ", ".join(f'"{ARM_STYLES[arm].label}"' for arm in wanted.split())
    assert f"mask randomisation, digits: {labels} (`{command}`)" in words
    commands = [part.split("`")[0] for part in words.split("(`")[1:]]
    assert len(commands) == len(set(commands))


def test_the_training_length_control_is_drawn_in_figures_2_and_3_where_it_was_run(drawings, records):
    controls = ("imp-long", "imp-long-on-shuffled-mask", "imp-long-on-random-mask")
    _, masks, exchange = drawings["2"].figure.axes
    for axes, arms in ((masks, controls), (exchange, controls[:1]), (drawings["3"].figure.axes[0], controls[:1])):
        for arm in arms:
            seeds = records.studies[0].arms[arm].seeds.values()
            expected = [np.mean([seed.levels[k].test_accuracy for seed in seeds]) for k in (6, 7)]
            np.testing.assert_allclose(containers(axes)[ARM_STYLES[arm].label][0].get_ydata(orig=False), expected)
    for name in ("2", "3"):
        assert (
            set(FIGURES[name].arms) & set(controls) and "as many epochs as LRR's weights have" in drawings[name].caption
        )


def error_bars(figure):
    """(length, cap markers with a place) of every error bar that is drawn."""
    for axes in figure.axes:
        for container in axes.containers:
            if type(container).__name__ == "ErrorbarContainer":
                _, caps, (bars,) = container.lines
                segments = [np.asarray(s) for s in bars.get_segments()]
                yield from (float(np.ptp(s[:, 1])) for s in segments if len(s) == 2 and np.isfinite(s).all())
                yield from (0.0 for cap in caps for y in np.asarray(cap.get_ydata(), float) if np.isfinite(y))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2", "3", "4", "5", "factorial"])
def test_one_seed_gives_no_interval_not_even_one_of_no_width(name, synthetic, tmp_path, drawings):
    synthetic.study(tmp_path, seeds=(0,))
    drawing = FIGURES[name].draw(load(tmp_path))
    assert list(error_bars(drawing.figure)) == []
    assert "n = 1 seed, no intervals" in drawing.caption
    assert any(length > 0 for length in error_bars(drawings[name].figure)), "four seeds give some"


def test_no_bar_is_drawn_for_an_interval_without_width():
    from figures.plots.panels import error_bar_lengths

    down, up = error_bar_lengths([0.5, 0.5, 0.5], [0.4, 0.5, None], [0.7, 0.5, None])
    assert (down[0], up[0]) == pytest.approx((0.1, 0.2)) and np.isnan([down[1:], up[1:]]).all()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["2", "factorial"])
def test_long_titles_stay_on_the_paper_and_apart(name, synthetic, folder, tmp_path):
    synthetic.theory(tmp_path)
    for dataset in ("cifar10-jpeg", "digits"):
        synthetic.study(tmp_path, dataset, "cifar10-small with levels=4 and epochs=4 and lr=0.05")
    with drawing_style():
        drawing = FIGURES[name].draw(load(tmp_path))
        found = [(t, b) for t, b in boxes(drawing.figure) if t.get_text().startswith("(")]
    assert any("\n" in t.get_text() for t, _ in found)
    for i, (first, a) in enumerate(found):
        assert a.x1 <= drawing.figure.bbox.width, first.get_text()
        for second, b in found[i + 1 :]:
            apart = min(a.x1, b.x1) <= max(a.x0, b.x0) or min(a.y1, b.y1) <= max(a.y0, b.y0)
            assert apart, (first.get_text(), second.get_text())


@pytest.mark.slow
def test_a_long_title_does_not_widen_the_narrow_axes_of_figure_5(synthetic, tmp_path):
    widths = []
    for preset in ("quick", "quick with levels=8 and epochs=16 and lr=0.05 and weight-decay=0.001"):
        root = tmp_path / preset
        synthetic.study(root, preset=preset)
        synthetic.study(root, dataset="cifar10", preset=preset)
        with drawing_style():
            drawing = FIGURES["5"].draw(load(root))
            found = boxes(drawing.figure)
        widths.append([axes.get_position().width for axes in drawing.figure.axes])
        titles = [(t, b) for t, b in found if t.get_text().startswith(("(a)", "(b)"))]
        assert len(titles) == 2 and titles[0][1].x1 < titles[1][1].x0
        assert all(b.x1 <= drawing.figure.bbox.width and b.y1 <= drawing.figure.bbox.height for _, b in titles)
    assert widths[0] == pytest.approx(widths[1], rel=0.02)


@pytest.mark.slow
def test_arms_without_a_common_seed_are_named_and_crash_nothing(synthetic):
    arms = ("imp", "sign", "magnitude", "lrr-bn-rewind", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "imp-long")
    accuracy = {arm: {s: 0.9 + s / 100 for s in ((0, 1) if arm.startswith("imp") else (2, 3))} for arm in arms}
    records = synthetic.in_memory(accuracy)
    for name in ("2", "3", "4"):
        drawing = FIGURES[name].draw(records)
        render(drawing.figure, "svg")
    assert set(drawing.plotted["s"]["differences"]) == {"imp-long"}
    assert any("share no complete seed" in item.why for item in drawing.missing)
    with pytest.raises(NothingToDraw) as nothing:
        FIGURES["factorial"].draw(records)
    assert any("share no complete seed" in item.why for item in nothing.value.missing)


def test_the_lines_of_the_factorial_meet_their_markers(drawings):
    for axes in (drawings["factorial"].figure.axes[k] for k in (0, 3)):
        marks = {tuple(c.lines[0].get_xydata()[0]) for c in axes.containers}
        lines = [line for line in axes.lines if line.get_label().endswith("magnitudes")]
        assert len(marks) == 4 and {tuple(end) for line in lines for end in line.get_xydata()} == marks


def test_the_neuron_of_figure_2_is_markers_over_steps_and_figure_1_explains_the_ends(drawings):
    for container in containers(drawings["2"].figure.axes[0]).values():
        assert container.lines[0].get_linestyle() == "None"
    labels = {text.get_text() for text in drawings["1"].figure.axes[0].get_legend().get_texts()}
    assert {"learns, star: end", "fails, cross: end"} <= labels
    assert "unpaired" in drawings["5"].caption and "not of paired differences" in drawings["2"].caption
