"""Pruning criteria (weights -> scores) and the layer densities of random masks.

A criterion sees the trained weights and the current masks and returns a score a weight: the largest stay.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from empirics import masks as m
from empirics.config import choose

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Criterion:
    """A score, and whether weights compete over the whole network or within layers of given densities."""

    score: Callable[[Mapping[str, Tensor], m.Masks, int], Mapping[str, Tensor]]
    layerwise: bool


def select(
    name: str, weights: Mapping[str, Tensor], masks: m.Masks, keep: int, *, seed: int, densities: str
) -> m.Masks:
    """The masks of the next level: `keep` survivors by the criterion `name`.

    Args:
        name: key of `CRITERIA`.
        weights: trained weight by name.
        masks: of the level before.
        keep: survivors of the next level, over the whole network.
        seed: of the run; only random criteria depend on it.
        densities: key of `DENSITIES`, for criteria that work within layers.
    """
    criterion = CRITERIA[choose(name, CRITERIA, "criterion")]
    scores = criterion.score(weights, masks, seed)
    if not criterion.layerwise:
        return m.keep_global(scores, masks, keep)
    shapes = {layer: tuple(mask.shape) for layer, mask in masks.items()}
    caps = {layer: int(mask.sum()) for layer, mask in masks.items()}
    counts = DENSITIES[choose(densities, DENSITIES, "layer densities")](shapes, caps, keep)
    return m.keep_by_layer(scores, masks, counts)


def magnitude(weights: Mapping[str, Tensor], masks: m.Masks, seed: int) -> Mapping[str, Tensor]:
    """Absolute value of the trained weight (Han et al. 2015)."""
    return {name: weights[name].abs() for name in masks}


def random(weights: Mapping[str, Tensor], masks: m.Masks, seed: int) -> Mapping[str, Tensor]:
    """One random order a layer and seed; it knows nothing of the weights."""
    return m.random_scores(masks, seed)


def erk(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """Erdos-Renyi-kernel counts (Evci et al. 2020): n_l = min(cap, eps (out + in + kh + kw)), at least 1.

    Args:
        shapes: (out, in, kh, kw) or (out, in) of each layer.
        caps: survivors of each layer at the level before, so that counts are nested over levels.
        total: sum of the counts.

    Raises:
        EmptyNetworkError: fewer weights than layers.
    """
    return _spread({name: float(sum(shape)) for name, shape in shapes.items()}, caps, total)


def nested_counts(densities: str, shapes: Shapes, totals: Sequence[int]) -> dict[str, int]:
    """Layer counts at the last of `totals`, each level's capped by those of the level before.

    Args:
        densities: key of `DENSITIES`.
        shapes: of each layer.
        totals: weights kept over the network at levels 1, 2, ...
    """
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    for total in totals:
        counts = DENSITIES[choose(densities, DENSITIES, "layer densities")](shapes, counts, total)
    return counts


def uniform(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """The same density in every layer, at least one weight each; nested over levels."""
    return _spread({name: float(math.prod(shape)) for name, shape in shapes.items()}, caps, total)


def balanced(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """The same number of weights in every layer, as far as its size allows; nested over levels."""
    return _spread({name: 1.0 for name in shapes}, caps, total)


def _spread(share: Mapping[str, float], caps: Mapping[str, int], total: int) -> dict[str, int]:
    """Whole counts proportional to `share` within [1, cap] that sum to `total`; the rest by largest remainder."""
    open_layers = [name for name, cap in caps.items() if cap > 0]
    if total < len(open_layers):
        raise m.EmptyNetworkError(
            f"{total} weights over {len(open_layers)} layers leave one empty "
            f"(layer {open_layers[total]} would be the first): use fewer levels or a smaller prune_rate"
        )
    if total > sum(caps.values()):
        raise ValueError(f"cannot keep {total} weights: {sum(caps.values())} survive")
    exact = lambda eps: {name: min(float(caps[name]), max(1.0, eps * share[name])) for name in open_layers}  # noqa: E731
    low, high = 0.0, max(caps[name] / share[name] for name in open_layers)
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if sum(exact(middle).values()) <= total else (low, middle)
    wanted = exact(low)
    counts = {name: math.floor(value) for name, value in wanted.items()}
    by_remainder = sorted(open_layers, key=lambda name: counts[name] - wanted[name])
    while (short := total - sum(counts.values())) > 0:
        for name in [name for name in by_remainder if counts[name] < caps[name]][:short]:
            counts[name] += 1
    return {name: counts.get(name, 0) for name in caps}


# New layer densities: one function above (shapes, caps, total) -> counts, one line here.
DENSITIES: dict[str, Callable[[Shapes, Mapping[str, int], int], dict[str, int]]] = {
    "balanced": balanced,
    "erk": erk,
    "uniform": uniform,
}

# A new criterion: one function above (weights, masks, seed) -> scores, one line here.
CRITERIA: dict[str, Criterion] = {
    "magnitude": Criterion(magnitude, layerwise=False),
    "random": Criterion(random, layerwise=True),
}
