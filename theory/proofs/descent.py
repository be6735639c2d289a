"""Gradient descent: the largest stable step, and the change of c = a^2 - |w|^2 in one step."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.losses.formulas import population_gradient
from theory.losses.losses import Line, Population
from theory.proofs import symbols
from theory.proofs.base import OURS, Claim, Mutant, Steps, Theorem, by_half_angle, nonnegative, positive, vanishes
from theory.proofs.equilibria import ALONG, MORE, STEP, hessian, spectrum
from theory.proofs.symbols import THETA, A, R, W

SLOPE = sp.Symbol("L_a", real=True)
BALANCE = sp.Symbol("c", nonnegative=True)


def derive_steps(claim: Claim) -> Steps:
    """Decide the multipliers 1 - step * eigenvalue on the target curve, and expand one step of c."""
    trace, det, across, apart = spectrum(hessian(1).subs(A, 1 / ALONG))
    D = ALONG**-2 + ALONG**2
    limit = sp.nsimplify(claim.limit) / D
    smaller = limit / (1 + MORE)
    larger = limit * (1 + MORE)
    return {
        "the eigenvalues are those of the target curve": apart and vanishes(det),
        "the largest is the trace": positive(trace - across),
        "below the limit every multiplier is within (-1, 1)": positive(2 - smaller * trace)
        and positive(2 - smaller * across)
        and positive(smaller * trace)
        and positive(smaller * across),
        "above it the largest is below -1": positive(larger * trace - 2),
        **_drift_steps(claim),
        **_line_steps(),
    }


def _drift_steps(claim: Claim) -> Steps:
    """A step of size eta moves (a, r e_r) by eta (a', r' e_r + r theta' e_theta)."""
    da, dr, dtheta = symbols.polar_flow()
    c = A**2 - R**2
    moved = (A + STEP * da) ** 2 - (R + STEP * dr) ** 2 - (STEP * R * dtheta) ** 2
    turn = A * (sp.pi - THETA) * sp.sin(THETA) / (2 * sp.pi)
    said = STEP**2 * (-claim.pull * c * da**2 / R**2 - claim.turn * turn**2)
    return {
        "one step moves c as stated": vanishes(sp.expand(moved - c - said)),
        "c >= 0 does not rise": nonnegative(claim.pull * BALANCE * SLOPE**2 / R**2)
        and nonnegative(claim.turn * by_half_angle(turn**2)),
        "balanced and off the axis, c falls below 0": positive(claim.turn * by_half_angle(turn**2).subs(A, -MORE)),
    }


def _line_steps() -> Steps:
    """Show that with d = 1 a step of any size keeps a = -w on either side, and a w = -w^2 is never 1."""
    sums = {side: sum(symbols.line_flow(side)).subs(A, -W[side]) for side in (1, -1)}
    losses = {side: symbols.line_loss(side).subs(A, -W[side]) - symbols.P / 2 for side in (1, -1)}
    return {
        "d = 1: a = -w stays so": all(vanishes(x) for x in sums.values()),
        "d = 1: there the loss is at least p / 2": all(nonnegative(sp.expand(x)) for x in losses.values()),
    }


def observe_steps(rng: np.random.Generator) -> SimpleNamespace:
    """Return observations of gradient descent: disturbed minima, single steps, long runs.

    These are whether a disturbed minimum is reached again, by step times D; the change of c in single steps; and runs
    of balanced starts.
    """
    a = rng.normal(size=50)
    w = rng.normal(size=(50, 4))
    step = 0.3
    da, dw = population_gradient(a, w)
    r = np.hypot.reduce(w, axis=1)
    psi = np.arctan2(np.hypot.reduce(w[:, 1:], axis=1), -w[:, 0])
    c = a**2 - r**2
    moved = (a - step * da) ** 2 - ((w - step * dw) ** 2).sum(axis=1)
    returns = {(size, x): _returns(size, x) for size in (1.5, 3.8, 4.2, 7.6) for x in np.exp(rng.normal(size=4) / 2)}
    losses = [_descend(Line(), -x, [x], size) for x in (0.3, 1.1) for size in (0.1, 1.0)]
    turned = _descend(Population(2), -1.0, [np.cos(0.5), np.sin(0.5)], 1.0)
    parts = SimpleNamespace(c=c, da=da, r=r, turn=a * psi * np.sin(psi) / (2 * np.pi))
    return SimpleNamespace(
        returns=returns, moved=(moved - c) / step**2, parts=parts, least=min(map(min, losses)), turned=turned[-1]
    )


def _returns(size: float, a: float) -> bool:
    """Return whether 80 steps of size / D shrink an error of a w_1 of about 1e-7.

    The minimum is the one on the curve at a, for d = 3.

    A run whose error has grown tenfold has left the minimum: it may return to another, flatter point of the curve.
    """
    w = np.array([1 / a, 0, 0])
    step = size / (a**2 + a**-2)
    b = a + 1e-7 * np.hypot(a, 1 / a) / a
    start = abs(b * w[0] - 1)
    for _ in range(80):
        db, dw = population_gradient(b, w)
        b, w = b - step * db, w - step * dw
        if abs(b * w[0] - 1) > 10 * start:
            return False
    return bool(abs(b * w[0] - 1) < start)


def _descend(loss: Population | Line, a: float, w: list[float], step: float) -> list[float]:
    """Return the losses of 300 steps."""
    a = np.float64(a)
    w = np.array(w)
    losses = []
    for _ in range(300):
        da, dw = loss.gradient(a, w)
        a, w = a - step * da, w - step * dw
        losses.append(float(loss.loss(a, w)))
    return losses


def compare_steps(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare what `observe_steps` returns with the statement.

    The returns to the minimum are compared with the stated limit, single steps with the stated change of c, and the
    long runs with the verdicts.
    """
    x = seen.parts
    said = -claim.pull * x.c * x.da**2 / x.r**2 - claim.turn * x.turn**2
    return {
        "returns below the limit only": all(back == (size < claim.limit) for (size, _), back in seen.returns.items()),
        "one step moves c as stated": np.allclose(seen.moved, said, rtol=0, atol=1e-10),
        "d = 1: balanced a(0) < 0 never learns": seen.least >= 0.25,
        "d = 2: balanced a(0) < 0 learns": seen.turned < 1e-6,
    }


STEP_SIZE = Theorem(
    "step-size",
    "Gradient descent is stable at the minimum iff step < 4 / sqrt(4 + c^2). One step changes c by "
    "step^2 (-c (dL/da)^2 / r^2 - T^2), T = a (pi - theta) sin(theta) / (2 pi): a balanced start off the axis drifts "
    "to c < 0, from where a(0) < 0 can learn; in d = 1 T = 0, a = -w stays so and never learns.",
    ("population", "d > 1 for the drift", "stability of the linearised step"),
    OURS,
    {"limit": 4, "pull": 1, "turn": 1},
    derive_steps,
    observe_steps,
    compare_steps,
    {
        "half the limit": Mutant("step < 2 / sqrt(4 + c^2)", {"limit": 2}),
        "twice the limit": Mutant("step < 8 / sqrt(4 + c^2)", {"limit": 8}),
        "no drift off the axis": Mutant("T = 0 for d > 1 as well", {"turn": 0}),
        "c grows": Mutant("+c (dL/da)^2 / r^2", {"pull": -1}),
    },
    cited=("the linearised step decides (normally hyperbolic curve)",),
)
