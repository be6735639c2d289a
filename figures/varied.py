"""Variations: the studies in which one thing of a preset is varied, put side by side. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from figures.records import Records, StudyResults

BASE = "base"


@dataclass(frozen=True)
class Variation:
    """One thing that is varied in a preset on one data set: its studies, in the order of their values.

    `common` holds what was changed in the preset at every value (a smaller network, say); `x` is the value of each of
    `studies`: a number, or a name.
    """

    name: str
    preset: str
    dataset: str
    common: dict[str, Any]
    x: tuple[Any, ...]
    studies: tuple[StudyResults, ...]


def variations(records: Records, name: str) -> list[Variation]:
    """The variation `name` of every preset and data set of which a value has been run, smallest value first.

    The study at the common settings themselves is among the values, whatever variation it was trained for.
    """
    groups: dict[tuple, list[StudyResults]] = {}
    for results in records.variations:
        if results.study.varied == name:
            groups.setdefault(_group(results), []).append(results)
    value = VALUES.get(name, _study_name)
    found = []
    for (preset, dataset, _), studies in groups.items():
        common = dict(studies[0].study.common)
        if name in WITH_BASE:
            studies = [*_base(records, preset, dataset, common), *studies]
        ordered = sorted(studies, key=lambda r: (isinstance(value(r), str), value(r)))
        found.append(Variation(name, preset, dataset, common, tuple(map(value, ordered)), tuple(ordered)))
    return found


def _group(results: StudyResults) -> tuple:
    study = results.study
    return study.base, study.dataset, repr(sorted(study.common.items()))


def _base(records: Records, preset: str, dataset: str, common: dict) -> list[StudyResults]:
    """The study at the common settings: of the variations, or the preset's own where nothing is changed."""
    there = (r for r in (*records.variations, *records.studies) if r.study.varied in (BASE, None))
    same = (r for r in there if (r.study.base, r.study.dataset) == (preset, dataset))
    return [r for r in same if dict(r.study.changed) == common][:1]


def setting(results: StudyResults, name: str) -> Any:
    """A setting of a study as its runs were trained with it; None where no run says."""
    said = (run.config[name] for run in results.arms.values() if name in run.config)
    return next(said, None)


def _of(name: str) -> Callable[[StudyResults], Any]:
    return lambda results: setting(results, name)


def _study_name(results: StudyResults) -> str:
    return results.study.study


# variation -> its value in a study
VALUES: dict[str, Callable[[StudyResults], Any]] = {
    "criterion": _of("criterion"),
    "densities": _of("densities"),
    "model": lambda results: results.study.model,
    "perturbation": lambda results: results.study.study,
    "prune-rate": lambda results: results.study.prune_rate,
    "schedule": _of("schedule"),
    "warm-up": _of("warmup_epochs"),
    "width": lambda results: results.study.width,
}
# those whose values the base is one of
WITH_BASE = ("criterion", "densities", "model", "prune-rate", "schedule", "warm-up", "width")
