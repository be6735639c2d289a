"""Layer densities: how many weights each layer keeps if weights compete within layers."""

import math
from collections.abc import Callable, Mapping, Sequence

from empirics.config import check_choice
from empirics.pruning import masks as m

Shapes = Mapping[str, tuple[int, ...]]


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
    """Layer counts at the last of `totals`.

    The counts of each level are capped by those of the level before.

    Args:
        densities: key of `DENSITIES`.
        shapes: of each layer.
        totals: weights kept over the network at levels 1, 2, ...
    """
    counts = {name: math.prod(shape) for name, shape in shapes.items()}
    for total in totals:
        counts = DENSITIES[check_choice(densities, DENSITIES, "layer densities")](shapes, counts, total)
    return counts


def uniform(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """The same density in every layer, at least one weight each; nested over levels."""
    return _spread({name: float(math.prod(shape)) for name, shape in shapes.items()}, caps, total)


def balanced(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """The same number of weights in every layer, as far as its size allows; nested over levels."""
    return _spread({name: 1.0 for name in shapes}, caps, total)


def erk_clamped(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """Erdos-Renyi-kernel counts; what exceeds a layer's size is lost (code: imp-lrr-lts)."""
    return _clamped({name: float(sum(shape)) for name, shape in shapes.items()}, caps, total)


def balanced_clamped(shapes: Shapes, caps: Mapping[str, int], total: int) -> dict[str, int]:
    """The same number in every layer, without redistribution: the authors' way, as `erk_clamped`."""
    return _clamped({name: 1.0 for name in shapes}, caps, total)


def _clamped(share: Mapping[str, float], caps: Mapping[str, int], total: int) -> dict[str, int]:
    """Counts proportional to `share` for a nominal `total`, each cut to [1, cap]: they may sum to less."""
    open_layers = [name for name, cap in caps.items() if cap > 0]
    if total < len(open_layers):
        raise _one_empty(total, open_layers)
    each = total / math.fsum(share[name] for name in caps)
    return {name: min(cap, max(1, math.floor(each * share[name]))) for name, cap in caps.items()}


def _one_empty(total: int, layers: Sequence[str]) -> m.EmptyNetworkError:
    return m.EmptyNetworkError(
        f"{total} weights over {len(layers)} layers leave one empty (layer {layers[total]} would be the first): use "
        "fewer levels or a smaller prune_rate"
    )


def _spread(share: Mapping[str, float], caps: Mapping[str, int], total: int) -> dict[str, int]:
    """Whole counts within [1, cap], proportional to `share`, that sum to `total`.

    Rounding is by largest remainder.
    """
    open_layers = [name for name, cap in caps.items() if cap > 0]
    if total < len(open_layers):
        raise _one_empty(total, open_layers)
    if total > sum(caps.values()):
        raise ValueError(f"cannot keep {total} weights: {sum(caps.values())} survive")
    exact = lambda eps: {name: min(float(caps[name]), max(1.0, eps * share[name])) for name in open_layers}  # noqa: E731
    low = 0.0
    high = max(caps[name] / share[name] for name in open_layers)
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
    "balanced-clamped": balanced_clamped,
    "erk": erk,
    "erk-clamped": erk_clamped,
    "uniform": uniform,
}
