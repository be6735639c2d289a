"""Losses of the user's own: what one must offer, and that nothing is assumed of it that is not checked."""

import numpy as np
import pytest

from theory import Masked, Population, integrate
from theory.losses.regions import Smooth


class Bowl:
    """(a - 1)^2 / 2 + |w - (1, -2)|^2 / 2: a dL/da is not w.dL/dw, and a^2 - |w|^2 not conserved."""

    d = 2
    at = np.array([1.0, -2.0])

    def loss(self, a, w):
        return (np.asarray(a) - 1) ** 2 / 2 + ((np.asarray(w) - self.at) ** 2).sum(axis=-1) / 2

    def gradient(self, a, w):
        return np.asarray(a) - 1.0, np.asarray(w) - self.at


class FullBowl(Bowl):
    goal, aim = 0.0, 1.0

    def line(self, w):
        return None

    def cell(self, a, w):
        return Smooth(self)


class Later(Bowl):
    """Balanced at the start, and no longer once a has passed .6."""

    def gradient(self, a, w):
        da, dw = Population(2).gradient(a, w)
        return da - (a > 0.6), dw


@pytest.mark.parametrize("loss", [Bowl(), FullBowl()])
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
