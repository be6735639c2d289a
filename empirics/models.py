"""Networks, and the list of their prunable tensors."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from empirics.config import ConfigError, check_choice

# The weights of these modules are prunable, never their biases.
PRUNABLE_MODULES = (nn.Conv2d, nn.Linear)

# (channels, height, width) of an image
Shape = tuple[int, int, int]

# torchvision's stem reduces the image's side to a quarter; images up to this side are too small for it
SMALL_SIDE = 64


class StridedPointwiseConv2d(nn.Conv2d):
    """A 1x1 convolution of a stride above 1, as one of stride 1 on the pixels that the stride meets.

    The same function, gradients and state dict as `nn.Conv2d`. With channels last in memory, oneDNN's gradient of a
    1x1 convolution of stride 2 with few input channels writes past its workspace (uxlfoundation/oneDNN, issue 6035),
    which ends the process or spoils a gradient; here oneDNN sees no stride.
    """

    def _conv_forward(self, input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        # what `nn.Conv2d.forward` calls, and whoever gives the layer another weight
        rows, columns = self.stride
        return F.conv2d(input[:, :, ::rows, ::columns], weight, bias, groups=self.groups)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions with batch norm, and a 1x1-convolution shortcut where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1 or inputs != outputs:
            self.shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of shape (n, outputs, height / stride, width / stride)."""
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        return F.relu(self.bn2(self.conv2(y)) + self.shortcut(x), inplace=True)


class CifarResNet(nn.Module):
    """The residual network of He et al. (2016), section 4.2, of depth 6 * blocks + 2, for small images."""

    def __init__(self, blocks: int, width: int, channels: int, classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, width, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(width)
        stages = []
        inputs = width
        for stage, outputs in enumerate((width, 2 * width, 4 * width)):
            layers = []
            for block in range(blocks):
                layers.append(BasicBlock(inputs, outputs, 2 if stage and not block else 1))
                inputs = outputs
            stages.append(nn.Sequential(*layers))
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n, classes)."""
        x = self.stages(F.relu(self.bn(self.conv(x)), inplace=True))
        return self.linear(x.mean((2, 3)))


class ConvBlock(nn.Module):
    """A 3x3 convolution with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1, bias=False)
        self.bn = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """Outputs of shape (n, outputs, height, width)."""
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Vgg(nn.Module):
    """The plain network of Simonyan and Zisserman (2015) with batch norm, for images of any size.

    Global average pooling and one linear layer replace the original three linear layers, as is usual for small images.
    The pooling of a feature map of less than two pixels per side is left out.

    Args:
        depths: number of convolutions in each of the five stages; each stage ends in a 2x2 max-pooling.
        width: channels of the first stage; the others have 2, 4, 8 and 8 times as many.
        shape: of the images.
        classes: number of outputs.
    """

    def __init__(self, depths: Sequence[int], width: int, shape: Shape, classes: int) -> None:
        super().__init__()
        inputs = shape[0]
        side = min(shape[1:])
        stages = []
        for depth, factor in zip(depths, (1, 2, 4, 8, 8), strict=True):
            outputs = factor * width
            layers = [ConvBlock(inputs if not k else outputs, outputs) for k in range(depth)]
            if side >= 2:
                layers.append(nn.MaxPool2d(2))
            stages.append(nn.Sequential(*layers))
            inputs = outputs
            side = side // 2
        self.stages = nn.Sequential(*stages)
        self.linear = nn.Linear(inputs, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Logits of shape (n, classes)."""
        return self.linear(self.stages(x).mean((2, 3)))


def create(
    name: str, width: int, shape: Shape, classes: int, generator: torch.Generator, *, bias: bool = True
) -> nn.Module:
    """Create a network at initialisation.

    Weights are Kaiming-normal (He et al. 2015; fan-in), biases zero, batch norm at its initial values.

    Args:
        name: key of `MODELS`.
        width: channels of the first stage.
        shape: (channels, height, width) of the images.
        classes: number of outputs.
        generator: the only source of randomness.
        bias: whether linear layers have a bias.

    Raises:
        ConfigError: an unknown model, a width that it does not have, or a size below 1.
    """
    build = MODELS[check_choice(name, MODELS, "model")]
    sizes = {"width": width, "channels": shape[0], "image height": shape[1], "image width": shape[2]}
    for what, size in {**sizes, "classes": classes}.items():
        if size < 1:
            raise ConfigError(f"{what} of model {name} must be at least 1, got {size}: correct the setting or the data")
    with torch.random.fork_rng(devices=[]):  # torch's layers draw default weights, which are redrawn below
        model = build(width, shape, classes)
        _replace_strided_pointwise(model)
    for module in model.modules():
        if isinstance(module, nn.Linear) and not bias:
            module.bias = None
        if isinstance(module, PRUNABLE_MODULES):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def _replace_strided_pointwise(model: nn.Module) -> None:
    """Put `StridedPointwiseConv2d` in the place of every `nn.Conv2d` that it equals."""
    for module in model.modules():
        for name, child in module.named_children():
            if _is_strided_pointwise(child):
                same = StridedPointwiseConv2d(
                    child.in_channels,
                    child.out_channels,
                    1,
                    child.stride,
                    groups=child.groups,
                    bias=child.bias is not None,
                )
                same.weight = child.weight
                same.bias = child.bias
                setattr(module, name, same)


def _is_strided_pointwise(module: nn.Module) -> bool:
    """Whether a module is a plain 1x1 convolution of a stride above 1, without padding."""
    return (
        type(module) is nn.Conv2d
        and module.kernel_size == (1, 1)
        and module.stride != (1, 1)
        and module.padding in ((0, 0), "valid")
    )


def prunable_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """The prunable weights by state-dict name, in network order.

    These are the weights of convolutions and linear layers, never biases or batch norm.
    """
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, PRUNABLE_MODULES)
    }


def resnet8(width: int, shape: Shape, classes: int) -> nn.Module:
    """ResNet8: one block per stage, for fast experiments."""
    return CifarResNet(1, width, shape[0], classes)


def resnet20(width: int, shape: Shape, classes: int) -> nn.Module:
    """ResNet20: three blocks per stage, the paper's network for CIFAR-10 (width 16)."""
    return CifarResNet(3, width, shape[0], classes)


def resnet32(width: int, shape: Shape, classes: int) -> nn.Module:
    """ResNet32: five blocks per stage."""
    return CifarResNet(5, width, shape[0], classes)


def resnet56(width: int, shape: Shape, classes: int) -> nn.Module:
    """ResNet56: nine blocks per stage."""
    return CifarResNet(9, width, shape[0], classes)


def resnet18(width: int, shape: Shape, classes: int) -> nn.Module:
    """torchvision's ResNet18, with its state-dict names.

    Images up to `SMALL_SIDE` pixels get the stem for small images.
    """
    return _torchvision_resnet("resnet18", width, shape, classes)


def resnet50(width: int, shape: Shape, classes: int) -> nn.Module:
    """torchvision's ResNet50, with its state-dict names.

    Images up to `SMALL_SIDE` pixels get the stem for small images.
    """
    return _torchvision_resnet("resnet50", width, shape, classes)


def vgg11(width: int, shape: Shape, classes: int) -> nn.Module:
    """Configuration A of Simonyan and Zisserman (2015): eight convolutions (width 64)."""
    return Vgg((1, 1, 2, 2, 2), width, shape, classes)


def vgg16(width: int, shape: Shape, classes: int) -> nn.Module:
    """Configuration D of Simonyan and Zisserman (2015): thirteen convolutions (width 64)."""
    return Vgg((2, 2, 3, 3, 3), width, shape, classes)


def _torchvision_resnet(name: str, width: int, shape: Shape, classes: int) -> nn.Module:
    import torchvision

    if width != 64:
        raise ConfigError(f"{name} is torchvision's, of width 64, got {width}: use width 64 or resnet20")
    model = getattr(torchvision.models, name)(num_classes=classes)
    if min(shape[1:]) <= SMALL_SIDE:
        model.conv1 = nn.Conv2d(shape[0], width, 3, 1, 1, bias=False)
        model.maxpool = nn.Identity()
    elif shape[0] != 3:
        model.conv1 = nn.Conv2d(shape[0], width, 7, 2, 3, bias=False)
    return model


# A new model: one function above (width, shape, classes) -> module, one line here.
MODELS: dict[str, Callable[[int, Shape, int], nn.Module]] = {
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "resnet32": resnet32,
    "resnet50": resnet50,
    "resnet56": resnet56,
    "vgg11": vgg11,
    "vgg16": vgg16,
}
