"""The state that a level starts from, by its rewinding rule and sign perturbation."""

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.pruning.rewinding import restart
from empirics.runs.context import RunContext, State, initial_network, state_of
from empirics.runs.mask_sources import load_masks, load_signs
from empirics.runs.resume import Interrupted
from empirics.runs.strikes import Strikes
from empirics.runs.training import rate_at, training_settings
from empirics.seeding import generator
from empirics.storage.run_folder import RunFolder
from empirics.train import steps_per_epoch, train_cycle

if TYPE_CHECKING:
    from empirics.runs.open_run import OpenRun


def level_start(opened: "OpenRun", level: int, masks: m.Masks) -> State:
    """The network's state at the start of a level, by the run's rewinding rule.

    The rewind point is the same for all levels, and so is kept in `opened`, as are the signs that count as initial for
    level 0.
    """
    context = opened.context
    if context.config.is_dense:
        start = dense_start(context)
        if context.config.initial_epoch:
            initial = dense_state(context, context.config.initial_epoch, start)
            opened.initial_signs = signs.sign_bits(initial, list(masks))
        return start
    if opened.rewind_point is None:
        opened.rewind_point = rewind_point(context)
    return rewound_start(context, level, opened.rewind_point, opened.trained(level), masks)


def rewound_start(context: RunContext, level: int, point: State, trained: State, masks: m.Masks) -> State:
    """The network's state at the start of `level`, by the run's rewinding rule and sign perturbation.

    A perturbation flips signs at the start of its level. At later levels the values that rules rewind to have the same
    flips; otherwise IMP would undo them at the next level.

    Args:
        context: the run.
        level: at least 1.
        point: from `rewind_point`.
        trained: the trained state that the level is pruned from.
        masks: of the level.
    """
    config = context.config
    at = context.config.perturb_level
    perturbed = bool(config.perturb_rate and at)
    if perturbed and level > at:
        point = signs.flip(point, drawn_flips(context, load_masks(context.folder, at, context.layers)))
    if config.rewind_rule.uses_external_signs:
        trained = {**trained, **_units(load_signs(context.mask_run, level, "end", masks))}
    if config.sign_run:
        trained = {**trained, **_kept_units(*context.sign_level(level), context.layers)}
    if config.shuffled_magnitudes:
        point = {**point, **shuffled_magnitudes(point, masks, context.seed, level)}
    start = restart(config.rewind, point, trained, masks, bn_rewind=config.bn_rewind)
    return signs.flip(start, drawn_flips(context, masks)) if perturbed and level == at else start


def drawn_flips(context: RunContext, masks: m.Masks) -> signs.Signs:
    """The weights whose signs the run's perturbation flips, drawn from the survivors of its level."""
    config = context.config
    draw = generator(context.seed, "perturbed signs", config.perturb_level)
    return signs.draw_flips(masks, config.perturb_rate, config.perturb_scope, draw)


def _units(negative: signs.Signs) -> State:
    return {name: torch.where(bits, -1.0, 1.0) for name, bits in negative.items()}


def _kept_units(folder: RunFolder, level: int, layers: Mapping[str, Tensor]) -> State:
    """-1 and 1 by the sign at the end of a level, and 0 where its mask has pruned the weight."""
    masks = load_masks(folder, level, layers)
    units = _units(load_signs(folder, level, "end", masks))
    return {name: unit * masks[name] for name, unit in units.items()}


def shuffled_magnitudes(state: State, masks: m.Masks, seed: int, level: int) -> State:
    """The magnitudes of the survivors, permuted within each layer, with their own signs.

    The permutation depends on (seed, level, layer).
    """
    found = {}
    for name, mask in masks.items():
        survivors = state[name][mask]
        order = torch.randperm(len(survivors), generator=generator(seed, "shuffled magnitudes", level, name))
        found[name] = state[name].clone()
        found[name][mask] = survivors[order].abs().copysign(survivors)
    return found


def dense_start(context: RunContext) -> State:
    """The state that level 0 starts from.

    It is the initialisation, with flipped signs if the run perturbs signs at initialisation.
    """
    state = state_of(context.model)
    if not context.config.perturb_rate:
        return state
    return signs.flip(state, drawn_flips(context, m.dense(context.layers)))


def rewind_point(context: RunContext) -> State:
    """The state that rewinding rules call initial.

    It is the dense run's state after `rewind_epoch` epochs; for `fresh` and `sign-transfer` a fresh initialisation.
    """
    config = context.config
    if config.has_fresh_network:
        return state_of(initial_network(config, context.seed, context.setup.dataset, "fresh initial weights"))
    initial = context.initial()
    used = config.rewind_rule.uses_point or config.bn_rewind
    return dense_state(context, config.rewind_epoch, initial) if config.rewind_epoch and used else initial


def dense_state(context: RunContext, epochs: int, initial: State) -> State:
    """The dense run's state after its first `epochs` epochs, from its initialisation.

    They are trained again, bit-identically, so the state is never missing.
    """
    config = context.config.dense
    setup = context.setup
    context.load(initial)
    whole = {name: mask.to(setup.device) for name, mask in m.dense(context.layers).items()}
    train_cycle(
        context.model,
        setup.dataset,
        whole,
        training_settings(config),
        rate_at(config, 0, steps_per_epoch(config.batch_size, len(setup.dataset.labels("train")))),
        dataclasses.replace(config.cycles_at(0)[0], epochs=range(epochs)),
        seed=context.seed,
        level=0,
        on_epoch_start=Strikes(config, context.seed, 0, context.model, whole, setup.dataset),
        on_step=lambda: _stop_if_asked(context),
    )
    return state_of(context.model)


def _stop_if_asked(context: RunContext) -> None:
    if context.setup.stop():
        raise Interrupted("stopped before the rewind point was reached: the same command starts this level again")
