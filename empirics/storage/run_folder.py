"""Run folders: the only place of this package that touches disk.

    results/runs/<run>/config.json
    results/runs/<run>/seed-<s>/metrics.jsonl, signs.json
    results/runs/<run>/seed-<s>/level-<kk>/level.json, masks.safetensors, signs.safetensors, weights.safetensors
    results/runs/<run>/seed-<s>/checkpoints/   (see `empirics.storage.checkpoints`)

`level.json` is written last and holds the SHA-256 of its neighbours: a level exists when all of them match. Nothing is
ever half-written, so whatever was complete before a kill is complete after it. torch is imported only to read tensors.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics import names
from empirics.config import SCHEMA, RunConfig
from empirics.storage import environments, folders, layout
from empirics.storage.data_files import is_temporary
from empirics.storage.files import (
    StoreError,
    append_line,
    check_writable,
    complete_lines,
    first_difference,
    json_bytes,
    make_folder,
    matches_schema,
    names_in,
    read_checked,
    read_limited,
    read_record,
    refuse_links,
    refuse_other_schema,
    remove,
    sha256,
    sync_file,
    tensor_bytes,
    with_checksum,
    write_atomic,
)

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

WEIGHT_TENSORS, MASK_TENSORS, SIGN_TENSORS, INITIAL_TENSORS = (
    "weights.safetensors",
    "masks.safetensors",
    "signs.safetensors",
    "initial.safetensors",
)


LEASE_SECONDS = 5


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
        """Where the levels, metrics and sign statistics of this seed are."""
        return self.results / "runs" / self.run / names.seed_folder(self.seed)

    def level_path(self, level: int) -> Path:
        """`.../level-<kk>`."""
        return self.path / names.level_folder(level)

    def levels_there(self) -> list[int]:
        """The levels that have a folder, whole or not, in their order.

        Raises:
            StoreError: the folder of the run may not be listed.
        """
        return sorted(level for level in map(names.level_of, names_in(self.path)) if level is not None)

    def refuse_wrong(self) -> None:
        """Refuse a pipe, a file or a folder in place of something else of ours, see `empirics.storage.layout`.

        Raises:
            StoreError: naming it.
        """
        layout.refuse_wrong_run(self.results, self.run, self.seed)

    @contextlib.contextmanager
    def lease(self) -> Iterator[None]:
        """Hold this run and seed for this process; the system lets go of it when the process ends, however it ends.

        Raises:
            StoreError: another process holds it, or something in the folder is a symbolic link, or a pipe or the like.
        """
        self.refuse_wrong()
        refuse_links(self.path.parent)
        try:
            make_folder(self.path)
            descriptor = os.open(self.path / ".lease", os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o666)
        except OSError as error:
            raise StoreError(f"cannot hold run {self.run}, seed {self.seed}: {error.strerror}") from None
        with os.fdopen(descriptor, "a+") as file:
            for attempt in range(LEASE_SECONDS * 10 + 1):
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if attempt == LEASE_SECONDS * 10:
                        file.seek(0)
                        owner = file.read().strip() or "another process"
                        raise StoreError(f"run {self.run}, seed {self.seed}, is being trained by {owner}") from None
                    time.sleep(0.1)  # the owner may be a worker that is just ending
                except OSError as error:
                    raise StoreError(f"this file system cannot hold a run for one process: {error.strerror}") from None
            with contextlib.suppress(OSError):  # a full disk may keep the owner's name from being read, not the lease
                file.truncate(0)
                file.write(f"process {os.getpid()}")
                file.flush()
            for left in list(folders.walk(self.path)):  # by a process that was killed: nobody else writes here now
                if is_temporary(left.name):
                    remove(Path(left.path))
            yield

    def write_config(self, config: RunConfig) -> None:
        """`config.json`, unless it stands already.

        Raises:
            StoreError: it stands and says something else.
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
            raise StoreError(f"config.json of run {self.run} is not that of its name: {edited}: delete it or the run")

    @property
    def has_config(self) -> bool:
        """Whether something has the place of `config.json`, without which nobody reads the run."""
        return os.path.lexists(self.path.parent / layout.CONFIG_FILE)

    def level_record(self, level: int, verify: bool = True) -> dict[str, Any] | None:
        """`level.json` if the level stands: present, of this run, every file beside it matching its hash.

        A level does not stand either where one that it depends on has been retrained since, to other bits.

        Args:
            level: its number.
            verify: whether the files beside it and what it depends on are looked at; else `level.json` alone.

        Raises:
            StoreError: a file is there and cannot be read: whether the level stands is not known.
        """
        try:
            record = read_record(self.level_path(level) / "level.json", _LEVEL)
        except StoreError as error:
            raise StoreError(f"level {level} of run {self.run}, seed {self.seed}: {error}") from error
        if record is None or (record["run"], record["seed"], record["level"]) != (self.run, self.seed, level):
            return None
        if not _is_level(record):
            return None
        return (
            record
            if not verify or self._files_match(record) and self.dependencies_unchanged(record["depends_on"])
            else None
        )

    def _files_match(self, record: Mapping[str, Any]) -> bool:
        """Whether the files of a level are those that its record names, by their hashes."""
        level = record["level"]
        try:
            return all(sha256(self.level_path(level) / file) == digest for file, digest in record["files"].items())
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            where = f"level {level} of run {self.run}, seed {self.seed}"
            closed = isinstance(error, PermissionError)
            todo = "mend the rights of its files" if closed else "mend the folder, or delete the level"
            raise StoreError(f"cannot read {where}: {error.strerror}: {todo}") from error

    def dependencies_unchanged(self, depends_on: Mapping[str, str]) -> bool:
        """Whether no level in `depends_on` (named by `level_id`) holds other bits now; an absent one says nothing."""
        for name, expected in depends_on.items():
            run, level = names.parse_level_id(name)
            record = RunFolder(self.results, run, self.seed).level_record(level, verify=False)
            if record is not None and environments.content(record) != expected:
                return False
        return True

    def level_id(self, level: int) -> str:
        """How `depends_on` names a level."""
        return names.level_id(self.run, level)

    def next_level(self, config: RunConfig) -> int | None:
        """The first level still to train; None when the run is over (its last level whole, or diverged)."""
        return self._progress(config)[0]

    def is_complete(self, config: RunConfig) -> bool:
        """Whether nothing is left to train for this run and seed."""
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
            StoreError: the folder of the run may not be listed, or a record in it not read.
        """
        for level in self.levels_there():
            record = self.level_record(level, verify=False)
            if record is not None and record["status"] == "diverged":
                return level
        return None

    def signs_record(self) -> dict[str, Any] | None:
        """`signs.json`, if it stands and is of this run."""
        record = read_record(self.path / "signs.json", {"run": str, "seed": int, "layers": dict})
        return record if record and (record["run"], record["seed"]) == (self.run, self.seed) else None

    def save_level(self, record: Mapping[str, Any], tensors: Mapping[str, Mapping[str, "Tensor | np.ndarray"]]) -> None:
        """Write a level: its tensor files, then `level.json` with their hashes. Sign statistics of before are removed.

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
        """The tensors of one file of a level, its hash checked.

        Raises:
            StoreError: the level is missing, diverged or damaged.
        """
        record = self.level_record(level, verify=False)
        if record is None or file not in record["files"]:
            state = "is missing or damaged" if record is None else f"holds no {file} (status {record['status']})"
            raise StoreError(f"level {level} of run {self.run}, seed {self.seed}, {state}: train that run first")
        try:
            return read_checked(self.level_path(level) / file, record["files"][file])
        except StoreError as error:
            where = f"level {level} of run {self.run}, seed {self.seed}"
            raise StoreError(f"{where}, is missing or damaged: train that run first ({error})") from None

    def start_metrics(self, level: int, done: int = 0) -> list[dict[str, Any]]:
        """Drop what `metrics.jsonl` says of `level` from epoch `done` on, and a torn line: it is trained from there.

        Returns:
            The lines of the level that stay.
        """
        file, kept, mine = self.path / "metrics.jsonl", [], []
        for line in complete_lines(file):
            record = json.loads(line)
            if record.get("level") != level:
                kept.append(line)
            elif type(record.get("epoch")) is int and record["epoch"] < done:
                kept.append(line)
                mine.append(record)
        write_atomic(file, b"".join(kept))
        return mine

    def metrics_hash(self, level: int) -> str:
        """SHA-256 over the whole lines of `metrics.jsonl` about a level, as they stand there."""
        lines = complete_lines(self.path / "metrics.jsonl")
        return hashlib.sha256(b"".join(line for line in lines if json.loads(line).get("level") == level)).hexdigest()

    def has_torn_metrics(self) -> bool:
        """Whether `metrics.jsonl` holds anything but whole lines."""
        file = self.path / "metrics.jsonl"
        lines = complete_lines(file)
        return file.exists() and file.stat().st_size != sum(map(len, lines))

    def append_metrics(self, metrics: Any) -> None:
        """One line of `metrics.jsonl`."""
        append_line(self.path / "metrics.jsonl", dataclasses.asdict(metrics), sync=False)

    def sync_metrics(self) -> None:
        """Have every line of `metrics.jsonl` on the disk."""
        sync_file(self.path / "metrics.jsonl")

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints within a level are."""
        return self.path / "checkpoints"


_LEVEL: dict[str, type | tuple[type, ...]] = {
    "run": str,
    "seed": int,
    "level": int,
    "status": str,
    "files": dict,
    "layers": dict,
    "environments": list,
    "depends_on": dict,
    "provenance": dict,
}


def _is_level(record: Mapping[str, Any]) -> bool:
    """Whether the inside of a level's record is what readers count on: names that are plain, values of their types."""
    files = all(re.fullmatch(r"[a-z]+\.safetensors", n) and type(v) is str for n, v in record["files"].items())
    places = all(names.parse_level_id(n) is not None and type(v) is str for n, v in record["depends_on"].items())
    layers = all(type(layer) is dict and matches_schema(layer, {"n_kept": int}) for layer in record["layers"].values())
    environment_lists = all(type(one) is dict for one in record["environments"])
    return files and places and layers and environment_lists and record["status"] in ("complete", "diverged")


def _difference(file: Path, expected: Mapping[str, Any]) -> str | None:
    """The first setting in which a stored config differs from the one its name stands for.

    Raises:
        StoreError: another version has written it.
    """
    try:
        found = json.loads(read_limited(file))
    except (StoreError, OSError, ValueError, RecursionError):
        found = None
    if found == expected:
        return None
    if isinstance(found, dict):
        refuse_other_schema(found, file.name)
        if isinstance(found.get("config"), dict):
            odd = first_difference(found["config"], expected["config"])
            return odd or "it cannot be read as one"
    return "it cannot be read as one"


def disk_bytes(shapes: Mapping[str, Sequence[int]], prunable: Sequence[str]) -> int:
    """Bytes that one level takes: float32 weights, and one bit a prunable weight for the mask and two sign moments."""
    size = {name: int(_product(shape)) for name, shape in shapes.items()}
    return 4 * sum(size.values()) + 3 * sum(size[name] for name in prunable) // 8 + 8192


def _product(shape: Sequence[int]) -> int:
    product = 1
    for length in shape:
        product *= length
    return product
