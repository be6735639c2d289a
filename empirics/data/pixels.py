"""Decoding of image files, and the pixel cache: one memory-mapped array per split, shared by workers."""

import io
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from empirics.data.images import Images, ImageSet
from empirics.storage.data_files import DataError, file_hash, open_regular, reason, replacing
from empirics.storage.run_folder import StoreError, write_atomic

if TYPE_CHECKING:
    from PIL.Image import Image

# 2**26 pixels: ten times the largest photograph of ImageNet, and below the limit at which Pillow warns
MAX_PIXELS = 2**26
PIXEL_TASK = 256
RESIZE = "--image-size N streams and resizes them"


def read_image(images: Images, place: int) -> "Image":
    """Decode one image to RGB; grey becomes RGB, transparency and orientation tags are ignored.

    Only JPEG and PNG are read, whatever the file's name, and no image of more than `MAX_PIXELS` pixels.

    Raises:
        DataError: it is missing or cannot be decoded; names the image.
    """
    from PIL import Image, UnidentifiedImageError

    data = images.read(place)
    where = images.where(place)
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG", "PNG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(f"image {where} is {image.width}x{image.height}: more than {MAX_PIXELS} pixels")
            if image.mode.startswith(("I", "F")):
                raise DataError(f"image {where} has more than 8 bits a channel: convert it first")
            return image.convert("RGB")
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"image {where} cannot be read: it is neither a JPEG nor a PNG") from None
    except Exception as error:  # damaged bytes make Pillow raise errors of many kinds
        raise DataError(f"image {where} cannot be read: {reason(error)}") from None


def image_shape(images: Images, place: int) -> tuple[int, int, int]:
    """The shape (3, height, width) of one image, from decoding it."""
    image = read_image(images, place)
    return 3, image.height, image.width


def check_one_size(images: ImageSet) -> tuple[int, int, int]:
    """The common shape (3, height, width) of the images of a data set.

    Only the first image of every class and split is checked.

    Raises:
        DataError: one of these is unreadable, or of another size than the first.
    """
    shape = image_shape(images.train, 0)
    for split in (images.train, images.test):
        for place in first_of_each_class(split.labels):
            _check_size(split, place, image_shape(split, place), shape)
    return shape


def first_of_each_class(labels: np.ndarray) -> list[int]:
    """The first place of every class that occurs in `labels`."""
    return np.unique(labels, return_index=True)[1].tolist()


def _check_size(images: Images, place: int, found: tuple[int, ...], expected: tuple[int, ...]) -> None:
    if found != expected:
        raise DataError(
            f"image {images.where(place)} is {found[2]}x{found[1]}, the first is {expected[2]}x{expected[1]}: images "
            f"of several sizes are not held in memory; {RESIZE}"
        )


def decode(images: Images, shape: tuple[int, int, int], out: np.ndarray, threads: int) -> None:
    """Decode every image into its place of `out`.

    Args:
        images: n images.
        shape: (3, height, width) that every image must have.
        out: uint8, shape (n, 3, height, width).
        threads: that decode, at least 1; the result does not depend on them.

    Raises:
        DataError: the first image (in order) that is unreadable or of another size.
    """

    def fill(start: int) -> None:
        for place in range(start, min(start + PIXEL_TASK, len(out))):
            image = read_image(images, place)
            _check_size(images, place, (3, image.height, image.width), shape)
            out[place] = np.asarray(image).transpose(2, 0, 1)

    pool = ThreadPoolExecutor(threads)
    try:
        for _ in pool.map(fill, range(0, len(out), PIXEL_TASK)):
            pass
    finally:
        pool.shutdown(cancel_futures=True)


def cached(file: Path | None, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]) -> np.ndarray:
    """A uint8 array made by `fill`, from `file` if that is complete and its hash matches.

    The file is memory-mapped: processes share its pages, and changes by one process are private to it. It is filled
    under a temporary name, hashed and renamed. So memory never holds a second copy, a reader never sees a part, and of
    two processes that write it at the same time the later one replaces the file by identical bytes.

    Args:
        file: a `.npy` file; its SHA-256 lies in the same folder. None: the array is made in memory.
        shape: shape of the array.
        fill: writes every element of the array.

    Raises:
        StoreError: the disk is full, or the folder cannot be written.
    """
    if file is None:
        array = np.empty(shape, np.uint8)
        fill(array)
        return array
    if not _stands(file, shape):
        _make(file, shape, fill)
    return np.load(file, mmap_mode="c", allow_pickle=False)


def _stands(file: Path, shape: tuple[int, ...]) -> bool:
    try:
        if _read_stamp(file) != file_hash(file, "sha256"):
            return False
        header = np.load(file, mmap_mode="r", allow_pickle=False)
        return header.shape == shape and header.dtype == np.uint8
    except (OSError, ValueError, EOFError):
        return False


def _make(file: Path, shape: tuple[int, ...], fill: Callable[[np.ndarray], None]) -> None:
    try:
        with replacing(file) as temporary:
            with open(temporary, "r+b") as stream:
                np.lib.format.write_array_header_1_0(stream, {"descr": "|u1", "fortran_order": False, "shape": shape})
                _reserve(stream, stream.tell() + int(np.prod(shape)))
                array = np.memmap(stream, np.uint8, "r+", offset=stream.tell(), shape=shape)
                fill(array)
                array.flush()
                os.fsync(stream.fileno())
            digest = file_hash(temporary, "sha256")
    except OSError as error:
        raise StoreError(
            f"cannot write {file.name} to the cache: {error.strerror}: free disk space, or correct the permissions of "
            "the folder"
        ) from None
    write_atomic(_stamp(file), f"{digest}\n".encode())


def _reserve(stream: io.BufferedRandom, size: int) -> None:
    """Reserve the disk space now: writing to a mapped file on a full disk would end the process."""
    stream.flush()
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(stream.fileno(), 0, size)
    else:
        stream.truncate(size)


def _read_stamp(file: Path) -> str:
    with open_regular(_stamp(file)) as stream:
        return stream.read(100).decode().strip()


def _stamp(file: Path) -> Path:
    return file.with_suffix(".sha256")
