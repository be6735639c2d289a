"""integrate_batch on lines and populations: errors, extremes, independence of the trajectories, bad input."""

import tracemalloc

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.integrate import solve_ivp

from theory import Line, Masked, Population, closed_form, integrate_batch, limits
from theory.compiled.population import slopes
from theory.flow.batch import STATUSES
from theory.losses.formulas import sin_minus_x_cos

pytestmark = pytest.mark.slow

TIMES = np.array([0.1, 1.0, 3.0, 10.0, 25.0, 50.0])
RNG_SEED = 7


def starts(kind, d, n=6):
    """Return (a0, w0, times) of a kind of start."""
    rng = np.random.default_rng(RNG_SEED + d)
    w0 = rng.normal(size=(n, d)) / np.sqrt(d)
    r0 = np.linalg.norm(w0, axis=1)
    return {
        "normal": (rng.normal(size=n) / np.sqrt(d), w0, TIMES),
        "balanced": (r0, w0, TIMES),
        "separatrix": (-r0, w0, TIMES[:3]),  # the reference leaves it later
        "near separatrix": (-r0 * (1 - 1e-3), w0, TIMES),
        "dying": (-r0 * 1.3, w0, TIMES[:3]),  # the reference loses w / |w| later
        "a leads": (3 * r0, w0, TIMES),
        "w leads": (0.1 * r0, 3 * w0, TIMES),
    }[kind]


def full_field(loss, a0, w0, times):
    """Return rows (a, w) by DOP853 on all d + 1 variables."""

    def velocity(_, y):
        da, dw = loss.gradient(y[0], y[1:])
        return -np.array([da, *dw])

    sol = solve_ivp(velocity, (0, times[-1]), [a0, *w0], method="DOP853", rtol=1e-13, atol=1e-16, t_eval=times)
    return sol.y.T


def worst_error(loss, a0, w0, times):
    run = integrate_batch(loss, a0, w0, times)
    rows = np.concatenate([run.a[..., None], run.w], axis=2)
    exact = np.array([full_field(loss, *start, times) for start in zip(a0, w0, strict=True)])
    assert run.drift.max() < 1e-14 and (run.status < 2).all()
    return (abs(rows - exact) / abs(exact).max(axis=2, keepdims=True)).max()


@pytest.mark.parametrize("slope", [0.0, 0.3])
def test_the_compiled_slopes_are_the_gradient_of_the_loss_in_polar_coordinates(slope):
    a, r, psi = sp.symbols("a r psi")
    relu = (a * r) ** 2 / 4 - a * r * (sp.sin(psi) - psi * sp.cos(psi)) / (2 * sp.pi)
    linear = ((a * r) ** 2 + 2 * a * r * sp.cos(psi)) / 2  # |a w - e_1|^2 / 2 but for a constant
    loss = (1 - slope) ** 2 * relu + slope * linear
    descent = [-r * sp.diff(loss, a) - a * sp.diff(loss, r), -sp.diff(loss, psi) / r**2]
    exact = sp.lambdify((a, r, psi), descent, "numpy")
    for x, y, angle in np.random.default_rng(0).uniform(0.1, 3.0, size=(50, 3)):
        for sign in (1, -1):
            want, c = exact(sign * x, y, angle), (x - y) * (x + y)
            for side, kept in ((0.0, angle), (1.0, np.pi - angle)):
                found = slopes(sign * x * y, kept, side, c, (1 - slope) ** 2, slope)
                assert np.allclose(found, (want[0], (1 - 2 * side) * want[1]), rtol=1e-11, atol=1e-11)
                assert not np.allclose(slopes(sign * x * y, kept, side, c + 0.1, (1 - slope) ** 2, slope), found)


@pytest.mark.parametrize("d", [2, 3, 10])
@pytest.mark.parametrize("kind", ["normal", "balanced", "separatrix", "near separatrix", "dying", "a leads", "w leads"])
def test_the_reduction_equals_the_full_field(kind, d):
    assert worst_error(Population(d), *starts(kind, d)) < 2e-9


@pytest.mark.parametrize("loss", [Population(3, -1.0), Population(3, 2.5), Population(3, -0.7, 0.2)])
def test_other_targets_and_leaky_units_equal_the_full_field(loss):
    assert worst_error(loss, *starts("normal", 3)) < 2e-9
    wrong = integrate_batch(Population(3), *starts("normal", 3)).a
    assert abs(wrong - integrate_batch(loss, *starts("normal", 3)).a).max() > 0.1


@pytest.mark.parametrize("psi", [0.3, 0.03])
@pytest.mark.parametrize("a0", [0.3, 1.0, 2.0])
def test_starts_near_the_ray_leave_it_on_time(psi, a0):
    w0 = np.array([[-np.cos(psi), np.sin(psi)]])
    assert worst_error(Population(2), np.array([a0]), w0, np.array([1.0, 10.0, 50.0, 300.0])) < 2e-9


def by_sum(ratio, psi, times):
    """Follow a0 = -ratio, |w0| = 1 in (ln |a + |w||, |w|, psi): near the separatrix the sum keeps its digits so."""
    side = np.sign(1 - ratio)

    def velocity(_, y):
        r, psi = y[1], y[2]
        a, g = side * np.exp(y[0]) - r, float(sin_minus_x_cos(psi)) / (2 * np.pi)
        return [g - a * r / 2, a * g - a * a * r / 2, a / r * psi * np.sin(psi) / (2 * np.pi)]

    y0 = [np.log(abs(1 - ratio)), 1.0, psi]
    y = solve_ivp(velocity, (0, times[-1]), y0, method="DOP853", rtol=1e-13, atol=1e-16, t_eval=times).y
    return side * np.exp(y[0]) - y[1], y[1]


@pytest.mark.parametrize("side", [1, -1])
def test_both_sides_of_the_separatrix_are_told_apart_at_a_relative_1e_9(side):
    ratio, times = 1 - side * 1e-9, np.array([5.0, 20.0, 45.0, 70.0])
    run = integrate_batch(Population(2), [-ratio], [[np.cos(2.0), np.sin(2.0)]], times)
    a, r = by_sum(ratio, np.pi - 2.0, times)
    assert np.allclose(run.a[0], a, rtol=1e-10) and np.allclose(np.linalg.norm(run.w[0], axis=1), r, rtol=1e-10)
    on_it = integrate_batch(Population(2), [-1.0], [[np.cos(2.0), np.sin(2.0)]], times)
    assert (np.sign((run.a - on_it.a)[0]) == side).all()
    w0 = np.array([[1.0, 1e-12]])  # so near to the target's side the sum outgrows theta
    late = integrate_batch(Population(2), [-ratio], w0, [20.0, 300.0])
    assert np.allclose(late.a[0, 0], closed_form(-ratio, 1.0, 20.0)[0], rtol=1e-9)
    assert (late.loss[0, 1] < 1e-6) == (side == 1) == (limits(-ratio, w0[0])[2] == 1)
    assert STATUSES[late.status[0]] == ("finished" if side == 1 else "dead")


@pytest.mark.parametrize("d", [1, 2, 10])
def test_a_separatrix_start_never_learns_at_any_horizon(d):
    a0, w0, _ = starts("separatrix", d, 50)
    for nudge in (0, 4e-16, -4e-16, 9e-13, -9e-13):
        run = integrate_batch(Population(d), a0 * (1 + nudge), w0, [1e2, 1e6])
        assert (run.a <= 0).all() and (run.loss >= 0.25).all() and (run.status == 0).all()
    outside = integrate_batch(Population(d), a0 * (1 - 0.2), abs(w0), 1e6)
    assert (outside.loss < 1e-6).all()


def test_a_dying_neuron_is_dead_and_decays_to_the_last_digit():
    a0, w0, times = -1.5, np.array([0.5, 0.4]), np.array([2.0, 30.0, 60.0, 200.0])
    c = a0**2 - 0.41

    def velocity(t, y):  # of log |w| + c t / 2 and log (psi / |w|), which tend to constants: nothing is lost
        r = np.exp(y[0] - c * t / 2)
        psi = r * np.exp(y[1])
        a, g = -np.sqrt(c + r * r), float(sin_minus_x_cos(psi))
        return [a * g / (2 * np.pi * r) - r * r / 2, a * psi * np.cos(psi) / (2 * np.pi * r) + a * a / 2]

    y0 = [np.log(0.41) / 2, np.log(np.arctan2(0.4, -0.5)) - np.log(0.41) / 2]
    y = solve_ivp(velocity, (0, 200), y0, method="DOP853", rtol=1e-12, atol=1e-13, t_eval=times).y
    r = np.exp(y[0] - c * times / 2)
    psi = r * np.exp(y[1])
    exact = np.array([-r * np.cos(psi), r * np.sin(psi)]).T
    # the same equations by mpmath.odefun with 30 digits, which takes minutes: every BLAS kernel gives this, to 2e-11
    digits = [
        [-0.024419481206370746653, 0.0035913178896511590341],
        [-1.6474544921085284573e-25, 1.1566065245899227246e-49],
    ]
    assert np.allclose(exact[[0, 2]], digits, rtol=1e-10, atol=0)
    run = integrate_batch(Population(2), [a0], [w0], times)
    assert STATUSES[run.status[0]] == "dead" and r[-1] < 1e-80
    assert np.allclose(run.w[0], exact, rtol=1e-9, atol=0)
    assert integrate_batch(Population(2), [-0.6], [w0], times).status[0] == 0  # |a0| < |w0|: it learns


@pytest.mark.parametrize("line", [Line(), Line(0.3, 1.7), Line(0.5, 0.5, 1.0, -0.4)])
def test_one_input_is_the_closed_form(line):
    a0, w0 = np.random.default_rng(0).normal(size=(2, 200))
    run = integrate_batch(line, a0, w0, TIMES)
    exact = closed_form(a0[:, None], w0[:, None], TIMES, *line.numbers)
    assert (run.a == exact[0]).all() and (run.w[..., 0] == exact[1]).all() and run.w.shape == (200, 6, 1)


def test_starts_on_the_axis_are_exact_beside_others_that_are_not():
    a0, w0 = [-1.5, 0.4, 0.9], [[0.5, 0.0, 0.0], [0.3, -0.2, 0.5], [-0.4, 0.0, 0.0]]
    run = integrate_batch(Population(3), a0, w0, TIMES)
    for i in (0, 2):
        exact = closed_form(a0[i], w0[i][0], TIMES)
        assert (run.a[i] == exact[0]).all() and (run.w[i, :, 0] == exact[1]).all() and (run.w[i, :, 1:] == 0).all()
    assert (run.a[1] == integrate_batch(Population(3), a0[1:2], w0[1:2], TIMES).a[0]).all()


def test_a_masked_loss_follows_the_survivors_and_keeps_pruned_zeros():
    a0, w0, _ = starts("normal", 4)
    run = integrate_batch(Masked(Population(4), [1, 0, 1, 0]), a0, w0, TIMES)
    alone = integrate_batch(Population(2), a0, w0[:, ::2], TIMES)
    assert (run.a == alone.a).all() and (run.w[..., ::2] == alone.w).all() and (run.w[..., 1::2] == 0).all()
    assert (run.drift < 1e-14).all() and np.allclose(run.loss, alone.loss)
    blind = Masked(Population(4), [0, 0, 1, 1])  # nothing to learn: w keeps its direction
    assert worst_error(blind, abs(a0), np.where(blind.mask, w0, 0.0), TIMES[:3]) < 2e-9


def test_a_trajectory_does_not_depend_on_what_is_beside_it():
    a0, w0, _ = starts("normal", 10, 700)  # more than a block of lanes
    run = integrate_batch(Population(10), a0, w0, TIMES)
    order = np.random.default_rng(1).permutation(700)
    shuffled = integrate_batch(Population(10), a0[order], w0[order], TIMES)
    assert (shuffled.a == run.a[order]).all() and (shuffled.w == run.w[order]).all()
    for i in (0, 13, 699):
        one = integrate_batch(Population(10), a0[i : i + 1], w0[i : i + 1], TIMES)
        assert (one.a[0] == run.a[i]).all() and (one.w[0] == run.w[i]).all() and one.drift[0] == run.drift[i]


def test_saved_times_do_not_disturb_the_trajectory():
    a0, w0, _ = starts("normal", 3)
    many = integrate_batch(Population(3), a0, w0, np.linspace(0, 50, 401))
    few = integrate_batch(Population(3), a0, w0, 50.0)
    assert few.w.shape == (6, 1, 3) and np.allclose(many.w[:, -1], few.w[:, 0], atol=1e-9, rtol=0)
    assert (many.a[:, 0] == a0).all() and (many.w[:, 0] == w0).all()
    rest = integrate_batch(Population(3), a0, w0, 0.0)
    assert (rest.a[:, 0] == a0).all() and (rest.drift < 1e-15).all()


def test_rotating_the_other_inputs_rotates_the_result():
    a0, w0, _ = starts("normal", 4)
    turn = np.eye(4)
    turn[1:, 1:] = np.linalg.qr(np.random.default_rng(2).normal(size=(3, 3)))[0]
    run, turned = integrate_batch(Population(4), a0, w0, TIMES), integrate_batch(Population(4), a0, w0 @ turn, TIMES)
    assert np.allclose(turned.w, run.w @ turn, atol=1e-9) and np.allclose(turned.a, run.a, atol=1e-9)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]  # input 1 is not like the others
    assert abs(integrate_batch(Population(4), a0, w0 @ turn, TIMES).a - run.a).max() > 0.1


def test_the_opposite_target_is_the_opposite_a_bit_for_bit():
    a0, w0, _ = starts("normal", 3)
    run, mirror = integrate_batch(Population(3), a0, w0, TIMES), integrate_batch(Population(3, -1.0), -a0, w0, TIMES)
    assert (mirror.a == -run.a).all() and (mirror.w == run.w).all() and (mirror.loss == run.loss).all()


def test_a_stiff_start_fails_by_its_status_and_leaves_the_others_alone():
    a0, w0 = [0.5, 0.5], [[-300.0, 200.0], [-0.3, 0.2]]
    run = integrate_batch(Population(2), a0, w0, [1e-4, 1e3])
    assert [STATUSES[code] for code in run.status] == ["failed", "finished"]
    assert np.isfinite(run.a[0, 0]) and np.isnan(run.a[0, 1]) and np.isnan(run.loss[0, 1]) and np.isfinite(run.drift[0])
    assert (run.a[1] == integrate_batch(Population(2), a0[1:], w0[1:], [1e-4, 1e3]).a[0]).all()


extreme = st.builds(lambda sign, x: sign * 10.0**x, st.sampled_from([-1, 1]), st.floats(-20, 20))


@settings(max_examples=25)
@given(arrays(float, (20, 3), elements=extreme, fill=st.nothing()), st.sampled_from([50.0, 1e6]))
def test_extreme_starts_give_a_status_and_never_a_false_result(drawn, horizon):
    run = integrate_batch(Population(2), drawn[:, 0], drawn[:, 1:], [0.0, 1.0, horizon])
    reached = run.status < 2
    assert np.isfinite(run.a[reached]).all() and np.isfinite(run.w[reached]).all() and (run.drift < 2e-12).all()
    codes = limits(drawn[:, 0], drawn[:, 1:])[2]
    assert (codes[reached & (run.loss[:, -1] < 1e-6)] == 1).all()
    assert (codes[run.status == 1] == 0).all()


def test_memory_is_the_result_and_a_constant():
    def beside_the_result(n):
        a0, w0, _ = starts("normal", 10, n)
        integrate_batch(Population(10), a0[:1], w0[:1], 1.0)  # compiled
        tracemalloc.start()
        run = integrate_batch(Population(10), a0, w0, [1e-3, 2e-3, 3e-3, 4e-3])
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        result = run.a.nbytes + run.w.nbytes + run.loss.nbytes
        assert result == 8 * n * 4 * (10 + 2)
        return peak - result

    one, two = beside_the_result(20_000), beside_the_result(40_000)
    assert two < 1.2 * one < 5e7


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "population"}, "unknown loss 'str': did you mean"),
        ({"a0": 1.0}, r"n starts need a0 of shape \(n,\) and w0 of shape \(n, 2\), got \(\) and \(2, 2\): use"),
        ({"w0": np.ones((2, 3))}, r"got \(2,\) and \(2, 3\)"),
        ({"w0": np.ones(2)}, r"got \(2,\) and \(2,\)"),
        ({"a0": [1.0, np.nan]}, "a0 must be finite, got nan"),
        ({"a0": [1.0, 1e151]}, r"\|a0\| must be at most 1e\+150"),
        ({"t": -1.0}, "t must be a horizon or increasing times, at least 0, got -1.0"),
        ({"t": [1.0, 1.0]}, "increasing times"),
        ({"t": []}, "increasing times"),
        ({"t": np.inf}, "t must be finite, got inf"),
        ({"t": "late"}, "t must be a number or an array of numbers, got 'late'"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"loss": Population(2), "a0": [1.0, 2.0], "w0": [[1.0, 2.0]] * 2, "t": 1.0, **change}
    with pytest.raises(ValueError, match=message):
        integrate_batch(**arguments)


def test_no_starts_are_no_trajectories():
    run = integrate_batch(Population(2), [], np.empty((0, 2)), [1.0, 2.0])
    assert run.a.shape == (0, 2) and run.w.shape == (0, 2, 2) and run.status.shape == (0,)
