"""Image files: the images and classes of each split, and the hash of all of them."""

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
# other image formats: refused, since leaving these images out would not be noticed
OTHER_SUFFIXES = (
    ".apng", ".arw", ".avif", ".bmp", ".cr2", ".cr3", ".dcm", ".dds", ".dib", ".dng", ".emf", ".eps", ".exr", ".gif",
    ".hdr", ".heic", ".heif", ".icns", ".ico", ".j2k", ".jfif", ".jif", ".jp2", ".jpe", ".jpx", ".jxl", ".nef", ".orf",
    ".pbm", ".pcx", ".pfm", ".pgm", ".pnm", ".ppm", ".psd", ".qoi", ".raf", ".raw", ".rw2", ".sgi", ".svg", ".tga",
    ".tif", ".tiff", ".webp", ".wmf", ".xbm", ".xcf", ".xpm",
)  # fmt: skip
# notes about images may lie in the same folder; every other file in a folder of a class must be an image
NOTE_SUFFIXES = (
    ".asc", ".bib", ".cff", ".csv", ".dvc", ".html", ".json", ".jsonl", ".log", ".md", ".md5", ".npy", ".pdf", ".py",
    ".rst", ".sh", ".sha1", ".sha256", ".sha512", ".sig", ".tsv", ".txt", ".xml", ".yaml", ".yml",
)  # fmt: skip
NOTES = (
    "authors", "changelog", "checksums", "citation", "copying", "licence", "license", "makefile", "manifest", "md5sum",
    "md5sums", "notice", "readme", "sha1sum", "sha1sums", "sha256sum", "sha256sums", "sha512sum", "sha512sums",
)  # fmt: skip
BACKUP = "~"
MOST_LINKS = 40  # symbolic links that Linux follows in one path
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
        """The name of this image in error messages; printable."""

    def sizes(self) -> Iterable[str]:
        """One line for each image, from data that are known without reading it, such as its name and size."""


@dataclass(frozen=True)
class ImageFiles:
    """Images that are separate files (`Images`).

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
        classes: names of the classes; a label is an index into them.
        train, test: the splits.
        described_by: names of other files that describe the images, such as annotations.
    """

    classes: Sequence[str]
    train: Images
    test: Images
    described_by: Sequence[str] = ()


def class_folders(folder: Path, test_names: Sequence[str] = ("test", "val"), layout: str = FOLDER_LAYOUT) -> ImageSet:
    """The images of DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE.

    Classes and images are sorted by name.

    Args:
        folder: DIR.
        test_names: folders that may contain the test images; the first that exists is used.
        layout: the expected layout, for error messages.

    Raises:
        DataError: a missing split; one folder for both splits, or for two classes; a class without an image in one of
            the splits; anything in a split that is not a class folder; anything in a class folder that is not an image
            of a supported format (notes about the images are allowed); one image in two classes or splits by a link; a
            folder that cannot be listed; a broken link.
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
    """Refuse a file or folder that has two names.

    Its images would be used twice, or for training and testing.

    Args:
        folder: folder of the data set.
        names: names of existing files and folders, relative to the folder; links are followed.
        shown: converts a name for error messages.

    Raises:
        DataError: names the two; or one cannot be accessed.
    """
    found: dict[tuple[int, int], str] = {}
    for name in names:
        with named(shown(name), "read"):
            place = os.stat(folder / name)
        other = found.setdefault((place.st_dev, place.st_ino), name)
        if other != name:
            both = f"{shown(other)} and {shown(name)} are one {folders.kind(folder / name)}"
            raise DataError(f"{both}: its images would count twice, remove one of them")


def refuse_shared(train: ImageFiles, test: ImageFiles) -> None:
    """Refuse an image that is in both splits, or in two classes of one split, through symbolic links.

    In two classes, one of the two labels would be wrong. Copies and hard links count as separate files, and an image
    may be twice in one class.

    Raises:
        DataError: names the two.
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
            f"{printable(one[0])} and {printable(other[0])} are one image, by a link, in {where}: remove one of them"
        )


def _behind_links(files: ImageFiles) -> Iterator[tuple[str, int, str]]:
    """Name, label and target of each image that is a symbolic link."""
    links = functools.cache(functools.partial(links_in, files.folder))
    real = functools.cache(os.path.realpath)
    for name, label in zip(files.names, files.labels.tolist(), strict=True):
        within, _, file = name.rpartition("/")
        if file in links(within):
            with named(printable(name), "read"):
                yield name, label, _followed(os.path.join(real(files.folder / within), file), real)


def _followed(path: str, real: Callable[[str], str]) -> str:
    """The target of a symbolic link.

    Args:
        path: the link.
        real: cached `os.path.realpath` of folders, of which there are fewer than of images.
    """
    for _ in range(MOST_LINKS):
        try:
            target = os.path.join(os.path.dirname(path), os.readlink(path))
        except OSError:  # not a link
            return path
        folder, file = os.path.split(target)
        if file in ("", ".", ".."):
            break
        path = os.path.join(real(folder), file)
    return os.path.realpath(path)


def _by_themselves(files: ImageFiles) -> Iterator[tuple[str, int, str]]:
    """Name, label and path of each image; links in its folder are not followed."""
    real = functools.cache(os.path.realpath)
    for name, label in zip(files.names, files.labels.tolist(), strict=True):
        within, _, file = name.rpartition("/")
        yield name, label, os.path.join(real(files.folder / within), file)


def check_folder(folder: Path, layout: str) -> None:
    """Refuse a data folder that does not exist.

    Raises:
        DataError: names the folder and the expected layout; or it cannot be entered.
    """
    found = kind_in(folder.parent, folder.name)
    if found is None:
        raise DataError(f"data folder {folder.name!r} does not exist: {layout}")
    if found != folders.FOLDER:
        raise DataError(f"{folder.name!r} is a file, not a folder of data: give the folder that holds it: {layout}")
    with named(f"data folder {printable(folder.name)!r}", "entered"):
        os.stat(os.path.join(folder, "."))


def class_names(folder: Path, split: str) -> list[str]:
    """The names of the class folders in a split.

    Hidden folders are left out, and a `lost+found` without images.

    Raises:
        DataError: the split cannot be listed; something in it is neither a folder nor a note, or is a broken link.
    """
    there = listed(folder, split, spare=is_note, spare_links=False)  # a class may have the name of a note
    if odd := [name for name, kind in there if kind == folders.OTHER or kind == folders.FILE and not is_note(name)]:
        name = printable(f"{split}/{odd[0]}")
        raise DataError(f"{name} is not a folder: {split}/ must contain only folders of classes: remove it")
    found = [name for name, kind in there if kind == folders.FOLDER]
    return [name for name in found if name != folders.LOST_AND_FOUND or _holds_images(folder, f"{split}/{name}")]


def _holds_images(folder: Path, path: str) -> bool:
    try:
        return bool(image_names(folder, path))
    except DataError:  # only the system may list it
        return False


def list_images(folder: Path, class_paths: Sequence[str]) -> ImageFiles:
    """The image files of these folders, one folder per class; a missing folder has none.

    Raises:
        DataError: as for `image_names`.
    """
    by_class = [image_names(folder, path) for path in class_paths]
    names = [name for names in by_class for name in names]
    return ImageFiles(folder, names, np.repeat(np.arange(len(by_class)), [len(names) for names in by_class]))


def image_names(folder: Path, path: str, within: bool = False) -> list[str]:
    """The images in a folder of a data set, as paths relative to the data set; none if it does not exist.

    Args:
        folder: folder of the data set.
        path: path of the folder in the data set.
        within: whether the folder contains other folders and files of the data set: then only images are checked.

    Raises:
        DataError: the folder cannot be listed; something in it is neither an image of a supported format nor a note nor
            a system file: an image of another format, a pipe, a broken link, a folder that is not empty.
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
    """The error for something that is not a readable image: what it is, and what to do."""
    read = ", ".join(IMAGE_SUFFIXES)
    if kind == folders.FOLDER:
        return f"{shown} is a folder with the name of an image: rename it, or remove it"
    if kind == folders.OTHER:
        return f"{shown} is not a regular file: remove it"
    if name.lower().endswith(".gz") and _looks_like_an_image(name[: -len(".gz")]):
        return f"{shown} is a compressed image: decompress it, or remove it"
    if _looks_like_an_image(name):
        return f"{shown} is an image of an unsupported format (supported: {read}): convert it, or remove it"
    return f"{shown} is not an image by its name (supported: {read}): rename or convert it, or remove it"


def _looks_like_an_image(name: str) -> bool:
    return name.lower().endswith((*IMAGE_SUFFIXES, *OTHER_SUFFIXES))


def is_note(name: str) -> bool:
    """Whether a name is that of a note about images, or of a compressed or backup copy of a note.

    Notes may lie in the folders of the images.
    """
    name = name.lower()
    if name.endswith(COPIES):
        name = name.rpartition(".")[0]
    return name.endswith((*NOTE_SUFFIXES, BACKUP)) or name in NOTES


def refuse_within(folder: Path, path: str, wrong: str) -> None:
    """Refuse a folder that contains, at any depth, anything but notes and system files.

    Links are followed.

    Args:
        folder: folder of the data set.
        path: path of the folder in the data set.
        wrong: the end of the error message, after the name: what is wrong, and what to do.

    Raises:
        DataError: names the first such file; or the folder cannot be listed.
    """
    waiting = [path]
    seen = set()
    while waiting:
        path = waiting.pop()
        with named(printable(path), "read"):
            place = os.stat(folder / path)
        if (place.st_dev, place.st_ino) in seen:  # a circle of links
            continue
        seen.add((place.st_dev, place.st_ino))
        try:
            there = listed(folder, path, spare=is_note)
        except DamagedData:
            if path.rpartition("/")[2] == folders.LOST_AND_FOUND:  # only the system may list it
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
        DataError: names the first such class.
    """
    for split, labels in (("test", test), ("train", train)):
        empty = np.flatnonzero(np.bincount(labels, minlength=len(classes)) == 0)
        if len(empty):
            raise DataError(f"class {printable(classes[empty[0]])!r} has no image in {split}: {hint}")


def bytes_hash(images: ImageSet) -> str:
    """SHA-256 over the names and bytes of every image file, and of the files that describe them.

    Names are relative to the data set.
    """
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
    """SHA-256 over the names and sizes of every image, for data sets too large to be read completely."""
    digest = hashlib.sha256()
    for files in (images.train, images.test):
        for line in files.sizes():
            digest.update(os.fsencode(line) + b"\n")
    for name in images.described_by:
        _add(digest, name, read_file(images.train.folder, name))
    return digest.hexdigest()
