"""The compiled activation pattern of a finite sample: the smooth piece of the loss that a step stays in.

With w = |w| n and q = a |w|, the force of 1/(2N) sum_i (a phi(w.x_i) - y_i)^2 is

    F = mean_i phi'(n.x_i) (y_i - q phi(n.x_i)) x_i = pull - q square n,

its vector and matrix being fixed by the mode of each point: OFF and ON (n.x_i below and above 0), or SLIDES (both sides
push n.x_i to 0, and F loses its part along x_i: Filippov's solution, as in `theory.cells`). Source: ours.

Arguments of the functions: `data` = (x, its transpose, y, |x_i|, slope of phi); `pattern` = (modes, square, pull,
sliding points, how many there are, their orthonormal basis, their coordinates in it, parts of F along it). They are
tuples, since numba cannot load what it has stored for a class once that class has changed.
"""

from __future__ import annotations

import math

import numpy as np

from theory.kernels import compiled

OFF, ON, SLIDES = range(3)
WIDTH = 1e-9  # how near to its kink a point counts as on it, as a share of |x_i|; and phi' to its bounds


@compiled
def room(n, d):
    """Return an empty pattern of n points and d inputs."""
    modes, slides, count = np.empty(n, np.int64), np.empty(d, np.int64), np.empty(1, np.int64)
    return modes, np.empty((d, d)), np.empty(d), slides, count, np.empty((d, d)), np.empty((d, d)), np.empty(d)


@compiled
def dot(x, y):
    """Return the inner product, always summed in the same order."""
    total = 0.0
    for j in range(len(x)):
        total += x[j] * y[j]
    return total


@compiled
def inputs(n, data, z):
    """Put n.x_i into z."""
    across = data[1]
    for i in range(len(z)):
        z[i] = 0.0
    for j in range(len(n)):
        for i in range(len(z)):
            z[i] += across[j, i] * n[j]


@compiled
def put_force(q, n, pattern, force):
    """Put F into `force`."""
    _, square, pull, _, count, basis, _, parts = pattern
    for j in range(len(n)):
        force[j] = pull[j]
    for k in range(len(n)):
        share = q * n[k]
        for j in range(len(n)):
            force[j] -= share * square[k, j]
    for s in range(count[0]):
        parts[s] = 0.0
        for j in range(len(n)):
            parts[s] += basis[s, j] * force[j]
        for j in range(len(n)):
            force[j] -= parts[s] * basis[s, j]


@compiled
def start(q, n, z, data, pattern, force, factors):
    """Set the pattern that holds the direction n, and z = n.x_i."""
    modes, square, pull, _, count = pattern[:5]
    square[:], pull[:], count[0] = 0.0, 0.0, 0
    inputs(n, data, z)
    for i in range(len(z)):
        modes[i] = SLIDES  # until here it has no share of F
        _switch(i, ON if z[i] > 0 else OFF, data, pattern)
    decide(q, n, z, data, pattern, force, factors)


@compiled
def decide(q, n, z, data, pattern, force, factors):
    """Decide the modes of the points on their kinks; put F and phi' of the sliding points."""
    put_force(q, n, pattern, force)
    put_factors(data, pattern, factors)
    sign = 1.0 if q > 0 else -1.0
    near, many = _near(sign, z, data, pattern, factors)
    if many == 0:
        return
    phi = np.empty(len(z))
    for s in range(pattern[4][0]):
        phi[pattern[3][s]] = factors[s]
    for _ in range(len(near)):  # once, but for kinks that meet
        _let_go(near, phi, sign, data, pattern)
        put_force(q, n, pattern, force)
        _least(near, phi, data, pattern, force)
        _hold_again(near, phi, data, pattern)
        if not _crosses(q, n, near, sign, data, pattern, force):
            break
    _land(n, z, data, pattern)
    put_force(q, n, pattern, force)
    put_factors(data, pattern, factors)


@compiled
def put_factors(data, pattern, factors):
    """Put phi' of the sliding points, as the last F needs them, into `factors`: between the slope and 1."""
    y = data[2]
    _, _, _, slides, count, _, mix, parts = pattern
    for s in range(count[0] - 1, -1, -1):
        factors[s] = -parts[s]
        for other in range(s + 1, count[0]):
            factors[s] -= mix[s, other] * factors[other]
        factors[s] /= mix[s, s]
    for s in range(count[0]):
        factors[s] *= len(y) / y[slides[s]]


@compiled
def _switch(i, mode, data, pattern):
    """Give point i another mode, and F its new share of it; a sliding point has none."""
    x, _, y, _, slope = data
    modes, square, pull = pattern[:3]
    factors = (slope, 1.0, 0.0)
    before, after = factors[modes[i]], factors[mode]
    modes[i] = mode
    for j in range(x.shape[1]):
        part = x[i, j] / len(y)
        pull[j] += (after - before) * y[i] * part
        for k in range(x.shape[1]):
            square[j, k] += (after * after - before * before) * part * x[i, k]


@compiled
def _hold(i, data, pattern):
    """Let point i, which has no share of F, slide unless the sliding points hold it; return whether it does."""
    x, _, _, size, _ = data
    _, _, _, slides, count, basis, mix, _ = pattern
    s, d = count[0], x.shape[1]
    if s == d - 1:
        return False
    for j in range(d):
        basis[s, j] = x[i, j]
    for other in range(s):
        mix[other, s] = dot(basis[other], basis[s])
        for j in range(d):
            basis[s, j] -= mix[other, s] * basis[other, j]
    mix[s, s] = math.sqrt(dot(basis[s], basis[s]))
    if mix[s, s] <= 1e-7 * size[i]:
        return False
    for j in range(d):
        basis[s, j] /= mix[s, s]
    slides[s], count[0] = i, s + 1
    return True


@compiled
def _land(n, z, data, pattern):
    """Put n on the kinks of the sliding points exactly."""
    count, basis = pattern[4], pattern[5]
    for s in range(count[0]):
        off = dot(basis[s], n)
        for j in range(len(n)):
            n[j] -= off * basis[s, j]
    if count[0] > 0:
        length = math.sqrt(dot(n, n))
        for j in range(len(n)):
            n[j] /= length
        inputs(n, data, z)


@compiled
def _near(sign, z, data, pattern, factors):
    """Return the points on their kinks and how many of them there are, 0 if they all slide and go on sliding."""
    near, many, all_slide = np.empty(0, np.int64), 0, True
    for i in range(len(z)):
        if abs(z[i]) <= WIDTH * data[3][i] and data[3][i] > 0:
            many += 1
            all_slide &= pattern[0][i] == SLIDES and sign * data[2][i] < 0
    for s in range(pattern[4][0]):
        all_slide &= data[4] <= factors[s] <= 1
    if all_slide:
        return near, 0
    near, many = np.empty(many, np.int64), 0
    for i in range(len(z)):
        if abs(z[i]) <= WIDTH * data[3][i] and data[3][i] > 0:
            near[many] = i
            many += 1
    return near, many


@compiled
def _let_go(near, phi, sign, data, pattern):
    """Take the points that both sides may push to their kink out of F, phi' kept in phi; the others are on or off."""
    modes, y, slope = pattern[0], data[2], data[4]
    pattern[4][0] = 0
    for i in near:
        if sign * y[i] >= 0:
            if modes[i] == SLIDES:
                _switch(i, ON if phi[i] > (1 + slope) / 2 else OFF, data, pattern)
        elif modes[i] != SLIDES:
            phi[i] = 1.0 if modes[i] == ON else slope
            _switch(i, SLIDES, data, pattern)


@compiled
def _least(near, phi, data, pattern, force):
    """Choose phi' of the points let go, from the slope to 1, such that |F| is least, one after the other."""
    x, _, y, size, slope = data
    for i in near:
        for j in range(len(force)):
            force[j] += phi[i] * y[i] / len(y) * x[i, j] if pattern[0][i] == SLIDES else 0.0
    for _ in range(10_000):
        moved = 0.0
        for i in near:
            if pattern[0][i] == SLIDES:
                part = y[i] / len(y)
                wanted = min(max(phi[i] - dot(x[i], force) / (part * size[i] ** 2), slope), 1.0)
                for j in range(len(force)):
                    force[j] += (wanted - phi[i]) * part * x[i, j]
                moved, phi[i] = max(moved, abs(wanted - phi[i])), wanted
        if moved <= 1e-13:
            break


@compiled
def _hold_again(near, phi, data, pattern):
    """Give the points let go the modes that phi' stands for."""
    for i in near:
        if pattern[0][i] == SLIDES:
            slides = data[4] < phi[i] < 1 and _hold(i, data, pattern)
            if not slides:
                _switch(i, ON if phi[i] > (1 + data[4]) / 2 else OFF, data, pattern)


@compiled
def _crosses(q, n, near, sign, data, pattern, force):
    """Turn the points that are pushed through their kinks on or off; return whether there was one."""
    crosses = False
    for i in near:
        if sign * data[2][i] >= 0:
            put_force(q, n, pattern, force)
            push = sign * dot(data[0][i], force)
            if push != 0 and (push > 0) != (pattern[0][i] == ON):
                _switch(i, 1 - pattern[0][i], data, pattern)
                crosses = True
    return crosses
