"""Finite samples in compiled loops: `integrate_batch` and `settle_samples` against `integrate`, scipy, and d = 1."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from theory import Line, Masked, Sample, closed_form, integrate, integrate_batch, settle_samples
from theory.flow.batch import STATUSES

pytestmark = pytest.mark.slow


def trials(rng, k, n, d, noise):
    """Return x (k, n, d), y (k, n), a0 (k,), w0 (k, d), every second start balanced."""
    x = rng.normal(size=(k, n, d))
    y = np.maximum(x[..., 0], 0) + noise * rng.normal(size=(k, n))
    w0, a0 = rng.normal(size=(k, d)) / np.sqrt(d), rng.normal(size=k)
    a0[::2] = np.copysign(np.linalg.norm(w0[::2], axis=1), a0[::2])
    return x, y, a0, w0


@pytest.mark.parametrize(("n", "d", "noise", "slope"), [(30, 5, 0.0, 0.0), (20, 3, 0.3, 0.0), (20, 3, 0.3, 0.2)])
def test_kinks_and_slides_equal_the_run_that_lands_on_each(n, d, noise, slope):
    x, y, a0, w0 = trials(np.random.default_rng(n + d), 4, n, d, noise)
    times, kinks = np.array([0.5, 3.0, 12.0]), 0
    for i in range(4):
        sample = Sample(x[i], y[i], slope)
        run = integrate_batch(sample, a0[i : i + 1], w0[i : i + 1], times)
        exact = integrate(sample, a0[i], w0[i], times, rtol=1e-10, atol=1e-13)
        rows, kinks = len(exact.t) - (exact.status != "finished"), kinks + len(exact.events)
        assert rows > 0 and np.allclose(run.a[0, :rows], exact.a[:rows], atol=2e-8, rtol=0)
        assert np.allclose(run.w[0, :rows], exact.w[:rows], atol=2e-8, rtol=0) and run.drift[0] < 1e-14
    assert kinks > 10


def test_a_smooth_stretch_equals_scipy_on_the_gradient():
    x, y, a0, w0 = trials(np.random.default_rng(3), 6, 40, 4, 0.5)
    for i in range(6):
        sample, times = Sample(x[i], y[i]), np.linspace(0.005, 0.02, 4)

        def velocity(_, state, sample=sample):
            da, dw = sample.gradient(state[0], state[1:])
            return -np.array([da, *dw])

        exact = solve_ivp(velocity, (0, 0.02), [a0[i], *w0[i]], "DOP853", t_eval=times, rtol=1e-12, atol=1e-14).y.T
        if ((exact[:, 1:] @ x[i].T > 0) == (w0[i] @ x[i].T > 0)).all():
            run = integrate_batch(sample, a0[i : i + 1], w0[i : i + 1], times)
            assert np.allclose(run.a[0], exact[:, 0], atol=1e-11) and np.allclose(run.w[0], exact[:, 1:], atol=1e-11)
            break
    else:
        raise AssertionError("no stretch without a kink")


def test_one_input_is_the_line_of_the_sample():
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(9, 1)), rng.normal(size=9)
    a0, w0 = rng.normal(size=(2, 50))
    run = integrate_batch(Sample(x, y), a0, w0, [0.5, 5.0])
    exact = closed_form(a0[:, None], w0[:, None], [0.5, 5.0], *Sample(x, y).line(np.ones(1)).numbers)
    assert (run.a == exact[0]).all() and (run.w[..., 0] == exact[1]).all()


def test_one_input_left_by_a_mask_goes_through_w_0_where_the_other_side_carries_it_on():
    rng, through = np.random.default_rng(5), 0
    x, y, a0, w0 = trials(rng, 200, 8, 3, 0.7)
    mask = np.eye(3)[rng.integers(0, 3, 200)]
    a, w, _ = settle_samples(x, y, a0, w0, 5.0, mask)
    for i in range(200):
        kept = mask[i] == 1
        line = Masked(Sample(x[i], y[i]), mask[i]).survivors.line(np.ones(1))
        exact = closed_form(a0[i], w0[i, kept], 5.0, *line.numbers)
        assert abs(a[i] - exact[0]) < 1e-7 and abs(w[i, kept] - exact[1]) < 1e-7 and (w[i, ~kept] == 0).all()
        through += float(w[i, kept][0] * w0[i, kept][0]) < 0
    assert through > 10
    assert isinstance(line, Line)


def test_a_minimum_on_a_kink_is_settled_although_the_gradient_does_not_vanish_there():
    x, y, a0, w0 = trials(np.random.default_rng(6), 20, 30, 3, 1.0)
    a, w, gradient = settle_samples(x, y, abs(a0), w0, 1e4)
    assert (gradient < 1e-7).sum() > 15
    plain = []
    for i in np.flatnonzero(gradient < 1e-7):
        da, dw = Sample(x[i], y[i]).gradient(a[i], w[i])
        on_kink = (abs(x[i] @ w[i]) < 1e-8 * np.linalg.norm(w[i]) * np.linalg.norm(x[i], axis=1)).any()
        plain.append(np.hypot(da, np.linalg.norm(dw)))
        assert on_kink or plain[-1] < 1e-7
    assert max(plain) > 1e-3  # some lie on a kink


def test_settled_flows_lie_lower_and_keep_their_balance():
    x, y, a0, w0 = trials(np.random.default_rng(8), 40, 60, 5, 0.2)
    a, w, gradient = settle_samples(x, y, a0, w0, 2000.0)
    assert np.isfinite(a).all() and np.isfinite(gradient).all()
    c0, c = a0**2 - (w0**2).sum(axis=1), a**2 - (w**2).sum(axis=1)
    assert np.allclose(c, c0, atol=1e-12)
    for i in range(40):
        sample = Sample(x[i], y[i])
        assert sample.loss(a[i], w[i]) < sample.loss(a0[i], w0[i])
    assert (a[::2] * a0[::2] >= 0).all() and (a[1::2] * a0[1::2] < 0).any()  # a changes sign in unbalanced flows only


def test_a_trial_depends_on_its_own_sample_only():
    x, y, a0, w0 = trials(np.random.default_rng(9), 30, 20, 3, 0.4)
    together = settle_samples(x, y, a0, w0, 300.0)
    for i in (0, 11, 29):
        alone = settle_samples(x[i : i + 1], y[i : i + 1], a0[i : i + 1], w0[i : i + 1], 300.0)
        shared = integrate_batch(Sample(x[i], y[i]), a0[i : i + 1], w0[i : i + 1], 300.0)
        assert all((part[0] == parts[i]).all() for part, parts in zip(alone, together, strict=True))
        assert np.allclose(shared.w[0, 0], together[1][i], atol=1e-6)


def test_masks_are_kept_and_equal_the_masked_loss():
    rng = np.random.default_rng(10)
    x, y, a0, w0 = trials(rng, 10, 25, 4, 0.3)
    masks = np.array([1, 0, 1, 1]) * np.ones((10, 1))
    a, w, _ = settle_samples(x, y, a0, w0, 4.0, masks)
    assert (w[:, 1] == 0).all()
    for i in range(10):
        run = integrate_batch(Masked(Sample(x[i], y[i]), masks[i]), a0[i : i + 1], w0[i : i + 1], 4.0)
        assert np.allclose(run.a[0, 0], a[i], atol=1e-8) and np.allclose(run.w[0, 0], w[i], atol=1e-8)


def test_a_neuron_without_active_points_rests_and_one_that_dies_keeps_its_direction():
    one_side = Sample([[1.0, 0.2], [0.8, -0.1]], [1.0, 0.5])
    run = integrate_batch(one_side, [0.7, 1.5], [[-1.0, 0.0], [0.0, 0.0]], [1.0, 50.0])
    assert (
        (run.a == [[0.7], [1.5]]).all() and (run.w == [[[-1.0, 0.0]], [[0.0, 0.0]]]).all() and (run.status == 0).all()
    )
    all_round = Sample([[1.0, 0.0], [-0.5, 0.9], [-0.5, -0.9]], [1.0, 1.0, 1.0])
    run = integrate_batch(all_round, [-2.0, 2.0], [[0.5, 0.1]] * 2, [1.0, 50.0])
    assert [STATUSES[code] for code in run.status] == ["dead", "finished"]
    size = np.linalg.norm(run.w[0, 1])  # next to nothing, and its last direction, from which a mask can be read
    along = np.array([0.9, 0.5]) / np.hypot(0.9, 0.5)  # the kink of the second point, which held w as it died
    assert 0 < size < 1e-8 and np.allclose(run.w[0, 1] / size, along) and np.isclose(run.a[0, 1], -np.sqrt(4 - 0.26))
    assert run.w[1, 1, 0] > 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": np.ones((2, 4))}, r"trials need x \(trials, n, d\), y \(trials, n\), a0 \(trials,\), got \(2, 4\)"),
        ({"y": np.ones((2, 5))}, r"got \(2, 4, 3\), \(2, 5\), \(2,\): repeat a sample"),
        ({"a0": [1.0]}, r"got \(2, 4, 3\), \(2, 4\), \(1,\)"),
        ({"w0": np.ones((2, 2))}, r"w0 must have shape \(2, 3\), got \(2, 2\): pass one row for each trial"),
        ({"w0": np.full((2, 3), np.nan)}, "w0 must be finite, got nan"),
        ({"a0": [1.0, 1e151]}, r"\|a0\| must be at most 1e\+150"),
        ({"horizon": 0.0}, "horizon must be above 0, got 0.0"),
        ({"horizon": np.inf}, "horizon must be one finite number, got inf"),
        ({"tolerance": -1.0}, "tolerance must be above 0, got -1.0"),
        ({"masks": [1, 0, 1]}, r"masks must be of 0 and 1, shape \(2, 3\), got \(3,\): pass one row for each trial"),
        ({"masks": np.full((2, 3), 2)}, "masks must be of 0 and 1"),
    ],
)
def test_bad_input_is_refused(change, message):
    arguments = {"x": np.ones((2, 4, 3)), "y": np.ones((2, 4)), "a0": [1.0, 1.0], "w0": np.ones((2, 3)), "horizon": 1.0}
    with pytest.raises(ValueError, match=message):
        settle_samples(**{**arguments, **change})
