"""The population loss, its gradient (the arc-cosine kernel), and the time to leave the ray -e_1."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.flow.integrate import Event, integrate
from theory.losses.formulas import population_gradient, population_loss
from theory.losses.losses import Population
from theory.proofs import symbols
from theory.proofs.base import OURS, Claim, Mutant, Steps, Theorem, vanishes
from theory.proofs.sample import slopes_of
from theory.proofs.symbols import THETA, A, P, Q, R, U, V, W
from theory.validation import Array

PSI = sp.Symbol("psi", positive=True)  # pi - theta
OUTPUT = sp.Symbol("P", positive=True)  # a |w|
G = sp.sin(THETA) + (sp.pi - THETA) * sp.cos(THETA)  # as the theorem states it


# --- the loss and its gradient


def stated(claim: Claim) -> tuple[sp.Expr, dict[sp.Symbol, sp.Expr]]:
    """Return the loss and its slopes in a, w_1 and |w_perp| as the theorem states them."""
    pull = A / (claim.pull * sp.pi)
    loss = A**2 * R**2 / 4 - pull * R * G + sp.Rational(1, 4)
    return loss, {
        A: A * R**2 / 2 - R * G / (claim.pull * sp.pi),
        U: A**2 * U / 2 - pull * (sp.pi - THETA + sp.sin(THETA) * U / R),
        V: A**2 * V / 2 - claim.turn * pull * sp.sin(THETA) * V / R,
    }


def derive_population(claim: Claim) -> Steps:
    """Compare the statement with the integrated expectation and its derivatives.

    The derivatives are those in (a, w_1, |w_perp|).
    """
    loss, slopes = stated(claim)
    plane = symbols.plane_loss()
    second, third = sp.symbols("w_2 w_3", positive=True)
    whole = plane.subs(V, sp.sqrt(second**2 + third**2))
    turn = sp.diff(whole, second) * third - sp.diff(whole, third) * second
    axis = {1: 0, -1: sp.pi}
    steps = {
        "the loss": vanishes(loss - symbols.population_loss()),
        "w_perp keeps its direction": vanishes(turn),
    }
    for side, angle in axis.items():
        line = symbols.line_loss(side).subs({P: sp.Rational(1, 2), Q: sp.Rational(1, 2), W[side]: side * R})
        steps[f"on the ray of angle {angle} it is the d = 1 loss"] = vanishes(
            symbols.population_loss().subs(THETA, angle) - line
        )
    return steps | {f"dL / d{x}": _is_slope(plane, x, slope) for x, slope in slopes.items()}


def _is_slope(plane: sp.Expr, x: sp.Symbol, slope: sp.Expr) -> bool:
    back = {sp.atan2(V, U): THETA, sp.sqrt(U**2 + V**2): R}
    found = sp.diff(plane, x).subs(back).subs(U**2 + V**2, R**2)
    at_angle = {sp.sin(THETA): V / R, sp.cos(THETA): U / R}
    return vanishes(found.subs(at_angle) - slope.subs(at_angle), (R**2 - U**2 - V**2, R))


def observe_population(rng: np.random.Generator) -> SimpleNamespace:
    """Return finite differences of `population_loss`, `population_gradient`, and a mean over samples."""
    a = rng.normal(size=200)
    w = rng.normal(size=(200, 4))
    x = rng.normal(size=(200_000, 4))
    losses = (a[0] * np.maximum(x @ w[0], 0) - np.maximum(x[:, 0], 0)) ** 2 / 2
    return SimpleNamespace(
        a=a,
        w=w,
        loss=population_loss(a, w),
        differences=slopes_of(population_loss, a, w, 1e-5),
        gradient=population_gradient(a, w),
        mean=(losses.mean(), losses.std() / np.sqrt(len(x))),
    )


def compare_population(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Evaluate the statement, and compare it with what `observe_population` returns."""
    loss, da, dw = _evaluated(seen.a, seen.w, claim)
    mean, error = seen.mean
    return {
        "a mean over samples": abs(mean - loss[0]) < 5 * error,
        "population_loss": np.allclose(loss, seen.loss, rtol=1e-12),
        "finite differences in a": np.allclose(da, seen.differences[0], rtol=0, atol=1e-8),
        "finite differences in w": np.allclose(dw, seen.differences[1], rtol=0, atol=1e-8),
        "population_gradient": np.allclose(da, seen.gradient[0]) and np.allclose(dw, seen.gradient[1]),
    }


def _evaluated(a: Array, w: Array, claim: Claim) -> tuple[Array, Array, Array]:
    """Evaluate the symbols of the statement, w_perp along its direction."""
    u = w[:, 0]
    v = np.hypot.reduce(w[:, 1:], axis=1)
    loss, slopes = stated(claim)
    names = (A, U, V, R, THETA)
    at = (a, u, v, np.hypot(u, v), np.arctan2(v, u))
    value, da, du, dv = (sp.lambdify(names, part, "numpy")(*at) for part in (loss, *slopes.values()))
    return value, da, np.column_stack([du, (dv / v)[:, None] * w[:, 1:]])


POPULATION = Theorem(
    "population",
    "For x ~ N(0, I_d) the loss is a^2 r^2 / 4 - a r g / (2 pi) + 1/4, g = sin(theta) + (pi - theta) cos(theta), with "
    "slopes dL/da = a r^2 / 2 - r g / (2 pi) and dL/dw = a^2 w / 2 - (a / 2 pi) [(pi - theta) e_1 + sin(theta) w / r]; "
    "w_perp keeps its direction; on either ray of e_1 it is the loss of d = 1.",
    ("d > 1", "r = |w| > 0", "theta = angle(w, e_1)"),
    OURS,
    {"pull": 2, "turn": 1},
    derive_population,
    observe_population,
    compare_population,
    {
        "twice the correlation": Mutant("g / pi in the place of g / (2 pi)", {"pull": 1}),
        "no pull off the axis": Mutant("dL/dw_perp without its term in sin(theta)", {"turn": 0}),
    },
    cited=("polar coordinates in the plane of w and e_1",),
)


# --- leaving the ray -e_1


def derive_escape(claim: Claim) -> Steps:
    """Reduce the balanced flow to a quadrature, and take the leading order at psi -> 0.

    The leading order is taken for each sign of c.
    """
    _, dr, dtheta = (x.subs(A, R) for x in symbols.polar_flow())
    g = symbols.arc()
    zero = -dtheta.subs(THETA, sp.pi - PSI)  # psi' on its own
    return {
        "theta' = -(pi - theta) sin(theta) / (2 pi) for a = |w|": vanishes(
            dtheta + (sp.pi - THETA) * sp.sin(THETA) / (2 * sp.pi)
        ),
        "y = 1 / r^2 obeys y' = 1 - y g / pi": vanishes(-2 * dr / R**3 - 1 + g / (sp.pi * R**2)),
        "c = 0: 1 / psi falls at the rate 1 / (zero pi)": sp.limit(zero / PSI**2, PSI, 0) == 1 / (claim.zero * sp.pi),
        "c > 0: t / log(1 / psi) tends to plus / c": _escape_above(claim.plus),
        "c < 0: 1 / psi^4 falls at the rate 1 / (minus pi^2 |c|)": _escape_below(claim.minus),
    }


def _turn(size: sp.Expr) -> sp.Expr:
    """Return psi' in terms of P = a r, with r^2 = size."""
    dtheta = symbols.polar_flow()[2].subs(A, OUTPUT / R).subs(THETA, sp.pi - PSI)
    return sp.expand(-dtheta).subs(R, sp.sqrt(size))


def _fall(c: sp.Symbol) -> sp.Expr:
    """Return (a r)' = a' r + a r' at theta = pi, over a r, in terms of P = a r and c."""
    da, dr, _ = (x.subs(THETA, sp.pi) for x in symbols.polar_flow())
    size = (sp.sqrt(c**2 + 4 * OUTPUT**2) - c) / 2
    rate = sp.expand((da * R + A * dr) / (A * R))
    return rate.subs(A, OUTPUT / R).subs(R, sp.sqrt(size))


def _escape_above(plus: int) -> bool:
    """P = a r decays like exp(-c t / 2), r^2 like P^2 / c, so 1 / psi falls by int c / (2 pi P) dt."""
    c, t, start = sp.symbols("c t P_0", positive=True)
    rate = sp.limit(_fall(c), OUTPUT, 0)
    slope = sp.limit(_turn(OUTPUT**2 / c) * OUTPUT / PSI**2, PSI, 0)  # psi' = slope psi^2 / P
    used = sp.integrate(slope / (start * sp.exp(rate * t)), (t, 0, t))  # 1 / psi(0) when the start has left
    return sp.limit(t / sp.log(used), t, sp.oo) == plus / c


def _escape_below(minus: sp.Rational) -> bool:
    """r^2 tends to |c|, and a r follows g / pi: psi' is of order psi^5."""
    size = sp.Symbol("|c|", positive=True)
    slow = symbols.arc() / sp.pi
    still = [x.subs(A, slow / R) for x in symbols.polar_flow()[:2]]
    rate = sp.limit(4 * _turn(size).subs(OUTPUT, slow.subs(THETA, sp.pi - PSI)) / PSI**5, PSI, 0)
    return all(vanishes(x) for x in still) and vanishes(rate - 1 / (sp.nsimplify(minus) * sp.pi**2 * size))


def observe_escape(rng: np.random.Generator) -> dict[str, tuple[float, float]]:
    """Return times from two small psi(0) to psi = 1 for c = 0, 1.5 and -1.

    That is how much longer the smaller psi(0) takes.
    """
    cases = {"zero": (1.0, 1.0, 0.02, 0.01), "plus": (np.sqrt(1.75), 0.5, 1e-3, 1e-5), "minus": (0.0, 1.0, 0.14, 0.1)}
    return {
        name: (_time(a0, r0, near) - _time(a0, r0, far), *(far, near, a0 * a0 - r0 * r0))
        for name, (a0, r0, far, near) in cases.items()
    }


def _time(a0: float, r0: float, psi: float) -> float:
    out = Event("out", lambda t, a, w: np.arctan2(abs(w[1]), -w[0]) - 1, direction=1)
    w0 = r0 * np.array([-np.cos(psi), np.sin(psi)])
    run = integrate(Population(2), a0, w0, 1e6, method="LSODA", rtol=1e-9, atol=1e-13, events=[out])
    return dict(run.events)["out"]


def compare_escape(seen: dict[str, tuple[float, ...]], claim: Claim) -> Steps:
    """Compare each difference of times with the stated leading order."""
    said = {
        "zero": lambda psi, c: claim.zero * np.pi / psi,
        "plus": lambda psi, c: claim.plus / c * np.log(1 / psi),
        "minus": lambda psi, c: claim.minus * np.pi**2 * abs(c) / psi**4,
    }
    steps = {}
    for name, (longer, far, near, c) in seen.items():
        steps[f"c {name}"] = bool(np.isclose(longer, said[name](near, c) - said[name](far, c), rtol=0.05))
    return steps


ESCAPE = Theorem(
    "escape",
    "Balanced, a > 0: theta' = -(pi - theta) sin(theta) / (2 pi) on its own, and 1 / r^2 obeys the linear "
    "y' = 1 - y g / pi: trajectories are explicit up to quadrature. Leaving theta = pi - psi takes, to leading order, "
    "2 pi / psi for c = 0, (2 / c) log(1 / psi) for c > 0 and (3 pi^2 / 2) |c| / psi^4 for c < 0.",
    ("population, d > 1", "a(0) > 0 (for c < 0: a(0) >= 0)", "psi -> 0, the other coordinate fixed"),
    OURS,
    {"zero": 2, "plus": 2, "minus": 1.5},
    derive_escape,
    observe_escape,
    compare_escape,
    {
        "half the time, c = 0": Mutant("pi / psi", {"zero": 1}),
        "half the time, c > 0": Mutant("(1 / c) log(1 / psi)", {"plus": 1}),
        "half the time, c < 0": Mutant("(3 pi^2 / 4) |c| / psi^4", {"minus": 0.75}),
    },
    cited=("slow manifold (Fenichel)", "leading orders integrate to leading orders"),
)
