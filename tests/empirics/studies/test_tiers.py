"""A study of many hours is trained on the seeds that were planned for each arm, tier by tier, seed by seed."""

import dataclasses
import json

import pytest

from empirics.choices import ConfigError
from empirics.cli import Train, plans
from empirics.execution.tasks import Schedule
from empirics.storage.files import StoreError
from empirics.studies.presets import PRESETS, arm_config
from empirics.studies.protocols import AUTHORS, OURS
from empirics.studies.records import study_file, write_study
from empirics.studies.tiers import StudyPlan, Tier
from tests.empirics.tiny_images import fill_folder

PLAN = PRESETS["cifar10-small"].plan
FIRST = ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask", "lrr-bn-rewind", "sign", "magnitude", "imp-long")


def plan_of(results, **options):
    """The plan of `train --preset cifar10-small` on a data set that needs no file."""
    command = Train(preset="cifar10-small", dataset="digits", results=results, images_per_class=20, **options)
    (plan,) = plans(command)
    return plan


def order(plan) -> list[tuple[str, int]]:
    """The arms and seeds of a plan in the order in which one worker trains them."""
    schedule, found = Schedule(plan.tasks, lambda task: task.epochs, lambda task: task.stage), []
    while (task := schedule.next()) is not None:
        found.append((task.config.arm, task.seed))
        schedule.finish(task.key)
    return found


def test_the_preset_is_as_defined():
    config = arm_config("cifar10-small", "lrr")
    assert (config.model, config.width, config.images_per_class, config.batch_size) == ("resnet8", 8, 2000, 64)
    assert (config.epochs, config.levels, config.prune_rate, config.evaluate_every) == (10, 6, 0.6, 10)
    assert config.lr == 0.2
    assert config.precision == "float32"
    for arm in ("imp-long", "imp-long-on-random-mask", "imp-long-on-shuffled-mask"):
        assert arm_config("cifar10-small", arm).trained_levels == range(5, 6), "controls train the last level only"
    assert arm_config("quick", "imp-long").trained_levels == range(6, 8)
    assert PLAN.pilot.arms == ("imp",) and PLAN.pilot.seeds == (100, 101)


def test_n_of_each_arm_is_six_for_what_is_judged_first_and_four_for_the_rest():
    ours, authors = PLAN.seeds(OURS), PLAN.seeds(AUTHORS)
    assert list(ours)[: len(FIRST)] == list(FIRST)
    assert {arm for arm, seeds in ours.items() if seeds == tuple(range(6))} == {*FIRST, "imp-warm"}
    assert all(seeds == tuple(range(4)) for arm, seeds in ours.items() if arm not in (*FIRST, "imp-warm"))
    assert set(authors) == {"imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask"}
    assert set(authors.values()) == {tuple(range(6))}


def test_a_tier_is_trained_seed_by_seed_before_the_next(tmp_path):
    """Every seed of a tier is complete before the next begins, so that what is stopped leaves complete seeds."""
    trained = order(plan_of(tmp_path))
    first = [(arm, seed) for arm, seed in trained if arm in FIRST]
    assert [seed for _, seed in first] == [seed for seed in range(6) for _ in FIRST]
    assert {arm for arm, _ in first[: len(FIRST)]} == set(FIRST)
    at = {pair: number for number, pair in enumerate(trained)}
    assert max(at[pair] for pair in first) < min(at["imp-warm", seed] for seed in range(6))
    third = [at[arm, seed] for arm in ("imp-on-random-mask", "imp-bn-kept") for seed in range(4)]
    assert max(at["imp-warm", seed] for seed in range(6)) < min(third)
    assert max(third) < min(at["imp-on-shuffled-mask", seed] for seed in range(4))
    assert ("imp-bn-kept", 4) not in at, "tiers C and D have four seeds"


def test_the_other_presets_are_planned_as_before(tmp_path):
    (plan,) = plans(Train(results=tmp_path))
    assert {task.stage for task in plan.tasks} == {0} and "planned" not in plan.record


def test_tiers_arms_and_seeds_restrict_the_plan(tmp_path):
    some = plan_of(tmp_path, tiers=("C",), seeds=(1, 3, 5))
    assert {(task.config.arm, task.seed) for task in some.tasks if task.config.arm != "dense"} == {
        (arm, seed) for arm in PLAN.tiers[3].arms for seed in (1, 3)
    }
    source = plan_of(tmp_path, arms=("imp-on-shuffled-mask",), seeds=(2,))
    assert [task.config.arm for task in source.tasks] == ["dense", "imp", "imp-on-shuffled-mask"]


def test_the_record_states_the_planned_seeds_whatever_is_trained_now(tmp_path):
    record = plan_of(tmp_path, arms=("imp",), seeds=(0,)).record
    assert record["seeds"] == [0] and set(record["arms"]) == {"imp"}
    assert record["planned"] == {arm: list(seeds) for arm, seeds in PLAN.seeds(OURS).items()}
    assert record["train_images"] == [200, 1297], "a study on a part of its data set says so"


def test_a_plan_that_was_recorded_is_never_replaced_by_another(tmp_path):
    record = plan_of(tmp_path).record
    write_study(tmp_path, record)
    later = {**record, "planned": {**record["planned"], "imp": list(range(9))}}
    with pytest.raises(StoreError, match="was planned .* before its data.*use another --results"):
        write_study(tmp_path, later)
    assert json.loads(study_file(tmp_path, record["study"]).read_text())["planned"]["imp"] == list(range(6))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(seeds=(9,)), "seed 9 is not planned for these arms.*A, seeds 0 1 2 3 4 5: imp lrr"),
        (dict(arms=("imp-bn-kept",), seeds=(4,)), "seed 4 is not planned"),
        (dict(arms=("wr",)), "arm 'wr' is not in the plan"),
        (dict(tiers=("E",)), "unknown tier 'E'"),
        (dict(tiers=("C",), seeds=(5,)), "leave nothing of the plan"),
        (dict(arms=("lrr",), seeds=(100,)), "belong to the pilot, which trains imp alone, got arm 'lrr'"),
        (dict(seeds=(0, 100)), "seed 100 is not planned"),
    ],
)
def test_what_is_not_planned_is_refused_with_the_plan(tmp_path, options, message):
    with pytest.raises(ConfigError, match=message):
        plan_of(tmp_path, **options)


def test_the_pilot_trains_its_arm_alone_on_its_own_seeds(tmp_path):
    plan = plan_of(tmp_path, seeds=(100, 101))
    assert sorted({(task.config.arm, task.seed) for task in plan.tasks}) == [
        (arm, seed) for arm in ("dense", "imp") for seed in (100, 101)
    ]


def test_tiers_of_a_preset_without_a_plan_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="go with a preset that has a plan of seeds, got 'quick'"):
        plans(Train(results=tmp_path, tiers=("A",)))


def test_one_tier_may_have_arms_under_both_protocols():
    plan = StudyPlan((Tier("A", ("imp",), (0, 1)), Tier("A", ("lrr",), (0,), AUTHORS)))
    assert plan.arms(OURS) == ("imp",) and plan.arms(AUTHORS) == ("lrr",)
    assert [(s.arms, s.seed, s.number) for s in plan.stages(OURS)] == [(("imp",), 0, 0), (("imp",), 1, 1)]


def test_a_folder_of_images_that_is_a_known_data_set_has_its_title(tmp_path):
    fill_folder(tmp_path / "images")
    command = Train(
        preset="cifar10-small",
        dataset_name="cifar10-jpeg",
        data_dir=tmp_path / "images",
        results=tmp_path / "r",
        images_per_class=1,
        batch_size=1,
        dry_run=True,
    )
    (plan,) = plans(command)
    (other,) = plans(dataclasses.replace(command, dataset_name="mine"))
    assert (plan.record["title"], other.record["title"]) == ("CIFAR-10 (JPEG)", "mine")
    used, all_images = plan.record["train_images"]
    assert used == plan.record["classes"] and all_images == 4 * used, "four images a class are there, one is used"
