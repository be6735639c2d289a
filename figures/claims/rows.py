"""The rows of a claim: effects with intervals, measured on networks or read from the neuron's files. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from figures.analysis import measures
from figures.analysis.measures import Sample
from figures.analysis.statistics import sign_flip_p, t_interval
from figures.claims.verdicts import INCONCLUSIVE, NOT_RUN, POINTS, SMALLEST, Evidence, Row, verdict_of, words_beside
from figures.results.commands import TRAIN, train_command
from figures.results.network import TheoryResult


def not_run(name, unit, role, scope, command, note="") -> Row:
    """A row without evidence: its verdict is `not run` and its command says what would make it."""
    return Row(name, None, None, None, 0, unit, None, None, NOT_RUN, 0, role, scope, command, note=note)


def contrast(
    evidence: Evidence, name: str, arms: Mapping[str, float], of_arm, unit: str = POINTS, role: str = "effect", label=""
) -> Row:
    """A row from a linear contrast of arms, paired by seed; `not run` where an arm is not there."""
    results = evidence.results
    if results is None:
        return replace(not_run(name, unit, role, "no study has been run", TRAIN), label=label)
    scope, command = results.study.scope, train_command(results.study, arms)
    absent = [arm for arm in arms if not measures.has_arm(results, arm)]
    if absent or of_arm is None:
        return replace(not_run(name, unit, role, scope, command, _why_absent(evidence, absent)), label=label)
    sample = measures.combine(results, arms, of_arm)
    return sample_row(name, sample, unit, role, scope, command, label)


def sample_row(name: str, sample: Sample, unit: str, role: str, scope: str, command: str, label: str = "") -> Row:
    """A row from one number a seed: mean, Student-t interval, exact p, and the verdict by the rule."""
    seeds = tuple(sorted(sample.values))
    values = [sample.values[seed] for seed in seeds]
    if not values:
        row = not_run(name, unit, role, scope, command)
        verdict = f"{INCONCLUSIVE} (n = 0)" if sample.diverged else NOT_RUN
        return replace(row, verdict=verdict, diverged=len(sample.diverged), missing=sample.missing, label=label)
    interval, (p, p_min) = t_interval(values), sign_flip_p(values)
    verdict = verdict_of(interval.low, interval.high, SMALLEST[unit], len(values))
    verdict = words_beside(verdict, interval.low, interval.high) if role == "beside" else verdict
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
    """H as a measure, or None where the study has no level of density <= .03."""
    levels = measures.high_sparsity_levels(evidence.results) if evidence.results else ()
    return measures.mean_accuracy(levels) if levels else None


def against_length(evidence: Evidence, arm: str, control: str, label: str = "against training length") -> Row:
    """The training-length row: both sides averaged over the levels that the control has."""
    levels = measures.expected_levels(evidence.results, control) if evidence.results else ()
    of_arm = measures.mean_accuracy(levels) if levels else None
    name = f"against training length: {arm} - {control}"
    row = contrast(evidence, name, {arm: 1, control: -1}, of_arm, role="control", label=label)
    return replace(row, note=row.note or f"over levels {', '.join(map(str, levels))}")


def lead(evidence: Evidence, first: str, second: str, name: str = "", role: str = "effect", label: str = "") -> Row:
    """A row H(first) - H(second), paired by seed."""
    name, arms = name or f"H({first}) - H({second})", {first: 1, second: -1}
    return contrast(evidence, name, arms, h_measure(evidence), role=role, label=label)


def start_words(init: str) -> str:
    """How starts are drawn, in words."""
    return {"balanced": "balanced starts", "normal": "N(0, 1/d) starts"}.get(init, init)


def _scope(result: TheoryResult) -> str:
    dimension, trials = result.values.get("d"), result.values.get("trials")
    return f"theory, one neuron, d = {dimension}, {trials:,} trials" if dimension and trials else "theory, one neuron"


def from_interval(name, interval, n, unit, result, role="effect", verdict=None, against=None, label="") -> Row:
    """A row from a theory file's interval `{value, low, high}`; `verdict` overrides the usual rule.

    `against`: the value that it is held against where it is no difference.
    """
    value, low, high = interval["value"], interval["low"], interval["high"]
    verdict = verdict or verdict_of(low, high, SMALLEST[unit], n)
    verdict = words_beside(verdict, low, high) if role == "beside" else verdict
    row = Row(name, value, low, high, n, unit, None, None, verdict, 0, role, _scope(result), result.command)
    return replace(row, signed=against is None, against=against or 0.0, label=label)


def theory_missing(evidence: Evidence, name: str, experiment: str, unit: str, label: str = "") -> Row:
    """A deciding row for a theory experiment that has not been run, or whose file cannot be trusted."""
    note = evidence.problems.get(experiment, "")
    row = not_run(name, unit, "effect", "theory", f"paper_repro.py theory {experiment}", note)
    return replace(row, label=label)
