"""Sign statistics: flips under three readings, when a weight's sign settles, how often it switches.

The sign of a weight is one bit, set where the weight is below 0. Readings, over the survivors given in each function:
(i) `level_start`: against the start of the same level; (ii) `initial`: against initialisation;
(iii) `previous`: from the end of the level before to the end of this one (level 0: from initialisation).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from empirics.seeding import generator

READINGS = ("level_start", "initial", "previous")
Signs = dict[str, Tensor]


def sign_bits(state: Mapping[str, Tensor], layers: Sequence[str]) -> Signs:
    """Sign bit of every weight of `layers`: True where it is below 0."""
    return {name: (state[name] < 0).cpu() for name in layers}


def pack(bits: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Pack the bits of each layer into a flat uint8 array, eight bits per byte."""
    return {name: np.packbits(value.cpu().numpy().reshape(-1)) for name, value in bits.items()}


def unpack(packed: Mapping[str, np.ndarray], shapes: Mapping[str, Sequence[int]]) -> Signs:
    """The inverse of `pack`, given the shape of each layer."""
    flat = {name: np.unpackbits(packed[name], count=int(np.prod(shape))) for name, shape in shapes.items()}
    return {name: torch.from_numpy(flat[name].astype(bool)).reshape(tuple(shape)) for name, shape in shapes.items()}


def draw_flips(masks: Mapping[str, Tensor], rate: float, scope: str, generator: torch.Generator) -> Signs:
    """Draw the `round(rate * survivors)` survivors whose signs a perturbation flips, without replacement.

    Args:
        masks: of the level at whose start the signs are flipped.
        rate: fraction of the survivors, in [0, 1].
        scope: `global`: drawn from the whole network; `layerwise`: that fraction of each layer.
        generator: on the CPU.
    """
    layers = [list(masks)] if scope == "global" else [[name] for name in masks]
    flips = {}
    for names in layers:
        flat = torch.cat([masks[name].flatten().cpu() for name in names])
        survivors = flat.nonzero().flatten()
        drawn = survivors[torch.randperm(len(survivors), generator=generator)[: round(rate * len(survivors))]]
        hit = torch.zeros_like(flat)
        hit[drawn] = True
        parts = hit.split([masks[name].numel() for name in names])
        flips |= {name: part.view_as(masks[name]) for name, part in zip(names, parts, strict=True)}
    return flips


def draw_strike(masks: Mapping[str, Tensor], rate: float, seed: int, level: int, number: int) -> Signs:
    """Draw the survivors whose signs a strike flips, each with probability `rate`, in every layer alike.

    The draw depends on (seed, level, number of the strike in the level, layer).
    """

    def drawn(name: str, mask: Tensor) -> Tensor:
        return torch.rand(mask.shape, generator=generator(seed, "strike", level, number, name)) < rate

    return {name: drawn(name, mask) & mask.cpu() for name, mask in masks.items()}


def flip(state: Mapping[str, Tensor], flips: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state with the signs of the weights in `flips` reversed; tensors not named there are shared."""
    turned = {name: torch.where(where, -state[name], state[name]) for name, where in flips.items()}
    return {**state, **turned}


def level_flips(
    end: Signs, moments: Mapping[str, Signs | None], masks: Mapping[str, Tensor]
) -> dict[str, dict[str, int | None]]:
    """The number of flips of each layer at a level, by each reading, over that level's survivors.

    Args:
        end: sign bits at the end of the level.
        moments: for each reading (`READINGS`, and perhaps `epoch_0`), the sign bits that the end is compared with; None
            if there are none.
        masks: of the level.
    """

    def flips(name: str, then: Signs | None) -> int | None:
        return None if then is None else int(((end[name] != then[name]) & masks[name]).sum())

    return {name: {reading: flips(name, then) for reading, then in moments.items()} for name in masks}


def run_statistics(
    ends: Sequence[Signs],
    starts: Sequence[Signs],
    initial: Signs,
    last_masks: Mapping[str, Tensor],
    epoch_0: Signs | None = None,
) -> dict[str, Any]:
    """The sign statistics of a whole run, over the weights that survive its last level.

    Args:
        ends: sign bits at the end of levels 0 to K.
        starts: sign bits at the start of levels 0 to K.
        initial: sign bits that count as initial.
        last_masks: of level K.
        epoch_0: sign bits at initialisation, if those of a later epoch count as initial: flips against them are counted
            beside the others.

    Returns:
        layer -> counts: `survivors`; `flips` by reading, one count per level; `settles_at` = [never, level 0, ..., K],
        the last level whose reading-(iii) flip happened; `settles_before_last`, the same with level K's flips left out;
        `switches` = [weights with 0, 1, ..., K + 1 reading-(iii) flips].
    """
    return {name: _layer_statistics(name, ends, starts, initial, mask, epoch_0) for name, mask in last_masks.items()}


def _layer_statistics(
    name: str, ends: Sequence[Signs], starts: Sequence[Signs], initial: Signs, mask: Tensor, epoch_0: Signs | None
) -> dict[str, Any]:
    end = torch.stack([bits[name][mask] for bits in ends])
    start = torch.stack([bits[name][mask] for bits in starts])
    first = initial[name][mask]
    previous = end != torch.cat([first[None], end[:-1]])
    flips = {"level_start": end != start, "initial": end != first, "previous": previous}
    if epoch_0 is not None:
        flips["epoch_0"] = end != epoch_0[name][mask]
    return {
        "survivors": int(mask.sum()),
        "flips": {reading: flipped.sum(1).tolist() for reading, flipped in flips.items()},
        "settles_at": _settle_counts(previous),
        "settles_before_last": _settle_counts(previous[:-1]),
        "switches": torch.bincount(previous.sum(0), minlength=len(ends) + 1).tolist(),
    }


def _settle_counts(flipped: Tensor) -> list[int]:
    levels = torch.arange(1, len(flipped) + 1)[:, None]
    settled = (flipped * levels).amax(0)
    return torch.bincount(settled, minlength=len(flipped) + 1).tolist()
