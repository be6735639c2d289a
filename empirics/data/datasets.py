"""The data sets: names, loading, and the hash of their content.

A name in `DATASETS` is read in that data set's own layout; any other name is the label of a folder of images.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from empirics.config import ConfigError, check_choice
from empirics.data import cifar, imagenet, tiny_imagenet
from empirics.data import images as image_files
from empirics.data.images import FOLDER_LAYOUT, ImageSet
from empirics.data.in_memory import Batch, Dataset, InMemory, Split, build
from empirics.data.pixels import cached, check_one_size, decode
from empirics.data.streaming import stream
from empirics.storage.data_files import DataError

__all__ = ["DATASETS", "Batch", "DataError", "Dataset", "InMemory", "Split", "build", "content_hash", "load", "subset"]


@dataclass(frozen=True)
class Request:
    """The arguments of `load`."""

    name: str
    folder: Path | None
    image_size: int = 0
    data_hash: str = ""
    cache: Path | None = None
    threads: int = 1


@dataclass(frozen=True)
class Source:
    """A data set: its facts, and how it is loaded and hashed.

    Args:
        about: description in one line.
        title: its name in figures.
        load: reads the data set.
        content_hash: SHA-256 of its content; empty for data that are the same everywhere.
        classes: number of classes.
        shape: (channels, height, width) of its images; for streamed ones `image_size` gives height and width.
        train_images, test_images: in each split, for estimates made before the data are installed.
        augmentation: of training images, as text, for Table 1.
        needs_folder: whether it is read from a folder, `--data-dir`.
        streamed: whether it does not fit into memory, so that it needs an `image_size`.
        on_cpu: whether `--device auto` trains on the CPU: a GPU would wait for its host at images this small.
    """

    about: str
    title: str
    load: Callable[[Request], Dataset]
    content_hash: Callable[[Request], str]
    classes: int
    shape: tuple[int, int, int]
    train_images: int
    test_images: int
    augmentation: str
    needs_folder: bool = True
    streamed: bool = False
    on_cpu: bool = False

    def image_shape(self, image_size: int) -> tuple[int, int, int]:
        """(channels, height, width) of an input of the network.

        It is streamed at `image_size`, or held in memory as it is (0).
        """
        return (self.shape[0], image_size, image_size) if image_size else self.shape


def load(
    name: str,
    *,
    folder: Path | None = None,
    image_size: int = 0,
    data_hash: str = "",
    cache: Path | None = None,
    threads: int = 1,
) -> Dataset:
    """Load a data set, on the CPU.

    Args:
        name: key of `DATASETS`, or the label of a folder of images.
        folder: folder of its files; None for data that need none.
        image_size: 0: images are held in memory as they are; otherwise they are streamed and cropped to so many pixels
            per side.
        data_hash: from `content_hash`; computed if empty; part of the name of the cached pixels.
        cache: folder for decoded pixels; None: no cache.
        threads: number of threads that decode, at least 1; only the time depends on it.

    Raises:
        DataError: an unknown name; missing or damaged files, or another layout; an unreadable image.
        StoreError: the cache cannot be written.
    """
    request = Request(name, folder, image_size, data_hash, cache, threads)
    return _loader(request).load(request)


def content_hash(name: str, folder: Path | None, image_size: int = 0, cache: Path | None = None) -> str:
    """SHA-256 of the content of a data set; empty for data that are the same everywhere.

    For images held in memory, every byte is hashed. For streamed ones only names and sizes are, so that 150 GB need not
    be read.

    Args:
        name, folder, image_size, cache: as for `load`; only the index of shards is stored in the cache.

    Raises:
        DataError: as for `load`, but only a few images are decoded.
    """
    request = Request(name, folder, image_size, cache=cache)
    return _loader(request).content_hash(request)


def facts(name: str, folder: Path | None) -> tuple[str, int]:
    """Title and number of classes of a data set.

    A folder of images has its label as title, unless it is one of `FOLDER_TITLES`.

    Args:
        name, folder: as for `load`.

    Raises:
        DataError: a folder of images whose training split cannot be listed. `content_hash` checks the whole layout.
    """
    if name in DATASETS:
        return DATASETS[name].title, DATASETS[name].classes
    return FOLDER_TITLES.get(name, name), len(image_files.class_names(folder, "train"))


def train_images(name: str, folder: Path | None) -> int:
    """The number of training images of a data set.

    Args:
        name, folder: as for `load`.

    Raises:
        DataError: a folder of images that is not in the expected layout.
    """
    if name in DATASETS:
        return DATASETS[name].train_images
    return len(image_files.class_folders(folder).train.labels)


def _loader(request: Request) -> "Source | ImageFolder":
    """What loads and hashes the requested data set, after a check of the request."""
    if request.name not in DATASETS and request.folder is None:
        try:
            check_choice(request.name, DATASETS, "data set")
        except ConfigError as error:
            raise DataError(f"{error}; for a folder of images give --data-dir: {FOLDER_LAYOUT}") from None
    if request.folder is None and DATASETS[request.name].needs_folder:
        raise DataError(f"data set {request.name!r} is read from a folder: give it with --data-dir")
    return DATASETS.get(request.name, IMAGE_FOLDER)


def subset(dataset: Dataset, images_per_class: int, validation_per_class: int) -> Dataset:
    """The same data set with fewer training images and some held out for validation.

    The last `validation_per_class` training images of each class are held out, and the first `images_per_class` of the
    others are trained on; 0 takes all of them. Pixels are still normalised by the whole training set.

    Raises:
        DataError: a class has fewer.
    """
    if images_per_class == validation_per_class == 0:
        return dataset
    labels = dataset.labels("train").cpu()
    train = []
    validation = []
    for label in range(dataset.classes):
        places = (labels == label).nonzero().flatten()
        left = len(places) - validation_per_class
        if left < max(images_per_class, 1):
            raise DataError(
                f"class {label} has {len(places)} training images: images_per_class {images_per_class} and "
                f"validation_per_class {validation_per_class} together need more: lower one of them"
            )
        train.append(places[: images_per_class or left])
        validation.append(places[left:])
    return dataset.choose(*(torch.cat(parts).sort().values for parts in (train, validation)))


def digits() -> InMemory:
    """scikit-learn's 1,797 handwritten digits, 8x8, in one split of 1,297 and 500 images for all seeds."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    order = torch.from_numpy(np.random.default_rng(1234).permutation(1797))
    images = torch.from_numpy(bunch.images).to(torch.uint8)[:, None][order]
    labels = torch.from_numpy(bunch.target).long()[order]
    return build("digits", Split(images[:1297], labels[:1297]), Split(images[1297:], labels[1297:]), 10, 1, False)


def _unstreamed(read: Callable[[Request], Dataset]) -> Callable[[Request], Dataset]:
    """`read` with an error if streaming is requested, for a data set that is always held in memory."""

    def load_whole(request: Request) -> Dataset:
        if request.image_size:
            raise DataError(
                f"{request.name} is held in memory as it is: image_size must be 0, got {request.image_size}"
            )
        return read(request)

    return load_whole


def _cifar(which: cifar.Cifar, title: str) -> Source:
    read = _unstreamed(lambda request: cifar.load(which, request.folder, request.data_hash, request.cache))
    return Source(
        f"60,000 colour images of {which.classes} classes, 32x32 (binary version)",
        title,
        read,
        lambda request: cifar.content_hash(which, request.folder),
        classes=which.classes,
        shape=(3, 32, 32),
        train_images=50_000,
        test_images=10_000,
        augmentation="shift by 4, mirror",
    )


@dataclass(frozen=True)
class ImageFolder:
    """Loads and hashes a data set of image files; it is streamed if an image size is requested.

    Args:
        find: finds the images of both splits in a folder.
    """

    find: Callable[[Path], ImageSet]

    def load(self, request: Request) -> Dataset:
        """Read the data set."""
        images = self.find(request.folder)
        if request.image_size:
            return stream(request.name, images, request.image_size, request.threads)
        return hold(images, request, request.data_hash or _images_hash(request, images))

    def content_hash(self, request: Request) -> str:
        """SHA-256 of its content."""
        return _images_hash(request, self.find(request.folder))


def _images_hash(request: Request, images: ImageSet) -> str:
    return image_files.sizes_hash(images) if request.image_size else _hash_one_size(images)


def _hash_one_size(images: ImageSet) -> str:
    check_one_size(images)  # checked before gigabytes of unsuitable images are read
    return image_files.bytes_hash(images)


def _find_imagenet(request: Request) -> ImageSet:
    if not request.image_size:
        raise DataError(f"{request.name} does not fit into memory: give --image-size (224 is customary)")
    return imagenet.find(request.folder, request.cache)


def _load_imagenet(request: Request) -> Dataset:
    images = _find_imagenet(request)
    return stream(request.name, images, request.image_size, request.threads, imagenet.moments())


def hold(images: ImageSet, request: Request, data_hash: str) -> InMemory:
    """Decode image files of one size into memory.

    Augmentation: shifts of up to 1/8 of the width, and mirroring with probability 1/2.
    """
    shape = check_one_size(images)
    splits = {}
    for split, files in (("train", images.train), ("test", images.test)):
        file = request.cache and request.cache / f"{request.name}-{data_hash[:16]}-{split}.npy"

        def fill(out: np.ndarray, files: image_files.Images = files) -> None:
            decode(files, shape, out, request.threads)

        pixels = cached(file, (len(files.labels), *shape), fill)
        splits[split] = Split(torch.from_numpy(pixels), torch.from_numpy(files.labels))
    return build(request.name, **splits, classes=len(images.classes), pad=max(1, shape[2] // 8), flip=True)


# titles of folders of images that studies of this project use
FOLDER_TITLES = {"cifar10-jpeg": "CIFAR-10 (JPEG)"}
# any name that is no key of `DATASETS`: DIR/train/CLASS/IMAGE and DIR/test/CLASS/IMAGE
IMAGE_FOLDER = ImageFolder(image_files.class_folders)
_TINY_IMAGENET = ImageFolder(tiny_imagenet.find)

# A new data set: one function above or in a module of its own, and one entry here.
DATASETS: dict[str, Source] = {
    "digits": Source(
        "scikit-learn's 1,797 handwritten digits, 8x8",
        "digits",
        _unstreamed(lambda request: digits()),
        lambda request: "",
        classes=10,
        shape=(1, 8, 8),
        train_images=1297,
        test_images=500,
        augmentation="shift by 1",
        needs_folder=False,
        on_cpu=True,
    ),
    "cifar10": _cifar(cifar.CIFAR10, "CIFAR-10"),
    "cifar100": _cifar(cifar.CIFAR100, "CIFAR-100"),
    "imagenet": Source(
        "ImageNet, 1.3 million images of 1,000 classes, as folders or shards; streamed",
        "ImageNet",
        _load_imagenet,
        lambda request: image_files.sizes_hash(_find_imagenet(request)),
        classes=1000,
        shape=(3, 224, 224),
        train_images=1_281_167,
        test_images=50_000,
        augmentation="random resized crop, mirror",
        streamed=True,
    ),
    "tiny-imagenet": Source(
        "110,000 images of 200 classes of ImageNet, 64x64",
        "Tiny ImageNet",
        _TINY_IMAGENET.load,
        _TINY_IMAGENET.content_hash,
        classes=200,
        shape=(3, 64, 64),
        train_images=100_000,
        test_images=10_000,
        augmentation="shift by 8, mirror",
    ),
}
