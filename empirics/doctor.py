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

from empirics import runtime
from empirics.config import ConfigError, RunConfig, config_hash
from empirics.store import RunFolder, theory_result_stands


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
    yield Finding(f"processor: {origin['hardware']['cpu']}, {runtime.usable_cores()} cores, {memory / 2**30:.0f} GiB")
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
        problem = _config_problem(folder)
        if problem:
            yield Finding(f"run {folder.name}: {problem}", bad=True)
        for seed in sorted(folder.glob("seed-*")):
            if not re.fullmatch(r"seed-\d{1,9}", seed.name):
                yield Finding(f"run {folder.name}: {seed.name!r} is no folder of ours", bad=True)
                continue
            for text in _seed_problems(results, folder.name, seed):
                yield Finding(f"run {folder.name}, {seed.name}: {text}", bad=True)
            whole += len(list(seed.glob("level-*/level.json")))
    for file in sorted(results.glob("theory/*.json")):
        if not theory_result_stands(results / "theory", file.stem):
            yield Finding(f"theory result {file.stem} is damaged: delete it", bad=True)
    for file in [*sorted(results.glob("studies/*.json")), *sorted(results.glob("overlaps/*.json"))]:
        if not _is_object(file):
            yield Finding(f"{file.parent.name}/{file.name} is not JSON of ours: delete it", bad=True)
    yield Finding(f"results: {whole} levels looked at, every file against its SHA-256")


def _seed_problems(results: Path, run: str, seed: Path) -> Iterator[str]:
    folder = RunFolder(results, run, int(seed.name.removeprefix("seed-")))
    for level in sorted(seed.glob("level-*")):
        number = re.fullmatch(r"level-(\d{2,4})", level.name)
        if number is None:
            yield f"{level.name!r} is no folder of ours"
        elif (level / "level.json").exists() and folder.level_record(int(number[1])) is None:
            yield f"{level.name} is damaged: the same command trains it anew"
    if (seed / "signs.json").exists() and folder.signs_record() is None:
        yield "signs.json is damaged: delete it"


def _config_problem(folder: Path) -> str | None:
    """What is wrong with a run's config.json: it must be the settings that the run's name stands for."""
    try:
        record = json.loads((folder / "config.json").read_bytes())
        config = config_of(record["config"], record["arm"])
    except ConfigError as error:
        return f"config.json cannot be run: {error}"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        return f"config.json cannot be read ({type(error).__name__}): delete the run"
    if not folder.name.endswith(f"-{config_hash(config)}"):
        return f"config.json has hash {config_hash(config)}, which is not that of the run's name: delete the run"
    return None


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


def _is_object(file: Path) -> bool:
    try:
        return isinstance(json.loads(file.read_bytes()), dict)
    except (OSError, ValueError, RecursionError):
        return False
