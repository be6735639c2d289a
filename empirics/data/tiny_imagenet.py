"""Tiny ImageNet in its published layout.

It has 200 classes of 500 training and 50 validation images, 64x64. DIR/wnids.txt lists the classes. The images are
DIR/train/WNID/images/IMAGE and DIR/val/images/IMAGE. The file DIR/val/val_annotations.txt has one line per validation
image: file, class and the four numbers of a box, separated by tabs. The published test images have no labels, so
networks are tested on the validation images. Classes are sorted by WordNet id (not as in wnids.txt), images by class
and name.
"""

import codecs
from pathlib import Path

import numpy as np

from empirics.data.images import (
    ImageFiles,
    ImageSet,
    check_classes,
    check_folder,
    class_names,
    is_note,
    list_images,
    refuse_shared,
    refuse_twice,
    refuse_within,
)
from empirics.storage import folders
from empirics.storage.data_files import DataError, kind_in, listed, printable, read_file

TINY_IMAGENET_LAYOUT = (
    "expected wnids.txt, train/WNID/images/IMAGE, val/images/IMAGE and val/val_annotations.txt in the folder"
)
CLASSES_FILE = "wnids.txt"
ANNOTATIONS_FILE = "val/val_annotations.txt"


def find(folder: Path) -> ImageSet:
    """The images of both splits.

    Raises:
        DataError: a file or folder is missing, or two of them are the same; the annotations and the images do not
            agree; one image in two classes or splits by a link.
    """
    check_folder(folder, TINY_IMAGENET_LAYOUT)
    for path in (CLASSES_FILE, "train", "val/images", ANNOTATIONS_FILE):
        if kind_in(folder, path) is None:
            raise DataError(f"data folder {folder.name!r} has no {path!r}: {TINY_IMAGENET_LAYOUT}")
    classes = sorted(set(_lines(folder, CLASSES_FILE)))
    if not classes:
        raise DataError(f"{CLASSES_FILE} names no class: {TINY_IMAGENET_LAYOUT}")
    _check_known(folder, classes)
    there = [path for name in classes if kind_in(folder, path := f"train/{name}/images") == folders.FOLDER]
    refuse_twice(folder, [*there, "val/images"])
    train = list_images(folder, [f"train/{name}/images" for name in classes])
    test = _annotated(folder, classes)
    check_classes(train.labels, test.labels, classes, TINY_IMAGENET_LAYOUT)
    refuse_shared(train, test)
    return ImageSet(classes, train, test, (CLASSES_FILE, ANNOTATIONS_FILE))


def _lines(folder: Path, name: str) -> list[str]:
    """The lines of a text, with any line ends, without surrounding blanks and without a byte-order mark."""
    data = read_file(folder, name)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(f"{name} is in UTF-16: store it as UTF-8")
    lines = data.decode("utf-8-sig", "surrogateescape").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _check_known(folder: Path, classes: list[str]) -> None:
    """Refuse classes that cannot name a folder, folders that are not a class, and misplaced files."""
    if odd := [name for name in classes if "/" in name or "\0" in name or name in (".", "..")]:
        raise DataError(f"{CLASSES_FILE} names {ascii(odd[0])}, which cannot be the name of a folder")
    for path in (*(f"train/{name}" for name in classes), "val"):
        _check_beside(folder, path)
    if odd := sorted(set(class_names(folder, "train")) - set(classes)):
        raise DataError(f"train/{printable(odd[0])} is no class: {CLASSES_FILE} does not name it")


def _check_beside(folder: Path, path: str) -> None:
    """Refuse files that are not in the folder `images`, since they would be left out."""
    if kind_in(folder, path) != folders.FOLDER:
        return
    wrong = f"is not in {printable(path)}/images: move it there, or remove it: {TINY_IMAGENET_LAYOUT}"
    for name, kind in listed(folder, path, spare=is_note):
        if name == "images" or f"{path}/{name}" == ANNOTATIONS_FILE:
            continue
        if kind == folders.FOLDER:
            refuse_within(folder, f"{path}/{name}", wrong)
        elif kind != folders.FILE or not is_note(name):
            raise DataError(f"{printable(f'{path}/{name}')} {wrong}")


def _annotated(folder: Path, classes: list[str]) -> ImageFiles:
    """The validation images, sorted by class and name."""
    labels = _annotations(folder, classes)
    there = {name.rpartition("/")[2] for name in list_images(folder, ["val/images"]).names}
    if missing := sorted(set(labels) - there):
        raise DataError(f"{ANNOTATIONS_FILE} names {printable(missing[0])!r}, which is not in val/images")
    if missing := sorted(there - set(labels)):
        raise DataError(f"val/images/{printable(missing[0])} has no class: {ANNOTATIONS_FILE} does not name it")
    order = sorted(labels, key=lambda name: (labels[name], name))
    places = np.array([labels[name] for name in order], np.int64)
    return ImageFiles(folder, [f"val/images/{name}" for name in order], places)


def _annotations(folder: Path, classes: list[str]) -> dict[str, int]:
    """The label of every validation image, by name."""
    known = {name: label for label, name in enumerate(classes)}
    labels: dict[str, int] = {}
    for number, line in enumerate(_lines(folder, ANNOTATIONS_FILE), 1):
        file, _, rest = line.partition("\t")
        file = file.strip()
        wnid = rest.partition("\t")[0].strip()
        where = f"{ANNOTATIONS_FILE}, line {number}"
        if "\t" not in line:
            raise DataError(
                f"{where} has no tab, got {printable(line)[:60]!r}: expected file and class, a tab between them"
            )
        if wnid not in known:
            raise DataError(f"{where}: {printable(wnid)!r} is no class: {CLASSES_FILE} does not name it")
        if labels.setdefault(file, known[wnid]) != known[wnid]:
            raise DataError(f"{where}: {printable(file)!r} has two classes")
    return labels
