"""Files of data sets: reading with errors that name the file, hashing, atomic writing."""

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
PLACEHOLDER = ".icloud"  # `.NAME.icloud` is a placeholder for a file that iCloud has not downloaded


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


class DamagedData(DataError):
    """A part of a data set that exists, and cannot be read or is damaged."""


def printable(name: str) -> str:
    """A file name in printable form.

    Bytes that are not text, control characters and trailing blanks are escaped.
    """
    text = os.fsencode(name).decode(errors="replace")
    ends = len(text.rstrip())
    return "".join(c if c.isprintable() and place < ends else ascii(c)[1:-1] if c != " " else r"\x20"
                   for place, c in enumerate(text))  # fmt: skip


def reason(error: BaseException) -> str:
    """The message of an error, without folders of this machine and addresses (`<... object at 0x7f...>`)."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return error.strerror
    text = re.sub(r"\s*<[^<>]* object at 0x[0-9a-fA-F]+>", "", str(error)).strip()
    return text or type(error).__name__


def open_regular(path: Path | str) -> BinaryIO:
    """Open a regular file for unbuffered reading; never a pipe or a device, which may have no end.

    Raises:
        OSError: it cannot be opened, or is not a regular file.
    """
    _check_regular(path, os.stat(path))
    # non-blocking, in case a pipe has replaced the file since
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        _check_regular(path, os.fstat(descriptor))
        return os.fdopen(descriptor, "rb", buffering=0)
    except BaseException:
        os.close(descriptor)
        raise


def _check_regular(path: Path | str, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "it is not a regular file", os.fspath(path))


def read_file(folder: Path, name: str) -> bytes:
    """The bytes of a file of a data set.

    Raises:
        DamagedData: it cannot be read, or is not a regular file.
    """
    with named(printable(name), "read"), open_regular(folder / name) as stream:
        return stream.readall()


def kind_in(folder: Path, name: str) -> str | None:
    """The kind of a path in a data set, see `empirics.storage.folders.kind`; None if it does not exist.

    Args:
        folder: folder of the data set.
        name: path relative to the folder, with `/`.

    Raises:
        DamagedData: the path, or a folder in it, is a broken link or cannot be accessed.
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
    """The entries of a folder of a data set, as pairs of name and kind; system files are left out.

    For kinds see `empirics.storage.folders`.

    Args:
        folder: folder of the data set.
        name: path of the folder in the data set; by default the data set's own folder.
        wanted: whether a name is included; other entries are not accessed.
        spare: whether the data are complete without an entry of this name: it may be a broken link, which is then left
            out.
        spare_links: whether such an entry may be a broken link; otherwise it may only be missing because iCloud has not
            downloaded it.

    Returns:
        The entries, sorted by name.

    Raises:
        DamagedData: the folder cannot be listed; an entry is a broken link, or a placeholder for a file that is not on
            this machine.
    """
    shown = printable(name) if name else f"data folder {printable(folder.name)!r}"
    with named(shown, "listed"):
        entries = folders.entries(folder / name)
    within = f"{name}/" if name else ""
    found = []
    for entry in entries:
        if (absent := _stands_for(entry.name)) and wanted(absent) and not spare(absent):
            raise DamagedData(
                f"{printable(within + entry.name)} is a placeholder for {printable(absent)}, which is still in iCloud: "
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
        DamagedData: it cannot be listed.
    """
    with named(printable(name), "listed"), os.scandir(folder / name) as entries:
        return {entry.name for entry in entries if entry.is_symlink()}


def _stands_for(name: str) -> str | None:
    """The file that an iCloud placeholder represents; None for system files and all other names."""
    if not name.lower().endswith(PLACEHOLDER):
        return None
    absent = name[: -len(PLACEHOLDER)].removeprefix(".")
    return absent if absent and not folders.is_clutter(absent) else None


@contextlib.contextmanager
def named(what: str, do: str) -> Iterator[None]:
    """Convert an `OSError` into an error that names the file or folder of the data set.

    Args:
        what: the file or folder, printable.
        do: what failed, as a participle such as `read`.

    Raises:
        DamagedData: for an `OSError` within.
    """
    try:
        yield
    except OSError as error:
        raise DamagedData(f"{what} cannot be {do}: {error.strerror}") from None


def file_hash(path: Path, algorithm: str) -> str:
    """Hash of a regular file's content, in hexadecimal, without reading it into memory at once."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


def temporary_beside(path: Path) -> Path:
    """A unique hidden name in the folder of `path`.

    It has a random part, since processes in two containers may have the same process number.
    """
    return path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{TEMPORARY}")


def is_temporary(name: str) -> bool:
    """Whether a file's name is one of `temporary_beside`."""
    return name.startswith(".") and name.endswith(TEMPORARY)


def is_being_written(path: Path | str, seconds: float) -> bool:
    """Whether a running process may still be writing a temporary file.

    This holds if its process is running on this machine, or if it was written within the last `seconds`. The process
    number alone is not enough: it may belong to another container or machine, or may have been reused since.

    Args:
        path: path with a name from `temporary_beside`.
        seconds: age up to which a file counts as being written.
    """
    try:
        written = os.stat(path).st_mtime
    except OSError:
        return not os.path.lexists(path)  # it was renamed to its final name
    number = re.search(r"\.([0-9]{1,9})-[0-9a-f]+" + re.escape(TEMPORARY) + r"$", os.fspath(path))
    return abs(time.time() - written) < seconds or (number is not None and _ran_at(int(number[1]), written))


def _ran_at(process: int, moment: float) -> bool:
    """Whether a process is running that was started before `moment`, if the system gives its start time."""
    try:
        os.kill(process, 0)
    except PermissionError:  # a process of another user
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
    """A new empty file in the same folder, which replaces `path` at the end.

    After an error it is removed.

    Raises:
        OSError: the folder cannot be created or written.
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
