"""The losses of the neuron in symbols, each written once, as an expectation that sympy integrates.

Every vector field, Hessian and bound in `theory.proofs.*` is derived from the losses in this file. Symbols carry the
assumptions of their branch (w > 0 or w < 0, r > 0, ...), so that relu, roots and signs are decided, never guessed.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

P, Q = sp.symbols("p q", positive=True)  # C+ = E[x^2 1{x > 0}] and C- = E[x^2 1{x < 0}]
A = sp.Symbol("a", real=True)
W = {1: sp.Symbol("w", positive=True), -1: sp.Symbol("w", negative=True)}  # d = 1, by side of the kink
R, THETA = sp.symbols("r theta", positive=True)  # |w| and the angle between w and e_1, in (0, pi)
U = sp.Symbol("u", real=True)  # w_1
V = sp.Symbol("v", positive=True)  # |w_perp|
SCALE = sp.Symbol("lambda", positive=True)  # moves w along its ray
TANGENT = sp.Symbol("h", positive=True)  # tan(theta / 2)

_RHO, _PHI = sp.symbols("rho phi", positive=True)


def relu(z: sp.Expr) -> sp.Expr:
    """Return max(z, 0), which sympy resolves wherever the symbols of z fix its sign."""
    return sp.Max(z, 0)


def line_loss(side: int) -> sp.Expr:
    """Return E (a relu(w x) - relu(x))^2 / 2 for d = 1 on one side of w = 0, in A and W[side].

    x has any distribution.

    The error is homogeneous in |x| on each half-line, so its expectation is a multiple of that half's second moment.
    """
    halves = {1: P, -1: Q}
    return sum(moment * _half(side, half) for half, moment in halves.items())


def _half(side: int, half: int) -> sp.Expr:
    x = half * _RHO
    return sp.expand((A * relu(W[side] * x) - relu(x)) ** 2 / 2).coeff(_RHO, 2)


def line_sample_loss(side: int) -> tuple[sp.Expr, sp.Expr]:
    """Return the terms of one point (x, y) in the d = 1 loss on one side of w = 0, for x > 0 and x < 0.

    In A, W[side] and the symbols x (positive: |x|) and y; the loss of a data set is the mean over its points.
    """
    x = sp.Symbol("x", positive=True)
    y = sp.Symbol("y", real=True)
    above, below = ((A * relu(W[side] * half * x) - y) ** 2 / 2 for half in (1, -1))
    return above, below


def population_loss() -> sp.Expr:
    """Return E (a relu(w.x) - relu(x_1))^2 / 2 for x ~ N(0, I_d), d > 1, in A, R, THETA.

    Only the part of x in the plane of w and e_1 enters: (rho cos phi, rho sin phi), with density
    rho exp(-rho^2 / 2) / (2 pi), so w.x = r rho cos(phi - theta) and x_1 = rho cos(phi). Each of the three products is
    integrated over the arc where both its factors are above 0.
    """
    half = sp.pi / 2
    target = sp.cos(_PHI)
    neuron = R * sp.cos(_PHI - THETA)
    own = _mean(neuron**2, THETA - half, THETA + half)
    cross = _mean(neuron * target, THETA - half, half)
    rest = _mean(target**2, -half, half)
    return sp.expand(A**2 * own / 2 - A * cross + rest / 2)


@cache
def _mean(product: sp.Expr, start: sp.Expr, end: sp.Expr) -> sp.Expr:
    """Return E[rho^2 product 1{start < phi < end}]."""
    radial = sp.integrate(_RHO**3 * sp.exp(-(_RHO**2) / 2), (_RHO, 0, sp.oo)) / (2 * sp.pi)
    angular = sp.integrate(sp.expand(sp.expand_trig(product)), (_PHI, start, end))
    canonical = sp.expand(sp.expand_trig(angular))
    square = 1 - sp.cos(THETA) ** 2
    return sp.expand(radial * sp.expand(canonical).subs(sp.sin(THETA) ** 2, square))


def plane_loss() -> sp.Expr:
    """Return the population loss in A, U = w_1 and V = |w_perp| > 0."""
    return population_loss().subs({R: sp.sqrt(U**2 + V**2), THETA: sp.atan2(V, U)}, simultaneous=True)


def sample_loss(offset: int = 0) -> sp.Expr:
    """Return the loss (a relu(lambda w.x) - y)^2 / 2 of one point (x, y), in A and SCALE, for any d.

    It holds on one cell of activation.

    The loss of a data set is the mean of such terms. A cell is a cone: whether w.x > 0 (`active` is 1, else 0) does not
    change along the ray lambda w. `offset` (used by a mutant) is added to an active unit, so that it is not
    homogeneous.
    """
    d = sp.Symbol("d", integer=True, positive=True)
    j = sp.Symbol("j", integer=True)
    w, x = sp.IndexedBase("w", real=True), sp.IndexedBase("x", real=True)
    active = sp.Symbol("active", nonnegative=True)
    y = sp.Symbol("y", real=True)
    product = sp.Sum(w[j] * x[j], (j, 1, d))
    return (A * active * (SCALE * product + offset) - y) ** 2 / 2


def line_flow(side: int) -> tuple[sp.Expr, sp.Expr]:
    """Return (a', w') of the gradient flow on one side, d = 1."""
    loss = line_loss(side)
    return -sp.diff(loss, A), -sp.diff(loss, W[side])


def polar_flow() -> tuple[sp.Expr, sp.Expr, sp.Expr]:
    """Return (a', r', theta') of the gradient flow of the population: theta' = -L_theta / r^2."""
    loss = population_loss()
    return -sp.diff(loss, A), -sp.diff(loss, R), sp.expand(-sp.diff(loss, THETA) / R**2)


def arc() -> sp.Expr:
    """Return g(theta), read off the population loss: the part linear in a is -a r g / (2 pi)."""
    return sp.expand(-2 * sp.pi * population_loss().coeff(A, 1) / R)
