"""The best test accuracy of each level, from the metrics of every epoch. Pure: bytes in, numbers out.

The best epoch is chosen by its accuracy on the test set. So it is refused wherever a better epoch may have gone unseen.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from figures.results.fields import Fraction, Whole, convert, require
from figures.results.network import LevelRecord

INSTEAD = "draw with --accuracy last, or train the run again in another --results folder"


class _Epoch(Struct, frozen=True):
    test_accuracy: Fraction
    cycle: Whole = 0


def best_accuracies(
    content: bytes, levels: Mapping[int, LevelRecord], file: str, last_cycle: bool = False
) -> dict[int, float]:
    """The highest test accuracy (a fraction) of each level's epochs.

    Parameters
    ----------
    content : the bytes of `metrics.jsonl`, a JSON object a line.
    levels : the complete levels of the seed, by number.
    file : name of the file, for errors.
    last_cycle : whether only the epochs of a level's last cycle count: a run that prunes within its levels has the
        level's density from there on.

    Raises
    ------
    ResultError : the lines of a level are not those that were written when it was trained, or not every epoch of it
        was evaluated on the test set.
    """
    lines = _lines_by_level(content)
    return {number: _best(lines.get(number, []), record, file, last_cycle) for number, record in levels.items()}


def _lines_by_level(content: bytes) -> dict[int, list[tuple[bytes, dict]]]:
    """The complete lines, each with what it holds, by level; a torn line is left out, as in training."""
    found: dict[int, list[tuple[bytes, dict]]] = {}
    for line in content.splitlines(keepends=True):
        data = _object(line)
        if data is not None and type(data.get("level")) is int:
            found.setdefault(data["level"], []).append((line, data))
    return found


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        data = json.loads(line) if line.endswith(b"\n") else None
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def _best(lines: list[tuple[bytes, dict]], record: LevelRecord, file: str, last_cycle: bool) -> float:
    where = f"of level {record.level}"
    digest = hashlib.sha256(b"".join(line for line, _ in lines)).hexdigest()
    recorded = record.metrics_sha256 or "none is recorded there"
    wanted = f"{recorded[:12]}, as its level.json says" if record.metrics_sha256 else recorded
    require(digest == record.metrics_sha256, file, f"the SHA-256 of the lines {where}", digest[:12], wanted, INSTEAD)
    found = [
        convert(data, _Epoch, file, f"a line {where}") for _, data in lines if data.get("test_accuracy") is not None
    ]
    every = f"{record.epochs}, one for each epoch that was trained"
    seen = bool(found) and len(found) == record.epochs
    require(seen, file, f"the number of test accuracies {where}", len(found), every, INSTEAD)
    first = max(epoch.cycle for epoch in found) if last_cycle else 0
    return max(epoch.test_accuracy for epoch in found if epoch.cycle >= first)
