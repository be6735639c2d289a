"""Gradient descent on the neuron: what a step does to c, when it is stable, and whom it lets learn."""

import numpy as np
import pytest

from theory import Line, Masked, Population, Sample, balance, balance_change, descend, step_limit
from theory.compiled.descent import line_at, population_at
from theory.experiments.large_steps import large_steps
from theory.extensions.gradient_descent import _compiled, _in_python

pytestmark = pytest.mark.slow

TINY = np.finfo(float).eps


def start(angle, size=1.0, d=2):
    w = np.zeros(d)
    w[:2] = size * np.cos(angle), size * np.sin(angle)
    return -size, w


# --- the compiled loop has the losses' own formulas


def states(rng, n=300):
    yield from rng.normal(size=(n, 3)) * np.exp(rng.normal(size=(n, 1)))
    for psi in (1e-9, 1e-3, 0.249, 0.251):  # across the series' end, near -e_1 and near e_1
        yield -1.3, -0.7 * np.cos(psi), 0.7 * np.sin(psi)
        yield 0.4, 2.0 * np.cos(psi), -2.0 * np.sin(psi)


def test_the_kernel_is_the_population():
    for a, u, v in states(np.random.default_rng(0)):
        loss, da, du, dv = population_at(a, u, v)
        size = 1 + a * a + u * u + v * v
        assert loss == pytest.approx(Population(2).loss(a, [u, v]), abs=1e-14 * size**2)
        other_a, other_w = Population(2).gradient(a, [u, v])
        assert np.allclose([da, du, dv], [other_a, *other_w], rtol=0, atol=1e-14 * size**2)


def test_the_kernels_gradient_is_the_slope_of_its_loss():
    for point in np.random.default_rng(1).normal(size=(50, 3)):
        for i, step in enumerate(1e-6 * np.eye(3)):
            slope = (population_at(*(point + step))[0] - population_at(*(point - step))[0]) / 2e-6
            assert slope == pytest.approx(population_at(*point)[1 + i], abs=1e-7)


@pytest.mark.parametrize("line", [Line(), Line(1.3, 0.2, 0.7, -0.4), Line.leaky(0.1)])
def test_the_kernel_is_the_line(line):
    for a, w in [*np.random.default_rng(2).normal(size=(50, 2)), (1.0, 0.0)]:
        loss, da, dw = line_at(a, w, line.numbers)
        other_a, other_w = line.gradient(a, [w])
        assert np.allclose([loss, da, dw], [line.loss(a, [w]), other_a, other_w[0]], rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("step", [0.05, 0.9, 1.7])
def test_compiled_and_plain_loops_take_the_same_steps(step):
    a, w = start(0.8, d=4)
    w[3], at = 0.5, np.array([0, 3, 20, 2**62])
    runs = [run(Population(4), a, w, step, 30, 1e-30, at) for run in (_compiled, _in_python)]
    assert [run[:3] for run in runs] == [(3, 30, 3)] * 2
    for one, other in zip(runs[0][3], runs[1][3], strict=True):
        assert np.allclose(one, other, rtol=1e-10, atol=1e-12)


def test_the_saved_states_are_states_of_the_loss_even_where_w_perp_changes_its_sign():
    run = descend(Population(2), -1.0, [np.cos(1.0), np.sin(1.0)], 2.3, max_steps=60, at=range(60))
    assert (run.w[:, 1] < 0).any(), "the step carries w_perp through 0"
    assert np.allclose(run.loss, Population(2).loss(run.a, run.w), rtol=1e-12) and (run.loss >= 0).all()


# --- what one step does to c


def one_step(loss, a, w, step):
    run = descend(loss, a, w, step, max_steps=1, learned=1e-300)
    return run.c[-1] - run.c[0], 1 + max(run.a**2 + (run.w**2).sum(axis=1))


@pytest.mark.parametrize("d", [1, 2, 3, 7])
def test_one_step_changes_c_as_stated(d):
    rng, moved = np.random.default_rng(d), []
    for _ in range(200):
        a, w, step = rng.normal(), rng.normal(size=d), 2 * rng.random()
        seen, size = one_step(Population(d), a, w, step)
        said = balance_change(a, w, step)
        assert seen == pytest.approx(said, abs=20 * TINY * size)
        moved.append((balance(a, w), said))
    assert all(change <= 0 for c, change in moved if c >= 0)
    assert any(change > 0 for c, change in moved if c < 0) and any(change < 0 for c, change in moved if c < 0) == (
        d > 1
    )


def test_neither_term_of_the_change_can_be_dropped_and_no_sign_turned():
    a, w, step = -0.8, np.array([0.3, 0.6]), 0.7
    seen, size = one_step(Population(2), a, w, step)
    r, c = np.hypot(*w), balance(a, w)
    psi = np.pi - np.arctan2(w[1], w[0])
    slope, turn = Population(2).gradient(a, w)[0] / r, a * psi * np.sin(psi) / (2 * np.pi)
    assert seen == pytest.approx(step**2 * (-c * slope**2 - turn**2), abs=20 * TINY * size)
    for wrong in (-c * slope**2, -(turn**2), c * slope**2 - turn**2, -c * slope**2 + turn**2):
        assert abs(seen - step**2 * wrong) > 1e-4


def test_c_is_exactly_zero_where_the_sizes_are_equal():
    assert balance(-0.3, [0.3]) == 0.0 and balance([1.0, 2.0], [[0.0, 1.0], [2.0, 0.0]]).tolist() == [0.0, 0.0]


# --- balanced a(0) < 0: never in d = 1, in the end in d > 1


@pytest.mark.parametrize("step", [1e-5, 1e-3, 0.1, 0.77, 1.0, 1.5])
@pytest.mark.parametrize("size", [0.3, 1.0, 1.234567])
def test_in_one_dimension_balanced_a_below_zero_never_learns_in_a_million_steps(step, size):
    run = descend(
        Population(1), -size, [size], step, max_steps=10**6, at=[0, *np.geomspace(1, 10**6, 50).astype(int)[::5]]
    )
    assert run.status in ("max_steps", "stationary") and (run.c == 0).all() and (abs(run.a) == abs(run.w[:, 0])).all()
    assert run.loss.min() >= 0.25
    if step == 1e-5:
        assert run.steps == 10**6 and 0 < run.w[-1, 0] < size / 50, "still on its way after a million steps"


@pytest.mark.parametrize("line", [Line(1.3, 0.2), Line(0.5, 0.5, 2.0, 0.3)])
def test_the_balance_of_one_input_is_exact_for_any_moments_and_fits(line):
    run = descend(line, -0.9, [0.9], 0.37, max_steps=10**5, at=range(0, 2000, 7))
    assert (run.c == 0).all() and run.status != "learned"


def test_a_start_one_unit_off_the_balance_does_learn_in_one_dimension():
    run = descend(Population(1), np.nextafter(-1.0, 0), [1.0], 0.1, max_steps=10**6)
    assert run.status == "learned" and run.steps > 300, "so that the exact balance is what the verdict hangs on"
    assert descend(Population(1), np.nextafter(-1.0, -2), [1.0], 0.1, max_steps=10**5).status != "learned"


def test_on_the_axis_every_dimension_is_one_dimension():
    one, several = (descend(Population(d), -1.0, np.eye(d)[0], 0.3, max_steps=500, at=range(400)) for d in (1, 4))
    assert (one.a == several.a).all() and (one.w[:, 0] == several.w[:, 0]).all() and not several.w[:, 1:].any()


@pytest.mark.parametrize(("step", "steps"), [(1.0, 23), (0.5, 103), (0.1, 5.8e6)])
def test_off_the_axis_balanced_a_below_zero_learns_in_the_end(step, steps):
    run = descend(Population(2), *start(0.5), step, max_steps=10**7, learned=1e-4)
    assert run.status == "learned" and run.steps == pytest.approx(steps, rel=0.03)
    assert run.c[0] == pytest.approx(0, abs=1e-15) and run.c[-1] < -1e-3 and run.a[-1] > 0 and run.w[-1, 0] > 0


def test_every_d_above_one_takes_the_same_steps():
    counts = set()
    for d in (2, 5):
        w = np.zeros(d)
        w[0], w[1:] = np.cos(0.5), np.sin(0.5) / np.sqrt(d - 1)
        counts.add(descend(Population(d), -1.0, w, 0.5).steps)
    assert len(counts) == 1


def test_the_steps_to_learn_grow_about_as_the_fourth_power():
    taken = [descend(Population(2), *start(2.0), step).steps for step in (0.6, 0.3)]
    assert 3.7 < np.log2(taken[1] / taken[0]) < 4.3


# --- the stable step at a minimum


def at_minimum(c, d):
    a = np.sqrt((np.hypot(2, c) + c) / 2)
    w = 1.001 / a * np.array([np.cos(1e-3), np.sin(1e-3)])
    return a, w if d == 2 else [np.hypot(*w)]


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("c", [-3.0, -1.0, 0.5, 2.0, 4.0])
def test_a_push_comes_back_below_the_limit_and_leaves_above_it(c, d):
    a, w = at_minimum(c, d)
    stays, leaves = (
        descend(Population(d), a, w, share * step_limit(c), max_steps=5000, learned=1e-14, at=range(5000))
        for share in (0.97, 1.03)
    )
    assert stays.status == "learned" and stays.loss.max() < 1.01 * stays.loss[0] and abs(stays.c[-1] - c) < 0.01
    assert leaves.loss.max() > 100 * leaves.loss[0] and abs(leaves.c[-1]) < abs(c) - 0.02


def test_other_limits_are_refused_by_the_same_run():
    a, w = at_minimum(3.0, 2)
    for wrong in (2.0, 2 * step_limit(3.0)):  # without c, and twice
        run = descend(Population(2), a, w, 0.9 * wrong, max_steps=2000, learned=1e-14, at=range(2000))
        assert run.loss.max() > 100 * run.loss[0]
    half = descend(Population(2), a, w, 0.75 * step_limit(3.0), max_steps=2000, learned=1e-14)
    assert half.status == "learned", "so that half the limit is not the limit"


# --- how a run ends, and what is refused


def test_each_way_to_end_has_its_word():
    assert descend(Population(2), 2.0, [0.5, 0.0], 0.1).steps == 0
    assert descend(Population(1), 1.0, [0.0], 0.1).status == "stationary"
    assert descend(Population(2), 1.0, [1.0, 1.0], 1e-3, max_steps=5).status == "max_steps"
    wild = descend(Population(1), -3.0, [3.0], 5.0)
    assert wild.status == "diverged" and np.isfinite(wild.a).all() and abs(wild.a[-1]) < 1e100
    sample = Sample(np.random.default_rng(0).normal(size=(20, 2)), np.zeros(20))
    assert descend(sample, -30.0, [30.0, 1.0], 5.0).status == "diverged"


def test_the_kept_states_are_those_asked_for_and_the_last():
    run = descend(Population(2), *start(0.5), 1.0, at=[0, 5, 27, 90])
    assert run.at.tolist() == [0, 5, 27] and run.steps == 27 and run.w.shape == (3, 2)
    assert descend(Population(2), *start(0.5), 1.0, at=[2]).at.tolist() == [2, 27]


def test_a_sample_learns_by_its_own_goal_and_a_mask_stays():
    x = np.random.default_rng(3).normal(size=(300, 2))
    noisy = Sample(x, np.maximum(x[:, 0], 0) + 0.1 * np.random.default_rng(4).normal(size=300))
    run = descend(noisy, 1.0, [0.5, 0.5], 0.3, max_steps=3000)
    assert run.status == "learned" and run.loss[-1] > 1e-3
    masked = descend(Masked(Population(3), [1, 0, 1]), -1.0, [np.cos(0.5), 9.0, np.sin(0.5)], 1.0)
    assert masked.steps == 27 and (masked.w[:, 1] == 0).all() and masked.w.shape == (2, 3)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"w0": [1.0]}, r"w0 must have shape \(2,\)"),
        ({"w0": [[1.0, 0.0]]}, r"w0 must have shape \(2,\)"),
        ({"w0": [np.nan, 0.0]}, "w0 must be finite"),
        ({"a0": np.inf}, "a0 must be one finite number"),
        ({"step": 0.0}, "step must be above 0"),
        ({"step": np.nan}, "step must be one finite number"),
        ({"max_steps": 0}, "max_steps must be a whole number, at least 1"),
        ({"max_steps": 1.5}, "max_steps must be a whole number"),
        ({"learned": -1.0}, "learned must be above 0"),
        ({"at": [3, 2]}, "at must be increasing"),
        ({"at": [0.5]}, "at must be increasing whole numbers"),
        ({"at": [-1]}, "at must be increasing whole numbers from 0"),
    ],
)
def test_bad_input_is_refused_in_words(change, words):
    good = {"a0": 1.0, "w0": [1.0, 0.0], "step": 0.1, "max_steps": 3}
    descend(Population(2), **good)
    with pytest.raises(ValueError, match=words):
        descend(Population(2), **(good | change))


def test_bad_input_of_the_formulas_is_refused():
    with pytest.raises(ValueError, match="w must not be 0"):
        balance_change(1.0, [0.0, 0.0], 0.1)
    with pytest.raises(ValueError, match="c must be finite"):
        step_limit(np.nan)
    with pytest.raises(ValueError, match="do not match"):
        balance([1.0, 2.0], [[1.0, 0.0]] * 3)
    with pytest.raises(ValueError, match="smallest < largest"):
        large_steps([0.5], [1.0], [3.0], 1.0, 0.5, 3, 10)


# --- the sweep


@pytest.fixture(scope="module")
def sweep():
    return large_steps([0.5, 1.5], [1.0, 0.25], [3.0], 0.2, 2.2, 9, 200_000)


def test_the_sweep_shows_that_only_d_above_one_reverses_the_verdict(sweep):
    values = sweep.values
    assert "learned" not in values["d1"]["status"] and values["d1"]["largest_c"] == 0
    assert min(loss for loss in values["d1"]["least_loss"] if loss is not None) >= 0.25
    for found in values["starts"]:
        learned = [step for step, status in zip(values["step"], found["status"], strict=True) if status == "learned"]
        assert len(learned) >= 5 and max(learned) < 2, "no minimum is stable above 2"
        assert all(c < 0 for c, status in zip(found["c"], found["status"], strict=True) if status == "learned")


def test_the_sweep_keeps_the_runs_it_shows(sweep):
    assert [(run["d"], run["step"]) for run in sweep.values["shown"]] == [(2, 1.0), (1, 1.0), (2, 0.25), (1, 0.25)]
    for i, run in enumerate(sweep.values["shown"]):
        loss, c, at = (sweep.arrays[f"shown_{i}_{part}"] for part in ("loss", "c", "at"))
        assert at[-1] == run["steps"] and (loss[-1] < 1e-6) == (run["status"] == "learned") == (run["d"] == 2)
        assert (c == 0).all() if run["d"] == 1 else c[-1] < -0.01


def test_the_sweep_leaves_a_minimum_exactly_above_its_limit(sweep):
    (minimum,) = sweep.values["pushed"]["minima"]
    assert minimum["left"] == [step > minimum["limit"] for step in minimum["step"]]
    for step, c, status in zip(minimum["step"], minimum["c"], minimum["status"], strict=True):
        assert status != "learned" or step < step_limit(c), "it ends only where the step is stable"
