"""One process at a time where a record is read, added to and written again: else of two that do, one is lost.

The lock is a file beside the record (`.<name>.lock`), which stays and is empty. The system lets go of it when its
holder ends, however it ends, so none is ever left over.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from empirics.storage.files import StoreError, make_folder

if TYPE_CHECKING:
    from filelock import FileLock

LOCK_SECONDS = 60.0  # a record is written in milliseconds
HOURS = 3 * 3600.0  # for what is computed under a lock
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def locked(
    file: Path, seconds: float = LOCK_SECONDS, on_wait: Callable[[], object] = lambda: None, needed: bool = True
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
            _acquire(lock, 0.0)
        except Timeout:
            on_wait()
            _acquire(lock, seconds)
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


def _acquire(lock: "FileLock", seconds: float) -> None:
    """Acquire the lock that has the name now: a file that was deleted or renamed meanwhile keeps nobody out.

    Raises:
        Timeout: another holder has it all that time.
        OSError: it cannot be had.
    """
    end = time.monotonic() + seconds
    while True:
        lock.acquire(timeout=max(0.0, end - time.monotonic()), poll_interval=0.01)
        try:
            held, there = os.fstat(lock._context.lock_file_fd), os.stat(lock.lock_file, follow_symlinks=False)
            if os.path.samestat(held, there):
                return
        except FileNotFoundError:
            pass
        lock.release()


def _why(error: OSError, file: Path) -> str:
    """Why a lock cannot be held, and what to do."""
    lock = _lock_of(file)
    if lock.is_symlink() or lock.is_dir():
        what = "a link" if lock.is_symlink() else "a folder"
        return f"its lock {lock.name} is {what}, and must be a file ({error.strerror}): remove it"
    ids = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    if isinstance(error, PermissionError) and os.path.lexists(lock) and os.access(file.parent, os.W_OK, **ids):
        return (
            f"its lock {lock.name} is another user's ({error.strerror}): have its owner delete it, or let you write it"
        )
    todo = f": mend the rights of {file.parent.name}/, or choose another --out or --results"
    return f"{error.strerror}{todo if isinstance(error, PermissionError) else ''}: what was complete before stands"


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _mode_in(folder: int) -> int:
    """The mode of a lock in a folder of this mode: whoever may write there must be able to hold it."""
    return 0o600 | (0o060 if folder & 0o020 else 0) | (0o006 if folder & 0o002 else 0)
