"""Checkpoints within a level: the state that is needed to resume bit-identically after an epoch.

    results/runs/<run>/seed-<s>/checkpoints/level-<kk>-epoch-<eeeee>.safetensors, manifest.jsonl

A checkpoint is written atomically and then added to the manifest with its SHA-256; the last two are kept until their
level is complete. The newest whose hash matches is used; if that is not the last one, there is a warning. Generators
need no state: every epoch has its own, derived from (seed, level, epoch).
"""

import dataclasses
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.names import checkpoint_file, is_checkpoint_of
from empirics.storage import environments
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
    """The state of a level at the end of an epoch.

    Args:
        level: number of the level.
        epoch: epochs done, over all cycles of the level (for weight rewinding, skipped epochs are counted).
        weights: state dict of the network.
        momentum: of the optimizer, by parameter; empty at the end of a cycle.
        masks: bool, where they are no longer those that the level started with; otherwise empty.
        mask_snapshots: mask snapshots so far, by epoch.
        environments: the conditions of all processes that contributed to it, see `empirics.storage.environments`.
        depends_on: SHA-256 of the levels that its level depends on, by `level_id`.
        metrics: SHA-256 of the log's lines about the level, up to the epoch.
        start: SHA-256 of the state and the masks that the level started from (`start_hash`), which are computed again.
    """

    level: int
    epoch: int
    weights: Tensors
    momentum: Tensors
    masks: Tensors
    mask_snapshots: Mapping[int, Tensors]
    environments: Sequence[Mapping[str, Any]]
    depends_on: Mapping[str, str]
    metrics: str = ""
    start: str = ""


@dataclass(frozen=True)
class Expected:
    """Expected properties of a checkpoint.

    Another run's checkpoint is an error; one whose inputs have changed is ignored with a warning.

    Args:
        level: the level that is to be resumed.
        config: hash of the run.
        settings: settings of the run, to name the first difference from another run.
        state: the network's state dict, for names, shapes and types.
        parameters, prunable: names of its parameters, and of its prunable weights.
        cycle_ends: epochs of the level at which its cycles end. Momentum is carried within a cycle, and a checkpoint
            comes before the last end.
        has_momentum: whether the optimizer has momentum.
        mask_snapshot_epochs: epochs of the mask snapshots.
        masks_change_after: the epoch after which masks are no longer those that the level started with, if any.
        depends_on: of the level as it would be trained now; a checkpoint with changed inputs is ignored.
    """

    level: int
    config: str
    settings: Mapping[str, Any]
    state: Tensors
    parameters: Collection[str]
    prunable: Collection[str]
    cycle_ends: Sequence[int]
    has_momentum: bool
    mask_snapshot_epochs: Collection[int] = ()
    masks_change_after: int | None = None
    depends_on: Mapping[str, str] = field(default_factory=dict)


def save(folder: Path, checkpoint: Checkpoint, config: str, settings: Mapping[str, Any]) -> None:
    """Write a checkpoint, add it to the manifest, and remove all but the last two.

    The manifest also gets the hash and settings of the run.

    Raises:
        StoreError: the disk is full, or the folder cannot be written; earlier checkpoints are unchanged.
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
        "start": checkpoint.start,
    }
    append_line(folder / MANIFEST, with_checksum(row))
    # without duplicates, since a checkpoint may have been written twice
    names = list(dict.fromkeys(row["file"] for row in reversed(rows(folder))))
    _remove(folder, keep=names[:KEPT])


def newest(folder: Path, expected: Expected) -> tuple[Checkpoint | None, list[str]]:
    """The newest valid checkpoint of a level, or None, and warnings.

    A single file that is not in the manifest is the first checkpoint of a level whose process was killed while writing
    it: the level starts again.

    Args:
        folder: `.../seed-<s>/checkpoints`.
        expected: expected properties of the checkpoint.

    Raises:
        StoreError: the level has checkpoints, and none is valid; or they belong to another run.
    """
    level = expected.level
    # of two lines with one name the later counts
    named = {row["file"]: row for row in rows(folder) if row["level"] == level}
    there = {name for name in names_in(folder) if is_checkpoint_of(name, level)}
    notes = [f"{ascii(name)[1:-1]} is not named in the manifest" for name in sorted(there - set(named))]
    stale = [
        name
        for name, row in named.items()
        if not environments.dependencies_unchanged(row["depends_on"], expected.depends_on)
    ]
    for name in stale:
        notes.append(f"{name} depends on a level whose result has changed since: it is not used")
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
            f"no checkpoint of level {level} is valid ({'; '.join(notes)}): delete the folder checkpoints to "
            "retrain that level"
        )
    return None, notes


def _check_run(row: Mapping[str, Any], expected: Expected) -> None:
    if row["config"] != expected.config:
        odd = first_difference(row["settings"], json.loads(json.dumps(dict(expected.settings))))
        why = odd or f"its hash is {ascii(row['config'])[:60]} there and {expected.config} here"
        raise StoreError(f"checkpoint {row['file']} belongs to another run: {why}: delete it")


def clear(folder: Path, level: int) -> None:
    """Remove the checkpoints of a complete level and of earlier levels; those of later levels stay.

    Raises:
        StoreError: one cannot be removed.
    """
    others = [row["file"] for row in rows(folder) if row["level"] > level]
    _remove(folder, keep=others)
    if not others:
        remove(folder / MANIFEST)


def rows(folder: Path) -> list[dict[str, Any]]:
    """The complete and valid lines of the manifest.

    Raises:
        StoreError: the manifest exists and cannot be read.
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
        "start": str,
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
    """The tensors of a checkpoint by name: `weights/...`, `mask_snapshots/<epoch>/...`."""
    flat: dict[str, Any] = {}
    for part in ("weights", "momentum", "masks"):
        flat |= {f"{part}/{name}": value for name, value in getattr(checkpoint, part).items()}
    for epoch, masks in checkpoint.mask_snapshots.items():
        flat |= {f"mask_snapshots/{epoch}/{name}": value for name, value in masks.items()}
    return flat


def _read(folder: Path, row: Mapping[str, Any], expected: Expected) -> Checkpoint:
    what = f"checkpoint {row['file']}"
    if not 0 < row["epoch"] < expected.cycle_ends[-1]:
        raise StoreError(
            f"{what} is not between the epochs 0 and {expected.cycle_ends[-1]} of its level: it is not valid"
        )
    parts: dict[str, dict[str, Any]] = {"weights": {}, "momentum": {}, "masks": {}, "mask_snapshots": {}}
    for name, value in read_checked(folder / row["file"], row["sha256"], row["bytes"]).items():
        part, _, rest = name.partition("/")
        if part not in parts:
            raise StoreError(f"{what} holds {ascii(name)[:60]}, which is not a tensor of a checkpoint")
        parts[part][rest] = value
    state = expected.state
    masks = {name: state[name].bool() for name in expected.prunable}
    within_a_cycle = expected.has_momentum and row["epoch"] not in expected.cycle_ends
    check_same(parts["weights"], state, what)
    check_same(parts["momentum"], {n: state[n] for n in expected.parameters} if within_a_cycle else {}, what)
    have_changed = expected.masks_change_after is not None and row["epoch"] > expected.masks_change_after
    check_same(parts["masks"], masks if have_changed else {}, what)
    snapshots = _mask_snapshots(parts.pop("mask_snapshots"), expected, row["epoch"], what)
    for found in snapshots.values():
        check_same(found, masks, what)
    said = {name: row[name] for name in ("environments", "depends_on", "metrics", "start")}
    return Checkpoint(row["level"], row["epoch"], **parts, mask_snapshots=snapshots, **said)


def _mask_snapshots(flat: Tensors, expected: Expected, epoch: int, what: str) -> dict[int, dict[str, Any]]:
    """The mask snapshots by epoch: exactly those that were due up to `epoch`."""
    due = [at for at in expected.mask_snapshot_epochs if at <= epoch]
    found: dict[int, dict[str, Any]] = {at: {} for at in due}
    for name, value in flat.items():
        at, _, rest = name.partition("/")
        if at not in map(str, due):
            raise StoreError(f"{what} holds {ascii(name)[:60]}, which is not one of its mask snapshots")
        found[int(at)][rest] = value
    return found


def start_hash(start: Tensors, masks: Tensors) -> str:
    """SHA-256 of the state and the masks that a level starts from."""
    named = {f"start/{name}": value for name, value in start.items()}
    return hashlib.sha256(tensor_bytes(named | {f"masks/{name}": mask for name, mask in masks.items()})).hexdigest()


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint with copies of weights and momentum, which training does not change.

    The copies stay on the device, since most are never written: `save` takes them to the CPU. Each is contiguous, as in
    a file, whatever its memory format.
    """
    import torch

    def copy(tensors: Tensors) -> dict[str, "Tensor"]:
        return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}

    return dataclasses.replace(checkpoint, weights=copy(checkpoint.weights), momentum=copy(checkpoint.momentum))
