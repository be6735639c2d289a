"""The neuron's flow: exact solutions, limits, theorems, and the numerical flow beside them.

Names are loaded when first used, so that `import theory` is light.
"""

from importlib import import_module

_HOME = {
    "population_loss": "network",
    "population_gradient": "network",
    "gradient_1d": "network",
    "loss_1d": "network",
    "Population": "losses",
    "Line": "losses",
    "Sample": "samples",
    "Masked": "samples",
    "closed_form": "exact",
    "limit": "basins",
    "limits": "basins",
    "Limit": "basins",
    "learns": "basins",
    "verdicts": "basins",
    "success_probability_exact": "probability",
    "success_probability": "probability",
    "success_by_level": "probability",
    "switch_probability": "probability",
    "switch_probability_exact": "probability",
    "Success": "probability",
    "integrate": "flow",
    "Event": "flow",
    "Trajectory": "flow",
    "integrate_batch": "batch",
    "settle_samples": "batch",
    "Batch": "batch",
    "prune": "pruning",
    "Levels": "pruning",
    "REWINDS": "pruning",
    "THEOREMS": "theorems",
    "Theorem": "theorems",
    "Mutant": "theorems",
    "Verdict": "theorems",
    "check": "theorems",
    "phase_plane": "planes",
    "PLANES": "planes",
    "level_sets": "planes",
    "PhasePlane": "plane_parts",
    "Curve": "plane_parts",
    "EquilibriumSet": "plane_parts",
    "time_to_learn": "learning_times",
    "descend": "descent",
    "Descent": "descent",
    "balance": "descent",
    "balance_change": "descent",
    "step_limit": "descent",
    "hidden_loss": "hidden",
    "hidden_gradient": "hidden",
    "hidden_starts": "hidden",
    "train_hidden": "hidden",
    "HiddenRun": "hidden",
    "prune_hidden": "hidden",
    "HiddenLevels": "hidden",
    "EXPERIMENTS": "experiments",
    "Experiment": "experiments",
    "Result": "records",
}
__all__ = sorted(_HOME)


def __getattr__(name: str):
    """Load a public name from its module."""
    if name not in _HOME:
        raise AttributeError(f"module 'theory' has no attribute {name!r}")
    import sys

    value = getattr(import_module(f"theory.{_HOME[name]}"), name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__():
    """List the public names."""
    return __all__
