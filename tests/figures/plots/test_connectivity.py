"""The figure `connectivity`: the numbers of the record on its axes, and in words what was left out."""

import json

import numpy as np
import pytest

from figures.catalogue import FIGURES
from figures.plots.builder import NothingToDraw
from figures.results.load import load
from tests.figures import synthetic as made_up

NAME, FILE = "connectivity", "connectivity/quick-digits.json"
TWO_ARMS = {arm: made_up.ARMS[arm] for arm in ("imp", "lrr")}
LABELS = {
    "rules": "IMP and LRR of a seed",
    "levels imp": "IMP, levels k - 1 and k",
    "levels lrr": "LRR, levels k - 1 and k",
    "seeds imp": "IMP, two seeds",
    "seeds lrr": "LRR, two seeds",
}


def draw(root):
    return FIGURES[NAME].draw(load(root))


def curves(axes) -> dict:
    return {c.get_label(): c[0] for c in axes.containers if type(c).__name__ == "ErrorbarContainer"}


@pytest.fixture(scope="module")
def pairs(folder):
    return json.loads((folder / FILE).read_text())["pairs"]


def test_the_error_is_that_of_the_pairs_of_the_last_level(drawings, pairs):
    last = [pair for pair in pairs if pair["between"] == "rules" and pair["levels"] == [7, 7]]
    axes = drawings[NAME].figure.axes[0]
    for label, key in ((LABELS["rules"], "errors"), ("the same, batch norm interpolated", "errors_not_recomputed")):
        line = curves(axes)[label]
        np.testing.assert_allclose(line.get_xdata(orig=False), [k / 10 for k in range(11)])
        np.testing.assert_allclose(line.get_ydata(orig=False), np.mean([pair[key] for pair in last], axis=0))
    assert len(last) == 4 and axes.get_title(loc="left") == "(a) digits: from IMP to LRR, level 7"


@pytest.mark.parametrize("panel, number", [(1, "barrier"), (2, "barrier_not_recomputed"), (3, "sign_similarity")])
def test_a_panel_over_levels_shows_the_means_of_its_pairs(drawings, pairs, panel, number):
    found = curves(drawings[NAME].figure.axes[panel])
    assert set(found) == set(LABELS.values())
    for kind, label in LABELS.items():
        between, _, arm = kind.partition(" ")
        mine = [pair for pair in pairs if pair["between"] == between and pair["arms"][1] in (arm or "lrr", "dense")]
        levels = sorted({pair["levels"][1] for pair in mine})
        expected = [np.mean([pair[number] for pair in mine if pair["levels"][1] == level]) for level in levels]
        np.testing.assert_allclose(found[label].get_ydata(orig=False), expected)
        assert levels == list(range(8) if between == "seeds" else range(1, 8))


def test_the_caption_counts_seeds_and_pairs(drawings):
    caption = drawings[NAME].caption_parts
    assert caption.data == "Data: resnet20 on digits, n = 4 seeds; between seeds, n = 2 pairs."
    assert "IMP and LRR of a seed: n = 4 pairs" in caption.more and "LRR, two seeds: n = 2 pairs" in caption.more
    assert drawings[NAME].missing == ()


def test_sidecar_numbers_have_intervals_and_n(drawings):
    plotted = drawings[NAME].plotted["quick-digits"]
    assert plotted["barrier"]["seeds imp"]["n"] == [2] * 8 and plotted["barrier"]["rules"]["n"] == [4] * 7
    assert plotted["barrier"]["seeds imp"]["seeds"][0] == [[0, 1], [2, 3]]
    for curve in plotted["sign_similarity"].values():
        assert all(
            low < mean < high for low, mean, high in zip(curve["low"], curve["mean"], curve["high"], strict=True)
        )


def test_a_diverged_level_is_said_and_the_other_pairs_are_drawn(tmp_path):
    made_up.study(tmp_path, arms=TWO_ARMS)
    record = json.loads((tmp_path / "studies/quick-digits.json").read_text())
    made_up.connectivity(tmp_path, record, diverged={("lrr", 2, 7)})
    drawing = draw(tmp_path)
    assert "Left out: LRR seed 2 level 7 (diverged)." in drawing.caption
    assert "IMP and LRR of a seed: n = 3 to 4 pairs" in drawing.caption
    assert drawing.plotted["quick-digits"]["barrier"]["rules"]["n"] == [4] * 6 + [3]


def test_without_a_line_at_the_last_level_the_other_panels_are_drawn(tmp_path):
    made_up.study(tmp_path, arms=TWO_ARMS, seeds=(0, 1))
    record = json.loads((tmp_path / "studies/quick-digits.json").read_text())
    made_up.connectivity(tmp_path, record, diverged={("lrr", seed, 7) for seed in (0, 1)})
    drawing = draw(tmp_path)
    assert "no line between IMP's and LRR's last networks was measured" in drawing.caption
    assert len(curves(drawing.figure.axes[1])) == 5 and curves(drawing.figure.axes[0]) == {}


def test_one_seed_has_no_pair_of_seeds_and_no_intervals(tmp_path):
    made_up.study(tmp_path, arms=TWO_ARMS, seeds=(0,))
    drawing = draw(tmp_path)
    assert set(curves(drawing.figure.axes[1])) == {LABELS[kind] for kind in ("rules", "levels imp", "levels lrr")}
    assert drawing.missing == () and "between seeds" not in drawing.caption and "n = 1 seed" in drawing.caption


def test_a_study_that_was_not_measured_is_named_with_its_command(tmp_path):
    made_up.study(tmp_path, arms=TWO_ARMS)
    made_up.study(tmp_path, "cifar10", "cifar10", arms=TWO_ARMS)
    (tmp_path / "connectivity/cifar10-cifar10.json").unlink()
    drawing = draw(tmp_path)
    assert list(drawing.plotted) == ["quick-digits"]
    (lost,) = drawing.missing
    assert (lost.why, lost.command) == (
        "it has not been measured",
        "paper_repro.py figures connectivity --preset cifar10",
    )
    (tmp_path / FILE).unlink()
    with pytest.raises(NothingToDraw, match="figures connectivity --preset quick"):
        draw(tmp_path)


def test_two_studies_have_four_panels_each(tmp_path):
    made_up.study(tmp_path, arms=TWO_ARMS)
    made_up.study(tmp_path, "cifar10", "cifar10", arms=TWO_ARMS)
    drawing = draw(tmp_path)
    assert len(drawing.figure.axes) == 8 and set(drawing.plotted) == {"quick-digits", "cifar10-cifar10"}
