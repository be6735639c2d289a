import pytest
import torch

from empirics import models
from empirics.config import ConfigError


def make(name: str = "resnet20", width: int = 8, channels: int = 1, classes: int = 10) -> torch.nn.Module:
    return models.create(name, width, channels, classes, torch.Generator().manual_seed(0))


def test_resnet20_of_width_8_has_the_prunable_weights_of_the_definition():
    weights = models.prunable_weights(make())
    assert sum(w.numel() for w in weights.values()) == 67_848
    assert list(weights)[0] == "conv.weight" and list(weights)[-1] == "linear.weight"
    assert len([name for name in weights if "shortcut" in name]) == 2


def test_biases_and_batch_norm_are_never_prunable():
    model = make()
    rest = set(model.state_dict()) - set(models.prunable_weights(model))
    assert rest and all("bn" in name or "bias" in name or "shortcut.1" in name for name in rest)


def test_weights_are_kaiming_normal_by_fan_in_and_biases_zero():
    model = make(width=32)
    weight = model.stages[2][1].conv1.weight
    assert (
        float(weight.detach().std()) == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02) and not model.linear.bias.any()
    )


def test_initialisation_depends_on_the_generator_alone():
    torch.manual_seed(1)
    one = make().state_dict()
    torch.manual_seed(2)
    two = make().state_dict()
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_maps_images_to_logits(name):
    standard = name in ("resnet18", "resnet50")
    model = make(name, 64 if standard else 4, 3 if standard else 1, 7).eval()
    side = 32 if standard else 8
    with torch.no_grad():
        assert model(torch.randn(2, 3 if standard else 1, side, side)).shape == (2, 7)


def test_resnet18_has_the_stem_for_small_images():
    model = make("resnet18", 64, 3)
    assert model.conv1.kernel_size == (3, 3) and model.conv1.stride == (1, 1)


def test_an_unknown_model_or_width_is_refused():
    with pytest.raises(ConfigError, match="did you mean 'resnet20'"):
        make("resnet21")
    with pytest.raises(ConfigError, match="width 64 and 3 channels, got 8 and 1"):
        make("resnet18")
