"""A recorded command line is read back as the plans that it made."""

import pytest

from empirics.choices import ConfigError
from empirics.options import Train
from empirics.planning import OVERRIDES, plans, plans_again, read_command
from empirics.study import Study


def test_a_recorded_command_makes_the_same_runs_again_in_another_folder(tmp_path):
    asked = Train(results=tmp_path / "first", arms=("imp", "lrr"), seeds=(0, 1), levels=3, epochs=2)
    (plan,) = plans(asked)
    command, study = plan.record["command"], plan.record["study"]
    found = plans_again(command, study, {"imp": [0, 1], "lrr": [1]}, Study(results=tmp_path / "again"))
    assert {p.record["study"] for p in found} == {study}
    tasks = {task.key for p in found for task in p.tasks}
    runs = plan.record["arms"]
    assert {(runs["imp"], 0), (runs["imp"], 1), (runs["lrr"], 1)} <= tasks and (runs["lrr"], 0) not in tasks
    assert found[0].tasks[0].config.epochs == 2


def test_one_value_of_a_variation_is_made_again_without_the_others(tmp_path):
    asked = Train(results=tmp_path, vary=("width",), seeds=(0,))
    every = {plan.record["study"]: plan.record["command"] for plan in plans(asked)}
    assert len(every) > 2
    study, command = next(iter(every.items()))
    (plan,) = plans_again(command, study, {"imp": [0]}, Study(results=tmp_path))
    assert plan.record["study"] == study


@pytest.mark.parametrize(
    "line",
    ["rm -rf x", "paper_repro.py", "paper_repro.py theory basins", "paper_repro.py train --bogus 1", '"', ""],
)
def test_what_is_no_training_command_is_refused(line):
    with pytest.raises(ConfigError, match="no command of"):
        read_command(line)


def test_a_study_that_the_command_does_not_make_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="makes no study 'other'"):
        plans_again("paper_repro.py train --preset quick", "other", {"imp": [0]}, Study(results=tmp_path))


def test_every_setting_that_the_command_line_takes_is_an_option():
    assert all(hasattr(Train(), name) for name in OVERRIDES)
