"""Read the records (sidecars) of the pictures back. Reads one file, writes none.

A sidecar is a file like any other: every field that is used is checked here, and an error names a bad one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from figures.results.fields import SCHEMA, Duration, Head, ResultError, Table, Text, convert, parse_json
from figures.results.folders import FILE, kind
from figures.results.variants import (
    BEST_EPOCH,
    EVERY_PROTOCOL,
    KNOWN_PROTOCOLS,
    LAST_EPOCH,
    OURS_PROTOCOL,
    file_suffix,
    with_protocol,
)

SIDECAR_KINDS = ("figure", "claims", "comparison", "protocols")


class UnknownPicture(ValueError):
    """A path that is not a picture of this project; the message says what was given and what to do."""


class _Source(Struct, frozen=True):
    path: str
    sha256: str


class _Missing(Struct, frozen=True):
    panel: str
    why: str
    command: str


class _Theory(Struct, frozen=True):
    file: str
    params: Table
    command: str
    provenance: Table


class _Run(Struct, frozen=True):
    run: str
    seeds: list[int]
    diverged: list[int]
    missing: list[int]
    provenance: list[Table]


class _Study(Struct, frozen=True):
    scope: str
    command: str
    arms: dict[str, _Run]
    smoke: bool = False
    records: str = ""


class _Sidecar(Head[Literal[SIDECAR_KINDS]], frozen=True, kw_only=True):
    protocol: Literal[*KNOWN_PROTOCOLS, EVERY_PROTOCOL] = OURS_PROTOCOL
    accuracy: Literal[LAST_EPOCH, BEST_EPOCH] = LAST_EPOCH
    id: str = ""
    title: str = ""
    caption: str = ""
    caption_opening: str = ""
    command: str | None = None
    code_sha256: str = ""
    summary: list[str] = []
    seconds: Duration = 0.0
    outputs: dict[str, Text] = {}
    theory: dict[str, _Theory] = {}
    studies: dict[str, _Study] = {}
    inputs: list[_Source] = []
    missing: list[_Missing] = []
    provenance: Table = {}
    plotted: Table = {}
    smoke_runs: list[str] = []
    claims: list[Table] = []
    problems: list[Table] = []
    reference: Table = {}  # of a comparison: the sidecar of the other side, without its head


def read_sidecar(path: Path | str) -> dict[str, Any]:
    """Read the record of a figure, a comparison or the claims.

    Raises:
        UnknownPicture: no such file, or one that is not a record of this project; the field is named.
    """
    path = Path(path)
    try:
        return check_sidecar(parse_json(path.read_bytes(), path.name), path.name)
    except FileNotFoundError:
        raise UnknownPicture(f"no sidecar {path.name} for the picture: run `paper_repro.py figures` again") from None
    except OSError as error:
        raise UnknownPicture(f"{path} cannot be read: {error.strerror}") from None
    except ResultError as error:
        text = str(error).removesuffix(f": {error.do}")
        what = f"{path.name} is not whole JSON" if "whole JSON" in text else f"not a figure's sidecar: {text}"
        raise UnknownPicture(f"{what}: run `paper_repro.py figures` again") from None


def standing_figure(
    figure_id: str, place: Path | str, protocol: str = OURS_PROTOCOL, accuracy: str = LAST_EPOCH
) -> dict[str, Any]:
    """Read the record of a figure under a protocol at `place`: its .json, or the folder that holds it.

    `accuracy`: which of its variants is read from a folder.

    Raises:
        UnknownPicture: it does not exist, or is the record of something else.
    """
    path = Path(place)
    path = path / f"fig{figure_id}{file_suffix(protocol, accuracy)}.json" if path.suffix != ".json" else path
    if not is_file(path):
        how = with_protocol(f"paper_repro.py figures {figure_id}", protocol)
        raise UnknownPicture(f"figure {figure_id} has not been made: {path} does not exist: run `{how}`")
    found = read_sidecar(path)
    if (found["kind"], found.get("id")) != ("figure", figure_id):
        raise UnknownPicture(f"{path.name} is the record of {found['kind']} {found.get('id')}, not figure {figure_id}")
    if (there := found.get("protocol", OURS_PROTOCOL)) != protocol:
        raise UnknownPicture(f"{path.name} is of protocol {there}, not {protocol}: give --protocol {there}")
    return found


def is_file(path: Path) -> bool:
    """Whether a file exists.

    Raises:
        UnknownPicture: this is not known: a folder cannot be accessed, or a link leads nowhere.
    """
    try:
        return kind(path) == FILE
    except OSError as error:
        raise UnknownPicture(f"{path} cannot be read: {error.strerror}") from None


def check_sidecar(found: Mapping[str, Any], file: str) -> dict[str, Any]:
    """Check the types of a sidecar's fields, and return it as a dict.

    Fields may be absent, except `schema` and `kind`.

    Raises:
        ResultError: a field has the wrong type; the message names it.
    """
    convert(found, _Sidecar, file)
    if "reference" in found:
        check_sidecar({"schema": SCHEMA, "kind": "figure", **found["reference"]}, f"{file}, reference")
    return dict(found)
