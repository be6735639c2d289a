"""Units in which a loss has values of ordinary size.

No threshold of a solver is then compared with numbers of another scale.

With l and g powers of 4, x -> x / l and y -> y / g turn the flow of (a, w) at t into that of (a, w) / sqrt(g / l) at
t l g: exact in binary arithmetic. A flow and its copy in other units by powers of 4 therefore take the same steps, bit
for bit.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from theory.losses.formulas import split
from theory.losses.losses import CompletedLoss, Independent, Line, Population
from theory.losses.samples import Sample
from theory.validation import Array

LARGEST = 1e150  # in units of the data: squares of larger numbers overflow


@dataclass(frozen=True)
class Units:
    """By what a flow is divided to be in units of its own data.

    Attributes:
        size: the divisor of a and w
        clock: the factor of t
    """

    size: float = 1.0
    clock: float = 1.0


def canonical(loss: CompletedLoss, a0: float, w0: Array) -> tuple[CompletedLoss, Units]:
    """Return a loss in units of its own data, and the units; a user-defined loss is returned unchanged."""
    if type(loss) is Sample:
        return _sample(loss, a0, w0)
    if type(loss) is Line:
        c = power_of_4(max(loss.c_plus, loss.c_minus))
        k = power_of_4(max(abs(loss.k_plus), abs(loss.k_minus)))
        scaled = Line(loss.c_plus / c, loss.c_minus / c, loss.k_plus / k, loss.k_minus / k)
        return (loss if c == k == 1 else scaled), Units(math.sqrt(k), c * k)
    if type(loss) is Population or type(loss) is Independent:
        k = power_of_4(abs(loss.target))
        return (loss if k == 1 else replace(loss, target=loss.target / k)), Units(math.sqrt(k), k)
    return loss, Units()


def _sample(loss: Sample, a0: float, w0: Array) -> tuple[CompletedLoss, Units]:
    across = power_of_4(_rms(loss.x))
    height = power_of_4(_rms(loss.y) or abs(a0) * float(np.hypot.reduce(w0)) * across)
    units = Units(math.sqrt(height / across), across * height)
    same = across == height == 1
    return (loss if same else Sample(loss.x / across, loss.y / height, loss.slope)), units


@dataclass(frozen=True)
class Exponents:
    """Units of samples, one for each start, as powers of 4: x -> x / 4^across and y -> y / 4^height.

    They are stored as exponents and applied by `ldexp`, which rounds once: the powers themselves may overflow.
    """

    across: NDArray[np.int64]
    height: NDArray[np.int64]

    @classmethod
    def of(cls, x: Array, y: Array, a0: Array, r0: Array) -> Exponents:
        """Return the units of n starts on samples x (n, rows, d), y (n, rows), or on one sample; r0 = |w0|.

        r0 is |w0|.
        """
        across, height = (np.frexp(abs(part.reshape(len(part), -1)).max(axis=1))[1] // 2 for part in (x, y))
        a, m = np.frexp(a0)
        r, k = np.frexp(r0)
        # where every target is 0, a |w| at the start is the scale
        pulled = y.any(axis=1) | (a == 0) | (r == 0)
        height = np.where(pulled, height, (np.frexp(a * r)[1] + m + k) // 2 + across)
        return cls(np.broadcast_to(across, len(a0)), height)

    def data(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Return the samples, as in `of`, in these units; one sample for all is in those of the first start."""
        across = self.across[: len(x), None]
        height = self.height[: len(x), None]
        if not across.any() and not height.any():
            return x, y
        # a y of zeros is the same in all units
        return np.ldexp(x, -2 * across[..., None]), np.ldexp(y, -2 * height)

    def into(self, a0: Array, w0: Array, t: Array) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
        """Return starts and times, shape (n, m), in these units, and which starts keep their digits there.

        The others are so large compared with the data that their squares overflow, or so small that a |w| or a^2 -
        |w|^2 underflows, or their times are no floats in these units.
        """
        size = self.height - self.across
        with np.errstate(over="ignore", under="ignore"):
            a = np.ldexp(a0, -size)
            w = np.ldexp(w0, -size[:, None])
            times = np.ldexp(t, 2 * (self.across + self.height)[:, None])
            r = split(w)[2]
            a_size = abs(a)
            q = a_size * r
            c = abs(a_size - r) * (a_size + r)
        tiny = np.finfo(float).tiny
        kept = (np.fmax(a_size, r) <= LARGEST) & (times >= tiny).all(axis=1) & (times <= 1 / tiny).all(axis=1)
        kept &= ((q >= tiny) | (a0 == 0) | (r == 0)) & ((c >= tiny) | (a_size == r)) & ((r > 0) | ~w0.any(axis=1))
        kept &= (a != 0) | (a0 == 0)
        return a, w, times, kept | (~w0.any(axis=1) & np.isfinite(a))  # w = 0 rests, whatever a and the times are

    def back(self, a: Array, w: Array, gradient: Array) -> tuple[Array, Array, Array]:
        """Return rows a (n, m), w (n, m, d) and gradient norms (n,) in the units of the data."""
        size = self.height - self.across
        with np.errstate(over="ignore", under="ignore"):
            norms = np.ldexp(gradient, 3 * self.height + self.across)
            return np.ldexp(a, size[:, None]), np.ldexp(w, size[:, None, None]), norms


def _rms(values: Array) -> float:
    size = float(np.abs(values).max())
    return size * float(np.sqrt(np.mean((values / size) ** 2))) if size > 0 else 0.0


def power_of_4(value: float) -> float:
    """Return the power of 4 for which value / power lies in [1/2, 2); 1 for 0."""
    return 4.0 ** (math.frexp(value)[1] // 2) if value > 0 else 1.0
