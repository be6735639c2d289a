"""Losses defined by data or by other losses: a finite sample, and a loss with pruned inputs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.losses.kinks import Kinks
from theory.losses.losses import (
    CompletedLoss,
    Independent,
    Known,
    Line,
    Loss,
    Own,
    Population,
    completed,
    slope_of,
    vectors,
)
from theory.losses.regions import Region, SampleRegion, SmoothRegion
from theory.reprs import short_repr
from theory.validation import Array, bits, finite, neuron


@short_repr
@dataclass(frozen=True, eq=False)
class Sample(Known):
    """A finite sample: L = 1/(2n) sum_i (a phi(w.x_i) - y_i)^2, smooth in w between the kinks w.x_i = 0.

    Raises ValueError for shapes that do not match, NaN, or a slope out of range. Both arrays are copied and read-only.
    Source: section 2; slope and `target_fit_loss`: this project.

    Attributes:
        x: array_like, shape (n, d), n, d >= 1
        y: array_like, shape (n,); the target without noise is phi(x[:, 0])
        slope: float in [0, 1), the slope of phi for w.x < 0; 0 is relu

    Examples:
        >>> sample = Sample([[1.0], [-2.0]], [1.0, 0.0])
        >>> sample.line(np.array([1.0]))
        Line(c_plus=0.5, c_minus=2.0, k_plus=1.0, k_minus=0.0)
    """

    x: Array
    y: Array
    slope: float = 0.0

    def __post_init__(self):
        """Copy and check the data, and make them read-only."""
        x, y = (np.array(part) for part in finite(x=self.x, y=self.y))
        if x.ndim != 2 or x.size == 0 or y.shape != x.shape[:1]:
            raise ValueError(f"x must have shape (n, d) and y (n,), n, d >= 1, got {x.shape} and {y.shape}")
        x.setflags(write=False)
        y.setflags(write=False)
        object.__setattr__(self, "x", x)
        object.__setattr__(self, "y", y)
        object.__setattr__(self, "slope", slope_of(self.slope))

    def __reduce__(self):
        """Make pickle and copy construct a new sample, so that its data are read-only too."""
        return type(self), (self.x, self.y, self.slope)

    @property
    def d(self) -> int:
        """Number of inputs."""
        return self.x.shape[1]

    @property
    def required_sign_of_a(self) -> float:
        """The sign of the fit along input 1, where that is active."""
        return float(np.sign(np.maximum(self.x[:, 0], 0) @ self.y))

    @property
    def target_fit_loss(self) -> float:
        """The loss of the best fit by input 1 alone, w_1 > 0: 0 without noise."""
        z = self._factors(self.x[:, 0]) * self.x[:, 0]
        square = float(z @ z)
        return float(((float(z @ self.y) / (square or 1.0) * z - self.y) ** 2).mean() / 2)

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        a, z = self._point(a, w)
        return ((a[..., None] * self._factors(z) * z - self.y) ** 2).mean(axis=-1) / 2

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., d); phi'(0) = slope, and both are 0 at w = 0."""
        a, z = self._point(a, w)
        factors = np.where(z.any(axis=-1, keepdims=True), self._factors(z), 0.0)
        pull = factors * (a[..., None] * factors * z - self.y) / len(self.y)
        return (pull * z).sum(axis=-1), a[..., None] * (pull @ self.x)

    def line(self, w: Array) -> Line | None:
        """Return, for d = 1, the `Line` with the same flow; None for d > 1."""
        if self.d > 1:
            return None
        sides = [self._side(sign) for sign in (1, -1)]
        return Line(sides[0][0], sides[1][0], sides[0][1], sides[1][1])

    @cached_property
    def kinks(self) -> Kinks:
        """The hyperplanes w.x_i = 0 on which the loss bends, repeated and collinear rows joined."""
        return Kinks.of(self.x, self.y, self.slope)

    def region(self, a: float, w: Array) -> Region:
        """Return the activation pattern at w."""
        return SampleRegion.at(self, a, w)[2]

    def _side(self, sign: int) -> tuple[float, float]:
        z = self._factors(sign * self.x[:, 0]) * sign * self.x[:, 0]  # phi(w x) / |w|
        square = float(z @ z)
        return square / len(z), float(z @ self.y) / square if square > 0 else 0.0

    def _factors(self, z: Array) -> Array:
        return np.where(z > 0, 1.0, self.slope)

    def _point(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        a, w = neuron(a, vectors(w, self))
        return a, w @ self.x.T


@short_repr
@dataclass(frozen=True, eq=False)
class Masked(Known):
    """A loss with pruned inputs: their weights are 0, have no effect and stay 0.

    Raises ValueError for an object that is no loss, and for a mask of another shape, with values other than 0 and 1, or
    without a survivor.
    Source: section 2, pruning to a mask.

    Attributes:
        inner: Population, Independent, Line, Sample or a user-defined loss; the mask of a Masked is joined with this
            one
        mask: array_like of bool, shape (d,): True survives; at least one input must

    Examples:
        >>> Masked(Population(3), [1, 0, 1]).survivors
        Population(d=2, target=1.0, slope=0.0)
        >>> Masked(Population(3), [0, 1, 1]).survivors  # without input 1 nothing can be learned
        Independent(d=2, target=1.0)
    """

    inner: Loss
    mask: NDArray[np.bool_]

    def __post_init__(self):
        """Check the mask, join it with that of a masked loss, and make it read-only."""
        mask = bits(self.mask)
        d = self._whole.d
        if mask is None or mask.shape != (d,) or not mask.any():
            raise ValueError(f"mask must hold {d} values 0 or 1, at least one of them 1, got {self.mask!r:.60}")
        whole = self._whole
        if isinstance(whole, Masked):
            mask &= whole.mask
            object.__setattr__(self, "inner", whole.inner)
            del self.__dict__["_whole"]
        if not mask.any():
            raise ValueError("the masks leave no input, got masks without a common survivor: keep at least one")
        mask.setflags(write=False)
        object.__setattr__(self, "mask", mask)

    def __reduce__(self):
        """Make pickle and copy construct a new masked loss, so that its mask is read-only too."""
        return type(self), (self.inner, self.mask)

    @property
    def d(self) -> int:
        """Number of inputs, pruned ones included."""
        return self._whole.d

    @cached_property
    def _whole(self) -> CompletedLoss:
        """The inner loss; a user-defined one is completed with its optional members."""
        return completed(self.inner)

    @cached_property
    def survivors(self) -> CompletedLoss:
        """The loss of the surviving inputs alone; d is their number."""
        inner = self._whole
        kept = self.mask
        if isinstance(inner, Sample):
            return Sample(inner.x[:, kept], inner.y, inner.slope)
        if isinstance(inner, Population) and not kept[0]:
            return self._without_input_1(inner)
        if kept.all():
            return inner
        if isinstance(inner, Own):
            return Restricted(inner, kept)
        if isinstance(inner, Population):
            return Population(int(kept.sum()), inner.target, inner.slope)
        assert isinstance(inner, Independent), "a Line has one input, which survives"
        return Independent(int(kept.sum()), inner.target)

    def _without_input_1(self, inner: Population) -> Independent:
        if inner.slope:
            raise ValueError(f"a mask without input 1 is known for slope 0 only, got {inner.slope}: keep input 1")
        return Independent(int(self.mask.sum()), inner.target)

    @property
    def target_fit_loss(self) -> float:
        """The target_fit_loss of the loss of the surviving inputs."""
        return self.survivors.target_fit_loss

    @property
    def required_sign_of_a(self) -> float:
        """The required sign of a for the loss of the surviving inputs; 0 without input 1: nothing to learn."""
        return self.survivors.required_sign_of_a if self.mask[0] else 0.0

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d); pruned entries of w are not read."""
        return self.survivors.loss(a, vectors(w, self)[..., self.mask])

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw); dL/dw is 0 at pruned inputs."""
        da, kept = self.survivors.gradient(a, vectors(w, self)[..., self.mask])
        return da, self.widen(kept)

    def widen(self, kept: Array) -> Array:
        """Return w, shape (..., d), from its surviving entries, zeros elsewhere."""
        w = np.zeros((*kept.shape[:-1], self.d))
        w[..., self.mask] = kept
        return w


class Restricted(Own):
    """A user-defined loss on the inputs that survive a mask, the others being 0.

    Attributes:
        inner: the loss, completed
        kept: bool ndarray, shape (inner.d,)
    """

    def __init__(self, inner: Own, kept: NDArray[np.bool_]):
        self.inner = inner
        self.kept = kept
        self.d = int(kept.sum())
        self.target_fit_loss = inner.target_fit_loss
        self.required_sign_of_a = inner.required_sign_of_a

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        return self.inner.loss(a, self._wide(w))

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., d)."""
        da, dw = self.inner.gradient(a, self._wide(w))
        return da, dw[..., self.kept]

    def line(self, w: Array) -> None:
        """Return None: nothing is known of it."""

    def region(self, a: float, w: Array) -> Region:
        """Return the whole space."""
        return SmoothRegion(self)

    def _wide(self, w: ArrayLike) -> Array:
        w = np.asarray(w, float)
        wide = np.zeros((*w.shape[:-1], len(self.kept)))
        wide[..., self.kept] = w
        return wide


def learned_within(loss: Loss, share: float) -> float:
    """Return the largest excess over `target_fit_loss` of the loss of a run that has learned.

    It is `share` for the target relu(x_1).

    It scales with the data as losses do: `share` of the loss at a = 0 for a sample, and of 4 times that elsewhere,
    which is 1 for Line() and the population with the target relu(x_1).
    """
    dead = float(loss.loss(0.0, np.zeros(loss.d)))
    return share * dead * (1 if isinstance(loss, Sample) else 4)
