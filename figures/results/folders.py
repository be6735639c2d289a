"""What lies in a folder: a broken link or a closed folder is an error and never "nothing there".

`pathlib` passes over what it may not look at: a results folder would lose its runs without a word. As in
`empirics.storage.folders`.
"""

import errno
import os
import stat
from pathlib import Path

FILE, FOLDER, OTHER = "file", "folder", "other"
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
# whatever the letters' case: of Windows, of a Mac's icons and archives, of network disks
_CLUTTER = ("thumbs.db", "ehthumbs.db", "desktop.ini", "$recycle.bin", "system volume information", "icon\r",
            "__macosx", "@eadir")  # fmt: skip


class BrokenLink(OSError):
    """A symbolic link that leads to nothing: something should be there, so it is no `FileNotFoundError`."""


def is_clutter(name: str) -> bool:
    """Whether a name is of what systems leave in folders, and so of nothing that anyone put there.

    Hidden files are, among them a Mac's `.DS_Store` and its `._NAME` beside every NAME; so are `Thumbs.db` and the
    like.
    """
    return name.startswith(".") or name.lower() in _CLUTTER


def kind(path: Path | str) -> str | None:
    """What a path leads to, links followed: `FILE`, `FOLDER` or `OTHER`; None where there is nothing.

    Raises
    ------
    BrokenLink : it, or a folder on the way to it, is a link that leads nowhere or in a circle.
    OSError : a place that may not be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        if (broken := _broken_link(Path(path), error.errno)) is not None:
            raise broken from None
        return None
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def _broken_link(path: Path, number: int) -> BrokenLink | None:
    """What is wrong with a path to nothing: the path, or the first folder above it that is there, is a broken link."""
    there = next((place for place in (path, *path.parents) if os.path.islink(place) or os.path.exists(place)), None)
    if there is None or os.path.exists(there):
        return None
    which = "it" if there == path else f"{there.name!r} on the way to it"
    where = "in a circle" if number == errno.ELOOP else "nowhere"
    return BrokenLink(number, f"{which} is a link that leads {where}", str(path))


def names_in(folder: Path) -> list[str]:
    """The names of what a folder holds, in their order, without clutter; none where there is nothing.

    Raises
    ------
    OSError : as `kind`; it may not be listed, or is no folder.
    """
    return [] if kind(folder) is None else sorted(name for name in os.listdir(folder) if not is_clutter(name))
