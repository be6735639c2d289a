"""The contents of a folder: a broken link or a closed folder is an error, never "nothing there".

`pathlib` ignores what it cannot access: runs would disappear from a results folder without a warning. As in
`empirics.storage.folders`.
"""

import errno
import os
import re
import stat
from pathlib import Path

FILE = "file"
FOLDER = "folder"
OTHER = "other"
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
    """A symbolic link that leads to nothing.

    Something should be there, so it is not a `FileNotFoundError`.
    """


def is_clutter(name: str) -> bool:
    """Whether a name is one that operating systems leave in folders, not a user's file.

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
    """The kind of what a path leads to, links followed: `FILE`, `FOLDER` or `OTHER`; None for nothing.

    Raises
    ------
    BrokenLink : it, or a folder on the way to it, is a link that leads nowhere or in a circle.
    OSError : a place that cannot be accessed.
    """
    try:
        return _kind_of_mode(os.stat(path).st_mode)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        if (broken := _broken_link(Path(path), error.errno)) is not None:
            raise broken from None
        return None


def _kind_of_mode(mode: int) -> str:
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def _broken_link(path: Path, number: int) -> BrokenLink | None:
    """The broken link that makes a path lead to nothing, if there is one.

    It is the path itself, or the first folder above it that exists.
    """
    there = next((place for place in (path, *path.parents) if os.path.islink(place) or os.path.exists(place)), None)
    if there is None or os.path.exists(there):
        return None
    which = "it" if there == path else f"{there.name!r} on the way to it"
    where = "in a circle" if number == errno.ELOOP else "nowhere"
    return BrokenLink(number, f"{which} is a link that leads {where}", str(path))


def names_in(folder: Path) -> list[str]:
    """The sorted names in a folder, without clutter; an empty list where there is no folder.

    Raises
    ------
    OSError : as `kind`; it cannot be listed, or is not a folder.
    """
    return [] if kind(folder) is None else sorted(name for name in os.listdir(folder) if not is_clutter(name))
