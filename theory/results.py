"""Results of the theory, and the bytes of their files: JSON, and an npz of the same stem."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from theory.reprs import short_repr

SCHEMA = 2
_HASHED_SCHEMA = 1  # part of the hashed names of results, which do not change


@short_repr
@dataclass(frozen=True)
class Result:
    """The result of an experiment.

    Attributes:
        values: dict that JSON can hold
        arrays: dict of float, int8 or bool ndarrays, by name
    """

    values: dict[str, Any]
    arrays: dict[str, np.ndarray] = field(default_factory=dict)


def hashed_name(name: str, params: dict[str, Any]) -> str:
    """Return `<name>-<hash8>` of the name and every parameter."""
    identity = json.dumps([_HASHED_SCHEMA, name, params], sort_keys=True, allow_nan=False, default=_plain)
    return f"{name}-{hashlib.sha256(identity.encode()).hexdigest()[:8]}"


def record_files(
    name: str, result: Result, params: dict[str, Any], seconds: float, provenance: dict[str, Any], command: str
) -> dict[str, bytes]:
    """Return file name -> bytes of a result.

    The npz comes first, so that a JSON written after it is never without its arrays.

    Raises:
        ValueError: a value that is NaN or infinite, or an array of objects.
    """
    stem = hashed_name(name, params)
    out = {}
    arrays = None
    if result.arrays:
        data = npz_bytes(result.arrays)
        out[f"{stem}.npz"] = data
        shapes = {key: list(np.shape(array)) for key, array in sorted(result.arrays.items())}
        arrays = {"file": f"{stem}.npz", "sha256": hashlib.sha256(data).hexdigest(), "names": shapes}
    record = {
        "schema": SCHEMA,
        "kind": "theory",
        "experiment": name,
        "params": params,
        "values": result.values,
        "arrays": arrays,
        "seconds": seconds,
        "command": command,
        "provenance": provenance,
    }
    out[f"{stem}.json"] = (json.dumps(record, indent=1, allow_nan=False, default=_plain) + "\n").encode()
    return out


def _plain(value: Any) -> Any:
    """Return numpy's numbers and arrays, which users may pass as parameters, as Python's."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a record can hold numbers, text and lists of them, got {value!r:.60}: convert it")


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """Return an npz file whose bytes depend on the arrays alone (fixed dates, sorted names, no pickle)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, array in sorted(arrays.items()):
            member = io.BytesIO()
            np.lib.format.write_array(member, np.ascontiguousarray(array), allow_pickle=False)
            archive.writestr(zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0)), member.getvalue())
    return buffer.getvalue()
