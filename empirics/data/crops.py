"""What a network sees of a large image: a random crop in training, the centre in evaluation."""

import math
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from PIL.Image import Image

SCALE = (0.08, 1.0)
RATIO = (3 / 4, 4 / 3)
ATTEMPTS = 10
# of the shorter side: where it is resized to 256 pixels, 224 are seen
CENTRE = 224 / 256

Box = tuple[int, int, int, int]


def training_view(image: "Image", size: int, generator: np.random.Generator) -> np.ndarray:
    """A random crop, resized and mirrored half of the time; uint8 of shape (size, size, 3)."""
    view = _resized(image.crop(random_box(image.width, image.height, generator)), size)
    return view[:, ::-1] if generator.random() < 0.5 else view


def evaluation_view(image: "Image", size: int) -> np.ndarray:
    """The centre of the image once its shorter side is resized to `size` * 256 / 224; uint8 of shape (size, size, 3).

    What lies outside is not resized first, so a long thin image takes no memory.
    """
    side = min(image.width, image.height) * CENTRE
    left, top = (image.width - side) / 2, (image.height - side) / 2
    return _resized(image, size, (left, top, left + side, top + side))


def _resized(image: "Image", size: int, box: tuple[float, float, float, float] | None = None) -> np.ndarray:
    """Bilinear; Pillow widens the kernel where it shrinks, so nothing is aliased."""
    from PIL import Image

    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box))


def random_box(width: int, height: int, generator: np.random.Generator) -> Box:
    """A random part of an image (Szegedy et al. 2015): left, top, right and bottom in pixels.

    Its area is uniform between 8 % and all of the image's, the logarithm of its ratio of width to height uniform
    between those of 3/4 and 4/3, its place uniform. Where ten draws do not fit, the largest centred part with a ratio
    within these bounds.

    Args:
        width, height: of the image, at least 1.
        generator: of this image alone.
    """
    for _ in range(ATTEMPTS):
        area = width * height * generator.uniform(*SCALE)
        ratio = math.exp(generator.uniform(*map(math.log, RATIO)))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            left, top = (int(generator.integers(room + 1)) for room in (width - w, height - h))
            return left, top, left + w, top + h
    return _centred_box(width, height)


def _centred_box(width: int, height: int) -> Box:
    w = max(1, min(width, round(height * RATIO[1])))
    h = max(1, min(height, round(width / RATIO[0])))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h
