"""IMP, LRR, sign and magnitude rewind on the neuron.

Each trains to the exact limit, prunes the weakest inputs, rewinds, and trains again.

Pruned inputs are zeros of w: the flow keeps them at zero, since w_perp keeps its direction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np
from numpy.typing import ArrayLike, NDArray

from theory.exact.limits import LEARNS, limits
from theory.losses.formulas import split
from theory.reprs import short_repr
from theory.validation import Array, finite, known, neuron, share, whole

# A dying weight tends to 0 but is not 0 at any finite time. Its sign and its rank decide the next level, so trained()
# sets it to this share of the living weights: no sum with a living weight changes, and its sign and order are kept.
NEXT_TO_AXIS = 1e-60


@short_repr
@dataclass(frozen=True)
class Levels:
    """The result of pruning, over levels and trials.

    Attributes:
        survivors: tuple of int, inputs that survive at each level
        learns: bool ndarray, shape (levels, trials)
        masks: bool ndarray, shape (levels, trials, d)
    """

    survivors: tuple[int, ...]
    learns: NDArray[np.bool_]
    masks: NDArray[np.bool_]


def trained(a0: ArrayLike, w0: ArrayLike) -> tuple[Array, Array]:
    """Return the neuron after long training: its exact limit, with dying weights not quite dead.

    Source: this project (which weights die, and in which order, follows from `theory.exact.limits.limits`).

    Args:
        a0: array_like, shape (...), |a0| at most 1e150
        w0: array_like, shape (..., d), entries at most 1e150 in size

    Returns:
        a (...), w (..., d): the limit, except that a value that is 0 in the limit but at no finite time keeps its last
            sign, its order and a size of 1e-60 of the living weights (of 1 if all die): w_1 < 0 where w dies (it turns
            to -e_1), w_perp another factor 1e-60 below w_1, in the direction of w_perp(0). A value that does reach 0
            (w, for w0 on the ray e_1 and a0 < -|w0|) is 0.

    Raises:
        ValueError: as in `theory.exact.limits.verdicts`.
    """
    a0, w0 = neuron(*finite(a0=a0, w0=w0))
    a, w, _ = limits(a0, w0)
    along, across, _ = split(w0)
    living = np.maximum(abs(a), abs(w[..., 0]))
    faint = NEXT_TO_AXIS * np.where(living > 0, living, 1.0)
    side = np.where((across > 0) | (along < 0), -1.0, np.where(a == 0, np.sign(along), 0.0))
    w[..., 0] = np.where(w[..., 0] == 0, side * faint, w[..., 0])
    direction = w0[..., 1:] / np.where(across > 0, across, 1.0)[..., None]
    w[..., 1:] = direction * (NEXT_TO_AXIS * abs(w[..., 0]))[..., None]
    return np.where(a == 0, np.sign(a0) * faint, a), w


def weakest_pruned(mask: NDArray[np.bool_], w: Array, w0: Array, survivors: int) -> NDArray[np.bool_]:
    """Return mask without its weakest inputs: exactly `survivors` of largest |w| stay.

    Ties go to the lower index.

    Source: section 2, magnitude pruning; the rule for ties: this project.

    Args:
        mask: bool ndarray, shape (..., d)
        w: ndarray, shape (..., d), trained weights
        w0: ndarray, shape (..., d), initial weights; |w0| decides where w is all zero
        survivors: int, 1 to the number of inputs that survive in mask
    """
    alive = (w != 0).any(axis=-1, keepdims=True)
    score = np.where(mask, abs(np.where(alive, w, w0)), -1.0)
    order = np.argsort(-score, axis=-1, kind="stable")
    kept = np.zeros_like(mask)
    np.put_along_axis(kept, order[..., :survivors], True, axis=-1)
    return kept


def signs_rewound(initial: Array, final: Array) -> Array:
    """Return |initial| with the trained sign, or the initial sign where the trained value is 0.

    The arrays have the same shape.
    """
    return np.where(final == 0, initial, np.copysign(initial, final))


def prune(rule: str, a0: ArrayLike, w0: ArrayLike, survivors: ArrayLike = (1,)) -> Levels:
    """Train, prune to the next number of survivors and rewind, level by level, on many starts at once.

    Source: imp and lrr, Theorem 2.3; `sign` and `magnitude`, which act on a as well as on w: this project.

    Args:
        rule: `imp`, `sign`, `magnitude` or `lrr`
        a0: array_like, shape (trials,), |a0| at most 1e150
        w0: array_like, shape (trials, d), entries at most 1e150 in size
        survivors: inputs that survive at level 1, 2, ...: whole numbers decreasing below d. Level 0 is dense and always
            included.

    Returns:
        Levels

    Raises:
        ValueError: an unknown rule, NaN, shapes that do not match, or survivors that do not decrease from d to at least
            1.
    """
    known("rule", rule, tuple(REWINDS))
    a0, w0 = neuron(*finite(a0=a0, w0=w0))
    counts = (w0.shape[-1], *(whole("survivors", n, 1, w0.shape[-1]) for n in finite(survivors=survivors)[0].ravel()))
    if any(later >= earlier for earlier, later in zip(counts, counts[1:], strict=False)) or counts[-1] < 1:
        raise ValueError(f"survivors must fall from d = {counts[0]} to at least 1, got {list(counts[1:])}")
    mask = np.ones(w0.shape, bool)
    a = a0
    w = w0
    learned, masks = [], []
    for n in counts:
        if n < counts[0]:
            mask = weakest_pruned(mask, w, w0, n)
            a = REWINDS[rule](a0, a)
            w = np.where(mask, REWINDS[rule](w0, w), 0)
        learned.append(limits(a, w)[2] == LEARNS)
        masks.append(mask)
        a, w = trained(a, w)
    return Levels(counts, np.array(learned), np.array(masks))


def schedule(d: int, prune_rate: float) -> list[int]:
    """Return the number of survivors at each level that removes an input, from d to 1.

    These are the values of round(d (1 - prune_rate)^k).

    Args:
        d: int, at least 1
        prune_rate: float, the fraction of inputs that each level removes, in (0, 1)

    Raises:
        ValueError: a number out of range.

    Examples:
        >>> schedule(10, 0.2)
        [10, 8, 6, 5, 4, 3, 2, 1]
    """
    prune_rate = share("prune_rate", prune_rate, "20 % is written 0.2")
    counts = [whole("d", d, 1)]
    for level in count(1):
        if counts[-1] == 1:
            break
        counts.append(max(1, round(d * (1 - prune_rate) ** level)))
    return list(dict.fromkeys(counts))


# (initial, trained) -> the value at which a surviving weight restarts
REWINDS: dict[str, Callable[[Array, Array], Array]] = {
    "imp": lambda initial, final: initial,
    "sign": signs_rewound,
    "magnitude": lambda initial, final: np.copysign(final, initial),
    "lrr": lambda initial, final: final,
}
