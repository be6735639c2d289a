"""The perturbations of the signs in a sweep, and what each costs."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.sweeps import PERTURBED_ARMS, Sweep
from figures.results.network import StudyResults

PERTURBATION_PANEL = "perturbed signs"
PERTURBATION_ARMS = ("imp", "lrr", *PERTURBED_ARMS)
CONTROL_ARM = "imp-long"
DROPS = {"imp": {"imp": 1, "imp-perturbed": -1}, "lrr": {"lrr": 1, "lrr-perturbed": -1}}


@dataclass(frozen=True)
class Perturbed:
    """One perturbation of the signs, and its study.

    `share` of the surviving signs is flipped at the start of `level`; `scope` is `global` or `layerwise`.
    """

    share: float
    level: int
    scope: str
    results: StudyResults

    @property
    def place(self) -> tuple[int, str]:
        """The level and the scope of the flip, without its share."""
        return self.level, self.scope


def perturbations(sweep: Sweep) -> list[Perturbed]:
    """The perturbations of a sweep, as its runs' configurations record them.

    Only those are returned whose drop of accuracy can be paired for IMP or for LRR.
    """
    found = []
    for results in sweep.studies:
        run = next((results.arms[arm] for arm in PERTURBATION_ARMS[2:] if arm in results.arms), None)
        if run and measures.high_sparsity_levels(results) and rules_with_drops(results):
            config = run.config
            share, level, scope = (config.get(f"perturb_{name}") for name in ("rate", "level", "scope"))
            found.append(Perturbed(share, level, scope or "global", results))
    return sorted(found, key=lambda p: (p.share, p.level, p.scope))


def rules_with_drops(results: StudyResults) -> list[str]:
    """The rules whose drop of accuracy can be paired by seed."""
    return [rule for rule, arms in DROPS.items() if measures.shared_seeds(results, arms)]


def usual_place(found: Sequence[Perturbed]) -> tuple[int, str]:
    """The level and the scope at which most shares have been flipped."""
    return Counter(where.place for where in found).most_common(1)[0][0]


def other_places(found: Sequence[Perturbed]) -> list[Perturbed]:
    """The perturbations at another level or scope than the usual one."""
    return [where for where in found if where.place != usual_place(found)]
