"""The records of the studies of a command, kept while their runs are at work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from empirics.execution.tasks import Key
from empirics.execution.workers import Event
from empirics.storage.files import json_bytes, remove, sealed, write_atomic
from empirics.storage.locks import HOURS, locked
from empirics.studies.records import overlaps_file, overlaps_stand, study_now, write_study


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

    def hear(self, event: Event) -> None:
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
        write_atomic(file, json_bytes(sealed(record)))
