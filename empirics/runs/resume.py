"""A level in progress: its past epochs, its checkpoints, and how an interrupted level resumes."""

import dataclasses
import functools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.config import RunConfig, config_hash
from empirics.cycles import Cycle
from empirics.pruning import masks as m
from empirics.runs import level_record
from empirics.runs.context import RunContext, State, state_of
from empirics.runs.mask_sources import masks_change_after, own_masks
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
    folder = context.folder
    sources = context.sources(level)
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
    cycles = context.config.cycles_at(level)
    return checkpoints.Expected(
        level=level,
        config=config_hash(config),
        settings=config.record(),
        state=context.model.state_dict(),
        parameters=[name for name, _ in context.model.named_parameters()],
        prunable=list(context.layers),
        cycle_ends=[cycle.epochs.stop for cycle in cycles],
        has_momentum=config.momentum > 0,
        mask_snapshot_epochs=snapshot_epochs(config, cycles),
        masks_change_after=masks_change_after(config, level),
        depends_on=depends_on,
    )


def snapshot_epochs(config: RunConfig, cycles: Sequence[Cycle]) -> list[int]:
    """The epochs of a level after which mask snapshots are taken.

    The setting counts them from the start of the first cycle.
    """
    trained = [epoch + 1 for cycle in cycles for epoch in cycle.epochs]
    return [at for at in (cycles[0].start + epoch for epoch in config.mask_snapshot_epochs) if at in trained]


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
        self.context = context
        self.level = level
        self._resume_state = resume_state
        self._resumed = resume_state.resumed
        resumed = resume_state.resumed
        self._cycles = context.config.cycles_at(level)
        self._latest: Checkpoint | None = None
        self._saved = resumed.epoch if resumed else 0
        self._saved_at = time.monotonic()
        self._start = start
        self._first_masks = masks
        # SCULPT changes them before its last cycle
        self.masks = dict(resumed.masks) if resumed and resumed.masks else masks
        self.mask_snapshots: dict[int, m.Masks] = dict(resumed.mask_snapshots) if resumed else {}
        self.seen = self._epochs_behind()
        self.seconds_before = sum(_seconds(metrics, context) for metrics in self.seen)

    def cycles(self) -> Iterator[Cycle]:
        """The remaining cycles, each with its remaining epochs."""
        done = self._resumed.epoch if self._resumed else 0
        for cycle in self._cycles:
            left = range(max(cycle.epochs.start, done), cycle.epochs.stop)
            if left:
                yield dataclasses.replace(cycle, epochs=left)

    def momentum(self, cycle: Cycle) -> Momentum | None:
        """The momentum that a cycle resumes with; None for a cycle that starts."""
        # a checkpoint at the end of a cycle has none
        resumes = self._resumed is not None and self._resumed.epoch == cycle.epochs.start
        return dict(self._resumed.momentum) or None if resumes else None

    def on_epoch(self, metrics: EpochMetrics, momentum: Momentum) -> None:
        """Record an epoch, and write a checkpoint if one is due."""
        context = self.context
        config = self.context.config
        setup = self.context.setup
        done = metrics.epoch + 1
        self.seen.append(metrics)
        if done in snapshot_epochs(config, self._cycles):
            self.mask_snapshots[done] = own_masks(context, self.level + 1, state_of(context.model), self.masks)
        context.folder.append_metrics(metrics)
        setup.report(metrics)
        ends = [cycle.epochs.stop for cycle in self._cycles]
        if done == ends[-1]:
            self._latest = None  # the level itself is saved next
            return
        self._latest = checkpoints.copied(
            Checkpoint(
                self.level,
                done,
                context.model.state_dict(),
                {} if done in ends else momentum,
                {} if self.masks is self._first_masks else self.masks,
                dict(self.mask_snapshots),
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
        saved = dataclasses.replace(self._latest, metrics=folder.metrics_hash(self.level), start=self._start_hash)
        config = self.context.config
        checkpoints.save(folder.checkpoints, saved, config_hash(config), config.record())
        self._saved = self._latest.epoch
        self._saved_at = time.monotonic()
        self._latest = None

    @functools.cached_property
    def _start_hash(self) -> str:
        return checkpoints.start_hash(self._start, self._first_masks)

    def _epochs_behind(self) -> list[EpochMetrics]:
        """The metrics of the epochs before the checkpoint; later lines are removed from the log.

        Raises:
            StoreError: lines that the checkpoint needs are missing from the log or have changed.
        """
        done = self._resumed.epoch if self._resumed else 0
        lines = self.context.folder.start_metrics(self.level, done)
        expected = [epoch for cycle in self._cycles for epoch in cycle.epochs if epoch < done]
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
