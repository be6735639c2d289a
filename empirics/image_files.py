"""Images in files: where the images of each split are, what class each has, and the hash that names them all."""

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from empirics import folders
from empirics.files import DataError, folders_in, kind_in, listed, printable, read_file

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")
# images of other kinds: refused, since whoever put them there does not expect to train without them
OTHER_SUFFIXES = (
    ".avif", ".bmp", ".gif", ".heic", ".heif", ".jfif", ".jp2", ".jpe", ".jxl", ".pbm", ".pgm", ".pnm", ".ppm", ".tif",
    ".tiff", ".webp",
)  # fmt: skip
LOST_AND_FOUND = "lost+found"  # the file system's, at the top of a disk
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
            try:
                size = os.stat(os.path.join(self.folder, name)).st_size
            except OSError as error:
                raise DataError(f"{printable(name)} cannot be read: {error.strerror}") from None
            yield f"{name} {size}"


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
        DataError: a missing split, a class without an image in one of the splits, an image that is in no class folder,
            in a folder within one, or of a kind that is not read; a folder that may not be listed, a link that leads
            nowhere.
    """
    check_folder(folder, layout)
    if kind_in(folder, "train") != folders.FOLDER:
        raise DataError(f"data folder {folder.name!r} has no folder 'train': {layout}")
    test = next((name for name in test_names if kind_in(folder, name) == folders.FOLDER), None)
    if test is None:
        wanted = " or ".join(map(repr, test_names))
        raise DataError(f"data folder {folder.name!r} has no folder {wanted}: {layout}")
    for split in ("train", test):
        if loose := image_names(folder, split):
            raise DataError(f"{printable(loose[0])} is in no class folder: move it to {split}/CLASS/: {layout}")
    splits = {split: class_names(folder, split) for split in ("train", test)}
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
    found = kind_in(folder.parent, folder.name)
    if found is None:
        raise DataError(f"data folder {folder.name!r} does not exist: {layout}")
    if found != folders.FOLDER:
        raise DataError(f"{folder.name!r} is a file, not a folder of data: give the folder that holds it: {layout}")


def class_names(folder: Path, split: str) -> list[str]:
    """The folders in a split, hidden ones left out, and the `lost+found` of a disk where it holds no image.

    Raises:
        DataError: the split may not be listed, or something in it is a link that leads nowhere.
    """
    there = [name for name, kind in listed(folder, split) if kind == folders.FOLDER]
    return [name for name in there if name != LOST_AND_FOUND or _holds_images(folder, f"{split}/{name}")]


def _holds_images(folder: Path, path: str) -> bool:
    try:
        return bool(image_names(folder, path))
    except DataError:  # closed to all but the system
        return False


def list_images(folder: Path, class_paths: Sequence[str]) -> ImageFiles:
    """The image files of these folders, one folder a class; a folder that is not there holds none.

    Raises:
        DataError: a folder that may not be listed, an image that is a link which leads nowhere, is in a folder within
            one of these, or is of a kind that is not read.
    """
    by_class = [image_names(folder, path) for path in class_paths]
    for path in class_paths:
        _refuse_nested(folder, path)
    names = [name for names in by_class for name in names]
    return ImageFiles(folder, names, np.repeat(np.arange(len(by_class)), [len(names) for names in by_class]))


def image_names(folder: Path, path: str) -> list[str]:
    """The images that lie in a folder of a data set, relative to the data set; none where there is no such folder.

    Raises:
        DataError: as for `list_images`; folders within are not looked at.
    """
    if kind_in(folder, path) != folders.FOLDER:
        return []
    there = listed(folder, path, _looks_like_an_image)
    found = [name for name, kind in there if kind == folders.FILE]
    if odd := [name for name in found if not name.lower().endswith(IMAGE_SUFFIXES)]:
        name, read = printable(f"{path}/{odd[0]}"), ", ".join(IMAGE_SUFFIXES)
        raise DataError(f"{name} is an image of a kind that is not read ({read} are): convert it, or take it out")
    return [f"{path}/{name}" for name in found]


def _looks_like_an_image(name: str) -> bool:
    return name.lower().endswith((*IMAGE_SUFFIXES, *OTHER_SUFFIXES))


def _refuse_nested(folder: Path, path: str) -> None:
    """Refuse images in folders within a class folder."""
    if kind_in(folder, path) != folders.FOLDER:
        return
    for within, is_link in folders_in(folder, path, _looks_like_an_image):
        place = f"{path}/{within}"
        if nested := listed(folder, place, _looks_like_an_image):
            name = printable(f"{place}/{nested[0][0]}")
            raise DataError(f"{name} lies in a folder within its class: move it to {printable(path)}/")
        if not is_link:  # one might lead in a circle
            _refuse_nested(folder, place)


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
