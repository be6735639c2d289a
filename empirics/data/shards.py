"""Images in shards: tar files of samples, each an image and its class (the convention of WebDataset).

A sample is two members KEY.jpg (or .jpeg, .png) and KEY.cls, the class as a number in text. The headers are read once;
after that each image is read directly by its shard, offset and size. So an epoch's order is one permutation of the
whole data set, independent of shards and threads. The package webdataset, which reads shards sequentially and shuffles
within a window, is not needed. Members are never extracted to disk.
"""

import contextlib
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
from typing import BinaryIO

import numpy as np

from empirics.data.images import IMAGE_SUFFIXES, OTHER_SUFFIXES, ImageSet, check_classes, refuse_twice
from empirics.storage import folders
from empirics.storage.data_files import DamagedData, DataError, kind_in, listed, named, open_regular, printable, reason
from empirics.storage.folders import is_clutter
from empirics.storage.run_folder import StoreError, write_atomic

SHARD_LAYOUT = "expected (uncompressed) *.tar files with 'train' or 'val' in their names, or in train/ and val/"
MAX_IMAGE_BYTES = 64 * 2**20
MAX_SAMPLES = 20_000_000
CLASS_TEXT = re.compile(rb"\s*([0-9]{1,5})\s*")
CLASS_SUFFIX = ".cls"
CLASS_BYTES = 16
KNOWN_SUFFIXES = (CLASS_SUFFIX, *IMAGE_SUFFIXES, *OTHER_SUFFIXES)
SHARD = re.compile(r".*\.tar", re.DOTALL)
COMPRESSED = r".*\.(tar\.(gz|bz2|xz|zst|zstd|lz4|lzma|z|br|lz|lzo)|tgz|tbz2?|txz|tlz|tzst|zip|7z|rar)"
# incomplete downloads, numbered copies, parts made by `split`
PART_OF_ONE = re.compile(r".*\.tar\.(part|partial|crdownload|download|tmp|[0-9]{1,4}|a[a-z])", re.DOTALL)
NOT_WHOLE = re.compile(f"{COMPRESSED}|{PART_OF_ONE.pattern}", re.DOTALL)
# the published archives contain images, or archives of images, but no samples
PUBLISHED_ARCHIVE = re.compile(r"ilsvrc2012_img_(train|train_t3|val|test|test_v[0-9]+)\.tar")
PART = 2**20
INDEX = 3  # version of stored indices; those of another version are made again
INDEX_COLUMNS = ("keys", "shard", "offsets", "lengths", "labels")


@dataclass(frozen=True)
class ShardImages:
    """Images at known places of tar files (`Images`).

    Args:
        folder: of the shards.
        shards: their names, relative to the folder.
        keys: keys of the samples, bytes, shape (n,).
        shard: index of each image's shard in `shards`, shape (n,).
        offsets, lengths: position and number of its bytes in the shard, shape (n,).
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
            with open_regular(self.folder / self.shards[self.shard[place]]) as shard:
                shard.seek(int(self.offsets[place]))
                data = shard.read(length)
        except OSError as error:
            raise DamagedData(f"{self.where(place)} cannot be read: {error.strerror}") from None
        if len(data) != length:
            raise DamagedData(f"{self.where(place)} is cut short: {len(data)} of {length} bytes")
        return data

    def where(self, place: int) -> str:
        """Shard and key."""
        return f"{printable(self.shards[self.shard[place]])}: {self.keys[place].decode(errors='replace')}"

    def sizes(self) -> Iterable[str]:
        """Shard, key, size and label of each image."""
        for shard, key, length, label in zip(self.shard, self.keys, self.lengths, self.labels, strict=True):
            yield f"{self.shards[shard]} {key.decode(errors='surrogateescape')} {length} {label}"


def shard_names(folder: Path) -> dict[str, list[str]]:
    """The names of the shards of each split, sorted, relative to the folder; empty if there are none.

    Raises:
        DataError: a name with both splits, or with another split than its folder; one shard under two names; shards of
            only one split; shards of both splits together with compressed or partial shards, shards without a split in
            their name or in other folders, or folders of images; a folder that cannot be listed; a broken link.
    """
    names = _by_split(folder, SHARD)
    if any(names.values()) and (odd := _called_like_shards(folder)):
        raise DataError(
            f"{printable(odd[0])} is a folder with the name of a shard: rename it, or remove it: {SHARD_LAYOUT}"
        )
    every = [name for found in names.values() for name in found]
    refuse_twice(folder, every, lambda name: f"shard {printable(name)!r}")
    missing = [split for split, found in names.items() if not found]
    if len(missing) == 1:
        there = next(name for found in names.values() for name in found)
        raise DataError(
            f"data folder {folder.name!r} has no shard of split {missing[0]!r}: {SHARD_LAYOUT}; remove "
            f"{printable(there)!r} if it is not a shard"
        )
    if not missing:
        _refuse_beside(folder)
    return names


def _refuse_beside(folder: Path) -> None:
    """Refuse files that look like shards, and folders of images, that would be left out."""
    if odd := [name for found in _by_split(folder, NOT_WHOLE).values() for name in found]:
        partial = PART_OF_ONE.fullmatch(odd[0].lower())
        what = "a part or a copy of one: complete it" if partial else "compressed: decompress it"
        raise DataError(f"shard {printable(odd[0])!r} is {what}, or remove it: {SHARD_LAYOUT}")
    for name in _ending(folder, "", SHARD):
        if not _names_a_split(name) and "test" not in name.lower():
            raise DataError(f"shard {printable(name)!r} names no split: rename it, or remove it: {SHARD_LAYOUT}")
    for split in ("train", "val"):
        if kind_in(folder, split) == folders.FOLDER:
            _refuse_within(folder, split)
    _refuse_in_other_folders(folder)


def _refuse_within(folder: Path, split: str) -> None:
    """Refuse shards and images in subfolders of a split's folder, at any depth; links are followed."""
    waiting = [split]
    seen = set()
    while waiting:
        within = waiting.pop()
        if within.rpartition("/")[2] == folders.LOST_AND_FOUND:
            continue
        if (place := _place(folder, within)) in seen:  # a circle of links
            continue
        seen.add(place)
        for name, kind in listed(folder, within, spare=lambda name: True):
            path = f"{within}/{name}"
            if kind == folders.FOLDER:
                waiting.append(path)
            elif within != split and kind == folders.FILE and _is_named(name, SHARD):
                raise DataError(f"shard {printable(path)!r} lies in a folder within {split}/: move it to {split}/")
            elif within != split and kind == folders.FILE and name.lower().endswith(IMAGE_SUFFIXES):
                raise DataError(
                    f"image {printable(path)!r} lies in a folder with shards, and only shards would be read: remove "
                    f"the shards, or the folders within {split}/"
                )


def _refuse_in_other_folders(folder: Path) -> None:
    """Refuse shards of a split in folders other than `train` and `val`.

    The split is recognised by the name of the shard or of the folder. A folder without a split in its name may be
    unreadable: it need not belong to the data set.
    """
    known = {_place(folder, name) for name in ("train", "val") if kind_in(folder, name) == folders.FOLDER}
    known.add(_place(folder, ""))
    for within, kind in listed(folder, spare=lambda name: True):
        if kind != folders.FOLDER or within == folders.LOST_AND_FOUND or _place(folder, within) in known:
            continue
        of_a_split = within.lower().startswith(("train", "val"))
        if not of_a_split and _is_closed(folder / within):
            continue
        there = [name for name in _ending(folder, within, SHARD) if of_a_split or _names_a_split(name[len(within) :])]
        if there:
            path = printable(there[0])
            raise DataError(
                f"shard {path!r} is not read there: move it to train/ or val/, or remove it: {SHARD_LAYOUT}"
            )


def _names_a_split(name: str) -> bool:
    return any(split in name.lower() for split in ("train", "val"))


def _is_closed(folder: Path) -> bool:
    try:
        folders.entries(folder)
    except PermissionError:
        return True
    return False


def _place(folder: Path, name: str) -> tuple[int, int]:
    """Device and inode of a folder, which identify it under any name."""
    with named(printable(name), "read"):
        found = os.stat(folder / name)
    return found.st_dev, found.st_ino


def _is_named(name: str, pattern: re.Pattern[str]) -> bool:
    return pattern.fullmatch(name.lower()) is not None and not PUBLISHED_ARCHIVE.fullmatch(name.lower())


def _by_split(folder: Path, pattern: re.Pattern[str]) -> dict[str, list[str]]:
    """The files of each split whose names match a pattern, sorted, relative to the folder."""
    names: dict[str, list[str]] = {"train": [], "val": []}
    found = [name for within in ("", "train", "val") for name in _ending(folder, within, pattern)]
    for name in sorted(found, key=lambda name: name.split("/")):
        within, _, _ = name.rpartition("/")
        splits = [split for split in names if split == within or split in name[len(within) :].lower()]
        if len(splits) == 2:
            raise DataError(f"shard {printable(name)!r} names both splits: rename it, or remove it: {SHARD_LAYOUT}")
        for split in splits:
            names[split].append(name)
    return names


def _ending(folder: Path, within: str, pattern: re.Pattern[str]) -> list[str]:
    """The files with matching names in a folder, or in a subfolder `within` that may be missing.

    Names are relative to the folder.
    """
    return [name for name, kind in _named_so(folder, within, pattern) if kind != folders.FOLDER]


def _called_like_shards(folder: Path) -> list[str]:
    there = [found for within in ("", "train", "val") for found in _named_so(folder, within, SHARD)]
    return [name for name, kind in there if kind == folders.FOLDER]


def _named_so(folder: Path, within: str, pattern: re.Pattern[str]) -> list[tuple[str, str]]:
    if within and kind_in(folder, within) != folders.FOLDER:
        return []
    there = listed(folder, within, lambda name: _is_named(name, pattern))
    return [(f"{within}/{name}" if within else name, kind) for name, kind in there]


def find(folder: Path, index_folder: Path | None = None) -> ImageSet:
    """The images of both splits, in the order of shards and samples; classes are numbers.

    Args:
        folder: folder of the shards.
        index_folder: folder for the stored index, so that headers are read once; the index is made again if the name,
            size or time of a shard changes. None: no stored index.

    Raises:
        DataError: a damaged shard or an incomplete sample, with its name; a class without an image in a split.
    """
    names = shard_names(folder)
    train, test = (_kept(folder, names[split], index_folder) for split in names)
    for split, found in zip(names, (train, test), strict=True):
        if not len(found.labels):
            raise DataError(f"the shards of {split} contain no sample (an image and its class, .cls): {SHARD_LAYOUT}")
    classes = [str(label) for label in range(max(train.labels.max(initial=-1), test.labels.max(initial=-1)) + 1)]
    check_classes(train.labels, test.labels, classes, "classes are numbered from 0 without gaps")
    return ImageSet(classes, train, test)


def _kept(folder: Path, shards: Sequence[str], index_folder: Path | None) -> ShardImages:
    """The index of these shards, from disk if it is stored there."""
    if index_folder is None:
        return index(folder, shards)
    file = index_folder / f"shards-{_stamp(folder, shards)[:16]}.npz"
    try:
        with open_regular(file) as stream, np.load(stream, allow_pickle=False) as arrays:
            return ShardImages(folder, shards, *(arrays[name] for name in INDEX_COLUMNS))
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error):
        images = index(folder, shards)
        data = io.BytesIO()
        np.savez(data, allow_pickle=False, **{name: getattr(images, name) for name in INDEX_COLUMNS})
        with contextlib.suppress(StoreError):  # a read-only results folder: the headers are read again next time
            write_atomic(file, data.getvalue())
        return images


def _stamp(folder: Path, shards: Sequence[str]) -> str:
    """Hash of the names, sizes and times of the shards, which changes if a shard changes.

    Raises:
        DataError: a shard cannot be accessed.
    """
    stamp = hashlib.sha256(b"%d\n" % INDEX)
    for name in shards:
        with named(f"shard {printable(name)}", "read"):
            stat = (folder / name).stat()
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
    keys = [row[0] for row in rows]
    numbers = np.array([row[1:] for row in rows], np.int64).reshape(-1, 4)
    return ShardImages(folder, shards, np.array(keys, np.bytes_), *np.ascontiguousarray(numbers.T))


def _samples(folder: Path, name: str) -> Iterator[tuple[bytes, tuple[int, int, int]]]:
    """Key, offset, length and label of every sample of a shard, in the order of the images.

    The suffix of a member begins at its last dot. An image or a class that then lacks the other may be a further field
    of a sample whose key ends at the first dot, such as `7.mask.png` next to `7.jpg` and `7.cls`.
    """
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int | DataError] = {}
    others: dict[str, str] = {}
    files: dict[tuple[str, bool], str] = {}
    hidden: dict[str, bool] = {}
    where = f"shard {printable(name)}"
    for tar, member in _members(folder / name, where):
        key, suffix = _split_name(member.name)
        if _is_hidden(member.name):
            if hidden.setdefault(key, suffix == CLASS_SUFFIX) != (suffix == CLASS_SUFFIX):
                raise DataError(
                    f"{where}: sample {printable(key)!r} lies in a hidden folder (its name begins with a "
                    "period): rename it"
                )
            continue
        found = labels if suffix == CLASS_SUFFIX else images if suffix in IMAGE_SUFFIXES else None
        if found is None:
            others.setdefault(key, member.name)
            continue
        if key in found:
            first = files[key, found is labels]
            if first == member.name:
                raise DataError(f"{where} holds {printable(first)!r} twice")
            what = f"sample {printable(key)!r} has two {'classes' if found is labels else 'images'}"
            raise DataError(f"{where}: {what}, {printable(first)!r} and {printable(member.name)!r}: remove one of them")
        files[key, found is labels] = member.name
        if found is labels:
            labels[key] = _class(tar, member, where)
        elif member.size > MAX_IMAGE_BYTES:
            raise DataError(f"{where}: image {printable(key)!r} has {member.size} bytes, more than {MAX_IMAGE_BYTES}")
        else:
            images[key] = member.offset_data, member.size
    whole = images.keys() & labels.keys()
    odd = sorted(key for key in images.keys() ^ labels.keys() if _first_key(key) not in whole)
    if odd:
        lacks = "class (.cls)" if odd[0] in images else "image"
        of_another = others.get(odd[0]) if lacks == "image" else None
        hint = (
            SHARD_LAYOUT if of_another is None else f"{printable(of_another)!r} is of an unsupported format: convert it"
        )
        raise DataError(f"{where}: sample {printable(odd[0])!r} has no {lacks}: {hint}")
    for key, member in others.items():
        if key not in whole and (key in labels or _first_key(key) not in whole):
            raise DataError(f"{where}: {printable(member)!r} is an image of an unsupported format: convert it")
    for key, label in labels.items():
        if key in whole and isinstance(label, DataError):
            raise label
    return ((os.fsencode(key), (*place, labels[key])) for key, place in images.items() if key in whole)


def _members(path: Path, where: str) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """The members of a shard that are images (of any format) or classes; other members are ignored.

    A file into which several shards were joined with `cat` is read to its end.
    """
    try:
        with open_regular(path) as raw, io.BufferedReader(raw) as file:
            start: int | None = 0
            while start is not None:
                file.seek(start)
                with tarfile.open(fileobj=file, mode="r:") as tar:
                    yield from ((tar, member) for member in tar if _is_wanted(member, where))
                    start = _next_archive(file, tar.offset, where)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DamagedData(f"{where} cannot be read: {reason(error)}") from None


def _is_wanted(member: tarfile.TarInfo, where: str) -> bool:
    """Whether a member is an image or a class, and not a system file.

    Raises:
        DataError: its name is that of an image or a class, but it is not a regular file, so it has no bytes of its own;
            or its key begins with a period.
    """
    parts = _parts(member.name)
    left = [part for part in parts[:-1] if is_clutter(part) and not part.startswith(".")]
    if not member.name.lower().endswith(KNOWN_SUFFIXES) or member.isdir() or left:
        return False
    if is_clutter(parts[-1]):
        if parts[-1].startswith(("._", "~$")):  # created by macOS or by office programs next to a file
            return False
        if _is_hidden(member.name):
            return False
        raise DataError(f"{where}: {printable(member.name)!r} is hidden (its name begins with a period): rename it")
    if _is_hidden(member.name):
        return member.isreg()
    if member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or member.issparse():
        raise DataError(
            f"{where}: {printable(member.name)!r} is a link, or not a regular file: make the shard with "
            "`tar --dereference --hard-dereference`"
        )
    return True


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in ("", ".", "..")]


def _is_hidden(name: str) -> bool:
    """Whether a member lies in a folder that begins with a period."""
    return any(part.startswith(".") for part in _parts(name)[:-1])


def _next_archive(file: BinaryIO, end: int, where: str) -> int | None:
    """The position of the next archive in a file; None if only zeros follow.

    Raises:
        DataError: the archive is damaged at this position: tarfile takes a damaged header for the end of an archive,
            but only zeros are one.
    """
    file.seek(end)
    if file.read(tarfile.BLOCKSIZE) != bytes(tarfile.BLOCKSIZE):
        raise DamagedData(f"{where} is damaged or cut short at byte {end}")
    while part := file.read(PART):
        if rest := part.lstrip(b"\0"):
            return (file.tell() - len(rest)) // tarfile.BLOCKSIZE * tarfile.BLOCKSIZE
    return None


def _split_name(name: str) -> tuple[str, str]:
    """Key and suffix of a member: the suffix begins at the last dot of the last part of the name."""
    folder, slash, file = name.rpartition("/")
    key, dot, suffix = file.rpartition(".")
    return folder + slash + key, (dot + suffix).lower()


def _first_key(key: str) -> str:
    """The part of a key up to the first dot of its last part."""
    folder, slash, file = key.rpartition("/")
    return folder + slash + file.partition(".")[0]


def _class(tar: tarfile.TarFile, member: tarfile.TarInfo, where: str) -> int | DataError:
    """The class in a .cls file, which must be a whole number in text; an error object if it is not."""
    text = tar.extractfile(member).read(CLASS_BYTES) if member.size <= CLASS_BYTES else b"..."
    if not (match := CLASS_TEXT.fullmatch(text)):
        return DataError(f"{where}: {printable(member.name)!r} contains {text!r}, expected a class from 0 to 99999")
    return int(match[1])
