"""The compiled flow of `theory.extensions.hidden_neurons`. Loaded when used: numba is heavy.

One trial is a (k,) and w (k, d), the target relu(x_1). Neuron i is its size r_i times a unit vector n_i, and

    E relu(n.x) relu(m.x) = (sin f + (pi - f) cos f) / (2 pi) for unit vectors at the angle f.

lone (k,): the index of the weight of a neuron that has one weight left, -1 for others. Its n is side[i] times that axis
and r_i = side[i] w_i, which passes smoothly through 0: a step that ends beyond 0 is shortened to end on 0.
side (k,): the sign of that weight; 0: the neuron is dead, contributes nothing and has no gradient, as relu'(0) = 0.
balance (k,): a_i^2 - r_i^2, which the flow conserves, at the start; 0 for a_i = +-r_i up to a relative 1e-12.
held (k,): the sign of a_i where the balance is 0, else 0: a_i = held[i] r_i then holds exactly at all times.

Scales: the target fixes one, a r = 1. A neuron far below it grows or shrinks at a rate that does not depend on its
size. So every threshold on a state is a share of the size of its neuron; only thresholds on the loss and on time are
not.
"""

from __future__ import annotations

import numpy as np

from theory.compiled.compiler import strict
from theory.compiled.descent import sin_minus_x_cos
from theory.compiled.tableaux import ORDER_5_A, ORDER_5_ERROR

LEARNED, STATIONARY, UNDECIDED = range(3)
DIES_BELOW = 100.0  # times the absolute tolerance: a neuron of several weights that is pushed down below this |w| dies,
SETTLED_BELOW = 1e-7  # and below this share of its |w| at the start: by then its direction has settled
STEP_LIMIT = 50_000
LANDED = 1e-13  # a lone weight this far beyond 0, as a share of the neuron's size, has landed on it
BALANCED = 1e-12  # theory.exact.limits.BAND: |w| is rounded
TINY = 2.2250738585072014e-308  # numbers below it lose digits: the least tolerance


@strict
def sides(w, mask):
    """Return (lone, side) of w (k, d): a neuron dies where no weight is left, or none but zeros."""
    k, d = w.shape
    lone = np.full(k, -1)
    side = np.zeros(k)
    for i in range(k):
        if np.sum(mask[i]) == 1:
            lone[i] = np.argmax(mask[i])
            side[i] = np.sign(w[i, lone[i]])
        else:
            side[i] = 1.0 if np.any(w[i] != 0) else 0.0
    return lone, side


@strict
def polar(w, lone, side, unit, size):
    """Write n_i and r_i of the living neurons into unit (k + 1, d) and size (k + 1,).

    The last row of both, the target e_1, is not changed.
    """
    k, d = w.shape
    for i in range(k):
        if side[i] == 0:
            continue
        if lone[i] >= 0:
            size[i] = side[i] * w[i, lone[i]]
            unit[i, :] = 0.0
            unit[i, lone[i]] = side[i]
        else:
            largest = np.max(np.abs(w[i]))  # above 0, and dividing by it no square underflows
            unit[i] = w[i] / largest
            size[i] = largest * np.sqrt(np.sum(unit[i] ** 2))
            unit[i] *= largest / size[i]


@strict
def length(vector):
    """Return |vector| without under- and overflow of the squares."""
    largest = np.max(np.abs(vector))
    return largest * np.sqrt(np.sum((vector / largest) ** 2)) if 0 < largest < np.inf else largest


@strict
def balances(a, size, side):
    """Return (balance, held) of neurons in polar form."""
    k = a.size
    balance, held = np.zeros(k), np.zeros(k)
    for i in range(k):
        r = size[i] if side[i] != 0 else 0.0
        apart = abs(a[i]) - r
        if abs(apart) > BALANCED * r:
            balance[i] = apart * (abs(a[i]) + r)
            if balance[i] == 0:  # it underflows
                balance[i] = np.sign(apart) * 1e-300
        elif r > 0:
            held[i] = np.sign(a[i])
    return balance, held


@strict
def angle(unit, i, m):
    """Return the angle f between rows i and m of unit (k + 1, d), as (f, sin f, cos f).

    All three are accurate to rounding, near 0 and near pi as well.
    """
    apart, along = 0.0, 0.0
    for j in range(unit.shape[1]):
        apart += (unit[i, j] - unit[m, j]) ** 2
        along += (unit[i, j] + unit[m, j]) ** 2
    near, far = np.sqrt(along), np.sqrt(apart)  # 2 cos(f / 2) and 2 sin(f / 2)
    return 2 * np.arctan2(far, near), near * far / 2, (along - apart) / 4


@strict
def gradient(a, side, mask, unit, size, da, dw):
    """Return the loss of neurons in polar form, and write its gradient into da and dw.

    da has the shape (k,) and dw the shape (k, d); dw is 0 where mask is 0.

    d/dn of E relu(n.x) relu(m.x) is ((pi - f) m + sin(f) n) / (2 pi). The target is neuron k: r = 1, n = e_1, outer
    weight -1.
    """
    k, d = mask.shape
    loss = 0.25
    da[:], dw[:] = 0.0, 0.0
    for i in range(k):
        if side[i] == 0:
            continue
        loss += (a[i] * size[i]) ** 2 / 4
        da[i] += a[i] * size[i] ** 2 / 2
        own = a[i] * size[i] / 2  # times n_i: the neuron's own pull along n_i
        for m in range(i + 1, k + 1):
            if m < k and side[m] == 0:
                continue
            outer = (a[m] if m < k else -1.0) * size[m]
            f, sine, cosine = angle(unit, i, m)
            turn = (np.pi - f) / (2 * np.pi)
            keep = sine / (2 * np.pi)
            kernel = keep + turn * cosine
            loss += a[i] * size[i] * outer * kernel
            da[i] += size[i] * outer * kernel
            own += outer * keep
            for j in range(d):
                dw[i, j] += outer * turn * unit[m, j]
            if m < k:
                back = a[i] * size[i]
                da[m] += back * size[m] * kernel
                for j in range(d):
                    dw[m, j] += back * (turn * unit[i, j] + keep * unit[m, j])
        for j in range(d):
            dw[i, j] += own * unit[i, j]
    for i in range(k):
        for j in range(d):
            dw[i, j] *= a[i] * mask[i, j]
    return loss


@strict
def velocity(y, neurons, work, out):
    """Write minus the gradient at the state y (k + k d,) into out, and return the loss.

    A balanced a_i is put on +-r_i exactly.
    """
    lone, side, mask, held = neurons
    unit, size, _, _ = work
    k, d = mask.shape
    polar(y[k:].reshape(k, d), lone, side, unit, size)
    for i in range(k):
        if held[i] != 0 and side[i] != 0:
            y[i] = held[i] * size[i]
    loss = gradient(y[:k], side, mask, unit, size, out[:k], out[k:].reshape(k, d))
    for i in range(y.size):
        out[i] = -out[i]
    return loss


@strict
def floors(y, neurons, work, tolerances, floor):
    """Write the absolute error tolerance of each entry of y into floor (k + k d,).

    It is the given absolute tolerance, or less: the direction of w must keep its digits; a and a lone weight may pass
    0, and their errors are shares of the neuron's size and, multiplied by the other of the two, of a r = 1.
    """
    lone, _, mask, _ = neurons
    size = work[1]
    rtol, atol = tolerances
    k, d = mask.shape
    for i in range(k):
        a, r = max(abs(y[i]), TINY), max(abs(size[i]), TINY)
        floor[i] = max(min(atol, rtol * min(max(a, r), 1 / r)), TINY)
        across = min(max(a, r), 1 / a) if lone[i] >= 0 else r
        floor[k + i * d : k + (i + 1) * d] = max(min(atol, rtol * across), TINY)


@strict
def try_step(y, h, neurons, work, rtol, floor):
    """Take one step from y: write the new state into stage and its velocity into slopes[6].

    The velocity at y must be in slopes[0].

    Returns (loss at the new state, largest error in units of the tolerances: infinite if the new state is not finite).
    """
    _, _, slopes, stage = work
    loss = 0.0
    for s in range(6):
        for i in range(y.size):
            move = 0.0
            for j in range(s + 1):
                move += ORDER_5_A[s, j] * slopes[j, i]
            stage[i] = y[i] + h * move
        loss = velocity(stage, neurons, work, slopes[s + 1])
    worst = 0.0
    for i in range(y.size):
        error = 0.0
        for j in range(7):
            error += ORDER_5_ERROR[j] * slopes[j, i]
        error = abs(h * error) / (floor[i] + rtol * max(abs(y[i]), abs(stage[i])))
        if not error < np.inf:
            return loss, np.inf
        worst = max(worst, error)
    return loss, worst


@strict
def overshoot(y, stage, lone, side, d):
    """Return how far the lone weights pass 0 in a step: (share of the step until 0, largest distance).

    The distance is a share of the neuron's size.
    """
    share = 1.0
    distance = 0.0
    k = lone.size
    for i in range(k):
        if lone[i] >= 0 and side[i] != 0:
            place = k + i * d + lone[i]
            before, after = side[i] * y[place], side[i] * stage[place]
            if after < 0:
                share = min(share, before / (before - after))
                distance = max(distance, -after / max(abs(stage[i]), before))
    return share, distance


@strict
def pushes(i, y, neurons, work, pull):
    """Return F, the push of the target and all other neurons on neuron i along w.

    |w|' = a (F - a |w| / 2). The gradient of F is written into pull.
    """
    _, side, mask, _ = neurons
    unit, size, _, _ = work
    push = 0.0
    k, d = mask.shape
    pull[:] = 0.0
    for m in range(k + 1):
        if m == i or (m < k and side[m] == 0):
            continue
        outer = (-y[m] if m < k else 1.0) * size[m]
        f, sine, _ = angle(unit, i, m)
        turn = (np.pi - f) / (2 * np.pi)
        keep = sine / (2 * np.pi)
        push += outer * sin_minus_x_cos(np.pi - f) / (2 * np.pi)  # its sign next to -e_1 as well
        for j in range(d):
            pull[j] += mask[i, j] * outer * (turn * unit[m, j] + keep * unit[i, j])
    return push


@strict
def land(y, neurons, work, balance, radius):
    """Handle lone weights that have landed on 0, and neurons too small to follow.

    Returns whether there were any.

    A lone weight continues on the other side of 0 where the gradient there pushes it away from 0; otherwise it is dead.
    The others die below their radius (k,) where they are pushed down; where a_i^2 < r_i^2 they cannot.
    """
    lone, side, mask, _ = neurons
    slopes = work[2]
    found = False
    k, d = mask.shape
    for i in range(k):
        w = y[k + i * d : k + (i + 1) * d]
        if side[i] != 0 and lone[i] >= 0 and side[i] * w[lone[i]] <= 0:
            found = True
            w[lone[i]] = 0.0
            side[i] = -side[i]
            velocity(y, neurons, work, slopes[0])
            if side[i] * slopes[0, k + i * d + lone[i]] <= 0:
                side[i] = 0.0
        elif side[i] != 0 and lone[i] < 0 and balance[i] >= 0 and np.max(np.abs(w)) < radius[i]:
            if y[i] * pushes(i, y, neurons, work, np.empty(d)) <= 0:
                found = True
                side[i] = 0.0
                w[:] = 0.0
    return found


@strict
def rests(i, y, neurons, work, balance, still):
    """Return whether neuron i rests: its pushes are in balance, or it moves slowly and can only shrink.

    With F the push of `pushes`, V its gradient and G the part of V across w: r' = a (F - a r / 2), a' = r (F - a r / 2)
    and w turns by a G, towards a larger a F. These pushes have the scale of the target, whatever the neuron's size.
    Next to -e_1 they are small without a rest: G is pi V^2 / 2 there. A neuron that no longer turns shrinks for ever
    where a F < 0 and a^2 >= r^2, and where F = 0; a lone weight may continue beyond 0. One with a F > 0 grows, one with
    a^2 < r^2 grows once a has passed 0.
    """
    lone = neurons[0]
    unit = work[0]
    size = work[1]
    slopes = work[2]
    k, d = neurons[2].shape
    pull = np.empty(d)
    push = pushes(i, y, neurons, work, pull)
    across = 0.0 if lone[i] >= 0 else length(pull - push * unit[i])
    if abs(push - y[i] * size[i] / 2) < still and across < min(still, length(pull) ** 2 / 10):
        return True
    own = max(abs(slopes[0, i]), length(slopes[0, k + i * d : k + (i + 1) * d]))
    if own > still or across > still or y[i] * push > 0:
        return False
    if push == 0 or balance[i] < 0:
        return push == 0
    if lone[i] >= 0 and balance[i] > 0:  # it reaches 0, and continues where it grows on the other side
        unit[i] *= -1
        push_beyond = pushes(i, y, neurons, work, pull)
        unit[i] *= -1
        return y[i] * push_beyond <= 0
    return True


@strict
def at_rest(y, neurons, work, balance, still):
    """Return whether every neuron rests.

    None rests where the gradient is not below `still`, or below that share of the state if the state is large.

    size and unit are those of y, as after an accepted step.
    """
    side = neurons[1]
    if not np.max(np.abs(work[2][0])) < still * max(1.0, np.max(np.abs(y))):
        return False
    for i in range(side.size):
        if side[i] != 0 and not rests(i, y, neurons, work, balance, still):
            return False
    return True


@strict
def flow(y, mask, horizon, learned, still, tolerances):
    """Follow the gradient flow from y, in place, until it is decided.

    Returns (status, time, loss, gradient norm, steps).

    Decided means a loss below `learned`, else at rest; a run that reaches `horizon` is undecided, and so is one with a
    neuron that starts so small that no tolerance keeps its digits. The first step and the one after a landing need no
    scale: a step that is too long is tried again, five times shorter.
    """
    k, d = mask.shape
    lone, side = sides(y[k:].reshape(k, d), mask)
    unit = np.zeros((k + 1, d))
    size = np.ones(k + 1)
    slopes = np.zeros((7, y.size))
    stage = np.empty(y.size)
    unit[k, 0] = 1.0
    polar(y[k:].reshape(k, d), lone, side, unit, size)
    balance, held = balances(y[:k], size, side)
    faint = np.any((side != 0) & (np.maximum(np.abs(y[:k]), size[:k]) < TINY / tolerances[0]))
    radius = np.minimum(DIES_BELOW * tolerances[1], SETTLED_BELOW * size[:k])
    neurons = (lone, side, mask, held)
    work = (unit, size, slopes, stage)
    floor = np.empty(y.size)
    loss = velocity(y, neurons, work, slopes[0])
    t = 0.0
    h = 0.01
    steps = 0
    moved = True
    while True:
        if moved:
            if loss < learned:
                return UNDECIDED if faint else LEARNED, t, loss, length(slopes[0]), steps
            if at_rest(y, neurons, work, balance, still):
                return UNDECIDED if faint else STATIONARY, t, loss, length(slopes[0]), steps
            floors(y, neurons, work, tolerances, floor)
        if t >= horizon or steps == STEP_LIMIT:
            return UNDECIDED, t, loss, length(slopes[0]), steps
        h = min(h, horizon - t)
        new_loss, error = try_step(y, h, neurons, work, tolerances[0], floor)
        steps += 1
        share, distance = overshoot(y, stage, lone, side, d)
        moved = error <= 1 and distance <= LANDED
        if error <= 1 and not moved:
            h *= share
            continue
        if moved:
            t += h
            loss = new_loss
            y[:] = stage
            slopes[0] = slopes[6]
            if land(y, neurons, work, balance, radius):
                loss = velocity(y, neurons, work, slopes[0])
                h = max(h, 1e-3)
        h *= min(5.0, max(0.2, 0.9 * max(error, 1e-10) ** -0.2))


@strict
def flows(states, masks, horizon, learned, still, tolerances, out):
    """Run `flow` for each trial.

    states (trials, k + k d) is changed in place; masks has the shape (trials, k, d); out (trials, 5) is filled.
    """
    for i in range(len(states)):
        status, t, loss, norm, steps = flow(states[i], masks[i], horizon, learned, still, tolerances)
        out[i] = float(status), t, loss, norm, float(steps)


@strict
def gradients(a, w, loss, da, dw):
    """Write the loss (n,) and its gradient (n, k), (n, k, d) of the networks a (n, k), w (n, k, d)."""
    n, k, d = w.shape
    lone = np.full(k, -1)
    unit = np.zeros((k + 1, d))
    size = np.ones(k + 1)
    unit[k, 0] = 1.0
    everything = np.ones((k, d))
    for i in range(n):
        side = np.zeros(k)
        for m in range(k):
            side[m] = 1.0 if np.any(w[i, m] != 0) else 0.0
        polar(w[i], lone, side, unit, size)
        loss[i] = gradient(a[i], side, everything, unit, size, da[i], dw[i])
