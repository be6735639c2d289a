"""CIFAR-10 and CIFAR-100 from their binary version (Krizhevsky 2009).

Records have a fixed size, and nothing is unpickled. A record is the label (CIFAR-100: the coarse label, then the fine
one, which is used) and 3,072 pixels: the red, green and blue planes of a 32x32 image.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from empirics.data.images import check_classes, check_folder, refuse_twice
from empirics.data.in_memory import InMemory, Split, build
from empirics.data.pixels import cached
from empirics.storage import folders
from empirics.storage.data_files import DamagedData, DataError, file_hash, kind_in, named, open_regular, reason


@dataclass(frozen=True)
class Archive:
    """The published size, hash and address of an archive.

    Args:
        dataset: the data set that it holds, a key of `datasets.DATASETS`.
        file: its name.
        url: where it is published.
        size: in bytes.
        md5: of its content, in hexadecimal; as published, against damage and mix-ups.
    """

    dataset: str
    file: str
    url: str
    size: int
    md5: str


def check_archive(path: Path, archive: Archive) -> None:
    """Refuse an archive that is not, byte for byte, the published one.

    Raises:
        DamagedData: what is wrong with it and what to do.
    """
    do = f"delete it and run `paper_repro.py data download {archive.dataset}`"
    try:
        size = path.stat().st_size
        if size != archive.size:
            raise DamagedData(f"{path.name} has {size} bytes, the published archive {archive.size}: {do}")
        found = file_hash(path, "md5")
    except OSError as error:
        raise DamagedData(f"{path.name} cannot be read: {error.strerror}") from None
    if found != archive.md5:
        raise DamagedData(f"{path.name} has MD5 {found}, the published archive {archive.md5}: {do}")


# Size and MD5 as published at https://www.cs.toronto.edu/~kriz/cifar.html (the binary versions).
ARCHIVES = {
    archive.dataset: archive
    for archive in (
        Archive(
            "cifar10",
            "cifar-10-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            170052171,
            "c32a1d4ab5d03f1284b67883e8d87530",
        ),
        Archive(
            "cifar100",
            "cifar-100-binary.tar.gz",
            "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
            168513733,
            "03b5dce01913d631647c71ecec9e9cb8",
        ),
    )
}


BYTES_AN_IMAGE = 3 * 32 * 32
SHIFT = 4


@dataclass(frozen=True)
class Cifar:
    """The archive and the record format of CIFAR-10 or CIFAR-100.

    Args:
        archive: the published archive.
        folder: name of the folder of the records, in the archive and when unpacked.
        train, test: records in each file of a split, in order.
        label_bytes: before the pixels of a record; the last of them is the label.
        classes: number of classes.
    """

    archive: Archive
    folder: str
    train: Mapping[str, int]
    test: Mapping[str, int]
    label_bytes: int
    classes: int

    @property
    def name(self) -> str:
        """Key of `datasets.DATASETS`."""
        return self.archive.dataset

    @property
    def files(self) -> dict[str, int]:
        """Number of records in each file, training images first."""
        return {**self.train, **self.test}

    @property
    def record(self) -> int:
        """Number of bytes in a record."""
        return self.label_bytes + BYTES_AN_IMAGE

    @property
    def layout(self) -> str:
        """The expected files, as text for error messages."""
        file = next(iter(self.train))
        return (
            f"expected {self.archive.file} in the folder, or {self.folder}/{file} and the others as unpacked from it; "
            f"`paper_repro.py data download {self.name}` downloads it; to train on a folder of images give it a name: "
            "--dataset-name NAME"
        )


def content_hash(cifar: Cifar, folder: Path) -> str:
    """The SHA-256 of unpacked records; empty for the published archive, which is the same everywhere.

    Raises:
        DataError: neither exists, or the archive is not the published one.
    """
    source = _source(cifar, folder)
    if source.is_file():
        check_archive(source, cifar.archive)
        return ""
    digest = hashlib.sha256()
    records = np.empty((max(cifar.files.values()), cifar.record), np.uint8)
    for name, count in cifar.files.items():
        _read_file(source, name, records[:count])
        digest.update(records[:count])
    return digest.hexdigest()


def load(cifar: Cifar, folder: Path, data_hash: str, cache: Path | None) -> InMemory:
    """Load the data set.

    Augmentation: shifts of up to 4 pixels, and mirroring with probability 1/2.

    Args:
        cifar: which one.
        folder: contains the archive, or the files unpacked from it.
        data_hash: as `content_hash` gives it.
        cache: folder for the records, or None.

    Raises:
        DataError: missing or damaged files, labels out of range, a class without images.
    """
    source = _source(cifar, folder)
    key = cifar.archive.md5 if source.is_file() else data_hash or content_hash(cifar, folder)
    file = cache and cache / f"{cifar.name}-{key[:16]}.npy"
    shape = (sum(cifar.files.values()), cifar.record)
    records = cached(file, shape, lambda out: _read(cifar, source, out))
    for name, rows in _rows(cifar).items():
        _check_labels(cifar, name, records[rows, cifar.label_bytes - 1])
    train, test = (_split(cifar, part) for part in np.split(records, [sum(cifar.train.values())]))
    classes = [str(label) for label in range(cifar.classes)]
    check_classes(train.labels.numpy(), test.labels.numpy(), classes, f"this is not all of {cifar.name}")
    return build(cifar.name, train, test, cifar.classes, SHIFT, True)


def _split(cifar: Cifar, records: np.ndarray) -> Split:
    """A split whose images are a view of the records, without a copy."""
    images = torch.from_numpy(records)[:, cifar.label_bytes :].unflatten(1, (3, 32, 32))
    return Split(images, torch.from_numpy(records[:, cifar.label_bytes - 1].astype(np.int64)))


def _check_labels(cifar: Cifar, name: str, labels: np.ndarray) -> None:
    wrong = np.flatnonzero(labels >= cifar.classes)
    if len(wrong):
        place = wrong[0]
        last = cifar.classes - 1
        raise DataError(f"{name}: record {place} has label {labels[place]}, expected 0 to {last}")


def _source(cifar: Cifar, folder: Path) -> Path:
    """The archive, or the folder of the unpacked files.

    Raises:
        DataError: neither exists; two of the names are the same file; or one of them is a broken link, or cannot be
            accessed.
    """
    check_folder(folder, cifar.layout)
    archive = kind_in(folder, cifar.archive.file)
    if archive == folders.OTHER:
        raise DamagedData(f"{cifar.archive.file} cannot be read: it is not a regular file")
    if archive == folders.FILE:
        return folder / cifar.archive.file
    for place in (cifar.folder, "."):
        kinds = [kind_in(folder, f"{place}/{name}") for name in cifar.files]
        if folders.FILE in kinds or folders.OTHER in kinds:
            there = [name for name, kind in zip(cifar.files, kinds, strict=True) if kind is not None]
            refuse_twice(folder / place, there)
            return folder / place
    raise DataError(f"data folder {folder.name!r} does not hold {cifar.name}: {cifar.layout}")


def _rows(cifar: Cifar) -> dict[str, slice]:
    """The rows of each file in the array of all records."""
    ends = np.cumsum(list(cifar.files.values())).tolist()
    return {name: slice(end - count, end) for (name, count), end in zip(cifar.files.items(), ends, strict=True)}


def _read(cifar: Cifar, source: Path, out: np.ndarray) -> None:
    """Read the records of every file into `out`."""
    if source.is_file():
        check_archive(source, cifar.archive)
        read_members(source, {f"{cifar.folder}/{name}": out[rows] for name, rows in _rows(cifar).items()})
    else:
        for name, rows in _rows(cifar).items():
            _read_file(source, name, out[rows])


def _read_file(folder: Path, name: str, out: np.ndarray) -> None:
    with named(name, "read"), open_regular(folder / name) as stream:
        _read_exactly(stream, name, out)


def _read_exactly(stream: BinaryIO, name: str, out: np.ndarray) -> None:
    """Read a file, which must have as many bytes as `out`, into `out`."""
    rest = memoryview(out).cast("B")
    while rest and (count := stream.readinto(rest)):
        rest = rest[count:]
    if rest:
        raise DamagedData(f"{name} has {out.nbytes - len(rest)} bytes, expected {out.nbytes}")
    if stream.read(1):
        raise DamagedData(f"{name} has more bytes, expected {out.nbytes}")


def read_members(path: Path, wanted: Mapping[str, np.ndarray]) -> None:
    """Read members of a .tar.gz, in any order, each into an array of its size.

    The archive is read as a stream. Only regular files with exactly these names and sizes are read; nothing is written
    to disk.

    Args:
        path: the archive.
        wanted: uint8 arrays, by the name of the member.

    Raises:
        DataError: a member is missing or of another size, or the archive ends early or is damaged.
    """
    missing = dict(wanted)
    try:
        with open_regular(path) as stream, tarfile.open(fileobj=stream, mode="r|gz") as tar:
            for member in tar:
                if member.name in missing and member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    _read_exactly(tar.extractfile(member), member.name, missing.pop(member.name))
                if not missing:
                    return
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DamagedData(
            f"{path.name} is damaged or cut short: {reason(error)}: delete it and download it again"
        ) from None
    raise DataError(f"{path.name} has no member {next(iter(missing))!r}")


CIFAR10 = Cifar(
    ARCHIVES["cifar10"],
    "cifar-10-batches-bin",
    train={f"data_batch_{i}.bin": 10_000 for i in range(1, 6)},
    test={"test_batch.bin": 10_000},
    label_bytes=1,
    classes=10,
)
CIFAR100 = Cifar(
    ARCHIVES["cifar100"],
    "cifar-100-binary",
    train={"train.bin": 50_000},
    test={"test.bin": 10_000},
    label_bytes=2,
    classes=100,
)
