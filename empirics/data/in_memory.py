"""The interface of data sets, `Dataset`, and data sets that are held in memory.

Small images are one uint8 tensor per split: a batch is one gather, and no DataLoader is needed. Large images are
streamed (`empirics.data.streaming`). Both implement `Dataset`.
"""

import dataclasses
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from empirics.storage.data_files import DataError


@dataclass(frozen=True)
class Augmentation:
    """The random choices of one epoch.

    They are an order of the training set, and for each place in it a shift and whether the image is mirrored.
    """

    order: Tensor
    shifts: Tensor
    flips: Tensor

    def to(self, device: torch.device) -> "Augmentation":
        """The same choices on `device`."""
        return Augmentation(*(choices.to(device) for choices in (self.order, self.shifts, self.flips)))


def draw_augmentation(n: int, pad: int, flip: bool, generator: torch.Generator) -> Augmentation:
    """Draw the random choices of one epoch.

    Args:
        n: number of training images.
        pad: largest shift, in pixels.
        flip: whether images are mirrored with probability 1/2.
        generator: on the CPU.
    """
    order = torch.randperm(n, generator=generator)
    shifts = torch.randint(0, 2 * pad + 1, (n, 2), generator=generator)
    flips = torch.rand(n, generator=generator) < (0.5 if flip else 0.0)
    return Augmentation(order, shifts, flips)


def crop_batch(images: Tensor, shifts: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Pad each image with `pad` rows and columns of 0, crop it at its own shift, mirror it if in `flips`.

    Args:
        images: uint8, shape (n, channels, height, width).
        shifts: shape (n, 2), of rows and columns, from 0 to 2 pad; `pad` is no shift.
        flips: bool, shape (n,).
        pad: at least 0.
    """
    n, channels, height, width = images.shape
    padded = torch.nn.functional.pad(images, (pad, pad, pad, pad))
    rows = shifts[:, :1] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(n, width)
    columns = shifts[:, 1:] + torch.where(flips[:, None], width - 1 - columns, columns)
    places, channel = (torch.arange(size, device=images.device) for size in (n, channels))
    return padded[
        places[:, None, None, None], channel[None, :, None, None], rows[:, None, :, None], columns[:, None, None, :]
    ]


EVALUATION_BATCH = 512

Batch = tuple[Tensor, Tensor]


class Dataset(Protocol):
    """The interface that training needs of a data set.

    Splits are `train`, `test` and, if some training images are held out, `validation`. Batches are pairs of network
    inputs, float32 of shape (n, channels, height, width), and labels, int64 of shape (n,), on the data set's device.
    """

    name: str
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of a network input."""

    def labels(self, split: str) -> Tensor:
        """Labels of a split in its order, int64, shape (n,); empty for a split that does not exist."""

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch: augmented batches in a random order; the last incomplete one is dropped.

        Order and augmentation depend only on `generator` (on the CPU).
        """

    def batches(self, split: str) -> Iterator[Batch]:
        """Every image of a split once, in order, without augmentation."""

    def images_at(self, split: str, index: Tensor) -> Batch:
        """The images at these places of a split, without augmentation."""

    def choose(self, train: Tensor, validation: Tensor) -> "Dataset":
        """The same data set with only these training images, and these held out for validation.

        Args:
            train, validation: places in the training split.
        """

    def to(self, device: torch.device) -> "Dataset":
        """The same data set, its batches on `device`."""


@dataclass(frozen=True)
class Split:
    """Images, uint8 of shape (n, channels, height, width), and labels, int64 of shape (n,)."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def at(self, index: Tensor) -> "Split":
        """The images at these places."""
        return Split(self.images[index], self.labels[index])

    def to(self, device: torch.device) -> "Split":
        """The same split on `device`."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True)
class InMemory:
    """A data set held as one uint8 tensor per split (a `Dataset`).

    Args:
        name: label of the data set in run names and figures.
        train, test: the splits.
        classes: number of classes.
        mean, std: per channel, of the training pixels as stored, shape (channels, 1, 1).
        pad: largest shift of the augmentation, in pixels; empty pixels become 0, the smallest value.
        flip: whether training images are mirrored with probability 1/2.
        validation: training images that are held out.
    """

    name: str
    train: Split
    test: Split
    classes: int
    mean: Tensor
    std: Tensor
    pad: int
    flip: bool
    validation: Split | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width)."""
        return tuple(self.train.images.shape[1:])

    def labels(self, split: str) -> Tensor:
        """Labels of a split; empty for a split that does not exist."""
        return torch.empty(0, dtype=torch.int64) if getattr(self, split) is None else getattr(self, split).labels

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch of shifted and mirrored images; the last incomplete batch is dropped."""
        choices = draw_augmentation(len(self.train), self.pad, self.flip, generator).to(self.mean.device)
        for start in range(0, len(self.train) - batch_size + 1, batch_size):
            place = slice(start, start + batch_size)
            batch = self.train.at(choices.order[place])
            images = crop_batch(batch.images, choices.shifts[place], choices.flips[place], self.pad)
            yield self.normalise(images), batch.labels

    def batches(self, split: str) -> Iterator[Batch]:
        """Every image of a split once, in order."""
        data = getattr(self, split)
        for start in range(0, len(data), EVALUATION_BATCH):
            place = slice(start, start + EVALUATION_BATCH)
            yield self.normalise(data.images[place]), data.labels[place]

    def images_at(self, split: str, index: Tensor) -> Batch:
        """The images at these places of a split."""
        batch = getattr(self, split).at(index.to(self.mean.device))
        return self.normalise(batch.images), batch.labels

    def choose(self, train: Tensor, validation: Tensor) -> "InMemory":
        """The same data set with only these training images, and those to validate on."""
        held_out = self.train.at(validation) if len(validation) else None
        return dataclasses.replace(self, train=self.train.at(train), validation=held_out)

    def to(self, device: torch.device) -> "InMemory":
        """The same data set on `device`."""
        moved = {name: getattr(self, name).to(device) for name in ("train", "test", "mean", "std")}
        held_out = None if self.validation is None else self.validation.to(device)
        return dataclasses.replace(self, **moved, validation=held_out)

    def normalise(self, images: Tensor) -> Tensor:
        """Network inputs, float32, from uint8 images of shape (n, channels, height, width)."""
        return (images.float() - self.mean) / self.std


def build(name: str, train: Split, test: Split, classes: int, pad: int, flip: bool) -> InMemory:
    """Build a data set that is normalised by the mean and standard deviation of its training pixels."""
    mean, std = pixel_moments(train.images.split(1024))
    return InMemory(name, train, test, classes, mean, std, pad, flip)


def pixel_moments(parts: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every channel.

    Computed from counts of the 256 pixel values: exact, independent of the parts, without a float copy of the data.

    Args:
        parts: the images in parts, uint8, each of shape (n, channels, height, width).

    Returns:
        Two float32 tensors of shape (channels, 1, 1).

    Raises:
        DataError: a channel is constant.
    """
    counts = sum(torch.stack([torch.bincount(c.flatten(), minlength=256) for c in part.unbind(1)]) for part in parts)
    n = counts.sum(1, keepdim=True)
    values = torch.arange(256, dtype=torch.float64)
    mean = (counts * values).sum(1, keepdim=True) / n
    variance = (counts * (values - mean) ** 2).sum(1, keepdim=True) / n
    if not (variance > 0).all():
        raise DataError("a channel of the training images is constant: it contains no information")
    return mean.float()[:, :, None], variance.float().sqrt()[:, :, None]
