"""Complete listings of folders: a broken link or an unreadable folder is an error, not "missing".

`pathlib` silently skips what it cannot read: a data set could lose a class, or a results folder its runs, unnoticed.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

FILE = "file"
FOLDER = "folder"
OTHER = "other"
LOST_AND_FOUND = "lost+found"  # created by the file system at the top of a disk
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
# compared without case: files of Windows, of macOS (icons and archives), of network disks, of Python
_CLUTTER = (
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "$recycle.bin",
    "system volume information", "icon\r", "desktop db", "desktop df", "network trash folder", "temporary items",
    "__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "__pycache__",
)  # fmt: skip
_RECYCLER = "RECYCLER"  # only in capitals: a class may be named so in small letters
# copies of a Windows disk may contain NAME:STREAM next to a file NAME
_STREAMS = (
    "zone.identifier", "encryptable", "smartscreen", "com.dropbox.attrs", "com.dropbox.attributes", "afp_afpinfo",
    "afp_resource",
)  # fmt: skip
_FOUND = re.compile(r"found\.[0-9]{3}")  # made by a disk check of Windows


class BrokenLink(OSError):
    """A symbolic link without a target. It is not a `FileNotFoundError`, since a file is expected there."""


def is_clutter(name: str) -> bool:
    """Whether a name is that of a file or folder that an operating system creates by itself.

    These are hidden files, among them `.DS_Store` and `._NAME` of macOS; `Thumbs.db` and the like; the bins of network
    disks; the locks `~$NAME` of open documents.
    """
    small = name.lower().replace("\uf03a", ":")  # replaces a colon on file systems that do not allow one
    return (
        name.startswith((".", "~$"))
        or small in _CLUTTER
        or name == _RECYCLER
        or _FOUND.fullmatch(small) is not None
        or (":" in small and small.rpartition(":")[2] in _STREAMS)
    )


def kind(path: Path | str) -> str | None:
    """The kind of a path, links followed: `FILE`, `FOLDER` or `OTHER` (pipe, device); None if missing.

    Raises:
        BrokenLink: the path, or a folder in it, is a link without a target or a circle of links.
        OSError: the path cannot be accessed.
    """
    try:
        return _kind_of_mode(os.stat(path).st_mode)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        if (broken := _broken_link(Path(path), error.errno)) is not None:
            raise broken from None
        return None


def _broken_link(path: Path, number: int) -> BrokenLink | None:
    """The error if a missing path, or its nearest existing parent, is a broken link; otherwise None."""
    there = next((place for place in (path, *path.parents) if os.path.islink(place) or os.path.exists(place)), None)
    if there is None or os.path.exists(there):
        return None
    which = "it" if there == path else f"{there.name!r} on the way to it"
    where = "in a circle" if number == errno.ELOOP else "nowhere"
    return BrokenLink(number, f"{which} is a link that leads {where}", str(path))


def kind_of_entry(entry: "os.DirEntry[str]") -> str | None:
    """`kind` of an entry of `entries`; only a link needs a system call."""
    if entry.is_symlink():
        return kind(entry.path)
    return FOLDER if entry.is_dir(follow_symlinks=False) else FILE if entry.is_file(follow_symlinks=False) else OTHER


def _kind_of_mode(mode: int) -> str:
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def is_of_the_system(name: str) -> bool:
    """Whether a name is that of a system file: clutter, or the `lost+found` of a disk.

    Only the system may read `lost+found`. A class of images may have that name too, so data sets check more than the
    name.
    """
    return is_clutter(name) or name == LOST_AND_FOUND


def entries(folder: Path | str) -> "list[os.DirEntry[str]]":
    """The entries of a folder, sorted by name.

    Raises:
        OSError: it does not exist, is not a folder, or cannot be listed.
    """
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def walk(folder: Path | str, on_error: Callable[[OSError], object] | None = None) -> "Iterator[os.DirEntry[str]]":
    """Everything in a folder and its subfolders; links are not followed.

    Entries that are removed meanwhile are left out. System folders, such as `lost+found` or the bin of a disk, are not
    entered, since many are readable only by the system.

    Args:
        folder: where to begin.
        on_error: called with the error of a folder that cannot be listed (its `filename` names the folder); the other
            folders are still walked.

    Raises:
        OSError: a folder cannot be listed, and there is no `on_error`.
    """
    try:
        found = entries(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        if on_error is None:
            raise
        on_error(error)
        return
    for entry in found:
        yield entry
        if entry.is_dir(follow_symlinks=False) and not is_of_the_system(entry.name):
            yield from walk(entry.path, on_error)
