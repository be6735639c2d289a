"""Several hidden neurons: loss, gradient, flow, pruning, and the exact probabilities of one."""

import numpy as np
import pytest

from theory import (
    HiddenRun,
    Population,
    hidden_gradient,
    hidden_loss,
    hidden_starts,
    integrate,
    limit,
    prune,
    prune_hidden,
    train_hidden,
)
from theory.experiments.hidden_neurons import hidden_neurons
from theory.extensions.hidden_neurons import LEARNED, STATIONARY, UNDECIDED, hidden_schedule
from theory.pruning import schedule
from theory.sampling import clopper_pearson

pytestmark = pytest.mark.slow


def networks(rng):
    """Yield random networks (a, w), then some with parallel, opposite and dead neurons and neurons on the axis."""
    for k, d in ((1, 1), (1, 3), (2, 2), (3, 5), (8, 10)):
        yield rng.normal(size=k), rng.normal(size=(k, d))
    yield np.array([1.0, -0.3]), np.array([[0.6, 0.8], [1.2, 1.6]])
    yield np.array([1.0, 0.5]), np.array([[0.6, 0.8], [-0.3, -0.4]])
    yield np.array([0.7, 1.0, -2.0]), np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])


# --- loss and gradient


def test_the_loss_is_half_the_mean_square_over_normal_inputs():
    rng, told = np.random.default_rng(0), 0
    for a, w in networks(rng):
        x = rng.normal(size=(200_000, w.shape[1]))
        squares = (np.maximum(x @ w.T, 0) @ a - np.maximum(x[:, 0], 0)) ** 2 / 2
        error = squares.std() / np.sqrt(len(squares))
        assert abs(hidden_loss(a, w) - squares.mean()) < 5 * error
        told += abs(hidden_loss(1.5 * a, w) - squares.mean()) > 5 * error
    assert told >= 5, "other networks are told apart"


def test_the_gradient_is_the_slope_of_the_loss():
    h = 1e-6
    for a, w in networks(np.random.default_rng(1)):
        da, dw = hidden_gradient(a, w)
        living = (w != 0).any(axis=1)
        for i in range(len(a)):
            step = h * np.eye(len(a))[i]
            assert da[i] == pytest.approx((hidden_loss(a + step, w) - hidden_loss(a - step, w)) / (2 * h), abs=1e-7)
            for j in range(w.shape[1]):
                step = np.zeros_like(w)
                step[i, j] = h
                slope = (hidden_loss(a, w + step) - hidden_loss(a, w - step)) / (2 * h)
                assert dw[i, j] == pytest.approx(slope if living[i] else 0.0, abs=1e-7)


def test_one_neuron_is_the_neuron():
    rng = np.random.default_rng(2)
    a, w = rng.normal(size=(40, 1)), rng.normal(size=(40, 1, 4))
    assert np.allclose(hidden_loss(a, w), Population(4).loss(a[:, 0], w[:, 0]), rtol=1e-13)
    for one, other in zip(hidden_gradient(a, w), Population(4).gradient(a[:, 0], w[:, 0]), strict=True):
        assert np.allclose(one[:, 0], other, rtol=0, atol=1e-13)


def test_the_order_of_the_neurons_does_not_matter_and_the_target_is_a_loss_of_zero():
    a, w = np.array([0.3, -0.8, 1.1]), np.random.default_rng(3).normal(size=(3, 4))
    order = [2, 0, 1]
    assert hidden_loss(a[order], w[order]) == pytest.approx(hidden_loss(a, w), abs=1e-14)
    assert np.allclose(hidden_gradient(a, w)[1][order], hidden_gradient(a[order], w[order])[1], atol=1e-14)
    shares = np.array([0.2, 0.3, 0.5])
    assert hidden_loss(shares, np.tile([1.0, 0, 0, 0], (3, 1))) == pytest.approx(0, abs=1e-15)
    assert hidden_loss(-shares, np.tile([1.0, 0, 0, 0], (3, 1))) == pytest.approx(1)


def test_a_size_whose_square_underflows_is_not_dead():
    da, dw = hidden_gradient([1.0], [[1e-200, 0.0]])
    assert np.allclose(dw, [[-0.5, 0.0]]) and da[0] == pytest.approx(-0.5e-200)
    assert (hidden_gradient([1.0], [[0.0, 0.0]])[1] == 0).all()


# --- the flow


def test_one_neuron_flows_as_integrate_has_it():
    a, w = 0.9, np.array([-0.7, 0.5])
    run = train_hidden([[a]], [[w]])
    other = integrate(Population(2), a, w, [run.time[0]], rtol=1e-11, atol=1e-13)
    assert run.a[0, 0] == pytest.approx(other.a[-1], abs=1e-6) and np.allclose(run.w[0, 0], other.w[-1], atol=1e-6)
    assert run.loss[0] == pytest.approx(other.loss[-1], rel=1e-3)


def test_every_neuron_keeps_its_balance():
    a0, w0 = hidden_starts(np.random.default_rng(4), 20, 4, 3)
    w0 = w0 * np.random.default_rng(5).uniform(0.5, 2, size=(20, 4, 1))
    run = train_hidden(a0, w0)
    assert np.allclose(run.a**2 - (run.w**2).sum(axis=-1), a0**2 - (w0**2).sum(axis=-1), atol=2e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_neuron_in_equal_parts_is_the_neuron(seed):
    a0, w0 = hidden_starts(np.random.default_rng(seed), 10, 1, 3)
    parts = np.tile(a0 / 2, 4), np.tile(w0 / 2, (1, 4, 1))
    assert (train_hidden(a0, w0).status == train_hidden(*parts).status).all()
    one, four = train_hidden(a0, w0, horizon=8.0), train_hidden(*parts, horizon=8.0)
    assert np.allclose(4 * four.a[:, :1, None] * four.w[:, :1], one.a[..., None] * one.w, atol=1e-6)


def test_a_wrong_sign_fails_alone_and_another_neuron_rescues_it():
    rng = np.random.default_rng(6)
    a0, w0 = hidden_starts(rng, 30, 2, 3)
    wrong, right = -abs(a0), abs(a0) * [[-1, 1]]
    assert (train_hidden(wrong[:, :1], w0[:, :1]).status == STATIONARY).all()
    assert (train_hidden(wrong, w0).status == STATIONARY).all(), "two wrong ones do not help each other"
    assert (train_hidden(right, w0).status == LEARNED).all()


def test_a_lone_weight_lands_on_zero_and_rests_at_the_exact_limit():
    a0, w0 = -1.0, np.array([0.4, 0.0])
    run = train_hidden([[a0]], [[w0]], [[[True, False]]])
    assert run.status[0] == STATIONARY and (run.w == 0).all() and run.steps[0] < 300
    assert run.a[0, 0] == pytest.approx(limit(a0, w0).a, abs=1e-8) == pytest.approx(-np.sqrt(1 - 0.16), abs=1e-8)


def test_a_lone_weight_that_is_pushed_through_zero_goes_on():
    """Neuron 1 (along e_2) is pushed down by the large neuron 2, and below 0, where that is silent, by the target."""
    a, w, mask = [[0.6, 1.5]], [[[0.0, 0.1], [0.0, 1.5]]], [[[False, True], [True, True]]]
    early = train_hidden(a, w, mask, horizon=0.5)
    assert early.w[0, 0, 1] < -0.01 and early.status[0] == UNDECIDED and early.steps[0] < 100
    assert early.a[0, 0] ** 2 - early.w[0, 0, 1] ** 2 == pytest.approx(0.6**2 - 0.1**2, abs=1e-7)


def test_a_lone_weight_that_both_sides_push_to_zero_dies_without_a_stall():
    a, w, mask = [[-0.5, 0.3]], [[[0.0, 0.05], [0.3, 0.0]]], [[[False, True], [True, False]]]
    run = train_hidden(a, w, mask)
    assert run.w[0, 0, 1] == 0.0 and run.status[0] == LEARNED and run.steps[0] < 300


def test_a_pair_that_cancels_near_the_dying_ray_is_not_taken_for_a_failure():
    a = [[-0.45047403, 1.09742703]]
    w = [[[-0.41074697, -0.18496967], [-1.06677126, 0.25757555]]]
    run, hasty = train_hidden(a, w), train_hidden(a, w, still=1e-6)
    assert (run.status[0], hasty.status[0]) == (LEARNED, STATIONARY), "a gradient below 1e-6 would have called it dead"
    assert hasty.time[0] < 100 < 10_000 < run.time[0] and hasty.loss[0] == pytest.approx(0.25, abs=1e-8)


@pytest.mark.parametrize("size", [1e-290, 1e-298, 1e-299, 1e-300, 1e-303, 1e-308, 1e-312, 1e-320])
def test_a_start_at_the_least_of_the_floats_is_decided_as_its_exact_limit_or_not_at_all(size):
    rng = np.random.default_rng(0)
    w, a = rng.normal(size=(40, 2)), rng.normal(size=40)
    clear = abs(abs(a) - np.hypot.reduce(w, axis=1)) > 0.1  # of other starts denormal numbers change the balance
    run = train_hidden(a[clear, None] * size, w[clear, None] * size, horizon=1e5)
    learns = a[clear] > -np.hypot.reduce(w[clear], axis=1)
    assert not (learns & (run.status == STATIONARY)).any() and not (~learns & (run.status == LEARNED)).any()
    decided = run.status != UNDECIDED
    assert decided[a[clear] > 0].all() or size < 1e-298
    assert not decided.any() or size > 1e-301


def test_a_run_that_nothing_decides_is_undecided():
    a0, w0 = hidden_starts(np.random.default_rng(7), 8, 2, 2)
    run = train_hidden(a0, w0, horizon=0.5)
    assert (run.status == UNDECIDED).all() and np.allclose(run.time, 0.5) and (run.loss > 1e-6).all()


def test_hostile_starts_give_numbers():
    a = [[0.0, 1.0], [1e-12, -1e-12], [1.0, 1.0], [30.0, -30.0], [1.0, -1.0]]
    w = [[[0.0, 0.0], [-1.0, 0.0]], [[1e-12, 0], [0, 1e-12]], [[1, 0], [-1, 0]], [[30, 0], [0, 30]], [[1, 1], [1, 1]]]
    run = train_hidden(a, np.array(w, float), horizon=1e3)
    for part in (run.a, run.w, run.loss, run.gradient_norm):
        assert np.isfinite(part).all()
    assert run.status[0] != LEARNED and (run.w[0, 0] == 0).all()


@pytest.mark.parametrize("k", [2, 4])
def test_without_a_positive_outer_weight_nothing_learns(k):
    a0, w0 = hidden_starts(np.random.default_rng(k), 60, k, 2)
    hopeless = (a0 < 0).all(axis=1)
    for rule in ("imp", "lrr"):
        learned = prune_hidden(rule, a0, w0, hidden_schedule(k, 2)[1:]).status[-1] == LEARNED
        assert hopeless.any() and learned.any() and not (learned & hopeless).any()


# --- starts and pruning


def test_starts_are_balanced_neuron_by_neuron_and_of_one_size():
    a0, w0 = hidden_starts(np.random.default_rng(8), 4000, 3, 5)
    assert np.allclose(abs(a0), np.hypot.reduce(w0, axis=-1), rtol=1e-12)
    assert w0.var() == pytest.approx(1 / 15, rel=0.05) and (a0 > 0).mean() == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(("k", "d"), [(1, 1), (1, 10), (2, 5), (4, 3), (8, 10)])
def test_the_schedule_halves_down_to_k_weights(k, d):
    counts = hidden_schedule(k, d)
    assert counts[0] == k * d and counts[-1] == k and counts == sorted(set(counts), reverse=True)
    assert all(n == round(k * d * 0.5**level) for level, n in enumerate(counts[:-1]))
    assert k > 1 or counts == schedule(d, 0.5)


@pytest.mark.parametrize("rule", ["imp", "lrr"])
def test_masks_are_nested_and_keep_exact_counts(rule):
    a0, w0 = hidden_starts(np.random.default_rng(9), 12, 3, 4)
    counts = hidden_schedule(3, 4)
    levels = prune_hidden(rule, a0, w0, counts[1:])
    assert levels.survivors == tuple(counts) and levels.status.shape == (len(counts), 12)
    assert (levels.masks.sum(axis=(2, 3)) == np.array(counts)[:, None]).all()
    assert not (levels.masks[1:] & ~levels.masks[:-1]).any()


def run_that_ended(a, w):
    n = len(a)
    return HiddenRun(np.zeros(n, np.int8), a, w, *np.zeros((3, n)), np.zeros(n, np.int64))


def test_all_weights_are_ranked_together_and_ties_go_to_the_lower_index():
    w = np.array([[[1.0, -1.0, 1.0], [1.0, 5.0, 0.5]]])
    levels = prune_hidden("lrr", np.ones((1, 2)), w, [3], dense=run_that_ended(np.ones((1, 2)), w))
    assert levels.masks[1].tolist() == [[[True, True, False], [False, True, False]]]


def test_imp_restarts_the_survivors_where_they_began_and_lrr_where_they_ended():
    a0, w0 = np.array([[1.0]]), np.array([[[-0.6, 0.8]]])
    dense = train_hidden(a0, w0)
    assert dense.w[0, 0, 0] > 0.9, "training turned the sign of w_1"
    ends = {rule: prune_hidden(rule, a0, w0, [1], dense=dense) for rule in ("imp", "lrr")}
    assert {rule: found.status[1, 0] for rule, found in ends.items()} == {"imp": STATIONARY, "lrr": LEARNED}
    again = train_hidden(a0, w0, ends["imp"].masks[1])
    assert again.status[0] == STATIONARY and train_hidden(dense.a, dense.w, ends["lrr"].masks[1]).steps[0] == 0


def test_the_outer_weight_is_rewound_and_kept_as_well():
    a0, w0 = np.array([[1.0]]), np.array([[[0.6, 0.8]]])
    turned = run_that_ended(-a0, w0[..., ::-1])  # as if training had turned the sign of a
    ends = {rule: prune_hidden(rule, a0, w0, [1], dense=turned).status[1, 0] for rule in ("imp", "lrr")}
    assert ends == {"imp": LEARNED, "lrr": STATIONARY}


# --- the sweep


@pytest.mark.parametrize("d", [2, 5])
def test_one_neuron_has_the_exact_probabilities_and_verdicts(d):
    a0, w0 = hidden_starts(np.random.default_rng(10 + d), 300, 1, d)
    counts = hidden_schedule(1, d)
    for rule, share, wrong in (("imp", 0.25, 0.5), ("lrr", 0.5, 0.25)):
        learned = prune_hidden(rule, a0, w0, counts[1:]).status == LEARNED
        assert (learned == prune(rule, a0[:, 0], w0[:, 0], counts[1:]).learns).all()
        low, high = clopper_pearson(learned[-1].sum(), 300)
        assert low <= share <= high and not low <= wrong <= high


@pytest.fixture(scope="module")
def sweep():
    return hidden_neurons([2, 3], [1, 2], 120, 1e6, 0).values


def test_the_cells_add_up_and_are_paired(sweep):
    assert [(cell["d"], cell["k"]) for cell in sweep["cells"]] == [(2, 1), (2, 2), (3, 1), (3, 2)]
    for cell in sweep["cells"]:
        imp, lrr = cell["imp"], cell["lrr"]
        for rule in (imp, lrr):
            ends = np.array([rule["learned"], rule["stationary"], rule["undecided"]])
            assert (ends.sum(axis=0) == 120).all() and rule["successes"] == rule["learned"][-1]
            assert rule["low"] <= rule["successes"] / 120 <= rule["high"]
        assert imp["learned"][0] == lrr["learned"][0], "level 0 is the same for both"
        lead = cell["difference"]["lrr - imp"]
        assert lead["value"] == pytest.approx((lrr["successes"] - imp["successes"]) / 120) and lead["low"] > 0
        assert ("against_exact" in cell) == (cell["k"] == 1)
        for exact in cell.get("against_exact", {}).values():
            assert exact["contradictions"] == 0


def test_signs_decide_lrr_and_are_enough_for_imp(sweep):
    for cell in sweep["cells"]:
        assert (cell["lrr"]["n_as_predicted"], cell["lrr"]["n_contradicting"]) == (120, 0)
        assert cell["imp"]["n_as_predicted"] + cell["imp"]["n_contradicting"] == 120, "no such neuron fails"
    assert sum(cell["imp"]["n_contradicting"] for cell in sweep["cells"]) > 0, "but for IMP they are not needed"


def test_a_condition_more_changes_no_other(sweep):
    (alone,) = hidden_neurons([3], [2], 120, 1e6, 0).values["cells"]
    assert alone == sweep["cells"][-1]
    (other,) = hidden_neurons([3], [2], 120, 1e6, 1).values["cells"]
    assert other != alone


def test_undecided_trials_are_counted_and_are_no_successes():
    (cell,) = hidden_neurons([2], [2], 10, 0.5, 0).values["cells"]
    for rule in ("imp", "lrr"):
        assert cell[rule]["undecided"] == [10, 10] and cell[rule]["successes"] == 0


# --- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"a0": [[1.0]]}, r"a must have shape \(..., k\)"),
        ({"a0": [[1.0, np.nan]]}, "a must be finite"),
        ({"w0": [[1.0, 0.0], [0.0, 1.0]], "a0": [1.0, 1.0]}, r"w0 must have shape \(trials, k, d\)"),
        ({"mask": [[[1, 0]]]}, "mask must hold 0 and 1"),
        ({"mask": [[[1, 0], [2, 1]]]}, "mask must hold 0 and 1"),
        ({"horizon": 0.0}, "horizon must be above 0"),
        ({"rtol": np.nan}, "rtol must be one finite number"),
        ({"still": -1.0}, "still must be above 0"),
    ],
)
def test_bad_input_is_refused_in_words(change, words):
    good = {"a0": [[1.0, 1.0]], "w0": [[[1.0, 0.0], [0.0, 1.0]]], "horizon": 1.0}
    train_hidden(**good)
    with pytest.raises(ValueError, match=words):
        train_hidden(**(good | change))


def test_bad_pruning_and_starts_are_refused():
    a0, w0 = hidden_starts(np.random.default_rng(0), 2, 2, 2)
    for survivors in ([4], [2, 3], [0], [2.5]):
        with pytest.raises(ValueError, match="survivors"):
            prune_hidden("imp", a0, w0, survivors, horizon=1.0)
    with pytest.raises(ValueError, match="unknown rule 'sign'"):
        prune_hidden("sign", a0, w0, [2])
    with pytest.raises(ValueError, match="k must be a whole number"):
        hidden_starts(np.random.default_rng(0), 2, 0, 2)
    with pytest.raises(ValueError, match="prune_rate must lie in"):
        hidden_schedule(2, 2, 1.0)
    with pytest.raises(ValueError, match=r"a must have shape \(..., k\)"):
        hidden_loss([1.0, 2.0], [[1.0, 0.0]])
