"""ImageNet (ILSVRC 2012), as folders of images or as shards; always streamed."""

from pathlib import Path

import torch

from empirics.data import images, shards
from empirics.data.images import ImageSet
from empirics.storage.data_files import DataError, printable

IMAGENET_LAYOUT = f"expected train/WNID/IMAGE and val/WNID/IMAGE, or shards: {shards.SHARD_LAYOUT}"
# of the training images in [0, 1], as used for published networks
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


def find(folder: Path, cache: Path | None = None) -> ImageSet:
    """The images of both splits, from shards if there are any, otherwise from folders.

    Raises:
        DataError: neither exists, or something is missing or damaged.
    """
    images.check_folder(folder, IMAGENET_LAYOUT)
    if shards.shard_names(folder)["train"]:
        return shards.find(folder, cache)
    if loose := images.image_names(folder, "val", within=True):
        raise DataError(
            f"{printable(loose[0])} is in no class folder: move the validation images to val/WNID/: {IMAGENET_LAYOUT}"
        )
    return images.class_folders(folder, ("val",), IMAGENET_LAYOUT)


def moments() -> tuple[torch.Tensor, torch.Tensor]:
    """The published mean and standard deviation of pixels from 0 to 255, of shape (3, 1, 1)."""
    return tuple(255 * torch.tensor(values)[:, None, None] for values in (MEAN, STD))
