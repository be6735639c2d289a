"""Sweeps: the studies in which one setting of a preset is varied, collected by value. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from figures.analysis import measures
from figures.analysis.statistics import Interval, t_interval
from figures.analysis.table import arm_curve, frame
from figures.results.network import Records, Study, StudyResults, train_of
from figures.results.variants import OURS_PROTOCOL

BASE = "base"
PERTURBED_ARMS = ("imp-perturbed", "lrr-perturbed")
USUAL_SHARE = 0.2  # of the surviving signs, flipped at the start of the middle level: what claim 11 is about
_FIRST = ("imp", "lrr")  # other arms may change a setting themselves (those without warm-up do)


@dataclass(frozen=True)
class Sweep:
    """One setting that is varied in a preset on one data set: its studies, in the order of their values.

    `preset` names the protocol too, where it is not ours. `shared_overrides` holds what was changed in the preset at
    every value (a smaller network, say); `x` is the value of
    each of `studies`: a number, or a name. `own` is the study of the preset itself where it has been run, whose network
    may be another one; `command` makes every value; `has_base` is False where the study at the common settings is one
    of the values and has not been run.
    """

    name: str
    preset: str
    dataset: str
    shared_overrides: dict[str, Any]
    x: tuple[Any, ...]
    studies: tuple[StudyResults, ...]
    command: str = ""
    own: StudyResults | None = None
    has_base: bool = True

    @property
    def study(self) -> Study:
        """The first of its studies, for what all share: preset, data set, common settings."""
        return self.studies[0].study

    @property
    def place(self) -> str:
        """Preset with its common changes, and data set.

        A block of panels has this name in `plotted` and in lists.
        """
        changes = "".join(f", {name}={value}" for name, value in self.shared_overrides.items())
        return f"{self.preset}{changes}, {self.dataset}{', smoke run' if self.study.smoke else ''}"


def find_sweeps(records: Records, name: str) -> list[Sweep]:
    """The sweep `name` of every preset and data set with results, its values from the smallest up.

    The study at the common settings themselves is among the values, whichever sweep it was trained for, unless it
    differs from them in more than the varied setting (a sweep over widths may be on another network than the preset's).
    """
    groups: dict[tuple, list[StudyResults]] = {}
    for results in records.sweeps:
        if results.study.swept == name:
            groups.setdefault(_group(results), []).append(results)
    return [_sweep(records, name, studies) for studies in groups.values()]


def _sweep(records: Records, name: str, studies: list[StudyResults]) -> Sweep:
    first = studies[0].study
    varied = varied_setting(name, studies)
    shared_overrides = dict(first.shared_overrides)
    wanted = varied == "model" or (varied is not None and not any(map(_on_another_network, studies)))
    base = _study_with(records, first.place, shared_overrides) if wanted else None

    def value(results: StudyResults) -> Any:
        return results.study.study if varied is None else setting(results, varied)

    ordered = sorted([base, *studies] if base else studies, key=lambda results: _order(value(results)))
    own = _study_with(records, first.place, {})
    x = tuple(map(value, ordered))
    has_base = bool(base) or not wanted
    preset = first.base if first.protocol == OURS_PROTOCOL else f"{first.base}, {first.protocol}"
    return Sweep(name, preset, first.dataset, shared_overrides, x, tuple(ordered), first.command, own, has_base)


def perturbed_studies(records: Records) -> list[tuple[StudyResults, Sweep | None]]:
    """Studies with a fifth of the signs perturbed at the middle level, each with its sweep.

    It is the preset's own study (then the sweep is None) where the perturbed arms have been run completely in it;
    otherwise the study with that value of the sweep `perturbation`.
    """
    own = [results for results in records.studies if _is_usual(results) and _has_perturbed(results)]
    judged = {results.study.place for results in own}
    varied = [v for v in find_sweeps(records, "perturbation") if v.study.place not in judged]
    usual = [(results, sweep) for sweep in varied for results in sweep.studies if _is_usual(results)]
    return [*((results, None) for results in own), *usual]


def _has_perturbed(results: StudyResults) -> bool:
    return bool(measures.shared_seeds(results, (*_FIRST, *PERTURBED_ARMS)))


def _is_usual(results: StudyResults) -> bool:
    run = next((results.arms[arm] for arm in PERTURBED_ARMS if arm in results.arms), None)
    wanted = {"perturb_rate": USUAL_SHARE, "perturb_level": results.study.levels // 2, "perturb_scope": "global"}
    return run is not None and {name: run.config.get(name) for name in wanted} == wanted


def _on_another_network(results: StudyResults) -> bool:
    study = results.study
    return study.overrides.get("model") != study.shared_overrides.get("model")


def sweep_command(name: str, protocol: str = OURS_PROTOCOL) -> str:
    """The command that makes every value of a sweep of the preset `quick` under a protocol."""
    return f"{train_of(protocol)} --sweep {name}"


def format_value(x: Any) -> str:
    """A value as text: numbers without needless zeros."""
    return "not known" if x is None else f"{x:g}" if _is_number(x) else str(x)


def differing(sweep: Sweep) -> dict[str, Any]:
    """Those of the common settings that hold at every value: the varied setting may replace one of them."""
    changed = [study.study.overrides for study in sweep.studies]
    return {name: value for name, value in sweep.shared_overrides.items() if all(c.get(name) == value for c in changed)}


def _order(x: Any) -> tuple:
    return (0, x, "") if _is_number(x) else (2, 0, "") if x is None else (1, 0, str(x))


def _is_number(x: Any) -> bool:
    return isinstance(x, int | float) and not isinstance(x, bool)


def _group(results: StudyResults) -> tuple:
    study = results.study
    return study.place, repr(sorted(study.shared_overrides.items()))


def _study_with(records: Records, place: tuple, changed: Mapping) -> StudyResults | None:
    """The study of a place in which just `changed` differs from the preset: of a sweep, or its own."""
    there = (r for r in (*records.sweeps, *records.studies) if r.study.swept in (BASE, None))
    same = (r for r in there if r.study.place == place)
    return next((r for r in same if dict(r.study.overrides) == dict(changed)), None)


def varied_setting(name: str, studies: Sequence[StudyResults]) -> str | None:
    """The setting whose values are those of a sweep; None where each value is a study's name.

    A study varies the `overrides` that are not its `shared_overrides`. Where it varies several (a prune rate and the
    number of levels that suits it), the setting that has the sweep's name counts.
    """
    if SWEEP_ENTRIES.get(name, SweepEntry()).by_study:
        return None
    changes = [(setting, value, r.study) for r in studies for setting, value in r.study.overrides.items()]
    varied = {setting for setting, value, study in changes if study.shared_overrides.get(setting) != value}
    own = name.replace("-", "_")
    if own in varied:
        return own
    return varied.pop() if len(varied) == 1 else None


def setting(results: StudyResults, name: str) -> Any:
    """A setting of a study; None if it is not recorded.

    The value is the one that the study's record changes it to, else the record's own, else the one that its runs were
    trained with.
    """
    if name in results.study.overrides:
        return results.study.overrides[name]
    if name in _OF_STUDY:
        return getattr(results.study, name)
    said = (run.config[name] for run in _runs(results) if name in run.config)
    return next(said, None)


def _runs(results: StudyResults) -> Iterable:
    first = [results.arms[arm] for arm in _FIRST if arm in results.arms]
    return [*first, *(run for arm, run in results.arms.items() if arm not in _FIRST)]


_OF_STUDY = ("model", "width", "prune_rate", "levels")  # settings that every study's record states


@dataclass(frozen=True)
class SweepEntry:
    """What the records of a sweep do not say.

    `values_needed`: the smallest number of values that a preset has; a claim on the sweep is not judged on fewer.
    `by_study`: a value is a combination of settings, named as its study is, and the common settings are not among the
    values.
    """

    values_needed: int = 1
    by_study: bool = False


# Only sweeps that need one: the settings that a sweep varies, and so its values, are in the records of its studies.
SWEEP_ENTRIES: dict[str, SweepEntry] = {
    "criterion": SweepEntry(values_needed=4),
    "mask-convergence": SweepEntry(by_study=True),
    "model": SweepEntry(values_needed=2),
    "perturbation": SweepEntry(by_study=True),
    "protocol": SweepEntry(by_study=True),
    "prune-rate": SweepEntry(values_needed=3),
    "schedule": SweepEntry(values_needed=3),
    "width": SweepEntry(values_needed=3),
}


IMP_AND_LRR = ("imp", "lrr")
CHANCE = "chance"


@dataclass(frozen=True)
class Value:
    """One value of a sweep.

    By arm: `curves` over density, `h` (a summary: mean and 95 % interval as fractions, n, and each seed's value), the
    seeds that are `complete` and `diverged`, and how many complete ones are `at_chance` (`CHANCE_FACTOR`). `lead` is
    the summary of high-sparsity accuracy, LRR - IMP, paired by seed; where there is no lead, `state` gives the reason.
    `nothing_left` is True where both rules are at chance, so that no lead can be measured. `levels` are those of
    high-sparsity accuracy, `weights` the number of the network's prunable weights and of those that the last level
    keeps.
    """

    x: object
    results: StudyResults
    levels: tuple[int, ...]
    curves: Mapping[str, dict]
    h: Mapping[str, dict]
    lead: dict
    complete: Mapping[str, list[int]]
    diverged: Mapping[str, list[int]]
    at_chance: Mapping[str, int]
    weights: tuple[int, int] | None
    state: str
    nothing_left: bool

    @property
    def chance(self) -> float | None:
        """Test accuracy of a network that has learnt nothing; None for a data set of unknown classes."""
        classes = self.results.study.classes
        return 1 / classes if classes else None

    @property
    def drawable(self) -> bool:
        """Whether any seed has run to its end, complete or diverged."""
        return any(self.complete.values()) or any(self.diverged.values())


def values_of(sweep: Sweep) -> list[Value]:
    """Every value of a sweep, in its order."""
    return [_value(x, results) for x, results in zip(sweep.x, sweep.studies, strict=True)]


def _value(x, results: StudyResults) -> Value:
    levels = measures.high_sparsity_levels(results)
    h = {arm: summary(measures.mean_accuracy(levels)(results, arm).values) for arm in IMP_AND_LRR}
    lead = summary(measures.combine(results, measures.LEAD, measures.mean_accuracy(levels)).values)
    seeds = {arm: measures.seeds_of(results, arm) for arm in IMP_AND_LRR}
    table = frame(results, IMP_AND_LRR)
    return Value(
        x,
        results,
        levels,
        {arm: arm_curve(table, arm) for arm in IMP_AND_LRR},
        h,
        lead,
        {arm: found[0] for arm, found in seeds.items()},
        {arm: found[1] for arm, found in seeds.items()},
        {arm: sum(_at_chance(results, [value]) for value in h[arm]["values"]) for arm in IMP_AND_LRR},
        _weights(results),
        _state(levels, lead, seeds),
        bool(lead["n"]) and _at_chance(results, [h[arm]["mean"] for arm in IMP_AND_LRR]),
    )


def _at_chance(results: StudyResults, accuracies: Sequence[float]) -> bool:
    return measures.at_chance(results.study.classes, [measures.PERCENT * value for value in accuracies])


def summary(points: Mapping[int, float]) -> dict:
    """Mean and Student-t interval of one number per seed, as fractions.

    `points` maps a seed to its number in accuracy points.
    """
    values = [value / measures.PERCENT for value in points.values()]
    found = t_interval(values) if values else Interval(None, None, None, 0)
    return {"seeds": list(points), "values": values, **asdict(found)}


def _state(levels: Sequence[int], lead: dict, seeds: Mapping[str, tuple]) -> str:
    if lead["n"]:
        return ""
    if any(diverged for _, diverged, _ in seeds.values()):
        return "diverged"
    return "not complete" if levels else "no level of\ndensity <= .03"


def _weights(results: StudyResults) -> tuple[int, int] | None:
    last = results.study.levels - 1
    for arm in IMP_AND_LRR:
        for seed in measures.seeds_of(results, arm)[0]:
            layers = measures.level(results, arm, seed, last).layers.values()
            if layers:
                return sum(layer["size"] for layer in layers), sum(layer["n_kept"] for layer in layers)
    return None


def growth(values: Sequence[Value]) -> dict:
    """The lead at the last value minus that at the first, paired by seed: a summary, as in claim 13."""
    last, first = (measures.combine(v.results, measures.LEAD, measures.mean_accuracy(v.levels))
                   for v in (values[-1], values[0]))  # fmt: skip
    return summary(measures.weigh([(1, last), (-1, first)]).values)


def plotted(values: Sequence[Value], with_growth: bool = False) -> dict:
    """What a figure's sidecar keeps of a sweep."""
    out = {
        "values": [
            {
                "value": value.x,
                "study": value.results.study.study,
                "levels": list(value.levels),
                "curves": dict(value.curves),
                "h": dict(value.h),
                "lead": value.lead,
                "diverged": dict(value.diverged),
                "at_chance": dict(value.at_chance),
                "weights": value.weights,
            }
            for value in values
        ]
    }
    return out | ({"growth": growth(values)} if with_growth and len(values) > 1 else {})
