import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils import prune

from empirics.pruning import criteria
from empirics.pruning import masks as m
from empirics.schedules import kept_weights

SHAPES = {"a": (4, 3, 3, 3), "b": (8, 4), "c": (2, 1, 1, 1)}
TOTAL = 108 + 32 + 2


def emptied_layers(masks: m.Masks) -> list[str]:
    return [name for name, mask in masks.items() if not mask.any()]


def random_weights(seed: int = 0) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {name: torch.randn(shape, generator=draw) for name, shape in SHAPES.items()}


@given(rate=st.floats(0.05, 0.95), seed=st.integers(0, 50), levels=st.integers(1, 8), repeated=st.booleans())
def test_every_level_keeps_exactly_the_count_of_the_definition(rate, seed, levels, repeated):
    weights = random_weights(seed)
    if repeated:  # ties everywhere
        weights = {name: value.sign() for name, value in weights.items()}
    masks = m.dense(weights)
    for level in range(1, levels + 1):
        keep = kept_weights(TOTAL, rate, level)
        if keep < 1:
            with pytest.raises(m.EmptyNetworkError, match="none of its"):
                criteria.select_mask("magnitude", weights, masks, keep, seed=0, densities="erk")
            return
        before, masks = masks, criteria.select_mask("magnitude", weights, masks, keep, seed=0, densities="erk")
        assert m.count(masks) == keep == round(TOTAL * (1 - rate) ** level)
        assert all((masks[name] <= before[name]).all() for name in masks), "a pruned weight came back"


def test_the_weakest_survivors_go_wherever_they_are():
    weights = {"a": torch.tensor([[3.0, -0.1]]), "b": torch.tensor([[0.2, -5.0]])}
    kept = m.keep_global(criteria.magnitude(weights, m.dense(weights), None), m.dense(weights), 2)
    assert kept["a"].tolist() == [[True, False]] and kept["b"].tolist() == [[False, True]]


def test_ties_are_broken_by_index_and_never_prune_more_than_asked():
    scores = {"a": torch.ones(4), "b": torch.ones(3)}
    kept = m.keep_global(scores, m.dense(scores), 5)
    assert kept["a"].tolist() == [True] * 4 and kept["b"].tolist() == [True, False, False]


@given(st.lists(st.integers(0, 5), min_size=1, max_size=40), st.data())
def test_what_stays_is_what_a_stable_sort_would_keep(values, data):
    scores = torch.tensor(values, dtype=torch.float32)
    alive = torch.tensor(data.draw(st.lists(st.booleans(), min_size=len(values), max_size=len(values))))
    if not alive.any():
        alive[0] = True
    keep = data.draw(st.integers(1, int(alive.sum())))
    survivors = alive.nonzero().flatten()
    order = torch.sort(scores[survivors], descending=True, stable=True).indices
    expected = sorted(survivors[order[:keep]].tolist())
    assert m.keep_global({"a": scores}, {"a": alive}, keep)["a"].nonzero().flatten().tolist() == expected


def test_pruning_by_a_threshold_would_remove_too_many_on_ties():
    scores = torch.ones(7)
    threshold = scores.kthvalue(2).values
    assert int((scores > threshold).sum()) == 0, "the broken rule empties the layer"
    assert m.count(m.keep_global({"a": scores}, {"a": scores.bool()}, 5)) == 5


def test_a_pruned_weight_of_large_score_stays_pruned():
    masks = {"a": torch.tensor([False, True, True])}
    assert m.keep_global({"a": torch.tensor([9.0, 1.0, 2.0])}, masks, 1)["a"].tolist() == [False, False, True]


def test_a_layer_may_be_emptied_by_global_pruning_and_is_named():
    weights = {"a": torch.full((3,), 0.1), "b": torch.ones(3)}
    assert emptied_layers(m.keep_global(weights, m.dense(weights), 2)) == ["a"]


def test_scores_that_are_not_finite_are_refused_where_they_compete():
    masks = {"a": torch.tensor([True, True, False])}
    with pytest.raises(ValueError, match="not all finite"):
        m.keep_global({"a": torch.tensor([float("nan"), 1.0, 2.0])}, masks, 1)
    assert m.count(m.keep_global({"a": torch.tensor([0.0, 1.0, float("nan")])}, masks, 1)) == 1
    with pytest.raises(ValueError, match="2 survive"):
        m.keep_global({"a": torch.zeros(3)}, masks, 3)


def test_density_is_counted_from_masks_and_not_from_zero_weights():
    masks = m.dense({"a": torch.zeros(4)})
    assert m.density(masks) == 1.0


def test_applying_a_mask_makes_exact_zeros_even_of_nan():
    value = torch.tensor([float("nan"), float("inf"), -0.5])
    m.apply({"a": torch.tensor([False, False, True])}, {"a": value})
    assert value.tolist() == [0.0, 0.0, -0.5]


@given(seed=st.integers(0, 30))
def test_shuffled_masks_keep_layer_counts_and_stay_nested(seed):
    weights = random_weights(seed)
    loose = m.keep_global(criteria.magnitude(weights, {n: None for n in weights}, None), m.dense(weights), 60)
    tight = m.keep_global(weights, loose, 20)
    shuffled, inner = m.shuffle(loose, seed), m.shuffle(tight, seed)
    for name in SHAPES:
        assert shuffled[name].sum() == loose[name].sum()
        assert (inner[name] <= shuffled[name]).all()
    assert any((shuffled[name] != loose[name]).any() for name in SHAPES)


def test_two_permutations_would_revive_pruned_weights():
    weights = random_weights()
    loose = m.keep_global(weights, m.dense(weights), 60)
    tight = m.keep_global(weights, loose, 20)
    assert any((m.shuffle(tight, 1)[name] > m.shuffle(loose, 2)[name]).any() for name in SHAPES)


@pytest.mark.slow
@pytest.mark.parametrize("densities", criteria.DENSITIES)
@given(rate=st.floats(0.05, 0.9), seed=st.integers(0, 20))
def test_random_masks_are_exact_nested_and_leave_no_layer_empty(densities, rate, seed):
    weights = random_weights()
    masks = m.dense(weights)
    for level in range(1, 12):
        keep = kept_weights(TOTAL, rate, level)
        if keep < len(SHAPES):
            with pytest.raises(m.EmptyNetworkError, match="layer"):
                criteria.select_mask("random", weights, masks, keep, seed=seed, densities=densities)
            return
        before, masks = masks, criteria.select_mask("random", weights, masks, keep, seed=seed, densities=densities)
        if densities.endswith("-clamped"):  # what exceeds a layer's size is lost; a layer keeps one weight at least
            assert m.count(masks) < keep + len(SHAPES)
        else:
            assert m.count(masks) == keep
        assert not emptied_layers(masks)
        assert all((masks[name] <= before[name]).all() for name in masks)


def test_random_masks_depend_on_the_seed_and_not_on_the_weights():
    pick = lambda weights, seed: criteria.select_mask(  # noqa: E731
        "random", weights, m.dense(weights), 40, seed=seed, densities="erk"
    )
    one, same, other = pick(random_weights(1), 3), pick(random_weights(2), 3), pick(random_weights(1), 4)
    assert all((one[name] == same[name]).all() for name in SHAPES)
    assert any((one[name] != other[name]).any() for name in SHAPES)


def test_erk_counts_are_proportional_to_the_sum_of_the_kernel_sides():
    shapes = {"a": (64, 64, 3, 3), "b": (128, 64, 3, 3)}
    caps = {"a": 36864, "b": 73728}
    counts = criteria.erk(shapes, caps, 3320)
    assert counts == {"a": round(3320 * 134 / 332), "b": round(3320 * 198 / 332)}
    assert criteria.uniform(shapes, caps, 3000) == {"a": 1000, "b": 2000}
    assert criteria.balanced(shapes, caps, 3000) == {"a": 1500, "b": 1500}


def test_what_is_left_over_goes_to_the_largest_remainders():
    shapes = {"a": (3, 1, 1, 1), "b": (5, 1, 1, 1), "c": (9, 2, 1, 1)}  # shares 6 : 8 : 13
    caps = dict.fromkeys(shapes, 100)
    # 20 weights: 4.44, 5.93 and 9.63
    assert criteria.erk(shapes, caps, 20) == {"a": 4, "b": 6, "c": 10}
    # 19 weights: 4.22, 5.63 and 9.15
    assert criteria.erk(shapes, caps, 19) == {"a": 4, "b": 6, "c": 9}


def test_erk_gives_a_full_layer_no_more_than_its_size():
    counts = criteria.erk({"a": (2, 1, 1, 1), "b": (100, 10)}, {"a": 2, "b": 1000}, 900)
    assert counts == {"a": 2, "b": 898}


class Net(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = torch.nn.Conv2d(1, 4, 3, bias=False)
        self.bn = torch.nn.BatchNorm2d(4)
        self.linear = torch.nn.Linear(4, 10)

    def forward(self, x):
        return self.linear(self.bn(self.conv(x)).relu().mean((2, 3)))


def half_masks(model) -> m.Masks:
    draw = torch.Generator().manual_seed(5)
    return {n: torch.rand(p.shape, generator=draw) < 0.5 for n, p in model.named_parameters() if p.dim() > 1}


def step(model, optimizer, k: int) -> None:
    draw = torch.Generator().manual_seed(k)
    x, y = torch.randn(16, 1, 8, 8, generator=draw), torch.randint(0, 10, (16,), generator=draw)
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(model(x), y).backward()
    optimizer.step()


def test_projected_training_is_bit_equal_to_torch_prune_over_200_steps():
    from empirics.train import TrainingSettings, sgd

    settings = TrainingSettings(8, 0, momentum=0.9, weight_decay=5e-4, precision="float32")
    ours, oracle = Net(), Net()
    masks = half_masks(ours)
    optimizer = sgd(ours, masks, settings)
    optimizer.param_groups[0]["lr"] = 0.1
    for name, module in (("conv.weight", oracle.conv), ("linear.weight", oracle.linear)):
        prune.custom_from_mask(module, "weight", masks[name].float())
    # the same kernel: a fused step rounds once where one operation after the other rounds twice
    reference = torch.optim.SGD(oracle.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, fused=True)
    for k in range(200):
        step(ours, optimizer, k)
        step(oracle, reference, k)
        for name, mask in masks.items():
            weight = ours.get_parameter(name)
            assert (weight[~mask] == 0).all(), "a pruned weight moved"
            assert (optimizer.state[weight]["momentum_buffer"][~mask] == 0).all(), "momentum of a pruned weight"
    for module, theirs in ((ours.conv, oracle.conv), (ours.linear, oracle.linear)):
        # `weight_orig` times its mask: their `weight` is one step old until the next forward pass
        assert torch.equal(module.weight, theirs.weight_orig * theirs.weight_mask)
    assert torch.equal(ours.bn.running_var, oracle.bn.running_var)


def test_masking_before_the_step_only_would_revive_pruned_weights():
    model = Net()
    masks = half_masks(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    m.apply(masks, dict(model.named_parameters()))
    step(model, optimizer, 0)
    assert (model.conv.weight[~masks["conv.weight"]] != 0).any()
