"""Exact probabilities that a random start learns after pruning."""

from __future__ import annotations

from numbers import Real

import numpy as np

from theory.exact import known
from theory.network import whole
from theory.pruning import REWINDS
from theory.sampling import STARTS


def success_probability_exact(rule: str, init: str, d: int, survivors: int = 1, ratio: float = 1.0) -> float:
    """Return the exact probability that a random start learns after pruning d inputs down to `survivors`.

    Parameters
    ----------
    rule : `dense` (no pruning), `imp`, `sign`, `magnitude` or `lrr`
    init : `balanced` (w isotropic, a = +-|w|, each sign 1/2) or `normal` (a ~ N(0, s_a^2), w_i ~ N(0, s_w^2))
    d : int, inputs, at least 1
    survivors : int, 1 to d; those inputs contain input 1, which magnitude pruning always keeps
    ratio : float, s_w / s_a, above 0 and finite; used by `normal`

    Returns
    -------
    float : a probability

    Raises
    ------
    ValueError: an unknown name, a number out of range, or `imp` from `normal` starts with 1 < survivors < d (no closed
        form known to us).

    Source: balanced 1/2 and 1/4, Theorem 2.3 (our reading); the others ours.

    Examples
    --------
    >>> [success_probability_exact(rule, "balanced", d=10) for rule in ("imp", "lrr")]
    [0.25, 0.5]
    """
    known("rule", rule, ("dense", *REWINDS))
    known("init", init, tuple(STARTS))
    d = whole("d", d, 1)
    survivors = whole(f"survivors of d = {d} inputs", survivors, 1, d)
    if not isinstance(ratio, Real) or not 0 < ratio < np.inf:
        raise ValueError(f"ratio must be a finite number above 0, got {ratio!r:.60}: it is s_w / s_a")
    line = {"balanced": 0.25, "normal": 0.25 + np.arctan(ratio) / (2 * np.pi)}[init]
    if d == 1 or (rule == "imp" and survivors == 1):
        return float(line)
    if rule == "imp" and init == "normal" and survivors < d:
        raise ValueError(f"no closed form for imp from normal starts with {survivors} of {d} inputs: use 1 or {d}")
    dense = 0.5 if init == "balanced" else _student_t(np.sqrt(d) * ratio, d)
    return dense / 2 if rule == "magnitude" and survivors == 1 else dense


def _student_t(x: float, degrees: int) -> float:
    from scipy.special import stdtr

    return float(stdtr(degrees, x))
