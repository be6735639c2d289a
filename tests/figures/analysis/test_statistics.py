import itertools

import numpy as np
import pytest
from scipy import stats

from figures.analysis.statistics import clopper_pearson, holm, sign_flip_p, t_interval, t_test_p


@pytest.mark.parametrize("n", [2, 3, 4, 10, 29])
def test_t_interval_and_p_equal_scipys(n):
    values = np.random.default_rng(n).normal(0.3, 1, n)
    interval = t_interval(values.tolist())
    expected = stats.ttest_1samp(values, 0)
    low, high = expected.confidence_interval(0.95)
    assert interval.low == pytest.approx(low) and interval.high == pytest.approx(high) and interval.n == n
    assert t_test_p(values.tolist()) == pytest.approx(expected.pvalue)


def test_t_interval_covers_95_percent_at_four_seeds_and_a_standard_deviation_does_not():
    data = np.random.default_rng(0).normal(2.0, 1.0, (4000, 4))
    intervals = [t_interval(row.tolist()) for row in data]
    covered = np.mean([i.low <= 2.0 <= i.high for i in intervals])
    assert 0.94 <= covered <= 0.96
    means, deviations = data.mean(1), data.std(1, ddof=1)
    assert np.mean(abs(means - 2.0) <= deviations / 2) < 0.75


def test_one_seed_gives_a_mean_without_an_interval():
    interval = t_interval([0.5])
    assert (interval.mean, interval.low, interval.high) == (0.5, None, None)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf"), 1.0]])
def test_t_interval_refuses_what_is_no_number(values):
    with pytest.raises(ValueError, match="finite numbers"):
        t_interval(values)


@pytest.mark.parametrize("n", [2, 3, 6, 9])
def test_sign_flip_p_equals_scipys_exact_permutation_test(n):
    values = np.random.default_rng(n).normal(0.5, 1, n)
    p, smallest = sign_flip_p(values.tolist())
    exact = stats.permutation_test((values,), np.mean, permutation_type="samples", n_resamples=np.inf).pvalue
    assert p == pytest.approx(exact)
    assert smallest == 2 / 2**n


def test_sign_flip_p_is_the_share_of_signings_at_least_as_far_from_zero():
    values = [0.3, -0.1, 0.5, 0.2, 0.4]
    sums = [
        abs(sum(s * v for s, v in zip(signs, values, strict=True))) for signs in itertools.product((1, -1), repeat=5)
    ]
    assert sign_flip_p(values)[0] == sum(s >= abs(sum(values)) - 1e-9 for s in sums) / 32


def test_six_seeds_are_needed_before_the_sign_flip_test_can_reach_five_percent():
    assert sign_flip_p([1.0] * 5) == (2 / 32, 2 / 32)
    assert sign_flip_p([1.0] * 6)[0] < 0.05


def test_sign_flip_p_beyond_twenty_seeds_stays_close_to_the_t_test():
    values = np.random.default_rng(5).normal(0.3, 1, 40).tolist()
    assert sign_flip_p(values)[0] == pytest.approx(t_test_p(values), abs=0.02)


@pytest.mark.parametrize(("k", "n"), [(0, 10), (3, 10), (10, 10), (4954, 20_000)])
def test_clopper_pearson_equals_scipys(k, n):
    expected = stats.binomtest(k, n).proportion_ci(0.95, "exact")
    assert clopper_pearson(k, n) == pytest.approx((expected.low, expected.high))


def test_clopper_pearson_covers_at_least_95_percent():
    counts = np.random.default_rng(1).binomial(30, 0.25, 3000)
    bounds = {k: clopper_pearson(int(k), 30) for k in set(counts.tolist())}
    assert np.mean([bounds[k][0] <= 0.25 <= bounds[k][1] for k in counts]) >= 0.95


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5), (0, 0)])
def test_clopper_pearson_refuses_impossible_counts(k, n):
    with pytest.raises(ValueError, match="successes"):
        clopper_pearson(k, n)


def test_holm_equals_a_hand_computed_case_and_keeps_the_order():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_holm_keeps_the_chance_of_any_false_mark_under_five_percent_where_raw_p_does_not():
    p = np.random.default_rng(3).uniform(size=(2000, 8))
    assert np.mean([min(holm(row.tolist())) <= 0.05 for row in p]) <= 0.065
    assert np.mean(p.min(1) <= 0.05) > 0.25


def test_the_neurons_paired_intervals_that_figures_print_are_95_percent_normal_ones():
    from theory.sampling import paired_interval

    values = np.random.default_rng(4).normal(0.3, 1, 500)
    found = paired_interval(values)
    expected = stats.norm.interval(0.95, values.mean(), stats.sem(values))
    assert (found["low"], found["high"]) == pytest.approx(expected, abs=1e-9)
    assert found["value"] == pytest.approx(values.mean())
