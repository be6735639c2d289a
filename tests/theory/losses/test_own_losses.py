"""Losses of the user's own: what one must offer, and that nothing is assumed of it that is not checked."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from theory import Line, Masked, Population, Sample, descend, integrate, integrate_batch, limit
from theory.losses.regions import SmoothRegion

pytestmark = pytest.mark.slow


class Bowl:
    """(a - 1)^2 / 2 + |w - (1, -2)|^2 / 2: a dL/da is not w.dL/dw, and a^2 - |w|^2 not conserved."""

    d = 2
    at = np.array([1.0, -2.0])

    def loss(self, a, w):
        return (np.asarray(a) - 1) ** 2 / 2 + ((np.asarray(w) - self.at) ** 2).sum(axis=-1) / 2

    def gradient(self, a, w):
        return np.asarray(a) - 1.0, np.asarray(w) - self.at


class FullBowl(Bowl):
    target_fit_loss, required_sign_of_a = 0.0, 1.0

    def line(self, w):
        return None

    def region(self, a, w):
        return SmoothRegion(self)


class Later(Bowl):
    """Balanced at the start, and no longer once a has passed .6."""

    def gradient(self, a, w):
        da, dw = Population(2).gradient(a, w)
        return da - (a > 0.6), dw


@pytest.mark.parametrize("loss", [Bowl(), FullBowl(), Masked(Bowl(), [1, 1])])
@pytest.mark.parametrize("start", [(0.5, [0.3, 0.4]), (1.0, [0.1, 0.0]), (-0.5, [0.3, 0.4])])
def test_a_loss_that_conserves_nothing_is_followed_as_it_is(loss, start):
    a0, w0 = start
    run = integrate(loss, a0, w0, 1.0)  # |a0| = |w0|, or nearly: no chart of balanced starts may be used
    left = np.exp(-1.0)
    assert run.a[-1] == pytest.approx(1 + (a0 - 1) * left, abs=1e-9) and run.status == "finished"
    assert np.allclose(run.w[-1], Bowl.at + (w0 - Bowl.at) * left, atol=1e-9)
    assert run.verdict == "undecided" and run.drift > 0.01


def test_a_loss_that_stops_conserving_on_the_way_is_followed_again_as_it_is():
    run, plain = (integrate(Later(), 0.5, [0.3, 0.4], 2.0, exact_balance=exact) for exact in (True, False))
    assert run.a[-1] == pytest.approx(plain.a[-1], abs=1e-7) and abs(run.a[-1]) - np.linalg.norm(run.w[-1]) > 0.1


@pytest.mark.parametrize("size", [1e-300, 1e-170, 1e-160, 1.0, 1e160, 1e300])
@pytest.mark.filterwarnings("error")
def test_the_conserved_quantity_is_checked_where_its_products_leave_the_floats(size):
    falls = bowl(
        loss=lambda s, a, w: a**2 / 2 + 2 * (w**2).sum(axis=-1),
        gradient=lambda s, a, w: (a, 4 * w),
    )
    run = integrate(falls, 0.5 * size, [0.3 * size, 0.4 * size], [1.0])
    assert run.status == "finished" and run.a[-1] == pytest.approx(0.5 * size * np.exp(-1), rel=1e-7, abs=0)
    assert run.w[-1] == pytest.approx(np.array([0.3, 0.4]) * size * np.exp(-4), rel=1e-6, abs=0)


@pytest.mark.parametrize(("place", "width"), [(0.7, 0.01), (0.55, 0.003), (0.6, 0.05)])
def test_the_conserved_quantity_is_checked_within_the_steps_too(place, width):
    class Kicks(Bowl):
        def gradient(self, a, w):
            da, dw = Population(2).gradient(a, w)
            return da - 5 * np.exp(-(((a - place) / width) ** 2)), dw

    run, plain = (integrate(Kicks(), 0.5, [0.3, 0.4], 8.0, rtol=1e-7, exact_balance=exact) for exact in (True, False))
    assert plain.drift > 1e-3 and (run.a == plain.a).all() and run.drift == plain.drift


def test_a_mask_of_a_loss_of_ones_own_keeps_the_survivors_alone():
    run = integrate(Masked(FullBowl(), [0, 1]), 0.5, [0.3, 0.4], 1.0)
    left = np.exp(-1.0)
    assert (run.w[:, 0] == 0).all() and run.w[-1, 1] == pytest.approx(-2 + 2.4 * left, abs=1e-9)
    assert run.loss[-1] == pytest.approx(FullBowl().loss(run.a[-1], run.w[-1]))
    da, dw = Masked(Bowl(), [1, 0]).gradient(0.5, [0.3, 0.4])
    assert (da, dw.tolist()) == (-0.5, [-0.7, 0.0])


def test_what_is_no_loss_is_refused_in_words():
    for wrong, missing in ((3, "d"), (type("L", (), {"d": 2, "loss": None})(), "gradient")):
        with pytest.raises(
            ValueError, match=rf"a loss needs d, loss\(a, w\) and gradient\(a, w\), got .* without {missing}"
        ):
            integrate(wrong, 0.5, [0.3, 0.4], 1.0)
        with pytest.raises(ValueError, match=f"a loss needs d, .* without {missing}"):
            Masked(wrong, [1, 0])
    with pytest.raises(ValueError, match=r"without d: pass an instance, Line\(...\)"):
        integrate(Line, 0.5, [0.3], 1.0)


def bowl(**members):
    """A bowl with other members."""
    return type("Bent", (Bowl,), members)()


PAIR = r"gradient\(a, w\) must give the pair \(dL/da, dL/dw\), got "
WRONG = [
    ({"d": 2.5}, "d of a loss must be a whole number, at least 1, got 2.5"),
    ({"d": None}, "d of a loss must be a whole number, at least 1, got None"),
    ({"loss": None}, "got loss = None: it must be a function"),
    ({"gradient": 3.0}, "got gradient = 3.0: it must be a function"),
    ({"target_fit_loss": None}, "target_fit_loss of a loss must be one finite number, got None"),
    ({"required_sign_of_a": "up"}, "required_sign_of_a of a loss must be one finite number, got 'up'"),
    ({"aim": 1.0}, "aim of a loss is called required_sign_of_a now"),
    ({"gradient": lambda s, a, w: None}, PAIR + "None"),
    ({"gradient": lambda s, a, w: np.array([a, *w])}, PAIR + "array"),
    ({"gradient": lambda s, a, w: (a, w[0])}, r"dL/dw of gradient\(a, w\) must have shape \(2,\) of a .*, got \(\)"),
    ({"gradient": lambda s, a, w: (w, w)}, r"dL/da of gradient\(a, w\) must have shape \(\) of a .*, got \(2,\)"),
    ({"gradient": lambda s, a, w: (a * 1j, w)}, r"dL/da of gradient\(a, w\) must be a number .*: complex numbers"),
    ({"gradient": lambda s, a, w: (a, w + 0j)}, r"dL/dw of gradient\(a, w\) must be a number .*: complex numbers"),
    ({"loss": lambda s, a, w: 0.5}, r"loss\(a, w\) must have shape \(2,\) of a \(2,\) and w \(2, 2\), got \(\)"),
    ({"loss": lambda s, a, w: None}, r"loss\(a, w\) must be a number or an array of numbers, got None"),
    ({"line": lambda s, w: 3}, r"line\(w\) must give a theory.Line or None, got 3"),
    ({"region": lambda s, a, w: None}, r"region\(a, w\) must give a Region of theory.losses.regions, got None"),
]


@pytest.mark.parametrize(("members", "message"), WRONG)
@pytest.mark.parametrize("mask", [None, [1, 1]])
def test_a_loss_whose_members_are_none_is_refused_in_words(members, message, mask):
    with pytest.raises(ValueError, match=message):
        integrate(Masked(bowl(**members), mask) if mask else bowl(**members), 0.5, [0.3, 0.4], [0.0, 1.0])


def test_a_dimension_that_is_a_whole_float_is_taken():
    right = integrate(Bowl(), 0.5, [0.3, 0.4], 1.0)
    for loss in (bowl(d=2.0), Masked(bowl(d=2.0), [1, 1])):
        assert (integrate(loss, 0.5, [0.3, 0.4], 1.0).w[-1] == right.w[-1]).all()


def test_one_number_will_do_where_one_point_is_asked_for():
    loss = bowl(loss=lambda s, a, w: float(Bowl.loss(s, a, w)))
    assert descend(loss, 0.5, [0.3, 0.4], 0.1, max_steps=3).steps == 3
    assert Masked(loss, [1, 0]).loss(0.5, [0.3, 0.4]) == pytest.approx(0.125 + (0.49 + 4) / 2)


def test_a_batch_knows_its_losses_by_their_types_and_not_by_their_names():
    for loss in (type("Line", (Bowl,), {})(), Masked(Bowl(), [1, 1]), Masked(Bowl(), [1, 0])):
        with pytest.raises(
            ValueError, match="only losses of theory itself run in batches, got .*: use theory.integrate"
        ):
            integrate_batch(loss, [0.5], [[0.3, 0.4]], 1.0)


def ridge(known, *numbers):
    """A loss of theory and a ridge, .2 (a^2 + |w|^2), in a class made of its own."""

    class Ridge(known):
        def loss(self, a, w):
            return super().loss(a, w) + 0.2 * (np.square(a) + np.square(w).sum(axis=-1))

        def gradient(self, a, w):
            da, dw = super().gradient(a, w)
            return da + 0.4 * np.asarray(a), dw + 0.4 * np.asarray(w)

    return Ridge(*numbers)


X = np.random.default_rng(0).normal(size=(30, 2))
RIDGES = [
    (ridge(Line), [0.5]),
    (ridge(Population, 1), [0.5]),
    (ridge(Population, 2), [0.5, 0.0]),
    (ridge(Population, 2), [0.3, 0.4]),
    (ridge(Sample, X, np.maximum(X[:, 0], 0)), [0.6, 0.1]),
    (ridge(Sample, X[:, :1], np.maximum(X[:, 0], 0)), [0.5]),
    (ridge(Masked, Population(2), [1, 1]), [0.3, 0.4]),
]


@pytest.mark.parametrize(("loss", "w0"), RIDGES)
@pytest.mark.parametrize("masked", [False, True])
def test_a_class_made_of_a_loss_of_theory_is_followed_with_its_own_gradient(loss, w0, masked):
    ones = np.ones(len(w0))
    falls = lambda t, y: -np.append(*loss.gradient(y[0], y[1:]))  # noqa: E731
    a, *w = solve_ivp(falls, (0.0, 3.0), [1.0, *w0], rtol=1e-10, atol=1e-12).y[:, -1]
    whole = Masked(loss, ones) if masked else loss
    run = integrate(whole, 1.0, w0, 3.0)
    assert run.a[-1] == pytest.approx(a, abs=1e-6) and run.w[-1] == pytest.approx(w, abs=1e-6)
    assert (np.diff(run.loss) <= 1e-12).all() and run.verdict == "undecided"
    few = descend(whole, 1.0, w0, 0.1, max_steps=1)
    assert few.a[-1] == pytest.approx(1.0 - 0.1 * loss.gradient(1.0, np.array(w0))[0], abs=1e-12)
    with pytest.raises(ValueError, match="no exact limit is known for"):
        limit(1.0, w0, whole)
    with pytest.raises(ValueError, match="unknown loss 'Ridge'|only losses of theory itself"):
        integrate_batch(whole, [1.0], [w0], 3.0)


def test_what_a_class_says_of_itself_is_used_and_what_it_inherits_of_another_loss_is_not():
    class Half(Bowl):  # all of it its own
        target_fit_loss, required_sign_of_a = 0.25, 1.0

    class Other(Half):
        def loss(self, a, w):
            return super().loss(a, w) + 1.0

    class Lined(ridge(Line).__class__):
        def line(self, w):
            return Line()

    assert (Masked(Half(), [1, 0]).target_fit_loss, Masked(Other(), [1, 0]).target_fit_loss) == (0.25, 0.0)
    assert integrate(Lined(), 1.0, [0.5], 3.0).a[-1] == integrate(Line(), 1.0, [0.5], 3.0).a[-1]


def test_a_class_that_changes_nothing_of_a_loss_of_theory_keeps_what_is_known_of_it():
    class Named(Population):
        """A population with a name."""

        def title(self):
            return "population"

    for start in ((-1.0, [0.6, 0.8]), (0.5, [0.3, 0.0]), (-1.0, [0.3, 0.4])):
        mine, plain = (integrate(loss, *start, 60.0) for loss in (Named(2), Population(2)))
        assert (mine.w[-1] == plain.w[-1]).all() and (mine.verdict, mine.status) == (plain.verdict, plain.status)
    assert limit(0.5, [-0.3, 0.4], Named(2)).verdict == "learns"
    assert type(Masked(Named(3), [1, 1, 0]).survivors) is Population


@pytest.mark.parametrize("method", ["DOP853", "RK23", "Radau", "LSODA", "BDF"])
@pytest.mark.parametrize(
    "start", [(0.5, [0.0, 0.0]), (0.0, [0.0, 0.0]), (1e-300, [0.0, 0.0]), (0.0, [1e-200, 0.0]), (0.0, [0.0, -1e-20])]
)
def test_a_loss_of_ones_own_leaves_w_0_as_its_gradient_says(start, method):
    run, left = integrate(Bowl(), *start, 4.0, method=method), np.exp(-4.0)
    assert run.a[-1] == pytest.approx(1 + (start[0] - 1) * left, abs=1e-8) and run.verdict == "undecided"
    assert run.w[-1] == pytest.approx(Bowl.at * (1 - left), abs=1e-8) and run.status == "finished"
    masked = integrate(Masked(Bowl(), [0, 1]), *start, 4.0, method=method)
    assert masked.w[-1] == pytest.approx(Bowl.at * [0, 1 - left], abs=1e-8)


def test_a_decays_at_w_0_where_a_loss_of_ones_own_says_so():
    class Decay(Population):
        def gradient(self, a, w):
            da, dw = super().gradient(a, w)
            return da + a, dw

    assert integrate(Decay(2), 0.5, [0.0, 0.0], 2.0).a[-1] == pytest.approx(0.5 * np.exp(-2), abs=1e-9)
    assert integrate(Population(2), 0.5, [0.0, 0.0], 2.0).a[-1] == 0.5  # relu'(0) = 0


def test_a_run_that_a_kink_of_ones_own_ends_says_that_it_counts_as_smooth():
    edge = bowl(
        loss=lambda s, a, w: a * a / 2 + abs(w[..., 0]) + w[..., 1] ** 2 / 2,
        gradient=lambda s, a, w: (a, np.array([1.0 if w[0] > 0 else -1.0, w[1]])),
    )
    run = integrate(edge, 0.5, [0.3, 0.4], 5.0, max_evaluations=2000)
    assert run.status == "failed" and "a loss of your own counts as smooth: where it has kinks, give it" in run.message
    stiff = integrate(Population(2), 100.0, [300.0, 400.0], 50.0, max_evaluations=20)
    assert stiff.status == "failed" and "your own" not in stiff.message
