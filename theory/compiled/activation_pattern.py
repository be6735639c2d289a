"""The compiled activation pattern of a finite sample.

The pattern is the smooth piece of the loss that a step stays in.

With w = |w| n and q = a |w|, the force of the kinks of `theory.losses.kinks` is

    F = sum_k (pull_k - q square_k z_k) n_k = pull - q square n,    z_k = n.n_k,

its vector and matrix being fixed by the mode of each kink: OFF and ON (z_k below and above 0), or SLIDES (both sides
push z_k to 0, and F loses its part along n_k). The rule is that of `theory.losses.kinks`. Source: this project.

Arguments of the functions: `data` = (normals n_k, their transpose, pull and square of both sides, split); `pattern` =
(modes, square, pull, sliding kinks, their number, their orthonormal basis, their coordinates in it, parts of F along
it). They are tuples, since numba cannot load stored code that uses a class once that class has changed.
"""

from __future__ import annotations

import math

import numpy as np

from theory.compiled.compiler import compiled

OFF, ON, SLIDES = range(3)
WIDTH = 1e-9  # n this near to a kink counts as on it; theta this near to its bounds is there, where a step may end
ROUNDED = 1e-12  # a start this near to a kink lies on it
QUIET = 1e-11  # a push below this share of the forces that cancel in it is rounding, and switches no kink
FAINT = 1e-6  # a push below this share that switches a kink which both sides push away from may be an error
EPS = float(np.finfo(float).eps)
AT_BOUND = 1e-12  # theta this near to 0 or 1 counts as there: the slide ends
# Kinks that are nearly one, as of rows that differ by rounding: n is put on both only if it need not move by more.
MOVED = 1e-6
NEARLY_ONE = 1e-12  # 1 less the cosine between the normals of such kinks
JOINED = 1e-8  # kinks nearer to each other were joined (SAME of `theory.losses.kinks`)
BESIDE = 1e-13  # a direction this far beside a kink has a side, once it is on the sliding kinks


@compiled
def room(kinks, d):
    """Return an empty pattern for `kinks` kinks and d inputs."""
    modes = np.empty(kinks, np.int64)
    slides = np.empty(d, np.int64)
    count = np.empty(1, np.int64)
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
    """Put z_k into z."""
    across = data[1]
    for k in range(len(z)):
        z[k] = 0.0
    for j in range(len(n)):
        for k in range(len(z)):
            z[k] += across[j, k] * n[j]


@compiled
def put_force(q, n, pattern, force):
    """Put F into `force`."""
    square, pull, count, basis, parts = pattern[1], pattern[2], pattern[4], pattern[5], pattern[7]
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
def start(q, sign, n, z, data, pattern, force, factors):
    """Set the pattern that contains the direction n, and z.

    If n lies on a kink, it counts as on the side OFF of that kink, since relu'(0) = 0.
    """
    modes, square, pull, _, count = pattern[:5]
    square[:] = 0.0
    pull[:] = 0.0
    count[0] = 0
    inputs(n, data, z)
    for k in range(len(z)):
        modes[k] = SLIDES  # so far it does not contribute to F
        _switch(k, ON if z[k] > ROUNDED else OFF, data, pattern)
    decide(q, sign, n, z, data, pattern, force, factors)


@compiled
def decide(q, sign, n, z, data, pattern, force, factors):
    """Decide jointly the modes of the kinks on which n lies.

    Puts F into `force`, and theta of the sliding kinks into `factors`.

    Returns whether a push that may be an error switched a kink which both sides push away from.

    Args:
        sign: of a, or of what a becomes next
    """
    put_force(q, n, pattern, force)
    put_factors(data, pattern, factors)
    near = _near(sign, z, data, pattern, factors)
    if len(near) == 0:
        return False
    theta = np.empty(len(z))
    for s in range(pattern[4][0]):
        theta[pattern[3][s]] = factors[s]
    size = 0.0
    for k in range(len(z)):
        if pattern[0][k] != SLIDES:
            mode = pattern[0][k]
            size += abs(data[2][mode, k]) + abs(q * data[3][mode, k] * z[k])
    _let_go(near, theta, sign, data, pattern)
    faint = False
    for _ in range(2 * len(near) + 1):
        put_force(q, n, pattern, force)
        _least(near, theta, data, pattern, force)
        turned, push = _turns(near, theta, QUIET * size, sign, z, data, pattern, force)
        if turned < 0:
            break
        jump = sign * (data[2][ON, turned] - data[2][OFF, turned])
        faint |= jump > 0 and push <= FAINT * max(size, jump)
    _hold_again(near, theta, n, data, pattern)
    _settle(near, QUIET * size, q, sign, n, data, pattern, force, factors)
    land(n, z, data, pattern)
    _put_inside(near, n, z, data, pattern)
    _sum_pull(data, pattern)
    put_force(q, n, pattern, force)
    put_factors(data, pattern, factors)
    return faint or _hides(near, data, pattern) or hides(sign, z, data, pattern, force)


@compiled
def _hides(near, data, pattern):
    """Return whether a sliding kink is nearly one with a kink of the opposite jump.

    Rows that repeat one another up to rounding have such kinks. Between them n may be pushed away, nearer to the
    kinks than they are located.
    """
    normals = data[0]
    pulls = data[2]
    slides = pattern[3]
    count = pattern[4]
    for s in range(count[0]):
        for k in near:
            opposite = (pulls[ON, k] - pulls[OFF, k]) * (pulls[ON, slides[s]] - pulls[OFF, slides[s]]) < 0
            if opposite and 1 - abs(dot(normals[k], normals[slides[s]])) < NEARLY_ONE:
                return True
    return False


@compiled
def hides(sign, z, data, pattern, force):
    """Return whether n could be held between joined kinks, as `theory.losses.kinks.Kinks.hides` does."""
    held = data[4][0 if sign > 0 else 1]
    for k in range(len(z)):
        if held[k] > 0 and pattern[0][k] != SLIDES and abs(z[k]) <= 2 * JOINED and sign != 0:
            outwards = sign if pattern[0][k] == ON else -sign
            if outwards * dot(data[0][k], force) <= (1 + FAINT) * held[k]:
                return True
    return False


@compiled
def put_factors(data, pattern, factors):
    """Put theta of the sliding kinks, as the last F needs them, into `factors`.

    They lie between 0 and 1 while the kinks slide.
    """
    pulls = data[2]
    slides, count, mix, parts = pattern[3], pattern[4], pattern[6], pattern[7]
    for s in range(count[0] - 1, -1, -1):
        factors[s] = -parts[s]
        for other in range(s + 1, count[0]):
            factors[s] -= mix[s, other] * factors[other]
        factors[s] /= mix[s, s]
    for s in range(count[0]):
        k = slides[s]
        factors[s] = (factors[s] - pulls[OFF, k]) / (pulls[ON, k] - pulls[OFF, k])


@compiled
def _switch(k, mode, data, pattern):
    """Give kink k another mode and update its contribution to F; a sliding kink contributes nothing."""
    normal, _, pulls, squares, _ = data
    modes, square, pull = pattern[:3]
    before = modes[k]
    pull_less = 0.0 if before == SLIDES else pulls[before, k]
    square_less = 0.0 if before == SLIDES else squares[before, k]
    more = (0.0 if mode == SLIDES else pulls[mode, k]) - pull_less
    square_more = (0.0 if mode == SLIDES else squares[mode, k]) - square_less
    modes[k] = mode
    for j in range(normal.shape[1]):
        pull[j] += more * normal[k, j]
        for i in range(normal.shape[1]):
            square[j, i] += square_more * normal[k, j] * normal[k, i]


@compiled
def _hold(k, n, data, pattern):
    """Let kink k slide unless the sliding kinks already keep n on it; return whether it slides.

    It does not if n lies beside it on the sliding kinks, which are nearly parallel to it then. Kink k must not
    contribute to F when this is called.
    """
    normal = data[0]
    slides, count, basis, mix = pattern[3], pattern[4], pattern[5], pattern[6]
    s = count[0]
    d = normal.shape[1]
    if s == d - 1:
        return False
    for j in range(d):
        basis[s, j] = normal[k, j]
    for other in range(s):
        mix[other, s] = dot(basis[other], basis[s])
        for j in range(d):
            basis[s, j] -= mix[other, s] * basis[other, j]
    mix[s, s] = math.sqrt(dot(basis[s], basis[s]))
    if mix[s, s] <= 1e-7 or (s > 0 and abs(dot(basis[s], n)) > MOVED * mix[s, s]):
        return False
    for j in range(d):
        basis[s, j] /= mix[s, s]
    slides[s] = k
    count[0] = s + 1
    return True


@compiled
def land(n, z, data, pattern):
    """Put n on the sliding kinks exactly: the effect of a small offset would grow as |w| shrinks."""
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
def _sum_pull(data, pattern):
    """Sum the pull again, with 0 where the parts of an entry cancel up to rounding.

    The rounding error would turn w more and more as |w| shrinks.
    """
    modes, pull = pattern[0], pattern[2]
    for j in range(len(pull)):
        total, size = 0.0, 0.0
        for k in range(len(modes)):
            if modes[k] != SLIDES:
                part = data[2][modes[k], k] * data[0][k, j]
                total += part
                size += abs(part)
        pull[j] = total if abs(total) > EPS * len(modes) * size else 0.0


@compiled
def _put_inside(near, n, z, data, pattern):
    """Move n back to the kinks that it has passed, along the sliding kinks.

    The effect of the offset would grow as |w| shrinks.
    """
    modes = pattern[0]
    count = pattern[4]
    basis = pattern[5]
    across = np.empty(len(n))
    for k in near:
        off = dot(data[0][k], n)
        if modes[k] != SLIDES and (off > 0 if modes[k] == OFF else off < 0):
            across[:] = data[0][k]
            for s in range(count[0]):
                share = dot(basis[s], across)
                for j in range(len(n)):
                    across[j] -= share * basis[s, j]
            size = dot(across, across)
            if size > 1e-6:
                for j in range(len(n)):
                    n[j] -= off / size * across[j]
    length = math.sqrt(dot(n, n))
    for j in range(len(n)):
        n[j] /= length
    inputs(n, data, z)


@compiled
def _near(sign, z, data, pattern, factors):
    """Return the kinks on which n lies; none if all of them slide and continue to slide."""
    modes = pattern[0]
    slides = pattern[3]
    count = pattern[4]
    pulls = data[2]
    many = 0
    all_slide = True
    for k in range(len(z)):
        if abs(z[k]) <= WIDTH:
            many += 1
            all_slide &= modes[k] == SLIDES and sign * (pulls[ON, k] - pulls[OFF, k]) < 0
    for s in range(count[0]):
        # theta that only tends to a bound, as a decays, is moved beyond it by rounding alone: the kink is kept
        all_slide &= -AT_BOUND <= factors[s] <= 1 + AT_BOUND and abs(z[slides[s]]) <= WIDTH
    near = np.empty(0 if all_slide else many, np.int64)
    if not all_slide:
        many = 0
        for k in range(len(z)):
            if abs(z[k]) <= WIDTH:
                near[many] = k
                many += 1
    return near


@compiled
def _let_go(near, theta, sign, data, pattern):
    """Release the kinks that both sides may push to: remove them from F and keep their theta.

    The other sliding kinks are set to the side nearer to theta.
    """
    modes, pulls = pattern[0], data[2]
    pattern[4][0] = 0
    for k in near:
        if sign * (pulls[ON, k] - pulls[OFF, k]) >= 0:
            if modes[k] == SLIDES:
                _switch(k, ON if theta[k] > 0.5 else OFF, data, pattern)
        elif modes[k] != SLIDES:
            theta[k] = float(modes[k])
            _switch(k, SLIDES, data, pattern)


@compiled
def _least(near, theta, data, pattern, force):
    """Choose theta, from 0 to 1, of the released kinks such that |F| is least, one after the other."""
    normal, _, pulls, _, _ = data
    for k in near:
        for j in range(len(force)):
            if pattern[0][k] == SLIDES:
                force[j] += (pulls[OFF, k] + theta[k] * (pulls[ON, k] - pulls[OFF, k])) * normal[k, j]
    for _ in range(10_000):
        moved = 0.0
        for k in near:
            if pattern[0][k] == SLIDES:
                jump = pulls[ON, k] - pulls[OFF, k]
                wanted = min(max(theta[k] - dot(normal[k], force) / jump, 0.0), 1.0)
                for j in range(len(force)):
                    force[j] += (wanted - theta[k]) * jump * normal[k, j]
                moved = max(moved, abs(wanted - theta[k]))
                theta[k] = wanted
        if moved <= 1e-13:
            break


@compiled
def _turns(near, theta, quiet, sign, z, data, pattern, force):
    """Switch the kink with the largest push through it.

    Only kinks that n has reached and that do not slide are considered.

    Returns it and its push, -1 for none.
    """
    turned = -1
    most = quiet
    for k in near:
        if pattern[0][k] != SLIDES:
            outwards = sign if pattern[0][k] == OFF else -sign
            push = outwards * dot(data[0][k], force)
            if push > most and (z[k] >= -ROUNDED if pattern[0][k] == OFF else z[k] <= ROUNDED):
                turned, most = k, push
    if turned >= 0:
        _switch(turned, 1 - pattern[0][turned], data, pattern)
    return turned, most


@compiled
def _hold_again(near, theta, n, data, pattern):
    """Give the released kinks the modes that their theta imply: OFF at 0, ON at 1, else SLIDES."""
    for k in near:
        if pattern[0][k] == SLIDES:
            if not AT_BOUND < theta[k] < 1 - AT_BOUND:
                _switch(k, ON if theta[k] > 0.5 else OFF, data, pattern)
            elif not _hold(k, n, data, pattern):
                _switch(k, _side(k, n, theta[k], data, pattern), data, pattern)


@compiled
def _side(k, n, theta, data, pattern):
    """Return the mode of a kink that the sliding kinks keep n on or beside.

    It is that of n's side, else of theta.
    """
    z = dot(data[0][k], n)
    for s in range(pattern[4][0]):
        z -= dot(pattern[5][s], data[0][k]) * dot(pattern[5][s], n)
    if pattern[4][0] < len(n) - 1 and abs(z) > BESIDE:
        return ON if z > 0 else OFF
    return ON if theta > 0.5 else OFF


@compiled
def _settle(near, quiet, q, sign, n, data, pattern, force, factors):
    """Let go of kinks whose theta leave [0, 1], and hold others instead.

    Only the sliding kinks decide them.

    Theta of kinks that are nearly parallel are not found one after the other.
    """
    modes = pattern[0]
    pulls = data[2]
    count = pattern[4]
    refused = np.zeros(len(near), np.bool_)
    for _ in range(3 * len(near) * min(count[0], 1)):
        put_force(q, n, pattern, force)
        put_factors(data, pattern, factors)
        worst = -1
        taken = -1
        most = AT_BOUND
        for s in range(count[0]):
            if max(-factors[s], factors[s] - 1) > most:
                worst = s
                most = max(-factors[s], factors[s] - 1)
        if worst >= 0:
            _release(worst, ON if factors[worst] > 0.5 else OFF, n, data, pattern)
            refused[:] = False
            continue
        most = quiet
        for i in range(len(near)):
            jump = pulls[ON, near[i]] - pulls[OFF, near[i]]
            if modes[near[i]] != SLIDES and sign * jump < 0 and not refused[i]:
                less = math.copysign(1.0, jump) * dot(data[0][near[i]], force)
                less = less if modes[near[i]] == ON else -less
                if less > most:
                    taken, most = i, less
        if taken < 0:
            break
        k = near[taken]
        side = modes[near[taken]]
        _switch(k, SLIDES, data, pattern)
        if not _hold(k, n, data, pattern):
            refused[taken] = True
            _switch(k, _side(k, n, float(side), data, pattern), data, pattern)


@compiled
def _release(which, mode, n, data, pattern):
    """Let go of one of the sliding kinks; the others continue to slide."""
    slides, count = pattern[3], pattern[4]
    many = count[0]
    let_go = slides[which]
    kept = slides[:many].copy()
    count[0] = 0
    for s in range(many):
        if s != which and not _hold(kept[s], n, data, pattern):
            _switch(kept[s], _side(kept[s], n, 0.0, data, pattern), data, pattern)
    _switch(let_go, mode, data, pattern)
