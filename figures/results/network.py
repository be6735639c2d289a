"""Result files of networks as typed records: every field is checked before a number is used.

Pure: parsed JSON in, records out. Only `figures.results.load` accesses files. The schemas (level, signs, run, study and
theory files) are described in empirics/README.md under "Result files".
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from operator import attrgetter
from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType, defstruct, structs

from figures.results.connectivity import Connectivity
from figures.results.datasets import facts_unstated
from figures.results.fields import (
    READINGS,
    ClassCount,
    Duration,
    Fraction,
    Head,
    LevelCount,
    LongWhole,
    Name,
    Number,
    Positive,
    Protocol,
    Rate,
    Table,
    Text,
    Whole,
    check_label,
    check_seeds,
    convert,
    must,
    require,
    verify_checksum,
)
from figures.results.reprs import short_repr
from figures.results.variants import LAST_EPOCH, OURS_PROTOCOL, plain_preset, with_protocol


@dataclass(frozen=True)
class Source:
    """A file that was read: path relative to the results folder, and the SHA-256 of its bytes."""

    path: str
    sha256: str


@short_repr
@dataclass(frozen=True)
class Study:
    """The arms of one preset on one data set: the subject of a figure's panel and of a verdict's scope.

    `base` is the preset, `overrides` what was changed in it. `swept` names the sweep of which the study is one value
    (or is `base`: a value of every sweep), None for the preset's own study. `shared_overrides` holds those of
    `overrides` that hold at all of its values. A study of a sweep is judged only as a value of its sweep. `title` and
    `classes` are its data set's name in pictures and number of classes (None where it is not known); `smoke` is True
    for a run that only tries whether everything works: it is drawn, but never judged. `protocol`: "ours", or "authors"
    for what the authors' code does; `preset` names it too, where it is not ours. `planned`: the seeds that each arm was
    planned for before the data, by arm; empty for a study without such a plan. `train_images`: how many of how many
    training images it uses; None for all.
    """

    study: str
    preset: str
    dataset: Name
    model: Name
    width: Positive | None
    dense_run: Name
    arms: Mapping[Name, Name]
    seeds: tuple[LongWhole, ...]
    levels: LevelCount
    prune_rate: Rate
    command: Text
    swept: Name | None = None
    base: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    shared_overrides: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    classes: ClassCount | None = None
    smoke: bool = False
    protocol: Protocol = OURS_PROTOCOL
    planned: Mapping[str, tuple[LongWhole, ...]] = field(default_factory=dict)
    train_images: tuple[Whole, Whole] | None = None

    def seeds_of(self, arm: str) -> tuple[int, ...]:
        """The seeds of an arm: those of the study that were planned for it, if the study has a plan."""
        return tuple(seed for seed in self.seeds if seed in self.planned.get(arm, self.seeds))

    @property
    def network(self) -> str:
        """The network, and the part of the training images that it is trained on, in a few words."""
        width = f" of width {self.width}" if self.width else ""
        part = ", {:,} of {:,} training images".format(*self.train_images) if self.train_images else ""
        return f"{self.model}{width}{part}"

    @property
    def place(self) -> tuple[str, str, bool, str]:
        """Preset, data set, whether it is a smoke run, and protocol: only studies of one place are compared."""
        return self.base, self.dataset, self.smoke, self.protocol

    @property
    def plain_preset(self) -> str:
        """The preset and what was changed in it, without the protocol."""
        return plain_preset(self.preset)

    @property
    def scope(self) -> str:
        """Preset, data set and network in a few words."""
        return f"preset {self.preset}, {self.dataset}, {self.network}"

    def density(self, level: int) -> float:
        """Nominal density of a level, in (0, 1]: the same for every arm."""
        return (1 - self.prune_rate) ** level


@short_repr
@dataclass(frozen=True)
class MaskSnapshot:
    """The mask that pruning would take after `epoch` of a level.

    It keeps `n_kept` weights, of which the mask at the level's end keeps `shared` too.
    """

    epoch: Positive
    n_kept: Positive
    shared: Whole

    def __post_init__(self) -> None:
        """Check the counts."""
        must(self.shared <= self.n_kept, "shared", self.shared, f"at most the {self.n_kept} kept")


@short_repr
@dataclass(frozen=True)
class Strike:
    """The last of a level's strikes on the signs: the epoch at whose start it fell.

    `test_accuracy_before` and `test_accuracy_after` are fractions.
    """

    epoch: Whole
    test_accuracy_before: Fraction
    test_accuracy_after: Fraction


@short_repr
@dataclass(frozen=True)
class LevelRecord:
    """One level of one seed; losses and accuracies (fractions) are None where it diverged.

    `density` is the share of the weights that is kept; `nominal_density`, the share that was asked for, differs where
    the counts of layers were clamped at their size, and is None where the level diverged. `strike` is None where no
    sign was struck. `mask_snapshots` holds the masks recorded during the level, by epoch; empty if there are none.
    `seconds`: time that the level took. `metrics_sha256`: of the level's lines in `metrics.jsonl`; None if it is not
    recorded.
    """

    level: int
    status: str
    reason: str | None
    density: float
    train_loss: float | None
    train_accuracy: float | None
    test_loss: float | None
    test_accuracy: float | None
    epochs: int | None
    layers: Mapping[str, Mapping]
    provenance: Mapping
    mask_snapshots: tuple[MaskSnapshot, ...] = ()
    seconds: float = 0.0
    nominal_density: float | None = None
    strike: Strike | None = None
    metrics_sha256: str | None = None


@short_repr
@dataclass(frozen=True)
class SignsRecord:
    """Sign statistics over the last level's survivors, summed over layers (counts), and by layer."""

    levels: tuple[int, ...]
    survivors: int
    flips: Mapping[str, tuple[int, ...]]
    settles_at: tuple[int, ...]
    settles_before_last: tuple[int, ...]
    switches: tuple[int, ...]
    layers: Mapping[str, Mapping]


@short_repr
@dataclass(frozen=True)
class SeedRecord:
    """The results of one seed of one arm: its levels by number, and its sign statistics if it has any."""

    levels: Mapping[int, LevelRecord]
    signs: SignsRecord | None

    @property
    def diverged(self) -> bool:
        """True where training ended with a NaN or an infinite loss."""
        return any(level.status == "diverged" for level in self.levels.values())


@short_repr
@dataclass(frozen=True)
class ArmRun:
    """One run: an arm's configuration and its seeds, complete or not, with the files they were read from.

    `dense_run` is the run that its levels start from, if it names one (a dense run has none). `unreadable` lists seeds
    of which a level's file could not be trusted: no part of them is in `seeds`.
    """

    run: str
    arm: str
    config: Mapping
    seeds: Mapping[int, SeedRecord]
    files: tuple[Source, ...]
    unreadable: tuple[int, ...] = ()
    dense_run: str | None = None


@dataclass(frozen=True)
class Problem:
    """A file that could not be trusted, and what it belonged to (a run name, an experiment or a study).

    `seed` is None where more than one seed is lost; `signs_only`: a seed's sign statistics are lost, but not its
    levels.
    """

    owner: str
    file: str
    message: str
    seed: int | None = None
    signs_only: bool = False


@short_repr
@dataclass(frozen=True)
class StudyResults:
    """A study with its runs; an arm without result files is absent from `arms`.

    `own_dense` holds, by arm, the dense runs of arms that change level 0 itself (those without warm-up do).
    `connectivity` is None where it has not been measured. `bundled`: the folder, within the code, of the records that
    it was read from; empty for a study of a results folder.
    """

    study: Study
    dense: ArmRun | None
    arms: Mapping[str, ArmRun]
    files: tuple[Source, ...]
    own_dense: Mapping[str, ArmRun] = field(default_factory=dict)
    connectivity: Connectivity | None = None
    bundled: str = ""

    def dense_of(self, arm: str) -> ArmRun | None:
        """The run of an arm's level 0."""
        return self.own_dense.get(arm, self.dense)


@short_repr
@dataclass(frozen=True)
class TheoryResult:
    """One theory experiment: parameters, JSON values, arrays by name, and the command that makes it."""

    experiment: str
    params: Mapping
    values: Mapping
    arrays: Mapping[str, Any]
    command: str
    provenance: Mapping
    files: tuple[Source, ...]
    name: str = ""
    seconds: float = 0.0


@short_repr
@dataclass(frozen=True)
class Records:
    """Everything in a results folder that could be read, and the problems with the rest.

    `studies` are those of the presets themselves, `sweeps` those in which one setting of a preset is varied. `left_out`
    names theory files that are not used, `unlisted` runs with their trained seeds that no study lists. `protocol` is
    that of all its studies, `EVERY_PROTOCOL` where they may have several. `accuracy` says which test accuracy the
    levels have: that of the last epoch, or the best (`figures.results.variants`).
    """

    studies: tuple[StudyResults, ...] = ()
    theory: Mapping[str, TheoryResult] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    left_out: tuple[str, ...] = ()
    sweeps: tuple[StudyResults, ...] = ()
    unlisted: tuple[str, ...] = ()
    protocol: str = OURS_PROTOCOL
    accuracy: str = LAST_EPOCH

    def of_protocol(self, protocol: str) -> "Records":
        """The records with the studies of one protocol alone, and the problems that concern them.

        Results of the neuron belong to every protocol. A file that no study names is a problem of every protocol.
        """
        studies, sweeps = (
            tuple(r for r in part if r.study.protocol == protocol) for part in (self.studies, self.sweeps)
        )
        own = {run for results in (*studies, *sweeps) for run in _runs_of(results.study)}
        others = {run for results in (*self.studies, *self.sweeps) for run in _runs_of(results.study)} - own
        problems = tuple(problem for problem in self.problems if problem.owner not in others)
        return replace(self, studies=studies, sweeps=sweeps, problems=problems, protocol=protocol)

    @property
    def judged(self) -> "Records":
        """The records without smoke runs, which are no evidence."""
        studies, sweeps = (tuple(r for r in part if not r.study.smoke) for part in (self.studies, self.sweeps))
        return replace(self, studies=studies, sweeps=sweeps)

    @property
    def smoke_runs(self) -> tuple[str, ...]:
        """The names of the studies that are smoke runs."""
        return tuple(r.study.study for r in (*self.studies, *self.sweeps) if r.study.smoke)


def _runs_of(study: Study) -> set[str]:
    """The names of the runs that a study's record lists."""
    return {study.dense_run, *study.arms.values()}


# --- the files: what figures and claims use of them; what older records lack has a default ------------------------


class _RunFile(Head[Literal["run"]], frozen=True, kw_only=True):
    run: Name
    arm: Name
    config: Table
    dense_run: Name | None


class _Level(Head[Literal["level"]], frozen=True, kw_only=True):
    run: Name
    arm: Name
    seed: LongWhole
    level: Whole
    status: Literal["complete", "diverged"]
    reason: Text | None
    provenance: Table
    seconds: Duration = 0.0


_LevelFlips = defstruct("_LevelFlips", [(reading, Whole | None) for reading in READINGS], frozen=True)
_RunFlips = defstruct("_RunFlips", [(reading, list[Whole]) for reading in READINGS], frozen=True)


class _Layer(Struct, frozen=True):
    size: Positive
    n_kept: Whole
    flips: _LevelFlips

    def __post_init__(self) -> None:
        must(self.n_kept <= self.size, "n_kept", self.n_kept, f"at most {self.size}")
        for reading, count in structs.asdict(self.flips).items():
            must((count or 0) <= self.n_kept, f"flips.{reading}", count, f"at most the {self.n_kept} kept")


class _CompleteLevel(_Level, frozen=True, kw_only=True):
    density: Fraction
    n_kept: Positive
    total: Positive
    epochs: Whole
    train_loss: Number
    train_accuracy: Fraction
    test_loss: Number
    test_accuracy: Fraction
    layers: dict[str, _Layer]
    mask_snapshots: tuple[MaskSnapshot, ...] = ()
    nominal_density: Fraction | UnsetType = UNSET  # the density
    strike: Strike | None = None
    metrics_sha256: Text | None = None

    def __post_init__(self) -> None:
        share = self.n_kept / self.total
        layers = self.layers.values()
        right = math.isclose(self.density, share, rel_tol=1e-9)
        must(right, "density", self.density, f"n_kept / total = {share}")
        must(sum(layer.n_kept for layer in layers) == self.n_kept, "n_kept", self.n_kept, "the sum over the layers")
        must(sum(layer.size for layer in layers) == self.total, "total", self.total, "the sum over the layers")
        before = 0
        for i, mask in enumerate(self.mask_snapshots):
            where = f"mask_snapshots.{i}"
            most = f"above {before}, at most {self.epochs}"
            must(before < mask.epoch <= self.epochs, f"{where}.epoch", mask.epoch, most)
            must(mask.n_kept <= self.n_kept, f"{where}.n_kept", mask.n_kept, f"at most the {self.n_kept} survivors")
            before = mask.epoch
        struck = self.strike.epoch if self.strike else -1
        must(struck < self.epochs, "strike.epoch", struck, f"below the {self.epochs} epochs")


class _SignsLayer(Struct, frozen=True):
    survivors: Whole
    flips: _RunFlips
    settles_at: list[Whole]
    settles_before_last: list[Whole]
    switches: list[Whole]

    def check(self, levels: int, where: str) -> None:
        """Check the lengths and sums of the counts."""
        most = self.survivors
        for name, length in (("settles_at", levels + 1), ("settles_before_last", levels), ("switches", levels + 1)):
            counts = getattr(self, name)
            must(len(counts) == length, f"{where}.{name}", counts, f"a list of {length} counts")
            must(sum(counts) == most, f"{where}.{name}", counts, f"counts that add up to the {most} survivors")
        for reading, counts in structs.asdict(self.flips).items():
            right = len(counts) == levels and max(counts) <= most
            must(right, f"{where}.flips.{reading}", counts, f"{levels} counts of at most {most}")


class _SignsFile(Head[Literal["signs"]], frozen=True, kw_only=True):
    run: Name
    arm: Name
    seed: LongWhole
    levels: list[Whole]
    layers: dict[str, _SignsLayer]

    def __post_init__(self) -> None:
        right = self.levels and self.levels == list(range(len(self.levels)))
        must(right, "levels", self.levels, "0, 1, 2, .. to the last")
        must(bool(self.layers), "layers", {}, "one layer at least")
        for name, layer in self.layers.items():
            layer.check(len(self.levels), f"layers.{name}")


def parse_study(data: dict, file: str) -> Study:
    """A study file's record; run names are checked because they become paths."""
    convert(data, Head[Literal["study"]], file)
    title, classes = facts_unstated(str(data.get("dataset")))
    unstated = {"base": data.get("preset"), "title": title, "classes": classes}  # in an older record
    found = convert({**unstated, **data}, Study, file)
    for name in ("study", "preset", "base", "title"):
        check_label(getattr(found, name), file, name)
    check_seeds(found.seeds, file, "seeds")
    for arm, seeds in found.planned.items():
        check_seeds(seeds, file, f"planned.{arm}")
    part = found.train_images
    require(part is None or part[0] <= part[1], file, "train_images", part, "[used, there are]")
    planned = {arm: tuple(sorted(seeds)) for arm, seeds in found.planned.items()}
    return replace(found, seeds=tuple(sorted(found.seeds)), planned=planned)


def parse_run(data: dict, file: str, run: str) -> _RunFile:
    """A run's config.json: its checked head fields."""
    found = convert(data, _RunFile, file)
    require(found.run == run, file, "run", found.run, f"{run!r}, the folder's name")
    return found


_NO_NUMBERS = dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy", "epochs"))
_NO_NUMBERS |= {"density": 0.0, "layers": {}}


def parse_level(data: dict, file: str, run: str, seed: int, level: int) -> LevelRecord:
    """A level.json's record; run, seed and level must be those of the folder it is in."""
    verify_checksum(data, file)
    diverged = data.get("status") == "diverged"
    found = convert(data, _Level if diverged else _CompleteLevel, file)
    for name, place in (("run", run), ("seed", seed), ("level", level)):
        got = getattr(found, name)
        require(got == place, file, name, got, f"{place!r}, as the folder says")
    values = {part.name: getattr(found, part.name) for part in fields(LevelRecord) if hasattr(found, part.name)}
    if diverged:
        return LevelRecord(**_NO_NUMBERS | values)
    nominal = found.density if found.nominal_density is UNSET else found.nominal_density
    return LevelRecord(**values | {"layers": data["layers"], "nominal_density": nominal})


def parse_signs(data: dict, file: str, run: str, seed: int) -> SignsRecord:
    """A signs.json's record, its counts checked against the number of survivors and summed over layers."""
    verify_checksum(data, file)
    found = convert(data, _SignsFile, file)
    got = (found.run, found.seed)
    place = (run, seed)
    require(got == place, file, "run, seed", got, f"{place}, as the folder says")

    def total(name: str) -> tuple[int, ...]:
        """The sum over layers of a list of counts."""
        return tuple(map(sum, zip(*map(attrgetter(name), found.layers.values()), strict=True)))

    return SignsRecord(
        tuple(found.levels),
        sum(layer.survivors for layer in found.layers.values()),
        {reading: total(f"flips.{reading}") for reading in READINGS},
        total("settles_at"),
        total("settles_before_last"),
        total("switches"),
        data["layers"],
    )


QUICK = ("quick", "digits")  # the preset of the commands that name none, and its data set, which needs no folder
TRAIN = f"paper_repro.py train --preset {QUICK[0]}"


CONNECTIVITY = "paper_repro.py figures connectivity"


def connectivity_command(study: Study | None) -> str:
    """The command that measures a study's connectivity, and trains the networks that are missing.

    With changed settings it is the one that trains everything of the study: `figures` takes no settings.
    """
    if study is None:
        return CONNECTIVITY
    if study.overrides:
        return f"{study.command} --all"
    return study.command.replace("paper_repro.py train", CONNECTIVITY, 1)


def train_of(protocol: str) -> str:
    """The command that trains the preset `quick` under a protocol."""
    return with_protocol(TRAIN, protocol)


def train_command(study: Study | None, arms: Iterable[str]) -> str:
    """The command that trains `arms` of a study; arms that the study does not list are named in it."""
    if study is None:
        return TRAIN
    extra = [arm for arm in arms if arm not in study.arms]
    return study.command + (f" --arms {' '.join(extra)}" if extra else "")
