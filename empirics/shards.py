"""Images in shards: tar files of samples, a sample being an image and its class (the convention of WebDataset).

A sample is two neighbours KEY.jpg (or .jpeg, .png) and KEY.cls, the class as a number in text. The headers are read
once: from then on an image is a shard, an offset and a size, and is read by itself. So an epoch's order is one
permutation of the whole set, whatever the shards and threads are. The package webdataset, which reads shards from end
to end and shuffles within a window, is not needed. Nothing is ever written out of a shard.
"""

import hashlib
import io
import os
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from empirics import folders
from empirics.files import DataError, kind_in, listed, printable
from empirics.image_files import IMAGE_SUFFIXES, ImageSet, check_classes
from empirics.store import write_atomic

LAYOUT = "expected (uncompressed) *.tar files with 'train' or 'val' in their names, or in train/ and val/"
MAX_IMAGE_BYTES = 64 * 2**20
MAX_SAMPLES = 20_000_000
CLASS_TEXT = re.compile(rb"\s*([0-9]{1,5})\s*")
CLASS_SUFFIX, CLASS_BYTES = ".cls", 16
COLUMNS = ("keys", "shard", "offsets", "lengths", "labels")


@dataclass(frozen=True)
class ShardImages:
    """Images at known places of tar files (`Images`).

    Args:
        folder: of the shards.
        shards: their names, relative to the folder.
        keys: of the samples, bytes, shape (n,).
        shard: the place of each image's shard in `shards`, shape (n,).
        offsets, lengths: where in the shard its bytes are, shape (n,).
        labels: int64, shape (n,).
    """

    folder: Path
    shards: Sequence[str]
    keys: np.ndarray
    shard: np.ndarray
    offsets: np.ndarray
    lengths: np.ndarray
    labels: np.ndarray

    def read(self, place: int) -> bytes:
        """The bytes of one image."""
        length = int(self.lengths[place])
        try:
            with open(self.folder / self.shards[self.shard[place]], "rb", buffering=0) as shard:
                shard.seek(int(self.offsets[place]))
                data = shard.read(length)
        except OSError as error:
            raise DataError(f"{self.where(place)} cannot be read: {error.strerror}") from None
        if len(data) != length:
            raise DataError(f"{self.where(place)} is cut short: {len(data)} of {length} bytes")
        return data

    def where(self, place: int) -> str:
        """Shard and key."""
        return f"{printable(self.shards[self.shard[place]])}: {self.keys[place].decode(errors='replace')}"

    def sizes(self) -> Iterable[str]:
        """Shard, key, size and label of each image."""
        for shard, key, length, label in zip(self.shard, self.keys, self.lengths, self.labels, strict=True):
            yield f"{self.shards[shard]} {key.decode(errors='surrogateescape')} {length} {label}"


def shard_names(folder: Path) -> dict[str, list[str]]:
    """The shards of each split, in the order of their names, relative to the folder; none where there are none.

    Raises:
        DataError: a name that says both splits, or shards of one split only; a folder that may not be listed, a shard
            that is a link which leads nowhere.
    """
    names: dict[str, list[str]] = {"train": [], "val": []}
    for name in sorted(
        [*_tars(folder), *_tars(folder, "train"), *_tars(folder, "val")], key=lambda name: name.split("/")
    ):
        within, slash, _ = name.rpartition("/")
        splits = [within] if slash else [split for split in names if split in name.lower()]
        if len(splits) == 2:
            raise DataError(f"shard {printable(name)!r} names both splits: {LAYOUT}")
        for split in splits:
            names[split].append(name)
    missing = [split for split, found in names.items() if not found]
    if len(missing) == 1:
        raise DataError(f"data folder {folder.name!r} has no shard of split {missing[0]!r}: {LAYOUT}")
    return names


def _tars(folder: Path, within: str = "") -> list[str]:
    """The tar files of a folder, or of one in it that need not be there; relative to the folder."""
    if within and kind_in(folder, within) != folders.FOLDER:
        return []
    there = listed(folder, within, lambda name: name.endswith(".tar"))
    return [f"{within}/{name}" if within else name for name, _ in there]


def find(folder: Path, index_folder: Path | None = None) -> ImageSet:
    """The images of both splits, in the order of shards and samples; classes are numbers.

    Args:
        folder: of the shards.
        index_folder: where the index is kept, so that headers are read once; it is made anew when the name, size or
            time of a shard changes. None reads the headers.

    Raises:
        DataError: a damaged shard or an incomplete sample, with its name; a class without an image in a split.
    """
    names = shard_names(folder)
    train, test = (_kept(folder, names[split], index_folder) for split in ("train", "val"))
    classes = [str(label) for label in range(max(train.labels.max(initial=-1), test.labels.max(initial=-1)) + 1)]
    check_classes(train.labels, test.labels, classes, "classes are numbered from 0 without gaps")
    return ImageSet(classes, train, test)


def _kept(folder: Path, shards: Sequence[str], index_folder: Path | None) -> ShardImages:
    """The index of these shards, from disk if it stands there."""
    if index_folder is None:
        return index(folder, shards)
    file = index_folder / f"shards-{_stamp(folder, shards)[:16]}.npz"
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return ShardImages(folder, shards, *(arrays[name] for name in COLUMNS))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        images, data = index(folder, shards), io.BytesIO()
        np.savez(data, allow_pickle=False, **{name: getattr(images, name) for name in COLUMNS})
        write_atomic(file, data.getvalue())
        return images


def _stamp(folder: Path, shards: Sequence[str]) -> str:
    """What changes when a shard does, without reading it.

    Raises:
        DataError: one may not be looked at.
    """
    stamp = hashlib.sha256()
    for name in shards:
        try:
            stat = (folder / name).stat()
        except OSError as error:
            raise DataError(f"shard {printable(name)} cannot be read: {error.strerror}") from None
        stamp.update(f"{printable(name)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return stamp.hexdigest()


def index(folder: Path, shards: Sequence[str]) -> ShardImages:
    """Read the headers of these shards.

    Raises:
        DataError: a damaged shard, or an incomplete sample.
    """
    rows: list[tuple[bytes, int, int, int, int]] = []
    for place, name in enumerate(shards):
        rows += [(key, place, *numbers) for key, numbers in _samples(folder, name)]
        if len(rows) > MAX_SAMPLES:
            raise DataError(f"data folder {folder.name!r} holds more than {MAX_SAMPLES} samples")
    keys, numbers = [row[0] for row in rows], np.array([row[1:] for row in rows], np.int64).reshape(-1, 4)
    return ShardImages(folder, shards, np.array(keys, np.bytes_), *np.ascontiguousarray(numbers.T))


def _samples(folder: Path, name: str) -> Iterator[tuple[bytes, tuple[int, int, int]]]:
    """Key, offset, length and label of every sample of a shard, in the order of the images."""
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    where = f"shard {printable(name)}"
    for tar, member in _members(folder / name, where):
        key, suffix = _split_name(member.name)
        found = labels if suffix == CLASS_SUFFIX else images if suffix in IMAGE_SUFFIXES else None
        if found is None:
            continue
        if key in found:
            raise DataError(f"{where} holds {printable(member.name)!r} twice")
        if found is labels:
            labels[key] = _class(tar, member, where)
        elif member.size > MAX_IMAGE_BYTES:
            raise DataError(f"{where}: image {printable(key)!r} has {member.size} bytes, more than {MAX_IMAGE_BYTES}")
        else:
            images[key] = member.offset_data, member.size
    if odd := sorted(images.keys() ^ labels.keys()):
        lacks = "class (.cls)" if odd[0] in images else "image"
        raise DataError(f"{where}: sample {printable(odd[0])!r} has no {lacks}: {LAYOUT}")
    return ((os.fsencode(key), (*place, labels[key])) for key, place in images.items())


def _members(path: Path, where: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The regular files of a shard; whatever else it holds is ignored."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                if member.type in (tarfile.REGTYPE, tarfile.AREGTYPE) and not member.issparse():
                    yield tar, member
            # tarfile takes a damaged header for the end: only a block of zeros is one
            tar.fileobj.seek(tar.offset)
            if tar.fileobj.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
                raise DataError(f"{where} is damaged or cut short at byte {tar.offset}")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(f"{where} cannot be read: {error}") from None


def _split_name(name: str) -> tuple[str, str]:
    """Key and suffix of a member: the suffix begins at the first dot of the last part of the name."""
    folder, slash, file = name.rpartition("/")
    key, dot, suffix = file.partition(".")
    return folder + slash + key, (dot + suffix).lower()


def _class(tar: tarfile.TarFile, member: tarfile.TarInfo, where: str) -> int:
    """The class that a .cls file says, a whole number in text and nothing else."""
    text = tar.extractfile(member).read(CLASS_BYTES) if member.size <= CLASS_BYTES else b"..."
    if not (match := CLASS_TEXT.fullmatch(text)):
        raise DataError(f"{where}: {printable(member.name)!r} says {text!r}, expected a class from 0 to 99999")
    return int(match[1])
