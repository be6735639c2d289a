"""The primary claims of a study with a plan, and what its many other verdicts are worth. Pure.

Primary claims were stated before the data (claims 5, 7 and 14, under our protocol); all others of the study are
secondary. Among many verdicts some are `reproduced` by chance: how many is estimated from measured null rates.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from figures.analysis.statistics import Interval, holm, p_of_interval
from figures.claims.verdicts import INTERIM, NOT_PLANNED, NOT_RUN, ClaimVerdict, Row
from figures.results.network import Records
from figures.results.variants import OURS_PROTOCOL

PRIMARY = ("5", "7", "14")
# The share of false `reproduced` where there is no effect, by number of seeds: the highest over claims and over the
# ways in which arms without an effect are made (`tests/figures/claims/test_nulls.py` measures them again).
FALSE_REPRODUCED = {4: 0.0625, 6: 0.03, 8: 0.036}
HIGHEST_RATE = 0.0625  # of any number of seeds from 4 to 12


def with_family(verdicts: Sequence[ClaimVerdict], records: Records) -> list[ClaimVerdict]:
    """The verdicts, whose primary rows say so in their notes, with p values adjusted for the family.

    The p of the t test that belongs to the interval is adjusted by Holm over the primary claims, once all of them have
    their planned n: before that nothing is tested.
    """
    planned = {results.study.study for results in records.studies if has_family(results)}
    found = list(verdicts)
    for name in planned:
        places = [place for place, v in enumerate(found) if v.study == name and v.id in PRIMARY]
        rows = [_deciding(found[place]) for place in places]
        whole = len(rows) == len(PRIMARY) and all(_is_tested(row) for row in rows)
        p = [p_of_interval(Interval(row.effect, row.low, row.high, row.n)) for row in rows] if whole else []
        for place, row, words in zip(places, rows, _words(p, len(rows)), strict=True):
            changed = replace(row, note="; ".join(filter(None, (row.note, words))))
            kept = tuple(changed if one is row else one for one in found[place].rows)
            found[place] = replace(found[place], rows=kept)
    return found


def has_family(results) -> bool:
    """Whether a study has primary claims: one with a plan, under our protocol."""
    return bool(results.study.planned) and results.study.protocol == OURS_PROTOCOL


def _deciding(verdict: ClaimVerdict) -> Row:
    return next(row for row in verdict.rows if row.decides)


def _is_tested(row: Row) -> bool:
    return row.low is not None and not row.verdict.startswith((INTERIM, NOT_PLANNED, NOT_RUN))


def _words(p: Sequence[float], count: int) -> list[str]:
    if not p:
        return ["primary claim, tested when all primary claims have their planned n"] * count
    family = ", ".join(PRIMARY)
    return [
        f"primary claim: t-test p = {one:.3g}, {adjusted:.3g} by Holm over claims {family}"
        for one, adjusted in zip(p, holm(p), strict=True)
    ]


@dataclass(frozen=True)
class Multiplicity:
    """How many verdicts a study has, and how many would be `reproduced` if there were no effect.

    `interim`: how many have not reached their planned n. `false`: the expected number at the n of each, an upper bound.
    """

    verdicts: int
    interim: int
    false: float

    @property
    def text(self) -> str:
        """Both numbers in a sentence or two."""
        interim = f" {self.interim} of them are interim." if self.interim else ""
        return (
            f"{self.verdicts} verdicts (of claims, and against training length).{interim} If there were no effect at "
            f"all, about {self.false:.1f} of them would be (wrongly) *reproduced*, by the highest null rates measured."
        )


def multiplicity(verdicts: Iterable[ClaimVerdict]) -> Multiplicity:
    """The multiplicity of the verdicts on one study.

    A claim of several parts counts once, at the rate of one part: that all of them are wrong is rarer.
    """
    found: list[tuple[str, int]] = []
    for verdict in verdicts:
        for roles in ("effect", "control"):
            rows = [row for row in verdict.rows if row.role == roles and row.verdict not in (NOT_RUN, NOT_PLANNED)]
            if rows:
                found.append((verdict.verdict if roles == "effect" else verdict.control or "", _planned_n(rows)))
    interim = sum(word.startswith(INTERIM) for word, _ in found)
    return Multiplicity(len(found), interim, sum(FALSE_REPRODUCED.get(n, HIGHEST_RATE) for _, n in found))


def _planned_n(rows: Sequence[Row]) -> int:
    """The n that the verdict on some rows has, or will have."""
    return min(row.n if row.planned is None else row.planned for row in rows)
