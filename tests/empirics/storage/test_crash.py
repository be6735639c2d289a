"""A process may end at any system call of a save: the old state stands or the new one, never neither."""

import dataclasses
import os
import signal
import tempfile
from pathlib import Path

import pytest
import torch

from empirics.config import RunConfig
from empirics.storage import checkpoints, files
from empirics.storage.checkpoints import Checkpoint, Expected
from empirics.storage.run_folder import RunFolder
from tests.empirics.tiny_runs import level_record
from tests.support.processes import fork, status

pytestmark = pytest.mark.slow

CALLS = ("open", "fdopen", "fchmod", "fsync", "replace", "close", "unlink", "mkdir")
STATE = {"conv.weight": torch.zeros(3, 2), "bn.count": torch.zeros((), dtype=torch.int64)}
EXPECTED = Expected(1, "hash", {}, STATE, ["conv.weight"], ["conv.weight"], cycle_ends=[9], has_momentum=True)
CONFIG = RunConfig(levels=1)


def checkpoint(epoch: int) -> Checkpoint:
    value = {"conv.weight": torch.full((3, 2), float(epoch)), "bn.count": torch.tensor(epoch)}
    return Checkpoint(1, epoch, value, {"conv.weight": value["conv.weight"]}, {}, {}, [{"threads": 1}], {})


def in_a_child_killed_at(k: int, work) -> int:
    """Run `work` in a forked process that is killed just before its k-th system call of a save; its exit status."""
    count = [0]

    def counted(call):
        def run(*args, **kwargs):
            count[0] += 1
            if count[0] == k:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return run

    def all_counted():
        for name in CALLS:
            setattr(files.os, name, counted(getattr(os, name)))
        work()

    return status(fork(all_counted))


def kill_at_every_call(work, check) -> int:
    """Kill `work` at each of its calls in turn and `check` after each; how many calls there are."""
    for k in range(1, 100):
        code = in_a_child_killed_at(k, work)
        check()
        if code == 0:
            return k - 1
        assert code == -signal.SIGKILL
    raise AssertionError("it never ended by itself")


def test_a_checkpoint_killed_at_any_system_call_leaves_the_old_or_the_new_one(tmp_path):
    folder = tmp_path / "checkpoints"
    checkpoints.save(folder, checkpoint(1), "hash", {})
    found = []

    def check():
        newest, notes = checkpoints.newest(folder, EXPECTED)
        assert newest.epoch in (1, 2) and notes == []
        assert float(newest.weights["conv.weight"][0, 0]) == newest.epoch == int(newest.weights["bn.count"])
        found.append(newest.epoch)

    calls = kill_at_every_call(lambda: checkpoints.save(folder, checkpoint(2), "hash", {}), check)
    assert calls >= 8 and found[0] == 1 and found[-1] == 2 and found == sorted(found), "old, then new, never neither"


@pytest.mark.parametrize("cleared", [False, True])
def test_the_first_checkpoint_of_a_level_killed_at_any_system_call_is_there_or_the_level_starts_anew(tmp_path, cleared):
    folder = tmp_path / "checkpoints"
    if cleared:  # a level ended before
        checkpoints.save(folder, dataclasses.replace(checkpoint(1), level=0), "hash", {})
        checkpoints.clear(folder, 0)
    found = []

    def check():
        newest, notes = checkpoints.newest(folder, EXPECTED)
        assert newest is not None or not list(folder.glob("*.safetensors")) and notes == []
        found.append(newest is not None)
        checkpoints.clear(folder, 1) if folder.exists() else None

    assert kill_at_every_call(lambda: checkpoints.save(folder, checkpoint(1), "hash", {}), check) >= 8
    assert not found[0] and found[-1]


def test_a_level_killed_at_any_system_call_is_whole_or_not_there(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    record = level_record(folder.run)
    tensors = {"weights.safetensors": {"w": torch.arange(4.0)}, "masks.safetensors": {"w": torch.ones(1)}}
    found = []

    def check():
        level = folder.level_record(0)
        if level is not None:
            assert torch.equal(folder.load_tensors(0, "weights.safetensors")["w"], torch.arange(4.0))
        found.append(level is not None)

    assert kill_at_every_call(lambda: folder.save_level(record, tensors), check) >= 12
    assert found[-1] and not found[0]


def test_what_a_killed_process_left_is_removed_by_the_next_that_holds_the_run(tmp_path):
    folder = RunFolder(tmp_path, CONFIG.name, 0)
    left = folder.path / "level-00" / ".weights.safetensors.1-2.tmp"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"torn")
    with folder.lease():
        assert not left.exists()


def test_a_save_syncs_the_file_renames_it_and_syncs_the_folder_in_that_order(tmp_path, monkeypatch):
    """Without any one of these a power cut may lose what was said to be on the disk."""
    done, kinds = [], {}
    real_open, real_fsync, real_replace = os.open, os.fsync, os.replace

    def spy_open(path, flags, *mode):
        descriptor = real_open(path, flags, *mode)
        kinds[descriptor] = "folder" if Path(path).is_dir() else "file"
        done.append(f"create {kinds[descriptor]} {bool(flags & os.O_EXCL)}")
        return descriptor

    def spy_fsync(descriptor):
        done.append(f"sync {kinds.get(descriptor, 'file')}")
        real_fsync(descriptor)

    def spy_replace(source, target):
        done.append("rename")
        real_replace(source, target)

    for name, spy in (("open", spy_open), ("fsync", spy_fsync), ("replace", spy_replace)):
        monkeypatch.setattr(files.os, name, spy)
    files.write_atomic(tmp_path / "file", b"data")
    assert done == ["create file True", "sync file", "rename", "create folder False", "sync folder"]


def test_the_log_before_a_checkpoint_is_on_the_disk_before_the_checkpoint(tmp_path, monkeypatch):
    folder, done = RunFolder(tmp_path, CONFIG.name, 0), []
    folder.path.mkdir(parents=True)
    (folder.path / "metrics.jsonl").write_text("{}\n")
    monkeypatch.setattr(files.os, "fsync", lambda descriptor: done.append("sync"))
    folder.sync_metrics()
    assert done == ["sync"]


@pytest.mark.parametrize("cut", range(1, 40))
def test_a_log_cut_at_any_byte_loses_its_torn_line_alone(tmp_path, cut):
    log = tmp_path / "log"
    for k in range(3):
        files.append_line(log, {"level": k, "text": "aä"})
    data = log.read_bytes()
    log.write_bytes(data[: len(data) - cut])
    whole = files.complete_lines(log)
    lines, size = data.splitlines(keepends=True), len(data) // 3
    assert whole == lines[: len(whole)] and len(whole) == 2 - (cut - 1) // size
    files.append_line(log, {"level": 9})
    again = lines[: len(whole) + 1] if (cut - 1) % size == 0 else whole  # where the newline alone was lost
    assert files.complete_lines(log) == [*again, b'{"level": 9}\n'], "and the next line stands by itself"


def test_a_file_size_limit_is_a_clear_error_and_leaves_the_checkpoint_before(tmp_path):
    """What a full disk does, from the system itself: a limit on the size of files."""
    import resource

    folder = tmp_path / "checkpoints"
    checkpoints.save(folder, checkpoint(1), "hash", {})

    def save_on_a_full_disk() -> int:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))
        try:
            checkpoints.save(folder, checkpoint(2), "hash", {})
        except files.StoreError as error:
            return 0 if "earlier complete results are unchanged" in str(error) else 2
        return 1

    assert status(fork(save_on_a_full_disk)) == 0
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [], "no leftovers"
    assert checkpoints.newest(folder, EXPECTED)[0].epoch == 1
    checkpoints.save(folder, checkpoint(2), "hash", {})
    assert checkpoints.newest(folder, EXPECTED)[0].epoch == 2, "once there is room"


@pytest.fixture
def forbidden():
    """A folder that anybody may read and nobody but root may write."""
    with tempfile.TemporaryDirectory() as parent:
        Path(parent).chmod(0o755)
        folder = Path(parent) / "results"
        folder.mkdir(mode=0o555)
        yield folder


def test_a_folder_that_may_not_be_written_is_refused_before_training(forbidden):
    def write_there() -> int:
        if os.getuid() == 0:  # nothing is forbidden to root
            os.setuid(65534)
        try:
            files.check_writable(forbidden)
        except files.StoreError as error:
            return 0 if "cannot write to folder" in str(error) and "choose another" in str(error) else 2
        return 1

    assert status(fork(write_there)) == 0
