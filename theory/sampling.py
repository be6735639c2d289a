"""Random starts of the neuron, and intervals of what was counted over them."""

from __future__ import annotations

import numpy as np

from theory.network import Array, whole


def balanced_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return a0 (trials,) and w0 (trials, d): w_i ~ N(0, 1/d), a0 = +-|w0| with either sign equally likely.

    Raises ValueError unless trials and d are whole numbers, at least 1. Source: section 2, balanced starts.
    """
    _refuse(trials, d)
    w0 = rng.normal(size=(trials, d)) / np.sqrt(d)
    return np.where(rng.random(trials) < 0.5, -1.0, 1.0) * np.hypot.reduce(w0, axis=-1), w0


def normal_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return a0 (trials,) and w0 (trials, d), all of them N(0, 1/d).

    Raises ValueError unless trials and d are whole numbers, at least 1. Source: ours.
    """
    _refuse(trials, d)
    return rng.normal(size=trials) / np.sqrt(d), rng.normal(size=(trials, d)) / np.sqrt(d)


def _refuse(trials: int, d: int) -> None:
    whole("trials", trials, 1), whole("d", d, 1)


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval (low, high) of a probability, as fractions.

    Parameters
    ----------
    successes : int, 0 to trials
    trials : int, at least 1
    level : float, the coverage, in (0, 1)

    Raises
    ------
    ValueError: a number out of range.

    Examples
    --------
    >>> [round(end, 4) for end in clopper_pearson(0, 10)]
    [0.0, 0.3085]
    """
    from scipy.special import betaincinv

    whole("trials", trials, 1), whole("successes", successes, 0, trials)
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}: 95 % is written 0.95")
    k, n, tail = int(successes), int(trials), (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    return low, float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0


def paired_interval(samples: Array) -> dict[str, float]:
    """Return {"value", "low", "high"}: the mean of per-trial differences (trials,), and its 95 % normal interval.

    Raises
    ------
    ValueError: fewer than two differences.
    """
    if len(samples) < 2:
        raise ValueError(f"an interval needs two differences or more, got {len(samples)}: ask for more trials")
    mean, half = samples.mean(), 1.959963984540054 * samples.std(ddof=1) / np.sqrt(len(samples))
    return {"value": float(mean), "low": float(mean - half), "high": float(mean + half)}


STARTS = {"balanced": balanced_starts, "normal": normal_starts}
