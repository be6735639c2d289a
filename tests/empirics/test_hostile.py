"""A stranger's result folder: whatever is in it, a typed error or nothing, never code that runs."""

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny_runs import level_record

from empirics import checkpoints, disk, doctor
from empirics.config import ConfigError, RunConfig
from empirics.disk import StoreError
from empirics.store import RunFolder

CONFIG = RunConfig(levels=1)
EXPECTED = {"w": torch.zeros(3, 2)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def manifest(folder: Path, data: bytes, **changes) -> None:
    """A checkpoint of `data`, named in a manifest whose hash is right."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "level-01-epoch-00001.safetensors").write_bytes(data)
    row = {"file": "level-01-epoch-00001.safetensors", "sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data),
           "level": 1, "epoch": 1, "config": "hash", "lineage": [], "built_on": {}, **changes}  # fmt: skip
    (folder / checkpoints.MANIFEST).write_text(json.dumps(disk.sealed(row)) + "\n")


def test_a_pickle_in_place_of_a_checkpoint_never_runs(tmp_path):
    data = pickle.dumps(Canary(tmp_path / "canary"))
    manifest(tmp_path / "c", data)
    with pytest.raises(StoreError, match="not a safetensors file"):
        checkpoints.newest(tmp_path / "c", 1, "hash", EXPECTED)
    assert not (tmp_path / "canary").exists()
    pickle.loads(data)
    assert (tmp_path / "canary").exists(), "the canary is alive: unpickling would have run it"


def test_a_pickle_in_place_of_a_level_never_runs(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    data = pickle.dumps(Canary(tmp_path / "canary"))
    path = folder.level_path(0)
    path.mkdir(parents=True)
    (path / "weights.safetensors").write_bytes(data)
    files = {"weights.safetensors": hashlib.sha256(data).hexdigest()}
    record = level_record(CONFIG.name, files=files)
    (path / "level.json").write_text(json.dumps(disk.sealed(record)))
    with pytest.raises(StoreError, match="not a safetensors file"):
        folder.load_tensors(0, "weights.safetensors")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["../../outside.safetensors", "/etc/hostname", "weights.safetensors/../x", "a b"])
def test_a_level_cannot_name_files_outside_of_its_folder(tmp_path, name):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.level_path(0).mkdir(parents=True)
    record = level_record(CONFIG.name, files={name: "0" * 64})
    (folder.level_path(0) / "level.json").write_text(json.dumps(disk.sealed(record)))
    assert folder.level_record(0) is None


@FUZZ
@given(JSON)
def test_any_json_in_place_of_a_level_is_a_missing_level(tmp_path, value):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.level_path(0).mkdir(parents=True, exist_ok=True)
    (folder.level_path(0) / "level.json").write_text(json.dumps(value))
    assert folder.level_record(0) is None


@FUZZ
@given(
    st.dictionaries(
        st.sampled_from(["file", "sha256", "bytes", "level", "epoch", "config", "lineage", "built_on"]), JSON
    )
)
def test_any_manifest_is_no_checkpoint_or_a_typed_error(tmp_path, changes):
    manifest(tmp_path / "c", b"x" * 40, **changes)
    try:
        assert checkpoints.newest(tmp_path / "c", 1, "hash", EXPECTED)[0] is None
    except StoreError:
        pass


def bytes_taken(content: bytes) -> int:
    """Bytes of the tensors that a file gives; none where it is refused by the one error that it may raise."""
    try:
        return sum(value.nbytes for value in disk._tensors(content, "x").values())
    except StoreError:
        return 0


@FUZZ
@given(st.binary(max_size=200), st.integers(0, 2**63))
def test_any_bytes_in_place_of_tensors_are_a_typed_error(data, length):
    for content in (data, struct.pack("<Q", length) + data):
        assert bytes_taken(content) <= len(content)


@FUZZ
@given(JSON, st.sampled_from(["F32", "F64", "BOOL", "I64", "X"]), st.integers(-4, 2**62))
def test_any_header_of_tensors_is_a_typed_error_and_takes_no_memory(value, dtype, size):
    for header in (value, {"w": {"dtype": dtype, "shape": [size], "data_offsets": [0, size]}}):
        text = json.dumps(header).encode()
        content = struct.pack("<Q", len(text)) + text
        assert bytes_taken(content) <= len(content)


def test_tensors_of_other_names_shapes_and_types_are_refused_before_they_are_used(tmp_path):
    whole = {part: {"w": torch.zeros(3, 2)} for part in ("weights", "momentum", "start")}
    for part, bad in (
        ("weights", torch.zeros(2, 3)),
        ("start", torch.zeros(3, 2).double()),
        ("momentum", torch.ones(9)),
    ):
        flat = {f"{p}/{n}": v for p, tensors in {**whole, part: {"w": bad}}.items() for n, v in tensors.items()}
        manifest(tmp_path / part, disk.tensor_bytes(flat))
        with pytest.raises(StoreError, match="of another network: w is"):
            checkpoints.newest(tmp_path / part, 1, "hash", EXPECTED)
    flat = {f"{p}/{n}": v for p, tensors in whole.items() for n, v in tensors.items()}
    manifest(tmp_path / "extra", disk.tensor_bytes({**flat, "momentum/v": torch.ones(1)}))
    with pytest.raises(StoreError, match="of another network: v is"):
        checkpoints.newest(tmp_path / "extra", 1, "hash", EXPECTED)


def test_a_file_larger_than_was_written_is_not_read_into_memory(tmp_path):
    manifest(tmp_path / "c", b"x")
    with open(tmp_path / "c" / "level-01-epoch-00001.safetensors", "wb") as file:
        file.truncate(2**40)  # sparse
    with pytest.raises(StoreError, match="1099511627776 bytes, 1 were written"):
        checkpoints.newest(tmp_path / "c", 1, "hash", EXPECTED)


@FUZZ
@given(st.dictionaries(st.sampled_from([*RunConfig.__dataclass_fields__, "x"]), JSON, max_size=6), st.text(max_size=9))
def test_any_config_is_one_or_a_typed_error(record, arm):
    try:
        assert isinstance(doctor.config_of(record, arm), RunConfig)
    except ConfigError:
        pass
