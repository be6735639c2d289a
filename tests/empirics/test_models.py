import pytest
import torch
import torchvision

from empirics import models
from empirics.config import ConfigError

# what each model comes in, small where it may be small
WIDTHS = {name: 64 if name in ("resnet18", "resnet50") else 4 for name in models.MODELS}
DIGITS, CIFAR, TINY_IMAGENET, IMAGENET = (1, 8, 8), (3, 32, 32), (3, 64, 64), (3, 224, 224)


def make(name: str = "resnet20", width: int = 8, shape: models.Shape = DIGITS, classes: int = 10) -> torch.nn.Module:
    return models.create(name, width, shape, classes, torch.Generator().manual_seed(0))


def outline(name: str, shape: models.Shape, classes: int = 10) -> torch.nn.Module:
    """The network of width 64 as its registry function builds it, without values."""
    with torch.device("meta"):
        return models.MODELS[name](64, shape, classes)


def parameters(model: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def logits(model: torch.nn.Module, images: int, shape: models.Shape) -> torch.Tensor:
    return model(torch.randn(images, *shape, generator=torch.Generator().manual_seed(1)))


def cifar_resnet_parameters(depth: int, width: int, channels: int, classes: int) -> int:
    """He et al. (2016), table in section 4.2, layer by layer: 2n convolutions a stage, two of the 1x1 shortcuts."""
    n = (depth - 2) // 6
    convolutions = 9 * channels * width  # the first
    convolutions += 2 * n * 9 * width**2  # stage 1
    convolutions += 9 * width * 2 * width + (2 * n - 1) * 9 * (2 * width) ** 2  # stage 2
    convolutions += 9 * 2 * width * 4 * width + (2 * n - 1) * 9 * (4 * width) ** 2  # stage 3
    shortcuts = width * 2 * width + 2 * width * 4 * width
    normalised = width + 2 * n * (width + 2 * width + 4 * width) + 2 * width + 4 * width
    return convolutions + shortcuts + 2 * normalised + 4 * width * classes + classes


def test_resnet20_of_width_8_has_the_prunable_weights_of_the_definition():
    weights = models.prunable_weights(make())
    assert sum(w.numel() for w in weights.values()) == 67_848
    assert list(weights)[0] == "conv.weight" and list(weights)[-1] == "linear.weight"
    assert len([name for name in weights if "shortcut" in name]) == 2


@pytest.mark.parametrize("depth, published", [(20, 0.27e6), (32, 0.46e6), (56, 0.85e6)])
def test_cifar_resnets_have_the_parameters_of_he_et_al_and_their_shortcuts(depth, published):
    count = parameters(make(f"resnet{depth}", 16, CIFAR))
    assert count == cifar_resnet_parameters(depth, 16, 3, 10)
    shortcuts = 16 * 32 + 32 * 64 + 2 * (32 + 64)  # theirs have no parameters (option A)
    assert round(count - shortcuts, -4) == published
    for channels, classes in ((1, 10), (3, 100)):
        model = make(f"resnet{depth}", 4, (channels, 8, 8), classes)
        assert parameters(model) == cifar_resnet_parameters(depth, 4, channels, classes)


@pytest.mark.parametrize("name, convolutions", [("vgg11", 9_217_728), ("vgg16", 14_710_464)])
def test_vggs_have_the_convolutions_of_their_configuration_and_one_linear_layer(name, convolutions):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"{name}_bn")().features
    ours = outline(name, CIFAR)
    shapes = [tuple(w.shape) for w in models.prunable_weights(ours).values()]
    assert shapes[:-1] == [tuple(w.shape) for w in models.prunable_weights(theirs).values()]
    assert sum(w.numel() for w in models.prunable_weights(ours).values()) == convolutions + 512 * 10
    assert sum(isinstance(module, torch.nn.MaxPool2d) for module in ours.modules()) == 5


@pytest.mark.parametrize("name", ["vgg11", "vgg16"])
@pytest.mark.parametrize("shape, poolings", [((1, 1, 1), 0), ((1, 8, 8), 3), ((1, 9, 5), 2), ((3, 64, 32), 5)])
def test_a_vgg_leaves_out_the_poolings_that_an_image_is_too_small_for(name, shape, poolings):
    model = make(name, 2, shape)
    assert sum(isinstance(module, torch.nn.MaxPool2d) for module in model.modules()) == poolings
    assert logits(model.eval(), 2, shape).shape == (2, 10)
    assert list(model.state_dict()) == list(make(name, 2, CIFAR).state_dict()), "names must not depend on the image"


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("shape", [DIGITS, IMAGENET])
def test_torchvision_resnets_keep_the_names_of_torchvision(name, shape):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, name)(num_classes=10).state_dict()
    ours = outline(name, shape).state_dict()
    assert list(ours) == list(theirs)
    assert {n for n in ours if ours[n].shape != theirs[n].shape} == ({"conv1.weight"} if shape is DIGITS else set())


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_stem_is_for_small_images_up_to_a_side_of_64(name, channels):
    for sides, kernel, stride, pooled in (
        ((32, 32), (3, 3), (1, 1), False),
        ((64, 64), (3, 3), (1, 1), False),
        ((224, 64), (3, 3), (1, 1), False),
        ((65, 65), (7, 7), (2, 2), True),
        ((224, 224), (7, 7), (2, 2), True),
    ):
        model = outline(name, (channels, *sides))
        assert (model.conv1.kernel_size, model.conv1.stride) == (kernel, stride)
        assert isinstance(model.maxpool, torch.nn.MaxPool2d) == pooled
        assert model.conv1.in_channels == channels and model.conv1.bias is None


@pytest.mark.parametrize("name", models.MODELS)
def test_only_weights_of_convolutions_and_linear_layers_are_prunable(name):
    model = make(name, WIDTHS[name], CIFAR)
    prunable = models.prunable_weights(model)
    # a weight of more than one dimension is that of a convolution or a linear layer; those of batch norm have one
    assert set(prunable) == {n for n, p in model.named_parameters() if p.dim() > 1}
    assert all(prunable[n] is p for n, p in model.named_parameters() if n in prunable)
    assert list(prunable) == [n for n in model.state_dict() if n in prunable], "network order"
    assert all(module.bias is None for module in model.modules() if isinstance(module, torch.nn.Conv2d))


@pytest.mark.parametrize("name", models.MODELS)
def test_weights_are_kaiming_normal_by_fan_in_and_biases_zero(name):
    model = make(name, WIDTHS[name], CIFAR)
    for n, weight in models.prunable_weights(model).items():
        ratio = weight.detach().pow(2).mean().sqrt() / (2 / weight[0].numel()) ** 0.5
        assert float(ratio) == pytest.approx(1, abs=4 * (1 / (2 * weight.numel())) ** 0.5), n
    modules = [module for module in model.modules() if getattr(module, "bias", None) is not None]
    assert modules and not any(module.bias.any() for module in modules)


@pytest.mark.parametrize("name", ["resnet20", "resnet18", "vgg11"])
def test_initialisation_depends_on_the_generator_alone(name):
    torch.manual_seed(1)
    one = make(name, WIDTHS[name]).state_dict()
    torch.manual_seed(2)
    two = make(name, WIDTHS[name]).state_dict()
    assert all(torch.equal(one[n], two[n]) for n in one)
    other = models.create(name, WIDTHS[name], DIGITS, 10, torch.Generator().manual_seed(1)).state_dict()
    assert any((one[n] != other[n]).any() for n in one)


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("shape", [DIGITS, CIFAR, TINY_IMAGENET])
def test_every_model_maps_images_to_logits(name, shape):
    model = make(name, WIDTHS[name], shape, 7).eval()
    with torch.no_grad():
        assert logits(model, 1, shape).shape == (1, 7)


def test_resnet50_maps_imagenet_images_to_logits():
    with torch.no_grad():
        model = make("resnet50", 64, IMAGENET, 1000).eval()
        assert logits(model, 1, IMAGENET).shape == (1, 1000)
    assert parameters(model) == 25_557_032


@pytest.mark.parametrize("name", models.MODELS)
def test_no_parameter_is_without_a_gradient(name):
    model = make(name, WIDTHS[name])
    logits(model, 3, DIGITS).square().sum().backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_what_is_not_there_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'resnet20'"):
        make("resnet-20")
    for name in ("resnet18", "resnet50"):
        with pytest.raises(ConfigError, match=f"{name} is torchvision's, of width 64, got 8"):
            make(name)


@pytest.mark.parametrize("name", models.MODELS)
def test_sizes_below_one_are_refused(name):
    width = WIDTHS[name]
    with pytest.raises(ConfigError, match="width of model .* at least 1, got 0"):
        make(name, 0)
    with pytest.raises(ConfigError, match="channels of model .* at least 1, got 0"):
        make(name, width, (0, 8, 8))
    with pytest.raises(ConfigError, match="image height of model .* at least 1, got 0"):
        make(name, width, (1, 0, 8))
    with pytest.raises(ConfigError, match="image width of model .* at least 1, got -1"):
        make(name, width, (1, 8, -1))
    with pytest.raises(ConfigError, match="classes of model .* at least 1, got 0"):
        make(name, width, DIGITS, 0)
