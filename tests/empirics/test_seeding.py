"""What is hashed into seeds stands here in full: one other word, and every random number of a run is another."""

import ast
from pathlib import Path

import pytest

import empirics
from empirics import models
from empirics.seeding import generator

# the seed of each purpose with seed 7 and the keys 1, 2
SEEDS = {
    "initial weights": 8048109054894581089,
    "fresh initial weights": 7732225260710133789,
    "data": 1997782128467493707,
    "perturbed signs": 6734522169934426171,
    "scored images": 825614112588172310,
    "shuffled mask": 9193749163093807086,
    "random mask": 3059891882591791458,
    "strike": 7206448680856097996,
    "shuffled magnitudes": 2687142136050151841,
}
LAYERS = {
    "resnet8": (
        "conv stages.0.0.conv1 stages.0.0.conv2 stages.1.0.conv1 stages.1.0.conv2 stages.1.0.shortcut.0 "
        "stages.2.0.conv1 stages.2.0.conv2 stages.2.0.shortcut.0 linear"
    ),
    "vgg11": (
        "stages.0.0.conv stages.1.0.conv stages.2.0.conv stages.2.1.conv stages.3.0.conv stages.3.1.conv "
        "stages.4.0.conv stages.4.1.conv linear"
    ),
    "resnet18": (
        "conv1 layer1.0.conv1 layer1.0.conv2 layer1.1.conv1 layer1.1.conv2 "
        "layer2.0.conv1 layer2.0.conv2 layer2.0.downsample.0 layer2.1.conv1 layer2.1.conv2 "
        "layer3.0.conv1 layer3.0.conv2 layer3.0.downsample.0 layer3.1.conv1 layer3.1.conv2 "
        "layer4.0.conv1 layer4.0.conv2 layer4.0.downsample.0 layer4.1.conv1 layer4.1.conv2 fc"
    ),
}


@pytest.mark.parametrize("purpose", SEEDS)
def test_the_seed_of_a_purpose_is_what_it_was(purpose):
    assert generator(7, purpose, 1, 2).initial_seed() == SEEDS[purpose]


def test_names_of_layers_are_part_of_a_seed():
    assert generator(7, "shuffled mask", "conv.weight").initial_seed() == 6006986157691906014


def test_no_purpose_is_missing_here():
    """Words handed to a generator, to what draws by one, or that stand for the argument `purpose`."""
    found = set()
    for path in Path(empirics.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
                "generator",
                "_order",
                "initial_network",
            ):
                found |= {
                    arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
                }
            if isinstance(node, ast.FunctionDef) and any(arg.arg == "purpose" for arg in node.args.args):
                found |= {default.value for default in node.args.defaults if isinstance(default, ast.Constant)}
    assert found == set(SEEDS)


@pytest.mark.parametrize("model", LAYERS)
def test_layers_bear_the_names_that_they_had(model):
    width = 64 if model == "resnet18" else 4
    network = models.create(model, width, (3, 32, 32), 10, generator(0, "initial weights"))
    assert list(models.prunable_weights(network)) == [f"{layer}.weight" for layer in LAYERS[model].split()]
