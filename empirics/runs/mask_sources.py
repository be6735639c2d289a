"""The masks of a level, by mask source: the run's own criterion, another run, random, or dense."""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from empirics.config import RunConfig
from empirics.cycles import Cycle
from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.pruning.criteria import Probe, nested_counts, select_mask
from empirics.runs.context import RunContext, State, load_state, state_of
from empirics.schedules import kept_weights
from empirics.seeding import generator
from empirics.storage.files import check_same
from empirics.storage.run_folder import MASK_TENSORS, SIGN_TENSORS, RunFolder
from empirics.train import to_device

if TYPE_CHECKING:
    from empirics.runs.open_run import OpenRun

# images for data-dependent criteria: number per class (Wang et al. 2020), and largest number in total
SCORED_PER_CLASS = 10
SCORED_AT_MOST = 1000


def level_masks(opened: "OpenRun", level: int) -> m.Masks:
    """The masks that a level starts with, by the run's mask source."""
    context = opened.context
    config = context.config
    layers = context.layers
    if config.is_dense:
        return m.dense(layers)
    if config.mask_source == "dense":
        return m.dense(layers)
    if config.uses_external_masks:
        masks = load_masks(context.mask_run, level, layers)
        return m.shuffle(masks, context.seed) if config.mask_source == "shuffled" else masks
    if config.mask_source == "random":
        return random_masks(layers, config, context.seed, level)
    fresh_start = level == 1 or config.pruning == "one-shot"
    before = m.dense(layers) if fresh_start else load_masks(context.folder, level - 1, layers)
    scored = opened.trained(level) if config.scores_from == "trained" else context.initial()
    return own_masks(context, level, scored, before)


def cycle_masks(context: RunContext, level: int, cycle: Cycle, masks: m.Masks) -> m.Masks:
    """The masks of a cycle, which are those of the level but for SCULPT: it prunes before the last cycle."""
    if cycle.epochs.start != masks_change_after(context.config, level):  # nor if the cycle resumes after that epoch
        return masks
    return own_masks(context, level, state_of(context.model), masks)


def masks_change_after(config: RunConfig, level: int) -> int | None:
    """The epoch of a level after which SCULPT prunes once more; None for other arms."""
    last = config.cycles_at(level)[-1]
    return last.start if config.sculpt_factor and last.epochs.start == last.start else None


def own_masks(context: RunContext, level: int, scored: State, before: m.Masks) -> m.Masks:
    """The masks of `level` by the run's criterion on the weights `scored`, from the survivors `before`."""
    config = context.config
    keep = kept_weights(sum(mask.numel() for mask in before.values()), config.prune_rate, level)
    probe = probe_of(context, level, scored)
    return select_mask(
        config.criterion, scored, before, keep, seed=context.seed, densities=config.densities, probe=probe
    )


def probe_of(context: RunContext, level: int, state: State) -> Probe:
    """The `Probe` of a criterion: copies of the network, and images drawn by seed and level only."""

    def network() -> nn.Module:
        model = copy.deepcopy(context.model)
        load_state(model, state, context.config.name)
        return to_device(model, context.setup.device, context.config.precision)

    def batch() -> tuple[Tensor, Tensor]:
        labels = context.setup.dataset.labels("train").cpu()
        index = scored_images(labels, context.setup.dataset.classes, generator(context.seed, "scored images", level))
        return context.setup.dataset.images_at("train", index)

    return Probe(context.seed, network, batch, context.setup.dataset.shape)


def scored_images(labels: Tensor, classes: int, draw: torch.Generator) -> Tensor:
    """The places of a few training images of every class, drawn without replacement.

    A class with fewer images gives all that it has.
    """
    per_class = max(1, min(SCORED_PER_CLASS, SCORED_AT_MOST // classes))
    order = torch.randperm(len(labels), generator=draw)
    drawn = [order[labels[order] == label][:per_class] for label in range(classes)]
    return torch.cat(drawn)


def random_masks(layers: Mapping[str, Tensor], config: RunConfig, seed: int, level: int) -> m.Masks:
    """Random masks of `level`: in each layer, the first weights of an order that is drawn by the seed."""
    total = sum(weight.numel() for weight in layers.values())
    whole = m.dense(layers)
    totals = [kept for kept in random_totals(config, total, level) if kept < total]
    if not totals:  # of SCULPT's first levels: clamped densities would remove weights at density 1
        return whole
    counts = nested_counts(config.densities, {name: tuple(weight.shape) for name, weight in layers.items()}, totals)
    return m.keep_by_layer(m.random_scores(whole, seed), whole, counts)


def random_totals(config: RunConfig, total: int, level: int) -> list[int]:
    """The number of weights that random masks of levels 1 to `level` keep; for SCULPT before it prunes."""
    factor = config.sculpt_factor or 1
    return [min(total, round(factor * kept_weights(total, config.prune_rate, k))) for k in range(1, level + 1)]


def load_masks(folder: RunFolder, level: int, layers: Mapping[str, Tensor]) -> m.Masks:
    """The masks of one level of any run.

    Raises:
        StoreError: the level is missing, or of another network.
    """
    return load_bits(folder, level, MASK_TENSORS, layers)


def load_signs(folder: RunFolder, level: int, moment: str, masks: Mapping[str, Tensor]) -> signs.Signs:
    """Sign bits of one level of any run at its `start` or `end`.

    Raises:
        StoreError: the level is missing, or of another network.
    """
    return load_bits(folder, level, SIGN_TENSORS, masks, f"{moment}/")


def load_bits(folder: RunFolder, level: int, file: str, layers: Mapping[str, Tensor], moment: str = "") -> signs.Signs:
    """One bit per weight of a level of any run: its masks, or its signs at `moment` `start/` or `end/`.

    Raises:
        StoreError: the level is missing, or of another network.
    """
    packed = folder.load_tensors(level, file)
    found = {name.removeprefix(moment): bits for name, bits in packed.items() if name.startswith(moment)}
    expected = {n: torch.empty((w.numel() + 7) // 8, dtype=torch.uint8) for n, w in layers.items()}
    check_same(found, expected, f"{file} of level {level} of run {folder.run}")
    return signs.unpack({n: found[n].numpy() for n in layers}, {n: w.shape for n, w in layers.items()})
