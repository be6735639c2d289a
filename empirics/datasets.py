"""Data sets as uint8 tensors in memory, and their augmentation in batches.

Small images need no DataLoader: a batch is one gather from one tensor.
"""

import dataclasses
import hashlib
import io
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from empirics.config import ConfigError, choose

IMAGE_SUFFIXES = (".jpeg", ".jpg", ".png")
LAYOUT = "expected DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE (.jpeg, .jpg or .png, one size)"


class DataError(ValueError):
    """A data set that cannot be used; the message names the file or folder."""


@dataclass(frozen=True)
class Split:
    """Images, uint8 of shape (n, channels, height, width), and labels, int64 of shape (n,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Dataset:
    """Two splits, with what turns their pixels into inputs.

    Args:
        name: label of the data set in run names and figures.
        train, test: the splits.
        classes: number of classes.
        mean, std: per channel, of the training pixels as stored, shape (channels, 1, 1).
        pad: largest shift of the augmentation, in pixels; what comes in is 0, the smallest pixel.
        flip: whether half of the training images are mirrored.
    """

    name: str
    train: Split
    test: Split
    classes: int
    mean: Tensor
    std: Tensor
    pad: int
    flip: bool

    def to(self, device: torch.device) -> "Dataset":
        """The same data set on `device`."""
        move = lambda split: Split(split.images.to(device), split.labels.to(device))  # noqa: E731
        return Dataset(
            self.name,
            move(self.train),
            move(self.test),
            self.classes,
            self.mean.to(device),
            self.std.to(device),
            self.pad,
            self.flip,
        )

    def normalise(self, images: Tensor) -> Tensor:
        """Network inputs, float32, of uint8 images of shape (n, channels, height, width)."""
        return (images.float() - self.mean) / self.std


@dataclass(frozen=True)
class Augmentation:
    """One epoch's random choices: an order of the training set, and for each place in it a shift and a mirroring."""

    order: Tensor
    shifts: Tensor
    flips: Tensor


def draw_augmentation(dataset: Dataset, generator: torch.Generator) -> Augmentation:
    """The choices of one epoch, drawn on the CPU so that they are the same on every device."""
    n = len(dataset.train)
    order = torch.randperm(n, generator=generator)
    shifts = torch.randint(0, 2 * dataset.pad + 1, (n, 2), generator=generator)
    flips = torch.rand(n, generator=generator) < (0.5 if dataset.flip else 0.0)
    return Augmentation(order, shifts, flips)


def pad_images(images: Tensor, pad: int) -> Tensor:
    """Images with `pad` rows and columns of 0 on every side."""
    return torch.nn.functional.pad(images, (pad, pad, pad, pad))


def crop_batch(padded: Tensor, index: Tensor, shifts: Tensor, flips: Tensor, size: tuple[int, int]) -> Tensor:
    """The images `index` of `padded`, each cut out at its own shift and mirrored where `flips` says so."""
    height, width = size
    rows = shifts[:, :1] + torch.arange(height, device=padded.device)
    columns = torch.arange(width, device=padded.device).expand(len(index), width)
    columns = shifts[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)
    channels = torch.arange(padded.shape[1], device=padded.device)
    return padded[
        index[:, None, None, None], channels[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]


def load(name: str, *, folder: Path | None = None, data_hash: str = "", cache: Path | None = None) -> Dataset:
    """The data set `name`: embedded (a key of `DATASETS`), or the image folder with that label.

    Args:
        name: key of `DATASETS`, or an image folder's label.
        folder: an image folder; None for embedded data.
        data_hash: SHA-256 that the folder's content must have, if known.
        cache: where the decoded pixels of a folder are kept; None decodes them anew.

    Raises:
        DataError: an unknown name, a folder that is missing or laid out otherwise, an unreadable image.
    """
    if folder is not None:
        return image_folder(name, folder, data_hash, cache)
    try:
        return DATASETS[choose(name, DATASETS, "data set")]()
    except ConfigError as error:
        raise DataError(f"{error}; for a folder of images give --data-dir: {LAYOUT}") from None


def first_per_class(dataset: Dataset, n: int) -> Dataset:
    """The same data set with the first `n` training images of each class, in their order; 0 takes all.

    Pixels are still normalised by the whole training set.

    Raises:
        DataError: a class has fewer.
    """
    if n == 0:
        return dataset
    labels = dataset.train.labels
    places = [(labels == c).nonzero().flatten() for c in range(dataset.classes)]
    short = [c for c, place in enumerate(places) if len(place) < n]
    if short:
        raise DataError(
            f"class {short[0]} has {len(places[short[0]])} training images: images_per_class {n} is too many"
        )
    index = torch.cat([place[:n] for place in places]).sort().values
    return dataclasses.replace(dataset, train=Split(dataset.train.images[index], labels[index]))


def digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits, 8x8, one fixed split of 1,297 and 500 for every seed."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = torch.from_numpy(np.random.default_rng(1234).permutation(1797))
    images = torch.from_numpy(bunch.images).to(torch.uint8)[:, None][order]
    labels = torch.from_numpy(bunch.target).long()[order]
    return build("digits", Split(images[:1297], labels[:1297]), Split(images[1297:], labels[1297:]), 10, 1, False)


def build(name: str, train: Split, test: Split, classes: int, pad: int, flip: bool) -> Dataset:
    """A data set with the mean and deviation of its training pixels."""
    mean, variance = _pixel_moments(train.images)
    return Dataset(name, train, test, classes, mean, variance.sqrt(), pad, flip)


def _pixel_moments(images: Tensor) -> tuple[Tensor, Tensor]:
    # counted over the 256 pixel values: exact, and no float copy of the data set
    channels = [torch.bincount(images[:, c].reshape(-1).long(), minlength=256).double() for c in range(images.shape[1])]
    counts, values = torch.stack(channels), torch.arange(256, dtype=torch.float64)
    n = counts.sum(1, keepdim=True)
    mean = (counts * values).sum(1, keepdim=True) / n
    variance = (counts * (values - mean) ** 2).sum(1, keepdim=True) / n
    if not (variance > 0).all():
        raise DataError("a channel of the training images is constant: it carries nothing to learn from")
    return mean.float()[:, :, None], variance.float()[:, :, None]


def folder_files(folder: Path) -> dict[str, list[Path]]:
    """The images of both splits, sorted by class and name.

    Raises:
        DataError: a missing split, classes that differ between the splits, an empty class.
    """
    if not folder.is_dir():
        raise DataError(f"data folder {folder.name!r} does not exist: {LAYOUT}")
    classes: dict[str, list[str]] = {}
    for split in ("train", "test"):
        if not (folder / split).is_dir():
            raise DataError(f"data folder {folder.name!r} has no folder {split!r}: {LAYOUT}")
        folders = [path.name for path in (folder / split).iterdir() if path.is_dir()]
        classes[split] = sorted(name for name in folders if not name.startswith("."))
    odd = sorted(set(classes["train"]) ^ set(classes["test"]))
    if odd or not classes["train"]:
        raise DataError(
            f"train and test must hold the same classes; in one of them only: {odd or 'none at all'}: {LAYOUT}"
        )
    files = {}
    for split, names in classes.items():
        by_class = [
            sorted(p for p in (folder / split / c).iterdir() if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
            for c in names
        ]
        empty = [name for name, paths in zip(names, by_class, strict=True) if not paths]
        if empty:
            raise DataError(f"class {empty[0]!r} has no image in {split}: {LAYOUT}")
        files[split] = [path for paths in by_class for path in paths]
    return files


def folder_hash(folder: Path) -> str:
    """SHA-256 over the relative names and the bytes of every image of the folder."""
    digest = hashlib.sha256()
    for paths in folder_files(folder).values():
        for path in paths:
            try:
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise DataError(f"image {_where(folder, path)} cannot be read: {error.strerror}") from None
            digest.update(os.fsencode(path.relative_to(folder).as_posix()) + f" {content}\n".encode())
    return digest.hexdigest()


def image_folder(name: str, folder: Path, data_hash: str = "", cache: Path | None = None) -> Dataset:
    """Any folder of class folders; all images of one size. Shifted by 1/8 of the size, mirrored half of the time."""
    data_hash = data_hash or folder_hash(folder)
    files = folder_files(folder)
    classes = sorted({path.parent.name for path in files["train"]})
    splits = {
        split: _cached(folder, paths, cache and cache / f"{name}-{data_hash[:16]}-{split}.npy")
        for split, paths in files.items()
    }
    shapes = {split: images.shape[1:] for split, images in splits.items()}
    if shapes["train"] != shapes["test"]:
        raise DataError(f"train and test images differ in shape: {shapes['train']} and {shapes['test']}")
    train, test = (
        Split(torch.from_numpy(splits[s]), torch.tensor([classes.index(p.parent.name) for p in files[s]]))
        for s in ("train", "test")
    )
    return build(name, train, test, len(classes), max(1, train.images.shape[-1] // 8), True)


def _cached(folder: Path, paths: list[Path], file: Path | None) -> np.ndarray:
    """The decoded pixels, from the cache where its hash is right, else anew."""
    if file is None:
        return _decode(folder, paths)
    from empirics.store import sha256, write_atomic

    stamp = file.with_suffix(".sha256")
    if file.exists() and stamp.exists() and stamp.read_text().strip() == sha256(file):
        return np.load(file, mmap_mode="c", allow_pickle=False)
    images = _decode(folder, paths)
    buffer = io.BytesIO()
    np.save(buffer, images, allow_pickle=False)
    write_atomic(file, buffer.getvalue())
    write_atomic(stamp, (sha256(file) + "\n").encode())
    return images


def _decode(folder: Path, paths: list[Path]) -> np.ndarray:
    first = _read_image(folder, paths[0])
    images = np.empty((len(paths), *first.shape), np.uint8)
    for i, path in enumerate(paths):
        image = _read_image(folder, path)
        if image.shape != first.shape:
            raise DataError(
                f"image {_where(folder, path)} is {image.shape[2]}x{image.shape[1]}, "
                f"the first is {first.shape[2]}x{first.shape[1]}: resize them"
            )
        images[i] = image
    return images


def _read_image(folder: Path, path: Path) -> np.ndarray:
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"image {_where(folder, path)} has more than 8 bits a channel: convert it first")
            return np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    except DataError:
        raise
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"image {_where(folder, path)} cannot be read: {error}") from None


def _where(folder: Path, path: Path) -> str:
    """An image's place in its folder, printable whatever its name."""
    return os.fsencode(path.relative_to(folder).as_posix()).decode(errors="replace")


# A new embedded data set: one function above, one line here.
DATASETS: dict[str, Callable[[], Dataset]] = {
    "digits": digits,
}
