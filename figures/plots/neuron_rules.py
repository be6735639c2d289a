"""What figures of the neuron share: the names of the rules, and what is missing."""

from figures.plots.builder import Missing

RULE_NAMES = {"imp": "IMP", "lrr": "LRR"}


def theory_missing(experiment: str, panel: str) -> Missing:
    """A panel whose theory experiment has not been run."""
    return Missing(panel, f"theory experiment {experiment} has not been run", f"paper_repro.py theory {experiment}")
