"""Coordinates in which a start is integrated: balance is exact where the start is balanced.

For every loss of the neuron a dL/da = w.dL/dw, so with sigma = sign(a) the difference b = a - sigma |w| obeys
b' = sigma (dL/da / |w|) b: it never changes sign, and a balanced start (b = 0) stays balanced. Integrating b in the
place of a keeps its digits near the separatrix a = -|w|; for b = 0 there is nothing left to integrate but w.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from theory.exact.limits import BAND
from theory.validation import Array

NEAR = 0.5  # b is integrated in the place of a where |b| is at most this share of |w|


@dataclass(frozen=True)
class Chart:
    """State y = w (balanced), (b, w) (nearly balanced) or (a, w); a = b + sigma |w|.

    sigma : sign of a0 where the start is balanced or nearly so, else 0
    balanced : b = 0 for ever
    b0 : float, the start's b
    """

    sigma: float
    balanced: bool
    b0: float

    @classmethod
    def of(cls, a0: float, w0: Array) -> Chart:
        """Return the chart of a start; balanced is up to a relative 1e-12, |w0| being rounded."""
        r0 = float(np.hypot.reduce(w0))
        b0, sigma = abs(a0) - r0, float(np.sign(a0))
        if r0 == 0 or abs(b0) > NEAR * r0:
            return cls.plain(a0)
        return cls(sigma, abs(b0) <= BAND * r0, sigma * b0)

    @classmethod
    def plain(cls, a0: float) -> Chart:
        """Return the chart y = (a, w), which knows of no balance."""
        return cls(0.0, False, a0)

    def state(self, a: float, w: Array) -> Array:
        """Return y."""
        return w if self.balanced else np.array([a - self.sigma * np.hypot.reduce(w), *w])

    def point(self, y: Array) -> tuple[float, Array]:
        """Return (a, w)."""
        w = y if self.balanced else y[1:]
        r = self.sigma * float(np.hypot.reduce(w)) if self.sigma else 0.0
        return (r if self.balanced else float(y[0]) + r), w

    def points(self, y: Array) -> tuple[Array, Array]:
        """Return (a (n,), w (n, m)) of states y, shape (size, n)."""
        w = (y if self.balanced else y[1:]).T
        r = self.sigma * np.sqrt(np.einsum("ij,ij->i", w, w)) if self.sigma else 0.0
        return (r if self.balanced else y[0] + r), w

    def velocity(self, y: Array, da: float, dw: Array) -> Array:
        """Return dy/dt from the gradient (dL/da, dL/dw) at y."""
        if self.balanced:
            return -dw
        if not self.sigma:
            return np.array([-da, *-dw])
        r = float(np.hypot.reduce(y[1:]))
        return np.array([self.sigma * (da / r) * y[0] if r > 0 else 0.0, *-dw])

    def tolerance(self, rtol: float, atol: float, size: int, radius: float) -> Array:
        """Return the absolute tolerance of y, shape (size,), at |w| = radius: small w keep their digits, b its sign."""
        least = np.finfo(float).tiny
        out = np.full(size, max(min(atol, 10 * rtol * radius), least) if radius > 0 else atol)
        if not self.balanced:
            out[0] = max(min(atol, rtol * abs(self.b0)), least) if self.sigma else atol
        return out
