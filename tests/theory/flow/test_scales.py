"""Scale does not matter: starts from 1e-12 to 1e8 in a and |w|, targets and data of any size.

Where an exact limit is known, no numerical verdict contradicts it; along a flow the loss never rises; and what differs
by powers of 4 in its scales is the same bit for bit.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import (
    Line,
    Population,
    Sample,
    closed_form,
    descend,
    hidden_loss,
    integrate_batch,
    learns,
    limits,
    time_to_learn,
    train_hidden,
    verdicts,
)
from theory.extensions.hidden_neurons import HIDDEN_STATUSES, LEARNED, STATIONARY, UNDECIDED
from theory.losses.samples import learned_within

pytestmark = pytest.mark.slow

AXIS = np.array([0.6, 0.8])


def log_uniform(rng, low, high, size=None):
    return 10.0 ** rng.uniform(np.log10(low), np.log10(high), size=size)


def starts(rng, n, d, low=1e-12, high=1e8):
    """Return a0 (n,), w0 (n, d): a third balanced, a third of comparable sizes, a third of sizes far apart."""
    r, sign = log_uniform(rng, low, high, n), rng.choice([-1.0, 1.0], size=n)
    w = rng.normal(size=(n, d))
    w *= (r / np.hypot.reduce(w, axis=1))[:, None]
    sizes = [np.hypot.reduce(w, axis=1), r * rng.uniform(0.2, 2, size=n), log_uniform(rng, low, high, n)]
    return sign * np.choose(np.arange(n) % 3, sizes), w


# --- several hidden neurons


def test_a_small_start_is_not_at_rest():
    for size in (1e-3, 1e-9, 1e-12, 1e-100):
        run = train_hidden([[size]], [[size * AXIS]])
        assert (run.status[0], learns(size, size * AXIS)) == (LEARNED, True) and run.time[0] > 0
    times = [train_hidden([[size]], [[size * AXIS]]).time[0] for size in (1e-8, 1e-9, 1e-10)]
    assert np.allclose(np.diff(times), 2 * np.log(10), rtol=0.2), "it grows at a rate of its own: about 1/2"


def test_a_start_with_a_below_zero_and_a_larger_w_learns_however_small():
    for size in (1.0, 1e-9, 1e-11):
        assert train_hidden([[-0.5 * size]], [[size * AXIS]]).status[0] == LEARNED
        assert train_hidden([[-1.5 * size]], [[size * AXIS]]).status[0] == STATIONARY


def test_a_small_neuron_beside_neurons_at_rest_or_large_ones_still_grows():
    for size in (1e-6, 1e-10, 1e-13):
        dead, small = [-1.0, 0.0], size * AXIS
        run = train_hidden([[-1.0, size]], [[dead, small]])
        assert run.status[0] == LEARNED and run.a[0, 1] > 0.5, "the first neuron is of no use"
        lone = train_hidden([[1.0, -size]], [[[0.0, 1.0], -size * AXIS]], [[[False, True], [True, True]]])
        assert lone.status[0] != STATIONARY, "at rest the first overshoots where the second can grow with a < 0"


def test_next_to_the_dying_ray_a_start_that_learns_in_the_end_is_not_called_stationary():
    late = train_hidden([[1.0]], [[[-1.0, 1e-5]]])
    assert late.status[0] == LEARNED and late.time[0] > 5e5 and learns(1.0, [-1.0, 1e-5])
    too_late = train_hidden([[1.0], [1e-3], [30.0]], [[[-1.0, 1e-7]]] * 3)
    assert too_late.status.tolist() == [UNDECIDED, UNDECIDED, LEARNED]


def test_what_cannot_grow_is_stationary_however_small():
    mask = [[[True, False]]]
    for size in (1.0, 1e-9):
        assert train_hidden([[size]], [[[-size, 0.0]]], mask).status[0] == STATIONARY, "w_1 < 0 alone"
        assert train_hidden([[-size]], [[[size, 0.0]]], mask).status[0] == STATIONARY, "balanced, d = 1"
        assert train_hidden([[-size]], [[size * AXIS]]).status[0] == STATIONARY, "balanced, d = 2"


def test_large_starts_give_numbers():
    big = [1e4, 1e8]
    for a, r in [(x, x) for x in big] + [(x, 1.0) for x in big]:
        for sign in (1, -1):
            run = train_hidden([[sign * a]], [[r * AXIS]])
            assert run.status[0] == (LEARNED if sign > 0 else STATIONARY), "the exact limits"
            assert np.isfinite([run.a[0, 0], *run.w[0, 0], run.loss[0], run.gradient_norm[0]]).all()
    stiff = train_hidden([[1.0]], [[1e8 * AXIS]])
    assert stiff.status[0] == UNDECIDED and np.isfinite([stiff.a[0, 0], stiff.loss[0]]).all()


def hidden_trials(rng, trials, k, d):
    """Return a0, w0 and a mask: sizes from 1e-12 to 30 drawn a neuron; balanced ones to 1e8, all of one size, after."""
    a, w = starts(rng, trials * k, d, 1e-12, 30.0)
    a, w = a.reshape(trials, k), w.reshape(trials, k, d)
    one = log_uniform(rng, 1e-12, 1e8, trials // 2)  # sizes far apart and large are stiff: some seconds a run
    w[: trials // 2] = one[:, None, None] * rng.normal(size=(trials // 2, k, d))
    a[: trials // 2] = np.sign(a[: trials // 2]) * np.hypot.reduce(w[: trials // 2], axis=-1)
    return a, w, rng.random((trials, k, d)) < np.where(rng.random((trials, 1, 1)) < 0.3, 0.6, 2)


@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 3), (2, 2), (3, 3)])
def test_along_the_flow_of_hidden_neurons_the_loss_never_rises(k, d):
    a0, w0, mask = hidden_trials(np.random.default_rng(10 * k + d), 6, k, d)
    before = start = hidden_loss(a0, w0 * mask)
    for horizon in (1e-7, 1e-4, 0.1, 1.0, 5.0, 20.0, 60.0, 1e6):
        run = train_hidden(a0, w0, mask, horizon=horizon)
        assert (run.loss <= before + 10 * 1e-9 * start).all()
        before = np.minimum(before, run.loss)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_one_hidden_neuron_never_contradicts_its_exact_limit(d):
    a0, w0 = starts(np.random.default_rng(d), 36, d, 1e-12, 1e8)
    run, exact = train_hidden(a0[:, None], w0[:, None]), learns(a0, w0)
    decided = run.status != UNDECIDED
    assert ((run.status == LEARNED) == exact)[decided].all()
    easy = np.maximum(abs(a0), np.hypot.reduce(w0, axis=1)) < 100
    assert easy.sum() > 15 and decided[easy].mean() > 0.9 and len(set(run.status[easy])) >= 2


# --- gradient descent


def curvature(loss, a0, w0):
    """Return a bound K of the largest curvature of the loss where descent may come, but for edges at w = 0.

    With q = a |w|, k the fits (the target), C the largest moment (1/2) and E = sqrt(2 L(start) / C): |q| <= |k| + E
    where L <= L(start). A step s changes c = a^2 - |w|^2 by s^2 ((dL/da)^2 - |dL/dw|^2), and steps that lower the loss
    by s |gradient|^2 / 2 or more do that by 2 s L(start) = s C E^2 in all, so that |c| <= |c(0)| + s C E^2 and M = a^2
    + |w|^2 <= hypot(that, 2 |q|). The curvature of C (q - k)^2 / 2 is at most K = C (3 M / 2 + |k|), and so is that of
    the population, but for that of -a K(w, e_1): this is at most 0 where a has the sign of the target, and without
    bound next to w = 0 where it has not. With K >= 3 C (|k| + E), s <= 1 / K makes s C E^2 <= E^2 / (3 (|k| + E)).
    """
    if isinstance(loss, Line):
        moment, fit = max(loss.c_plus, loss.c_minus), max(abs(loss.k_plus), abs(loss.k_minus))
    else:
        moment, fit = 0.5, abs(loss.target)
    reach, r = np.sqrt(2 * loss.loss(a0, w0) / moment), np.hypot.reduce(w0)
    balance = abs((abs(a0) - r) * (abs(a0) + r)) + reach**2 / (3 * (fit + reach))
    return moment * (1.5 * np.hypot(balance, 2 * (fit + reach)) + fit)


def ends_at_an_edge(run, loss):
    """Return which steps pass w = 0, or come as near as they are long, from a side that pushes towards it."""
    a, w = run.a, run.w
    moved = np.hypot.reduce(np.diff(w, axis=0), axis=1)
    r = np.hypot.reduce(w, axis=1)
    return (np.minimum(r[1:], r[:-1]) <= 2 * moved) & (a[:-1] * loss.required_sign_of_a <= 0)


LOSSES = [Line(), Line(1.3, 0.2, 0.7, -0.4), Line(0.2, 3.0, 2.0, -5.0), Line(c_minus=0.0), Population(1)]
LOSSES += [Population(2), Population(4), Population(3, target=-2.5), Population(2, target=40.0)]


@pytest.mark.parametrize("loss", LOSSES, ids=repr)
def test_below_a_step_of_one_over_the_curvature_descent_never_raises_the_loss_but_at_an_edge(loss):
    rng, steps, edges = np.random.default_rng(5), 0, 0
    n = 60 if loss.line(np.ones(loss.d)) else 12  # others run in Python
    a, w = starts(rng, n, loss.d, 1e-12, 1e8)
    fit = loss.c_plus * loss.k_plus if isinstance(loss, Line) else loss.target
    near = rng.normal(size=(n, 1 + loss.d)) * np.sqrt(abs(fit) + 1)  # these come to w = 0 most often
    for a0, w0 in [*zip(a, w, strict=True), *((row[0], row[1:]) for row in near)]:
        step = rng.uniform(0.1, 1) / curvature(loss, a0, w0)
        run = descend(loss, a0, w0, step, max_steps=300, learned=1e-12, at=range(300))
        rises, edge = np.diff(run.loss) > 1e-13 * run.loss[0], ends_at_an_edge(run, loss)
        assert not (rises & ~edge).any()
        steps, edges = steps + len(rises), edges + (rises & edge).sum()
        assert run.status != "diverged"
    assert steps > 1_000 and edges < steps / 100


def test_a_step_through_an_edge_raises_the_loss_by_what_it_overshoots_and_no_more():
    """At w = 0 with a < 0 both sides push towards it: no step is so small that the loss cannot rise there."""
    for step in (0.1, 1e-3, 1e-5):
        w = 1e-9 * step
        run = descend(Line(), -1.5, [w], step, max_steps=200, at=range(200))
        risen = run.loss - 0.25
        assert run.w[1, 0] < 0 < run.w[0, 0] and risen[1] > 0 and (np.diff(run.loss[1:]) <= 0).all()
        assert risen[1] == pytest.approx(0.25 * (1.5 * step * 0.5 * 1.5) ** 2, rel=1e-6)
    through = descend(Line(k_minus=-0.2), -1.5, [0.5], 0.01, max_steps=3000, at=range(3000))
    assert through.w[-1, 0] < 0 and (np.diff(through.loss) <= 0).all(), "where the other side pushes away, it goes on"


# --- scaling laws: x -> l x, y -> g y; powers of 4, so that every factor and its root are exact

POWERS = [4.0**n for n in (-9, -1, 1, 6)]
LINES = [(0.5, 0.5, 1.0, 0.0), (1.3, 0.2, 0.7, -0.4), (0.2, 3.0, -2.0, -5.0), (0.5, 0.0, 0.3, 0.0)]


def scaled(numbers, length, height):
    c_plus, c_minus, k_plus, k_minus = numbers
    return (length**2 * c_plus, length**2 * c_minus, k_plus * height / length, k_minus * height / length)


def same(one, other):
    return np.array_equal(one, other, equal_nan=True)


@pytest.mark.parametrize("numbers", LINES)
@pytest.mark.parametrize("length", POWERS)
@pytest.mark.parametrize("height", POWERS)
def test_one_input_in_other_units_is_the_same_bit_for_bit(numbers, length, height):
    a, w = starts(np.random.default_rng(0), 60, 1, 1e-6, 1e4)
    t, line, other = (
        log_uniform(np.random.default_rng(1), 1e-6, 1e4, 60),
        Line(*numbers),
        scaled(numbers, length, height),
    )
    size, clock = np.sqrt(height / length), 1 / (length * height)
    for one, two in zip(
        closed_form(a, w[:, 0], t, *numbers), closed_form(size * a, size * w[:, 0], clock * t, *other), strict=True
    ):
        assert same(size * one, two)
    for factor, one, two in zip(
        (size, size, 1), limits(a, w, line), limits(size * a, size * w, Line(*other)), strict=True
    ):
        assert same(factor * one, two)
    times = np.array([0.0, 0.3, 20.0, 1e3])
    one, two = integrate_batch(line, a, w, times), integrate_batch(Line(*other), size * a, size * w, clock * times)
    assert same(size * one.a, two.a) and same(size * one.w, two.w) and same(height**2 * one.loss, two.loss)
    assert same(one.status, two.status) and same(one.drift, two.drift)
    assert same(height**2 * line.loss(a, w), Line(*other).loss(size * a, size * w))
    for i in range(0, 60, 6):
        step = 0.3 / curvature(line, a[i], w[i])
        assert_same_descent(line, Line(*other), a[i], w[i], step, size, clock, height)


def assert_same_descent(loss, other, a, w, step, size, clock, height):
    one = descend(loss, a, w, step, max_steps=80, at=range(0, 80, 9))
    two = descend(other, size * a, size * w, clock * step, max_steps=80, at=range(0, 80, 9))
    assert (one.status, one.steps) == (two.status, two.steps)
    assert same(size * one.a, two.a) and same(size * one.w, two.w) and same(height**2 * one.loss, two.loss)


@pytest.mark.parametrize("target", [1.0, -1.0, 3.0])
@pytest.mark.parametrize("height", POWERS)
@pytest.mark.parametrize("slope", [0.0, 0.1])
def test_a_population_in_other_units_is_the_same_bit_for_bit(target, height, slope):
    loss, other = Population(3, target, slope), Population(3, target * height, slope)
    a, w = starts(np.random.default_rng(2), 60, 3, 1e-6, 1e2)
    size, clock, times = np.sqrt(height), 1 / height, np.array([0.0, 0.3, 20.0, 1e3])
    one, two = integrate_batch(loss, a, w, times), integrate_batch(other, size * a, size * w, clock * times)
    assert same(size * one.a, two.a) and same(size * one.w, two.w) and same(height**2 * one.loss, two.loss)
    assert same(one.status, two.status) and (one.status != 2).any()
    if slope == 0:
        results = limits(a, w, loss), limits(size * a, size * w, other)
        for factor, first, second in zip((size, size, 1), *results, strict=True):
            assert same(factor * first, second)
    for i in range(0, 60, 10):
        assert_same_descent(loss, other, a[i], w[i], 0.3 / curvature(loss, a[i], w[i]), size, clock, height)


def test_descent_on_a_sample_in_other_units_is_the_same_bit_for_bit():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(12, 3)), rng.normal(size=12)
    for length, height in ((4.0, 1.0), (1.0, 4.0**-6), (4.0**-5, 4.0**7)):
        size, clock = np.sqrt(height / length), 1 / (length * height)
        assert_same_descent(
            Sample(x, y), Sample(length * x, height * y), 0.7, np.array([0.3, -0.4, 0.2]), 0.01, size, clock, height
        )


def test_a_small_target_is_not_learned_before_the_first_step():
    for target in (1e-4, 1.0, 1e5):
        root = np.sqrt(target)
        far = descend(Population(2, target=target), 0.1 * root, root * AXIS, 0.5 / target, max_steps=10**4)
        assert far.status == "learned" and far.steps > 10
        assert far.loss[-1] < 1e-6 * target**2 < far.loss[0]
        line = descend(Line(k_plus=target), 0.1 * root, [root], 0.5 / target, max_steps=10**4)
        assert line.status == "learned" and line.steps > 5
    assert learned_within(Population(3), 1e-6) == learned_within(Line(), 1e-6) == 1e-6
    sample = Sample([[2.0], [-1.0]], [6.0, 0.0])
    assert learned_within(sample, 1e-6) == pytest.approx(1e-6 * 9.0), "a share of the loss at a = 0"


# --- many trajectories at once


@pytest.mark.parametrize("loss", [Population(2), Population(5, target=-3.0), Population(2, slope=0.1)], ids=repr)
def test_in_a_batch_the_loss_of_a_population_never_rises_and_no_status_contradicts_the_limits(loss):
    a, w = starts(np.random.default_rng(7), 150, loss.d)
    times = np.array([0.0, *10.0 ** np.linspace(-20, 5, 60)])
    run = integrate_batch(loss, a, w, times)
    ok, dead = run.status != 2, run.status == 1
    assert ok.sum() > 50 and np.isfinite(run.loss[ok]).all()
    loss_so_far = np.fmin.accumulate(run.loss, axis=1)[:, :-1]
    assert not (run.loss[:, 1:] > loss_so_far + 10 * 1e-10 * run.loss[:, :1]).any(), "rows of failed ones too"
    if loss.slope == 0:
        ends, how = limits(a, w, loss)[1], verdicts(a, w, loss)
        assert dead.any() and not ends[dead].any(), "dead only where the limit is w = 0"
        arrived = run.loss[:, -1] < learned_within(loss, 1e-6)
        assert arrived.any() and (how[arrived] == 1).all()
        assert not (ok & (how == 1) & (run.loss[:, -1] > loss.loss(0.0, w[0]) * (1 + 1e-9))).any()


def test_a_batch_follows_starts_down_to_1e_150():
    a, w = np.array([0.5, -0.5, -1.5, 1.0, -1.0]), np.tile([-0.6, 0.8], (5, 1))
    for size in (1.0, 1e-12, 1e-100, 1e-150):
        run = integrate_batch(Population(2), size * a, size * w, [5000.0])
        assert (run.status != 2).all() and np.allclose(run.loss[:, 0], [0, 0, 0.25, 0, 0.25], atol=1e-9)
        line = integrate_batch(Line(), size * a, size * abs(w[:, 0]), [5000.0])
        assert np.allclose(line.loss[:, 0], [0, 0, 0.25, 0, 0.25], atol=1e-9)


@settings(max_examples=60)
@given(
    a=st.floats(-12, 8).map(lambda x: 10**x),
    r=st.floats(-12, 8).map(lambda x: 10**x),
    angle=st.floats(0, np.pi),
    sign=st.sampled_from([1.0, -1.0]),
)
def test_a_batch_and_the_exact_limits_agree_on_who_dies(a, r, angle, sign):
    w = [r * np.cos(angle), r * np.sin(angle)]
    run = integrate_batch(Population(2), [sign * a], [w], [0.0, 1.0, 1e3])
    if run.status[0] == 1:
        assert not limits(sign * a, w)[1].any()
    rise = np.nan_to_num(np.diff(run.loss[0]), nan=0.0)
    assert (rise <= 10 * 1e-10 * run.loss[0, 0]).all()


# --- times


def test_the_time_to_learn_of_one_input_scales_with_its_moment():
    a, w = starts(np.random.default_rng(4), 90, 1, 1e-6, 1e4)
    one = time_to_learn(a, w[:, 0], 1e-6)
    for factor in POWERS:
        assert same(one / factor, time_to_learn(a, w[:, 0], factor * 1e-6, factor * 0.5))
    small = time_to_learn(*np.full((2, 3), [1e-4, 1e-8, 1e-12]))
    assert np.allclose(np.diff(small), 8 * np.log(10), rtol=1e-6), "a = w grows as exp(t / 2)"


def test_the_statuses_are_the_words_that_these_tests_mean():
    assert [HIDDEN_STATUSES[code] for code in (LEARNED, STATIONARY, UNDECIDED)] == [
        "learned",
        "stationary",
        "undecided",
    ]
