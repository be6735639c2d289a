"""What lies in a folder, without gaps: a broken link or a closed folder is an error here and never "nothing there".

`pathlib` passes over what it may not look at: a data set would lose a class without a word, a results folder its runs.
"""

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

FILE, FOLDER, OTHER = "file", "folder", "other"
LOST_AND_FOUND = "lost+found"  # the file system's, at the top of a disk
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
# whatever the letters' case: of Windows, of a Mac's icons and archives, of network disks, of Python
_CLUTTER = (
    "thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "picasa.ini", "$recycle.bin",
    "system volume information", "icon\r", "desktop db", "desktop df", "network trash folder", "temporary items",
    "__macosx", "@eadir", "#recycle", "@recycle", "@recently-snapshot", "__pycache__",
)  # fmt: skip
_RECYCLER = "RECYCLER"  # in small letters a class may be called so
# what copies of a Windows disk hold beside a file NAME, as NAME:STREAM
_STREAMS = (
    "zone.identifier", "encryptable", "smartscreen", "com.dropbox.attrs", "com.dropbox.attributes", "afp_afpinfo",
    "afp_resource",
)  # fmt: skip
_FOUND = re.compile(r"found\.[0-9]{3}")  # of a check of a Windows disk


class BrokenLink(OSError):
    """A symbolic link that leads to nothing: something should be there, so it is no `FileNotFoundError`."""


def is_clutter(name: str) -> bool:
    """Whether a name is of what systems leave in folders, and so of nothing that anyone put there.

    Hidden files are, among them a Mac's `.DS_Store` and its `._NAME` beside every NAME; so are `Thumbs.db` and the
    like, the bins of network disks, the locks `~$NAME` of open documents.
    """
    small = name.lower().replace("\uf03a", ":")  # how a colon is written where it may not be
    return (
        name.startswith((".", "~$"))
        or small in _CLUTTER
        or name == _RECYCLER
        or _FOUND.fullmatch(small) is not None
        or (":" in small and small.rpartition(":")[2] in _STREAMS)
    )


def kind(path: Path | str) -> str | None:
    """What a path leads to, links followed: `FILE`, `FOLDER` or `OTHER` (a pipe, a device); None for nothing there.

    Raises:
        BrokenLink: it, or a folder on the way to it, is a link that leads nowhere or in a circle.
        OSError: a place that may not be looked at.
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
    """What is wrong with a path to nothing: the path, or the first folder above it that is there, is a broken link."""
    there = next((place for place in (path, *path.parents) if os.path.islink(place) or os.path.exists(place)), None)
    if there is None or os.path.exists(there):
        return None
    which = "it" if there == path else f"{there.name!r} on the way to it"
    where = "in a circle" if number == errno.ELOOP else "nowhere"
    return BrokenLink(number, f"{which} is a link that leads {where}", str(path))


def kind_of_entry(entry: "os.DirEntry[str]") -> str | None:
    """`kind` of an entry of `entries`; only a link costs a call of the system."""
    if entry.is_symlink():
        return kind(entry.path)
    return FOLDER if entry.is_dir(follow_symlinks=False) else FILE if entry.is_file(follow_symlinks=False) else OTHER


def _kind_of_mode(mode: int) -> str:
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def is_of_the_system(name: str) -> bool:
    """Whether a name is of nothing of ours: clutter, or the `lost+found` of a disk, which only the system may enter.

    A class of images may be called `lost+found`, so data sets ask for more than the name.
    """
    return is_clutter(name) or name == LOST_AND_FOUND


def entries(folder: Path | str) -> "list[os.DirEntry[str]]":
    """What a folder holds, in the order of names.

    Raises:
        OSError: it is not there, is no folder, or may not be listed.
    """
    with os.scandir(folder) as found:
        return sorted(found, key=lambda entry: entry.name)


def walk(folder: Path | str, on_error: Callable[[OSError], object] | None = None) -> "Iterator[os.DirEntry[str]]":
    """Everything in a folder and the folders in it, links not followed; what vanishes meanwhile is left out.

    Folders of the system's are not gone into, such as `lost+found` or the bin of a disk: many are closed to all but it.

    Args:
        folder: where to begin.
        on_error: told of a folder that may not be listed, by `filename`; the others are walked on.

    Raises:
        OSError: one of them may not be listed, and there is no `on_error`.
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
