"""What lies in a folder, without gaps: a broken link or a closed folder is an error here and never "nothing there".

`pathlib` passes over what it may not look at: a data set would lose a class without a word, a results folder its runs.
"""

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

FILE, FOLDER, OTHER = "file", "folder", "other"
_WORDS = {
    errno.ENOENT: "it is a link that leads nowhere",
    errno.ENOTDIR: "it is a link that leads nowhere",
    errno.ELOOP: "it is a link that leads in a circle",
}


def kind(path: Path | str) -> str | None:
    """What a path leads to, links followed: `FILE`, `FOLDER` or `OTHER` (a pipe, a device); None for nothing there.

    Raises:
        OSError: a link that leads nowhere or in a circle, or a place that may not be looked at; `strerror` says which.
    """
    try:
        return _kind_of_mode(os.stat(path).st_mode)
    except OSError as error:
        if error.errno in _WORDS and os.path.islink(path):
            raise OSError(error.errno, _WORDS[error.errno], str(path)) from None
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise


def kind_of_entry(entry: "os.DirEntry[str]") -> str | None:
    """`kind` of an entry of `entries`; only a link costs a call of the system."""
    if entry.is_symlink():
        return kind(entry.path)
    return FOLDER if entry.is_dir(follow_symlinks=False) else FILE if entry.is_file(follow_symlinks=False) else OTHER


def _kind_of_mode(mode: int) -> str:
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def entries(folder: Path | str) -> "list[os.DirEntry[str]]":
    """What a folder holds, in the order of names.

    Raises:
        OSError: it is not there, is no folder, or may not be listed.
    """
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def walk(folder: Path | str) -> "Iterator[os.DirEntry[str]]":
    """Everything in a folder and the folders in it, links not followed.

    Raises:
        OSError: one of them may not be listed; its `filename` says which.
    """
    for entry in entries(folder):
        yield entry
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
