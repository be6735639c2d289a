"""Checkpoints within a level: what is needed to go on from the end of an epoch to the same bits.

    results/runs/<run>/seed-<s>/checkpoints/level-<kk>-epoch-<eeeee>.safetensors, manifest.jsonl

A checkpoint is written whole or not at all, and then named in the manifest with its SHA-256; the last two stay until
their level is complete. The newest whose hash matches is taken, else the one before, and the reader is told so.
Generators need no state: every epoch draws from one of its own, derived from (seed, level, epoch).
"""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.disk import (
    StoreError,
    append_line,
    check_same,
    has_kinds,
    is_whole,
    read_checked,
    remove,
    sealed,
    tensor_bytes,
    whole_lines,
    write_atomic,
)

if TYPE_CHECKING:
    from torch import Tensor

KEPT = 2
MANIFEST = "manifest.jsonl"
Tensors = Mapping[str, "Tensor"]


@dataclass(frozen=True)
class Checkpoint:
    """A level as it was at the end of an epoch.

    Args:
        level: its number.
        epoch: epochs done, over all cycles of the level (and, for weight rewinding, those that it leaves out).
        weights: state dict of the network.
        momentum: of the optimizer, by parameter; empty at the end of a cycle.
        start: state dict that the level started from.
        masks: of the level, bool.
        taken: masks that were taken on the way, by epoch.
        lineage: the conditions of the processes that its bits come from, see `empirics.lineage`.
        built_on: SHA-256 of the levels that its level is made from, by place.
        metrics: SHA-256 of the log's lines about the level, up to the epoch.
    """

    level: int
    epoch: int
    weights: Tensors
    momentum: Tensors
    start: Tensors
    masks: Tensors
    taken: Mapping[int, Tensors]
    lineage: Sequence[Mapping[str, Any]]
    built_on: Mapping[str, str]
    metrics: str = ""


def save(folder: Path, checkpoint: Checkpoint, config_hash: str) -> None:
    """Write a checkpoint, name it in the manifest, and remove those before the last two.

    Raises:
        StoreError: the disk is full, or the folder cannot be written; the checkpoints before it stand.
    """
    data = tensor_bytes(_flat(checkpoint))
    file = _name(checkpoint.level, checkpoint.epoch)
    digest = write_atomic(folder / file, data)
    row = {
        "file": file,
        "sha256": digest,
        "bytes": len(data),
        "level": checkpoint.level,
        "epoch": checkpoint.epoch,
        "config": config_hash,
        "lineage": list(checkpoint.lineage),
        "built_on": dict(checkpoint.built_on),
        "metrics": checkpoint.metrics,
    }
    append_line(folder / MANIFEST, sealed(row))
    names = list(dict.fromkeys(row["file"] for row in reversed(rows(folder))))  # one may be written a second time
    _remove(folder, keep=names[:KEPT])


def newest(
    folder: Path, level: int, config_hash: str, expected: Tensors, built_on: Mapping[str, str] | None = None
) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint of `level`, or None where there is none, and what a reader should know of it.

    Args:
        folder: `.../seed-<s>/checkpoints`.
        level: the level that is to go on.
        config_hash: of the run.
        expected: the network's state dict, for names, shapes and types; nothing of another network is read.
        built_on: of the level as it would be trained now; a checkpoint made from other bits is left alone.

    Raises:
        StoreError: there are checkpoints of the level, and none can be trusted; or they are of another run.
    """
    named = {row["file"]: row for row in rows(folder) if row["level"] == level}  # of two of one name the later counts
    there = {file.name for file in folder.glob(f"level-{level:02d}-*.safetensors")} if folder.is_dir() else set()
    remarks = [f"{name} is not named in the manifest" for name in sorted(there - set(named))]
    for name in [name for name, row in named.items() if _is_stale(row, built_on or {})]:
        remarks.append(f"{name} builds on a level that has been trained anew since, to other bits: it is not used")
        del named[name]
        there.discard(name)
    for row in reversed(sorted(named.values(), key=lambda row: row["epoch"])):
        if row["config"] != config_hash:
            raise StoreError(
                f"checkpoint {row['file']} belongs to a run with hash {row['config']}, not {config_hash}: delete it"
            )
        try:
            return _read(folder, row, expected), remarks
        except StoreError as error:
            remarks.append(str(error))
    if named or there:
        raise StoreError(
            f"no checkpoint of level {level} can be trusted ({'; '.join(remarks)}): delete the folder checkpoints to "
            "train that level anew"
        )
    return None, remarks


def _is_stale(row: Mapping[str, Any], built_on: Mapping[str, str]) -> bool:
    return any(row["built_on"].get(place, digest) != digest for place, digest in built_on.items())


def clear(folder: Path, level: int) -> None:
    """Remove the checkpoints of a level that is complete, and of those before it. Those of later levels stay.

    Raises:
        StoreError: one cannot be removed.
    """
    others = [row["file"] for row in rows(folder) if row["level"] > level]
    _remove(folder, keep=others)
    if not others:
        remove(folder / MANIFEST)


def rows(folder: Path) -> list[dict[str, Any]]:
    """The manifest's lines that are whole and say what they must.

    Raises:
        StoreError: the manifest is there and cannot be read.
    """
    kinds = {
        "file": str,
        "sha256": str,
        "bytes": int,
        "level": int,
        "epoch": int,
        "config": str,
        "lineage": list,
        "built_on": dict,
        "metrics": str,
    }
    found = [json.loads(line) for line in whole_lines(folder / MANIFEST)]
    ours = [row for row in found if has_kinds(row, kinds) and is_whole(row)]
    ours = [row for row in ours if all(type(one) is dict for one in row["lineage"])]
    return [row for row in ours if row["file"] == _name(row["level"], row["epoch"])]


def _name(level: int, epoch: int) -> str:
    return f"level-{level:02d}-epoch-{epoch:05d}.safetensors"


def _remove(folder: Path, keep: Sequence[str]) -> None:
    for file in folder.glob("*.safetensors") if folder.is_dir() else ():
        if file.name not in keep:
            remove(file)


def _flat(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's tensors under one name each: `weights/...`, `masks/...`, `taken/<epoch>/...`."""
    flat: dict[str, Any] = {}
    for part in ("weights", "momentum", "start", "masks"):
        flat |= {f"{part}/{name}": value for name, value in getattr(checkpoint, part).items()}
    for epoch, masks in checkpoint.taken.items():
        flat |= {f"taken/{epoch}/{name}": value for name, value in masks.items()}
    return flat


def _read(folder: Path, row: Mapping[str, Any], expected: Tensors) -> Checkpoint:
    if row["file"] != _name(row["level"], row["epoch"]):
        raise StoreError(f"checkpoint {row['file']!r} is not a name of ours")
    flat = read_checked(folder / row["file"], row["sha256"], row["bytes"])
    parts: dict[str, dict[str, Any]] = {"weights": {}, "momentum": {}, "start": {}, "masks": {}, "taken": {}}
    for name, value in flat.items():
        part, _, rest = name.partition("/")
        parts.get(part, {})[rest] = value
    what = f"checkpoint {row['file']}"
    check_same(parts["weights"], expected, what)
    check_same(parts["start"], expected, what)
    check_same(parts["momentum"], {n: expected[n] for n in parts["momentum"] if n in expected}, what)
    taken: dict[int, dict[str, Any]] = {}
    for name, value in parts.pop("taken").items():
        epoch, _, rest = name.partition("/")
        if not re.fullmatch("[0-9]{1,9}", epoch):
            raise StoreError(f"{what} holds {name!r}, which is no mask of ours")
        taken.setdefault(int(epoch), {})[rest] = value
    for masks in (parts["masks"], *taken.values()):
        check_same(masks, {n: expected[n].bool() for n in masks if n in expected}, what)
    said = {name: row[name] for name in ("lineage", "built_on", "metrics")}
    return Checkpoint(row["level"], row["epoch"], **parts, taken=taken, **said)


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint with weights and momentum that further training does not change, on the CPU."""
    copy = lambda tensors: {name: value.detach().cpu().clone() for name, value in tensors.items()}  # noqa: E731
    return dataclasses.replace(checkpoint, weights=copy(checkpoint.weights), momentum=copy(checkpoint.momentum))
