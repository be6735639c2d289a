"""Theorem A.1: the closed form of the flow with one input, inserted into the flow of either branch.

On w > 0 the flow is one equation for z, where a + w = A sqrt(z) and a - w = B / sqrt(z); A = a0 + w0, B = a0 - w0.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.exact.closed_form import closed_form
from theory.losses.losses import Line
from theory.proofs import symbols
from theory.proofs.base import READING, Claim, Mutant, Steps, Theorem, positive, vanishes
from theory.proofs.symbols import A, P, Q, W
from theory.validation import Array

PLUS, MINUS = sp.symbols("A B", real=True)  # a0 + w0 and a0 - w0
D, E = sp.symbols("D e", positive=True)  # sqrt(4 + c^2) and exp(-C+ D t)
Z = sp.Symbol("z", positive=True)
CHANGE, START, G = sp.symbols("c omega g", positive=True)  # of a side that fits 0, see `decayed`
ROOT = (D**2 - 4 - PLUS**2 * MINUS**2, D)


def fraction(sign: int = 1) -> sp.Expr:
    """Return z as the theorem states it, in A, B, D and e; `sign` is that of B^2 (1 - e)."""
    S = 2 + D
    f = 1 - E
    k = PLUS**2 * MINUS**2 / S
    return (S + sign * MINUS**2 * f + k * E) / (S * E + PLUS**2 * f + k)


def slope_of_z() -> tuple[sp.Expr, bool]:
    """Return z' as a function of z from the flow on w > 0, and whether that flow is consistent.

    It is consistent if a - w = B / sqrt(z) obeys the same equation for z.
    """
    da, dw = symbols.line_flow(1)
    root = sp.sqrt(Z)
    here = {A: (PLUS * root + MINUS / root) / 2, W[1]: (PLUS * root - MINUS / root) / 2}
    plus, minus = ((da + sign * dw).subs(here, simultaneous=True) for sign in (1, -1))
    slope = sp.expand(2 * root * plus / PLUS)  # z' = 2 sqrt(z) (a + w)' / A
    return slope, vanishes(minus + MINUS * slope / (2 * Z * root))


def above_steps(sign: int = 1, rate: sp.Expr = D) -> Steps:
    """Insert the fraction into the equation for z."""
    slope, together = slope_of_z()
    z = fraction(sign)
    return {
        "a + w and a - w are one equation for z": together,
        "z solves it": vanishes(sp.diff(z, E) * -P * rate * E - slope.subs(Z, z), ROOT),
        "z starts at 1": vanishes(z.subs(E, 1) - 1, ROOT),
    }


def decayed() -> tuple[sp.Expr, sp.Expr]:
    """Return the squares of the larger and the smaller of |a| and |w| on a side that fits 0.

    CHANGE > 0 is the difference of the squares, START the smaller one at time 0, E = exp(-2 C CHANGE t) and
    G = (1 - E) / CHANGE.
    """
    return (CHANGE + START) / (1 + START * G), START * E / (1 + START * G)


def kink_steps() -> Steps:
    """From A < 0 < w0, w = 0 is reached, at a = -sqrt(c), and the flow rests there."""
    slope, _ = slope_of_z()
    minus_a, w0 = sp.symbols("alpha omega", positive=True)
    beta = minus_a + 2 * w0
    start = {PLUS: -minus_a, MINUS: -beta}
    there = sp.sqrt(beta / minus_a)  # sqrt(z) where z = B / A > 1
    concave = sp.diff(slope.subs(start), Z, 2)
    a = -(minus_a * there + beta / there) / 2
    w = -(minus_a * there - beta / there) / 2
    rest = [x.subs(W[-1], 0) for x in symbols.line_flow(-1)]
    return {
        "z rises from 1 to B / A, where w = 0": positive(slope.subs(start).subs(Z, 1))
        and positive(slope.subs(start).subs(Z, beta / minus_a))
        and positive(-concave),
        "a = -sqrt(c) there": vanishes(sp.expand(w)) and vanishes(sp.expand(a + sp.sqrt(minus_a * beta))),
        "the flow rests on w = 0": all(vanishes(x) for x in rest),
    }


def below_steps(factor: int = 2) -> Steps:
    """Check w < 0 in the squares a^2 and w^2, with e = exp(-factor q c t), and its limit for c = 0."""
    da, dw = symbols.line_flow(-1)
    c = CHANGE
    start = START
    v, time = sp.symbols("v t", positive=True)
    alpha, omega = (square.subs(G, (1 - E) / c) for square in decayed())
    slow = decayed()[1].subs({E: 1, G: factor * Q * time, START: v})

    def moves(a2: sp.Expr, w2: sp.Expr, velocity_a: sp.Expr, velocity_w: sp.Expr) -> bool:
        here = {A: sp.sqrt(a2), W[-1]: -sp.sqrt(w2)}
        wanted = (2 * A * da, velocity_a), (2 * W[-1] * dw, velocity_w)
        return all(vanishes(sp.expand(x).subs(here, simultaneous=True) - given) for x, given in wanted)

    clock = -factor * Q * c * E  # de/dt
    return {
        "a^2 and w^2 move as stated": moves(alpha, omega, sp.diff(alpha, E) * clock, sp.diff(omega, E) * clock),
        "they start at a0^2 and w0^2": vanishes(alpha.subs(E, 1) - c - start) and vanishes(omega.subs(E, 1) - start),
        "balanced, both decay like 1 / t": moves(slow, slow, *[sp.diff(slow, time)] * 2),
    }


def derive_closed_form(claim: Claim) -> Steps:
    """Insert the closed form into the flow, branch by branch, and follow it to the kink."""
    return {**above_steps(claim.sign, claim.rate(D)), **kink_steps(), **below_steps(claim.factor)}


def observe_closed_form(rng: np.random.Generator) -> SimpleNamespace:
    """Return starts and times, `closed_form` there, its velocity, and the gradient of the loss."""
    n = 400
    h = 1e-5
    p = 0.3
    q = 0.8
    a0 = rng.normal(size=n)
    w0 = rng.normal(size=n)
    t = rng.uniform(0.1, 3, size=n)
    now, later, sooner = (np.array(closed_form(a0, w0, t + s, p, q)) for s in (0, h, -h))
    line = Line(p, q)
    a, w = now[..., None]
    slope_a = (line.loss(a[:, 0] + h, w) - line.loss(a[:, 0] - h, w)) / (2 * h)
    slope_w = (line.loss(a[:, 0], w + h) - line.loss(a[:, 0], w - h)) / (2 * h)
    smooth = (abs(now[1]) > 2 * h) & (later[1] * sooner[1] > 0)
    return SimpleNamespace(
        a0=a0,
        w0=w0,
        t=t,
        moments=(p, q),
        state=now,
        velocity=((later - sooner) / (2 * h))[:, smooth],
        downhill=-np.stack([slope_a, slope_w])[:, smooth],
    )


def compare_closed_form(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare the stated formula with `closed_form`, and its velocity with the gradient of the loss."""
    formula = _formula(seen.a0, seen.w0, seen.t, *seen.moments, claim)
    return {
        "closed_form moves down the loss": np.allclose(seen.velocity, seen.downhill, rtol=0, atol=1e-7),
        "closed_form is the stated formula": np.allclose(formula, seen.state, rtol=0, atol=1e-9),
    }


def _formula(a0: Array, w0: Array, t: Array, p: float, q: float, claim: Claim) -> Array:
    """Evaluate the statement as it is written, branch by branch."""
    plus = a0 + w0
    minus = a0 - w0
    c = a0**2 - w0**2
    D = np.hypot(2, c)
    S = 2 + D
    e = np.exp(-p * claim.rate(D) * t)
    k = c**2 / S
    with np.errstate(all="ignore"):
        z = (S + claim.sign * minus**2 * (1 - e) + k * e) / (S * e + plus**2 * (1 - e) + k)
        a = (plus * np.sqrt(z) + minus / np.sqrt(z)) / 2
        w = (plus * np.sqrt(z) - minus / np.sqrt(z)) / 2
        hit = (w <= 0) | ~np.isfinite(z)
        above = np.where(hit, -np.sqrt(abs(c)), a), np.where(hit, 0, w)
        fall = np.exp(-claim.factor * q * c * t)
        g = np.where(c == 0, claim.factor * q * t, (1 - fall) / c)
        below = a0 / np.sqrt(1 + w0**2 * g), w0 * np.sqrt(fall / (1 + w0**2 * g))
    return np.where(w0 > 0, above, below)


THEOREM_A1 = Theorem(
    "theorem-a1",
    "The closed form solves the d = 1 gradient flow for every balance: on w > 0 up to the kink w = 0, where it rests, "
    "and on w < 0.",
    ("d = 1", "any C+, C- > 0", "any balance"),
    READING,
    {"sign": 1, "rate": lambda D: D, "factor": 2},
    derive_closed_form,
    observe_closed_form,
    compare_closed_form,
    {
        "wrong sign of B^2": Mutant("z with - B^2 (1 - e)", {"sign": -1}),
        "rate without c": Mutant("e = exp(-2 p t) in the place of exp(-p D t)", {"rate": lambda D: 2 + 0 * D}),
        "half the rate below": Mutant("exp(-q c t) in the place of exp(-2 q c t) on w < 0", {"factor": 1}),
    },
)
