"""Reading and writing of files: atomic writes, records with checksums, logs, tensors.

A log loses at most an incomplete last line, and the hash of tensors is checked. torch is imported only to read tensors.
"""

import contextlib
import errno
import hashlib
import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from empirics.config import SCHEMA
from empirics.storage import folders
from empirics.storage.data_files import file_hash, temporary_beside

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


class StoreError(RuntimeError):
    """A result folder that cannot be used; the message names the file and what to do."""


class NoResultFile(StoreError):
    """Something in the place of a result file that is not a regular file, or is larger than any of ours."""


def write_atomic(path: Path, data: bytes) -> None:
    """Write `data` to `path` so that a reader sees the old file or the new one, never a part.

    The steps are: a temporary file in the same folder (exclusive, mode 0600), fsync, rename, fsync of the folder. The
    temporary file is always removed.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    temporary = temporary_beside(path)
    try:
        make_folder(path.parent)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            with _where_supported():
                os.fchmod(file.fileno(), 0o666 & ~_umask())
            os.fsync(file.fileno())
        os.replace(temporary, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise _cannot("write", path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _cannot(do: str, path: Path, error: OSError) -> StoreError:
    """An error with the file, the reason why it cannot be used, and advice if permissions are the reason."""
    changed = isinstance(error, PermissionError) and do in ("write", "remove")
    todo = f": {_owner_s(path)}" if changed else ""
    return StoreError(f"cannot {do} {path.name}: {error.strerror}{todo}: earlier complete results are unchanged")


def _owner_s(path: Path) -> str:
    """Advice for a file in the results, or in the folder of figures, that this user may not change."""
    with contextlib.suppress(OSError):
        if path.parent.stat().st_mode & stat.S_ISVTX and path.lstat().st_uid != os.geteuid():
            return (
                f"it belongs to another user, and {path.parent.name}/ lets users change only their own files (mode "
                "+t): let its owner run this, or remove that mode; or choose another --out or --results"
            )
    return f"correct the permissions of {path.parent.name}/, or choose another --out or --results"


@contextlib.contextmanager
def _where_supported() -> Iterator[None]:
    """Ignore errors of file systems without modes or without fsync of folders (FAT, some network mounts)."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with _where_supported():
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, each synced to the disk.

    Raises:
        OSError: one of them cannot be created.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def json_bytes(record: Any) -> bytes:
    """The JSON text of a record: indented, keys in the given order, no NaN."""
    return (json.dumps(record, indent=1, allow_nan=False) + "\n").encode()


def check_writable(folder: Path, options: str = "--out or --results") -> None:
    """Check, before anything is computed, that a folder can be written.

    Args:
        folder: created if it does not exist.
        options: of the command, by which the user chooses the folder.

    Raises:
        StoreError: names the folder and the reason.
    """
    probe = folder / f".writable-{os.getpid()}"
    try:
        make_folder(folder)
        try:
            probe.write_bytes(b"room for a byte?")
        finally:
            probe.unlink(missing_ok=True)
    except FileExistsError:
        raise StoreError(f"{_in_the_way(folder)} choose another {options}") from None
    except OSError as error:
        raise StoreError(
            f"cannot write to folder {str(folder)!r}: {error.strerror}: choose another {options}"
        ) from None


def _in_the_way(folder: Path) -> str:
    """The error for a file or a broken link in place of a folder or of one of its parents."""
    within = f"cannot write to folder {str(folder)!r}: "
    try:
        folders.kind(folder)
    except OSError as error:  # a broken link
        return f"{within}{error.strerror}: repair or remove the link, or"
    file = next((path for path in (folder, *folder.parents) if path.is_file()), folder)
    return f"{'' if file == folder else within}{str(file)!r} is a file, not a folder:"


LARGEST_RECORD = LARGEST_LOG = 2**26


def read_limited(path: Path, most: int = LARGEST_RECORD) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Pipes and devices, which may have no end, are never read.

    Raises:
        FileNotFoundError: it does not exist.
        NoResultFile: it is not a regular file, or is larger.
        StoreError: it cannot be read.
    """
    try:
        kind = folders.kind(path)
        if kind not in (None, folders.FILE):
            raise NoResultFile(f"{path.name} is not a regular file: delete it")
        if (size := path.stat().st_size) > most:
            raise NoResultFile(f"{path.name} has {size} bytes, more than the {most} of a result file: delete it")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(2, "it is not there", path.name) from None
    except OSError as error:
        raise _cannot("read", path, error) from error


def refuse_links(folder: Path) -> None:
    """Refuse a folder that is or contains a symbolic link: files would be written elsewhere.

    Raises:
        StoreError: names the link, or a folder that cannot be listed.
    """
    try:
        link = folder.name if folder.is_symlink() else None
        link = link or next((entry.name for entry in folders.walk(folder) if entry.is_symlink()), None)
    except OSError as error:
        raise _cannot("list", Path(error.filename or folder), error) from error
    if link is not None:
        raise StoreError(f"{link} in the results is a symbolic link, which could lead anywhere: put a copy there")


def names_in(folder: Path) -> list[str]:
    """The names in a folder, sorted, without system files; none if the folder does not exist.

    Raises:
        StoreError: it cannot be listed, or is a broken link, so that its content is unknown.
    """
    try:
        there = folders.entries(folder) if folders.kind(folder) == folders.FOLDER else []
    except FileNotFoundError:  # removed since
        return []
    except OSError as error:
        raise _cannot("list", folder, error) from error
    return [entry.name for entry in there if not folders.is_of_the_system(entry.name)]


def read_object(path: Path) -> dict[str, Any] | None:
    """The JSON object in a file that anyone may have written; None if there is none.

    Raises:
        StoreError: the file exists, or may exist, and cannot be read.
    """
    try:
        found = json.loads(read_limited(path))
    except (FileNotFoundError, NoResultFile, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_record(path: Path, schema: type[msgspec.Struct] | None = None) -> dict[str, Any] | None:
    """Read a JSON object that has a checksum; None if it is missing, damaged or edited.

    Args:
        path: path of the file.
        schema: what it must have, from `empirics.storage.schemas`; other fields are returned too.

    Raises:
        StoreError: the file exists, or may exist, and cannot be read (no permission, a failing disk, a broken link), so
            that its content is unknown; or it has the schema of another version.
    """
    record = read_object(path)
    if record is None:
        return None
    refuse_other_schema(record, path.name)
    return record if checksum_ok(record) and (schema is None or has_fields(record, schema)) else None


def has_fields(record: Any, schema: type[msgspec.Struct]) -> bool:
    """Whether a record has the fields of a schema, each of its type; a `bool` is not an `int`."""
    try:
        msgspec.convert(record, schema)
    except msgspec.ValidationError:
        return False
    return True


def refuse_other_schema(record: Mapping[str, Any], file: str) -> None:
    """Refuse a record of another version's schema, whose fields have other names.

    Raises:
        StoreError: names the file, its schema and what to do.
    """
    found = record.get("schema", SCHEMA)
    if type(found) is int and found != SCHEMA:
        raise StoreError(
            f"{file} is of schema {found}, this version reads and writes {SCHEMA}: choose another --results folder, "
            "or use the version that wrote it"
        )


def matches_schema(record: Mapping[str, Any], kinds: Mapping[str, type | tuple[type, ...]]) -> bool:
    """Whether a record has fields of these types; a `bool` is not an `int`."""
    return all(type(record.get(name)) in (kind if isinstance(kind, tuple) else (kind,)) for name, kind in kinds.items())


def with_checksum(record: Mapping[str, Any]) -> dict[str, Any]:
    """A record with the SHA-256 of its content, by which an edited number is detected on reading."""
    rest = {name: value for name, value in record.items() if name != "checksum"}
    # parsed first, so that the hash is over what a reader of the file gets
    return {**rest, "checksum": _checksum(json.loads(json.dumps(rest, allow_nan=False)))}


def checksum_ok(record: Mapping[str, Any]) -> bool:
    """Whether a record, as it is read from a file, matches its checksum.

    False for one that cannot be written as JSON again (NaN, too deep nesting).
    """
    try:
        return record.get("checksum") == _checksum(
            {name: value for name, value in record.items() if name != "checksum"}
        )
    except (ValueError, RecursionError):
        return False


def _checksum(rest: Mapping[str, Any]) -> str:
    """SHA-256 of a record, as it is read from a file, without its own checksum."""
    return hashlib.sha256(json.dumps(rest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def first_difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str | None:
    """The first setting in which two runs differ, as text; None if they do not differ."""
    for name in (*here, *there):
        if there.get(name) != here.get(name):
            return f"{ascii(name)[1:-1][:60]} is {ascii(there.get(name))[:60]} there and {here.get(name)!r} here"
    return None


def append_line(path: Path, record: Any) -> None:
    """Append a line of JSON to a log; `sync_file` flushes it to the disk.

    Raises:
        StoreError: the disk is full, or the file cannot be written.
    """
    try:
        with open(path, "ab") as file:
            if file.tell() and not _ends_whole(path):
                file.write(b"\n")  # an incomplete line before it remains a separate line
            file.write((json.dumps(record, allow_nan=False) + "\n").encode())
    except OSError as error:
        raise _cannot("write", path, error) from error


def _ends_whole(path: Path) -> bool:
    with open(path, "rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"


def sync_file(path: Path) -> None:
    """Flush what was appended to a file to the disk, before anything that depends on it is written."""
    try:
        with open(path, "rb") as file:
            os.fsync(file.fileno())
    except FileNotFoundError:
        return
    except OSError as error:
        raise _cannot("write", path, error) from error


def complete_lines(path: Path) -> list[bytes]:
    """The complete lines of a log: JSON objects with a newline. Incomplete lines are dropped.

    Raises:
        StoreError: the log exists and cannot be read, or is larger than `LARGEST_LOG`.
    """
    try:
        content = read_limited(path, LARGEST_LOG)
    except FileNotFoundError:
        return []
    lines = []
    for line in content.splitlines(keepends=True):
        with contextlib.suppress(ValueError, RecursionError):
            if line.endswith(b"\n") and isinstance(json.loads(line), dict):
                lines.append(line)
    return lines


def sha256(path: Path) -> str:
    """SHA-256 of a regular file's content, in hexadecimal, without reading it into memory at once.

    Raises:
        OSError: it cannot be read, or is a pipe or a device.
    """
    if folders.kind(path) != folders.FILE:
        raise FileNotFoundError(2, "it is no file", path.name)
    return file_hash(path, "sha256")


def tensor_bytes(tensors: Mapping[str, "Tensor | np.ndarray"], metadata: dict[str, str] | None = None) -> bytes:
    """A safetensors file of torch tensors or numpy arrays, with metadata in its header."""
    import numpy as np
    from safetensors.numpy import save

    arrays = {
        name: value if isinstance(value, np.ndarray) else value.detach().cpu().numpy()
        for name, value in tensors.items()
    }
    # not ascontiguousarray, which turns a number into a vector
    return save({name: np.array(value, order="C", copy=None) for name, value in arrays.items()}, metadata)


def read_checked(path: Path, digest: str, most: int | None = None) -> bytes:
    """The content of a file whose SHA-256 is known.

    Args:
        path: path of the file.
        digest: its SHA-256, in hexadecimal.
        most: bytes that it may have; a larger one is not read into memory.

    Raises:
        StoreError: it is missing, or has changed since it was written.
    """
    try:
        if most is not None and (size := path.stat().st_size) > most:
            raise StoreError(f"{path.name} has {size} bytes, at most {most} were written: it is damaged")
        data = path.read_bytes()
    except OSError as error:
        raise StoreError(f"{path.name} cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != digest:
        raise StoreError(f"{path.name} is not the file that was written (its SHA-256 differs): it is damaged")
    return data


def tensors_in(data: bytes, name: str) -> dict[str, "Tensor"]:
    """The tensors of a safetensors file.

    Raises:
        StoreError: it is not such a file.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        return load(data)
    except (SafetensorError, KeyError, ValueError, OverflowError) as error:  # the header of an untrusted file
        raise StoreError(f"{name} is not a safetensors file that can be read: {error}") from None


def remove(path: Path) -> None:
    """Remove a file, if it exists.

    Raises:
        StoreError: it cannot be removed.
    """
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _cannot("remove", path, error) from error


def check_same(found: Mapping[str, "Tensor"], expected: Mapping[str, "Tensor"], what: str) -> None:
    """Refuse tensors whose names, shapes or types are not the expected ones.

    Raises:
        StoreError: names the first tensor that differs.
    """
    for name in [*expected, *found]:
        here = _kind(expected.get(name))
        there = _kind(found.get(name))
        if here != there:
            raise StoreError(f"{what} is of another network: {name} is {there} there and {here} here: delete it")


def _kind(value: "Tensor | None") -> str:
    return "missing" if value is None else f"{str(value.dtype).removeprefix('torch.')} of shape {tuple(value.shape)}"
