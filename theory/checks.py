"""Checks of what users pass in: each returns the value as numpy needs it, or says what, got, and what to do."""

from __future__ import annotations

from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def neuron(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Return a, shape (...), and w, shape (..., d), broadcast together as floats.

    Raises
    ------
    ValueError: w has no last axis of length d >= 1, or the leading shapes do not broadcast.
    """
    a, w = np.asarray(a, float), np.asarray(w, float)
    if w.ndim == 0 or w.shape[-1] == 0:
        raise ValueError(f"w must have shape (..., d) with d >= 1, got {w.shape}: for d = 1 pass w[..., None]")
    try:
        shape = np.broadcast_shapes(a.shape, w.shape[:-1])
    except ValueError:
        raise ValueError(
            f"a {a.shape} and w {w.shape} do not match: w needs the shape of a and a last axis of length d"
        ) from None
    return np.broadcast_to(a, shape), np.broadcast_to(w, (*shape, w.shape[-1]))


def finite(**arrays: ArrayLike) -> tuple[Array, ...]:
    """Return the named values as float arrays.

    Raises
    ------
    ValueError: one of them is no array of numbers, or holds NaN or infinity.
    """
    out = tuple(_numbers(name, value) for name, value in arrays.items())
    for name, value in zip(arrays, out, strict=True):
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} must be finite, got {value[~np.isfinite(value)].flat[0]}: remove such starts first"
            )
    return out


def _numbers(name: str, value: ArrayLike) -> Array:
    try:
        return np.asarray(value, float)
    except (TypeError, ValueError):
        raise ValueError(
            f"{name} must be a number or an array of numbers, got {value!r:.60}: rows need one length"
        ) from None


def together(*arrays: Array, names: tuple[str, ...]) -> tuple[Array, ...]:
    """Return the arrays broadcast together; raises ValueError with their names and shapes if they do not."""
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(names, arrays, strict=True))
        raise ValueError(
            f"shapes do not broadcast: {shapes}; add axes of length 1 where one must be repeated"
        ) from None


def moment(name: str, value: float) -> float:
    """Return a second moment as float; raises ValueError unless it is one finite number, at least 0."""
    if not isinstance(value, Real) or not 0 <= value < np.inf:
        raise ValueError(f"{name} must be a second moment, one number, at least 0, got {value!r:.60}: pass mean(x^2)")
    return float(value)


def number(name: str, value: float) -> float:
    """Return one finite number as float; raises ValueError unless it is one."""
    if not isinstance(value, Real) or not -np.inf < value < np.inf:
        raise ValueError(f"{name} must be one finite number, got {value!r:.60}: pass a float")
    return float(value)


def whole(name: str, value: float, least: int, most: float = np.inf) -> int:
    """Return a whole number as int; raises ValueError unless it is one, from least to most."""
    if not isinstance(value, Real) or not least <= value <= most or value % 1 != 0:  # inf % 1 is NaN
        span = f"at least {least}" if most == np.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number, {span}, got {value!r:.60}: pass an int")
    return int(value)


def four_numbers(c_plus: float, c_minus: float, k_plus: float, k_minus: float) -> tuple[float, float, float, float]:
    """Return the two second moments and the two fits of d = 1 as floats; ValueError unless they can be such."""
    return moment("c_plus", c_plus), moment("c_minus", c_minus), number("k_plus", k_plus), number("k_minus", k_minus)


def known(what: str, name: str, names: tuple[str, ...]) -> None:
    """Raise ValueError unless name is one of names; the message lists them, nearest first."""
    if name not in names:
        from difflib import SequenceMatcher

        order = sorted(names, key=lambda other: -SequenceMatcher(None, str(name).lower(), other.lower()).ratio())
        raise ValueError(f"unknown {what} {name!r}: did you mean {order[0]!r}? Known: {', '.join(order)}")
