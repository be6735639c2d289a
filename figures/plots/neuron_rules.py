"""What figures of the neuron share: the names of the rules, and what is missing."""

from figures.plots.builder import Missing, NothingToDraw
from figures.results.network import Records, TheoryResult

RULE_NAMES = {"imp": "IMP", "lrr": "LRR"}


def theory_result(records: Records, experiment: str, panel: str) -> TheoryResult:
    """The result of the one experiment that a figure shows.

    Raises
    ------
    NothingToDraw : it has not been run.
    """
    if experiment not in records.theory:
        raise NothingToDraw([theory_missing(experiment, panel)])
    return records.theory[experiment]


def theory_missing(experiment: str, panel: str) -> Missing:
    """A panel whose theory experiment has not been run."""
    return Missing(panel, f"theory experiment {experiment} has not been run", f"paper_repro.py theory {experiment}")
