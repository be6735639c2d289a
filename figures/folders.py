"""What lies in a folder: a broken link or a closed folder is an error and never "nothing there".

`pathlib` passes over what it may not look at: a results folder would lose its runs without a word. As in
`empirics.folders`.
"""

import errno
import os
import stat
from pathlib import Path

FILE, FOLDER, OTHER = "file", "folder", "other"
_BROKEN = {
    errno.ENOENT: "it is a link that leads nowhere",
    errno.ENOTDIR: "it is a link that leads nowhere",
    errno.ELOOP: "it is a link that leads in a circle",
}


class BrokenLink(OSError):
    """A symbolic link that leads to nothing: something should be there, so it is no `FileNotFoundError`."""


def kind(path: Path | str) -> str | None:
    """What a path leads to, links followed: `FILE`, `FOLDER` or `OTHER`; None where there is nothing.

    Raises
    ------
    BrokenLink : a link that leads nowhere or in a circle.
    OSError : a place that may not be looked at.
    """
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno in _BROKEN and os.path.islink(path):
            raise BrokenLink(error.errno, _BROKEN[error.errno], str(path)) from None
        if isinstance(error, FileNotFoundError | NotADirectoryError):
            return None
        raise
    return FOLDER if stat.S_ISDIR(mode) else FILE if stat.S_ISREG(mode) else OTHER


def kind_below(root: Path, path: Path) -> str | None:
    """`kind` of a path below a folder; a folder between the two that is a broken link is an error too.

    Raises
    ------
    OSError : as `kind`.
    """
    found: str | None = FOLDER
    for parent in [*reversed(path.relative_to(root).parents[:-1]), path.relative_to(root)]:
        found = kind(root / parent)
    return found


def names_in(folder: Path) -> list[str]:
    """The names of what a folder holds, in their order, hidden ones left out; none where there is nothing.

    Raises
    ------
    OSError : as `kind`; it may not be listed, or is no folder.
    """
    return [] if kind(folder) is None else sorted(name for name in os.listdir(folder) if not name.startswith("."))
