"""A study's connectivity as a typed record: every field is checked before a number is used.

Pure: parsed JSON in, record out. The schema is described in empirics/README.md under "Result files".
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from figures.results.fields import (
    COUNTS,
    FRACTION,
    FRACTIONS,
    LABEL,
    LEVEL_COUNT,
    LONG_WHOLE,
    NAME,
    POSITIVE,
    SCHEMA_IS,
    SEEDS,
    TABLE,
    TEXT,
    WHOLE,
    Check,
    exactly,
    or_null,
    require,
    validate,
    verify_checksum,
)
from figures.results.reprs import short_repr

BETWEEN = ("rules", "levels", "seeds")  # IMP and LRR of a seed; consecutive levels of an arm; two seeds of an arm


@short_repr
@dataclass(frozen=True)
class NetworkPair:
    """Two trained networks, and what was measured between them.

    Each is an arm (`dense` at level 0), a seed and a level. `errors` are test errors (fractions) along the line between
    them, with batch-norm statistics recomputed; `errors_not_recomputed` with interpolated ones. A barrier is the
    largest excess over the straight line between the ends' errors. `sign_similarity` is the share of equal signs of the
    common survivors, None without any.
    """

    between: str
    arms: tuple[str, str]
    seeds: tuple[int, int]
    levels: tuple[int, int]
    errors: tuple[float, ...]
    barrier: float
    errors_not_recomputed: tuple[float, ...]
    barrier_not_recomputed: float
    union_density: float
    sign_similarity: float | None


@short_repr
@dataclass(frozen=True)
class UnmeasuredPair:
    """Two networks that could not be measured; `reasons`: `missing`, `diverged` or None for each."""

    between: str
    arms: tuple[str, str]
    seeds: tuple[int, int]
    levels: tuple[int, int]
    reasons: tuple[str | None, str | None]


@short_repr
@dataclass(frozen=True)
class Connectivity:
    """The connectivity of a study's networks at the points `alphas` of each line, in [0, 1]."""

    alphas: tuple[float, ...]
    pairs: tuple[NetworkPair, ...]
    left_out: tuple[UnmeasuredPair, ...]
    files: tuple = ()


def _two(check: Check) -> Check:
    """Check of a list of two values, one for each end of a pair."""
    return Check(lambda v: isinstance(v, list) and len(v) == 2 and all(map(check.test, v)), f"two of: {check.says}")


_LIST = Check(lambda v: isinstance(v, list), "a list")
_ALPHAS = Check(
    lambda v: FRACTIONS.test(v) and v == sorted(set(v)) and len(v) > 1 and (v[0], v[-1]) == (0, 1),
    "a rising list of fractions from 0 to 1",
)
_HEAD = {
    "schema": SCHEMA_IS, "kind": exactly("connectivity"), "study": LABEL, "of_arms": TABLE, "dense_run": NAME,
    "of_seeds": SEEDS, "levels": LEVEL_COUNT, "alphas": _ALPHAS, "pairs": _LIST, "left_out": _LIST,
    "provenance": or_null(TABLE),
}  # fmt: skip
_LABEL = {
    "between": Check(lambda v: v in BETWEEN, f"one of {', '.join(BETWEEN)}"), "arms": _two(NAME),
    "seeds": _two(LONG_WHOLE), "levels": _two(WHOLE),
}  # fmt: skip
_PAIR = {
    "n_kept": COUNTS, "total": POSITIVE, "shared": WHOLE, "same_sign": WHOLE, "union_density": FRACTION,
    "sign_similarity": or_null(FRACTION), "errors": FRACTIONS, "barrier": FRACTION,
    "errors_not_recomputed": FRACTIONS, "barrier_not_recomputed": FRACTION,
}  # fmt: skip
_REASONS = {"reasons": _two(or_null(TEXT))}


def parse_connectivity(data: dict, file: str, study: Any, again: str) -> Connectivity:
    """The record of a study's connectivity.

    Parameters
    ----------
    data, file : the content of the file, and its path for messages.
    study : the record of the study, whose runs must be those that were measured.
    again : the command that measures again.
    """
    verify_checksum(data, file)
    found = validate(data, _HEAD, file)
    require(found["study"] == study.study, file, "study", found["study"], f"{study.study!r}, the file's name")
    runs = {arm: study.arms.get(arm) for arm in found["of_arms"]} | {"dense": study.dense_run}
    measured = found["of_arms"] | {"dense": found["dense_run"]}
    require(measured == runs, file, "of_arms", measured, f"the runs of the study, {runs}", f"run {again}")
    alphas = tuple(found["alphas"])
    pairs = tuple(_pair(row, file, f"pairs.{i}", alphas) for i, row in enumerate(found["pairs"]))
    left_out = tuple(
        UnmeasuredPair(**_tuples(validate(row, _LABEL | _REASONS, file, f"left_out.{i}")))
        for i, row in enumerate(found["left_out"])
    )
    names = [(pair.between, pair.arms, pair.seeds, pair.levels) for pair in (*pairs, *left_out)]
    twice = next((name for name in names if names.count(name) > 1), None) if len(set(names)) < len(names) else None
    require(twice is None, file, "pairs", twice, "different pairs")
    return Connectivity(alphas, pairs, left_out)


def _pair(row: Any, file: str, within: str, alphas: Sequence[float]) -> NetworkPair:
    found = validate(row, _LABEL | _PAIR, file, within)
    counts = {name: found.pop(name) for name in ("n_kept", "total", "shared", "same_sign")}
    _check_counts(counts, found, file, within)
    for errors, largest in (("errors", "barrier"), ("errors_not_recomputed", "barrier_not_recomputed")):
        curve = found[errors]
        require(len(curve) == len(alphas), file, f"{within}.{errors}", curve, f"a list of {len(alphas)} fractions")
        excess = max(error - ((1 - a) * curve[0] + a * curve[-1]) for a, error in zip(alphas, curve, strict=True))
        same = math.isclose(found[largest], excess, rel_tol=1e-9, abs_tol=1e-12)
        require(same, file, f"{within}.{largest}", found[largest], f"{excess}, the largest excess of {errors}")
    return NetworkPair(**_tuples(found))


def _check_counts(counts: Mapping[str, Any], found: Mapping[str, Any], file: str, within: str) -> None:
    kept, total, shared, same = (counts[name] for name in ("n_kept", "total", "shared", "same_sign"))
    right = len(kept) == 2 and all(0 < number <= total for number in kept)
    require(right, file, f"{within}.n_kept", kept, f"two counts from 1 to {total}")
    require(shared <= min(kept), file, f"{within}.shared", shared, f"at most the {min(kept)} kept")
    require(same <= shared, file, f"{within}.same_sign", same, f"at most the {shared} shared")
    union, got = (sum(kept) - shared) / total, found["union_density"]
    require(math.isclose(got, union, rel_tol=1e-9), file, f"{within}.union_density", got, f"{union}, from the counts")
    share, got = same / shared if shared else None, found["sign_similarity"]
    right = got is None if share is None else got is not None and math.isclose(got, share, rel_tol=1e-9)
    require(right, file, f"{within}.sign_similarity", got, f"same_sign / shared = {share}")


def _tuples(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()}
