"""The neuron's flow: exact solutions, limits, theorems and numerical integration.

Names are loaded when first used, so that `import theory` is light.
"""

from importlib import import_module
from typing import Any

_HOME = {
    "population_loss": "losses.formulas",
    "population_gradient": "losses.formulas",
    "gradient_1d": "losses.formulas",
    "loss_1d": "losses.formulas",
    "Population": "losses.losses",
    "Line": "losses.losses",
    "Sample": "losses.samples",
    "Masked": "losses.samples",
    "closed_form": "exact.closed_form",
    "limit": "exact.limits",
    "limits": "exact.limits",
    "Limit": "exact.limits",
    "learns": "exact.limits",
    "verdicts": "exact.limits",
    "success_probability_exact": "probability",
    "success_probability": "probability",
    "success_by_level": "probability",
    "switch_probability": "probability",
    "switch_probability_exact": "probability",
    "Success": "probability",
    "integrate": "flow.integrate",
    "Event": "flow.integrate",
    "Trajectory": "flow.integrate",
    "integrate_batch": "flow.batch",
    "settle_samples": "flow.batch",
    "Batch": "flow.batch",
    "prune": "pruning",
    "Levels": "pruning",
    "REWINDS": "pruning",
    "THEOREMS": "theorems",
    "Theorem": "theorems",
    "Mutant": "theorems",
    "Verdict": "theorems",
    "check": "theorems",
    "phase_plane": "portraits.planes",
    "PLANES": "portraits.planes",
    "level_sets": "portraits.planes",
    "explore": "portraits.explorer.page",
    "Explorer": "portraits.explorer.page",
    "PhasePlane": "portraits.curves",
    "Curve": "portraits.curves",
    "EquilibriumSet": "portraits.curves",
    "time_to_learn": "extensions.learning_times",
    "descend": "extensions.gradient_descent",
    "Descent": "extensions.gradient_descent",
    "balance": "extensions.gradient_descent",
    "balance_change": "extensions.gradient_descent",
    "step_limit": "extensions.gradient_descent",
    "hidden_loss": "extensions.hidden_neurons",
    "hidden_gradient": "extensions.hidden_neurons",
    "hidden_starts": "extensions.hidden_neurons",
    "train_hidden": "extensions.hidden_neurons",
    "HiddenRun": "extensions.hidden_neurons",
    "prune_hidden": "extensions.hidden_neurons",
    "HiddenLevels": "extensions.hidden_neurons",
    "EXPERIMENTS": "experiments.registry",
    "Experiment": "experiments.registry",
    "Result": "results",
    "register": "registries",
}
__all__ = sorted(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module 'theory' has no attribute {name!r}")
    import sys

    value = getattr(import_module(f"theory.{_HOME[name]}"), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    """List the public names."""
    return __all__
