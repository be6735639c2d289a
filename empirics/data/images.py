"""Images in files: where the images of each split are, what class each has, and the hash that names them all."""

import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from empirics.storage import folders
from empirics.storage.data_files import DamagedData, DataError, kind_in, links_in, listed, named, printable, read_file

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")
# images of other kinds: refused, since whoever put them there does not expect to train without them
OTHER_SUFFIXES = (
    ".apng", ".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dcm", ".dds", ".dib", ".dng", ".emf", ".eps", ".exr", ".gif",
    ".hdr", ".heic", ".heif", ".icns", ".ico", ".j2k", ".jfif", ".jif", ".jp2", ".jpe", ".jpx", ".jxl", ".nef", ".orf",
    ".pbm", ".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".raf", ".raw", ".rw2", ".sgi", ".svg", ".tga",
    ".tif", ".tiff", ".webp", ".wmf", ".xbm", ".xcf", ".xpm",
)  # fmt: skip
# what people write about images and put beside them; whatever else lies in a folder of a class must be an image
NOTE_SUFFIXES = (
    ".asc", ".bib", ".cff", ".csv", ".dvc", ".html", ".json", ".jsonl", ".log", ".md", ".md5", ".npy", ".pdf", ".py",
    ".rst", ".sh", ".sha1", ".sha256", ".sha512", ".sig", ".tsv", ".txt", ".xml", ".yaml", ".yml",
)  # fmt: skip
NOTES = (
    "authors", "changelog", "checksums", "citation", "copying", "licence", "license", "makefile", "manifest", "md5sum",
    "md5sums", "notice", "readme", "sha1sum", "sha1sums", "sha256sum", "sha256sums", "sha512sum", "sha512sums",
)  # fmt: skip
BACKUP = "~"
MOST_LINKS = 40  # that Linux follows on one way
COPIES = (".bak", ".gz")  # of a note
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
                raise DamagedData(f"{printable(name)} cannot be read: {error.strerror}") from None
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
        DataError: a missing split, or one folder for both, or for two classes; a class without an image in one of the
            splits, anything in a split that is no class folder, anything in one that is no image of a kind that is read
            (notes about the images may lie there); one image in two classes or splits by a link; a folder that may not
            be listed, a link that leads nowhere.
    """
    check_folder(folder, layout)
    if kind_in(folder, "train") != folders.FOLDER:
        raise DataError(f"data folder {folder.name!r} has no folder 'train': {layout}")
    test = next((name for name in test_names if kind_in(folder, name) == folders.FOLDER), None)
    if test is None:
        wanted = " or ".join(map(repr, test_names))
        raise DataError(f"data folder {folder.name!r} has no folder {wanted}: {layout}")
    for split in ("train", test):
        if loose := image_names(folder, split, within=True):
            raise DataError(f"{printable(loose[0])} is in no class folder: move it to {split}/CLASS/: {layout}")
    with named(test, "read"):
        if os.path.samefile(folder / "train", folder / test):
            raise DataError(f"'train' and {test!r} are one folder: what is trained on cannot be tested on: {layout}")
    splits = {split: class_names(folder, split) for split in ("train", test)}
    refuse_twice(folder, [f"{split}/{name}" for split, found in splits.items() for name in found])
    classes = sorted({*splits["train"], *splits[test]})
    if not classes:
        raise DataError(f"data folder {folder.name!r} has no class folders in 'train' and {test!r}: {layout}")
    train, held_out = (list_images(folder, [f"{split}/{name}" for name in classes]) for split in splits)
    check_classes(train.labels, held_out.labels, classes, layout)
    refuse_shared(train, held_out)
    return ImageSet(classes, train, held_out)


def refuse_twice(folder: Path, names: Iterable[str], shown: Callable[[str], str] = printable) -> None:
    """Refuse a file or folder that is there under two names: its images would be taken twice, or be on both sides.

    Args:
        folder: of the data set.
        names: of what is there, relative to the folder; links are followed.
        shown: what an error calls a name.

    Raises:
        DataError: the two names; or one may not be looked at.
    """
    found: dict[tuple[int, int], str] = {}
    for name in names:
        with named(shown(name), "read"):
            place = os.stat(folder / name)
        other = found.setdefault((place.st_dev, place.st_ino), name)
        if other != name:
            both = f"{shown(other)} and {shown(name)} are one {folders.kind(folder / name)}"
            raise DataError(f"{both}: its images would count twice, take one of them out")


def refuse_shared(train: ImageFiles, test: ImageFiles) -> None:
    """Refuse an image that links put into both splits, or into two classes of one: of two labels one would be wrong.

    Copies and hard links are files of their own, and an image may be twice in one class.

    Raises:
        DataError: the two names.
    """
    links: dict[str, tuple[str, int, str]] = {}
    for split, files in (("train", train), ("test", test)):
        for name, label, place in _behind_links(files):
            here = name, label, split
            _refuse_two(links.setdefault(place, here), here)
    if not links:
        return
    for split, files in (("train", train), ("test", test)):
        for name, label, place in _by_themselves(files):
            if place in links:
                _refuse_two((name, label, split), links[place])


def _refuse_two(one: tuple[str, int, str], other: tuple[str, int, str]) -> None:
    if one[1:] != other[1:]:
        where = "two classes" if one[2] == other[2] else "both splits"
        raise DataError(
            f"{printable(one[0])} and {printable(other[0])} are one image, by a link, in {where}: take one of them out"
        )


def _behind_links(files: ImageFiles) -> Iterator[tuple[str, int, str]]:
    """Name, label and the file that it leads to, of each image that is a symbolic link."""
    links, real = functools.cache(functools.partial(links_in, files.folder)), functools.cache(os.path.realpath)
    for name, label in zip(files.names, files.labels.tolist(), strict=True):
        within, _, file = name.rpartition("/")
        if file in links(within):
            with named(printable(name), "read"):
                yield name, label, _followed(os.path.join(real(files.folder / within), file), real)


def _followed(path: str, real: Callable[[str], str]) -> str:
    """Where a link leads; `real` is `os.path.realpath` of folders, of which there are fewer than of images."""
    for _ in range(MOST_LINKS):
        try:
            target = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:  # no link
            return path
        folder, file = os.path.split(target)
        if file in ("", ".", ".."):
            break
        path = os.path.join(real(folder), file)
    return os.path.realpath(path)


def _by_themselves(files: ImageFiles) -> Iterator[tuple[str, int, str]]:
    """Name, label and place of each image, the links in its folder not followed."""
    real = functools.cache(os.path.realpath)
    for name, label in zip(files.names, files.labels.tolist(), strict=True):
        within, _, file = name.rpartition("/")
        yield name, label, os.path.join(real(files.folder / within), file)


def check_folder(folder: Path, layout: str) -> None:
    """Refuse a data folder that is not there.

    Raises:
        DataError: naming it, and the layout that is expected of it; or it may not be entered.
    """
    found = kind_in(folder.parent, folder.name)
    if found is None:
        raise DataError(f"data folder {folder.name!r} does not exist: {layout}")
    if found != folders.FOLDER:
        raise DataError(f"{folder.name!r} is a file, not a folder of data: give the folder that holds it: {layout}")
    with named(f"data folder {printable(folder.name)!r}", "entered"):
        os.stat(os.path.join(folder, "."))


def class_names(folder: Path, split: str) -> list[str]:
    """The folders in a split, hidden ones left out, and the `lost+found` of a disk where it holds no image.

    Raises:
        DataError: the split may not be listed; something in it is no folder, and no note, or is a link that leads
            nowhere.
    """
    there = listed(folder, split, spare=is_note, spare_links=False)  # a class may be called like a note
    if odd := [name for name, kind in there if kind == folders.OTHER or kind == folders.FILE and not is_note(name)]:
        name = printable(f"{split}/{odd[0]}")
        raise DataError(f"{name} is no folder: only folders of classes are read from {split}/: take it out")
    found = [name for name, kind in there if kind == folders.FOLDER]
    return [name for name in found if name != folders.LOST_AND_FOUND or _holds_images(folder, f"{split}/{name}")]


def _holds_images(folder: Path, path: str) -> bool:
    try:
        return bool(image_names(folder, path))
    except DataError:  # closed to all but the system
        return False


def list_images(folder: Path, class_paths: Sequence[str]) -> ImageFiles:
    """The image files of these folders, one folder a class; a folder that is not there holds none.

    Raises:
        DataError: as for `image_names`.
    """
    by_class = [image_names(folder, path) for path in class_paths]
    names = [name for names in by_class for name in names]
    return ImageFiles(folder, names, np.repeat(np.arange(len(by_class)), [len(names) for names in by_class]))


def image_names(folder: Path, path: str, within: bool = False) -> list[str]:
    """The images that lie in a folder of a data set, relative to the data set; none where there is no such folder.

    Args:
        folder: of the data set.
        path: of the folder in it.
        within: whether it holds other folders and files that belong to the data set: only images are looked at then.

    Raises:
        DataError: the folder may not be listed; something in it is no image of a kind that is read, and no note or
            clutter: an image of another kind, a pipe, a link that leads nowhere, a folder that holds anything.
    """
    if kind_in(folder, path) != folders.FOLDER:
        return []
    there = listed(folder, path, _looks_like_an_image if within else lambda name: True, is_note)
    found = []
    for name, kind in there:
        if kind == folders.FILE and name.lower().endswith(IMAGE_SUFFIXES):
            found.append(f"{path}/{name}")
        elif within and kind == folders.FOLDER:
            continue
        elif kind == folders.FOLDER and not _looks_like_an_image(name):
            refuse_within(folder, f"{path}/{name}", f"lies in a folder within its class: move it to {printable(path)}/")
        elif kind != folders.FILE or not is_note(name):
            raise DataError(_no_image(printable(f"{path}/{name}"), name, kind))
    return found


def _no_image(shown: str, name: str, kind: str) -> str:
    """What is wrong with something in place of an image, and what to do."""
    read = ", ".join(IMAGE_SUFFIXES)
    if kind == folders.FOLDER:
        return f"{shown} is a folder, and called like an image: rename it, or take it out"
    if kind == folders.OTHER:
        return f"{shown} is no regular file: take it out"
    if name.lower().endswith(".gz") and _looks_like_an_image(name[: -len(".gz")]):
        return f"{shown} is an image that is packed: unpack it, or take it out"
    if _looks_like_an_image(name):
        return f"{shown} is an image of a kind that is not read ({read} are): convert it, or take it out"
    return f"{shown} is no image by its name ({read} are read): rename or convert it, or take it out"


def _looks_like_an_image(name: str) -> bool:
    return name.lower().endswith((*IMAGE_SUFFIXES, *OTHER_SUFFIXES))


def is_note(name: str) -> bool:
    """Whether a name is that of a text about images, which may lie beside them; of one packed, or of a backup."""
    name = name.lower()
    if name.endswith(COPIES):
        name = name.rpartition(".")[0]
    return name.endswith((*NOTE_SUFFIXES, BACKUP)) or name in NOTES


def refuse_within(folder: Path, path: str, wrong: str) -> None:
    """Refuse a folder, however deep and behind whatever links, that holds anything but notes and clutter.

    Args:
        folder: of the data set.
        path: of the folder in it.
        wrong: what is wrong with what it holds, and what to do; follows the name.

    Raises:
        DataError: the first thing that it holds; or it may not be listed.
    """
    waiting, seen = [path], set()
    while waiting:
        path = waiting.pop()
        with named(printable(path), "read"):
            place = os.stat(folder / path)
        if (place.st_dev, place.st_ino) in seen:  # links lead in circles
            continue
        seen.add((place.st_dev, place.st_ino))
        try:
            there = listed(folder, path, spare=is_note)
        except DamagedData:
            if path.rpartition("/")[2] == folders.LOST_AND_FOUND:  # closed to all but the system
                continue
            raise
        if odd := [
            name for name, kind in there if kind != folders.FOLDER and (kind != folders.FILE or not is_note(name))
        ]:
            raise DataError(f"{printable(f'{path}/{odd[0]}')} {wrong}")
        waiting += [f"{path}/{name}" for name, kind in reversed(there) if kind == folders.FOLDER]


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
