"""What the command line does when its whole process group is told to end, as batch systems and terminals do it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

COMMAND = [sys.executable, str(Path(__file__).parents[1] / "paper_repro.py"), "train", "--preset", "quick"]
# a step takes a good part of a second: whoever does not wait for the worker loses its epoch
SLOW = ["--arms", "lrr", "--model", "resnet8", "--width", "160", "--images-per-class", "100", "--batch-size", "500",
        "--epochs", "200", "--levels", "2", "--seeds", "0", "--workers", "1"]  # fmt: skip


def begun(folder: Path, *arguments: str) -> subprocess.Popen:
    """The command at work: at least an epoch is done."""
    process = subprocess.Popen(
        [*COMMAND, *arguments], cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    for _ in range(6000):
        if any(path.read_bytes().count(b"\n") for path in folder.rglob("metrics.jsonl")):
            return process
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    raise AssertionError("no epoch in a minute")


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_group_waits_for_the_worker_to_write_its_epoch(tmp_path, number, code):
    process = begun(tmp_path, *SLOW)
    os.killpg(process.pid, number)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == code and "Traceback" not in stderr, stderr
    assert list(tmp_path.rglob("checkpoints/*.safetensors")), "the last epoch is on the disk"


def children(parent: int) -> dict[int, str]:
    """Process number -> command line of the children of a process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) == parent:
                found[int(folder.name)] = (folder / "cmdline").read_text()
        except OSError:  # it has ended meanwhile
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are found in /proc")
def test_a_fork_server_that_ends_is_made_anew_and_the_run_goes_on(tmp_path):
    quick = ["--arms", "imp", "lrr", "--model", "resnet8", "--width", "4", "--images-per-class", "20"]
    quick += ["--batch-size", "32", "--epochs", "2", "--levels", "2", "--seeds", "0", "1", "--workers", "1"]
    process = begun(tmp_path, *quick)
    (server,) = [number for number, command in children(process.pid).items() if "forkserver" in command]
    os.kill(server, signal.SIGKILL)
    _, stderr = process.communicate(timeout=120)
    assert "Traceback" not in stderr and "unexpected EOF" not in stderr, stderr
    again = subprocess.run([*COMMAND, *quick], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert again.returncode == 0, again.stderr


@pytest.mark.parametrize("after", [0.1, 0.2, 0.4])
def test_ctrl_c_while_modules_load_is_no_traceback(tmp_path, after):
    process = subprocess.Popen([*COMMAND, "--dry-run"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    time.sleep(after)
    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "tyro" not in stderr and "empirics" not in stderr, (
        stderr
    )  # before our first line Python itself may print one
