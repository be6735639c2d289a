"""The numerical traps of the neuron's flow, one test each; trap 5 stands in tests/theory/losses/test_formulas.py."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from theory.exact.closed_form import closed_form
from theory.exact.limits import learns, limit, verdicts
from theory.flow.integrate import METHODS, Event, integrate
from theory.losses.formulas import population_gradient, split
from theory.losses.losses import Population

pytestmark = pytest.mark.slow


def naive_flow(_, y):
    da, dw = population_gradient(y[0], y[1:])
    return -np.array([da, *dw])


def test_trap_1_the_separatrix_is_decided_from_the_start_and_never_by_a_long_run():
    ends = [
        solve_ivp(naive_flow, (0, 150), [-size, size], method="DOP853", rtol=1e-12, atol=1e-13).y[:, -1].prod()
        for size in (0.3, 0.5, 0.9, 1.3)
    ]
    assert any(abs(np.array(ends) - 1) < 1e-3)  # round-off has carried one over: the trap is real
    assert limit(-0.7, 0.7).verdict == "separatrix"
    a, w = closed_form(-0.7, 0.7, [74.0, 200.0, 1e6])
    assert (a <= 0).all() and (w >= 0).all() and abs(a[-1]) < 1e-150
    assert integrate(Population(1), -0.7, 0.7, 200.0).verdict == "undecided"


def test_trap_2_a_rounded_norm_is_compared_within_a_band():
    w0 = np.random.default_rng(0).normal(size=(2000, 7))
    off_by_an_ulp = -np.sqrt((w0**2).sum(axis=1)) != -split(w0)[2]
    assert off_by_an_ulp.any()  # two right ways to take the norm disagree
    for norm in (np.sqrt((w0**2).sum(axis=1)), np.linalg.norm(w0, axis=1), split(w0)[2]):
        assert not learns(-norm, w0).any()
    assert (verdicts(-abs(w0[:, 0]) * (1 + 4e-16), abs(w0[:, 0])) == 2).all()
    assert learns(-abs(w0[:, 0]) * (1 - 1e-11), abs(w0[:, 0])).all()


def test_trap_3_no_solver_stalls_at_the_kink_nor_fires_on_leaving_it():
    for method in METHODS:
        run = integrate(Population(1), -1.5, 0.5, 50.0, method=method, rtol=1e-8, atol=1e-10, max_evaluations=3000)
        assert run.status == "finished" and len(run.events) == 1 and run.verdict == "fails", method


def test_trap_3_an_event_that_starts_at_zero_fires_on_its_return_and_not_at_once():
    a0, w0 = 0.6, [-0.5, 0.3]  # a falls, and comes back
    naive = solve_ivp(naive_flow, (0, 60), [a0, *w0], events=terminal(lambda t, y: y[0] - a0))
    assert naive.t[-1] == 0  # the trap
    run = integrate(Population(2), a0, w0, 60.0, events=[Event("back", lambda t, a, w: a - a0)])
    assert run.status == "stopped" and 10 < run.t[-1] < 15 and abs(run.a[-1] - a0) < 1e-9 and run.a.min() < 0.5


def terminal(event):
    event.terminal = True
    return event


def test_trap_4_a_dead_neuron_ends_before_its_direction_is_lost():
    run = integrate(Population(3), -2.0, [0.5, 0.3, -0.4], 1e5)
    assert run.status == "dead" and run.verdict == "fails" and run.t[-1] < 100
    assert np.isfinite(run.w).all() and np.isclose(run.a[-1], limit(-2.0, [0.5, 0.3, -0.4]).a)
    learning = integrate(Population(3), -0.5, [0.5, 0.3, -0.4], 300.0)
    assert learning.status == "finished" and learning.verdict == "learns"  # |a0| < |w0|: not dead


def test_trap_6_a_fixed_horizon_is_biased_and_the_exact_limit_is_not():
    psi = 0.02  # leaves the ray after about 2 pi / psi = 314
    w0 = np.array([-np.cos(psi), np.sin(psi)])
    assert integrate(Population(2), 1.0, w0, 200.0).verdict == "undecided"  # and not "fails"
    assert integrate(Population(2), 1.0, w0, 600.0).verdict == limit(1.0, w0).verdict == "learns"


def test_trap_7_tiny_starts_do_not_underflow():
    tiny = 1e-170
    assert tiny**2 == 0
    assert verdicts(np.array([1, -1, 1.5]) * tiny, np.array([1, 1, -1]) * tiny).tolist() == [1, 2, 0]
    assert learns(-0.5 * tiny, tiny * np.ones(3)) and not learns(-2 * tiny, tiny * np.ones(3))
    a, w = closed_form(1e-75, 1e-75, 400.0)
    assert abs(a / (np.exp(200) * 1e-75 / np.hypot(1, np.exp(200) * 1e-75)) - 1) < 1e-12 and abs(w / a - 1) < 1e-13
    assert (population_gradient(tiny, tiny * np.ones(3))[1] != 0).all()
