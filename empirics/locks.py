"""One process at a time where a record is read, added to and written again: else of two that do, one is lost.

The lock is a file beside the record (`.<name>.lock`), which stays and is empty. The system lets go of it when its
holder ends, however it ends, so none is ever left over.
"""

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from empirics.disk import StoreError, make_folder

SECONDS = 60.0  # a record is written in milliseconds
HOURS = 3 * 3600.0  # for what is computed under a lock
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def locked(
    file: Path, seconds: float = SECONDS, on_wait: Callable[[], object] = lambda: None, needed: bool = True
) -> Iterator[None]:
    """Hold a record, or a folder, for this process; not to be asked for again by its holder.

    Args:
        file: what is read and written meanwhile; its folder is made.
        seconds: how long another holder is waited for.
        on_wait: called once where there is one.
        needed: whether a file system without locks is an error; else nothing is held there.

    Raises:
        StoreError: another process has held it all that time, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    try:
        make_folder(file.parent)
        mode = _mode_in(file.parent.stat().st_mode)
        lock = FileLock(_lock_of(file), mode=mode, fallback_to_soft=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            on_wait()
            lock.acquire(timeout=seconds, poll_interval=0.01)
    except Timeout:
        raise StoreError(
            f"another process has been writing {file.name} for {seconds:.0f} seconds: end it if it hangs, and try again"
        ) from None
    except OSError as error:
        if error.errno not in _NO_LOCKS or needed:
            raise StoreError(f"cannot write {file.name}: {_why(error, file)}") from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            lock.release()


def _why(error: OSError, file: Path) -> str:
    """Why a lock cannot be held, and what to do."""
    lock = _lock_of(file)
    ids = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    if isinstance(error, PermissionError) and os.path.lexists(lock) and os.access(file.parent, os.W_OK, **ids):
        return (
            f"its lock {lock.name} is another user's ({error.strerror}): have its owner delete it, or let you write it"
        )
    return f"{error.strerror}: what was complete before stands"


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _mode_in(folder: int) -> int:
    """The mode of a lock in a folder of this mode: whoever may write there must be able to hold it."""
    return 0o600 | (0o060 if folder & 0o020 else 0) | (0o006 if folder & 0o002 else 0)
