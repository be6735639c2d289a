"""Run folders: the files of one run and seed.

    results/runs/<run>/config.json
    results/runs/<run>/seed-<s>/metrics.jsonl, signs.json
    results/runs/<run>/seed-<s>/level-<kk>/level.json, masks.safetensors, signs.safetensors, weights.safetensors
    results/runs/<run>/seed-<s>/checkpoints/   (see `empirics.storage.checkpoints`)

`level.json` is written last and holds the SHA-256 of the other files of its folder: a level exists if all of them
match. Files are written atomically, so a level that was complete before a kill is complete after it. torch is imported
only to read tensors.
"""

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics import names
from empirics.config import SCHEMA, RunConfig
from empirics.storage import environments, folders, layout, schemas
from empirics.storage.data_files import is_temporary
from empirics.storage.files import (
    StoreError,
    append_line,
    check_writable,
    complete_lines,
    first_difference,
    json_bytes,
    names_in,
    read_checked,
    read_object,
    read_record,
    refuse_links,
    refuse_other_schema,
    remove,
    sha256,
    sync_file,
    tensor_bytes,
    tensors_in,
    with_checksum,
    write_atomic,
)
from empirics.storage.locks import leased

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

__all__ = [
    "RunFolder",
    "StoreError",
    "check_writable",
    "json_bytes",
    "write_atomic",
]

WEIGHT_TENSORS = "weights.safetensors"
MASK_TENSORS = "masks.safetensors"
SIGN_TENSORS = "signs.safetensors"
INITIAL_TENSORS = "initial.safetensors"


@dataclasses.dataclass(frozen=True)
class RunFolder:
    """The folder of one run and seed, `results/runs/<run>/seed-<s>`.

    Args:
        results: the results folder.
        run: the run's name.
        seed: at least 0.
    """

    results: Path
    run: str
    seed: int

    @property
    def path(self) -> Path:
        """The folder of the levels, metrics and sign statistics of this seed."""
        return self.results / "runs" / self.run / names.seed_folder(self.seed)

    def level_path(self, level: int) -> Path:
        """`.../level-<kk>`."""
        return self.path / names.level_folder(level)

    def levels_there(self) -> list[int]:
        """The levels that have a folder, complete or not, sorted.

        Raises:
            StoreError: the folder of the run cannot be listed.
        """
        return sorted(level for level in map(names.level_of, names_in(self.path)) if level is not None)

    def refuse_wrong(self) -> None:
        """Refuse a file or folder of the wrong kind in this run, see `empirics.storage.layout`.

        Raises:
            StoreError: names it.
        """
        layout.refuse_wrong_run(self.results, self.run, self.seed)

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """Lock this run and seed for this process; the system releases the lock when the process ends.

        Raises:
            StoreError: another process holds the lock, or the folder contains a symbolic link, a pipe or the like.
        """
        self.refuse_wrong()
        refuse_links(self.path.parent)
        with leased(self.path, f"run {self.run}, seed {self.seed}"):
            for left in list(folders.walk(self.path)):  # files of killed processes: no other process writes here now
                if is_temporary(left.name):
                    remove(Path(left.path))
            yield

    def write_config(self, config: RunConfig) -> None:
        """Write `config.json`, unless it exists.

        Raises:
            StoreError: it exists and has other settings.
        """
        dense = None if config.is_dense else config.dense.name
        record = {
            "schema": SCHEMA,
            "kind": "run",
            "run": config.name,
            "arm": config.arm,
            "config": config.record(),
            "dense_run": dense,
            "mask_run": config.mask_run or None,
        }
        file = self.path.parent / "config.json"
        if not file.exists():
            write_atomic(file, json_bytes(record))
        elif (edited := _difference(file, json.loads(json_bytes(record)))) is not None:
            raise StoreError(
                f"config.json of run {self.run} does not match the run's name: {edited}: delete it or the run"
            )

    @property
    def has_config(self) -> bool:
        """Whether `config.json` exists, in whatever state; without it the run is not read."""
        return os.path.lexists(self.path.parent / layout.CONFIG_FILE)

    def level_record(self, level: int, verify: bool = True) -> dict[str, Any] | None:
        """The record `level.json` of a level, or None if the level does not exist or is not valid.

        A level is valid if its record is of this run, every file in its folder matches its hash, and no level that it
        depends on has changed since.

        Args:
            level: number of the level.
            verify: whether to check the other files and the dependencies; otherwise only `level.json` is checked.

        Raises:
            StoreError: a file exists and cannot be read, so that it is unknown whether the level is valid.
        """
        try:
            record = read_record(self.level_path(level) / "level.json", schemas.Level)
        except StoreError as error:
            raise StoreError(f"level {level} of run {self.run}, seed {self.seed}: {error}") from error
        if record is None or (record["run"], record["seed"], record["level"]) != (self.run, self.seed, level):
            return None
        if verify and not (self._files_match(record) and self.dependencies_unchanged(record["depends_on"])):
            return None
        return record

    def _files_match(self, record: Mapping[str, Any]) -> bool:
        """Whether the files of a level match the hashes in its record."""
        level = record["level"]
        try:
            return all(sha256(self.level_path(level) / file) == digest for file, digest in record["files"].items())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            where = f"level {level} of run {self.run}, seed {self.seed}"
            closed = isinstance(error, PermissionError)
            todo = "correct the permissions of its files" if closed else "repair the folder, or delete the level"
            raise StoreError(f"cannot read {where}: {error.strerror}: {todo}") from error

    def dependencies_unchanged(self, depends_on: Mapping[str, str]) -> bool:
        """Whether every level in `depends_on` (named by `level_id`) still has the same content.

        Missing levels are ignored.
        """
        now = {}
        for name in depends_on:
            run, level = names.parse_level_id(name)
            record = RunFolder(self.results, run, self.seed).level_record(level, verify=False)
            if record is not None:
                now[name] = environments.content(record)
        return environments.dependencies_unchanged(depends_on, now)

    def level_id(self, level: int) -> str:
        """The name of a level in `depends_on`."""
        return names.level_id(self.run, level)

    def next_level(self, config: RunConfig) -> int | None:
        """The first level still to train; None if the run has ended (last level complete, or diverged)."""
        return self._progress(config)[0]

    def is_complete(self, config: RunConfig) -> bool:
        """Whether this run and seed is completely trained."""
        level, diverged = self._progress(config)
        return level is None and (diverged or not config.has_sign_statistics or self.signs_record() is not None)

    def _progress(self, config: RunConfig) -> tuple[int | None, bool]:
        """The first level still to train, and whether the run diverged before it."""
        for level in config.trained_levels:
            record = self.level_record(level)
            if record is None:
                return level, False
            if record["status"] == "diverged":
                return None, True
        return None, False

    def diverged_at(self) -> int | None:
        """The level at which the run diverged, or None.

        Raises:
            StoreError: the folder of the run cannot be listed, or a record in it cannot be read.
        """
        for level in self.levels_there():
            record = self.level_record(level, verify=False)
            if record is not None and record["status"] == "diverged":
                return level
        return None

    def signs_record(self) -> dict[str, Any] | None:
        """The record `signs.json`, or None if it does not exist or is not valid for this run."""
        record = read_record(self.path / "signs.json", schemas.Signs)
        return record if record and (record["run"], record["seed"]) == (self.run, self.seed) else None

    def save_level(self, record: Mapping[str, Any], tensors: Mapping[str, Mapping[str, "Tensor | np.ndarray"]]) -> None:
        """Write a level: its tensor files, then `level.json` with their hashes.

        Existing sign statistics of the run are removed.

        Raises:
            StoreError: the disk is full, or the folder cannot be written.
        """
        remove(self.path / "signs.json")
        folder = self.level_path(record["level"])
        shutil.rmtree(folder, ignore_errors=True)
        files = {file: tensor_bytes(content) for file, content in tensors.items()}
        for file, data in files.items():
            write_atomic(folder / file, data)
        hashes = {file: hashlib.sha256(data).hexdigest() for file, data in files.items()}
        write_atomic(folder / "level.json", json_bytes(with_checksum({**record, "files": hashes})))

    def save_signs(self, record: Mapping[str, Any]) -> None:
        """Write `signs.json`."""
        write_atomic(self.path / "signs.json", json_bytes(with_checksum(record)))

    def load_tensors(self, level: int, file: str) -> dict[str, "Tensor"]:
        """The tensors of one file of a level, after a check of its hash.

        Raises:
            StoreError: the level is missing, diverged or damaged.
        """
        record = self.level_record(level, verify=False)
        if record is None or file not in record["files"]:
            state = "is missing or damaged" if record is None else f"holds no {file} (status {record['status']})"
            raise StoreError(f"level {level} of run {self.run}, seed {self.seed}, {state}: train that run first")
        try:
            return tensors_in(read_checked(self.level_path(level) / file, record["files"][file]), file)
        except StoreError as error:
            where = f"level {level} of run {self.run}, seed {self.seed}"
            raise StoreError(f"{where}, is missing or damaged: train that run first ({error})") from None

    def start_metrics(self, level: int, done: int = 0) -> list[dict[str, Any]]:
        """Remove the lines of `level` from epoch `done` on from `metrics.jsonl`, and incomplete lines.

        The level is trained from that epoch.

        Returns:
            The remaining lines of the level.
        """
        file = self.path / "metrics.jsonl"
        kept = []
        mine = []
        for line in complete_lines(file):
            record = json.loads(line)
            if record.get("level") != level:
                kept.append(line)
            elif type(record.get("epoch")) is int and record["epoch"] < done:
                kept.append(line)
                mine.append(record)
        write_atomic(file, b"".join(kept))
        return mine

    def last_epoch(self, level: int) -> int:
        """The number of the last epoch of a level that has a line in `metrics.jsonl`, from 1; 0 if none has."""
        lines = [json.loads(line) for line in complete_lines(self.path / "metrics.jsonl")]
        epochs = [line.get("epoch") for line in lines if line.get("level") == level]
        return max((epoch + 1 for epoch in epochs if type(epoch) is int), default=0)

    def metrics_hash(self, level: int) -> str:
        """SHA-256 over the complete lines of a level in `metrics.jsonl`, in their order."""
        lines = complete_lines(self.path / "metrics.jsonl")
        return hashlib.sha256(b"".join(line for line in lines if json.loads(line).get("level") == level)).hexdigest()

    def has_torn_metrics(self) -> bool:
        """Whether `metrics.jsonl` contains an incomplete line."""
        file = self.path / "metrics.jsonl"
        lines = complete_lines(file)
        return file.exists() and file.stat().st_size != sum(map(len, lines))

    def append_metrics(self, metrics: Any) -> None:
        """Append one line to `metrics.jsonl`."""
        append_line(self.path / "metrics.jsonl", dataclasses.asdict(metrics))

    def sync_metrics(self) -> None:
        """Flush `metrics.jsonl` to the disk."""
        sync_file(self.path / "metrics.jsonl")

    @property
    def checkpoints(self) -> Path:
        """The folder of the checkpoints within a level."""
        return self.path / "checkpoints"


def _difference(file: Path, expected: Mapping[str, Any]) -> str | None:
    """The first setting in which a stored config differs from the one that the run's name is made from.

    Raises:
        StoreError: it has the schema of another version.
    """
    try:
        found = read_object(file) or {}
    except StoreError:
        found = {}
    if found == expected:
        return None
    refuse_other_schema(found, file.name)
    config = found.get("config")
    odd = first_difference(config, expected["config"]) if isinstance(config, dict) else None
    return odd or "it is not a valid config"


def disk_bytes(shapes: Mapping[str, Sequence[int]], prunable: Sequence[str]) -> int:
    """The disk space of one level in bytes.

    Weights are float32; the mask and the two sets of signs take one bit per prunable weight each.
    """
    size = {name: int(_product(shape)) for name, shape in shapes.items()}
    return 4 * sum(size.values()) + 3 * sum(size[name] for name in prunable) // 8 + 8192


def _product(shape: Sequence[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product
