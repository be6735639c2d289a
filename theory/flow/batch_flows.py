"""How `theory.flow.batch` follows many starts, one function a loss:

(loss, a0 (n,), w0 (n, d), t (m,) above 0) -> a (n, m), w (n, m, d), status (n,) as in `theory.flow.batch.Batch`
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from theory.exact.closed_form import closed_form
from theory.exact.limits import BAND
from theory.losses.formulas import split
from theory.losses.kinks import Kinks
from theory.losses.losses import Independent, Line, Loss, Population
from theory.losses.samples import Masked, Sample
from theory.validation import Array

RTOL = 1e-10  # of a step of the population; the largest error of 100,000 N(0, 1/d) starts, d = 10, t = 50, is 9e-9
SAMPLE_RTOL = 1e-9
AT_REST = 1e-12  # a finite sample rests where the gradient norm is at most this share of |(a, w)|

Followed = tuple[Array, Array, NDArray[np.int8]]


def follow(loss: Loss, a0: Array, w0: Array, t: Array) -> Followed:
    """Return (a, w, status) at the times t; a start within a relative 1e-12 of balanced is balanced."""
    return FLOWS[type(loss)](loss, balanced(a0, split(w0)[2]), w0, t)


def balanced(a0: Array, r0: Array) -> Array:
    """Return a0, put on +-r0 exactly where it is within a relative 1e-12 of it, r0 = |w0| being rounded."""
    return np.where(abs(abs(a0) - r0) <= BAND * r0, np.copysign(r0, a0), a0)


def _line(loss: Line, a0: Array, w0: Array, t: Array) -> Followed:
    a, w = closed_form(a0[:, None], w0, t, *loss.numbers)
    return a, w[..., None], np.zeros(len(a0), np.int8)


def _independent(loss: Independent, a0: Array, w0: Array, t: Array) -> Followed:
    """|w| moves as on a line that fits target / pi, and w keeps its direction."""
    r0 = split(w0)[2]
    a, r = closed_form(a0[:, None], r0[:, None], t, 0.5, 0.0, loss.target / np.pi)
    return a, r[..., None] * (w0 / np.where(r0 > 0, r0, 1.0)[:, None])[:, None], np.zeros(len(a0), np.int8)


def _population(loss: Population, a0: Array, w0: Array, t: Array) -> Followed:
    on_axis = ~w0[:, 1:].any(axis=1)
    if not on_axis.any():
        return _off_axis(loss, a0, w0, t)
    a, w, status = np.empty((len(a0), len(t))), np.zeros((len(a0), len(t), loss.d)), np.zeros(len(a0), np.int8)
    a[on_axis], w[on_axis, :, :1], _ = _line(loss.line(np.zeros(loss.d)), a0[on_axis], w0[on_axis, :1], t)
    if not on_axis.all():
        a[~on_axis], w[~on_axis], status[~on_axis] = _off_axis(loss, a0[~on_axis], w0[~on_axis], t)
    return a, w, status


def _off_axis(loss: Population, a0: Array, w0: Array, t: Array) -> Followed:
    """Follow q = a |w| and the angle; a = root alpha and w = root rho obey a target 1 on the clock |target| t."""
    from theory.compiled.population import follow as follow_population

    along, across, r0 = split(w0)
    root, sign = np.sqrt(abs(loss.target)), np.sign(loss.target)
    alpha, rho = sign * a0 / root, r0 / root
    c = (abs(alpha) - rho) * (abs(alpha) + rho)
    (q, angle), status = np.empty((2, len(a0), len(t))), np.empty(len(a0), np.int8)
    angle0 = np.copysign(np.arctan2(across, abs(along)), -along)  # psi, or -theta: whichever is nearer to 0
    share = (1 - loss.slope) ** 2
    follow_population(alpha * rho, angle0, c, t * abs(loss.target), share, float(loss.slope), RTOL, q, angle, status)
    alpha, rho = _point(q, c[:, None])
    w = np.empty((len(a0), len(t), loss.d))
    w[..., 0] = root * rho * np.where(np.signbit(angle), np.cos(angle), -np.cos(angle))
    w[..., 1:] = (root * rho * abs(np.sin(angle)))[..., None] * (w0[:, 1:] / across[:, None])[:, None]
    return sign * root * alpha, w, status


def _point(q: Array, c: Array) -> tuple[Array, Array]:
    """Return (a, |w|) from q = a |w| and c = a^2 - |w|^2: the larger of them first, so that nothing cancels."""
    with np.errstate(all="ignore"):  # NaN where a trajectory failed
        big = np.sqrt(np.hypot(c, 2 * q) / 2 + abs(c) / 2)
        small = abs(q) / big
    return np.copysign(np.where(c >= 0, big, small), q), np.where(c >= 0, small, big)


def _sample(loss: Sample, a0: Array, w0: Array, t: Array) -> Followed:
    if loss.d == 1:
        return _line(loss.line(np.ones(1)), a0, w0, t)
    kinks = loss.kinks
    one = (kinks.normal[None], kinks.pull[None], kinks.square[None], np.array([len(kinks.normal)]))
    a, w, status, _ = on_kinks(one, a0, w0, t, AT_REST)
    return a, w, status


def _masked(loss: Masked, a0: Array, w0: Array, t: Array) -> Followed:
    a, w, status = follow(loss.survivors, a0, w0[:, loss.mask], t)
    return a, loss.widen(w), status


def on_samples(x: Array, y: Array, a0: Array, w0: Array, t: Array, tolerance: float):
    """Return (a, w, status, gradient) of starts on relu samples of their own."""
    kinks = [Kinks.of(*sample, 0.0) for sample in zip(x, y, strict=True)]
    many = np.array([len(one.normal) for one in kinks])
    shape = (len(kinks), max(many.max(), 1))
    normal, pull, square = np.zeros((*shape, x.shape[2])), np.zeros((len(kinks), 2, shape[1])), None
    square = pull.copy()
    for i, one in enumerate(kinks):
        normal[i, : many[i]], pull[i, :, : many[i]], square[i, :, : many[i]] = one.normal, one.pull, one.square
    return on_kinks((normal, pull, square, many), a0, w0, t, tolerance)


def on_kinks(samples: tuple[Array, ...], a0: Array, w0: Array, t: Array, tolerance: float):
    """Return (a, w, status, gradient) of starts on samples of their own, or on one for all of them."""
    from theory.compiled.sample import follow_sample

    n, d = w0.shape
    a, w = np.empty((n, len(t))), np.empty((n, len(t), d))
    status, gradient = np.empty(n, np.int8), np.empty(n)
    # of one memory layout: the loop is compiled once
    *parts, many = samples
    parts = [np.require(part, float, "CW") for part in (*parts, a0, w0, split(w0)[2], t)]
    follow_sample(
        *parts[:3], np.require(many, np.int64, "CW"), *parts[3:], SAMPLE_RTOL, tolerance, a, w, status, gradient
    )
    return a, w, status, gradient


FLOWS: dict[type, Callable[[Loss, Array, Array, Array], Followed]] = {
    Line: _line,
    Population: _population,
    Independent: _independent,
    Sample: _sample,
    Masked: _masked,
}
