"""One interface, many losses: gradients, reductions, masks, other targets, leaky units."""

from functools import cache, partial

import numpy as np
import pytest
import sympy as sp

from theory.exact.closed_form import closed_form
from theory.exact.limits import limit, limits
from theory.flow.integrate import METHODS, integrate
from theory.losses.formulas import population_gradient, population_loss
from theory.losses.losses import Independent, Line, Population
from theory.losses.samples import Masked, Sample

pytestmark = pytest.mark.slow


def sample(n=30, d=3, noise=0.0, seed=0, slope=0.0, target=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    clean = target * np.where(x[:, 0] > 0, x[:, 0], slope * x[:, 0])
    return Sample(x, clean + noise * rng.normal(size=n), slope)


LOSSES = {
    "population": Population(4),
    "population, one input": Population(1),
    "target -relu": Population(3, target=-1.0),
    "twice the target": Population(3, target=2.0),
    "leaky": Population(3, slope=0.2),
    "leaky, target -phi": Population(3, target=-1.0, slope=0.2),
    "line": Line(0.3, 0.8),
    "line, noisy": Line(0.3, 0.8, 1.2, -0.4),
    "leaky line": Line.leaky(0.3, 0.4, 0.7),
    "independent": Independent(3),
    "sample": sample(),
    "sample, noisy": sample(noise=0.5),
    "sample, leaky": sample(slope=0.3),
    "sample, one input": sample(d=1, noise=0.5),
    "masked": Masked(Population(4), [1, 0, 1, 1]),
    "masked, without input 1": Masked(Population(4), [0, 1, 1, 0]),
    "masked sample": Masked(sample(d=4), [1, 0, 0, 1]),
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_agree_with_finite_differences_to_1e_minus_7(name):
    loss, rng, h = LOSSES[name], np.random.default_rng(1), 1e-6
    a, w = rng.normal(size=40), rng.normal(size=(40, loss.d))
    da, dw = loss.gradient(a, w)
    assert da.shape == (40,) and dw.shape == w.shape
    assert np.allclose((loss.loss(a + h, w) - loss.loss(a - h, w)) / (2 * h), da, atol=1e-7)
    slopes = [(loss.loss(a, w + h * e) - loss.loss(a, w - h * e)) / (2 * h) for e in np.eye(loss.d)]
    smooth = np.ones(40, bool)
    if isinstance(loss, Sample):  # a difference across a kink is no gradient
        smooth = (abs(w @ loss.x.T) > 10 * h * abs(loss.x).max()).all(axis=1)
    assert smooth.sum() > 30
    assert np.allclose(np.stack(slopes, axis=-1)[smooth], dw[smooth], atol=1e-7)


@pytest.mark.parametrize("name", LOSSES)
def test_a_times_its_slope_is_w_times_its_own(name):
    loss, rng = LOSSES[name], np.random.default_rng(2)
    a, w = rng.normal(size=20), rng.normal(size=(20, loss.d))
    da, dw = loss.gradient(a, w)
    assert np.allclose(a * da, (w * dw).sum(axis=-1), atol=1e-12)  # so a^2 - |w|^2 is conserved


def test_gradients_agree_with_sympy():
    a, u, v = sp.symbols("a u v", real=True)
    r, theta = sp.sqrt(u**2 + v**2), sp.atan2(v, u)
    g = sp.sin(theta) + (sp.pi - theta) * sp.cos(theta)
    point = {a: 0.7, u: -0.4, v: 0.9}
    for slope, target in ((0, 1), (0, -1), (sp.Rational(1, 5), 2)):
        phi2 = (1 + slope**2) / sp.Integer(4)
        correlation = (1 - slope) ** 2 * r * g / (2 * sp.pi) + slope * u
        expression = phi2 * a**2 * r**2 - a * target * correlation + phi2 * target**2
        loss = Population(2, target=float(target), slope=float(slope))
        da, dw = loss.gradient(0.7, [-0.4, 0.9])
        got = (loss.loss(0.7, [-0.4, 0.9]), da, *dw)
        want = (expression, *(sp.diff(expression, x) for x in (a, u, v)))
        assert np.allclose(got, [float(part.subs(point)) for part in want], atol=1e-12)


@pytest.mark.parametrize("slope", [0.0, 0.3])
@pytest.mark.parametrize("target", [1.0, -1.0])
def test_the_population_is_the_mean_of_large_samples(slope, target):
    big, population = sample(400_000, 2, seed=3, slope=slope, target=target), Population(2, target, slope)
    for a, w in ((0.8, [0.5, 0.7]), (-0.6, [-1.0, 0.3])):
        assert np.isclose(big.loss(a, w), population.loss(a, w), atol=5e-3)
        assert np.allclose(big.gradient(a, w)[1], population.gradient(a, w)[1], atol=1e-2)
    assert not np.isclose(big.loss(0.8, [0.5, 0.7]), Population(2, -target, slope).loss(0.8, [0.5, 0.7]), atol=5e-2)


def test_a_target_is_a_change_of_scale_and_sign_of_a():
    a, w = np.array([0.4, -1.2]), np.array([[0.3, -0.2], [1.0, 2.0]])
    assert np.allclose(Population(2, target=-2.0).loss(a, w), 4 * population_loss(-a / 2, w))
    assert np.allclose(Population(2).gradient(a, w)[1], population_gradient(a, w)[1])


def test_a_leaky_line_is_the_leaky_population_of_one_input():
    loss, line = Population(1, target=1.5, slope=0.25), Line.leaky(0.25, target=1.5)
    a, w = np.array([0.4, -1.2, 0.9]), np.array([[0.3], [-0.7], [-0.2]])
    for one, other in zip(loss.gradient(a, w), line.gradient(a, w), strict=True):
        assert np.allclose(one, other)
    assert np.allclose(np.diff(loss.loss(a, w)), np.diff(line.loss(a, w)))  # equal up to a constant


# --- one input: a sample is a line of its own


@pytest.mark.parametrize("noise", [0.0, 0.7])
@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_a_sample_of_one_input_is_the_line_of_its_own_moments(noise, slope):
    loss = sample(25, 1, noise, seed=4, slope=slope)
    line = loss.line(np.ones(1))
    a, w = np.array([0.4, -1.2, 0.9, -0.3]), np.array([[0.3], [-0.7], [-0.2], [1.1]])
    for one, other in zip(loss.gradient(a, w), line.gradient(a, w), strict=True):
        assert np.allclose(one, other, atol=1e-14)
    assert np.allclose(np.diff(loss.loss(a, w)), np.diff(line.loss(a, w)), atol=1e-14)
    if not noise and not slope:
        x = loss.x[:, 0]
        assert np.allclose(line.numbers, (np.mean(x**2 * (x > 0)), np.mean(x**2 * (x < 0)), 1, 0))


@pytest.mark.parametrize("method", METHODS)
def test_a_balanced_negative_a_never_learns_a_sample_at_any_horizon(method):
    loss = sample(25, 1, seed=4)
    for horizon in (60.0, 1e4):
        run = integrate(loss, -0.8, 0.8, horizon, method=method)
        assert run.verdict != "learns" and (run.a <= 0).all() and run.loss[-1] > 0.9 * loss.loss(0.0, [1.0])
    assert limit(-0.8, 0.8, loss).verdict == "separatrix"
    line = loss.line(np.ones(1))
    assert abs(closed_form(-0.8, 0.8, 1e6, *line.numbers)[0]) < 1e-100
    assert integrate(loss, -0.7, 0.8, 400.0, method=method).verdict == "learns"  # unbalanced, it does


SIDES = [
    (Line(0.5, 0.3, 1.3, 0.4), -1.0, 0.5, "rests on the kink"),
    (Line(0.5, 0.3, 1.3, -0.4), -1.0, 0.5, "goes through it to w < 0"),
    (Line(0.5, 0.3, 1.3, -0.4), 1.0, -0.5, "goes through it to w > 0, and learns"),
    (Line(0.5, 0.3, 1.3, 0.4), 1.0, -0.5, "fits w < 0"),
    (Line(0.5, 0.3, -1.3, -0.4), -0.2, 0.5, "the target -relu"),
    (Line(0.7, 0.2, 0.6, 0.0), 0.4, -0.9, "decays"),
    (Line(0.0, 0.2, 0.6, 0.1), 0.4, 0.9, "no data on w > 0: nothing moves"),
    (Line.leaky(0.3), -1.0, 0.5, "leaky"),
]


@pytest.mark.parametrize(("line", "a0", "w0", "story"), SIDES, ids=[s for *_, s in SIDES])
def test_every_side_of_a_line_is_solved_exactly(line, a0, w0, story):
    times = np.array([0.1, 0.5, 1.0, 2.0, 5.0, 40.0])
    run = integrate(line, a0, w0, times, rtol=1e-11, atol=1e-13)
    a, w = closed_form(a0, w0, times, *line.numbers)
    assert np.allclose(run.a, a, atol=1e-8) and np.allclose(run.w[:, 0], w, atol=1e-8)
    end = limit(a0, w0, line)
    late = closed_form(a0, w0, 1e9, *line.numbers)
    assert np.allclose(late, (end.a, end.w), atol=1e-4)
    learned = w0 * end.w >= 0 or story.endswith("learns")
    assert (end.verdict == "learns") == (end.w > 0 and np.isclose(end.a * end.w, line.k_plus) and learned)
    assert run.verdict in (end.verdict, "undecided")


def test_noise_can_open_a_way_through_the_kink_that_clean_data_close():
    assert limit(1.0, -0.5, Line(0.5, 0.5, 1.0, -0.2)).verdict == "learns"
    assert limit(1.0, -0.5, Line(0.5, 0.5, 1.0, 0.0)).verdict == "fails"


# --- other targets and masks


def test_the_target_minus_relu_swaps_the_sign_of_a_in_every_verdict():
    rng = np.random.default_rng(5)
    a0, w0 = rng.normal(size=500), rng.normal(size=(500, 3))
    a, w, codes = limits(a0, w0, Population(3, target=-1.0))
    mirrored = limits(-a0, w0)
    assert (codes == mirrored[2]).all() and np.allclose(a, -mirrored[0]) and np.allclose(w, mirrored[1])
    assert 0.05 < (codes != limits(a0, w0)[2]).mean()


def test_the_limit_of_a_larger_target_is_where_the_run_ends():
    loss = Population(3, target=-2.0)
    for a0, w0 in ((-0.4, [-0.2, 0.5, 0.1]), (0.3, [0.6, 0.5, 0.1])):
        end, run = limit(a0, w0, loss), integrate(loss, a0, w0, 200.0)
        assert end.verdict == run.verdict == "learns"
        assert np.isclose(run.a[-1], end.a, atol=1e-3) and np.allclose(run.w[-1], end.w, atol=1e-3)
        assert np.isclose(end.a * end.w[0], -2.0)


def test_a_mask_of_the_population_is_a_smaller_population():
    loss = Masked(Population(4), [1, 0, 1, 1])
    a0, w0 = 0.7, np.array([-0.3, 9.0, 0.4, 0.2])
    run, small = integrate(loss, a0, w0, 80.0), integrate(Population(3), a0, w0[[0, 2, 3]], 80.0)
    assert (run.w[:, 1] == 0).all() and (run.w[:, [0, 2, 3]] == small.w).all() and run.verdict == "learns"
    assert limit(a0, w0, loss).w[1] == 0 and limit(a0, w0, loss).verdict == "learns"


def test_a_mask_without_input_1_cannot_learn_and_ends_at_1_over_pi():
    loss, w0 = Masked(Population(3), [0, 1, 1]), [5.0, 0.6, -0.8]
    run, end = integrate(loss, 0.7, w0, 200.0), limit(0.7, w0, loss)
    assert end.verdict == "fails" and run.verdict != "learns"
    assert np.isclose(run.a[-1] * np.linalg.norm(run.w[-1]), 1 / np.pi) and np.allclose(run.w[-1], end.w, atol=1e-6)
    rng = np.random.default_rng(6)
    x = rng.normal(size=(400_000, 3))
    big = Masked(Sample(x, np.maximum(x[:, 0], 0)), [0, 1, 1])
    assert np.isclose(big.loss(0.7, w0), loss.loss(0.7, w0), atol=5e-3)


def test_masks_of_masks_and_of_samples_keep_the_common_survivors():
    whole = sample(d=4)
    nested = Masked(Masked(whole, [1, 1, 0, 1]), [1, 0, 1, 1])
    assert (nested.survivors.x == whole.x[:, [0, 3]]).all()
    run = integrate(nested, 0.5, [0.3, 5.0, 5.0, 0.2], 5.0)
    assert (run.w[:, 1:3] == 0).all() and run.status == "finished"
    one = Masked(whole, [1, 0, 0, 0])
    assert limit(0.5, [0.3, 9.0, 9.0, 9.0], one).verdict == "learns"  # one input left: exact again
    assert limit(0.5, [-0.3, 9.0, 9.0, 9.0], one).verdict == "fails"


# --- finite samples in many dimensions: kinks, sliding, rest


@cache
def euler(key):
    """Where small steps end, a witness that knows the gradient alone: at a kink that attracts, they zigzag along it."""
    loss, a, w, horizon = RUNS[key]()
    x, y, w, step = loss.x, loss.y, np.array(w, float), 5e-4
    for _ in range(round(horizon / step)):
        z = x @ w
        pull = (z > 0) * (a * z - y) / len(y)
        a, w = a - step * (pull @ z), w - step * a * (pull @ x)
    return a, w


def noisy_run(noise, seed):
    rng = np.random.default_rng(10 + seed)
    return sample(30, 3, noise, seed), float(rng.normal()), rng.normal(size=3), 6.0


@pytest.mark.parametrize("noise", [0.0, 0.5])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("method", METHODS)
def test_a_samples_flow_lands_on_every_kink_and_ends_where_small_steps_end(noise, seed, method):
    loss, a0, w0, horizon = noisy_run(noise, seed)
    run = integrate(loss, a0, w0, horizon, method=method)
    a, w = euler((noise, seed))
    assert run.status == "finished" and run.drift < 1e-6 and (np.diff(run.loss) < 1e-9).all()
    assert abs(run.a[-1] - a) < 2e-3 and abs(run.w[-1] - w).max() < 2e-3
    times = [time for name, time in run.events if name == "kink"]
    for time in times:
        z = loss.x @ run.w[np.searchsorted(run.t, time)]
        assert abs(z).min() < 1e-12 * np.linalg.norm(run.w[0]) * abs(loss.x).max() * 10


SLIDES = {  # x, y, w0, the point whose label pushes w off it while the others push w onto it, does it leave again
    "to the end": ([[2, 0.5], [1, 2], [0.5, 1], [1.5, -1]], [-2, -1, -1, 2], [1.5, -1.5], 0, False),
    "and leaves": ([[0.5, -0.5], [-0.5, 2], [-0.5, -1], [1.5, -2]], [0, -1, -2, 1], [1.5, 1], 1, True),
}


RUNS = {name: lambda x=x, y=y, w0=w0: (Sample(x, y), 1.0, w0, 6.0) for name, (x, y, w0, *_) in SLIDES.items()}
RUNS |= {(noise, seed): partial(noisy_run, noise, seed) for noise in (0.0, 0.5) for seed in (0, 1, 2)}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", SLIDES)
def test_the_flow_slides_along_a_kink_whose_sides_both_push_towards_it(name, method):
    x, y, w0, point, leaves = SLIDES[name]
    loss, times = Sample(x, y), np.linspace(0, 6, 61)
    run = integrate(loss, 1.0, w0, times, method=method)
    on_it = abs(run.w @ loss.x[point]) < 1e-12
    assert on_it.sum() > 20 and on_it[-1] != leaves
    assert run.status == "finished" and run.drift < 1e-6 and (np.diff(run.loss) < 1e-9).all()
    a, w = euler(name)
    assert abs(run.a[-1] - a) < 2e-3 and abs(run.w[-1] - w).max() < 2e-3
    other = integrate(Sample(x, np.where(np.arange(4) == point, 2, y)), 1.0, w0, times, method=method)
    assert not (abs(other.w @ loss.x[point]) < 1e-9).any()  # with a positive label nothing attracts


def test_a_balanced_flow_never_changes_the_sign_of_a_on_any_data():
    for seed in range(6):
        loss, rng = sample(12, 3, 1.0, seed), np.random.default_rng(seed)
        w0 = rng.normal(size=3)
        for sign in (1, -1):
            run = integrate(loss, sign * np.linalg.norm(w0), w0, 30.0)
            assert (np.sign(run.a[run.a != 0]) == sign).all()


def test_a_sample_without_an_active_input_is_at_rest_and_fails():
    loss = Sample([[1.0, 0.1], [2.0, -0.3]], [1.0, 2.0])
    run = integrate(loss, 1.0, [-1.0, 0.0], 50.0)
    assert run.verdict == "fails" and (run.w == run.w[0]).all()
    assert integrate(loss, 1.0, [1.0, 0.1], 1000.0).verdict == "learns"


def test_the_goal_is_the_best_fit_by_input_1_alone():
    assert sample().target_fit_loss < 1e-30
    for target in (1.0, -1.0):
        noisy = sample(60, 3, 0.5, 7, target=target)
        line = Masked(noisy, [1, 0, 0])
        end = limit(target, [0.9, 0, 0], line)
        assert (
            noisy.target_fit_loss == pytest.approx(line.loss(end.a, end.w), abs=1e-12)
            and noisy.required_sign_of_a * target > 0
        )
        run = integrate(noisy, target, [0.9, 0.1, -0.1], 60.0)
        assert run.verdict == "learns" and run.loss[-1] < noisy.target_fit_loss  # more inputs fit the noise, too
        assert integrate(noisy, -target, [0.9, 0.1, -0.1], 60.0).verdict != "learns"


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Sample([[1.0, 2.0]], [1.0, 2.0]), r"x must have shape \(n, d\) and y \(n,\), n, d >= 1, got \(1, 2\)"),
        (lambda: Sample([1.0, 2.0], [1.0, 2.0]), r"got \(2,\) and \(2,\)"),
        (lambda: Sample([[np.nan]], [1.0]), "x must be finite, got nan"),
        (lambda: Sample([[1.0]], [1.0], slope=1.0), r"slope must lie in \[0, 1\), got 1.0: 0 is relu"),
        (lambda: Population(2, target=0.0), "target must not be 0"),
        (lambda: Population(2, target=np.inf), "target must be one finite number, got inf"),
        (lambda: Population(2, slope=-0.1), r"slope must lie in \[0, 1\), got -0.1"),
        (lambda: Line(k_plus=np.nan), "k_plus must be one finite number, got nan"),
        (lambda: Masked(Population(3), [1, 0]), "mask must hold 3 values 0 or 1"),
        (lambda: Masked(Population(2), [0, 0]), "at least one of them 1"),
        (lambda: Masked(Population(2), [0.5, 1]), "values 0 or 1"),
        (lambda: Masked(Masked(Population(2), [1, 0]), [0, 1]), "the masks leave no input"),
        (lambda: Masked(Population(2, slope=0.1), [0, 1]).survivors, "known for slope 0 only, got 0.1: keep input 1"),
        (
            lambda: limit(1.0, [1.0, 2.0], sample(d=2)),
            "no exact limit is known for Sample with d = 2",
        ),
        (lambda: limit(1.0, [1.0, 2.0], Population(2, slope=0.1)), "no exact limit is known for Population with d = 2"),
        (lambda: limit(1.0, [1.0, 2.0], Population(3)), "w0 must have 3 inputs for this loss, got 2"),
        (lambda: integrate(sample(), 1.0, [1.0], 1.0), r"w0 of shape \(3,\)"),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_data_of_a_sample_cannot_be_changed_under_it():
    x = np.ones((2, 1))
    loss = Sample(x, [1.0, 2.0])
    x[0] = 7.0
    assert loss.x[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        loss.x[0] = 3.0
