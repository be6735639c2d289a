"""Rewinding rules: the values from which surviving weights restart, and facts for planning.

A rule gets the values of one weight tensor at the rewind point and after training, and returns its values at the start
of the next level. `imp`, `sign`, `magnitude` and `lrr` are the four combinations of {initial, trained} signs and
{initial, trained} magnitudes.

torch is not imported, so that the command line starts quickly: rules use the methods of tensors.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class RewindRule:
    """A rewinding rule and its facts.

    Args:
        restart: (values at the rewind point, trained values) -> values at the start of the level, of one weight tensor.
        point: where the rewind point lies: on the `dense` run, after epoch `rewind_epoch` (0: its initialisation), or
            at a `fresh` initialisation.
        uses_trained: whether it takes anything from the previous level; otherwise no level depends on another.
        uses_external_signs: the trained values are replaced by the final signs, -1 or 1, of the mask run.
        uses_point: whether it takes anything from the rewind point.
        schedule: what a level does with the learning-rate schedule: `restart` runs it whole, `resume` from epoch
            `rewind_epoch` on, `end` trains at its last rate.
    """

    restart: "Callable[[Tensor, Tensor], Tensor]"
    point: Literal["dense", "fresh"] = "dense"
    uses_trained: bool = True
    uses_point: bool = True
    uses_external_signs: bool = False
    schedule: Literal["restart", "resume", "end"] = "restart"

    @property
    def about(self) -> str:
        """One line for `list`: the first line of the function's docstring."""
        return (self.restart.__doc__ or "").strip().partition("\n")[0]


def to_initial(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Iterative magnitude pruning (Frankle and Carbin 2019): restart from the initial values."""
    return initial


def to_epoch(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Weight rewinding (Renda et al. 2020): the dense run's values after its first epochs."""
    return initial


def to_fresh(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """A fresh initialisation, for another run's masks."""
    return initial


def keep_trained(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Learning rate rewinding (Renda et al. 2020): trained values, only the schedule restarts."""
    return trained


def fine_tune(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Trained values, at the schedule's last rate: not even the schedule restarts (Han et al. 2015)."""
    return trained


def trained_signs(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Sign rewind (added by this project): initial magnitudes with trained signs.

    Where the trained value is 0, the sign is the initial one.
    """
    return initial.copysign(trained).where(trained != 0, initial)


def transferred_signs(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Magnitudes of a fresh initialisation, final signs of another run.

    See Zhou et al. 2019 and Oh et al. 2025.
    """
    return trained_signs(initial, trained)


def trained_magnitudes(initial: "Tensor", trained: "Tensor") -> "Tensor":
    """Magnitude rewind (added by this project): trained magnitudes with initial signs."""
    return trained.copysign(initial)


# A new rewinding rule: one function above, one line here.
REWINDS: dict[str, RewindRule] = {
    "imp": RewindRule(to_initial, uses_trained=False),
    "wr": RewindRule(to_epoch, uses_trained=False, schedule="resume"),
    "lrr": RewindRule(keep_trained, uses_point=False),
    "fine-tune": RewindRule(fine_tune, uses_point=False, schedule="end"),
    "sign": RewindRule(trained_signs),
    "magnitude": RewindRule(trained_magnitudes),
    "fresh": RewindRule(to_fresh, "fresh", uses_trained=False),
    "sign-transfer": RewindRule(transferred_signs, "fresh", uses_trained=False, uses_external_signs=True),
}
