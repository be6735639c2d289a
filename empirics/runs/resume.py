"""A level in progress: its past epochs, its checkpoints, and how an interrupted level resumes."""

import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from empirics.config import config_hash
from empirics.pruning import masks as m
from empirics.runs import level_record
from empirics.runs.context import RunContext, State, state_of
from empirics.runs.mask_sources import own_masks
from empirics.storage import checkpoints, environments
from empirics.storage.checkpoints import Checkpoint
from empirics.storage.files import StoreError
from empirics.train import EpochMetrics, Momentum


class Interrupted(RuntimeError):
    """Training was stopped on request; its progress has been written to disk."""


@dataclass(frozen=True)
class ResumeState:
    """How a level starts or resumes.

    Args:
        resumed: the checkpoint that it resumes from, or None.
        environments: the conditions of all processes that contributed to it, including this one.
        depends_on: SHA-256 of the levels that it depends on, by `level_id`.
        notes: warnings.
        changed: how the present conditions differ from those of the inputs, or None.
    """

    resumed: Checkpoint | None
    environments: list[dict[str, Any]]
    depends_on: dict[str, str]
    notes: list[str]
    changed: str | None


def resume_level(context: RunContext, level: int) -> ResumeState:
    """The checkpoint that a level resumes from, if there is one, and what the level depends on.

    Raises:
        StoreError: no checkpoint of the level is valid; or, with `--bit-exact`, an input was made with other versions,
            hardware, thread counts or code, which may change the last bits.
    """
    folder, sources = context.folder, context.sources(level)
    depends_on = {place: environments.content(record) for place, record in sources.items()}
    resumed, notes = checkpoints.newest(folder.checkpoints, expected(context, level, depends_on))
    if folder.has_torn_metrics():
        notes.append("metrics.jsonl had an incomplete line, which is dropped")
    behind = environments.joined(
        *(record["environments"] for record in sources.values()), resumed.environments if resumed else []
    )
    now = environments.conditions(level_record.provenance_of(context.setup))
    changed = environments.changed(behind, now)
    if changed and context.setup.bit_exact:
        raise StoreError(
            f"run {context.config.name}, level {level}: {changed}: --bit-exact does not resume under other conditions"
        )
    depends_on = {**(resumed.depends_on if resumed else {}), **depends_on}
    return ResumeState(resumed, environments.joined(behind, [now]), depends_on, notes, changed)


def expected(context: RunContext, level: int, depends_on: Mapping[str, str]) -> checkpoints.Expected:
    """The expected properties of a checkpoint of a level of this run."""
    config = context.config
    left_out = config.rewind_epoch if level else 0  # epochs of each cycle that weight rewinding does not train
    return checkpoints.Expected(
        level=level,
        config=config_hash(config),
        settings=config.record(),
        state=context.model.state_dict(),
        parameters=[name for name, _ in context.model.named_parameters()],
        prunable=list(context.layers),
        cycle=config.epochs,
        epochs=config.epochs * config.cycles_at(level),
        has_momentum=config.momentum > 0,
        mask_snapshot_epochs=[at for at in config.mask_snapshot_epochs if (at - 1) % config.epochs >= left_out],
        depends_on=depends_on,
    )


class LevelProgress:
    """A level that is being trained: the metrics of its epochs, and its checkpoints.

    Args:
        context: the run.
        level: number of the level.
        start, masks: the state and the masks that it started from.
        resume_state: how it starts or resumes.
    """

    def __init__(
        self, context: RunContext, level: int, start: State, masks: m.Masks, resume_state: ResumeState
    ) -> None:
        self.context, self.level, self._resume_state, self._resumed = context, level, resume_state, resume_state.resumed
        resumed = resume_state.resumed
        self._latest: Checkpoint | None = None
        self._saved, self._saved_at = resumed.epoch if resumed else 0, time.monotonic()
        self._start, self._masks = start, masks
        self.taken: dict[int, m.Masks] = dict(resumed.taken) if resumed else {}
        self.seen = self._epochs_behind()
        self.seconds_before = sum(_seconds(metrics, context) for metrics in self.seen)

    @property
    def _first_epoch(self) -> int:
        return self.context.config.rewind_epoch if self.level else 0

    def cycles(self) -> Iterator[tuple[int, int]]:
        """The remaining cycles, each with the epoch at which it starts or resumes."""
        epochs, done = self.context.config.epochs, self._resumed.epoch if self._resumed else 0
        for cycle in range(self.context.config.cycles_at(self.level)):
            first = max(self._first_epoch, done - cycle * epochs)
            if first < epochs:
                yield cycle, first

    def momentum(self, cycle: int) -> Momentum | None:
        """The momentum that a cycle resumes with; None for a cycle that starts."""
        if self._resumed is None or self._resumed.epoch // self.context.config.epochs != cycle:
            return None
        return dict(self._resumed.momentum) or None

    def on_epoch(self, metrics: EpochMetrics, momentum: Momentum) -> None:
        """Record an epoch, and write a checkpoint if one is due."""
        context, config, setup = self.context, self.context.config, self.context.setup
        done = metrics.epoch + 1
        self.seen.append(metrics)
        if done in config.mask_snapshot_epochs:
            self.taken[done] = own_masks(context, self.level + 1, state_of(context.model), self._masks)
        context.folder.append_metrics(metrics)
        setup.report(metrics)
        if done == config.epochs * config.cycles_at(self.level):
            self._latest = None  # the level itself is saved next
            return
        self._latest = checkpoints.copied(
            Checkpoint(
                self.level,
                done,
                context.model.state_dict(),
                momentum if done % config.epochs else {},
                self._start,
                self._masks,
                dict(self.taken),
                self._resume_state.environments,
                self._resume_state.depends_on,
            )
        )
        minutes = (time.monotonic() - self._saved_at) / 60
        if minutes >= setup.checkpoint_minutes or (
            setup.checkpoint_epochs and done - self._saved >= setup.checkpoint_epochs
        ):
            self._save()

    def on_step(self) -> None:
        """Stop on request, with a checkpoint of the last complete epoch.

        Raises:
            Interrupted: after that checkpoint was written.
        """
        if self.context.setup.stop():
            if self._latest is not None:
                self._save()
            raise Interrupted(f"stopped at level {self.level}, epoch {self._saved}: the same command resumes there")

    def _save(self) -> None:
        folder = self.context.folder
        folder.sync_metrics()  # a checkpoint needs the lines before it
        saved = dataclasses.replace(self._latest, metrics=folder.metrics_hash(self.level))
        config = self.context.config
        checkpoints.save(folder.checkpoints, saved, config_hash(config), config.record())
        self._saved, self._saved_at, self._latest = self._latest.epoch, time.monotonic(), None

    def _epochs_behind(self) -> list[EpochMetrics]:
        """The metrics of the epochs before the checkpoint; later lines are removed from the log.

        Raises:
            StoreError: lines that the checkpoint needs are missing from the log or have changed.
        """
        done, epochs = self._resumed.epoch if self._resumed else 0, self.context.config.epochs
        lines = self.context.folder.start_metrics(self.level, done)
        expected = [epoch for epoch in range(done) if epoch % epochs >= self._first_epoch]
        changed = self._resumed and self._resumed.metrics != self.context.folder.metrics_hash(self.level)
        if [line["epoch"] for line in lines] != expected or changed:
            raise StoreError(
                f"metrics.jsonl of run {self.context.config.name}, seed {self.context.seed}, has lost or changed "
                f"epochs of level {self.level} that its checkpoint needs: delete the folder "
                "checkpoints to retrain it"
            )
        return [_metrics(line) for line in lines]


def _metrics(line: dict[str, Any]) -> EpochMetrics:
    names = {field.name for field in dataclasses.fields(EpochMetrics)}
    numbers = all(value is None or type(value) in (int, float) and abs(value) < math.inf for value in line.values())
    if set(line) != names or not numbers:
        raise StoreError(f"metrics.jsonl has an invalid line: {str(line)[:80]}: delete the run")
    return EpochMetrics(**line)


def _seconds(metrics: EpochMetrics, context: RunContext) -> float:
    """The approximate time of an epoch in seconds: its images divided by its images per second."""
    n = len(context.setup.dataset.labels("train"))
    return n / metrics.images_per_s if metrics.images_per_s and math.isfinite(metrics.images_per_s) else 0.0
