"""The pilot's rule, stated before it: the network learns, pruning costs something, and no layer is empty too early."""

import pytest

from empirics.choices import ConfigError
from empirics.cli import Train, plans
from empirics.runs import levels
from empirics.studies.pilot import PilotVerdict, joined, judge, pilots
from empirics.studies.presets import PRESETS
from empirics.studies.records import write_study
from paper_repro import main
from tests.empirics.tiny_runs import setup_in

PILOT = PRESETS["cifar10-small"].plan.pilot


def curve(*accuracies: float, kept: int = 3) -> list[dict]:
    """Records of levels with these test accuracies, each with one layer."""
    return [
        {"level": level, "status": "complete", "test_accuracy": value, "layers": {"conv": {"n_kept": kept}}}
        for level, value in enumerate(accuracies)
    ]


def test_a_network_that_learns_and_loses_by_pruning_passes():
    verdict = judge(PILOT, 100, curve(0.684, 0.6, 0.4))
    assert verdict.passed and all("passed" in line for line in verdict.lines) and len(verdict.lines) == 4


@pytest.mark.parametrize(
    ("accuracies", "words"),
    [
        ((0.65, 0.6, 0.4), "dense 65.0%, above 65%"),
        ((0.70, 0.65, 0.61), "9.0 accuracy points below dense, at least 10"),
        ((0.70, 0.4, 0.20), "last level 20.0%, above 20%"),
    ],
)
def test_each_condition_can_fail_alone(accuracies, words):
    verdict = judge(PILOT, 100, curve(*accuracies))
    failed = [line for line in verdict.lines if "failed" in line]
    assert verdict.passed is False and len(failed) == 1 and words in failed[0]


def test_a_layer_may_be_empty_at_the_last_level_and_not_before():
    some = curve(0.7, 0.5, 0.4)
    some[2]["layers"]["conv"]["n_kept"] = 0
    assert judge(PILOT, 100, some).passed
    some[1]["layers"]["conv"]["n_kept"] = 0
    verdict = judge(PILOT, 100, some)
    assert verdict.passed is False and "conv at level 1" in verdict.lines[-1]


def test_a_level_that_is_missing_or_diverged_is_named():
    assert judge(PILOT, 100, [*curve(0.7, 0.5), None]) == PilotVerdict(None, ["seed 100: level 2 is not trained yet"])
    lost = curve(0.7, 0.5, 0.4)
    lost[1]["status"] = "diverged"
    assert judge(PILOT, 101, lost) == PilotVerdict(False, ["seed 101, failed: level 1 diverged"])


@pytest.mark.parametrize(
    ("each", "all_of_them"),
    [([True, True], True), ([True, None], None), ([False, None], False), ([True, False], False), ([], None)],
)
def test_a_pilot_is_passed_if_every_seed_is(each, all_of_them):
    assert joined([PilotVerdict(passed, []) for passed in each]).passed is all_of_them


def test_a_preset_without_a_pilot_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="preset 'quick' has no pilot: presets with one are cifar10-small"):
        pilots(tmp_path, "quick")


@pytest.mark.slow
def test_the_command_prints_the_verdict_from_a_results_folder(tiny_digits, tmp_path, capsys):
    assert main(["pilot", "--results", str(tmp_path)]) == 1
    assert "train --preset cifar10-small --seeds 100 101" in capsys.readouterr().out
    small = dict(images_per_class=20, epochs=2, levels=3, width=4, batch_size=32, precision="float32")
    (plan,) = plans(Train(preset="cifar10-small", dataset="digits", results=tmp_path, seeds=(100, 101), **small))
    write_study(tmp_path, plan.record)
    for task in plan.tasks:
        levels.run(task.config, task.seed, setup_in(tmp_path, tiny_digits))
    assert main(["pilot", "--results", str(tmp_path)]) == 1, "a tiny network fails"
    said = capsys.readouterr().out
    assert f"pilot of {plan.record['study']}: failed" in said
    assert "seed 100, failed: dense" in said and "seed 101" in said
