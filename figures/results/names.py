"""The names in a results folder, as `empirics` writes them.

Seeds and levels may have any number of digits up to `MOST_DIGITS`; `must_be` gives the kind of each entry.
"""

import re
from collections.abc import Callable

from figures.results.folders import FILE, FOLDER, is_clutter

PACKED = ".json.gz"  # the records of a seed in one file
MOST_DIGITS = 250  # a folder's name has at most 255 bytes


def seed_of(name: str) -> int | None:
    """The seed whose folder has this name; None for the name of anything else."""
    return _number(name, "seed-", str)


def packed_seed_of(name: str) -> int | None:
    """The seed whose records are packed into the file of this name; None for the name of anything else."""
    return seed_of(name.removesuffix(PACKED)) if name.endswith(PACKED) else None


def level_of(name: str) -> int | None:
    """The level whose folder has this name; None for the name of anything else."""
    return _number(name, "level-", "{:02d}".format)


def _number(name: str, prefix: str, written: Callable[[int], str]) -> int | None:
    """The number after a prefix; None unless it is spelt exactly as `written` spells it."""
    digits = name.removeprefix(prefix)
    if digits == name or len(digits) > MOST_DIGITS or not (digits.isascii() and digits.isdecimal()):
        return None
    return int(digits) if written(int(digits)) == digits else None


def experiment_of(stem: str) -> str:
    """The experiment whose file has this stem: the part before the hash of its parameters."""
    return re.sub(r"-[0-9a-f]{6,64}$", "", stem)


def must_be(*parts: str) -> str | None:
    """The kind that an entry of the results folder must have: `FOLDER` or `FILE`; None if it is not read.

    This is the part of `empirics.storage.layout` that is needed for reading.

    Parameters
    ----------
    parts : the parts of the entry's path, from the results folder down.
    """
    if any(map(is_clutter, parts)):
        return None
    match parts:
        case ("theory" | "studies" | "connectivity" | "runs",) | ("runs", _):
            return FOLDER
        case ("theory" | "studies" | "connectivity", name) if name.endswith((".json", ".npz")):
            return FILE
        case ("runs", _, name):
            if name == "config.json" or packed_seed_of(name) is not None:
                return FILE
            return FOLDER if seed_of(name) is not None else None
        case ("runs", _, seed, name) if seed_of(seed) is not None:
            return FILE if name in ("signs.json", "metrics.jsonl") else FOLDER if level_of(name) is not None else None
        case ("runs", _, seed, level, "level.json") if seed_of(seed) is not None and level_of(level) is not None:
            return FILE
    return None
