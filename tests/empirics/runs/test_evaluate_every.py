"""Test images may be evaluated after some epochs only: training has the same bits, and other lines have no numbers."""

import dataclasses
import json

import pytest

from empirics.cycles import cycles
from empirics.runs import levels
from empirics.runs.resume import Interrupted
from empirics.storage.files import complete_lines
from empirics.storage.run_folder import RunFolder
from tests.empirics.interrupted_runs import stopping_after
from tests.empirics.tiny_runs import arm, run_arms, setup_in

SETTINGS = dict(levels=2, epochs=4, warmup_epochs=1, cycles="2", validation_per_class=2)


@pytest.mark.parametrize(
    ("every", "evaluated"),
    [(1, range(10)), (2, [1, 3, 5, 7, 9]), (3, [1, 4, 5, 8, 9]), (4, [1, 5, 9]), (100, [1, 5, 9])],
)
def test_every_nth_epoch_of_a_cycle_and_its_last_are_evaluated(every, evaluated):
    """Two epochs of warm-up come before the first of two cycles of four; the warm-up's end counts below."""
    found = [epoch for cycle in cycles(2, 4, before=2) for epoch in cycle.epochs if cycle.is_evaluated(epoch, every)]
    assert found == sorted({*evaluated}), "epoch 1 ends the warm-up, epochs 5 and 9 the cycles"


def test_a_cycle_that_resumes_evaluates_after_the_same_epochs():
    (cycle,) = cycles(1, 7)
    rest = dataclasses.replace(cycle, epochs=range(4, 7))
    assert [epoch for epoch in rest.epochs if rest.is_evaluated(epoch, 3)] == [5, 6]


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_digits):
    """One run evaluated after every epoch, and the same run evaluated after every third."""
    setups = {every: setup_in(tmp_path_factory.mktemp(f"every-{every}"), tiny_digits) for every in (1, 3)}
    return {
        every: (setup, run_arms(["lrr"], setup, **SETTINGS, evaluate_every=every)["lrr"])
        for every, setup in setups.items()
    }


def folder_of(trained, every: int, dense: bool = False) -> RunFolder:
    setup, config = trained[every]
    return RunFolder(setup.results, (config.dense if dense else config).name, 0)


def lines(folder: RunFolder) -> list[dict]:
    return [json.loads(line) for line in complete_lines(folder.path / "metrics.jsonl")]


@pytest.mark.slow
@pytest.mark.parametrize("dense", [True, False])
def test_training_does_not_depend_on_how_often_it_is_evaluated(trained, dense):
    often, seldom = (folder_of(trained, every, dense) for every in (1, 3))
    level = "level-00" if dense else "level-01"
    for file in ("weights.safetensors", "signs.safetensors", "masks.safetensors"):
        assert (often.path / level / file).read_bytes() == (seldom.path / level / file).read_bytes()
    mine, other = (folder.level_record(0 if dense else 1) for folder in (often, seldom))
    same = ("train_loss", "train_accuracy", "test_loss", "test_accuracy", "validation_accuracy", "epochs")
    assert [mine[name] for name in same] == [other[name] for name in same]


@pytest.mark.slow
def test_lines_of_epochs_that_are_not_evaluated_have_null_test_numbers_and_all_else(trained):
    often, seldom = (lines(folder_of(trained, every)) for every in (1, 3))
    assert [line["epoch"] for line in seldom if line["test_accuracy"] is not None] == [2, 3, 6, 7]
    held_out = ("test_loss", "test_accuracy", "validation_loss", "validation_accuracy")
    for mine, other in zip(often, seldom, strict=True):
        shown = {name: value for name, value in other.items() if name != "images_per_s"}
        if other["epoch"] in (2, 3, 6, 7):
            assert shown == {name: mine[name] for name in shown}
        else:
            assert shown == {name: None if name in held_out else mine[name] for name in shown}


@pytest.mark.slow
@pytest.mark.parametrize("after", [7, 12, 28])
def test_an_interrupted_run_resumes_to_the_same_lines(trained, tiny_digits, tmp_path, after):
    setup = setup_in(tmp_path, tiny_digits)
    config = arm("lrr", **SETTINGS, evaluate_every=3)
    levels.run(config.dense, 0, setup)
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(after)))
    levels.run(config, 0, setup)
    shown = [{**line, "images_per_s": None} for line in lines(RunFolder(tmp_path, config.name, 0))]
    assert shown == [{**line, "images_per_s": None} for line in lines(folder_of(trained, 3))]


@pytest.mark.slow
def test_a_strike_has_its_accuracies_whatever_is_evaluated(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    struck = run_arms(["imp-perturbed-often"], setup, levels=2, epochs=5, evaluate_every=100)["imp-perturbed-often"]
    strike = RunFolder(tmp_path, struck.name, 0).level_record(1)["strike"]
    assert None not in (strike["test_accuracy_before"], strike["test_accuracy_after"])


def test_the_setting_names_the_run_and_its_dense_run_unless_every_epoch_is_evaluated():
    assert arm("lrr", evaluate_every=1).name == arm("lrr").name
    seldom = arm("lrr", evaluate_every=10)
    assert seldom.record()["evaluate_every"] == seldom.dense.record()["evaluate_every"] == 10
    assert seldom.name != arm("lrr").name and seldom.dense.name != arm("lrr").dense.name
