"""Overlaps between arms: weights that both keep at a level, and equal final signs, for the same seed.

They are counted after the runs, so that no run depends on which other arms were trained.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from empirics.config import SCHEMA
from empirics.storage.files import check_same
from empirics.storage.run_folder import MASK_TENSORS, SIGN_TENSORS, RunFolder

REFERENCES = ("imp", "lrr")  # every arm is compared with these
Bits = Mapping[str, np.ndarray]


def shared_weights(one: Bits, other: Bits) -> int:
    """The number of weights that both masks keep; masks are packed bits by layer."""
    return sum(int(np.bitwise_count(bits & other[layer]).sum()) for layer, bits in one.items())


def shared_signs(masks: tuple[Bits, Bits], ends: tuple[Bits, Bits]) -> int:
    """The number of weights that both masks keep and whose final signs agree; packed bits by layer."""
    (one, other) = masks
    (first, second) = ends
    agree = {layer: one[layer] & other[layer] & ~(first[layer] ^ second[layer]) for layer in one}
    return sum(int(np.bitwise_count(bits).sum()) for bits in agree.values())


def study_overlaps(results: Path, study: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a study's overlaps: every arm with the `REFERENCES`.

    A pair is compared at each level that both arms have completed.

    Args:
        results: results folder.
        study: its record: `arms` (arm -> run), `seeds`, and the number of `levels`, level 0 (one for all) included.
    """
    arms = study["arms"]
    pairs = [(arm, reference) for arm in arms for reference in REFERENCES if _comparable(arms, arm, reference)]
    rows = []
    for seed in study["seeds"]:
        found = {pair: {"levels": [], "n_kept": [[], []], "shared": [], "same_sign": []} for pair in pairs}
        for level in range(1, study["levels"]):
            bits = {arm: level_bits(RunFolder(results, run, seed), level) for arm, run in arms.items()}
            for pair, row in found.items():
                if all(bits[arm] is not None for arm in pair):
                    check_same(*(_as_tensors(bits[arm]) for arm in pair), f"level {level} of {' or '.join(pair)}")
                    _append(row, level, *(bits[arm] for arm in pair))
        rows += [{"arms": list(pair), "seed": seed, **row} for pair, row in found.items() if row["levels"]]
    counted = {"of_arms": arms, "of_seeds": study["seeds"]}
    return {"schema": SCHEMA, "kind": "overlaps", "study": study["study"], **counted, "pairs": rows}


def _comparable(arms: Mapping[str, str], arm: str, reference: str) -> bool:
    # imp and lrr form one pair, listed as (lrr, imp)
    return reference in arms and arm != reference and (arm, reference) != ("imp", "lrr")


def level_bits(folder: RunFolder, level: int) -> tuple[Bits, Bits] | None:
    """The masks and final signs of a level; None if it is not complete."""
    record = folder.level_record(level)
    if record is None or record["status"] != "complete":
        return None
    masks = folder.load_tensors(level, MASK_TENSORS)
    signs = folder.load_tensors(level, SIGN_TENSORS)
    ends = {name.removeprefix("end/"): bits for name, bits in signs.items() if name.startswith("end/")}
    bits = {name: torch.empty(mask.shape, dtype=torch.uint8) for name, mask in masks.items()}
    for found in (masks, ends):
        check_same(found, bits, f"level {level} of run {folder.run}")
    return {name: mask.numpy() for name, mask in masks.items()}, {name: end.numpy() for name, end in ends.items()}


def _as_tensors(bits: tuple[Bits, Bits]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(mask) for name, mask in bits[0].items()}


def _append(row: dict[str, Any], level: int, one: tuple[Bits, Bits], other: tuple[Bits, Bits]) -> None:
    masks = (one[0], other[0])
    ends = (one[1], other[1])
    row["levels"].append(level)
    for kept, mask in zip(row["n_kept"], masks, strict=True):
        kept.append(shared_weights(mask, mask))
    row["shared"].append(shared_weights(*masks))
    row["same_sign"].append(shared_signs(masks, ends))
