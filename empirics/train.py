"""Training over one cycle of the learning-rate schedule under a mask, and evaluation.

A cycle is one run of the schedule: warm-up, peak, decay. A level has one cycle, or several (`RunConfig.cycles`). Here
are the only loop over epochs and the only loop over batches.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from empirics.choices import ConfigError
from empirics.cycles import Cycle
from empirics.data.datasets import Dataset
from empirics.models import prunable_weights
from empirics.pruning import masks as m
from empirics.seeding import generator

Momentum = dict[str, Tensor]


class Diverged(ArithmeticError):
    """The loss is no longer finite; the message names the epoch and step."""


@dataclass(frozen=True)
class EpochMetrics:
    """The metrics of one epoch, a line of `metrics.jsonl`.

    Losses are mean cross-entropies, accuracies are fractions. `train_loss` and `train_accuracy` are means over the
    epoch's batches, in training mode; `lr` is the rate of the last step. The test numbers are null after an epoch that
    is not evaluated (`evaluate_every`); the validation numbers also if no training images are held out.
    """

    level: int
    cycle: int
    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    test_loss: float | None
    test_accuracy: float | None
    validation_loss: float | None
    validation_accuracy: float | None
    images_per_s: float


@dataclass(frozen=True)
class TrainingSettings:
    """The numbers of a training loop; each is a setting of `RunConfig`.

    Args:
        batch_size: images per step.
        micro_batch: images per forward pass; 0: the whole batch.
        momentum, weight_decay: of SGD.
        precision: `float32`, or `bfloat16` (autocast).
        evaluate_every: evaluate after every so many epochs of a cycle, and after its last one.
    """

    batch_size: int
    micro_batch: int
    momentum: float
    weight_decay: float
    precision: str
    evaluate_every: int = 1


def steps_per_epoch(batch_size: int, n_train: int) -> int:
    """The number of full batches in the training set; the last incomplete one is dropped."""
    steps = n_train // batch_size
    if steps == 0:
        raise ConfigError(f"batch_size {batch_size} exceeds the {n_train} training images: use a smaller one")
    return steps


def sgd(
    model: nn.Module, masks: m.Masks, settings: TrainingSettings, fixed_signs: Mapping[str, Tensor] | None = None
) -> torch.optim.SGD:
    """SGD with fresh momentum that keeps pruned weights and their momentum at exactly zero.

    The gradient of a pruned weight is set to zero before the step. Its weight decay and momentum are zero already, so
    that the step leaves it at zero. Bit-equal to training through `torch.nn.utils.prune`, without its cost in the
    forward pass. The learning rate is set before every step.

    Args:
        model: on any device. Its pruned weights are set to zero here.
        masks: on that device.
        settings: the numbers of the loop.
        fixed_signs: weights by layer, on that device. A weight that a step carries to the other sign is set to zero
            with its momentum; it may return with the sign that it has here.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=settings.momentum, weight_decay=settings.weight_decay, fused=True
    )
    weights = prunable_weights(model)
    # in the weights' memory format, so that a step converts nothing
    pruned = {
        name: torch.empty_like(weights[name], dtype=torch.bool).copy_(where)
        for name, where in m.inverted({name: mask for name, mask in masks.items() if not mask.all()}).items()
    }

    def keep_pruned(*_: object) -> None:
        for name, where in pruned.items():
            gradient = weights[name].grad
            if gradient is not None:  # a layer that the network does not use has none
                gradient.masked_fill_(where, 0.0)

    def keep_signs(optimizer: torch.optim.Optimizer, *_: object) -> None:
        crossed = m.inverted({name: weights[name] * sign >= 0 for name, sign in fixed_signs.items()})
        m.clear(crossed, weights)
        if settings.momentum:
            m.clear(crossed, {name: optimizer.state[weights[name]]["momentum_buffer"] for name in crossed})

    if pruned:
        m.clear(pruned, weights)
        optimizer.register_step_pre_hook(keep_pruned)
    if fixed_signs is not None:
        optimizer.register_step_post_hook(keep_signs)
    return optimizer


def train_cycle(
    model: nn.Module,
    dataset: Dataset,
    masks: m.Masks,
    settings: TrainingSettings,
    rate: Callable[[int], float],
    cycle: Cycle,
    *,
    seed: int,
    level: int,
    momentum: Mapping[str, Tensor] | None = None,
    fixed_signs: Mapping[str, Tensor] | None = None,
    on_epoch_start: Callable[[int], None] = lambda epoch: None,
    on_epoch: Callable[[EpochMetrics, Momentum], None] = lambda metrics, momentum: None,
    on_step: Callable[[], None] = lambda: None,
) -> None:
    """Train `model` in place over one cycle of the schedule.

    Args:
        model: on the device of `dataset`.
        dataset: images and labels.
        masks: of the level; pruned weights and their momentum are exactly zero after every step.
        settings: the numbers of the loop.
        rate: the learning rate at a step of the cycle.
        cycle: the epochs to train; a rewind point is reached by fewer of them.
        seed, level: data order and augmentation depend on (seed, level, epoch over all cycles) only.
        momentum: by parameter, to resume after an interruption; None at the start of a cycle.
        fixed_signs: weights whose signs are not left, see `sgd`.
        on_epoch_start: called with the number of every epoch before it; it may change the weights.
        on_epoch: called after every epoch with its metrics and the optimizer's momentum.
        on_step: called before every step; an exception from it ends the training.

    Raises:
        Diverged: the loss is not finite.
    """
    optimizer = sgd(model, masks, settings, fixed_signs)
    _set_momentum(model, optimizer, momentum or {})
    steps = steps_per_epoch(settings.batch_size, len(dataset.labels("train")))
    for epoch in cycle.epochs:
        on_epoch_start(epoch)
        draw = generator(seed, "data", level, epoch)
        started = time.perf_counter()
        first_step = (epoch - cycle.start) * steps
        losses, correct = train_epoch(model, optimizer, dataset, draw, settings, rate, first_step, on_step)
        n = len(losses) * settings.batch_size
        seconds = time.perf_counter() - started
        _refuse_infinite(losses, "training", level, epoch, model)
        test = validation = (None, None)
        if cycle.is_evaluated(epoch, settings.evaluate_every):
            test = evaluate(model, dataset, "test", settings.precision)
            _refuse_infinite(torch.tensor([test[0]]), "test", level, epoch, model)
            if len(dataset.labels("validation")):
                validation = evaluate(model, dataset, "validation", settings.precision)
        lr = optimizer.param_groups[0]["lr"]
        train = (float(losses.mean()), correct / n)
        metrics = EpochMetrics(level, cycle.number, epoch, lr, *train, *test, *validation, n / seconds)
        on_epoch(metrics, momentum_of(model, optimizer))


def train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    dataset: Dataset,
    draw: torch.Generator,
    settings: TrainingSettings,
    rate: Callable[[int], float],
    first_step: int,
    on_step: Callable[[], None] = lambda: None,
) -> tuple[Tensor, int]:
    """Train for one pass over the training set.

    Returns:
        The loss of every step, float64 on the CPU, and the number of correctly classified images.
    """
    losses = []
    correct = []
    model.train()
    for step, (images, labels) in enumerate(dataset.training_batches(settings.batch_size, draw), first_step):
        on_step()
        for group in optimizer.param_groups:
            group["lr"] = rate(step)
        optimizer.zero_grad(set_to_none=True)
        parts = settings.micro_batch or len(labels)
        loss = torch.zeros((), device=images.device)
        for some, their_labels in zip(images.split(parts), labels.split(parts), strict=True):
            logits = forward(model, some, settings.precision)
            part = F.cross_entropy(logits, their_labels) * (len(their_labels) / len(labels))
            part.backward()
            loss = loss + part.detach()
            correct.append((logits.detach().argmax(1) == their_labels).sum())
        optimizer.step()
        losses.append(loss)
    # read once per epoch: reading at every step would make a GPU wait
    return torch.stack(losses).double().cpu(), int(torch.stack(correct).sum())


def _set_momentum(model: nn.Module, optimizer: torch.optim.Optimizer, momentum: Mapping[str, Tensor]) -> None:
    names = dict(model.named_parameters())
    for name, value in momentum.items():
        # same memory layout as the weight, so that kernels get the same input as in an uninterrupted run
        optimizer.state[names[name]]["momentum_buffer"] = torch.empty_like(names[name]).copy_(value)


def momentum_of(model: nn.Module, optimizer: torch.optim.Optimizer) -> Momentum:
    """The momentum of every parameter that has one, by name; the optimizer's own tensors."""
    found = {name: optimizer.state[value].get("momentum_buffer") for name, value in model.named_parameters()}
    return {name: value for name, value in found.items() if value is not None}


def memory_format(device: torch.device, precision: str) -> torch.memory_format:
    """How networks and images lie in memory on a device.

    On a CPU channels come last, which is 1.1 to 1.3 times as fast (`make bench`). On a GPU they do in bfloat16, for
    which its kernels are made, and come first in float32.
    """
    last = device.type == "cpu" or precision == "bfloat16"
    return torch.channels_last if last else torch.contiguous_format


def to_device(model: nn.Module, device: torch.device, precision: str) -> nn.Module:
    """Move a network to a device, in the memory format in which it is trained there."""
    return model.to(device, memory_format=memory_format(device, precision))


def forward(model: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Logits, float32; `bfloat16` is autocast, weights stay float32."""
    images = images.contiguous(memory_format=memory_format(images.device, precision))
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=precision == "bfloat16"):
        return model(images).float()


def _refuse_infinite(losses: Tensor, what: str, level: int, epoch: int, model: nn.Module) -> None:
    bad = (~torch.isfinite(losses)).nonzero()
    if not len(bad):
        return
    step = f", step {int(bad[0, 0])}" if len(losses) > 1 else ""
    spoilt = next((name for name, value in model.state_dict().items() if not torch.isfinite(value).all()), None)
    layer = f" ({spoilt} is the first tensor that is not finite)" if spoilt else ""
    raise Diverged(
        f"the {what} loss is {float(losses[bad[0, 0]])} at level {level}, epoch {epoch}{step}{layer}: lower lr"
    )


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Dataset, split: str, precision: str = "float32") -> tuple[float, float]:
    """Mean cross-entropy and accuracy (a fraction) over a split, in evaluation mode.

    Images are not augmented.
    """
    model.eval()
    losses = []
    correct = []
    n = 0
    for images, labels in dataset.batches(split):
        logits = forward(model, images, precision)
        losses.append(F.cross_entropy(logits, labels, reduction="sum"))
        correct.append((logits.argmax(1) == labels).sum())
        n += len(labels)
    # read once: reading at every batch would make a GPU wait; both are exact in float64
    by_batch = torch.stack([torch.stack(losses).double(), torch.stack(correct).double()]).cpu().tolist()
    loss = 0.0
    for part in by_batch[0]:  # not `sum`, whose rounding depends on the version of Python
        loss += part
    return loss / n, sum(map(int, by_batch[1])) / n
