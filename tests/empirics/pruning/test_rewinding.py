import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from empirics.config import ConfigError
from empirics.pruning import masks as m
from empirics.pruning.rewinding import restart
from empirics.pruning.rules import REWINDS

INITIAL = torch.tensor([1.0, -2.0, 3.0, -4.0, 5.0])
TRAINED = torch.tensor([-0.5, -0.25, 0.75, 0.125, 0.0])
MASKS = {"w": torch.tensor([True, True, False, True, True])}


def state(weight: torch.Tensor, bias: float) -> dict[str, torch.Tensor]:
    return {"w": weight.clone(), "bn.running_mean": torch.tensor([bias]), "bias": torch.tensor([10 * bias])}


@pytest.mark.parametrize(
    "rule, expected",
    [
        ("imp", [1.0, -2.0, 0.0, -4.0, 5.0]),
        ("wr", [1.0, -2.0, 0.0, -4.0, 5.0]),
        ("lrr", [-0.5, -0.25, 0.0, 0.125, 0.0]),
        ("sign", [-1.0, -2.0, 0.0, 4.0, 5.0]),
        ("magnitude", [0.5, -0.25, 0.0, -0.125, 0.0]),
    ],
)
def test_each_rule_restarts_surviving_weights_as_defined(rule, expected):
    start = restart(rule, state(INITIAL, 0.0), state(TRAINED, 1.0), MASKS, bn_rewind=True)
    assert start["w"].tolist() == expected


def test_a_trained_weight_of_exactly_zero_keeps_its_initial_sign_under_sign_rewind():
    trained = torch.tensor([0.0, -0.0])
    initial = torch.tensor([-2.0, 2.0])
    assert torch.equal(REWINDS["sign"].restart(initial, trained), initial)


@pytest.mark.parametrize("rule", REWINDS)
@pytest.mark.parametrize("bn_rewind", [True, False])
def test_bn_rewind_alone_decides_on_everything_that_is_not_prunable(rule, bn_rewind):
    start = restart(rule, state(INITIAL, 0.0), state(TRAINED, 1.0), MASKS, bn_rewind=bn_rewind)
    expected = 0.0 if bn_rewind else 1.0
    assert float(start["bn.running_mean"]) == expected and float(start["bias"]) == 10 * expected


@pytest.mark.parametrize("rule", REWINDS)
def test_a_restart_shares_no_memory_with_what_it_came_from(rule):
    initial, trained = state(INITIAL, 0.0), state(TRAINED, 1.0)
    start = restart(rule, initial, trained, MASKS, bn_rewind=True)
    for value in start.values():
        value.fill_(99.0)
    assert torch.equal(initial["w"], INITIAL) and torch.equal(trained["w"], TRAINED)


finite = st.floats(-1e3, 1e3, width=32).filter(lambda x: x != 0)


@given(st.lists(st.tuples(finite, finite), min_size=1, max_size=20))
def test_the_four_rules_are_the_cells_of_signs_times_magnitudes(pairs):
    initial, trained = (torch.tensor(values) for values in zip(*pairs, strict=True))
    cells = {rule: REWINDS[rule].restart(initial, trained) for rule in ("imp", "sign", "magnitude", "lrr")}
    assert torch.equal(cells["sign"].sign(), cells["lrr"].sign()) and torch.equal(cells["sign"].abs(), initial.abs())
    assert torch.equal(cells["magnitude"].sign(), cells["imp"].sign())
    assert torch.equal(cells["magnitude"].abs(), trained.abs())


def test_an_unknown_rule_is_refused_with_the_nearest_name_first():
    with pytest.raises(ConfigError, match="did you mean 'magnitude'"):
        restart("magnitudes", {}, {}, m.Masks(), bn_rewind=True)
