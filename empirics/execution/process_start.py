"""Start a process, even if the temporary folder is not fit for the fork server's socket."""

import contextlib
import errno
import multiprocessing.util
import os
import tempfile
from typing import Any

from empirics.storage.data_files import reason

# a socket's path has at most 103 bytes on macOS (107 on Linux), of which `/pymp-xxxxxxxx/listener-xxxxxxxx` takes 32
SOCKET_FOLDER = 71
SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")


class WorkerError(RuntimeError):
    """Worker processes cannot be started."""


def start_process(process: Any) -> None:
    """Start a worker; the fork server is restarted if it has ended.

    Raises:
        WorkerError: it cannot be started.
    """
    _choose_temporary_folder()
    for attempt in range(3):
        try:
            return process.start()
        except (EOFError, OSError) as error:
            if attempt == 2:
                raise WorkerError(f"no worker can be started ({reason(error)}): {_do_about(error)}") from None


def _do_about(error: Exception) -> str:
    """Advice for the user when a worker cannot be started."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return "free disk space for temporary files, or set TMPDIR to a folder on another disk"
    if number in (errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM):
        return (
            "the folder for temporary files was removed or closed meanwhile: set TMPDIR to one that stays and can be "
            "written to; the same command resumes"
        )
    return "try fewer --workers"


def _choose_temporary_folder() -> None:
    """Choose a folder for the fork server's socket whose path is short enough, even if TMPDIR is long.

    Raises:
        WorkerError: no folder is both short enough and writable.
    """
    try:
        usual = tempfile.gettempdir()
    except FileNotFoundError:
        raise WorkerError("no worker can be started: set TMPDIR to a folder that can be written to") from None
    if len(os.fsencode(usual)) <= SOCKET_FOLDER:
        return
    try:
        for tempfile.tempdir in SHORT_FOLDERS:
            with contextlib.suppress(OSError):
                multiprocessing.util.get_temp_dir()  # created at the first call, and kept
                return
    finally:
        tempfile.tempdir = usual
    raise WorkerError(
        f"no worker can be started: the temporary folder's path has {len(os.fsencode(usual))} bytes, and sockets allow "
        f"at most {SOCKET_FOLDER}: set TMPDIR to a shorter one"
    )
