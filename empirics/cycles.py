"""The cycles of a level: which epochs are trained, and which of them begin with a strike."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cycle:
    """One run of the learning-rate schedule within a level.

    Args:
        number: of the cycle in its level, from 0.
        start: epoch of the level at which the schedule starts.
        epochs: epochs that are trained, counted over all cycles of the level. They begin before `start` if a once-only
            warm-up comes first, and after it if the schedule is resumed.
    """

    number: int
    start: int
    epochs: range

    def is_evaluated(self, epoch: int, every: int) -> bool:
        """Whether held-out images are evaluated after `epoch`: after every `every`-th, and after the last.

        Epochs are counted from the start of the schedule; so the end of a warm-up before it counts too. A resumed cycle
        has fewer `epochs`, and evaluates after the same ones.
        """
        return epoch + 1 == self.epochs.stop or (epoch + 1 - self.start) % every == 0


def cycles(number: int, epochs: int, before: int = 0, skipped: int = 0) -> list[Cycle]:
    """The cycles of a level, in order.

    Args:
        number: of cycles.
        epochs: of the schedule.
        before: epochs of warm-up before the first cycle.
        skipped: epochs of the schedule that are not trained, at the start of every cycle.
    """
    found = []
    for k in range(number):
        start = before + k * epochs
        found.append(Cycle(k, start, range(start + skipped if k else skipped, start + epochs)))
    return found


def strike_epochs(strikes: int, epochs: int, start: int = 0) -> dict[int, int]:
    """The epochs of a level that begin with a strike, with the strike's number from 1.

    Strike i of m comes at the start of epoch ceil(i E / m) - 1 of the E epochs of the schedule; those that coincide
    count once.

    Args:
        strikes: their number m.
        epochs: of the schedule.
        start: epoch of the level at which the schedule starts.
    """
    numbers: dict[int, int] = {}
    for number in range(1, strikes + 1):
        numbers.setdefault(start + math.ceil(number * epochs / strikes) - 1, number)
    return numbers
