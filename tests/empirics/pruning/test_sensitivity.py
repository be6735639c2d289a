import copy
import dataclasses
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from empirics.pruning import criteria
from empirics.pruning import masks as m
from tests.empirics.tiny_networks import Subject, emptied, equal, flatten, network, subject

pytestmark = pytest.mark.slow

LOOKS_AT_DATA = ("grasp", "snip")


@pytest.fixture(scope="module", params=["resnet8", "vgg11"])
def case(request) -> Subject:
    return subject(network(request.param))


class Tiny(nn.Module):
    """Convolution, batch norm, tanh and a linear layer, float64, for the tests against explicit derivatives."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 3, bias=False)
        self.bn = nn.BatchNorm2d(2)
        self.linear = nn.Linear(2, 3)
        draw = torch.Generator().manual_seed(4)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
            self.bn.running_mean += 1.0
            self.bn.running_var *= 3.0

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.bn(self.conv(x)).tanh().mean((2, 3)))


@pytest.fixture(scope="module")
def tiny() -> Subject:
    made = subject(Tiny(), (1, 5, 5), classes=3, per_class=4)
    inputs, labels = made.probe.batch()
    probe = dataclasses.replace(made.probe, batch=lambda: (inputs.double(), labels))
    return dataclasses.replace(made, probe=probe)


def half(tiny: Subject) -> m.Masks:
    draw = torch.Generator().manual_seed(6)
    return {name: torch.rand(mask.shape, generator=draw) < 0.6 for name, mask in tiny.dense.items()}


def loss_of(tiny: Subject, masks: m.Masks, temperature: float = 1.0) -> Callable[[Tensor], Tensor]:
    """Cross-entropy as a function of all prunable weights in one vector, batch norm in training mode."""
    inputs, labels = tiny.probe.batch()
    rest = {n: v for n, v in tiny.weights.items() if n not in masks and "running" not in n and "num" not in n}

    def loss(flat: Tensor) -> Tensor:
        parts = flat.split([mask.numel() for mask in masks.values()])
        weights = {n: p.view_as(mask) * mask for (n, mask), p in zip(masks.items(), parts, strict=True)}
        logits = functional_call(tiny.probe.network().train(), weights | rest, inputs)
        return F.cross_entropy(logits / temperature, labels)

    return loss


@pytest.mark.parametrize("pruned", [False, True])
def test_snip_is_the_derivative_of_the_loss_by_a_factor_on_the_weight(pruned, tiny):
    masks = half(tiny) if pruned else tiny.dense
    scores = flatten(criteria.snip(tiny.weights, masks, tiny.probe), masks)
    weights, loss, step = flatten(tiny.weights, masks), loss_of(tiny, masks), 1e-6
    for i in range(len(weights)):
        factor = torch.zeros_like(weights)
        factor[i] = step
        slope = (loss(weights * (1 + factor)) - loss(weights * (1 - factor))) / (2 * step)
        assert float(scores[i]) == pytest.approx(abs(float(slope)), rel=1e-6, abs=1e-9)
    assert (scores > 1e-4).sum() >= 5


@pytest.mark.parametrize("pruned", [False, True])
def test_grasp_is_the_weight_times_hessian_times_gradient(pruned, tiny):
    masks = half(tiny) if pruned else tiny.dense
    weights, loss = flatten(tiny.weights, masks), loss_of(tiny, masks, temperature=200.0)
    # pruned weights drop out of `loss`, and so out of its gradient and Hessian
    gradient = torch.autograd.functional.jacobian(loss, weights)
    hessian = torch.autograd.functional.hessian(loss, weights)
    expected = weights * (hessian @ gradient)
    scores = flatten(criteria.grasp(tiny.weights, masks, tiny.probe), masks)
    alive = flatten(masks, masks)
    assert torch.allclose(scores[alive], expected[alive], rtol=1e-9, atol=1e-18)
    assert expected[alive].abs().max() > 1e-9


def test_grasp_keeps_the_weights_without_which_the_gradient_would_shrink_most(tiny):
    weights, loss = flatten(tiny.weights, tiny.dense), loss_of(tiny, tiny.dense, temperature=200.0)
    norm = lambda flat: float(torch.autograd.functional.jacobian(loss, flat).square().sum())  # noqa: E731
    step, growth = 1e-5, []
    for i in range(len(weights)):
        towards_zero = weights.clone()
        towards_zero[i] *= 1 - step
        growth.append((norm(towards_zero) - norm(weights)) / step)
    shrink_most = sorted(range(len(weights)), key=lambda i: growth[i])[:8]
    kept = flatten(tiny.select("grasp", 8), tiny.dense).nonzero().flatten().tolist()
    assert sorted(shrink_most) == kept and min(growth) < 0 < max(growth)


def test_the_temperature_of_grasp_changes_the_order_of_the_scores(tiny, monkeypatch):
    cool = criteria.grasp(tiny.weights, tiny.dense, tiny.probe)
    monkeypatch.setattr(criteria, "TEMPERATURE", 1.0)
    hot = criteria.grasp(tiny.weights, tiny.dense, tiny.probe)
    assert not torch.equal(flatten(cool, tiny.dense).argsort(), flatten(hot, tiny.dense).argsort())


@pytest.mark.parametrize("name", LOOKS_AT_DATA)
def test_many_images_pass_in_parts_that_have_every_class(name, case, monkeypatch):
    inputs, _ = case.probe.batch()
    score = criteria.CRITERIA[name].score
    monkeypatch.setattr(criteria, "IMAGES_AT_ONCE", 11)
    seen = []

    def watched() -> nn.Module:
        net = case.probe.network()
        net.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
        return net

    score(case.weights, case.dense, dataclasses.replace(case.probe, network=watched))
    assert {len(x) for x in seen} == {10} and len(seen) == 3 * (2 if name == "grasp" else 1)
    assert all(torch.equal(x, inputs[3 * torch.arange(10) + k]) for k, x in enumerate(seen[:3])), "one of each class"


def test_without_batch_norm_parts_add_up_to_the_whole(tiny, monkeypatch):
    plain = copy.deepcopy(tiny.net)
    plain.bn = nn.Identity()
    made = subject(plain, (1, 5, 5), classes=3, per_class=4)
    for name in LOOKS_AT_DATA:
        score = criteria.CRITERIA[name].score
        whole = flatten(score(made.weights, made.dense, made.probe), made.dense)
        monkeypatch.setattr(criteria, "IMAGES_AT_ONCE", 5)
        assert torch.allclose(flatten(score(made.weights, made.dense, made.probe), made.dense), whole, rtol=1e-9)
        monkeypatch.undo()


@pytest.mark.parametrize("keep", [None, 400])
def test_the_synaptic_flow_through_every_layer_of_a_chain_is_the_same(keep):
    chain = subject(network("vgg11"))
    masks = chain.select("synflow", keep) if keep else chain.dense
    scores = criteria.synflow(chain.weights, masks, chain.probe)
    flows = torch.stack([score.sum() for score in scores.values()])
    assert flows.dtype == torch.float64 and flows[0] > 0
    assert torch.allclose(flows, flows[0].expand_as(flows), rtol=1e-12)


def test_the_synaptic_flow_is_the_product_of_absolute_weights_along_paths():
    net = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(2, 1))
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor([-2.0, 3.0]).view(2, 1, 1, 1))
        net[1].weight.copy_(torch.tensor([-5.0, 0.5]))
        net[4].weight.copy_(torch.tensor([[7.0, -11.0]]))
        for bias in (net[0].bias, net[1].bias, net[4].bias, net[1].running_mean):
            bias.fill_(-40.0)
    made = subject(net, (1, 1, 1))
    scores = criteria.synflow(made.weights, made.dense, made.probe)
    for score in scores.values():
        assert score.flatten().tolist() == pytest.approx([2 * 5 * 7, 3 * 0.5 * 11], rel=1e-12)


def test_synflow_never_looks_at_data(case):
    def no_data():
        raise AssertionError("it looked at data")

    blind = dataclasses.replace(case.probe, batch=no_data)
    criteria.synflow(case.weights, case.dense, blind)
    for name in LOOKS_AT_DATA:
        with pytest.raises(AssertionError, match="it looked at data"):
            case.select(name, 300, probe=blind)


def test_synflow_empties_no_layer_where_magnitude_snip_and_a_single_round_do(monkeypatch):
    chain = subject(network("vgg11"))
    keep = 3 * len(chain.dense)
    kept = chain.select("synflow", keep)
    assert not emptied(kept)
    flow = criteria.synflow(chain.weights, kept, chain.probe)
    assert sum(flow["linear.weight"].flatten()) > 0, "a path from the input to the output is left"
    monkeypatch.setitem(criteria.CRITERIA, "one round", criteria.Criterion(criteria.synflow, layerwise=False))
    for name in ("magnitude", "snip", "one round"):
        assert emptied(chain.select(name, keep)), name


def test_synflow_in_rounds_differs_from_one_round(case, monkeypatch):
    monkeypatch.setitem(criteria.CRITERIA, "one round", criteria.Criterion(criteria.synflow, layerwise=False))
    keep = m.count(case.dense) // 20
    assert not equal(case.select("synflow", keep), case.select("one round", keep))


def test_synflow_is_exact_where_single_precision_overflows():
    net = nn.Sequential(*(nn.Conv2d(1, 1, 1) for _ in range(12)), nn.Flatten(), nn.Linear(1, 1))
    with torch.no_grad():
        for layer in net:
            if hasattr(layer, "weight"):
                layer.weight.fill_(-1e4)
    made = subject(net, (1, 1, 1))
    scores = criteria.synflow(made.weights, made.dense, made.probe)
    assert all(math.isclose(score.item(), 1e52, rel_tol=1e-6) for score in scores.values())
