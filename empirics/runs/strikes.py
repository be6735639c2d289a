"""Strikes: signs that are flipped again and again during training, as in the authors' code.

A strike flips the sign of each surviving weight with a given probability, at the start of an epoch. It changes the
network alone: the values that rewinding rules return to stay as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from empirics.config import RunConfig
from empirics.data.datasets import Dataset
from empirics.models import prunable_weights
from empirics.pruning import signs
from empirics.train import evaluate


@dataclass
class Strikes:
    """The strikes of one level; call it with every epoch before the epoch is trained.

    Args:
        config: settings of the run.
        seed, level: the flips depend on (seed, level, number of the strike).
        model: the network, on the device of `dataset`.
        masks: of the level, on that device.
        dataset: on whose test images the last strike's cost is measured.
        last: epoch of the last strike, and test accuracy (a fraction) just before and after it; None before it.
    """

    config: RunConfig
    seed: int
    level: int
    model: nn.Module
    masks: Mapping[str, Tensor]
    dataset: Dataset
    last: dict[str, Any] | None = field(default=None, init=False)

    def __call__(self, epoch: int) -> None:
        """Flip signs if a strike is due at the start of `epoch`, counted over the level."""
        numbers = self.config.strike_epochs(self.level)
        if epoch not in numbers:
            return
        is_last = epoch == max(numbers)
        before = self._test_accuracy() if is_last else None
        flips = signs.draw_strike(self.masks, self.config.strike_rate, self.seed, self.level, numbers[epoch])
        weights = prunable_weights(self.model)
        with torch.no_grad():
            for name, where in flips.items():
                weights[name].copy_(torch.where(where.to(weights[name].device), -weights[name], weights[name]))
        if is_last:
            after = self._test_accuracy()
            self.last = {"epoch": epoch, "test_accuracy_before": before, "test_accuracy_after": after}

    def _test_accuracy(self) -> float:
        return evaluate(self.model, self.dataset, "test", self.config.precision)[1]
