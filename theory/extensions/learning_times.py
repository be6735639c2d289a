"""The time to learn: the first time at which the loss of the flow is below a tolerance.

For d = 1 the closed form is inverted. Let zeta = (a + w)^2, m = a w, D = sqrt(4 + c^2), S = 2 + D, kappa = c^2 / S. On
w > 0 the flow is the logistic equation zeta' = C+ (zeta + kappa)(S - zeta) / 2, and m - 1 = (zeta - S)(zeta + kappa)
/ (4 zeta), so that C+ D t = ln(|m0 - 1| / |m - 1|) + ln(zeta0 / zeta) + 2 ln((zeta + kappa) / (zeta0 + kappa)).

For d > 1 the flow is that of `theory.flow.coordinates`, followed by the linearly implicit Euler method, extrapolated to
order 7: a start near the ray -e_1 moves along a slow manifold for so long that an explicit method is too expensive.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.exact.limits import LEARNS, verdicts
from theory.flow.coordinates import Slice, polar_descent, polar_loss
from theory.losses.formulas import split
from theory.validation import Array, finite, moment, neuron, scalar

TOLERANCE = 1e-6
SUBSTEPS = (1, 2, 3, 4, 5, 6, 7)
PRECISION = 1e-8  # of each step, relative to r and psi
MOST_STEPS = 5000


def time_to_learn(a0: ArrayLike, w0: ArrayLike, tolerance: float = TOLERANCE, c_plus: float = 0.5) -> Array:
    """Return the first time at which the loss of the gradient flow is at or below `tolerance`.

    Source: this project (Theorem A.1 inverted; for d > 1 the flow at constant c).

    Args:
        a0: array_like, shape (...)
        w0: array_like, shape (...) for d = 1, or (..., d) (one axis more than a0) for the population of d inputs
        tolerance: float, above 0 and below the loss of a dead neuron, c_plus / 2 for d = 1 and 1/4 for d > 1
        c_plus: float above 0, C+ = E[x^2 1{x > 0}] for d = 1; not read for d > 1

    Returns:
        ndarray, shape (...): at least 0; NaN where the start never learns (`theory.verdicts`). d = 1: exact, to a few
            units in the last place of the largest logarithm. d > 1: numerical, to a relative 1e-6.

    Raises:
        ValueError: starts that `theory.verdicts` rejects, a tolerance or a moment out of range, or a start so close to
            the ray -e_1 that its time is not found within the maximal number of steps.

    Examples:
        >>> time_to_learn([1.0, -0.5, -1.0], [0.5, 1.0, 0.5]).round(3).tolist()
        [5.689, 8.071, nan]
        >>> float(time_to_learn(1.0, [-0.8, 0.6]).round(3))
        22.387
    """
    codes = verdicts(a0, w0)
    a, w = finite(a0=a0, w0=w0)
    a, w = neuron(a, w[..., None] if w.ndim == a.ndim else w)
    scale = moment("c_plus", c_plus) if w.shape[-1] == 1 else 0.5
    tolerance = _checked(tolerance, scale / 2)
    out = np.full(a.shape, np.nan)
    good = codes == LEARNS
    if w.shape[-1] == 1:
        out[good] = _exact(a[good], w[good][:, 0], tolerance, scale)
    else:
        along, across, r = split(w[good])
        out[good] = _followed(a[good], r, np.arctan2(across, -along), tolerance)
    return out


def _checked(tolerance: float, dead: float) -> float:
    found = scalar(tolerance)
    if found is None or not 0 < found < dead:
        raise ValueError(
            f"tolerance must lie above 0 and below {dead:g}, the loss of a dead neuron, got {tolerance!r:.60}: try 1e-6"
        )
    return float(found)


def _exact(a: Array, w: Array, tolerance: float, c_plus: float) -> Array:
    A = a + w
    B = a - w
    c = A * B
    gap = 1 - a * w
    reach = np.sqrt(2 * tolerance / c_plus)
    D = np.hypot(2, c)
    end = 2 - 2 * np.copysign(reach, gap)  # twice a w at the end
    zeta = end + np.hypot(end, c)
    far = np.maximum(abs(gap) / reach, 1)
    # ln(zeta0) - 2 ln(zeta0 + kappa) with the factor A^2 taken out: near the separatrix it underflows
    start = -2 * np.log(A) - 2 * np.log1p(B * B / (2 + D))
    time = (np.log(far) + start - np.log(zeta) + 2 * np.log(zeta + c * c / (2 + D))) / (c_plus * D)
    return np.where(far > 1, np.maximum(time, 0), 0.0)


def _followed(a: Array, r: Array, psi: Array, tolerance: float) -> Array:
    """Follow starts, each with its own step, until their loss is at the tolerance."""
    c = (abs(a) - r) * (abs(a) + r)
    sign = np.where(a < 0, -1.0, 1.0)
    y = np.stack([np.where(c < 0, a, r), psi])
    out = np.zeros(a.shape)
    going = np.flatnonzero(polar_loss(a, r, psi) > tolerance)
    # the 1 is a rate of the target, which gives time a scale; those of the neuron are shares of its size
    step = 1e-3 / (1 + abs(_scaled(Slice(c, sign), y, np.stack(Slice(c, sign).velocity(*y)))).max(axis=0, initial=0))
    for _ in range(MOST_STEPS):
        if not going.size:
            return out
        flow = Slice(c[going], sign[going])
        h = step[going]
        new, error = _step(flow, y[:, going], h)
        off = abs(_scaled(flow, y[:, going], error)).max(axis=0) / PRECISION
        ok = (off <= 1) & np.isfinite(new).all(axis=0) & (new[1] > 0) & (flow.neuron(new[0])[1] > 0)
        there = ok & (polar_loss(*flow.neuron(new[0]), new[1]) <= tolerance)
        out[going] += np.where(ok, h, 0)
        if there.any():
            last = going[there]
            part = _part(flow, there)
            out[last] += _landing(part, y[:, last], h[there], tolerance) - h[there]
        y[:, going] = np.where(ok, new, y[:, going])
        with np.errstate(divide="ignore", invalid="ignore"):
            factor = 0.8 * off ** (-1 / len(SUBSTEPS))
        step[going] = h * np.where(ok, np.clip(factor, 0.2, 4), np.clip(np.nan_to_num(factor, nan=0.1), 0.1, 0.5))
        going = going[~there]
    raise ValueError(
        f"{going.size} starts have not learned after {MOST_STEPS} steps: they lie too close to the ray -e_1, "
        "choose starts farther from it"
    )


def _scaled(flow: Slice, y: Array, change: Array) -> Array:
    """Return a change of (x, psi) as shares of r and psi."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return change / np.stack([flow.neuron(y[0])[1], y[1]])


def _part(flow: Slice, where: NDArray[np.bool_]) -> Slice:
    return Slice(flow.c[where], flow.sign_a[where])


def _step(flow: Slice, y: Array, h: Array) -> tuple[Array, Array]:
    """Return the state after a step h, and an estimate of its error."""
    (xx, xp), (px, pp) = flow.jacobian(*y)
    table: list[Array] = []
    with np.errstate(all="ignore"):  # a step that overflows is rejected
        for n in SUBSTEPS:
            s = h / n
            z = y
            det = (1 - s * xx) * (1 - s * pp) - s * s * xp * px
            for _ in range(n):
                fx, fp = flow.velocity(*z)
                z = z + s / det * np.stack([(1 - s * pp) * fx + s * xp * fp, s * px * fx + (1 - s * xx) * fp])
            row = [z]
            for k, before in enumerate(table, start=1):
                row.append(row[-1] + (row[-1] - before) / (n / (n - k) - 1))
            table = row
    return np.minimum(table[-1], [[np.inf], [np.pi]]), table[-1] - table[-2]


def _landing(flow: Slice, y: Array, h: Array, tolerance: float) -> Array:
    """Return the time within a step at which the loss equals the tolerance.

    It is found by Newton's method on the logarithm of the loss.
    """

    def height(state: Array) -> tuple[Array, Array]:
        a, r = flow.neuron(state[0])
        loss = polar_loss(a, r, state[1])
        return np.log(loss / tolerance), polar_descent(a, r, state[1]) / loss

    above = height(y)[0]
    below = height(_step(flow, y, h)[0])[0]
    time = h * above / (above - below)
    for _ in range(5):
        over, rate = height(_step(flow, y, time)[0])
        time = np.clip(time + over / rate, 0, h)
    return time
