"""What a helper would ask first: versions, room, hardware, data sets, and whether every result is what was written.

Nothing that is reported names a folder of the machine, so that it can be pasted.
"""

import json
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from empirics import checkpoints, runtime
from empirics.config import ConfigError, RunConfig, config_hash
from empirics.disk import StoreError, read_capped, read_record, sha256
from empirics.store import RunFolder
from empirics.study_files import theory_result_stands


@dataclass(frozen=True)
class Finding:
    """A line of the report; `bad` where something must be done about it."""

    text: str
    bad: bool = False


def examine(results: Path, data: Path) -> Iterator[Finding]:
    """Look at everything; nothing is written.

    Args:
        results: results folder, which need not be there.
        data: folder of the data sets.
    """
    yield from _machine(results)
    yield from _data_sets(data)
    yield from _results(results)


def _machine(results: Path) -> Iterator[Finding]:
    import torch

    origin = runtime.provenance(torch.get_num_threads())
    yield Finding("versions: " + ", ".join(f"{name} {version}" for name, version in origin["versions"].items()))
    git = origin["git"]
    state = "unknown" if git["commit"] is None else git["commit"][:12] + (", with changes" if git["dirty"] else "")
    yield Finding(f"commit: {state}")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    yield Finding(f"processor: {origin['hardware']['cpu']}, {origin['hardware']['cores']} cores, {memory / 2**30:.0f} GiB")
    names = [torch.cuda.get_device_name(k) for k in range(runtime.accelerators())]
    yield Finding(f"GPU: {', '.join(names) or 'none'}")
    there = next(folder for folder in (results.resolve(), *results.resolve().parents) if folder.exists())
    free = shutil.disk_usage(there).free
    yield Finding(f"disk: {free / 2**30:.1f} GiB free for results", bad=free < 2**30)
    if not os.access(there, os.W_OK):
        yield Finding("disk: the results folder cannot be written: choose another --results", bad=True)


def _data_sets(data: Path) -> Iterator[Finding]:
    from empirics.datasets import DATASETS, DataError, content_hash

    for name in DATASETS:
        try:
            content = content_hash(name, None if name == "digits" else data, 224 if name == "imagenet" else 0)
            yield Finding(f"data set {name}: found" + (f", content {content[:12]}" if content else ", as published"))
        except DataError as error:
            yield Finding(f"data set {name}: {str(error).split(': expected')[0]}")


def _results(results: Path) -> Iterator[Finding]:
    whole = 0
    for folder in sorted(results.glob("runs/*")):
        name = _shown(folder.name)
        config, problem = _config_of(folder)
        if problem:
            yield Finding(f"run {name}: {problem}", bad=True)
        for seed in sorted(folder.glob("seed-*")):
            if not re.fullmatch(r"seed-\d{1,9}", seed.name):
                yield Finding(f"run {name}: {_shown(seed.name)} is no folder of ours", bad=True)
                continue
            for text in _seed_problems(results, folder.name, seed, config):
                yield Finding(f"run {name}, {seed.name}: {text}", bad=True)
            whole += len(list(seed.glob("level-*/level.json")))
    yield from _records(results)
    for file in sorted(path for path in results.rglob("*") if path.is_symlink()):
        yield Finding(f"{_shown(file.name)} is a symbolic link, which could lead anywhere: put a copy there", bad=True)
    for file in sorted(results.rglob(".*.tmp")):
        yield Finding(f"{_shown(file.name)} was left by a process that was killed: delete it", bad=True)
    yield Finding(
        f"results: {whole} levels, their checkpoints, logs and sign statistics, and the records of studies and of the "
        "neuron looked at, each against its SHA-256"
    )


def _records(results: Path) -> Iterator[Finding]:
    """The records that are not of one run: of the neuron, of studies, of overlaps."""
    for file in sorted(results.glob("theory/*.json")):
        if not theory_result_stands(results / "theory", file.stem):
            yield Finding(f"theory result {_shown(file.stem)} is damaged: delete it", bad=True)
    for file in [*sorted(results.glob("studies/*.json")), *sorted(results.glob("overlaps/*.json"))]:
        where = f"{file.parent.name}/{_shown(file.name)}"
        try:
            if read_record(file) is None:
                yield Finding(f"{where} is not what was written: delete it, the same command makes it again", bad=True)
        except StoreError as error:
            yield Finding(f"{where}: {error}", bad=True)


def _seed_problems(results: Path, run: str, seed: Path, config: RunConfig | None) -> Iterator[str]:
    folder = RunFolder(results, run, int(seed.name.removeprefix("seed-")))
    there = []
    for level in sorted(seed.glob("level-*")):
        number = re.fullmatch(r"level-(\d{2,4})", level.name)
        if number is None:
            yield f"{_shown(level.name)} is no folder of ours"
            continue
        there.append(int(number[1]))
        try:
            if (level / "level.json").exists() and folder.level_record(there[-1]) is None:
                yield f"{level.name} is damaged, or built on other bits: the same command trains it anew"
        except StoreError as error:
            yield str(error)
    expected = [level for level in config.trained_levels if level < max(there, default=-1)] if config else []
    yield from (f"level-{level:02d} is missing and a later one is there" for level in expected if level not in there)
    try:
        yield from _log_problems(folder)
        yield from _checkpoint_problems(folder)
        if (seed / "signs.json").exists() and folder.signs_record() is None:
            yield "signs.json is damaged: delete it"
    except (StoreError, OSError) as error:
        yield str(error)


def _log_problems(folder: RunFolder) -> Iterator[str]:
    if folder.has_torn_metrics():
        yield "metrics.jsonl holds a torn line: it is dropped when the run goes on"
    names = (path.parent.name for path in folder.path.glob("level-*/level.json"))
    for level in sorted(int(name[6:]) for name in names if re.fullmatch(r"level-\d{2,4}", name)):
        record = folder.peek(level)
        expected = record and record["status"] == "complete" and record.get("metrics_sha256")
        if expected and folder.metrics_hash(level) != expected:
            yield f"metrics.jsonl has lost or changed epochs of level {level}; the level itself stands"


def _checkpoint_problems(folder: RunFolder) -> Iterator[str]:
    named = {row["file"]: row for row in checkpoints.rows(folder.checkpoints)}
    for file in sorted(folder.checkpoints.glob("*.safetensors")):
        if file.name not in named:
            yield f"checkpoint {_shown(file.name)} is not named in its manifest: it is not used"
        elif not folder.run.endswith(f"-{named[file.name]['config']}"):
            yield f"checkpoint {file.name} belongs to another run: delete it"
        elif not file.is_file() or sha256(file) != named[file.name]["sha256"]:
            yield f"checkpoint {file.name} is damaged: the one before is taken"


def _shown(name: str) -> str:
    """A file's name as it can be printed: a stranger's may hold control characters or no text at all."""
    return name if name.isascii() and name.isprintable() else ascii(name)


def _config_of(folder: Path) -> tuple[RunConfig | None, str | None]:
    """The settings of a run, and what is wrong with them: they must be those that the run's name stands for."""
    try:
        record = json.loads(read_capped(folder / "config.json"))
        config = config_of(record["config"], record["arm"])
    except ConfigError as error:
        return None, f"config.json cannot be run: {error}"
    except (StoreError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return None, f"config.json cannot be read ({type(error).__name__}): delete the run"
    if not folder.name.endswith(f"-{config_hash(config)}"):
        return None, f"config.json has hash {config_hash(config)}, which is not that of the run's name: delete the run"
    return config, None


def config_of(record: dict[str, Any], arm: str) -> RunConfig:
    """The `RunConfig` that a `config.json` holds.

    Raises:
        ConfigError: a setting that is not one, or cannot be run.
    """
    known = {field.name for field in fields(RunConfig)} - {"arm"}
    if not set(record) <= known:
        raise ConfigError(f"unknown setting {sorted(set(record) - known)[0]!r}: another version wrote it")
    values = {name: tuple(value) if isinstance(value, list) else value for name, value in record.items()}
    # a dense run's record says only what can change level 0
    return RunConfig(**({"levels": 1} | values if arm == "dense" else values), arm=arm)
