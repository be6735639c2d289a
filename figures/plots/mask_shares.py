"""Shares of a level's last mask that earlier masks of the level have, over epochs."""

from collections.abc import Mapping
from dataclasses import dataclass

from figures.analysis import measures
from figures.analysis.statistics import interval_columns
from figures.results.network import StudyResults


@dataclass(frozen=True)
class Cycles:
    """The cycles of the learning-rate schedule in each level of a run.

    `epochs` is the length of a cycle, `count` the number of cycles per level.
    """

    epochs: int
    count: int

    @property
    def ends(self) -> list[int]:
        """The epochs, counted from the level's start, at which a cycle ends."""
        return [self.epochs * (k + 1) for k in range(self.count)]


def cycles_of(results: StudyResults, arm: str) -> Cycles:
    """The cycles of a level, from a run's config; one cycle as long as a level where none are given."""
    config = results.arms[arm].config
    epochs = config.get("epochs")
    count = str(config.get("cycles", "1"))
    return Cycles(epochs if type(epochs) is int else 0, int(count) if count.isdecimal() else 1)


def overlaps(results: StudyResults, arm: str) -> dict[int, dict]:
    """By level, the shares over the epochs at which masks were recorded.

    Levels of which no complete seed has masks are absent. A level's lists: `epoch`, `mean`, `low`, `high`, `n`, and
    `values`: the seeds' shares of the last mask that the mask of that epoch keeps. Level 0 is the dense run's, common
    to the rules.
    """
    found = {}
    for number in range(results.study.levels):
        by_seed = {seed: _shares(results, arm, seed, number) for seed in measures.seeds_of(results, arm)[0]}
        by_seed = {seed: shares for seed, shares in by_seed.items() if shares}
        if by_seed:
            found[number] = _level(by_seed)
    return found


def _shares(results: StudyResults, arm: str, seed: int, number: int) -> dict[int, float]:
    record = measures.level(results, arm, seed, number)
    return {mask.epoch: mask.shared / mask.n_kept for mask in record.mask_snapshots} if record else {}


def _level(by_seed: Mapping[int, Mapping[int, float]]) -> dict:
    """Means and intervals at the epochs that every seed has."""
    epochs = sorted(set.intersection(*(set(shares) for shares in by_seed.values())))
    values = [[shares[epoch] for shares in by_seed.values()] for epoch in epochs]
    return {"epoch": epochs, "values": values, **interval_columns(values), "seeds": list(by_seed)}
