"""The names of the folders of runs, as `empirics.names` writes them: seeds and levels of any number of digits."""

import re
from collections.abc import Callable

MOST_DIGITS = 250  # a folder's name has at most 255 bytes


def seed_of(name: str) -> int | None:
    """The seed whose folder has this name; None for the name of anything else."""
    return _number(name, "seed-", str)


def level_of(name: str) -> int | None:
    """The level whose folder has this name; None for the name of anything else."""
    return _number(name, "level-", "{:02d}".format)


def _number(name: str, prefix: str, written: Callable[[int], str]) -> int | None:
    """The number after a prefix, if it is spelt as it is written."""
    digits = name.removeprefix(prefix)
    if digits == name or len(digits) > MOST_DIGITS or not (digits.isascii() and digits.isdecimal()):
        return None
    return int(digits) if written(int(digits)) == digits else None


def experiment_of(stem: str) -> str:
    """The experiment whose file has this stem: what stands before the hash of its parameters."""
    return re.sub(r"-[0-9a-f]{6,64}$", "", stem)
