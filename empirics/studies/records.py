"""The records that are not of one run: of studies, of the overlaps between their arms, of the neuron."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from empirics.config import SCHEMA
from empirics.execution.tasks import Key
from empirics.execution.workers import TaskEvent
from empirics.names import MOST_DIGITS, is_name
from empirics.storage.files import json_bytes, matches_schema, read_record, remove, sha256, with_checksum, write_atomic
from empirics.storage.layout import refuse_wrong
from empirics.storage.locks import HOURS, locked


def study_file(results: Path, study: str) -> Path:
    """Where the record of a study is."""
    return results / "studies" / f"{study}.json"


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
    arms that both have are the same runs: also those that another process lists at the same moment. Returns the record
    as it stands.

    Raises:
        StoreError: it cannot be read or written.
    """
    file = study_file(results, record["study"])
    before, merged = _merged(file, record)
    if merged == before:  # the folder may be one that cannot be written
        return before
    with locked(file):
        before, merged = _merged(file, record)
        if merged != before:
            write_atomic(file, json_bytes(merged))
    return merged


def _merged(file: Path, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A study's record as it stands, and with another's arms and seeds: the same where these add nothing."""
    arms, seeds = dict(record["arms"]), set(record["seeds"])
    before = read_record(file, {"arms": dict, "seeds": list}) or {"arms": {}, "seeds": []}
    alike = all(before.get(name) == record.get(name) for name in ("data_hash", "dense_run"))
    if alike and names_folders(before) and all(arms.get(arm, run) == run for arm, run in before["arms"].items()):
        arms, seeds = {**before["arms"], **arms}, seeds | set(before["seeds"])
    merged = with_checksum({"schema": SCHEMA, "kind": "study", **record, "arms": arms, "seeds": sorted(seeds)})
    if {**merged, "command": None, "checksum": None} == {**before, "command": None, "checksum": None}:
        return before, before  # the base of several sweeps keeps the command that made it first
    return before, merged


def write_theory_result(folder: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Write a result of the neuron, its JSON last, unless another process has written it meanwhile.

    Args:
        folder: of such results.
        name: of this one.
        files: their content, by name; JSON is sealed.

    Raises:
        StoreError: it cannot be written.
    """
    with locked(folder / f"{name}.json", needed=False):  # one process's arrays must not lie beside another's JSON
        if theory_result_stands(folder, name):
            return
        for file, data in files.items():
            write_atomic(folder / file, sealed_json(data) if file.endswith(".json") else data)


def names_folders(study: Mapping[str, Any]) -> bool:
    """Whether the arms and seeds of a study's record, which may be a stranger's, can become paths."""
    plain = all(is_name(name) for pair in study["arms"].items() for name in pair)
    return plain and all(type(seed) is int and 0 <= seed < 10**MOST_DIGITS for seed in study["seeds"])


def study_now(results: Path, study: Mapping[str, Any]) -> Mapping[str, Any]:
    """The record of a study as it stands, to which other commands may have added arms and seeds since it was read."""
    kinds = {"study": str, "arms": dict, "seeds": list, "levels": int}
    found = read_record(study_file(results, study["study"]), kinds)
    return found if found is not None and names_folders(found) else study


def sealed_json(data: bytes) -> bytes:
    """A JSON object's text with a seal in it: what it says cannot be edited unseen."""
    return json_bytes(with_checksum(json.loads(data)))


def theory_result_stands(folder: Path, name: str) -> bool:
    """Whether the result `<name>.json` of the neuron is whole, its arrays beside it included.

    Raises:
        StoreError: something else has the place of one of its files, or it may not be read.
    """
    for ending in (".json", ".npz"):
        refuse_wrong(folder.parent, folder.name, f"{name}{ending}")
    record = read_record(folder / f"{name}.json", {"arrays": (dict, NoneType)})
    if record is None or record["arrays"] is None:
        return record is not None
    if not matches_schema(record["arrays"], {"file": str, "sha256": str}):
        return False
    file = record["arrays"]["file"]
    try:  # a plain name: a stranger's record must not lead out of the folder
        return Path(file).name == file and sha256(folder / file) == record["arrays"]["sha256"]
    except (OSError, ValueError):
        return False


class StudyRecords:
    """The records of a command's studies: written when a study's first run starts, its overlaps counted after the last.

    So a command that is stopped leaves records of what it has begun, and no others.

    Args:
        planned: the record of each plan, and the keys of its tasks; a study may have several plans.
        results: results folder.
    """

    def __init__(self, planned: Sequence[tuple[dict[str, Any], set[Key]]], results: Path) -> None:
        self._results = results
        self._planned: dict[str, list[dict[str, Any]]] = {}
        self._left: dict[str, set[Key]] = {}
        for record, keys in planned:
            self._planned.setdefault(record["study"], []).append(record)
            self._left.setdefault(record["study"], set()).update(keys)
        self._begun: dict[str, dict[str, Any]] = {}
        for name in [name for name, left in self._left.items() if not left]:
            self._begin(name)

    def on_event(self, event: TaskEvent) -> None:
        """What became of a run."""
        for name in [name for name, left in self._left.items() if event.task.key in left]:
            if event.kind == "started" and name not in self._begun:
                self._begin(name)
                remove(overlaps_file(self._results, name))  # counted again when its runs are done
            if event.kind == "finished":
                self._left[name].discard(event.task.key)
                if not self._left[name]:
                    count_overlaps(self._results, self._begun[name])

    def count_the_rest(self) -> None:
        """The overlaps of studies whose runs have failed in part, or that had none to run."""
        for study in self._begun.values():
            if not overlaps_stand(self._results, study_now(self._results, study)):
                count_overlaps(self._results, study)

    def _begin(self, name: str) -> None:
        for record in self._planned[name]:
            self._begun[name] = write_study(self._results, record)


def count_overlaps(results: Path, study: Mapping[str, Any]) -> None:
    """Hold the arms of a study against one another: all that it lists now, those of other commands too.

    One process at a time: who counts last has seen the levels of all that counted before.
    """
    from empirics.studies.overlaps import study_overlaps

    file = overlaps_file(results, study["study"])
    with locked(file, HOURS):
        record = study_overlaps(results, study_now(results, study))
        write_atomic(file, json_bytes(with_checksum(record)))
