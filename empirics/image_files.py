"""Images in files: where the images of each split are, what class each has, and the hash that names them all."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from empirics.files import DataError, printable, read_file

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")
FOLDER_LAYOUT = "expected DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE, or val for test (.jpeg, .jpg or .png)"


class Images(Protocol):
    """The undecoded images of one split, in order."""

    @property
    def labels(self) -> np.ndarray:
        """Classes, int64 of shape (n,)."""

    def read(self, place: int) -> bytes:
        """The bytes of one image file.

        Raises:
            DataError: it cannot be read.
        """

    def where(self, place: int) -> str:
        """What an error calls this image; printable."""

    def sizes(self) -> Iterable[str]:
        """A line for each image that says what it is without reading it: its name, its size and what else is known."""


@dataclass(frozen=True)
class ImageFiles:
    """Images that are files of their own (`Images`).

    Args:
        folder: of the data set.
        names: of the files, relative to the folder, with `/`.
        labels: int64, shape (n,).
    """

    folder: Path
    names: Sequence[str]
    labels: np.ndarray

    def read(self, place: int) -> bytes:
        """The bytes of one file."""
        return read_file(self.folder, self.names[place])

    def where(self, place: int) -> str:
        """The file's name in its folder."""
        return printable(self.names[place])

    def sizes(self) -> Iterable[str]:
        """Name and size of each file."""
        for name in self.names:
            yield f"{name} {os.stat(os.path.join(self.folder, name)).st_size}"


@dataclass(frozen=True)
class ImageSet:
    """The images of both splits and the names of their classes.

    Args:
        classes: a label is a place in it.
        train, test: the splits.
        described_by: names of other files that say what the images are.
    """

    classes: Sequence[str]
    train: Images
    test: Images
    described_by: Sequence[str] = ()


def class_folders(folder: Path, test_names: Sequence[str] = ("test", "val"), layout: str = FOLDER_LAYOUT) -> ImageSet:
    """The images of DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE; classes and images in the order of their names.

    Args:
        folder: DIR.
        test_names: folders that may hold the test images; the first that is there does.
        layout: what an error says was expected.

    Raises:
        DataError: a missing split, a class without an image in one of the splits.
    """
    check_folder(folder, layout)
    if not (folder / "train").is_dir():
        raise DataError(f"data folder {folder.name!r} has no folder 'train': {layout}")
    test = next((name for name in test_names if (folder / name).is_dir()), None)
    if test is None:
        wanted = " or ".join(map(repr, test_names))
        raise DataError(f"data folder {folder.name!r} has no folder {wanted}: {layout}")
    splits = {split: _class_names(folder / split) for split in ("train", test)}
    classes = sorted({*splits["train"], *splits[test]})
    if not classes:
        raise DataError(f"data folder {folder.name!r} has no class folders in 'train' and {test!r}: {layout}")
    train, held_out = (list_images(folder, [f"{split}/{name}" for name in classes]) for split in splits)
    check_classes(train.labels, held_out.labels, classes, layout)
    return ImageSet(classes, train, held_out)


def check_folder(folder: Path, layout: str) -> None:
    """Refuse a data folder that is not there.

    Raises:
        DataError: naming it, and the layout that is expected of it.
    """
    if not folder.is_dir():
        raise DataError(f"data folder {folder.name!r} does not exist: {layout}")


def _class_names(folder: Path) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith(".")]


def list_images(folder: Path, class_paths: Sequence[str]) -> ImageFiles:
    """The image files of these folders, one folder a class; a folder that is not there holds none."""
    by_class = [_image_names(folder, path) for path in class_paths]
    names = [name for names in by_class for name in names]
    return ImageFiles(folder, names, np.repeat(np.arange(len(by_class)), [len(names) for names in by_class]))


def _image_names(folder: Path, path: str) -> list[str]:
    if not (folder / path).is_dir():
        return []
    with os.scandir(folder / path) as entries:
        names = [e.name for e in entries if e.name.lower().endswith(IMAGE_SUFFIXES) and e.is_file()]
    return [f"{path}/{name}" for name in sorted(names) if not name.startswith(".")]


def check_classes(train: np.ndarray, test: np.ndarray, classes: Sequence[str], hint: str) -> None:
    """Refuse a data set in which a class has no image in one of the splits.

    Raises:
        DataError: the first such class.
    """
    for split, labels in (("test", test), ("train", train)):
        empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
        if len(empty):
            raise DataError(f"class {printable(classes[empty[0]])!r} has no image in {split}: {hint}")


def bytes_hash(images: ImageSet) -> str:
    """SHA-256 over the relative names and the bytes of every image file, and of the files that describe them."""
    digest = hashlib.sha256()
    for files in (images.train, images.test):
        for place, name in enumerate(files.names):
            _add(digest, name, files.read(place))
    for name in images.described_by:
        _add(digest, name, read_file(images.train.folder, name))
    return digest.hexdigest()


def _add(digest: "hashlib._Hash", name: str, content: bytes) -> None:
    digest.update(os.fsencode(name) + f" {hashlib.sha256(content).hexdigest()}\n".encode())


def sizes_hash(images: ImageSet) -> str:
    """SHA-256 over the names and sizes of every image, for data sets too large to be read for it."""
    digest = hashlib.sha256()
    for files in (images.train, images.test):
        for line in files.sizes():
            digest.update(os.fsencode(line) + b"\n")
    for name in images.described_by:
        _add(digest, name, read_file(images.train.folder, name))
    return digest.hexdigest()
