"""Small networks to score, and what `criteria.select_mask` is given of them."""

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from empirics import models
from empirics.pruning import criteria
from empirics.pruning import masks as m
from empirics.seeding import generator

SHAPE = (1, 8, 8)


@dataclass(frozen=True)
class Subject:
    """A network as a run holds it, and what `select` is given of it."""

    net: nn.Module
    weights: dict[str, Tensor]
    dense: m.Masks
    probe: criteria.Probe

    def select(self, name: str, keep: int, masks: m.Masks | None = None, **changes) -> m.Masks:
        given = {"seed": 0, "densities": "erk", "probe": self.probe} | changes
        return criteria.select_mask(name, self.weights, masks or self.dense, keep, **given)


def subject(net: nn.Module, shape=SHAPE, classes: int = 10, per_class: int = 3, seed: int = 0) -> Subject:
    weights = {name: value.detach().clone() for name, value in net.state_dict().items()}

    def network() -> nn.Module:
        fresh = copy.deepcopy(net)
        fresh.load_state_dict(weights)
        return fresh

    def batch() -> tuple[Tensor, Tensor]:
        labels = torch.arange(classes).repeat_interleave(per_class)
        draw = generator(seed, "images of a test")
        images = torch.randn((classes, 1, *shape[1:]), generator=draw).repeat_interleave(per_class, 0)
        return images + torch.randn((len(labels), *shape), generator=draw), labels

    probe = criteria.Probe(seed, network, batch, shape)
    return Subject(net, weights, m.dense(models.prunable_weights(net)), probe)


def network(name: str, seed: int = 0) -> nn.Module:
    """A small network whose batch norm is not fresh: factors, shifts and running statistics away from 1 and 0."""
    net = models.create(name, 4, SHAPE, 10, torch.Generator().manual_seed(seed))
    draw = torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.weight.copy_(torch.randn(module.weight.shape, generator=draw))
                module.bias.copy_(torch.randn(module.bias.shape, generator=draw))
                module.running_mean.copy_(torch.randn(module.bias.shape, generator=draw))
                module.running_var.copy_(torch.rand(module.bias.shape, generator=draw) + 0.5)
    return net


def equal(one: m.Masks, other: m.Masks) -> bool:
    return list(one) == list(other) and all(torch.equal(one[name], other[name]) for name in one)


def emptied(masks: m.Masks) -> list[str]:
    return [name for name, mask in masks.items() if not mask.any()]


def flatten(tensors: dict[str, Tensor], masks: m.Masks) -> Tensor:
    return torch.cat([tensors[name].flatten() for name in masks])
