"""Rewinding: the values from which the surviving weights restart at the next level.

A rule gets the values of one weight tensor at the rewind point and after training, and returns its values at the start
of the level. `imp`, `sign`, `magnitude` and `lrr` are the four combinations of {initial, trained} signs and {initial,
trained} magnitudes.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from empirics.choices import REWIND_NAMES, check_choice
from empirics.pruning import masks as m

Rule = Callable[[Tensor, Tensor], Tensor]


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
    rewind = REWINDS[check_choice(rule, REWINDS, "rewinding rule")]
    state = {name: value.clone() for name, value in (initial if bn_rewind else trained).items()}
    for name in masks:
        state[name] = rewind(initial[name], trained[name]).clone()
    m.apply(masks, state)
    return state


def to_initial(initial: Tensor, trained: Tensor) -> Tensor:
    """Iterative magnitude pruning (Frankle and Carbin 2019): restart from the initial values."""
    return initial


def to_epoch(initial: Tensor, trained: Tensor) -> Tensor:
    """Weight rewinding (Renda et al. 2020): the dense run's values after its first epochs."""
    return initial


def to_fresh(initial: Tensor, trained: Tensor) -> Tensor:
    """A fresh initialisation, for another run's masks."""
    return initial


def keep_trained(initial: Tensor, trained: Tensor) -> Tensor:
    """Learning rate rewinding (Renda et al. 2020): trained values, only the schedule restarts."""
    return trained


def fine_tune(initial: Tensor, trained: Tensor) -> Tensor:
    """Trained values, at the schedule's last rate: not even the schedule restarts (Han et al. 2015)."""
    return trained


def trained_signs(initial: Tensor, trained: Tensor) -> Tensor:
    """Sign rewind (added by this project): initial magnitudes with trained signs.

    Where the trained value is 0, the sign is the initial one.
    """
    return torch.where(trained == 0, initial, torch.copysign(initial, trained))


def transferred_signs(initial: Tensor, trained: Tensor) -> Tensor:
    """Magnitudes of a fresh initialisation, final signs of another run.

    See Zhou et al. 2019 and Oh et al. 2025.
    """
    return trained_signs(initial, trained)


def trained_magnitudes(initial: Tensor, trained: Tensor) -> Tensor:
    """Magnitude rewind (added by this project): trained magnitudes with initial signs."""
    return torch.copysign(trained, initial)


# A new rewinding rule: one function above, one line here, and its name in `choices.REWIND_NAMES`.
REWINDS: dict[str, Rule] = {
    "imp": to_initial,
    "wr": to_epoch,
    "lrr": keep_trained,
    "fine-tune": fine_tune,
    "sign": trained_signs,
    "magnitude": trained_magnitudes,
    "fresh": to_fresh,
    "sign-transfer": transferred_signs,
}
assert tuple(REWINDS) == REWIND_NAMES, "choices.REWIND_NAMES lists the rules for code that must not load torch"
