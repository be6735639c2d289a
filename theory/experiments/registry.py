"""The experiments of the theory: named sweeps whose result files are read by the figures.

To add one: write a function (parameters) -> Result in its own module, and add one entry at the end of this file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from theory.results import Result, hashed_name, record_files
from theory.validation import known


@dataclass(frozen=True)
class Experiment:
    """A sweep: its default parameters and a sentence on what it shows.

    Attributes:
        function: "module:name" within theory.experiments, imported only when it is run, so that listing the names is
            fast; for an experiment from outside, the function itself
        slow: the experiment takes many times as long as the start of a process
    """

    name: str
    function: str | Callable[..., Result]
    params: dict[str, Any]
    about: str
    slow: bool = False

    @property
    def run(self) -> Callable[..., Result]:
        """The function (parameters) -> Result."""
        if not isinstance(self.function, str):
            return self.function
        module, name = self.function.split(":")
        return getattr(import_module(f"theory.experiments.{module}"), name)


def _all_params(name: str, params: dict[str, Any] | None) -> dict[str, Any]:
    known("experiment", name, tuple(EXPERIMENTS))
    defaults = EXPERIMENTS[name].params
    for key in params or {}:
        known(f"parameter of {name}", key, tuple(defaults))
    return {**defaults, **(params or {})}


def result_name(name: str, params: dict[str, Any] | None = None) -> str:
    """Return `<experiment>-<hash8>`; the hash covers the schema version, the name and every parameter.

    Raises:
        ValueError: an unknown experiment or parameter; the message lists the known ones.
    """
    return hashed_name(name, _all_params(name, params))


def files(
    name: str, result: Result, params: dict[str, Any] | None, seconds: float, provenance: dict[str, Any], command: str
) -> dict[str, bytes]:
    """Return file name -> bytes of a result, its npz first.

    Args:
        name: the experiment
        result: what it returned
        params: the parameters it ran with; those not given are its defaults
        seconds: float, run time
        provenance: recorded as it is
        command: recorded as it is
    """
    return record_files(name, result, _all_params(name, params), seconds, provenance, command)


EXPERIMENTS: dict[str, Experiment] = {
    "quadrants": Experiment(
        "quadrants",
        "figure_1:quadrants",
        {"grid": 161, "extent": 2.0, "horizon": 400.0, "starts": 5000, "seed": 0},
        "d = 1: which sign quadrants learn (figure 1 a)",
    ),
    "stories": Experiment(
        "stories",
        "figure_1:imp_lrr_example",
        {"angle": 2.4, "size": 0.8, "horizon": 12.0, "points": 401},
        "d = 2: on the correct mask IMP starts with the wrong sign, LRR with the trained one (figure 1 b, c)",
    ),
    "pruning-iterations": Experiment(
        "pruning-iterations",
        "pruning_levels:pruning_iterations",
        {"d": 10, "trials": 20000, "prune_rate": 0.2, "seed": 0},
        "IMP and LRR on the neuron over pruning iterations (figure 2 a, claims 3 and 4a)",
    ),
    "factorial": Experiment(
        "factorial",
        "pruning_levels:factorial",
        {"d": 10, "trials": 20000, "seed": 0},
        "signs times magnitudes: imp, sign, magnitude, lrr (claims 3 and 14)",
    ),
    "theorem-check": Experiment(
        "theorem-check",
        "theorem_check:theorem_check",
        {"starts": 20000, "runs": 200, "horizon": 300.0, "seed": 0},
        "Theorem 2.1 and Lemma 2.2 against exact limits, numerical runs and sympy (claims 1 and 2)",
        slow=True,
    ),
    "dimension": Experiment(
        "dimension",
        "dimension_and_balance:dimension",
        {
            "dimensions": [1, 2, 3, 5, 10, 20, 50, 100],
            "trials": 20000,
            "seed": 0,
            "inits": ["balanced", "normal", "bounded"],
        },
        "IMP, LRR and sign switches over the number of inputs (figure 14, claim 13)",
    ),
    "basins": Experiment(
        "basins",
        "dimension_and_balance:basins",
        {
            "dimensions": [1, 2, 10],
            "ratios": [0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0],
            "trials": 20000,
            "starts": 200,
            "horizon": 2000.0,
            "seed": 0,
        },
        "which starts learn, for any balance of a(0) and w(0); IMP and LRR over s_w / s_a (figure basins)",
        slow=True,
    ),
    "sample-size": Experiment(
        "sample-size",
        "finite_samples:sample_size",
        {
            "d": 10,
            "ratios": [1.0, 2.0, 5.0, 10.0, 20.0, 50.0],
            "noises": [0.0, 0.5, 1.0],
            "trials": 500,
            "horizon": 1e6,
            "seed": 0,
        },
        "IMP and LRR on finite samples with label noise, balanced starts (figure 15 a)",
        slow=True,
    ),
    "mask-recovery": Experiment(
        "mask-recovery",
        "finite_samples:mask_recovery",
        {
            "d": 10,
            "ratios": [1.0, 2.0, 5.0, 10.0, 20.0, 50.0],
            "noises": [0.0, 0.5, 1.0],
            "decides": [10.0, 0.5],
            "prune_rate": 0.5,
            "trials": 300,
            "deciding_trials": 4000,
            "horizon": 1e6,
            "seed": 0,
        },
        "do IMP and LRR find the mask from N(0, 1/d) starts on noisy samples (figure 15 b and c, claim 4b)",
        slow=True,
    ),
    "pruned-samples": Experiment(
        "pruned-samples",
        "pruned_samples:pruned_samples",
        {
            "d": 10,
            "ends": [5, 3, 1],
            "prunings": 3,
            "inits": ["bounded", "balanced"],
            "inputs": ["normal", "uniform"],
            "sizes": [100, 300, 1000],
            "noises": [0.0, 0.5],
            "trials": 300,
            "horizon": 1e6,
            "seed": 0,
        },
        "IMP and LRR on samples from the authors' start and the balanced one, pruned to 5, 3 or 1 inputs (figure "
        "pruned-samples)",
        slow=True,
    ),
    "large-steps": Experiment(
        "large-steps",
        "large_steps:large_steps",
        {
            "angles": [0.5, 1.0, 1.5, 2.0],
            "shown": [1.0, 0.5, 0.25, 0.1],
            "balances": [3.0, -3.0],
            "smallest": 0.1,
            "largest": 2.2,
            "grid": 29,
            "max_steps": 6_000_000,
        },
        "gradient descent from balanced a(0) < 0 learns in d > 1 only, and its stable step (figure large-steps)",
        slow=True,
    ),
    "hidden-neurons": Experiment(
        "hidden-neurons",
        "hidden_neurons:hidden_neurons",
        {"dimensions": [2, 5, 10], "neurons": [1, 2, 4, 8], "trials": 300, "horizon": 1e6, "seed": 0},
        "IMP and LRR over the number of hidden neurons, numerical (figure hidden-neurons)",
        slow=True,
    ),
}
