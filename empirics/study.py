"""A study from the command line: what is asked for, what is left of it, what it will cost, and its run.

torch is loaded only where something is measured or trained.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from empirics import presets, runtime, sweep
from empirics.config import ConfigError, choose
from empirics.runtime import usable_cores
from empirics.store import write_study
from empirics.sweep import DataSource

GPU_WORKERS = 4  # processes that share one GPU


@dataclass(frozen=True)
class Study:
    """What is trained, on what, and where the results go."""

    preset: str = "quick"
    """quick, cifar10-small, cifar10, cifar100, tiny-imagenet or imagenet"""
    results: Path = Path("results")
    """folder of result files"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where networks are trained"""
    workers: int | None = None
    """processes side by side; default: the cores (on a GPU, at most 4)"""
    seeds: tuple[int, ...] = ()
    """seeds; default: the preset's"""
    dry_run: bool = False
    """say what would run, with time and disk, and stop"""
    data_dir: Path | None = None
    """folder with train/CLASS/IMAGE and test/CLASS/IMAGE, in place of the preset's data set"""
    data_label: str | None = None
    """name of the data in DATA_DIR; default: the folder's name"""


@dataclass(frozen=True)
class Plan:
    """What is left to train of a study, and its record."""

    tasks: Sequence[sweep.Task]
    source: DataSource
    record: dict[str, Any]
    preset: presets.Preset
    workers: int


def plan_study(command: Study, arms: Sequence[str], overrides: dict[str, Any]) -> Plan:
    """What is missing of a preset's arms (all of them for none given), checked as far as can be before training."""
    preset = presets.PRESETS[choose(command.preset, presets.PRESETS, "preset")]
    if command.workers is not None and command.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {command.workers}")
    if any(seed < 0 for seed in command.seeds):
        raise ConfigError(f"--seeds must not be negative, got {min(command.seeds)}: a seed is 0 or more")
    source, content = data_source(command, preset)
    wanted = presets.needed_arms(arms or preset.arms)
    configs = {arm: presets.arm_config(command.preset, arm, **overrides, **content) for arm in wanted}
    seeds = command.seeds or tuple(preset.seeds)
    tasks = sweep.unfinished(sweep.plan(configs.values(), seeds), command.results)
    if tasks and not command.dry_run:
        check_tasks(tasks, source, command.device)
    label = ", ".join([command.preset, *(f"{name}={value}" for name, value in overrides.items())])
    options = "".join(f" --{name.replace('_', '-')} {_words(value)}" for name, value in overrides.items())
    folder = f" --data-dir DIR --data-label {source.name}" if source.folder else ""
    made_by = f"paper_repro.py train --preset {command.preset}{options}{folder}"
    record = sweep.study_record(label, configs, seeds, made_by)
    return Plan(tasks, source, record, preset, _workers(command) if tasks else 0)


def _workers(command: Study) -> int:
    if command.workers:
        return command.workers
    on_gpu = command.device != "cpu" and runtime.prepare(command.device).type == "cuda"
    return min(GPU_WORKERS, usable_cores()) if on_gpu else usable_cores()


def _words(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def check_tasks(tasks: Sequence[sweep.Task], source: DataSource, device: str) -> None:
    """Refuse, before anything is written, what would fail in the middle of the work."""
    from empirics import datasets, levels

    runtime.prepare(device)
    dataset = datasets.load(source.name, folder=source.folder, data_hash=source.data_hash, cache=source.cache)
    dataset = datasets.first_per_class(dataset, tasks[0].config.images_per_class)
    for config in {task.config.name: task.config for task in tasks}.values():
        levels.check_run(config, tasks[0].seed, dataset)


def train(plan: Plan, command: Study) -> int:
    """Run the plan, and record the study; the number of runs that failed."""
    from empirics.progress import reporter

    write_study(command.results, plan.record)
    if not plan.tasks:
        return 0
    with reporter(plan.tasks) as on_event:
        failures = sweep.execute(
            plan.tasks, plan.source, command.results, device=command.device, workers=plan.workers, on_event=on_event
        )
    return len(failures)


def data_source(command: Study, preset: presets.Preset) -> tuple[DataSource, dict[str, str]]:
    """Where the data are, and the settings that name them."""
    if command.data_dir is None:
        return DataSource(preset.settings["dataset"]), {}
    from empirics.datasets import DATASETS, folder_hash

    label = command.data_label or re.sub(r"[^a-z0-9]+", "-", command.data_dir.resolve().name.lower()).strip("-")
    if label in DATASETS or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", label):
        raise ConfigError(
            f"{label!r} cannot name a folder of images: give --data-label, lower-case words joined by hyphens "
            f"that name no data set of ours ({', '.join(DATASETS)})"
        )
    content = folder_hash(command.data_dir)
    source = DataSource(label, command.data_dir.resolve(), content, command.results / "cache")
    return source, {"dataset": label, "data_hash": content}


def forecast(plan: Plan, command: Study) -> str:
    """What would run, with time and disk from throughput measured now."""
    tasks, preset, source = plan.tasks, plan.preset, plan.source
    levels, epochs = sum(len(task.levels) for task in tasks), sum(task.epochs for task in tasks)
    lines = [f"preset {command.preset}: {len(tasks)} runs, {levels} levels, {epochs} epochs to train"]
    lines += [f"  {arm:27} {config.name}" for arm, config in {t.config.arm: t.config for t in tasks}.items()]
    if not tasks:
        return lines[0]
    from empirics import datasets, estimate

    device = runtime.prepare(command.device)
    per_class = tasks[0].config.images_per_class
    if source.folder is not None or source.name in datasets.DATASETS:
        data = datasets.load(source.name, folder=source.folder, data_hash=source.data_hash)
        data = datasets.first_per_class(data, per_class)
        n_train, n_test = len(data.train), len(data.test)
    else:
        n_train, n_test = per_class * preset.classes or preset.train_images, preset.test_images
        data = estimate.random_dataset(preset.image_shape, n_train, n_test, preset.classes)
    throughput = estimate.measure(tasks[0].config, data.to(device))
    cost = estimate.estimate(tasks, throughput, data, n_train, n_test, plan.workers)
    lines.append(
        f"about {duration(cost.wall_seconds)} on {plan.workers} workers ({duration(cost.work_seconds)} of work at "
        f"{throughput.training:.0f} images/s), {cost.disk / 1e6:.0f} MB of disk"
    )
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Seconds, minutes, hours or days, in two figures or three."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} seconds"
