"""Streamed data sets, which are too large for memory: threads decode images shortly before their use."""

import dataclasses
import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from empirics.data.images import Images, ImageSet
from empirics.data.in_memory import Batch, pixel_moments
from empirics.data.pixels import first_of_each_class, read_image

if TYPE_CHECKING:
    from PIL.Image import Image

CROP_SCALE = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
ATTEMPTS = 10
# fraction of the shorter side: of an image resized to 256 pixels, the central 224 are used
CENTRE = 224 / 256

Box = tuple[int, int, int, int]


def training_view(image: "Image", size: int, generator: np.random.Generator) -> np.ndarray:
    """A random crop, resized, mirrored with probability 1/2; uint8 of shape (size, size, 3)."""
    view = _resized(image.crop(random_box(image.width, image.height, generator)), size)
    return view[:, ::-1] if generator.random() < 0.5 else view


def evaluation_view(image: "Image", size: int) -> np.ndarray:
    """The centre of the image after its shorter side is resized to `size` * 256 / 224.

    The parts outside the centre are cut off before resizing, so a long thin image needs little memory.

    Returns:
        uint8 of shape (size, size, 3).
    """
    side = min(image.width, image.height) * CENTRE
    left = (image.width - side) / 2
    top = (image.height - side) / 2
    return _resized(image, size, (left, top, left + side, top + side))


def _resized(image: "Image", size: int, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """Resize an image, or a box of it, bilinearly.

    Pillow widens the kernel when it shrinks an image, so there is no aliasing.
    """
    from PIL import Image

    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def random_box(width: int, height: int, generator: np.random.Generator) -> Box:
    """A random part of an image (Szegedy et al. 2015): left, top, right and bottom in pixels.

    Its area is uniform between 8 % and 100 % of the image's area, the logarithm of its ratio of width to height is
    uniform between log(3/4) and log(4/3), and its place is uniform. If ten draws do not fit, it is the largest centred
    part with a ratio within these bounds.

    Args:
        width, height: of the image, at least 1.
        generator: of this image alone.
    """
    for _ in range(ATTEMPTS):
        area = width * height * generator.uniform(*CROP_SCALE)
        ratio = math.exp(generator.uniform(*map(math.log, RATIO)))
        w = round(math.sqrt(area * ratio))
        h = round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = (int(generator.integers(room + 1)) for room in (width - w, height - h))
            return left, top, left + w, top + h
    return _centred_box(width, height)


def _centred_box(width: int, height: int) -> Box:
    w = max(1, min(width, round(height * RATIO[1])))
    h = max(1, min(height, round(width / RATIO[0])))
    left = (width - w) // 2
    top = (height - h) // 2
    return left, top, left + w, top + h


AHEAD = 2  # batches that are decoded while one is used
IMAGES_A_TASK = 8  # images that a thread takes at a time
PIXELS_A_BATCH = 2**23  # of an evaluation batch
SAMPLE = 2048  # images from which mean and standard deviation are computed

# places in a split, and a seed for each training view; no seeds for evaluation views
Plan = tuple[Tensor, Tensor | None]
Moments = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class StreamSplit:
    """Some images of a split: those at `places`, int64 of shape (n,)."""

    images: Images
    places: Tensor

    def __len__(self) -> int:
        return len(self.places)

    @property
    def labels(self) -> Tensor:
        """int64, shape (n,)."""
        return torch.from_numpy(self.images.labels)[self.places]

    def at(self, index: Tensor) -> "StreamSplit":
        """The images at these places of this split."""
        return StreamSplit(self.images, self.places[index])


@dataclass(frozen=True)
class Stream:
    """A data set that is read from disk while it is used (a `Dataset`).

    An epoch's order is one permutation of all training images, and every image has its own generator for its crop, so
    results do not depend on threads, shards or folders. Threads are used because the workers of a pool may not start
    processes; Pillow releases the interpreter lock while it decodes and resizes.

    Args:
        name: label of the data set in run names and figures.
        train, test: the splits.
        classes: number of classes.
        mean, std: per channel, of pixels from 0 to 255, shape (channels, 1, 1).
        size: side of a network input, in pixels.
        threads: number of threads that decode, at least 1.
        validation: training images that are held out.
        device: device of the batches.
    """

    name: str
    train: StreamSplit
    test: StreamSplit
    classes: int
    mean: Tensor
    std: Tensor
    size: int
    threads: int = 1
    validation: StreamSplit | None = None
    device: torch.device = torch.device("cpu")

    @property
    def shape(self) -> tuple[int, int, int]:
        """(3, size, size)."""
        return 3, self.size, self.size

    def labels(self, split: str) -> Tensor:
        """Labels of a split; empty for a split that does not exist."""
        data = getattr(self, split)
        return (torch.empty(0, dtype=torch.int64) if data is None else data.labels).to(self.device)

    def training_batches(self, batch_size: int, generator: torch.Generator) -> Iterator[Batch]:
        """One epoch of random crops, mirrored with probability 1/2; the last incomplete batch is dropped."""
        n = len(self.train)
        order = torch.randperm(n, generator=generator)
        seeds = torch.randint(0, 2**63 - 1, (n,), generator=generator)
        starts = range(0, n - batch_size + 1, batch_size)
        plans = ((order[start : start + batch_size], seeds[start : start + batch_size]) for start in starts)
        return self._stream(self.train, plans)

    def batches(self, split: str) -> Iterator[Batch]:
        """Every image of a split once, in order: the centre of each."""
        data = getattr(self, split)
        size = max(1, min(512, PIXELS_A_BATCH // self.size**2))
        return self._stream(data, ((places, None) for places in torch.arange(len(data)).split(size)))

    def images_at(self, split: str, index: Tensor) -> Batch:
        """The centre of the images at these places of a split."""
        return next(self._stream(getattr(self, split), [(index.cpu(), None)]))

    def choose(self, train: Tensor, validation: Tensor) -> "Stream":
        """The same data set with only these training images, and those to validate on."""
        held_out = self.train.at(validation) if len(validation) else None
        return dataclasses.replace(self, train=self.train.at(train), validation=held_out)

    def to(self, device: torch.device) -> "Stream":
        """The same data set, its batches on `device`."""
        moved = {name: getattr(self, name).to(device) for name in ("mean", "std")}
        return dataclasses.replace(self, **moved, device=torch.device(device))

    def _stream(self, split: StreamSplit, plans: Iterable[Plan]) -> Iterator[Batch]:
        labels = split.labels
        for (index, _), images in decoded(split, plans, self.size, self.threads):
            # uint8 is copied to the device and converted to float32 there; channels come last in memory
            pixels = sent(torch.from_numpy(images), self.device).permute(0, 3, 1, 2)
            yield pixels.float().sub_(self.mean).div_(self.std), sent(labels[index], self.device)


def sent(tensor: Tensor, device: torch.device) -> Tensor:
    """A tensor of the CPU on `device`; no copy to a GPU makes the host wait.

    So the host takes the next batch, which threads have decoded meanwhile, while the GPU trains on this one. The buffer
    in pinned memory is the allocator's, which keeps it until the copy is done.
    """
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def decoded(split: StreamSplit, plans: Iterable[Plan], size: int, threads: int) -> Iterator[tuple[Plan, np.ndarray]]:
    """The plans, each with the views of its batch, uint8 of shape (n, size, size, 3), in order.

    At most `AHEAD` batches are decoded ahead of the one in use. The threads end when the iteration ends, also after an
    error.

    Raises:
        DataError: the first image of a batch that cannot be read.
    """
    pool = ThreadPoolExecutor(threads)
    waiting = deque()
    try:
        for plan in plans:
            waiting.append((plan, *_submit(pool, split, plan, size)))
            if len(waiting) > AHEAD:
                yield _finished(*waiting.popleft())
        while waiting:
            yield _finished(*waiting.popleft())
    finally:
        pool.shutdown(cancel_futures=True)


def _submit(pool: ThreadPoolExecutor, split: StreamSplit, plan: Plan, size: int) -> tuple[np.ndarray, list[Future]]:
    index, seeds = plan
    images = np.empty((len(index), size, size, 3), np.uint8)
    places = split.places[index].tolist()
    view = _viewer(size, None if seeds is None else seeds.tolist())

    def fill(start: int) -> None:
        for i in range(start, min(start + IMAGES_A_TASK, len(places))):
            images[i] = view(read_image(split.images, places[i]), i)

    return images, [pool.submit(fill, start) for start in range(0, len(places), IMAGES_A_TASK)]


def _viewer(size: int, seeds: list[int] | None) -> Callable[..., np.ndarray]:
    """The function (image, place in the batch) -> view that the network gets."""
    if seeds is None:
        return lambda image, i: evaluation_view(image, size)
    return lambda image, i: training_view(image, size, np.random.default_rng(seeds[i]))


def _finished(plan: Plan, images: np.ndarray, futures: list[Future]) -> tuple[Plan, np.ndarray]:
    for future in futures:
        future.result()
    return plan, images


def stream(name: str, images: ImageSet, size: int, threads: int, moments: Moments | None = None) -> Stream:
    """Create a streamed data set; the first image of every class and split is decoded now, as a check.

    Args:
        name: label of the data set.
        images: the splits.
        size: side of a network input, in pixels.
        threads: number of threads that decode.
        moments: mean and standard deviation of each channel; None: computed from at most 2,048 evenly spaced training
            images.

    Raises:
        DataError: one of the decoded images cannot be read.
    """
    splits = [StreamSplit(part, torch.arange(len(part.labels))) for part in (images.train, images.test)]
    for split in splits:
        for _ in _centres(split, first_of_each_class(split.images.labels), size, threads):
            pass
    mean, std = moments or sample_moments(splits[0], size, threads)
    return Stream(name, *splits, len(images.classes), mean, std, size, threads)


def sample_moments(split: StreamSplit, size: int, threads: int) -> Moments:
    """Mean and standard deviation of the pixels of evenly spaced images."""
    evenly = np.linspace(0, len(split) - 1, min(SAMPLE, len(split))).round().astype(np.int64)
    return pixel_moments(_centres(split, evenly, size, threads))


def _centres(split: StreamSplit, index: Sequence[int], size: int, threads: int) -> Iterator[Tensor]:
    """The centre of these images, uint8, in parts of shape (n, 3, size, size)."""
    plans = ((places, None) for places in torch.as_tensor(index).split(64))
    return (torch.from_numpy(views).permute(0, 3, 1, 2) for _, views in decoded(split, plans, size, threads))
