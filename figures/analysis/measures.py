"""Measure one number per seed from the records: what claims compare and figures draw. Pure.

Only complete seeds are measured. A seed is complete when every level that its arm must have is complete; diverged and
missing seeds are returned with the values, so that no table drops them silently.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from figures.analysis.statistics import Interval, t_interval
from figures.results.network import LevelRecord, StudyResults

HIGH_SPARSITY = 0.03
PERCENT = 100.0
CHANCE_FACTOR = 1.5  # accuracy of at most this multiple of 1 / classes: no better than guessing
LEAD = {"lrr": 1, "imp": -1}
# The factorial, all four cells with batch norm rewound: effects as linear contrasts of arms.
SIGN_CONTRAST = {"sign": 0.5, "lrr-bn-rewind": 0.5, "imp": -0.5, "magnitude": -0.5}
MAGNITUDES = {"magnitude": 0.5, "lrr-bn-rewind": 0.5, "imp": -0.5, "sign": -0.5}
INTERACTION = {"lrr-bn-rewind": 1, "sign": -1, "magnitude": -1, "imp": 1}


@dataclass(frozen=True)
class Sample:
    """One number per seed, with the seeds that gave none.

    `values` maps a seed to its number. `diverged` lists the (arm, seed) pairs that diverged, `missing` the seeds of the
    study that are not complete.
    """

    values: Mapping[int, float]
    diverged: tuple[tuple[str, int], ...] = ()
    missing: tuple[int, ...] = ()


Measure = Callable[[StudyResults, str], Sample]


def has_arm(results: StudyResults, arm: str) -> bool:
    """True where the study has at least one level of the arm."""
    return any(seed.levels for seed in results.arms[arm].seeds.values()) if arm in results.arms else False


def expected_levels(results: StudyResults, arm: str) -> tuple[int, ...]:
    """Levels that make a seed of the arm complete.

    They go from the run's `first_level` (1 unless configured) to the last. The training-length controls are run at a
    few levels only (quick: the last two).
    """
    run = results.arms.get(arm)
    if run is None:
        return ()
    first = run.config.get("first_level", 1)
    return tuple(range(first if type(first) is int and first > 0 else 1, results.study.levels))


def level(results: StudyResults, arm: str, seed: int, number: int) -> LevelRecord | None:
    """The record of one level; level 0 is the dense run's, common to all arms that do not change it."""
    run = results.dense_of(arm) if number == 0 else results.arms.get(arm)
    record = run.seeds.get(seed) if run else None
    return record.levels.get(number) if record else None


def seeds_of(results: StudyResults, arm: str, levels: Sequence[int] | None = None) -> tuple[list, list, list]:
    """(complete, diverged, missing) seeds of an arm, out of the study's, or of those planned for it."""
    wanted = set(expected_levels(results, arm) if levels is None else levels)
    runs = [run for run in (results.dense_of(arm), results.arms.get(arm)) if run]
    complete = []
    diverged = []
    missing = []
    for seed in results.study.seeds_of(arm):
        if any(seed in run.unreadable for run in runs):
            missing.append(seed)
        elif any(seed in run.seeds and run.seeds[seed].diverged for run in runs):
            diverged.append(seed)
        elif wanted and wanted <= _levels_there(results, arm, seed):
            complete.append(seed)
        else:
            missing.append(seed)
    return complete, diverged, missing


def planned_together(results: StudyResults, arms: Iterable[str]) -> tuple[int, ...]:
    """The seeds that all of `arms` were planned for, those that a contrast of them is paired by."""
    planned = [set(results.study.planned.get(arm, ())) for arm in arms]
    return tuple(sorted(set.intersection(*planned))) if planned else ()


def is_final(results: StudyResults, arms: Iterable[str]) -> bool:
    """Whether every seed that `arms` were planned for is complete in each of them, or has diverged."""
    arms = list(arms)
    ended = [set(complete) | set(diverged) for complete, diverged, _ in (seeds_of(results, arm) for arm in arms)]
    return all(set(planned_together(results, arms)) <= seeds for seeds in ended)


def _levels_there(results: StudyResults, arm: str, seed: int) -> set[int]:
    """Numbers of the levels that `level` finds."""
    runs = (results.dense_of(arm), results.arms.get(arm))
    dense, own = (run.seeds[seed].levels if run and seed in run.seeds else {} for run in runs)
    return {number for number in own if number} | ({0} if 0 in dense else set())


def measure(results: StudyResults, arm: str, of_seed: Callable[[int], float | None]) -> Sample:
    """`of_seed` over the complete seeds of an arm; a seed for which it returns None counts as missing."""
    complete, diverged, missing = seeds_of(results, arm)
    values = {seed: of_seed(seed) for seed in complete}
    missing += [seed for seed, value in values.items() if value is None]
    kept = {seed: value for seed, value in values.items() if value is not None}
    return Sample(kept, tuple((arm, seed) for seed in diverged), tuple(sorted(missing)))


def high_sparsity_levels(results: StudyResults) -> tuple[int, ...]:
    """Levels of nominal density <= .03: those that high-sparsity accuracy averages over."""
    return tuple(k for k in range(results.study.levels) if results.study.density(k) <= HIGH_SPARSITY + 1e-12)


def denser_levels(results: StudyResults) -> tuple[int, ...]:
    """Levels from 1 on of nominal density > .03: those that high-sparsity accuracy leaves out.

    Level 0 is left out too. It is the dense network, which arms share: with it a difference of arms would seem smaller.
    """
    sparse = high_sparsity_levels(results)
    return tuple(k for k in range(1, results.study.levels) if k not in sparse)


def mean_accuracy(levels: Iterable[int]) -> Measure:
    """Measure: test accuracy averaged over `levels`, in accuracy points (100 x fraction).

    It is that of the last epoch, unless the records were loaded with the best.
    """
    levels = tuple(levels)

    def of_arm(results, arm):
        def of_seed(seed):
            records = [level(results, arm, seed, k) for k in levels]
            if not records or any(record is None for record in records):
                return None
            return PERCENT * math.fsum(record.test_accuracy for record in records) / len(records)

        return measure(results, arm, of_seed)

    return of_arm


def sign_measure(of_signs: Callable) -> Measure:
    """Measure: a number from an arm's `SignsRecord`."""

    def of_arm(results, arm):
        def of_seed(seed):
            signs = results.arms[arm].seeds[seed].signs if arm in results.arms else None
            return None if signs is None or not signs.survivors else of_signs(signs)

        return measure(results, arm, of_seed)

    return of_arm


def settle_level(signs) -> float:
    """Mean level at which a sign settles (claim 9).

    A sign that never flipped counts as 0; the flips of the last level are left out.
    """
    counts = signs.settles_before_last[1:]
    return sum(number * count for number, count in enumerate(counts)) / signs.survivors


def early_switches(signs) -> float:
    """Sign flips, by reading (iii), per last-level survivor in levels 1 to 3 (claim 10a)."""
    return sum(signs.flips["previous"][1:4]) / signs.survivors


def far_from_start(signs) -> float:
    """Share of the last level's survivors whose last sign differs from the initial one (claim 10b).

    This is reading (ii) of a sign flip.
    """
    return signs.flips["initial"][-1] / signs.survivors


def shared_seeds(results: StudyResults, arms: Iterable[str]) -> list[int]:
    """Seeds that are complete in every one of `arms`: those that can be paired."""
    sets = [set(seeds_of(results, arm)[0]) for arm in arms]
    return sorted(set.intersection(*sets)) if sets else []


def combine(results: StudyResults, coefficients: Mapping[str, float], of_arm: Measure) -> Sample:
    """A linear contrast of arms, paired by seed: only seeds complete in every arm count."""
    return weigh([(c, of_arm(results, arm)) for arm, c in coefficients.items()])


def interval(sample: Sample) -> Interval | None:
    """The mean over seeds of accuracies in points as a fraction, with its interval; None without a seed."""
    return t_interval([value / PERCENT for value in sample.values.values()]) if sample.values else None


def average(sample: Sample) -> list[float]:
    """The mean over seeds as a list of one number; empty without a seed."""
    return [math.fsum(sample.values.values()) / len(sample.values)] if sample.values else []


def weigh(samples: Sequence[tuple[float, Sample]]) -> Sample:
    """Linear contrast of samples, paired by seed.

    `samples` is a list of (coefficient, sample). Only seeds that all samples have count; seeds that some samples
    have and others do not (studies of other seeds) are missing.
    """
    every = [sample for _, sample in samples]
    seeds = sorted(set.intersection(*(set(sample.values) for sample in every)))
    values = {seed: math.fsum(c * sample.values[seed] for c, sample in samples) for seed in seeds}
    diverged = tuple(pair for sample in every for pair in sample.diverged)
    unpaired = {seed for sample in every for seed in sample.values} - set(seeds) - {seed for _, seed in diverged}
    missing = unpaired.union(*(sample.missing for sample in every))
    return Sample(values, diverged, tuple(sorted(missing)))


def means(results: StudyResults, arms: Iterable[str], levels: Sequence[int]) -> dict[str, float]:
    """Mean test accuracy of each arm over `levels`, in accuracy points.

    It is averaged over the arm's complete seeds; an arm without a complete seed is left out.
    """
    found = {arm: list(mean_accuracy(levels)(results, arm).values.values()) for arm in arms}
    return {arm: math.fsum(values) / len(values) for arm, values in found.items() if values}


def at_chance(classes: int | None, accuracies: Iterable[float]) -> bool:
    """Whether no accuracy is clearly better than guessing.

    A network that has learnt nothing is right in 1 of `classes` guesses; `accuracies` are in accuracy points. False
    where the number of classes is not known. No lead can be measured between such networks: pruning has left nothing of
    either.
    """
    return classes is not None and all(value <= PERCENT * CHANCE_FACTOR / classes for value in accuracies)


def mask_share(cycles_before_end: float) -> Measure:
    """Measure: share of each level's last mask that an earlier mask already had, averaged over levels.

    The earlier mask is the one recorded `cycles_before_end` cycles of the schedule before the level's end. Level 0 is
    the dense run's, which is trained equally long. None where no mask was recorded at that epoch.
    """

    def of_arm(results, arm):
        config = results.arms[arm].config if arm in results.arms else {}

        def of_seed(seed):
            records = [level(results, arm, seed, k) for k in range(results.study.levels)]
            shares = [_mask_share(record, cycles_before_end * config.get("epochs", 0)) for record in records]
            return None if None in shares else math.fsum(shares) / len(shares)

        return measure(results, arm, of_seed)

    return of_arm


def _mask_share(record: LevelRecord | None, epochs_before_end: float) -> float | None:
    for taken in record.mask_snapshots if record and record.epochs else ():
        if taken.epoch == record.epochs - epochs_before_end:
            return taken.shared / taken.n_kept
    return None


def sign_shares(results: StudyResults, arm: str, counts: str) -> dict[int, list[float]]:
    """Per complete seed, `counts` (`settles_at` or `switches`) as shares of the last level's survivors."""
    run = results.arms.get(arm)
    found = {seed: run.seeds[seed].signs for seed in seeds_of(results, arm)[0]} if run else {}
    return {
        seed: [count / signs.survivors for count in getattr(signs, counts)]
        for seed, signs in found.items()
        if signs is not None and signs.survivors
    }
