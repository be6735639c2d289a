"""Locks for records that several processes read, extend and write, so that no change is lost.

The lock is an empty file in the folder of the record (`.<name>.lock`), which stays. The system releases it when the
process that holds it ends, for whatever reason, so there are no stale locks.
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
HOURS = 3 * 3600.0  # for computations under a lock
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


@contextlib.contextmanager
def locked(
    file: Path, seconds: float = LOCK_SECONDS, on_wait: Callable[[], object] = lambda: None, needed: bool = True
) -> Iterator[None]:
    """Lock a record, or a folder, for this process. The lock is not re-entrant.

    Args:
        file: the file or folder that is locked; its parent folder is created.
        seconds: how long to wait for another process that holds the lock.
        on_wait: called once if another process holds the lock.
        needed: whether a file system without locks is an error; otherwise nothing is locked there.

    Raises:
        StoreError: another process has held the lock for all that time, or the folder cannot be written.
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
    """Acquire the lock; repeat if its file was deleted or renamed meanwhile.

    A lock on such a file would exclude nobody.

    Raises:
        Timeout: another process has held it for all that time.
        OSError: it cannot be acquired.
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
    """The reason why a lock cannot be acquired, and what to do."""
    lock = _lock_of(file)
    if lock.is_symlink() or lock.is_dir():
        what = "a link" if lock.is_symlink() else "a folder"
        return f"its lock {lock.name} is {what}, and must be a file ({error.strerror}): remove it"
    ids = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    if isinstance(error, PermissionError) and os.path.lexists(lock) and os.access(file.parent, os.W_OK, **ids):
        return (
            f"its lock {lock.name} belongs to another user ({error.strerror}): ask its owner to delete it or to let "
            "you write it"
        )
    todo = f": correct the permissions of {file.parent.name}/, or choose another --out or --results"
    return (
        f"{error.strerror}{todo if isinstance(error, PermissionError) else ''}: earlier complete results are unchanged"
    )


def _lock_of(file: Path) -> Path:
    return file.with_name(f".{file.name}.lock")


def _mode_in(folder: int) -> int:
    """The file mode of a lock in a folder of this mode.

    All users who may write to the folder must be able to lock.
    """
    return 0o600 | (0o060 if folder & 0o020 else 0) | (0o006 if folder & 0o002 else 0)
