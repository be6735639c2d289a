import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path

import pytest
import torch

from empirics import doctor
from empirics.config import ConfigError, RunConfig, config_hash
from empirics.names import checkpoint_file
from empirics.storage import checkpoints, run_folder
from empirics.storage.checkpoints import Checkpoint
from empirics.storage.data_files import is_being_written, temporary_beside
from empirics.storage.files import json_bytes, with_checksum, write_atomic
from empirics.storage.run_folder import WEIGHT_TENSORS, RunFolder
from empirics.studies.records import sealed_json
from tests.empirics.tiny_runs import run_arms, setup_in
from tests.support.processes import PIPE, end, fork, start, status

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def whole(tmp_path_factory, tiny_digits):
    root = tmp_path_factory.mktemp("doctor")
    setup = setup_in(root / "results", tiny_digits)
    return root, run_arms(["imp", "lrr-without-warmup"], setup, epochs=2, warmup_epochs=1, mask_snapshot_epochs=(1,))


@pytest.fixture
def copy(whole, tmp_path):
    root, configs = whole
    shutil.copytree(root / "results", tmp_path / "results")
    return tmp_path / "results", configs


def problems(results: Path) -> list[str]:
    return [finding.text for finding in doctor.examine(results, results / "no-data") if finding.bad]


def test_whole_results_have_no_problem_and_the_report_can_be_pasted(whole):
    root, _ = whole
    findings = list(doctor.examine(root / "results", root / "no-data"))
    assert problems(root / "results") == []
    text = "\n".join(finding.text for finding in findings)
    for word in ("versions: python", "processor:", "GPU:", "disk:", "data set digits: found", "results: 6 levels, "):
        assert word in text
    assert str(root) not in text and str(Path.home()) not in text


@pytest.mark.parametrize("name", ["imp", "lrr-without-warmup"])
def test_every_config_is_read_back_to_the_run_that_it_was(whole, name):
    root, configs = whole
    for config in (configs[name], configs[name].dense):
        record = json.loads((root / "results" / "runs" / config.name / "config.json").read_text())
        assert doctor.config_of(record["config"], record["arm"]) == config


def damage_weights(results, config):
    path = RunFolder(results, config.name, 0).level_path(2) / WEIGHT_TENSORS
    path.write_bytes(path.read_bytes()[:-1] + b"x")


def edit_config(results, config):
    file = results / "runs" / config.name / "config.json"
    file.write_text(file.read_text().replace('"lr": 0.2', '"lr": 0.3'))


def strange_setting(results, config):
    file = results / "runs" / config.name / "config.json"
    file.write_text(file.read_text().replace('"lr": 0.2', '"lr": 0.2, "code": "import os"'))


def checkpoint_of(results, config):
    """A checkpoint of level 2, as a run stopped there leaves it."""
    run = RunFolder(results, config.name, 0)
    value = {"w": torch.ones(3)}
    checkpoints.save(run.checkpoints, Checkpoint(2, 1, value, {}, {}, {}, [{}], {}), config_hash(config), {})
    return next(run.checkpoints.glob("*.safetensors"))


def damage_checkpoint(results, config):
    file = checkpoint_of(results, config)
    file.write_bytes(file.read_bytes()[:-1])


def rename_checkpoint(results, config):
    file = checkpoint_of(results, config)
    file.rename(file.with_name("level-02-epoch-00001.safetensors"))


def foreign_checkpoint(results, config):
    run, value = RunFolder(results, config.name, 0), {"w": torch.ones(3)}
    checkpoints.save(run.checkpoints, Checkpoint(2, 1, value, {}, {}, {}, [{}], {}), "0badcafe", {})


def unlike_checkpoint(results, config):
    data = b"no tensors"
    name = checkpoint_file(2, 1, hashlib.sha256(data).hexdigest())
    folder = RunFolder(results, config.name, 0).checkpoints
    folder.mkdir()
    (folder / name).write_bytes(data)


def edit_log(results, config, edit):
    file = RunFolder(results, config.name, 0).path / "metrics.jsonl"
    file.write_bytes(edit(file.read_bytes()))


def odd_name(results, config):
    (RunFolder(results, config.name, 0).path / "level-\x1b[31m").mkdir()


DAMAGES = {
    "weights": (
        damage_weights,
        "level-02 is damaged, or a level that it depends on has changed: the same command retrains it",
    ),
    "checkpoint": (damage_checkpoint, ".safetensors is damaged: the previous one is used"),
    "old checkpoint": (rename_checkpoint, "checkpoint level-02-epoch-00001.safetensors has no SHA-256 in its name"),
    "foreign checkpoint": (foreign_checkpoint, ".safetensors belongs to another run: delete it"),
    "no checkpoint": (unlike_checkpoint, ".safetensors is not that of a checkpoint"),
    "log torn": (lambda r, c: edit_log(r, c, lambda data: data + b'{"level": 9'), "holds an incomplete line"),
    "log short": (
        lambda r, c: edit_log(r, c, lambda d: b"\n".join(d.split(b"\n")[1:])),
        "lost or changed epochs",
    ),
    "log edited": (lambda r, c: edit_log(r, c, lambda d: d.replace(b'"lr": 0.', b'"lr": 1.', 1)), "changed epochs of"),
    "gap": (lambda r, c: shutil.rmtree(RunFolder(r, c.name, 0).level_path(1)), "level-01 is missing and a later one"),
    "odd name": (odd_name, "level-\\x1b[31m' is not the name of a level's folder"),
    "config": (edit_config, "which is not that of the run's name"),
    "setting": (strange_setting, "unknown setting 'code'"),
    "no config": (lambda r, c: (r / "runs" / c.name / "config.json").unlink(), "config.json is missing"),
    "nested": (lambda r, c: (r / "runs" / c.name / "config.json").write_text("[" * 100_000), "cannot be read"),
    "signs": (lambda r, c: (RunFolder(r, c.name, 0).path / "signs.json").write_text("{"), "signs.json is damaged"),
    "other case": (
        lambda r, c: (RunFolder(r, c.name, 0).path / "LEVEL-01").mkdir(),
        "LEVEL-01 is not the name of a level's folder",
    ),
    "seed in other case": (
        lambda r, c: (r / "runs" / c.name / "SEED-3").mkdir(),
        "SEED-3 is not the name of a seed's folder",
    ),
    "folder": (
        lambda r, c: (RunFolder(r, c.name, 0).path / "level-xx").mkdir(),
        "level-xx is not the name of a level's folder",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_found_and_named(copy, damage):
    results, configs = copy
    spoil, message = DAMAGES[damage]
    spoil(results, configs["imp"])
    found = problems(results)
    assert len(found) == 1 and message in found[0] and configs["imp"].name in found[0]


@pytest.mark.parametrize("name", ["seed-0.old", "seed0", "seed_0", "seeds-0", "seed", "Seed 0"])
def test_a_folder_called_almost_like_that_of_a_seed_is_named(copy, name):
    results, configs = copy
    (results / "runs" / configs["imp"].name / name).mkdir()
    assert problems(results) == [f"run {configs['imp'].name}: {name} is not the name of a seed's folder"]


@pytest.mark.parametrize("kind", ["studies", "overlaps", "connectivity"])
def test_an_edited_record_of_a_study_is_named(copy, kind):
    results, _ = copy
    (results / kind).mkdir()
    file = results / kind / "x.json"
    record = with_checksum({"study": "x", "seeds": [0]})
    file.write_bytes(json_bytes(record))
    assert problems(results) == []
    for content in (b"\xff", json_bytes({**record, "seeds": [1]}), b"[" * 100_000, b"[]"):
        file.write_bytes(content)
        (found,) = problems(results)
        assert found == f"{kind}/x.json is damaged: delete it, the same command writes it again"


@pytest.mark.parametrize("kind", ["studies", "overlaps", "connectivity"])
def test_a_record_of_a_study_under_another_name_is_named_as_the_figures_name_it(copy, kind):
    results, _ = copy
    (results / kind).mkdir()
    (results / kind / "x copy.json").write_bytes(json_bytes(with_checksum({"study": "x", "arms": {}, "seeds": [0]})))
    assert problems(results) == [
        f"{kind}/x copy.json is the record of x, and is not read under another name: give it that name, or delete it"
    ]


def test_trained_seeds_that_no_study_lists_are_named_and_are_no_problem(copy):
    results, configs = copy
    arms = {name: config.name for name, config in configs.items()}

    def unlisted(**listed) -> list[str]:
        write_atomic(results / "studies/x.json", json_bytes(with_checksum({"study": "x", **listed})))
        found = [f for f in doctor.examine(results, results / "no-data") if "no study's record lists" in f.text]
        assert not any(finding.bad for finding in found)
        return [finding.text.partition(":")[0] for finding in found]

    assert unlisted(arms=arms, seeds=[0]) == []
    assert unlisted(arms=arms, seeds=[1]) == [f"run {name}" for name in sorted(arms.values())]
    del arms["imp"]
    assert unlisted(arms=arms, seeds=[0, 1]) == [f"run {configs['imp'].name}"]
    (results / "studies/y.json").write_text("{")
    assert unlisted(arms=arms, seeds=[1]) == [], "what a damaged record lists is not known"


def test_an_edited_result_of_the_neuron_is_named(copy):
    results, _ = copy
    (results / "theory").mkdir()
    file = results / "theory" / "x-1.json"
    file.write_bytes(sealed_json(b'{"arrays": null, "values": {"p": 0.25}}'))
    assert problems(results) == []
    file.write_bytes(file.read_bytes().replace(b"0.25", b"0.35"))
    assert problems(results) == ["theory result x-1 is damaged: delete it"]


def test_what_a_killed_process_left_and_what_cannot_be_read_is_named(copy, monkeypatch):
    results, configs = copy
    (results / "studies").mkdir()
    left = results / "studies" / ".x.json.1-2.tmp"
    left.write_bytes(b"{")
    os.utime(left, (1, 1))
    assert problems(results) == [".x.json.1-2.tmp was left by a process that was killed: delete it"]

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_folder, "sha256", refuse)
    found = [text for text in problems(results) if "Permission denied: correct the permissions of its files" in text]
    assert len(found) == 6, "each level, and none is called damaged"


def test_what_a_living_process_writes_was_not_left_by_a_killed_one(copy):
    results, _ = copy
    (results / "studies").mkdir()
    file = temporary_beside(results / "studies" / "x.json")
    file.write_bytes(b"{")
    assert problems(results) == []
    os.utime(file, (1, 1))
    assert problems(results) == [f"{file.name} was left by a process that was killed: delete it"], "before it began"
    process = start([sys.executable, "-c", "input()"], stdin=PIPE)
    other = file.with_name(f".x.json.{process.pid}-0a.tmp")
    file.rename(other)
    soon = time.time() + 3600
    os.utime(other, (soon, soon))
    assert problems(results) == [], "by a process that lives, however long it takes"
    end(process)
    assert problems(results) == [f"{other.name} was left by a process that was killed: delete it"]


def test_a_file_that_has_become_a_record_since_it_was_seen_was_not_left(tmp_path):
    assert is_being_written(tmp_path / ".x.json.1-2.tmp", 60)


def test_records_that_are_written_while_doctor_looks_are_no_problem(tmp_path):
    def write() -> None:
        for seed in range(200):
            write_atomic(tmp_path / "studies" / "x.json", json_bytes(with_checksum({"study": "x", "seeds": [seed]})))

    (tmp_path / "studies").mkdir()
    writers = [fork(write) for _ in range(2)]
    found = [text for _ in range(10) for text in problems(tmp_path)]
    assert [status(writer) for writer in writers] == [0, 0] and found == []


def test_a_config_that_cannot_be_run_is_a_typed_error():
    with pytest.raises(ConfigError):
        doctor.config_of({"lr": "0.1"}, "imp")
    assert doctor.config_of({}, "imp") == RunConfig()
