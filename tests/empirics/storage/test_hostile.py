"""A stranger's result folder: whatever is in it, a typed error or nothing, never code that runs."""

import dataclasses
import hashlib
import json
import os
import pickle
import shutil
import struct
import tempfile
from pathlib import Path

import msgspec
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from empirics import doctor
from empirics.config import ConfigError, RunConfig
from empirics.execution.tasks import plan_tasks, unfinished
from empirics.names import checkpoint_file, parse_checkpoint
from empirics.runs import levels
from empirics.runs.resume import Interrupted
from empirics.storage import checkpoints
from empirics.storage import files as disk
from empirics.storage.checkpoints import Expected
from empirics.storage.files import StoreError
from empirics.storage.run_folder import RunFolder
from empirics.studies import records
from empirics.studies.connectivity import is_measured, measure
from empirics.studies.records import count_overlaps
from tests.empirics.interrupted_runs import stopping_after
from tests.empirics.tiny_runs import arm, level_record, setup_in

pytestmark = pytest.mark.slow

CONFIG = RunConfig(levels=1)
EXPECTED = Expected(1, "hash", {}, {"w": torch.zeros(3, 2)}, ["w"], ["w"], cycle_ends=[9], has_momentum=True)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
HEADER = {
    "level": 1, "epoch": 1, "config": "hash", "settings": {}, "environments": [], "depends_on": {}, "metrics": "",
    "start": "",
}  # fmt: skip
FUZZ = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Canary:
    """Unpickling it makes a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def put_checkpoint(folder: Path, data: bytes, level: int = 1, epoch: int = 1) -> Path:
    """A checkpoint of `data`, whose hash is right."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / checkpoint_file(level, epoch, hashlib.sha256(data).hexdigest())
    file.write_bytes(data)
    return file


def header_of(file: Path) -> dict:
    with open(file, "rb") as stream:
        return checkpoints.header_of(stream, file.name)


def as_checkpoint(tensors, header) -> bytes:
    """A file of these tensors with this header."""
    return disk.tensor_bytes(tensors, {"checkpoint": json.dumps(header)})


def test_a_pickle_in_place_of_a_checkpoint_never_runs(tmp_path):
    data = pickle.dumps(Canary(tmp_path / "canary"))
    put_checkpoint(tmp_path / "c", data)
    with pytest.raises(StoreError, match="not a safetensors file"):
        checkpoints.newest(tmp_path / "c", EXPECTED)
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
    (path / "level.json").write_text(json.dumps(disk.with_checksum(record)))
    with pytest.raises(StoreError, match="not a safetensors file"):
        folder.load_tensors(0, "weights.safetensors")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", ["../../outside.safetensors", "/etc/hostname", "weights.safetensors/../x", "a b"])
def test_a_level_cannot_name_files_outside_of_its_folder(tmp_path, name):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.level_path(0).mkdir(parents=True)
    record = level_record(CONFIG.name, files={name: "0" * 64})
    (folder.level_path(0) / "level.json").write_text(json.dumps(disk.with_checksum(record)))
    assert folder.level_record(0) is None


@FUZZ
@given(JSON)
def test_any_json_in_place_of_a_level_is_a_missing_level(tmp_path, value):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    folder.level_path(0).mkdir(parents=True, exist_ok=True)
    (folder.level_path(0) / "level.json").write_text(json.dumps(value))
    assert folder.level_record(0) is None


@FUZZ
@given(JSON | st.dictionaries(st.sampled_from(list(HEADER)), JSON).map(lambda changes: HEADER | changes))
def test_any_header_of_a_checkpoint_is_a_checkpoint_or_a_typed_error(header):
    tensors = {f"{part}/w": torch.zeros(3, 2) for part in ("weights", "momentum")}
    with tempfile.TemporaryDirectory() as folder:
        put_checkpoint(Path(folder), as_checkpoint(tensors, header))
        try:
            found, _ = checkpoints.newest(Path(folder), EXPECTED)
            assert found is not None and (found.level, found.epoch) == (1, 1)
        except StoreError:
            pass


@pytest.mark.parametrize("metadata", [None, {}, {"checkpoint": "["}, {"checkpoint": "[" * 200_000}, {"other": "{}"}])
def test_a_checkpoint_without_a_header_is_a_typed_error(tmp_path, metadata):
    file = put_checkpoint(tmp_path, disk.tensor_bytes({"weights/w": torch.zeros(3, 2)}, metadata))
    with pytest.raises(StoreError, match="header"):
        checkpoints.newest(tmp_path, EXPECTED)
    with pytest.raises(StoreError, match="header"):
        header_of(file)


@FUZZ
@given(st.binary(max_size=200), st.integers(0, 2**63), JSON)
def test_any_bytes_in_place_of_a_checkpoint_have_no_header(data, length, value):
    text = json.dumps({"__metadata__": value}).encode()
    for content in (data, struct.pack("<Q", length) + data, struct.pack("<Q", len(text)) + text):
        with tempfile.TemporaryDirectory() as folder, pytest.raises(StoreError, match="header"):
            header_of(put_checkpoint(Path(folder), content))


def bytes_taken(content: bytes) -> int:
    """Bytes of the tensors that a file gives; none where it is refused by the one error that it may raise."""
    try:
        return sum(value.nbytes for value in disk.tensors_in(content, "x").values())
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
    whole = {part: {"w": torch.zeros(3, 2)} for part in ("weights", "momentum")}
    for part, bad in (
        ("weights", torch.zeros(2, 3)),
        ("weights", torch.zeros(3, 2).double()),
        ("momentum", torch.ones(9)),
    ):
        flat = {f"{p}/{n}": v for p, tensors in {**whole, part: {"w": bad}}.items() for n, v in tensors.items()}
        put_checkpoint(tmp_path / f"{part} {bad.dtype}", as_checkpoint(flat, HEADER))
        with pytest.raises(StoreError, match="of another network: [a-z]+/w is"):
            checkpoints.newest(tmp_path / f"{part} {bad.dtype}", EXPECTED)
    flat = {f"{p}/{n}": v for p, tensors in whole.items() for n, v in tensors.items()}
    put_checkpoint(tmp_path / "extra", as_checkpoint({**flat, "momentum/v": torch.ones(1)}, HEADER))
    with pytest.raises(StoreError, match="of another network: momentum/v is"):
        checkpoints.newest(tmp_path / "extra", EXPECTED)
    put_checkpoint(tmp_path / "pruned within", as_checkpoint(flat, HEADER))
    assert checkpoints.newest(tmp_path / "pruned within", EXPECTED)[0] is not None
    with pytest.raises(StoreError, match="of another network: masks/w is missing there"):  # the masks that SCULPT makes
        checkpoints.newest(tmp_path / "pruned within", dataclasses.replace(EXPECTED, masks_change_after=0))


def test_a_file_larger_than_was_written_is_not_read_into_memory(tmp_path):
    file = put_checkpoint(tmp_path / "c", b"x")
    with open(file, "wb") as stream:
        stream.truncate(2**40)  # sparse
    with pytest.raises(StoreError, match="1099511627776 bytes, at most"):
        checkpoints.newest(tmp_path / "c", EXPECTED)


@FUZZ
@given(st.dictionaries(st.sampled_from([*RunConfig.__dataclass_fields__, "x"]), JSON, max_size=6), st.text(max_size=9))
def test_any_config_is_one_or_a_typed_error(record, arm):
    try:
        assert isinstance(doctor.config_of(record, arm), RunConfig)
    except ConfigError:
        pass


# ------------------------------------------------------- records that are ours but for one place, with seals that match


def places(record, path=()):
    """Every place in a record, as a path of keys; the record itself is the empty path."""
    yield path
    for key in record if isinstance(record, dict) else range(len(record)) if isinstance(record, list) else ():
        yield from places(record[key], (*path, key))


def put(record, path, value):
    """The record with another value at a place."""
    if not path:
        return value
    inner = {**record} if isinstance(record, dict) else list(record)
    inner[path[0]] = put(record[path[0]], path[1:], value)
    return inner


def without(record, path):
    """The record without a place."""
    inner = {**record} if isinstance(record, dict) else list(record)
    if len(path) == 1:
        del inner[path[0]]
    else:
        inner[path[0]] = without(record[path[0]], path[1:])
    return inner


@pytest.fixture(scope="module")
def stopped(tmp_path_factory, tiny_digits):
    """Real results: a run stopped in its last level, with the dense run that it builds on, and a study of them."""
    setup = setup_in(tmp_path_factory.mktemp("stopped"), tiny_digits)
    config = arm("lrr", levels=3, epochs=2, mask_snapshot_epochs=(1,))
    levels.run(config.dense, 0, setup)
    with pytest.raises(Interrupted):
        levels.run(config, 0, dataclasses.replace(setup, stop=stopping_after(16)))
    plain = {"study": "s", "data_hash": "", "dense_run": config.dense.name, "arms": {"lrr": config.name}, "seeds": [0]}
    count_overlaps(setup.results, records.write_study(setup.results, {**plain, "levels": 3}))
    assert measure(setup.results, "s", workers=1, device="cpu") == (0, 1)
    return setup, config, {**plain, "levels": 3}


def read_or_refused(setup, config, study) -> bool:
    """Everything that reads records, on results that a stranger may have written: the run ends, or a typed error."""
    try:
        records.write_study(setup.results, study)
        count_overlaps(setup.results, study)
        is_measured(setup.results, study)
        list(doctor.examine(setup.results, setup.results / "none"))
        unfinished(plan_tasks([config], (0,)), setup.results)
        levels.run(config, 0, setup)
    except (StoreError, ConfigError) as refused:
        return bool(str(refused))
    return RunFolder(setup.results, config.name, 0).is_complete(config)


RECORDS = {
    "level": lambda run, results: run.level_path(1) / "level.json",
    "dense level": lambda run, results: next(results.glob("runs/dense-*/seed-0/level-00/level.json")),
    "metrics": lambda run, results: run.path / "metrics.jsonl",
    "config": lambda run, results: run.path.parent / "config.json",
    "study": lambda run, results: results / "studies" / "s.json",
    "overlaps": lambda run, results: results / "overlaps" / "s.json",
    "connectivity": lambda run, results: results / "connectivity" / "s.json",
}


def changed_at_a_place(data, record):
    """The record with another value at one of its places, or without it."""
    path = data.draw(st.sampled_from(list(places(record))))
    if path and data.draw(st.booleans()):
        return without(record, path)
    return put(record, path, data.draw(JSON | st.sampled_from([{}, [], "", 10**40, -1, "../x", "\x1b[31m"])))


@pytest.mark.parametrize("which", RECORDS)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_record_of_ours_with_one_place_changed_is_used_or_refused_by_a_typed_error(stopped, which, data):
    """The seal is that of the changed record, as a stranger's would be."""
    setup, config, study = stopped
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        shutil.copytree(setup.results, results)
        file = RECORDS[which](RunFolder(results, config.name, 0), results)
        lines = file.read_bytes().splitlines() if file.suffix == ".jsonl" else [file.read_bytes()]
        changed = changed_at_a_place(data, {k: v for k, v in json.loads(lines[0]).items() if k != "checksum"})
        resealed = (
            disk.with_checksum(changed) if isinstance(changed, dict) and which not in ("metrics", "config") else changed
        )
        file.write_bytes(b"\n".join([json.dumps(resealed).encode(), *lines[1:]]) + b"\n")
        assert read_or_refused(dataclasses.replace(setup, results=results), config, study)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_checkpoint_of_ours_with_one_place_of_its_header_changed_is_used_or_refused(stopped, data):
    setup, config, study = stopped
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "results"
        shutil.copytree(setup.results, results)
        rewritten(RunFolder(results, config.name, 0), header=lambda header: changed_at_a_place(data, header))
        assert read_or_refused(dataclasses.replace(setup, results=results), config, study)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1e999", "[" * 200_000])
def test_what_could_not_be_written_again_is_no_record_of_ours(tmp_path, text):
    """Whatever its seal: a stranger can seal what our writer would not."""
    file = tmp_path / "x.json"
    value = [] if text.startswith("[") else json.loads(text)
    seal = hashlib.sha256(json.dumps({"a": value}, sort_keys=True).encode()).hexdigest()
    file.write_text(f'{{"a": {text}, "seal": "{seal}"}}')
    assert disk.read_record(file) is None
    file.write_bytes(records.sealed_json(b'{"a": 1}'))
    fields_of = lambda **fields: msgspec.defstruct("Fields", list(fields.items()))  # noqa: E731
    assert disk.read_record(file, fields_of(a=int)) is not None
    for other in (fields_of(a=str), fields_of(a=bool), fields_of(b=int)):
        assert disk.read_record(file, other) is None


@pytest.mark.parametrize("arms", [{"x": 5}, {"x": "../../etc"}, {"../x": "y"}, {"x": None}])
def test_arms_of_a_strangers_study_do_not_become_paths(stopped, tmp_path, arms):
    setup, config, study = stopped
    before = records.write_study(tmp_path, {**study, "seeds": [0, 3]})
    file = tmp_path / "studies" / "s.json"
    file.write_bytes(disk.json_bytes(disk.with_checksum({**before, "arms": {**before["arms"], **arms}})))
    assert records.write_study(tmp_path, study)["arms"] == study["arms"]


@pytest.mark.parametrize("which", RECORDS)
def test_deep_nesting_in_any_record_is_no_traceback(stopped, tmp_path, which):
    setup, config, study = stopped
    shutil.copytree(setup.results, tmp_path / "results")
    file = RECORDS[which](RunFolder(tmp_path / "results", config.name, 0), tmp_path / "results")
    file.write_bytes(b'{"a":' * 200_000 + b"\n")
    assert read_or_refused(dataclasses.replace(setup, results=tmp_path / "results"), config, study)


# ------------------------------------------------------------------------------- what is no file, and what leads away


@pytest.fixture
def copied(stopped, tmp_path):
    setup, config, study = stopped
    shutil.copytree(setup.results, tmp_path / "results")
    setup = dataclasses.replace(setup, results=tmp_path / "results")
    return setup, config, study, RunFolder(setup.results, config.name, 0)


LINKS = {
    ".lease": lambda run: run.path / ".lease",
    "metrics": lambda run: run.path / "metrics.jsonl",
    "checkpoint": lambda run: next(run.checkpoints.iterdir()),
    "config": lambda run: run.path.parent / "config.json",
    "level": lambda run: run.level_path(1) / "level.json",
}


@pytest.mark.parametrize("which", LINKS)
def test_a_link_in_a_strangers_run_is_refused_and_what_it_leads_to_is_left_alone(copied, which):
    setup, config, _, run = copied
    victim = setup.results.parent / "victim"
    victim.write_text("precious")
    link = LINKS[which](run)
    link.unlink(missing_ok=True)
    link.symlink_to(victim)
    with pytest.raises(StoreError, match="is a symbolic link, which could lead anywhere"):
        levels.run(config, 0, setup)
    assert victim.read_text() == "precious"
    assert any(
        "is a symbolic link" in finding.text for finding in doctor.examine(setup.results, setup.results / "none")
    )


@pytest.mark.parametrize("where", ["checkpoints", "level-01", "."])
def test_a_folder_that_is_a_link_is_refused_and_nothing_in_it_is_removed(copied, where):
    setup, config, _, run = copied
    outside = setup.results.parent / "outside"
    folder = run.path if where == "." else run.path / where
    shutil.move(folder, outside)
    folder.symlink_to(outside)
    before = sorted(path.name for path in outside.rglob("*"))
    with pytest.raises(StoreError, match="is a symbolic link"):
        levels.run(config, 0, setup)
    assert sorted(path.name for path in outside.rglob("*")) == before


def as_pipe(path: Path) -> None:
    os.mkfifo(path)


def as_folder(path: Path) -> None:
    path.mkdir()


def as_sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(50 * 2**30)


@pytest.mark.parametrize("make", [as_pipe, as_folder, as_sparse])
@pytest.mark.parametrize("which", RECORDS)
def test_a_pipe_a_folder_or_an_endless_file_in_place_of_a_record_takes_neither_time_nor_memory(copied, which, make):
    setup, config, study, run = copied
    file = RECORDS[which](run, setup.results)
    file.unlink()
    make(file)
    bad = [finding.text for finding in doctor.examine(setup.results, setup.results / "none") if finding.bad]
    assert bad or which in ("study", "overlaps") and make is as_folder
    try:
        unfinished(plan_tasks([config], (0,)), setup.results)
        levels.run(config, 0, setup)
    except (StoreError, ConfigError):
        pass


def test_doctor_names_a_checkpoint_that_is_no_file(copied):
    setup, _, _, run = copied
    file = next(run.checkpoints.glob("*.safetensors"))
    file.unlink()
    os.mkfifo(file)
    bad = [finding.text for finding in doctor.examine(setup.results, setup.results / "none") if finding.bad]
    assert any(file.name in text for text in bad)


def test_a_folder_of_an_odd_level_is_no_traceback(copied):
    setup, config, _, run = copied
    (run.path / "level-01x").mkdir()
    levels.run(config, 0, setup)
    assert run.is_complete(config)


def rewritten(run: RunFolder, tensors=lambda flat: flat, header=lambda record: record) -> None:
    """The checkpoint with other tensors or another header, and the hash of that, as a stranger could write it."""
    (file,) = run.checkpoints.iterdir()
    level, epoch, digest = parse_checkpoint(file.name)
    flat, record = disk.tensors_in(disk.read_checked(file, digest), file.name), header(header_of(file))
    file.unlink()
    named = record.get("epoch") if isinstance(record, dict) else None
    epoch = named if type(named) is int and 0 <= named < 10**20 else epoch
    put_checkpoint(run.checkpoints, as_checkpoint(tensors(flat), record), level, epoch)


@pytest.mark.parametrize("epoch", [0, -3, 2, 10**8, 10**30, 10**400])
def test_an_epoch_beyond_its_level_is_refused_before_anything_is_counted(copied, epoch):
    setup, config, _, run = copied
    rewritten(run, header=lambda record: {**record, "epoch": epoch})
    with pytest.raises(StoreError, match="is not between the epochs|is not of the level and epoch in its name"):
        levels.run(config, 0, setup)


def drop(part: str, count: int = 10**6):
    def edit(flat):
        gone = [name for name in flat if name.startswith(part)][:count]
        assert gone
        return {name: value for name, value in flat.items() if name not in gone}

    return edit


FOREIGN = {
    "one momentum missing": drop("momentum/", 1),
    "no momentum": drop("momentum/"),
    "masks taken on the way missing": drop("mask_snapshots/"),
    "one mask taken on the way missing": drop("mask_snapshots/", 1),
    "masks that have not changed": lambda flat: {**flat, "masks/conv.weight": flat["weights/conv.weight"].bool()},
    "a mask of a buffer": lambda flat: {**flat, "masks/bn.running_mean": torch.ones(4, dtype=torch.bool)},
    "momentum of a buffer": lambda flat: {**flat, "momentum/bn.running_mean": torch.ones(4)},
    "another part": lambda flat: {**flat, "evil/x": torch.ones(4)},
    "a mask at another epoch": lambda flat: {**flat, "mask_snapshots/77/conv.weight": torch.ones(4, dtype=torch.bool)},
}


@pytest.mark.parametrize("which", FOREIGN)
def test_a_checkpoint_with_tensors_missing_or_too_many_is_refused(copied, which):
    setup, config, _, run = copied
    rewritten(run, FOREIGN[which])
    with pytest.raises(StoreError, match="no checkpoint of level 2 is valid"):
        levels.run(config, 0, setup)


@pytest.mark.parametrize("file, edit", [
    ("masks.safetensors", lambda t: {name: value.float() for name, value in t.items()}),
    ("masks.safetensors", lambda t: {name: value[:1] for name, value in t.items()}),
    ("signs.safetensors", lambda t: {name: value for name, value in t.items() if "conv.weight" not in name}),
    ("signs.safetensors", lambda t: {name: value[:1] for name, value in t.items()}),
])  # fmt: skip
def test_bits_of_a_level_that_are_another_networks_are_a_typed_error(copied, file, edit):
    setup, config, study, run = copied
    dense = RunFolder(setup.results, config.dense.name, 0)
    levels.run(config, 0, setup)
    for folder, level in ((dense, 0), (run, 1)):
        record = {k: v for k, v in folder.level_record(level, verify=False).items() if k != "checksum"}
        data = disk.tensor_bytes(edit(folder.load_tensors(level, file)))
        (folder.level_path(level) / file).write_bytes(data)
        record["files"][file] = hashlib.sha256(data).hexdigest()
        (folder.level_path(level) / "level.json").write_bytes(disk.json_bytes(disk.with_checksum(record)))
    with pytest.raises(StoreError, match="of another network"):
        shutil.rmtree(run.level_path(2))
        levels.run(dataclasses.replace(config), 0, setup)
        count_overlaps(setup.results, {**study, "arms": {"imp": config.name, "lrr": config.name}})
