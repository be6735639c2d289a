"""Files of data sets: read with errors that name them, hashed, and put in place whole or not at all."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from empirics.storage import folders

TEMPORARY = ".tmp"
PLACEHOLDER = ".icloud"  # `.NAME.icloud` stands for a file that is still on a server of Apple's


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


class DamagedData(DataError):
    """A part of a data set that is there, and cannot be read or is damaged."""


def printable(name: str) -> str:
    """A file name that can be printed and seen: bytes that are no text, control characters, a blank at its end."""
    text = os.fsencode(name).decode(errors="replace")
    ends = len(text.rstrip())
    return "".join(c if c.isprintable() and place < ends else ascii(c)[1:-1] if c != " " else r"\x20"
                   for place, c in enumerate(text))  # fmt: skip


def reason(error: BaseException) -> str:
    """What an error says, without folders of this machine and objects in memory (`<... object at 0x7f...>`)."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return error.strerror
    text = re.sub(r"\s*<[^<>]* object at 0x[0-9a-fA-F]+>", "", str(error)).strip()
    return text or type(error).__name__


def open_regular(path: Path | str) -> BinaryIO:
    """A regular file, opened to be read without a buffer; a pipe or a device, which may have no end, never is.

    Raises:
        OSError: it cannot be opened, or is no regular file.
    """
    _check_regular(path, os.stat(path))
    # not to wait at a pipe that has taken the file's place since
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check_regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(path: Path | str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is no regular file", os.fspath(path))


def read_file(folder: Path, name: str) -> bytes:
    """The bytes of a file of a data set.

    Raises:
        DamagedData: it cannot be read, or is no regular file.
    """
    with named(printable(name), "read"), open_regular(folder / name) as stream:
        return stream.readall()


def kind_in(folder: Path, name: str) -> str | None:
    """What a name in a data set leads to, see `empirics.storage.folders`; None for nothing there.

    Args:
        folder: of the data set.
        name: relative to the folder, with `/`.

    Raises:
        DamagedData: it, or a folder on the way to it, is a link that leads nowhere, or may not be looked at.
    """
    for part in (*reversed(PurePosixPath(name).parents[:-1]), PurePosixPath(name)):
        with named(printable(part.as_posix()), "read"):
            found = folders.kind(folder / part)
    return found


def listed(
    folder: Path,
    name: str = "",
    wanted: Callable[[str], bool] = lambda name: True,
    spare: Callable[[str], bool] = lambda name: False,
    spare_links: bool = True,
) -> list[tuple[str, str]]:
    """What a folder of a data set holds: names, without clutter, each with its kind, see `empirics.storage.folders`.

    Args:
        folder: of the data set.
        name: of the folder in it; by default the data set's own.
        wanted: whether a name is asked for; nothing else is looked at.
        spare: whether a name is that of a thing without which the data are whole: it may be a link that leads nowhere,
            and is left out then.
        spare_links: whether it may be such a link; else it may only be still in iCloud.

    Returns:
        In the order of names.

    Raises:
        DamagedData: the folder may not be listed; something in it is a link that leads nowhere, or stands for a file
            that is not on this machine.
    """
    shown = printable(name) if name else f"data folder {printable(folder.name)!r}"
    with named(shown, "listed"):
        entries = folders.entries(folder / name)
    within, found = f"{name}/" if name else "", []
    for entry in entries:
        if (absent := _stands_for(entry.name)) and wanted(absent) and not spare(absent):
            raise DamagedData(
                f"{printable(within + entry.name)} stands for {printable(absent)}, which is still in iCloud: "
                "download it first"
            )
        if folders.is_clutter(entry.name) or not wanted(entry.name):
            continue
        try:
            found.append((entry.name, folders.kind_of_entry(entry) or folders.OTHER))
        except OSError as error:
            if not (spare_links and isinstance(error, folders.BrokenLink) and spare(entry.name)):
                raise DamagedData(f"{printable(within + entry.name)} cannot be read: {error.strerror}") from None
    return found


def links_in(folder: Path, name: str) -> set[str]:
    """The names of the symbolic links in a folder of a data set.

    Raises:
        DamagedData: it may not be listed.
    """
    with named(printable(name), "listed"), os.scandir(folder / name) as entries:
        return {entry.name for entry in entries if entry.is_symlink()}


def _stands_for(name: str) -> str | None:
    """The file that a placeholder of iCloud stands for, unless that is clutter; None for any other name."""
    if not name.lower().endswith(PLACEHOLDER):
        return None
    absent = name[: -len(PLACEHOLDER)].removeprefix(".")
    return absent if absent and not folders.is_clutter(absent) else None


@contextlib.contextmanager
def named(what: str, do: str) -> Iterator[None]:
    """Turn an error of the system into one that names the place in the data set.

    Args:
        what: the place, printable.
        do: what it cannot be, as in `read`.

    Raises:
        DamagedData: for an `OSError` within.
    """
    try:
        yield
    except OSError as error:
        raise DamagedData(f"{what} cannot be {do}: {error.strerror}") from None


def file_hash(path: Path, algorithm: str) -> str:
    """Hash of a regular file's content, in hexadecimal; a large file is not read into memory."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def temporary_beside(path: Path) -> Path:
    """A hidden name beside `path` that nobody else takes: processes in two containers may have one number."""
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of `temporary_beside`."""
    return name.startswith(".") and name.endswith(TEMPORARY)


def is_being_written(path: Path | str, seconds: float) -> bool:
    """Whether a temporary file may still be a living writer's: of a process that is here, or written a moment ago.

    The number of a process says nothing where it is of another container or machine, or has been given out again since:
    what counts then is when the file was last written.

    Args:
        path: of a name as `temporary_beside` gives it.
        seconds: what a moment is.
    """
    try:
        written = os.stat(path).st_mtime
    except OSError:
        return not os.path.lexists(path)  # it has become what it was written for
    number = re.search(r"\.([0-9]{1,9})-[0-9a-f]+" + re.escape(TEMPORARY) + r"$", os.fspath(path))
    return abs(time.time() - written) < seconds or (number is not None and _ran_at(int(number[1]), written))


def _ran_at(process: int, moment: float) -> bool:
    """Whether a process lives that had begun by then, as far as the system tells when it has."""
    try:
        os.kill(process, 0)
    except PermissionError:  # another user's
        pass
    except OSError:
        return False
    try:
        ticks = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])
        began = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + ticks / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError, AttributeError):
        return True
    return began < moment + 1  # ticks are coarse


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
