"""Real but tiny runs: ResNet8 of width 4 on the first of scikit-learn's digits, a level in a fraction of a second."""

import dataclasses
from pathlib import Path

import torch

from empirics.config import RunConfig
from empirics.data.datasets import InMemory, Split
from empirics.runs import levels
from empirics.runs.context import RunSetup
from empirics.studies import presets

TINY = dict(model="resnet8", width=4, epochs=2, warmup_epochs=0, batch_size=32, levels=3, lr=0.2)


def level_record(run: str, level: int = 0, **changes) -> dict:
    """The smallest `level.json` that is one, without its seal."""
    head = {"run": run, "seed": 0, "level": level, "status": "complete", "files": {}, "layers": {}}
    return {**head, "environments": [], "depends_on": {}, "provenance": {}, **changes}


def clip(dataset: InMemory, n_train: int = 160, n_test: int = 100) -> InMemory:
    cut = lambda split, n: Split(split.images[:n], split.labels[:n])  # noqa: E731
    return dataclasses.replace(dataset, train=cut(dataset.train, n_train), test=cut(dataset.test, n_test))


def setup_in(results: Path, dataset: InMemory) -> RunSetup:
    return RunSetup(dataset, torch.device("cpu"), results)


def arm(name: str, protocol: str = "ours", **settings) -> RunConfig:
    """An arm of the quick preset, made tiny; `imp-long` trains its last level alone."""
    return presets.arm_config("quick", name, protocol, **{**TINY, **settings})


def run_arms(
    arms: list[str], setup: RunSetup, seed: int = 0, protocol: str = "ours", **settings
) -> dict[str, RunConfig]:
    """Train arms one after the other, with what they need."""
    configs = {name: arm(name, protocol, **settings) for name in presets.needed_arms(arms)}
    for config in [*{config.dense.name: config.dense for config in configs.values()}.values(), *configs.values()]:
        levels.run(config, seed, setup)
    return configs
