"""The numbers of a variation: at each value the curves of both rules, H, and LRR's lead in H over IMP. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.statistics import t_interval
from figures.analysis.sweeps import Variation
from figures.results.network import StudyResults

ARMS = ("imp", "lrr")
CHANCE = "chance"


@dataclass(frozen=True)
class Value:
    """One value of a variation.

    By arm: `curves` over density, `h` (a summary: mean and 95 % interval as fractions, n, and each seed's value), the
    seeds that are `complete` and `diverged`, and how many complete ones are `at_chance` (`measures.AT_CHANCE`). `lead`
    is the summary of H(LRR) - H(IMP), paired by seed; where it has none `state` says why, and `nothing_left` says
    that there is none to see. `levels` are those of H, `weights` the network's prunable weights and those of them that
    the last level keeps.
    """

    x: object
    results: StudyResults
    levels: tuple[int, ...]
    curves: Mapping[str, dict]
    h: Mapping[str, dict]
    lead: dict
    complete: Mapping[str, list[int]]
    diverged: Mapping[str, list[int]]
    at_chance: Mapping[str, int]
    weights: tuple[int, int] | None
    state: str
    nothing_left: bool

    @property
    def chance(self) -> float | None:
        """Test accuracy of a network that has learnt nothing; None for a data set of unknown classes."""
        classes = measures.CLASSES.get(self.results.study.dataset)
        return 1 / classes if classes else None

    @property
    def drawable(self) -> bool:
        """Whether anything has been run to its end: complete seeds, or diverged ones."""
        return any(self.complete.values()) or any(self.diverged.values())


def values_of(variation: Variation) -> list[Value]:
    """Every value of a variation, in its order."""
    return [_value(x, results) for x, results in zip(variation.x, variation.studies, strict=True)]


def _value(x, results: StudyResults) -> Value:
    levels = measures.high_sparsity_levels(results)
    h = {arm: summary(measures.mean_accuracy(levels)(results, arm).values) for arm in ARMS}
    lead = summary(measures.combine(results, measures.LEAD, measures.mean_accuracy(levels)).values)
    seeds = {arm: measures.seeds_of(results, arm) for arm in ARMS}
    return Value(
        x,
        results,
        levels,
        {arm: measures.curve(results, arm) for arm in ARMS},
        h,
        lead,
        {arm: found[0] for arm, found in seeds.items()},
        {arm: found[1] for arm, found in seeds.items()},
        {arm: sum(_at_chance(results, [value]) for value in h[arm]["values"]) for arm in ARMS},
        _weights(results),
        _state(levels, lead, seeds),
        bool(lead["n"]) and _at_chance(results, [h[arm]["mean"] for arm in ARMS]),
    )


def _at_chance(results: StudyResults, accuracies: Sequence[float]) -> bool:
    return measures.at_chance(results.study.dataset, [measures.POINTS * value for value in accuracies])


def summary(points: Mapping[int, float]) -> dict:
    """Mean and Student-t interval of one number a seed, given in accuracy points, as fractions."""
    out = {"seeds": list(points), "values": [value / measures.POINTS for value in points.values()]}
    if not points:
        return out | {"mean": None, "low": None, "high": None, "n": 0}
    found = t_interval(out["values"])
    return out | {"mean": found.mean, "low": found.low, "high": found.high, "n": found.n}


def _state(levels: Sequence[int], lead: dict, seeds: Mapping[str, tuple]) -> str:
    if lead["n"]:
        return ""
    if any(diverged for _, diverged, _ in seeds.values()):
        return "diverged"
    return "not complete" if levels else "no level of\ndensity <= .03"


def _weights(results: StudyResults) -> tuple[int, int] | None:
    last = results.study.levels - 1
    for arm in ARMS:
        for seed in measures.seeds_of(results, arm)[0]:
            layers = measures.level(results, arm, seed, last).layers.values()
            if layers:
                return sum(layer["size"] for layer in layers), sum(layer["kept"] for layer in layers)
    return None


def growth(values: Sequence[Value]) -> dict:
    """The lead at the last value less that at the first, paired by seed: a summary, as claim 13 has it."""
    last, first = (measures.combine(v.results, measures.LEAD, measures.mean_accuracy(v.levels))
                   for v in (values[-1], values[0]))  # fmt: skip
    return summary(measures.weigh([(1, last), (-1, first)]).values)


def plotted(values: Sequence[Value], with_growth: bool = False) -> dict:
    """What a figure's sidecar keeps of a variation."""
    out = {
        "values": [
            {
                "value": value.x,
                "study": value.results.study.study,
                "levels": list(value.levels),
                "curves": dict(value.curves),
                "h": dict(value.h),
                "lead": value.lead,
                "diverged": dict(value.diverged),
                "at_chance": dict(value.at_chance),
                "weights": value.weights,
            }
            for value in values
        ]
    }
    return out | ({"growth": growth(values)} if with_growth and len(values) > 1 else {})
