"""Numerical integration: branches, events, failures, verdicts that are never false."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.exact.closed_form import closed_form
from theory.exact.limits import limit
from theory.flow.integrate import METHODS, Event, integrate
from theory.losses.losses import Line, Population
from theory.losses.samples import Sample

pytestmark = pytest.mark.slow

STARTS = [
    (-1.5, 0.5, "fails"),
    (0.8, 0.5, "learns"),
    (-0.3, 1.0, "learns"),
    (0.9, -0.4, "fails"),
    (0.3, -1.2, "fails"),
    (-0.7, -0.7, "fails"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("a0", "w0", "verdict"), STARTS)
def test_every_solver_reaches_the_right_verdict(method, a0, w0, verdict):
    run = integrate(Population(1), a0, w0, 60.0, method=method, rtol=1e-8, atol=1e-10)
    assert (run.status, run.verdict) == ("finished", verdict) and limit(a0, w0).verdict == verdict
    assert np.allclose((run.a[-1], run.w[-1, 0]), closed_form(a0, w0, 60.0), atol=1e-5)


def test_the_kink_is_landed_on_exactly_and_rested_on():
    run = integrate(Population(1), -1.5, 0.5, np.linspace(0, 5, 51))
    (name, hit), *rest = run.events
    assert name == "kink" and not rest
    assert len(run.t) == 51 and (run.w[run.t < hit] > 0).all() and (run.w[run.t > hit] == 0).all()
    assert np.ptp(run.a[run.t > hit]) == 0 and np.isclose(run.a[-1], -np.sqrt(2), rtol=1e-9)


def test_from_below_the_kink_is_never_reached():
    run = integrate(Population(1), 2.0, -0.5, 100.0)  # w decays to -1e-87, far under atol
    assert run.events == () and (run.w <= 0).all() and run.verdict == "fails"


@pytest.mark.parametrize("a0", [2.0, 0.0, -2.0])
def test_a_start_on_the_kink_rests(a0):
    run = integrate(Population(3), a0, np.zeros(3), [0.0, 1.0, 9.0])
    assert (run.a == a0).all() and (run.w == 0).all() and run.status == "finished"


def test_the_axis_of_many_dimensions_is_the_line():
    for w1 in (0.5, -0.5):
        run = integrate(Population(3), -1.5, [w1, 0.0, 0.0], [0.3, 4.0])
        assert np.allclose([run.a, run.w[:, 0]], closed_form(-1.5, w1, run.t), atol=1e-8)
        assert (run.w[:, 1:] == 0).all() and run.verdict == "fails"


def test_rows_are_the_times_asked_for():
    assert integrate(Population(2), 1.0, [0.5, 0.5], [0.5, 1.0]).t.tolist() == [0.5, 1.0]
    free = integrate(Population(2), 1.0, [0.5, 0.5], 3.0)
    assert free.t[0] == 0 and free.t[-1] == 3 and (np.diff(free.t) > 0).all()
    assert free.a.shape == free.loss.shape == free.t.shape and free.w.shape == (len(free.t), 2)


def test_an_event_ends_the_run_with_its_own_row():
    turn = Event("turn", lambda t, a, w: w[0])
    run = integrate(Population(2), 0.8, [-0.5, 0.6], np.linspace(0, 20, 5), events=[turn])
    assert run.status == "stopped" and "'turn'" in run.message and run.events == (("turn", run.t[-1]),)
    assert abs(run.w[-1, 0]) < 1e-12 and len(run.t) < 5 + 1
    watched = integrate(
        Population(2), 0.8, [-0.5, 0.6], np.linspace(0, 20, 5), events=[Event("turn", turn.value, terminal=False)]
    )
    assert (
        watched.status == "finished" and watched.events[0] == pytest.approx(("turn", run.t[-1])) and len(watched.t) == 5
    )


def test_an_event_before_the_first_time_asked_for_ends_the_run():
    run = integrate(Line(), -1.5, 0.5, [3.0, 4.0], events=[Event("small", lambda t, a, w: w[0] - 0.4)])
    assert run.status == "stopped" and run.w[-1, 0] == pytest.approx(0.4) and 0 < run.t[-1] < 3


def test_the_balance_is_conserved_to_the_tolerance():
    loose = integrate(Population(3), 0.7, [-0.4, 0.6, 0.2], 50.0, rtol=1e-4)
    tight = integrate(Population(3), 0.7, [-0.4, 0.6, 0.2], 50.0, rtol=1e-11)
    assert tight.drift < 1e-9 < loose.drift < 1e-2


def test_a_run_that_drifts_gives_no_verdict_although_it_ends_at_the_target():
    loose = integrate(Population(2), 1.0, [0.5, 0.5], 60.0, rtol=0.1, atol=1.0, exact_balance=False)
    assert loose.status == "finished" and loose.loss[-1] < 1e-7 and 0.03 < loose.drift < 0.1
    assert loose.verdict == "undecided"
    assert integrate(Population(2), 1.0, [0.5, 0.5], 60.0).verdict == "learns"


def test_a_loose_run_gives_no_verdict_near_the_separatrix():
    loose = {"rtol": 1e-3, "exact_balance": False}
    assert integrate(Population(1), -1.0, 1.01, 60.0, **loose).verdict == "undecided"
    assert integrate(Population(1), -1.0, 1.01, 60.0, exact_balance=False).verdict == "learns"  # a tight one does


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("w0", [1.0, [0.6, 0.8]])
def test_the_sign_of_a_plus_w_decides_however_near_the_separatrix(method, w0):
    d = np.size(w0)
    for gap, verdict in ((1e-9, "learns"), (-1e-9, "fails")):
        run = integrate(Population(d), -1.0 + gap, w0, 400.0, method=method, rtol=1e-6)
        assert run.verdict in (verdict, "undecided") and limit(-1.0 + gap, w0).verdict == verdict
        assert (run.a + np.hypot.reduce(run.w, axis=1) > 0).all() == (gap > 0)
        assert method == "LSODA" or d > 1 or run.verdict == verdict


def test_an_unfinished_run_gives_no_verdict():
    run = integrate(Population(2), 1.0, [-0.9, 0.1], 1.0)
    assert (run.status, run.verdict) == ("finished", "undecided")


@pytest.mark.parametrize("method", METHODS)
def test_a_stiff_start_fails_with_a_message(method):
    run = integrate(Population(2), 1e4, [0.3, 0.2], 1e3, method=method, max_evaluations=300)
    assert run.status == "failed" and "max_evaluations" in run.message and run.verdict == "undecided"
    assert np.isfinite(run.a).all() and np.isfinite(run.w).all()


def test_a_start_too_large_to_integrate_says_so():
    run = integrate(Population(2), 1e200, [1e200, 1.0], 1.0)
    assert run.status == "failed" and "overflowed" in run.message and np.isfinite(run.loss).all() is not None


extreme = st.builds(lambda sign, x: sign * 10.0**x, st.sampled_from([-1, 1]), st.floats(-20, 20))


@settings(max_examples=60, deadline=None)
@given(a0=extreme, w0=st.lists(extreme, min_size=1, max_size=3), method=st.sampled_from(METHODS))
def test_a_verdict_is_never_false_and_a_state_never_nan(a0, w0, method):
    run = integrate(Population(len(w0)), a0, w0, 50.0, method=method, rtol=1e-6, max_evaluations=1500)
    assert np.isfinite(run.a).all() and np.isfinite(run.w).all() and run.message
    exact = limit(a0, w0).verdict
    assert run.verdict in ("undecided", exact)


@pytest.mark.parametrize("tiny", [1e-20, 1e-100, 1.5e-287])
@pytest.mark.parametrize("method", ["DOP853", "LSODA"])
def test_a_weight_that_the_solver_loses_is_no_failure_of_the_flow(tiny, method):
    run = integrate(Population(2), 1.0, [0.0, tiny], 80.0, method=method, max_evaluations=5000)
    assert run.verdict in ("learns", "undecided") and limit(1.0, [0.0, tiny]).verdict == "learns"


@settings(max_examples=60, deadline=None)
@given(
    a0=st.floats(-2, 2),
    w0=st.lists(st.floats(-2, 2), min_size=1, max_size=3),
    method=st.sampled_from(["DOP853", "LSODA"]),
)
def test_a_moderate_verdict_is_never_false(a0, w0, method):
    run = integrate(Population(len(w0)), a0, w0, 80.0, method=method, max_evaluations=5000)
    exact = limit(a0, w0).verdict
    assert run.verdict == "undecided" or run.verdict == exact, (run.verdict, exact)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"method": "dop853"}, "unknown method 'dop853': did you mean 'DOP853'"),
        ({"method": "LSOD"}, "did you mean 'LSODA'"),
        ({"w0": [1.0, 2.0, 3.0]}, r"w0 of shape \(2,\), got \(\) and \(3,\)"),
        ({"a0": [1.0, 2.0]}, "one start needs a0 a number"),
        ({"w0": [np.nan, 1.0]}, "w0 must be finite, got nan"),
        ({"t": -1.0}, "t must be a horizon or increasing times, at least 0"),
        ({"t": [1.0, 1.0]}, "increasing times"),
        ({"t": []}, "increasing times"),
        ({"t": "late"}, "t must be a number or an array of numbers, got 'late'"),
        ({"rtol": -1.0}, "rtol must be a number above 0, got -1.0"),
        ({"atol": np.nan}, "atol must be a number above 0, got nan"),
        ({"rtol": "1e-3"}, "rtol must be a number above 0, got '1e-3'"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"a0": 1.0, "w0": [1.0, 2.0], "t": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        integrate(Population(2), **arguments)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_a_balanced_start_of_a_leaky_unit_has_a_run_and_no_verdict_that_is_unknown(method, d):
    w0 = np.resize([0.6, 0.8], d) * (np.arange(d) < 2)
    run = integrate(Population(d, slope=0.2), -np.hypot.reduce(w0), w0, 5.0, method=method)
    assert (run.status, run.verdict) == ("finished", "separatrix" if d == 1 else "undecided")
    on_axis = integrate(Population(d, slope=0.2), -1.0, np.eye(d)[0], 5.0, method=method)
    assert (on_axis.status, on_axis.verdict) == ("finished", "separatrix" if d == 1 else "fails")


@pytest.mark.parametrize("across", [1e-13, 1e-10, 1e-6])
def test_a_leaky_unit_does_not_die_at_0_but_goes_on_to_its_fit_with_w_below_it(across):
    on_axis = integrate(Population(2, slope=0.2), -1.5, [0.5, 0.0], 50.0)
    run = integrate(Population(2, slope=0.2), -1.5, [0.5, across], 50.0)
    assert run.status == "finished" and run.verdict == "undecided" and run.w[-1, 0] < -0.2
    assert run.w[-1] == pytest.approx(on_axis.w[-1], abs=1e-6) and run.a[-1] == pytest.approx(on_axis.a[-1], abs=1e-6)


@pytest.mark.parametrize("loss", [Line(1, 1, 1e-4, -1), Sample([[1.0], [-1.0]], [1e-4, -1.0])])
def test_a_loss_near_its_goal_is_no_learning_where_the_exact_limit_is_another(loss):
    run = integrate(loss, -1e-3, 5e-4, 1.0)  # w > 0 yet; all but 1e-8 of the loss lies on w < 0
    assert run.w[-1, 0] > 0 and run.verdict == "fails" == limit(-1e-3, [5e-4], loss).verdict
    up = integrate(loss, 1e-3, 5e-4, 1.0)
    assert up.verdict == "learns" == limit(1e-3, [5e-4], loss).verdict


def test_a_run_at_rest_because_its_gradient_underflows_does_not_fail():
    loss = Line(1e-300, 0, 1e-300, 1)
    assert limit(0.0, 1e-160, loss).verdict == "learns" and integrate(loss, 0.0, 1e-160, 5.0).verdict == "undecided"


def test_the_limit_beyond_w_0_is_that_of_the_other_side_however_small_it_is():
    loss = Line(1.0, 1e-200, 1.0, -1e-200)
    assert limit(-1e-200, 5e-201, loss).w < 0
