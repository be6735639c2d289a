"""A recorded command line is read back as the plans that it made."""

import dataclasses
from dataclasses import replace

import pytest

from empirics.choices import ConfigError
from empirics.cli import Train, TrainOptions, plans, plans_again, read_command
from empirics.commands import parsed
from empirics.config import RunConfig
from empirics.studies import presets
from empirics.studies.plan import Study, forecasts, joined, train
from tests.empirics.setting_values import other_value


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


def test_one_value_of_a_sweep_is_made_again_without_the_others(tmp_path):
    asked = Train(results=tmp_path, sweep=("width",), seeds=(0,))
    every = {plan.record["study"]: plan.record["command"] for plan in plans(asked)}
    assert len(every) > 2
    study, command = next(iter(every.items()))
    (plan,) = plans_again(command, study, {"imp": [0]}, Study(results=tmp_path))
    assert plan.record["study"] == study


def test_a_study_is_made_again_under_the_protocol_of_its_recorded_command(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("empirics.cli.plans", lambda command: asked.append(command) or [])
    with pytest.raises(ConfigError, match="makes no study"):
        plans_again(
            "paper_repro.py train --preset quick --protocol authors", "s", {"imp": [0]}, Study(results=tmp_path)
        )
    assert [command.protocol for command in asked] == ["authors"] and asked[0].results == tmp_path


@pytest.mark.parametrize(
    "line",
    ["rm -rf x", "paper_repro.py", "paper_repro.py theory basins", "paper_repro.py train --bogus 1", '"', ""],
)
def test_what_is_no_training_command_is_refused(line):
    with pytest.raises(ConfigError, match="is not a `paper_repro.py train` command"):
        read_command(line)


def test_a_study_that_the_command_does_not_make_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="makes no study 'other'"):
        plans_again("paper_repro.py train --preset quick", "other", {"imp": [0]}, Study(results=tmp_path))


OPTIONS = {field.name: field for field in dataclasses.fields(RunConfig) if field.metadata["option"]}


@pytest.mark.parametrize("name", OPTIONS)
def test_every_option_reaches_the_run_that_it_configures(name, tmp_path):
    """From the words of the command line to the config that is trained; an option cannot stand in --help alone."""
    value = other_value(OPTIONS[name])
    words = value if isinstance(value, tuple) else (value,)
    line = ["train", "--results", str(tmp_path), "--dry-run", *BESIDE_OPTION.get(name, ())]
    line += [f"--{name.replace('_', '-')}", *map(str, words)]
    (plan,) = plans(parsed(line, lambda: ()))
    reached = [getattr(config, name) for config in plan.configs.values()]
    assert value in reached and getattr(presets.arm_config("quick", "imp"), name) != value
    if name not in ("perturb_rate", "perturb_level", "perturb_scope"):
        assert set(reached) == {value}


BESIDE_OPTION = {
    "image_size": ("--arms", "imp"),
    "milestones": ("--schedule", "step"),
    "perturb_rate": ("--arms", "imp-perturbed"),
    "perturb_level": ("--arms", "imp-perturbed", "--perturb-rate", ".2"),
    "perturb_scope": ("--arms", "imp-perturbed", "--perturb-rate", ".2"),
    "pruning": ("--arms", "imp"),
    "scores_from": ("--arms", "imp"),
    "warmup_epochs": ("--arms", "imp"),
    "warmup": ("--arms", "imp"),
    "warmup_shape": ("--arms", "imp"),
}


def test_no_setting_is_an_option_but_by_its_field():
    own = {field.name for field in dataclasses.fields(TrainOptions)}
    assert {field.name for field in dataclasses.fields(Train)} - own == set(OPTIONS)


def test_the_runs_of_all_studies_of_a_command_are_one_sweep_each_once_after_what_it_needs(tmp_path):
    found = plans(Train(results=tmp_path, sweep=("criterion", "schedule"), seeds=(0, 1), workers=2))
    ((place, tasks),) = joined(found).items()
    assert place == (found[0].source, 2)
    keys = [task.key for task in tasks]
    assert len(keys) == len(set(keys)) and set(keys) == {task.key for plan in found for task in plan.tasks}
    assert len(keys) < sum(len(plan.tasks) for plan in found), "the common settings are a value of both"
    for place, task in enumerate(tasks):
        assert set(task.needs) <= set(keys[:place])


def test_plans_on_other_data_are_another_sweep(tmp_path):
    (plan,) = plans(Train(results=tmp_path, arms=("imp",), seeds=(0,)))
    other = replace(plan, source=replace(plan.source, name="others"))
    assert [len(tasks) for tasks in joined([plan, other, plan]).values()] == [len(plan.tasks)] * 2


@pytest.mark.slow
def test_studies_that_share_their_runs_are_all_recorded_and_counted(tmp_path):
    tiny = dict(epochs=1, levels=3, batch_size=256, warmup_epochs=0)
    asked = Train(results=tmp_path, sweep=("schedule", "model"), arms=("imp",), seeds=(0,), workers=1, **tiny)
    wanted = [plan for plan in plans(asked) if plan.record["model"] == "resnet8"]
    runs = {task.key for plan in wanted for task in plan.tasks}
    assert train(wanted, asked) == (0, len(runs)) and len(runs) < sum(len(plan.tasks) for plan in wanted)
    names = {plan.record["study"] for plan in wanted}
    for kind in ("studies", "overlaps"):
        assert {path.stem for path in (tmp_path / kind).glob("*.json")} == names
    assert train([plan for plan in plans(asked) if plan.record["study"] in names], asked) == (0, 0)


@pytest.mark.slow
def test_a_forecast_counts_what_studies_share_once(tmp_path):
    found = plans(Train(results=tmp_path, sweep=("criterion", "schedule"), seeds=(0,)))
    said = forecasts(found, Train(results=tmp_path))
    runs = [int(line.split()[2]) for line in said.splitlines() if line.startswith("study")]
    assert sum(runs) == sum(map(len, joined(found).values())) and 0 in runs


@pytest.mark.slow
@pytest.mark.parametrize(
    "options, message",
    [
        (("--criterion", "magnitud"), "unknown criterion 'magnitud': did you mean 'magnitude'"),
        (("--schedule", "cosin"), "unknown schedule 'cosin': did you mean 'cosine'"),
        (("--densities", "er"), "unknown layer densities 'er': did you mean 'erk'"),
        (("--batch-size", "100000"), "batch_size 100000 exceeds the 1297 training images"),
        (("--preset", "cifar10", "--batch-size", "60000"), "batch_size 60000 exceeds the 50000 training images"),
    ],
)
def test_a_dry_run_refuses_what_the_run_would_refuse(options, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    command = parsed(["train", "--dry-run", "--arms", "imp", *options], lambda: ())
    with pytest.raises(ConfigError, match=message):
        forecasts(plans(command), command)


def test_a_seed_that_is_given_twice_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="--seeds has 1 more than once: name each seed once"):
        plans(Train(results=tmp_path, seeds=(0, 1, 1)))
