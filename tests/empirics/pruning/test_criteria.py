import copy
import dataclasses
import itertools
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from empirics.pruning import criteria
from empirics.pruning import masks as m
from tests.empirics.tiny_networks import Subject, emptied, equal, network, subject

LOOKS_AT_THE_NETWORK = [name for name, criterion in criteria.CRITERIA.items() if criterion.uses_network]
GLOBAL = [name for name, criterion in criteria.CRITERIA.items() if not criterion.layerwise]


@pytest.fixture(scope="module", params=["resnet8", "vgg11"])
def case(request) -> Subject:
    return subject(network(request.param))


@pytest.fixture(autouse=True)
def few_rounds(request, monkeypatch):
    """Hundred rounds are four for the contract, which does not depend on their number."""
    if "case" in request.fixturenames:
        for name, criterion in criteria.CRITERIA.items():
            monkeypatch.setitem(
                criteria.CRITERIA, name, dataclasses.replace(criterion, rounds=min(4, criterion.rounds))
            )


def assert_untouched(case: Subject, score: Callable[[], object]) -> None:
    """Whatever `score` does, the run's network, its weights, its modes and the global generators stay as they were."""
    state = {name: value.clone() for name, value in case.net.state_dict().items()}
    modes = [module.training for module in case.net.modules()]
    slopes = [(parameter.requires_grad, parameter.grad) for parameter in case.net.parameters()]
    dense, chance = {n: mask.clone() for n, mask in case.dense.items()}, torch.get_rng_state()
    others = random.getstate(), np.random.get_state()[1].tolist()
    score()
    assert all(torch.equal(value, state[name]) for name, value in case.net.state_dict().items()), "the network"
    assert all(torch.equal(value, state[name]) for name, value in case.weights.items()), "the weights"
    assert equal(case.dense, dense), "the masks"
    assert [module.training for module in case.net.modules()] == modes
    assert [(parameter.requires_grad, parameter.grad) for parameter in case.net.parameters()] == slopes
    assert torch.equal(torch.get_rng_state(), chance) and torch.is_grad_enabled()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == others


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_counts_are_exact_and_levels_nested_whatever_is_pruned(name, case):
    total, masks = m.count(case.dense), case.dense
    for keep in (total - 1, total // 2, total // 8, total // 50):
        before, masks = masks, case.select(name, keep, masks)
        assert m.count(masks) == keep
        assert list(masks) == list(case.dense) and all(mask.dtype == torch.bool for mask in masks.values())
        assert all((masks[layer] <= before[layer]).all() for layer in masks), "a pruned weight came back"


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_pruned_weights_stay_pruned_whatever_their_value(name, case):
    draw = torch.Generator().manual_seed(3)
    masks = {layer: torch.rand(mask.shape, generator=draw) < 0.5 for layer, mask in case.dense.items()}
    loud = {n: torch.where(masks[n], w, 1e3) if n in masks else w for n, w in case.weights.items()}
    net = copy.deepcopy(case.net)
    net.load_state_dict(loud)
    kept = subject(net).select(name, m.count(masks) // 3, masks)
    assert all((kept[layer] <= masks[layer]).all() for layer in kept)
    assert equal(kept, case.select(name, m.count(masks) // 3, masks)), "scores depend on pruned weights"


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_scores_are_finite_of_the_masks_shapes_on_the_cpu_and_without_a_graph(name, case):
    scores = criteria.CRITERIA[name].score(case.weights, case.dense, case.probe)
    assert list(scores) == list(case.dense)
    for layer, score in scores.items():
        assert score.shape == case.dense[layer].shape and score.isfinite().all()
        assert score.device.type == "cpu" and not score.requires_grad


@pytest.mark.parametrize("name", criteria.CRITERIA)
@pytest.mark.parametrize("training", [True, False])
def test_the_run_is_not_touched(name, training, case):
    case.net.train(training)
    assert_untouched(case, lambda: case.select(name, 300))


# `magnitude-bn` reads the order of the network's modules alone
@pytest.mark.parametrize("name", [name for name in LOOKS_AT_THE_NETWORK if name != "magnitude-bn"])
def test_scoring_on_the_runs_own_network_would_be_seen(name):
    case = subject(network("resnet8"))
    with pytest.raises(AssertionError, match="the network"):
        assert_untouched(case, lambda: case.net.train()(case.probe.batch()[0]))
    run = dataclasses.replace(case.probe, network=lambda: case.net)
    with pytest.raises(AssertionError, match="the network"):
        assert_untouched(case, lambda: case.select(name, 300, probe=run))


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_masks_are_a_function_of_what_is_given(name, case):
    first = case.select(name, 500)
    torch.manual_seed(99)
    assert equal(case.select(name, 500), first)
    with torch.no_grad():
        assert equal(case.select(name, 500), first), "called where gradients are off"
    case.net.train(not case.net.training).requires_grad_(False)
    try:
        assert equal(case.select(name, 500), first), "the mode and the flags of the run's network matter"
    finally:
        case.net.requires_grad_(True)


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_to_keep_all_survivors_is_to_change_nothing(name, case):
    assert equal(case.select(name, m.count(case.dense)), case.dense)
    masks = case.select(name, 700)
    assert equal(case.select(name, 700, masks), masks)


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_no_weight_and_more_weights_than_survive_are_refused(name, case):
    with pytest.raises(m.EmptyNetworkError):
        case.select(name, 0)
    with pytest.raises(ValueError, match="survive"):
        case.select(name, m.count(case.dense) + 1)


@pytest.mark.parametrize("name", GLOBAL)
def test_over_the_network_a_layer_may_be_emptied_and_then_stays_empty(name, case):
    masks = case.dense | {"linear.weight": torch.zeros_like(case.dense["linear.weight"])}
    kept = case.select(name, 1, masks)
    assert m.count(kept) == 1 and "linear.weight" in emptied(kept)
    assert len(emptied(case.select(name, 1))) == len(case.dense) - 1


@pytest.mark.parametrize("name", [name for name in criteria.CRITERIA if name not in GLOBAL])
@pytest.mark.parametrize("densities", criteria.DENSITIES)
def test_within_layers_counts_are_those_of_the_densities(name, densities, case):
    shapes = {layer: tuple(mask.shape) for layer, mask in case.dense.items()}
    expected = criteria.nested_counts(densities, shapes, [900, 300])
    kept = case.select(name, 300, case.select(name, 900, densities=densities), densities=densities)
    assert {layer: int(mask.sum()) for layer, mask in kept.items()} == expected


@pytest.mark.parametrize("name", criteria.CRITERIA)
def test_the_probe_is_asked_for_only_where_the_network_is_looked_at(name, case):
    if name in LOOKS_AT_THE_NETWORK:
        with pytest.raises(ValueError, match=f"criterion '{name}' needs the network .* pass a probe to `select_mask`"):
            case.select(name, 300, probe=None)
    else:
        assert equal(case.select(name, 300, probe=None), case.select(name, 300))
    with pytest.raises(ValueError, match="made for seed 0, not 1"):
        case.select(name, 300, seed=1)


@pytest.mark.parametrize("name", LOOKS_AT_THE_NETWORK)
def test_scores_that_are_not_finite_are_refused(name):
    net = network("resnet8")
    with torch.no_grad():
        net.linear.weight[0, 0] = float("nan")
    with pytest.raises(ValueError, match="not all finite"):
        subject(net).select(name, 300)


def test_magnitude_within_layers_keeps_the_largest_of_each_layer(case):
    kept = case.select("magnitude-layerwise", 300)
    for layer, mask in kept.items():
        size = case.weights[layer].abs()
        assert mask.all() or size[mask].min() >= size[~mask].max()
    assert not equal(kept, case.select("magnitude", 300)) and not emptied(kept)


@given(alive=st.integers(1, 10_000), fraction=st.floats(0, 1), rounds=st.integers(1, 120))
def test_rounds_fall_exponentially_to_exactly_what_is_kept(alive, fraction, rounds):
    keep = max(1, round(alive * fraction))
    counts = criteria.round_counts(alive, keep, rounds)
    assert counts[-1] == keep and len(counts) <= rounds
    assert all(low < high for high, low in itertools.pairwise([alive + (keep == alive), *counts]))
    exact = [alive * (keep / alive) ** (k / rounds) for k in range(1, rounds + 1)]
    assert all(min(abs(count - e) for count in counts) <= 1 for e in exact), "each round is one of the counts"
    assert all(min(abs(count - e) for e in exact) <= 0.5 + 1e-6 for count in counts), "each count is one of the rounds"


def test_one_round_is_one_step_and_hundred_rounds_are_hundred_equal_ratios():
    assert criteria.round_counts(1000, 10, 1) == [10]
    assert criteria.round_counts(1000, 10, 2) == [100, 10]
    counts = criteria.round_counts(10**9, 10**7, 100)
    assert len(counts) == 100
    assert all(b / a == pytest.approx(0.01**0.01, rel=1e-6) for a, b in itertools.pairwise(counts))
    assert criteria.CRITERIA["synflow"].rounds == 100
    assert all(criteria.CRITERIA[name].rounds == 1 for name in ("grasp", "magnitude", "random", "snip"))


def test_every_round_scores_the_survivors_of_the_round_before(case, monkeypatch):
    seen = []

    def score(weights, masks, probe):
        seen.append(m.count(masks))
        return {layer: weights[layer].abs() for layer in masks}

    monkeypatch.setitem(criteria.CRITERIA, "test", criteria.Criterion(score, layerwise=False, rounds=7))
    total = m.count(case.dense)
    assert equal(case.select("test", 20), case.select("magnitude", 20))
    assert seen == [total, *criteria.round_counts(total, 20, 7)[:-1]] and len(seen) == 7
