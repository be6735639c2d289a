"""Samples of every scale: no threshold without one, and powers of 4 change no bit."""

import numpy as np
import pytest

import theory
from theory.flow.batch import SAMPLE_RTOL, STATUSES
from theory.flow.integrate import METHODS

pytestmark = pytest.mark.slow


def scaled(rng, exponents):
    """A noisy sample, a start, and times, with 10^exponents the sizes of a0, |w0|, x and y."""
    a, w, across, height = 10.0 ** np.asarray(exponents)
    d, n = int(rng.integers(2, 5)), int(rng.integers(4, 20))
    x = rng.normal(size=(n, d))
    y = np.maximum(x[:, 0], 0) + 0.3 * rng.normal(size=n)
    w0 = rng.normal(size=d)
    times = np.array([0.0, 1e-3, 0.1, 1.0, 10.0, 100.0]) / (across * height)
    return theory.Sample(x * across, y * height), rng.choice([-1, 1]) * a, w0 * w / np.hypot.reduce(w0), times


@pytest.mark.parametrize("seed", range(36))
def test_the_loss_never_rises_at_any_scale_and_both_ways_agree(seed):
    """From seed 24 on, w is far larger than a, and the times are those of a, which settles for that w: a stiff flow."""
    rng = np.random.default_rng([seed, 1])
    exponents = rng.uniform(-12, 8, size=4)
    if seed % 3 == 0:
        exponents[2:] = 0
    if seed >= 24:
        exponents[:2] = rng.uniform([-12, 3], [-2, 8])
    loss, a0, w0, times = scaled(rng, exponents)
    options = {}
    if seed >= 24:
        times = np.array([0, 1, 10, 30, 100, 200, 300]) / (w0 @ w0 * (loss.x**2).mean())
        options = {"method": "Radau"}
    batch = theory.integrate_batch(loss, [a0], [w0], times)
    run = theory.integrate(loss, a0, w0, times, max_evaluations=10_000, **options)
    seen = batch.loss[0][np.isfinite(batch.loss[0])]
    for found in (seen, run.loss):
        assert (np.diff(found) <= 1e-8 * found[0]).all()
    status = STATUSES[batch.status[0]]
    assert run.status == status or run.status == "failed"
    if run.status == status == "finished":
        assert np.allclose(run.loss, seen, rtol=0, atol=1e-6 * seen[0])
    if seed >= 24:
        assert status == "finished"  # the other way may run out of evaluations
    elif "failed" in (status, run.status):  # a true reason: fast beside slow
        fast = max(abs(a0), np.hypot.reduce(w0)) ** 2 * (loss.x**2).mean() * times[-1]
        assert fast > 1e3


@pytest.mark.parametrize("seed", range(40))
def test_in_a_batch_the_loss_never_rises_however_much_larger_w_is_than_a(seed):
    """On the clocks of both: of the data, and of |(a, w)|, on which a settles for the w that it finds."""
    rng = np.random.default_rng([seed, 5])
    for _ in range(5):
        exponents = rng.uniform(-12, 8, size=4)
        if seed % 2:
            exponents[:2] = np.sort(exponents[:2])
        if seed % 3 == 0:
            exponents[2:] = 0
        loss, a0, w0, times = scaled(rng, exponents)
        fast = 1 / (max(abs(a0), np.hypot.reduce(w0)) ** 2 * (loss.x**2).mean())
        shares = np.array([0, 1e-6, 1e-3, 0.01, 0.03, 0.1, 0.2, 0.35, 0.5, 0.7, 1])
        for horizon in (times[-1], times[3], fast, 30 * fast, 300 * fast, 1000 * fast):
            batch = theory.integrate_batch(loss, [a0], [w0], horizon * shares)
            seen = batch.loss[0][np.isfinite(batch.loss[0])]
            assert (np.diff(seen) <= 10 * SAMPLE_RTOL * seen[0]).all()


@pytest.mark.parametrize("seed", range(30))
def test_in_a_batch_a_has_its_own_digits_next_to_a_far_larger_w(seed):
    """While w stays where it is, a obeys a' = pull - square a."""
    rng = np.random.default_rng([seed, 6])
    loss, _, w0, _ = scaled(rng, [0, 0, *rng.uniform(-12, 8, size=2)])
    z = np.maximum(loss.x @ w0, 0)
    if not z.any():
        w0, z = -w0, np.maximum(-loss.x @ w0, 0)
    fit = np.sqrt((loss.y**2).mean() / (z**2).mean())  # of a |w|
    length = np.sqrt(fit * 10 ** rng.uniform(6, 16))
    w0, pull, square = w0 * length, (loss.y * z).mean() * length, (z**2).mean() * length**2
    a0 = rng.choice([-1, 1]) * fit / length * 10 ** rng.uniform(-6, 1)
    times = np.array([0.1, 1, 3, 10, 20, 50, 100, 200, 500]) / square
    batch = theory.integrate_batch(loss, [a0], [w0], times)
    exact = pull / square + (a0 - pull / square) * np.exp(-square * times)
    assert np.allclose(batch.w[0], w0, rtol=1e-8, atol=1e-8 * length) and batch.status[0] == 0
    assert (abs(batch.a[0] - exact) <= 1e-6 * fit / length).all()


def test_a_settles_for_the_fit_of_a_w_that_is_8_digits_larger():
    size = 1e8
    times = np.array([2, 10, 20, 40, 80, 200, 400.0]) / size**2
    loss = theory.Sample([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0])
    batch = theory.integrate_batch(loss, [1.0], [[0.6 * size, 0.8 * size]], times)
    fit = 0.6 / size
    exact = fit + (1 - fit) * np.exp(-(size**2) * times / 2)
    assert np.allclose(batch.a[0], exact, rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("seed", range(5))
def test_powers_of_4_give_equal_bits(method, seed):
    rng = np.random.default_rng([seed, 2])
    loss, a0, w0, _ = scaled(rng, [0, 0, 0, 0])
    across, height = 4.0 ** rng.integers(-15, 15), 4.0 ** rng.integers(-15, 15)
    size, times = np.sqrt(height / across), np.array([0.5, 3.0, 20.0])
    other = theory.Sample(loss.x * across, loss.y * height)
    one = theory.integrate(loss, a0, w0, times, method=method)
    two = theory.integrate(other, a0 * size, w0 * size, times / (across * height), method=method, atol=1e-12 * size)
    assert np.array_equal(one.a * size, two.a) and np.array_equal(one.w * size, two.w)
    assert np.array_equal(one.loss * height**2, two.loss) and (one.status, one.verdict) == (two.status, two.verdict)
    assert [t for _, t in one.events] == [t * across * height for _, t in two.events]
    if method == "DOP853":
        batches = [
            theory.integrate_batch(loss, [a0], [w0], times),
            theory.integrate_batch(other, [a0 * size], [w0 * size], times / (across * height)),
        ]
        assert np.array_equal(batches[0].a * size, batches[1].a) and np.array_equal(batches[0].w * size, batches[1].w)


@pytest.mark.parametrize("seed", range(60))
def test_powers_of_4_give_equal_bits_of_batches_as_far_as_floats_reach(seed):
    rng = np.random.default_rng([seed, 7])
    loss, a0, w0, _ = scaled(rng, [*rng.uniform(-1.5, 1.5, size=2), 0, 0])
    x, y, times = loss.x, loss.y * (seed % 5 > 0), np.array([0.5, 3.0, 20.0])
    if seed % 4 == 3:
        x, w0 = x[:, :1], w0[:1]
    height, across = rng.integers(-240, 240, size=2)  # 1e-144 to 1e144
    size, clock = 2.0 ** (height - across), 4.0 ** (height + across)
    one = theory.integrate_batch(theory.Sample(x, y), [a0], [w0], times)
    scales = 4.0**across, 4.0**height
    two = theory.integrate_batch(theory.Sample(x * scales[0], y * scales[1]), [a0 * size], [w0 * size], times / clock)
    assert one.status == two.status and np.isfinite(one.a).all()
    assert np.array_equal(one.a * size, two.a) and np.array_equal(one.w * size, two.w)
    square = np.ldexp(one.loss, 4 * height)
    floats = (one.loss > 1e-290) & (square > 1e-290)  # the loss of a neuron that decays underflows in either
    assert np.array_equal(square[floats], two.loss[floats])
    if w0.size > 1 and abs(3 * height + across) < 500:
        one = theory.settle_samples([x], [y], [a0], [w0], 20.0)
        two = theory.settle_samples([x * scales[0]], [y * scales[1]], [a0 * size], [w0 * size], 20.0 / clock)
        assert np.array_equal(one[0] * size, two[0]) and np.array_equal(one[1] * size, two[1])
        assert np.array_equal(np.ldexp(one[2], 3 * height + across), two[2])


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize(
    ("x", "y", "a0", "w0", "t"),
    [
        (1.0, 1.0, 1e-200, 2e-200, 5.0),  # a |w| underflows
        (1.0, 1e-200, 0.5, 1e100, 5.0),  # squares overflow in units of the data
        (1e-200, 1e200, 0.5, 0.5, 5.0),  # and underflow
        (1e150, 1e150, 0.5, 0.5, 1e100),  # the time is no float on the clock of the data
        (1e-150, 1e-150, 0.5, 0.5, 1e-100),
    ],
)
def test_a_batch_says_where_the_floats_end(d, x, y, a0, w0, t):
    x = np.array([[1.0, 0.5], [-0.3, 2.0], [0.7, -1.0]])[:, :d] * x
    run = theory.integrate_batch(theory.Sample(x, np.array([1.0, 0.5, 0.0]) * y), [a0, a0], [[w0] * d, [0.0] * d], [t])
    assert STATUSES[run.status[0]] == "failed" and np.isnan(run.a[0]).all() and np.isnan(run.w[0]).all()
    assert STATUSES[run.status[1]] == "finished" and run.a[1] == a0 and not run.w[1].any()


@pytest.mark.parametrize("seed", range(4))
def test_powers_of_4_give_equal_bits_of_lines_and_populations(seed):
    rng = np.random.default_rng([seed, 3])
    height, across, times = 4.0 ** rng.integers(-15, 15), 4.0 ** rng.integers(-8, 8), np.array([0.5, 3.0, 20.0])
    a0, w0 = rng.normal(), rng.normal(size=3)
    size = np.sqrt(height)
    one = theory.integrate(theory.Population(3), a0, w0, times)
    two = theory.integrate(theory.Population(3, target=height), a0 * size, w0 * size, times / height, atol=1e-12 * size)
    assert np.array_equal(one.a * size, two.a) and np.array_equal(one.w * size, two.w) and one.verdict == two.verdict
    c, k, size = rng.random(2), rng.normal(size=2), np.sqrt(height / across)
    one = theory.integrate(theory.Line(*c, *k), a0, w0[:1], times)
    two = theory.integrate(
        theory.Line(*(c * across**2), *(k * height / across)),
        a0 * size,
        w0[:1] * size,
        times / (across * height),
        atol=1e-12 * size,
    )
    assert np.array_equal(one.a * size, two.a) and np.array_equal(one.w * size, two.w) and one.verdict == two.verdict


@pytest.mark.parametrize("seed", range(60))
def test_a_verdict_is_the_exact_one_or_undecided_at_any_scale(seed):
    rng = np.random.default_rng([seed, 4])
    d, (low, high) = int(rng.integers(1, 4)), [(-12, 8), (-2, 2), (-300, 3)][seed % 3]
    a0 = rng.choice([-1, 0, 1], p=[0.4, 0.1, 0.5]) * 10 ** rng.uniform(low, high)
    w0 = rng.choice([-1, 1], size=d) * 10 ** rng.uniform(low, high, size=d)
    population = theory.Population(d, target=float(rng.choice([1, -1, 1e-6, 1e5])))
    loss = population if d > 1 or seed % 2 else theory.Line(*rng.random(2), *rng.normal(size=2))
    options = {"method": str(rng.choice(["DOP853", "LSODA", "Radau"])), "rtol": float(rng.choice([1e-3, 1e-6, 1e-9]))}
    run = theory.integrate(loss, a0, w0, 80.0, max_evaluations=2000, **options)
    assert run.verdict in ("undecided", theory.limit(a0, w0, loss).verdict)
    assert len(run.loss) < 2 or (np.diff(run.loss) <= 10 * options["rtol"] * run.loss[0] + 1e-300).all()


def test_a_weight_across_that_the_solver_cannot_see_gives_no_failure():
    run = theory.integrate(theory.Population(2), 0.0, [-1.0, 3.4e-108], 80.0)
    assert run.verdict in ("learns", "undecided") and theory.limit(0.0, [-1.0, 3.4e-108]).verdict == "learns"
