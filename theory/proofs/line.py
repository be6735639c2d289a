"""One input: Theorem 2.1 and the basin for any balance.

Both are decided by following the closed form to its end.
"""

from __future__ import annotations

from functools import cache
from itertools import product
from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.exact.closed_form import closed_form
from theory.exact.limits import LEARNS, SEPARATRIX, verdicts
from theory.flow.integrate import integrate
from theory.losses.losses import Line
from theory.proofs import symbols
from theory.proofs.base import OURS, PAPER, Claim, Mutant, Steps, Theorem, every, nonnegative, positive, vanishes
from theory.proofs.closed_form import MINUS, PLUS, ROOT, E, Z, above_steps, fraction, kink_steps, slope_of_z
from theory.proofs.symbols import A, P, W
from theory.validation import Array

SIZE = sp.Symbol("m", positive=True)
MORE = sp.Symbol("n", positive=True)  # strictly past an edge
LESS = sp.Symbol("n", nonnegative=True)  # weakly past an edge
LEARNED_WITHIN = 1e-12
RATIOS = [sp.Rational(k, 4) for k in (-6, -4, -3, -1, 0, 1, 6)]  # starts that a wrong edge misjudges
SIGN_OF = {"+": 1, "-": -1}


# --- what the steps decide about a start


def learning_steps() -> Steps:
    """From A > 0 and w0 > 0, w stays above 0 and a w tends to 1, where the loss is 0.

    2 w = A sqrt(z) - B / sqrt(z) is positive wherever B <= 0; for B > 0 it could vanish at z = B / A < 1 only.
    """
    slope, _ = slope_of_z()
    plus, minus = sp.symbols("A B", positive=True)
    away = slope.subs({PLUS: plus, MINUS: minus}).subs(Z, minus / plus)
    end = fraction().subs(E, 0)
    output = (PLUS**2 * end - MINUS**2 / end) / 4  # a w = ((a + w)^2 - (a - w)^2) / 4
    loss = symbols.line_loss(1)
    w = W[1]
    return {
        **above_steps(),
        "w = 0 (z = B / A) is never reached from above: z' > 0 there": positive(away),
        "a w tends to 1": vanishes(output - 1, ROOT),
        "the loss there is 0": vanishes(loss.subs(A, 1 / w)),
    }


def failing_steps() -> Steps:
    """From A <= 0 < w0 and from w0 < 0, the loss never falls below p / 2.

    From A <= 0 < w0, a + w <= 0 is kept, so a < 0 and the loss exceeds p / 2; from w0 < 0 it is at least p / 2.
    """
    da, dw = symbols.line_flow(1)
    _, dw_below = symbols.line_flow(-1)
    w = W[1]
    above = (symbols.line_loss(1) - P / 2).subs(A, -w - LESS)
    return {
        "the sign of a + w is kept on w > 0": vanishes(sp.rem(sp.expand(da + dw), A + w, A)),
        "a + w <= 0 < w: loss above p / 2": positive(sp.expand(above)),
        "the sign of w is kept on w < 0": vanishes(sp.expand(dw_below).subs(W[-1], 0)),
        "w < 0: loss at least p / 2": nonnegative(symbols.line_loss(-1) - P / 2),
        "the flow rests on w = 0": kink_steps()["the flow rests on w = 0"],
        "w = 0: loss p / 2": vanishes(symbols.line_loss(-1).subs(W[-1], 0) - P / 2),
    }


def line_verdict(a0: sp.Expr, w0: sp.Expr) -> str:
    """Return the verdict on a start in symbols with signs: `learns`, `fails` or `undecided`.

    Examples:
        >>> m = sp.Symbol("m", positive=True)
        >>> line_verdict(m, m), line_verdict(-m, m), line_verdict(-m / 2, m), line_verdict(sp.Symbol("a", real=True), m)
        ('learns', 'fails', 'learns', 'undecided')
    """
    edge = sp.factor(a0 + w0)
    learning, failing = _proved(symbols.line_loss(1), symbols.line_loss(-1))
    if w0.is_negative or (w0.is_positive and edge.is_nonpositive):
        return "fails" if failing else "undecided"
    return "learns" if w0.is_positive and edge.is_positive and learning else "undecided"


@cache
def _proved(*losses: sp.Expr) -> tuple[bool, bool]:
    """Return whether all steps hold, for learning and for failing; decided once for each pair of losses."""
    return every(learning_steps()), every(failing_steps())


# --- Theorem 2.1


def derive_quadrants(claim: Claim) -> Steps:
    """Decide each sign pattern (of a, of w) at each admitted ratio |a0| / |w0|."""
    steps = {"a = -w is invariant": vanishes(sum(symbols.line_flow(1)).subs(A, -W[1]))}
    for pattern, ratio in product(("++", "-+", "+-", "--"), claim.ratios):
        a0 = SIGN_OF[pattern[0]] * sp.nsimplify(ratio) * SIZE
        w0 = SIGN_OF[pattern[1]] * SIZE
        said = "learns" if pattern in claim.learns else "fails"
        steps[f"{pattern} at |a0| = {ratio} |w0| {said}"] = line_verdict(a0, w0) == said
    return steps


def observe_quadrants(rng: np.random.Generator) -> dict[tuple[str, float], SimpleNamespace]:
    """Return witnesses for each sign pattern and ratio.

    They are the late loss of `closed_form`, the verdicts, and a few integrated runs.
    """
    return {
        (pattern, ratio): _witnesses(rng, ratio * SIGN_OF[pattern[0]], SIGN_OF[pattern[1]], 400, 2)
        for pattern in ("++", "-+", "+-", "--")
        for ratio in (1, 0.5)
    }


def _witnesses(rng: np.random.Generator, a: float | Array, w: float | Array, n: int, runs: int) -> SimpleNamespace:
    size = np.exp(rng.uniform(-2, 2, size=n))
    a0, w0 = a * size, w * size
    line = Line()
    late = line.loss(*_column(closed_form(a0, w0, 1e6)))
    # before the time at which round-off leaves the stable manifold
    followed = [integrate(line, *start, 30.0) for start in zip(a0[:runs], w0[:runs], strict=True)]
    return SimpleNamespace(
        a0=a0, w0=w0, late=late, codes=verdicts(a0, w0), runs=np.array([run.loss[-1] for run in followed])
    )


def _column(state: tuple[Array, Array]) -> tuple[Array, Array]:
    return state[0], state[1][:, None]


def compare_quadrants(seen: dict[tuple[str, float], SimpleNamespace], claim: Claim) -> Steps:
    """Compare the predicted verdicts with the late losses, the exact verdicts and the runs."""
    steps = {}
    for (pattern, ratio), found in seen.items():
        if ratio in claim.ratios:
            learns = pattern in claim.learns
            steps[f"{pattern} at |a0| = {ratio} |w0|"] = bool(
                ((found.late < LEARNED_WITHIN) == learns).all()
                and ((found.codes == LEARNS) == learns).all()
                and ((found.runs < 1e-3) == learns).all()
            )
    edge = seen["-+", 1]
    return steps | {"a < 0 < w, balanced, is on the separatrix": bool((edge.codes == SEPARATRIX).all())}


# --- the basin for any balance


def derive_basin(claim: Claim) -> Steps:
    """Decide both sides of the stated edge a0 = -edge w0 for w0 > 0, and w0 < 0."""
    edge = sp.nsimplify(claim.edge)
    below = "learns" if -1 in claim.sides else "fails"
    single = {
        f"w0 > 0, a0 = {ratio} w0": line_verdict(ratio * SIZE, SIZE) == ("learns" if ratio > -edge else "fails")
        for ratio in RATIOS
    }
    return single | {
        "w0 > 0, a0 > -edge w0 learns": line_verdict(MORE - edge * SIZE, SIZE) == "learns",
        "w0 > 0, a0 <= -edge w0 fails": line_verdict(-LESS - edge * SIZE, SIZE) == "fails",
        f"w0 < 0 {below}": line_verdict(MORE - edge * SIZE, -SIZE) == below,
    }


def observe_basin(rng: np.random.Generator) -> SimpleNamespace:
    """Return witnesses of starts with w0 of either sign and a0 / |w0| from -2 to 2, close to -1 as well."""
    n = 600
    ratio = rng.uniform(-2, 2, size=n)
    side = rng.choice([-1.0, 1.0], size=n)
    ratio[-100:] = -1 + rng.choice([-1.0, 1.0], size=100) * 1e-3
    return _witnesses(rng, ratio, side, n, 24)


def compare_basin(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare the stated basin with the late losses, the exact verdicts and the runs."""
    said = (seen.a0 > -claim.edge * abs(seen.w0)) & np.isin(np.sign(seen.w0), claim.sides)
    runs = len(seen.runs)
    return {
        "late losses": bool(((seen.late < LEARNED_WITHIN) == said).all()),
        "exact verdicts": bool(((seen.codes == LEARNS) == said).all()),
        "runs said to learn come near 0, the others stay above 1/4": bool(
            (seen.runs[said[:runs]] < 1e-2).all() and (seen.runs[~said[:runs]] >= 0.25 - 1e-9).all()
        ),
    }


THEOREM_2_1 = Theorem(
    "theorem-2.1",
    "d = 1, balanced: a(0) > 0 and w(0) > 0 learns; every other sign pattern fails, (a < 0, w > 0) on the stable "
    "manifold of the origin.",
    ("d = 1", "any C+, C- > 0", "|a(0)| = |w(0)| > 0"),
    PAPER,
    {"learns": ("++",), "ratios": (1,)},
    derive_quadrants,
    observe_quadrants,
    compare_quadrants,
    {
        "the sign of w does not matter": Mutant("a(0) > 0 suffices", {"learns": ("++", "+-")}),
        "the sign of a does not matter": Mutant("w(0) > 0 suffices", {"learns": ("++", "-+")}),
        "balance does not matter": Mutant("also for |a(0)| = |w(0)| / 2", {"ratios": (1, 0.5)}),
    },
)

BASIN_1D = Theorem(
    "basin-1d",
    "d = 1, any balance: a start learns iff w(0) > 0 and a(0) > -w(0); otherwise its loss never falls below C+ / 2.",
    ("d = 1", "any C+, C- > 0", "any balance", "w(0) not 0"),
    OURS,
    {"edge": 1, "sides": (1,)},
    derive_basin,
    observe_basin,
    compare_basin,
    {
        "half the edge": Mutant("a(0) > -w(0) / 2", {"edge": 0.5}),
        "the other edge": Mutant("a(0) > w(0)", {"edge": -1}),
        "the sign of w does not matter": Mutant("a(0) > -|w(0)| suffices", {"sides": (1, -1)}),
    },
)
