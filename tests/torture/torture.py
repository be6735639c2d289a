"""The long tier of reliability, `make torture`: random kills, a soak of resumes, edited files, and two baselines.

python tests/torture/torture.py [kills] [soak] [edits] [baselines] [--n N]     all of them without a name; N: 200

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
from collections.abc import Callable
from pathlib import Path

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1] / "empirics")]

import json

import torch
from tiny_runs import arm, clip, lab_in

from empirics import checkpoints, datasets, levels
from empirics.config import RunConfig, config_hash
from empirics.disk import StoreError
from empirics.resume import Interrupted
from empirics.runtime import prepare
from empirics.store import RunFolder
from empirics.trial import Lab

SETTINGS = dict(levels=3, epochs=6)


def results_of(folder: RunFolder) -> dict:
    """What must not depend on kills: tensors bit for bit; metrics and records but for times."""
    volatile = {"seal", "seconds", "images_per_s", "provenance", "files"}
    strip = lambda record: {name: value for name, value in record.items() if name not in volatile}  # noqa: E731
    levels_ = sorted(folder.path.glob("level-*/*.safetensors"))
    return {
        "tensors": {path.relative_to(folder.path).as_posix(): path.read_bytes() for path in levels_},
        "records": [strip(json.loads(path.read_text())) for path in sorted(folder.path.glob("level-*/level.json"))],
        "metrics": [strip(json.loads(line)) for line in (folder.path / "metrics.jsonl").read_text().splitlines()],
        "signs": strip(folder.signs_record() or {}),
    }


def prepared(root: Path) -> tuple[Lab, RunConfig, dict, float]:
    """A lab with its dense run, a run to torture, what it gives undisturbed, and how long that takes."""
    lab = dataclasses.replace(lab_in(root / "straight", clip(datasets.load("digits"))), checkpoint_epochs=1)
    config = arm("lrr", **SETTINGS)
    levels.run(config.dense, 0, lab)
    started = time.perf_counter()
    levels.run(config, 0, lab)
    seconds = time.perf_counter() - started
    return lab, config, results_of(RunFolder(lab.results, config.name, 0)), seconds


def fresh(lab: Lab, config: RunConfig, results: Path) -> Lab:
    """The same lab with another results folder, in which only the dense run stands."""
    shutil.rmtree(results, ignore_errors=True)
    shutil.copytree(lab.results / "runs" / config.dense.name, results / "runs" / config.dense.name)
    return dataclasses.replace(lab, results=results)


def forked(work: Callable[[], object]) -> int:
    """A child that does `work` and ends."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        except Exception as error:  # what a child says is read by a person
            print(f"  child: {type(error).__name__}: {error}", file=sys.stderr)
        os._exit(code)
    return child


def kills(root: Path, n: int) -> dict[str, int]:
    """Kill a run at random moments until it has been killed `n` times; whenever it ends, compare it and start anew."""
    lab, config, expected, seconds = prepared(root)
    rng, here = random.Random(0), fresh(lab, config, root / "killed")
    found = {"kills": 0, "runs ended": 0, "lost": 0, "differing": 0}
    while found["kills"] < n:
        child = forked(lambda here=here: levels.run(config, 0, here))
        time.sleep(rng.uniform(0, seconds / 2))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        found["kills"] += status == signal.SIGKILL
        if status == signal.SIGKILL:
            continue
        found["runs ended"] += 1
        found["lost"] += os.waitstatus_to_exitcode(status) != 0
        found["differing"] += status == 0 and results_of(RunFolder(here.results, config.name, 0)) != expected
        here = fresh(lab, config, root / "killed")
    return found


def soak(root: Path, n: int) -> dict[str, int]:
    """Stop and resume a run `n` times in one process; growth of memory, descriptors and disk over the second half."""
    lab, config, expected, _ = prepared(root)
    found, half = {"resumes": 0, "differing": 0}, {}
    here = fresh(lab, config, root / "soaked")
    while found["resumes"] < n:
        steps = [0]

        def stop(steps: list[int] = steps) -> bool:
            steps[0] += 1
            return steps[0] > 7

        try:
            levels.run(config, 0, dataclasses.replace(here, stop=stop))
        except Interrupted:
            found["resumes"] += 1
        else:
            found["differing"] += results_of(RunFolder(here.results, config.name, 0)) != expected
            here = fresh(lab, config, root / "soaked")
        if found["resumes"] == n // 2 and not half:
            half = _held(here.results)
    return found | {f"growth of {name}": value - half[name] for name, value in _held(here.results).items()}


def _held(results: Path) -> dict[str, int]:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    files = [path.stat().st_size for path in results.rglob("*") if path.is_file()]
    return {"memory (MB)": pages * os.sysconf("SC_PAGE_SIZE") >> 20,
            "descriptors": len(os.listdir("/proc/self/fd")), "disk (MB)": sum(files) >> 20}  # fmt: skip


def edits(root: Path, n: int) -> dict[str, int]:
    """Edit the newest of two checkpoints `n` times, everywhere in it; count edits that go unseen."""
    lab, config, _, _ = prepared(root)
    here, steps = fresh(lab, config, root / "edited"), [0]

    def stop() -> bool:
        steps[0] += 1
        return steps[0] > 12

    try:
        levels.run(config, 0, dataclasses.replace(here, stop=stop))
    except Interrupted:
        pass
    folder = RunFolder(here.results, config.name, 0).checkpoints
    network = levels.new_trial(config, 0, here).model.state_dict()
    newest = max(folder.glob("*.safetensors"))
    whole, rng = newest.read_bytes(), random.Random(0)
    found = {"edits": 0, "fell back": 0, "refused": 0, "silent": 0}
    for _ in range(n):
        newest.write_bytes(_edited(whole, rng))
        try:
            taken, remarks = checkpoints.newest(folder, 1, config_hash(config), network)
            found["fell back" if remarks and taken.epoch == 1 else "silent"] += 1
        except StoreError:
            found["refused"] += 1
        found["edits"] += 1
    newest.write_bytes(whole)
    return found


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
        child = forked(save_for_ever)
        time.sleep(rng.uniform(0.01, 0.1))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
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


PARTS = {"kills": kills, "soak": soak, "edits": edits, "baselines": baselines}
# counts that must be 0
FAULTS = ("lost", "differing", "silent", "growth of descriptors", "growth of disk (MB)")


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
