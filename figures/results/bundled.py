"""The studies whose records come with the code, beside those of a results folder.

They took many hours, so they are read and not run again. Their files are named by their place in the code
(`figures/reference/...`), on every machine alike.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from figures.results.folders import FOLDER, kind, names_in
from figures.results.load import load
from figures.results.network import ArmRun, Records, Source, StudyResults
from figures.results.variants import LAST_EPOCH, OURS_PROTOCOL

BUNDLED = Path(__file__).parents[1] / "reference"
PREFIX = "figures/reference"


def bundled_folders() -> list[Path]:
    """The folders of records that come with the code; one with pictures alone is none."""
    return [BUNDLED / name for name in names_in(BUNDLED) if kind(BUNDLED / name / "studies") == FOLDER]


def load_bundled(protocol: str = OURS_PROTOCOL) -> list[Records]:
    """The records of each such folder, whose files and studies name it.

    Parameters
    ----------
    protocol : whose studies, as in `load`.
    """
    return [_named(load(folder, None, protocol), f"{PREFIX}/{folder.name}") for folder in bundled_folders()]


def with_bundled(records: Records) -> Records:
    """The records with the bundled studies of their protocol after their own.

    A study that the results folder has too is that of the results folder alone, so that no seed counts twice. With the
    best accuracies there are none: the studies were not evaluated at every epoch.
    """
    if records.accuracy != LAST_EPOCH:
        return records
    for found in load_bundled(records.protocol):
        there = {results.study.study for results in (*records.studies, *records.sweeps)}
        more = [results for results in found.studies if results.study.study not in there]
        problems = (*records.problems, *found.problems)
        records = replace(records, studies=(*records.studies, *more), problems=problems)
    return records


def place_of(path: str, results: Path) -> tuple[Path, str]:
    """The folder that a file's name in a sidecar is relative to, and its name there.

    Parameters
    ----------
    path : name of a result file, as in `Source.path`.
    results : the results folder.
    """
    inside = path.removeprefix(f"{PREFIX}/")
    return (BUNDLED, inside) if inside != path else (results, path)


def _named(records: Records, folder: str) -> Records:
    """The records with the folder before the name of every file."""

    def files(sources: tuple[Source, ...]) -> tuple[Source, ...]:
        return tuple(replace(source, path=f"{folder}/{source.path}") for source in sources)

    def run(one: ArmRun | None) -> ArmRun | None:
        return one and replace(one, files=files(one.files))

    def runs(some: Mapping[str, ArmRun]) -> dict[str, ArmRun]:
        return {arm: run(one) for arm, one in some.items()}

    def study(one: StudyResults) -> StudyResults:
        pairs = one.connectivity and replace(one.connectivity, files=files(one.connectivity.files))
        return replace(
            one, dense=run(one.dense), arms=runs(one.arms), own_dense=runs(one.own_dense), files=files(one.files),
            connectivity=pairs, bundled=folder,
        )  # fmt: skip

    problems = tuple(replace(p, file=f"{folder}/{p.file}", message=f"{folder}: {p.message}") for p in records.problems)
    return replace(records, studies=tuple(map(study, records.studies)), problems=problems)
