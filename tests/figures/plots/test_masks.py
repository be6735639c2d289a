import json

import numpy as np
import pytest

from figures.catalogue import FIGURES
from figures.plots.builder import NothingToDraw
from figures.plots.style import drawing_style
from figures.results.fields import ResultError
from figures.results.load import load
from figures.results.network import MaskSnapshot, Records, parse_level
from tests.figures import synthetic_sweeps as made_up

pytestmark = pytest.mark.slow

NAME = "mask-convergence"


def draw(root):
    with drawing_style():
        return FIGURES[NAME].draw(load(root))


def only(plotted):
    (found,) = plotted.values()
    return found


def shares(root, arm, level):
    """(epochs, seeds x epochs of shared / kept), straight from the files."""
    (study,) = (root / "studies").glob("*mask-snapshot-epochs*.json")
    record = json.loads(study.read_text())
    run, rows = record["arms"][arm] if level else record["dense_run"], []
    for seed in record["seeds"]:
        path = root / f"runs/{run}/seed-{seed}/level-{level:02d}/level.json"
        taken = json.loads(path.read_text())["mask_snapshots"]
        rows.append([entry["shared"] / entry["n_kept"] for entry in taken])
    return [entry["epoch"] for entry in taken], np.array(rows)


def test_curves_are_the_shares_of_the_last_mask_by_level_and_level_0_is_the_dense_runs(drawings, folder):
    drawing = drawings[NAME]
    for axes, arm in zip(drawing.figure.axes, ("imp", "lrr"), strict=False):
        assert len(axes.containers) == 4
        for level, container in enumerate(axes.containers):
            epochs, values = shares(folder, arm, level)
            x, y = container.lines[0].get_data(orig=False)
            assert list(x) == epochs and y == pytest.approx(values.mean(0))
            assert only(drawing.plotted)["curves"][arm][level]["values"] == pytest.approx(values.T)
        assert [line.get_xdata()[0] for line in axes.lines if len(set(line.get_xdata())) == 1][:4] == [16, 32, 48, 64]


def test_the_last_panel_has_the_masks_at_the_ends_of_the_first_cycle_and_of_the_last_but_one(drawings, folder):
    drawing = drawings[NAME]
    drawn = {container.get_label(): container for container in drawing.figure.axes[2].containers}
    for arm in ("imp", "lrr"):
        for cycle in (1, 3):
            line = drawn[f"{arm.upper()}, end of cycle {cycle} of 4"].lines[0]
            expected = []
            for level in range(4):
                epochs, values = shares(folder, arm, level)
                expected.append(values.mean(0)[epochs.index(16 * cycle)])
            assert line.get_ydata(orig=False) == pytest.approx(expected)
            assert (line.get_markerfacecolor() == "white") is (cycle == 1)


def test_the_caption_names_what_is_plotted_and_what_the_last_cycle_replaced(drawings, folder):
    caption = drawings[NAME].caption
    assert "which the mask taken after that many epochs keeps too" in caption
    assert "n = 4 seeds (0 1 2 3); levels of 4 cycles of 16 epochs" in caption
    assert "model=resnet8 in place of resnet20" in caption and "mask_snapshots" not in caption
    replaced = [1 - shares(folder, "lrr", k)[1].mean(0)[made_up.MASK_EPOCHS.index(48)] for k in range(4)]
    assert f"{min(replaced):.3f} to {max(replaced):.3f} for LRR" in caption
    assert any(list(line.get_ydata()) == [0.5, 0.5] for line in drawings[NAME].figure.axes[0].lines)


def test_one_seed_gives_no_intervals(tmp_path):
    made_up.convergence(tmp_path, seeds=(2,))
    drawing = draw(tmp_path)
    assert "n = 1 seed, no intervals (2)" in drawing.caption
    assert only(drawing.plotted)["curves"]["imp"][1]["low"] == [None] * 16
    for container in (c for axes in drawing.figure.axes for c in axes.containers):
        segments = container.lines[2][0].get_segments()
        assert not any(len(segment) and np.isfinite(segment).all() for segment in segments)


def test_without_results_the_command_that_makes_them_is_named():
    with pytest.raises(NothingToDraw) as nothing:
        FIGURES[NAME].draw(Records())
    assert [item.command for item in nothing.value.missing] == [
        "paper_repro.py train --preset quick --sweep mask-convergence"
    ]


def test_two_presets_give_two_rows(tmp_path):
    made_up.convergence(tmp_path, seeds=(0, 1))
    made_up.convergence(tmp_path, seeds=(0, 1), preset="cifar10", dataset="cifar10", shared_overrides={})
    drawing = draw(tmp_path)
    assert len(drawing.plotted) == 2 and len(drawing.figure.axes) == 6 and "(d-f)" in drawing.caption


def test_a_rule_that_diverged_is_said_and_the_other_is_drawn(tmp_path):
    made_up.convergence(tmp_path, seeds=(0, 1), diverged=[("lrr", 0), ("lrr", 1)])
    drawing = draw(tmp_path)
    assert set(only(drawing.plotted)["curves"]) == {"imp"} and len(drawing.figure.axes) == 2
    assert "LRR seed 0 diverged, LRR seed 1 diverged" in drawing.caption
    made_up.convergence(tmp_path, seeds=(0, 1), diverged=[(arm, s) for arm in ("imp", "lrr") for s in (0, 1)])
    with pytest.raises(NothingToDraw) as nothing:
        draw(tmp_path)
    assert {item.why for item in nothing.value.missing} == {"imp: every seed diverged", "lrr: every seed diverged"}


@pytest.fixture
def level(folder):
    every = (json.loads(path.read_text()) for path in folder.glob("runs/lrr-*/seed-0/level-01/level.json"))
    return next(data for data in every if data.get("mask_snapshots"))


def parsed(data):
    return parse_level(data, "level.json", data["run"], data["seed"], data["level"])


def test_masks_taken_on_the_way_are_read_and_may_be_left_out(level):
    first = level["mask_snapshots"][0]
    assert parsed(level).mask_snapshots[0] == MaskSnapshot(first["epoch"], first["n_kept"], first["shared"])
    assert parsed({name: v for name, v in level.items() if name != "mask_snapshots"}).mask_snapshots == ()
    assert parsed(level | {"mask_snapshots": []}).mask_snapshots == ()


@pytest.mark.parametrize(
    "change, field",
    [
        (lambda taken: "4", "mask_snapshots"),
        (lambda taken: [4], "mask_snapshots.0"),
        (lambda taken: [{"epoch": 4, "n_kept": 3}], "mask_snapshots.0.shared"),
        (lambda taken: [taken[0] | {"shared": taken[0]["n_kept"] + 1}], "mask_snapshots.0.shared"),
        (lambda taken: [taken[0] | {"shared": 0.5}], "mask_snapshots.0.shared"),
        (lambda taken: [taken[0] | {"n_kept": 10**6}], "mask_snapshots.0.n_kept"),
        (lambda taken: [taken[0] | {"n_kept": 0}], "mask_snapshots.0.n_kept"),
        (lambda taken: [taken[0] | {"epoch": 65}], "mask_snapshots.0.epoch"),
        (lambda taken: [taken[1], taken[0]], "mask_snapshots.1.epoch"),
        (lambda taken: [taken[0], taken[0]], "mask_snapshots.1.epoch"),
    ],
)
def test_masks_that_cannot_be_are_refused_by_field(level, change, field):
    with pytest.raises(ResultError) as error:
        parsed(level | {"mask_snapshots": change(level["mask_snapshots"])})
    assert error.value.field == field
