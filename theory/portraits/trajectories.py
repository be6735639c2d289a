"""Trajectories of the flow that a phase plane shows, from a start that lies in the plane."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from theory.exact.closed_form import closed_form
from theory.flow.integrate import integrate
from theory.losses.losses import Population
from theory.validation import Array, finite, number

IN_PLANE = 1e-9  # a start is in a plane of constant c up to this share of a^2 + |w|^2 + |c|


def on_line(c_plus: float, c_minus: float, a0: float, w0: ArrayLike, times: ArrayLike) -> tuple[Array, Array]:
    """Return the exact (a, w) of one input with the moments C+ and C- at some times."""
    a0, w0 = _start(a0, w0)
    if w0.size != 1:
        raise ValueError(f"w0 must be one number, since the plane is that of one input, got shape {w0.shape}")
    (times,) = finite(times=times)
    return closed_form(a0, w0.item(), np.atleast_1d(times), c_plus, c_minus)


def at_constant_c(c: float, sign_a: int, a0: float, w0: ArrayLike, times: ArrayLike) -> tuple[Array, Array]:
    """Return the integrated (a, w) of several inputs at some times; `sign_a` 0: a0 may have either sign."""
    a0, w0 = _start(a0, w0)
    if w0.ndim != 1 or w0.size < 2:
        raise ValueError(f"w0 must have shape (d,) with d > 1, since the plane is that of several inputs, got {w0!r}")
    check_in_plane(c, sign_a, a0, w0)
    (times,) = finite(times=times)
    run = integrate(Population(w0.size), a0, w0, np.atleast_1d(times))
    if run.status == "failed":
        raise RuntimeError(f"the flow from a0 = {a0:g}, w0 = {w0.tolist()} could not be followed: {run.message}")
    return run.a, run.w


def _start(a0: float, w0: ArrayLike) -> tuple[float, Array]:
    (w0,) = finite(w0=w0)
    return number("a0", a0), w0


def check_in_plane(c: float, sign: int, a0: float, w0: Array) -> None:
    """Raise ValueError for a start outside the plane of constant c, which its flow never enters."""
    r = float(np.hypot.reduce(w0))
    got = (abs(a0) - r) * (abs(a0) + r)
    if abs(got - c) > IN_PLANE * (a0 * a0 + r * r + abs(c)):
        raise ValueError(
            f"the start must have a0^2 - |w0|^2 = {c:g}, got {got:g}: scale a0 or w0, or pass c = {got:g} to the plane"
        )
    if a0 * sign < 0:
        raise ValueError(f"a0 must have the sign of the plane's sign_a = {sign}, got {a0:g}: pass sign_a = {-sign}")
