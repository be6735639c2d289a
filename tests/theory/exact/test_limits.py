"""Exact limits, basins and success probabilities."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.exact.closed_form import closed_form
from theory.exact.limits import VERDICTS, Limit, learns, limit, limits, verdicts
from theory.flow.integrate import Event, integrate
from theory.losses.formulas import loss_1d, population_loss
from theory.losses.losses import Population
from theory.probability import success_probability_exact
from theory.pruning import prune
from theory.sampling import STARTS, clopper_pearson

size = st.floats(-60, 60).map(lambda x: 10.0**x)
signed = st.builds(lambda sign, x: sign * x, st.sampled_from([-1, 1]), size)


@pytest.mark.parametrize(
    ("a0", "w0", "verdict"),
    [(0.7, 0.7, "learns"), (0.7, -0.7, "fails"), (-0.7, 0.7, "separatrix"), (-0.7, -0.7, "fails")],
)
def test_balanced_quadrants_of_theorem_2_1(a0, w0, verdict):
    assert limit(a0, w0).verdict == verdict


def test_an_unbalanced_negative_a_smaller_than_w_learns():
    assert limit(-0.2, 1.0).verdict == "learns"
    assert limit(-0.2, [0.6, 0.8]).verdict == "learns"
    assert limit(-1.2, 1.0).verdict == limit(-1.2, [0.6, 0.8]).verdict == "fails"  # the larger one does not


@pytest.mark.parametrize(
    ("a0", "w0"), [(0.3, 2.0), (2.0, 0.3), (-0.3, 2.0), (0.0, 1.0), (1.0, -2.0), (2.0, -1.0), (-2.0, -1.0), (-2.0, 1.0)]
)
def test_limit_is_where_the_closed_form_ends(a0, w0):
    end = limit(a0, w0)
    assert np.allclose(closed_form(a0, w0, 1e6), (end.a, end.w), atol=1e-12)
    assert (loss_1d(end.a, end.w) < 1e-15) == (end.verdict == "learns")


@pytest.mark.parametrize("w0", [[0.3, 0.4, 1.0], [-0.9, 0.5, 0.2], [1.0, 0.0, 0.0]])
@pytest.mark.parametrize("a0", [0.4, 1.7, -0.6])
def test_limit_is_where_the_integration_ends_in_many_dimensions(a0, w0):
    end = limit(a0, w0)
    near = Event("learned", lambda t, a, w: population_loss(a, w) - 1e-10)
    run = integrate(Population(3), a0, w0, 5000.0, events=[near])
    assert end.verdict == run.verdict == "learns"
    assert np.isclose(run.a[-1], end.a, atol=1e-3) and np.allclose(run.w[-1], end.w, atol=1e-3)


def test_balanced_negative_a_fails_in_many_dimensions_at_the_origin():
    rng = np.random.default_rng(0)
    w0 = rng.normal(size=(500, 4))
    a, w, codes = limits(-np.linalg.norm(w0, axis=1), w0)  # off by a unit in the last place either way
    assert (codes == 0).all() and (a == 0).all() and (w == 0).all()
    assert limit(-1.0 + 1e-9, [0.6, 0.8]).verdict == "learns"  # outside the band


def test_the_ray_opposite_to_the_target_always_fails():
    for a0 in (2.0, 1.0, 0.5, -0.5, -1.0, -2.0):
        assert limit(a0, -1.0).verdict == limit(a0, [-1.0, 0.0]).verdict == "fails"
    assert limit(0.5, [-1.0, 1e-9]).verdict == "learns"  # one step off the ray is enough


def test_w_zero_fails_where_it_stands():
    assert limit(1.5, 0.0) == Limit(1.5, 0.0, "fails")
    assert limit(1.5, [0.0, 0.0]).a == 1.5


def test_a_vector_of_length_one_is_d_1():
    one, vector = limit(-1.0, 1.0), limit(-1.0, [1.0])
    assert one.verdict == vector.verdict == "separatrix" and vector.w.shape == (1,)


def test_verdicts_take_many_starts():
    codes = verdicts([0.7, 0.7, -0.7, -0.7], [0.7, -0.7, 0.7, -0.7])
    assert [VERDICTS[code] for code in codes] == ["learns", "fails", "separatrix", "fails"]
    assert learns(np.ones(3), np.ones((3, 5))).tolist() == [True] * 3


def test_bad_starts_are_refused():
    with pytest.raises(ValueError, match=r"shape of a0 \(d = 1\) or one axis more"):
        verdicts(np.ones(3), 1.0)
    with pytest.raises(ValueError, match="use limits\\(\\) or learns\\(\\) for many"):
        limit(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match="w0 must be finite, got nan"):
        limit(1.0, [np.nan, 1.0])


@pytest.mark.parametrize("function", [limit, limits, verdicts, learns])
@pytest.mark.parametrize(("a0", "w0"), [(-1e308, 1e308), (1e151, 1.0), (1.0, [1.0, -1e151])])
def test_starts_whose_squares_overflow_are_refused(function, a0, w0):
    with pytest.raises(ValueError, match=r"0\| must be at most 1e\+150, got 1e\+(308|151): its square overflows"):
        function(a0, w0)


def test_the_largest_starts_have_finite_limits():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for a0, w0 in [(-1e150, 1e150), (1e150, [1e150, 1.0]), (1e150, [1.0, 1e-150]), (-1.0, [1e150, 1e150])]:
            end = limit(a0, w0)
            assert np.isfinite(end.a) and np.isfinite(end.w).all()


@given(a0=signed, w0=st.lists(signed, min_size=2, max_size=5), k=st.integers(-100, 100))
def test_verdicts_do_not_change_with_the_scale(a0, w0, k):
    scale = 2.0**k
    assert learns(a0, np.array(w0)) == learns(a0 * scale, np.array(w0) * scale)


@given(a0=signed, w0=st.lists(signed, min_size=3, max_size=6), data=st.data())
def test_verdicts_do_not_change_with_the_order_of_the_other_inputs(a0, w0, data):
    order = data.draw(st.permutations(range(1, len(w0))))
    assert limit(a0, w0).verdict == limit(a0, [w0[0], *(w0[i] for i in order)]).verdict


@given(a0=signed, w0=st.lists(signed, min_size=1, max_size=4))
def test_limits_are_finite_conserve_the_balance_and_match_the_verdict(a0, w0):
    end = limit(a0, w0)
    r0 = np.hypot.reduce(w0)
    c, scale = (abs(a0) - r0) * (abs(a0) + r0), a0 * a0 + r0 * r0
    assert np.isfinite(end.a) and np.isfinite(end.w).all()
    end_scale = end.a**2 + np.dot(end.w, end.w)
    assert np.isclose(end.a**2 - np.dot(end.w, end.w), c, atol=3e-12 * scale + 1e-14 * end_scale, rtol=1e-9)
    assert (abs(end.a * end.w[0] - 1) < 1e-12) == (end.verdict == "learns")


@pytest.mark.parametrize("init", STARTS)
@pytest.mark.parametrize("rule", ["imp", "sign", "magnitude", "lrr"])
@pytest.mark.parametrize("d", [1, 2, 5, 10])
def test_exact_probabilities_lie_in_the_interval_of_random_starts(init, rule, d):
    a0, w0 = STARTS[init](np.random.default_rng(d), 20_000, d)
    successes = prune(rule, a0, w0, [1] if d > 1 else []).learns[-1].sum()
    low, high = clopper_pearson(successes, 20_000, level=0.9999)
    assert low <= success_probability_exact(rule, init, d) <= high
    assert not low <= success_probability_exact(rule, init, d) + 0.03 <= high


def test_exact_probabilities_of_unequal_scales_hold_against_random_starts():
    rng, n, d, ratio = np.random.default_rng(3), 50_000, 4, 0.5
    a0, w0 = rng.normal(size=n), ratio * rng.normal(size=(n, d))
    for rule in ("imp", "lrr", "magnitude"):
        low, high = clopper_pearson(prune(rule, a0, w0).learns[-1].sum(), n, level=0.9999)
        assert low <= success_probability_exact(rule, "normal", d, ratio=ratio) <= high
        assert not low <= success_probability_exact(rule, "normal", d) <= high


def test_exact_probabilities_are_the_stated_numbers():
    lrr = {d: round(success_probability_exact("lrr", "normal", d), 4) for d in (2, 3, 5, 10)}
    assert lrr == {2: 0.8536, 3: 0.9092, 5: 0.9622, 10: 0.9949}
    assert success_probability_exact("lrr", "normal", 1) == success_probability_exact("imp", "normal", 1) == 0.375


def test_probability_without_a_closed_form_is_refused():
    with pytest.raises(ValueError, match="no closed form for imp from normal starts with 3 of 10 inputs"):
        success_probability_exact("imp", "normal", 10, survivors=3)
    with pytest.raises(ValueError, match="unknown rule 'irr': did you mean 'lrr'"):
        success_probability_exact("irr", "normal", 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("imp", "balanced", 2.5), "d must be a whole number, at least 1, got 2.5"),
        (("imp", "balanced", 0), "d must be a whole number, at least 1, got 0"),
        (("imp", "balanced", np.nan), "d must be a whole number, at least 1, got nan"),
        (("imp", "balanced", np.inf), "d must be a whole number, at least 1, got inf"),
        (("imp", "balanced", "3"), "d must be a whole number, at least 1, got '3'"),
        (("imp", "balanced", 3, 0), "survivors of d = 3 inputs must be a whole number, from 1 to 3, got 0"),
        (("imp", "balanced", 3, 4), "survivors of d = 3 inputs must be a whole number, from 1 to 3, got 4"),
        (("imp", "normal", 3, 1, -1), "ratio must be a finite number above 0, got -1: it is s_w / s_a"),
        (("imp", "normal", 3, 1, 0), "ratio must be a finite number above 0, got 0"),
        (("imp", "normal", 3, 1, np.nan), "ratio must be a finite number above 0, got nan"),
        (("imp", "normal", 3, 1, "a"), "ratio must be a finite number above 0, got 'a'"),
        (("imp", "normall", 3), "unknown init 'normall': did you mean 'normal'"),
    ],
)
def test_probabilities_of_what_is_no_neuron_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        success_probability_exact(*arguments)
