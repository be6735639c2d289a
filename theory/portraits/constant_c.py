"""The planes of d > 1 inputs at constant c = a^2 - |w|^2.

Their coordinates are (r, theta) where c >= 0 and (a, theta) where c < 0.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from theory.exact.limits import verdicts
from theory.extensions.learning_times import time_to_learn
from theory.flow.coordinates import Slice
from theory.portraits.curves import CURVE_POINTS, Curve, EquilibriumSet, PhasePlane, span, within
from theory.portraits.trajectories import at_constant_c
from theory.validation import Array, number, sign_of

SIDE = "it selects a > 0 or a < 0"


def balanced(extent: float, grid: int, tolerance: float, sign_a: int = 1) -> PhasePlane:
    """Return the plane (r, theta) of balanced starts a = sign_a r, d > 1; see `theory.phase_plane`."""
    sign = sign_of("sign_a", sign_a, SIDE)
    return _plane("balanced", extent, grid, tolerance, Slice(0.0, float(sign)), {"sign_a": sign})


def slice_at(extent: float, grid: int, tolerance: float, c: float = 1.0, sign_a: int = 1) -> PhasePlane:
    """Return the plane of starts with a^2 - |w|^2 = c, d > 1; see `theory.phase_plane`."""
    c = number("c", c)
    sign = sign_of("sign_a", sign_a, SIDE)
    if c < 0 and sign < 0:
        raise ValueError(
            f"sign_a has no meaning where c < 0, got -1 at c = {c:g}: the plane holds both signs, leave it out"
        )
    if 0 < abs(c) <= 1e-11 * extent**2:
        raise ValueError(f"c must be 0 or more than rounding, got {c:g}: pass 0 or a smaller extent than {extent:g}")
    said = {"c": c} | ({"sign_a": sign} if c >= 0 else {})
    return _plane("slice", extent, grid, tolerance, Slice(c, float(sign)), said)


def _plane(name: str, extent: float, grid: int, tolerance: float, flow: Slice, parameters: dict) -> PhasePlane:
    first, low = ("a", -extent) if flow.c < 0 else ("r", 0.0)
    x = span(low, extent, grid)
    theta = span(0, np.pi, grid)
    xs, psi = np.meshgrid(x, np.pi - theta)
    a, r = flow.neuron(xs)
    w = np.stack([-r * np.cos(psi), r * np.sin(psi)], axis=-1)  # exactly 0 on the ray -e_1, as sin(theta) is not
    field_x, turn = flow.velocity(xs, psi)
    return PhasePlane(
        name=name,
        about=_about(flow),
        parameters=parameters,
        coordinates=(first, "theta"),
        x=x,
        y=theta,
        field_x=np.where(r > 0, field_x, np.where(flow.c == 0, 0.0, np.nan)),
        field_y=0.0 - turn,
        verdict=verdicts(a, w),
        time_to_learn=time_to_learn(a, w, tolerance),
        tolerance=float(tolerance),
        curves=tuple(_slice_curves(flow, first, low, extent)),
        equilibria=within((_target(flow, first) if _learns(flow) else []) + _origin(flow), low, extent),
        flow=partial(at_constant_c, flow.c, parameters.get("sign_a", 0)),
    )


def _learns(flow: Slice) -> bool:
    """Return whether everything but the ray -e_1 learns; otherwise nothing does."""
    return flow.c < 0 or flow.sign_a > 0


def _about(flow: Slice) -> str:
    if flow.c < 0:
        return f"d > 1 inputs, c = {flow.c:g}"
    sheet = "a > 0" if flow.sign_a > 0 else "a < 0"
    return f"d > 1 inputs, balanced, {sheet}" if flow.c == 0 else f"d > 1 inputs, c = {flow.c:g}, {sheet}"


def _slice_curves(flow: Slice, first: str, low: float, extent: float) -> list[Curve]:
    x = span(low, extent)
    theta = span(0, np.pi)
    edges = {"theta = 0": _upright(x, 0.0), "theta = pi": _upright(x, np.pi)}
    past = slice(1, None) if flow.c > 0 else slice(None)  # at r = 0 theta has no speed
    curves = [Curve("theta' = 0", "nullcline", edge[past]) for edge in edges.values()]
    curves += [Curve(f"{first}' = 0", "nullcline", stretch) for stretch in _still(flow, theta, extent)]
    if flow.c < 0:
        line = np.stack([np.zeros(CURVE_POINTS), theta], axis=1)
        curves += [Curve("theta' = 0", "nullcline", line), Curve("a = 0", "switching", line)]
    curves += [
        Curve("w_1 = 0", "switching", _upright(x, np.pi / 2)),
        Curve("theta = 0", "invariant", edges["theta = 0"]),
    ]
    curves.append(Curve("theta = pi", "separatrix" if _learns(flow) else "invariant", edges["theta = pi"]))
    if _learns(flow):
        corners = np.array([(low, 0), (extent, 0), (extent, np.pi), (low, np.pi)], float)
        curves.append(Curve("learns", "basin", corners))
    return curves


def _upright(x: Array, theta: float) -> Array:
    return np.stack([x, np.full(x.shape, theta)], axis=1)


def _still(flow: Slice, theta: Array, extent: float) -> list[Array]:
    """Return the stretches on which x' = 0."""
    stretches = []
    if _learns(flow):
        x = flow.nullcline(np.pi - theta)  # it falls as theta grows
        stretches.append(np.stack([x, theta], axis=1)[x <= extent])
    if flow.c == 0:
        stretches.append(np.stack([np.zeros(CURVE_POINTS), theta], axis=1))
    return [stretch for stretch in stretches if len(stretch)]


def _target(flow: Slice, first: str) -> list[EquilibriumSet]:
    x = flow.nullcline(np.pi)
    a, _ = flow.neuron(x)
    rates = np.array([[-np.hypot(2, flow.c) / 2, -a * a / 2]])
    return [EquilibriumSet("target, a r = 1", np.array([[x, 0.0]]), (first, "theta"), rates, "stable")]


def _origin(flow: Slice) -> list[EquilibriumSet]:
    """Return the equilibria at w = 0 (c >= 0), or where w tends to the ray -e_1 (c < 0).

    For c >= 0 the point w = 0 is blown up: there is one point for every theta.
    """
    c = flow.c
    sign = flow.sign_a
    ends = np.array([[0.0, 0.0], [0.0, np.pi]])
    if c < 0:
        # psi' = psi^5 / (6 pi^2 |c|) on the slow manifold: it repels
        rates = np.array([[c / 2, 0.0]])
        return [EquilibriumSet("a = 0, w on -e_1", ends[1:], ("a", "theta"), rates, "saddle")]
    corner = "saddle" if sign > 0 else "stable"
    if c == 0:
        rates = np.array([[sign / 2, -sign / 2]])
        names = ("r", "theta")
        return [
            EquilibriumSet("origin along e_1", ends[:1], names, rates, "saddle"),
            EquilibriumSet("origin along -e_1", ends[1:], names, np.zeros((1, 2)), corner),
        ]
    edge = np.stack([np.zeros(CURVE_POINTS), span(0, np.pi)], axis=1)[:-1]
    speed = np.full((len(edge), 1), np.nan)
    return [
        EquilibriumSet("w = 0", edge, ("from r > 0",), speed, "unstable" if sign > 0 else "stable"),
        EquilibriumSet("w = 0 along -e_1", ends[1:], ("r", "theta"), np.array([[-c / 2, 0.0]]), corner),
    ]
