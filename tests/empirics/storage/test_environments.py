"""Levels say what they were made from: other conditions are never forgotten, other bits never built upon."""

import contextlib
import dataclasses
import json

import pytest
import torch

from empirics import provenance
from empirics.execution.tasks import plan_tasks, unfinished
from empirics.runs import level_record, levels
from empirics.runs.resume import Interrupted
from empirics.storage import checkpoints, environments
from empirics.storage.files import StoreError, json_bytes, with_checksum
from empirics.storage.run_folder import RunFolder
from tests.empirics.interrupted_runs import begin, flip_a_bit, results_of, stopping_after
from tests.empirics.tiny_runs import arm, run_arms, setup_in

pytestmark = pytest.mark.slow

SETTINGS = dict(levels=4, epochs=2)
HERE = provenance.provenance(1, None, provenance.instruction_set())


@pytest.fixture(scope="module")
def straight(tmp_path_factory, tiny_digits):
    setup = setup_in(tmp_path_factory.mktemp("straight"), tiny_digits)
    return setup, run_arms(["imp", "lrr-on-imp-mask"], setup, **SETTINGS)


@contextlib.contextmanager
def elsewhere(monkeypatch, **changes):
    """Another machine, as far as results can say."""
    with monkeypatch.context() as patch:
        patch.setattr(level_record, "provenance_of", lambda setup: {**HERE, **changes})
        yield


def trained_by(setup, config) -> list[int]:
    """The levels that a call of `run` trains."""
    seen = []
    levels.run(config, 0, dataclasses.replace(setup, report=lambda metrics: seen.append(metrics.level)))
    return sorted(set(seen))


def exact(setup):
    return dataclasses.replace(setup, bit_exact=True)


# ----------------------------------------------------------------------------------------------------- conditions


def test_everything_that_may_change_the_last_bits_counts_and_nothing_else():
    then = environments.conditions(HERE)
    assert (
        environments.changed([then], then) is None
        and set(then) == set(environments.CONDITION_NAMES)
        and None not in (then["cpu"],)
    )
    for change in (
        {"threads": 2}, {"code": "another"}, {"versions": {**HERE["versions"], "torch": "0.1"}},
        {"hardware": {**HERE["hardware"], "cpu": "another"}}, {"hardware": {**HERE["hardware"], "accelerator": "GPU"}},
        {"hardware": {**HERE["hardware"], "instruction_set": "SSE2"}},
    ):  # fmt: skip
        assert environments.changed([then], environments.conditions({**HERE, **change})), change
    for change in ({"git": {}}, {"hardware": {**HERE["hardware"], "cores": 99}}):
        assert environments.changed([then], environments.conditions({**HERE, **change})) is None, change
    assert environments.changed([{}], then), "a record that does not say is not one of the same"


def test_processors_of_one_name_with_other_instructions_are_told_apart(tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    levels.run(arm("imp", **SETTINGS).dense, 0, setup)
    (made,) = RunFolder(tmp_path, arm("imp", **SETTINGS).dense.name, 0).level_record(0)["environments"]
    assert made["instruction_set"] == torch.backends.cpu.get_cpu_capability()
    now = environments.conditions(HERE)
    before = {name: value for name, value in now.items() if name != "instruction_set"}
    assert environments.changed([before], now).startswith("instruction_set not recorded then,")


def test_bit_exact_does_not_forget_where_an_earlier_level_was_made(tiny_digits, tmp_path, monkeypatch):
    setup, config = setup_in(tmp_path, tiny_digits), arm("lrr", **SETTINGS)
    levels.run(config.dense, 0, setup)
    with elsewhere(monkeypatch, threads=7), pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(5 * 2 + 1)))  # level 1, and a step
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(5 * 2 + 1)))  # level 2, made here
    for level, made in ((1, {7, 1}), (2, {7, 1})):
        record = RunFolder(tmp_path, config.name, 0).level_record(level)
        assert {one["threads"] for one in record["environments"]} == made
    with pytest.raises(StoreError, match="level 3: threads 7 then, 1 now: --bit-exact does not resume"):
        levels.run(config, 0, exact(setup))
    notes = levels.run(config, 0, setup)
    assert sum("under other conditions" in warn for warn in notes) == 1


def test_a_checkpoint_carries_every_condition_that_it_was_made_under(tiny_digits, tmp_path, monkeypatch):
    setup, config = setup_in(tmp_path, tiny_digits), arm("lrr", levels=2, epochs=4)
    levels.run(config.dense, 0, setup)
    with elsewhere(monkeypatch, threads=7), pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(6)))  # an epoch elsewhere
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(6)))  # and one here
    with open(max(RunFolder(tmp_path, config.name, 0).checkpoints.iterdir()), "rb") as stream:
        header = checkpoints.header_of(stream, "x")
    assert header["epoch"] == 2 and [one["threads"] for one in header["environments"]] == [1, 7]
    with pytest.raises(StoreError, match="threads 7 then"):
        levels.run(config, 0, exact(setup))


@pytest.mark.parametrize("which", ["dense", "imp"])
def test_bit_exact_looks_at_the_dense_run_and_at_the_run_of_the_masks(tiny_digits, tmp_path, monkeypatch, which):
    setup = setup_in(tmp_path, tiny_digits)
    config, masks = arm("lrr-on-imp-mask", **SETTINGS), arm("imp", **SETTINGS)
    for run in (config.dense, masks):
        with elsewhere(monkeypatch, threads=7 if (which == "dense") == run.is_dense else 1):
            levels.run(run, 0, setup)
    with pytest.raises(StoreError, match="threads 7 then, 1 now"):
        levels.run(config, 0, exact(setup))
    assert any("under other conditions" in warn for warn in levels.run(config, 0, setup))
    last = RunFolder(tmp_path, config.name, 0).level_record(3)
    assert {one["threads"] for one in last["environments"]} == {1, 7}, "to the last level, not only the first"


def test_bit_exact_trains_where_everything_was_made_here(straight, tiny_digits, tmp_path):
    setup, config = setup_in(tmp_path, tiny_digits), straight[1]["imp"]
    levels.run(config.dense, 0, exact(setup))
    assert levels.run(config, 0, exact(setup)) == []


# ----------------------------------------------------------------------------------------------------- other bits


def retrained_with_other_bits(folder: RunFolder, level: int) -> None:
    """What a level would be had it been trained anew elsewhere: its weights differ a little, all hashes are right."""
    record = folder.level_record(level)
    weights = folder.load_tensors(level, "weights.safetensors")
    name = next(name for name, value in weights.items() if value.is_floating_point() and value.ndim > 1)
    weights[name] *= 1.001
    files = {file: folder.load_tensors(level, file) for file in record["files"] if file != "weights.safetensors"}
    folder.save_level({k: v for k, v in record.items() if k != "checksum"}, {"weights.safetensors": weights, **files})


@pytest.fixture
def copied(straight, tiny_digits, tmp_path):
    import shutil

    shutil.copytree(straight[0].results, tmp_path / "results")
    return setup_in(tmp_path / "results", tiny_digits), straight[1]


def test_what_stands_on_other_bits_is_trained_anew_and_said_so(copied):
    setup, configs = copied
    config = configs["lrr-on-imp-mask"]
    folder = RunFolder(setup.results, config.name, 0)
    retrained_with_other_bits(folder, 1)
    assert folder.level_record(1) is not None and folder.level_record(2) is None and folder.signs_record() is None
    notes = []
    seen = trained_by(dataclasses.replace(setup, warn=notes.append), config)
    assert seen == [2, 3] and all(folder.level_record(level) for level in (1, 2, 3)) and folder.signs_record()
    assert sum("whose result has changed since" in warn for warn in notes) == 2


def test_a_level_that_is_trained_anew_to_the_same_bits_leaves_what_stands_on_it(copied, straight):
    setup, configs = copied
    folder = RunFolder(setup.results, configs["imp"].name, 0)
    flip_a_bit(folder.level_path(1) / "weights.safetensors")
    assert folder.level_record(1) is None and folder.level_record(2) is not None
    assert trained_by(setup, configs["imp"]) == [1]
    same = results_of(RunFolder(straight[0].results, configs["imp"].name, 0))
    assert results_of(folder)["tensors"] == same["tensors"] and results_of(folder)["signs"] == same["signs"]


def test_arms_are_trained_anew_where_their_dense_run_or_masks_have_other_bits(copied):
    setup, configs = copied
    other = configs["lrr-on-imp-mask"]
    retrained_with_other_bits(RunFolder(setup.results, configs["imp"].name, 0), 2)
    borrowing = RunFolder(setup.results, other.name, 0)
    assert [bool(borrowing.level_record(level)) for level in (1, 2, 3)] == [True, False, True]
    retrained_with_other_bits(RunFolder(setup.results, other.dense.name, 0), 0)
    assert borrowing.level_record(1) is None


def test_a_plan_looks_again_at_what_builds_on_a_run_that_is_unfinished(copied):
    setup, configs = copied
    tasks = plan_tasks(configs.values(), (0,))
    assert unfinished(tasks, setup.results) == []
    flip_a_bit(RunFolder(setup.results, configs["imp"].dense.name, 0).level_path(0) / "weights.safetensors")
    left = unfinished(tasks, setup.results)
    assert [task.key for task in left] == [task.key for task in tasks], "it may be trained to other bits"
    assert [task.epochs for task in left] == [SETTINGS["epochs"], 0, 0], "which is not known yet"


def test_a_run_copied_without_the_runs_that_it_builds_on_stands(copied):
    setup, configs = copied
    import shutil

    shutil.rmtree(setup.results / "runs" / configs["imp"].dense.name)
    assert RunFolder(setup.results, configs["imp"].name, 0).is_complete(configs["imp"])


def test_a_checkpoint_of_a_later_level_outlives_a_level_trained_anew_to_the_same_bits(straight, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "imp")
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(16)))  # level 2, epoch 1
    run = RunFolder(tmp_path, config.name, 0)
    flip_a_bit(run.level_path(1) / "weights.safetensors")
    seen = []
    levels.run(config, 0, dataclasses.replace(setup, report=lambda x: seen.append((x.level, x.epoch))))
    assert seen == [(1, 0), (1, 1), (2, 1), (3, 0), (3, 1)], "level 2 goes on from its checkpoint"


def test_a_checkpoint_that_builds_on_other_bits_is_not_used(straight, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "imp")
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(16)))
    run = RunFolder(tmp_path, config.name, 0)
    retrained_with_other_bits(run, 1)
    notes = levels.run(config, 0, setup)
    assert any("depends on a level whose result has changed since" in warn for warn in notes)
    start = torch.isfinite(run.load_tensors(2, "weights.safetensors")["conv.weight"])
    assert bool(start.all()) and run.is_complete(config)


def test_a_place_of_a_stranger_cannot_lead_out_of_the_results(copied):
    setup, configs = copied
    folder = RunFolder(setup.results, configs["imp"].name, 0)
    file = folder.level_path(2) / "level.json"
    record = json.loads(file.read_text())
    for place in ("../x/level-01", "/etc/level-01", "x", "x/level-1x", "a/b/level-01"):
        file.write_bytes(json_bytes(with_checksum({**record, "depends_on": {place: "0"}})))
        assert folder.level_record(2) is None, place
