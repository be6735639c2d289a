"""Equilibria of the flow, their stability, and the largest stable steps of gradient descent there."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import sympy as sp

from theory.losses.formulas import population_gradient
from theory.losses.losses import Line
from theory.proofs import symbols
from theory.proofs.base import OURS, Claim, Mutant, Steps, Theorem, by_half_angle, positive, vanishes
from theory.proofs.sample import slopes_of
from theory.proofs.symbols import THETA, A, P, Q, R, W
from theory.validation import Array

ALONG, ACROSS, MORE, STEP = sp.symbols("u v n eta", positive=True)


def near_ray(side: int) -> sp.Expr:
    """Return the population loss next to the ray w = side u e_1, u > 0, in a, u and v = |w_perp|."""
    turned = sp.atan(ACROSS / ALONG)
    place = {R: sp.sqrt(ALONG**2 + ACROSS**2), THETA: turned if side > 0 else sp.pi - turned}
    return symbols.population_loss().subs(place, simultaneous=True)


def hessian(side: int) -> sp.Matrix:
    """Return the second derivatives in (a, u, v) on the ray w = side u e_1.

    As dL/dv = 0, every entry of w_perp has the second derivative in v.
    """
    loss = near_ray(side)
    names = (A, ALONG, ACROSS)
    return sp.Matrix(3, 3, lambda i, j: sp.expand(sp.diff(loss, names[i], names[j]).subs(ACROSS, 0)))


def spectrum(matrix: sp.Matrix) -> tuple[sp.Expr, sp.Expr, sp.Expr, bool]:
    """Return the spectrum of a Hessian in (a, u, v).

    That is trace and determinant of the (a, w_1) block, the entry of w_perp, and whether the two do not mix.
    """
    block = matrix[:2, :2]
    return block.trace(), sp.expand(block.det()), matrix[2, 2], vanishes(matrix[0, 2]) and vanishes(matrix[1, 2])


# --- the population, d > 1


def derive_equilibria(claim: Claim) -> Steps:
    """Find where the population can rest, and decide the Hessian there."""
    return {**_rest_steps(), **_curve_steps(claim), **_ray_steps(), **_origin_steps()}


def _rest_steps() -> Steps:
    """Decide that for w not 0 only a curve and a ray are at rest.

    a' = theta' = 0 leaves the curve {a r = 1, theta = 0} and the ray {a = 0, theta = pi} alone.
    """
    da, _, dtheta = symbols.polar_flow()
    g = symbols.arc()
    turn = A * (sp.pi - THETA) * sp.sin(THETA) / (2 * sp.pi * R)
    return {
        "a' = 0 only where a r = g / pi": vanishes(da + R / 2 * (A * R - g / sp.pi)),
        "theta' = 0 only where a = 0, theta = 0 or theta = pi": vanishes(dtheta + turn)
        and positive(by_half_angle(turn).subs(A, MORE)),
        "a = 0 means g = 0, so theta = pi": g.subs(THETA, sp.pi) == 0 and positive(by_half_angle(-sp.diff(g, THETA))),
    }


def _curve_steps(claim: Claim) -> Steps:
    output, along, across = (sp.nsimplify(x) for x in (claim.output, claim.along, claim.across))
    a = output / ALONG
    size = a**2 + ALONG**2  # D on the target curve
    trace, det, entry, apart = spectrum(hessian(1).subs(A, a))
    slopes = [x.subs({THETA: 0, A: output / R}) for x in symbols.polar_flow()]
    return {
        "all of {a r = output, theta = 0} rests": all(vanishes(x) for x in slopes),
        "there (a^2 + r^2)^2 = 4 + c^2": vanishes(size**2 - 4 - (a**2 - ALONG**2) ** 2),
        "its eigenvalues 0 and along D": vanishes(det) and vanishes(trace - along * size),
        "its eigenvalues across a^2": apart and vanishes(entry - across * a**2),
    }


def _ray_steps() -> Steps:
    ray = hessian(-1).subs(A, 0)
    return {
        "the ray {a = 0, theta = pi} rests": all(vanishes(x.subs({THETA: sp.pi, A: 0})) for x in symbols.polar_flow()),
        "its eigenvalues r^2 / 2 and 0": vanishes(ray[0, 0] - ALONG**2 / 2)
        and all(vanishes(ray[i, j]) for i in range(3) for j in range(3) if i + j > 0),
        "on both, dL/d|w_perp| = 0, so all directions across are alike": all(
            vanishes(sp.diff(near_ray(side), ACROSS).subs(ACROSS, 0)) for side in (1, -1)
        ),
    }


def _origin_steps() -> Steps:
    leave = sp.diff(symbols.population_loss(), R).subs(R, 0)
    blown = sp.Matrix([x.subs(A, R) for x in symbols.polar_flow()[1:]]).jacobian([R, THETA])
    return {
        "w = 0: dL/dr = -a g / (2 pi)": vanishes(leave + A * symbols.arc() / (2 * sp.pi)),
        "balanced, (r, theta) = (0, 0) is a saddle": blown.subs({R: 0, THETA: 0}) == sp.diag(1, -1) / 2,
        "balanced, (r, theta) = (0, pi) is doubly degenerate": blown.subs({R: 0, THETA: sp.pi}) == sp.zeros(2, 2),
    }


def observe_equilibria(rng: np.random.Generator) -> SimpleNamespace:
    """Return slopes and eigenvalues by finite differences.

    They are taken on e_1 with several a r, and on -e_1 with a = 0.
    """
    sizes = np.exp(rng.normal(size=(2, 3)) / 2)
    return SimpleNamespace(
        curve=[
            _point_on_axis(a, output / a, d, output)
            for d, a in zip((2, 3, 5), sizes[0], strict=True)
            for output in (1, 0.5)
        ],
        ray=[_point_on_axis(0.0, -r, d, 0) for d, r in zip((2, 3, 5), sizes[1], strict=True)],
    )


def _point_on_axis(a: float, along: float, d: int, output: float) -> SimpleNamespace:
    point = np.append(a, along * np.eye(1, d)[0])
    h = 1e-6
    up, down = (_gradient(point + s * np.eye(d + 1)) for s in (h, -h))
    values = np.linalg.eigvalsh((up - down) / (2 * h))
    slope = abs(_gradient(point[None])).max()
    return SimpleNamespace(a=a, w=along, d=d, output=output, slope=slope, values=values)


def _gradient(points: Array) -> Array:
    da, dw = population_gradient(points[:, 0], points[:, 1:])
    return np.column_stack([da, dw])


def compare_equilibria(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare the slope with 0 and the eigenvalues with the stated ones."""
    steps = {}
    for found in seen.curve:
        if found.output == claim.output:
            D = np.sqrt(4 + (found.a**2 - found.w**2) ** 2)
            said = [0, claim.along * D, *[claim.across * found.a**2] * (found.d - 1)]
            steps[f"curve, d = {found.d}: at rest"] = bool(found.slope < 1e-12)
            steps[f"curve, d = {found.d}: eigenvalues"] = _alike(found.values, said)
    for found in seen.ray:
        steps[f"ray, d = {found.d}: at rest"] = bool(found.slope < 1e-12)
        steps[f"ray, d = {found.d}: eigenvalues"] = _alike(found.values, [found.w**2 / 2, *[0] * found.d])
    return steps


def _alike(values: Array, said: list[float]) -> bool:
    return np.allclose(values, np.sort(said), rtol=1e-4, atol=1e-4)


EQUILIBRIA = Theorem(
    "equilibria",
    "Population, d > 1: the flow rests on the target curve {a r = 1, theta = 0}, Hessian eigenvalues 0 (along it), "
    "D / 2 and a^2 / 2 (d - 1 times), D = sqrt(4 + c^2); on the ray {a = 0, theta = pi}, with r^2 / 2 and 0 (d times); "
    "on w = 0, where dL/dr = -a g / (2 pi); and nowhere else.",
    ("d > 1", "x ~ N(0, I_d)", "relu'(0) = 0"),
    OURS,
    {"output": 1, "along": 0.5, "across": 0.5},
    derive_equilibria,
    observe_equilibria,
    compare_equilibria,
    {
        "another output": Mutant("{a r = 1/2, theta = 0}", {"output": 0.5}),
        "twice the eigenvalue in the plane": Mutant("D in the place of D / 2", {"along": 1}),
        "twice the eigenvalue across": Mutant("a^2 in the place of a^2 / 2", {"across": 1}),
    },
)


# --- one input


def derive_line(claim: Claim) -> Steps:
    """Decide equilibria and second derivatives of both branches, and the flow's direction at w = 0."""
    above, below = symbols.line_loss(1), symbols.line_loss(-1)
    up, down = (sp.hessian(loss, (A, W[side])) for loss, side in ((above, 1), (below, -1)))
    w = W[1]
    curve = up.subs(A, 1 / w)
    origin = up.subs({A: 0, w: 0})
    output = sp.factor(sp.diff(above, A))
    signs = [P * sign for sign in claim.saddle]
    dead = down.subs(W[-1], 0)
    off = down.subs(A, 0)
    rates = sp.nsimplify(claim.along), sp.nsimplify(claim.dead)
    return {
        "w > 0: at rest only where a w = 1": vanishes(output - P * w * (A * w - 1))
        and vanishes(sp.diff(above, w).subs(A, 1 / w)),
        "its eigenvalues 0 and p D": vanishes(curve.det())
        and vanishes(curve.trace() - rates[0] * P * (1 / w**2 + w**2)),
        "the origin, from w > 0: p and -p": vanishes(origin.trace() - sum(signs))
        and vanishes(origin.det() - signs[0] * signs[1]),
        "p belongs to a = -w, where the flow falls in": all(
            vanishes(x) for x in origin * sp.Matrix([1, -1]) - P * sp.Matrix([1, -1])
        ),
        "w < 0: at rest only where a = 0": vanishes(sp.diff(below, A) - Q * A * W[-1] ** 2),
        "its eigenvalues q w^2 and 0": off == sp.diag(Q * W[-1] ** 2, 0),
        "w = 0, from below: eigenvalues 0 and q a^2": dead == sp.diag(0, rates[1] * Q * A**2),
        "w = 0, from above: w' = p a": vanishes(symbols.line_flow(1)[1].subs(w, 0) - P * A),
    }


def observe_line(rng: np.random.Generator) -> SimpleNamespace:
    """Return eigenvalues by finite differences.

    They are taken on a w = 1, next to the origin, next to w = 0 and on a = 0.
    """
    p = 0.3
    q = 0.8
    near = 1e-3
    line = Line(p, q)
    w = np.exp(rng.normal(size=8) / 3)
    a = rng.normal(size=8)
    places = {"curve": (1 / w, w), "origin": (0 * w, near + 0 * w), "dead": (a, -near + 0 * a), "off": (0 * w, -w)}
    values = {name: _eigenvalues(line, *place) for name, place in places.items()}
    return SimpleNamespace(p=p, q=q, w=w, a=a, values=values)


def _eigenvalues(line: Line, a: Array, w: Array) -> Array:
    h = 1e-4
    sides = [slopes_of(line.loss, a + s * da, (w + s * dw)[:, None], h) for s in (h, -h) for da, dw in ((1, 0), (0, 1))]
    rows = [np.column_stack([da, dw[:, 0]]) for da, dw in sides]
    second = np.stack([rows[0] - rows[2], rows[1] - rows[3]], axis=1) / (2 * h)
    return np.linalg.eigvalsh((second + second.transpose(0, 2, 1)) / 2)


def compare_line(seen: SimpleNamespace, claim: Claim) -> Steps:
    """Compare with the stated eigenvalues."""
    zero = 0 * seen.w
    said = {
        "curve": (zero, claim.along * seen.p * (seen.w**2 + seen.w**-2)),
        "origin": tuple(seen.p * sign + zero for sign in sorted(claim.saddle)),
        "dead": (zero, claim.dead * seen.q * seen.a**2),
        "off": (zero, seen.q * seen.w**2),
    }
    return {
        name: np.allclose(seen.values[name], np.stack(pair, 1), rtol=1e-3, atol=5e-3) for name, pair in said.items()
    }


EQUILIBRIA_1D = Theorem(
    "equilibria-1d",
    "d = 1: the flow rests on a w = 1, Hessian eigenvalues 0 and C+ D; on a = 0 >= w, C- w^2 and 0; and on w = 0, "
    "which from below has 0 and C- a^2, and from above draws in where a < 0 and lets go where a > 0. From w > 0 the "
    "origin is a saddle, +-C+, with stable direction a = -w.",
    ("d = 1", "any C+, C- > 0", "relu'(0) = 0"),
    OURS,
    {"along": 1, "dead": 1, "saddle": (1, -1)},
    derive_line,
    observe_line,
    compare_line,
    {
        "half the rate": Mutant("C+ D / 2", {"along": 0.5}),
        "half the rate at w = 0": Mutant("C- a^2 / 2", {"dead": 0.5}),
        "the origin is a minimum": Mutant("C+ twice", {"saddle": (1, 1)}),
    },
)
