"""Networks, and which of their tensors are prunable."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from empirics.config import ConfigError, choose

PRUNABLE_MODULES = (nn.Conv2d, nn.Linear)


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
        stages, inputs = [], width
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


def create(name: str, width: int, channels: int, classes: int, generator: torch.Generator) -> nn.Module:
    """The network `name` with Kaiming-normal weights (fan-in), zero biases, and fresh batch norm.

    Args:
        name: key of `MODELS`.
        width: channels of the first stage.
        channels: of the images.
        classes: number of outputs.
        generator: the only source of randomness.
    """
    model = MODELS[choose(name, MODELS, "model")](width, channels, classes)
    for module in model.modules():
        if isinstance(module, PRUNABLE_MODULES):
            nn.init.kaiming_normal_(module.weight, mode="fan_in", nonlinearity="relu", generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return model


def prunable_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weight by state-dict name, in network order: convolutions and linear layers, never biases or batch norm."""
    return {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, PRUNABLE_MODULES)
    }


def resnet8(width: int, channels: int, classes: int) -> nn.Module:
    """One block a stage: for quick work."""
    return CifarResNet(1, width, channels, classes)


def resnet20(width: int, channels: int, classes: int) -> nn.Module:
    """Three blocks a stage, the paper's network for CIFAR-10 (width 16)."""
    return CifarResNet(3, width, channels, classes)


def resnet18(width: int, channels: int, classes: int) -> nn.Module:
    """torchvision's ResNet18 with the stem for small images: a 3x3 convolution and no pooling."""
    import torchvision

    model = torchvision.models.resnet18(num_classes=classes)
    _check_standard(width, channels, "resnet18")
    model.conv1 = nn.Conv2d(channels, 64, 3, 1, 1, bias=False)
    model.maxpool = nn.Identity()
    return model


def resnet50(width: int, channels: int, classes: int) -> nn.Module:
    """torchvision's ResNet50, for 224x224 colour images."""
    import torchvision

    _check_standard(width, channels, "resnet50")
    return torchvision.models.resnet50(num_classes=classes)


def _check_standard(width: int, channels: int, name: str) -> None:
    if width != 64 or channels != 3:
        raise ConfigError(f"{name} is torchvision's: width 64 and 3 channels, got {width} and {channels}: use resnet20")


# A new model: one function above (width, channels, classes) -> module, one line here.
MODELS: dict[str, Callable[[int, int, int], nn.Module]] = {
    "resnet8": resnet8,
    "resnet18": resnet18,
    "resnet20": resnet20,
    "resnet50": resnet50,
}
