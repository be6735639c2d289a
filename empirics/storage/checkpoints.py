"""Checkpoints within a level: what is needed to go on from the end of an epoch to the same bits.

    results/runs/<run>/seed-<s>/checkpoints/level-<kk>-epoch-<eeeee>.safetensors, manifest.jsonl

A checkpoint is written whole or not at all, and then named in the manifest with its SHA-256; the last two stay until
their level is complete. The newest whose hash matches is taken, else the one before, and the reader is told so.
Generators need no state: every epoch draws from one of its own, derived from (seed, level, epoch).
"""

import dataclasses
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.names import checkpoint_file, is_checkpoint_of
from empirics.storage.files import (
    StoreError,
    append_line,
    check_same,
    checksum_ok,
    complete_lines,
    first_difference,
    matches_schema,
    names_in,
    read_checked,
    remove,
    tensor_bytes,
    with_checksum,
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
        environments: the conditions of the processes that its bits come from, see `empirics.storage.environments`.
        depends_on: SHA-256 of the levels that its level is made from, by place.
        metrics: SHA-256 of the log's lines about the level, up to the epoch.
    """

    level: int
    epoch: int
    weights: Tensors
    momentum: Tensors
    start: Tensors
    masks: Tensors
    taken: Mapping[int, Tensors]
    environments: Sequence[Mapping[str, Any]]
    depends_on: Mapping[str, str]
    metrics: str = ""


@dataclass(frozen=True)
class Expected:
    """What a checkpoint must be to go on from: anything else is another's, and nothing of it is used.

    Args:
        level: the level that is to go on.
        config: hash of the run.
        settings: of the run, to say in what another differs.
        state: the network's state dict, for names, shapes and types.
        parameters, prunable: names of its parameters, and of its prunable weights.
        cycle: epochs of a cycle; momentum is carried within one.
        epochs: over all cycles of the level; a checkpoint lies before them.
        has_momentum: whether the optimizer has any.
        mask_snapshot_epochs: epochs at which masks are taken on the way.
        depends_on: of the level as it would be trained now; a checkpoint made from other bits is left alone.
    """

    level: int
    config: str
    settings: Mapping[str, Any]
    state: Tensors
    parameters: Collection[str]
    prunable: Collection[str]
    cycle: int
    epochs: int
    has_momentum: bool
    mask_snapshot_epochs: Collection[int] = ()
    depends_on: Mapping[str, str] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint, config: str, settings: Mapping[str, Any]) -> None:
    """Write a checkpoint, name it in the manifest with its run's hash and settings, remove those before the last two.

    Raises:
        StoreError: the disk is full, or the folder cannot be written; the checkpoints before it stand.
    """
    data = tensor_bytes(_flat(checkpoint))
    file = checkpoint_file(checkpoint.level, checkpoint.epoch)
    digest = write_atomic(folder / file, data)
    row = {
        "file": file,
        "sha256": digest,
        "bytes": len(data),
        "level": checkpoint.level,
        "epoch": checkpoint.epoch,
        "config": config,
        "settings": dict(settings),
        "environments": list(checkpoint.environments),
        "depends_on": dict(checkpoint.depends_on),
        "metrics": checkpoint.metrics,
    }
    append_line(folder / MANIFEST, with_checksum(row))
    names = list(dict.fromkeys(row["file"] for row in reversed(rows(folder))))  # one may be written a second time
    _remove(folder, keep=names[:KEPT])


def newest(folder: Path, expected: Expected) -> tuple[Checkpoint | None, list[str]]:
    """The newest whole checkpoint of a level, or None where there is none, and what a reader should know of it.

    A single file that no manifest names is what a kill leaves of a level's first checkpoint: the level starts anew.

    Args:
        folder: `.../seed-<s>/checkpoints`.
        expected: what it must be.

    Raises:
        StoreError: there are checkpoints of the level, and none can be trusted; or they are of another run.
    """
    level = expected.level
    named = {row["file"]: row for row in rows(folder) if row["level"] == level}  # of two of one name the later counts
    there = {name for name in names_in(folder) if is_checkpoint_of(name, level)}
    notes = [f"{ascii(name)[1:-1]} is not named in the manifest" for name in sorted(there - set(named))]
    for name in [name for name, row in named.items() if _is_stale(row, expected.depends_on)]:
        notes.append(f"{name} builds on a level that has been trained anew since, to other bits: it is not used")
        del named[name]
        there.discard(name)
    for row in reversed(sorted(named.values(), key=lambda row: row["epoch"])):
        _check_run(row, expected)
        try:
            return _read(folder, row, expected), notes
        except StoreError as error:
            notes.append(str(error))
    if named or len(there) > 1:
        raise StoreError(
            f"no checkpoint of level {level} can be trusted ({'; '.join(notes)}): delete the folder checkpoints to "
            "train that level anew"
        )
    return None, notes


def _check_run(row: Mapping[str, Any], expected: Expected) -> None:
    if row["config"] != expected.config:
        odd = first_difference(row["settings"], json.loads(json.dumps(dict(expected.settings))))
        why = odd or f"its hash is {ascii(row['config'])[:60]} there and {expected.config} here"
        raise StoreError(f"checkpoint {row['file']} belongs to another run: {why}: delete it")


def _is_stale(row: Mapping[str, Any], depends_on: Mapping[str, str]) -> bool:
    return any(row["depends_on"].get(place, digest) != digest for place, digest in depends_on.items())


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
        "settings": dict,
        "environments": list,
        "depends_on": dict,
        "metrics": str,
    }
    found = [json.loads(line) for line in complete_lines(folder / MANIFEST)]
    ours = [row for row in found if matches_schema(row, kinds) and checksum_ok(row)]
    ours = [row for row in ours if all(type(one) is dict for one in row["environments"])]
    return [row for row in ours if row["file"] == checkpoint_file(row["level"], row["epoch"])]


def _remove(folder: Path, keep: Sequence[str]) -> None:
    for name in names_in(folder):
        if name.endswith(".safetensors") and name not in keep:
            remove(folder / name)


def _flat(checkpoint: Checkpoint) -> dict[str, Any]:
    """A checkpoint's tensors under one name each: `weights/...`, `masks/...`, `taken/<epoch>/...`."""
    flat: dict[str, Any] = {}
    for part in ("weights", "momentum", "start", "masks"):
        flat |= {f"{part}/{name}": value for name, value in getattr(checkpoint, part).items()}
    for epoch, masks in checkpoint.taken.items():
        flat |= {f"taken/{epoch}/{name}": value for name, value in masks.items()}
    return flat


def _read(folder: Path, row: Mapping[str, Any], expected: Expected) -> Checkpoint:
    what = f"checkpoint {row['file']}"
    if not 0 < row["epoch"] < expected.epochs:
        raise StoreError(f"{what} does not lie between the epochs 0 and {expected.epochs} of its level: it is not ours")
    parts: dict[str, dict[str, Any]] = {"weights": {}, "momentum": {}, "start": {}, "masks": {}, "taken": {}}
    for name, value in read_checked(folder / row["file"], row["sha256"], row["bytes"]).items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise StoreError(f"{what} holds {ascii(name)[:60]}, which is nothing of ours")
        parts[part][rest] = value
    state = expected.state
    masks = {name: state[name].bool() for name in expected.prunable}
    within_a_cycle = expected.has_momentum and row["epoch"] % expected.cycle
    check_same(parts["weights"], state, what)
    check_same(parts["start"], state, what)
    check_same(parts["momentum"], {n: state[n] for n in expected.parameters} if within_a_cycle else {}, what)
    check_same(parts["masks"], masks, what)
    taken = _taken(parts.pop("taken"), expected, row["epoch"], what)
    for found in taken.values():
        check_same(found, masks, what)
    said = {name: row[name] for name in ("environments", "depends_on", "metrics")}
    return Checkpoint(row["level"], row["epoch"], **parts, taken=taken, **said)


def _taken(flat: Tensors, expected: Expected, epoch: int, what: str) -> dict[int, dict[str, Any]]:
    """Masks taken on the way, by epoch: those that were due until then, no more and no fewer."""
    due = [at for at in expected.mask_snapshot_epochs if at <= epoch]
    taken: dict[int, dict[str, Any]] = {at: {} for at in due}
    for name, value in flat.items():
        at, _, rest = name.partition("/")
        if at not in map(str, due):
            raise StoreError(f"{what} holds {ascii(name)[:60]}, which is no mask of ours")
        taken[int(at)][rest] = value
    return taken


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint with weights and momentum that further training does not change, on the CPU."""
    copy = lambda tensors: {name: value.detach().cpu().clone() for name, value in tensors.items()}  # noqa: E731
    return dataclasses.replace(checkpoint, weights=copy(checkpoint.weights), momentum=copy(checkpoint.momentum))
