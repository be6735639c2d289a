"""Result files of networks as typed records: every field is checked before a number is used.

Pure: parsed JSON in, records out. Only `figures.results.load` accesses files. The schemas (level, signs, run, study and
theory files) are described in empirics/README.md under "Result files".
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from figures.results.connectivity import Connectivity
from figures.results.datasets import facts_unstated
from figures.results.fields import (
    CLASS_COUNT,
    COUNTS,
    DURATION,
    FRACTION,
    LABEL,
    LEVEL_COUNT,
    LONG_WHOLE,
    NAME,
    NUMBER,
    POSITIVE,
    PROTOCOL,
    RATE,
    READINGS,
    SCHEMA_IS,
    SEEDS,
    TABLE,
    TEXT,
    TRUTH,
    WHOLE,
    Check,
    exactly,
    or_null,
    require,
    validate,
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
    dataset: str
    model: str
    width: int | None
    dense_run: str
    arms: Mapping[str, str]
    seeds: tuple[int, ...]
    levels: int
    prune_rate: float
    command: str
    swept: str | None = None
    base: str = ""
    overrides: Mapping[str, Any] = field(default_factory=dict)
    shared_overrides: Mapping[str, Any] = field(default_factory=dict)
    title: str = ""
    classes: int | None = None
    smoke: bool = False
    protocol: str = OURS_PROTOCOL
    planned: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    train_images: tuple[int, int] | None = None

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

    epoch: int
    n_kept: int
    shared: int


@short_repr
@dataclass(frozen=True)
class Strike:
    """The last of a level's strikes on the signs: the epoch at whose start it fell.

    `test_accuracy_before` and `test_accuracy_after` are fractions.
    """

    epoch: int
    test_accuracy_before: float
    test_accuracy_after: float


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


_STUDY = {
    "schema": SCHEMA_IS, "kind": exactly("study"), "study": LABEL, "preset": LABEL, "dataset": NAME,
    "model": NAME, "width": or_null(POSITIVE), "dense_run": NAME, "arms": TABLE, "seeds": SEEDS, "levels": LEVEL_COUNT,
    "prune_rate": RATE, "command": TEXT,
}  # fmt: skip
_PLACE = {"swept": or_null(NAME), "base": LABEL, "overrides": TABLE, "shared_overrides": TABLE}
_FACTS = {"title": LABEL, "classes": or_null(CLASS_COUNT), "smoke": TRUTH, "protocol": PROTOCOL}
_MAYBE = {"planned": TABLE, "train_images": or_null(COUNTS)}
_RUN = {
    "schema": SCHEMA_IS, "kind": exactly("run"), "run": NAME, "arm": NAME, "config": TABLE,
    "dense_run": or_null(NAME),
}  # fmt: skip
_LEVEL = {
    "schema": SCHEMA_IS, "kind": exactly("level"), "run": NAME, "arm": NAME, "seed": LONG_WHOLE, "level": WHOLE,
    "status": Check(lambda v: v in ("complete", "diverged"), "'complete' or 'diverged'"),
    "reason": or_null(TEXT), "provenance": TABLE,
}  # fmt: skip
_COMPLETE = {
    "density": FRACTION, "n_kept": POSITIVE, "total": POSITIVE, "epochs": WHOLE, "train_loss": NUMBER,
    "train_accuracy": FRACTION, "test_loss": NUMBER, "test_accuracy": FRACTION, "layers": TABLE,
}  # fmt: skip
_STRIKE = {"epoch": WHOLE, "test_accuracy_before": FRACTION, "test_accuracy_after": FRACTION}
_TAKEN = {"epoch": POSITIVE, "n_kept": POSITIVE, "shared": WHOLE}
_LAYER = {"size": POSITIVE, "n_kept": WHOLE, "flips": TABLE}
_SIGNS = {
    "schema": SCHEMA_IS, "kind": exactly("signs"), "run": NAME, "arm": NAME, "seed": LONG_WHOLE,
    "levels": COUNTS, "layers": TABLE,
}  # fmt: skip
_SIGNS_LAYER = {
    "survivors": WHOLE,
    "flips": TABLE,
    "settles_at": COUNTS,
    "settles_before_last": COUNTS,
    "switches": COUNTS,
}


def parse_study(data: dict, file: str) -> Study:
    """A study file's record; run names are checked because they become paths."""
    found = validate(data, _STUDY, file)
    for arm, run in found["arms"].items():
        validate({"arm": arm, "run": run}, {"arm": NAME, "run": NAME}, file, "arms")
    place = {"swept": None, "base": found["preset"], "overrides": {}, "shared_overrides": {}}
    place = validate({name: data.get(name, absent) for name, absent in place.items()}, _PLACE, file)
    title, classes = facts_unstated(found["dataset"])
    facts = {"title": title, "classes": classes, "smoke": False, "protocol": OURS_PROTOCOL}
    facts = validate({name: data.get(name, absent) for name, absent in facts.items()}, _FACTS, file)
    return Study(
        **{name: found[name] for name in _STUDY if name not in ("schema", "kind", "seeds")},
        seeds=tuple(sorted(found["seeds"])),
        **place,
        **facts,
        **_plan(data, file),
    )


def _plan(data: Mapping, file: str) -> dict[str, Any]:
    """The planned seeds of each arm, and the part of the training images; a study may have neither."""
    absent = {"planned": {}, "train_images": None}
    found = validate({name: data.get(name, value) for name, value in absent.items()}, _MAYBE, file)
    planned = validate(found["planned"], dict.fromkeys(found["planned"], SEEDS), file, "planned")
    part = found["train_images"]
    require(part is None or len(part) == 2 and part[0] <= part[1], file, "train_images", part, "[used, there are]")
    return {
        "planned": {arm: tuple(sorted(seeds)) for arm, seeds in planned.items()},
        "train_images": None if part is None else (part[0], part[1]),
    }


def parse_run(data: dict, file: str, run: str) -> Mapping:
    """A run's config.json: its checked head fields."""
    found = validate(data, _RUN, file)
    require(found["run"] == run, file, "run", found["run"], f"{run!r}, the folder's name")
    return found


def parse_level(data: dict, file: str, run: str, seed: int, level: int) -> LevelRecord:
    """A level.json's record; run, seed and level must be those of the folder it is in."""
    verify_checksum(data, file)
    found = validate(data, _LEVEL, file)
    for name, place in (("run", run), ("seed", seed), ("level", level)):
        require(found[name] == place, file, name, found[name], f"{place!r}, as the folder says")
    if found["status"] == "diverged":
        empty = dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy", "epochs"))
        empty |= {"layers": {}, "provenance": found["provenance"], "seconds": seconds_of(data, file)}
        return LevelRecord(level, "diverged", found["reason"], 0.0, **empty)
    numbers = validate(data, _COMPLETE, file)
    n_kept, total = numbers.pop("n_kept"), numbers.pop("total")
    require(
        math.isclose(numbers["density"], n_kept / total, rel_tol=1e-9),
        file,
        "density",
        numbers["density"],
        f"n_kept / total = {n_kept / total}",
    )
    _check_layers(numbers["layers"], file, n_kept, total)
    taken = _masks_taken(data.get("mask_snapshots", []), file, n_kept, numbers["epochs"])
    numbers |= {"mask_snapshots": taken, "provenance": found["provenance"], "seconds": seconds_of(data, file)}
    numbers |= _later_fields(data, file, numbers["density"], numbers["epochs"])
    return LevelRecord(level, "complete", found["reason"], **numbers)


def _later_fields(data: Mapping, file: str, density: float, epochs: int) -> dict[str, Any]:
    """The fields of a level that older records lack."""
    absent = {"nominal_density": density, "strike": None, "metrics_sha256": None}
    checks = {"nominal_density": FRACTION, "strike": or_null(TABLE), "metrics_sha256": or_null(TEXT)}
    found = validate({name: data.get(name, value) for name, value in absent.items()}, checks, file)
    if found["strike"] is not None:
        strike = Strike(**validate(found["strike"], _STRIKE, file, "strike"))
        require(strike.epoch < epochs, file, "strike.epoch", strike.epoch, f"below the {epochs} epochs")
        found["strike"] = strike
    return found


def seconds_of(data: Mapping, file: str) -> float:
    """The time that a result took; 0 where it is not recorded."""
    return validate({"seconds": data.get("seconds", 0.0)}, {"seconds": DURATION}, file)["seconds"]


def _masks_taken(listed: Any, file: str, alive: int, epochs: int) -> tuple[MaskSnapshot, ...]:
    """The masks recorded in a level of `alive` survivors.

    A level without any may omit the field.
    """
    require(isinstance(listed, list), file, "mask_snapshots", listed, "a list of epochs with what their masks keep")
    found = [MaskSnapshot(**validate(entry, _TAKEN, file, f"mask_snapshots.{i}")) for i, entry in enumerate(listed)]
    for i, mask in enumerate(found):
        where, before = f"mask_snapshots.{i}", found[i - 1].epoch if i else 0
        require(before < mask.epoch <= epochs, file, f"{where}.epoch", mask.epoch, f"above {before}, at most {epochs}")
        require(mask.n_kept <= alive, file, f"{where}.n_kept", mask.n_kept, f"at most the {alive} survivors")
        require(mask.shared <= mask.n_kept, file, f"{where}.shared", mask.shared, f"at most the {mask.n_kept} kept")
    return tuple(found)


def _check_layers(layers: Mapping, file: str, n_kept: int, total: int) -> None:
    for name, layer in layers.items():
        found = validate(layer, _LAYER, file, f"layers.{name}")
        require(
            found["n_kept"] <= found["size"], file, f"layers.{name}.n_kept", found["n_kept"], f"at most {found['size']}"
        )
        flips = validate(found["flips"], dict.fromkeys(READINGS, or_null(WHOLE)), file, f"layers.{name}.flips")
        for reading, count in flips.items():
            where = f"layers.{name}.flips.{reading}"
            require((count or 0) <= found["n_kept"], file, where, count, f"at most the {found['n_kept']} kept")
    require(sum(v["n_kept"] for v in layers.values()) == n_kept, file, "n_kept", n_kept, "the sum over the layers")
    require(sum(v["size"] for v in layers.values()) == total, file, "total", total, "the sum over the layers")


def parse_signs(data: dict, file: str, run: str, seed: int) -> SignsRecord:
    """A signs.json's record, its counts checked against the number of survivors and summed over layers."""
    verify_checksum(data, file)
    found = validate(data, _SIGNS, file)
    require(
        (found["run"], found["seed"]) == (run, seed),
        file,
        "run, seed",
        (found["run"], found["seed"]),
        f"{(run, seed)}, as the folder says",
    )
    levels = tuple(found["levels"])
    require(levels == tuple(range(len(levels))) and levels, file, "levels", list(levels), "0, 1, 2, .. to the last")
    layers = {name: _signs_layer(layer, file, f"layers.{name}", len(levels)) for name, layer in found["layers"].items()}
    require(bool(layers), file, "layers", {}, "one layer at least")

    def total(key):
        return tuple(map(sum, zip(*(layer[key] for layer in layers.values()), strict=True)))

    flips = {r: tuple(map(sum, zip(*(v["flips"][r] for v in layers.values()), strict=True))) for r in READINGS}
    survivors = sum(layer["survivors"] for layer in layers.values())
    return SignsRecord(
        levels, survivors, flips, total("settles_at"), total("settles_before_last"), total("switches"), layers
    )


def _signs_layer(layer: Any, file: str, within: str, levels: int) -> dict:
    found = validate(layer, _SIGNS_LAYER, file, within)
    validate(found["flips"], dict.fromkeys(READINGS, COUNTS), file, f"{within}.flips")
    for name, length in (("settles_at", levels + 1), ("settles_before_last", levels), ("switches", levels + 1)):
        require(len(found[name]) == length, file, f"{within}.{name}", found[name], f"a list of {length} counts")
        require(
            sum(found[name]) == found["survivors"],
            file,
            f"{within}.{name}",
            found[name],
            f"counts that add up to the {found['survivors']} survivors",
        )
    for reading in READINGS:
        counts = found["flips"][reading]
        require(
            len(counts) == levels and max(counts) <= found["survivors"],
            file,
            f"{within}.flips.{reading}",
            counts,
            f"{levels} counts of at most {found['survivors']}",
        )
    return found


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
