import os
import stat

import pytest

from empirics import store
from empirics.config import RunConfig
from empirics.store import RunFolder, StoreError, write_atomic

CONFIG = RunConfig(levels=1)


def level(folder: RunFolder, tensors=None) -> dict:
    import torch

    record = {"run": folder.run, "seed": folder.seed, "level": 0, "status": "complete"}
    folder.save_level(record, {"weights.safetensors": tensors or {"w": torch.arange(3.0), "n": torch.tensor(7)}})
    return folder.level_record(0)


def test_a_file_is_replaced_whole_and_leaves_nothing_behind(tmp_path):
    path = tmp_path / "deep" / "file"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two" and os.listdir(path.parent) == ["file"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~store._umask()


def test_a_failed_write_keeps_the_old_file_and_removes_the_temporary_one(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def refuse(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
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
        store.check_writable(blocker / "out")


def test_seeds_of_a_study_add_up_while_its_runs_stay_the_same(tmp_path):
    import json

    record = {"study": "s", "arms": {"imp": "imp-1"}, "seeds": [2]}
    store.write_study(tmp_path, record)
    store.write_study(tmp_path, {**record, "seeds": [0]})
    path = tmp_path / "studies" / "s.json"
    assert json.loads(path.read_bytes())["seeds"] == [0, 2]
    store.write_study(tmp_path, {**record, "arms": {"imp": "imp-2"}, "seeds": [5]})
    assert json.loads(path.read_bytes())["seeds"] == [5], "other runs: their seeds are not ours"
