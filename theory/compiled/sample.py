"""The compiled flow of a finite sample. Loaded when used: numba is heavy.

With w = |w| n, q = a |w| and c = a^2 - |w|^2 (conserved), M as in `theory.compiled.population` and F as in
`theory.compiled.activation_pattern`:

    q' = M n.F,    n' = (a / |w|) (F - (n.F) n):

kinks lie in n alone, c cannot drift, and a = -|w| cannot be left. A step keeps its pattern, so that a slope costs d^2
operations; one that would leave it is shortened until it ends on the kink, where the modes are decided again. So is
one along kinks on which a passes 0: there every push changes its sign. With c > 0, w can reach 0;
`theory.compiled.zero` decides how the flow continues. No quantity here has a unit: a flow scaled by powers of 4 takes
the same steps. Source: this project, checked against `theory.integrate`.
"""

from __future__ import annotations

import math

import numpy as np

from theory.compiled.activation_pattern import (
    ON,
    QUIET,
    SLIDES,
    WIDTH,
    decide,
    dot,
    hides,
    inputs,
    land,
    put_factors,
    put_force,
    room,
    start,
)
from theory.compiled.compiler import compiled
from theory.compiled.population import DEAD, FAILED, FINISHED, estimate, growth, sizes
from theory.compiled.tableaux import ORDER_8_A, ORDER_8_B, ORDER_8_E3, ORDER_8_E5, ORDER_8_STAGES
from theory.compiled.zero import DIES, GROWS, leave

UNDECIDED_AT_ZERO = 3  # w reached 0, where the flow may continue in several directions
DOUBTFUL = 4  # the flow reached a kink, which it may have left to either side
DOUBT = 0.25  # as in `theory.losses.regions`
# |w| counts as next to 0 below this share of |a| and of the |w| that fits the data with a (for c = 0: of the start), if
# its direction is at rest there,
DIRECTION_AT_REST = 1e-9
NEXT_TO_ZERO = 1e-13  # and in any case below this with c > 0
LOST = 1e-150  # and for c = 0, where |w| decays for ever, below this
# times the |q| that fits the data: |q| has no digits below rtol times this. `fit` counts every row as if w lay along
# it, and is about sqrt(d) too small; an error of 1e-7 of it changes a loss at its minimum in q by its square
ROOMY = 100.0
HELD = 1e-6  # the direction rests where the part of the force that turns it is at most this share of the force
STIFF = 1e3  # a flow that would relax by more than e^-1000 in the remaining time is stiff
STABLE = 5.0  # times 1 / rate: the step at which the method still damps what relaxes fastest (6 at most)
SAMPLE_TRIES = 10_000  # steps, rejected ones included, before a trajectory counts as failed
_GOES_ON = -1
_AT_ZERO = -2


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
def _attempt(state, h, c, rtol, small, pattern, force, k, new):
    """Try a step of size h within the pattern and put its end into `new`.

    Returns its error; a step is accepted if that is at most 1.

    Args:
        small: the size relative to which q = a |w| may be 0, for c < 0 (`_small`); the errors are relative to |q| +
            small for q and to 1 for n
    """
    for s in range(1, ORDER_8_STAGES + 1):
        weights = ORDER_8_A[s] if s < ORDER_8_STAGES else ORDER_8_B
        for v in range(len(new)):
            new[v] = state[v]
        for j in range(s):
            if weights[j] != 0:
                for v in range(len(new)):
                    new[v] += h * weights[j] * k[j, v]
        _slopes(new, c, pattern, force, k[s])
    if c >= 0 and state[0] * new[0] <= 0:  # a keeps its sign
        return np.inf
    size = max(abs(state[0]), abs(new[0]))
    size_of_q = size if c >= 0 else size + small
    e3 = 0.0
    e5 = 0.0
    for v in range(len(new)):
        sum3, sum5 = 0.0, 0.0
        for j in range(ORDER_8_STAGES):
            sum3 += ORDER_8_E3[j] * k[j, v]
            sum5 += ORDER_8_E5[j] * k[j, v]
        scale = rtol * (1.0 if v > 0 else size_of_q)
        e3 += (sum3 / scale) ** 2
        e5 += (sum5 / scale) ** 2
    return h * estimate(e3, e5, 1)


@compiled
def _share_within(state, new, z, ends, h, c, small, k, data, pattern, before, after):
    """Return the share of a step to take: 1, or up to where the step leaves its pattern.

    A step that may have been outside its pattern on the way is shortened to that point too.

    Args:
        state, new: (q, n) at its start and end
        z, ends: n.n_k there
        h, k: its size, and the slopes of (q, n) at its stages, the first and the last being those of its ends
        small: as in `_attempt`
        before, after: theta of the sliding kinks at its ends
    """
    share = 1.0
    modes = pattern[0]
    count = pattern[4]
    reach = h * math.sqrt(max(dot(k[0, 1:], k[0, 1:]), dot(k[-1, 1:], k[-1, 1:])))
    for i in range(len(z)):
        side = 1 if modes[i] == ON else -1
        near, far = side * z[i], side * ends[i]  # at least 0 inside
        if min(near, far) < reach and modes[i] != SLIDES:
            rates = side * h * dot(data[0][i], k[0, 1:]), side * h * dot(data[0][i], k[-1, 1:])
            # it ends a little beyond the kink, so that a kink to which n only tends is not taken for crossed
            share = min(share, _inside(near + WIDTH / 2, far + WIDTH / 2, rates[0], rates[1], WIDTH / 2))
    for s in range(count[0]):
        if not -1e-9 <= after[s] <= 1 + 1e-9:
            bound = 1.0 if after[s] > 1 else 0.0
            share = min(share, max((bound - before[s]) / (after[s] - before[s]), 1e-3))
    if c < 0 and count[0] > 0 and abs(state[0]) > WIDTH * small:
        side = 1.0 if state[0] > 0 else -1.0
        if side * new[0] < -WIDTH * small:
            share = min(
                share, max(_inside(abs(state[0]), side * new[0], side * h * k[0, 0], side * h * k[-1, 0], 0.0), 1e-3)
            )
    return share


@compiled
def _inside(z, end, rate, end_rate, width):
    """Return the share of a step up to z = 0, or up to a minimum of z that may lie below 0.

    1 if neither is on the way.

    z follows the cubic with the values z, end and the slopes rate, end_rate at its ends.
    """
    bend = 3 * (end - z) - 2 * rate - end_rate
    twist = 2 * (z - end) + rate + end_rate
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
    low = 0.0
    high = 1.0
    at = 0.5
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
def _end(state, c, size, most, fit, tolerance, data, pattern, force, factors):
    """Return (status, gradient norm), the status _GOES_ON while the flow moves; `force` holds F.

    Args:
        size, most, fit: |(a, w)| at the start; the sum of all pulls; a |w| that fits the data, up to a factor
    """
    a, r = _point(state[0], c)
    n = state[1:]
    radial = dot(n, force)
    full = math.sqrt(dot(force, force))
    spread = 0.0
    gradient = math.hypot(r * radial, a * full)
    for j in range(len(n)):
        for i in range(len(n)):
            spread = max(spread, abs(pattern[1][j, i]))
    # where no row with a target is active, no pull cancels: all of the sample's are the scale
    if gradient <= tolerance * math.hypot(a, r) * (most + abs(state[0]) * spread):
        return FINISHED, gradient
    if c < 0 or state[0] * radial >= 0:
        return _GOES_ON, gradient
    turns = math.sqrt(max(full * full - radial * radial, 0.0))
    held = turns <= HELD * abs(radial)
    if fit > 0:  # the size of w that fits the data, if that is less
        size = min(size, math.sqrt(fit))
    if c == 0:
        if r <= LOST * size or (
            held and r <= DIRECTION_AT_REST * size and _slides_on(state, data, pattern, force, factors)
        ):
            return DEAD, 0.0
        return _GOES_ON, gradient
    beside = min(abs(a), fit / abs(a)) if fit > 0 else abs(a)
    if r <= NEXT_TO_ZERO * beside or (held and r <= DIRECTION_AT_REST * beside):
        return (DEAD, 0.0) if _only_decays(state, most, pattern, force) else (_AT_ZERO, gradient)
    return _GOES_ON, gradient


@compiled
def _only_decays(state, most, pattern, force):
    """Return whether a, or w, decays to 0 like q and never reaches it, except by rounding."""
    put_force(0.0, state[1:], pattern, force)
    radial = dot(state[1:], force)
    put_force(state[0], state[1:], pattern, force)
    return abs(radial) <= QUIET * most


@compiled
def _slides_on(state, data, pattern, force, factors):
    """Return whether the sliding kinks keep sliding while q falls to 0, theta being linear in q."""
    put_force(0.0, state[1:], pattern, force)
    put_factors(data, pattern, factors)
    goes_on = True
    for s in range(pattern[4][0]):
        goes_on &= 0 < factors[s] < 1
    put_force(state[0], state[1:], pattern, force)
    put_factors(data, pattern, factors)
    return goes_on


@compiled
def _leave(state, c, z, data, pattern, force, factors, found):
    """Pass through w = 0: return (status, the time it takes).

    The flow restarts in the direction in which w grows.
    """
    a, r = _point(state[0], c)
    n = state[1:]
    speed = abs(a * dot(n, force))
    how = leave(math.copysign(1.0, a), n, data, found)
    if how != GROWS:
        return (DEAD if how == DIES else UNDECIDED_AT_ZERO), r / speed
    for j in range(len(n)):
        n[j] = found[j]
    start(0.0, math.copysign(1.0, a), n, z, data, pattern, force, factors)
    pull = math.sqrt(dot(force, force))
    spread = 0.0
    for j in range(len(n)):
        for i in range(len(n)):
            spread = max(spread, abs(pattern[1][j, i]))
    grown = DIRECTION_AT_REST * abs(a)
    if abs(a) * spread * abs(a) > pull:
        grown = DIRECTION_AT_REST * pull / (abs(a) * spread)
    state[0] = a * grown
    put_force(state[0], n, pattern, force)
    put_factors(data, pattern, factors)
    return _GOES_ON, r / speed + grown / abs(a * pull)


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
    """Write the state at rest into rows of a and w, or NaN where it is unknown.

    A dead w keeps its last direction.
    """
    now, r = _point(state[0], c)
    for j in rows:
        if how == FAILED or how == UNDECIDED_AT_ZERO:
            now, r = np.nan, np.nan
        a[j] = now
        for v in range(w.shape[1]):
            w[j, v] = r * state[1 + v]


@compiled
def _first_step(state, c, small, force):
    """Return a first step: a hundredth of the time in which q or n would change by their size."""
    m, ratio = sizes(state[0], c)
    q = abs(state[0]) if c >= 0 else abs(state[0]) + small
    pace = max(abs(ratio), m / q) * math.sqrt(dot(force, force))
    return 0.01 / pace if pace > 0 else np.inf


@compiled
def _steady(state, c, left, pattern, power, work):
    """Return the largest step with which a stiff flow comes to rest; infinity for one that is not stiff.

    Larger ones would be limited by their error alone, and leave a gradient of the size of the tolerance.
    """
    square = pattern[1]
    m, _ = sizes(state[0], c)
    d = len(power)
    trace = 0.0
    for j in range(d):
        trace += square[j, j]
    if not m * trace * left > STIFF:
        return np.inf
    largest = 0.0
    for j in range(d):
        power[j] = 1.0 + 0.1 * j
    for _ in range(8):
        size = math.sqrt(dot(power, power))
        largest = 0.0
        for j in range(d):
            power[j] /= size
        for i in range(d):
            work[i] = dot(square[i], power)
            largest += work[i] * work[i]
        for j in range(d):
            power[j] = work[j]
    return STABLE / (m * math.sqrt(largest)) if largest > 0 else np.inf


@compiled
def _follow(data, a0, w0, r0, times, rtol, tolerance, a, w):
    """Follow one start, r0 = |w0| > 0, and fill a and w; return (status, gradient norm at the end)."""
    kinks, d = data[0].shape
    pattern = room(kinks, d)
    force = np.empty(d)
    k = np.empty((ORDER_8_STAGES + 1, d + 1))
    new = np.empty(d + 1)
    z = np.empty(kinks)
    ends = np.empty(kinks)
    factors = np.empty(d)
    after = np.empty(d)
    state = np.empty(d + 1)
    found = np.empty(d)
    c = (abs(a0) - r0) * (abs(a0) + r0)
    size = math.hypot(a0, r0)
    state[0] = a0 * r0
    for v in range(d):
        state[1 + v] = w0[v] / r0
    sign = _sign(state, z, data, pattern, force, factors)
    start(state[0], sign, state[1:], z, data, pattern, force, factors)
    most, fit = _scales(data, abs(state[0]))
    small = _small(state[0], c, fit)
    t = 0.0
    saved = 0
    cut = np.inf
    kept = _first_step(state, c, small, force)
    doubtful = hides(sign, z, data, pattern, force)
    how, gradient = _end(state, c, size, most, fit, tolerance, data, pattern, force, factors)
    _slopes(state, c, pattern, force, k[0])
    for _ in range(SAMPLE_TRIES):
        if how == _AT_ZERO:
            how, takes = _leave(state, c, z, data, pattern, force, factors, found)
            gradient = 0.0 if how == DEAD else gradient
            _slopes(state, c, pattern, force, k[0])
            t += takes
            kept = _first_step(state, c, small, force)
            cut = np.inf
            while how == _GOES_ON and saved < len(times) and times[saved] <= t:
                _write(how, state, c, range(saved, saved + 1), a, w)
                saved += 1
            how = FINISHED if saved == len(times) and how == _GOES_ON else how
        if how != _GOES_ON:
            break
        left = times[saved] - t
        if tolerance < rtol:  # else it counts as at rest before its error could slow it down
            kept = min(kept, _steady(state, c, left, pattern, found, after))
        h = min(left if kept >= left else min(kept, 0.5 * left), cut)
        error = _attempt(state, h, c, rtol, small, pattern, force, k, new)
        if not error <= 1:
            kept = h * min(growth(error), 1.0)
            continue
        inputs(new[1:], data, ends)
        put_factors(data, pattern, after)
        near_0 = c < 0 and pattern[4][0] > 0 and (state[0] * new[0] <= 0 or abs(new[0]) <= WIDTH * small)
        decays = near_0 and _only_decays(state, most, pattern, force)
        share = _share_within(state, new, z, ends, h, c, small, k, data, pattern, factors, after)
        if share < 1 and not decays:
            cut = h * share
            continue
        kept = max(h * growth(error), kept if growth(error) > 1 else 0.0)
        cut = np.inf
        turns = c < 0 and pattern[4][0] > 0 and state[0] * k[0, 0] < 0 and abs(state[0]) > WIDTH * small
        _accept(state, new, z, ends)
        if decays:
            state[0] = 0.0
            how = FINISHED
            gradient = 0.0
            break
        if turns and abs(state[0]) <= WIDTH * small:
            state[0] = 0.0
        land(state[1:], z, data, pattern)
        put_force(state[0], state[1:], pattern, force)
        if turns and state[0] == 0:
            put_factors(data, pattern, factors)
            for s in range(pattern[4][0]):
                doubtful |= DOUBT < factors[s] < 1 - DOUBT
        sign = math.copysign(1.0, state[0]) if state[0] != 0 else math.copysign(1.0, dot(state[1:], force))
        doubtful |= decide(state[0], sign, state[1:], z, data, pattern, force, factors)
        t = times[saved] if h == left else t + h
        how, gradient = _end(state, c, size, most, fit, tolerance, data, pattern, force, factors)
        _slopes(state, c, pattern, force, k[0])
        if h == left:
            _write(how, state, c, range(saved, saved + 1), a, w)
            saved += 1
            how = FINISHED if saved == len(times) and how < 0 else how
    how = FAILED if how < 0 else how
    _write(how, state, c, range(saved, len(times)), a, w)
    return DOUBTFUL if doubtful and (how == FINISHED or how == DEAD) else how, gradient


@compiled
def _scales(data, start):
    """Return the sum of all pulls, and a |w| that fits the data, up to a factor; 0 for no data.

    Args:
        start: a |w| at the start, the scale of the pulls where every target is 0
    """
    pull, square = 0.0, 0.0
    for k in range(data[2].shape[1]):
        pull += max(abs(data[2][0, k]), abs(data[2][1, k]))
        square += max(data[3][0, k], data[3][1, k])
    return (pull if pull > 0 else start * square), (pull / square if square > 0 else 0.0)


@compiled
def _small(q, c, fit):
    """Return the size relative to which q = a |w| may be 0 while a passes 0, for c < 0.

    It is at most |c|, since a may be 0 compared with |w|. But the loss resolves q only relative to the a |w| that fits
    the data, which is far less where |w| is large: an error of rtol |c| there would be many times the fit, and raise
    the loss.

    Args:
        q: at the start, the scale where every target is 0
    """
    fits = ROOMY * fit if fit > 0 else abs(q)
    return min(-c, fits) if fits > 0 else -c


@compiled
def _sign(state, z, data, pattern, force, factors):
    """Return the sign of a at the start, or of what it becomes next where a = 0."""
    if state[0] != 0:
        return math.copysign(1.0, state[0])
    start(0.0, 0.0, state[1:], z, data, pattern, force, factors)
    radial = dot(state[1:], force)
    return math.copysign(1.0, radial) if radial != 0 else 0.0


@compiled
def follow_sample(normal, pull, square, split, many, a0, w0, r0, times, rtol, tolerance, a, w, status, gradient):
    """Follow n starts, each on its own sample or all on one, to each of m times or until they rest.

    Args:
        normal, pull, square, split: float arrays, shape (n, K, d) and three of (n, 2, K), or 1 instead of n; as in
            `theory.losses.kinks.Kinks`
        many: int array, shape (n,) or (1,), how many kinks each sample has; later entries are not read
        a0, w0, r0: float arrays, shape (n,), (n, d) and (n,), r0 = |w0|; NaN for a start that
            floats cannot represent: FAILED
        times: float array, shape (n, m), each row above 0 and increasing
        rtol, tolerance: float, of a step; gradient norm at which a start rests, as a share of |(a, w)| times the sum
            of all pulls
        a, w: float arrays, shape (n, m) and (n, m, d), filled here; NaN from where a trajectory failed
        status, gradient: int8 and float arrays, shape (n,), filled here; the gradient's norm at the end
    """
    for i in range(len(a0)):
        which = i if len(normal) > 1 else 0
        k = many[which]
        here = normal[which, :k]
        data = (here, here.T.copy(), pull[which, :, :k].copy(), square[which, :, :k].copy(), split[which, :, :k].copy())
        if not r0[i] >= 0:
            status[i] = FAILED
            gradient[i] = np.nan
            a[i] = np.nan
            w[i] = np.nan
        elif r0[i] > 0:
            status[i], gradient[i] = _follow(data, a0[i], w0[i], r0[i], times[i], rtol, tolerance, a[i], w[i])
        else:
            status[i] = FINISHED
            gradient[i] = 0.0
            a[i] = a0[i]
            w[i] = 0.0  # relu'(0) = 0
