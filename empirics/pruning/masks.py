"""Masks: made from scores by exact top-k, applied to tensors, shuffled, drawn at random, compared.

A mask is a dict of bool tensors, one for each prunable weight, in network order.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from empirics.seeding import generator

Masks = dict[str, Tensor]


class EmptyNetworkError(ValueError):
    """A density so small that a layer or the whole network would keep no weight."""


def dense(weights: Mapping[str, Tensor]) -> Masks:
    """The mask that keeps every weight, on the CPU.

    Scores, states and sign bits are there too, wherever the weights lie.
    """
    return {name: torch.ones(weight.shape, dtype=torch.bool) for name, weight in weights.items()}


def count(masks: Mapping[str, Tensor]) -> int:
    """Number of weights kept."""
    return sum(int(mask.sum()) for mask in masks.values())


def density(masks: Mapping[str, Tensor]) -> float:
    """Fraction of weights kept."""
    return count(masks) / sum(mask.numel() for mask in masks.values())


def keep_global(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], keep: int) -> Masks:
    """The `keep` survivors of largest score over the whole network.

    Among equal scores the earlier weight, in network order, stays. A layer may be emptied.

    Args:
        scores: one score per weight, finite, shapes of the masks; scores of pruned weights are not read.
        masks: the survivors that compete.
        keep: how many stay, from 1 to the number of survivors.

    Raises:
        EmptyNetworkError: keep is 0.
        ValueError: more to keep than survive, or a score that is not finite.
    """
    flat_mask = torch.cat([mask.flatten() for mask in masks.values()])
    flat_scores = torch.cat([scores[name].flatten() for name in masks])
    kept = _top(flat_scores, flat_mask, keep, "the network")
    return _split(kept, masks)


def keep_by_layer(scores: Mapping[str, Tensor], masks: Mapping[str, Tensor], keep: Mapping[str, int]) -> Masks:
    """In each layer, the `keep[name]` survivors of largest score; ties and errors as in `keep_global`."""
    return {
        name: _top(scores[name].flatten(), mask.flatten(), keep[name], f"layer {name}").view_as(mask)
        for name, mask in masks.items()
    }


def apply(masks: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Set every pruned entry of `tensors` to exactly zero, in place (a NaN or infinity there too)."""
    clear(inverted(masks), tensors)


def inverted(masks: Mapping[str, Tensor]) -> Masks:
    """The pruned weights: True where a mask is False."""
    return {name: ~mask for name, mask in masks.items()}


def clear(pruned: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """As `apply`, given the `inverted` masks: for what is done at every step, they are made once."""
    with torch.no_grad():
        for name, where in pruned.items():
            tensors[name].masked_fill_(where, 0.0)


def shuffle(masks: Mapping[str, Tensor], seed: int) -> Masks:
    """The masks under one permutation of each layer's weights.

    The permutation depends on (seed, layer) only: it is the same at every level, so nested masks stay nested, and the
    same for every arm.
    """
    return {
        name: mask.flatten()[_order(mask.numel(), seed, "shuffled mask", name)].view_as(mask)
        for name, mask in masks.items()
    }


def _order(n: int, seed: int, purpose: str, layer: str) -> Tensor:
    return torch.randperm(n, generator=generator(seed, purpose, layer))


def random_scores(masks: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """A random order of the weights for each layer and seed, as scores: level k keeps the first n_l(k)."""
    return {
        name: -_order(mask.numel(), seed, "random mask", name).double().view_as(mask) for name, mask in masks.items()
    }


def overlap(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> int:
    """Number of weights that both masks keep."""
    return sum(int((mask & other[name]).sum()) for name, mask in one.items())


def _top(scores: Tensor, mask: Tensor, keep: int, where: str) -> Tensor:
    alive = int(mask.sum())
    if keep < 1:
        raise EmptyNetworkError(
            f"{where} would keep none of its {mask.numel()} weights: use fewer levels or a smaller prune_rate"
        )
    if keep > alive:
        raise ValueError(f"{where} cannot keep {keep} weights: {alive} survive")
    if not torch.isfinite(scores[mask]).all():
        raise ValueError(f"scores in {where} are not all finite: the criterion failed")
    survivors = mask.nonzero().flatten()
    values = scores[survivors]
    # the smallest score that stays, found without sorting millions of scores
    least = values.kthvalue(alive - keep + 1).values
    chosen = values > least
    tied = (values == least).nonzero().flatten()
    chosen[tied[: keep - int(chosen.sum())]] = True
    kept = torch.zeros_like(mask)
    kept[survivors[chosen]] = True
    return kept


def _split(flat: Tensor, masks: Mapping[str, Tensor]) -> Masks:
    parts = flat.split([mask.numel() for mask in masks.values()])
    return {name: part.view_as(mask) for (name, mask), part in zip(masks.items(), parts, strict=True)}
