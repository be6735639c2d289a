"""Checkpoints within a level: the state that is needed to resume bit-identically after an epoch.

    results/runs/<run>/seed-<s>/checkpoints/level-<kk>-epoch-<eeeee>-<SHA-256>.safetensors

A checkpoint is one file, written atomically. Its name has the SHA-256 of its content, and its header says which run it
belongs to and what it was made from. The last two are kept until their level is complete. The newest whose content
matches its name is used; if that is not the last one, there is a warning. Generators need no state: every epoch has its
own, derived from (seed, level, epoch). Nor do the level's start and masks, which are computed again.
"""

import dataclasses
import hashlib
import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from empirics.names import checkpoint_file, is_checkpoint_of, parse_checkpoint
from empirics.storage import environments
from empirics.storage.files import (
    LARGEST_RECORD,
    StoreError,
    check_same,
    first_difference,
    matches_schema,
    names_in,
    read_checked,
    remove,
    tensor_bytes,
    tensors_in,
    write_atomic,
)

if TYPE_CHECKING:
    from torch import Tensor

Tensors = Mapping[str, "Tensor"]
_HEADER = {
    "level": int,
    "epoch": int,
    "config": str,
    "settings": dict,
    "environments": list,
    "depends_on": dict,
    "metrics": str,
    "start": str,
}


class OtherRunError(StoreError):
    """A checkpoint of another run."""


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
    """Write a checkpoint, and remove all of its level but the last two.

    Args:
        folder: `.../seed-<s>/checkpoints`.
        checkpoint: what is written.
        config, settings: hash and settings of the run.

    Raises:
        StoreError: the disk is full, or the folder cannot be written; earlier checkpoints are unchanged.
    """
    names = ("level", "epoch", "environments", "depends_on", "metrics", "start")
    header = {name: getattr(checkpoint, name) for name in names} | {"config": config, "settings": settings}
    # as one text, since safetensors writes several in any order
    data = tensor_bytes(_flat(_parts(checkpoint)), {"checkpoint": json.dumps(header, allow_nan=False)})
    file = checkpoint_file(checkpoint.level, checkpoint.epoch, hashlib.sha256(data).hexdigest())
    write_atomic(folder / file, data)
    named = {name: parse_checkpoint(name) for name in names_in(folder) if is_checkpoint_of(name, checkpoint.level)}
    # those of later epochs are damaged, or of inputs that have changed since
    earlier = [name for name, parsed in named.items() if parsed and parsed[1] < checkpoint.epoch]
    keep = {file, *sorted(earlier, key=named.get)[-1:]}
    for name in named:
        if name not in keep:
            remove(folder / name)


def newest(folder: Path, expected: Expected) -> tuple[Checkpoint | None, list[str]]:
    """The newest valid checkpoint of a level, or None, and warnings.

    Args:
        folder: `.../seed-<s>/checkpoints`.
        expected: expected properties of the checkpoint.

    Raises:
        StoreError: the level has checkpoints, and none is valid; or they belong to another run.
    """
    names = [name for name in names_in(folder) if is_checkpoint_of(name, expected.level)]
    notes = []
    invalid = False
    for name in sorted(names, key=lambda name: parse_checkpoint(name) or (), reverse=True):
        try:
            found = _read(folder / name, expected)
        except OtherRunError:
            raise
        except StoreError as error:
            notes.append(str(error))
            invalid = True
            continue
        if environments.dependencies_unchanged(found.depends_on, expected.depends_on):
            return found, notes
        notes.append(f"{name} depends on a level whose result has changed since: it is not used")
    if invalid:
        raise StoreError(
            f"no checkpoint of level {expected.level} is valid ({'; '.join(notes)}): delete the folder checkpoints to "
            "retrain that level"
        )
    return None, notes


def clear(folder: Path, level: int) -> None:
    """Remove the checkpoints of a complete level and of earlier levels; those of later levels stay.

    Raises:
        StoreError: one cannot be removed.
    """
    for name in names_in(folder):
        if any(is_checkpoint_of(name, done) for done in range(level + 1)):
            remove(folder / name)


def header_of(stream: BinaryIO, name: str) -> dict[str, Any]:
    """What the header of a checkpoint says; its tensors are not read.

    Args:
        stream: its content.
        name: of the file, for errors.

    Raises:
        StoreError: it is not the header of a checkpoint.
    """
    size = int.from_bytes(stream.read(8), "little")
    try:
        metadata = json.loads(stream.read(size if size <= LARGEST_RECORD else 0))["__metadata__"]
        found = json.loads(metadata["checkpoint"])
    except (ValueError, KeyError, TypeError, RecursionError):
        found = None
    if not isinstance(found, dict) or not matches_schema(found, _HEADER) or not environments.has_origin(found):
        raise StoreError(f"the header of {name} is not that of a checkpoint")
    return found


def _read(file: Path, expected: Expected) -> Checkpoint:
    what = f"checkpoint {ascii(file.name)[1:-1]}"
    parsed = parse_checkpoint(file.name)
    if parsed is None:
        raise StoreError(f"{what} has no SHA-256 in its name: it is of another version")
    data = read_checked(file, parsed[2], _most_bytes(expected))
    tensors = tensors_in(data, file.name)
    header = header_of(io.BytesIO(data), file.name)
    level = header["level"]
    epoch = header["epoch"]
    if header["config"] != expected.config:
        odd = first_difference(header["settings"], json.loads(json.dumps(dict(expected.settings))))
        why = odd or f"its hash is {ascii(header['config'])[:60]} there and {expected.config} here"
        raise OtherRunError(f"{what} belongs to another run: {why}: delete it")
    if (level, epoch) != parsed[:2]:
        raise StoreError(f"{what} is not of the level and epoch in its name: it is not valid")
    if not 0 < epoch < expected.cycle_ends[-1]:
        raise StoreError(
            f"{what} is not between the epochs 0 and {expected.cycle_ends[-1]} of its level: it is not valid"
        )
    due = _expected_parts(expected, epoch)
    check_same(tensors, _flat(due), what)
    parts = {part: {name: tensors[f"{part}/{name}"] for name in names} for part, names in due.items()}
    snapshots = {at: parts.pop(_snapshot(at)) for at in expected.mask_snapshot_epochs if at <= epoch}
    said = {name: header[name] for name in ("environments", "depends_on", "metrics", "start")}
    return Checkpoint(level, epoch, **parts, mask_snapshots=snapshots, **said)


def _most_bytes(expected: Expected) -> int:
    """The largest size of a checkpoint: weights and momentum, masks of one byte a weight, and a header."""
    weights = sum(value.nbytes for value in expected.state.values())
    masks = sum(expected.state[name].numel() for name in expected.prunable)
    return 2 * weights + (1 + len(expected.mask_snapshot_epochs)) * masks + LARGEST_RECORD


def _expected_parts(expected: Expected, epoch: int) -> dict[str, Tensors]:
    """Tensors like those of a checkpoint after `epoch`, by part and name."""
    state = expected.state
    masks = {name: state[name].bool() for name in expected.prunable}
    within_a_cycle = expected.has_momentum and epoch not in expected.cycle_ends
    have_changed = expected.masks_change_after is not None and epoch > expected.masks_change_after
    return {
        "weights": state,
        "momentum": {name: state[name] for name in expected.parameters} if within_a_cycle else {},
        "masks": masks if have_changed else {},
        **{_snapshot(at): masks for at in expected.mask_snapshot_epochs if at <= epoch},
    }


def _parts(checkpoint: Checkpoint) -> dict[str, Tensors]:
    """The tensors of a checkpoint, by part and name."""
    parts = {part: getattr(checkpoint, part) for part in ("weights", "momentum", "masks")}
    return parts | {_snapshot(at): masks for at, masks in checkpoint.mask_snapshots.items()}


def _snapshot(epoch: int) -> str:
    return f"mask_snapshots/{epoch}"


def _flat(parts: Mapping[str, Tensors]) -> dict[str, "Tensor"]:
    """Tensors by `<part>/<name>`."""
    return {f"{part}/{name}": value for part, tensors in parts.items() for name, value in tensors.items()}


def start_hash(start: Tensors, masks: Tensors) -> str:
    """SHA-256 of the state and the masks that a level starts from."""
    return hashlib.sha256(tensor_bytes(_flat({"start": start, "masks": masks}))).hexdigest()


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """The same checkpoint with copies of weights and momentum, which training does not change.

    The copies stay on the device, since most are never written: `save` takes them to the CPU. Each is contiguous, as in
    a file, whatever its memory format.
    """
    import torch

    def copy(tensors: Tensors) -> dict[str, "Tensor"]:
        return {name: value.detach().clone(memory_format=torch.contiguous_format) for name, value in tensors.items()}

    return dataclasses.replace(checkpoint, weights=copy(checkpoint.weights), momentum=copy(checkpoint.momentum))
