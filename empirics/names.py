"""The names of files and folders in a results folder; they are made and parsed only here.

A name is parsed back to the number or the parts that it was made from; any other spelling is not a valid name.
`figures.results.names` reads the same folders.
"""

import hashlib
import re

from empirics.choices import ConfigError

MOST_DIGITS = 250  # of a seed: a folder's name has at most 255 bytes
MOST_LEVELS = 9999
MOST_LETTERS = 200  # of a run's name: arm, data set, network and hash
MOST_LETTERS_OF_ARM = 60
MOST_LETTERS_OF_DATASET = 100
LONGEST_STUDY = 220  # letters of a study's name: with prefix and suffix, a file's name has at most 255


def seed_folder(seed: int) -> str:
    """`seed-<s>`.

    Raises:
        ConfigError: the seed is negative, or has more digits than a folder's name can hold.
    """
    if not 0 <= seed < 10**MOST_DIGITS:
        raise ConfigError(f"a seed is a whole number from 0, of at most {MOST_DIGITS} digits, got {_short(seed)}")
    return f"seed-{seed}"


def seed_of(name: str) -> int | None:
    """The seed whose folder has this name; None for any other name."""
    number = _number(name, "seed-")
    return number if number is not None and seed_folder(number) == name else None


def level_folder(level: int) -> str:
    """`level-<kk>`."""
    return f"level-{level:02d}"


def level_of(name: str) -> int | None:
    """The level whose folder has this name; None for any other name."""
    number = _number(name, "level-")
    return number if number is not None and level_folder(number) == name else None


def level_id(run: str, level: int) -> str:
    """The name by which a record refers to a level of a run that it depends on: `<run>/level-<kk>`."""
    return f"{run}/{level_folder(level)}"


def parse_level_id(name: str) -> tuple[str, int] | None:
    """The run and level of a `level_id`; None for any other text."""
    run, _, folder = name.rpartition("/")
    level = level_of(folder)
    return (run, level) if level is not None and is_name(run) else None


def checkpoint_file(level: int, epoch: int, digest: str) -> str:
    """`level-<kk>-epoch-<eeeee>-<SHA-256 of its content>.safetensors`."""
    return f"{level_folder(level)}-epoch-{epoch:05d}-{digest}.safetensors"


def parse_checkpoint(name: str) -> tuple[int, int, str] | None:
    """The level, epoch and SHA-256 in the name of a checkpoint; None for any other name."""
    found = re.fullmatch(r"(level-[0-9]+)-epoch-([0-9]{5,20})-([0-9a-f]{64})\.safetensors", name)
    level = level_of(found[1]) if found else None
    if level is None or checkpoint_file(level, int(found[2]), found[3]) != name:
        return None
    return level, int(found[2]), found[3]


def is_checkpoint_of(name: str, level: int) -> bool:
    """Whether a file's name begins as that of a checkpoint of this level, whichever version wrote it."""
    return name.startswith(f"{level_folder(level)}-") and name.endswith(".safetensors")


def is_name(name: object) -> bool:
    """Whether a name can be used in a path without leading out of its folder."""
    if not isinstance(name, str) or len(name) > MOST_LETTERS:
        return False
    return re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name) is not None


def is_slug(name: str) -> bool:
    """Whether a name is lower-case words joined by hyphens, as in the name of a run."""
    return re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name) is not None


def study_name(preset: str, dataset: str) -> str:
    """The name of a study: preset, changed settings and data set; a long name ends in a hash.

    Args:
        preset: the preset with the changed settings, as in `quick, lr=0.2`.
        dataset: name of the data set.
    """
    name = re.sub(r"[^a-z0-9.]+", "-", f"{preset} {dataset}")
    if len(name) <= LONGEST_STUDY:
        return name
    return f"{name[: LONGEST_STUDY - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _number(name: str, prefix: str) -> int | None:
    digits = name.removeprefix(prefix)
    plain = digits != name and digits.isascii() and digits.isdecimal() and len(digits) <= MOST_DIGITS
    return int(digits) if plain else None


def _short(seed: int) -> str:
    return "a longer one" if seed >= 10**MOST_DIGITS else str(seed) if seed > -(10**20) else "a negative one"
