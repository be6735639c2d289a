"""Shares of a layer's signs that flip, by layer and level: means over seeds, and paired differences."""

from collections.abc import Callable, Sequence

from figures.analysis import measures
from figures.analysis.statistics import Interval, t_interval
from figures.analysis.sweeps import IMP_AND_LRR
from figures.results.network import StudyResults


def mean_shares(results: StudyResults, reading: str) -> dict:
    """Layers, levels, and by arm (and for LRR - IMP) the mean share of flipped signs at each.

    Empty where an arm or its flips are missing. A share is None where a layer has no weight left in some seed.
    Differences are means of differences paired by seed, `low` and `high` the ends of their Student-t 95 % intervals
    (None for one seed); `survivors` holds by arm the mean number of weights that each share is of.
    """
    seeds = measures.shared_seeds(results, IMP_AND_LRR)
    levels = sorted(set.intersection(*({*measures.expected_levels(results, arm)} for arm in IMP_AND_LRR)))
    if not seeds or not levels:
        return {}
    layers = list(measures.level(results, "imp", seeds[0], levels[0]).layers)
    counts = {
        arm: [[[_counts(results, arm, s, k, layer, reading) for s in seeds] for k in levels] for layer in layers]
        for arm in IMP_AND_LRR
    }
    if any(None in cell for grid in counts.values() for row in grid for cell in row):
        return {}
    shares = {arm: _each(lambda cell: [n / kept if kept else None for n, kept in cell], counts[arm]) for arm in counts}
    differences = _each(_less, shares["lrr"], shares["imp"])
    grids = {arm: _each(lambda cell: _interval(cell).mean, shares[arm]) for arm in IMP_AND_LRR}
    grids |= {name: _each(lambda c, k=key: getattr(_interval(c), k), differences) for name, key in _DIFFERENCE.items()}
    survivors = {arm: _each(lambda cell: t_interval([kept for _, kept in cell]).mean, counts[arm]) for arm in counts}
    return {"layers": layers, "levels": levels, "seeds": seeds, "survivors": survivors, **grids}


def _counts(results: StudyResults, arm: str, seed: int, number: int, layer: str, reading: str) -> tuple | None:
    """The flipped weights of a layer and those kept; None where the reading was not recorded."""
    found = measures.level(results, arm, seed, number).layers.get(layer)
    flipped = found["flips"].get(reading) if found else None
    return None if flipped is None else (flipped, found["n_kept"])


def _each(of_cell: Callable, *grids: Sequence) -> list[list]:
    """`of_cell` of each cell of a grid, or of the cells at each place of several grids."""
    return [[of_cell(*cells) for cells in zip(*rows, strict=True)] for rows in zip(*grids, strict=True)]


def _less(one: Sequence, other: Sequence) -> list[float | None]:
    return [None if None in pair else pair[0] - pair[1] for pair in zip(one, other, strict=True)]


def _interval(values: Sequence) -> Interval:
    """The interval over seeds; one without numbers where a seed has none."""
    return _NOTHING if None in values else t_interval(values)


_NOTHING = Interval(None, None, None, 0)
_DIFFERENCE = {"lrr - imp": "mean", "low": "low", "high": "high"}
