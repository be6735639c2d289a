"""The flow of a finite sample on its kinks and at w = 0: slides, landings, rows that share a kink or have none."""

import numpy as np
import pytest

import theory
from tests.torture import flows
from theory.flow.batch import STATUSES
from theory.flow.integrate import DOUBTFUL_NOTE, METHODS
from theory.losses.kinks import Kinks, leave_zero

pytestmark = pytest.mark.slow


def sample(n, d, noise, seed):
    """A noisy sample of relu(x_1) and a start, as users drew them."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, d))
    y = np.maximum(x[:, 0], 0) + noise * rng.normal(size=n)
    return theory.Sample(x, y), float(rng.normal()), rng.normal(size=d) / (1.0 if n == 6 else np.sqrt(d))


def ends(loss, a0, w0, t=60.0, method="DOP853"):
    """(status, last loss) by `integrate` and by `integrate_batch`."""
    run, batch = theory.integrate(loss, a0, w0, [t], method=method), theory.integrate_batch(loss, [a0], [w0], [t])
    return (run.status, run.loss[-1]), (STATUSES[batch.status[0]], batch.loss[0, -1])


def descent(loss, a0, w0, step):
    """Loss of plain gradient descent at t = 60."""
    return flows.descended(flows.Drawn("given", loss, a0, w0), step)


@pytest.mark.parametrize(
    ("data", "loss"),
    [((8, 3, 1.0, 83), 0.492964), ((20, 5, 0.3, 51), 0.0488822), ((20, 5, 0.3, 1010), 0.0407052)],
)
@pytest.mark.parametrize("method", ["DOP853", "LSODA", "BDF"])
def test_a_slide_ends_where_a_passes_0_since_every_push_turns_round_there(data, loss, method):
    one, a0, w0 = sample(*data)
    for status, found in ends(one, a0, w0, method=method):
        # of descent with its step halved twice
        assert status in ("finished", "doubtful") and found == pytest.approx(loss, rel=3e-6)
    if data[0] != 20 or data[3] == 51:  # theta in doubt where a passes 0: descent goes to either side
        assert theory.integrate(one, a0, w0, 60.0).verdict == "undecided"


@pytest.mark.parametrize(
    ("data", "status", "loss"),
    [
        ((6, 2, 0.3, 1), "dead", 0.07092068545),
        ((6, 2, 0.3, 3), "finished", 0.33442815063),
        ((6, 2, 0.3, 16), "dead", 0.53177855455),
        ((8, 3, 1.0, 97), "dead", 0.66414292067),
        ((10, 3, 0.3, 64), "dead", 0.17795207187),
        # through w = 0, where small steps land in cells that lead to one direction of growth, or back to 0 alone
        ((10, 3, 0.3, 24), "finished", 0.28247094044),
        ((10, 3, 0.3, 15), "finished", 0.49817071567),
        ((8, 3, 1.0, 131), "finished", 1.76801550560),
    ],
)
def test_at_w_0_the_flow_dies_or_goes_on_as_small_steps_do_on_any_grid_of_times(data, status, loss):
    one, a0, w0 = sample(*data)
    for found in ends(one, a0, w0):
        assert found == (status, pytest.approx(loss, abs=1e-9))
    for times in ([60.0], [0.5, 3.0, 60.0], np.linspace(1.5, 60, 40)):
        batch = theory.integrate_batch(one, [a0], [w0], times)
        assert STATUSES[batch.status[0]] == status and batch.loss[0, -1] == pytest.approx(loss, abs=1e-9)
        run = theory.integrate(one, a0, w0, times)
        assert run.status == status and run.loss[-1] == pytest.approx(loss, abs=1e-9)


def test_the_reference_through_w_0_is_descent_with_its_step_halved():
    one, a0, w0 = sample(10, 3, 0.3, 24)
    far, near = (descent(one, a0, w0, step) for step in (1e-3, 2.5e-4))
    true = theory.integrate(one, a0, w0, 60.0).loss[-1]
    assert abs(near - true) < 0.5 * abs(far - true) < 1e-6


def test_a_dead_neuron_of_a_sample_is_at_0_with_a_at_the_root_of_the_balance():
    one, a0, w0 = sample(6, 2, 0.3, 1)
    run = theory.integrate(one, a0, w0, 60.0)
    assert run.status == "dead" and not run.w[-1].any() and "back to 0" in run.message
    assert run.a[-1] == pytest.approx(-np.sqrt(a0**2 - w0 @ w0), rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_a_row_of_zeros_stretches_time_and_nothing_else(method):
    rng = np.random.default_rng(5)
    x, w0 = rng.normal(size=(20, 3)), rng.normal(size=3)
    y = np.maximum(x[:, 0], 0) + 0.3 * rng.normal(size=20)
    alone = theory.Sample(x, y)
    more = theory.Sample(np.vstack([x, np.zeros(3)]), np.append(y, 0.7))
    for t in (1.0, 10.0):
        one, two = (
            theory.integrate(alone, 0.8, w0, t, method=method),
            theory.integrate(more, 0.8, w0, t * 21 / 20, method=method),
        )
        assert one.status == two.status == "finished" and np.allclose(one.w[-1], two.w[-1], atol=1e-6)
    batch = [theory.integrate_batch(loss, [0.8], [w0], t) for loss, t in ((alone, 10.0), (more, 10.5))]
    assert np.allclose(batch[0].w, batch[1].w, atol=1e-8) and (batch[1].status == 0).all()


def test_a_sample_of_zeros_alone_is_at_rest():
    run = theory.integrate(theory.Sample(np.zeros((3, 2)), np.ones(3)), 1.0, [0.3, 0.4], [0.0, 5.0])
    assert run.status == "finished" and (run.a == 1.0).all() and (run.w == [0.3, 0.4]).all()
    batch = theory.integrate_batch(theory.Sample(np.zeros((3, 2)), np.ones(3)), [1.0], [[0.3, 0.4]], [0.0, 5.0])
    assert (batch.a == 1.0).all() and (batch.w == [0.3, 0.4]).all()


def test_rows_that_share_a_hyperplane_are_one_kink_and_rows_of_zeros_none():
    x = np.array([[1.0, 2.0], [0.0, 0.0], [-0.5, -1.0], [2.0, 1.0], [3.0, 6.0], [1.0, 2.0 + 1e-7]])
    y = np.array([1.0, 5.0, -2.0, 0.5, 0.25, 1.0])
    kinks = Kinks.of(x, y, 0.2)
    assert len(kinks.normal) == 3 and np.allclose(np.linalg.norm(kinks.normal, axis=1), 1, atol=1e-15)
    loss, rng = theory.Sample(x, y, 0.2), np.random.default_rng(0)
    for w in rng.normal(size=(20, 2)):
        force = kinks.force(0.7, w, kinks.normal @ w > 0)
        da, dw = loss.gradient(0.7, w)
        assert np.allclose(-0.7 * force, dw, atol=1e-14) and np.isclose(-w @ force, da, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 0.1, 3.0, -0.7])
def test_a_repeated_or_collinear_row_does_not_hold_the_flow_up(scale):
    rng = np.random.default_rng(2)
    x = rng.normal(size=(12, 3))
    x = np.vstack([x, scale * x[0] * (1 + 1e-16)])
    one = theory.Sample(x, np.maximum(x[:, 0], 0) + 0.5 * rng.normal(size=13))
    a0, w0 = 1.2, rng.normal(size=3)
    (status, found), (batch, other) = ends(one, a0, w0)
    assert status == batch == "finished" and found == pytest.approx(other, abs=1e-9)
    assert found == pytest.approx(descent(one, a0, w0, 1e-3), abs=1e-4)


def nearly_repeated(seed, apart):
    """A noisy sample in which up to four rows repeat, up to `apart`, 1, 2 or -1 times the first one; and a start."""
    rng = np.random.default_rng([seed, 99])
    d, n, copies = (int(rng.integers(*bounds)) for bounds in ((2, 6), (4, 16), (1, 5)))
    x = rng.normal(size=(n, d))
    more = x[0] * rng.choice([-1.0, 1.0, 2.0], size=copies)[:, None]
    off, exact = rng.normal(size=more.shape), np.vstack([x, more])
    y = np.maximum(exact[:, 0], 0) + 0.7 * rng.normal(size=n + copies)
    return theory.Sample(np.vstack([x, more + apart * off]), y), float(rng.normal()), rng.normal(size=d) / np.sqrt(d)


@pytest.mark.parametrize("seed", [15, 21, 29, 33])
@pytest.mark.parametrize("apart", [1e-6, 1e-7, 1e-8, 1e-9])
def test_rows_that_are_one_up_to_rounding_follow_the_flow_of_rows_that_are_one(seed, apart):
    """As rows do that were stored as float32: their kinks nearly coincide, and w is never moved to where they meet."""
    (status, loss), _ = ends(*nearly_repeated(seed, 0.0), t=30.0)
    for found in ends(*nearly_repeated(seed, apart), t=30.0):
        assert found[0] in (status, "doubtful") and found[1] == pytest.approx(loss, abs=apart + 1e-9)


def said(one, a0, w0, t=30.0):
    """(status, last loss) by `integrate` and by `integrate_batch`; `doubtful` also where the former's message is."""
    run, batch = theory.integrate(one, a0, w0, [t]), theory.integrate_batch(one, [a0], [w0], [t])
    status = "doubtful" if DOUBTFUL_NOTE in run.message else run.status
    return (status, run.loss[-1]), (STATUSES[batch.status[0]], batch.loss[0, -1])


@pytest.mark.parametrize("seed", [2, 23, 32, 115])
@pytest.mark.parametrize("apart", [2e-8, 1e-8, 1e-9, 2e-10, 1e-11])
def test_rows_nearer_than_kinks_are_located_give_the_limit_of_rows_farther_apart_or_say_doubtful(seed, apart):
    one, two = (theory.integrate(*nearly_repeated(seed, far), [30.0]).loss[-1] for far in (1e-4, 1e-5))
    for status, found in said(*nearly_repeated(seed, apart)):
        assert status in ("finished", "dead", "doubtful", "undecided")
        if status in ("finished", "dead"):
            assert found == pytest.approx(two - (one - two) / 9, abs=abs(one - two) / 3 + 1e-7)


@pytest.mark.parametrize("seed", [40, 119])
def test_w_may_be_held_between_rows_of_opposite_pushes_so_that_nearer_ones_are_doubtful(seed):
    (_, together), _ = said(*nearly_repeated(seed, 0.0))
    for _, found in said(*nearly_repeated(seed, 1e-5)):  # between the kinks, however near they are to each other
        assert abs(found - together) > 4e-3
    for status, found in said(*nearly_repeated(seed, 1e-9)):
        assert status == "doubtful" and found == pytest.approx(together, abs=1e-7)
    for status, _ in said(*nearly_repeated(seed, 1e-14)):  # rounding: the rows are one
        assert status in ("finished", "dead")


def test_a_start_between_rows_that_both_push_away_is_doubtful_and_one_held_by_both_is_not():
    x = np.array([[0.0, 1.0], [1e-9, 1.0], [1.0, 0.0]])
    for y, status in ((1.0, "doubtful"), (-1.0, "finished")):
        for found in said(theory.Sample(x, [y, y, 1.0]), 0.5, [0.5, -3e-10], 3.0):
            assert found[0] == status, y


def test_a_start_on_a_kink_goes_where_both_sides_push_slides_or_stays_inactive():
    x = np.array([[0.0, 1.0], [1.0, 0.0], [1.0, 0.5]])
    for y0, w2 in ((-1.0, "slides"), (1.0, "stays")):  # row 0 has w.x = w_2 = 0 at the start
        one = theory.Sample(x, [y0, 1.0, 1.0])
        run, batch = (
            theory.integrate(one, 0.5, [0.5, 0.0], [0.2]),
            theory.integrate_batch(one, [0.5], [[0.5, 0.0]], [0.2]),
        )
        assert np.allclose(run.w[-1], batch.w[0, -1], atol=1e-9), w2
    pushed = theory.Sample(x, [-1e-3, 1.0, 1.0])  # the other rows push w_2 up on both sides
    run = theory.integrate(pushed, 0.5, [0.5, 0.0], [0.2])
    assert run.w[-1, 1] > 0 and run.events == ()


def test_a_kink_that_both_sides_push_away_from_is_left_to_the_inactive_side_by_an_exact_start():
    one = theory.Sample([[0.0, 1.0], [1.0, 0.2], [1.0, -0.4]], [3.0, 0.0, 0.5])
    off, on = (theory.integrate(one, 0.6, [0.5, w2], [2.0]).w[-1] for w2 in (-1e-9, 1e-9))
    exact = theory.integrate(one, 0.6, [0.5, 0.0], [2.0])
    assert np.sign(off[1]) == -np.sign(on[1]) and np.allclose(exact.w[-1], off, atol=1e-6)
    batch = theory.integrate_batch(one, [0.6], [[0.5, 0.0]], [2.0])
    assert np.allclose(batch.w[0, 0], exact.w[-1], atol=1e-8)


def test_a_kink_to_which_w_only_tends_is_not_crossed():
    """A row with y = 0 that decays to its kink: beyond it, at a saddle, the flow would go elsewhere."""
    x = np.array([[1.0, 0.0], [0.3, 1.0]])
    loss = theory.Sample(x, [1.0, 0.0])
    for t in (20.0, 60.0, 200.0):
        run, batch = (
            theory.integrate(loss, 1.0, [0.5, 0.8], [t]),
            theory.integrate_batch(loss, [1.0], [[0.5, 0.8]], [t]),
        )
        assert run.loss[-1] == pytest.approx(batch.loss[0, 0], abs=1e-12) and run.loss[-1] < 1e-6
        assert (run.w[-1] @ x[1]) >= -1e-15


def test_the_push_of_every_cell_beside_the_direction_of_arrival_decides_at_w_0():
    one, a0, w0 = sample(10, 3, 0.3, 64)
    along = np.array([0.31264271, 0.92413367, -0.2196167])  # where this flow arrives
    near = np.argsort(abs(one.kinks.normal @ along))[:2]
    along -= np.linalg.pinv(one.kinks.normal[near]) @ (one.kinks.normal[near] @ along)
    assert leave_zero(one.kinks, -1.0, along / np.linalg.norm(along))[0] == "dies"
    outward, _ = leave_zero(one.kinks, 1.0, along / np.linalg.norm(along))  # with a > 0 every push turns round
    assert outward != "dies"


@pytest.mark.parametrize("seed", [580, 702, 724])
def test_ends_that_differ_at_w_0_are_undecided_in_both(seed):
    one, a0, w0 = sample(6, 2, 0.6, seed)
    a0 = np.sign(a0) * (np.linalg.norm(w0) + abs(a0))  # c > 0: w can come to 0
    run, batch = theory.integrate(one, a0, w0, [60.0]), theory.integrate_batch(one, [a0], [w0], [0.0, 60.0])
    assert run.status == run.verdict == "undecided" and "different directions" in run.message
    assert STATUSES[batch.status[0]] == "undecided" and np.isnan(batch.a[0, 1]) and batch.a[0, 0] == a0
    settled = theory.settle_samples(one.x[None], one.y[None], [a0], [w0], 60.0)
    assert np.isnan(settled[0]).all()


@pytest.mark.parametrize("size", [1e-11, 1e-6])
def test_a_small_start_is_not_dead(size):
    x = np.random.default_rng(0).normal(size=(50, 3))
    loss = theory.Sample(x, np.maximum(x[:, 0], 0))
    run = theory.integrate(loss, 1.0, size * np.array([0.4, 0.8, -0.45]), 200.0)
    assert (run.status, run.verdict) == ("finished", "learns")


@pytest.mark.parametrize("a0", [1e3, 1e5, 1e8])
def test_a_large_a_comes_to_rest_at_the_fit(a0):
    x = np.random.default_rng(0).normal(size=(50, 3))
    loss = theory.Sample(x, np.maximum(x[:, 0], 0))
    batch = theory.integrate_batch(loss, [a0], [np.array([0.5, 0.3, -0.2]) / a0], [0.0, 0.1, 50.0])
    assert batch.status[0] == 0 and np.allclose(batch.a[0, 1:, None] * batch.w[0, 1:], [1, 0, 0], atol=1e-9)
    assert (np.diff(batch.loss[0]) <= 1e-8 * batch.loss[0, 0]).all()


def test_without_input_1_nothing_is_learned_however_well_another_input_fits():
    x = np.random.default_rng(0).normal(size=(20, 2))
    masked = theory.Masked(theory.Sample(x, np.maximum(x[:, 1], 0)), [0, 1])
    run = theory.integrate(masked, 1.0, [0.3, 0.4], 60.0)
    assert run.loss[-1] < 1e-9 and run.verdict == "fails" and theory.limit(1.0, [0.3, 0.4], masked).verdict == "fails"
    assert masked.required_sign_of_a == 0


@pytest.mark.parametrize("a0", [1e3, 1e5, 1e7, -1e3, -1e5, -1e7])
@pytest.mark.parametrize("height", [1.0, 1e-8])
def test_a_w_that_is_small_because_its_fit_is_has_not_died(a0, height):
    """a hardly moves: u = a w obeys u' = a^2 (y - u) / 2 on each input, as long as it is active."""
    loss = theory.Sample([[1.0, 0.0], [0.0, 1.0]], [height, height])
    w0, times = height * np.array([1.2, 0.9]) / abs(a0), np.array([0.0, 0.1, 0.3]) / a0**2
    u = height * (1 + np.outer(np.exp(-0.5 * times * a0**2), np.sign(a0) * np.array([1.2, 0.9]) - 1))
    exact = ((u - height) ** 2).sum(axis=1) / 4
    run, batch = theory.integrate(loss, a0, w0, times), theory.integrate_batch(loss, [a0], [w0], times)
    for found in (run.loss, batch.loss[0]):
        assert np.allclose(found, exact, rtol=1e-4)


def test_a_balanced_neuron_far_above_its_fit_has_not_died():
    x = np.random.default_rng(0).normal(size=(30, 2))
    loss = theory.Sample(x, np.maximum(x[:, 0], 0))
    for a0 in (1e6, 1e11):
        run = theory.integrate_batch(loss, [a0], [[0.6 * a0, 0.8 * a0]], [10.0])
        assert STATUSES[run.status[0]] in ("finished", "failed") and not run.loss[0, 0] > 0.1


def test_a_start_of_1e_minus_160_is_followed():
    loss = theory.Sample([[1.0, 0.0], [0.5, 1.0], [-1.0, 0.4]], [1.0, 0.2, 0.3])
    run = theory.integrate(loss, 0.5, np.array([0.2, -1.0]) * 1e-160, [50.0])
    assert run.status == "finished" and run.loss[-1] < 0.02


def test_a_neuron_that_died_at_0_has_settled():
    one, a0, w0 = sample(6, 2, 0.3, 1)
    a, w, gradient = theory.settle_samples(one.x[None], one.y[None], [a0], [w0], 1e6)
    assert gradient[0] == 0 and np.linalg.norm(w) < 1e-8 and a[0] == pytest.approx(-0.73835405, abs=1e-7)


DECAYS = [  # rows, targets, a0, w0, the loss of a = 0
    ([[2, -1], [0, -1], [-2, -2], [0, -1], [2, -1], [0, -1]], [2, 0, 0, 0, 2, 0], -0.5, [-0.5, -1.0], 2 / 3),
    (
        [[2, -1, -1, 2, 0, -2], [0, 0, 0, -1, 0, 2], [1, -1, -1, -2, 0, 2], [0, 1, 2, 2, 0, 1], [1, 2, 1, -2, -2, 0],
         [0, 2, 2, -1, -2, 2]],
        [0, -2, 1, 1, -2, 2], 1.0, [1, -0.5, 0, 0, 0, -1.1916439622211175], 7 / 6,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("x", "y", "a0", "w0", "loss"), DECAYS)
@pytest.mark.parametrize("method", METHODS)
def test_rounding_does_not_carry_a_through_0_where_it_only_decays_on_a_slide(x, y, a0, w0, loss, method):
    run = theory.integrate(theory.Sample(x, y), a0, w0, [60.0], method=method)
    assert run.loss[-1] == pytest.approx(loss, abs=1e-12) and run.verdict != "learns"
    for times in ([60.0], [200.0], [10.0, 150.0, 1e4]):
        batch = theory.integrate_batch(theory.Sample(x, y), [a0], [w0], times)
        assert batch.status == 0 and batch.loss[0, -1] == pytest.approx(loss, abs=1e-12)


@pytest.mark.parametrize(
    ("x", "y", "a0", "w0", "t", "a"),
    [
        ([[1, 0], [0, 1]], [-1.0, -1.0], 1.0, [0.1, 0.5], 0.912986380, 0.860232527),
        ([[1, 0], [0, 1]], [-1.0, -1.0], 1.0, [0.0, 0.5], None, np.sqrt(0.75)),
        ([[-2, 0], [1, 2], [0, -2], [0, -1], [1, 0], [-2, 0]], [-1, -1, 0, -1, 0, 0], 0.5, [0, -0.17597579749217446],
         None, 0.4680091),
    ],
)  # fmt: skip
def test_w_dies_where_it_comes_to_0_along_a_kink(x, y, a0, w0, t, a):
    loss = theory.Sample(x, y)
    for asked in ([60.0], 60.0, [10.0, 20.0]):
        run = theory.integrate(loss, a0, w0, asked)
        assert run.status == "dead" and run.a[-1] == pytest.approx(a, abs=1e-7) and not run.w[-1].any()
        assert t is None or run.t[-1] == pytest.approx(t, abs=1e-8)
    batch = theory.integrate_batch(loss, [a0], [w0], [10.0, 20.0])
    assert STATUSES[batch.status[0]] == "dead" and batch.a[0, -1] == pytest.approx(a, abs=1e-7)


def test_a_start_on_two_kinks_slides_along_those_alone_whose_share_lies_within():
    loss = theory.Sample([[-0.3, -1.7, 0, 0], [0.3, -1.5, 0, 0], [1.6, -0.3, -1.9, -1.2]], [0.4, 0.8, 1.8])
    for status, found in ends(loss, -0.1, [0, 0, 0.1, -1.1], t=20.0):
        assert status == "finished" and found == pytest.approx(0.00457001653, abs=1e-9)


@pytest.mark.parametrize("method", ["DOP853", "RK45", "LSODA"])
def test_a_flow_that_rests_beside_a_kink_meets_it_once(method):
    loss = theory.Sample([[1.0, 0.0], [0.0, 1.0]], [1.0, 0.0])  # the fit lies on the kink of the second row
    run = theory.integrate(loss, 1.0, [0.5, 0.3], [200.0], method=method)
    assert run.status == "finished" and len(run.events) <= 2 and run.loss[-1] < 1e-12


def test_where_some_pushes_lead_to_growth_and_some_to_no_force_at_w_0_nobody_claims_to_know():
    x = [[2, 0], [2, 1], [1, 2], [0, -2], [-1, 1], [-1, -2], [-2, 2], [-1, -2], [2, -1], [2, 1]]
    loss = theory.Sample(x, [0, 1, 1, -2, 1, 2, -1, 2, 2, -2])
    for status, found in ends(loss, -2.0, [0.0, -1.0], t=3.0):
        assert status == "undecided" or found == pytest.approx(1.2, abs=1e-9)  # descent: 1.2000, |w| 3e-7 and falling


def test_w_dies_where_no_target_pulls_it_from_0_however_many_ways_lead_back():
    for seed in range(20):
        one, a0, w0 = sample(60, 4, 0.0, seed)
        a0 = -abs(a0) - 1.5 * np.hypot.reduce(w0)  # w reaches 0 with a below it, and every target is at least 0
        for status, found in ends(one, a0, w0, t=500.0):
            # finished: w has come to where no row with a target is active, and only decays
            assert status in ("dead", "finished"), seed
            assert found == pytest.approx(float(one.loss(0.0, np.zeros(4))), rel=1e-9), seed


def test_w_that_decays_where_opposite_rows_leave_no_force_is_followed():
    x = [[1, 0, 2], [-1, 0, -1], [-2, -1, 2], [2, 2, -2], [-1, 2, 1], [1, -1, 0], [3, -6, -3]]
    loss = theory.Sample(x, [1, 0, 0, 2, 0, 1, 3])
    for status, found in ends(loss, -2.0, [0.5, -0.5, 0.43248922162748066], t=20.0):
        assert status in ("finished", "dead") and found == pytest.approx(15 / 14, rel=1e-9)


@pytest.mark.parametrize("method", METHODS)
def test_w_that_only_decays_along_a_kink_never_comes_to_0_and_so_does_not_leave_it(method):
    # along the slide on the kink of (2, -1) the pulls cancel, and beside it one of them would carry w away from 0
    x = [[-1, -2], [1, -2], [0, 0], [2, -1], [-2, -2], [-2, 1], [2, 0], [-2, 0], [2, 2], [-2, 1], [0, 2]]
    loss = theory.Sample(x, [-2, 0, -2, 0, 1, -1, 1, -2, -1, -1, 1])
    for t in (30.0, 60.0, 200.0):
        for status, found in ends(loss, 1.0, [-0.4, 0.7], t, method):
            assert status in ("finished", "dead") and found == pytest.approx(9 / 11, rel=1e-9)
    assert descent(loss, 1.0, np.array([-0.4, 0.7]), 1.25e-4) == pytest.approx(9 / 11, rel=1e-9)


def test_where_w_leaves_0_its_size_is_next_to_0_in_what_is_decided_there():
    one = flows.drawn(100_027)  # rows and their opposites: w = 0 is left along two kinks
    for status, found in ends(one.sample, one.a0, one.w0):
        assert status == "finished" and found == pytest.approx(0.45615278, abs=1e-7)


def test_a_slide_left_to_either_side_at_a_0_is_doubtful_in_the_batch_too():
    doubtful = 0
    for seed in range(60):
        one, a0, w0 = sample(6, 2, 0.3, seed)
        run, batch = theory.integrate(one, a0, w0, [60.0]), theory.integrate_batch(one, [a0], [w0], [60.0])
        said = flows.DOUBTFUL_NOTE in run.message
        assert said == (STATUSES[batch.status[0]] == "doubtful"), seed
        doubtful += said
    assert doubtful


def test_a_flow_comes_to_rest_where_no_row_with_a_target_is_active():
    """With as many rows as inputs and no noise, a falls to 0 there without a force that would cancel another."""
    rng = np.random.default_rng(0)
    x, a0, w0 = rng.normal(size=(60, 4, 4)), rng.normal(size=60), rng.normal(size=(60, 4)) / 2
    a, w, gradient = theory.settle_samples(x, np.maximum(x[..., 0], 0), a0, w0, 1e6, tolerance=2e-9)
    asleep = (np.einsum("ij,inj->in", w, x) <= 1e-9) | (x[..., 0] <= 0)
    assert asleep.all(axis=1).sum() > 20 and (gradient <= 1e-7).all()
    assert np.flatnonzero(np.isnan(a)).tolist() in ([], [9])  # which converges too slowly for 10,000 steps


def test_the_compiled_flow_decides_by_the_same_numbers():
    from theory.compiled import activation_pattern
    from theory.compiled import sample as kernels_sample
    from theory.losses import kinks, regions

    compiled = [getattr(activation_pattern, name) for name in ("QUIET", "FAINT", "AT_BOUND", "ROUNDED")]
    assert compiled == [kinks.QUIET, kinks.FAINT, kinks.AT_BOUND, kinks.ON_THE_KINK]
    assert kernels_sample.DOUBT == regions.DOUBT


@pytest.mark.parametrize(("push", "status"), [(1e-8, "doubtful"), (1e-3, "finished")])
def test_a_push_that_may_be_an_error_carries_no_flow_off_a_repelling_kink_without_a_word(push, status):
    """At w_1 > 0 a row draws w to the kink; beyond it the opposite row pushes w away; a third pushes through it."""
    one, a0, w0 = theory.Sample([[1, 0], [-1, 0], [-push, 1]], [0, -1, -2]), -1.0, np.array([push / 100, 1.0])
    (_, loss), (found, of_batch) = ends(one, a0, w0, 5.0)
    run = theory.integrate(one, a0, w0, 5.0)
    assert found == status and (DOUBTFUL_NOTE in run.message) == (status == "doubtful")
    assert run.w[-1, 0] < -0.6  # it did leave to the other side
    assert status == "doubtful" or loss == pytest.approx(of_batch, abs=1e-8)


@pytest.mark.parametrize("method", METHODS)
def test_a_flow_that_only_tends_to_a_repelling_kink_stays_or_says_that_it_is_in_doubt(method):
    """Whole numbers in 8 rows: w tends to a kink of opposite rows, beyond which the loss would fall; descent stays."""
    one = flows.drawn(100305)
    found = [flows.followed(one, method, rtol) for rtol in (1e-9, 1e-11)]
    assert all(status == "doubtful" or losses[-1] == pytest.approx(0.9375, abs=1e-9) for status, losses in found)
    assert flows.descended(one, 2e-3) == pytest.approx(0.9375, abs=1e-9)


def test_the_ways_on_from_0_that_are_looked_at_are_bounded_and_the_rest_is_undecided():
    """100 noisy rows of 10 inputs, c > 0: w comes to 0 along 9 kinks, whose cells lead back to 0 along ever others."""
    rng = np.random.default_rng([10, 100])
    x = rng.normal(size=(40, 100, 10))
    y = np.maximum(x[..., 0], 0) + 0.1 * rng.normal(size=(40, 100))
    w0, a0 = rng.normal(size=(40, 10)) / np.sqrt(10), rng.normal(size=40)
    sample = theory.Sample(x[1], y[1])
    run = theory.integrate_batch(sample, a0[1:2], w0[1:2], [3.0, 300.0])
    assert run.a[0, 0] < -1 and np.isnan(run.a[0, 1]) and STATUSES[run.status[0]] == "undecided"
