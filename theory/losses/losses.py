"""The losses of the neuron f(x) = a phi(w.x) with one interface: the population and one input.

`theory.losses.samples` has the other losses.

Every loss is half the mean squared error and has

    d                  number of inputs
    loss(a, w)         shape (...), of a (...) and w (..., d)
    gradient(a, w)     (dL/da, dL/dw); the flow is its negative
    target_fit_loss    the loss of the best fit by input 1 alone with w_1 > 0: a run that reaches it has learned
    required_sign_of_a the sign, -1.0 or 1.0, that a must have for that fit; 0.0 where there is nothing to learn
    line(w)            the `Line` on which the flow from w stays, or None: there everything is exact
    region(a, w)         the smooth piece of the loss that holds (a, w): see `theory.losses.regions`

A loss of your own needs d, loss and gradient; target_fit_loss and required_sign_of_a (default 0: no verdict `learns`),
line (None) and region (it is smooth) are used where it has them. a dL/da = w.dL/dw, which conserves a^2 - |w|^2, need
not hold: it is checked. A class that overrides the loss or gradient of another one must define these four again: the
inherited ones belong to the other loss, and are ignored. So a class derived from `Line`, `Population`, ... with its own
loss or gradient is a loss of your own.

Methods do not check for NaN, since they run in the inner loop of `integrate`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, cast

import numpy as np
from numpy.typing import ArrayLike

from theory.losses.formulas import _gradient_1d, _loss_1d, _population_gradient, _population_loss
from theory.losses.regions import LineSide, Region, SmoothRegion
from theory.validation import Array, four_numbers, moment, neuron, number, real, whole


class Loss(Protocol):
    """What a loss needs for `theory.integrate` and `theory.limit`.

    The members are described in the docstring of this module.
    """

    @property
    def d(self) -> int:
        """Number of inputs."""
        ...

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        ...

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw)."""
        ...


class CompletedLoss(Loss, Protocol):
    """A loss with its optional members, as `completed` returns it."""

    @property
    def target_fit_loss(self) -> float:
        """The loss of the best fit by input 1 alone with w_1 > 0."""
        ...

    @property
    def required_sign_of_a(self) -> float:
        """The sign of a for that fit; 0.0 where there is nothing to learn."""
        ...

    def line(self, w: Array) -> Line | None:
        """Return the `Line` on which the flow from w, shape (d,), stays; None where there is none."""
        ...

    def region(self, a: float, w: Array) -> Region:
        """Return the smooth piece that holds (a, w)."""
        ...


class Known:
    """A loss of `theory`: its kinks, lines and limits are known, and used."""


NEEDED = ("d", "loss", "gradient")
SAID = ("target_fit_loss", "required_sign_of_a", "line", "region")  # the optional members of a user-defined loss
RENAMED_MEMBERS = {"goal": "target_fit_loss", "aim": "required_sign_of_a", "cell": "region"}


def completed(loss: Loss) -> CompletedLoss:
    """Return a loss of `theory` unchanged, and a user-defined loss with its missing optional members.

    The values of a user-defined loss are checked at each call.

    Raises ValueError for an object that is no loss: see the docstring of this module.
    """
    kind = type(loss)
    known = next((one for one in kind.__mro__ if Known in one.__bases__), None)
    if isinstance(loss, Own) or (known is not None and not _changed(kind, known)):
        return cast(CompletedLoss, loss)
    return Own(loss)


def _changed(kind: type, base: type, names: tuple[str, ...] | None = None) -> bool:
    """Return whether a class overrides members of its base, or those in `names` if given.

    Data fields are numbers, not behaviour, and do not count.
    """
    fields = getattr(base, "__dataclass_fields__", {})
    over = {name for one in kind.__mro__[: kind.__mro__.index(base)] for name in vars(one) if name[:2] != "__"}
    return any(hasattr(base, name) and name not in fields for name in over if names is None or name in names)


def _says(loss: Loss, name: str) -> bool:
    """Return whether a loss has a member that belongs to its own loss and gradient.

    A member inherited from a class whose loss or gradient is overridden does not belong to them.
    """
    kind = type(loss)
    source = next((one for one in kind.__mro__ if name in vars(one)), None)
    if source is None:  # a member of the instance, if there is one
        return hasattr(loss, name)
    if issubclass(source, Known):  # any helper of its may be overridden
        made_of = tuple(set(dir(source)) - set(SAID))
        return not _changed(kind, source, made_of)
    return not _changed(kind, source, NEEDED)


class Own:
    """A user-defined loss: smooth, and with nothing to learn, unless it defines otherwise.

    Its methods return the values of the loss as float arrays of the shapes in the docstring of this module; anything
    else is a ValueError.

    Attributes:
        inner: the loss
    """

    def __init__(self, inner: Loss):
        missing = next((name for name in NEEDED if isinstance(inner, type) or not hasattr(inner, name)), None)
        if missing:
            made = f": pass an instance, {inner.__name__}(...)" if isinstance(inner, type) else ""
            raise ValueError(f"{_NEEDS}, got {inner!r:.60} without {missing}{made}")
        for name in NEEDED[1:]:
            if not callable(getattr(inner, name)):
                raise ValueError(f"{_NEEDS}, got {name} = {getattr(inner, name)!r:.60}: it must be a function")
        self.inner: Any = inner
        self.d = whole("d of a loss", inner.d, 1)
        for old, new in RENAMED_MEMBERS.items():
            if hasattr(inner, old):
                raise ValueError(f"{old} of a loss is called {new} now: rename it")
        self.says = {name for name in SAID if _says(inner, name)}
        self.target_fit_loss, sign = (
            number(f"{name} of a loss", getattr(inner, name)) if name in self.says else 0.0 for name in SAID[:2]
        )
        self.required_sign_of_a = float(np.sign(sign))

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        return _of_shape("loss(a, w)", self.inner.loss(a, w), _points(a, w), a, w)

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., d)."""
        found = self.inner.gradient(a, w)
        if not isinstance(found, tuple | list) or len(found) != 2:
            raise ValueError(f"gradient(a, w) must give the pair (dL/da, dL/dw), got {found!r:.60}: return da, dw")
        shape = _points(a, w)
        da = _of_shape("dL/da of gradient(a, w)", found[0], shape, a, w)
        return da, _of_shape("dL/dw of gradient(a, w)", found[1], (*shape, self.d), a, w)

    def line(self, w: Array) -> Line | None:
        """Return the loss's own, or None."""
        found = self.inner.line(w) if "line" in self.says else None
        if found is not None and not isinstance(found, Line):
            raise ValueError(f"line(w) must give a theory.Line or None, got {found!r:.60}: leave it out, if in doubt")
        return found

    def region(self, a: float, w: Array) -> Region:
        """Return the loss's own, or the whole space."""
        found = self.inner.region(a, w) if "region" in self.says else SmoothRegion(self)
        if not isinstance(found, Region):
            raise ValueError(
                f"region(a, w) must give a Region of theory.losses.regions, got {found!r:.60}: smooth losses need none"
            )
        return SmoothRegion(self) if type(found) is SmoothRegion and found.loss is self.inner else found


_NEEDS = "a loss needs d, loss(a, w) and gradient(a, w)"


def _points(a: ArrayLike, w: ArrayLike) -> tuple[int, ...]:
    return np.broadcast_shapes(np.shape(a), np.shape(w)[:-1])


def _of_shape(name: str, value: ArrayLike, shape: tuple[int, ...], a: ArrayLike, w: ArrayLike) -> Array:
    found = real(name, value)
    if found.shape != shape:
        raise ValueError(
            f"{name} must have shape {shape} of a {np.shape(a)} and w {np.shape(w)}, got {found.shape}: "
            "the last axis of w holds the inputs, others the points"
        )
    return found


@dataclass(frozen=True)
class Line(Known):
    """One input (d = 1) of any distribution and any target: two smooth sides, w > 0 and w < 0.

    Raises ValueError for a value that is no number or a negative moment. Source: section 2 (d = 1); other fits: this
    project.

    Attributes:
        c_plus, c_minus: float, the second moment of each side; C+ = E[x^2 1{x > 0}] and C- = E[x^2 1{x < 0}] for
            relu; at least 0
        k_plus, k_minus: float, the a |w| that fits the data on each side: 1 and 0 for the target relu(x)

    Examples:
        >>> Line().loss(2.0, [0.5]).item()
        0.0
        >>> Line.leaky(0.1).k_minus  # a leaky unit at w < 0 fits the target best with a < 0
        -0.19801980198019803
    """

    c_plus: float = 0.5
    c_minus: float = 0.5
    k_plus: float = 1.0
    k_minus: float = 0.0
    d = 1

    def __post_init__(self):
        """Raise ValueError unless the moments are second moments and the fits are numbers."""
        for name, value in zip(("c_plus", "c_minus", "k_plus", "k_minus"), four_numbers(*self.numbers), strict=True):
            object.__setattr__(self, name, value)

    @classmethod
    def leaky(cls, slope: float, c_plus: float = 0.5, c_minus: float = 0.5, target: float = 1.0) -> Line:
        """Return the loss of phi(z) = z for z > 0, slope z for z < 0, and the target `target` phi(x).

        The slope lies in [0, 1): anything else is a ValueError. Source: this project.
        """
        slope = slope_of(slope)
        target = number("target", target)
        c_plus, c_minus = moment("c_plus", c_plus), moment("c_minus", c_minus)
        minus = c_minus + slope**2 * c_plus
        opposite = -slope * (c_plus + c_minus) / minus if minus > 0 else 0.0
        return cls(c_plus + slope**2 * c_minus, minus, target, target * opposite)

    @property
    def numbers(self) -> tuple[float, float, float, float]:
        """(c_plus, c_minus, k_plus, k_minus)."""
        return self.c_plus, self.c_minus, self.k_plus, self.k_minus

    @property
    def target_fit_loss(self) -> float:
        """The loss where a w = k_plus, w > 0."""
        return self.c_minus * self.k_minus**2 / 2

    @property
    def required_sign_of_a(self) -> float:
        """The sign of the fit on w > 0; 0 where there is nothing to learn."""
        return float(np.sign(self.c_plus) * np.sign(self.k_plus))  # a product may underflow

    def side(self, sign: int) -> tuple[float, float]:
        """Return (second moment, fit) of the side w > 0 (sign 1) or w < 0 (sign -1)."""
        return (self.c_plus, self.k_plus) if sign > 0 else (self.c_minus, self.k_minus)

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., 1)."""
        return _loss_1d(*_line_point(a, w), *self.numbers)

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., 1)."""
        da, dw = _gradient_1d(*_line_point(a, w), *self.numbers)
        return da, dw[..., None]

    def line(self, w: Array) -> Line:
        """Return this loss."""
        return self

    def region(self, a: float, w: Array) -> Region:
        """Return the side that w, shape (1,), lies on; w = 0 belongs to w < 0."""
        return LineSide.at(self, 1 if w[0] > 0 else -1, a)


@dataclass(frozen=True)
class Population(Known):
    """The population x ~ N(0, I_d) with the target `target` phi(x_1).

    phi(z) = z for z > 0 and slope z for z < 0.

    Raises ValueError for numbers out of range; d = 3.0 is taken as 3. Source: section 2; target and slope: this
    project, with phi = (1 - slope) relu + slope id the loss is (1 - slope)^2 L_relu + slope L_linear.

    Attributes:
        d: int, number of inputs, at least 1
        target: float other than 0; -1 is the target -relu(x_1)
        slope: float in [0, 1), the slope of a leaky unit (network and target alike); 0 is relu

    Examples:
        >>> Population(2, target=-1.0).loss(-0.5, [2.0, 0.0]).item()
        0.0
    """

    d: int
    target: float = 1.0
    slope: float = 0.0
    target_fit_loss = 0.0

    @property
    def required_sign_of_a(self) -> float:
        """The sign of the target."""
        return float(np.sign(self.target))

    def __post_init__(self):
        """Raise ValueError for a dimension that is no whole number, a target 0 or a slope outside [0, 1)."""
        _settle(self, slope=slope_of(self.slope))

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        a, w = self._neuron(a, w)
        relu = _population_loss(a, w)
        if self.slope:
            aw = a[..., None] * w
            linear = ((aw[..., 0] - 1) ** 2 + (aw[..., 1:] ** 2).sum(axis=-1)) / 2
            relu = (1 - self.slope) ** 2 * relu + self.slope * linear
        return self.target**2 * relu

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., d); both are 0 at w = 0."""
        a, w = self._neuron(a, w)
        da, dw = _population_gradient(a, w)
        if self.slope:
            share = (1 - self.slope) ** 2
            residual = a[..., None] * w
            residual[..., 0] -= np.where(w.any(axis=-1), 1.0, 0.0)
            da = share * da + self.slope * (residual * w).sum(axis=-1)
            dw = share * dw + self.slope * a[..., None] * residual
        return self.target * da, self.target**2 * dw

    def line(self, w: Array) -> Line | None:
        """Return the loss on the w_1 axis if w, shape (d,), lies on it: the flow never leaves it."""
        return None if w[1:].any() else Line.leaky(self.slope, target=self.target)

    def region(self, a: float, w: Array) -> Region:
        """Return the whole space off the w_1 axis: there the loss is smooth."""
        return SmoothRegion(self)

    def _neuron(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        a, w = neuron(a, vectors(w, self))
        return a / self.target if self.target != 1 else a, w  # L = target^2 L_1(a / target, w)


@dataclass(frozen=True)
class Independent(Known):
    """d Gaussian inputs on which the target relu(z) does not depend: the loss when input 1 is pruned.

    Attributes:
        d: as in `Population`
        target: as in `Population`
    """

    d: int
    target: float = 1.0
    target_fit_loss, required_sign_of_a = 0.0, 0.0

    def __post_init__(self):
        """Raise ValueError for a dimension that is no whole number of inputs, or a target 0."""
        _settle(self)

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""
        a, w = neuron(a, vectors(w, self))
        ar = a * np.hypot.reduce(w, axis=-1)
        return ar**2 / 4 - self.target * ar / (2 * np.pi) + self.target**2 / 4

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw) of a (...) and w (..., d); both are 0 at w = 0."""
        a, w = neuron(a, vectors(w, self))
        r = np.hypot.reduce(w, axis=-1)
        pull = a * r / 2 - self.target / (2 * np.pi)
        return pull * r, (pull * a / np.where(r > 0, r, 1.0))[..., None] * w

    def line(self, w: Array) -> None:
        """Return None: w keeps its direction, but this loss has no `Line`."""

    def region(self, a: float, w: Array) -> Region:
        """Return the whole space."""
        return SmoothRegion(self)


def _settle(loss: Population | Independent, **more: float) -> None:
    """Store the checked fields in a loss: d as int, its numbers as floats."""
    checked = {"d": whole("d", loss.d, 1), "target": number("target", loss.target), **more}
    if checked["target"] == 0:
        raise ValueError("target must not be 0, got 0: it is the factor of relu(x_1), 1 or -1")
    for name, value in checked.items():
        object.__setattr__(loss, name, value)


def slope_of(slope: float) -> float:
    """Return the slope of a leaky unit as float; ValueError unless it lies in [0, 1)."""
    found = number("slope", slope)
    if not 0 <= found < 1:
        raise ValueError(f"slope must lie in [0, 1), got {slope}: 0 is relu, 1 would be linear")
    return found


def _line_point(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    return real("a", a), real("w", w)[..., 0]


def vectors(w: ArrayLike, loss: Loss) -> Array:
    """Return w, shape (..., d), as floats; ValueError unless it has the inputs of the loss."""
    w = real("w", w)
    if w.ndim == 0 or w.shape[-1] != loss.d:
        raise ValueError(
            f"w must have shape (..., {loss.d}) for {type(loss).__name__} of {loss.d} inputs, got {w.shape}"
        )
    return w
