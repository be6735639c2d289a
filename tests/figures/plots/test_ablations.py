"""Figures 6, 7, 9, 10 and 12, beyond the numbers of one study: sweeps, marks, lines that guide the eye."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.lines import Line2D
from scipy import stats

from figures.plots.ablations import figure_7, figure_9, figure_10
from figures.plots.perturbation import figure_6
from figures.plots.sign_flips import FEW, figure_12
from figures.plots.style import ARM_STYLES, drawing_style
from figures.results.load import load
from figures.results.network import Records
from tests.figures import perturbed, synthetic_sweeps

SEEDS, EPOCHS = (0, 1, 2, 3), (0, 1, 4)
PLACE = "warm-up: quick, model=resnet8, digits"


@pytest.fixture(scope="module")
def warm_up(tmp_path_factory):
    """Records of a study on digits and three values of the sweep `warm-up`: leads of 1, 3 and 5 points."""
    root = tmp_path_factory.mktemp("warm-up")
    synthetic_sweeps.base(root)
    for epochs, lead in ((0, 1.0), (4, 5.0)):
        synthetic_sweeps.study(root, "warm-up", {"warmup_epochs": epochs}, lead)
    return load(root)


def h_of(results, arm):
    """Mean accuracy over the levels of density <= .03, one a seed."""
    levels = [results.arms[arm].seeds[s].levels for s in SEEDS]
    return np.array([np.mean([of_seed[k].test_accuracy for k in (6, 7)]) for of_seed in levels])


def test_the_sweep_of_warm_up_is_drawn_by_its_epochs_with_the_lead_paired_by_seed(warm_up):
    with drawing_style():
        drawing = figure_10(warm_up)
    plotted = drawing.plotted[PLACE]
    assert plotted["warmup_epochs"] == list(EPOCHS)
    by_epochs = {r.arms["imp"].config["warmup_epochs"]: r for r in warm_up.sweeps}
    for place, epochs in enumerate(EPOCHS):
        imp, lrr = (h_of(by_epochs[epochs], arm) for arm in ("imp", "lrr"))
        assert plotted["imp"]["mean"][place] == pytest.approx(imp.mean())
        assert plotted["lrr - imp"]["mean"][place] == pytest.approx((lrr - imp).mean())
        half = stats.t.ppf(0.975, 3) * (lrr - imp).std(ddof=1) / 2
        assert plotted["lrr - imp"]["high"][place] - plotted["lrr - imp"]["mean"][place] == pytest.approx(half)
    assert "n = 4 seeds (0 1 2 3)" in drawing.caption and "resnet8" in drawing.caption
    line = next(c.lines[0] for c in drawing.figure.axes[1].containers if c.get_label().startswith("LRR - IMP"))
    np.testing.assert_allclose(line.get_ydata(orig=False), plotted["lrr - imp"]["mean"])
    np.testing.assert_allclose(line.get_xdata(orig=False), EPOCHS)


def test_the_sweep_stands_below_the_study_and_one_seed_gives_no_interval(records, warm_up):
    (results,) = records.studies
    varied = tuple(replace(r, study=replace(r.study, seeds=(2,))) for r in warm_up.sweeps)
    with drawing_style():
        drawing = figure_10(Records((results,), sweeps=varied))
    assert list(drawing.plotted) == ["quick-digits", PLACE]
    assert [bool(axes.axison) for axes in drawing.figure.axes] == [True] * 5
    assert drawing.plotted[PLACE]["lrr"]["low"] == [None] * 3 and "n = 1 seed, no intervals" in drawing.caption


@pytest.mark.parametrize("draw", [figure_6, figure_7, figure_9, figure_10])
def test_every_panel_has_its_lines_across_however_many_curves_it_shows(records, draw):
    with drawing_style():
        axes = [axes for axes in draw(records).figure.axes if axes.axison]
    for panel in axes:
        assert all(line.get_visible() for line in panel.get_ygridlines()), panel.get_title(loc="left")


def test_the_legend_of_figure_6_shows_the_rules_with_their_lines(records):
    with drawing_style():
        drawing = figure_6(Records(records.studies, sweeps=tuple(perturbed.swept(synthetic_sweeps.synthetic))))
    (legend,) = drawing.figure.legends
    joined = {line.get_color() for line in legend.findobj(Line2D) if line.get_linestyle() == "-"}
    assert {ARM_STYLES["imp"].colour, ARM_STYLES["lrr"].colour} <= joined


def test_no_loss_at_all_is_in_sight_where_every_loss_is_large():
    drawing = perturbed.draw(sweeps=perturbed.swept(synthetic_sweeps.synthetic))
    costs = [axes for axes in drawing.figure.axes if "lost" in axes.get_ylabel()]
    assert len(costs) == 3
    for axes in costs:
        low, high = axes.get_ylim()
        assert low <= 0 <= high


def test_differences_of_flips_have_paired_intervals_and_purple_where_lrr_flips_more(records):
    (results,) = records.studies
    with drawing_style():
        drawing = figure_12(Records((results,)))
    found = drawing.plotted["quick-digits"]["initial"]

    def flips(arm):
        layers = [results.arms[arm].seeds[s].levels[3].layers["conv1"] for s in SEEDS]
        return np.array([layer["flips"]["initial"] / layer["n_kept"] for layer in layers])

    row, column = found["layers"].index("conv1"), found["levels"].index(3)
    gap = flips("lrr") - flips("imp")
    half = stats.t.ppf(0.975, 3) * gap.std(ddof=1) / 2
    assert found["high"][row][column] == pytest.approx(gap.mean() + half) and gap.mean() > 0
    meshes = [axes.collections[0] for axes in drawing.figure.axes if axes.get_title(loc="left").endswith("LRR - IMP")]
    red, green, blue, _ = meshes[1].to_rgba(0.9 * meshes[1].norm.vmax)
    assert blue > red > green and "purple where LRR does" in drawing.caption


def test_a_share_of_few_weights_is_marked_and_one_of_many_is_not(records):
    (results,) = records.studies
    with drawing_style():
        drawing = figure_12(Records((results,)))
    found = drawing.plotted["quick-digits"]["previous"]
    few = [
        (column + 0.5, row + 0.5)
        for row, kept in enumerate(found["survivors"]["imp"])
        for column, weights in enumerate(kept)
        if weights < FEW
    ]
    _, dots = drawing.figure.axes[0].collections
    assert 0 < len(few) < 21 and sorted(map(tuple, np.asarray(dots.get_offsets()))) == sorted(few)
    assert f"dots: shares of fewer than {FEW} weights" in drawing.caption
