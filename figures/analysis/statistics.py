"""Confidence intervals and tests over seeds. Pure: numbers in, numbers out.

A standard deviation is never used as an interval. Seeds are few, so: Student-t on differences paired by seed, in
addition the exact sign-flip permutation test with the smallest p that n can reach, Clopper-Pearson for shares, Holm for
the marks inside one figure.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

EXACT_UP_TO = 20


@dataclass(frozen=True)
class Interval:
    """A mean with its confidence interval; `low` and `high` are None where n = 1 allows none."""

    mean: float
    low: float | None
    high: float | None
    n: int


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student-t interval of the mean of `values` (one per seed).

    Raises ValueError for an empty sequence, a value that is not finite, or a confidence outside (0, 1).
    """
    from scipy.special import stdtrit

    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1), got {confidence}: 95 % is written 0.95")
    n = len(values)
    if n == 0 or not all(map(math.isfinite, values)):
        raise ValueError(f"t_interval needs finite numbers, one a seed, got {list(values)!r}: leave diverged seeds out")
    mean = math.fsum(values) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in values) / (n - 1))
    half = float(stdtrit(n - 1, (1 + confidence) / 2)) * deviation / math.sqrt(n)
    return Interval(mean, mean - half, mean + half, n)


def as_columns(intervals: Iterable[Interval]) -> dict[str, list]:
    """Intervals as lists `mean`, `low`, `high` and `n`: the columns of a curve."""
    intervals = list(intervals)
    return {name: [getattr(interval, name) for interval in intervals] for name in ("mean", "low", "high", "n")}


def interval_columns(groups: Iterable[Sequence[float]]) -> dict[str, list]:
    """The Student-t intervals of groups of values, as columns with an entry for each group."""
    return as_columns(map(t_interval, groups))


def t_test_p(differences: Sequence[float]) -> float:
    """Two-sided p of the paired t test that belongs to `t_interval`; 1.0 for fewer than two seeds."""
    from scipy.special import stdtr

    n = len(differences)
    if n < 2:
        return 1.0
    mean = math.fsum(differences) / n
    deviation = math.sqrt(math.fsum((v - mean) ** 2 for v in differences) / (n - 1))
    if deviation == 0:
        return 1.0 if mean == 0 else 0.0
    return 2 * float(stdtr(n - 1, -abs(mean) * math.sqrt(n) / deviation))


def p_of_interval(interval: Interval, confidence: float = 0.95) -> float:
    """The p of `t_test_p` for the values of an interval of `t_interval`; 1.0 where there is no interval."""
    from scipy.special import stdtr, stdtrit

    if interval.low is None or interval.high is None:
        return 1.0
    half = (interval.high - interval.low) / 2
    if half == 0:
        return 1.0 if interval.mean == 0 else 0.0
    t = float(stdtrit(interval.n - 1, (1 + confidence) / 2)) * abs(interval.mean) / half
    return 2 * float(stdtr(interval.n - 1, -t))


def sign_flip_p(differences: Sequence[float]) -> tuple[float, float]:
    """Exact two-sided sign-flip permutation p of the mean of paired differences.

    Returns p and the smallest p that n differences can reach. All 2^n signings are counted for n <= 20 (p_min = 2 /
    2^n); beyond that 100,000 seeded random signings.
    """
    import numpy as np

    values = np.asarray(differences, dtype=float)
    n = len(values)
    if n == 0:
        return 1.0, 1.0
    smallest = 2.0 ** (1 - n)
    bound = abs(values.sum()) - 1e-12 * np.abs(values).sum()  # ties count, whatever the order of summation
    if n <= EXACT_UP_TO:
        sums = np.zeros(1)
        for value in values:
            sums = np.concatenate([sums + value, sums - value])
        return float(np.mean(np.abs(sums) >= bound)), smallest
    signs = np.random.default_rng(0).choice([-1.0, 1.0], size=(100_000, n))
    return float((np.sum(np.abs(signs @ values) >= bound) + 1) / 100_001), max(smallest, 1 / 100_001)


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Exact (Clopper-Pearson) interval of a share: (low, high), fractions.

    Raises ValueError unless 0 <= successes <= trials > 0.
    """
    from scipy.special import betaincinv

    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"clopper_pearson needs 0 <= successes <= trials > 0, got {successes} of {trials}")
    tail = (1 - confidence) / 2
    low = 0.0 if successes == 0 else float(betaincinv(successes, trials - successes + 1, tail))
    high = 1.0 if successes == trials else float(betaincinv(successes + 1, trials - successes, 1 - tail))
    return low, high


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p values, in the order given: compare each with the level of the whole family."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted = [1.0] * len(p_values)
    running = 0.0
    for rank, index in enumerate(order):
        running = max(running, (len(p_values) - rank) * p_values[index])
        adjusted[index] = min(1.0, running)
    return adjusted
