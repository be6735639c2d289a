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
    """SGD with fresh momentum that projects weights and momentum onto the masks after every step.

    Bit-equal to training through `torch.nn.utils.prune`, without its cost in the forward pass. The learning rate is set
    before every step.

    Args:
        model: on any device.
        masks: on that device; pruned weights and their momentum are exactly zero after every step.
        settings: the numbers of the loop.
        fixed_signs: weights by layer, on that device. A weight that a step carries to the other sign is set to zero
            with its momentum; it may return with the sign that it has here.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=0.0, momentum=settings.momentum, weight_decay=settings.weight_decay
    )
    weights = prunable_weights(model)
    pruned = {name: mask for name, mask in masks.items() if not mask.all()}

    def project(optimizer: torch.optim.Optimizer, *_: object) -> None:
        m.apply(pruned, weights)
        momenta = {name: optimizer.state[weights[name]].get("momentum_buffer") for name in pruned}
        m.apply({name: pruned[name] for name, value in momenta.items() if value is not None}, momenta)

    def keep_signs(optimizer: torch.optim.Optimizer, *_: object) -> None:
        same_side = {name: weights[name] * sign >= 0 for name, sign in fixed_signs.items()}
        m.apply(same_side, weights)
        if settings.momentum:
            m.apply(same_side, {name: optimizer.state[weights[name]]["momentum_buffer"] for name in same_side})

    if pruned:
        m.apply(pruned, weights)
        optimizer.register_step_post_hook(project)
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
        draw, started = generator(seed, "data", level, epoch), time.perf_counter()
        first_step = (epoch - cycle.start) * steps
        losses, correct = train_epoch(model, optimizer, dataset, draw, settings, rate, first_step, on_step)
        n, seconds = len(losses) * settings.batch_size, time.perf_counter() - started
        _refuse_infinite(losses, "training", level, epoch, model)
        test = validation = (None, None)
        if cycle.is_evaluated(epoch, settings.evaluate_every):
            test = evaluate(model, dataset, "test", settings.precision)
            _refuse_infinite(torch.tensor([test[0]]), "test", level, epoch, model)
            if len(dataset.labels("validation")):
                validation = evaluate(model, dataset, "validation", settings.precision)
        lr, train = optimizer.param_groups[0]["lr"], (float(losses.mean()), correct / n)
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
    losses, correct = [], []
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


def forward(model: nn.Module, images: Tensor, precision: str) -> Tensor:
    """Logits, float32; `bfloat16` is autocast, weights stay float32.

    Channels are put first in memory: with channels last, oneDNN's gradient of a 1x1 convolution of stride 2 with few
    input channels writes past its workspace (uxlfoundation/oneDNN, issue 6035), which ends the process or spoils a
    gradient.
    """
    images = images.contiguous()
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
    loss, correct, n = 0.0, 0, 0
    for images, labels in dataset.batches(split):
        logits = forward(model, images, precision)
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        correct += int((logits.argmax(1) == labels).sum())
        n += len(labels)
    return loss / n, correct / n
