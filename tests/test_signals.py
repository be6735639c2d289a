"""What the command line does when its whole process group is told to end, as batch systems and terminals do it."""

import os
import re
import signal
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.processes import PROC, Popen, children, finish, run, start
from tests.support.waiting import wait_for

pytestmark = pytest.mark.slow

COMMAND = [sys.executable, str(ROOT / "paper_repro.py"), "train", "--preset", "quick"]
# a step takes a good part of a second: whoever does not wait for the worker loses its epoch
SLOW = ["--arms", "lrr", "--model", "resnet8", "--width", "64", "--images-per-class", "100", "--batch-size", "500",
        "--epochs", "200", "--levels", "2", "--seeds", "0", "--workers", "1"]  # fmt: skip


def begun(folder: Path, *arguments: str) -> Popen:
    """The command at work: at least an epoch is done."""
    process = start([*COMMAND, *arguments], cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"})

    def epochs_done() -> bool:
        assert process.poll() is None, process.stderr.read()
        return any(path.read_bytes().count(b"\n") for path in folder.rglob("metrics.jsonl"))

    wait_for(epochs_done, "an epoch")
    return process


@pytest.mark.parametrize("number, code", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_to_the_whole_group_waits_for_the_worker_to_write_its_epoch(tmp_path, number, code):
    process = begun(tmp_path, *SLOW)
    os.killpg(process.pid, number)
    _, stderr = finish(process)
    assert process.returncode == code and "Traceback" not in stderr, stderr
    assert list(tmp_path.rglob("checkpoints/*.safetensors")), "the last epoch is on the disk"


@pytest.mark.skipif(not PROC, reason="processes are found in /proc")
def test_a_fork_server_that_ends_is_made_anew_and_the_run_goes_on(tmp_path):
    quick = ["--arms", "imp", "lrr", "--model", "resnet8", "--width", "4", "--images-per-class", "20"]
    quick += ["--batch-size", "32", "--epochs", "2", "--levels", "2", "--seeds", "0", "1", "--workers", "1"]
    process = begun(tmp_path, *quick)
    (server,) = [number for number, command in children(process.pid).items() if "forkserver" in command]
    os.kill(server, signal.SIGKILL)
    _, stderr = finish(process)
    assert "Traceback" not in stderr and "unexpected EOF" not in stderr, stderr
    run([*COMMAND, *quick], cwd=tmp_path, check=True)


@pytest.mark.parametrize("module", ["tyro", "empirics", "torch"])
def test_ctrl_c_while_modules_load_is_no_traceback(tmp_path, module):
    """Python says which modules it has loaded: one of `module`'s comes well after our first line, others follow it."""
    said = tmp_path / "stderr"
    with said.open("w") as file:
        process = start([sys.executable, "-X", "importtime", *COMMAND[1:], "--dry-run"], cwd=tmp_path, stderr=file)
    wait_for(lambda: re.search(rf"\| +{module}\b", said.read_text()) or process.poll() is not None, f"{module} loads")
    process.send_signal(signal.SIGINT)
    finish(process)
    assert process.returncode in (-signal.SIGINT, 130)
    assert "Traceback" not in said.read_text()
