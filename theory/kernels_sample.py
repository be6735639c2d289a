"""The compiled flow of a finite sample. Loaded when used: numba is heavy.

With w = |w| n, q = a |w|, c = a^2 - |w|^2 (conserved), M as in `theory.kernels` and F as in `theory.kernels_pattern`,

    q' = M n.F,    n' = (a / |w|) (F - (n.F) n):

kinks lie in n alone, c cannot drift, and a = -|w| cannot be left. A step keeps its pattern, so that a slope costs d^2
operations; one that would leave it is shortened until it ends on the kink, where the modes are decided anew.
Source: ours, checked against `theory.integrate`.
"""

from __future__ import annotations

import math

import numpy as np

from theory.kernels import DEAD, E3, E5, FAILED, FINISHED, STAGES, A, B, compiled, estimate, growth, sizes
from theory.kernels_pattern import ON, SLIDES, WIDTH, decide, dot, inputs, put_factors, put_force, room, start

DYING = 1e-9  # with c >= 0, |w| below this share of the start and still falling has died
TRIES = 10_000  # steps, refused ones included, before a trajectory counts as failed
_GOES_ON = -1


@compiled
def _slopes(state, c, pattern, force, out):
    """Put the slopes of state = (q, n) into `out`."""
    q, n = state[0], state[1:]
    put_force(q, n, pattern, force)
    m, ratio = sizes(q, c)
    radial = dot(n, force)
    out[0] = m * radial
    for j in range(len(n)):
        out[1 + j] = ratio * (force[j] - radial * n[j])


@compiled
def _attempt(state, h, c, rtol, pattern, force, k, new):
    """Try a step of size h within the pattern: put its end into `new`; return its error (at most 1 is good)."""
    for s in range(1, STAGES + 1):
        weights = A[s] if s < STAGES else B
        for v in range(len(new)):
            new[v] = state[v]
        for j in range(s):
            if weights[j] != 0:
                for v in range(len(new)):
                    new[v] += h * weights[j] * k[j, v]
        _slopes(new, c, pattern, force, k[s])
    if c >= 0 and state[0] * new[0] <= 0:  # a keeps its sign
        return np.inf
    size, e3, e5 = max(abs(state[0]), abs(new[0])), 0.0, 0.0
    for v in range(len(new)):
        sum3, sum5 = 0.0, 0.0
        for j in range(STAGES):
            sum3, sum5 = sum3 + E3[j] * k[j, v], sum5 + E5[j] * k[j, v]
        scale = rtol * (1.0 if v > 0 else size if c >= 0 else size - c)
        e3, e5 = e3 + (sum3 / scale) ** 2, e5 + (sum5 / scale) ** 2
    return h * estimate(e3, e5, 1)


@compiled
def _share_within(z, ends, h, k, data, pattern, before, after):
    """Return the share of a step to take: up to where it leaves its pattern or may have been outside, 1 if nowhere.

    z, ends : n.x_i at its start and end
    h, k : its size, and the slopes of (q, n) at its stages, the first and the last being those of its ends
    before, after : phi' of the sliding points there
    """
    share, slope = 1.0, data[4]
    modes, _, _, _, count = pattern[:5]
    reach = h * math.sqrt(max(dot(k[0, 1:], k[0, 1:]), dot(k[-1, 1:], k[-1, 1:])))
    for i in range(len(z)):
        side = 1 if modes[i] == ON else -1
        near, far = side * z[i], side * ends[i]  # at least 0 inside
        if min(near, far) < reach * data[3][i] and modes[i] != SLIDES:
            rates = side * h * dot(data[0][i], k[0, 1:]), side * h * dot(data[0][i], k[-1, 1:])
            share = min(share, _inside(near, far, rates[0], rates[1], WIDTH * data[3][i]))
    for s in range(count[0]):
        if not slope - 1e-6 <= after[s] <= 1 + 1e-6:
            bound = 1.0 if after[s] > 1 else slope
            share = min(share, max((bound - before[s]) / (after[s] - before[s]), 1e-3))
    return share


@compiled
def _inside(z, end, rate, end_rate, width):
    """Return the share of a step up to z = 0, or to a least z that may lie below; 1 if neither is on the way.

    The way is the cubic with the values z, end and the slopes rate, end_rate at its ends.
    """
    bend, twist = 3 * (end - z) - 2 * rate - end_rate, 2 * (z - end) + rate + end_rate
    if end < -width:
        return max(_root(z, rate, bend, twist), 1e-3) if z > 0 else 1e-3
    if rate >= 0 or end_rate <= 0:
        return 1.0
    at = -rate / (bend + math.sqrt(max(bend * bend - 3 * rate * twist, 0.0)))
    least = z + at * (rate + at * (bend + at * twist))
    return max(at, 1e-3) if least < 0.05 * (abs(bend) + abs(twist)) and at < 1 - 1e-3 else 1.0


@compiled
def _root(z, rate, bend, twist):
    """Return where z + rate s + bend s^2 + twist s^3 changes sign between 0 and 1."""
    low, high, at = 0.0, 1.0, 0.5
    for _ in range(12):
        value = z + at * (rate + at * (bend + at * twist))
        low, high = (at, high) if value > 0 else (low, at)
        at -= value / (rate + at * (2 * bend + 3 * at * twist))
        if not low < at < high:
            at = (low + high) / 2
    return at


@compiled
def _point(q, c):
    """Return (a, |w|)."""
    m, _ = sizes(q, c)
    big = math.sqrt((m + abs(c)) / 2)
    small = abs(q) / big
    return (math.copysign(big, q), small) if c >= 0 else (math.copysign(small, q), big)


@compiled
def _reversed(state, z, data, pattern, force, factors):
    """Go through w = 0 to -n, if w is pushed away from 0 there; return whether it is. For one input alone."""
    n, inputs = state[1:], 0
    for j in range(len(n)):
        inputs += n[j] != 0
        n[j] = -n[j]
    if inputs > 1:
        return False
    start(state[0], n, z, data, pattern, force, factors)
    return state[0] * dot(n, force) > 0


@compiled
def _end(state, c, size, tolerance, z, data, pattern, force, factors):
    """Return (status, gradient norm), the status _GOES_ON while the flow moves; `force` holds F.

    size : |(a, w)| at the start
    """
    (a, r), n = _point(state[0], c), state[1:]
    radial = dot(n, force)
    gradient = math.hypot(r * radial, a * math.sqrt(dot(force, force)))
    if gradient <= tolerance * math.hypot(a, r):
        return FINISHED, gradient
    if c >= 0 and r <= DYING * size and a * radial < 0:
        if not _reversed(state, z, data, pattern, force, factors):
            return DEAD, 0.0
    return _GOES_ON, gradient


@compiled
def _accept(state, new, z, ends):
    """Move to the end of a step, n back to length 1."""
    length = math.sqrt(dot(new[1:], new[1:]))
    state[0] = new[0]
    for v in range(1, len(state)):
        state[v] = new[v] / length
    for i in range(len(z)):
        z[i] = ends[i] / length


@compiled
def _write(how, state, c, rows, a, w):
    """Write the state into rows of a and w: at rest, or NaN where it failed; a dead w keeps its last direction."""
    now, r = _point(state[0], c)
    for j in rows:
        if how == FAILED:
            now, r = np.nan, np.nan
        a[j] = now
        for v in range(w.shape[1]):
            w[j, v] = r * state[1 + v]


@compiled
def _follow(data, a0, w0, r0, times, rtol, tolerance, a, w):
    """Follow one start, r0 = |w0| > 0, and fill a and w; return (status, gradient norm at the end)."""
    n_points, d = data[0].shape
    pattern, force, k, new = room(n_points, d), np.empty(d), np.empty((STAGES + 1, d + 1)), np.empty(d + 1)
    z, ends, factors, after, state = np.empty(n_points), np.empty(n_points), np.empty(d), np.empty(d), np.empty(d + 1)
    c, size = (abs(a0) - r0) * (abs(a0) + r0), math.hypot(a0, r0)
    state[0] = a0 * r0
    for v in range(d):
        state[1 + v] = w0[v] / r0
    start(state[0], state[1:], z, data, pattern, force, factors)
    t, saved, kept, cut = 0.0, 0, 0.01 / (size * math.sqrt(dot(force, force)) + 1e-300), np.inf
    how, gradient = _end(state, c, size, tolerance, z, data, pattern, force, factors)
    _slopes(state, c, pattern, force, k[0])
    for _ in range(TRIES):
        if how != _GOES_ON:
            break
        left = times[saved] - t
        h = min(left if kept >= left else min(kept, 0.5 * left), cut)
        error = _attempt(state, h, c, rtol, pattern, force, k, new)
        if not error <= 1:
            kept = h * min(growth(error), 1.0)
            continue
        inputs(new[1:], data, ends)
        put_factors(data, pattern, after)
        share = _share_within(z, ends, h, k, data, pattern, factors, after)
        if share < 1:
            cut = h * share
            continue
        kept, cut = max(h * growth(error), kept if growth(error) > 1 else 0.0), np.inf
        _accept(state, new, z, ends)
        decide(state[0], state[1:], z, data, pattern, force, factors)
        t = times[saved] if h == left else t + h
        how, gradient = _end(state, c, size, tolerance, z, data, pattern, force, factors)
        _slopes(state, c, pattern, force, k[0])
        if h == left:
            _write(how, state, c, range(saved, saved + 1), a, w)
            saved += 1
            how = FINISHED if saved == len(times) and how == _GOES_ON else how
    how = FAILED if how == _GOES_ON else how
    _write(how, state, c, range(saved, len(times)), a, w)
    return how, gradient


@compiled
def follow_sample(x, y, slope, a0, w0, r0, times, rtol, tolerance, a, w, status, gradient):
    """Follow n starts, each on a sample of its own or all on one, to each of m times or to where they rest.

    x, y : float arrays, shape (n, N, d) and (n, N), or (1, N, d) and (1, N)
    slope : float, of phi at negative inputs
    a0, w0, r0 : float arrays, shape (n,), (n, d) and (n,), r0 = |w0|
    times : float array, shape (m,), above 0 and increasing
    rtol, tolerance : float, of a step; gradient norm, as a share of |(a, w)|, at which a start rests
    a, w : float arrays, shape (n, m) and (n, m, d), filled here; NaN from where a trajectory failed
    status, gradient : int8 and float arrays, shape (n,), filled here; the gradient's norm at the end
    """
    for i in range(len(a0)):
        which = i if len(x) > 1 else 0
        lengths = np.empty(x.shape[1])
        for j in range(len(lengths)):
            lengths[j] = math.sqrt(dot(x[which, j], x[which, j]))
        data = (x[which], x[which].T.copy(), y[which], lengths, slope)
        if r0[i] > 0:
            status[i], gradient[i] = _follow(data, a0[i], w0[i], r0[i], times, rtol, tolerance, a[i], w[i])
        else:
            status[i], gradient[i], a[i], w[i] = FINISHED, 0.0, a0[i], 0.0  # relu'(0) = 0
