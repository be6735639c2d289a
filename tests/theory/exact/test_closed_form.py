"""Theorem A.1: the closed form of d = 1."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from theory.exact.closed_form import closed_form
from theory.flow.integrate import integrate
from theory.losses.losses import Line

# every quadrant; balanced, c > 0, c < 0; the kink hit (a0 < -w0 < 0), before and after it; near the separatrix
MODERATE = [
    (sa * x, sw * y) for sa in (1, -1) for sw in (1, -1) for x, y in ((0.7, 0.7), (1.5, 0.5), (0.4, 1.6), (3.0, 0.1))
]
MODERATE += [(-1.0, 1 + 1e-9), (-1.0, 1 - 1e-9), (0.0, 0.8), (0.0, -0.8)]
TIMES = (0.0, 0.1, 0.52, 3.0, 60.0)
magnitude = st.floats(-300, 150).map(lambda x: 10.0**x)
start = st.builds(lambda sign, size: sign * size, st.sampled_from([-1, 1]), magnitude)
time = st.one_of(st.just(0.0), st.floats(-300, 300).map(lambda x: 10.0**x))


def exact(a0, w0, t, p=0.5, q=0.5, digits=40):
    """The textbook form of the solution, with the common factor left in, in many digits."""
    with mp.workdps(digits):
        a0, w0, t, p, q = map(mp.mpf, (a0, w0, t, p, q))
        c = a0**2 - w0**2
        if w0 < 0:
            g = (1 - mp.exp(-2 * q * c * t)) / c if c else 2 * q * t
            a2, w2 = a0**2 / (1 + w0**2 * g), w0**2 * mp.exp(-2 * q * c * t) / (1 + w0**2 * g)
            return mp.sign(a0) * mp.sqrt(a2), -mp.sqrt(w2)
        A, B, D = a0 + w0, a0 - w0, mp.sqrt(4 + c**2)
        S, e = 2 + D, mp.exp(-p * D * t)
        if A == 0:
            v = a0**2 * mp.exp(-2 * p * t) / (1 + a0**2 * (1 - mp.exp(-2 * p * t)))
            return -mp.sqrt(v), mp.sqrt(v)
        z = (S * (S + B**2) - B**2 * (S - A**2) * e) / (A**2 * (S + B**2) + S * (S - A**2) * e)
        if A < 0 and z >= B / A:
            return -mp.sqrt(c), mp.mpf(0)
        return (A * mp.sqrt(z) + B / mp.sqrt(z)) / 2, (A * mp.sqrt(z) - B / mp.sqrt(z)) / 2


def error(a0, w0, t, p=0.5, q=0.5, digits=40):
    """Return the error as a share of 1e-13 max(|a|, |w|) + 1e-150."""
    a, w = closed_form(a0, w0, t, p, q)
    want_a, want_w = exact(a0, w0, t, p, q, digits)
    bound = mp.mpf(1e-13) * max(abs(want_a), abs(want_w)) + mp.mpf(10) ** -150
    return float(max(abs(want_a - float(a)), abs(want_w - float(w))) / bound)


@pytest.mark.parametrize("moments", [(0.5, 0.5), (0.3, 1.7)])
def test_closed_form_equals_forty_digits(moments):
    assert max(error(a0, w0, t, *moments, digits=60) for a0, w0 in MODERATE for t in TIMES) < 0.1


def test_closed_form_keeps_its_digits_from_1e_minus_75_to_1e75():
    rng = np.random.default_rng(0)
    size = 10 ** rng.uniform(-75, 75, size=(120, 2)) * rng.choice([-1, 1], size=(120, 2))
    size[::4, 0] = -abs(size[::4, 1])  # balanced
    size[1::4, 0] = -size[1::4, 1] * (1 + 10 ** rng.uniform(-16, -3, size=30))  # nearly
    times = np.minimum(1e6, 10 ** rng.uniform(-6, 6, size=120))
    small_exponent = [
        (a, w, t) for (a, w), t in zip(size, times, strict=True) if abs(a * a - w * w) * t < 2e3
    ]  # beyond it mpmath's exp has a million digits
    assert len(small_exponent) > 40
    assert max(error(*point, digits=700) for point in small_exponent) < 1


def test_closed_form_solves_the_flow_in_digits_that_know_no_formula():
    with mp.workdps(30):
        for a0, w0 in [(0.7, 0.9), (-0.4, 1.1)]:
            a_t, w_t = mp.odefun(
                lambda _, y: [-y[1] * (y[0] * y[1] - 1) / 2, -y[0] * (y[0] * y[1] - 1) / 2], 0, [a0, w0]
            )(2)
            a, w = closed_form(a0, w0, 2.0)
            assert abs(a_t - float(a)) < 1e-15 and abs(w_t - float(w)) < 1e-15


@pytest.mark.parametrize("moments", [(0.5, 0.5), (0.3, 1.7)])
def test_integration_lands_on_the_closed_form(moments):
    times = np.array([0.1, 0.5, 2.0, 8.0])
    for a0, w0 in MODERATE:
        run = integrate(Line(*moments), a0, w0, times)
        a, w = closed_form(a0, w0, times, *moments)
        assert np.allclose(run.a, a, atol=1e-7) and np.allclose(run.w[:, 0], w, atol=1e-7), (a0, w0)


def test_the_kink_is_hit_in_finite_time_and_rested_on():
    a, w = closed_form(-1.5, 0.5, [0.5, 0.522, 0.523, 1e6])
    assert (w[:2] > 0).all() and (w[2:] == 0).all()
    assert np.allclose(a[2:], -np.sqrt(2), rtol=1e-15)
    assert (closed_form(-0.5, 1.5, [0.5, 0.6, 1e6])[1] > 0).all()  # a0 > -w0: never hit


def test_the_start_is_returned_at_time_zero_with_all_its_digits():
    for a0, w0 in [(1.0, 1e-300), (1e-300, 1.0), (-1.0, 1e-20), (-0.7, 0.7), (1e-9, -3.0), (2.0, -1e-200)]:
        assert tuple(float(x) for x in closed_form(a0, w0, 0.0)) == (a0, w0)


def test_a_tiny_w_keeps_its_digits_until_it_hits():
    w = closed_form(-1.0, 1e-20, [1e-21, 1.9e-20, 2.1e-20])[1]
    assert np.allclose(w, [9.5e-21, 5e-22, 0], rtol=1e-12, atol=0)


def test_w_zero_rests():
    assert closed_form(2.0, 0.0, 5.0) == (2.0, 0.0)
    assert closed_form(2.0, 1e-60, 5.0)[1] > 1e-60


def test_moments_only_set_the_clock_of_their_side():
    assert np.allclose(closed_form(-0.3, 0.9, 2.0, 1.0, 7.0), closed_form(-0.3, 0.9, 4.0, 0.5, 0.1))
    assert np.allclose(closed_form(-0.3, -0.9, 2.0, 7.0, 1.0), closed_form(-0.3, -0.9, 4.0, 0.1, 0.5))
    assert np.allclose(closed_form(0.3, 0.9, 2.0, 0.0, 1.0), (0.3, 0.9), rtol=1e-15)  # no data on x > 0: nothing moves


def test_shapes_broadcast():
    a, w = closed_form(np.ones((4, 1)), 0.5, np.linspace(0, 1, 3))
    assert a.shape == w.shape == (4, 3)


@given(a0=start, w0=start, t=time, p=st.floats(0.01, 3), q=st.floats(0.01, 3))
def test_never_nan_never_across_the_kink_and_conserved(a0, w0, t, p, q):
    a, w = closed_form(a0, w0, t, p, q)
    assert np.isfinite(a) and np.isfinite(w)
    assert w == 0 or (w > 0) == (w0 > 0)
    size = max(a0 * a0, w0 * w0)
    assert abs((a * a - w * w) - (a0 - w0) * (a0 + w0)) <= 1e-12 * (size + a * a + w * w)


@given(a0=st.floats(-3, 3), w0=st.floats(-3, 3), s=st.floats(0, 5), t=st.floats(0, 5))
def test_two_steps_are_one(a0, w0, s, t):
    # growth from the origin magnifies rounding by at most exp((s + t) / 2)
    assert np.allclose(closed_form(*closed_form(a0, w0, s), t), closed_form(a0, w0, s + t), atol=1e-11)


fit = st.one_of(st.just(0.0), st.floats(0.1, 3), st.floats(-3, -0.1))
moment = st.floats(0.1, 2)


@pytest.mark.slow
@settings(max_examples=300)
@given(a0=st.floats(-3, 3), w0=st.floats(-3, 3), s=st.floats(0, 3), t=st.floats(0, 3), c=st.tuples(moment, moment),
       k=st.tuples(fit, fit))  # fmt: skip
def test_two_steps_are_one_on_every_line_and_through_its_kink(a0, w0, s, t, c, k):
    way = closed_form(a0, w0, s, *c, *k)
    assume(abs(way[1]) > 1e-9)  # at w = 0 itself a start rests, where a passing flow goes on
    both, one = closed_form(*way, t, *c, *k), closed_form(a0, w0, s + t, *c, *k)
    # growth from the origin magnifies rounding by at most exp(c |k| (s + t))
    assert np.allclose(both, one, atol=1e-15 * np.exp(max(c) * max(map(abs, k)) * (s + t)) + 1e-9)


@given(a0=st.floats(0.01, 100), w0=st.floats(-100, -0.01), t=st.floats(0, 100), scale=st.floats(0.01, 100))
def test_below_the_kink_the_flow_scales(a0, w0, t, scale):
    a, w = closed_form(a0, w0, t)
    scaled = closed_form(scale * a0, scale * w0, t / scale**2)
    size = scale * max(a, -w)
    assert np.allclose(scaled, (scale * a, scale * w), rtol=1e-9, atol=1e-12 * size)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 1.0, -1.0), "t must be at least 0, got -1.0"),
        ((np.nan, 1.0, 1.0), "a0 must be finite, got nan"),
        ((1.0, 1.0, np.inf), "t must be finite, got inf"),
        ((1.0, 1e160, 1.0), r"\|w0\| must be at most 1e\+150, got 1e\+160"),
        ((1.0, 1.0, 1.0, -0.5), "c_plus must be a second moment, one number, at least 0, got -0.5"),
        ((1.0, 1.0, 1.0, [0.5, 0.6]), r"c_plus must be a second moment, one number, at least 0, got \[0.5, 0.6\]"),
        ((1.0, 1.0, 1.0, "a"), "c_plus must be a second moment, one number, at least 0, got 'a'"),
        ((1.0, 1.0, 1.0, 0.5, np.nan), "c_minus must be a second moment, one number, at least 0, got nan"),
        ((1.0, 1.0, 1.0, 0.5, np.inf), "c_minus must be a second moment, one number, at least 0, got inf"),
        (([1, 2], [1, 2, 3], 1), r"do not broadcast: a0 \(2,\), w0 \(3,\), t \(\); add axes"),
        (("a", 1.0, 1.0), "a0 must be a number or an array of numbers, got 'a'"),
        ((1.0, [[1.0], [1.0, 2.0]], 1.0), r"w0 must be a number or an array of numbers, got \[\[1.0\], \[1.0, 2.0\]\]"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        closed_form(*arguments)
