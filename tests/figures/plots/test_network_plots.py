"""Figures 7 to 10, 12 and 13: what is plotted is what the records say, and what is missing is named."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from figures.plots import loss as loss_plot
from figures.plots import published as published_plot
from figures.plots import sign_flips
from figures.plots.ablations import figure_7, figure_9, figure_10
from figures.plots.builder import NothingToDraw
from figures.plots.loss import figure_13
from figures.plots.published import PUBLISHED, figure_8
from figures.plots.sign_flips import figure_12
from figures.plots.style import drawing_style
from figures.results.load import load
from figures.results.network import Records

SEEDS, LEVELS = (0, 1, 2, 3), range(1, 8)


@pytest.fixture(scope="module")
def drawn(records):
    with drawing_style():
        return {name: draw(records) for name, draw in FIGURES.items()}


FIGURES = {"7": figure_7, "8": figure_8, "9": figure_9, "10": figure_10, "12": figure_12, "13": figure_13}


def raw(folder, arm, seed, level):
    """A level as its file says, read without the project's reader."""
    run = f"{arm}-digits-resnet20-0000cafe"
    return json.loads((folder / f"runs/{run}/seed-{seed}/level-{level:02d}/level.json").read_text())


def without_arms(records, *arms):
    (results,) = records.studies
    left = {arm: run for arm, run in results.arms.items() if arm not in arms}
    study = replace(results.study, arms={arm: run for arm, run in results.study.arms.items() if arm not in arms})
    return Records((replace(results, arms=left, study=study),))


def of_seeds(records, *seeds):
    (results,) = records.studies
    return Records((replace(results, study=replace(results.study, seeds=seeds)),))


# ------------------------------------------------------------------------------------------------- 7, 9, 10: ablations


@pytest.mark.parametrize("name, first, second", [
    ("7", ("lrr-bn-rewind-on-random-mask", "imp-on-random-mask"), ("lrr-on-random-mask", "imp-bn-kept-on-random-mask")),
    ("9", ("lrr-bn-rewind", "imp"), ("lrr", "imp-bn-kept")),
    ("10", ("lrr", "imp"), ("lrr-without-warmup", "imp-without-warmup")),
])  # fmt: skip
def test_leads_and_their_difference_are_those_of_the_files_paired_by_seed(folder, drawn, name, first, second):
    (plotted,) = [value for key, value in drawn[name].plotted.items() if key == "quick-digits"]
    accuracy = lambda arm: np.array([[raw(folder, arm, s, k)["test_accuracy"] for k in LEVELS] for s in SEEDS])  # noqa: E731
    leads = [accuracy(lrr) - accuracy(imp) for lrr, imp in (first, second)]
    curves = list(plotted["leads"].values())
    for lead, curve in zip([*leads, leads[0] - leads[1]], [*curves[:2], plotted["effect"]], strict=True):
        np.testing.assert_allclose(curve["mean"], lead.mean(0), atol=1e-12)
        half = stats.t.ppf(0.975, 3) * lead.std(0, ddof=1) / 2
        np.testing.assert_allclose(np.subtract(curve["high"], curve["mean"]), half, atol=1e-12)


@pytest.mark.parametrize("name", ["7", "9", "10"])
def test_an_ablation_without_its_arms_names_the_command(records, name):
    absent = {"7": "lrr-on-random-mask", "9": "imp-bn-kept", "10": "lrr-without-warmup"}[name]
    with pytest.raises(NothingToDraw) as nothing:
        FIGURES[name](without_arms(records, absent))
    assert any(absent in item.command for item in nothing.value.missing)


# ------------------------------------------------------------------------------------------------------ 8: published


def test_published_medians_are_drawn_as_theirs_and_ours_as_not_run(drawn):
    drawing = drawn["8"]
    assert drawing.plotted["status"] == "not run" and "Status of ours on ImageNet: not run" in drawing.caption
    assert "medians published by others" in drawing.caption and "neither ours nor the paper's" in drawing.caption
    labels = {text.get_text() for legend in drawing.figure.legends for text in legend.get_texts()}
    assert labels and all(label.startswith("theirs: ") for label in labels)
    assert {item.command for item in drawing.missing} == {
        "paper_repro.py train --preset imagenet --data-dir DIR",
        "paper_repro.py train --preset cifar10 --data-dir DIR",
    }
    for published in PUBLISHED:
        theirs = drawing.plotted[published.preset]["theirs"]
        assert len(theirs["lrr"]) == len(theirs["wr late"]) == len(published_plot.PUBLISHED_DENSITIES)
        assert all(
            0.6 < value < 1 for value in (*theirs["lrr"], *theirs["wr late"], theirs["dense"], theirs["initial"])
        )
    assert drawing.plotted["imagenet"]["theirs"]["lrr"][0] == pytest.approx(0.7635)
    assert drawing.plotted["cifar10"]["theirs"]["initial"] == pytest.approx(0.8667)


def test_our_results_on_imagenet_stand_beside_theirs(tmp_path, synthetic):
    synthetic.study(tmp_path, dataset="imagenet", preset="imagenet", rate=0.2, arms={"imp": (0, 0), "lrr": (2.0, 1)})
    drawing = figure_8(load(tmp_path))
    assert drawing.plotted["status"] == "run" and set(drawing.plotted["imagenet"]["ours"]) == {"imp", "lrr"}
    assert "ours on ImageNet" in drawing.caption and "n = 4 seeds" in drawing.caption
    assert any(item.what == "WR" and "--arms wr" in item.command for item in drawing.missing)


def test_results_on_digits_are_no_input_of_the_figure_of_imagenet(records):
    from figures.catalogue import FIGURES as REGISTERED
    from figures.inputs import figure_inputs

    assert figure_inputs(REGISTERED["8"], records) == [] and figure_inputs(REGISTERED["13"], records)


# --------------------------------------------------------------------------------------------------------- 12: layers


def test_flips_by_layer_and_level_are_those_of_the_files(folder, drawn):
    for reading in sign_flips.READING_NAMES:
        found = drawn["12"].plotted["quick-digits"][reading]
        assert found["levels"] == list(LEVELS) and found["layers"] == list(raw(folder, "imp", 0, 1)["layers"])
        for arm in ("imp", "lrr"):
            for row, layer in enumerate(found["layers"]):
                for column, level in enumerate(found["levels"]):
                    ours = [raw(folder, arm, s, level)["layers"][layer] for s in SEEDS]
                    expected = np.mean([one["flips"][reading] / one["n_kept"] for one in ours])
                    assert found[arm][row][column] == pytest.approx(expected, abs=1e-12)
        gap = np.subtract(found["lrr"], found["imp"])
        np.testing.assert_allclose(np.array(found["lrr - imp"], float), gap, atol=1e-12)


def test_a_layer_without_a_weight_left_has_no_share_and_no_zero(records):
    (results,) = records.studies
    run = results.arms["imp"]
    last = run.seeds[2].levels[7]
    dead = {
        name: {**layer, "n_kept": 0, "flips": dict.fromkeys(layer["flips"], 0)} for name, layer in last.layers.items()
    }
    seeds = {**run.seeds, 2: replace(run.seeds[2], levels={**run.seeds[2].levels, 7: replace(last, layers=dead)})}
    spoilt = Records((replace(results, arms={**results.arms, "imp": replace(run, seeds=seeds)}),))
    found = figure_12(spoilt).plotted["quick-digits"]["previous"]
    assert all(row[-1] is None for row in found["imp"]) and all(row[-1] is None for row in found["lrr - imp"])
    assert all(row[-1] is not None for row in found["lrr"]) and all(row[0] is not None for row in found["imp"])


def test_every_map_is_described_with_the_ends_of_its_scale(drawn):
    caption = drawn["12"].caption
    maps = {axes.get_title(loc="left")[:3]: axes for axes in drawn["12"].figure.axes if axes.get_title(loc="left")}
    assert list(maps) == [f"({letter})" for letter in "abcdef"]
    for letter, axes in maps.items():
        end = axes.collections[0].norm.vmax
        words = {"(a)": "IMP, reading (iii), from the end", "(d)": "IMP, reading (ii), from initialisation"}
        said = f"0 to {end:.3g}." if letter in ("(b)", "(e)") else f"about 0: to {end:.3g} either way."
        (start,) = [part for part in caption.split(". ") if part.startswith(letter)]
        assert start.startswith(f"{letter} {words[letter]}") if letter in words else said in f"{start}."


def test_differing_scales_of_difference_maps_are_said_and_equal_ones_are_not(drawn):
    assert "The scales of (c) and (f) differ" in drawn["12"].caption
    assert sign_flips._scales_words([("c", 0.2), ("f", 0.2)]) == ""
    assert "of (c), (f) and (i) differ" in sign_flips._scales_words([("c", 0.2), ("f", 0.2), ("i", 0.1)])


def test_without_an_arm_there_are_no_flips_to_compare(records):
    with pytest.raises(NothingToDraw, match="paper_repro.py train --preset quick"):
        figure_12(without_arms(records, "lrr"))
    with pytest.raises(NothingToDraw):
        figure_12(Records())


# ----------------------------------------------------------------------------------------------------------- 13: loss


def test_losses_are_geometric_means_of_the_files_and_ratios_are_paired_by_seed(folder, drawn):
    plotted = drawn["13"].plotted["quick-digits"]
    logs = {
        arm: np.log10([[raw(folder, arm, s, k)["train_loss"] for k in LEVELS] for s in SEEDS]) for arm in ("imp", "lrr")
    }
    np.testing.assert_allclose(np.log10(plotted["loss"]["lrr"]["mean"][1:]), logs["lrr"].mean(0), atol=1e-12)
    ratio = logs["lrr"] - logs["imp"]
    np.testing.assert_allclose(np.log10(plotted["ratio"]["lrr"]["mean"]), ratio.mean(0), atol=1e-12)
    half = stats.t.ppf(0.975, 3) * ratio.std(0, ddof=1) / 2
    np.testing.assert_allclose(np.log10(plotted["ratio"]["lrr"]["high"]), ratio.mean(0) + half, atol=1e-12)
    assert plotted["ratio"]["imp-long"]["level"] == [6, 7] and "imp" not in plotted["ratio"]


def test_a_loss_of_zero_is_drawn_and_one_seed_has_no_interval(records):
    (results,) = of_seeds(records, 0).studies
    run = results.arms["lrr"]
    last = replace(run.seeds[0].levels[7], train_loss=0.0)
    seeds = {**run.seeds, 0: replace(run.seeds[0], levels={**run.seeds[0].levels, 7: last})}
    one = Records((replace(results, arms={**results.arms, "lrr": replace(run, seeds=seeds)}),))
    loss = figure_13(one).plotted["quick-digits"]["loss"]["lrr"]
    assert loss["mean"][-1] == pytest.approx(loss_plot.SMALLEST_LOSS) and loss["low"] == [None] * len(loss["mean"])


def test_an_arm_that_is_missing_is_named_with_its_command(records):
    drawing = figure_13(without_arms(records, "imp-long"))
    assert [item.what for item in drawing.missing] == ["IMP, LRR's epochs"] and "--arms imp-long" in drawing.caption
    with pytest.raises(NothingToDraw):
        figure_13(without_arms(records, "imp"))
