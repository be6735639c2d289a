"""Random choices of an epoch, and the crops they ask for; drawn on the CPU, so the same on every device."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Augmentation:
    """One epoch's random choices: an order of the training set, and for each place in it a shift and a mirroring."""

    order: Tensor
    shifts: Tensor
    flips: Tensor

    def to(self, device: torch.device) -> "Augmentation":
        """The same choices on `device`."""
        return Augmentation(*(choices.to(device) for choices in (self.order, self.shifts, self.flips)))


def draw_augmentation(n: int, pad: int, flip: bool, generator: torch.Generator) -> Augmentation:
    """The choices of one epoch.

    Args:
        n: training images.
        pad: largest shift, in pixels.
        flip: whether half of the images are mirrored.
        generator: on the CPU.
    """
    order = torch.randperm(n, generator=generator)
    shifts = torch.randint(0, 2 * pad + 1, (n, 2), generator=generator)
    flips = torch.rand(n, generator=generator) < (0.5 if flip else 0.0)
    return Augmentation(order, shifts, flips)


def crop_batch(images: Tensor, shifts: Tensor, flips: Tensor, pad: int) -> Tensor:
    """Each image padded with `pad` rows and columns of 0, cut out at its own shift, and mirrored where `flips` says so.

    Args:
        images: uint8, shape (n, channels, height, width).
        shifts: shape (n, 2), of rows and columns, from 0 to 2 pad; pad itself moves nothing.
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
