"""100 random samples through each solver of `integrate` and through `integrate_batch`; `make torture` has 2,000."""

import numpy as np
import pytest

from tests.torture import flows
from theory.flow.integrate import METHODS

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("block", range(10))
def test_every_way_to_follow_the_flow_of_a_sample_agrees(block):
    seeds = range(10 * block, 10 * block + 10)
    for method in ("DOP853", METHODS[1 + block % 5]):  # every other method in two of the blocks
        found, faults = flows.disagreements(seeds, [method])
        assert not faults and found["agree"] >= 8


def test_a_flow_that_goes_elsewhere_is_reported_with_what_descent_finds(monkeypatch):
    true = flows.batched
    monkeypatch.setattr(flows, "batched", lambda one: ("finished", true(one)[1] + 0.1))
    found, faults = flows.disagreements([4], ["DOP853"])
    assert found["faults"] == 1 and "seed 4: disagree: batch finished" in faults[0] and "descent [" in faults[0]


def test_descent_with_halved_steps_comes_to_the_same_loss():
    one = flows.drawn(1)
    far, near = (flows.descended(one, step) for step in (4e-3, 1e-3))
    true = flows.followed(one, "DOP853")[1][-1]
    assert np.isclose(near, true, atol=1e-4) and abs(near - true) <= abs(far - true)
