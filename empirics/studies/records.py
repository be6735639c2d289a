"""Records that do not belong to one run: of studies, of their comparisons, of the neuron."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empirics.config import SCHEMA
from empirics.execution.processes import TaskEvent
from empirics.execution.tasks import Key
from empirics.storage import schemas
from empirics.storage.files import (
    StoreError,
    json_bytes,
    read_record,
    remove,
    sha256,
    with_checksum,
    write_atomic,
)
from empirics.storage.layout import refuse_wrong
from empirics.storage.locks import HOURS, locked


def study_file(results: Path, study: str) -> Path:
    """The file of a study's record."""
    return results / "studies" / f"{study}.json"


def overlaps_file(results: Path, study: str) -> Path:
    """The file of the overlaps between the arms of a study."""
    return results / "overlaps" / f"{study}.json"


def connectivity_file(results: Path, study: str) -> Path:
    """The file of the connectivity between the networks of a study."""
    return results / "connectivity" / f"{study}.json"


def overlaps_stand(results: Path, study: Mapping[str, Any]) -> bool:
    """Whether the overlaps of a study exist for exactly the arms and seeds that it lists."""
    found = read_record(overlaps_file(results, study["study"]), schemas.Overlaps) or {}
    return (found.get("of_arms"), found.get("of_seeds")) == (study["arms"], study["seeds"])


def write_study(results: Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Write a study's record, `results/studies/<study>.json`, by which figures find the runs of its arms.

    Arms and seeds that are already listed stay listed, if they have the same data and dense network, and if arms in
    both records are the same runs. This includes entries that another process adds at the same time. Returns the
    record that is then on the disk.

    Raises:
        StoreError: it cannot be read or written, or the existing record has another plan of seeds.
    """
    file = study_file(results, record["study"])
    before, merged = _merged(file, record)
    if merged == before:  # no write, as the folder may be read-only
        return before
    with locked(file):
        before, merged = _merged(file, record)
        if merged != before:
            write_atomic(file, json_bytes(merged))
    return merged


def _merged(file: Path, record: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The existing record of a study, and the same merged with the arms and seeds of `record`.

    Both are the same object if `record` adds nothing.
    """
    arms = dict(record["arms"])
    seeds = set(record["seeds"])
    before = read_record(file, schemas.StudyRuns) or {"arms": {}, "seeds": []}
    alike = all(before.get(name) == record.get(name) for name in ("data_hash", "dense_run"))
    if alike and before.get("planned") and before["planned"] != record.get("planned"):
        raise StoreError(
            f"{file} was planned with other seeds of its arms than this command plans, and n of each arm is fixed "
            "before its data: use another --results folder, or the version that began it"
        )
    if alike and all(arms.get(arm, run) == run for arm, run in before["arms"].items()):
        arms = {**before["arms"], **arms}
        seeds = seeds | set(before["seeds"])
    merged = with_checksum({"schema": SCHEMA, "kind": "study", **record, "arms": arms, "seeds": sorted(seeds)})
    if {**merged, "command": None, "checksum": None} == {**before, "command": None, "checksum": None}:
        return before, before  # the base of several sweeps keeps the command that made it first
    return before, merged


def write_theory_result(folder: Path, name: str, files: Mapping[str, bytes]) -> None:
    """Write a result of the neuron, its JSON last, unless another process has written it meanwhile.

    Args:
        folder: folder of the theory results.
        name: name of the result.
        files: content of each file, by name; JSON gets a checksum.

    Raises:
        StoreError: it cannot be written.
    """
    with locked(folder / f"{name}.json", needed=False):  # arrays and JSON must come from the same process
        if theory_result_stands(folder, name):
            return
        for file, data in files.items():
            write_atomic(folder / file, sealed_json(data) if file.endswith(".json") else data)


def study_now(results: Path, study: Mapping[str, Any]) -> Mapping[str, Any]:
    """The present record of a study; other commands may have added arms and seeds since it was read."""
    return read_record(study_file(results, study["study"]), schemas.Study) or study


def sealed_json(data: bytes) -> bytes:
    """The text of a JSON object with a checksum, by which edits are detected."""
    return json_bytes(with_checksum(json.loads(data)))


def theory_result_stands(folder: Path, name: str) -> bool:
    """Whether the result `<name>.json` of the neuron is complete, including its file of arrays.

    Raises:
        StoreError: one of its files is not a regular file, or cannot be read.
    """
    for ending in (".json", ".npz"):
        refuse_wrong(folder.parent, folder.name, f"{name}{ending}")
    record = read_record(folder / f"{name}.json", schemas.TheoryResult)
    if record is None or record["arrays"] is None:
        return record is not None
    file = record["arrays"]["file"]
    try:  # a name without folders: an untrusted record must not point to files outside the folder
        return Path(file).name == file and sha256(folder / file) == record["arrays"]["sha256"]
    except (OSError, ValueError):
        return False


class StudyRecords:
    """Writes the records of a command's studies.

    A study's record is written when its first run starts, and its overlaps are counted after its last run. So a command
    that is stopped leaves records only of studies that have started.

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
        """Update the records after an event of a run."""
        for name in [name for name, left in self._left.items() if event.task.key in left]:
            if event.kind == "started" and name not in self._begun:
                self._begin(name)
                remove(overlaps_file(self._results, name))  # counted again when its runs are done
            if event.kind == "finished":
                self._left[name].discard(event.task.key)
                if not self._left[name]:
                    count_overlaps(self._results, self._begun[name])

    def count_the_rest(self) -> None:
        """Count the overlaps of studies in which some runs failed, or no run was missing."""
        for study in self._begun.values():
            if not overlaps_stand(self._results, study_now(self._results, study)):
                count_overlaps(self._results, study)

    def _begin(self, name: str) -> None:
        for record in self._planned[name]:
            self._begun[name] = write_study(self._results, record)


def count_overlaps(results: Path, study: Mapping[str, Any]) -> None:
    """Count the overlaps between the arms that a study lists now, including those of other commands.

    Only one process counts at a time, so the last one has seen the levels of all.
    """
    from empirics.studies.overlaps import study_overlaps

    file = overlaps_file(results, study["study"])
    with locked(file, HOURS):
        record = study_overlaps(results, study_now(results, study))
        write_atomic(file, json_bytes(with_checksum(record)))
