"""Files of data sets: read with errors that name them, hashed, and put in place whole or not at all."""

import contextlib
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


def printable(name: str) -> str:
    """A file name that can be printed, whatever bytes it is made of."""
    return os.fsencode(name).decode(errors="replace")


def read_file(folder: Path, name: str) -> bytes:
    """The bytes of a file of a data set.

    Raises:
        DataError: it cannot be read.
    """
    try:
        return (folder / name).read_bytes()
    except OSError as error:
        raise DataError(f"{printable(name)} cannot be read: {error.strerror}") from None


def file_hash(path: Path, algorithm: str) -> str:
    """Hash of a file's content, in hexadecimal; a large file is not read into memory."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new empty file beside `path` that takes its place in the end; after an error nothing of it is left.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}-{threading.get_ident()}.tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        yield temporary
        os.replace(temporary, path)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
