"""Random starts of the neuron, and confidence intervals of counts and means over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from theory.validation import Array, known, scalar, share, whole

Init = str | tuple[float, float]  # `balanced`, `normal`, `bounded`, or (s_a, s_w)
BLOCK = 2**20  # numbers drawn at a time: 8 MiB, whatever d and the number of trials


def generator(seed: int, *condition: float) -> np.random.Generator:
    """Return the random generator of one condition of an experiment.

    It is the same whatever other conditions there are.

    Args:
        seed: int, at least 0
        condition: numbers that name the condition, such as d

    Raises:
        ValueError: a seed that is no whole number, or is below 0.
    """
    words = np.array(condition, "<f8").view("<u4").tolist()
    return np.random.default_rng(np.random.SeedSequence(whole("seed", seed, 0), spawn_key=words))


def blocks(init: Init, rng: np.random.Generator, trials: int, d: int) -> Iterator[tuple[Array, Array]]:
    """Yield random starts, a0 (n,) and w0 (n, d), in blocks of bounded memory: `trials` of them in all.

    Args:
        init: `balanced` (`balanced_starts`), `normal` (`normal_starts`), `bounded` (`bounded_starts`), or (s_a, s_w)
            (`scaled_starts`)
        rng: generator of the starts
        trials: int, at least 1
        d: int, at least 1

    Raises:
        ValueError: an unknown name, a scale that is no number above 0, or a number out of range.
    """
    draw = _drawn(init)
    trials, d = _counts(trials, d)
    most = max(1, BLOCK // d)
    for begin in range(0, trials, most):
        yield draw(rng, min(most, trials - begin), d)


def _drawn(init: Init) -> Callable[[np.random.Generator, int, int], tuple[Array, Array]]:
    if isinstance(init, str):
        known("init", init, tuple(STARTS))
        return STARTS[init]
    s_a, s_w = scales(init)
    return lambda rng, trials, d: scaled_starts(rng, trials, d, s_a, s_w)


def scales(init: Init) -> tuple[float, float]:
    """Return (s_a, s_w) as floats; raises ValueError unless init is a pair of finite numbers above 0."""
    pair = tuple(init) if isinstance(init, tuple | list) else ()
    found = [scale for scale in map(scalar, pair) if scale is not None and 0 < scale < np.inf]
    if len(pair) != 2 or len(found) != 2:
        names = ", ".join(STARTS)
        raise ValueError(f"init must be one of {names} or (s_a, s_w), two numbers above 0, got {init!r:.60}")
    return float(found[0]), float(found[1])


def balanced_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return balanced random starts a0 (trials,) and w0 (trials, d).

    w_i ~ N(0, 1/d) and a0 = +-|w0|, either sign equally likely.

    Raises ValueError unless trials and d are whole numbers, at least 1. Source: section 2, balanced starts.
    """
    rng = _generator(rng)
    trials, d = _counts(trials, d)
    w0 = rng.normal(size=(trials, d)) / np.sqrt(d)
    return np.where(rng.random(trials) < 0.5, -1.0, 1.0) * np.hypot.reduce(w0, axis=-1), w0


def normal_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return a0 (trials,) and w0 (trials, d), all of them N(0, 1/d).

    Raises ValueError unless trials and d are whole numbers, at least 1. Source: this project.
    """
    rng = _generator(rng)
    trials, d = _counts(trials, d)
    return rng.normal(size=trials) / np.sqrt(d), rng.normal(size=(trials, d)) / np.sqrt(d)


def bounded_starts(rng: np.random.Generator, trials: int, d: int) -> tuple[Array, Array]:
    """Return the starts of the authors' code: a0 (trials,) and w0 (trials, d), with |a0| at most |w0|.

    w_i ~ N(0, 1/d) and a0 = u |w0|, u uniform in [-1, 1).

    Raises ValueError unless trials and d are whole numbers, at least 1. Source: the authors' code of the single hidden
    neuron (June 2023).
    """
    rng = _generator(rng)
    trials, d = _counts(trials, d)
    w0 = rng.normal(size=(trials, d)) / np.sqrt(d)
    return rng.uniform(-1, 1, size=trials) * np.hypot.reduce(w0, axis=-1), w0


def scaled_starts(rng: np.random.Generator, trials: int, d: int, s_a: float, s_w: float) -> tuple[Array, Array]:
    """Return a0 (trials,), N(0, s_a^2), and w0 (trials, d), each N(0, s_w^2).

    Raises ValueError unless trials and d are whole numbers, at least 1, and the scales above 0. Source: this project.
    """
    rng = _generator(rng)
    trials, d = _counts(trials, d)
    s_a, s_w = scales((s_a, s_w))
    return s_a * rng.normal(size=trials), s_w * rng.normal(size=(trials, d))


def _generator(rng: np.random.Generator) -> np.random.Generator:
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng must be a generator of numpy, got {rng!r:.60}: pass np.random.default_rng(0)")
    return rng


def _counts(trials: int, d: int) -> tuple[int, int]:
    return whole("trials", trials, 1), whole("d", d, 1)


def clopper_pearson(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) interval (low, high) of a probability, as fractions.

    Args:
        successes: int, 0 to trials
        trials: int, at least 1
        level: float, the coverage, in (0, 1)

    Raises:
        ValueError: a number out of range.

    Examples:
        >>> [round(end, 4) for end in clopper_pearson(0, 10)]
        [0.0, 0.3085]
    """
    from scipy.special import betaincinv

    n = whole("trials", trials, 1)
    k = whole("successes", successes, 0, n)
    tail = (1 - share("level", level, "95 % is written 0.95")) / 2
    low = float(betaincinv(k, n - k + 1, tail)) if k > 0 else 0.0
    return low, float(betaincinv(k + 1, n - k, 1 - tail)) if k < n else 1.0


def paired_interval(samples: Array) -> dict[str, float]:
    """Return the mean of per-trial differences (trials,), and its 95 % normal interval.

    The result is {"value", "low", "high"}.

    Raises:
        ValueError: fewer than two differences.
    """
    if len(samples) < 2:
        raise ValueError(f"an interval needs two differences or more, got {len(samples)}: use more trials")
    return _normal_interval(samples.mean(), samples.var(ddof=1) / len(samples))


def paired_shares_interval(first: NDArray[np.bool_], second: NDArray[np.bool_]) -> dict[str, float]:
    """Return share of second - share of first, paired by trial, with a 95 % interval.

    The result is {"value", "low", "high"}.

    Agresti and Min's interval (half a trial added to each of the four cells): it has a width even where no pair
    differs, where the normal interval of `paired_interval` would be a point.

    Args:
        first: bool ndarray, shape (trials,), at least one trial
        second: the same, of the same trials

    Raises:
        ValueError: shapes that do not match, or no trial.
    """
    if first.shape != second.shape or first.ndim != 1 or first.size == 0:
        raise ValueError(f"shares are paired by trial, shape (trials,), got {first.shape} and {second.shape}")
    n = first.size
    gained = int((second & ~first).sum())
    lost = int((first & ~second).sum())
    mean = (gained - lost) / (n + 2)
    size = n + 2
    half = 1.959963984540054 * np.sqrt((gained + lost + 1) / size - mean**2) / np.sqrt(size)
    return {"value": (gained - lost) / n, "low": float(mean - half), "high": float(mean + half)}


def difference_interval(first: Array, second: Array) -> dict[str, float]:
    """Return mean(first) - mean(second) of two independent samples, with a 95 % normal interval.

    The result is {"value", "low", "high"}.

    Args:
        first: ndarray, shape (n,), n at least 2
        second: ndarray, shape (m,), m at least 2

    Raises:
        ValueError: a sample of fewer than two.

    Examples:
        >>> difference_interval(np.array([1.0, 1.0]), np.array([0.0, 0.0]))
        {'value': 1.0, 'low': 1.0, 'high': 1.0}
    """
    if min(len(first), len(second)) < 2:
        raise ValueError(f"an interval needs two or more of each, got {len(first)}, {len(second)}: use more trials")
    variance = first.var(ddof=1) / len(first) + second.var(ddof=1) / len(second)
    return _normal_interval(first.mean() - second.mean(), variance)


def _normal_interval(mean: float, variance: float) -> dict[str, float]:
    half = 1.959963984540054 * np.sqrt(variance)
    return {"value": float(mean), "low": float(mean - half), "high": float(mean + half)}


STARTS = {"balanced": balanced_starts, "normal": normal_starts, "bounded": bounded_starts}
