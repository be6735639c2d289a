"""Networks lie in memory channels last on a CPU: the same functions, no fault of the kernels, the same files."""

import os
import sys

import pytest
import torch
from torch import nn

from empirics import models, provenance, train
from empirics.runs.context import new_context, state_of
from empirics.storage import checkpoints
from tests import ROOT
from tests.empirics.tiny_runs import arm, setup_in
from tests.support.processes import run

SHAPES = [(1, 8, 8), (3, 32, 32), (3, 64, 64), (3, 224, 224)]


def strided_pointwise(model: nn.Module) -> list[nn.Module]:
    return [
        layer
        for layer in model.modules()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.stride != (1, 1)
    ]


@pytest.mark.parametrize("side", [8, 9, 1])
@pytest.mark.parametrize("stride, groups, bias", [((2, 2), 1, False), ((2, 3), 1, True), ((3, 1), 2, True)])
def test_a_strided_pointwise_convolution_is_the_plain_one_in_value_and_gradient(side, stride, groups, bias):
    draw = torch.Generator().manual_seed(0)
    plain = nn.Conv2d(4, 6, 1, stride, groups=groups, bias=bias, dtype=torch.float64)
    holder = nn.Sequential(plain)
    models._replace_strided_pointwise(holder)
    ours = holder[0]
    assert isinstance(ours, models.StridedPointwiseConv2d) and ours.weight is plain.weight
    x = torch.randn(3, 4, side, side + 2, generator=draw, dtype=torch.float64, requires_grad=True)
    found = []
    for layer in (plain, ours):
        y = layer(x)
        given = torch.linspace(-1, 1, y.numel(), dtype=torch.float64).view(y.shape)
        found.append((y, *torch.autograd.grad(y, [x, *layer.parameters()], given)))
    for theirs, mine in zip(*found, strict=True):
        assert theirs.shape == mine.shape and torch.allclose(theirs, mine, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("name", models.MODELS)
def test_no_registered_network_has_the_convolution_whose_gradient_spoils_memory(name):
    width = 64 if name in ("resnet18", "resnet50") else 4
    for shape in SHAPES[: 4 if width == 64 else 2]:
        model = models.create(name, width, shape, 10, torch.Generator().manual_seed(0))
        found = strided_pointwise(model)
        assert all(isinstance(layer, models.StridedPointwiseConv2d) for layer in found)
        assert bool(found) == name.startswith("resnet"), "their shortcuts are such convolutions"


def test_a_network_of_a_users_own_gets_the_same_care(monkeypatch):
    def mine(width, shape, classes):
        return nn.Sequential(nn.Conv2d(shape[0], width, 1, 2), nn.Conv2d(width, width, 1, 2, padding=1), nn.Flatten())

    monkeypatch.setitem(models.MODELS, "mine", mine)
    first, second, _ = models.create("mine", 4, (1, 8, 8), 10, torch.Generator())
    assert isinstance(first, models.StridedPointwiseConv2d)
    assert type(second) is nn.Conv2d, "padding makes it another function"


def test_training_runs_channels_last_and_what_it_stores_is_contiguous(tiny_digits, tmp_path):
    context = new_context(arm("imp"), 0, setup_in(tmp_path, tiny_digits))
    context.load(state_of(context.model))
    last = torch.channels_last
    assert all(w.is_contiguous(memory_format=last) for w in context.layers.values() if w.dim() == 4)
    assert not context.layers["stages.0.0.conv1.weight"].is_contiguous()
    stored = checkpoints.copied(
        checkpoints.Checkpoint(0, 0, context.model.state_dict(), context.layers, {}, {}, [], {})
    )
    for tensors in (state_of(context.model), stored.weights, stored.momentum):
        assert all(value.is_contiguous() for value in tensors.values())


def test_images_are_laid_out_as_the_network_is(tiny_digits):
    seen = []
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    images = next(tiny_digits.batches("test"))[0].expand(-1, 3, -1, -1)[:, :, :4]
    with pytest.raises(RuntimeError):
        train.forward(model, images, "float32")
    assert seen[0].is_contiguous(memory_format=torch.channels_last)


def test_a_gpu_has_channels_last_in_bfloat16_only():
    gpu, cpu = torch.device("cuda"), torch.device("cpu")
    assert train.memory_format(gpu, "float32") is torch.contiguous_format
    assert {train.memory_format(gpu, "bfloat16"), train.memory_format(cpu, "float32")} == {torch.channels_last}


def test_narrow_convolutions_spoil_no_memory():
    """Random narrow layers, forward and backward, where the allocator checks every block: the fault ended the process.

    Gradients are compared with float64 ones.
    """
    code = (
        "import random, torch\n"
        "from torch.nn import functional as F\n"
        "from empirics import models\n"
        "torch.set_num_threads(1)\n"
        "torch.manual_seed(0)\n"
        "draw = random.Random(0)\n"
        "for _ in range(60):\n"
        "    k, s = draw.choice([(1, 1), (1, 2), (3, 1), (3, 2)])\n"
        "    a, b, side = draw.randint(1, 16), draw.randint(1, 16), draw.choice([1, 2, 4, 7, 8, 16, 33, 64])\n"
        "    holder = torch.nn.Sequential(torch.nn.Conv2d(a, b, k, s, k // 2, bias=False))\n"
        "    models._replace_strided_pointwise(holder)\n"
        "    layer = holder[0].to(memory_format=torch.channels_last)\n"
        "    x = torch.randn(16, a, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()\n"
        "    y = layer(x)\n"
        "    given = torch.randn_like(y)\n"
        "    found = torch.autograd.grad(y, [x, layer.weight], given)\n"
        "    exact = [value.detach().double().contiguous().requires_grad_() for value in (x, layer.weight)]\n"
        "    right = torch.autograd.grad(F.conv2d(*exact, None, s, k // 2), exact, given.double())\n"
        "    for one, other in zip(found, right):\n"
        "        rounding = 2**-22 * 16 * side**2\n"  # of a sum of that many products of size 1, in float32
        "        assert (one - other).abs().max() <= 1e-5 * (1 + other.abs().max()) + rounding, (k, s, a, b, side)\n"
        "print('no fault')"
    )
    # glibc checks every block that is freed; without the library it says so and goes on
    checked = os.environ | {"LD_PRELOAD": "libc_malloc_debug.so.0", "MALLOC_CHECK_": "3"}
    done = run([sys.executable, "-c", code], cwd=ROOT, env=checked)
    assert done.returncode == 0 and "no fault" in done.stdout, done.stderr


@pytest.mark.parametrize("supported", [True, False])
def test_bfloat16_is_said_to_be_slow_where_the_processor_has_no_kernels_for_it(supported, monkeypatch):
    """A step of ResNet8 took 14 times as long as in float32 on a processor with AVX2 alone."""
    monkeypatch.setattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: supported)
    said = provenance.slow_precision("cpu", "bfloat16")
    assert said is None if supported else "AVX-512" in said and "--precision float32" in said
    assert provenance.slow_precision("cuda", "bfloat16") is None
    assert provenance.slow_precision("cpu", "float32") is None
