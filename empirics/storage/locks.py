"""Locks between processes: of records that several extend, so that no change is lost, and of runs.

A lock is a file, which stays. The system releases it when the process that holds it ends, for whatever reason, so there
are no stale locks. The lock of a record is an empty file in its folder (`.<name>.lock`). That of a run, its lease, is
the file `.lease` in the run's folder, and names the process that holds it.
"""

import contextlib
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from empirics.storage.files import StoreError, make_folder, read_limited
from empirics.storage.layout import LEASE_FILE

LOCK_SECONDS = 60.0  # a record is written in milliseconds
LEASE_SECONDS = 5.0  # the owner may be a worker that is about to end
HOURS = 3 * 3600.0  # for computations under a lock
_NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL)


def locked(
    file: Path, seconds: float = LOCK_SECONDS, on_wait: Callable[[], object] = lambda: None, needed: bool = True
) -> AbstractContextManager[None]:
    """Lock a record, or a folder, for this process. The lock is not re-entrant.

    Args:
        file: the file or folder that is locked; its parent folder is created.
        seconds: how long to wait for another process that holds the lock.
        on_wait: called once if another process holds the lock.
        needed: whether a file system without locks is an error; otherwise nothing is locked there.

    Raises:
        StoreError: another process has held the lock for all that time, or the folder cannot be written.
    """

    def refusal(error: OSError) -> str | None:
        if isinstance(error, TimeoutError):
            held = f"another process has been writing {file.name} for {seconds:.0f} seconds"
            return f"{held}: end it if it hangs, and try again"
        if error.errno in _NO_LOCKS and not needed:
            return None
        return f"cannot write {file.name}: {_why(error, file)}"

    return _held(_lock_of(file), seconds, refusal, on_wait=on_wait)


def leased(folder: Path, run: str) -> AbstractContextManager[None]:
    """Lock the folder of a run and seed for this process.

    Args:
        folder: it is created if it is missing.
        run: what errors call the run and seed.

    Raises:
        StoreError: another process holds the lock, which is named, or the folder cannot be written.
    """
    file = folder / LEASE_FILE

    def refusal(error: OSError) -> str:
        if isinstance(error, TimeoutError):
            return f"{run}, is being trained by {_owner_in(file)}"
        if error.errno in _NO_LOCKS:
            return f"this file system cannot lock a run: {error.strerror}: choose another --results"
        return f"cannot lock {run}: {error.strerror}"

    return _held(file, LEASE_SECONDS, refusal, on_acquired=_write_owner)


def _write_owner(descriptor: int) -> None:
    """Write into a lock's file which process holds it."""
    with contextlib.suppress(OSError):  # on a full disk the name cannot be written, but the lock holds
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()}".encode())


def _owner_in(file: Path) -> str:
    """The process that holds a lock, from its file."""
    try:
        return read_limited(file).decode(errors="replace").strip() or "another process"
    except (OSError, StoreError):
        return "another process"


class _Moved(Exception):
    """A lock's file was deleted or renamed while it was acquired: a lock on it would exclude nobody."""


@contextlib.contextmanager
def _held(
    file: Path,
    seconds: float,
    refusal: Callable[[OSError], str | None],
    on_wait: Callable[[], object] = lambda: None,
    on_acquired: Callable[[int], None] = lambda descriptor: None,
) -> Iterator[None]:
    """Hold a lock.

    Args:
        file: the lock's file; its folder is created.
        seconds: how long to wait for another process that holds the lock.
        refusal: the message of the `StoreError` if the lock cannot be acquired, a `TimeoutError` if another process
            holds it; None: go on without.
        on_wait: called once if another process holds the lock.
        on_acquired: called with the descriptor of the lock's file.
    """
    from filelock import FileLock, Timeout

    def acquire(timeout: float) -> None:
        end = time.monotonic() + timeout
        while True:
            with contextlib.suppress(_Moved):
                lock.acquire(timeout=max(0.0, end - time.monotonic()), poll_interval=0.01)
                return

    def check(descriptor: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), file.lstat()):
                return on_acquired(descriptor)
        raise _Moved

    lock = None
    try:
        make_folder(file.parent)
        lock = FileLock(file, mode=_mode_in(file.parent), fallback_to_soft=False, on_acquired=check)
        try:
            acquire(0.0)
        except Timeout:
            on_wait()
            acquire(seconds)
    except OSError as error:
        if (message := refusal(error)) is not None:
            raise StoreError(message) from (None if isinstance(error, Timeout) else error)
    try:
        yield
    finally:
        if lock is not None:
            with contextlib.suppress(OSError):
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


def _mode_in(folder: Path) -> int:
    """The file mode of a lock in a folder: all users who may write to the folder must be able to lock."""
    mode = folder.stat().st_mode
    return 0o600 | (mode & 0o066) | (mode & 0o022) << 1
