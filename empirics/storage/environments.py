"""What results were made from: conditions of processes, and levels that they depend on.

If conditions differ, the last bits of results may differ; if a level that a result depends on has changed, the result
is out of date. Both are compared only here. The functions are pure.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from empirics.names import parse_level_id

Conditions = dict[str, Any]
# the conditions that may change the last bits; `code` is the hash of this package's sources
CONDITION_NAMES = ("python", "numpy", "torch", "cpu", "instruction_set", "accelerator", "threads", "code")
# and these, of a process with a GPU
GPU_CONDITIONS = ("capability", "cuda", "cudnn")


def conditions(provenance: Mapping[str, Any]) -> Conditions:
    """The part of a process's provenance that may change the last bits of results.

    These are versions, hardware, threads and the project's code.
    """
    facts = {**provenance["versions"], **provenance["hardware"], **provenance}
    of_gpu = [name for name in GPU_CONDITIONS if name in facts]
    return {name: facts.get(name) for name in (*CONDITION_NAMES, *of_gpu)}


def has_origin(record: Mapping[str, Any]) -> bool:
    """Whether the `environments` and `depends_on` of a record have valid names and types."""
    places = all(parse_level_id(name) and type(digest) is str for name, digest in record["depends_on"].items())
    return places and all(type(one) is dict for one in record["environments"])


def joined(*environment_lists: Iterable[Conditions]) -> list[Conditions]:
    """Every distinct condition, in the order in which they first appear."""
    found: list[Conditions] = []
    for environments in environment_lists:
        found += [one for one in environments if one not in found]
    return found


def changed(environments: Iterable[Mapping[str, Any]], now: Conditions) -> str | None:
    """The differences between the conditions `now` and those of `environments`, as text; None if equal.

    A condition that an older version did not record is one that may differ.
    """
    words: dict[str, None] = {}
    for then in environments:
        for name, value in now.items():
            if then.get(name) != value:
                words[f"{name} {_short_text(then.get(name, 'not recorded'))} then, {_short_text(value)} now"] = None
    return "; ".join(words) or None


def _short_text(value: object) -> str:
    return str(value)[:60]


def dependencies_unchanged(depends_on: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Whether the levels that a result depends on still have the content that it was made from.

    Args:
        depends_on: `content` of the levels when the result was made, by `level_id`.
        now: `content` of the levels that exist now; missing ones cannot have changed.
    """
    return all(now.get(place, digest) == digest for place, digest in depends_on.items())


def content(record: Mapping[str, Any]) -> str:
    """SHA-256 over the status and the file hashes of a level: equal for bit-identical levels."""
    return hashlib.sha256(json.dumps([record["status"], sorted(record["files"].items())]).encode()).hexdigest()
