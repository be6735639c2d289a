"""Records of complete seeds, kept with the code: copied, merged, and not trained again.

A study of many hours is trained seed by seed, perhaps on several machines that lose their disks. What figures read of a
complete seed is small: it is packed into one file a run and seed. A stage (one seed of a tier) is recorded as a whole.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from empirics.choices import ConfigError
from empirics.config import RunConfig, config_of
from empirics.execution.tasks import Key
from empirics.names import parse_level_id
from empirics.storage.files import StoreError, names_in, read_limited, read_record, write_atomic
from empirics.storage.layout import CONFIG_FILE, LEVEL_FILE
from empirics.storage.locks import HOURS, locked
from empirics.storage.packed import contents, pack, packed_file, records_of, unpack
from empirics.storage.run_folder import RunFolder
from empirics.storage.schemas import Study
from empirics.studies.presets import PRESETS
from empirics.studies.records import study_file, write_study
from empirics.studies.tiers import Stage

MOST_BYTES = 5_000_000  # of a folder that is kept with the code
# what two records of one study must agree in, if their seeds are to be shown together
_SAME = ("data_hash", "dense_run", "levels", "prune_rate", "planned", "train_images", "overrides")


class _Study(Study, kw_only=True):
    """A study whose seeds can be recorded."""

    base: str
    protocol: str
    data_hash: str


@dataclass
class Recorded:
    """What became of the complete seeds of a study.

    Args:
        study: name of the study.
        added: (arm, seed) that were recorded now.
        kept: (arm, seed) that were recorded before, with the same content.
        open: the stages of which an arm is not complete here, or has not been trained.
    """

    study: str
    added: list[tuple[str, int]] = field(default_factory=list)
    kept: list[tuple[str, int]] = field(default_factory=list)
    open: list[Stage] = field(default_factory=list)

    def text(self) -> str:
        """What became of them, in a line."""
        left = f"; not complete here: {', '.join(f'{s.tier} seed {s.seed}'.strip() for s in self.open)}"
        return (
            f"{self.study}: {len(self.added)} runs and seeds recorded, {len(self.kept)} were recorded already"
            f"{left if self.open else ''}"
        )


def record_seeds(results: Path, out: Path, studies: Sequence[str] = (), seeds: Collection[int] = ()) -> list[Recorded]:
    """Copy the records of complete seeds from a results folder into a folder of records.

    Those that it holds stay. Everything is checked before anything is written. A seed that is recorded stays as it is.

    Args:
        results: results folder.
        out: folder of records, which is read like a results folder.
        studies: names of studies; empty: those with a plan of seeds.
        seeds: seeds to record; empty: all that are complete.

    Raises:
        ConfigError: no such study.
        StoreError: a seed is recorded with other content, or was trained from levels with other content than those
            recorded; the study was recorded with other data or another plan; a file cannot be read or written.
    """
    chosen = _studies(results, studies)
    with locked(out / "records", HOURS):  # else two commands could both find that a seed is not recorded yet
        return _record(results, out, chosen, seeds)


def _record(results: Path, out: Path, studies: Sequence[Mapping[str, Any]], seeds: Collection[int]) -> list[Recorded]:
    """As `record_seeds`, for the records of studies."""
    made = []
    writes = []
    for study in studies:
        found = Recorded(study["study"])
        runs = {}
        wanted = [stage for stage in stages_of(study) if not seeds or stage.seed in seeds]
        complete = [stage for stage in wanted if _is_complete(results, study, stage)]
        found.open = [stage for stage in wanted if stage not in complete]
        for stage in complete:
            for arm in stage.arms:
                config = stored_config(results, study["arms"][arm])
                runs[config.dense.name, stage.seed] = config.dense
                runs[config.name, stage.seed] = config
        fresh = _fresh(results, out, runs)
        _check_dependencies(out, fresh)
        if complete:
            mine = {arm: study["arms"][arm] for stage in complete for arm in stage.arms}
            record = {**study, "arms": mine, "seeds": sorted({stage.seed for stage in complete})}
            _check_study(out, record)
            writes.append((record, runs, fresh))
        for stage in complete:
            for arm in stage.arms:
                (found.added if (study["arms"][arm], stage.seed) in fresh else found.kept).append((arm, stage.seed))
        made.append(found)
    for record, runs, fresh in writes:
        _write(results, out, record, runs, fresh)
    return made


def _studies(results: Path, names: Sequence[str]) -> list[dict[str, Any]]:
    """The records of the named studies, or of all with a plan; without fields of the file itself."""
    there = {}
    for name in names_in(results / "studies"):
        record = read_record(study_file(results, name.removesuffix(".json")), _Study)
        if record and f"{record['study']}.json" == name:
            there[record["study"]] = {k: v for k, v in record.items() if k not in ("schema", "kind", "checksum")}
    if lost := [name for name in names if name not in there]:
        raise ConfigError(f"no study {lost[0]!r} in {results}, which holds {', '.join(there) or 'none'}")
    found = [record for name, record in there.items() if name in names or not names and record.get("planned")]
    if not found:
        raise ConfigError(
            f"no study in {results} has a plan of seeds: name the studies to record, of {', '.join(there)}"
        )
    return found


def stages_of(study: Mapping[str, Any]) -> list[Stage]:
    """The stages of a study's record: by its preset's tiers, or all its arms seed by seed."""
    plan = PRESETS[study["base"]].plan if study["base"] in PRESETS else None
    if plan is None or not study.get("planned"):
        return [Stage("", tuple(study["arms"]), seed) for seed in study["seeds"]]
    stages = plan.stages(study["protocol"])
    mine = (Stage(s.tier, tuple(arm for arm in s.arms if arm in study["planned"]), s.seed) for s in stages)
    return [stage for stage in mine if stage.arms]


def stored_config(results: Path, run: str) -> RunConfig:
    """The settings of a run in a results folder.

    Raises:
        StoreError: `config.json` is missing or damaged, or is that of another run.
    """
    try:
        record = json.loads(read_limited(results / "runs" / run / CONFIG_FILE))
        config = config_of(record["config"], record["arm"])
    except (FileNotFoundError, ConfigError, ValueError, KeyError, TypeError, RecursionError):
        config = None
    if config is None or config.name != run:
        raise StoreError(f"config.json of run {run} is missing, damaged or another run's: train the run again")
    return config


def _is_complete(results: Path, study: Mapping[str, Any], stage: Stage) -> bool:
    for arm in stage.arms:
        run = study["arms"].get(arm)
        folder = RunFolder(results, run, stage.seed) if run else None
        if folder is None or not folder.has_config:
            return False
        config = stored_config(results, run)
        dense = RunFolder(results, config.dense.name, stage.seed)
        if not (folder.is_complete(config) and dense.is_complete(config.dense)):
            return False
    return True


def _fresh(results: Path, out: Path, runs: Iterable[Key]) -> dict[Key, dict[str, str]]:
    """The records of the runs and seeds that are not recorded yet.

    Raises:
        StoreError: one is recorded with other content.
    """
    fresh = {}
    for run, seed in runs:
        files = records_of(RunFolder(results, run, seed))
        before = recorded(out, run, seed)
        if before is None:
            fresh[run, seed] = files
        elif (other := _difference(files, before["files"])) is not None:
            raise StoreError(
                f"run {run}, seed {seed}, is recorded with other content than it has in {results.name}: {other}. "
                "Training gives other bits on another processor, version or number of threads, and a recorded seed is "
                f"never replaced: leave it out by --seeds, or delete {packed_file(out, run, seed)} and what was "
                "trained from it, if the new one is to count"
            )
    return fresh


def _difference(here: Mapping[str, str], there: Mapping[str, str]) -> str | None:
    """The first part in which two packed records of a run and seed differ; None if there is none."""
    mine = contents(here)
    other = contents(there)
    place = next((name for name in sorted({*mine, *other}) if mine.get(name) != other.get(name)), None)
    if place is None:
        return None
    values = [_accuracy(files.get(f"{place}/{LEVEL_FILE}")) for files in (here, there)]
    return f"{place} (test accuracy {values[0]} here, {values[1]} recorded)"


def _accuracy(text: str | None) -> str:
    value = None if text is None else json.loads(text).get("test_accuracy")
    return "none" if value is None else f"{value:.4f}"


def _check_dependencies(out: Path, fresh: Mapping[Key, Mapping[str, str]]) -> None:
    """Refuse seeds that were trained from other levels than those that stand beside them.

    Raises:
        StoreError: names the run, and the level that it was trained from.
    """
    known: dict[Key, dict[str, str]] = {key: contents(files) for key, files in fresh.items()}
    for (run, seed), files in fresh.items():
        for name, text in files.items():
            for level_id, content in json.loads(text)["depends_on"].items() if name.endswith(LEVEL_FILE) else ():
                source, _ = parse_level_id(level_id)
                if (source, seed) not in known:
                    before = recorded(out, source, seed)
                    known[source, seed] = contents(before["files"]) if before else {}
                there = known[source, seed].get(level_id.rpartition("/")[2])
                if there not in (None, content):
                    raise StoreError(
                        f"run {run}, seed {seed}, was trained from another {level_id} than the recorded one: train it "
                        "where that level has the recorded bits (processor, versions and threads are in the record), "
                        "or leave the seed out by --seeds"
                    )


def _check_study(out: Path, record: Mapping[str, Any]) -> None:
    before = read_record(study_file(out, record["study"]), _Study)
    if before is None:
        return
    differing = [name for name in _SAME if before.get(name) != record.get(name)]
    differing += [f"arm {arm}" for arm, run in record["arms"].items() if before["arms"].get(arm, run) != run]
    if differing:
        raise StoreError(
            f"study {record['study']} is recorded in {out.name} with another {differing[0]}: seeds of the two cannot "
            "be shown together: use another --output-dir"
        )


def _write(
    results: Path, out: Path, record: Mapping[str, Any], runs: Mapping[Key, RunConfig], fresh: Mapping[Key, Mapping]
) -> None:
    for (run, seed), config in runs.items():
        RunFolder(out, run, seed).write_config(config)
        if (run, seed) in fresh:
            write_atomic(packed_file(out, run, seed), pack(run, seed, fresh[run, seed]))
    write_study(out, record)  # last: by it figures find the others


def recorded(folder: Path, run: str, seed: int) -> dict[str, Any] | None:
    """The packed record of a run and seed in a folder of records; None where there is none.

    Raises:
        StoreError: it is damaged, or is that of another run or seed.
    """
    file = packed_file(folder, run, seed)
    try:
        record = unpack(read_limited(file), file.name)
    except FileNotFoundError:
        return None
    if (record["run"], record["seed"]) != (run, seed):
        raise StoreError(f"{file.name} in {run} is the record of {record['run']}, seed {record['seed']}: move it back")
    return record


def is_recorded(folder: Path | None, configs: Mapping[str, RunConfig]) -> Callable[[Stage], bool]:
    """Whether every arm of a stage is recorded in a folder; without one nothing is.

    Args:
        folder: folder of records, or None.
        configs: arm -> run.

    Raises:
        ConfigError: there is no such folder.
    """
    if folder is not None and not folder.is_dir():
        raise ConfigError(f"there is no folder of records {str(folder)!r}: leave out --records, or correct its path")

    def test(stage: Stage) -> bool:
        return folder is not None and all(recorded(folder, configs[arm].name, stage.seed) for arm in stage.arms)

    return test


def bytes_of(folder: Path) -> int:
    """The size of a folder's files in bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
