"""Types of the fields of result files, and the error that names the field that differs. Pure.

A file is described by structs (msgspec): `convert` checks a whole object at once. Conditions between the fields of an
object stand in its `__post_init__`, with `must`.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from itertools import repeat
from types import NoneType, UnionType
from typing import Annotated, Any, Generic, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct

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
        self.file = file
        self.field = field
        self.got = got
        self.do = do


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
        self.file = folder
        self.field = "the results folder"
        self.got = "a file" if is_file else "nothing"
        self.do = do


class ClosedFolder(ResultError):
    """A results folder that cannot be listed: whether anything has been run is not known."""

    def __init__(self, folder: str, why: str):
        """Make the message, in one line."""
        do = "correct its permissions or links, or choose another --results"
        ValueError.__init__(self, f"results folder {folder} cannot be listed: {why}: {do}")
        self.file = folder
        self.field = "the folder"
        self.got = why
        self.do = do


LARGEST_WHOLE = 2**63 - 1
LARGEST_NUMBER = sys.float_info.max

Schema = Annotated[
    int,
    Meta(
        ge=SCHEMA,
        le=SCHEMA,
        description=f"{SCHEMA}, which this version reads and writes",
        extra={
            "do": "run the command that made it again with another --results folder, or use the version that wrote it"
        },
    ),
]
Text = Annotated[str, Meta(min_length=1, max_length=9_999, description="a text")]
Name = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}\Z", description="a name of letters, digits, dots and dashes"),
]
LongWhole = Annotated[int, Meta(ge=0, description="a whole number >= 0")]
Whole = Annotated[int, Meta(ge=0, le=LARGEST_WHOLE, description="a whole number >= 0")]
Positive = Annotated[int, Meta(ge=1, le=LARGEST_WHOLE, description="a whole number > 0")]
ClassCount = Annotated[int, Meta(ge=2, le=LARGEST_WHOLE, description="a whole number >= 2")]
LevelCount = Annotated[int, Meta(ge=1, le=9999, description="a whole number from 1 to 9999")]
Number = Annotated[float, Meta(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, description="a finite number")]
Duration = Annotated[float, Meta(ge=0, le=LARGEST_NUMBER, description="a number of seconds >= 0")]
Fraction = Annotated[float, Meta(ge=0, le=1, description="a fraction in [0, 1]")]
SignedFraction = Annotated[float, Meta(ge=-2, le=2, description="a difference of probabilities in [-2, 2]")]
Rate = Annotated[float, Meta(gt=0, lt=1, description="a fraction in (0, 1): 20 % is written 0.2")]
Table = dict[str, Any]
Protocol = Literal[KNOWN_PROTOCOLS]


class Contradiction(ValueError):
    """Fields of one object that cannot be true together: the field to name, its value, what it must be."""


def must(holds: bool, field: str, got: Any, expected: str) -> None:
    """Raise `Contradiction` unless `holds` is true; for the `__post_init__` of a struct."""
    if not holds:
        raise Contradiction(field, got, expected)


Kind = TypeVar("Kind")


class Head(Struct, Generic[Kind], frozen=True, kw_only=True):
    """What every file begins with: its schema, and the kind of its content."""

    schema: Schema
    kind: Kind


def convert(data: Any, kind: type[Kind], file: str, within: str = "") -> Kind:
    """A part of a file as a value of a type; fields that the type lacks are ignored.

    Raises
    ------
    ResultError : it differs from the type; the message names the field, `within` the part.
    """
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError:  # which says neither the key of a dict nor the value
        raise ResultError(file, *_first_fault(data, kind, within)) from None


def fits(data: Any, kind: Any) -> bool:
    """Whether a value is of a type."""
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError:
        return False
    return True


_ABSENT = object()


def _first_fault(data: Any, kind: Any, where: str) -> tuple[str, Any, str, str]:
    """Of a value of a wrong type: the first field that differs, its value, what it must be, what to do."""
    for name, value, inner in _parts(data, kind):
        place = f"{where}.{name}" if where else name
        if value is _ABSENT:
            return place, "nothing", f"{_expected(inner)} (the field is missing)", ""
        if not fits(value, inner):
            return _first_fault(value, inner, place)
    try:
        msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        if isinstance(error.__cause__, Contradiction):
            name, got, expected = error.__cause__.args
            return f"{where}.{name}" if where else name, got, expected, ""
    return where or "the file", data, _expected(kind), _advice(kind)


def _parts(data: Any, kind: Any) -> Iterator[tuple[str, Any, Any]]:
    """The parts of an object or a list that have a type of their own: name, value (or `_ABSENT`), type."""
    kind = _plain(kind)
    origin = get_origin(kind) or kind
    inner = get_args(kind)
    if isinstance(data, dict) and (is_dataclass(origin) or isinstance(origin, type) and issubclass(origin, Struct)):
        for name, required, of_field in _fields(kind):
            if required or name in data:
                yield name, data.get(name, _ABSENT), of_field
    elif isinstance(data, dict) and origin in (dict, Mapping):
        for name, value in data.items():
            yield name, name, inner[0]
            yield name, value, inner[1]
    elif isinstance(data, list) and origin in (list, tuple):
        kinds = inner if origin is tuple and Ellipsis not in inner else repeat(inner[0])
        yield from ((str(place), *part) for place, part in enumerate(zip(data, kinds, strict=False)))


def _fields(kind: Any) -> list[tuple[str, bool, Any]]:
    """The fields of a struct or a dataclass: name, whether it is required, type."""
    if is_dataclass(kind):
        kinds = get_type_hints(kind, include_extras=True)
        needed = [field.default is MISSING and field.default_factory is MISSING for field in fields(kind)]
        return [(field.name, need, kinds[field.name]) for field, need in zip(fields(kind), needed, strict=True)]
    return [(field.encode_name, field.required, field.type) for field in msgspec.structs.fields(kind)]


def _plain(kind: Any) -> Any:
    """A type without conditions, and without null."""
    if get_origin(kind) is Annotated:
        return _plain(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return _plain(next(part for part in get_args(kind) if part not in (NoneType, msgspec.UnsetType)))
    return kind


_WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", NoneType: "null"}
_WORDS |= {list: "a list", tuple: "a list"}


def _expected(kind: Any) -> str:
    """What a value of a type must be, in words."""
    if get_origin(kind) is Annotated and (said := [meta.description for meta in kind.__metadata__ if meta.description]):
        return said[-1]
    if get_origin(kind) in (Union, UnionType):
        return " or ".join(_expected(part) for part in get_args(kind) if part is not msgspec.UnsetType)
    if get_origin(kind) is Literal:
        return " or ".join(map(repr, get_args(kind)))
    plain = _plain(kind)
    if get_origin(plain) is tuple and Ellipsis not in get_args(plain):
        return f"a list of {len(get_args(plain))}"
    return _WORDS.get(get_origin(plain) or plain, "an object")


def _advice(kind: Any) -> str:
    """What to do where a value is not of this type; "" for the usual advice."""
    of_kind = kind.__metadata__ if get_origin(kind) is Annotated else ()
    return next((meta.extra["do"] for meta in of_kind if meta.extra), "")


def require(holds: bool, file: str, name: str, got: Any, expected: str, do: str = "") -> None:
    """Raise `ResultError` unless `holds` is true."""
    if not holds:
        raise ResultError(file, name, got, expected, do)


def check_label(text: str, file: str, name: str) -> None:
    """Raise `ResultError` for a text that cannot stand in a caption and in the name of a file."""
    plain = 0 < len(text) <= 2000 and text.isprintable() and not set(text) & set("/\\|`")
    require(plain, file, name, text, "a printable label without slashes")


def check_seeds(seeds: Sequence[int], file: str, name: str) -> None:
    """Raise `ResultError` for no seeds, a seed twice, or one that is too long for the name of a folder."""
    right = 0 < len(set(seeds)) == len(seeds) and max(seeds) < 10**MOST_DIGITS
    require(right, file, name, list(seeds), "a list of different whole numbers >= 0")


def parse_json(text: bytes, file: str) -> dict:
    """The object in a JSON file.

    NaN, infinities, repeated keys and too deep nesting are errors.
    """

    def refuse(token):
        raise ResultError(file, "a number", token, "finite")

    def once(pairs):
        found = dict(pairs)
        require(len(found) == len(pairs), file, "an object", [key for key, _ in pairs], "without a repeated key")
        return found

    try:
        data = json.loads(text.decode("utf-8"), parse_constant=refuse, object_pairs_hook=once)
    except ResultError:
        raise
    except (ValueError, RecursionError) as error:
        raise ResultError(file, "the file", str(error)[:60], "whole JSON text") from None
    require(isinstance(data, dict), file, "the file", data, "an object")
    return data


def verify_checksum(data: dict, file: str) -> None:
    """Raise `ResultError` if a record has changed since it was written.

    `checksum` is the SHA-256 of all other fields. A record without one is not checked.
    """
    if "checksum" not in data:
        return
    rest = {name: value for name, value in data.items() if name != "checksum"}
    digest = hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()
    require(data["checksum"] == digest, file, "checksum", data["checksum"], f"{digest[:12]}..., that of its content")
