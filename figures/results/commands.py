"""The command that makes what is missing: one place, for verdicts and for captions. Pure."""

from collections.abc import Iterable

from figures.results.network import Study

TRAIN = "paper_repro.py train --preset quick"


def train_command(study: Study | None, arms: Iterable[str]) -> str:
    """The command that makes `arms` of a study: those that it does not list are asked for by name."""
    if study is None:
        return TRAIN
    extra = [arm for arm in arms if arm not in study.arms]
    return study.command + (f" --arms {' '.join(extra)}" if extra else "")
