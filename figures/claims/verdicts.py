"""How a claim is judged: rows of measured effects (`figures.claims.rows`), and the rule of the verdict. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from figures.analysis.sweeps import Variation
from figures.results.network import StudyResults, TheoryResult

REPRODUCED, FAILED, REVERSED = "reproduced", "not reproduced", "not reproduced (reversed)"
INCONCLUSIVE, NOT_RUN = "inconclusive", "not run"
AT_CHANCE = f"{INCONCLUSIVE} (at chance)"
FEWEST_SEEDS = 4
FEWEST_STARTS = 10_000
POINTS, PROBABILITY, SHARE, LEVELS, SWITCHES = (
    "accuracy points",
    "probability",
    "share",
    "levels",
    "switches a weight",
)
SMALLEST = {POINTS: 0.2, PROBABILITY: 0.02, SHARE: 0.02, LEVELS: 0.02, SWITCHES: 0.02}


@dataclass(frozen=True)
class Row:
    """One measured effect. `low` and `high`: 95 % interval; `p`: exact sign-flip p, `p_min` the smallest it can be.

    `role` is "effect" (decides the claim), "control" (the training-length row, own verdict) or "beside" (context).
    `signed` is True for a difference (printed with its sign) and False for a level, a share or a probability.
    `diverged` counts runs left out because they diverged; `missing` lists seeds of the study that are not complete.
    `against`: the value that the effect is held against, 0 for a difference. `label` says in few words, for a picture,
    what the row adds to its claim; empty where the claim says it all. `seeds` lists the seeds that count.
    """

    name: str
    effect: float | None
    low: float | None
    high: float | None
    n: int
    unit: str
    p: float | None
    p_min: float | None
    verdict: str
    diverged: int
    role: str
    scope: str
    command: str
    missing: tuple[int, ...] = ()
    note: str = ""
    signed: bool = True
    against: float = 0.0
    label: str = ""
    seeds: tuple[int, ...] = ()

    @property
    def decides(self) -> bool:
        """True where the claim's verdict depends on this row as evidence."""
        return self.role == "effect"


@dataclass(frozen=True)
class ClaimVerdict:
    """A claim judged on one study or one variation (neither for theory), with its rows and the scope it holds for.

    `preset` and `dataset` are those of what it is judged on, None for theory and where nothing has been run; `common`
    says what a variation changes in its preset at every value. `short` is the claim in few words.
    `control` is the verdict of its training-length rows, to be shown right beside `verdict`; None where it has none.
    """

    id: str
    claim: str
    source: str
    study: str | None
    scope: str
    verdict: str
    control: str | None
    rows: tuple[Row, ...]
    short: str = ""
    variation: str | None = None
    preset: str | None = None
    dataset: str | None = None
    common: str = ""


@dataclass(frozen=True)
class Evidence:
    """What a claim's function may look at: one study or one variation (None where none has been run), theory, and
    owners of files that could not be trusted."""

    results: StudyResults | None
    theory: Mapping[str, TheoryResult]
    problems: Mapping[str, str]
    variation: Variation | None = None


def verdict_of(low: float | None, high: float | None, smallest: float, n: int, fewest: int = FEWEST_SEEDS) -> str:
    """The rule: an interval wholly above 0 reproduces; wholly below the smallest effect that matters does not."""
    if n < fewest or low is None or high is None:
        return f"{INCONCLUSIVE} (n = {n})"
    if low > 0:
        return REPRODUCED
    if high < 0:
        return REVERSED
    return FAILED if high < smallest else INCONCLUSIVE


def words_beside(verdict: str, low: float | None, high: float | None) -> str:
    """What a row beside a claim says: where its interval lies; it confirms and refutes no sentence."""
    if low is None or high is None or verdict.startswith(f"{INCONCLUSIVE} (n"):
        return verdict
    return "above 0" if low > 0 else "below 0" if high < 0 else "spans 0"


def conjunction(rows: list[Row], evidence: Evidence | None = None) -> str:
    """The verdict of a claim from its deciding rows: one failed part is enough, and every part is needed."""
    return _every_part([row.verdict for row in rows if row.decides])


def control_verdict(rows: list[Row]) -> str | None:
    """The verdict of a claim's training-length rows together; None where the claim has none."""
    verdicts = [row.verdict for row in rows if row.role == "control"]
    return _every_part(verdicts) if verdicts else None


def _every_part(verdicts: list[str]) -> str:
    if verdicts and all(verdict == REVERSED for verdict in verdicts):
        return REVERSED
    if any(verdict in (FAILED, REVERSED) for verdict in verdicts):
        return FAILED
    if NOT_RUN in verdicts or not verdicts:
        return NOT_RUN
    return next((verdict for verdict in verdicts if verdict != REPRODUCED), REPRODUCED)


def beside_control(rows: list[Row], evidence: Evidence | None = None) -> str:
    """As `conjunction`, but `reproduced` is printed only where every training-length row has been run."""
    verdict = conjunction(rows)
    if verdict == REPRODUCED and any(row.verdict == NOT_RUN for row in rows if row.role == "control"):
        return f"{INCONCLUSIVE} (control not run)"
    return verdict
