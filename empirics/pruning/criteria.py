"""Pruning criteria: a score a weight, of which the largest stay, and `select`, which turns scores into exact masks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from torch import Tensor

from empirics.config import choose
from empirics.pruning import masks as m
from empirics.pruning.densities import DENSITIES, balanced, erk, nested_counts, uniform
from empirics.pruning.sensitivity import Probe, grasp, snip, synflow

__all__ = [
    "CRITERIA",
    "DENSITIES",
    "Criterion",
    "Probe",
    "balanced",
    "erk",
    "magnitude",
    "nested_counts",
    "random",
    "round_counts",
    "select",
    "uniform",
]


@dataclass(frozen=True)
class Criterion:
    """A score, and how weights compete by it.

    Args:
        score: (weights, masks, probe) -> score by name, shapes of the masks, on the CPU, finite where a weight
            survives; a function of its arguments alone, and it changes none of them.
        layerwise: whether weights compete within layers of given densities, and not over the whole network.
        rounds: in how many steps the weights go, each scored anew under the masks of the step before.
    """

    score: Callable[[Mapping[str, Tensor], m.Masks, Probe], Mapping[str, Tensor]]
    layerwise: bool
    rounds: int = 1


def select(
    name: str,
    weights: Mapping[str, Tensor],
    masks: m.Masks,
    keep: int,
    *,
    seed: int,
    densities: str,
    probe: Probe | None = None,
) -> m.Masks:
    """The masks of the next level: `keep` survivors by the criterion `name`.

    Exactly so many stay, all of them survivors of `masks`; among equal scores the earlier weight, in network order.

    Args:
        name: key of `CRITERIA`.
        weights: state dict at the moment of scoring, on the CPU.
        masks: of the level before.
        keep: survivors of the next level, over the whole network.
        seed: of the run; random criteria depend on it.
        densities: key of `DENSITIES`, for criteria that work within layers.
        probe: the network and images to score it with; magnitude and random criteria do without.

    Raises:
        ConfigError: an unknown criterion or layer density.
        EmptyNetworkError: keep is 0, or leaves a layer of given density without a weight.
        ValueError: the criterion looks at the network and there is no probe, or one of another seed; more to keep than
            survive; scores that are not finite.
    """
    criterion = CRITERIA[choose(name, CRITERIA, "criterion")]
    probe = probe or _no_probe(name, seed)
    if probe.seed != seed:
        raise ValueError(f"the probe was made for seed {probe.seed}, not {seed}: make one with the run's seed")
    for count in round_counts(m.count(masks), keep, criterion.rounds):
        scores = criterion.score(weights, masks, probe)
        masks = (
            _within_layers(scores, masks, count, densities)
            if criterion.layerwise
            else m.keep_global(scores, masks, count)
        )
    return masks


def round_counts(alive: int, keep: int, rounds: int) -> list[int]:
    """Survivors after each round: from `alive` down to exactly `keep` by equal ratios, as in SynFlow.

    Rounds that would remove less than one weight fall together with their neighbours. There is always one round, which
    is where a `keep` that is not in 1..alive is refused.
    """
    if not 0 < keep < alive:
        return [keep]
    counts = [round(alive * (keep / alive) ** (k / rounds)) for k in range(1, rounds)]
    return sorted({*counts, keep} - {alive}, reverse=True)


def magnitude(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """Absolute value of the weight (Han, Pool, Tran, Dally 2015)."""
    return {name: weights[name].abs() for name in masks}


def random(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """One random order a layer and seed; it knows nothing of the weights."""
    return m.random_scores(masks, probe.seed)


def _within_layers(scores: Mapping[str, Tensor], masks: m.Masks, keep: int, densities: str) -> m.Masks:
    shapes = {layer: tuple(mask.shape) for layer, mask in masks.items()}
    caps = {layer: int(mask.sum()) for layer, mask in masks.items()}
    counts = DENSITIES[choose(densities, DENSITIES, "layer densities")](shapes, caps, keep)
    return m.keep_by_layer(scores, masks, counts)


def _no_probe(name: str, seed: int) -> Probe:
    """A probe that holds nothing but the seed, and says so when it is asked for more."""

    def missing() -> NoReturn:
        raise ValueError(f"criterion {name!r} looks at the network and was given none: pass select a probe")

    return Probe(seed, missing, missing, (0, 0, 0))


# A new criterion: one function (weights, masks, probe) -> scores, here or in `sensitivity`, and one line here.
CRITERIA: dict[str, Criterion] = {
    "grasp": Criterion(grasp, layerwise=False),
    "magnitude": Criterion(magnitude, layerwise=False),
    "magnitude-layerwise": Criterion(magnitude, layerwise=True),
    "random": Criterion(random, layerwise=True),
    "snip": Criterion(snip, layerwise=False),
    "synflow": Criterion(synflow, layerwise=False, rounds=100),
}
