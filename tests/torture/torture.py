"""The long tier of reliability, `make torture`: kills of runs and of the command, a soak, edited files, two baselines,
and the flow of random samples.

python -m tests.torture.torture [kills] [sweeps] [soak] [edits] [baselines] [flows] [--n N]
(without a name all; N: 200)

Children are forked from this process, in which torch is loaded once, with one thread.
"""

import argparse
import dataclasses
import io
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch

from empirics import doctor
from empirics.config import RunConfig
from empirics.data import datasets
from empirics.provenance import prepare
from empirics.runs import levels
from empirics.runs.context import RunSetup
from empirics.runs.resume import Interrupted
from empirics.storage.files import StoreError, complete_lines
from empirics.storage.run_folder import RunFolder
from empirics.studies import presets
from tests import ROOT
from tests.empirics.interrupted_runs import results_of
from tests.empirics.tiny_runs import arm, clip, setup_in
from tests.support.processes import DEVNULL, fork, start, status
from tests.torture import flows

SETTINGS = dict(levels=3, epochs=4, warmup_epochs=1)
# a rule of each kind: kept weights, the first epochs of the dense run again, several cycles a level, pruned at once
ARMS = ("lrr", "wr", "imp-long", "one-shot")
MEMORY = 64  # MB that a process of 200 resumes may grow: allocators keep what they were given


@dataclasses.dataclass(frozen=True)
class Subject:
    """A run to torture: where all that it builds on stands, what it gives undisturbed, and how long that takes."""

    setup: RunSetup
    config: RunConfig
    expected: dict
    seconds: float

    def fresh(self, results: Path) -> RunSetup:
        """The same lab with another results folder, in which only what the run builds on stands."""
        shutil.rmtree(results, ignore_errors=True)
        for run in {self.config.dense.name, self.config.mask_run} - {""}:
            shutil.copytree(self.setup.results / "runs" / run, results / "runs" / run)
        return dataclasses.replace(self.setup, results=results)

    def folder(self, setup: RunSetup) -> RunFolder:
        """Where the run is in a lab."""
        return RunFolder(setup.results, self.config.name, 0)


def subject(root: Path, name: str, epochs: int | None = None) -> Subject:
    """An arm with the runs that it builds on, trained undisturbed."""
    setup = dataclasses.replace(setup_in(root / "straight", clip(datasets.load("digits"))), checkpoint_epochs=1)
    settings = SETTINGS | ({"epochs": epochs} if epochs else {})
    for needed in presets.needed_arms([name]):
        config = arm(needed, **settings)
        levels.run(config.dense, 0, setup)
        started = time.perf_counter()
        levels.run(config, 0, setup)
        seconds = time.perf_counter() - started
    return Subject(setup, config, results_of(RunFolder(setup.results, config.name, 0)), seconds)


def kills(root: Path, n: int) -> dict[str, int]:
    """Kill runs of every kind at random moments, `n` times in all; whenever one ends, compare it and start anew."""
    found = {"kills": 0, "runs ended": 0, "epochs lost": 0, "lost": 0, "differing": 0}
    rng = random.Random(0)
    for number, name in enumerate(ARMS):
        one = subject(root / name, name)
        here, ended, until = one.fresh(root / name / "killed"), 0, n * (number + 1) // len(ARMS)
        while found["kills"] < until or not ended:
            before = _epochs(one.folder(here))
            child = fork(lambda here=here, one=one: levels.run(one.config, 0, here))
            time.sleep(rng.uniform(0, one.seconds / 2))
            os.kill(child, signal.SIGKILL)
            code = status(child)
            found["kills"] += code == -signal.SIGKILL
            if code == -signal.SIGKILL:
                # a kill may cost the epoch at work, and the one whose checkpoint was being written
                found["epochs lost"] += max(0, before - 1 - _epochs(one.folder(here)))
                continue
            found["runs ended"], ended = found["runs ended"] + 1, ended + 1
            found["lost"] += code != 0
            found["differing"] += code == 0 and results_of(one.folder(here)) != one.expected
            here = one.fresh(root / name / "killed")
    return found


def _epochs(folder: RunFolder) -> int:
    return len(complete_lines(folder.path / "metrics.jsonl"))


def sweeps(root: Path, n: int) -> dict[str, int]:
    """Kill the command itself, with its workers, `n` / 20 times; every result must be that of the undisturbed one."""
    words = [sys.executable, str(ROOT / "paper_repro.py"), "train", "--preset", "quick", "--arms"]
    words += ["imp", "lrr", "lrr-on-imp-mask", "--model", "resnet8", "--width", "4", "--epochs", "2", "--levels", "3"]
    words += ["--seeds", "0", "--workers", "2", "--checkpoint-epochs", "1"]
    run = lambda results: start([*words, "--results", str(results)], stdout=None, stderr=DEVNULL)  # noqa: E731
    started = time.perf_counter()
    assert run(root / "straight").wait() == 0
    seconds, rng, wanted = time.perf_counter() - started, random.Random(0), max(1, n // 20)
    found = {"kills": 0, "sweeps ended": 0, "lost": 0, "differing": 0}
    while found["kills"] < wanted or not found["sweeps ended"]:
        process = run(root / "killed")
        time.sleep(rng.uniform(seconds / 3, seconds))
        process.send_signal(signal.SIGKILL if found["kills"] % 2 else signal.SIGTERM)
        code = process.wait()
        # SIGTERM ends the process by itself while it starts or, its work done, while the interpreter shuts down
        if code in (-signal.SIGKILL, -signal.SIGTERM, 143):
            found["kills"] += 1
            continue
        found["sweeps ended"] += 1
        found["lost"] += process.returncode != 0
        found["differing"] += process.returncode == 0 and _every_result(root / "killed") != _every_result(
            root / "straight"
        )
        shutil.rmtree(root / "killed")
    return found


def _every_result(results: Path) -> dict:
    folders = sorted(results.glob("runs/*/seed-*"))
    found = {folder.parent.name: results_of(RunFolder(results, folder.parent.name, 0)) for folder in folders}
    return found | {file.name: file.read_bytes() for file in sorted(results.glob("[os]*/*.json"))}


def soak(root: Path, n: int) -> dict[str, int]:
    """Stop and resume a run `n` times in one process; growth of memory, descriptors and disk over the second half."""
    one = subject(root, "lrr", epochs=6)
    found, half = {"resumes": 0, "differing": 0}, {}
    here = one.fresh(root / "soaked")
    while found["resumes"] < n:
        steps = [0]

        def stop(steps: list[int] = steps) -> bool:
            steps[0] += 1
            return steps[0] > 7

        try:
            levels.run(one.config, 0, dataclasses.replace(here, stop=stop))
        except Interrupted:
            found["resumes"] += 1
        else:
            found["differing"] += results_of(one.folder(here)) != one.expected
            here = one.fresh(root / "soaked")
        if found["resumes"] == n // 2 and not half:
            half = _held(here.results)
    grown = {f"growth of {name}": value - half[name] for name, value in _held(here.results).items()}
    return found | grown | {"memory grown too much": int(grown["growth of memory (MB)"] > MEMORY)}


def _held(results: Path) -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = [path.stat().st_size for path in results.rglob("*") if path.is_file()]
    return {"memory (MB)": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
            "descriptors": len(os.listdir("/proc/self/fd")), "disk (MB)": sum(files) >> 20}  # fmt: skip


def edits(root: Path, n: int) -> dict[str, int]:
    """Edit every kind of file of a stopped run, `n` times in all; count edits that change what is read, unseen."""
    one = subject(root, "lrr", epochs=6)
    here, steps = one.fresh(root / "edited"), [0]

    def stop() -> bool:
        steps[0] += 1
        return steps[0] > 5 * 6 + 12  # level 1, and two epochs of level 2

    try:
        levels.run(one.config, 0, dataclasses.replace(here, stop=stop))
    except Interrupted:
        pass
    run, rng = one.folder(here), random.Random(0)
    logs = [run.path / "metrics.jsonl", run.path.parent / "config.json"]
    targets = [max(run.checkpoints.glob("*.safetensors")), *logs, *sorted(run.level_path(1).iterdir())]
    found = {"edits": 0, "said": 0, "refused": 0, "without effect": 0, "silent": 0}
    saved = root / "saved"
    shutil.copytree(run.path.parent, saved)
    for k in range(n):
        target = targets[k % len(targets)]
        target.write_bytes(_edited(target.read_bytes(), rng))
        found[_outcome(one, here)] += 1
        found["edits"] += 1
        shutil.rmtree(run.path.parent)
        shutil.copytree(saved, run.path.parent)
    return found


def _outcome(one: Subject, here: RunSetup) -> str:
    """What a reader makes of an edited folder, one epoch on: said, refused, without effect on anything, or silent."""
    steps = [0]

    def stop() -> bool:
        steps[0] += 1
        return steps[0] > 1

    try:
        levels.run(one.config, 0, dataclasses.replace(here, stop=stop, warn=lambda text: steps.append(text)))
    except Interrupted:
        pass
    except StoreError:
        return "refused"
    if len(steps) > 1 or any(finding.bad for finding in doctor.examine(here.results, here.results / "none")):
        return "said"
    levels.run(one.config, 0, here)
    return "without effect" if results_of(one.folder(here)) == one.expected else "silent"


def _edited(data: bytes, rng: random.Random) -> bytes:
    """One of: a flipped bit, a cut, zeros over a stretch, a stretch repeated."""
    at, size = rng.randrange(len(data)), rng.randrange(1, 4096)
    kind = rng.randrange(4)
    if kind == 0:
        return data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
    if kind == 1:
        return data[:at]
    if kind == 2:
        zeroed = data[:at] + bytes(len(data[at : at + size])) + data[at + size :]
        return zeroed if zeroed != data else data + b"\0"
    return data[:at] + data[at : at + size] + data[at:]


def baselines(root: Path, n: int) -> dict[str, int]:
    """What plain `torch.save` over itself and readers without a hash do, under the same kills and flips."""
    state = {f"layer {k}": torch.randn(256, 1024) for k in range(8)}
    file, rng = root / "state.pt", random.Random(0)
    torch.save(state, file)

    def save_for_ever() -> None:
        while True:
            torch.save(state, file)

    found = {"kills": 0, "corrupt after a kill": 0, "flips": 0, "silent in torch.load": 0, "silent in safetensors": 0}
    for _ in range(n):
        child = fork(save_for_ever)
        time.sleep(rng.uniform(0.01, 0.1))
        os.kill(child, signal.SIGKILL)
        status(child)
        found["kills"] += 1
        try:
            torch.load(file, weights_only=True)
        except Exception:  # whatever a torn file makes of it
            found["corrupt after a kill"] += 1
            torch.save(state, file)
    from safetensors.torch import load, save

    small = {"weights": torch.randn(64, 64)}
    buffer = io.BytesIO()
    torch.save(small, buffer)
    formats = {"torch.load": (buffer.getvalue(), lambda b: torch.load(io.BytesIO(b), weights_only=True)),
               "safetensors": (save(small), load)}  # fmt: skip
    for _ in range(n):
        found["flips"] += 1
        for name, (data, read) in formats.items():
            at = rng.randrange(len(data))
            flipped = data[:at] + bytes([data[at] ^ (1 << rng.randrange(8))]) + data[at + 1 :]
            try:
                read(flipped)
                found[f"silent in {name}"] += 1
            except Exception:  # whatever the reader makes of it
                pass
    return found


def samples(root: Path, n: int) -> dict[str, int]:
    """Follow the flow of 10 n random samples in every way; print those in which the ways disagree."""
    found, faults = flows.disagreements(range(10 * n))
    print(*faults, sep="\n")
    return {"samples": 10 * n, "solvers": len(flows.METHODS), **found}


PARTS = {"kills": kills, "sweeps": sweeps, "soak": soak, "edits": edits, "baselines": baselines, "flows": samples}
# counts that must be 0
FAULTS = (
    "lost",
    "differing",
    "faults",
    "silent",
    "growth of descriptors",
    "growth of disk (MB)",
    "memory grown too much",
)


def main(arguments: list[str]) -> int:
    """Run the parts that are named, or all; 1 where something was lost, differed or went unseen."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="default: all")
    parser.add_argument("--n", type=int, default=200)
    given = parser.parse_args(arguments)
    prepare("cpu", threads=1)
    failed = False
    for name in given.parts or PARTS:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            found = PARTS[name](Path(folder), 5 * given.n if name == "edits" else given.n)
        print(f"{name}: {', '.join(f'{k} {v}' for k, v in found.items())} ({time.perf_counter() - started:.0f} s)")
        failed |= any(found.get(fault) for fault in FAULTS)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
