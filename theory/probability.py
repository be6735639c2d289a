"""Probabilities that a random start learns after pruning: exact, and estimated from random starts.

Random starts are decided by exact limits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from theory.exact.limits import limits
from theory.pruning import REWINDS, prune
from theory.reprs import short_repr
from theory.sampling import STARTS, Init, blocks, clopper_pearson, generator, scales
from theory.validation import Array, finite, known, scalar, whole

DENSE_AND_REWINDS = ("dense", *REWINDS)


@short_repr
@dataclass(frozen=True)
class Success:
    """How often something happened over random starts.

    Attributes:
        successes: int
        trials: int
        share: float, successes / trials
        low: float, the lower end of the Clopper-Pearson 95 % interval of the probability
        high: float, its upper end
        exact: float, the exact probability; None where no closed form is known
    """

    successes: int
    trials: int
    share: float
    low: float
    high: float
    exact: float | None

    @classmethod
    def of(cls, successes: int, trials: int, exact: float | None = None) -> Success:
        """Return the share and its interval; raises ValueError as `clopper_pearson`."""
        low, high = clopper_pearson(successes, trials)
        return cls(int(successes), int(trials), int(successes) / int(trials), low, high, exact)


def success_probability(rule: str, d: int, init: Init, trials: int, seed: int) -> Success:
    """Count how often a random start learns after pruning d inputs to one.

    The result also gives the exact probability where a closed form is known.

    Source: balanced imp and lrr, Theorem 2.3, as this project reads it; the others: this project.

    Args:
        rule: `dense` (no pruning), `imp`, `sign`, `magnitude` or `lrr`
        d: int, inputs, at least 1; for d = 1 there is nothing to prune
        init: `balanced` (w_i ~ N(0, 1/d), a = +-|w|), `normal` (all N(0, 1/d)), `bounded` (w_i ~ N(0, 1/d), a = u |w|,
            u ~ U(-1, 1)), or (s_a, s_w): a ~ N(0, s_a^2) and w_i ~ N(0, s_w^2)
        trials: int, at least 1
        seed: int, at least 0: rules with the same d, init, trials and seed use the same starts

    Returns:
        Success: verdicts are those of exact limits (`theory.limits`), not of a long run, which would be biased low

    Raises:
        ValueError: an unknown name, or a number out of range.

    Examples:
        >>> found = success_probability("imp", 10, "balanced", 20_000, seed=0)
        >>> found.exact, found.low < found.exact < found.high
        (0.25, True)
    """
    alone = rule == "dense" or d == 1
    return success_by_level(rule, d, init, trials, seed, () if alone else (1,))[-1]


def success_by_level(
    rule: str, d: int, init: Init, trials: int, seed: int, survivors: Sequence[int]
) -> tuple[Success, ...]:
    """Count how often a random start learns at each level of pruning, the dense level first.

    Args:
        rule: as in `success_probability`
        d: as in `success_probability`
        init: as in `success_probability`
        trials: as in `success_probability`
        seed: as in `success_probability`
        survivors: number of remaining inputs at level 1, 2, ...: whole numbers decreasing below d; none for `dense`

    Returns:
        tuple of Success, one for each level, all over the same starts

    Raises:
        ValueError: as in `success_probability`; survivors that do not decrease from d to at least 1, or any for
            `dense`.

    Examples:
        >>> [level.exact for level in success_by_level("imp", 10, "balanced", 100, 0, [5, 1])]
        [0.5, 0.5, 0.25]
    """
    known("rule", rule, DENSE_AND_REWINDS)
    survivors = [whole("survivors", n, 1) for n in finite(survivors=survivors)[0].ravel()]
    if rule == "dense" and survivors:
        raise ValueError(f"dense prunes nothing, got survivors {survivors}: leave them out, or choose another rule")
    by = "imp" if rule == "dense" else rule
    d = whole("d", d, 1)
    successes = _counted(lambda a0, w0: prune(by, a0, w0, survivors).learns, d, init, trials, seed)
    exact = [known_probability(rule, init, d, left) for left in (d, *survivors)]
    return tuple(Success.of(k, trials, p) for k, p in zip(successes, exact, strict=True))


def switches(a0: Array, w0: Array) -> NDArray[np.bool_]:
    """Return whether w_1 changes from below 0 to above 0 on the dense flow, bool, shape (trials,).

    The exact limit of the flow decides.

    A dying neuron (a0 < -|w0|) turns to -e_1 as it dies, but its w_1 tends to 0: no switch.

    Parameters, shapes and errors as in `theory.prune`. Source: this project.
    """
    return (w0[:, 0] < 0) & (limits(a0, w0)[1][:, 0] > 0)


def switch_probability(d: int, init: Init, trials: int, seed: int) -> Success:
    """Count how often w_1 changes from below 0 to above 0 on the dense flow.

    The result also gives the exact probability where a closed form is known.

    Parameters, starts and errors (ValueError) as in `success_probability`. Source: this project.

    Examples:
        >>> switch_probability(1, "balanced", 100, seed=0).successes  # one input: w never crosses 0
        0
    """
    (successes,) = _counted(lambda a0, w0: switches(a0, w0)[None], d, init, trials, seed)
    name, ratio = _named(init)
    return Success.of(successes, trials, switch_probability_exact(name, d, ratio))


def switch_probability_exact(init: str, d: int, ratio: float = 1.0) -> float:
    """Return the exact probability that w_1 changes from below 0 to above 0 on the dense flow.

    It is half the dense probability for d > 1: a neuron that learns ends at w_1 > 0, and the sign of w_1(0) is
    independent of a(0) and |w(0)|, which decide. It is 0 for d = 1: w never crosses 0.

    Source: this project.

    Args:
        init: as in `success_probability_exact`
        d: as in `success_probability_exact`
        ratio: as in `success_probability_exact`

    Raises:
        ValueError: as in `success_probability_exact`.

    Examples:
        >>> switch_probability_exact("balanced", 10)
        0.25
    """
    dense = success_probability_exact("dense", init, d, ratio=ratio)
    return 0.0 if d == 1 else dense / 2


def success_probability_exact(rule: str, init: str, d: int, survivors: int = 1, ratio: float = 1.0) -> float:
    """Return the exact probability that a random start learns after pruning d inputs down to `survivors`.

    Source: balanced 1/2 and 1/4, Theorem 2.3, as this project reads it; the others: this project.

    Args:
        rule: `dense` (no pruning), `imp`, `sign`, `magnitude` or `lrr`
        init: `balanced` (w isotropic, a = +-|w|, each sign 1/2), `normal` (a ~ N(0, s_a^2), w_i ~ N(0, s_w^2)) or
            `bounded` (w isotropic, a = u |w|, u ~ U(-1, 1))
        d: int, inputs, at least 1
        survivors: int, 1 to d; those inputs contain input 1, which magnitude pruning always keeps
        ratio: float, s_w / s_a, above 0 and finite; used by `normal`

    Returns:
        float: a probability. For d > 1, dense = P(a > -|w|) decides: LRR and sign rewind learn iff the dense neuron
            does, which ends with a > 0 and w_1 > 0. On one input magnitude rewind needs the dense neuron to learn and
            w_1(0) > 0: where a(0) < 0 learns, c = a^2 - |w|^2 < 0, so that the trained |a| < |w_1| lets it learn again.

    Raises:
        ValueError: an unknown name, a number out of range, or `imp` from `normal` or `bounded` starts with
            1 < survivors < d (no closed form is known).

    Examples:
        >>> [success_probability_exact(rule, "balanced", d=10) for rule in ("imp", "lrr")]
        [0.25, 0.5]
    """
    known("rule", rule, DENSE_AND_REWINDS)
    known("init", init, tuple(STARTS))
    d = whole("d", d, 1)
    survivors = whole(f"survivors of d = {d} inputs", survivors, 1, d)
    found = scalar(ratio)
    if found is None or not 0 < found < np.inf:
        raise ValueError(f"ratio must be a finite number above 0, got {ratio!r:.60}: it is s_w / s_a")
    ratio = float(found)
    if d == 1 or (rule == "imp" and survivors == 1):
        return float(_ON_THE_LINE[init](d, ratio))
    if _open(rule, init, d, survivors):
        raise ValueError(f"no closed form for imp from {init} starts with {survivors} of {d} inputs: use 1 or {d}")
    dense = float(_DENSE[init](d, ratio))
    return dense / 2 if rule == "magnitude" and survivors == 1 else dense


def mean_cosine(d: int) -> float:
    """Return E |cos| of the angle between a random direction of d dimensions and an axis.

    Source: Gamma(d / 2) / (sqrt(pi) Gamma((d + 1) / 2)) = B(d / 2, 1 / 2) / pi, derived in `theory.proofs.probability`.

    Args:
        d: int, at least 1

    Raises:
        ValueError: d out of range.

    Examples:
        >>> [round(mean_cosine(d), 4) for d in (1, 2, 3)]
        [1.0, 0.6366, 0.5]
    """
    from scipy.special import beta

    return float(beta(whole("d", d, 1) / 2, 0.5) / np.pi)


def _open(rule: str, init: str, d: int, survivors: int) -> bool:
    return rule == "imp" and init != "balanced" and 1 < survivors < d


def known_probability(rule: str, init: Init, d: int, survivors: int) -> float | None:
    """Return the exact probability, or None where no closed form is known.

    Parameters and errors (ValueError) as in `success_probability_exact`; init may also be (s_a, s_w).
    """
    name, ratio = _named(init)
    return None if _open(rule, name, d, survivors) else success_probability_exact(rule, name, d, survivors, ratio)


def _named(init: Init) -> tuple[str, float]:
    """Return the kind of start and s_w / s_a."""
    if isinstance(init, str):
        return init, 1.0
    s_a, s_w = scales(init)
    return "normal", s_w / s_a


def _counted(
    seen: Callable[[Array, Array], NDArray[np.bool_]], d: int, init: Init, trials: int, seed: int
) -> NDArray[np.intp]:
    """Return the number of starts for which `seen` is true, level by level, shape (levels,).

    `seen` is a function (a0, w0) -> bool ndarray, shape (levels, trials).
    """
    return np.sum([seen(a0, w0).sum(axis=1) for a0, w0 in blocks(init, generator(seed), trials, d)], axis=0)


def _student_t(x: float, degrees: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees, x))


# kind of start -> (d, s_w / s_a) -> P(w_1 > 0 and a > -w_1), by which the start (a, w_1) learns on one input
_ON_THE_LINE: dict[str, Callable[[int, float], float]] = {
    "balanced": lambda d, ratio: 0.25,
    "normal": lambda d, ratio: 0.25 + np.arctan(ratio) / (2 * np.pi),
    "bounded": lambda d, ratio: 0.25 + mean_cosine(d) / 4,
}
# the same -> P(a > -|w|), by which the dense neuron learns, d > 1
_DENSE: dict[str, Callable[[int, float], float]] = {
    "balanced": lambda d, ratio: 0.5,
    "normal": lambda d, ratio: _student_t(np.sqrt(d) * ratio, d),
    "bounded": lambda d, ratio: 1.0,
}
