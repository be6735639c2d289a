"""The straight line between two trained networks: its test error, its barrier, what the ends share.

After Frankle et al. (2020), "Linear mode connectivity and the lottery ticket hypothesis". The batch-norm statistics of
an interpolated network are those of neither end; they are recomputed, as in Jordan et al. (2023), "REPAIR", or
interpolated as the weights are.
"""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from empirics.data.datasets import Dataset
from empirics.storage.files import check_same
from empirics.studies.overlaps import Bits, shared_signs, shared_weights
from empirics.train import evaluate, forward

ALPHAS = tuple(k / 10 for k in range(11))


def interpolate(first: Mapping[str, Tensor], second: Mapping[str, Tensor], alpha: float) -> dict[str, Tensor]:
    """The state (1 - alpha) * first + alpha * second; exactly `first` at 0 and `second` at 1.

    Tensors of whole numbers, such as the count of batches of batch norm, are those of `first`.

    Args:
        first, second: state dicts of one network.
        alpha: in [0, 1].

    Raises:
        StoreError: names, shapes or types differ; it names the first tensor that does.
    """
    check_same(second, first, "the second state")
    return {
        name: torch.lerp(value, second[name], alpha) if value.is_floating_point() else value
        for name, value in first.items()
    }


def barrier(errors: Sequence[float], alphas: Sequence[float] = ALPHAS) -> float:
    """The largest excess of an error curve over the straight line between its ends; at least 0.

    Args:
        errors: test error (a fraction) at each of `alphas`.
        alphas: from 0 to 1, rising.
    """
    first = errors[0]
    last = errors[-1]
    return max(error - ((1 - a) * first + a * last) for a, error in zip(alphas, errors, strict=True))


def union_density(n_kept: tuple[int, int], shared: int, total: int) -> float:
    """The fraction of all weights that at least one of two masks keeps: the density between the two ends.

    Args:
        n_kept: weights that each mask keeps.
        shared: weights that both keep.
        total: number of prunable weights.
    """
    return (sum(n_kept) - shared) / total


def sign_similarity(masks: tuple[Bits, Bits], ends: tuple[Bits, Bits]) -> float | None:
    """The fraction of common survivors whose final signs are equal; None without a common survivor.

    Args:
        masks, ends: of two networks, packed bits by layer: which weights are kept, and which are below 0.
    """
    shared = shared_weights(*masks)
    return shared_signs(masks, ends) / shared if shared else None


@torch.no_grad()
def recompute_statistics(model: nn.Module, dataset: Dataset, precision: str) -> None:
    """Set the batch-norm statistics by one cumulative pass over the unaugmented training set.

    Each batch counts by its number of images. A last batch of one image, which may have no variance, is left out.
    """
    model.eval()
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [norm.momentum for norm in norms]
    seen = 0
    for norm in norms:
        norm.train()
    for images, labels in dataset.batches("train"):
        if len(labels) == 1 and seen:
            continue
        seen += len(labels)
        for norm in norms:
            norm.momentum = len(labels) / seen  # of the first batch 1: nothing of the old statistics remains
        forward(model, images, precision)
    for norm, momentum in zip(norms, before, strict=True):
        norm.momentum = momentum
    model.eval()


def error_curves(
    model: nn.Module,
    first: Mapping[str, Tensor],
    second: Mapping[str, Tensor],
    dataset: Dataset,
    precision: str,
    on_point: Callable[[], None] = lambda: None,
) -> tuple[list[float], list[float]]:
    """The test error (a fraction) along the line from `first` to `second`, at each of `ALPHAS`.

    Args:
        model: a network of theirs, on the device of `dataset`; its state is overwritten.
        first, second: state dicts; pruned weights are zeros in them.
        dataset: images and labels.
        precision: that the networks were trained in.
        on_point: called before every point; an exception from it ends the measurement.

    Returns:
        The errors with batch-norm statistics recomputed, and with interpolated ones.
    """
    recomputed = []
    interpolated = []
    for alpha in ALPHAS:
        on_point()
        model.load_state_dict(interpolate(first, second, alpha))
        interpolated.append(1 - evaluate(model, dataset, "test", precision)[1])
        recompute_statistics(model, dataset, precision)
        recomputed.append(1 - evaluate(model, dataset, "test", precision)[1])
    return recomputed, interpolated
