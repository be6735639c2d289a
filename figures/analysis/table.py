"""One tidy table of results, and means over seeds with their intervals.

`frame` makes the table, `paired` and `contrast_curve` compare arms in it. pandas selects rows and sums nothing: every
mean and interval is that of `figures.analysis.statistics`.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from figures.analysis import measures
from figures.analysis.statistics import interval_columns
from figures.results.fields import READINGS
from figures.results.load import load
from figures.results.network import LevelRecord, Records, StudyResults
from figures.results.variants import EVERY_PROTOCOL

if TYPE_CHECKING:
    from pandas import DataFrame

COMPLETE = "complete"
_DIVERGED = "diverged"
MISSING = "missing"

# Every column of the table, with what it holds: the README's table.
COLUMNS = {
    "study": "name of the study",
    "protocol": "`ours` or `authors`",
    "preset": "preset that the study is made from",
    "overrides": "what is changed in the preset, as text (`width=8`); empty for the preset itself",
    "swept": "sweep of which the study is a value; empty for a study of a preset",
    "smoke": "whether it is a smoke run, which is no evidence",
    "dataset": "data set",
    "model": "network",
    "width": "width of the network; missing where it has none",
    "arm": "method: rewinding rule, source of masks, what is rewound",
    "run": "name of the run",
    "seed": "seed",
    "seed_status": "`complete` (all levels of the arm), `diverged` or `missing` (not complete)",
    "level": "level; 0 is the dense network, which arms share: its row is repeated for each arm",
    "status": "`complete`, `diverged` or `missing`, of the level alone; its results are missing unless it is complete",
    "density": "share of the weights that is kept",
    "nominal_density": "density that the prune rate gives, the same for every arm",
    "epochs": "epochs that the level was trained for",
    "train_loss": "training loss at the end of the level",
    "train_accuracy": "training accuracy, a fraction",
    "test_loss": "test loss",
    "test_accuracy": "test accuracy, a fraction",
    "flips_level_start": "share of the kept weights with another sign than at the level's start",
    "flips_initial": "the same, than at initialisation (under the authors' protocol, the rewind point)",
    "flips_previous": "the same, than at the end of the level before",
    "seconds": "time that the level took",
}

_NUMBERS = list(COLUMNS)[list(COLUMNS).index("density") :]


def frame(results: Records | StudyResults | Path | str, arms: Iterable[str] | None = None) -> "DataFrame":
    """The results as one tidy pandas table, a row for each level of each seed of each arm of each study.

    A level that should be there and is not has a row whose `status` says so. `COLUMNS` says what each column holds.

    Parameters
    ----------
    results : a results folder, of which all protocols are read, or what `figures.load` returns, or one of its studies.
    arms : the arms in the table; None for all.

    Examples
    --------
    >>> table = frame("results")
    >>> table[table.seed_status == "complete"].groupby(["study", "arm", "level"]).test_accuracy.mean()
    """
    import pandas as pd

    records = load(results, protocol=EVERY_PROTOCOL) if isinstance(results, Path | str) else results
    studies = [records] if isinstance(records, StudyResults) else [*records.studies, *records.sweeps]
    rows = [row for study in studies for row in _rows(study, study.arms if arms is None else arms)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(_NUMBERS, float))


def _rows(results: StudyResults, arms: Iterable[str]) -> Iterator[tuple]:
    study = results.study
    overrides = ", ".join(f"{name}={value}" for name, value in study.overrides.items())
    of_study = (study.study, study.protocol, study.base, overrides, study.swept or "", study.smoke, study.dataset)
    for arm in (arm for arm in arms if arm in results.arms):
        levels = measures.expected_levels(results, arm)
        levels = (0, *levels) if levels[:1] == (1,) else levels
        groups = zip((COMPLETE, _DIVERGED, MISSING), measures.seeds_of(results, arm), strict=True)
        seeds = sorted((seed, status) for status, found in groups for seed in found)
        for seed, status in seeds:
            of_seed = (*of_study, study.model, study.width, arm, results.arms[arm].run, seed, status)
            for number in levels:
                record = measures.level(results, arm, seed, number)
                yield (*of_seed, number, *_numbers(record, study.density(number)))


def _numbers(record: LevelRecord | None, nominal_density: float) -> tuple:
    """The columns of one level, from its status on."""
    if record is None or record.status != COMPLETE:
        seconds = record.seconds if record else None
        return (MISSING if record is None else _DIVERGED, None, nominal_density, *[None] * 8, seconds)
    accuracies = (record.train_loss, record.train_accuracy, record.test_loss, record.test_accuracy)
    flips = (_flipped(record, reading) for reading in READINGS)
    return (COMPLETE, record.density, nominal_density, record.epochs, *accuracies, *flips, record.seconds)


def _flipped(record: LevelRecord, reading: str) -> float | None:
    """The share of a level's weights that have flipped by one reading; None where that was not recorded."""
    flips = [layer["flips"].get(reading) for layer in record.layers.values()]
    kept = sum(layer["n_kept"] for layer in record.layers.values())
    return None if None in flips or not kept else sum(flips) / kept


def paired(table: "DataFrame", a: str, b: str, value: str = "test_accuracy") -> "DataFrame":
    """The difference of two arms, a - b, paired by seed, at each level that both have, for each study.

    Only seeds that are complete in both arms count. Level 0 is left out: most arms share it.

    Parameters
    ----------
    table : of `frame`, or rows of it.
    a, b : the arms.
    value : the column that is compared.

    Returns
    -------
    A row for each study and level: `density`, the `mean` difference, the ends `low` and `high` of its Student-t 95 %
    interval (missing for one seed), the number of seeds `n`, and the differences of the seeds, `values`.
    """
    import pandas as pd

    columns = ["study", "level", "density", "mean", "low", "high", "n", "values"]
    found = []
    for study, own in table.groupby("study", sort=False):
        curve = contrast_curve(own, {a: 1, b: -1}, value)
        found += [(study, *row) for row in zip(*(curve[name] for name in columns[1:]), strict=True)]
    return pd.DataFrame(found, columns=columns).astype(dict.fromkeys(("density", "mean", "low", "high"), float))


def contrast_curve(table: "DataFrame", arms: Mapping[str, float], value: str = "test_accuracy") -> dict[str, list]:
    """A linear contrast of arms over the levels that all of them have, paired by seed.

    Only seeds that are complete in every arm count. A single arm has its level 0 too, if each of its seeds has it.

    Parameters
    ----------
    table : of `frame`, or rows of it, of one study.
    arms : arm -> factor; one arm with factor 1 for its own curve.
    value : a column of the table.

    Returns
    -------
    Lists `level`, `density` (of the first arm), `mean`, `low`, `high`, `n` and `values` (one for each seed, in the
    order of `seeds`), with an entry for each level, and `seeds`.
    """
    rows = table[table["arm"].isin(list(arms)) & (table["seed_status"] == COMPLETE) & (table["status"] == COMPLETE)]
    cells = {arm: {} for arm in arms}
    columns = (rows[name] for name in ("arm", "level", "seed", "density", value))
    for arm, level, seed, *cell in zip(*columns, strict=True):
        cells[arm][level, seed] = cell
    shared = set.intersection(*map(set, cells.values()))
    seeds = sorted({seed for _, seed in shared})
    every = sorted({level for level, _ in shared if level or len(arms) == 1})
    levels = [level for level in every if all((level, seed) in shared for seed in seeds)]
    values = [
        [math.fsum(factor * cells[arm][level, seed][1] for arm, factor in arms.items()) for seed in seeds]
        for level in levels
    ]
    density = [next(iter(cells.values()))[level, seeds[0]][0] for level in levels]
    return {"level": levels, "density": density, **interval_columns(values), "values": values, "seeds": seeds}


def seeds_with(table: "DataFrame", arm: str, status: str) -> list[int]:
    """The seeds of an arm that are complete, have diverged or are missing; `table`: of one study."""
    return sorted(set(table.loc[(table["arm"] == arm) & (table["seed_status"] == status), "seed"]))


def arm_curve(table: "DataFrame", arm: str, value: str = "test_accuracy") -> dict[str, list]:
    """The curve of one arm without its seeds' values, but with the seeds that diverged or are missing."""
    found = contrast_curve(table, {arm: 1}, value)
    del found["values"]
    return found | {status: seeds_with(table, arm, status) for status in (_DIVERGED, MISSING)}
