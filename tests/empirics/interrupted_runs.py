"""Runs that stop where a test says so, and what of them must not depend on it."""

import hashlib
import json
import shutil

from empirics.storage.run_folder import RunFolder
from tests.support.records import of_any_run


def results_of(folder: RunFolder) -> dict:
    """What must not depend on interruptions: tensors bit for bit, metrics and records but for times."""
    files = sorted(folder.path.rglob("*.safetensors"))
    tensors = {
        path.relative_to(folder.path).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files
    }
    records = [of_any_run(json.loads(path.read_text())) for path in sorted(folder.path.rglob("level.json"))]
    lines = [of_any_run(json.loads(line)) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    return {"tensors": tensors, "records": records, "metrics": lines, "signs": of_any_run(folder.signs_record() or {})}


def begin(setup, straight, name: str):
    """A results folder in which only the dense run stands; the config of the run."""
    config = straight[1][name]
    dense = config.dense.name
    shutil.copytree(straight[0].results / "runs" / dense, setup.results / "runs" / dense, dirs_exist_ok=True)
    return config


def stopping_after(steps: int):
    """A `stop` that says yes at the given step of training, and ever after."""
    count = [0]

    def stop() -> bool:
        count[0] += 1
        return count[0] > steps

    return stop


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
