"""How a claim is judged: rows of measured effects, and the rule of the verdict. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from figures.analysis import measures
from figures.analysis.measures import Sample
from figures.analysis.statistics import sign_flip_p, t_interval
from figures.analysis.sweeps import Sweep
from figures.results.fields import Number, Whole
from figures.results.network import StudyResults, TheoryResult, train_command, train_of
from figures.results.reprs import short_repr
from figures.results.variants import OURS_PROTOCOL

REPRODUCED = "reproduced"
NOT_REPRODUCED = "not reproduced"
REVERSED = "not reproduced (reversed)"
INCONCLUSIVE = "inconclusive"
NOT_RUN = "not run"
AT_CHANCE = f"{INCONCLUSIVE} (at chance)"
INTERIM = "interim"  # begins the verdict of a row below the n that was planned for it
NOT_PLANNED = "not planned"  # of a row whose arms are not all in the plan of its study
FEWEST_SEEDS = 4
FEWEST_STARTS = 10_000
ACCURACY_POINTS = "accuracy points"
PROBABILITY = "probability"
SHARE = "share"
NUMBER_OF_LEVELS = "levels"
NUMBER_OF_SWITCHES = "switches a weight"
SMALLEST_EFFECT = {
    ACCURACY_POINTS: 0.2,
    PROBABILITY: 0.02,
    SHARE: 0.02,
    NUMBER_OF_LEVELS: 0.02,
    NUMBER_OF_SWITCHES: 0.02,
}


@short_repr
@dataclass(frozen=True)
class Row:
    """One measured effect.

    `low` and `high` are the ends of its 95 % interval; `p` is the exact sign-flip p, `p_min` the smallest that it can
    be. `role` is "effect" (decides the claim), "control" (the training-length row, with its own verdict) or "secondary"
    (context). `signed` is True for a difference (printed with its sign) and False for a level, a share or a
    probability. `diverged` counts runs left out because they diverged; `missing` lists seeds of the study that are not
    complete. `against`: the value that the effect is compared with, 0 for a difference. `label` says in few words, for
    a picture, what the row adds to its claim; empty where the claim needs no addition. `seeds` lists the seeds that
    count. `planned`: the number of seeds that its study planned for it before the data; None without a plan.
    """

    name: str
    effect: Number | None
    low: Number | None
    high: Number | None
    n: Whole
    unit: str
    p: Number | None
    p_min: Number | None
    verdict: str
    diverged: Whole
    role: str
    scope: str
    command: str
    missing: tuple[int, ...] = ()
    note: str = ""
    signed: bool = True
    against: Number = 0.0
    label: str = ""
    seeds: tuple[int, ...] = ()
    planned: Whole | None = None

    @property
    def fields(self) -> dict[str, Any]:
        """The row as a record: all fields, but for `planned` where its study has no plan."""
        return {name: value for name, value in asdict(self).items() if name != "planned" or value is not None}

    @property
    def decides(self) -> bool:
        """True where the claim's verdict depends on this row."""
        return self.role == "effect"


@short_repr
@dataclass(frozen=True)
class ClaimVerdict:
    """A claim judged on one study or one sweep (neither for theory), with its rows and its scope.

    `preset` and `dataset` are those of what it is judged on, None for theory and where nothing has been run;
    `shared_overrides` says what a sweep changes in its preset at every value. `short` is the claim in few words.
    `control` is the verdict of its training-length rows, to be shown together with `verdict`; None where it has none.
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
    sweep: str | None = None
    preset: str | None = None
    dataset: str | None = None
    shared_overrides: str = ""


@dataclass(frozen=True)
class Evidence:
    """The records that a claim's function reads.

    `results` and `sweep`: one study or one sweep (None where none has been run). `theory`: the theory results by
    experiment. `problems`: owner -> message, for files that could not be trusted. `protocol`: that of the studies.
    """

    results: StudyResults | None
    theory: Mapping[str, TheoryResult]
    problems: Mapping[str, str]
    sweep: Sweep | None = None
    protocol: str = OURS_PROTOCOL


def verdict_of(low: float | None, high: float | None, smallest: float, n: int, fewest: int = FEWEST_SEEDS) -> str:
    """The verdict on an effect from its 95 % interval.

    `reproduced`: the interval lies wholly above 0. `not reproduced`: wholly below `smallest`, the smallest effect that
    matters (`not reproduced (reversed)`: wholly below 0). Otherwise, or with fewer than `fewest` seeds or without an
    interval, `inconclusive`.
    """
    if n < fewest or low is None or high is None:
        return f"{INCONCLUSIVE} (n = {n})"
    if low > 0:
        return REPRODUCED
    if high < 0:
        return REVERSED
    return NOT_REPRODUCED if high < smallest else INCONCLUSIVE


def secondary_words(verdict: str, low: float | None, high: float | None) -> str:
    """Where the interval of a secondary row lies: above 0, below 0, or it spans 0.

    A secondary row neither confirms nor refutes a claim.
    """
    if low is None or high is None or verdict.startswith(f"{INCONCLUSIVE} (n"):
        return verdict
    return "above 0" if low > 0 else "below 0" if high < 0 else "spans 0"


def not_worse(row: Row, smallest: float) -> Row:
    """The row judged by whether its first arm is as good as the second.

    `reproduced`: the 95 % interval lies wholly above -`smallest`, the largest loss that does not matter. `not
    reproduced`: wholly below it. A row that is not judged for another reason stays as it is.
    """
    row = replace(row, against=-smallest, p=None, p_min=None)  # they would test a difference of 0
    if row.low is None or row.n < FEWEST_SEEDS or row.verdict == AT_CHANCE or row.verdict.startswith(INTERIM):
        return row
    verdict = REPRODUCED if row.low > -smallest else NOT_REPRODUCED if row.high < -smallest else INCONCLUSIVE
    return replace(row, verdict=verdict)


def conjunction(rows: list[Row], evidence: Evidence | None = None) -> str:
    """The verdict of a claim from its deciding rows.

    One failed part makes it `not reproduced`; it is `reproduced` only if every part is.
    """
    return _every_part([row.verdict for row in rows if row.decides])


def control_verdict(rows: list[Row]) -> str | None:
    """The verdict of a claim's training-length rows together; None where the claim has none."""
    verdicts = [row.verdict for row in rows if row.role == "control"]
    return _every_part(verdicts) if verdicts else None


def _every_part(verdicts: list[str]) -> str:
    if interim := next((verdict for verdict in verdicts if verdict.startswith(INTERIM)), None):
        return interim  # whatever the other parts say: it may still change
    if verdicts and all(verdict == REVERSED for verdict in verdicts):
        return REVERSED
    if any(verdict in (NOT_REPRODUCED, REVERSED) for verdict in verdicts):
        return NOT_REPRODUCED
    if NOT_RUN in verdicts or not verdicts:
        return NOT_RUN
    return next((verdict for verdict in verdicts if verdict != REPRODUCED), REPRODUCED)


def beside_control(rows: list[Row], evidence: Evidence | None = None) -> str:
    """As `conjunction`, but `reproduced` is printed only where every training-length row has been run."""
    verdict = conjunction(rows)
    controls = [row.verdict for row in rows if row.role == "control"]
    lacking = next((control for control in controls if control in (NOT_RUN, NOT_PLANNED)), None)
    return f"{INCONCLUSIVE} (control {lacking})" if verdict == REPRODUCED and lacking else verdict


def not_run(name, unit, role, scope, command, note="") -> Row:
    """A row without evidence: its verdict is `not run`, and its command makes the missing result."""
    return Row(name, None, None, None, 0, unit, None, None, NOT_RUN, 0, role, scope, command, note=note)


def contrast(
    evidence: Evidence,
    name: str,
    arms: Mapping[str, float],
    of_arm,
    unit: str = ACCURACY_POINTS,
    role: str = "effect",
    label="",
) -> Row:
    """A row from a linear contrast of arms, paired by seed; `not run` where an arm is missing.

    In a study with a plan of seeds it is `not planned` where an arm is not in the plan, and `interim` as long as a
    planned seed is missing.
    """
    results = evidence.results
    if results is None:
        return replace(not_run(name, unit, role, "no study has been run", train_of(evidence.protocol)), label=label)
    scope = results.study.scope
    command = train_command(results.study, arms)
    planned = results.study.planned
    if unplanned := [arm for arm in arms if planned and arm not in planned]:
        row = not_run(name, unit, role, scope, command, f"no seed is planned of {', '.join(unplanned)}")
        return replace(row, label=label, verdict=NOT_PLANNED)
    absent = [arm for arm in arms if not measures.has_arm(results, arm)]
    if absent or of_arm is None:
        return replace(not_run(name, unit, role, scope, command, _why_absent(evidence, absent)), label=label)
    samples = {arm: of_arm(results, arm) for arm in arms}
    sample = measures.weigh([(factor, samples[arm]) for arm, factor in arms.items()])
    if planned:  # arms of other seeds are not incomplete
        together = measures.planned_together(results, arms)
        sample = replace(sample, missing=tuple(seed for seed in sample.missing if seed in together))
    row = sample_row(name, sample, unit, role, scope, command, label)
    row = above_chance(row, results, samples.values()) if unit == ACCURACY_POINTS else row
    return below_planned(row, results, arms) if planned else row


def below_planned(row: Row, results: StudyResults, arms: Iterable[str]) -> Row:
    """The row, marked as interim while a planned seed is neither complete nor diverged."""
    row = replace(row, planned=len(measures.planned_together(results, arms)))
    if row.verdict == NOT_RUN or measures.is_final(results, arms):
        return row
    return replace(row, verdict=f"{INTERIM} (n = {row.n} of {row.planned})")


def above_chance(row: Row, results: StudyResults, samples: Iterable[Sample]) -> Row:
    """The row, which is not judged where no arm is better than guessing: nothing can be measured.

    `samples`: of each arm, its accuracies by seed in accuracy points.
    """
    means = [mean for sample in samples for mean in measures.average(sample)]
    guessing = row.n >= FEWEST_SEEDS and measures.at_chance(results.study.classes, means)
    return replace(row, verdict=AT_CHANCE) if guessing else row


def sample_row(name: str, sample: Sample, unit: str, role: str, scope: str, command: str, label: str = "") -> Row:
    """A row from one number per seed: mean, Student-t interval, exact p, and the verdict by the rule."""
    seeds = tuple(sorted(sample.values))
    values = [sample.values[seed] for seed in seeds]
    if not values:
        row = not_run(name, unit, role, scope, command)
        verdict = f"{INCONCLUSIVE} (n = 0)" if sample.diverged else NOT_RUN
        return replace(row, verdict=verdict, diverged=len(sample.diverged), missing=sample.missing, label=label)
    interval = t_interval(values)
    (p, p_min) = sign_flip_p(values)
    verdict = verdict_of(interval.low, interval.high, SMALLEST_EFFECT[unit], len(values))
    verdict = secondary_words(verdict, interval.low, interval.high) if role == "secondary" else verdict
    return Row(
        name,
        interval.mean,
        interval.low,
        interval.high,
        len(values),
        unit,
        p,
        p_min,
        verdict,
        len(sample.diverged),
        role,
        f"{scope}, seeds {' '.join(map(str, seeds))}",
        command,
        sample.missing,
        label=label,
        seeds=seeds,
    )


def _why_absent(evidence: Evidence, absent: list[str]) -> str:
    if not absent:
        return f"no level of density <= {measures.HIGH_SPARSITY}, or too few levels"
    runs = [evidence.results.study.arms.get(arm, "") for arm in absent]
    unreadable = [evidence.problems[run] for run in runs if run in evidence.problems]
    return unreadable[0] if unreadable else f"no run of {', '.join(absent)}"


def h_measure(evidence: Evidence):
    """The measure of high-sparsity accuracy; None where the study has no level of density <= .03."""
    levels = measures.high_sparsity_levels(evidence.results) if evidence.results else ()
    return measures.mean_accuracy(levels) if levels else None


def against_length(evidence: Evidence, arm: str, control: str, label: str = "against training length") -> Row:
    """The training-length row: both sides averaged over the levels that the control has."""
    levels = measures.expected_levels(evidence.results, control) if evidence.results else ()
    of_arm = measures.mean_accuracy(levels) if levels else None
    name = f"against training length: {arm} - {control}"
    row = contrast(evidence, name, {arm: 1, control: -1}, of_arm, role="control", label=label)
    return replace(row, note=row.note or f"over levels {', '.join(map(str, levels))}")


def optional(evidence: Evidence, arms: Mapping[str, float], name: str, of_arm=None) -> list[Row]:
    """A secondary row from a contrast of arms that not every preset has.

    There is none where the study does not list all of them; `not run` where it lists them and they have not been run.
    `of_arm`: the measure; high-sparsity accuracy if not given.
    """
    if evidence.results is None or not set(arms) <= set(evidence.results.study.arms):
        return []
    return [contrast(evidence, name, arms, of_arm or h_measure(evidence), role="secondary")]


def arm_difference(
    evidence: Evidence, first: str, second: str, name: str = "", role: str = "effect", label: str = ""
) -> Row:
    """A row of high-sparsity accuracy, first - second, paired by seed."""
    name = name or f"high-sparsity accuracy, {first} - {second}"
    arms = {first: 1, second: -1}
    return contrast(evidence, name, arms, h_measure(evidence), role=role, label=label)


def format_start(init: str) -> str:
    """The distribution of the starts, in words."""
    return {"balanced": "balanced starts", "normal": "N(0, 1/d) starts"}.get(init, init)


def _scope(result: TheoryResult) -> str:
    dimension = result.values.get("d")
    trials = result.values.get("trials")
    return f"theory, one neuron, d = {dimension}, {trials:,} trials" if dimension and trials else "theory, one neuron"


def from_interval(name, interval, n, unit, result, role="effect", verdict=None, against=None, label="") -> Row:
    """A row from a theory file's interval `{value, low, high}`; `verdict` overrides the usual rule.

    `against`: the value that the effect is compared with, if it is not a difference.
    """
    value = interval["value"]
    low = interval["low"]
    high = interval["high"]
    verdict = verdict or verdict_of(low, high, SMALLEST_EFFECT[unit], n)
    verdict = secondary_words(verdict, low, high) if role == "secondary" else verdict
    row = Row(name, value, low, high, n, unit, None, None, verdict, 0, role, _scope(result), result.command)
    return replace(row, signed=against is None, against=against or 0.0, label=label)


def theory_missing(evidence: Evidence, name: str, experiment: str, unit: str, label: str = "") -> Row:
    """A deciding row for a theory experiment that has not been run, or whose file cannot be trusted."""
    note = evidence.problems.get(experiment, "")
    row = not_run(name, unit, "effect", "theory", f"paper_repro.py theory {experiment}", note)
    return replace(row, label=label)
