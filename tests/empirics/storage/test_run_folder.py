import json
import os
import stat
import sys
from pathlib import Path

import pytest

from empirics.config import RunConfig
from empirics.storage import files, locks, run_folder
from empirics.storage.run_folder import RunFolder, StoreError, write_atomic
from empirics.studies import records
from tests import ROOT
from tests.empirics.tiny_runs import level_record
from tests.support.processes import PIPE, end, start

CONFIG = RunConfig(levels=1)


def level(folder: RunFolder, tensors=None) -> dict:
    import torch

    folder.save_level(
        level_record(folder.run), {"weights.safetensors": tensors or {"w": torch.arange(3.0), "n": torch.tensor(7)}}
    )
    return folder.level_record(0)


def test_a_file_is_replaced_whole_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two" and os.listdir(path.parent) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~files._umask()


def test_a_failed_write_keeps_the_old_file_and_removes_the_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(StoreError, match="cannot write file: No space left on device"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file"]


def test_numbers_and_vectors_come_back_with_their_shapes(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    level(folder)
    found = folder.load_tensors(0, "weights.safetensors")
    assert found["n"].shape == () and int(found["n"]) == 7 and found["w"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("damage", [b"", b"x", None])
def test_a_level_with_a_damaged_or_missing_file_does_not_exist(tmp_path, damage):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    assert level(folder) is not None and folder.is_complete(CONFIG)
    path = folder.level_path(0) / "weights.safetensors"
    path.unlink() if damage is None else path.write_bytes(damage)
    assert folder.level_record(0) is None and not folder.is_complete(CONFIG) and folder.next_level(CONFIG) == 0
    with pytest.raises(StoreError, match="missing or damaged: train that run first"):
        folder.load_tensors(0, "weights.safetensors")


def test_a_flipped_bit_is_found(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    level(folder)
    path = folder.level_path(0) / "weights.safetensors"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    assert folder.level_record(0) is None


def test_a_level_of_another_run_or_seed_does_not_count(tmp_path):
    mine, other = RunFolder(tmp_path, CONFIG.name, 0), RunFolder(tmp_path, CONFIG.name, 1)
    level(mine)
    other.path.mkdir(parents=True)
    mine.level_path(0).rename(other.level_path(0))
    assert other.level_record(0) is None


@pytest.mark.parametrize("text", [b"", b"{", b"[]", b"null", b'{"run": 1}'])
def test_a_garbled_record_is_a_missing_level_and_not_a_crash(tmp_path, text):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    level(folder)
    (folder.level_path(0) / "level.json").write_bytes(text)
    assert folder.level_record(0) is None


def test_a_folder_that_cannot_be_written_is_refused_by_name(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("")
    with pytest.raises(StoreError, match="choose another --out or --results"):
        run_folder.check_writable(blocker / "out")


def test_arms_and_seeds_of_a_study_add_up_while_its_runs_stay_the_same(tmp_path):
    record = {"study": "s", "arms": {"imp": "imp-1"}, "seeds": [2]}
    records.write_study(tmp_path, record)
    records.write_study(tmp_path, {**record, "arms": {"wr": "wr-1"}, "seeds": [0]})
    path = tmp_path / "studies" / "s.json"
    found = json.loads(path.read_bytes())
    assert (found["arms"], found["seeds"]) == ({"imp": "imp-1", "wr": "wr-1"}, [0, 2])
    records.write_study(tmp_path, {**record, "arms": {"imp": "imp-2"}, "seeds": [5]})
    found = json.loads(path.read_bytes())
    assert (found["arms"], found["seeds"]) == ({"imp": "imp-2"}, [5]), "other runs: their seeds are not ours"


@pytest.mark.parametrize("name", ["data_hash", "dense_run"])
def test_arms_of_other_data_or_another_dense_network_are_not_listed_together(tmp_path, name):
    record = {"study": "s", "arms": {"imp": "imp-1"}, "seeds": [2], "data_hash": "a", "dense_run": "dense-1"}
    records.write_study(tmp_path, record)
    found = records.write_study(tmp_path, {**record, "arms": {"lrr": "lrr-1"}, "seeds": [0], name: "b"})
    assert (found["arms"], found["seeds"]) == ({"lrr": "lrr-1"}, [0])


def test_an_edited_config_is_refused_with_the_difference_shown(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.write_config(CONFIG)
    folder.write_config(CONFIG)
    file = folder.path.parent / "config.json"
    file.write_text(file.read_text().replace('"lr": 0.1', '"lr": 0.9'))
    with pytest.raises(StoreError, match="lr is 0.9 there and 0.1 here"):
        folder.write_config(CONFIG)
    file.write_text("{")
    with pytest.raises(StoreError, match="it is not a valid config"):
        folder.write_config(CONFIG)


@pytest.mark.parametrize("file", ["level", "config", "study", "signs"])
def test_what_another_version_has_written_is_refused_and_never_replaced(tmp_path, file):
    """Its fields have other names: it would count as damaged, and be trained anew."""
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.write_config(CONFIG)
    level(folder)
    study = {"study": "s", "arms": {"imp": "imp-1"}, "seeds": [2]}
    records.write_study(tmp_path, study)
    paths = {
        "level": folder.level_path(0) / "level.json",
        "config": folder.path.parent / "config.json",
        "study": tmp_path / "studies/s.json",
        "signs": folder.path / "signs.json",
    }
    old = {"schema": 1, "kind": file, "run": folder.run, "seed": 0, "config": {"mask_epochs": []}, "seal": "0" * 64}
    paths[file].write_text(json.dumps(old))
    read = {
        "level": lambda: folder.level_record(0),
        "config": lambda: folder.write_config(CONFIG),
        "study": lambda: records.write_study(tmp_path, study),
        "signs": folder.signs_record,
    }
    wanted = f"{paths[file].name} is of schema 1, this version reads and writes 2: choose another --results folder"
    with pytest.raises(StoreError, match=wanted):
        read[file]()
    assert json.loads(paths[file].read_text()) == old


def test_two_processes_never_share_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "LEASE_SECONDS", 0)
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    code = (
        "import sys; from pathlib import Path; from empirics.storage.run_folder import RunFolder\n"
        f"with RunFolder(Path({str(tmp_path)!r}), {CONFIG.name!r}, 0).lease():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    root = ROOT
    owner = start([sys.executable, "-c", code], cwd=root, stdin=PIPE)
    assert owner.stdout.readline() == "held\n"
    with pytest.raises(StoreError, match=f"seed 0, is being trained by process {owner.pid}"), folder.lease():
        pass
    end(owner)
    with folder.lease():
        assert folder.path.exists(), "a dead owner's lease is free"


def test_an_edited_number_in_a_record_is_found(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    import torch

    record = level_record(folder.run, test_accuracy=0.9123456789)
    folder.save_level(record, {"weights.safetensors": {"w": torch.ones(2)}})
    file = folder.level_path(0) / "level.json"
    assert folder.level_record(0)["test_accuracy"] == 0.9123456789
    text = file.read_text()
    file.write_text(text.replace("0.9123456789", "0.9923456789"))
    assert folder.level_record(0) is None
    file.write_text("\n".join(line for line in text.splitlines() if "checksum" not in line).replace("},\n}", "}\n}"))
    assert folder.level_record(0) is None, "a record without a seal is none of ours"
    folder.save_signs({"run": folder.run, "seed": 0, "layers": {"a": 1}})
    signs = folder.path / "signs.json"
    assert folder.signs_record() is not None
    signs.write_text(signs.read_text().replace('"a": 1', '"a": 2'))
    assert folder.signs_record() is None


def test_a_result_of_the_neuron_cannot_name_arrays_outside_of_its_folder(tmp_path):
    folder = tmp_path / "theory"
    folder.mkdir()
    for name, stands in (("a.npz", True), ("../a.npz", False), (str(tmp_path / "a.npz"), False)):
        for place in (folder, tmp_path):
            (place / "a.npz").write_bytes(b"data")
        arrays = {"file": name, "sha256": files.sha256(folder / "a.npz")}
        (folder / "x.json").write_bytes(records.sealed_json(json.dumps({"arrays": arrays}).encode()))
        assert records.theory_result_stands(folder, "x") == stands, name


def test_new_folders_are_on_the_disk_before_what_is_in_them(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(files, "_sync_folder", lambda folder: synced.append(folder.relative_to(tmp_path).as_posix()))
    write_atomic(tmp_path / "a" / "b" / "file", b"x")
    assert synced == [".", "a", "a/b"], "each in its parent, then the file in its folder"


@pytest.mark.parametrize("call, number", [("fchmod", 1), ("fchmod", 95), ("fsync", 22)])
def test_a_file_system_without_modes_or_fsync_of_folders_is_good_enough(tmp_path, monkeypatch, call, number):
    real = getattr(os, call)

    def refuse(descriptor, *args):
        if call == "fchmod" or stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, "not here")
        return real(descriptor, *args)

    monkeypatch.setattr(files.os, call, refuse)
    write_atomic(tmp_path / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_disk_that_fails_is_never_taken_for_one_without_fsync(tmp_path, monkeypatch):
    def fail(descriptor):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(files.os, "fsync", fail)
    with pytest.raises(StoreError, match="cannot write file: Input/output error"):
        write_atomic(tmp_path / "file", b"x")
    (tmp_path / "log").write_bytes(b"x")
    with pytest.raises(StoreError, match="cannot write log: Input/output error"):
        files.sync_file(tmp_path / "log")


def test_a_full_disk_is_refused_before_anything_is_computed(tmp_path, monkeypatch):
    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(StoreError, match="cannot write to folder .*No space left on device: choose another"):
        files.check_writable(tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("read", [files.read_record, files.complete_lines])
def test_what_is_there_and_cannot_be_read_is_an_error_and_not_missing(tmp_path, monkeypatch, read):
    """Trained anew, what a failing disk hides for a moment would be lost."""
    assert not read(tmp_path / "absent")
    (tmp_path / "file").write_text("{}")

    def refuse(path):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StoreError, match="cannot read file: Input/output error"):
        read(tmp_path / "file")


def test_a_level_whose_files_cannot_be_read_is_an_error_and_not_missing(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    level(folder)

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(run_folder, "sha256", refuse)
    with pytest.raises(
        StoreError, match="cannot read level 0 of run .*Permission denied: correct the permissions of its files"
    ):
        folder.level_record(0)


def test_sign_statistics_of_before_are_gone_when_a_level_is_trained_anew(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.save_signs({"run": folder.run, "seed": 0, "layers": {}})
    assert folder.signs_record() is not None
    level(folder)
    assert folder.signs_record() is None


def test_a_study_that_several_commands_make_keeps_the_first(tmp_path):
    """A figure is drawn anew where its study's file changes: the base of all sweeps must not."""
    record = {"study": "s", "data_hash": "", "dense_run": "dense-1", "arms": {"imp": "imp-1"}, "seeds": [0]}
    first = records.write_study(tmp_path, {**record, "command": "train --sweep width"})
    again = records.write_study(tmp_path, {**record, "command": "train --sweep schedule"})
    assert again == first and again["command"] == "train --sweep width"
    more = records.write_study(tmp_path, {**record, "arms": {"lrr": "lrr-1"}, "command": "train --sweep schedule"})
    assert more["command"] == "train --sweep schedule" and set(more["arms"]) == {"imp", "lrr"}
