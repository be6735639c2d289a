"""The records that are not of one run: of studies, of the overlaps between their arms, of the neuron."""

import json
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import Any

from empirics.config import SCHEMA
from empirics.disk import has_kinds, json_bytes, read_record, sealed, sha256, write_atomic
from empirics.names import is_name


def overlaps_file(results: Path, study: str) -> Path:
    """Where the overlaps between the arms of a study are."""
    return results / "overlaps" / f"{study}.json"


def overlaps_stand(results: Path, study: Mapping[str, Any]) -> bool:
    """Whether the overlaps of a study were counted over the arms and seeds that it lists."""
    found = read_record(overlaps_file(results, study["study"]), {"of_arms": dict, "of_seeds": list}) or {}
    return (found.get("of_arms"), found.get("of_seeds")) == (study["arms"], study["seeds"])


def write_study(results: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """`results/studies/<study>.json`: the arms of one preset on one data set, by which figures find runs.

    Arms and seeds that were run before stay listed, as long as they are of the same data and dense network, and the
    arms that both have are the same runs. Returns the record as it stands.
    """
    file = results / "studies" / f"{record['study']}.json"
    arms, seeds = dict(record["arms"]), set(record["seeds"])
    before = read_record(file, {"arms": dict, "seeds": list}) or {"arms": {}, "seeds": []}
    alike = all(before.get(name) == record.get(name) for name in ("data_hash", "dense_run"))
    alike &= all(type(seed) is int and seed >= 0 for seed in before["seeds"])
    alike &= all(is_name(name) for pair in before["arms"].items() for name in pair)  # they become paths
    if alike and all(arms.get(arm, run) == run for arm, run in before["arms"].items()):
        arms, seeds = {**before["arms"], **arms}, seeds | set(before["seeds"])
    merged = sealed({"schema": SCHEMA, "kind": "study", **record, "arms": arms, "seeds": sorted(seeds)})
    if {**merged, "command": None, "seal": None} == {**before, "command": None, "seal": None}:
        return before  # the base of several variations keeps the command that made it first
    if merged != before:
        write_atomic(file, json_bytes(merged))
    return merged


def sealed_json(data: bytes) -> bytes:
    """A JSON object's text with a seal in it: what it says cannot be edited unseen."""
    return json_bytes(sealed(json.loads(data)))


def theory_result_stands(folder: Path, name: str) -> bool:
    """Whether the result `<name>.json` of the neuron is whole, its arrays beside it included."""
    record = read_record(folder / f"{name}.json", {"arrays": (dict, NoneType)})
    if record is None or record["arrays"] is None:
        return record is not None
    if not has_kinds(record["arrays"], {"file": str, "sha256": str}):
        return False
    file = record["arrays"]["file"]
    try:  # a plain name: a stranger's record must not lead out of the folder
        return Path(file).name == file and sha256(folder / file) == record["arrays"]["sha256"]
    except (OSError, ValueError):
        return False
