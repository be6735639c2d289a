"""Success and sign switches over random starts: counted with exact limits, beside the exact probabilities."""

import numpy as np
import pytest

from theory import Population, integrate, learns, prune, success_by_level, success_probability, switch_probability
from theory import sampling as sampling_module
from theory.probability import (
    DENSE_AND_REWINDS,
    Success,
    mean_cosine,
    success_probability_exact,
    switch_probability_exact,
    switches,
)
from theory.sampling import (
    blocks,
    bounded_starts,
    clopper_pearson,
    difference_interval,
    generator,
    paired_interval,
    scaled_starts,
)

TRIALS = 20_000
INITS = ("balanced", "normal", "bounded", (3.0, 0.3), (0.2, 2.0))


def surely_holds(found, value):
    """Whether the 99.99 % interval holds a value: over the tests of this file chance fails less than 1 in 100."""
    low, high = clopper_pearson(found.successes, found.trials, level=0.9999)
    return low <= value <= high


@pytest.mark.parametrize("init", INITS, ids=str)
@pytest.mark.parametrize("d", [1, 2, 6])
@pytest.mark.parametrize("rule", DENSE_AND_REWINDS)
def test_the_counted_share_holds_the_exact_probability_and_no_wrong_one(rule, d, init):
    found = success_probability(rule, d, init, TRIALS, seed=1)
    assert surely_holds(found, found.exact) and not surely_holds(found, found.exact + 0.03)
    assert found.share == found.successes / TRIALS and found.low <= found.share <= found.high


def test_balanced_probabilities_are_a_quarter_for_imp_and_magnitude_and_a_half_for_lrr_and_sign():
    exact = {rule: success_probability(rule, 5, "balanced", 10, seed=0).exact for rule in DENSE_AND_REWINDS}
    assert exact == {"dense": 0.5, "imp": 0.25, "sign": 0.5, "magnitude": 0.25, "lrr": 0.5}


def test_from_bounded_starts_lrr_always_learns_and_imp_with_the_stated_probabilities():
    exact = {rule: success_probability(rule, 10, "bounded", 10, seed=0).exact for rule in DENSE_AND_REWINDS}
    assert exact == {"dense": 1, "imp": pytest.approx(0.3147, abs=5e-5), "sign": 1, "magnitude": 0.5, "lrr": 1}
    assert success_probability_exact("imp", "bounded", 2) == pytest.approx(0.4092, abs=5e-5)
    assert success_probability("lrr", 10, "bounded", TRIALS, seed=3).successes == TRIALS
    one = {success_probability_exact(rule, "bounded", 1) for rule in DENSE_AND_REWINDS}
    assert one == {0.5}


@pytest.mark.parametrize("d", [1, 2, 3, 10, 400])
def test_the_mean_cosine_is_that_of_random_directions(d):
    w = np.random.default_rng(d).normal(size=(5000, d))
    share = abs(w[:, 0]) / np.hypot.reduce(w, axis=1)
    assert abs(share.mean() - mean_cosine(d)) <= 5 * share.std() / np.sqrt(5000) + 1e-15


@pytest.mark.parametrize("init", INITS, ids=str)
def test_with_one_input_no_rule_beats_imp(init):
    counts = {success_probability(rule, 1, init, 3000, seed=2).successes for rule in DENSE_AND_REWINDS}
    exact = {success_probability(rule, 1, init, 10, seed=2).exact for rule in DENSE_AND_REWINDS}
    assert len(counts) == len(exact) == 1


@pytest.mark.parametrize("init", INITS, ids=str)
def test_with_two_inputs_lrr_beats_imp(init):
    lrr, imp = (success_probability(rule, 2, init, TRIALS, seed=2) for rule in ("lrr", "imp"))
    assert lrr.low > imp.high


@pytest.mark.parametrize("ratio", [0.001, 0.1, 1.0, 10.0, 1000.0])
@pytest.mark.parametrize("d", [2, 7])
def test_sign_rewind_and_lrr_learn_where_the_dense_neuron_does_and_magnitude_where_w1_was_positive_too(d, ratio):
    a0, w0 = scaled_starts(np.random.default_rng(d), 5000, d, 1.0, ratio)
    dense = learns(a0, w0)
    assert (prune("sign", a0, w0).learns[-1] == dense).all() and (prune("lrr", a0, w0).learns[-1] == dense).all()
    assert (prune("magnitude", a0, w0).learns[-1] == (dense & (w0[:, 0] > 0))).all()
    assert (prune("imp", a0, w0).learns[-1] == ((w0[:, 0] > 0) & (a0 > -w0[:, 0]))).all()


def test_unbalanced_starts_depend_on_the_ratio_of_their_scales_alone():
    small, large = (success_probability("imp", 3, (s, 4 * s), 2000, seed=0) for s in (0.5, 2.0))
    assert small == large
    other = success_probability("imp", 3, (0.5, 0.5), 2000, seed=0)
    assert other.successes < small.successes and other.exact < small.exact


def test_over_levels_imp_keeps_the_dense_rate_until_one_input_is_left():
    levels = success_by_level("imp", 10, "balanced", TRIALS, 3, [8, 4, 2, 1])
    assert [level.exact for level in levels] == [0.5, 0.5, 0.5, 0.5, 0.25]
    assert len({level.successes for level in levels[:-1]}) == 1
    assert all(surely_holds(level, level.exact) for level in levels)
    assert not surely_holds(levels[-1], levels[-2].exact)


def test_levels_without_a_closed_form_have_no_exact_value_and_lie_between_their_neighbours():
    dense, two, one = success_by_level("imp", 10, "normal", TRIALS, 3, [2, 1])
    assert two.exact is None and dense.exact > two.share > one.exact
    assert success_by_level("imp", 10, "bounded", 10, 3, [2, 1])[1].exact is None
    assert all(level.exact is not None for level in success_by_level("lrr", 10, "normal", 10, 3, [2, 1]))


def test_the_last_level_is_the_success_probability():
    assert success_by_level("magnitude", 4, "normal", 500, 7, [1])[-1] == success_probability(
        "magnitude", 4, "normal", 500, 7
    )


def test_the_same_seed_gives_the_same_starts_to_every_rule_and_another_seed_others():
    counts = [success_probability(rule, 4, "normal", 2000, 5).successes for rule in ("dense", "sign", "lrr")]
    assert len(set(counts)) == 1
    assert success_probability("dense", 4, "normal", 2000, 6).successes != counts[0]


# --- switches of the sign of w_1


@pytest.mark.parametrize("init", INITS, ids=str)
def test_the_sign_of_w1_switches_in_half_of_the_starts_that_learn(init):
    found, dense = switch_probability(6, init, TRIALS, 1), success_probability("dense", 6, init, TRIALS, 1)
    assert found.exact == dense.exact / 2 and surely_holds(found, found.exact)
    assert not surely_holds(found, dense.exact)


@pytest.mark.parametrize("init", INITS, ids=str)
def test_with_one_input_no_sign_switches(init):
    found = switch_probability(1, init, 5000, 1)
    assert found.successes == 0 and found.exact == 0.0


def test_a_switch_is_from_below_to_above_and_a_dying_neuron_makes_none():
    a0 = np.array([1.0, 1.0, -2.0, -2.0, -0.5])
    w0 = np.array([[-0.6, 0.8], [0.6, 0.8], [0.6, 0.8], [-0.6, 0.8], [-0.6, 0.8]])
    assert switches(a0, w0).tolist() == [True, False, False, False, True]


@pytest.mark.slow
def test_integrated_runs_see_the_switches():
    rng = generator(0)
    a0, w0 = scaled_starts(rng, 24, 3, 1.0, 1.0)
    runs = [integrate(Population(3), a, w, 100.0, rtol=1e-6) for a, w in zip(a0, w0, strict=True)]
    decided = np.array([run.verdict == "learns" for run in runs])
    crossed = np.array([run.w[0, 0] < 0 < run.w[-1, 0] for run in runs])
    assert decided.sum() > 12 and crossed.sum() > 4
    assert (switches(a0, w0)[decided] == crossed[decided]).all()


def test_exact_switches_follow_the_ratio():
    assert switch_probability_exact("normal", 3, ratio=0.5) == success_probability_exact("lrr", "normal", 3, 1, 0.5) / 2


# --- bad input


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("irr", 3, "normal", 10, 0), "unknown rule 'irr': did you mean 'lrr'"),
        (("imp", 0, "normal", 10, 0), "d must be a whole number, at least 1, got 0"),
        (("imp", 3, "normall", 10, 0), "unknown init 'normall': did you mean 'normal'"),
        (("imp", 3, (1.0, 0.0), 10, 0), r"init must be one of balanced, normal, bounded or \(s_a, s_w\), two numbers"),
        (("imp", 3, (1.0,), 10, 0), r"two numbers above 0, got \(1.0,\)"),
        (("imp", 3, (1.0, np.nan), 10, 0), r"two numbers above 0, got \(1.0, nan\)"),
        (("imp", 3, 2.0, 10, 0), "two numbers above 0, got 2.0"),
        (("imp", 3, "normal", 0, 0), "trials must be a whole number, at least 1, got 0"),
        (("imp", 3, "normal", 2.5, 0), "trials must be a whole number, at least 1, got 2.5"),
        (("imp", 3, "normal", 10, -1), "seed must be a whole number, at least 0, got -1"),
    ],
)
def test_bad_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        success_probability(*arguments)


def test_bad_levels_are_refused():
    with pytest.raises(ValueError, match=r"survivors must fall from d = 3 to at least 1, got \[3\]"):
        success_by_level("imp", 3, "normal", 10, 0, [3])
    with pytest.raises(ValueError, match=r"dense prunes nothing, got survivors \[1\]"):
        success_by_level("dense", 3, "normal", 10, 0, [1])


# --- starts, generators, intervals


def test_blocks_bound_the_memory_and_lose_no_trial(monkeypatch):
    monkeypatch.setattr(sampling_module, "BLOCK", 100)
    parts = list(blocks("normal", generator(0), 35, 10))
    assert [len(a0) for a0, _ in parts] == [10, 10, 10, 5] and all(w0.size <= 100 for _, w0 in parts)
    assert len(np.unique(np.concatenate([a0 for a0, _ in parts]))) == 35
    assert [w0.shape for _, w0 in blocks("balanced", generator(0), 2, 500)] == [(1, 500), (1, 500)]


def test_a_condition_has_its_own_numbers_whatever_other_conditions_there_are():
    drawn = {key: generator(0, *key).normal() for key in [(), (0,), (1,), (0, 1), (1, 0), (0, 0.5), (0, 0)]}
    assert len(set(drawn.values())) == len(drawn)
    assert generator(0, 0, 0.5).normal() == drawn[(0, 0.5)] != generator(1, 0, 0.5).normal()


def test_scaled_starts_have_their_scales():
    a0, w0 = scaled_starts(generator(0), 20_000, 2, 3.0, 0.1)
    assert abs(a0.std() / 3 - 1) < 0.03 and abs(w0.std() / 0.1 - 1) < 0.03


def test_bounded_starts_have_a_uniform_ratio_of_a_to_the_length_of_w():
    a0, w0 = bounded_starts(generator(0), 20_000, 4)
    ratio = a0 / np.hypot.reduce(w0, axis=1)
    assert abs(ratio).max() <= 1 and abs(w0.std() * 2 - 1) < 0.03
    assert np.allclose(np.quantile(ratio, [0.1, 0.5, 0.9]), [-0.8, 0, 0.8], atol=0.03)
    assert abs(np.corrcoef(ratio, w0[:, 0])[0, 1]) < 0.03


def test_the_interval_of_a_difference_covers_and_is_that_of_the_mean_when_the_other_is_constant():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(400):
        found = difference_interval(rng.normal(0.3, 1, 50), rng.normal(0.1, 2, 80))
        covered += found["low"] <= 0.2 <= found["high"]
    assert 0.91 < covered / 400 < 0.98
    sample = rng.normal(size=30)
    assert difference_interval(sample, np.zeros(5)) == paired_interval(sample)
    with pytest.raises(ValueError, match="an interval needs two or more of each, got 1, 5"):
        difference_interval(sample[:1], np.zeros(5))


def test_a_success_of_more_than_its_trials_is_refused():
    assert Success.of(0, 10).low == 0.0 and Success.of(3, 10).exact is None
    with pytest.raises(ValueError, match="successes must be a whole number, from 0 to 10, got 11"):
        Success.of(11, 10)
