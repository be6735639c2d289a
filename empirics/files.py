"""Files of data sets: read with errors that name them, hashed, and put in place whole or not at all."""

import contextlib
import hashlib
import os
import re
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from empirics import folders

TEMPORARY = ".tmp"


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


def printable(name: str) -> str:
    """A file name that can be printed, whatever bytes it is made of."""
    return os.fsencode(name).decode(errors="replace")


def reason(error: BaseException) -> str:
    """What an error says, without the objects in memory (`<... object at 0x7f...>`) that libraries put into it."""
    text = re.sub(r"\s*<[^<>]* object at 0x[0-9a-fA-F]+>", "", str(error)).strip()
    return text or type(error).__name__


def read_file(folder: Path, name: str) -> bytes:
    """The bytes of a file of a data set.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise DataError(f"{printable(name)} cannot be read: {error.strerror}") from None


def kind_in(folder: Path, name: str) -> str | None:
    """What a name in a data set leads to, see `empirics.folders`; None for nothing there.

    Args:
        folder: of the data set.
        name: relative to the folder, with `/`.

    Raises:
        DataError: it, or a folder on the way to it, is a link that leads nowhere, or may not be looked at.
    """
    for part in (*reversed(PurePosixPath(name).parents[:-1]), PurePosixPath(name)):
        with _named(part.as_posix(), "read"):
            found = folders.kind(folder / part)
    return found


def listed(folder: Path, name: str = "", wanted: Callable[[str], bool] = lambda name: True) -> list[tuple[str, str]]:
    """What a folder of a data set holds: names, without clutter, each with its kind, see `empirics.folders`.

    Args:
        folder: of the data set.
        name: of the folder in it; by default the data set's own.
        wanted: whether a name is asked for; nothing else is looked at.

    Returns:
        In the order of names.

    Raises:
        DataError: the folder may not be listed, or something in it is a link that leads nowhere.
    """
    with _named(name or f"data folder {folder.name!r}", "listed"):
        entries = folders.entries(folder / name)
    within = f"{name}/" if name else ""
    found = [entry for entry in entries if not folders.is_clutter(entry.name) and wanted(entry.name)]
    return [(entry.name, _kind(entry, within + entry.name)) for entry in found]


def folders_in(folder: Path, name: str, unless: Callable[[str], bool]) -> list[tuple[str, bool]]:
    """The folders in a folder of a data set, without clutter, each with whether it is a link to one.

    Args:
        folder: of the data set.
        name: of the folder in it.
        unless: whether a link's name is that of another thing; it is not followed to see.

    Raises:
        DataError: the folder may not be listed.
    """
    with _named(name, "listed"):
        entries = folders.entries(folder / name)
    plain = [entry for entry in entries if not folders.is_clutter(entry.name)]
    links = [entry for entry in plain if entry.is_symlink() and not unless(entry.name) and os.path.isdir(entry.path)]
    found = [entry for entry in plain if entry in links or entry.is_dir(follow_symlinks=False)]
    return [(entry.name, entry in links) for entry in found]


def _kind(entry: "os.DirEntry[str]", name: str) -> str:
    with _named(name, "read"):
        return folders.kind_of_entry(entry) or folders.OTHER


@contextlib.contextmanager
def _named(name: str, do: str) -> Iterator[None]:
    """Turn an error of the system into one that names the place in the data set."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{printable(name)} cannot be {do}: {error.strerror}") from None


def file_hash(path: Path, algorithm: str) -> str:
    """Hash of a file's content, in hexadecimal; a large file is not read into memory."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def temporary_beside(path: Path) -> Path:
    """A hidden name beside `path` that nobody else takes: processes in two containers may have one number."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of `temporary_beside`."""
    return name.startswith(".") and name.endswith(TEMPORARY)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new empty file beside `path` that takes its place in the end; after an error nothing of it is left.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = temporary_beside(path)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
