"""Random generators: each is derived only from the quantities that its choice may depend on.

Data order and augmentation depend on (seed, level, epoch) and never on the arm, so the arms of a seed are paired.
"""

import zlib

import numpy as np
import torch


def generator(seed: int, purpose: str, *keys: int | str) -> torch.Generator:
    """A CPU generator for `purpose`; its state depends only on the arguments.

    Args:
        seed: the run's seed, at least 0.
        purpose: what is drawn, such as `"initial weights"`.
        keys: further quantities that the choice may depend on, such as level and epoch, or a layer's name.
    """
    words = [seed, *(zlib.crc32(k.encode()) if isinstance(k, str) else k for k in (purpose, *keys))]
    state = np.random.SeedSequence(words).generate_state(1, np.uint64)[0]
    return torch.Generator().manual_seed(int(state) & (2**63 - 1))
