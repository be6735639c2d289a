"""The exact probabilities of IMP and LRR from unbalanced starts.

These are normal ones, and those of the authors' code.
"""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.proofs.base import OURS, Claim, Mutant, Steps, Theorem, positive, vanishes
from theory.proofs.basin import plane_verdict
from theory.proofs.line import line_verdict
from theory.proofs.pruning import (
    INPUTS,
    MORE,
    SIZE,
    TRIALS,
    WEAK,
    chi,
    ending_steps,
    half_line,
    off_the_ray_by,
    outcomes,
    pruned_starts,
    share_steps,
    within,
)
from theory.proofs.symbols import V

KAPPA = sp.Symbol("kappa", positive=True)  # s_w / s_a


def derive_normal(claim: Claim) -> Steps:
    """Derive the probabilities of IMP and LRR from normal starts.

    IMP: the Gaussian is integrated over its wedge. LRR: the derivatives of its two forms in kappa are compared.
    """
    edge = -sp.atan(KAPPA)  # a = s_a rho sin(phi), w_1 = s_w rho cos(phi)
    wedge = sp.integrate(V * sp.exp(-(V**2) / 2), (V, 0, sp.oo)) * (sp.pi / 2 - edge) / (2 * sp.pi)
    said = sp.Rational(1, 4) + sp.atan(KAPPA**claim.power) / (claim.turn * sp.pi)
    total = sp.integrate(chi(INPUTS, V), (V, 0, sp.oo))
    steps = {
        "IMP learns iff w_1 > 0 and a > -w_1": _imp_basin(),
        "tan(phi) = -kappa is the edge a = -w_1": vanishes(sp.sin(edge) + KAPPA * sp.cos(edge)),
        "IMP: the wedge": vanishes(wedge - said),
        "LRR learns where the dense run does, a > -|w|": plane_verdict(MORE - SIZE, SIZE) == "learns"
        and plane_verdict(-WEAK - SIZE, SIZE) == "fails",
        "LRR at kappa = 0: both forms are 1/2": vanishes(sp.powsimp(total) / 2 - half_line()),
        "LRR: the derivative in kappa": _same_slope(claim),
    }
    for name, off in off_the_ray_by(claim.dimensions).items():
        steps[f"LRR, {name}: almost no start is on the ray -e_1"] = vanishes(off - 1)
    return steps


def _imp_basin() -> bool:
    return (
        line_verdict(MORE - SIZE, SIZE) == "learns"
        and line_verdict(-WEAK - SIZE, SIZE) == line_verdict(MORE - SIZE, -SIZE) == "fails"
    )


def _same_slope(claim: Claim) -> bool:
    """Compare d/dkappa E Phi(kappa r), r ~ chi_d, with that of the stated F_t, for any d.

    Their logarithms are compared.
    """
    more = sp.Symbol("y", positive=True)  # 1 + kappa^2
    nu = INPUTS + claim.degrees
    scale = INPUTS ** sp.nsimplify(claim.scale)
    normal = V * sp.exp(-(more - 1) * V**2 / 2) / sp.sqrt(2 * sp.pi)  # d Phi(kappa r) / d kappa
    mean = sp.integrate(sp.powsimp(sp.expand(chi(INPUTS, V) * normal)), (V, 0, sp.oo))
    spread = sp.factor(sp.together(1 + scale**2 * (more - 1) / nu))  # 1 + x^2 / nu at x = scale kappa
    constant = sp.gamma((nu + 1) / 2) / (sp.sqrt(nu * sp.pi) * sp.gamma(nu / 2))
    student = scale * constant * spread ** (-(nu + 1) / 2)
    return sp.expand(sp.expand_log(sp.log(mean) - sp.log(student), force=True)) == 0


def observe_normal(rng: np.random.Generator) -> list[SimpleNamespace]:
    """Return which normal starts learn, for several d and s_w / s_a."""
    return [pruned_starts(rng, d, False, ratio) for d in (1, 2, 5) for ratio in (0.5, 1.0, 2.0)]


def compare_normal(seen: list[SimpleNamespace], claim: Claim) -> Steps:
    """Compare the shares with the stated probabilities."""
    from scipy.special import stdtr

    steps = {}
    for found in seen:
        if found.d in claim.dimensions:
            name = f"{found.name}, s_w / s_a = {found.ratio}"
            imp = 0.25 + np.arctan(found.ratio**claim.power) / (claim.turn * np.pi)
            lrr = stdtr(found.d + claim.degrees, found.d**claim.scale * found.ratio)
            steps[f"{name}: IMP"] = within(found.learns["imp"], imp)
            steps[f"{name}: LRR"] = within(found.learns["lrr"], lrr)
    return steps


PROBABILITIES = Theorem(
    "probabilities",
    "a ~ N(0, s_a^2), w_i ~ N(0, s_w^2), pruned to one input: IMP learns with probability "
    "1/4 + arctan(s_w / s_a) / (2 pi), LRR with P(a > -|w|) = F_t(sqrt(d) s_w / s_a), Student's t with d degrees of "
    "freedom.",
    ("d > 1", "independent normal entries", "trained to the limit, then pruned to one input"),
    OURS,
    {"turn": 2, "power": 1, "degrees": 0, "scale": 0.5, "dimensions": (2, 5)},
    derive_normal,
    observe_normal,
    compare_normal,
    {
        "twice the angle": Mutant("IMP: 1/4 + arctan(s_w / s_a) / pi", {"turn": 1}),
        "the inverse ratio": Mutant("IMP: arctan(s_a / s_w)", {"power": -1}),
        "one degree of freedom less": Mutant("LRR: d - 1 degrees", {"degrees": -1}),
        "no factor sqrt(d)": Mutant("LRR: F_t(s_w / s_a)", {"scale": 0}),
        "d = 1 as well": Mutant("d > 1 dropped", {"dimensions": (1, 2, 5)}),
    },
    cited=("the density of Student's t",),
)


# --- the start of the authors' code: a = u |w|


def derive_bounded(claim: Claim) -> Steps:
    """Derive the probabilities of every rule from a = u |w|, u uniform in (-reach, reach).

    LRR: the edge of the basin is beyond the reach of u. IMP: u is integrated over u > -cos(theta), and E |cos(theta)|
    is E |w_1| / E |w|, the direction and the length of w being independent.
    """
    cosine = sp.Symbol("q", positive=True)  # cos(theta), given that w_1 > 0
    learned = sp.integrate(1 / (2 * sp.sympify(claim.reach)), (V, -cosine, claim.reach))
    size_1 = 2 * sp.integrate(V * sp.exp(-(V**2) / 2) / sp.sqrt(2 * sp.pi), (V, 0, sp.oo))
    size = sp.integrate(V * chi(INPUTS, V), (V, 0, sp.oo))
    mean = sp.gammasimp(sp.powsimp(size_1 / size))
    said = sp.Rational(1, 4) + sp.nsimplify(claim.gain) * _mean_cosine(INPUTS + claim.extra)
    steps = {
        **ending_steps(),
        "dense: |a(0)| < |w(0)| learns": plane_verdict(MORE - claim.reach * SIZE, SIZE) == "learns",
        "|a(0)| < |w(0)| means c < 0, so w_T > a_T": positive((SIZE + MORE) ** 2 - SIZE**2),
        "IMP learns iff w_1 > 0 and a > -w_1": _imp_basin(),
        "IMP: probability": vanishes(sp.gammasimp(half_line() * learned.subs(cosine, mean) - said)),
        **share_steps(claim.shares),
    }
    for name, off in off_the_ray_by(claim.dimensions).items():
        steps[f"dense, {name}: almost no start is on the ray -e_1"] = vanishes(off - 1)
    return steps


def _mean_cosine(d: sp.Expr) -> sp.Expr:
    return sp.gamma(d / 2) / (sp.sqrt(sp.pi) * sp.gamma((d + 1) / 2))


def observe_bounded(rng: np.random.Generator) -> list[SimpleNamespace]:
    """Return which starts a = u |w| learn, for several d and ranges of u."""
    seen = []
    for d in (1, 2, 5):
        for reach in (1, 2):
            w0 = rng.normal(size=(TRIALS, d))
            a0 = rng.uniform(-reach, reach, size=TRIALS) * np.hypot.reduce(w0, axis=1)
            seen.append(outcomes(a0, w0, reach=reach))
    return seen


def compare_bounded(seen: list[SimpleNamespace], claim: Claim) -> Steps:
    """Compare the shares with the stated probabilities."""
    steps = {}
    for found in seen:
        if found.d in claim.dimensions and found.reach == claim.reach:
            imp = 0.25 + claim.gain * float(_mean_cosine(sp.Integer(found.d + claim.extra)))
            steps[f"{found.name}: every dense run learns"] = bool(found.dense.all())
            for rule, share in {"imp": imp, **claim.shares}.items():
                steps[f"{found.name}: {rule}"] = within(found.learns[rule], share)
    return steps


BOUNDED_STARTS = Theorem(
    "bounded-starts",
    "a(0) = u |w(0)|, u ~ U(-1, 1), w(0) isotropic, pruned to one input: the dense run, LRR and sign rewind learn with "
    "probability 1, magnitude rewind with 1/2, IMP with 1/4 + E|cos| / 4, "
    "E|cos| = Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)).",
    ("d > 1", "w(0) isotropic, u independent of it", "|u| <= 1", "trained to the limit, then pruned to one input"),
    OURS,
    {"reach": 1, "gain": 0.25, "extra": 0, "shares": {"sign": 1, "magnitude": 0.5, "lrr": 1}, "dimensions": (2, 5)},
    derive_bounded,
    observe_bounded,
    compare_bounded,
    {
        "|a(0)| up to 2 |w(0)|": Mutant("u ~ U(-2, 2)", {"reach": 2}),
        "IMP as from balanced starts": Mutant("IMP learns with probability 1/4", {"gain": 0}),
        "one dimension more": Mutant("E|cos| of d + 1 inputs", {"extra": 1}),
        "sign rewind is like IMP": Mutant("sign rewind learns with probability 1/2", {"shares": {"sign": 0.5}}),
        "magnitude rewind is like LRR": Mutant("magnitude rewind always learns", {"shares": {"magnitude": 1}}),
        "LRR as from balanced starts": Mutant("LRR learns with probability 1/2", {"shares": {"lrr": 0.5}}),
        "d = 1 as well": Mutant("d > 1 dropped", {"dimensions": (1, 2, 5)}),
    },
    cited=("comparison of scalar flows (Gronwall)",),
)
