"""Random starts of the neuron, and intervals of what was counted over them."""

from __future__ import annotations

import numpy as np

from theory.network import Array


def balanced_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return a0 (trials,) and w0 (trials, d): w_i ~ N(0, 1/d), a0 = +-|w0| with either sign equally likely."""
    _refuse(trials, d)
    w0 = rng.normal(size=(trials, d)) / np.sqrt(d)
    return np.where(rng.random(trials) < 0.5, -1.0, 1.0) * np.hypot.reduce(w0, axis=-1), w0


def normal_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return a0 (trials,) and w0 (trials, d), all of them N(0, 1/d)."""
    _refuse(trials, d)
    return rng.normal(size=trials) / np.sqrt(d), rng.normal(size=(trials, d)) / np.sqrt(d)


def _refuse(trials: int, d: int) -> None:
    if trials < 1 or d < 1:
        raise ValueError(f"trials and d must be at least 1, got {trials} and {d}")


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval of a probability, as fractions."""
    from scipy.special import betaincinv

    k, n, tail = int(successes), int(trials), (1 - level) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    return low, float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0


def paired_interval(samples: Array) -> dict[str, float]:
    """Return the mean of per-trial differences with its 95 % normal interval."""
    mean, half = samples.mean(), 1.959963984540054 * samples.std(ddof=1) / np.sqrt(len(samples))
    return {"value": float(mean), "low": float(mean - half), "high": float(mean + half)}


STARTS = {"balanced": balanced_starts, "normal": normal_starts}
