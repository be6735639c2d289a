"""Several commands at one moment in one results folder: what each of them adds stays, and none waits for the dead."""

import fcntl
import os
import signal
import threading
from pathlib import Path

import pytest

from empirics.execution.processes import TaskEvent
from empirics.execution.tasks import Task
from empirics.storage import files as disk
from empirics.storage.data_files import replacing
from empirics.storage.files import StoreError, read_record, write_atomic
from empirics.storage.locks import locked
from empirics.storage.schemas import StudyRuns
from empirics.studies.records import (
    StudyRecords,
    count_overlaps,
    overlaps_file,
    study_file,
    study_now,
    theory_result_stands,
    write_study,
    write_theory_result,
)
from tests.empirics.closed_folders import closed, open_folder
from tests.empirics.tiny_runs import run_arms, setup_in
from tests.support import processes
from theory.results import Result, hashed_name, record_files

pytestmark = pytest.mark.slow

AT_ONCE = 6
RECORD = {
    "study": "quick-digits", "preset": "quick", "base": "quick", "overrides": {}, "dataset": "digits", "data_hash": "",
    "model": "resnet8", "width": 8, "dense_run": "dense-digits-resnet8-0000cafe", "levels": 3, "prune_rate": 0.5,
    "arms": {"imp": "imp-digits-resnet8-0000cafe"}, "seeds": [0], "command": "paper_repro.py train",
}  # fmt: skip


def at_one_moment(works) -> list[int]:
    """Do each of `works` in a process of its own, all beginning at once; their exit codes."""
    gate, opener = os.pipe()

    def waiting(work):
        def wait_and_work():
            os.close(opener)
            os.read(gate, 1)
            return work()

        return wait_and_work

    children = [processes.fork(waiting(work)) for work in works]
    os.close(gate)
    os.close(opener)
    return [processes.status(child) for child in children]


def adding(results: Path, number: int):
    """Add a seed of its own, and an arm."""
    record = {**RECORD, "seeds": [number], "arms": {**RECORD["arms"], f"arm-{number}": f"run-{number}"}}
    return lambda: write_study(results, record) and 0


def test_commands_that_write_a_studys_record_at_one_moment_lose_no_seed_and_no_arm(tmp_path):
    for round_ in range(8):
        results = tmp_path / str(round_)
        assert at_one_moment([adding(results, number) for number in range(AT_ONCE)]) == [0] * AT_ONCE
        found = read_record(study_file(results, "quick-digits"), StudyRuns)
        assert found["seeds"] == list(range(AT_ONCE))
        assert set(found["arms"]) == {"imp", *(f"arm-{number}" for number in range(AT_ONCE))}


def test_threads_of_one_process_lose_no_seed_either(tmp_path):
    threads = [threading.Thread(target=adding(tmp_path, number)) for number in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_record(study_file(tmp_path, "quick-digits"))["seeds"] == list(range(AT_ONCE))


def test_what_each_command_was_told_is_what_stood_when_it_wrote(tmp_path):
    write_study(tmp_path, {**RECORD, "seeds": [3, 5]})
    assert write_study(tmp_path, {**RECORD, "seeds": [4]})["seeds"] == [3, 4, 5]
    other = {**RECORD, "dense_run": "dense-digits-resnet8-0000beef", "seeds": [9]}
    assert write_study(tmp_path, other)["seeds"] == [9], "of another dense network: nothing of it is kept"


@pytest.mark.parametrize("when", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_holder_of_the_lock_leaves_none_behind(tmp_path, when):
    file = study_file(tmp_path, "quick-digits")
    write_study(tmp_path, RECORD)
    read, write = os.pipe()

    def hold():
        with locked(file):
            os.write(write, b"held")
            signal.pause()

    holder = processes.fork(hold)
    assert os.read(read, 4) == b"held"
    with pytest.raises(StoreError, match="another process has been writing quick-digits.json for 0 seconds"):
        with locked(file, seconds=0.01):
            pass
    os.kill(holder, when)
    assert processes.status(holder) == -when
    assert write_study(tmp_path, {**RECORD, "seeds": [7]})["seeds"] == [0, 7]
    os.close(read)
    os.close(write)


def _holder(file):
    """A process that holds a lock until it is ended; its number."""
    read, write = os.pipe()

    def hold():
        with locked(file):
            os.write(write, b"held")
            signal.pause()

    holder = processes.fork(hold)
    assert os.read(read, 4) == b"held"
    os.close(read)
    os.close(write)
    return holder


def test_who_waits_is_told_so_once_and_then_goes_on(tmp_path):
    holder = _holder(tmp_path / "x")
    told = []

    def on_wait():
        told.append("waits")
        os.kill(holder, signal.SIGKILL)

    with locked(tmp_path / "x", on_wait=on_wait):
        assert told == ["waits"]
    processes.status(holder)


def test_whoever_may_write_the_folder_may_hold_the_lock_that_another_has_made():
    with open_folder() as root:
        write_study(root, RECORD)
        (root / "studies").chmod(0o777)
        (root / "studies/.quick-digits.json.lock").unlink()
        write_study(root, {**RECORD, "seeds": [1]})
        with closed(root, mode=0o777):
            assert write_study(root, {**RECORD, "seeds": [2]})["seeds"] == [0, 1, 2]
        assert (root / "studies/.quick-digits.json.lock").stat().st_mode & 0o777 == 0o666
        (root / "x").mkdir(mode=0o700)
        with locked(root / "x/file"):
            assert (root / "x/.file.lock").stat().st_mode & 0o777 == 0o600


def test_a_lock_that_another_user_has_closed_is_named_with_what_to_do():
    with open_folder() as root:
        lock = root / ".x.json.lock"
        lock.touch(mode=0o600)
        with closed(root, mode=0o777), pytest.raises(StoreError) as error, locked(root / "x.json"):
            pass
    assert str(error.value).startswith(
        "cannot write x.json: its lock .x.json.lock belongs to another user (Permission denied)"
    )
    assert "delete it" in str(error.value)


def test_an_error_under_the_lock_lets_go_of_it(tmp_path):
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), locked(tmp_path / "x", seconds=0):
            raise ZeroDivisionError


@pytest.mark.parametrize("place", ["studies", "."])
def test_a_folder_that_cannot_be_written_keeps_its_clear_error(place):
    with open_folder() as root:
        write_study(root, RECORD)
        with closed(root / place, mode=0o555):
            assert write_study(root, RECORD)["seeds"] == [0], "nothing to write: no error"
            if place == "studies":
                with pytest.raises(StoreError, match="^cannot write quick-digits.json: Permission denied: correct the"):
                    write_study(root, {**RECORD, "seeds": [1]})
            with pytest.raises(StoreError, match="^cannot write x: Permission denied"), locked(root / place / "new/x"):
                pass
        with (
            closed(root / "studies"),
            pytest.raises(StoreError, match="cannot read quick-digits.json: Permission denied"),
        ):
            write_study(root, {**RECORD, "seeds": [1]})


def test_a_link_in_place_of_the_lock_is_not_followed(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".x.lock").symlink_to(victim)
    with pytest.raises(StoreError, match="cannot write x"), locked(tmp_path / "x"):
        pass
    assert victim.read_text() == "precious"


@pytest.mark.parametrize("gone", ["deleted", "renamed", "replaced"])
def test_a_lock_that_goes_away_while_it_is_acquired_is_acquired_anew(tmp_path, monkeypatch, gone):
    """Else two would hold: one the file that is gone, the other that of its name."""
    lock, flock, calls = tmp_path / ".x.lock", fcntl.flock, []

    def slow(descriptor, operation):
        calls.append(operation)
        if len(calls) == 1:  # it is open, and not yet locked
            lock.unlink() if gone == "deleted" else lock.rename(tmp_path / "elsewhere")
            if gone == "replaced":
                lock.touch()
        return flock(descriptor, operation)

    monkeypatch.setattr("fcntl.flock", slow)
    with locked(tmp_path / "x", seconds=1):
        other = processes.fork(lambda: os._exit(7 if _is_held(tmp_path / "x") else 0))
        assert processes.status(other) == 7, "nobody else may hold it"


def _is_held(file):
    try:
        with locked(file, seconds=0):
            return False
    except StoreError:
        return True


def test_a_lock_that_is_deleted_while_another_waits_for_it_keeps_out_a_third(tmp_path):
    holder = _holder(tmp_path / "x")

    def on_wait():
        (tmp_path / ".x.lock").unlink()
        os.kill(holder, signal.SIGKILL)

    with locked(tmp_path / "x", on_wait=on_wait):
        other = processes.fork(lambda: os._exit(7 if _is_held(tmp_path / "x") else 0))
        assert processes.status(other) == 7
    processes.status(holder)


@pytest.mark.parametrize("kind", ["folder", "link", "link to a folder"])
def test_what_is_in_place_of_a_lock_is_named_with_what_to_do(tmp_path, kind):
    (tmp_path / "elsewhere").mkdir()
    if kind == "folder":
        (tmp_path / ".x.lock").mkdir()
    else:
        (tmp_path / ".x.lock").symlink_to("gone" if kind == "link" else "elsewhere")
    message = rf"^cannot write x: its lock \.x\.lock is a {kind.split()[0]}, and must be a file \(.*\): remove it"
    with pytest.raises(StoreError, match=message), locked(tmp_path / "x"):
        pass


def test_a_file_system_without_locks_is_an_error_only_where_a_record_is_added_to(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(StoreError, match="cannot write x: Function not implemented"), locked(tmp_path / "x"):
        pass
    with locked(tmp_path / "x", needed=False):
        pass


def test_the_lock_is_no_record_and_no_problem(tmp_path):
    from empirics import doctor
    from figures.results.load import load

    write_study(tmp_path, RECORD)
    assert [path.name for path in (tmp_path / "studies").glob("*.json")] == ["quick-digits.json"]
    assert [finding.text for finding in doctor.examine(tmp_path, tmp_path / "none") if finding.bad] == []
    assert load(tmp_path).problems == ()


# --- overlaps -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_digits):
    """Results of imp and lrr, with two seeds."""
    setup = setup_in(tmp_path_factory.mktemp("one-moment"), tiny_digits)
    for seed in (0, 1):
        configs = run_arms(["imp", "lrr"], setup, seed, levels=2, epochs=1)
    arms = {name: config.name for name, config in configs.items()}
    return setup.results, {**RECORD, "arms": arms, "levels": 2, "dense_run": configs["imp"].dense.name}, configs


def test_overlaps_are_counted_over_what_other_commands_have_added_meanwhile(trained):
    results, record, configs = trained
    study_file(results, "quick-digits").unlink(missing_ok=True)
    tasks = {seed: Task(configs["imp"], seed, ()) for seed in (0, 1)}
    commands = {
        seed: StudyRecords([({**record, "seeds": [seed]}, {task.key})], results) for seed, task in tasks.items()
    }
    for seed in (0, 1):
        commands[seed].on_event(TaskEvent("started", tasks[seed]))
    for seed in (1, 0):  # the one that began first ends last
        commands[seed].on_event(TaskEvent("finished", tasks[seed]))
    found = read_record(overlaps_file(results, "quick-digits"))
    assert found["of_seeds"] == [0, 1] and {row["seed"] for row in found["pairs"]} == {0, 1}


def test_overlaps_counted_at_one_moment_are_whole(trained):
    results, record, _ = trained
    write_study(results, {**record, "seeds": [0, 1]})
    overlaps_file(results, "quick-digits").unlink(missing_ok=True)
    works = [lambda seed=seed: count_overlaps(results, {**record, "seeds": [seed]}) for seed in (0, 1, 0)]
    threads = [threading.Thread(target=work) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert read_record(overlaps_file(results, "quick-digits"))["of_seeds"] == [0, 1]


def test_the_record_of_a_stranger_leads_out_of_no_folder(trained):
    results, record, _ = trained
    file = study_file(results, "quick-digits")
    for odd in ({"arms": {"imp": "../../x"}}, {"seeds": [-1]}, {"seeds": ["0"]}, {"seeds": [10**260]}, {"levels": "2"}):
        file.write_bytes(disk.json_bytes(disk.with_checksum({**record, **odd})))
        assert study_now(results, {**record, "seeds": [0]}) == {**record, "seeds": [0]}


# --- results of the neuron, and other files -------------------------------------------------------------------------


def test_results_of_the_neuron_written_at_one_moment_are_of_one_process(tmp_path):
    import numpy as np

    name = hashed_name("x", {"d": 2})

    def writing(number):
        arrays = {"a": np.full(2000, float(number))}
        files = record_files("x", Result({"number": number}, arrays), {"d": 2}, float(number), {}, "x")
        return lambda: write_theory_result(tmp_path / str(round_), name, files)

    for round_ in range(6):
        assert at_one_moment([writing(number) for number in range(AT_ONCE)]) == [0] * AT_ONCE
        assert theory_result_stands(tmp_path / str(round_), name)


def test_processes_of_one_number_do_not_take_each_others_temporary_files(tmp_path, monkeypatch):
    """As in two containers, which number their processes alike."""
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr(threading, "get_ident", lambda: 1)
    monkeypatch.setattr(threading, "get_native_id", lambda: 1)
    with replacing(tmp_path / "x") as one:
        one.write_text("one")
        with replacing(tmp_path / "x") as other:
            other.write_text("other")
        assert one.read_text() == "one" and (tmp_path / "x").read_text() == "other"
    assert (tmp_path / "x").read_text() == "one"

    replace, calls = os.replace, []

    def another_comes_first(source, target):
        if not calls:
            calls.append(source)
            write_atomic(Path(target), b"other")
            assert Path(source).read_bytes() == b"mine"
        replace(source, target)

    monkeypatch.setattr(os, "replace", another_comes_first)
    write_atomic(tmp_path / "y", b"mine")
    assert (tmp_path / "y").read_bytes() == b"mine" and sorted(os.listdir(tmp_path)) == ["x", "y"]
