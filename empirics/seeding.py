"""Generators: every random choice of a run comes from one that is derived from what may change it, and from no more.

Data order and augmentation depend on (seed, level, epoch) and never on the arm: that is what pairs the arms of a seed.
"""

import zlib

import numpy as np
import torch


def generator(seed: int, purpose: str, *keys: int | str) -> torch.Generator:
    """A CPU generator for `purpose`, a function of the arguments alone.

    Args:
        seed: the run's seed, at least 0.
        purpose: what is drawn, such as `"initial weights"`.
        keys: what else the choice may depend on, such as level and epoch, or a layer's name.
    """
    words = [seed, *(zlib.crc32(k.encode()) if isinstance(k, str) else k for k in (purpose, *keys))]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))
