"""The conditions under which results were made, and those of all that they build on: may the last bits differ? Pure."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

Conditions = dict[str, Any]
# what may change the last bits; `code` is the project's own
CONDITION_NAMES = ("python", "numpy", "torch", "cpu", "accelerator", "threads", "code")


def conditions(provenance: Mapping[str, Any]) -> Conditions:
    """Of a process's provenance, what may change the last bits: versions, hardware, threads, the project's code."""
    facts = {**provenance["versions"], **provenance["hardware"], **provenance}
    return {name: facts.get(name) for name in CONDITION_NAMES}


def joined(*environment_lists: Iterable[Conditions]) -> list[Conditions]:
    """Every distinct condition, in the order in which they first appear."""
    found: list[Conditions] = []
    for environments in environment_lists:
        found += [one for one in environments if one not in found]
    return found


def changed(environments: Iterable[Mapping[str, Any]], now: Conditions) -> str | None:
    """What is other now than where any of `environments` was made, in words; None where nothing is."""
    words: dict[str, None] = {}
    for then in environments:
        for name, value in now.items():
            if then.get(name) != value:
                words[f"{name} {_short_text(then.get(name))} then, {_short_text(value)} now"] = None
    return "; ".join(words) or None


def _short_text(value: object) -> str:
    return str(value)[:60]


def content(record: Mapping[str, Any]) -> str:
    """SHA-256 of what a level holds, by the hashes of its files: equal for equal bits, whenever it was trained."""
    return hashlib.sha256(json.dumps([record["status"], sorted(record["files"].items())]).encode()).hexdigest()
