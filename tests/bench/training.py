"""One epoch of training under a mask, ours beside the usual loop, on one core: same images, network, batch and masks.

The usual loop is the field's: PIL images through torchvision's transforms, one by one, in a DataLoader (in this
process, since there is one core), and masks by `torch.nn.utils.prune`.
"""

import time
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.utils import prune

from empirics import models
from empirics.choices import PRECISIONS
from empirics.config import RunConfig
from empirics.data import datasets
from empirics.provenance import slow_precision
from empirics.pruning import masks as m
from empirics.runs.training import training_settings
from empirics.train import sgd, to_device, train_epoch

STEPS, BATCH, SIDE = 8, 128, 32
TURNS = 3  # epochs of each that are timed
Epoch = Callable[[], object]
# kinds of work -> parts of the names of the operations that do it
KINDS = {
    "convolutions": ("conv",),
    "batch norm": ("batch_norm",),
    "optimizer and masks": ("SGD", "sgd", "masked_fill", "zero_grad"),
    "ReLU and sums": ("relu", "clamp_min", "threshold", "aten::add"),
    "images": ("index", "aten::pad", "constant_pad", "aten::sub", "aten::div"),
}


def images() -> datasets.InMemory:
    """Random images of CIFAR-10's shape."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (STEPS * BATCH, 3, SIDE, SIDE), generator=draw, dtype=torch.uint8)
    split = datasets.Split(pixels, torch.arange(STEPS * BATCH) % 10)
    return datasets.build("random", split, split, 10, 4, True)


def network(width: int) -> tuple[nn.Module, m.Masks]:
    """ResNet20 and masks of half of its weights."""
    model = models.create("resnet20", width, (3, SIDE, SIDE), 10, torch.Generator().manual_seed(0))
    half = {name: torch.arange(weight.numel()).view_as(weight) % 2 == 0
            for name, weight in models.prunable_weights(model).items()}  # fmt: skip
    return model, half


def ours(width: int, precision: str) -> Epoch:
    """An epoch of ours."""
    data, settings = images(), training_settings(RunConfig(batch_size=BATCH, precision=precision))
    model, half = network(width)
    model = to_device(model, torch.device("cpu"), precision)
    optimizer = sgd(model, half, settings)
    draw = torch.Generator()
    return lambda: train_epoch(model, optimizer, data, draw.manual_seed(1), settings, lambda step: 0.1, 0)


def usual(width: int) -> Epoch:
    """The same of the usual loop."""
    from PIL import Image
    from torchvision import transforms

    data = images()
    steps = [transforms.RandomCrop(SIDE, 4), transforms.RandomHorizontalFlip(), transforms.ToTensor(),
             transforms.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25))]  # fmt: skip
    augment = transforms.Compose(steps)
    pictures = [Image.fromarray(np.ascontiguousarray(x.permute(1, 2, 0).numpy())) for x in data.train.images]

    class Pictures(torch.utils.data.Dataset):
        def __len__(self) -> int:
            return len(pictures)

        def __getitem__(self, i: int):
            return augment(pictures[i]), int(data.train.labels[i])

    loader = torch.utils.data.DataLoader(Pictures(), batch_size=BATCH, shuffle=True, drop_last=True)
    model, half = network(width)
    # the usual network: its shortcuts are plain convolutions
    for stage in model.stages[1:]:
        stage[0].shortcut[0].__class__ = nn.Conv2d
    modules = dict(model.named_modules())
    for name, mask in half.items():
        prune.custom_from_mask(modules[name.removesuffix(".weight")], "weight", mask.float())
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4)

    def epoch() -> None:
        model.train()
        for x, y in loader:
            optimizer.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimizer.step()

    return epoch


def rates(epochs: Mapping[str, Epoch]) -> dict[str, float]:
    """Images a second of each, in the least disturbed of its epochs: all take turns, after one each to warm up."""
    times = {name: [] for name in epochs}
    for turn in range(1 + TURNS):
        for name, epoch in epochs.items():
            started = time.perf_counter()
            epoch()
            times[name] += [time.perf_counter() - started] if turn else []
    return {name: STEPS * BATCH / min(found) for name, found in times.items()}


def report() -> None:
    """Print images a second, and ours as a ratio to the usual loop, in one run."""
    torch.set_num_threads(1)
    precisions = [precision for precision in PRECISIONS if not slow_precision("cpu", precision)]
    print("\ntraining under a mask, 32x32 images in batches of 128, one core, in turns: images a second")
    for width in (8, 16):
        found = rates({"usual loop": usual(width)} | {f"ours in {p}": ours(width, p) for p in precisions})
        base = found.pop("usual loop")
        ratios = ", ".join(f"{name} {rate:,.0f} ({rate / base:.2f} times)" for name, rate in found.items())
        print(f"  ResNet20 of width {width}: usual loop {base:,.0f}, {ratios}")
    for precision in set(PRECISIONS) - set(precisions):
        print(f"  left out: {slow_precision('cpu', precision)}")


def where_the_time_goes() -> None:
    """Print the shares of a step by kind of work, from a profile: of digits in batches of 64, and of 32x32 images."""
    from torch.profiler import ProfilerActivity, profile

    torch.set_num_threads(1)
    print("\nshares of the processor's time in a step of ours, float32, one core")
    for name, width, shape, batch in (("resnet20", 8, (1, 8, 8), 64), ("resnet8", 16, (3, 32, 32), 128)):
        epoch = _steps(name, width, shape, batch)
        epoch()
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            epoch()
        times = dict.fromkeys([*KINDS, "rest"], 0.0)
        for row in seen.key_averages():
            kind = next((kind for kind, words in KINDS.items() if any(word in row.key for word in words)), "rest")
            times[kind] += row.self_cpu_time_total
        total = sum(times.values())
        shares = ", ".join(f"{kind} {100 * time / total:.0f} %" for kind, time in times.items())
        print(f"  {name} of width {width}, {shape[1]}x{shape[2]} images, batch {batch}: {shares}")


def _steps(name: str, width: int, shape: models.Shape, batch: int) -> Epoch:
    """Four steps of ours under masks of half the weights."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (4 * batch, *shape), generator=draw, dtype=torch.uint8)
    split = datasets.Split(pixels, torch.arange(4 * batch) % 10)
    data = datasets.build("random", split, split, 10, 1, True)
    settings = training_settings(RunConfig(batch_size=batch))
    model = to_device(models.create(name, width, shape, 10, draw), torch.device("cpu"), "float32")
    half = {name: torch.arange(weight.numel()).view(weight.shape) % 2 == 0
            for name, weight in models.prunable_weights(model).items()}  # fmt: skip
    optimizer = sgd(model, half, settings)
    return lambda: train_epoch(model, optimizer, data, draw.manual_seed(1), settings, lambda step: 0.1, 0)
