"""The command `doctor`: check versions, disk space, hardware, data sets and result files.

The report contains no personal paths, so that it can be shared.
"""

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from empirics import provenance
from empirics.config import ConfigError, RunConfig, config_hash, config_of
from empirics.names import level_folder, level_of, parse_checkpoint, seed_of
from empirics.storage import checkpoints, folders, layout
from empirics.storage.data_files import is_being_written, is_temporary
from empirics.storage.files import StoreError, names_in, read_limited, read_record, sha256
from empirics.storage.locks import LOCK_SECONDS
from empirics.storage.run_folder import RunFolder
from empirics.storage.schemas import StudyRuns
from empirics.studies.records import theory_result_stands

_CHANGES = {True: ", with changes", False: "", None: ", perhaps with changes"}


@dataclass(frozen=True)
class Finding:
    """One line of the report; `bad` marks a problem that the user must solve."""

    text: str
    bad: bool = False


def examine(results: Path, data: Path) -> Iterator[Finding]:
    """Check everything, without writing anything.

    Args:
        results: results folder, which need not exist.
        data: folder of the data sets.
    """
    yield from _machine(results)
    yield from _data_sets(data)
    yield from _results(results)


def _machine(results: Path) -> Iterator[Finding]:
    import torch

    origin = provenance.provenance(torch.get_num_threads(), None, provenance.instruction_set())
    yield Finding("versions: " + ", ".join(f"{name} {version}" for name, version in origin["versions"].items()))
    git = origin["git"]
    state = "unknown" if git["commit"] is None else git["commit"][:12] + _CHANGES[git["dirty"]]
    yield Finding(f"commit: {state}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    hardware = origin["hardware"]
    yield Finding(
        f"processor: {hardware['cpu']}, {hardware['instruction_set']}, {hardware['cores']} cores, "
        f"{memory / 2**30:.0f} GiB"
    )
    yield _gpus()
    place = Path(os.path.realpath(results))
    there = next(folder for folder in (place, *place.parents) if os.path.exists(folder))
    free = shutil.disk_usage(there).free
    yield Finding(f"disk: {free / 2**30:.1f} GiB free for results", bad=free < 2**30)
    if not os.access(there, os.W_OK):
        yield Finding("disk: the results folder cannot be written: choose another --results", bad=True)


def _gpus() -> Finding:
    """The GPUs; one that is there and cannot be used is a problem."""
    import torch

    counted = provenance.accelerators()
    problem = provenance.cuda_problem()
    if problem is None:
        return Finding(f"GPU: {', '.join(torch.cuda.get_device_name(k) for k in range(counted)) or 'none'}")
    if counted or provenance.driver_version():
        return Finding(f"GPU: {counted} counted, and CUDA cannot start: {problem}: update the driver", bad=True)
    return Finding("GPU: none")


def _data_sets(data: Path) -> Iterator[Finding]:
    from empirics.data.datasets import DATASETS, DataError, content_hash
    from empirics.storage.data_files import DamagedData

    for name, entry in DATASETS.items():
        try:
            image_size = entry.shape[1] if entry.streamed else 0
            content = content_hash(name, data if entry.needs_folder else None, image_size)
            yield Finding(f"data set {name}: found" + (f", content {content[:12]}" if content else ", as published"))
        except DataError as error:
            text = f"data set {name}: {str(error).split(': expected')[0]}"
            # other errors mean that the data set is not installed, which is no problem
            yield Finding(text, bad=isinstance(error, DamagedData))


def _results(results: Path) -> Iterator[Finding]:
    whole = 0
    for run in _visible(results / "runs"):
        name = _printable_name(run)
        folder = results / "runs" / run
        config, problem = _config_of(folder)
        if problem:
            yield Finding(f"run {name}: {problem}", bad=True)
        for seed in (name for name in _visible(folder) if name.lower().startswith("seed")):
            number = seed_of(seed)
            if number is None:
                yield Finding(f"run {name}: {_printable_name(seed)} is not the name of a seed's folder", bad=True)
                continue
            for text in _seed_problems(RunFolder(results, run, number), config):
                yield Finding(f"run {name}, {seed}: {text}", bad=True)
            whole += sum(os.path.exists(folder / seed / level / "level.json") for level in _visible(folder / seed))
    yield from _records(results)
    yield from _unlisted(results)
    yield from _strays(results)
    yield Finding(
        f"results: {whole} levels, their checkpoints, logs and sign statistics, and the records of studies and of the "
        "neuron were compared with their SHA-256"
    )


def _visible(folder: Path) -> list[str]:
    """Names in a folder; none if it cannot be listed, which `_strays` reports."""
    try:
        return names_in(folder)
    except StoreError:
        return []


def _strays(results: Path) -> Iterator[Finding]:
    """Everything that does not belong in a results folder.

    These are symbolic links, temporary files of killed processes, folders that cannot be listed, and files in place of
    folders or the reverse. A link in place of `runs`, or of another folder at the top, is allowed, since people use it
    to put results on a larger disk: its target is checked.
    """
    closed: list[OSError] = []
    there: list[os.DirEntry[str]] = []
    try:
        if folders.kind(results) is None:
            above = next(place for place in Path(os.path.abspath(results)).parents if os.path.lexists(place))
            if folders.kind(above) != folders.FOLDER:
                yield Finding("the results folder is inside a file: choose another --results", bad=True)
        else:
            there = list(folders.walk(results, closed.append))
    except OSError as error:
        closed.append(error)
    elsewhere = [entry for entry in there if Path(entry.path).parent == results and _is_linked_folder(entry)]
    there = [entry for entry in there if entry not in elsewhere]
    there += [entry for linked in elsewhere for entry in folders.walk(linked.path, closed.append)]
    for name, why in {os.path.relpath(error.filename, results): error.strerror for error in closed}.items():
        where = "the results folder" if name == "." else _printable_name(name)
        yield Finding(f"{where} cannot be listed: {why}: its content is unknown", bad=True)
    for entry in there:
        if not entry.is_symlink():
            text = layout.wrong(Path(entry.path).relative_to(results).parts, folders.kind_of_entry(entry))
            if text is not None:
                yield Finding(text, bad=True)
    for name in (_printable_name(entry.name) for entry in there if entry.is_symlink()):
        yield Finding(f"{name} is a symbolic link, which could lead anywhere: put a copy there", bad=True)
    left = [entry for entry in there if is_temporary(entry.name) and not is_being_written(entry.path, LOCK_SECONDS)]
    for name in (_printable_name(entry.name) for entry in left):
        yield Finding(f"{name} was left by a process that was killed: delete it", bad=True)


def _is_linked_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_symlink() and folders.kind(entry.path) == folders.FOLDER
    except OSError:
        return False


def _records(results: Path) -> Iterator[Finding]:
    """Problems of the records that do not belong to one run: of the neuron, of studies."""
    theory, *of_studies = (_json_files(results / kind) for kind in ("theory", "studies", "overlaps", "connectivity"))
    for file in theory:
        try:
            if not theory_result_stands(file.parent, file.stem):
                yield Finding(f"theory result {_printable_name(file.stem)} is damaged: delete it", bad=True)
        except StoreError as error:
            yield Finding(f"theory result {_printable_name(file.stem)}: {error}", bad=True)
    for file in [file for files in of_studies for file in files]:
        where = f"{file.parent.name}/{_printable_name(file.name)}"
        try:
            if (record := read_record(file)) is None:
                yield Finding(f"{where} is damaged: delete it, the same command writes it again", bad=True)
            elif record.get("study") != file.stem:
                study = _printable_name(str(record.get("study")))
                todo = "give it that name, or delete it"
                yield Finding(f"{where} is the record of {study}, and is not read under another name: {todo}", bad=True)
        except StoreError as error:
            yield Finding(f"{where}: {error}", bad=True)


def _unlisted(results: Path) -> Iterator[Finding]:
    """Trained seeds that no study's record lists, as after one results folder was copied over another.

    They are no problem, but no figure reads them. Level 0 needs no entry: the arms that start from it list it.
    """
    listed: dict[str, set[int]] = {}
    for file in _json_files(results / "studies"):
        try:
            record = read_record(file, StudyRuns)
        except StoreError:
            record = None
        if record is None:  # its list is unknown
            return
        for run in record["arms"].values() if record["study"] == file.stem else ():
            listed.setdefault(run, set()).update(record["seeds"])
    for run in (name for name in _visible(results / "runs") if not name.startswith("dense-")):
        folder = results / "runs" / run
        there = {number: name for name in _visible(folder) if (number := seed_of(name)) is not None}
        seeds = sorted(there.keys() - listed.get(run, set()))
        if seeds := [seed for seed in seeds if any(folder.glob(f"{there[seed]}/level-*/{layout.LEVEL_FILE}"))]:
            shown = ", ".join(map(str, seeds))
            yield Finding(
                f"run {_printable_name(run)}: no study's record lists its seeds {shown}, and no figure reads them: "
                "`train` with the options of its study and these --seeds lists them"
            )


def _json_files(folder: Path) -> list[Path]:
    return [folder / name for name in _visible(folder) if name.endswith(".json")]


def _seed_problems(folder: RunFolder, config: RunConfig | None) -> Iterator[str]:
    there = []
    for level in (name for name in _visible(folder.path) if name.lower().startswith("level-")):
        number = level_of(level)
        if number is None:
            yield f"{_printable_name(level)} is not the name of a level's folder"
            continue
        there.append(number)
        try:
            if os.path.exists(folder.path / level / "level.json") and folder.level_record(number) is None:
                yield f"{level} is damaged, or a level that it depends on has changed: the same command retrains it"
        except StoreError as error:
            yield str(error)
    expected = [level for level in config.trained_levels if level < max(there, default=-1)] if config else []
    missing = (level_folder(level) for level in expected if level not in there)
    yield from (f"{level} is missing and a later one exists" for level in missing)
    try:
        yield from _log_problems(folder)
        yield from _checkpoint_problems(folder)
        if os.path.exists(folder.path / "signs.json") and folder.signs_record() is None:
            yield "signs.json is damaged: delete it"
    except StoreError as error:
        yield str(error)
    except OSError as error:  # its text names folders
        yield f"{_printable_name(Path(error.filename or folder.path).name)} cannot be read: {error.strerror}"


def _log_problems(folder: RunFolder) -> Iterator[str]:
    if folder.has_torn_metrics():
        yield "metrics.jsonl holds an incomplete line: it is dropped when the run resumes"
    for level in folder.levels_there():
        record = folder.level_record(level, verify=False)
        expected = record and record["status"] == "complete" and record.get("metrics_sha256")
        if expected and folder.metrics_hash(level) != expected:
            yield f"metrics.jsonl has lost or changed epochs of level {level}; the level itself is complete"


def _checkpoint_problems(folder: RunFolder) -> Iterator[str]:
    names = (name for name in names_in(folder.checkpoints) if name.endswith(".safetensors"))
    for file in (folder.checkpoints / name for name in names):
        parsed = parse_checkpoint(file.name)
        if parsed is None:
            yield f"checkpoint {_printable_name(file.name)} has no SHA-256 in its name: it is of another version"
        elif not file.is_file() or sha256(file) != parsed[2]:
            yield f"checkpoint {file.name} is damaged: the previous one is used"
        else:
            with open(file, "rb") as stream:
                header = checkpoints.header_of(stream, file.name)
            if not folder.run.endswith(f"-{header['config']}"):
                yield f"checkpoint {file.name} belongs to another run: delete it"


def _printable_name(name: str) -> str:
    """A file's name in printable form: an untrusted name may contain control characters or no text."""
    return name if name.isascii() and name.isprintable() else ascii(name)


def _config_of(folder: Path) -> tuple[RunConfig | None, str | None]:
    """The settings of a run, and what is wrong with them; they must match the hash in the run's name.

    Files in place of folders, and the reverse, are reported by `_strays`.
    """
    try:
        found = folders.kind(folder / layout.CONFIG_FILE)
        if found is None and folders.kind(folder) == folders.FOLDER:
            begins = _is_beginning(folder)
            return None, None if begins else "config.json is missing: the same command writes it, or delete the run"
        if found != folders.FILE:
            return None, None
        record = json.loads(read_limited(folder / "config.json"))
        config = config_of(record["config"], record["arm"])
    except ConfigError as error:
        return None, f"config.json cannot be run: {error}"
    except StoreError as error:
        if isinstance(error.__cause__, OSError):  # its content is unknown
            return None, (
                f"config.json cannot be read: {error.__cause__.strerror}: correct its permissions, or check the disk"
            )
        return None, str(error)
    except OSError as error:
        return None, f"config.json cannot be read: {error.strerror}: correct its permissions, or check the disk"
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return None, f"config.json cannot be read ({type(error).__name__}): delete the run"
    if not folder.name.endswith(f"-{config_hash(config)}"):
        return None, f"config.json has hash {config_hash(config)}, which is not that of the run's name: delete the run"
    return config, None


def _is_beginning(folder: Path) -> bool:
    """Whether a run has just started: it has no `config.json` yet, and no seed has a level."""
    names = _visible(folder)
    levels = (folder / seed / level / layout.LEVEL_FILE for seed in names for level in _visible(folder / seed))
    return all(seed_of(name) is not None for name in names) and not any(map(os.path.lexists, levels))
