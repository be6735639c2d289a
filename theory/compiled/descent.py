"""The compiled loop of `theory.extensions.gradient_descent`. Loaded when used: numba is heavy.

Nothing is fused or reordered (no fastmath): on a line the arithmetic of a and of w is the same up to signs, so that
a = -w stays exact.
"""

from __future__ import annotations

import numpy as np

from theory.compiled.compiler import strict

LEARNED, STATIONARY, DIVERGED, MAX_STEPS = range(4)
TOO_LARGE = 1e100  # the next step cubes it


@strict
def sin_minus_x_cos(x):
    """Return G(x) = sin x - x cos x for one 0 <= x <= pi.

    The formula is that of `theory.losses.formulas.sin_minus_x_cos`.
    """
    if x >= 0.25:
        return np.sin(x) - x * np.cos(x)
    y = x * x
    tail = 1 / 840 + y * (-1 / 45360 + y * (1 / 3991680 - y / 518918400))
    return x * y * (1 / 3 + y * (-1 / 30 + y * tail))


@strict
def population_at(a, u, v):
    """Return (loss, dL/da, dL/du, dL/dv) of the population at w = u e_1 + v n.

    n is a unit vector orthogonal to e_1, and v is not 0.

    A step can carry v through 0: v keeps its sign, and only its size enters the angle.
    """
    across = abs(v)
    r = np.hypot(u, across)
    theta = np.arctan2(across, u)
    psi = np.arctan2(across, -u)
    ar = a * r
    loss = (ar - 1) ** 2 / 4 + ar * (np.sin(theta / 2) ** 2 - sin_minus_x_cos(theta) / (2 * np.pi))
    da = a * r * r / 2 - r * sin_minus_x_cos(psi) / (2 * np.pi)
    square = a * a / 2
    pull = a / (2 * np.pi)
    sine = across / r
    return loss, da, square * u - pull * (psi + sine * (u / r)), square * v - pull * (sine * (v / r))


@strict
def line_at(a, w, numbers):
    """Return (loss, dL/da, dL/dw) in d = 1, as in `theory.Line`.

    Args:
        numbers: (c_plus, c_minus, k_plus, k_minus)
    """
    c_plus, c_minus, k_plus, k_minus = numbers
    if w > 0:
        off = a * w - k_plus
        return (c_plus * off * off + c_minus * k_minus * k_minus) / 2, c_plus * off * w, c_plus * off * a
    off = a * -w - k_minus
    loss = (c_minus * off * off + c_plus * k_plus * k_plus) / 2
    return (loss, c_minus * off * -w, c_minus * off * -a) if w < 0 else (loss, 0.0, 0.0)


@strict
def at_point(a, u, v, numbers):
    """Return (loss, dL/da, dL/du, dL/dv) of the line where v = 0, else of the population.

    A run with v = 0 never leaves the line.
    """
    if v != 0:
        return population_at(a, u, v)
    loss, da, du = line_at(a, u, numbers)
    return loss, da, du, 0.0


@strict
def run(start, numbers, step, max_steps, learned, at, rows):
    """Take steps of gradient descent from start = (a, u, v).

    The run ends when the loss is below `learned`, when a step changes nothing, when it diverges, or after max_steps.

    Returns (status, steps taken, rows saved).

    Args:
        at: int64 array, increasing, the last of them beyond max_steps: steps whose state becomes a row (a, u, v, loss)
        rows: float64 array, shape (len(at), 4), filled here; the row after the last saved one is the final state
    """
    a, u, v = start
    saved = 0
    status = MAX_STEPS
    for taken in range(max_steps + 1):
        loss, da, du, dv = at_point(a, u, v, numbers)
        rows[saved] = a, u, v, loss
        if taken == at[saved]:
            saved += 1
            rows[saved] = a, u, v, loss
        next_a = a - step * da
        next_u = u - step * du
        next_v = v - step * dv
        if loss < learned:
            status = LEARNED
        elif not (abs(next_a) < TOO_LARGE and abs(next_u) < TOO_LARGE and abs(next_v) < TOO_LARGE):
            status = DIVERGED
        elif next_a == a and next_u == u and next_v == v:
            status = STATIONARY
        if status != MAX_STEPS or taken == max_steps:
            break
        a, u, v = next_a, next_u, next_v
    return status, taken, saved
