"""A run that is being trained: what it holds between levels, and reads and writes around each.

Resumption, provenance, warnings and the lease stand behind `open_run`, `begin` and `save`, so that the loop over levels
reads like the paper.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from empirics.config import RunConfig
from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.runs import level_record
from empirics.runs.context import RunContext, RunSetup, State, new_context
from empirics.runs.mask_sources import load_masks, load_signs
from empirics.runs.resume import ResumeState, resume_level
from empirics.storage import checkpoints
from empirics.storage.checkpoints import Checkpoint
from empirics.storage.files import StoreError
from empirics.storage.run_folder import INITIAL_TENSORS, MASK_TENSORS, SIGN_TENSORS, WEIGHT_TENSORS


@dataclass(frozen=True)
class TrainedLevel:
    """The outcome of training one level.

    Args:
        start, masks: the state that it started from, and its masks.
        end: the state at its end; None if it diverged.
        measured: its numbers for `level.json`; None if it diverged.
        diverged: why its loss or a weight was not finite; None if all were finite.
    """

    start: State
    masks: m.Masks
    end: State | None = None
    measured: dict[str, Any] | None = None
    diverged: str | None = None


@contextmanager
def open_run(config: RunConfig, seed: int, setup: RunSetup) -> Iterator["OpenRun"]:
    """A run that this process alone trains, until the block ends.

    Raises:
        StoreError: another process is training it, or its folder belongs to other settings.
    """
    context = new_context(config, seed, setup)
    with context.folder.lease():
        context.folder.write_config(config)
        yield OpenRun(context)


class OpenRun:
    """A run that is being trained, between its levels.

    Args:
        context: the run.
    """

    def __init__(self, context: RunContext) -> None:
        self.context = context
        self.resume_state: ResumeState | None = None  # of the level that was begun last
        self.rewind_point: State | None = None  # kept from level to level: see `level_start`
        self.initial_signs: signs.Signs | None = None  # of level 0, if those of its start do not count as initial
        self._trained: State | None = None
        self._notes: list[str] = []
        self._diverged: set[int] = set()
        self._has_mask_run = False

    @property
    def checkpoint(self) -> Checkpoint | None:
        """The checkpoint that the present level resumes from."""
        return self.resume_state.resumed if self.resume_state else None

    def begin(self, level: int) -> bool:
        """Prepare a level, and return whether it must be trained.

        It need not if it is complete, or if the dense run or the mask run diverged, which is then recorded.

        Raises:
            StoreError: as for `resume.resume_level`; or a level of the mask run is missing.
        """
        context = self.context
        folder = self.context.folder
        # verified once, since this reads all of the level's tensors to check their hashes
        if (existing := folder.level_record(level)) is not None:
            if existing["status"] == "diverged":
                self._diverged.add(level)
            return False
        self._trained = None
        self.resume_state = resume_level(context, level)
        if (reason := _inherited_divergence(context, level)) is not None:
            self._save_diverged(level, reason)
            return False
        for text in [*self.resume_state.notes, *self._resume_notes(level)]:
            self._warn(text)
        if not self._has_mask_run:
            _check_mask_run(context, level)
            self._has_mask_run = True
        return True

    def check_start(self, level: int, start: State, masks: m.Masks) -> None:
        """Drop the checkpoint of a level, with a warning, if it began from another start or other masks.

        Both are computed again when a level resumes, and under other conditions they may have other bits.
        """
        if self.checkpoint is None or self.checkpoint.start == checkpoints.start_hash(start, masks):
            return
        self._warn(f"level {level} starts again: its checkpoint had another start, or other masks, than computed here")
        checkpoints.clear(self.context.folder.checkpoints, level)
        self.resume_state = resume_level(self.context, level)

    def is_diverged(self, level: int) -> bool:
        """Whether a level, which was begun, is recorded as diverged."""
        return level in self._diverged

    def trained(self, level: int) -> State:
        """The trained state that a level is pruned from; read once."""
        if self._trained is None:
            folder, source = self.context.source_level(level)
            self._trained = folder.load_tensors(source, WEIGHT_TENSORS)
        return self._trained

    def save(self, level: int, trained: TrainedLevel) -> None:
        """Save a level, and clear its checkpoints."""
        context = self.context
        folder = self.context.folder
        if trained.diverged is not None:
            self._save_diverged(level, trained.diverged, trained.masks)
        else:
            start = trained.start
            masks = trained.masks
            end = trained.end
            bits = {"start": signs.sign_bits(start, list(masks)), "end": signs.sign_bits(end, list(masks))}
            bits |= {"initial": self.initial_signs} if self.initial_signs is not None else {}
            before = _masks_before(context, level)
            folder.sync_metrics()  # a complete level has its metrics on the disk
            record = {
                **level_record.header(context.config, context.seed, level, masks),
                **trained.measured,
                "overlap_with_previous_level": None if before is None else m.overlap(before, masks),
                "n_kept_previous_level": None if before is None else m.count(before),
                "layers": level_record.layers(masks, bits["end"], _moments(context, level, bits, masks), start, end),
                **self._made(),
                "metrics_sha256": folder.metrics_hash(level),
            }
            packed = {f"{moment}/{name}": value for moment in bits for name, value in signs.pack(bits[moment]).items()}
            files = {WEIGHT_TENSORS: end, MASK_TENSORS: signs.pack(masks), SIGN_TENSORS: packed}
            folder.save_level(record, files | ({INITIAL_TENSORS: start} if context.config.is_dense else {}))
        checkpoints.clear(folder.checkpoints, level)

    def save_sign_statistics(self) -> None:
        """Write how signs changed over all levels, unless that exists or cannot be known."""
        context = self.context
        if not context.config.has_sign_statistics or context.folder.signs_record() is not None:
            return
        masks = load_masks(context.folder, context.config.levels - 1, context.layers)
        places = [(context.folder if level else context.dense, level) for level in range(context.config.levels)]
        ends, starts = ([load_signs(*place, moment, masks) for place in places] for moment in ("end", "start"))
        initial = load_initial_signs(context, masks)
        epoch_0 = starts[0] if context.config.initial_epoch else None
        statistics = signs.run_statistics(ends, starts, initial, masks, epoch_0)
        context.folder.save_signs(level_record.run_signs(context.config, context.seed, statistics))

    def all_notes(self) -> list[str]:
        """Warnings about the run: of its levels, in order, and about how it ended."""
        return [*self._notes, *_closing_notes(self.context)]

    def _warn(self, text: str) -> None:
        self.context.setup.warn(text)
        self._notes.append(text)

    def _made(self) -> dict[str, Any]:
        return level_record.made(self.context.setup, self.resume_state.environments, self.resume_state.depends_on)

    def _save_diverged(self, level: int, reason: str, masks: m.Masks | None = None) -> None:
        self._diverged.add(level)
        header = level_record.header(self.context.config, self.context.seed, level, masks)
        self.context.folder.save_level(level_record.diverged(header, reason, self._made()), {})

    def _resume_notes(self, level: int) -> list[str]:
        """Warnings that an existing level is retrained, and, once per run, that conditions have changed."""
        folder = self.context.folder
        changed = self.resume_state.changed
        found = []
        done = self.checkpoint.epoch if self.checkpoint else 0
        if folder.level_path(level).is_dir():
            stale = folder.level_record(level, verify=False)
            why = "was damaged or not finished"
            if stale is not None and not folder.dependencies_unchanged(stale["depends_on"]):
                why = "depends on a level whose result has changed since"
            found.append(f"level {level} {why}, and is retrained")
        elif (trained := folder.last_epoch(level)) > done:
            found.append(f"level {level} resumes after epoch {done}, not {trained}: it has no later checkpoint")
        if changed and not any("under other conditions" in text for text in self._notes):
            found.append(
                f"level {level} resumes under other conditions ({changed}): results agree within rounding only"
            )
        return found


def _check_mask_run(context: RunContext, first: int) -> None:
    """Check, before training, that the mask run has every level from `first` on."""
    config = context.config
    source = context.mask_run
    if not config.uses_external_masks or source.diverged_at() is not None:
        return
    missing = [level for level in range(first, config.levels) if source.level_record(level) is None]
    if missing:
        raise StoreError(
            f"run {config.name} takes the masks of levels {first} to {config.levels - 1} from run {source.run}, seed "
            f"{context.seed}, whose level {missing[0]} is missing or damaged: train that run first"
        )


def _inherited_divergence(context: RunContext, level: int) -> str | None:
    """Why a level cannot be trained: the run that it starts from, or takes its masks from, diverged."""
    needed = [("dense run", context.dense, level), ("mask run", context.mask_run, level)]
    needed += [("sign run", *context.sign_level(level))] if context.config.sign_run else []
    for what, folder, last in needed:
        at = folder.diverged_at() if folder.run else None
        if at is not None and at <= last:
            return f"its {what} {folder.run} diverged at level {at}"
    return None


def _closing_notes(context: RunContext) -> list[str]:
    for level in context.config.trained_levels:
        # its hashes were checked when it was written or verified
        record = context.folder.level_record(level, verify=False)
        if record is None or record["status"] == "diverged":
            return [f"diverged at level {level}: {record and record['reason']}"]
        empty = [name for name, layer in record["layers"].items() if not layer["n_kept"]]
        if empty:
            return [f"from level {level} on pruning left layers without a weight: {', '.join(empty)}"]
    return []


def _masks_before(context: RunContext, level: int) -> m.Masks | None:
    """The masks of the previous level; None at level 0, and if the run has no previous level."""
    place = context.level_before(level) if level else None
    return place and load_masks(*place, context.layers)


def _moments(
    context: RunContext, level: int, bits: Mapping[str, signs.Signs], masks: m.Masks
) -> dict[str, signs.Signs | None]:
    """The sign bits that the readings compare the end of a level with.

    A reading that does not exist is None: there may be no previous level, or the initialisation may not be that of the
    dense run. If the signs of a later epoch count as initial, those of initialisation are compared with too.

    Args:
        context: the run.
        level: its number.
        bits: sign bits of the level at its `start` and `end`, and those that count as `initial` at level 0.
        masks: of the level.
    """
    config = context.config
    start = bits["start"]
    if config.has_fresh_network:
        return {"level_start": start, "initial": None, "previous": None}
    if config.is_dense:
        initial = previous = bits.get("initial", start)
        epoch_0 = start
    else:
        place = context.level_before(level)
        previous = place and load_signs(*place, "end", masks)
        initial = load_initial_signs(context, masks)
        epoch_0 = load_signs(context.dense, 0, "start", masks)
    found = {"level_start": start, "initial": initial, "previous": previous}
    return found | ({"epoch_0": epoch_0} if config.initial_epoch else {})


def load_initial_signs(context: RunContext, masks: m.Masks) -> signs.Signs:
    """The sign bits of the dense run that count as initial."""
    return load_signs(context.dense, 0, "initial" if context.config.initial_epoch else "start", masks)
