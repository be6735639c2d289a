"""One run and seed as one small file: its records without weights.

The file is gzip-compressed JSON: `files` holds each record's text as it was written, so that every checksum in it can
still be verified. `figures.results.packed` reads the same files.
"""

import gzip
import hashlib
import json
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from empirics.config import SCHEMA
from empirics.names import level_folder, level_of, seed_folder
from empirics.storage import environments
from empirics.storage.files import (
    LARGEST_RECORD,
    StoreError,
    checksum_ok,
    has_fields,
    json_bytes,
    read_limited,
    with_checksum,
)
from empirics.storage.layout import LEVEL_FILE, METRICS_FILE, PACKED, SIGNS_FILE
from empirics.storage.run_folder import RunFolder
from empirics.storage.schemas import PackedSeed


def packed_file(folder: Path, run: str, seed: int) -> Path:
    """The file of a packed run and seed, `runs/<run>/seed-<s>.json.gz`."""
    return folder / "runs" / run / f"{seed_folder(seed)}{PACKED}"


def records_of(folder: RunFolder) -> dict[str, str]:
    """The texts of a run's and seed's records, by name within the folder of the seed.

    Raises:
        StoreError: one of them cannot be read.
    """
    names = [f"{level_folder(level)}/{LEVEL_FILE}" for level in folder.levels_there()]
    found = {}
    for name in (*names, METRICS_FILE, SIGNS_FILE):
        try:
            found[name] = read_limited(folder.path / name).decode()
        except FileNotFoundError:
            continue
    return found


def pack(run: str, seed: int, files: Mapping[str, str]) -> bytes:
    """The content of a packed file; the same records give the same bytes.

    Args:
        run: the run's name.
        seed: at least 0.
        files: from `records_of`.
    """
    record = {"schema": SCHEMA, "kind": "seed", "run": run, "seed": seed, "files": dict(files)}
    return gzip.compress(json_bytes(with_checksum(record)), compresslevel=9, mtime=0)


def unpack(data: bytes, name: str) -> dict[str, Any]:
    """The record in a packed file, with its `run`, `seed` and `files`.

    Args:
        data: the file's content.
        name: name of the file, for errors.

    Raises:
        StoreError: it is damaged, edited or no packed file.
    """
    try:
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        text = reader.decompress(data, LARGEST_RECORD)  # of an untrusted file: no more than this is unpacked
        record = json.loads(text) if reader.eof else None
    except (zlib.error, ValueError, RecursionError):
        record = None
    if not (has_fields(record, PackedSeed) and checksum_ok(record)):
        raise StoreError(f"{name} is damaged or was edited: take it from version control again, or record it anew")
    return record


def contents(files: Mapping[str, str]) -> dict[str, str]:
    """What identifies the levels and sign statistics of packed records, whoever trained them.

    Of a level it is its `environments.content`, which two levels share if they are equal bit for bit; of the sign
    statistics the SHA-256 of their counts.
    """
    found = {}
    for name, text in files.items():
        folder, _, file = name.rpartition("/")
        if file == LEVEL_FILE and level_of(folder) is not None:
            found[folder] = environments.content(json.loads(text))
        elif name == SIGNS_FILE:
            found[name] = hashlib.sha256(json.dumps(json.loads(text)["layers"], sort_keys=True).encode()).hexdigest()
    return found
