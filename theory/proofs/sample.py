"""Properties of every data set: c is conserved, and with one input the loss is a `Line`.

c = a^2 - |w|^2 is conserved by the flow.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.exact.closed_form import closed_form
from theory.flow.integrate import integrate
from theory.losses.losses import Population
from theory.proofs import symbols
from theory.proofs.base import OURS, Claim, Mutant, Steps, Theorem, vanishes
from theory.proofs.symbols import SCALE, A, P, R, W
from theory.validation import Array

POINT = sp.Symbol("x", positive=True), sp.Symbol("y", real=True)  # |x| and y, as in line_sample_loss


# --- conservation


def derive_conservation(claim: Claim) -> Steps:
    """Differentiate c and s = a + share |w| along the flow.

    This is done for one point of a sample (any d), the population and a line.

    |w| |w|' = -w . grad L, which is the slope of L along the ray lambda w at lambda = 1: no coordinates are needed.
    """
    point = symbols.sample_loss(claim.offset)
    flows = {
        "every data set": (-sp.diff(point, A).subs(SCALE, 1), -sp.diff(point, SCALE).subs(SCALE, 1) / R, R),
        "the population": (*symbols.polar_flow()[:2], R),
        "d = 1, w > 0": (*symbols.line_flow(1), W[1]),
        "d = 1, w < 0": (symbols.line_flow(-1)[0], -symbols.line_flow(-1)[1], -W[-1]),
    }
    steps = {}
    share = sp.nsimplify(claim.share)
    for name, (da, dr, r) in flows.items():
        s, ds = A + share * r, da + share * dr
        m, dm = A - share * r, da - share * dr
        steps[f"{name}: c' = 0"] = vanishes(A * da - claim.weight * r * dr)
        steps[f"{name}: s' = -(L_a / |w|) s"] = vanishes(ds - da / r * s) and vanishes(dm + da / r * m)
    return steps


def observe_conservation(rng: np.random.Generator) -> SimpleNamespace:
    """Return slopes by finite differences, and a run.

    The slopes are those of samples with and without an offset, and of the population.
    """
    x = rng.normal(size=(9, 4))
    y = rng.normal(size=9)
    a = rng.normal(size=60)
    w = rng.normal(size=(60, 4))

    def sampled(offset: float) -> Callable[[Array, Array], Array]:
        return lambda a, w: np.mean((a[:, None] * _relu(w @ x.T, offset) - y) ** 2, axis=1) / 2

    losses = {0: [sampled(0), Population(4).loss], 1: [sampled(1)]}
    slopes = {offset: [slopes_of(loss, a, w) for loss in group] for offset, group in losses.items()}
    runs = [integrate(Population(3), a0, rng.normal(size=3), [0.0, 1.0, 4.0]) for a0 in (1.0, -0.5)]
    return SimpleNamespace(a=a, w=w, slopes=slopes, runs=runs)


def _relu(z: Array, offset: float) -> Array:
    return np.where(z > 0, z + offset, 0)


def slopes_of(loss: Callable[[Array, Array], Array], a: Array, w: Array, h: float = 1e-6) -> tuple[Array, Array]:
    """Return central differences (dL/da (n,), dL/dw (n, d)) of a loss(a (n,), w (n, d)) -> (n,)."""
    along = [(loss(a, w + h * e) - loss(a, w - h * e)) / (2 * h) for e in np.eye(w.shape[1])]
    return (loss(a + h, w) - loss(a - h, w)) / (2 * h), np.stack(along, axis=1)


def compare_conservation(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare c' and s' with 0 and with the stated rate."""
    r = np.hypot.reduce(seen.w, axis=1)
    steps = {}
    for number, (da, dw) in enumerate(seen.slopes[claim.offset]):
        dr = (seen.w * dw).sum(axis=1) / r
        rate = (da + claim.share * dr) - da / r * (seen.a + claim.share * r)
        steps[f"loss {number}: c' = 0"] = np.allclose(seen.a * da - claim.weight * r * dr, 0, atol=1e-7)
        steps[f"loss {number}: s'"] = np.allclose(rate, 0, atol=1e-7)
    for number, run in enumerate(seen.runs):
        c = run.a**2 - claim.weight * (run.w**2).sum(axis=1)
        steps[f"run {number}: c"] = len(c) == 3 and np.allclose(c, c[0], rtol=0, atol=1e-7)
    return steps


CONSERVATION = Theorem(
    "conservation",
    "c = a^2 - |w|^2 is conserved by every data set, by the population and for d = 1; s = a + |w| obeys "
    "s' = -(L_a / |w|) s and a - |w| the same with +, so neither changes its sign, nor does a balanced start's a.",
    ("w not 0", "relu is homogeneous: no bias", "w off the kinks of a sample (crossed at isolated times)"),
    OURS,
    {"weight": 1, "share": 1, "offset": 0},
    derive_conservation,
    observe_conservation,
    compare_conservation,
    {
        "another weight": Mutant("a^2 - 2 |w|^2", {"weight": 2}),
        "half of |w|": Mutant("s = a + |w| / 2", {"share": 0.5}),
        "no homogeneity": Mutant("an active unit gives w.x + 1", {"offset": 1}),
    },
)


# --- one input


def derive_sample(claim: Claim) -> Steps:
    """Average the losses of the points on each half-line and complete the square.

    The result is rescaled to the target slope 1.
    """
    names = {"xx": True, "x": True, "xy": None, "yy": None, "y": None}
    means = SimpleNamespace(**{name: sp.Symbol(f"mean_{name}", positive=sign) for name, sign in names.items()})
    k = claim.slope(means)
    steps = {}
    for side, word in ((1, "w > 0"), (-1, "w < 0")):
        above, below = (_averaged(point, means) for point in symbols.line_sample_loss(side))
        active, idle = (above, below) if side > 0 else (below, above)
        rest = active - means.xx / 2 * (A * side * W[side] - k) ** 2
        steps[f"{word}: C (a |w| - k)^2 / 2 + const"] = _constant(rest, side)
        steps[f"{word}: the other half adds a constant"] = _constant(idle, side)
    return steps | {"rescaled by sqrt(k) it is the flow of slope 1": _rescales(claim.power)}


def _constant(loss: sp.Expr, side: int) -> bool:
    return all(vanishes(sp.diff(loss, x)) for x in (A, W[side]))


def _averaged(point: sp.Expr, means: SimpleNamespace) -> sp.Expr:
    """Replace the powers of x and y in one point's loss by their means."""
    mean = {(2, 0): means.xx, (1, 1): means.xy, (0, 2): means.yy}
    return sum(factor * mean[power] for power, factor in sp.Poly(sp.expand(point), *POINT).as_dict().items())


def _rescales(power: int) -> bool:
    C, k = sp.symbols("C k", positive=True)
    w = W[1]
    scaled = {A: sp.sqrt(k) * A, W[1]: sp.sqrt(k) * W[1]}
    loss = C / 2 * (A * w - k) ** 2
    flow = [-sp.diff(loss, x).subs(scaled, simultaneous=True) / sp.sqrt(k) for x in (A, w)]
    like = [x.subs(P, C * k**power) for x in symbols.line_flow(1)]
    return all(vanishes(moved - given) for moved, given in zip(flow, like, strict=True))


def observe_sample(rng: np.random.Generator) -> SimpleNamespace:
    """Return a noisy data set, how its loss changes between points of a side, and starts with a0, w0 > 0."""
    x = rng.normal(size=60)
    y = np.maximum(x, 0) + 0.3 * rng.normal(size=60)

    def loss(a: Array, w: Array) -> Array:
        return np.mean((a[:, None] * _relu(w * x, 0) - y) ** 2, axis=1) / 2

    a = rng.normal(size=(2, 100))
    w = abs(rng.normal(size=(2, 100, 1)))
    change = {side: loss(a[0], side * w[0]) - loss(a[1], side * w[1]) for side in (1, -1)}
    start = abs(rng.normal(size=(2, 50)))
    return SimpleNamespace(x=x, y=y, loss=loss, a=a, w=w[..., 0], change=change, start=start, t=rng.uniform(0, 2, 50))


def compare_sample(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare the stated squares with the loss, and the rescaled closed form with the loss's slopes."""
    steps = {}
    h = 1e-5
    for side in (1, -1):
        c, k = _side(seen, side, claim)
        square = c / 2 * (seen.a * seen.w - k) ** 2
        steps[f"side {side}: the loss"] = np.allclose(square[0] - square[1], seen.change[side], rtol=0, atol=1e-10)
    c, k = _side(seen, 1, claim)
    now, later, sooner = (
        np.sqrt(abs(k)) * np.array(closed_form(*seen.start, seen.t + h + s, c * abs(k) ** claim.power))
        for s in (0, h, -h)
    )
    da, dw = slopes_of(seen.loss, now[0], now[1][:, None])
    steps["the flow"] = np.allclose((later - sooner) / (2 * h), -np.stack([da, dw[:, 0]]), rtol=0, atol=1e-6)
    return steps


def _side(seen: SimpleNamespace, side: int, claim: Claim) -> tuple[float, float]:
    x = np.maximum(side * seen.x, 0)
    y = np.where(side * seen.x > 0, seen.y, 0)
    means = SimpleNamespace(xx=np.mean(x * x), xy=np.mean(x * y), x=np.mean(x), y=np.mean(y))
    return means.xx, claim.slope(means)


SAMPLE_1D = Theorem(
    "sample-1d",
    "d = 1, any data set: on w > 0 the loss is C+ (a w - k)^2 / 2 + const with C+ = mean x^2 1{x > 0} and "
    "k = sum(x y) / sum(x^2) over x > 0, on w < 0 the same with |w| and |x| over x < 0; for k > 0, (a, w) / sqrt(k) "
    "flows as for the target of slope 1 with C+ k.",
    ("d = 1", "k > 0 for the rescaling"),
    OURS,
    {"slope": lambda mean: mean.xy / mean.xx, "power": 1},
    derive_sample,
    observe_sample,
    compare_sample,
    {
        "slope of the means": Mutant("k = sum(y) / sum(x)", {"slope": lambda mean: mean.y / mean.x}),
        "the clock of slope 1": Mutant("C+ in the place of C+ k", {"power": 0}),
    },
)
