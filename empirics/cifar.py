"""CIFAR-10 and CIFAR-100 from their binary version (Krizhevsky 2009): fixed-size records, nothing is ever unpickled.

A record is the label (CIFAR-100: the coarse label, then the fine one, which is used) and 3,072 pixels: the red, green
and blue planes of a 32x32 image.
"""

import hashlib
import tarfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from empirics.archives import ARCHIVES, Archive, check_archive
from empirics.files import DataError
from empirics.image_files import check_classes, check_folder
from empirics.in_memory import InMemory, Split, build
from empirics.pixels import cached

PIXELS = 3 * 32 * 32
SHIFT = 4


@dataclass(frozen=True)
class Cifar:
    """What is known of one of the two data sets.

    Args:
        archive: what it is published in.
        folder: of the records in the archive, and of an unpacked one.
        train, test: records in each file of a split, in order.
        label_bytes: before the pixels of a record; the last of them is the label.
        classes: number of them.
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
    def record(self) -> int:
        """Bytes of a record."""
        return self.label_bytes + PIXELS

    @property
    def layout(self) -> str:
        """What an error says was expected."""
        file = next(iter(self.train))
        return (
            f"expected {self.archive.file} in the folder, or {self.folder}/{file} and the others as unpacked from it; "
            f"`paper_repro.py data fetch {self.name}` downloads it; to train on a folder of images give it a name: "
            "--data-label NAME"
        )


def content_hash(cifar: Cifar, folder: Path) -> str:
    """Nothing for the published archive, which is one and the same for everybody; SHA-256 of unpacked files.

    Raises:
        DataError: neither is there, or the archive is not the published one.
    """
    source = _source(cifar, folder)
    if source.is_file():
        check_archive(source, cifar.archive)
        return ""
    digest = hashlib.sha256()
    for name, count in {**cifar.train, **cifar.test}.items():
        digest.update(_unpacked(source, name, count * cifar.record))
    return digest.hexdigest()


def load(cifar: Cifar, folder: Path, data_hash: str, cache: Path | None) -> InMemory:
    """The data set, shifted by 4 pixels and mirrored half of the time.

    Args:
        cifar: which one.
        folder: holds the archive, or what was unpacked from it.
        data_hash: as `content_hash` gives it.
        cache: folder for decoded pixels, or None.

    Raises:
        DataError: missing or damaged files, labels out of range, a class without images.
    """
    source = _source(cifar, folder)
    key = cifar.archive.md5[:16] if source.is_file() else (data_hash or content_hash(cifar, folder))[:16]
    records = {}
    for split in ("train", "test"):
        files = getattr(cifar, split)
        file = cache and cache / f"{cifar.name}-{key}-{split}.npy"
        shape = (sum(files.values()), cifar.record)
        records[split] = cached(file, shape, _reader(cifar, source, files))
        _check_labels(cifar, files, _labels(cifar, records[split]))
    train, test = (_labels(cifar, records[split]) for split in ("train", "test"))
    check_classes(train, test, [str(label) for label in range(cifar.classes)], f"this is not all of {cifar.name}")
    return build(cifar.name, *(_split(cifar, records[s]) for s in ("train", "test")), cifar.classes, SHIFT, True)


def _labels(cifar: Cifar, records: np.ndarray) -> np.ndarray:
    return records[:, cifar.label_bytes - 1]


def _split(cifar: Cifar, records: np.ndarray) -> Split:
    """The images as a view of the records, without a copy."""
    images = torch.from_numpy(records)[:, cifar.label_bytes :].unflatten(1, (3, 32, 32))
    return Split(images, torch.from_numpy(_labels(cifar, records).astype(np.int64)))


def _check_labels(cifar: Cifar, files: Mapping[str, int], labels: np.ndarray) -> None:
    start = 0
    for name, count in files.items():
        wrong = np.flatnonzero(labels[start : start + count] >= cifar.classes)
        if len(wrong):
            label = labels[start + wrong[0]]
            raise DataError(f"{name}: record {wrong[0]} has label {label}, expected 0 to {cifar.classes - 1}")
        start += count


def _source(cifar: Cifar, folder: Path) -> Path:
    """The archive, or the folder of the unpacked files."""
    check_folder(folder, cifar.layout)
    if (folder / cifar.archive.file).is_file():
        return folder / cifar.archive.file
    for place in (folder / cifar.folder, folder):
        if any((place / name).is_file() for name in cifar.train):
            return place
    raise DataError(f"data folder {folder.name!r} does not hold {cifar.name}: {cifar.layout}")


def _unpacked(folder: Path, name: str, size: int) -> bytes:
    try:
        with open(folder / name, "rb") as stream:
            return _exactly(stream, name, size)
    except OSError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from None


def _exactly(stream: BinaryIO, name: str, size: int) -> bytes:
    """The content of a file that must have `size` bytes."""
    content = stream.read(size + 1)
    if len(content) != size:
        raise DataError(f"{name} has {'more' if len(content) > size else len(content)} bytes, expected {size}")
    return content


def _reader(cifar: Cifar, source: Path, files: Mapping[str, int]) -> Callable[[np.ndarray], None]:
    """A function that reads the records of these files into an array."""
    places, start = {}, 0
    for name, count in files.items():
        places[name] = slice(start, start + count)
        start += count

    def put(out: np.ndarray, name: str, content: bytes) -> None:
        out[places[name]] = np.frombuffer(content, np.uint8).reshape(-1, cifar.record)

    def from_folder(out: np.ndarray) -> None:
        for name, count in files.items():
            put(out, name, _unpacked(source, name, count * cifar.record))

    def from_archive(out: np.ndarray) -> None:
        check_archive(source, cifar.archive)
        sizes = {f"{cifar.folder}/{name}": count * cifar.record for name, count in files.items()}
        read_members(source, sizes, lambda member, content: put(out, member.split("/")[-1], content))

    return from_archive if source.is_file() else from_folder


def read_members(path: Path, sizes: Mapping[str, int], take: Callable[[str, bytes], None]) -> None:
    """Hand over the members of a .tar.gz that are asked for, in whatever order they come.

    The archive is read as a stream. Only regular files with exactly these names and sizes are looked at; nothing is
    written anywhere.

    Args:
        path: the archive.
        sizes: bytes of each member that is wanted.
        take: called with the name and the content of each of them.

    Raises:
        DataError: a member is missing or of another size, or the archive ends early or is damaged.
    """
    missing = dict(sizes)
    try:
        with tarfile.open(path, "r|gz") as tar:
            for member in tar:
                if member.name not in missing or member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    continue
                take(member.name, _exactly(tar.extractfile(member), member.name, missing.pop(member.name)))
                if not missing:
                    return
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"{path.name} is damaged or cut short: {error}: delete it and fetch it again") from None
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
