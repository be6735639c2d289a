"""Checks of user input: each returns the value as numpy needs it, or raises ValueError.

The message says what is wrong, what was passed, and what to do.
"""

from __future__ import annotations

import contextlib
from numbers import Real
from typing import TypeGuard

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def neuron(a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
    """Return a, shape (...), and w, shape (..., d), broadcast together as floats.

    Raises:
        ValueError: w has no last axis of length d >= 1, or the leading shapes do not broadcast.
    """
    a, w = real("a", a), real("w", w)
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

    Raises:
        ValueError: one of them is no array of numbers, or holds NaN or infinity.
    """
    out = tuple(real(name, value) for name, value in arrays.items())
    for name, value in zip(arrays, out, strict=True):
        if not np.isfinite(value).all():
            raise ValueError(
                f"{name} must be finite, got {value[~np.isfinite(value)].flat[0]}: remove such starts first"
            )
    return out


def real(name: str, value: ArrayLike) -> Array:
    """Return a number, an array of numbers or lists of them as a float array; NaN and infinity pass.

    Raises:
        ValueError: anything else: booleans, complex numbers, dates, text, objects, masked arrays, rows of several
            lengths.
    """
    if type(value) is np.ndarray and value.dtype == np.float64:  # the inner loops
        return value
    if isinstance(value, float) or _is_real(value):
        return np.asarray(_as_float(value, name), float)
    wrong = _masked_or_boolean(value)
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        raise ValueError(_no_numbers(name, value, "rows need one length")) from None
    except RuntimeError as error:  # of a tensor that requires its gradient
        raise ValueError(_no_numbers(name, value, f"{error}")) from None
    if wrong or found.dtype.kind not in "iuf":
        raise ValueError(_no_numbers(name, value, wrong or _KINDS[found.dtype.kind]))
    return found.astype(float, copy=False)


# numpy would convert most of these without a warning; the keys are the letters of a dtype's kind
_KINDS = {
    "b": "booleans are not numbers, pass 0.0 and 1.0",
    "c": "complex numbers are not allowed, pass their real part",
    "m": "times have a unit, divide by it: t / np.timedelta64(1, 's')",
    "M": "dates are not numbers, pass the time since the first: (t - t[0]) / np.timedelta64(1, 's')",
    "U": "text is not a number, pass float(...) of it",
    "S": "text is not a number, pass float(...) of it",
    "O": "objects are not numbers, pass floats",
    "T": "text is not a number, pass float(...) of it",
    "V": "records are not numbers, pass one of their fields",
    "ma": "entries that are masked have no value, pass x[~x.mask] or x.filled(0.0)",
}


def _no_numbers(name: str, value: object, hint: str) -> str:
    return f"{name} must be a number or an array of numbers, got {value!r:.60}: {hint}"


def _masked_or_boolean(value: object) -> str:
    """Return why a value, or one within lists, is rejected that numpy would convert to a number.

    The result is empty where no value is rejected.
    """
    if isinstance(value, np.ma.MaskedArray):
        return _KINDS["ma"]
    if isinstance(value, bool | np.bool_):
        return _KINDS["b"]
    if isinstance(value, list | tuple):
        return next((why for why in map(_masked_or_boolean, value) if why), "")
    return ""


def _is_real(value: object) -> TypeGuard[float]:
    return isinstance(value, Real) and not isinstance(value, bool | np.timedelta64)  # numpy's is an integer to Python


def _as_float(value: float, name: str) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} must be below 1.8e308 in size, got a whole number beyond it: scale it down") from None


def scalar(value: object) -> float | None:
    """Return one real number, of Python, of numpy or an array without axes; None for all else.

    Booleans are not numbers.
    """
    if _is_real(value):
        return value
    if getattr(value, "shape", None) == () and not isinstance(value, np.ma.MaskedArray):
        with contextlib.suppress(TypeError, ValueError, RuntimeError):
            found = np.asarray(value)
            return found.item() if found.dtype.kind in "iuf" else None
    return None


def bits(value: ArrayLike) -> NDArray[np.bool_] | None:
    """Return a mask, an array or lists of booleans or of 0 and 1, as bool; None for anything else."""
    with contextlib.suppress(TypeError, ValueError, RuntimeError):
        found = np.array(value)
        masked = isinstance(value, np.ma.MaskedArray)
        if not masked and found.dtype.kind in "biuf" and np.isin(found, (0, 1)).all():
            return found.astype(bool)
    return None


def together(*arrays: Array, names: tuple[str, ...]) -> tuple[Array, ...]:
    """Return the arrays broadcast together; raises ValueError with their names and shapes if they do not."""
    try:
        return tuple(np.broadcast_arrays(*arrays))
    except ValueError:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in zip(names, arrays, strict=True))
        raise ValueError(
            f"shapes do not broadcast: {shapes}; add axes of length 1 where one must be repeated"
        ) from None


def _one(name: str, value: object) -> float:
    """Return one real number as float, NaN for anything else."""
    found = scalar(value)
    return np.nan if found is None else _as_float(found, name)


def moment(name: str, value: float) -> float:
    """Return a second moment as float; raises ValueError unless it is one finite number, at least 0."""
    found = _one(name, value)
    if not 0 <= found < np.inf:
        raise ValueError(f"{name} must be a second moment, one number, at least 0, got {value!r:.60}: pass mean(x^2)")
    return found


def number(name: str, value: float) -> float:
    """Return one finite number as float; raises ValueError unless it is one."""
    found = _one(name, value)
    if not -np.inf < found < np.inf:
        raise ValueError(f"{name} must be one finite number, got {value!r:.60}: pass a float")
    return found


def positive(name: str, value: float, hint: str = "pass a positive number") -> float:
    """Return one finite number above 0 as float; raises ValueError unless it is one."""
    found = number(name, value)
    if not found > 0:
        raise ValueError(f"{name} must be above 0, got {value!r:.60}: {hint}")
    return found


def share(name: str, value: float, hint: str) -> float:
    """Return one number between 0 and 1 as float.

    Raises ValueError unless it lies there, both ends excluded.
    """
    found = _one(name, value)
    if not 0 < found < 1:
        raise ValueError(f"{name} must lie in (0, 1), got {value!r:.60}: {hint}")
    return found


def whole(name: str, value: float, least: int, most: float = np.inf) -> int:
    """Return a whole number as int; raises ValueError unless it is one, from least to most."""
    found = scalar(value)
    if found is None or not least <= found <= most or found % 1 != 0:  # inf % 1 is NaN
        span = f"at least {least}" if most == np.inf else f"from {least} to {most}"
        raise ValueError(f"{name} must be a whole number, {span}, got {value!r:.60}: pass an int")
    return int(found)


def sign_of(name: str, value: int, hint: str) -> int:
    """Return 1 or -1 as int; raises ValueError unless it is one of them."""
    found = scalar(value)
    if found not in (1, -1):
        raise ValueError(f"{name} must be 1 or -1, got {value!r:.60}: {hint}")
    return int(found)


def four_numbers(c_plus: float, c_minus: float, k_plus: float, k_minus: float) -> tuple[float, float, float, float]:
    """Return the two second moments and the two fits of d = 1 as floats.

    Raises ValueError unless they are valid.
    """
    return moment("c_plus", c_plus), moment("c_minus", c_minus), number("k_plus", k_plus), number("k_minus", k_minus)


def known(what: str, name: str, names: tuple[str, ...]) -> None:
    """Raise ValueError unless name is one of names; the message lists them, nearest first."""
    if not isinstance(name, str) or name not in names:
        from difflib import SequenceMatcher

        order = sorted(names, key=lambda other: -SequenceMatcher(None, str(name).lower(), other.lower()).ratio())
        raise ValueError(f"unknown {what} {name!r}: did you mean {order[0]!r}? Known: {', '.join(order)}")
