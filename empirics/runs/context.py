"""The context of one run and seed: its data, its network and its folders."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from empirics import models
from empirics.config import RunConfig, RunOptions
from empirics.data.datasets import Dataset
from empirics.seeding import generator
from empirics.storage.files import check_same
from empirics.storage.run_folder import INITIAL_TENSORS, RunFolder
from empirics.train import EpochMetrics, to_device

State = dict[str, Tensor]


@dataclass(frozen=True)
class RunSetup(RunOptions):
    """What all runs of a process share: data, device, results folder and callbacks.

    Threads and checkpoints are those of `RunOptions`.

    Args:
        dataset: on the device.
        device: where networks are trained.
        results: results folder.
        report: called with the metrics of every epoch.
        warn: called with every warning at once, since the run may be stopped before it ends.
        stop: whether training should stop; called before every step.
    """

    dataset: Dataset
    device: torch.device
    results: Path
    report: Callable[[EpochMetrics], None] = lambda metrics: None
    warn: Callable[[str], None] = lambda text: None
    stop: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class RunContext:
    """One run and seed, with the network that its levels are trained in."""

    config: RunConfig
    seed: int
    setup: RunSetup
    model: nn.Module

    @property
    def folder(self) -> RunFolder:
        """The folder of this run's levels."""
        return RunFolder(self.setup.results, self.config.name, self.seed)

    @property
    def dense(self) -> RunFolder:
        """The folder of the dense run, which holds level 0."""
        return RunFolder(self.setup.results, self.config.dense.name, self.seed)

    @property
    def mask_run(self) -> RunFolder:
        """The folder of the run whose masks this one takes."""
        return RunFolder(self.setup.results, self.config.mask_run, self.seed)

    def sign_level(self, level: int) -> tuple[RunFolder, int]:
        """Folder and number of the level before `level` in the run whose signs this one takes."""
        before = level - 1
        return (RunFolder(self.setup.results, self.config.sign_run, self.seed) if before else self.dense), before

    @property
    def layers(self) -> dict[str, nn.Parameter]:
        """The prunable weights, in network order."""
        return models.prunable_weights(self.model)

    def source_level(self, level: int) -> tuple[RunFolder, int]:
        """Folder and number of the level whose weights `level` is pruned from."""
        from_dense = level == self.config.first_level or self.config.pruning == "one-shot"
        return (self.dense, 0) if from_dense else (self.folder, level - 1)

    def sources(self, level: int) -> dict[str, dict[str, Any]]:
        """The records of the levels that `level` depends on, by `level_id`; missing levels are left out.

        These are the level that it is pruned from, level 0 of the dense run (for its initial weights), and the levels
        of the runs whose masks and signs are used.
        """
        if self.config.is_dense:
            return {}
        places = [self.source_level(level), (self.dense, 0)]
        places += [(self.mask_run, level)] if self.config.mask_run else []
        places += [self.sign_level(level)] if self.config.sign_run else []
        found = {folder.level_id(number): folder.level_record(number, verify=False) for folder, number in places}
        return {place: record for place, record in found.items() if record is not None}

    def level_before(self, level: int) -> tuple[RunFolder, int] | None:
        """Folder and number of the level before `level`; None if the run begins later than level 1."""
        if level == 1:
            return self.dense, 0
        return None if level == self.config.first_level else (self.folder, level - 1)

    def initial(self) -> State:
        """The network's state at initialisation, read from the dense run."""
        return self.dense.load_tensors(0, INITIAL_TENSORS)

    def load(self, state: State) -> None:
        """Load a state into the network, on the device of the setup.

        Raises:
            StoreError: the state belongs to another network.
        """
        load_state(self.model, state, self.config.name)
        to_device(self.model, self.setup.device, self.config.precision)


def new_context(config: RunConfig, seed: int, setup: RunSetup) -> RunContext:
    """The context of a run, with its network at initialisation."""
    return RunContext(config, seed, setup, initial_network(config, seed, setup.dataset))


def initial_network(config: RunConfig, seed: int, dataset: Dataset, purpose: str = "initial weights") -> nn.Module:
    """The network at initialisation; its weights depend only on the seed and on `purpose`."""
    draw = generator(seed, purpose)
    shape = dataset.shape
    classes = dataset.classes
    return models.create(config.model, config.width, shape, classes, draw, bias=config.classifier_bias)


def load_state(model: nn.Module, state: State, run: str) -> None:
    """Load a state into a network, if names, shapes and types are those of the network.

    Raises:
        StoreError: names the first tensor that differs.
    """
    check_same(state, model.state_dict(), f"the state that run {run} was given")
    model.load_state_dict(state)


def state_of(model: nn.Module) -> State:
    """A copy of a network's state dict on the CPU.

    Each tensor is contiguous, as in a file, whatever its memory format in the network.
    """
    in_order = torch.contiguous_format
    return {
        name: value.detach().to("cpu", copy=True, memory_format=in_order) for name, value in model.state_dict().items()
    }
