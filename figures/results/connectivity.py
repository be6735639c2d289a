"""A study's connectivity as a typed record: every field is checked before a number is used.

Pure: parsed JSON in, record out. The schema is described in empirics/README.md under "Result files".
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from figures.results.fields import (
    Fraction,
    Head,
    LevelCount,
    LongWhole,
    Name,
    Positive,
    Table,
    Text,
    Whole,
    check_seeds,
    convert,
    must,
    require,
    verify_checksum,
)
from figures.results.reprs import short_repr

BETWEEN = ("rules", "levels", "seeds")  # IMP and LRR of a seed; consecutive levels of an arm; two seeds of an arm


@dataclass(frozen=True, kw_only=True)
class _Pair:
    between: Literal[BETWEEN]
    arms: tuple[Name, Name]
    seeds: tuple[LongWhole, LongWhole]
    levels: tuple[Whole, Whole]

    @property
    def place(self) -> tuple:
        """What no other pair of a record shares."""
        return self.between, self.arms, self.seeds, self.levels


@short_repr
@dataclass(frozen=True, kw_only=True)
class NetworkPair(_Pair):
    """Two trained networks, and what was measured between them.

    Each is an arm (`dense` at level 0), a seed and a level. `errors` are test errors (fractions) along the line between
    them, with batch-norm statistics recomputed; `errors_not_recomputed` with interpolated ones. A barrier is the
    largest excess over the straight line between the ends' errors. `sign_similarity` is the share of equal signs of the
    common survivors, None without any.
    """

    n_kept: tuple[Positive, Positive]
    total: Positive
    shared: Whole
    same_sign: Whole
    union_density: Fraction
    sign_similarity: Fraction | None
    errors: tuple[Fraction, ...]
    barrier: Fraction
    errors_not_recomputed: tuple[Fraction, ...]
    barrier_not_recomputed: Fraction

    def __post_init__(self) -> None:
        """Check the counts, and the shares that follow from them."""
        kept = self.n_kept
        total = self.total
        shared = self.shared
        same = self.same_sign
        must(max(kept) <= total, "n_kept", kept, f"two counts from 1 to {total}")
        must(shared <= min(kept), "shared", shared, f"at most the {min(kept)} kept")
        must(same <= shared, "same_sign", same, f"at most the {shared} shared")
        union = (sum(kept) - shared) / total
        got = self.union_density
        must(math.isclose(got, union, rel_tol=1e-9), "union_density", got, f"{union}, from the counts")
        share = same / shared if shared else None
        got = self.sign_similarity
        right = got is share if None in (got, share) else math.isclose(got, share, rel_tol=1e-9)
        must(right, "sign_similarity", got, f"same_sign / shared = {share}")

    def check_barriers(self, alphas: Sequence[float], where: str) -> None:
        """Raise `Contradiction` for barriers that are not those of the errors at the points `alphas`."""
        for errors, largest in (("errors", "barrier"), ("errors_not_recomputed", "barrier_not_recomputed")):
            curve = getattr(self, errors)
            got = getattr(self, largest)
            must(len(curve) == len(alphas), f"{where}.{errors}", curve, f"a list of {len(alphas)} fractions")
            excess = max(error - ((1 - a) * curve[0] + a * curve[-1]) for a, error in zip(alphas, curve, strict=True))
            same = math.isclose(got, excess, rel_tol=1e-9, abs_tol=1e-12)
            must(same, f"{where}.{largest}", got, f"{excess}, the largest excess of {errors}")


@short_repr
@dataclass(frozen=True, kw_only=True)
class UnmeasuredPair(_Pair):
    """Two networks that could not be measured; `reasons`: `missing`, `diverged` or None for each."""

    reasons: tuple[Text | None, Text | None]


@short_repr
@dataclass(frozen=True)
class Connectivity:
    """The connectivity of a study's networks at the points `alphas` of each line, in [0, 1]."""

    alphas: tuple[float, ...]
    pairs: tuple[NetworkPair, ...]
    left_out: tuple[UnmeasuredPair, ...]
    files: tuple = ()


class _File(Head[Literal["connectivity"]], frozen=True, kw_only=True):
    study: str
    of_arms: Table
    dense_run: Name
    of_seeds: list[LongWhole]
    levels: LevelCount
    alphas: tuple[Fraction, ...]
    pairs: tuple[NetworkPair, ...]
    left_out: tuple[UnmeasuredPair, ...]
    provenance: Table | None

    def __post_init__(self) -> None:
        points = self.alphas
        right = list(points) == sorted(set(points)) and len(points) > 1 and (points[0], points[-1]) == (0, 1)
        must(right, "alphas", points, "a rising list of fractions from 0 to 1")
        for i, pair in enumerate(self.pairs):
            pair.check_barriers(points, f"pairs.{i}")
        places = [pair.place for pair in (*self.pairs, *self.left_out)]
        for place, number in Counter(places).items():
            must(number == 1, "pairs", place, "different pairs")


def parse_connectivity(data: dict, file: str, study: Any, again: str) -> Connectivity:
    """The record of a study's connectivity.

    Parameters
    ----------
    data, file : the content of the file, and its path for messages.
    study : the record of the study, whose runs must be those that were measured.
    again : the command that measures again.
    """
    verify_checksum(data, file)
    found = convert(data, _File, file)
    check_seeds(found.of_seeds, file, "of_seeds")
    require(found.study == study.study, file, "study", found.study, f"{study.study!r}, the file's name")
    runs = {arm: study.arms.get(arm) for arm in found.of_arms} | {"dense": study.dense_run}
    measured = found.of_arms | {"dense": found.dense_run}
    require(measured == runs, file, "of_arms", measured, f"the runs of the study, {runs}", f"run {again}")
    return Connectivity(found.alphas, found.pairs, found.left_out)
