"""The state that a level starts from, by its rewinding rule and sign perturbation."""

from typing import TYPE_CHECKING

import torch

from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.pruning.rewinding import restart
from empirics.runs.context import RunContext, State, initial_network, state_of
from empirics.runs.mask_sources import load_masks, load_signs
from empirics.runs.resume import Interrupted
from empirics.runs.training import rate_at, training_settings
from empirics.seeding import generator
from empirics.train import steps_per_epoch, train_cycle

if TYPE_CHECKING:
    from empirics.runs.open_run import OpenRun


def level_start(opened: "OpenRun", level: int, masks: m.Masks) -> State:
    """The network's state at the start of a level, by the run's rewinding rule.

    A level that resumes has the start of its checkpoint. The rewind point is the same for all levels, and so is kept in
    `opened`.
    """
    context = opened.context
    if opened.checkpoint is not None:
        return opened.checkpoint.start
    if context.config.is_dense:
        return dense_start(context)
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
    config, at = context.config, context.config.perturb_level
    perturbed = bool(config.perturb_rate and at)
    if perturbed and level > at:
        point = signs.flip(point, drawn_flips(context, load_masks(context.folder, at, context.layers)))
    if config.rewind_rule.uses_external_signs:
        trained = {**trained, **_units(load_signs(context.mask_run, level, "end", masks))}
    start = restart(config.rewind, point, trained, masks, bn_rewind=config.bn_rewind)
    return signs.flip(start, drawn_flips(context, masks)) if perturbed and level == at else start


def drawn_flips(context: RunContext, masks: m.Masks) -> signs.Signs:
    """The weights whose signs the run's perturbation flips, drawn from the survivors of its level."""
    config = context.config
    draw = generator(context.seed, "perturbed signs", config.perturb_level)
    return signs.draw_flips(masks, config.perturb_rate, config.perturb_scope, draw)


def _units(negative: signs.Signs) -> State:
    return {name: torch.where(bits, -1.0, 1.0) for name, bits in negative.items()}


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

    It is the initialisation; for `fresh` and `sign-transfer` a fresh initialisation; for `wr` the dense run's state
    after epoch `rewind_epoch`, which is recomputed by training the first epochs again, bit-identically, so it is never
    missing.
    """
    config, setup = context.config, context.setup
    if config.has_fresh_network:
        return state_of(initial_network(config, context.seed, setup.dataset, "fresh initial weights"))
    initial = context.initial()
    if config.rewind_rule.point == "initialisation":
        return initial
    context.load(initial)
    whole = {name: mask.to(setup.device) for name, mask in m.dense(context.layers).items()}
    train_cycle(
        context.model,
        setup.dataset,
        whole,
        training_settings(config.dense),
        rate_at(config.dense, 0, steps_per_epoch(config.batch_size, len(setup.dataset.labels("train")))),
        seed=context.seed,
        level=0,
        last_epoch=config.rewind_epoch,
        on_step=lambda: _stop_if_asked(context),
    )
    return state_of(context.model)


def _stop_if_asked(context: RunContext) -> None:
    if context.setup.stop():
        raise Interrupted("stopped before the rewind point was reached: the same command starts this level again")
