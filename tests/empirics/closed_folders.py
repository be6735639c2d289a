"""Folders that may not be looked at, for root too, whom no mode keeps out."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

NOBODY = 65534


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that everybody may enter (pytest's own are closed to all but their owner)."""
    folder = Path(tempfile.mkdtemp(prefix="paper-repro-test-"))
    try:
        folder.chmod(0o777)
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def closed(*folders: Path, mode: int = 0) -> Iterator[None]:
    """Folders or files with no rights, looked at by somebody who is not root."""
    before = {folder: folder.stat().st_mode for folder in folders}
    user = os.geteuid()
    for folder in folders:
        folder.chmod(mode)
    try:
        if user == 0:
            os.seteuid(NOBODY)
        yield
    finally:
        if user == 0:
            os.seteuid(0)
        for folder, mode in before.items():
            folder.chmod(mode)
