"""Where the flow of a finite sample goes on from w = 0: `theory.compiled.zero`, for one start."""

from __future__ import annotations

import numpy as np

from theory.losses.kinks import Kinks
from theory.validation import Array

OUTCOMES = ("grows", "dies", "differs")  # the word of each code of `theory.compiled.zero`


def leave_zero(kinks: Kinks, sign: float, u: Array) -> tuple[str, Array]:
    """Say how the flow leaves w = 0 when it arrives there along u.

    kinks : of the sample
    sign : of a, 1 or -1
    u : ndarray, shape (d,), of length 1

    Returns (`grows`, the direction in which w grows), or (`dies`, ...) where every neighbouring cell of u leads back to
    0 or to where nothing moves w, or (`differs`, ...) where they lead to different ends. Source: the limit of gradient
    descent; ours.
    """
    from theory.compiled.zero import leave

    parts = kinks.normal, kinks.normal.T, kinks.pull, kinks.square
    data = tuple(np.require(part, float, "CW") for part in parts)
    end = np.zeros(len(u))
    return OUTCOMES[leave(float(sign), np.require(u, float, "CW"), data, end)], end
