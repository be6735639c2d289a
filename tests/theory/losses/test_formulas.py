"""The population loss and its gradient."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.losses.formulas import gradient_1d, loss_1d, population_gradient, population_loss, sin_minus_x_cos
from theory.losses.losses import Line, Population

number = st.floats(-5, 5).map(lambda x: x if abs(x) > 1e-200 else 0.0)  # a rotated subnormal is not one


def neurons(d, n=50, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=n), rng.normal(size=(n, d))


@pytest.mark.parametrize("d", [1, 2, 3, 10])
def test_gradient_is_the_slope_of_the_loss(d):
    a, w = neurons(d)
    da, dw = population_gradient(a, w)
    h = 1e-6
    assert np.allclose((population_loss(a + h, w) - population_loss(a - h, w)) / (2 * h), da, atol=1e-8)
    for i, e in enumerate(np.eye(d)):
        slope = (population_loss(a, w + h * e) - population_loss(a, w - h * e)) / (2 * h)
        assert np.allclose(slope, dw[:, i], atol=1e-8)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_loss_and_gradient_are_the_means_over_gaussian_samples(d):
    rng = np.random.default_rng(1)
    a, w = 0.7, rng.normal(size=d)
    x = rng.normal(size=(400_000, d))
    error, active = a * np.maximum(x @ w, 0) - np.maximum(x[:, 0], 0), x @ w > 0
    samples = np.column_stack([error**2 / 2, error * np.maximum(x @ w, 0), (error * a * active)[:, None] * x])
    da, dw = population_gradient(a, w)
    exact = np.array([population_loss(a, w), da, *dw])
    standard_error = samples.std(axis=0) / np.sqrt(len(x))
    assert (abs(samples.mean(axis=0) - exact) < 4.5 * standard_error).all()


def test_gradient_equals_the_derivative_that_sympy_takes():
    import sympy as sp

    a, u, v = sp.symbols("a u v", real=True)
    r, theta = sp.sqrt(u**2 + v**2), sp.acos(u / sp.sqrt(u**2 + v**2))
    loss = a**2 * r**2 / 4 - a * r * (sp.sin(theta) + (sp.pi - theta) * sp.cos(theta)) / (2 * sp.pi) + sp.Rational(1, 4)
    slopes = sp.lambdify((a, u, v), [loss, sp.diff(loss, a), sp.diff(loss, u), sp.diff(loss, v)])
    alpha, w = neurons(2)
    w[:, 1] = abs(w[:, 1])
    da, dw = population_gradient(alpha, w)
    assert np.allclose(slopes(alpha, w[:, 0], w[:, 1]), [population_loss(alpha, w), da, *dw.T], atol=1e-13)


def test_one_gaussian_input_is_the_line_with_half_moments():
    a, w = neurons(1)
    assert np.allclose(population_loss(a, w), loss_1d(a, w[:, 0]), atol=1e-15)
    da, dw = population_gradient(a, w)
    assert np.allclose([da, dw[:, 0]], gradient_1d(a, w[:, 0]), atol=1e-14)
    assert not np.allclose(da, gradient_1d(a, w[:, 0], 0.9, 0.1)[0], atol=1e-3)


def test_line_with_any_moments_is_the_mean_over_its_sample():
    x = np.random.default_rng(2).normal(0.4, 1.3, size=1000)
    plus, minus = (x**2 * (x > 0)).mean(), (x**2 * (x < 0)).mean()
    for a, w in [(0.7, 1.2), (0.7, -1.2), (-0.5, 0.4), (-0.5, -0.4)]:
        error = a * np.maximum(w * x, 0) - np.maximum(x, 0)
        assert np.isclose(loss_1d(a, w, plus, minus), (error**2).mean() / 2)
        da, dw = gradient_1d(a, w, plus, minus)
        assert np.isclose(da, (error * np.maximum(w * x, 0)).mean())
        assert np.isclose(dw, (error * a * x * (w * x > 0)).mean())


def test_loss_is_exactly_zero_at_the_target_and_a_quarter_for_a_dead_neuron():
    assert population_loss(0.5, [2.0, 0.0, 0.0]) == 0
    assert population_loss(1.0, [0.0, 0.0]) == 0.25
    assert population_loss(1.0, [2.0, 0.0]) == 0.25  # not at another product a r


def test_gradient_is_zero_at_w_zero_and_only_there():
    da, dw = population_gradient([2.0, -2.0], np.zeros((2, 3)))
    assert (da == 0).all() and (dw == 0).all()
    assert population_gradient(2.0, [1e-300, 0, 0])[1][0] < -0.9


@given(a=number, w=st.lists(number, min_size=3, max_size=3), angle=st.floats(0, 6.3))
def test_gradient_turns_with_the_perpendicular_inputs(a, w, angle):
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    w = np.array(w)
    da, dw = population_gradient(a, w)
    turned_da, turned_dw = population_gradient(a, turn @ w)
    assert np.isclose(turned_da, da, atol=1e-12) and np.allclose(turned_dw, turn @ dw, atol=1e-12)


@given(a=number, w=st.lists(number, min_size=2, max_size=6))
def test_the_flow_conserves_the_balance(a, w):
    da, dw = population_gradient(a, w)
    assert abs(a * da - np.dot(w, dw)) < 1e-10


@given(
    a=st.floats(-1e70, 1e70),
    w=st.lists(st.floats(-1e70, 1e70), min_size=1, max_size=4),
)
def test_loss_and_gradient_are_never_nan(a, w):
    da, dw = population_gradient(a, w)
    assert np.isfinite(population_loss(a, w)) and np.isfinite(da) and np.isfinite(dw).all()


def test_shapes_broadcast_and_mismatches_say_so():
    assert population_loss(np.ones((4, 1)), np.ones((5, 3))).shape == (4, 5)
    with pytest.raises(ValueError, match=r"a \(2,\) and w \(3, 4\) do not match"):
        population_loss(np.ones(2), np.ones((3, 4)))
    with pytest.raises(ValueError, match=r"for d = 1 pass w\[..., None\]"):
        population_gradient(1.0, 1.0)
    with pytest.raises(ValueError, match=r"shape \(..., 2\) for Population of 2 inputs, got \(3,\)"):
        Population(2).loss(1.0, np.ones(3))
    with pytest.raises(ValueError, match="at least 1, got 0"):
        Population(0)


@pytest.mark.parametrize("function", [population_loss, population_gradient])
@pytest.mark.parametrize(
    ("a", "w", "message"),
    [
        (np.nan, [1.0], "a must be finite, got nan"),
        (1.0, [np.nan], "w must be finite, got nan"),
        (1.0, [[1.0, np.inf]], "w must be finite, got inf"),
        ("a", [1.0], "a must be a number or an array of numbers, got 'a'"),
    ],
)
def test_a_loss_of_no_numbers_is_refused(function, a, w, message):
    with pytest.raises(ValueError, match=message):
        function(a, w)


@pytest.mark.parametrize("function", [loss_1d, gradient_1d])
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.nan, 1.0), "a must be finite, got nan"),
        ((1.0, 1.0, -1.0), "c_plus must be a second moment, one number, at least 0, got -1.0"),
        ((1.0, 1.0, 0.5, [0.5]), r"c_minus must be a second moment, one number, at least 0, got \[0.5\]"),
        ((np.ones(2), np.ones(3)), r"do not broadcast: a \(2,\), w \(3,\)"),
    ],
)
def test_a_line_of_no_numbers_is_refused(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)


def test_losses_of_no_dimension_or_moment_are_refused():
    for d in (0, 2.5, np.nan, np.inf, "2"):
        with pytest.raises(ValueError, match="d must be a whole number, at least 1, got"):
            Population(d)
    with pytest.raises(ValueError, match="c_minus must be a second moment"):
        Line(0.5, -0.5)


def test_losses_are_values():
    assert Population(3) == Population(3) and hash(Line(0.5, 0.5)) == hash(Line())
    with pytest.raises(AttributeError):
        Population(3).d = 4


def test_trap_5_g_keeps_its_digits_near_theta_pi():
    mp.mp.dps = 50
    worst = 0
    for psi in np.concatenate([np.geomspace(1e-9, 3, 400), [0.0499, 0.0501, 0.2499, 0.2501]]):
        exact = mp.sin(mp.mpf(psi)) - mp.mpf(psi) * mp.cos(mp.mpf(psi))
        worst = max(worst, abs(float(sin_minus_x_cos(psi) / exact - 1)))
        naive = np.sin(psi) - psi * np.cos(psi)
        if psi < 1e-6:
            assert abs(naive / float(exact) - 1) > 1e-5  # what the series is for
    assert worst < 1e-14
