"""The compiled flow of the Gaussian population: many trajectories, step by step.

Loaded when first used, since importing numba is slow.

With q = a |w|, psi = pi - theta, c = a^2 - |w|^2 (conserved), M = a^2 + |w|^2 = sqrt(c^2 + 4 q^2) and
G(x) = sin x - x cos x, every d and every balance obey, for the target relu(x_1),

    q' = -M (q - G(psi) / pi) / 2,    psi' = (a / |w|) psi sin(psi) / (2 pi),

where a / |w| is (M + c) / (2 q) for c >= 0 and 2 q / (M - c) for c < 0: nothing cancels, c cannot drift, and a = -|w|
(c = 0, q < 0) cannot be left. The angle is kept from the nearer end, psi on side 0 and theta on side 1, with all its
digits at both. Source: this project, checked in tests/theory/flow/test_batch.py.

A block of trajectories is advanced together, each with its own step and clock (order 8, DOP853's coefficients), so that
the loops over the block compile to vector instructions; when one ends, the next takes its lane. Nothing is fused or
reordered (no fastmath): the bits of a trajectory depend on its own start and times only.
"""

from __future__ import annotations

import math

import numpy as np

from theory.compiled.compiler import compiled, inlined
from theory.compiled.tableaux import ORDER_8_A, ORDER_8_B, ORDER_8_E3, ORDER_8_E5, ORDER_8_STAGES

FINISHED, DEAD, FAILED, _GOES_ON = range(4)
LANES = 120  # trajectories in a block: its rows stay in the fastest cache, and none lies 4096 bytes from another
STEP_BUDGET = 20_000  # steps, rejected ones included, before a trajectory counts as failed
ARRIVED = 1e-6  # this near to the target the flow is taken as linear: the square of the distance is left out
NEGLIGIBLE = 1e-12  # the share that the asymptotic form of a dying neuron leaves out

# sin x = x (S_0 + S_1 x^2 + ...) and G(x) = x^3 (G_0 + ...) from the highest term: 3e-15 up to pi, without a branch
_TERMS = range(12, -1, -1)
_SIN = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in _TERMS)
_G = tuple((-1.0) ** k * 2 * (k + 1) / math.factorial(2 * k + 3) for k in _TERMS)

# Rows of a block, its columns being the lanes; in one array the compiler sees that rows do not overlap. Trajectory, how
# many of its times are saved, steps tried; state q, angle, side, conserved c; the step to try, the natural step, the
# clock and where it stops next, whether `_attend` must handle it there; the result of a step: state, error (at most 1
# is accepted), growth, sums of errors; slopes at 13 stages each.
_WHO, _SAVED, _TRIES, _Q, _P, _SIDE, _C, _H, _KEPT, _T, _LAND, _CALLS = range(12)
_NEW_Q, _NEW_P, _ERROR, _GROW, _Q3, _P3, _Q5, _P5, _KQ = range(12, 21)
_KP = _KQ + ORDER_8_STAGES + 1
_ROWS = _KP + ORDER_8_STAGES + 1


@inlined
def _polynomial(y, p):
    """Return the polynomial p[0] y^12 + ... + p[12].

    It is written out, since a loop here would prevent the compiler from vectorising over the lanes.
    """
    high = (((((p[0] * y + p[1]) * y + p[2]) * y + p[3]) * y + p[4]) * y + p[5]) * y + p[6]
    return (((((high * y + p[7]) * y + p[8]) * y + p[9]) * y + p[10]) * y + p[11]) * y + p[12]


@inlined
def sizes(q, c):
    """Return M = a^2 + |w|^2 and a / |w| from q = a |w| and c = a^2 - |w|^2.

    Neither overflows, and no digits cancel.
    """
    size = abs(c)
    double = abs(2 * q)
    high = max(size, double)
    thin = min(size, double) / high
    m = high * math.sqrt(1 + thin * thin)
    above = m + size if c >= 0 else 2 * q
    below = 2 * q if c >= 0 else m + size
    return m, above / below


@inlined
def slopes(q, angle, side, c, share, slope):
    """Return the slopes of q and the angle, for a target of size 1.

    Args:
        side: 0 for the angle psi, 1 for theta
        share, slope: float, (1 - slope)^2 and the slope of a leaky unit; 1 and 0 for relu
    """
    y = angle * angle
    sine = angle * _polynomial(y, _SIN)
    g = angle * y * _polynomial(y, _G)
    cosine = (sine - g) / angle
    m, ratio = sizes(q, c)
    turning = 1 - 2 * side
    psi = side * np.pi + turning * angle
    push = share / np.pi * (g + side * np.pi * cosine) - 2 * slope * turning * cosine
    return -0.5 * m * ((1 + slope * slope) * q - push), turning * ratio * sine * (share / (2 * np.pi) * psi + slope)


@compiled
def _weighted(n, b, row, weights, stages):
    """Put the weighted sums of the stages' slopes into b[row] (of q) and b[row + 1] (of the angle)."""
    for i in range(n):
        b[row, i] = b[row + 1, i] = 0.0
    for j in range(stages):
        weight = weights[j]
        if weight != 0:
            for i in range(n):
                b[row, i] += weight * b[_KQ + j, i]
            for i in range(n):
                b[row + 1, i] += weight * b[_KP + j, i]


@compiled
def _stage(n, b, weights, stages, share, slope):
    """Evaluate the next stage of a step: its state from the weighted slopes, and its slopes.

    The slopes are written into the rows of that stage.
    """
    _weighted(n, b, _NEW_Q, weights, stages)
    for i in range(n):
        q = b[_Q, i] + b[_H, i] * b[_NEW_Q, i]
        angle = b[_P, i] + b[_H, i] * b[_NEW_P, i]
        dq, turn = slopes(q, angle, b[_SIDE, i], b[_C, i], share, slope)
        b[_NEW_Q, i] = q
        b[_NEW_P, i] = angle
        b[_KQ + stages, i] = dq
        b[_KP + stages, i] = turn


@compiled
def _attempt(n, b, share, slope, rtol):
    """Try one step of the first n lanes."""
    for s in range(1, ORDER_8_STAGES):
        _stage(n, b, ORDER_8_A[s], s, share, slope)
    _stage(n, b, ORDER_8_B, ORDER_8_STAGES, share, slope)
    _weighted(n, b, _Q3, ORDER_8_E3, ORDER_8_STAGES)
    _weighted(n, b, _Q5, ORDER_8_E5, ORDER_8_STAGES)
    for i in range(n):
        for_q, for_angle = _scales(b[_Q, i], b[_NEW_Q, i], b[_P, i], b[_NEW_P, i], b[_SIDE, i], b[_C, i])
        e3 = (b[_Q3, i] / (rtol * for_q)) ** 2 + (b[_P3, i] / (rtol * for_angle)) ** 2
        e5 = (b[_Q5, i] / (rtol * for_q)) ** 2 + (b[_P5, i] / (rtol * for_angle)) ** 2
        error = b[_H, i] * estimate(e3, e5, 2)
        turned = b[_NEW_Q, i] >= 0 if b[_Q, i] < 0 else b[_NEW_Q, i] <= 0
        b[_ERROR, i] = np.inf if b[_C, i] >= 0 and turned else error  # then a keeps its sign
        b[_GROW, i] = growth(b[_ERROR, i])


@inlined
def _scales(q, new_q, angle, new_angle, side, c):
    """Return the sizes relative to which the errors of q and the angle are measured.

    a and |w| keep their digits: for c < 0, |w| is never small, and a may pass 0: its error is a share of |w| and, times
    |w|, of the target, since the loss is at least (q - 1)^2 / 4. The angle keeps its digits where the flow leaves 0;
    theta near the target, which the flow approaches, need not.
    """
    for_q = max(abs(q), abs(new_q))
    return for_q if c >= 0 else for_q + min(-0.1 * c, 1.0), 1.0 if side > 0 and q > 0 else max(angle, new_angle)


@inlined
def estimate(e3, e5, parts):
    """Return DOP853's error of a unit step from the sums of squares of its two estimates."""
    return e5 / math.sqrt(parts * (e5 + 0.01 * e3) + 1e-300)


@inlined
def growth(error):
    """Return by how much the next step may differ: from a fifth to about 7 times."""
    factor = 0.9 / math.sqrt(math.sqrt(math.sqrt(max(error, 1e-7))))
    return max(factor, 0.2) if error < 1e9 else 0.2  # NaN and infinity too


@compiled
def _load(b, i, who, start, land, share, slope):
    """Put trajectory `who`, start = (q, angle, side, c), into lane i."""
    q, angle, side, c = start
    b[_WHO, i] = who
    b[_SAVED, i] = 0
    b[_TRIES, i] = 0
    b[_T, i] = 0.0
    b[_Q, i], b[_P, i], b[_SIDE, i], b[_C, i] = q, angle, side, c
    b[_KQ, i], b[_KP, i] = slopes(q, angle, side, c, share, slope)
    for_q, for_angle = _scales(q, q, angle, angle, side, c)
    b[_KEPT, i] = 0.1 / (abs(b[_KQ, i]) / for_q + abs(b[_KP, i]) / for_angle)
    _aim(b, i, land)


@inlined
def _aim(b, i, land):
    """Choose the step of lane i: the natural one, halved or cut so as to stop at the time `land` exactly."""
    left = land - b[_T, i]
    kept = b[_KEPT, i]
    b[_LAND, i] = land
    b[_H, i] = left if kept >= left else min(kept, 0.5 * left)


@compiled
def _advance(n, b):
    """Move the first n lanes to the end of their steps where these are good, and choose the next ones."""
    for i in range(n):
        good = b[_ERROR, i] <= 1
        h = b[_H, i]
        grow = b[_GROW, i]
        end = b[_LAND, i] if h == b[_LAND, i] - b[_T, i] else b[_T, i] + h
        b[_T, i] = end if good else b[_T, i]
        natural = h * grow if grow <= 1 else max(h * grow, b[_KEPT, i])
        b[_KEPT, i] = natural if good else h * min(grow, 1.0)
        b[_TRIES, i] += 1
    for i in range(n):
        good = b[_ERROR, i] <= 1
        angle = b[_NEW_P, i] if good else b[_P, i]
        turn = b[_KP + ORDER_8_STAGES, i] if good else b[_KP, i]
        over = angle > 2  # nearer to the other end
        b[_P, i] = np.pi - angle if over else angle
        b[_KP, i] = -turn if over else turn
        b[_SIDE, i] = 1 - b[_SIDE, i] if over else b[_SIDE, i]
        b[_Q, i] = b[_NEW_Q, i] if good else b[_Q, i]
        b[_KQ, i] = b[_KQ + ORDER_8_STAGES, i] if good else b[_KQ, i]
    for i in range(n):
        left = b[_LAND, i] - b[_T, i]
        kept = b[_KEPT, i]
        b[_H, i] = left if kept >= left else min(kept, 0.5 * left)
        near = b[_P, i] < ARRIVED and (b[_SIDE, i] == 0 or abs(b[_Q, i] - 1) < ARRIVED)
        b[_CALLS, i] = 1.0 if near or left <= 0 or b[_TRIES, i] >= STEP_BUDGET or not kept > 1e-300 else 0.0


@inlined
def _settled(b, i, slope):
    """Return whether a closed form takes over in lane i.

    FINISHED: near the target; DEAD: a dying neuron.
    """
    q, angle, side, c = b[_Q, i], b[_P, i], b[_SIDE, i], b[_C, i]
    if side > 0 and angle < ARRIVED and abs(q - 1) < ARRIVED:
        return FINISHED
    if side == 0 and q < 0 and c > 0 and slope == 0 and angle * angle < NEGLIGIBLE:
        r = -q / math.sqrt(c)
        if r * r < NEGLIGIBLE * c and angle**3 < NEGLIGIBLE * math.sqrt(c) * r:
            return DEAD
    return _GOES_ON


@compiled
def _conclude(how, b, i, slope, times, q, angle):
    """Fill the results of lane i at the remaining times by the closed form that has taken over."""
    q1 = b[_Q, i]
    angle1 = b[_P, i]
    c = b[_C, i]
    row = int(b[_WHO, i])
    m = math.hypot(c, 2.0)
    square = (m + c) / 2 if c >= 0 else 2 / (m - c)  # a^2 at the target
    for j in range(int(b[_SAVED, i]), len(times)):
        since = times[j] - b[_T, i]
        if how == FINISHED:  # q - 1 and theta decay
            clock = -(1 + slope * slope) / 2 * since
            q[row, j] = 1 + (q1 - 1) * math.exp(clock * m)
            angle[row, j] = -angle1 * math.exp(clock * square)
        elif how == DEAD:  # a = -sqrt(c), |w|' = -c |w| / 2, (1 / psi)' = sqrt(c) / (2 pi |w|)
            left = math.exp(-c * since / 2)
            q[row, j] = q1 * left
            angle[row, j] = left * angle1 / (left + (1 - left) * (angle1 / (np.pi * -q1)))
        else:
            q[row, j] = angle[row, j] = np.nan


@inlined
def _attend(b, i, times, slope, q, angle):
    """Save the state of lane i where it has landed, and return the status of its trajectory."""
    if b[_T, i] == b[_LAND, i]:
        row, saved = int(b[_WHO, i]), int(b[_SAVED, i])
        q[row, saved] = b[_Q, i]
        angle[row, saved] = -b[_P, i] if b[_SIDE, i] > 0 else b[_P, i]
        b[_SAVED, i] = saved + 1
        if saved + 1 == len(times):
            return FINISHED
        _aim(b, i, times[saved + 1])
    how = _settled(b, i, slope)
    if how == _GOES_ON and (b[_TRIES, i] >= STEP_BUDGET or not b[_KEPT, i] > 1e-300):
        how = FAILED
    if how != _GOES_ON:
        _conclude(how, b, i, slope, times, q, angle)
    return how


@compiled
def follow(q0, angle0, c, times, share, slope, rtol, q, angle, status):
    """Follow n starts of the population to each of m times.

    Args:
        q0, c: float arrays, shape (n,); q0 not 0 unless c < 0
        angle0: float array, shape (n,): psi, in (0, pi), or -theta, whichever is nearer to 0
        times: float array, shape (m,), above 0 and increasing, on the clock of a target of size 1
        share, slope, rtol: float; see `slopes`
        q, angle: float arrays, shape (n, m), filled here, as at the start; NaN from where a trajectory failed
        status: int8 array, shape (n,), filled here: FINISHED, DEAD or FAILED
    """
    n = len(q0)
    started = alive = min(LANES, n)
    b = np.empty((_ROWS, alive))
    for i in range(alive):
        _load(b, i, i, (q0[i], abs(angle0[i]), 1.0 if angle0[i] < 0 else 0.0, c[i]), times[0], share, slope)
    while alive > 0:
        _attempt(alive, b, share, slope, rtol)
        _advance(alive, b)
        i = 0
        while i < alive:
            how = _attend(b, i, times, slope, q, angle) if b[_CALLS, i] > 0 else _GOES_ON
            if how == _GOES_ON:
                i += 1
                continue
            status[int(b[_WHO, i])] = how
            if started < n:  # its lane goes to the next start
                j = started
                started += 1
                i += 1
                start = (q0[j], abs(angle0[j]), 1.0 if angle0[j] < 0 else 0.0, c[j])
                _load(b, i - 1, j, start, times[0], share, slope)
            else:  # or to the last lane, whose own step is then recorded here
                alive -= 1
                b[:, i] = b[:, alive]
