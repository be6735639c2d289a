"""Interrupted runs go on from the last epoch to the same bits, and say what they could not trust."""

import dataclasses
import json
import shutil

import pytest
import torch

from empirics.config import config_hash
from empirics.names import checkpoint_file, parse_checkpoint
from empirics.runs import levels
from empirics.runs.context import new_context
from empirics.runs.resume import Interrupted, expected
from empirics.storage import checkpoints, run_folder
from empirics.storage.files import StoreError
from empirics.storage.run_folder import RunFolder
from tests.empirics.interrupted_runs import begin, flip_a_bit, results_of, stopping_after
from tests.empirics.tiny_runs import arm, run_arms, setup_in

pytestmark = pytest.mark.slow

SETTINGS = dict(levels=3, epochs=4, warmup_epochs=1, cycles="2", mask_snapshot_epochs=(2, 3, 7))
STEPS = 5  # an epoch: 160 images in batches of 32
EPOCHS = [(1, epoch) for epoch in range(8)] + [(2, epoch) for epoch in range(8)]


@pytest.fixture(scope="module")
def straight(tmp_path_factory, tiny_digits):
    """Runs that nothing interrupted."""
    setup = setup_in(tmp_path_factory.mktemp("straight"), tiny_digits)
    return setup, run_arms(["imp", "lrr", "wr"], setup, **SETTINGS)


def folder_of(setup, config) -> RunFolder:
    return RunFolder(setup.results, config.name, 0)


@pytest.mark.parametrize("name, after", [("lrr", 3), ("lrr", 7), ("lrr", 20), ("lrr", 43), ("imp", 61), ("wr", 8)])
def test_a_run_stopped_at_any_step_goes_on_to_the_same_bits(straight, tiny_digits, tmp_path, name, after):
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, name)
    with pytest.raises(Interrupted, match="the same command resumes"):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(after)))
    run = folder_of(setup, config)
    level, epoch = divmod(after // STEPS, 8) if name != "wr" else (0, 0)
    if name != "wr" and epoch:
        assert [parse_checkpoint(path.name)[:2] for path in run.checkpoints.iterdir()] == [(level + 1, epoch)]
    trained = []
    levels.run(
        config, 0, dataclasses.replace(setup, report=lambda metrics: trained.append((metrics.level, metrics.epoch)))
    )
    assert results_of(run) == results_of(folder_of(straight[0], config))
    assert not run.checkpoints.exists() or not list(run.checkpoints.iterdir())
    if name != "wr":
        assert trained == EPOCHS[after // STEPS :], "only what was not done"


def test_a_run_stopped_at_every_epoch_boundary_goes_on_to_the_same_bits(straight, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "lrr")
    for _ in EPOCHS[1:]:
        with pytest.raises(Interrupted):
            levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(STEPS)))
    levels.run(config, 0, setup)
    assert results_of(folder_of(setup, config)) == results_of(folder_of(straight[0], config))


def test_the_dense_run_goes_on_from_its_checkpoint_too(straight, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = straight[1]["lrr"].dense
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(27)))
    levels.run(config, 0, setup)
    assert results_of(folder_of(setup, config)) == results_of(folder_of(straight[0], config))


@pytest.fixture
def interrupted(straight, tiny_digits, tmp_path):
    """A run with two checkpoints of level 1: after epochs 2 and 3."""
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "lrr")
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(3 * STEPS + 2), checkpoint_epochs=1))
    run = folder_of(setup, config)
    assert sorted(path.name[9:20] for path in run.checkpoints.glob("*.safetensors")) == ["epoch-00002", "epoch-00003"]
    return setup, config, run


def newest_file(run: RunFolder):
    return max(run.checkpoints.glob("*.safetensors"))


DAMAGES = {
    "a flipped bit": flip_a_bit,
    "a flipped bit in the header": lambda p: p.write_bytes(p.read_bytes()[:20] + b"~" + p.read_bytes()[21:]),
    "truncation": lambda p: p.write_bytes(p.read_bytes()[:-7]),
    "zeros": lambda p: p.write_bytes(bytes(p.stat().st_size)),
    "an empty file": lambda p: p.write_bytes(b""),
    "a missing file": lambda p: p.unlink(),
    "the older one in its place": lambda p: shutil.copyfile(min(p.parent.glob("*.safetensors")), p),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_found_and_the_one_before_is_taken(interrupted, straight, damage):
    setup, config, run = interrupted
    damaged = newest_file(run)
    DAMAGES[damage](damaged)
    trained = []
    notes = levels.run(config, 0, dataclasses.replace(setup, report=lambda x: trained.append((x.level, x.epoch))))
    assert trained == EPOCHS[2:] and any("level 1 resumes after epoch 2, not 3" in warn for warn in notes)
    assert any("epoch-00003" in warn for warn in notes) or not damaged.exists()
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_two_damaged_checkpoints_are_a_named_error_and_never_a_silent_restart(interrupted):
    setup, config, run = interrupted
    for path in run.checkpoints.glob("*.safetensors"):
        flip_a_bit(path)
    with pytest.raises(StoreError, match="no checkpoint of level 1 is valid.*delete the folder checkpoints"):
        levels.run(config, 0, setup)
    shutil.rmtree(run.checkpoints)
    levels.run(config, 0, setup)
    assert run.is_complete(config)


def renamed(path, **parts):
    """The checkpoint under another name, as if its name were edited."""
    level, epoch, digest = parse_checkpoint(path.name)
    name = checkpoint_file(*({"level": level, "epoch": epoch, "digest": digest} | parts).values())
    return path.rename(path.with_name(name))


@pytest.mark.parametrize("parts", [{"epoch": 4}, {"epoch": 1}, {"digest": "0" * 64}])
def test_an_edited_name_is_found_and_the_checkpoint_before_is_taken(interrupted, straight, parts):
    """An epoch 3 that says it is epoch 4 would go on from there with the weights of epoch 3."""
    setup, config, run = interrupted
    name = renamed(newest_file(run), **parts).name
    trained = []
    notes = levels.run(config, 0, dataclasses.replace(setup, report=lambda x: trained.append((x.level, x.epoch))))
    assert trained == EPOCHS[2:] and (any(name in text for text in notes) or parts == {"epoch": 1})
    assert any("level 1 resumes after epoch 2, not 3: it has no later checkpoint" in text for text in notes)
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_a_lost_folder_of_checkpoints_is_no_silent_restart(interrupted, straight):
    setup, config, run = interrupted
    shutil.rmtree(run.checkpoints)
    notes = levels.run(config, 0, setup)
    assert notes == ["level 1 resumes after epoch 0, not 3: it has no later checkpoint"]
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_checkpoints_of_an_earlier_version_are_refused_in_a_sentence(interrupted, straight):
    """They have a manifest beside them, and no SHA-256 in their names."""
    setup, config, run = interrupted
    for path in list(run.checkpoints.iterdir()):
        path.rename(path.with_name(f"{path.name[:20]}.safetensors"))
    (run.checkpoints / "manifest.jsonl").write_text('{"file": "level-01-epoch-00003.safetensors"}\n')
    with pytest.raises(StoreError, match="level-01-epoch-00003.safetensors has no SHA-256 .*delete the folder check"):
        levels.run(config, 0, setup)
    assert len(list(run.checkpoints.iterdir())) == 3, "the version that wrote them can go on"
    shutil.rmtree(run.checkpoints)
    levels.run(config, 0, setup)
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_a_checkpoint_written_a_second_time_leaves_two_that_differ(interrupted, straight):
    setup, config, run = interrupted
    flip_a_bit(newest_file(run))
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(STEPS + 1)))
    assert sorted(path.name[9:20] for path in run.checkpoints.glob("*.safetensors")) == ["epoch-00002", "epoch-00003"]
    flip_a_bit(newest_file(run))
    levels.run(config, 0, setup)
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_a_level_that_was_damaged_is_said_to_be_trained_anew(straight, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "lrr")
    levels.run(config, 0, setup)
    flip_a_bit(folder_of(setup, config).level_path(2) / "weights.safetensors")
    assert any("level 2 was damaged" in warn for warn in levels.run(config, 0, setup))
    assert results_of(folder_of(setup, config)) == results_of(folder_of(straight[0], config))


def test_metrics_that_lost_a_line_the_checkpoint_counts_on_are_a_named_error(interrupted):
    setup, config, run = interrupted
    file = run.path / "metrics.jsonl"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[1:]))
    with pytest.raises(StoreError, match="metrics.jsonl of run lrr-.* has lost or changed epochs of level 1"):
        levels.run(config, 0, setup)


def test_metrics_in_which_a_number_was_edited_are_a_named_error(interrupted):
    setup, config, run = interrupted
    file = run.path / "metrics.jsonl"
    line = json.loads(file.read_bytes().splitlines()[0])
    edited = json.dumps({**line, "test_accuracy": line["test_accuracy"] + 0.01}).encode()
    file.write_bytes(b"\n".join([edited, *file.read_bytes().splitlines()[1:]]) + b"\n")
    with pytest.raises(StoreError, match="has lost or changed epochs of level 1"):
        levels.run(config, 0, setup)


def test_lines_behind_the_checkpoint_and_a_torn_one_are_dropped(interrupted, straight):
    setup, config, run = interrupted
    with open(run.path / "metrics.jsonl", "ab") as file:
        line = json.loads((run.path / "metrics.jsonl").read_bytes().splitlines()[-1])
        file.write(json.dumps({**line, "epoch": 3}).encode() + b'\n{"level": 1, "epo')
    assert "metrics.jsonl had an incomplete line, which is dropped" in levels.run(config, 0, setup)
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_a_checkpoint_of_another_run_is_refused(interrupted):
    setup, config, run = interrupted
    state, _ = checkpoints.newest(run.checkpoints, expected(new_context(config, 0, setup), 1, {}))
    settings = config.record()
    checkpoints.save(run.checkpoints, state, "0badcafe", {**settings, "lr": 0.5})
    with pytest.raises(StoreError, match="belongs to another run: lr is 0.5 there and 0.2 here: delete it"):
        levels.run(config, 0, setup)
    checkpoints.save(run.checkpoints, state, "\x1b]0;hi", settings)
    with pytest.raises(StoreError, match=rf"its hash is '\\x1b\]0;hi' there and {config_hash(config)} here"):
        levels.run(config, 0, setup)


def test_a_checkpoint_of_another_network_is_refused_before_anything_is_copied(interrupted):
    setup, config, run = interrupted
    wider = expected(new_context(arm("lrr", width=8, **SETTINGS), 0, setup), 1, {})
    with pytest.raises(StoreError, match="of another network: weights/conv.weight is float32 of shape"):
        checkpoints.newest(run.checkpoints, dataclasses.replace(wider, config=config_hash(config)))


def test_other_conditions_are_said_and_refused_under_bit_exact(interrupted):
    setup, config, run = interrupted
    with pytest.raises(StoreError, match="threads 1 then, 2 now: --bit-exact does not resume"):
        levels.run(config, 0, dataclasses.replace(setup, threads=2, bit_exact=True))
    notes = levels.run(config, 0, dataclasses.replace(setup, threads=2))
    assert any("threads 1 then, 2 now" in warn and "within rounding only" in warn for warn in notes)
    assert run.is_complete(config)


def test_bit_exact_goes_on_under_the_same_conditions(interrupted, straight):
    setup, config, run = interrupted
    assert levels.run(config, 0, dataclasses.replace(setup, bit_exact=True)) == []
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_a_checkpoint_whose_start_is_not_the_one_computed_here_is_not_resumed(
    straight, tiny_digits, tmp_path, monkeypatch
):
    """Weights may not go on under other masks than they were trained with: the rewind point was trained elsewhere."""
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "lrr")
    with monkeypatch.context() as elsewhere, pytest.raises(Interrupted):
        elsewhere.setattr(checkpoints, "start_hash", lambda start, masks: "another")
        levels.run(config, 0, dataclasses.replace(setup, threads=7, stop=stopping_after(3 * STEPS + 2)))
    run, trained = folder_of(setup, config), []
    notes = levels.run(config, 0, dataclasses.replace(setup, report=lambda x: trained.append((x.level, x.epoch))))
    assert trained == EPOCHS and any("level 1 starts again: its checkpoint had another start" in text for text in notes)
    assert results_of(run) == results_of(folder_of(straight[0], config))
    assert [one["threads"] for one in run.level_record(1)["environments"]] == [1], "no other process had a part"


def test_checkpoints_are_written_as_often_as_asked_and_the_last_two_stay(straight, tiny_digits, tmp_path, monkeypatch):
    written, save = [], checkpoints.save

    def spy(folder, checkpoint, *run):
        save(folder, checkpoint, *run)
        written.append((checkpoint.level, checkpoint.epoch, len(list(folder.glob("*.safetensors")))))

    monkeypatch.setattr(checkpoints, "save", spy)
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "lrr")
    levels.run(config, 0, dataclasses.replace(setup, checkpoint_epochs=3))
    assert written == [(1, 3, 1), (1, 6, 2), (2, 3, 1), (2, 6, 2)]
    assert results_of(folder_of(setup, config)) == results_of(folder_of(straight[0], config))


def test_a_full_disk_ends_with_an_error_and_leaves_the_checkpoint_before(interrupted, straight, monkeypatch):
    from empirics.storage import files as disk

    setup, config, run = interrupted
    before = sorted(path.name for path in run.checkpoints.iterdir())
    replace = disk.os.replace

    def full(source, target):
        if "epoch-00005" in str(target):
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(disk.os, "replace", full)
    with pytest.raises(StoreError, match="No space left on device: earlier complete results are unchanged"):
        levels.run(config, 0, dataclasses.replace(setup, checkpoint_epochs=2))
    assert sorted(path.name for path in run.checkpoints.iterdir()) == before, "no leftovers"
    monkeypatch.setattr(disk.os, "replace", replace)
    levels.run(config, 0, setup)
    assert results_of(run) == results_of(folder_of(straight[0], config))


def test_a_level_ends_with_no_checkpoint_and_its_end_is_what_counts(interrupted, straight):
    """A kill between the end of a level and the clearing of its checkpoints does no harm."""
    setup, config, run = interrupted
    kept = {path: path.read_bytes() for path in run.checkpoints.iterdir()}
    levels.run(config, 0, setup)
    run.checkpoints.mkdir(exist_ok=True)
    for path, data in kept.items():
        path.write_bytes(data)
    shutil.rmtree(run.level_path(2))
    levels.run(config, 0, setup)
    assert results_of(run) == results_of(folder_of(straight[0], config))
    assert run_folder.RunFolder is RunFolder and torch.is_grad_enabled()


def test_what_a_reader_must_know_is_said_at_once_and_not_lost_when_the_run_is_stopped(interrupted):
    setup, config, run = interrupted
    flip_a_bit(newest_file(run))
    said = []
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, warn=said.append, stop=stopping_after(2)))
    assert any("epoch-00003" in text for text in said)


def test_weight_rewinding_stops_on_the_way_to_its_rewind_point(straight, tiny_digits, tmp_path):
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "wr")
    with pytest.raises(Interrupted, match="before the rewind point was reached"):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(2)))
    levels.run(config, 0, setup)
    assert results_of(folder_of(setup, config)) == results_of(folder_of(straight[0], config))


def test_the_log_is_on_the_disk_before_a_checkpoint_or_a_level_and_the_level_before_its_checkpoints_go(
    straight, tiny_digits, tmp_path, monkeypatch
):
    done = []

    def spied(owner, name, word):
        call = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *given: (done.append(word), call(*given))[1])

    spied(RunFolder, "sync_metrics", "log")
    spied(checkpoints, "save", "checkpoint")
    spied(RunFolder, "save_level", "level")
    spied(checkpoints, "clear", "clear")
    setup = setup_in(tmp_path, tiny_digits)
    config = begin(setup, straight, "lrr")
    levels.run(config, 0, dataclasses.replace(setup, checkpoint_epochs=4))
    assert done == ["log", "checkpoint", "log", "level", "clear"] * 2
