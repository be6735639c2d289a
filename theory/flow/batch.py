"""Many independent trajectories at once.

`integrate_batch` follows starts on one loss, `settle_samples` follows each start on its own data set.

d = 1 and the w_1 axis use the closed form, never a solver; the Gaussian population and finite samples run in compiled
loops (`theory.compiled.population`, `theory.compiled.sample`), each trajectory with its own step size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.exact.closed_form import closed_form, refuse_large
from theory.exact.limits import BAND
from theory.flow.units import Exponents
from theory.losses.formulas import split
from theory.losses.kinks import Kinks
from theory.losses.losses import Independent, Line, Loss, Population
from theory.losses.samples import Masked, Sample
from theory.reprs import short_repr
from theory.validation import Array, bits, finite, known, number

RTOL = 1e-10  # of a step of the population; the largest error of 100,000 N(0, 1/d) starts, d = 10, t = 50, is 9e-9
SAMPLE_RTOL = 1e-9
FAILED = 2  # as in STATUSES
AT_REST = 1e-12  # a finite sample rests where the gradient norm is at most this share of |(a, w)|

Followed = tuple[Array, Array, NDArray[np.int8]]
Settled = tuple[Array, Array, NDArray[np.int8], Array]


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
    a = np.empty((len(a0), len(t)))
    w = np.zeros((len(a0), len(t), loss.d))
    status = np.zeros(len(a0), np.int8)
    line = loss.line(np.zeros(loss.d))
    assert line is not None, "on the axis the flow is that of a line"
    a[on_axis], w[on_axis, :, :1], _ = _line(line, a0[on_axis], w0[on_axis, :1], t)
    if not on_axis.all():
        a[~on_axis], w[~on_axis], status[~on_axis] = _off_axis(loss, a0[~on_axis], w0[~on_axis], t)
    return a, w, status


def _off_axis(loss: Population, a0: Array, w0: Array, t: Array) -> Followed:
    """Follow q = a |w| and the angle of starts off the w_1 axis.

    a = root alpha and w = root rho obey the flow of the target 1 on the clock |target| t.
    """
    from theory.compiled.population import follow as follow_population

    along, across, r0 = split(w0)
    root = np.sqrt(abs(loss.target))
    sign = np.sign(loss.target)
    alpha = sign * a0 / root
    rho = r0 / root
    c = (abs(alpha) - rho) * (abs(alpha) + rho)
    q, angle = np.empty((2, len(a0), len(t)))
    status = np.empty(len(a0), np.int8)
    angle0 = np.copysign(np.arctan2(across, abs(along)), -along)  # psi, or -theta: whichever is nearer to 0
    share = (1 - loss.slope) ** 2
    follow_population(alpha * rho, angle0, c, t * abs(loss.target), share, float(loss.slope), RTOL, q, angle, status)
    alpha, rho = _point(q, c[:, None])
    w = np.empty((len(a0), len(t), loss.d))
    w[..., 0] = root * rho * np.where(np.signbit(angle), np.cos(angle), -np.cos(angle))
    w[..., 1:] = (root * rho * abs(np.sin(angle)))[..., None] * (w0[:, 1:] / across[:, None])[:, None]
    return sign * root * alpha, w, status


def _point(q: Array, c: Array) -> tuple[Array, Array]:
    """Return (a, |w|) from q = a |w| and c = a^2 - |w|^2, the larger of them first: nothing cancels."""
    with np.errstate(all="ignore"):  # NaN where a trajectory failed
        big = np.sqrt(np.hypot(c, 2 * q) / 2 + abs(c) / 2)
        small = abs(q) / big
    return np.copysign(np.where(c >= 0, big, small), q), np.where(c >= 0, small, big)


def _sample(loss: Sample, a0: Array, w0: Array, t: Array) -> Followed:
    given = loss.x[None], loss.y[None]
    units = Exponents.of(*given, a0, split(w0)[2])
    x, y = units.data(*given)
    inner = loss if x is given[0] else Sample(x[0], y[0], loss.slope)  # the loss itself keeps its kinks
    a, w, t, kept = units.into(a0, w0, t)
    if loss.d == 1:
        t = np.where(np.isfinite(t), t, 0.0)  # for a start that has failed, or rests at w = 0
        line = inner.line(np.ones(1))
        assert line is not None, "with one input the loss is a line"
        a, w, status = _line(line, np.where(kept, a, 0.0), np.where(kept[:, None], w, 0.0), t)
        status[~kept] = FAILED
        a[~kept] = np.nan
        w[~kept] = np.nan
        return *units.back(a, w, np.zeros(len(a)))[:2], status
    kinks = inner.kinks
    one = (kinks.normal[None], kinks.pull[None], kinks.square[None], kinks.split[None], np.array([len(kinks.normal)]))
    a, w, status, _ = on_kinks(one, a, w, t, kept, units, AT_REST)
    return a, w, status


def _masked(loss: Masked, a0: Array, w0: Array, t: Array) -> Followed:
    a, w, status = follow(loss.survivors, a0, w0[:, loss.mask], t)
    return a, loss.widen(w), status


def on_samples(x: Array, y: Array, a0: Array, w0: Array, t: Array, tolerance: float) -> Settled:
    """Return (a, w, status, gradient) of starts, each on its own relu sample."""
    units = Exponents.of(x, y, a0, split(w0)[2])
    kinks = [Kinks.of(*sample, 0.0) for sample in zip(*units.data(x, y), strict=True)]
    many = np.array([len(one.normal) for one in kinks])
    shape = (len(kinks), max(many.max(), 1))
    normal = np.zeros((*shape, x.shape[2]))
    pull, square, parts = np.zeros((3, len(kinks), 2, shape[1]))
    for i, one in enumerate(kinks):
        normal[i, : many[i]] = one.normal
        pull[i, :, : many[i]] = one.pull
        square[i, :, : many[i]] = one.square
        parts[i, :, : many[i]] = one.split
    return on_kinks((normal, pull, square, parts, many), *units.into(a0, w0, t), units, tolerance)


def on_kinks(
    samples: tuple[np.ndarray, ...],
    a0: Array,
    w0: Array,
    t: Array,
    kept: NDArray[np.bool_],
    units: Exponents,
    tolerance: float,
) -> Settled:
    """Return (a, w, status, gradient) of starts on their own samples, or on one sample for all.

    The arguments are in `units`, the results in the units of the data. Starts that are not kept have failed.
    """
    from theory.compiled.sample import follow_sample

    n, d = w0.shape
    m = t.shape[1]
    a = np.empty((n, m))
    w = np.empty((n, m, d))
    status = np.empty(n, np.int8)
    gradient = np.empty(n)
    # of one memory layout: the loop is compiled once
    *parts, many = samples
    parts = [np.require(part, float, ["C", "W"]) for part in (*parts, a0, w0, np.where(kept, split(w0)[2], np.nan), t)]
    follow_sample(
        *parts[:4], np.require(many, np.int64, ["C", "W"]), *parts[4:], SAMPLE_RTOL, tolerance, a, w, status, gradient
    )
    a, w, gradient = units.back(a, w, gradient)
    return a, w, status, gradient


FLOWS: dict[type, Callable[[Any, Array, Array, Array], Followed]] = {
    Line: _line,
    Population: _population,
    Independent: _independent,
    Sample: _sample,
    Masked: _masked,
}


STATUSES = ("finished", "dead", "failed", "undecided", "doubtful")  # the word of each code
_CELLS = 2**18  # numbers of w worked on at once


@short_repr
@dataclass(frozen=True)
class Batch:
    """Trajectories of n starts at m times.

    Memory: 8 n m (d + 2) bytes and what one block of starts needs (some MB).

    Attributes:
        t: ndarray, shape (m,)
        a: ndarray, shape (n, m)
        w: ndarray, shape (n, m, d)
        loss: ndarray, shape (n, m)
        status: int8 ndarray, shape (n,); the words are in `theory.flow.batch.STATUSES`: 0 finished; 1 dead, that is w
            dies out, and later rows are its exact decay (of a sample: next to 0, with its last direction); 2 failed; 3
            undecided, w having reached 0, where the flow of a sample may continue in different directions; 4 doubtful,
            the flow having reached a kink that it may have left to either side, and its rows being those of one side;
            rows not reached are NaN
        drift: ndarray, shape (n,), largest |c - c(0)| / (a^2 + |w|^2 + |c(0)|) over its rows, c = a^2 - |w|^2 being
            conserved; c(0) = 0 where the start is balanced up to a relative 1e-12
    """

    t: Array
    a: Array
    w: Array
    loss: Array
    status: NDArray[np.int8]
    drift: Array


def integrate_batch(loss: Loss, a0: ArrayLike, w0: ArrayLike, t: ArrayLike) -> Batch:
    """Follow the gradient flow of a loss from n starts, independently of each other.

    Exact: d = 1, and starts on the w_1 axis (`closed_form`). Population: error below 1e-8 |(a, w)| at t = 50 (measured;
    more where the start is ill-conditioned, leaving the ray -e_1 late); where |w| is much larger than |a| the flow is
    stiff, takes about |w|^2 t / 12 steps, and fails above 20,000. Finite sample: relative error 1e-9 a step (where |w|
    is far above |a|, of a |w| relative to 100 times what fits the data, so that the loss never rises), kinks located to
    1e-9 |w| |x| and slides along them followed exactly (`theory.losses.kinks`), through w = 0 where the flow grows
    again (`theory.compiled.zero`); it rests where the gradient norm is below 1e-12 |(a, w)| times the pulls of all
    rows, and fails after 10,000 steps. It is followed in units of its own data, so that a sample of any size takes the
    same steps. It fails where floats do not suffice: a start with an entry above 1e150 in these units, or so small that
    a |w| or a^2 - |w|^2 underflows, or times outside the range of floats there. Balanced starts, a0 = +-|w0| up to a
    relative 1e-12, stay so exactly: with a0 against the target they never learn, at any horizon.

    The first call for a kind of loss compiles its loop (some seconds; the code is stored on disk).

    Source: the gradient flow of section 2; the reductions: this project (`theory.compiled.population`).

    Args:
        loss: `Population`, `Line`, `Sample` or `Masked`, as for `theory.integrate`
        a0: array_like, shape (n,), |a0| at most 1e150
        w0: array_like, shape (n, d), or (n,) for d = 1, entries at most 1e150 in size; those that the loss masks are
            taken as 0
        t: float (the horizon: one row) or increasing array_like (m,), at least 0

    Returns:
        Batch: memory proportional to n times m times d. A start gives the same bits, whatever the other starts are.

    Raises:
        ValueError: shapes that do not match, a value that is no number, NaN, infinity, a start beyond 1e150, times that
            decrease or lie below 0, or an unknown loss: one of your own, or a class derived from these.

    Examples:
        >>> from theory import Population
        >>> run = integrate_batch(Population(2), [0.5, -0.5], [[-0.3, 0.4], [-0.3, 0.4]], [0.0, 1e6])
        >>> run.w.shape, run.loss[:, -1].round(5).tolist()  # a0 = -|w0| never learns: the loss of w = 0 is 1/4
        ((2, 2, 2), [0.0, 0.25])
    """
    a0, w0 = _starts(loss, a0, w0)
    t = _times(t)
    n = len(a0)
    m = len(t)
    d = w0.shape[1]
    out = Batch(t, np.empty((n, m)), np.empty((n, m, d)), np.empty((n, m)), np.zeros(n, np.int8), np.zeros(n))
    now = int(t[0] == 0)
    size = max(_CELLS // (m * d), 1)
    for part in (slice(i, i + size) for i in range(0, n, size)):
        a = out.a[part]
        w = out.w[part]
        a[:, :now], w[:, :now] = a0[part, None], w0[part, None]
        if now < m:
            a[:, now:], w[:, now:], out.status[part] = follow(loss, a0[part], w0[part], t[now:])
        with np.errstate(all="ignore"):  # NaN where a trajectory failed; terms that underflow have no effect
            out.loss[part] = loss.loss(a, w)
            out.drift[part] = _drift(a0[part], w0[part], a, w)
    return out


def _starts(loss: Loss, a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array]:
    kinds = type(loss), type(loss.survivors if type(loss) is Masked else loss)
    if not all(kind in FLOWS for kind in kinds):
        known("loss", kinds[0].__name__, tuple(kind.__name__ for kind in FLOWS))
        raise ValueError(f"only losses of theory itself run in batches, got {loss!r:.60}: use theory.integrate")
    a0, w0 = finite(a0=a0, w0=w0)
    if loss.d == 1 and w0.ndim == 1:
        w0 = w0[:, None]
    if a0.ndim != 1 or w0.shape != (len(a0), loss.d):
        raise ValueError(
            f"n starts need a0 of shape (n,) and w0 of shape (n, {loss.d}), got {a0.shape} and {w0.shape}: "
            "use theory.integrate for one start"
        )
    refuse_large(a0=a0, w0=w0)
    return a0, np.where(loss.mask, w0, 0.0) if isinstance(loss, Masked) else w0


def _times(t: ArrayLike) -> Array:
    (t,) = finite(t=t)
    if t.ndim > 1 or t.size == 0 or t.min() < 0 or (np.diff(np.atleast_1d(t)) <= 0).any():
        raise ValueError(f"t must be a horizon or increasing times, at least 0, got {t}: the flow starts at time 0")
    return np.atleast_1d(t)


def _drift(a0: Array, w0: Array, a: Array, w: Array) -> Array:
    r0 = split(w0)[2]
    a0 = abs(balanced(a0, r0))
    size = np.fmax(np.fmax.reduce(abs(a), axis=1), np.fmax(a0, r0))  # the squares would overflow
    size = np.where(size > 0, size, 1.0)
    c0 = ((a0 - r0) / size) * ((a0 + r0) / size)
    a = a / size[:, None]
    w = w / size[:, None, None]
    a2 = a * a
    w2 = np.einsum("...i,...i", w, w)
    scale = np.fmax(a2 + w2 + abs(c0)[:, None], np.finfo(float).tiny)
    return np.fmax.reduce(abs(a2 - w2 - c0[:, None]) / scale, axis=1, initial=0.0)


# --- finite samples


def settle_samples(
    x: ArrayLike,
    y: ArrayLike,
    a0: ArrayLike,
    w0: ArrayLike,
    horizon: float,
    masks: ArrayLike | None = None,
    tolerance: float = 1e-9,
) -> tuple[Array, Array, Array]:
    """Follow the relu neuron of each trial, on its own sample, until it rests.

    Accuracy and balance as in `integrate_batch`. A trial takes about a millisecond for n = 100, d = 10. With one
    remaining input the flow passes through w = 0 where the other side pushes it away from 0, as in
    `theory.closed_form`.

    Source: the gradient flow of section 2; its solution: this project (`theory.compiled.sample`).

    Args:
        x: array_like, shape (trials, n, d), as in `theory.Sample`
        y: array_like, shape (trials, n)
        a0: array_like, shape (trials,)
        w0: array_like, shape (trials, d)
        horizon: float, above 0, the time at which a flow that does not rest is stopped
        masks: array_like of bool, shape (trials, d), True survives; default: nothing is pruned. Pruned entries of w are
            0
        tolerance: float, above 0: a flow rests where its gradient norm is at most this share of |(a, w)| times the
            pulls of all rows (mean |y x|, and a |w| times mean |x|^2), which makes it the same in every unit of x and y

    Returns:
        a, w, gradient: ndarrays of shape (trials,), (trials, d), (trials,); the gradient's norm at the end, 0 for a
            neuron that has died (w is next to 0 and keeps its direction). Along a kink that both sides push to, it is
            the norm of the element of least norm in Clarke's subdifferential, so that it vanishes at a minimum on kinks
            too. NaN in a row whose flow failed (10,000 steps) or is undecided at w = 0.

    Raises:
        ValueError: shapes that do not match, a value that is no number, NaN, infinity, a start beyond 1e150, or a
            horizon or tolerance that is not above 0.

    Examples:
        >>> rng = np.random.default_rng(0)
        >>> x = rng.normal(size=(2, 50, 3))
        >>> a, w, gradient = settle_samples(x, np.maximum(x[..., 0], 0), [1.0, 1.0], [[0.5, 0.5, 0.5]] * 2, 1e3)
        >>> (a[:, None] * w).round(6).tolist(), bool((gradient < 1e-8).all())
        ([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0]], True)
    """
    x, y, a0, w0 = finite(x=x, y=y, a0=a0, w0=w0)
    horizon, tolerance = _positive(horizon=horizon, tolerance=tolerance)
    _refuse_trials(x, y, a0, w0)
    if masks is not None:
        given = masks
        masks = bits(masks)
        if masks is None or masks.shape != w0.shape:
            shape = np.shape(given)
            raise ValueError(
                f"masks must be of 0 and 1, shape {w0.shape}, got {shape}: pass one row for each trial, as in w0"
            )
        x = x * masks[:, None]
        w0 = w0 * masks
    a, w, _, gradient = on_samples(x, y, balanced(a0, split(w0)[2]), w0, np.array([horizon]), tolerance)
    return a[:, 0], w[:, 0], gradient


def _refuse_trials(x: Array, y: Array, a0: Array, w0: Array) -> None:
    if x.ndim != 3 or x[..., 0].size == 0 or y.shape != x.shape[:2] or a0.shape != x.shape[:1]:
        raise ValueError(
            f"trials need x (trials, n, d), y (trials, n), a0 (trials,), got {x.shape}, {y.shape}, {a0.shape}: "
            "repeat a sample that all of them share, or use theory.integrate_batch(Sample(x, y), ...)"
        )
    if w0.shape != (len(x), x.shape[2]):
        raise ValueError(f"w0 must have shape {(len(x), x.shape[2])}, got {w0.shape}: pass one row for each trial")
    refuse_large(a0=a0, w0=w0)


def _positive(**numbers: float) -> tuple[float, ...]:
    for name, value in numbers.items():
        if number(name, value) <= 0:
            raise ValueError(f"{name} must be above 0, got {value}: pass a positive number")
    return tuple(float(value) for value in numbers.values())
