"""More than one input: which starts learn, for any balance (this project), and Lemma 2.2.

Lemma 2.2 is the balanced case.

The argument, each step of which sympy decides. P = a |w|, s = a + |w|, psi = pi - theta, D = a^2 + |w|^2.

1. s' = s k: the sign of s is kept. s <= 0 means a < 0, and there the loss exceeds 1/4: such a start fails.
2. s > 0 and c >= 0 means a > 0. For c < 0 and a <= 0, a rises, and 1 / psi gains at most a(t) - a(0) times
   1 / (pi |c|^(3/2)): the angle stays away from pi, so a' is bounded below and a becomes positive, for good.
3. Once a > 0, theta falls, so g >= g_1 > 0, and P' = D (g / pi - P) / 2 keeps P between min(P, g_1 / pi) and max(P, 1).
   That bounds |w| above and a / |w| = P / |w|^2 below, so log tan(theta / 2) falls at least linearly: theta tends to 0,
   g to pi, and P to 1, since D >= 2 P is bounded below. There the loss is 0.
"""

from __future__ import annotations

from functools import cache
from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.exact.limits import LEARNS, verdicts
from theory.flow.integrate import Event, integrate
from theory.losses.losses import Population
from theory.proofs import symbols
from theory.proofs.base import (
    OURS,
    READING,
    Claim,
    Mutant,
    Steps,
    Theorem,
    by_half_angle,
    every,
    nonnegative,
    positive,
    vanishes,
)
from theory.proofs.symbols import THETA, A, R
from theory.validation import Array

PSI0, GAIN, LOW, OUTPUT = sp.symbols("psi_0 K g_1 P", positive=True)
BELOW, PAST, BALANCE, PUSH = sp.symbols("b n c g", nonnegative=True)  # b = -a; g >= 0 is a separate step
MORE, SIZE = sp.symbols("n m", positive=True)
RATIOS = [sp.Rational(k, 4) for k in (-6, -4, -3, -1, 0, 1, 6)]
CITED = ("comparison of scalar flows (Gronwall)", "bounded solutions last")


# --- steps of the argument


def angle_steps() -> Steps:
    """Show that g falls from pi to 0, and log tan(theta / 2) at the rate (a / r)(pi - theta) / (2 pi)."""
    g = symbols.arc()
    _, _, dtheta = symbols.polar_flow()
    rate = A * (sp.pi - THETA) / (2 * sp.pi * R)
    return {
        "g falls from pi to 0": g.subs(THETA, 0) == sp.pi
        and g.subs(THETA, sp.pi) == 0
        and positive(by_half_angle(-sp.diff(g, THETA))),
        "(log tan(theta / 2))' = -(a / r)(pi - theta) / (2 pi)": vanishes(dtheta / sp.sin(THETA) + rate),
        "that rate is positive for a > 0": positive(by_half_angle(rate).subs(A, MORE)),
    }


def failing_steps(edge: sp.Expr | int = 1) -> Steps:
    """Step 1: the sign of a + edge |w| is kept, and where it is at most 0 the loss exceeds 1/4.

    The ray -e_1 stays a ray.
    """
    da, dr, dtheta = symbols.polar_flow()
    loss = symbols.population_loss()
    g = symbols.arc()
    excess = sp.expand(loss - sp.Rational(1, 4))
    stated = A**2 * R**2 / 4 - A * R * PUSH / (2 * sp.pi)
    return {
        "the sign of a + |w| is kept": vanishes(sp.rem(sp.expand(da + edge * dr), A + edge * R, A)),
        "a + |w| <= 0 means a < 0": positive(edge * R + PAST),
        "L = P^2 / 4 - P g / (2 pi) + 1 / 4": vanishes(excess - stated.subs(PUSH, g)),
        "a < 0: L > 1 / 4": positive(stated.subs(A, -MORE)),
        "theta = pi is kept, and there L >= 1 / 4": vanishes(dtheta.subs(THETA, sp.pi))
        and nonnegative(excess.subs(THETA, sp.pi)),
        "w = 0: L = 1 / 4": excess.subs(R, 0) == 0,
    }


def rising_steps() -> Steps:
    """Step 2: from s > 0, a becomes positive and stays so."""
    da, _, dtheta = symbols.polar_flow()
    s = sp.Symbol("s", positive=True)
    rise = BELOW * R**2 / 2 + R * LOW / (2 * sp.pi)  # a' at a = -b, g = g_1
    psi, ratio = sp.symbols("psi sigma", positive=True)  # sin(psi) = sigma psi, sigma <= 1
    turn = (dtheta / (sp.pi - THETA) ** 2).subs(A, -BELOW)  # (1 / psi)' = theta' / psi^2
    slowest = rise / (sp.pi * R**3) - BELOW * ratio / (2 * sp.pi * R)
    return {
        "s > 0 and c >= 0 means a > 0": positive((s + BALANCE / s) / 2),
        "a <= 0: a' = b r^2 / 2 + r g / (2 pi) > 0": vanishes(da.subs(A, -BELOW) - rise.subs(LOW, symbols.arc()))
        and positive(rise),
        "a <= 0: (1 / psi)' = b sin(psi) / (2 pi r psi)": vanishes(
            turn - BELOW * sp.sin(THETA) / (2 * sp.pi * R * (sp.pi - THETA))
        ),
        "sin(psi) <= psi": positive(by_half_angle(sp.diff(psi - sp.sin(psi), psi).subs(psi, THETA))),
        "a <= 0: (1 / psi)' <= a' / (pi r^3)": positive(slowest.subs(ratio, 1))
        and positive(-sp.diff(slowest, ratio).subs(BELOW, MORE)),
        "r^2 >= -c": nonnegative(R**2 + (A**2 - R**2)),
    }


def arriving_steps(psi0: sp.Expr = PSI0) -> Steps:
    """Step 3: once a > 0, theta tends to 0 and P to 1, where the loss is 0. psi0 is pi - theta(0)."""
    da, dr, _ = symbols.polar_flow()
    g = symbols.arc()
    c = A**2 - R**2
    product = A * R
    psi1 = psi0 / (1 + psi0 * GAIN)  # 1 / psi_1 = 1 / psi_0 + K, K >= (a(t) - a(0)) / (pi |c|^(3/2))
    root = sp.sqrt(sp.Symbol("c", real=True) ** 2 + 4 * OUTPUT**2)
    size = (root - sp.Symbol("c", real=True)) / 2  # r^2
    pull = LOW / sp.pi
    return {
        "the angle stays away from pi": positive(psi1),
        "P' = D (g / pi - P) / 2": vanishes(da * R + A * dr - (A**2 + R**2) * (g / sp.pi - product) / 2),
        "D^2 = c^2 + 4 P^2 >= 4 P^2": vanishes((A**2 + R**2) ** 2 - c**2 - 4 * product**2) and nonnegative(c**2),
        "P <= g_1 / pi rises, P >= 1 falls": nonnegative((LOW + PAST) / sp.pi - (pull - BELOW))
        and nonnegative((1 + PAST) - (sp.pi - BELOW) / sp.pi),
        "|w|^2 = (D - c) / 2, growing with P": vanishes(sp.expand(size * (size + root - 2 * size) - OUTPUT**2))
        and positive(sp.diff(size, OUTPUT)),
        "theta = 0, P = 1: L = 0": vanishes(symbols.population_loss().subs(THETA, 0).subs(A, 1 / R)),
    }


def learning_steps(psi0: sp.Expr = PSI0) -> Steps:
    """All steps of the argument for a start with a(0) + |w(0)| > 0 and theta(0) = pi - psi0."""
    return {**angle_steps(), **failing_steps(), **rising_steps(), **arriving_steps(psi0)}


def plane_verdict(a0: sp.Expr, r0: sp.Expr, psi0: sp.Expr = PSI0) -> str:
    """Return the verdict on a start (a0, |w0|, pi - theta0), in symbols with signs, if it is decided.

    One of `learns`, `fails` and `undecided`.

    Examples:
        >>> m = sp.Symbol("m", positive=True)
        >>> plane_verdict(-m / 2, m), plane_verdict(-m, m), plane_verdict(m, m, sp.Integer(0))
        ('learns', 'fails', 'fails')
    """
    s = sp.factor(a0 + r0)
    learning, failing = _proved(symbols.population_loss(), psi0)
    if s.is_nonpositive or psi0.is_zero:
        return "fails" if failing else "undecided"
    return "learns" if s.is_positive and learning else "undecided"


@cache
def _proved(loss: sp.Expr, psi0: sp.Expr) -> tuple[bool, bool]:
    """Return whether all steps hold, for learning and for failing; decided once for each loss."""
    return every(learning_steps(psi0)), every({**angle_steps(), **failing_steps()})


# --- the basin


def derive_basin(claim: Claim) -> Steps:
    """Decide both sides of the stated edge a0 = -edge |w0|, and starts that a wrong edge misjudges."""
    edge = sp.nsimplify(claim.edge)
    psi0 = PSI0 if claim.off_ray else sp.Integer(0)
    steps = {**learning_steps(psi0), **failing_steps(edge)}
    steps["a0 > -edge |w0| learns"] = plane_verdict(MORE - edge * SIZE, SIZE, psi0) == "learns"
    steps["a0 <= -edge |w0| fails"] = plane_verdict(-PAST - edge * SIZE, SIZE, psi0) == "fails"
    for ratio in RATIOS:
        said = "learns" if ratio > -edge else "fails"
        steps[f"a0 = {ratio} |w0| {said}"] = plane_verdict(ratio * SIZE, SIZE, psi0) == said
    return steps


def observe_basin(rng: np.random.Generator) -> list[SimpleNamespace]:
    """Return runs and exact verdicts of starts of several d and every balance, also on the ray -e_1."""
    return [_seen(rng, d, on_ray) for d, on_ray in ((2, False), (3, False), (10, False), (2, True))]


def _seen(rng: np.random.Generator, d: int, on_ray: bool) -> SimpleNamespace:
    n = 12
    w0 = rng.normal(size=(n, d))
    if on_ray:
        w0 = -abs(w0[:, :1]) * np.eye(1, d)
    ratio = np.linspace(-1.6, 1.6, n)
    a0 = ratio * np.hypot.reduce(w0, axis=1)
    runs = np.array([_run(a, w, 500.0) for a, w in zip(a0, w0, strict=True)])
    return SimpleNamespace(ratio=ratio, on_ray=on_ray, runs=runs, learns=verdicts(a0, w0) == LEARNS)


def _run(a0: float, w0: Array, horizon: float) -> str:
    """Integrate until the loss is 1e-7 or the horizon is reached, and return the verdict of the run."""
    loss = Population(len(w0))
    near = Event("learned", lambda t, a, w: float(loss.loss(a, w)) - 1e-7, direction=-1)
    return integrate(loss, a0, w0, horizon, rtol=1e-7, atol=1e-10, events=[near]).verdict


def compare_basin(seen: list[SimpleNamespace], claim: Claim) -> Steps:
    """Compare the stated basin with the exact verdicts and the runs, without undecided runs."""
    steps = {}
    for number, found in enumerate(seen):
        if found.on_ray and claim.off_ray:
            steps["on the ray -e_1 none learns"] = not (found.learns.any() or (found.runs == "learns").any())
            continue
        said = found.ratio > -claim.edge
        decided = found.runs != "undecided"
        steps[f"verdicts, group {number}"] = bool((found.learns == said).all())
        steps[f"runs, group {number}"] = bool(
            decided.mean() >= 0.5 and ((found.runs == "learns") == said)[decided].all()
        )
    return steps


BASIN = Theorem(
    "basin",
    "Population, d > 1, any balance: a start learns iff a(0) > -|w(0)|; otherwise, and on the ray -e_1, its loss is at "
    "least 1/4 for ever.",
    ("d > 1", "w(0) not 0, not on the ray -e_1", "any balance"),
    OURS,
    {"edge": 1, "off_ray": True},
    derive_basin,
    observe_basin,
    compare_basin,
    {
        "the other edge": Mutant("a(0) > |w(0)|", {"edge": -1}),
        "half the edge": Mutant("a(0) > -|w(0)| / 2", {"edge": 0.5}),
        "the ray -e_1 learns as well": Mutant("the null set dropped", {"off_ray": False}),
    },
    CITED,
)


# --- Lemma 2.2


def derive_lemma(claim: Claim) -> Steps:
    """Decide a(0) = +-ratio |w(0)|, and check that the balanced flow is a quadrature."""
    _, dr, dtheta = (x.subs(A, R) for x in symbols.polar_flow())
    steps = {
        "a > 0: theta' depends on theta alone": vanishes(sp.diff(dtheta, R)),
        "a > 0: 1 / r^2 obeys y' = 1 - y g / pi": vanishes(-2 * dr / R**3 - 1 + symbols.arc() / (sp.pi * R**2)),
    }
    psi0 = PSI0 if claim.off_ray else sp.Integer(0)
    for ratio in claim.ratios:
        for sign, word in ((1, "a(0) > 0"), (-1, "a(0) < 0")):
            said = "learns" if sign in claim.learns else "fails"
            start = sign * sp.nsimplify(ratio) * SIZE, SIZE, psi0
            steps[f"{word}, |a(0)| = {ratio} |w(0)| {said}"] = plane_verdict(*start) == said
    return steps


def observe_lemma(rng: np.random.Generator) -> list[SimpleNamespace]:
    """Return runs and exact verdicts of starts with a(0) = +-ratio |w(0)|, also on the ray -e_1.

    The starts have several d.
    """
    cases = [(d, ratio, False) for d in (2, 3, 10) for ratio in (1, 0.5)] + [(2, 1, True)]
    return [_balanced(rng, *case, sign) for case in cases for sign in (1, -1)]


def _balanced(rng: np.random.Generator, d: int, ratio: float, on_ray: bool, sign: int) -> SimpleNamespace:
    w0 = rng.normal(size=(3, d)) / np.sqrt(d)
    if on_ray:
        w0 = -abs(w0[:, :1]) * np.eye(1, d)
    a0 = sign * ratio * np.hypot.reduce(w0, axis=1)
    runs = [_run(a, w, 1000.0) for a, w in zip(a0, w0, strict=True)]
    name = f"d = {d}, a(0) = {sign * ratio} |w(0)|{' on the ray' if on_ray else ''}"
    return SimpleNamespace(
        name=name, ratio=ratio, on_ray=on_ray, sign=sign, runs=runs, exact=verdicts(a0, w0) == LEARNS
    )


def compare_lemma(seen: list[SimpleNamespace], claim: Claim) -> Steps:
    """Compare the predicted verdicts with the exact ones and the runs that the hypotheses admit."""
    steps = {}
    for found in seen:
        if found.ratio in claim.ratios and not (found.on_ray and claim.off_ray):
            said = found.sign in claim.learns
            wrong = "fails" if said else "learns"
            steps[f"{found.name}: verdicts"] = bool((found.exact == said).all())
            steps[f"{found.name}: runs"] = wrong not in found.runs and set(found.runs) != {"undecided"}
    return steps


LEMMA_2_2 = Theorem(
    "lemma-2.2",
    "d > 1, balanced, population: a(0) > 0 learns from every w(0) off the ray -e_1, whatever the sign of w_1(0); "
    "a(0) < 0 fails.",
    ("d > 1", "|a(0)| = |w(0)| > 0", "w(0) is not on the ray -e_1"),
    READING,
    {"learns": (1,), "ratios": (1,), "off_ray": True},
    derive_lemma,
    observe_lemma,
    compare_lemma,
    {
        "a(0) < 0 learns as well": Mutant("the sign of a dropped", {"learns": (1, -1)}),
        "balance does not matter": Mutant("also for |a(0)| = |w(0)| / 2", {"ratios": (1, 0.5)}),
        "the ray -e_1 learns as well": Mutant("the null set dropped", {"off_ray": False}),
    },
    CITED,
)
