"""The neuron's flow: exact solutions, limits, theorems, and the numerical flow beside them.

Names are loaded when first used, so that `import theory` is light.
"""

from importlib import import_module

_HOME = {
    "population_loss": "network",
    "population_gradient": "network",
    "gradient_1d": "network",
    "loss_1d": "network",
    "Population": "network",
    "Line": "network",
    "closed_form": "exact",
    "limit": "exact",
    "limits": "exact",
    "Limit": "exact",
    "learns": "exact",
    "verdicts": "exact",
    "success_probability_exact": "probability",
    "integrate": "flow",
    "Event": "flow",
    "Trajectory": "flow",
    "prune": "pruning",
    "Levels": "pruning",
    "REWINDS": "pruning",
    "THEOREMS": "theorems",
    "Theorem": "theorems",
    "Verdict": "theorems",
    "check": "theorems",
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
