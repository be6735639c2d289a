"""Names of folders and files: whatever is written is read, by this package and by the figures."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import figures.results.names
import paper_repro
from empirics import cli, doctor, names
from empirics.cli import Train
from empirics.config import ConfigError, RunConfig
from empirics.seeding import generator
from empirics.storage.data_files import is_temporary, temporary_beside
from empirics.storage.files import checksum_ok, json_bytes, names_in, with_checksum
from empirics.storage.run_folder import RunFolder
from empirics.studies import plan as study
from empirics.studies.records import write_study
from figures.results.fields import LevelCount, LongWhole, Name, check_label, check_seeds, fits
from figures.results.load import load
from tests.empirics.tiny_runs import level_record, run_arms, setup_in
from theory.results import hashed_name

NOW = 1732805129  # as `date +%s` says
SEEDS_TRIED = (
    0,
    7,
    42,
    999_999_999,
    10**9,
    2**31,
    NOW,
    10**10,
    2**53 + 1,
    2**63,
    2**64,
    2**127,
    10**250 - 1,
)


@given(st.integers(0, 10**250 - 1))
@settings(max_examples=50, deadline=None)
def test_any_seed_that_is_written_is_read_by_both_packages(seed):
    check_seed(seed)


@pytest.mark.parametrize("seed", SEEDS_TRIED)
def test_writer_and_readers_agree_on_the_folder_of_a_seed(seed):
    check_seed(seed)


def check_seed(seed):
    folder = names.seed_folder(seed)
    assert names.seed_of(folder) == figures.results.names.seed_of(folder) == seed
    assert fits(seed, LongWhole)
    check_seeds([seed], "f", "seeds")
    assert len(os.fsencode(folder)) <= 255


@pytest.mark.slow
@given(st.text(max_size=12).map("seed-".__add__) | st.from_regex(r"seed-0*[0-9]{1,12}", fullmatch=True))
@settings(max_examples=200, deadline=None)
def test_both_packages_read_the_same_names_and_none_that_is_not_written(name):
    found = names.seed_of(name)
    assert figures.results.names.seed_of(name) == found
    assert found is None or names.seed_folder(found) == name
    name = name.replace("seed", "level", 1)
    found = names.level_of(name)
    assert figures.results.names.level_of(name) == found
    assert found is None or names.level_folder(found) == name


@pytest.mark.parametrize("level", [0, 1, 9, 10, 99, 100, 9998, 12345])
def test_writer_and_readers_agree_on_levels_places_and_checkpoints(tmp_path, level):
    folder = RunFolder(tmp_path, "imp-digits-resnet8-0000cafe", 3)
    name = folder.level_path(level).name
    assert names.level_of(name) == figures.results.names.level_of(name) == level
    assert names.parse_level_id(folder.level_id(level)) == (folder.run, level)
    folder.level_path(level).mkdir(parents=True)
    record = level_record(folder.run, level, status="diverged", seed=3, depends_on={folder.level_id(level): "0" * 64})
    (folder.level_path(level) / "level.json").write_bytes(json_bytes(with_checksum(record)))
    assert folder.levels_there() == [level] and folder.diverged_at() == level
    assert folder.level_record(level, verify=False)["depends_on"] == {folder.level_id(level): "0" * 64}
    file = names.checkpoint_file(level, 123456, "0a" * 32)
    others = [names.is_checkpoint_of(file, other) for other in (level, 10 * level + 1, level // 10 + 1000)]
    assert others == [True, False, False] and not names.is_checkpoint_of(file + ".tmp", level)
    assert names.parse_checkpoint(file) == (level, 123456, "0a" * 32)
    for other in (file + ".tmp", f"x{file}", file.replace("0a", "0A"), file.replace("123456", "0123456")):
        assert names.parse_checkpoint(other) is None
    assert names.parse_checkpoint(f"level-{level:02d}-epoch-00001.safetensors") is None


def test_levels_are_in_the_order_of_their_numbers(tmp_path):
    folder = RunFolder(tmp_path, "x", 0)
    for level in (9, 10, 100, 99):
        folder.level_path(level).mkdir(parents=True)
    for name in ("level-1", "level-007", "level-x", "levels", "checkpoints"):
        (folder.path / name).mkdir()
    assert folder.levels_there() == [9, 10, 99, 100]


@pytest.mark.parametrize(
    "name", ["", "x", "x/level-1x", "x/level-1", "../level-01", "a/b/level-01", "/level-01", "x/level-01/"]
)
def test_other_texts_name_no_place(name):
    assert names.parse_level_id(name) is None


@pytest.mark.parametrize("seed", [-1, 10**250, -(10**300)])
def test_a_seed_that_can_name_no_folder_is_refused_before_anything_is_done(tmp_path, seed):
    with pytest.raises(ConfigError, match="a seed is a whole number from 0, of at most 250 digits, got"):
        study.plan_study(study.Study(results=tmp_path, seeds=(0, seed)), ["imp"], {})
    with pytest.raises(ConfigError):
        RunFolder(tmp_path, "x", seed).path  # noqa: B018


def test_a_refused_seed_is_an_error_in_words(tmp_path, capsys):
    arguments = ["train", "--results", str(tmp_path / "results"), "--seeds", "-1"]
    assert paper_repro.main(arguments) == 2
    assert "error: a seed is a whole number from 0, of at most 250 digits, got -1" in capsys.readouterr().err


def test_seeds_of_any_size_draw_numbers_of_their_own():
    drawn = [generator(seed, "initial weights").initial_seed() for seed in SEEDS_TRIED]
    assert len(set(drawn)) == len(SEEDS_TRIED)


@pytest.mark.slow
def test_runs_with_large_seeds_are_trained_examined_and_read_by_the_figures(tmp_path, tiny_digits):
    setup, seeds = setup_in(tmp_path, tiny_digits), (NOW, 2**63)
    for seed in seeds:
        configs = run_arms(["imp"], setup, seed, levels=2, epochs=1)
    for folder in [RunFolder(tmp_path, configs["imp"].name, seed) for seed in seeds]:
        assert folder.is_complete(configs["imp"])
        assert names_in(folder.checkpoints) == []
    record = {
        "study": "quick-digits", "preset": "quick", "base": "quick", "overrides": {},
        "shared_overrides": {}, "swept": None, "dataset": "digits",
        "data_hash": "", "model": "resnet8", "width": 4, "levels": 2,
        "prune_rate": configs["imp"].prune_rate, "command": "paper_repro.py train", "seeds": list(seeds),
        "dense_run": configs["imp"].dense.name, "arms": {"imp": configs["imp"].name},
    }  # fmt: skip
    write_study(tmp_path, record)
    assert [f.text for f in doctor.examine(tmp_path, tmp_path / "none") if f.bad] == []
    found = load(tmp_path)
    assert found.problems == () and found.studies[0].study.seeds == tuple(sorted(seeds))
    assert sorted(found.studies[0].arms["imp"].seeds) == sorted(found.studies[0].dense.seeds) == sorted(seeds)


def longest() -> Train:
    """As many settings changed as there are."""
    return Train(
        criterion="synflow-random", densities="balanced-uniform", prune_rate=0.123456789, levels=4, epochs=17,
        batch_size=33, micro_batch=11, warmup_epochs=2, model="resnet8", width=5, lr=0.123456789, schedule="step",
        milestones=(0.3, 0.5, 0.7), momentum=0.87654321, weight_decay=0.000123456, precision="bfloat16",
        perturb_rate=0.123456789, perturb_level=1, perturb_scope="layerwise", images_per_class=44,
        validation_per_class=12, image_size=8,
    )  # fmt: skip


def test_a_study_of_which_everything_is_changed_has_a_name_that_can_be_written_and_read(tmp_path):
    command = dataclasses.replace(
        longest(), results=tmp_path, criterion=None, densities=None, precision=None, image_size=None
    )
    (plan,) = cli.plans(dataclasses.replace(command, arms=("imp", "imp-perturbed"), dry_run=True))
    written = write_study(tmp_path, plan.record)
    (file,) = (tmp_path / "studies").glob("[!.]*")
    assert file.stem == written["study"] == plan.record["study"] and checksum_ok(json.loads(file.read_bytes()))
    assert load(tmp_path).problems == () and load(tmp_path).studies[0].study.preset == plan.record["preset"]
    other = dataclasses.replace(command, arms=("imp", "imp-perturbed"), dry_run=True, milestones=(0.3, 0.5, 0.8))
    assert cli.plans(other)[0].record["study"] != plan.record["study"], "cut where they are alike, by a hash apart"


def test_the_longest_text_of_a_preset_and_a_data_set_can_be_read():
    changed = {setting.name: getattr(longest(), setting.name) for setting in cli.SETTINGS}
    preset = ", ".join(["tiny-imagenet", *(f"{name}={value}" for name, value in changed.items())])
    name = names.study_name(preset, "x" * 100)
    check_label(preset, "f", "preset")
    check_label(name, "f", "study")
    assert len(name) == names.LONGEST_STUDY
    for file in (f"{name}.json", temporary_beside(tmp := Path(f"{name}.json")).name, f".{tmp.name}.lock"):
        assert len(file) <= 255


def test_short_names_of_studies_are_as_they_were():
    assert names.study_name("quick", "digits") == "quick-digits"
    assert names.study_name("quick, lr=0.2, width=8", "cifar10") == "quick-lr-0.2-width-8-cifar10"
    assert names.study_name("x" * 210, "digits") == "x" * 210 + "-digits"


@pytest.mark.parametrize("name", ["imp-digits-resnet8-0000cafe", "a", "0.x-1", "x" * 200])
def test_the_figures_take_every_name_that_a_run_may_have(name):
    assert names.is_name(name) and fits(name, Name)


@pytest.mark.parametrize("name", ["", "X", ".x", "a/b", "x" * 201, "a\n", "..", None, 3])
def test_what_is_no_name_of_a_run_becomes_no_path(name):
    assert not names.is_name(name)


def test_a_run_whose_name_could_not_be_read_again_is_refused():
    longest_name = RunConfig(arm="a" * 60, dataset="d" * 100, model="mobilenet-small").name
    assert names.is_name(longest_name)
    with pytest.raises(ConfigError, match="dataset must have at most 100 letters, got 101"):
        RunConfig(dataset="d" * 101)
    with pytest.raises(ConfigError, match="arm must have at most 60 letters"):
        RunConfig(arm="a" * 61)
    with pytest.raises(ConfigError, match="at most 100 letters"):
        study.data_source(study.Study(dataset_name="d" * 101), {"dataset": "digits"})


def test_as_many_levels_as_the_figures_read_can_be_trained_and_no_more():
    assert fits(RunConfig(levels=9999).levels, LevelCount) and not fits(10_000, LevelCount)
    with pytest.raises(ConfigError, match="levels must be at most 9999, got 10000"):
        RunConfig(levels=10_000)


def test_the_experiment_of_a_file_is_that_of_its_name():
    for name in ("factorial", "hidden-neurons", "mask-recovery"):
        assert figures.results.names.experiment_of(hashed_name(name, {"trials": 3})) == name


def test_no_two_processes_take_one_temporary_name(tmp_path):
    found = {temporary_beside(tmp_path / "x.json") for _ in range(100)}
    assert len(found) == 100 and all(is_temporary(path.name) for path in found)
    assert not is_temporary("x.tmp") and not is_temporary(".x.json")
