"""Theorem 2.3 and the exact probabilities of IMP, LRR, sign and magnitude rewind after a dense run.

The dense verdict comes from `theory.proofs.basin`, that of the masked start (a, w_1) from `theory.proofs.line`. This
file decides where the dense run ends and how likely each sign pattern is.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.flow.integrate import integrate
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
    nonnegative,
    positive,
    vanishes,
)
from theory.proofs.basin import plane_verdict
from theory.proofs.line import line_verdict
from theory.proofs.symbols import THETA, A, R, V
from theory.pruning import prune
from theory.sampling import clopper_pearson
from theory.validation import Array

MORE, SIZE, INPUTS = sp.symbols("n m d", positive=True)
WEAK = sp.Symbol("k", nonnegative=True)
TRIALS = 20_000
CONFIDENCE = 1 - 1e-6  # of the intervals: a false alarm in a million
SIGN_PAIRS = tuple(product((1, -1), repeat=2))  # of a(0) and of w_1(0)


# --- where the dense run ends


def ending_steps() -> Steps:
    """Both ends keep input 1 alone: theta tends to 0 where the run learns, and to pi where it fails.

    Where |w| dies, perhaps in finite time, theta rises with -log |w|: P' > 0 for P = a |w| < 0 bounds |P|.
    """
    _, dr, dtheta = symbols.polar_flow()
    gain = dtheta / sp.sin(THETA) * R / -dr
    opposite = by_half_angle(dtheta / sp.sin(THETA)).subs(A, -R - WEAK)  # failing: a <= -|w|
    return {
        "dense: a(0) > 0 learns, so w tends to the ray e_1": plane_verdict(SIZE, SIZE) == "learns",
        "dense: a(0) < 0 fails": plane_verdict(-SIZE, SIZE) == "fails",
        "a <= -|w|: (log tan(theta / 2))' >= (pi - theta) / (2 pi), so w turns to -e_1": nonnegative(
            opposite - by_half_angle((sp.pi - THETA) / (2 * sp.pi))
        ),
        "a < 0: log tan(theta / 2) gains (pi - theta) / (g + pi |P|) as log |w| falls by 1": vanishes(
            gain - (sp.pi - THETA) / (symbols.arc() - sp.pi * A * R)
        ),
        "a masked start next to -e_1 with a < 0 fails": line_verdict(-MORE, -SIZE) == "fails",
        "a masked start at a w_1 = 1 has loss 0": vanishes(symbols.population_loss().subs(THETA, 0).subs(A, 1 / R)),
    }


def half_line() -> sp.Expr:
    """Return P(w_1 > 0) for w_1 ~ N(0, 1)."""
    return sp.integrate(sp.exp(-(V**2) / 2) / sp.sqrt(2 * sp.pi), (V, 0, sp.oo))


def off_the_ray(perpendicular: sp.Expr) -> sp.Expr:
    """Return P(w is not on the ray -e_1) where w_perp has `perpendicular` entries, all N(0, 1).

    |w_perp| then follows the chi distribution.
    """
    if perpendicular == 0:
        return 1 - half_line()
    total = sp.powsimp(sp.integrate(chi(perpendicular, V), (V, 0, sp.oo)))
    return 1 - (1 - total) * half_line()


def off_the_ray_by(dimensions: tuple[int, ...]) -> dict[str, sp.Expr]:
    """Return that probability for any d > 1, and for d = 1 if the dimensions hold it."""
    chances = {"d > 1": off_the_ray(INPUTS)}
    return chances | ({"d = 1": off_the_ray(sp.Integer(0))} if 1 in dimensions else {})


def chi(degrees: sp.Expr, r: sp.Symbol) -> sp.Expr:
    """Return the density of the length of a vector with `degrees` independent N(0, 1) entries."""
    return 2 ** (1 - degrees / 2) / sp.gamma(degrees / 2) * r ** (degrees - 1) * sp.exp(-(r**2) / 2)


# --- Theorem 2.3


def derive_pruned(claim: Claim) -> Steps:
    """Decide the masked start of each sign pattern, and add up the probabilities of those that learn."""
    steps = ending_steps()
    half = half_line()
    steps["|a(0)| = |w(0)| > |w_1(0)| means c = |w_perp(0)|^2 > 0"] = positive((SIZE + MORE) ** 2 - SIZE**2)
    sizes = [SIZE + MORE] if claim.balanced else [SIZE + MORE, SIZE / 2]  # |a(0)| for |w_1(0)| = m
    for size in sizes:
        learned = {(a, w): line_verdict(a * size, w * SIZE) == "learns" for a, w in SIGN_PAIRS}
        decided = all(line_verdict(a * size, w * SIZE) != "undecided" for a, w in SIGN_PAIRS)
        steps[f"IMP, |a(0)| = {size}: learns iff a(0) > 0 and w_1(0) > 0"] = decided and [
            pattern for pattern, yes in learned.items() if yes
        ] == [(1, 1)]
        chance = sum(half**2 for yes in learned.values() if yes)
        steps[f"IMP, |a(0)| = {size}: probability"] = vanishes(chance - sp.nsimplify(claim.imp))
    for name, off in off_the_ray_by(claim.dimensions).items():
        steps[f"LRR, {name}: probability"] = vanishes(half * off - sp.nsimplify(claim.lrr))
    return steps


def observe_pruned(rng: np.random.Generator) -> SimpleNamespace:
    """Return which random starts learn after pruning to one input.

    Exact limits decide for several d; a few starts are integrated.
    """
    exact = [pruned_starts(rng, d, balanced) for d in (1, 2, 3, 10) for balanced in (True, False)]
    return SimpleNamespace(exact=exact, runs=[_integrated(rng.normal(size=3), *signs) for signs in SIGN_PAIRS * 2])


def _integrated(w0: Array, a_sign: int, w_sign: int) -> SimpleNamespace:
    """Integrate one balanced start of d = 3, and what IMP and LRR make of it with only input 1 remaining."""
    w0[0] = w_sign * abs(w0[0])
    a0 = a_sign * np.hypot.reduce(w0)
    dense = integrate(Population(3), a0, w0, 300.0)
    a = dense.a[-1]
    w = dense.w[-1]
    starts = {"imp": (a0, w0[:1]), "lrr": (a, w[:1])}
    learned = {rule: integrate(Population(1), *start, 60.0).loss[-1] < 1e-3 for rule, start in starts.items()}
    return SimpleNamespace(up=a_sign > 0, right=w_sign > 0, first=int(abs(w).argmax()) == 0, **learned)


def pruned_starts(rng: np.random.Generator, d: int, balanced: bool, ratio: float = 1.0) -> SimpleNamespace:
    """Return random starts with s_w / s_a = ratio (or |a| = |w|), and whether each learns.

    Whether it learns is given dense and for each rule.
    """
    w0 = ratio * rng.normal(size=(TRIALS, d))
    a0 = rng.normal(size=TRIALS)
    if balanced:
        a0 = np.copysign(np.hypot.reduce(w0, axis=1), a0)
    return outcomes(a0, w0, balanced=balanced, ratio=ratio)


def outcomes(a0: Array, w0: Array, **about: float) -> SimpleNamespace:
    """Return starts, whether each learns dense and for each rule, and what is said `about` them."""
    d = w0.shape[1]
    survivors = (1,) if d > 1 else ()
    levels = {rule: prune(rule, a0, w0, survivors).learns for rule in ("imp", "sign", "magnitude", "lrr")}
    learns = {rule: level[-1] for rule, level in levels.items()}
    return SimpleNamespace(d=d, a0=a0, w0=w0, dense=levels["imp"][0], learns=learns, name=f"d = {d}", **about)


def within(hits: np.ndarray, chance: float) -> bool:
    """Return whether the Clopper-Pearson interval of a share contains a probability."""
    low, high = clopper_pearson(int(hits.sum()), hits.size, CONFIDENCE)
    return bool(low <= chance <= high)


def compare_pruned(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare which starts learn, and their share, with the statement, over the admitted starts."""
    steps = {
        "runs: the largest trained weight is w_1": all(run.first for run in seen.runs),
        "runs: IMP learns iff both signs are +": all(run.imp == (run.up and run.right) for run in seen.runs),
        "runs: LRR learns iff a(0) > 0": all(run.lrr == run.up for run in seen.runs),
    }
    for found in seen.exact:
        if found.d in claim.dimensions and (found.balanced or not claim.balanced):
            name = f"{found.name}, {'balanced' if found.balanced else 'normal'}"
            up = found.a0 > 0
            right = found.w0[:, 0] > 0
            steps[f"{name}: IMP learns iff both signs are +"] = bool((found.learns["imp"] == (up & right)).all())
            steps[f"{name}: LRR learns iff a(0) > 0"] = bool((found.learns["lrr"] == up).all())
            steps[f"{name}: IMP's share"] = within(found.learns["imp"], claim.imp)
            steps[f"{name}: LRR's share"] = within(found.learns["lrr"], claim.lrr)
    return steps


THEOREM_2_3 = Theorem(
    "theorem-2.3",
    "Pruned to the correct mask {1}, IMP rewinds w_1 and fails where w_1(0) < 0; LRR keeps the trained sign and learns "
    "whenever a(0) > 0: from balanced isotropic starts IMP learns with probability 1/4 and LRR with 1/2, any d > 1.",
    ("d > 1", "|a(0)| = |w(0)|, w(0) isotropic, the sign of a(0) fair", "trained to the limit, pruned to one input"),
    READING,
    {"imp": 0.25, "lrr": 0.5, "balanced": True, "dimensions": (2, 3, 10)},
    derive_pruned,
    observe_pruned,
    compare_pruned,
    {
        "IMP keeps the trained sign": Mutant("IMP learns with probability 1/2", {"imp": 0.5}),
        "LRR rewinds the sign": Mutant("LRR learns with probability 1/4", {"lrr": 0.25}),
        "balance does not matter": Mutant("also for |a(0)| unlike |w(0)|", {"balanced": False}),
        "d = 1 as well": Mutant("d > 1 dropped", {"dimensions": (1, 2, 3, 10)}),
    },
    cited=("comparison of scalar flows (Gronwall)",),
)


# --- signs times magnitudes


def derive_factorial(claim: Claim) -> Steps:
    """Decide the masked start that each rule makes of each sign pattern.

    The dense run before it has learned or failed.

    After one that learned: a_T, w_T > 0 with a_T^2 - w_T^2 = c, where a(0) < 0 only if c < 0. After one that failed:
    a < 0 with c >= 0, and w_1 < 0.
    """
    steps = {
        **ending_steps(),
        "dense: a(0) < 0 learns only if c < 0": plane_verdict(-SIZE - WEAK, SIZE) == "fails"
        and plane_verdict(-SIZE, SIZE + MORE) == "learns",
        "c < 0 means w_T > a_T": positive((SIZE + MORE) ** 2 - SIZE**2),
    }
    return steps | share_steps(claim.shares)


def share_steps(shares: Mapping[str, float]) -> Steps:
    """Return whether each rule learns on its stated share of the learned dense runs, and no other."""
    steps = {}
    for rule, share in shares.items():
        learned, failed = _restarts(rule)
        steps[f"{rule}: after a failed run it fails"] = {line_verdict(*start) for start in failed} == {"fails"}
        told = {pattern: line_verdict(*start) for pattern, start in learned.items()}
        # the sign of w_1(0) is independent of the rest, so each sign that learns adds 1/2
        sides = [{told[a, w] for a in (1, -1)} for w in (1, -1)]
        chance = sum(half_line() for side in sides if side == {"learns"})
        steps[f"{rule}: share of the dense runs that learned"] = all(
            side in ({"learns"}, {"fails"}) for side in sides
        ) and vanishes(chance - sp.nsimplify(share))
    return steps


Start = tuple[sp.Expr, sp.Expr]


def _restarts(rule: str) -> tuple[dict[tuple[int, int], Start], list[Start]]:
    """Return the masked starts (a, w_1) of a rule, after a dense run that learned, and that failed.

    Those after a run that learned are given by sign pattern.
    """
    a, w = sp.symbols("a_0 w_0", positive=True)  # sizes that nothing relates
    if rule == "magnitude":
        ends = {(1, side): (a, w) for side in (1, -1)} | {(-1, side): (SIZE, SIZE + MORE) for side in (1, -1)}
        learned = {(one, other): (one * ends[one, other][0], other * ends[one, other][1]) for one, other in SIGN_PAIRS}
        return learned, [(-SIZE - WEAK, side * SIZE) for side in (1, -1)]
    return {pattern: (a, w) for pattern in SIGN_PAIRS}, [(-a, -w)]  # sign and LRR: the trained signs


def observe_factorial(rng: np.random.Generator) -> list[SimpleNamespace]:
    """Return which starts learn, balanced and normal."""
    return [pruned_starts(rng, d, balanced) for d in (2, 5) for balanced in (True, False)]


def compare_factorial(seen: list[SimpleNamespace], claim: Claim) -> Steps:
    """Compare each rule's share of the starts whose dense run learned, and that no other start learns."""
    steps = {}
    for found in seen:
        for rule, share in claim.shares.items():
            name = f"{found.name}, {'balanced' if found.balanced else 'normal'}: {rule}"
            steps[f"{name}: share"] = within(found.learns[rule][found.dense], share)
            steps[f"{name}: none of the failed"] = not found.learns[rule][~found.dense].any()
    return steps


FACTORIAL = Theorem(
    "factorial",
    "Pruned to one input, balanced or not: sign rewind and LRR learn exactly where the dense run does (balanced: 1/2), "
    "magnitude rewind where also w_1(0) > 0, so half as often (balanced: 1/4).",
    ("d > 1", "w(0) isotropic and independent of a(0), or balanced with a fair sign", "signs read before the limit"),
    OURS,
    {"shares": {"sign": 1, "magnitude": 0.5, "lrr": 1}},
    derive_factorial,
    observe_factorial,
    compare_factorial,
    {
        "sign rewind is like IMP": Mutant("half of the dense probability", {"shares": {"sign": 0.5}}),
        "magnitude rewind is like LRR": Mutant("all of the dense probability", {"shares": {"magnitude": 1}}),
    },
    cited=("comparison of scalar flows (Gronwall)",),
)
