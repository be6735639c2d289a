"""Pruning criteria: one score per weight; `select_mask` keeps the weights of largest score."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from empirics.config import ConfigError, check_choice
from empirics.pruning import masks as m
from empirics.pruning.densities import DENSITIES, balanced, erk, nested_counts, uniform

# images per forward pass: more would not fit into memory for a ResNet50 on 224 x 224 pixels
IMAGES_AT_ONCE = 128
# GraSP divides the logits by it (the authors' code; their paper does not mention it)
TEMPERATURE = 200.0

Part = tuple[Tensor, Tensor, int]


@dataclass(frozen=True)
class Probe:
    """The inputs of a criterion, in addition to weights and masks.

    Args:
        seed: of the run.
        network: makes a new copy of the run's network, with the weights loaded, on the run's device. The criterion may
            modify it.
        batch: draws network inputs (n, channels, height, width) and labels (n,), several of each class, from its own
            generator: the same at every call.
        shape: (channels, height, width) of a network input.
    """

    seed: int
    network: Callable[[], nn.Module]
    batch: Callable[[], tuple[Tensor, Tensor]]
    shape: tuple[int, int, int]


@torch.enable_grad()
def snip(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """Connection sensitivity |w dL/dw| (SNIP; Lee, Ajanthan, Torr 2019).

    It equals |dL/dc| for a factor c = 1 on the weight. L is the cross-entropy of a few images, with batch norm in
    training mode. The authors divide the scores by their sum; this does not change their order and is left out.
    """
    network, survivors = _network(masks, probe)
    slopes = _slopes(network, survivors, _parts(probe, survivors), temperature=1.0)
    return {name: (w * slopes[name]).abs().detach().cpu() for name, w in survivors.items()}


@torch.enable_grad()
def grasp(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """Gradient signal preservation w (H g) (GraSP; Wang, Zhang, Grosse 2020).

    The largest scores are kept. g and H are the gradient and Hessian of the cross-entropy of a few images, with the
    logits divided by `TEMPERATURE` and batch norm in training mode, over the weights that survive (a pruned weight has
    no gradient that could be preserved).

    Sign: removing a weight is the step -w_i along its axis. To first order it changes |g|^2, the decrease of the loss
    in one step of gradient descent, by -2 w_i (H g)_i. Removing a weight of large w (H g) therefore reduces |g|^2 most,
    so it is kept; removing the lowest, often negative, scores increases |g|^2 most. The paper and the authors' code
    compute -w (H g) and remove the largest, which is the same. Their code also redraws the last layer before it
    computes scores; here the network is scored as it is.
    """
    network, survivors = _network(masks, probe)
    parts = _parts(probe, survivors)
    slopes = _slopes(network, survivors, parts, TEMPERATURE)
    m.apply({name: mask.to(slopes[name].device) for name, mask in masks.items()}, slopes)
    curved = {name: torch.zeros_like(w) for name, w in survivors.items()}
    for part in parts:
        by_weight = _gradient(_loss(network, part, TEMPERATURE), survivors, create_graph=True)
        along = sum((by_weight[name] * slopes[name]).sum() for name in survivors)
        for name, product in _gradient(along, survivors).items():
            curved[name] += product
    return {name: (w * curved[name]).detach().cpu() for name, w in survivors.items()}


@torch.enable_grad()
def synflow(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """Synaptic flow |w| dR/d|w| (Tanaka, Kunin, Yamins, Ganguli 2020).

    R is the sum of the outputs for an input of ones. The network is made linear in each layer: absolute weights, no
    biases, batch norm reduced to the factor |gamma|. No data are used. Every layer of a chain then has the same sum of
    scores, R, so that pruning in small steps, each with new scores, preserves thin layers: `criteria.select_mask`
    prunes in rounds. Computed in float64, as R is a product over layers.
    """
    network, survivors = _network(masks, probe, torch.float64)
    _make_linear(network)
    ones = torch.ones((1, *probe.shape)).to(_like(survivors))
    slopes = _gradient(network(ones).sum(), survivors)
    return {name: (w * slopes[name]).detach().cpu() for name, w in survivors.items()}


def _network(masks: m.Masks, probe: Probe, dtype: torch.dtype | None = None) -> tuple[nn.Module, dict[str, Tensor]]:
    """A pruned copy of the network in training mode, and its prunable weights.

    Only these weights have a gradient.
    """
    network = probe.network().to(dtype=dtype).requires_grad_(False).train()
    named = dict(network.named_parameters())
    survivors = {name: named[name].requires_grad_(True) for name in masks}
    m.apply({name: mask.to(survivors[name].device) for name, mask in masks.items()}, survivors)
    return network, survivors


@torch.no_grad()
def _make_linear(network: nn.Module) -> None:
    network.eval()
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.running_mean.zero_()
            module.running_var.fill_(1.0 - module.eps)
    for name, parameter in network.named_parameters():
        parameter.zero_() if name.endswith("bias") else parameter.abs_()


def _parts(probe: Probe, survivors: Mapping[str, Tensor]) -> Sequence[Part]:
    """The images, split into parts that fit into memory; each part holds the size of the whole.

    Every part takes images at a stride: even in a batch sorted by class, its batch norm then sees all classes.
    """
    inputs, labels = probe.batch()
    like = _like(survivors)
    count = -(-len(labels) // IMAGES_AT_ONCE)
    return [(inputs[k::count].to(like), labels[k::count].to(like.device), len(labels)) for k in range(count)]


def _slopes(
    network: nn.Module, survivors: Mapping[str, Tensor], parts: Sequence[Part], temperature: float
) -> dict[str, Tensor]:
    """Gradient of the mean loss over all parts."""
    total = {name: torch.zeros_like(w) for name, w in survivors.items()}
    for part in parts:
        for name, slope in _gradient(_loss(network, part, temperature), survivors).items():
            total[name] += slope
    return {name: value.detach() for name, value in total.items()}


def _loss(network: nn.Module, part: Part, temperature: float) -> Tensor:
    """The part's share of the mean cross-entropy over all images."""
    inputs, labels, images = part
    return F.cross_entropy(network(inputs) / temperature, labels, reduction="sum") / images


def _gradient(value: Tensor, by: Mapping[str, Tensor], create_graph: bool = False) -> dict[str, Tensor]:
    return dict(zip(by, torch.autograd.grad(value, list(by.values()), create_graph=create_graph), strict=True))


def _like(survivors: Mapping[str, Tensor]) -> Tensor:
    """A tensor with the network's device and type."""
    return next(iter(survivors.values()))


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
    "select_mask",
    "uniform",
]


class CriterionError(ValueError):
    """Scores by which no weight can be chosen."""


@dataclass(frozen=True)
class Criterion:
    """A score function, and how weights are selected by it.

    Args:
        score: (weights, masks, probe) -> score by name, with the shapes of the masks, on the CPU, finite where a weight
            survives; it depends only on its arguments and does not modify them.
        layerwise: whether weights compete within layers of given densities, and not over the whole network.
        rounds: number of pruning steps; the scores are recomputed under the masks of the previous step.
        uses_network: whether it takes the network, or images too, from the probe.
    """

    score: Callable[[Mapping[str, Tensor], m.Masks, Probe], Mapping[str, Tensor]]
    layerwise: bool
    rounds: int = 1
    uses_network: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot be a criterion."""
        if not callable(self.score):
            raise ConfigError(f"the score of a criterion must be a function, got {self.score!r}")
        if not isinstance(self.layerwise, bool):
            raise ConfigError(f"layerwise must be True or False, got {self.layerwise!r}")
        if type(self.rounds) is not int or self.rounds < 1:
            raise ConfigError(f"rounds must be a whole number from 1, got {self.rounds!r}")

    @property
    def about(self) -> str:
        """One line for `list`: the first line of the score's docstring."""
        return (self.score.__doc__ or "").strip().partition("\n")[0]


def select_mask(
    name: str,
    weights: Mapping[str, Tensor],
    masks: m.Masks,
    keep: int,
    *,
    seed: int,
    densities: str,
    probe: Probe | None = None,
) -> m.Masks:
    """The masks of the next level: the `keep` survivors with the largest scores of the criterion `name`.

    Exactly `keep` weights stay, all of them survivors of `masks`; among equal scores the earlier weight in network
    order stays.

    Args:
        name: key of `CRITERIA`.
        weights: state dict at the moment of scoring, on the CPU.
        masks: of the level before.
        keep: survivors of the next level, over the whole network.
        seed: of the run; random criteria depend on it.
        densities: key of `DENSITIES`, for criteria that work within layers.
        probe: the network and the images that it is scored on; magnitude and random criteria need none.

    Raises:
        ConfigError: an unknown criterion or layer density.
        EmptyNetworkError: keep is 0, or leaves a layer of given density without a weight.
        CriterionError: scores that are missing, of another shape, or not finite.
        ValueError: the criterion needs the network and there is no probe, or a probe of another seed; `keep` exceeds
            the number of survivors.
    """
    criterion = CRITERIA[check_choice(name, CRITERIA, "criterion")]
    probe = probe or _no_probe(name, seed)
    if probe.seed != seed:
        raise ValueError(f"the probe was made for seed {probe.seed}, not {seed}: make one with the run's seed")
    for count in round_counts(m.count(masks), keep, criterion.rounds):
        scores = criterion.score(weights, masks, probe)
        _check_scores(name, scores, masks)
        masks = (
            _within_layers(scores, masks, count, densities)
            if criterion.layerwise
            else m.keep_global(scores, masks, count)
        )
    return masks


def _check_scores(name: str, scores: Mapping[str, Tensor], masks: m.Masks) -> None:
    for layer, mask in masks.items():
        shape = tuple(scores[layer].shape) if layer in scores else "none"
        if shape != tuple(mask.shape):
            raise CriterionError(
                f"criterion {name!r} must return a score for every weight of layer {layer}, of shape "
                f"{tuple(mask.shape)}, got {shape}"
            )
        if not torch.isfinite(scores[layer][mask]).all():
            raise CriterionError(
                f"the scores of criterion {name!r} are not all finite in layer {layer}: return finite ones wherever a "
                "weight survives"
            )


def round_counts(alive: int, keep: int, rounds: int) -> list[int]:
    """The number of survivors after each round: from `alive` to `keep` by equal ratios, as in SynFlow.

    Rounds that would remove less than one weight are merged with their neighbours. There is always at least one round,
    in which a `keep` outside 1..alive is refused.
    """
    if not 0 < keep < alive:
        return [keep]
    counts = [round(alive * (keep / alive) ** (k / rounds)) for k in range(1, rounds)]
    return sorted({*counts, keep} - {alive}, reverse=True)


def magnitude(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """Absolute value of the weight (Han, Pool, Tran, Dally 2015)."""
    return {name: weights[name].abs() for name in masks}


def magnitude_bn(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """Absolute value of the weight times the scale of the batch norm behind it (code: imp-lrr-lts).

    That is the batch norm that follows in the network's order of modules, before the next prunable weight. A layer
    without one, such as the classifier, is scored by the weight alone.
    """
    scores = {name: weights[name].abs() for name in masks}
    last = ""
    for name, module in probe.network().named_modules():
        if f"{name}.weight" in masks:
            last = f"{name}.weight"
        elif isinstance(module, _BatchNorm) and module.affine and last:
            scale = weights[f"{name}.weight"].abs()
            scores[last] = scores[last] * scale.view(-1, *[1] * (scores[last].ndim - 1))
            last = ""
    return scores


def random(weights: Mapping[str, Tensor], masks: m.Masks, probe: Probe) -> dict[str, Tensor]:
    """A random order for each layer and seed, independent of the weights."""
    return m.random_scores(masks, probe.seed)


def _within_layers(scores: Mapping[str, Tensor], masks: m.Masks, keep: int, densities: str) -> m.Masks:
    shapes = {layer: tuple(mask.shape) for layer, mask in masks.items()}
    caps = {layer: int(mask.sum()) for layer, mask in masks.items()}
    counts = DENSITIES[check_choice(densities, DENSITIES, "layer densities")](shapes, caps, keep)
    return m.keep_by_layer(scores, masks, counts)


def _no_probe(name: str, seed: int) -> Probe:
    """A probe that holds only the seed, and raises an error when the network or images are requested."""

    def missing() -> NoReturn:
        raise ValueError(f"criterion {name!r} needs the network and was given none: pass a probe to `select_mask`")

    return Probe(seed, missing, missing, (0, 0, 0))


# A new criterion: one function (weights, masks, probe) -> scores above, and one line here.
CRITERIA: dict[str, Criterion] = {
    "grasp": Criterion(grasp, layerwise=False, uses_network=True),
    "magnitude": Criterion(magnitude, layerwise=False),
    "magnitude-bn": Criterion(magnitude_bn, layerwise=False, uses_network=True),
    "magnitude-layerwise": Criterion(magnitude, layerwise=True),
    "random": Criterion(random, layerwise=True),
    "snip": Criterion(snip, layerwise=False, uses_network=True),
    "synflow": Criterion(synflow, layerwise=False, rounds=100, uses_network=True),
}
