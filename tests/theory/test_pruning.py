"""IMP, LRR, sign and magnitude rewind on the neuron."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.exact.limits import learns, limit
from theory.pruning import REWINDS, prune, schedule, signs_rewound, trained, weakest_pruned
from theory.sampling import balanced_starts, bounded_starts, normal_starts


def learned(rule, a0, w0, survivors=(1,)):
    return prune(rule, [a0], [w0], survivors).learns[:, 0].tolist()


W_NEGATIVE, W_POSITIVE = [-0.6, 0.8], [0.6, 0.8]


def test_imp_fails_when_the_rewound_sign_is_negative():
    assert learned("imp", 1.0, W_NEGATIVE) == [True, False]
    assert learned("imp", 1.0, W_POSITIVE) == [True, True]


def test_lrr_keeps_the_sign_that_the_dense_flow_turned():
    assert learned("lrr", 1.0, W_NEGATIVE) == [True, True]
    assert learned("lrr", -1.0, W_NEGATIVE) == [False, False]  # a(0) < 0: there is nothing to keep


def test_signs_are_what_is_carried_on_the_balanced_neuron():
    assert learned("sign", 1.0, W_NEGATIVE) == [True, True]
    assert learned("magnitude", 1.0, W_NEGATIVE) == [True, False]


def test_an_unbalanced_negative_a_is_turned_and_its_sign_carried():
    # |a0| < |w0| learns dense, but not on the mask, where |a0| > |w_1|
    assert learned("imp", -0.7, W_POSITIVE) == [True, False]
    assert learned("sign", -0.7, W_POSITIVE) == learned("lrr", -0.7, W_POSITIVE) == [True, True]


@pytest.mark.parametrize(
    ("starts", "want"),
    [
        (balanced_starts, (0.25, 0.5, 0.25, 0.5)),
        (normal_starts, (0.375, 0.995, 0.497, 0.995)),
        (bounded_starts, (0.315, 1, 0.5, 1)),
    ],
)
def test_the_factorial_has_the_stated_probabilities(starts, want):
    a0, w0 = starts(np.random.default_rng(0), 40_000, 10)
    shares = [prune(rule, a0, w0).learns[-1].mean() for rule in ("imp", "sign", "magnitude", "lrr")]
    assert np.allclose(shares, want, atol=0.01)


def test_imp_falls_only_when_the_last_other_input_goes():
    a0, w0 = balanced_starts(np.random.default_rng(1), 5000, 10)
    levels = prune("imp", a0, w0, [8, 6, 5, 4, 3, 2, 1])
    shares = levels.learns.mean(axis=1)
    assert np.ptp(shares[:-1]) == 0 and abs(shares[0] - 0.5) < 0.03 and abs(shares[-1] - 0.25) < 0.03
    assert (prune("lrr", a0, w0, [8, 6, 5, 4, 3, 2, 1]).learns == levels.learns[0]).all()


def test_unbalanced_imp_loses_starts_at_every_level():
    a0, w0 = normal_starts(np.random.default_rng(1), 20_000, 10)
    shares = prune("imp", a0, w0, [8, 6, 5, 4, 3, 2, 1]).learns.mean(axis=1)
    assert (np.diff(shares) <= 0).all() and shares[0] - shares[-2] > 0.02  # the plateau is a matter of balance


@pytest.mark.parametrize("rule", list(REWINDS))
def test_masks_are_nested_exact_in_number_and_keep_the_strongest_inputs(rule):
    a0, w0 = balanced_starts(np.random.default_rng(2), 300, 6)
    levels = prune(rule, a0, w0, [4, 2, 1])
    assert levels.survivors == (6, 4, 2, 1)
    assert (levels.masks.sum(axis=-1) == np.array([6, 4, 2, 1])[:, None]).all()
    assert (levels.masks[1:] <= levels.masks[:-1]).all()
    assert levels.masks[..., 0].all()  # w turns to +-e_1 even where the neuron dies
    others = np.argsort(-abs(w0[:, 1:]), axis=1)[:, :3] + 1  # the order of |w_perp(0)| is kept
    assert np.take_along_axis(levels.masks[1], others, axis=1).all()


def test_many_levels_do_not_wear_out_the_dying_weights():
    a0, w0 = balanced_starts(np.random.default_rng(3), 200, 30)
    slow, fast = prune("lrr", a0, w0, range(29, 0, -1)), prune("lrr", a0, w0, [7, 1])
    assert (slow.masks[30 - 7] == fast.masks[1]).all() and (slow.learns[-1] == fast.learns[-1]).all()


def test_a_zero_vector_does_not_decide_the_mask():
    mask = weakest_pruned(np.ones((1, 3), bool), np.zeros((1, 3)), np.array([[0.1, -3.0, 2.0]]), 2)
    assert mask.tolist() == [[False, True, True]]
    assert weakest_pruned(np.ones((1, 3), bool), np.array([[0.0, 1e-300, 0.0]]), np.ones((1, 3)), 1).tolist() == [
        [False, True, False]
    ]


def test_ties_go_to_the_lower_index_and_pruned_inputs_stay_pruned():
    mask = np.array([[True, False, True, True]])
    assert weakest_pruned(mask, np.ones((1, 4)), np.ones((1, 4)), 2).tolist() == [[True, False, True, False]]


def test_trained_is_the_limit_and_keeps_the_last_signs():
    a0, w0 = normal_starts(np.random.default_rng(4), 500, 4)
    a, w = trained(a0, w0)
    for i in range(50):
        end = limit(a0[i], w0[i])
        assert np.isclose(a[i], end.a, atol=1e-50) and np.allclose(w[i], end.w, atol=1e-50)
    assert (np.sign(w[:, 1:]) == np.sign(w0[:, 1:])).all()
    good = learns(a0, w0)
    assert (w[good, 0] > 0).all() and (w[~good, 0] < 0).all() and (a[~good] < 0).all()
    assert trained(-2.0, [1.0, 0.0])[1].tolist() == [0, 0]  # this one does reach 0


def test_sign_rewind_takes_the_initial_sign_where_the_trained_value_is_zero():
    assert signs_rewound(np.array([2.0, -2.0, -2.0]), np.array([-1e-300, 0.0, 5.0])).tolist() == [-2, -2, 2]


def test_schedule_removes_at_least_one_input_a_level():
    assert schedule(10, 0.2) == [10, 8, 6, 5, 4, 3, 2, 1]
    assert schedule(10, 0.5) == [10, 5, 2, 1] and schedule(1, 0.2) == [1]
    assert schedule(7, 0.3) == [7, 5, 3, 2, 1]  # 4.9 is 5: rounded, not cut
    with pytest.raises(ValueError, match="d must be a whole number, at least 1, got 7.5"):
        schedule(7.5, 0.3)
    with pytest.raises(ValueError, match="got 20: 20 % is written 0.2"):
        schedule(10, 20)


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_pruning_does_not_depend_on_the_order_of_the_other_inputs(data):
    seed, rule = data.draw(st.integers(0, 10**6)), data.draw(st.sampled_from(list(REWINDS)))
    a0, w0 = normal_starts(np.random.default_rng(seed), 20, 5)
    order = [0, *data.draw(st.permutations(range(1, 5)))]
    here, there = prune(rule, a0, w0, [3, 1]), prune(rule, a0, w0[:, order], [3, 1])
    assert (here.learns == there.learns).all() and (here.masks[..., order] == there.masks).all()


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="unknown rule 'Imp': did you mean 'imp'"):
        prune("Imp", [1.0], [[1.0, 2.0]])
    with pytest.raises(ValueError, match=r"survivors must fall from d = 2 to at least 1, got \[2\]"):
        prune("imp", [1.0], [[1.0, 2.0]], [2])
    with pytest.raises(ValueError, match="survivors must be a whole number, from 1 to 2, got .*1.5"):
        prune("imp", [1.0], [[1.0, 2.0]], [1.5])
    with pytest.raises(ValueError, match="survivors must be a whole number, from 1 to 2, got .*0"):
        prune("imp", [1.0], [[1.0, 2.0]], [0])
    with pytest.raises(ValueError, match="do not match"):
        prune("imp", [1.0, 1.0, 1.0], np.ones((2, 2)))
    with pytest.raises(ValueError, match="a0 must be finite"):
        prune("imp", [np.nan], np.ones((1, 2)))
