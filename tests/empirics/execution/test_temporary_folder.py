"""Workers start whatever the temporary folder is called, and what is wrong with it is said."""

import os
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.processes import run

pytestmark = pytest.mark.slow

START = """
import multiprocessing, multiprocessing.util, os, tempfile
from empirics.execution import process_start
tempfile.gettempdir()
SETTING
try:
    process = multiprocessing.get_context("forkserver").Process(target=os.getpid)
    process_start.start_process(process)
    process.join()
    kept = multiprocessing.util.get_temp_dir()
    print(process.exitcode, tempfile.gettempdir(), os.path.dirname(kept))
except process_start.WorkerError as error:
    print(error)
"""


def started(temporary: str, setting: str = "") -> str:
    """Exit code of a worker, the temporary folder, and the one in which the fork server's is; or what is wrong."""
    code = START.replace("SETTING", setting)
    there = {**os.environ, "TMPDIR": temporary}
    return run([sys.executable, "-c", code], cwd=ROOT, env=there, check=True).stdout.strip()


@pytest.fixture
def folders(tmp_path_factory):
    """Temporary folders whose paths have exactly so many bytes."""

    def make(length: int) -> str:
        base = Path("/tmp") / f"t{os.getpid()}"
        folder = base / ("x" * (length - len(str(base)) - 1))
        folder.mkdir(parents=True)
        made.append(base)
        return str(folder)

    made: list[Path] = []
    yield make
    for base in made:
        for folder in base.iterdir():
            folder.rmdir()
        base.rmdir()


@pytest.mark.parametrize("length", [60, 71, 72, 100, 200])
def test_a_worker_starts_however_long_the_path_of_the_temporary_folder_is(length, folders):
    folder = folders(length)
    code, usual, of_server = started(folder).split()
    assert (code, usual) == ("0", folder), "what else is temporary is where the user wants it"
    assert of_server == (folder if length <= 71 else "/tmp")
    assert not list(Path(folder).iterdir()), "nothing is left"


def test_where_no_short_folder_can_be_written_the_variable_is_named(folders):
    said = started(folders(100), "process_start.SHORT_FOLDERS = ('/proc/nowhere', '/dev/null')")
    assert "no worker can be started" in said and "has 100 bytes" in said and "set TMPDIR to a shorter one" in said


def test_where_no_temporary_folder_can_be_written_the_variable_is_named():
    none = "def none():\n    raise FileNotFoundError\ntempfile.gettempdir = none"
    assert started("/tmp", none) == "no worker can be started: set TMPDIR to a folder that can be written to"


@pytest.mark.parametrize("number", ["ENOSPC", "EDQUOT", "EROFS"])
def test_where_the_disk_of_temporary_files_is_full_the_variable_is_named(number):
    full = f"""
import errno
def full(*_):
    raise OSError(errno.{number}, os.strerror(errno.{number}), tempfile.gettempdir() + "/x")
multiprocessing.util.get_temp_dir = full
from multiprocessing import forkserver
forkserver.util.get_temp_dir = full
"""
    said = started("/tmp", full)
    assert said.startswith("no worker can be started (") and "/tmp" not in said
    assert said.endswith("): free disk space for temporary files, or set TMPDIR to a folder on another disk")


GONE = "): the folder for temporary files was removed or closed meanwhile: set TMPDIR to one that stays and can be "


@pytest.mark.parametrize("length", [60, 71])
def test_a_temporary_folder_that_was_removed_since_it_was_chosen_is_named(length, folders):
    folder = folders(length)
    said = started(folder, f"os.rmdir({folder!r})")
    Path(folder).mkdir()
    assert said.startswith("no worker can be started (No such file or directory" + GONE) and folder not in said


def test_a_socket_that_was_removed_while_workers_ran_is_no_matter_of_their_number():
    cleaned = """
import shutil
process = multiprocessing.get_context("forkserver").Process(target=os.getpid)
process_start.start_process(process)
process.join()
for name in os.listdir(multiprocessing.util.get_temp_dir()):
    os.unlink(os.path.join(multiprocessing.util.get_temp_dir(), name))
"""
    assert GONE in started("/tmp", cleaned)


@pytest.mark.parametrize("number", ["EACCES", "EPERM", "ENOTDIR"])
def test_a_temporary_folder_that_was_closed_since_it_was_chosen_is_named(number):
    closed = f"""
import errno
from multiprocessing import forkserver
def closed(*_):
    raise OSError(errno.{number}, os.strerror(errno.{number}), tempfile.gettempdir() + "/x")
forkserver.util.get_temp_dir = closed
"""
    said = started("/tmp", closed)
    assert said.startswith("no worker can be started (") and GONE in said and "/tmp" not in said


@pytest.mark.parametrize("gone", ["chosen", "all"])
def test_where_nothing_can_be_recomputed_in_a_temporary_folder_the_variable_and_the_option_are_named(
    tmp_path, monkeypatch, capsys, gone
):
    import tempfile

    import paper_repro

    def none():
        raise FileNotFoundError(2, "No usable temporary directory found in ['/tmp']")

    if gone == "all":
        monkeypatch.setattr(tempfile, "gettempdir", none)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    assert paper_repro.main(["verify", "1", "--reference", "figures/reference/quick", "--dry-run"]) == 2
    said = capsys.readouterr().err
    assert "error: no temporary folder can be made" in said and "/tmp" not in said
    assert said.endswith("set TMPDIR to a folder that can be written to, or give --output-dir\n")
