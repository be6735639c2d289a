"""A toy of each kind of entry, as a user would define it in a module: worker processes import it from here."""

import torch

from empirics.data.datasets import Dataset, Request, Source, Split, build
from empirics.pruning.criteria import Criterion
from empirics.pruning.rules import RewindRule
from empirics.studies.arms import Arm
from empirics.studies.presets import Preset
from empirics.studies.sweeps import Sweep


def smallest(weights, masks, probe):
    """Keep the smallest weights."""
    return {name: -weights[name].abs() for name in masks}


def first_layer_last(shapes, caps, total):
    """Fill layers from the last to the first, at least one weight each."""
    counts = dict.fromkeys(shapes, 1)
    for name in reversed(list(shapes)):
        counts[name] += min(caps[name] - 1, total - sum(counts.values()))
    return counts


def halved(initial, trained):
    """Restart from half of the trained values."""
    return trained / 2


def two_layers(width, shape, classes):
    """Two linear layers."""
    pixels = shape[0] * shape[1] * shape[2]
    layers = [torch.nn.Flatten(), torch.nn.Linear(pixels, width), torch.nn.ReLU(), torch.nn.Linear(width, classes)]
    return torch.nn.Sequential(*layers)


def linear_decay(step, total, warmup, milestones):
    """Linear decay to 0."""
    return 1 - step / total


def three_images(request: Request) -> Dataset:
    """A black, a grey and a white image."""
    images = torch.tensor([0, 128, 255], dtype=torch.uint8)[:, None, None, None].expand(3, 1, 4, 4).contiguous()
    split = Split(images, torch.arange(3))
    return build(request.name, split, split, 3, 0, False)


def no_hash(request: Request) -> str:
    """The data are the same everywhere."""
    return ""


def widths(settings, brief):
    """The preset's width and twice as many channels."""
    return [{"width": settings["width"]}, {"width": 2 * settings["width"]}]


TINY = dict(dataset="toy-images", model="toy-network", width=4, epochs=2, warmup_epochs=0, batch_size=3, levels=3)
TOYS = {
    "criterion": ("toy-criterion", Criterion(smallest, layerwise=False)),
    "densities": ("toy-densities", first_layer_last),
    "rewinding rule": ("toy-rule", RewindRule(halved)),
    "data set": (
        "toy-images",
        Source("three grey images", "Three images", three_images, no_hash, 3, (1, 4, 4), 3, 3, "none", False),
    ),
    "model": ("toy-network", two_layers),
    "schedule": ("toy-schedule", linear_decay),
    "arm": ("toy-arm", Arm("half of the trained weights", {"rewind": "toy-rule", "bn_rewind": False})),
    "sweep": ("toy-sweep", Sweep("width of the toy network", ("imp",), widths)),
    "preset": (
        "toy",
        Preset(
            "three images, two layers",
            {**TINY, "lr": 0.1, "schedule": "toy-schedule", "criterion": "toy-criterion", "prune_rate": 0.5},
            arms=("imp", "toy-arm"),
            seeds=(0,),
            sources={},
        ),
    ),
}
