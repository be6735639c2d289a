"""The line between two networks: its ends, the excess of an error curve, batch norm's statistics, shared signs."""

import pytest
import torch

from empirics.pruning import signs
from empirics.runs.context import initial_network, state_of
from empirics.storage.files import StoreError
from empirics.studies.interpolation import (
    ALPHAS,
    barrier,
    error_curves,
    interpolate,
    recompute_statistics,
    sign_similarity,
    union_density,
)
from empirics.train import evaluate
from tests.empirics.tiny_runs import arm, clip


@pytest.fixture
def networks(tiny_digits):
    """Two networks whose batch norm has seen other images, as states, and a third one."""
    config, states = arm("imp"), []
    for seed in (0, 1):
        model = initial_network(config, seed, tiny_digits)
        model.train()
        model(next(clip(tiny_digits, 20 + 40 * seed).batches("train"))[0])
        states.append(state_of(model))
    return *states, initial_network(config, 2, tiny_digits)


def test_a_line_begins_and_ends_in_its_networks_bit_for_bit_and_is_straight(networks):
    first, second, _ = networks
    for alpha, end in ((0.0, first), (1.0, second)):
        state = interpolate(first, second, alpha)
        floats = [name for name, value in end.items() if value.is_floating_point()]
        assert list(state) == list(end) and all(torch.equal(state[name], end[name]) for name in floats)
    quarter = interpolate(first, second, 0.25)["linear.weight"]
    torch.testing.assert_close(quarter, 0.75 * first["linear.weight"] + 0.25 * second["linear.weight"])
    assert interpolate(first, second, 0.5)["bn.num_batches_tracked"].dtype == torch.int64


def test_a_weight_that_both_networks_prune_stays_zero():
    first, second = ({"w": torch.tensor([value, 0.0])} for value in (1.0, -3.0))
    assert all(float(interpolate(first, second, alpha)["w"][1]) == 0 for alpha in ALPHAS)


def test_the_states_of_two_different_networks_have_no_line():
    with pytest.raises(StoreError, match="w is"):
        interpolate({"w": torch.ones(2)}, {"w": torch.ones(3)}, 0.5)


def test_a_barrier_is_the_largest_excess_over_the_line_between_the_ends():
    straight = [0.1 + 0.4 * alpha for alpha in ALPHAS]
    assert barrier(straight) == pytest.approx(0) and barrier([0.3] * 11) == 0
    bumped = [error + (0.25 if alpha == 0.7 else 0.0) for alpha, error in zip(ALPHAS, straight, strict=True)]
    assert barrier(bumped) == pytest.approx(0.25)
    assert barrier([0.2, 0.3, 0.8], (0.0, 0.5, 1.0)) == 0, "a curve below the line has no barrier"
    with pytest.raises(ValueError, match="shorter|longer"):
        barrier([0.1, 0.2])


def test_the_union_counts_weights_of_both_masks_once():
    assert union_density((4, 3), 2, 10) == 0.5
    assert union_density((10, 3), 3, 10) == 1, "of a dense network all weights are in it"


def packed(*bits: int) -> dict:
    return signs.pack({"w": torch.tensor(bits, dtype=torch.bool)})


def test_sign_similarity_is_over_the_common_survivors_alone():
    masks = packed(1, 1, 1, 1, 0, 0), packed(0, 1, 1, 1, 1, 0)
    ends = packed(0, 1, 1, 0, 1, 0), packed(1, 1, 1, 1, 0, 1)
    assert sign_similarity(masks, ends) == 2 / 3
    assert sign_similarity((packed(1, 0), packed(0, 1)), (packed(1, 0), packed(1, 0))) is None


def norm_inputs(model, images) -> torch.Tensor:
    """What the first batch norm of a network sees."""
    return model.conv(images)


def test_statistics_are_those_of_the_whole_unaugmented_training_set_and_not_of_before(networks, tiny_digits):
    first, second, model = networks
    found = []
    for statistics in (first, second):
        other = {name: statistics[name] for name in first if "running" in name}
        model.load_state_dict({**first, **other})
        recompute_statistics(model, tiny_digits, "float32")
        found.append(state_of(model))
    assert all(torch.equal(found[0][name], found[1][name]) for name in first if "running" in name)
    with torch.no_grad():
        seen = norm_inputs(model, tiny_digits.normalise(tiny_digits.train.images))
    torch.testing.assert_close(model.bn.running_mean, seen.mean((0, 2, 3)))
    torch.testing.assert_close(model.bn.running_var, seen.var((0, 2, 3)))
    assert not model.training and {norm.momentum for norm in model.modules() if hasattr(norm, "momentum")} == {0.1}
    assert all(torch.equal(found[0][name], first[name]) for name in first if name.endswith("weight"))


def test_batches_count_by_their_images_and_a_last_one_of_one_image_by_none(networks, tiny_digits):
    _, _, model = networks

    class InParts:
        """The training set in batches of these sizes."""

        def __init__(self, *sizes):
            self.sizes = sizes

        def batches(self, split):
            images = tiny_digits.normalise(tiny_digits.train.images[: sum(self.sizes)])
            labels = tiny_digits.train.labels[: sum(self.sizes)]
            return zip(images.split(self.sizes), labels.split(self.sizes), strict=True)

    recompute_statistics(model, InParts(60, 20), "float32")
    mean = model.bn.running_mean.clone()
    with torch.no_grad():
        seen = norm_inputs(model, tiny_digits.normalise(tiny_digits.train.images[:80]))
    torch.testing.assert_close(mean, seen.mean((0, 2, 3)))
    recompute_statistics(model, InParts(60, 20, 1), "float32")
    assert torch.equal(model.bn.running_mean, mean)


def test_error_curves_end_in_the_errors_of_the_networks(networks, tiny_digits):
    first, second, model = networks
    points = []
    curves = error_curves(model, first, second, tiny_digits, "float32", lambda: points.append(0))
    assert len(points) == len(ALPHAS) == len(curves[0]) == len(curves[1])
    for place, state in ((0, first), (-1, second)):
        model.load_state_dict(state)
        assert curves[1][place] == 1 - evaluate(model, tiny_digits, "test")[1]
        recompute_statistics(model, tiny_digits, "float32")
        assert curves[0][place] == 1 - evaluate(model, tiny_digits, "test")[1]
