"""Conditions on the fields of result files, and the error that names the field that breaks one. Pure."""

import hashlib
import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from figures.results.names import MOST_DIGITS
from figures.results.variants import KNOWN_PROTOCOLS

SCHEMA = 2
READINGS = ("level_start", "initial", "previous")


class ResultError(ValueError):
    """A result file that cannot be trusted: which file, which field, the value found, what to do."""

    def __init__(self, file: str, field: str, got: Any, expected: str, do: str = ""):
        """Keep the four parts apart (for programs) and join them in one line (for people)."""
        shown = repr(got) if len(repr(got)) <= 80 else repr(got)[:77] + "..."
        do = do or f"delete {file} and run the command that made it again"
        super().__init__(f"{file}: {field} must be {expected}, got {shown}: {do}")
        self.file, self.field, self.got, self.do = file, field, got, do


class NoFolder(ResultError):
    """The results folder does not exist, or is a file.

    Either nothing has been run, or the path is wrong.
    """

    def __init__(self, folder: str, is_file: bool = False):
        """Make the message, in one line."""
        do = "give the folder of the results with --results"
        do = do if is_file else f"run `paper_repro.py figures` first, or {do}"
        wrong = f"{folder} is a file, not a folder of results" if is_file else f"results folder {folder} does not exist"
        ValueError.__init__(self, f"{wrong}: {do}")
        self.file, self.field, self.got, self.do = folder, "the results folder", "a file" if is_file else "nothing", do


class ClosedFolder(ResultError):
    """A results folder that cannot be listed: whether anything has been run is not known."""

    def __init__(self, folder: str, why: str):
        """Make the message, in one line."""
        do = "correct its permissions or links, or choose another --results"
        ValueError.__init__(self, f"results folder {folder} cannot be listed: {why}: {do}")
        self.file, self.field, self.got, self.do = folder, "the folder", why, do


@dataclass(frozen=True)
class Check:
    """One condition on a field.

    `test` is the condition, `says` describes it for the error message, and `do` says what to do where it does not hold
    (empty: the usual advice).
    """

    test: Callable[[Any], bool]
    says: str
    do: str = ""


def _number(value) -> bool:
    return (type(value) is int and abs(value) < 2**63) or (type(value) is float and math.isfinite(value))


def _counts(value) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def exactly(wanted) -> Check:
    """Check that a value equals `wanted` and has its type."""
    return Check(lambda v: type(v) is type(wanted) and v == wanted, repr(wanted))


SCHEMA_IS = Check(
    lambda v: type(v) is int and v == SCHEMA,
    f"{SCHEMA}, which this version reads and writes",
    "run the command that made it again with another --results folder, or use the version that wrote it",
)


def or_null(check: Check) -> Check:
    """Check that also accepts null."""
    return Check(lambda v: v is None or check.test(v), f"{check.says} or null")


TEXT = Check(lambda v: isinstance(v, str) and 0 < len(v) < 10_000, "a text")
NAME = Check(
    lambda v: isinstance(v, str) and re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", v) is not None,
    "a name of letters, digits, dots and dashes",
)
LABEL = Check(
    lambda v: isinstance(v, str) and 0 < len(v) <= 2000 and v.isprintable() and not set(v) & set("/\\|`"),
    "a printable label without slashes",
)
LONG_WHOLE = Check(
    lambda v: type(v) is int and 0 <= v < 10**MOST_DIGITS, f"a whole number >= 0 of at most {MOST_DIGITS} digits"
)
WHOLE = Check(lambda v: type(v) is int and 0 <= v < 2**63, "a whole number >= 0")
POSITIVE = Check(lambda v: type(v) is int and 0 < v < 2**63, "a whole number > 0")
CLASS_COUNT = Check(lambda v: type(v) is int and 2 <= v < 2**63, "a whole number >= 2")
LEVEL_COUNT = Check(lambda v: type(v) is int and 0 < v <= 9999, "a whole number from 1 to 9999")
NUMBER = Check(_number, "a finite number")
DURATION = Check(lambda v: _number(v) and v >= 0, "a number of seconds >= 0")
FRACTION = Check(lambda v: _number(v) and 0 <= v <= 1, "a fraction in [0, 1]")
SIGNED_FRACTION = Check(lambda v: _number(v) and -2 <= v <= 2, "a difference of probabilities in [-2, 2]")
RATE = Check(lambda v: _number(v) and 0 < v < 1, "a fraction in (0, 1): 20 % is written 0.2")
TABLE = Check(lambda v: isinstance(v, dict), "an object")
TRUTH = Check(lambda v: isinstance(v, bool), "true or false")
PROTOCOL = Check(lambda v: v in KNOWN_PROTOCOLS, " or ".join(map(repr, KNOWN_PROTOCOLS)))
COUNTS = Check(_counts, "a list of whole numbers >= 0")
FRACTIONS = Check(lambda v: isinstance(v, list) and all(map(FRACTION.test, v)), "a list of fractions in [0, 1]")
SEEDS = Check(
    lambda v: isinstance(v, list) and all(map(LONG_WHOLE.test, v)) and v and len(set(v)) == len(v),
    "a list of different whole numbers >= 0",
)


def validate(data: Any, checks: Mapping[str, Check], file: str, within: str = "") -> dict:
    """Check the named fields of `data` and return them; other fields are ignored."""
    if not isinstance(data, dict):
        raise ResultError(file, within or "the file", data, "an object")
    for name, check in checks.items():
        where = f"{within}.{name}" if within else name
        if name not in data:
            raise ResultError(file, where, "nothing", f"{check.says} (the field is missing)")
        if not check.test(data[name]):
            raise ResultError(file, where, data[name], check.says, check.do)
    return {name: data[name] for name in checks}


def require(holds: bool, file: str, name: str, got: Any, expected: str, do: str = "") -> None:
    """Raise `ResultError` unless `holds` is true."""
    if not holds:
        raise ResultError(file, name, got, expected, do)


def parse_json(text: bytes, file: str) -> dict:
    """The object in a JSON file.

    NaN, infinities, repeated keys and too deep nesting are errors.
    """

    def refuse(token):
        raise ResultError(file, "a number", token, "finite")

    def once(pairs):
        keys = [key for key, _ in pairs]
        require(len(set(keys)) == len(keys), file, "an object", keys, "without a repeated key")
        return dict(pairs)

    try:
        data = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=once)
    except ResultError:
        raise
    except (ValueError, RecursionError) as error:
        raise ResultError(file, "the file", str(error)[:60], "whole JSON text") from None
    return take_object(data, file)


def verify_checksum(data: dict, file: str) -> None:
    """Raise `ResultError` if a record has changed since it was written.

    `checksum` is the SHA-256 of all other fields. A record without one is not checked.
    """
    rest = {name: value for name, value in data.items() if name != "checksum"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    got = data.get("checksum", digest)
    require(got == digest, file, "checksum", got, f"{digest[:12]}..., that of its content")


def take_object(data: Any, file: str) -> dict:
    """Return `data` if it is an object; otherwise raise `ResultError`."""
    require(isinstance(data, dict), file, "the file", data, "an object")
    return data
