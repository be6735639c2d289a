"""The neuron on samples from the authors' start: verdicts by rest agree with exact ones, and with the population's."""

import numpy as np
import pytest

from theory.experiments import pruned_samples as module
from theory.experiments.finite_samples import pruned_on_samples
from theory.experiments.pruned_samples import even_schedule, followed, hopeless, pruned, pruned_samples
from theory.experiments.registry import EXPERIMENTS
from theory.flow.batch import settle_samples
from theory.sampling import STARTS, clopper_pearson

pytestmark = pytest.mark.slow

HORIZON = 1e6
SMALL = dict(prunings=2, horizon=HORIZON, seed=0)


def trials(init, count=60, n=60, d=4, noise=0.5, seed=3):
    rng = np.random.default_rng(seed)
    a0, w0 = STARTS[init](rng, count, d)
    x = rng.normal(size=(count, n, d))
    return x, np.maximum(x[..., 0], 0) + noise * rng.normal(size=(count, n)), a0, w0


@pytest.mark.parametrize("init", ["bounded", "balanced"])
@pytest.mark.parametrize("rule", ["imp", "lrr"])
def test_trials_decided_without_a_flow_have_the_verdicts_of_flows_to_one_input(init, rule):
    x, y, a0, w0 = trials(init)
    dense = settle_samples(x, y, a0, w0, HORIZON, tolerance=2e-9)
    expected = pruned_on_samples(rule, x, y, a0, w0, dense, [4, 2, 1], HORIZON)
    short = followed(x, y, a0, w0, np.ones(w0.shape, bool), ~hopeless(x, y, a0, w0), HORIZON)
    learns, rests = pruned(rule, x, y, a0, w0, short, [4, 2, 1], HORIZON)
    assert expected["rests"].all() and rests.all() and (learns == expected["learns"]).all()


def test_hopeless_are_the_starts_whose_a_has_the_wrong_sign_and_cannot_pass_0():
    x, y, a0, w0 = trials("balanced")
    assert (hopeless(x, y, a0, w0) == (a0 < 0)).all() and not hopeless(x, y, 0.5 * a0, w0).any()
    assert (hopeless(x, -y, a0, w0) == (a0 > 0)).all()


@pytest.mark.parametrize("init", ["bounded", "balanced"])
def test_the_verdict_at_rest_agrees_with_the_signs_of_a_and_w1_on_clean_samples(init):
    x, y, a0, w0 = trials(init, count=40, n=100, noise=0.0)
    dense = followed(x, y, a0, w0, np.ones(w0.shape, bool), ~hopeless(x, y, a0, w0), HORIZON)
    learns, rests = pruned("lrr", x, y, a0, w0, dense, [4, 3], HORIZON)
    a, w = dense[0], dense[1][:, 0]
    clear = abs(a) > 1e-3  # where a tends to 0, the sample has no force next to -e_1, and pruning may move w away
    assert rests.all() and (learns == ((a > 0) & (w > 0)))[clear].all() and clear.sum() > 35 and 0 < learns.sum()


def test_a_trial_that_does_not_rest_is_counted_and_does_not_learn():
    x, y, a0, w0 = trials("bounded", count=10, noise=0.0)
    dense = followed(x, y, a0, w0, np.ones(w0.shape, bool), np.ones(10, bool), 1e-3)
    learns, rests = pruned("lrr", x, y, a0, w0, dense, [4, 2], 1e-3)
    assert not rests.any() and not learns.any()


def test_large_clean_normal_samples_have_the_populations_probabilities_where_they_are_known():
    found = pruned_samples(4, [2, 1], inits=["bounded", "balanced"], inputs=["normal"], sizes=[150], noises=[0.0],
                           trials=200, **SMALL).values  # fmt: skip
    exact = {(row["end"], row["init"]): row for row in found["exact"]}
    assert exact[2, "bounded"]["imp"] is None and exact[1, "bounded"]["lrr"] == 1 and exact[2, "balanced"]["imp"] == 0.5
    for cell in found["cells"]:
        for rule in ("imp", "lrr"):
            counts, p = cell[rule], exact[cell["end"], cell["init"]][rule]
            low, high = clopper_pearson(counts["successes"], counts["trials"], level=0.9999)
            # some samples have no force next to -e_1, where a flow from a(0) = u |w(0)| may stay
            assert counts["unsettled"] <= 6 and (p is None or low <= p <= high + 0.02), (cell, p)


def test_a_condition_more_changes_no_other_number():
    small = dict(d=4, ends=[2, 1], noises=[0.5], trials=10, **SMALL)
    one = pruned_samples(inits=["balanced"], inputs=["uniform"], sizes=[30], **small).values["cells"]
    more = pruned_samples(inits=["bounded", "balanced"], inputs=["normal", "uniform"], sizes=[20, 30], **small)
    assert all(cell in more.values["cells"] for cell in one) and len(more.values["cells"]) == 8 * len(one)


def test_imp_and_lrr_and_all_ends_share_their_data_sets_and_starts(monkeypatch):
    seen = []

    def watched(rule, x, y, a0, w0, dense, survivors, horizon):
        seen.append((rule, survivors[-1], x[0, 0, 0], a0[0]))
        return np.zeros(len(a0), bool), np.ones(len(a0), bool)

    monkeypatch.setattr(module, "pruned", watched)
    pruned_samples(4, [2, 1], inits=["bounded"], inputs=["uniform"], sizes=[20], noises=[0.5], trials=5, **SMALL)
    assert [entry[:2] for entry in seen] == [("imp", 2), ("lrr", 2), ("imp", 1), ("lrr", 1)]
    assert len({entry[2:] for entry in seen}) == 1 and abs(seen[0][2]) <= 1


def test_the_defaults_are_those_of_the_authors_driver_and_three_prunings_end_at_5_3_and_1():
    params = EXPERIMENTS["pruned-samples"].params
    assert [even_schedule(10, end, 3) for end in params["ends"]] == [[10, 8, 6, 5], [10, 7, 4, 3], [10, 5, 2, 1]]
    assert (params["d"], params["prunings"], params["trials"], params["noises"]) == (10, 3, 300, [0.0, 0.5])
    assert params["inits"] == ["bounded", "balanced"] and params["inputs"] == ["normal", "uniform"]
    assert min(params["sizes"]) == 100 and max(params["sizes"]) == 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"ends": [4]}, "ends of d = 5 inputs must be a whole number, from 1 to 3, got 4"),
        ({"inits": ["bound"]}, "unknown init 'bound': did you mean 'bounded'"),
        ({"inputs": ["gauss"]}, "unknown inputs 'gauss'"),
        ({"sizes": [4]}, "sizes must be a whole number, at least 5, got 4"),
        ({"trials": 1}, "trials must be a whole number, at least 2, got 1"),
    ],
)
def test_bad_parameters_are_refused(change, message):
    good = dict(d=5, ends=[2], inits=["bounded"], inputs=["normal"], sizes=[20], noises=[0.0], trials=3, **SMALL)
    with pytest.raises(ValueError, match=message):
        pruned_samples(**good | change)
    with pytest.raises(ValueError, match=r"9 prunings from 20 to 11 inputs give .*: use fewer, or a smaller end"):
        even_schedule(20, 11, 9)
