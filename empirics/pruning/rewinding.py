"""Rewinding: the network's state at the start of a level, by a rule of `rules.REWINDS`."""

from collections.abc import Mapping

from torch import Tensor

from empirics.choices import check_choice
from empirics.pruning import masks as m
from empirics.pruning.rules import REWINDS


def restart(
    rule: str, initial: Mapping[str, Tensor], trained: Mapping[str, Tensor], masks: m.Masks, *, bn_rewind: bool
) -> dict[str, Tensor]:
    """The network's state at the start of a level.

    Args:
        rule: key of `REWINDS`.
        initial: state dict at the rewind point: initialisation; epoch k of the dense run for `wr`; a fresh
            initialisation for `fresh` and `sign-transfer`.
        trained: state dict at the end of the previous level; for `sign-transfer` the signs of another run's weights.
        masks: of the level; pruned weights are exactly zero in what is returned.
        bn_rewind: whether everything that is not prunable comes from `initial`; otherwise it comes from `trained`.
    """
    rewind = REWINDS[check_choice(rule, REWINDS, "rewinding rule")].restart
    state = {name: value.clone() for name, value in (initial if bn_rewind else trained).items()}
    for name in masks:
        state[name] = rewind(initial[name], trained[name]).clone()
    m.apply(masks, state)
    return state
