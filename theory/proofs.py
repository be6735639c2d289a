"""What `theory.theorems` checks: for each theorem a symbolic and a numeric check, either of them with a mutant.

Symbolic checks decide polynomial and rational identities by canonical forms (expand, together, remainder), with symbols
for exp, D = sqrt(4 + c^2) and r. sympy is imported where it is used.
"""

from __future__ import annotations

import numpy as np

from theory.exact import LEARNS, SEPARATRIX, closed_form, limits, verdicts
from theory.flow import Event, integrate
from theory.network import Population, gradient_1d, loss_1d, population_gradient, population_loss, split


def _vanishes(expression, *relations) -> bool:
    """Say whether a rational expression is 0 modulo relations (polynomial, generator), by its canonical numerator."""
    import sympy as sp

    numerator = sp.expand(sp.fraction(sp.together(expression))[0])
    for relation, generator in relations:
        numerator = sp.expand(sp.rem(numerator, relation, generator))
    return numerator == 0


# --- the population loss and its gradient


def population_symbolic(mutant: str | None) -> bool:
    """Integrate the expectation in polar coordinates and differentiate the loss in (a, w_1, |w_perp|)."""
    import sympy as sp

    a, u = sp.symbols("a u", real=True)
    v, r, theta, phi, rho = sp.symbols("v r theta phi rho", positive=True)
    g = sp.sin(theta) + (sp.pi - theta) * sp.cos(theta)
    # E relu(w.x) relu(x_1) in polar coordinates of the plane of w and e_1
    radial = sp.integrate(rho**3 * sp.exp(-(rho**2) / 2), (rho, 0, sp.oo))
    angular = sp.integrate(sp.expand_trig(sp.cos(phi) * sp.cos(phi - theta)), (phi, theta - sp.pi / 2, sp.pi / 2))
    correlation = radial / (2 * sp.pi)
    half_square = correlation * sp.integrate(sp.cos(phi) ** 2, (phi, -sp.pi / 2, sp.pi / 2)) / 2
    factor = 1 if mutant == "twice the correlation" else 2
    loss = a**2 * r**2 / 4 - a * r * g / (factor * sp.pi) + sp.Rational(1, 4)
    expectation = half_square * (a**2 * r**2 + 1) - a * r * correlation * angular
    trig = ((sp.sin(theta) ** 2 + sp.cos(theta) ** 2 - 1), sp.cos(theta))
    if not _vanishes(sp.expand_trig(loss - expectation), trig):
        return False
    plane = loss.subs({r: sp.sqrt(u**2 + v**2), theta: sp.atan2(v, u)}, simultaneous=True)
    perp = 0 if mutant == "no pull off the axis" else 1
    stated = (
        (a, a * r**2 / 2 - r * g / (2 * sp.pi)),
        (u, a**2 * u / 2 - a / (2 * sp.pi) * (sp.pi - theta + sp.sin(theta) * u / r)),
        (v, a**2 * v / 2 - perp * a / (2 * sp.pi) * sp.sin(theta) * v / r),
    )
    half_angle = {sp.sin(theta): v / r, sp.cos(theta): u / r}
    back = {sp.atan2(v, u): theta, sp.sqrt(u**2 + v**2): r}
    circle = (r**2 - u**2 - v**2, r)
    return all(
        _vanishes(sp.diff(plane, x).subs(back).subs(u**2 + v**2, r**2) - dx.subs(half_angle), circle)
        for x, dx in stated
    )


def population_numeric(rng: np.random.Generator, mutant: str | None) -> bool:
    """Compare the gradient with finite differences and the loss with a sample mean."""
    n, d, h = 200, 4, 1e-5
    a, w = rng.normal(size=n), rng.normal(size=(n, d))
    da, dw = population_gradient(a, w)
    if mutant == "twice the correlation":
        da = a * split(w)[2] ** 2 / 2 - 2 * (a * split(w)[2] ** 2 / 2 - da)
    if mutant == "no pull off the axis":
        dw[:, 1:] = (a * a / 2)[:, None] * w[:, 1:]
    slopes = [(population_loss(a, w + h * e) - population_loss(a, w - h * e)) / (2 * h) for e in np.eye(d)]
    slope_a = (population_loss(a + h, w) - population_loss(a - h, w)) / (2 * h)
    x = rng.normal(size=(200_000, d))
    gap = (a[0] * np.maximum(x @ w[0], 0) - np.maximum(x[:, 0], 0)) ** 2 / 2
    sampled = abs(gap.mean() - population_loss(a[0], w[0])) < 5 * gap.std() / np.sqrt(len(x))
    return bool(sampled and np.allclose(slope_a, da, atol=1e-8) and np.allclose(np.stack(slopes, 1), dw, atol=1e-8))


# --- Theorem A.1


def closed_form_symbolic(mutant: str | None) -> bool:
    """Insert the closed form into the flow, branch by branch; check its start, the kink and the expanded fraction."""
    import sympy as sp

    A, B, D, y, z, e, p = sp.symbols("A B D y z e p", real=True)
    root = (D**2 - 4 - A**2 * B**2, D)  # D = sqrt(4 + c^2)
    rate = 2 if mutant == "rate without c" else D
    S, f = 2 + D, 1 - e
    k = A**2 * B**2 / S
    sign = -1 if mutant == "wrong sign of B^2" else 1
    solution = (S + sign * B**2 * f + k * e) / (S * e + A**2 * f + k)
    riccati = -p / 2 * (A**2 * z**2 - 4 * z - B**2)
    # de/dt = -p D e
    solves = _vanishes(sp.diff(solution, e) * -p * rate * e - riccati.subs(z, solution), root)
    begins = _vanishes(solution.subs(e, 1) - 1, root)
    a, w, dy = (A * y + B / y) / 2, (A * y - B / y) / 2, riccati.subs(z, y**2) / (2 * y)
    flows = _vanishes(sp.diff(a, y) * dy + p * w * (a * w - 1)) and _vanishes(sp.diff(w, y) * dy + p * a * (a * w - 1))
    lands = _vanishes(
        (A**2 * z + 2 * A * B + B**2 / z).subs(z, B / A) / 4 - A * B
    )  # w = 0 where z = B/A, there a^2 = c
    page = (S * (S + B**2) - B**2 * (S - A**2) * e) / (A**2 * (S + B**2) + S * (S - A**2) * e)
    return solves and begins and flows and lands and _vanishes(page - solution, root) and _below_symbolic(mutant)


def _below_symbolic(mutant: str | None) -> bool:
    """Check w <= 0 in the squares alpha = a^2, omega = w^2, and the balanced forms in v = a^2 = w^2."""
    import sympy as sp

    c, q, p, e, t, omega0, v0 = sp.symbols("c q p e t omega0 v0", real=True)
    g = (1 - e) / c  # e = exp(-2 q c t)
    factor = 1 if mutant == "half the rate below" else 2
    alpha, omega = (c + omega0) / (1 + omega0 * g), omega0 * e / (1 + omega0 * g)
    decay = [_vanishes(sp.diff(x, e) * -factor * q * c * e + 2 * q * alpha * omega) for x in (alpha, omega)]
    conserved = _vanishes(alpha - omega - c)
    balanced = v0 / (1 + 2 * q * v0 * t)
    slow = _vanishes(sp.diff(balanced, t) + 2 * q * balanced**2)
    up, off = v0 / (v0 + (1 - v0) * e), v0 * e / (1 + v0 * (1 - e))  # e = exp(-2 p t)
    logistic = _vanishes(sp.diff(up, e) * -2 * p * e - 2 * p * up * (1 - up))
    dying = _vanishes(sp.diff(off, e) * -2 * p * e + 2 * p * off * (1 + off))
    return all(decay) and conserved and slow and logistic and dying


def closed_form_numeric(rng: np.random.Generator, mutant: str | None) -> bool:
    """Compare the velocity of the closed form with the field, away from the kink, and its start with the start."""
    n, h, p, q = 400, 1e-5, 0.3, 0.8
    a0, w0, t = rng.normal(size=n), rng.normal(size=n), rng.uniform(0.1, 3, size=n)
    solution = {None: closed_form, "wrong sign of B^2": _wrong_sign, "rate without c": _wrong_rate}.get(
        mutant, closed_form
    )
    q_used = q / 2 if mutant == "half the rate below" else q
    (a, w), (later_a, later_w), (sooner_a, sooner_w) = (solution(a0, w0, t + s, p, q_used) for s in (0, h, -h))
    da, dw = gradient_1d(a, w, p, q)
    moving = (w != 0) & (later_w != 0) & (sooner_w != 0)
    velocity = np.stack([later_a - sooner_a, later_w - sooner_w]) / (2 * h)
    begins = np.allclose(solution(a0, w0, 0 * t, p, q_used), (a0, w0), atol=1e-12)
    return bool(begins and np.allclose(velocity[:, moving], np.stack([-da, -dw])[:, moving], atol=1e-7))


def _wrong_rate(a0, w0, t, p, q):
    """Run on the clock 2 instead of D = sqrt(4 + c^2)."""
    return closed_form(a0, w0, np.where(w0 > 0, t * 2 / np.hypot(2, a0**2 - w0**2), t), p, q)


def _wrong_sign(a0, w0, t, p, q):
    """Turn the sign of B^2 f in z."""
    A, B = a0 + w0, a0 - w0
    D = np.hypot(2, A * B)
    S, e = 2 + D, np.exp(-p * D * t)
    k = (A * B) ** 2 / S
    z = abs((S - B**2 * (1 - e) + k * e) / (S * e + A**2 * (1 - e) + k))
    return (A * np.sqrt(z) + B / np.sqrt(z)) / 2, (A * np.sqrt(z) - B / np.sqrt(z)) / 2


# --- Theorem 2.1


def _predicted_2_1(mutant: str | None) -> dict[str, bool]:
    """Return which quadrants (sign of a, sign of w) the statement says learn."""
    return {
        "++": True,
        "-+": mutant == "the sign of a does not matter",
        "+-": mutant == "the sign of w does not matter",
        "--": False,
    }


def quadrants_symbolic(mutant: str | None) -> bool:
    """Take the closed forms to their limits, per quadrant, and ask whether the loss there is 0."""
    import sympy as sp

    v0, t, q, p = sp.symbols("v0 t q p", positive=True)
    a, w, e, D = sp.symbols("a w e D")
    up, off = v0 / (v0 + (1 - v0) * e), v0 * e / (1 + v0 * (1 - e))  # e = exp(-2 p t) -> 0
    below = sp.limit(v0 / (1 + 2 * q * v0 * t), t, sp.oo)
    output = {"++": up.subs(e, 0), "-+": -off.subs(e, 0), "+-": below, "--": below}  # a w
    verdict = {key: _vanishes(p / 2 * (x - 1) ** 2) for key, x in output.items()}
    above, under = (
        (-p * w * (a * w - 1), -p * a * (a * w - 1)),
        (-q * a * w**2, -q * a**2 * w),
    )
    conserved = all(_vanishes(a * da - w * dw) for da, dw in (above, under))
    stable_manifold = _vanishes(sum(above).subs(w, -a))  # a + w = 0 is invariant
    if mutant == "balance does not matter":  # a0 < 0 < a0 + w0: c < 0, e -> 0 gives (a + w)^2 = S
        square = 2 + D
        verdict["-+"] = _vanishes((square - (D**2 - 4) / square) / 4 - 1)
    return verdict == _predicted_2_1(mutant) and conserved and stable_manifold


def quadrants_numeric(rng: np.random.Generator, mutant: str | None) -> bool:
    """Follow the closed form to a late time: learned iff its loss is 0 there; the exact verdicts must say the same."""
    for key, expected in _predicted_2_1(mutant).items():
        size = np.exp(rng.uniform(-3, 3, size=500))
        a0, w0 = (1 if key[0] == "+" else -1) * size, (1 if key[1] == "+" else -1) * size
        if mutant == "balance does not matter":
            a0 = a0 * rng.uniform(0.1, 0.9, size=500)
        learned = loss_1d(*closed_form(a0, w0, 1e6)) < 1e-12
        codes = verdicts(a0, w0)
        if (learned != expected).any() or ((codes == LEARNS) != learned).any():
            return False
        if mutant is None and key == "-+" and (codes != SEPARATRIX).any():
            return False
    return True


# --- Lemma 2.2 and the basin


def _polar():
    """Return symbols and the population flow in a, r = |w|, theta: r' = -L_r, theta' = -L_theta / r^2."""
    import sympy as sp

    a, r, theta = sp.symbols("a r theta", real=True)
    g = sp.sin(theta) + (sp.pi - theta) * sp.cos(theta)
    loss = a**2 * r**2 / 4 - a * r * g / (2 * sp.pi) + sp.Rational(1, 4)
    return a, r, theta, g, loss, -sp.diff(loss, a), -sp.diff(loss, r), sp.expand(-sp.diff(loss, theta) / r**2)


def lemma_symbolic(mutant: str | None) -> bool:
    """Check c, theta' and the Bernoulli equation for a > 0, and that balanced a < 0 stays so, the loss above 1/4."""
    import sympy as sp

    a, r, theta, g, loss, da, dr, dtheta = _polar()
    conserved = _vanishes(a * da - r * dr)
    sign = -1 if mutant == "a(0) < 0 learns as well" else 1
    balanced = {a: sign * r}
    turns = _vanishes(dtheta.subs(balanced) + (sp.pi - theta) * sp.sin(theta) / (2 * sp.pi))
    # y = 1 / r^2 obeys y' = 1 - y g / pi: with theta -> 0, g -> pi and so r -> 1, where the loss is 0
    bernoulli = _vanishes((-2 * dr / r**3).subs(balanced) - (1 - g / (sp.pi * r**2)))
    learned = loss.subs({a: sign, r: 1, theta: 0}) == 0
    # balanced a' carries the factor a, so a = 0 is never crossed; and for a < 0 the loss exceeds 1/4
    there = {r: 0} if mutant != "balance does not matter" else {}
    never_crosses = _vanishes(da.subs(there).subs(a, 0))
    negative = _vanishes((loss - sp.Rational(1, 4)).subs(a, -r) - (r**4 / 4 + r**2 * g / (2 * sp.pi)))
    angles = [sp.pi] if mutant == "the ray -e_1 learns as well" else [sp.pi / 6, sp.pi / 2, 5 * sp.pi / 6]
    falls = all(((sp.pi - theta) * sp.sin(theta)).subs(theta, angle) > 0 for angle in angles)
    return conserved and turns and bernoulli and learned and never_crosses and negative and falls


def lemma_numeric(rng: np.random.Generator, mutant: str | None) -> bool:
    """Run the flow from random starts of several d: a > 0 reaches loss 0, a < 0 keeps its sign and a loss above 1/4."""
    for d in (2, 3, 10):
        w0 = rng.normal(size=(6, d)) / np.sqrt(d)
        if mutant == "the ray -e_1 learns as well":
            w0 = -abs(w0[:, :1]) * np.eye(1, d)
        r0 = split(w0)[2]
        share = 0.5 if mutant == "balance does not matter" else 1.0
        for sign in (1, -1):
            a0 = sign * share * r0
            expected = sign > 0 or mutant == "a(0) < 0 learns as well"
            if ((limits(a0, w0)[2] == LEARNS) != expected).any():
                return False
            if any(_learned_by_flow(a, w) != expected for a, w in zip(a0, w0, strict=True)):
                return False
    return True


def _learned_by_flow(a0: float, w0: np.ndarray) -> bool:
    loss = Population(len(w0))
    near = Event("learned", lambda t, a, w: float(loss.loss(a, w)) - 1e-7, direction=-1)
    return integrate(loss, a0, w0, 1000.0, rtol=1e-7, atol=1e-10, events=[near]).loss[-1] < 1e-6


def basin_symbolic(mutant: str | None) -> bool:
    """Check that the sign of a + |w| is kept and where the flow can rest; that it comes to rest is not checked here."""
    import sympy as sp

    a, r, theta, g, loss, da, dr, _ = _polar()
    sign = -1 if mutant == "a(0) > |w(0)| is needed" else 1
    edge = a + sign * r
    rate = g / (2 * sp.pi) - a * r / 2 * (sp.Rational(1, 2) if mutant == "half the pull" else 1)
    # s = a + |w| obeys s' = s (g / 2 pi - a |w| / 2), so its sign is kept; s < 0 means a < 0 and L > 1/4
    keeps = _vanishes(da + sign * dr - edge * rate)
    # rest with s > 0, theta < pi: a' = 0 and r > 0 give a r = g / pi, so r' = 0; theta' = 0 then forces theta = 0
    rest = _vanishes(da.subs(a, g / (sp.pi * r))) and _vanishes(dr.subs(a, g / (sp.pi * r)))
    return keeps and rest and loss.subs({a: 1 / r, theta: 0}) == 0


def basin_numeric(rng: np.random.Generator, mutant: str | None) -> bool:
    """Compare a0 > -|w0| with runs from unbalanced starts, undecided runs left out."""
    runs = [_basin_run(rng, d) for d in (1, 2, 3, 5) for _ in range(8)]
    decided = [(start, run) for start, run in runs if run.verdict != "undecided"]
    rules = {
        None: lambda a, w, r: a > -r,
        "a(0) > |w(0)| is needed": lambda a, w, r: a > r,
        "half the pull": lambda a, w, r: a > -r / 2,
    }
    agree = []
    for (a0, w0), run in decided:
        on_axis_below = not w0[1:].any() and w0[0] <= 0
        said = bool(rules[mutant](a0, w0, np.hypot.reduce(w0))) and not on_axis_below
        agree.append(said == (run.verdict == "learns"))
    return len(decided) >= len(runs) // 2 and all(agree)


def _basin_run(rng: np.random.Generator, d: int):
    w0 = rng.normal(size=d)
    a0 = float(rng.uniform(-1.5, 1.5) * np.hypot.reduce(w0))
    loss = Population(d)
    near = Event("learned", lambda t, a, w: float(loss.loss(a, w)) - 1e-7, direction=-1)
    return (a0, w0), integrate(loss, a0, w0, 500.0, rtol=1e-7, atol=1e-10, events=[near])
