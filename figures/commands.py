"""The command that makes what is missing: one place, for verdicts and for captions. Pure."""

from collections.abc import Iterable

from figures.records import Study

TRAIN = "paper_repro.py train --preset quick"
PLANNED = " (planned: this version does not make it yet)"
PLANNED_ARMS = ("imp-perturbed", "lrr-perturbed", "imp-without-warmup", "lrr-without-warmup", "fine-tune")


def train_command(study: Study | None, arms: Iterable[str]) -> str:
    """The command that makes `arms` of a study: those that it does not list are asked for by name."""
    if study is None:
        return TRAIN
    extra = [arm for arm in arms if arm not in study.arms]
    planned = PLANNED if set(extra) & set(PLANNED_ARMS) else ""
    return study.command + (f" --arms {' '.join(extra)}" if extra else "") + planned
