"""What the proofs are made of: the losses in symbols are expectations, and sympy decides only what is given."""

import numpy as np
import pytest
import sympy as sp

from theory.losses.formulas import population_loss
from theory.proofs import symbols
from theory.proofs.base import by_half_angle, nonnegative, positive, vanishes
from theory.proofs.basin import plane_verdict
from theory.proofs.line import line_verdict
from theory.proofs.symbols import SCALE, THETA, A, P, Q, R, U, V, W

SIZE, MORE, OPEN = sp.Symbol("m", positive=True), sp.Symbol("n", positive=True), sp.Symbol("s", real=True)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("sample", ["normal", "skewed"])
def test_the_line_loss_is_the_mean_over_any_sample(side, sample):
    rng = np.random.default_rng(0)
    x = rng.normal(size=50) if sample == "normal" else rng.exponential(size=50) - 0.4
    a, w = -1.3, 0.7 * side
    mean = np.mean((a * np.maximum(w * x, 0) - np.maximum(x, 0)) ** 2) / 2
    moments = {P: np.mean(np.maximum(x, 0) ** 2), Q: np.mean(np.minimum(x, 0) ** 2)}
    assert float(symbols.line_loss(side).subs({A: a, W[side]: w, **moments})) == pytest.approx(mean, rel=1e-12)


def test_the_population_loss_in_symbols_is_that_in_numbers():
    rng = np.random.default_rng(1)
    a, w = rng.normal(size=20), rng.normal(size=(20, 3))
    across, r = np.hypot(w[:, 1], w[:, 2]), np.sqrt((w**2).sum(axis=1))
    polar = sp.lambdify((A, R, THETA), symbols.population_loss())(a, r, np.arctan2(across, w[:, 0]))
    plane = sp.lambdify((A, U, V), symbols.plane_loss())(a, w[:, 0], across)
    np.testing.assert_allclose(polar, population_loss(a, w), rtol=1e-12)
    np.testing.assert_allclose(plane, population_loss(a, w), rtol=1e-12)


@pytest.mark.parametrize("active", [0, 1])
def test_the_sample_loss_is_that_of_a_point_scaled_along_its_ray(active):
    weights, point, target, a, scale = [0.3, -1.2, 0.5], [1.0, -0.4, 2.0], 0.7, -1.5, 1.7
    loss = symbols.sample_loss().subs(sp.Symbol("d", integer=True, positive=True), 3).doit()
    named = {symbol.name: symbol for symbol in loss.free_symbols}
    numbers = {A: a, SCALE: scale, named["y"]: target, named["active"]: active}
    for name, values in (("w", weights), ("x", point)):
        base = sp.IndexedBase(name, real=True)
        numbers |= {base[j + 1]: value for j, value in enumerate(values)}
    output = a * active * scale * np.dot(weights, point)
    assert float(loss.subs(numbers)) == pytest.approx((output - target) ** 2 / 2, rel=1e-12)


@pytest.mark.parametrize("side", [1, -1])
def test_what_a_point_adds_on_a_line_is_its_half_squared_error(side):
    a, w, y = 0.8, 1.1 * side, 0.4
    above, below = symbols.line_sample_loss(side)
    for part, x in ((above, 0.9), (below, -0.9)):
        size = {
            symbol: value
            for symbol in part.free_symbols
            for name, value in (("x", 0.9), ("y", y))
            if symbol.name == name
        }
        assert float(part.subs({A: a, W[side]: w, **size})) == pytest.approx(
            (a * max(w * x, 0) - y) ** 2 / 2, rel=1e-12
        )


def test_an_identity_holds_only_with_its_relation():
    d, c = sp.symbols("D c")
    relation = (d**2 - 4 - c**2, d)
    assert vanishes((d**4 - c**4 - 8 * c**2) / (1 + c**2) - 16 / (1 + c**2), relation)
    assert not vanishes(d**4 - c**4 - 8 * c**2 - 16)
    assert not vanishes(d**4 - c**4 - 8 * c**2 - 15, relation)


def test_a_sign_is_decided_by_assumptions_alone():
    assert positive(SIZE + MORE) and positive(SIZE * MORE / (1 + SIZE))
    assert not positive(SIZE - MORE) and not positive(OPEN**2) and not positive(-SIZE)
    assert nonnegative(OPEN**2) and not nonnegative(OPEN)


def test_the_half_angle_changes_the_form_and_not_the_value():
    expression = sp.sin(THETA) * (sp.pi - THETA) - sp.cos(THETA) ** 2
    for angle in (0.1, 1.5, 3.1):
        turned = by_half_angle(expression).subs(symbols.TANGENT, np.tan(angle / 2))
        assert float(turned) == pytest.approx(float(expression.subs(THETA, angle)), rel=1e-12)


@pytest.mark.parametrize(
    ("a0", "w0", "verdict"),
    [
        (MORE - SIZE, SIZE, "learns"),
        (-MORE - SIZE, SIZE, "fails"),
        (-SIZE, SIZE, "fails"),
        (OPEN, -SIZE, "fails"),
        (OPEN, SIZE, "undecided"),
        (SIZE, OPEN, "undecided"),
    ],
)
def test_a_start_on_the_line_is_decided_where_its_signs_decide_it(a0, w0, verdict):
    assert line_verdict(a0, w0) == verdict


@pytest.mark.parametrize(
    ("a0", "psi0", "verdict"),
    [
        (MORE - SIZE, MORE, "learns"),
        (-MORE - SIZE, MORE, "fails"),
        (-SIZE, MORE, "fails"),
        (SIZE, sp.Integer(0), "fails"),
        (OPEN, MORE, "undecided"),
        (SIZE, OPEN, "undecided"),
    ],
)
def test_a_start_in_the_plane_is_decided_where_its_signs_decide_it(a0, psi0, verdict):
    assert plane_verdict(a0, SIZE, psi0) == verdict


def test_nothing_is_decided_of_a_start_when_the_loss_is_another(monkeypatch):
    true = symbols.population_loss
    monkeypatch.setattr(symbols, "population_loss", lambda: 2 * true())
    assert plane_verdict(SIZE, SIZE) == plane_verdict(-SIZE, SIZE) == "undecided"
    line = symbols.line_loss
    monkeypatch.setattr(symbols, "line_loss", lambda side: 2 * line(side))
    assert line_verdict(SIZE, SIZE) == line_verdict(-SIZE, SIZE) == "undecided"
