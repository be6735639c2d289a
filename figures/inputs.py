"""The results that a figure reads.

These are its files, the problems with them, its runs and their provenance. Pure.
"""

import json
from collections.abc import Iterator
from dataclasses import replace

from figures.analysis import measures
from figures.analysis.sweeps import find_sweeps
from figures.catalogue import FigureSpec
from figures.results.load import OF_CONNECTIVITY
from figures.results.network import ArmRun, Problem, Records, Source, StudyResults


def shown_in(spec: FigureSpec, records: Records) -> Records:
    """The records without the bundled studies that have nothing of what a figure shows.

    Nobody would train what they lack, so such a figure would have an empty panel for good.
    """
    kept = tuple(results for results in records.studies if not results.bundled or _has_part(spec, results))
    return records if len(kept) == len(records.studies) else replace(records, studies=kept)


def _has_part(spec: FigureSpec, results: StudyResults) -> bool:
    """Whether a study has an arm that is the figure's own; IMP and LRR are, if it shows no others."""
    own = [arm for arm in spec.arms if arm not in _COMMON]
    if spec.connectivity and results.connectivity is None:
        return False
    return any(arm in results.arms for arm in own or spec.arms)


_COMMON = ("imp", "lrr", "imp-long")


def studies_read(spec: FigureSpec, records: Records) -> Iterator[tuple[StudyResults, tuple[str, ...]]]:
    """Every study that a figure reads, with the arms that it reads of it.

    These are the preset's own studies, then the values of each sweep (the study at the common settings may belong to
    several), and the record of the preset's own study, with which a sweep is compared.
    """
    for results in records.studies if spec.arms else ():
        if not spec.presets or results.study.base in spec.presets:
            yield results, () if _stood_in_for(results, spec, records) else (*spec.arms, *spec.more)
    for name, arms in (*spec.sweeps.items(), *spec.also.items()):
        for sweep in find_sweeps(records, name):
            for results in sweep.studies:
                yield results, arms
            if sweep.own:
                yield sweep.own, ()


def _stood_in_for(results: StudyResults, spec: FigureSpec, records: Records) -> bool:
    """Whether a sweep is drawn in place of a study.

    It is where the sweep has every arm that the figure needs and the study has not.
    """
    if not spec.reads_sweeps_alone or set(spec.arms) <= set(results.arms):
        return False
    place = results.study.place
    return any(v.study.place == place for name in spec.sweeps for v in find_sweeps(records, name))


def figure_inputs(spec: FigureSpec, records: Records) -> list[Source]:
    """Every result file that a figure reads, by path."""
    sources = [source for name in spec.theory if name in records.theory for source in records.theory[name].files]
    for results, arms in studies_read(spec, records):
        runs = [run for arm in arms for run in (results.dense_of(arm), results.arms.get(arm))]
        sources += [*results.files, *(source for run in runs if run for source in run.files)]
        if spec.connectivity and results.connectivity:
            sources += results.connectivity.files
    return sorted(set(sources), key=lambda source: source.path)


def figure_problems(spec: FigureSpec, records: Records) -> list[Problem]:
    """The problems with files that a figure would have read."""
    owners = set(spec.theory) | ({"studies"} if spec.arms or spec.sweeps else set())
    owners |= {OF_CONNECTIVITY} if spec.connectivity else set()
    for results, arms in studies_read(spec, records):
        owners |= {run.run for arm in arms if (run := results.dense_of(arm))}
        owners |= {results.study.dense_run} | {results.study.arms.get(arm, "") for arm in arms}
    found = [problem for problem in records.problems if problem.owner in owners]
    return [problem for problem in found if spec.signs or not problem.signs_only]


def theory_used(spec: FigureSpec, records: Records) -> dict:
    """The neuron's results that a figure reads, for its sidecar."""
    used = {name: records.theory[name] for name in spec.theory if name in records.theory}
    return {
        name: {
            "file": r.name,
            "params": r.params,
            "command": r.command,
            "provenance": r.provenance,
            "seconds": round(r.seconds, 3),
        }
        for name, r in used.items()
    }


def studies_used(spec: FigureSpec, records: Records) -> dict:
    """The studies that a figure reads and the runs of their arms, for its sidecar."""
    used: dict[str, dict] = {}
    for results, arms in studies_read(spec, records):
        study = results.study
        entry = {"scope": study.scope, "command": study.command, "dense_run": study.dense_run, "arms": {},
                 "dense_seconds": {}, "smoke": study.smoke, "protocol": study.protocol}  # fmt: skip
        entry |= {"records": results.bundled} if results.bundled else {}
        entry = used.setdefault(study.study, entry)
        found = [arm for arm in arms if arm in results.arms]
        entry["arms"] |= {arm: _run_used(results, arm) for arm in found if arm not in entry["arms"]}
        dense = filter(None, (results.dense_of(arm) for arm in found))
        entry["dense_seconds"] |= {run.run: _seconds(run) for run in dense}
    return used


def _seconds(run: ArmRun) -> float:
    """The time that a run's levels took, over its seeds."""
    levels = [level for seed in run.seeds.values() for level in seed.levels.values()]
    return round(sum(level.seconds for level in levels), 3)


def _run_used(results: StudyResults, arm: str) -> dict:
    run = results.arms[arm]
    complete, diverged, missing = measures.seeds_of(results, arm)
    made_by = {json.dumps(level.provenance, sort_keys=True) for s in run.seeds.values() for level in s.levels.values()}
    return {"run": run.run, "config": run.config, "seeds": complete, "diverged": diverged, "missing": missing,
            "seconds": _seconds(run),
            "provenance": [json.loads(text) for text in sorted(made_by)]}  # fmt: skip
