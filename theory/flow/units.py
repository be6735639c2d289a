"""Units in which a loss is of ordinary size, so that no threshold of a solver meets numbers of another scale.

With l and g powers of 4, x -> x / l and y -> y / g turn the flow of (a, w) at t into that of (a, w) / sqrt(g / l) at
t l g: exact in binary arithmetic. A flow and its copy in other units by powers of 4 therefore take the same steps, bit
for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from theory.losses.losses import Independent, Line, Loss, Population
from theory.losses.samples import Sample
from theory.validation import Array


@dataclass(frozen=True)
class Units:
    """size : what a and w are divided by; clock : what t is multiplied by."""

    size: float = 1.0
    clock: float = 1.0


def canonical(loss: Loss, a0: float, w0: Array) -> tuple[Loss, Units]:
    """Return a loss in units of its own data, and the units; a loss of the user's own as it is."""
    if type(loss) is Sample:
        return _sample(loss, a0, w0)
    if type(loss) is Line:
        c, k = power_of_4(max(loss.c_plus, loss.c_minus)), power_of_4(max(abs(loss.k_plus), abs(loss.k_minus)))
        scaled = Line(loss.c_plus / c, loss.c_minus / c, loss.k_plus / k, loss.k_minus / k)
        return (loss if c == k == 1 else scaled), Units(math.sqrt(k), c * k)
    if type(loss) in (Population, Independent):
        k = power_of_4(abs(loss.target))
        return (loss if k == 1 else replace(loss, target=loss.target / k)), Units(math.sqrt(k), k)
    return loss, Units()


def _sample(loss: Sample, a0: float, w0: Array) -> tuple[Loss, Units]:
    across = power_of_4(_rms(loss.x))
    height = power_of_4(_rms(loss.y) or abs(a0) * float(np.hypot.reduce(w0)) * across)
    units = Units(math.sqrt(height / across), across * height)
    same = across == height == 1
    return (loss if same else Sample(loss.x / across, loss.y / height, loss.slope)), units


def _rms(values: Array) -> float:
    size = float(np.abs(values).max())
    return size * float(np.sqrt(np.mean((values / size) ** 2))) if size > 0 else 0.0


def power_of_4(value: float) -> float:
    """Return the power of 4 for which value / power lies in [1/2, 2); 1 for 0."""
    return 4.0 ** (math.frexp(value)[1] // 2) if value > 0 else 1.0
