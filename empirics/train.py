"""The only loop over batches: one cycle of the learning-rate schedule under a mask, and evaluation."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from empirics import masks as m
from empirics.config import ConfigError, RunConfig
from empirics.datasets import Augmentation, Dataset, Split, crop_batch, draw_augmentation, pad_images
from empirics.models import prunable_weights
from empirics.schedules import learning_rate
from empirics.seeding import generator

EVALUATION_BATCH = 512


class Diverged(ArithmeticError):
    """The training loss is no longer finite; the message names the epoch and step."""


@dataclass(frozen=True)
class EpochMetrics:
    """One line of `metrics.jsonl`. Losses are mean cross-entropies, accuracies fractions.

    `train_loss` and `train_accuracy` are means over the epoch's batches, in training mode; `lr` is the last step's.
    """

    level: int
    cycle: int
    epoch: int
    lr: float
    train_loss: float
    train_accuracy: float
    test_loss: float
    test_accuracy: float
    images_per_s: float


def steps_per_epoch(config: RunConfig, n_train: int) -> int:
    """Full batches in the training set; the last short one is dropped."""
    steps = n_train // config.batch_size
    if steps == 0:
        raise ConfigError(f"batch_size {config.batch_size} exceeds the {n_train} training images: use a smaller one")
    return steps


def sgd(model: nn.Module, masks: m.Masks, config: RunConfig) -> torch.optim.SGD:
    """SGD with fresh momentum that projects weights and momentum onto the masks after every step.

    Bit-equal to training through `torch.nn.utils.prune`, without its cost in the forward pass.
    """
    optimizer = torch.optim.SGD(
        model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
    )
    weights = prunable_weights(model)
    pruned = {name: mask for name, mask in masks.items() if not mask.all()}

    def project(optimizer: torch.optim.Optimizer, *_: object) -> None:
        m.apply(pruned, weights)
        momenta = {name: optimizer.state[weights[name]].get("momentum_buffer") for name in pruned}
        m.apply({name: pruned[name] for name, value in momenta.items() if value is not None}, momenta)

    if pruned:
        m.apply(pruned, weights)
        optimizer.register_step_post_hook(project)
    return optimizer


def train_cycle(
    model: nn.Module,
    dataset: Dataset,
    masks: m.Masks,
    config: RunConfig,
    *,
    seed: int,
    level: int,
    cycle: int = 0,
    first_epoch: int = 0,
    last_epoch: int | None = None,
    on_epoch: Callable[[EpochMetrics], None] = lambda metrics: None,
) -> None:
    """Train `model` in place over one cycle of the schedule, from epoch `first_epoch` up to `last_epoch` (excluded).

    Args:
        model: on the device of `dataset`.
        dataset: images and labels.
        masks: of the level; pruned weights and their momentum are exactly zero after every step.
        config: the run's settings.
        seed, level, cycle: data order and augmentation depend on (seed, level, epoch over all cycles) only.
        first_epoch: where the schedule starts; above 0 for weight rewinding.
        last_epoch: where training stops, the whole cycle by default; a rewind point is reached by stopping early.
        on_epoch: called with the metrics of every epoch.

    Raises:
        Diverged: the loss is not finite.
    """
    optimizer = sgd(model, masks, config)
    padded = pad_images(dataset.train.images, dataset.pad)
    for epoch in range(first_epoch, config.epochs if last_epoch is None else last_epoch):
        over_cycles = cycle * config.epochs + epoch
        choices = draw_augmentation(dataset, generator(seed, "data", level, over_cycles))
        started = time.perf_counter()
        losses, correct = _train_epoch(model, optimizer, dataset, padded, choices, config, epoch)
        seconds = time.perf_counter() - started
        _refuse_infinite(losses, "training", level, over_cycles)
        test_loss, test_accuracy = evaluate(model, dataset, dataset.test)
        _refuse_infinite(torch.tensor([test_loss]), "test", level, over_cycles)
        n = len(losses) * config.batch_size
        on_epoch(
            EpochMetrics(
                level=level,
                cycle=cycle,
                epoch=over_cycles,
                lr=optimizer.param_groups[0]["lr"],
                train_loss=float(losses.mean()),
                train_accuracy=correct / n,
                test_loss=test_loss,
                test_accuracy=test_accuracy,
                images_per_s=n / seconds,
            )
        )


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    dataset: Dataset,
    padded: Tensor,
    choices: Augmentation,
    config: RunConfig,
    epoch: int,
) -> tuple[Tensor, int]:
    """One pass over the training set: the loss of every step, float64 on the CPU, and the number of images right."""
    steps, size = steps_per_epoch(config, len(dataset.train)), dataset.train.images.shape[2:]
    order, shifts, flips = (t.to(padded.device) for t in (choices.order, choices.shifts, choices.flips))
    losses, correct = [], []
    model.train()
    for step in range(steps):
        batch = slice(step * config.batch_size, (step + 1) * config.batch_size)
        images = crop_batch(padded, order[batch], shifts[batch], flips[batch], size)
        labels = dataset.train.labels[order[batch]]
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(
                epoch * steps + step,
                total=config.epochs * steps,
                warmup=config.warmup_epochs * steps,
                peak=config.lr,
                schedule=config.schedule,
                milestones=config.milestones,
            )
        optimizer.zero_grad(set_to_none=True)
        logits = model(dataset.normalise(images))
        loss = F.cross_entropy(logits, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
        correct.append((logits.detach().argmax(1) == labels).sum())
    # read once an epoch: a look at every step would make a GPU wait
    return torch.stack(losses).double().cpu(), int(torch.stack(correct).sum())


def _refuse_infinite(losses: Tensor, what: str, level: int, epoch: int) -> None:
    bad = (~torch.isfinite(losses)).nonzero()
    if len(bad):
        step = f", step {int(bad[0, 0])}" if len(losses) > 1 else ""
        value = float(losses[bad[0, 0]])
        raise Diverged(f"the {what} loss is {value} at level {level}, epoch {epoch}{step}: lower lr")


@torch.no_grad()
def evaluate(model: nn.Module, dataset: Dataset, split: Split) -> tuple[float, float]:
    """Mean cross-entropy and accuracy (a fraction) over a split, in evaluation mode, without augmentation."""
    model.eval()
    loss, correct = 0.0, 0
    for start in range(0, len(split), EVALUATION_BATCH):
        labels = split.labels[start : start + EVALUATION_BATCH]
        logits = model(dataset.normalise(split.images[start : start + EVALUATION_BATCH]))
        loss += float(F.cross_entropy(logits, labels, reduction="sum"))
        correct += int((logits.argmax(1) == labels).sum())
    return loss / len(split), correct / len(split)
