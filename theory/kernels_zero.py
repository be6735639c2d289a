"""The compiled flow at w = 0 of a finite sample: where it goes on.

Near w = 0 the force depends on the direction alone, w' = sign(a) F(w / |w|) up to a factor: it is constant in each
cell, and w moves along a polygon, each corner being on a kink. Small steps that arrive at 0 along a direction land
beyond 0 in the directions of the pushes of its neighbouring cells; from each of them the polygon leads to a direction
in which w grows for ever (F = |F| w / |w|), or back to 0. Source: ours; the rule is the limit of gradient descent.
"""

from __future__ import annotations

import math

import numpy as np

from theory.kernels import compiled
from theory.kernels_pattern import OFF, ON, SLIDES, WIDTH, dot, room, start

GROWS, DIES, DIFFERS = range(3)
MOST = 12  # kinks that meet in one direction: with more, their 2^k cells are not looked at
SAME = 1e-6  # directions that differ by no more are one


@compiled
def polygon(sign, w, data, end):
    """Follow the homogeneous flow from w: GROWS, the direction put into `end`; DIES at 0; DIFFERS if neither comes."""
    kinks, d = data[0].shape
    pattern, force, z, factors, n = room(kinks, d), np.empty(d), np.empty(kinks), np.empty(d), w.copy()
    for _ in range(20 * kinks + 20):
        length = math.sqrt(dot(n, n))
        for j in range(d):
            n[j] /= length
        start(0.0, sign, n, z, data, pattern, force, factors)
        size = math.sqrt(dot(force, force))
        if size <= 1e-13 * _largest(data):
            return DIES
        along, until = sign * dot(n, force) / size, np.inf
        for k in range(kinks):
            if pattern[0][k] != SLIDES:
                side = 1.0 if pattern[0][k] == ON else -1.0
                rate = side * sign * dot(data[0][k], force)
                if rate < -1e-13 * size:
                    until = min(until, max(side * z[k], 0.0) / -rate)
        if along < 0 and 1 + along <= 1e-12:
            return DIES  # straight back to 0
        if until == np.inf:
            for j in range(d):
                end[j] = sign * force[j] / size
            return GROWS
        for j in range(d):
            n[j] += until * sign * force[j]
        if dot(n, n) <= 1e-24:
            return DIES
    return DIFFERS


@compiled
def _largest(data):
    """Return the size of the largest pull."""
    size = 0.0
    for side in range(2):
        for k in range(data[2].shape[1]):
            size = max(size, abs(data[2][side, k]))
    return size


@compiled
def leave(sign, n, data, end):
    """Say how the flow leaves w = 0 where it arrives along n; the direction in which it GROWS is put into `end`.

    DIES where all cells beside n lead back to 0; DIFFERS where they do not lead to one and the same.
    """
    kinks, d = data[0].shape
    near, many = np.empty(kinks, np.int64), 0
    push, found = np.empty(d), np.empty(d)
    base = np.zeros(d)
    for k in range(kinks):
        z = dot(data[0][k], n)
        if abs(z) <= WIDTH:
            near[many] = k
            many += 1
        else:
            for j in range(d):
                base[j] += data[2][ON if z > 0 else OFF, k] * data[0][k, j]
    if many > MOST:
        return DIFFERS
    outcome = -1
    for cell in range(1 << many):
        for j in range(d):
            push[j] = base[j]
        for i in range(many):
            for j in range(d):
                push[j] += data[2][(cell >> i) & 1, near[i]] * data[0][near[i], j]
        for j in range(d):
            push[j] *= sign
        if math.sqrt(dot(push, push)) <= 1e-13 * _largest(data):
            how = DIES
        else:
            how = polygon(sign, push, data, found)
        if how == DIFFERS:
            return DIFFERS
        if outcome == -1:
            outcome = how
            end[:] = found
        elif how != outcome:
            return DIFFERS
        elif how == GROWS:
            for j in range(d):
                if abs(end[j] - found[j]) > SAME:
                    return DIFFERS
    return outcome
