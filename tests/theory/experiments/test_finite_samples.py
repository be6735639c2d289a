"""The neuron on finite samples: pruning by numerical flows, sign by exact limits, paired by trial."""

import numpy as np
import pytest

from theory.exact.limits import limits
from theory.experiments.finite_samples import mask_recovery, pruned_on_samples, sample_size
from theory.experiments.registry import EXPERIMENTS
from theory.flow.batch import settle_samples
from theory.flow.integrate import integrate
from theory.losses.samples import Masked, Sample
from theory.probability import success_probability_exact
from theory.sampling import STARTS, clopper_pearson, paired_shares_interval

pytestmark = pytest.mark.slow

HORIZON = 1e6


def run(rule, d, n, noise, trials, init="balanced", survivors=None, seed=0):
    rng = np.random.default_rng(seed)
    a0, w0 = STARTS[init](rng, trials, d)
    x = rng.normal(size=(trials, n, d))
    y = np.maximum(x[..., 0], 0) + noise * rng.normal(size=(trials, n))
    dense = settle_samples(x, y, a0, w0, HORIZON, tolerance=1e-8)
    return a0, w0, pruned_on_samples(rule, x, y, a0, w0, dense, survivors or [d, 1], HORIZON)


def holds(found, p):
    low, high = clopper_pearson(found["learns"].sum(), len(found["learns"]), level=0.9999)
    return low <= p <= high


def test_large_clean_samples_have_the_populations_probabilities():
    for rule in ("imp", "lrr"):
        _, _, found = run(rule, 3, 300, 0.0, 300)
        assert holds(found, success_probability_exact(rule, "balanced", 3)) and found["recovered"].mean() > 0.99
        assert not holds(found, success_probability_exact(rule, "balanced", 3) + 0.25)


def test_label_noise_carries_imp_through_the_kink_in_half_of_the_data_sets():
    _, _, noisy = run("imp", 3, 300, 0.5, 600)
    assert holds(noisy, 3 / 8) and not holds(noisy, 1 / 4)
    _, _, kept = run("lrr", 3, 300, 0.5, 300)
    assert holds(kept, 1 / 2)


def test_as_many_points_as_inputs_are_useless():
    _, _, found = run("lrr", 10, 10, 0.5, 200)
    assert found["recovered"].mean() < 0.4 and found["learns"].mean() < 0.3


def test_the_same_start_and_sample_give_what_integration_and_the_exact_limit_give():
    rng = np.random.default_rng(5)
    a0, w0 = STARTS["normal"](rng, 6, 3)
    x = rng.normal(size=(6, 40, 3))
    y = np.maximum(x[..., 0], 0) + 0.3 * rng.normal(size=(6, 40))
    dense = settle_samples(x, y, a0, w0, HORIZON, tolerance=1e-8)
    for rule in ("imp", "lrr"):
        found = pruned_on_samples(rule, x, y, a0, w0, dense, [3, 1], HORIZON)
        for i in range(6):
            end = integrate(Sample(x[i], y[i]), a0[i], w0[i], 400.0)
            strongest = int(np.argmax(abs(end.w[-1])))
            assert found["recovered"][i] == (strongest == 0)
            a, w = (a0[i], w0[i]) if rule == "imp" else (end.a[-1], end.w[-1])
            mask = np.arange(3) == strongest
            learns = strongest == 0 and limits(a, w, Masked(Sample(x[i], y[i]), mask))[2] == 1
            assert found["learns"][i] == learns


def test_survivors_are_counted_exactly_at_every_level():
    _, _, found = run("imp", 5, 50, 0.2, 40, "normal", [5, 2, 1])
    assert found["recovered"].shape == found["learns"].shape == (40,)
    assert (found["learns"] <= found["recovered"]).all()  # without input 1 there is nothing to learn


def test_a_condition_more_changes_no_other_number():
    small = dict(d=3, noises=[0.5], trials=30, horizon=HORIZON, seed=1)
    one, two = sample_size(ratios=[5.0], **small), sample_size(ratios=[5.0, 10.0], **small)
    assert one.values["cells"] == two.values["cells"][:1]


def test_the_deciding_condition_has_its_own_number_of_trials():
    params = dict(ratios=[2.0, 5.0], noises=[0.5], decides=(5.0, 0.5), prune_rate=0.5, trials=20, deciding_trials=30)
    values = mask_recovery(d=4, horizon=HORIZON, seed=0, **params).values
    assert [cell["imp"]["trials"] for cell in values["cells"]] == [20, 30] and values["survivors"] == [4, 2, 1]
    assert values["decides"] == {"ratio": 5.0, "noise": 0.5}


def test_the_defaults_decide_at_ten_points_an_input_with_noise():
    params = EXPERIMENTS["mask-recovery"].params
    assert params["decides"] == [10.0, 0.5] and params["prune_rate"] == 0.5 and params["deciding_trials"] >= 1000


def test_a_paired_interval_of_shares_covers_95_percent_and_has_a_width_where_no_pair_differs():
    rng, covered = np.random.default_rng(0), 0
    for _ in range(2000):
        first = rng.random(200) < 0.9
        second = np.where(rng.random(200) < 0.1, rng.random(200) < 0.5, first)  # P(second) - P(first) = -.04
        found = paired_shares_interval(first, second)
        covered += found["low"] <= -0.04 <= found["high"]
    assert 0.935 <= covered / 2000 <= 0.975
    same = paired_shares_interval(np.ones(300, bool), np.ones(300, bool))
    assert same["value"] == 0 and -0.015 < same["low"] < -0.005 < 0.005 < same["high"] < 0.015


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d": 1}, "d must be a whole number, at least 2, got 1"),
        ({"trials": 1}, "trials must be a whole number, at least 2, got 1"),
        ({"ratios": []}, r"ratios must be finite numbers, at least 0.333333, got \[\]"),
        ({"ratios": [0.1]}, "ratios must be finite numbers"),
        ({"noises": [-0.5]}, r"noises must be finite numbers, at least 0, got \[-0.5\]"),
        ({"noises": [np.nan]}, "noises must be finite numbers"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    params = {"d": 3, "ratios": [2.0], "noises": [0.0], "trials": 4, "horizon": 10.0, "seed": 0, **change}
    with pytest.raises(ValueError, match=message):
        sample_size(**params)


def test_a_deciding_condition_that_is_not_run_is_refused():
    with pytest.raises(ValueError, match=r"decides must be one of the ratios and one of the noises, got \[3.0, 0.0\]"):
        mask_recovery(3, [2.0], [0.0], (3.0, 0.0), 0.5, 4, 4, 10.0, 0)
    with pytest.raises(ValueError, match=r"paired by trial, shape \(trials,\), got \(2,\) and \(3,\)"):
        paired_shares_interval(np.ones(2, bool), np.ones(3, bool))
