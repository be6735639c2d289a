"""The compiled flow of a finite sample at w = 0: in which direction it continues.

Near w = 0 the force depends on the direction alone, w' = sign(a) F(w / |w|) up to a factor: it is constant in each
cell, and w moves along a polygon, each corner being on a kink. Small steps that arrive at 0 along a direction land
beyond 0 in the directions of the pushes of its neighbouring cells; from each of them the polygon leads to a direction
in which w grows for ever (F = |F| w / |w|), or back to 0. Source: this project; the rule is the limit of gradient
descent.
"""

from __future__ import annotations

import math

import numpy as np

from theory.compiled.activation_pattern import JOINED, OFF, ON, SLIDES, WIDTH, dot, hides, room, start
from theory.compiled.compiler import compiled

GROWS, DIES, DIFFERS = range(3)
_STAYS = 3  # of a polygon: it ends in a cell without a force, next to 0
MOST = 12  # kinks that meet in one direction: with more, their 2^k cells are not examined
ARRIVALS = 128  # directions along which the flow may reach 0 again; further ones are not examined
MOST_CELLS = 2**10  # that are followed from there in all, some seconds at most: with more, nothing is decided
SAME_DIRECTION = 1e-6  # directions that differ by no more are one


@compiled
def polygon(sign, w, data, end):
    """Follow the homogeneous flow from w and return how it ends.

    GROWS: w grows for ever; DIES: w returns to 0; _STAYS: nothing moves w; DIFFERS: no end was found.

    Args:
        end: filled with the direction in which it grows, or stays, or along which it comes to 0
    """
    kinks, d = data[0].shape
    pattern = room(kinks, d)
    force = np.empty(d)
    z = np.empty(kinks)
    factors = np.empty(d)
    n = w.copy()
    for _ in range(20 * kinks + 20):
        length = math.sqrt(dot(n, n))
        for j in range(d):
            n[j] /= length
        start(0.0, sign, n, z, data, pattern, force, factors)
        if hides(sign, z, data, pattern, force):
            return DIFFERS
        size = math.sqrt(dot(force, force))
        end[:] = n
        if size <= 1e-13 * _largest(data):
            return _STAYS
        along = sign * dot(n, force) / size
        until = np.inf
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
    """Return how the flow leaves w = 0 where it arrives along n.

    The direction of growth (GROWS) is put into `end`.

    From cells that lead back to 0 the flow arrives there again, perhaps along another direction, and is followed from
    there. DIES where no cell leads away; DIFFERS where cells lead to several directions of growth, or some to growth
    and some to where nothing moves w.
    """
    if not _may_grow(sign, data):
        return DIES
    outcome = DIES
    arrivals = np.empty((ARRIVALS, len(n)))
    many = 1
    done = 0
    stays = False
    arrivals[0] = n
    cells = 0
    while done < many:
        outcome, many, rests, meet = _leave_along(sign, arrivals[done], data, outcome, end, arrivals, many)
        cells += 1 << meet
        if done + 1 < many and cells > MOST_CELLS:
            return DIFFERS
        stays |= rests
        if outcome == DIFFERS or (outcome == GROWS and stays):
            return DIFFERS
        done += 1
    return outcome


@compiled
def _may_grow(sign, data):
    """Return whether w can grow in any direction.

    |w|' is a sum of the pulls, each times the size of w.n on its side.
    """
    for k in range(data[2].shape[1]):
        if sign * data[2][ON, k] > 0 or sign * data[2][OFF, k] < 0:
            return True
    return False


@compiled
def _leave_along(sign, n, data, outcome, end, arrivals, many):
    """Follow the polygons from all cells next to n.

    Return (outcome, how many directions of arrival are known, whether a cell leads to where nothing moves w, how many
    kinks meet in n).
    """
    kinks, d = data[0].shape
    near = np.empty(kinks, np.int64)
    meet = 0
    stays = False
    base = np.zeros(d)
    push = np.empty(d)
    found = np.empty(d)
    for k in range(kinks):
        z = dot(data[0][k], n)
        if abs(z) <= 2 * JOINED and data[4][0, k] + data[4][1, k] > 0:
            return DIFFERS, many, stays, meet  # the cells between joined kinks are not known
        if abs(z) <= WIDTH:
            near[meet] = k
            meet += 1
        else:
            for j in range(d):
                base[j] += data[2][ON if z > 0 else OFF, k] * data[0][k, j]
    if meet > MOST:
        return DIFFERS, many, stays, meet
    for cell in range(1 << meet):
        for j in range(d):
            push[j] = base[j]
            for i in range(meet):
                push[j] += data[2][(cell >> i) & 1, near[i]] * data[0][near[i], j]
            push[j] *= sign
        if math.sqrt(dot(push, push)) <= 1e-13 * _largest(data):
            continue
        how = polygon(sign, push, data, found)
        if how == DIFFERS or (how == GROWS and outcome == GROWS and not _same(end, found)):
            return DIFFERS, many, stays, meet
        stays |= how == _STAYS
        if how == GROWS:
            outcome = GROWS
            end[:] = found
        elif how == DIES:
            known = False
            for i in range(many):
                known |= _same(arrivals[i], found)
            if not known:
                if many == ARRIVALS:
                    return DIFFERS, many, stays, meet
                arrivals[many] = found
                many += 1
    return outcome, many, stays, meet


@compiled
def _same(one, other):
    """Say whether two directions are one."""
    apart = 0.0
    for j in range(len(one)):
        apart = max(apart, abs(one[j] - other[j]))
    return apart <= SAME_DIRECTION
