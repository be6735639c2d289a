"""Which studies and arms a figure draws, and what is missing of them, with the command that makes it."""

from collections.abc import Sequence

from figures.analysis import measures
from figures.plots import style
from figures.plots.builder import Missing
from figures.results.datasets import PAPER_DATASETS
from figures.results.network import QUICK, Records, Study, StudyResults, train_command, train_of
from figures.results.variants import protocol_mark, with_protocol

SMOKE = "smoke run: not evidence"


def dataset_name(study: Study) -> str:
    """The title of a study's data set for panels and captions, with marks of protocol and smoke run."""
    title = study.title or study.dataset
    marks = [protocol_mark(study.protocol), SMOKE * study.smoke]
    return f"{title} ({', '.join(filter(None, marks))})" if any(marks) else title


def panel_name(study: Study) -> str:
    """The name of a study's panels: its data set.

    The preset is added where it is not the data set's usual one, as is that of a study with a plan; of a smoke run the
    mark says more.
    """
    name = dataset_name(study)
    preset, *changes = study.plain_preset.split(", ")
    if study.smoke:
        return f"{name} (changed)" if changes else name
    usual = study.plain_preset == study.dataset or (study.plain_preset, study.dataset) == QUICK
    if usual or (study.planned and not changes):
        return name
    return f"{name} ({preset}{', changed' if changes else ''})"


def nothing_run(panel: str, protocol: str) -> Missing:
    """A panel of networks of which none has been run under a protocol."""
    return Missing(panel, "nothing has been run", train_of(protocol))


def dataset_not_run(panel: str, dataset: str, protocol: str) -> Missing:
    """A panel whose data set, one of the paper's, has not been run under a protocol."""
    command = with_protocol(f"paper_repro.py train --preset {dataset} --data-dir DIR", protocol)
    return Missing(panel, f"{PAPER_DATASETS[dataset]} has not been run", command)


def absent_datasets(records: Records, wanted: Sequence[str], panel: str) -> list[Missing]:
    """The data sets of the paper's figure whose own preset has not been run.

    A smaller preset does not count as the data set's own, nor does a smoke run.
    """
    there = {(results.study.dataset, results.study.plain_preset) for results in records.judged.studies}
    lost = [name for name in wanted if (name, name) not in there]
    return [dataset_not_run(f"{panel}, {PAPER_DATASETS[name]}", name, records.protocol) for name in lost]


def studies_with(
    records: Records, needed: Sequence[str], named: Sequence[str], panel: str
) -> tuple[list[tuple[StudyResults, list[str]]], list[Missing]]:
    """The studies with every arm of `needed`, each with its arms of `named`, and what is missing."""
    kept = []
    missing = []
    for results in records.studies:
        there, lost = arms_there(results, named, panel)
        missing += lost
        kept += [(results, there)] if set(needed) <= set(there) else []
    return kept, missing


def arms_there(results: StudyResults, arms: Sequence[str], panel: str) -> tuple[list[str], list[Missing]]:
    """Split `arms` into those with a complete seed and those that are missing.

    The arms that the study does not list share one command. An arm that a study with a plan has not planned is not
    missing: no seed is added to such a study.
    """
    there = [arm for arm in arms if measures.has_arm(results, arm) and measures.seeds_of(results, arm)[0]]
    planned = results.study.planned or arms
    absent = [arm for arm in arms if arm not in there and arm in planned]
    unlisted = [arm for arm in absent if arm not in results.study.arms]
    place = f"{panel}, {panel_name(results.study)}"
    lost = [
        Missing(
            place,
            f"{arm} has no complete seed",
            train_command(results.study, unlisted if arm in unlisted else ()),
            style.arm_style(arm).label,
        )
        for arm in absent
    ]
    return there, lost
