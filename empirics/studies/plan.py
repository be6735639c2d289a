"""A study from command-line options: its plan, remaining tasks, cost estimate and execution.

torch is loaded only to measure or to train.
"""

import dataclasses
import functools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from empirics import provenance
from empirics.config import ConfigError, RunConfig, RunOptions, check_choice
from empirics.cores import usable_cores
from empirics.execution.processes import TaskEvent, run_tasks
from empirics.execution.tasks import Key, Task, plan_stages, study_record, unfinished
from empirics.execution.workers import DataSource, NetworkWork, free_gpu_memory, part_of
from empirics.names import MOST_LETTERS_OF_DATASET, is_slug, seed_folder
from empirics.storage.layout import refuse_wrong
from empirics.studies import presets
from empirics.studies.arms import Settings, differs, resolve
from empirics.studies.protocols import OURS, arms_under, settings_under
from empirics.studies.records import StudyRecords
from empirics.studies.seed_records import is_recorded
from empirics.studies.sweeps import SWEEPS
from empirics.studies.tiers import Stage

if TYPE_CHECKING:
    from empirics.data.datasets import Dataset

GPU_WORKERS = 4  # processes that share one GPU
BASE = "base"  # the `swept` of a study that is a value of every sweep
DATA_FOLDER = Path("data")


@dataclass(frozen=True)
class Study:
    """Options of every command that trains: preset, data, device, seeds and the results folder."""

    preset: str = "quick"
    """a study: its data set, network, arms and seeds (`list` shows the presets)"""
    protocol: Literal["ours", "authors"] = "ours"
    """whose choices to follow: this project's, or those of the authors' code (`table1` shows both)"""
    results: Path = Path("results")
    """folder of result files"""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """where networks are trained; auto: on a GPU if there is one, digits on the CPU"""
    workers: int | None = None
    """number of parallel processes; default: the number of cores (on a GPU, at most 4)"""
    seeds: tuple[int, ...] = ()
    """seeds to train; default: the preset's, or those that its plan has for each arm"""
    threads: int = 1
    """torch threads in each process; a different number changes the last bits of the results"""
    checkpoint_minutes: float = 5.0
    """minutes between two checkpoints within a level"""
    checkpoint_epochs: int = 0
    """also write a checkpoint every N epochs; 0: only by time"""
    bit_exact: bool = False
    """stop with an error if inputs were made with other versions, code, hardware or thread counts"""
    dry_run: bool = False
    """print what would run, with estimates of time and disk space, and exit"""
    dataset: str | None = None
    """train on another data set with the preset's settings (`list` shows them); default: the preset's"""
    data_dir: Path | None = None
    """folder of the data set; default: data"""
    dataset_name: str | None = None
    """name for your own images: train on DATA_DIR/train/CLASS/IMAGE and DATA_DIR/test/CLASS/IMAGE instead"""


@dataclass(frozen=True)
class Plan:
    """The remaining tasks of a study, and its record; several plans may contain the same tasks."""

    tasks: Sequence[Task]
    source: DataSource
    record: dict[str, Any]
    preset: presets.Preset
    workers: int
    configs: Mapping[str, RunConfig]
    seeds: Sequence[int]


def plan_study(
    command: Study,
    arms: Sequence[str],
    overrides: Mapping[str, Any],
    swept: str | None = None,
    shared_overrides: Settings | None = None,
    options: str = "",
    tiers: Sequence[str] = (),
    records: Path | None = None,
) -> Plan:
    """Plan the missing runs of a preset's arms, checked as far as possible before training.

    A preset with a plan of seeds has its arms trained on these, tier by tier; a value of a sweep has no such plan.

    Args:
        command: the options of the command.
        arms: keys of `ARMS`; empty for all arms of the preset.
        overrides: settings of the preset that are changed.
        swept: the sweep that this study is a value of.
        shared_overrides: the part of `overrides` that applies to every value of the sweep.
        options: the other options of the command line, as text.
        tiers: tiers of the preset's plan; empty for all.
        records: folder of records of complete seeds: stages that are recorded there are left out, but for the arms
            that later ones take masks or signs from.
    """
    preset = presets.PRESETS[check_choice(command.preset, presets.PRESETS, "preset")]
    _check_numbers(command)
    usual = settings_under(command.protocol, preset)
    changed = {name: value for name, value in overrides.items() if value != _setting(usual, name)}
    settings = settings_under(command.protocol, preset, changed)
    source = data_source(command, settings)
    settings |= {"dataset": source.name, "data_hash": source.data_hash}
    own = [arm for arm in arms_under(command.protocol, preset) if differs(arm, settings)]
    stages = _stages(command, preset, tuple(arms or own), tuple(arms), tiers, swept)
    wanted = presets.needed_arms([arm for stage in stages for arm in stage.arms])
    of_all = {arm: resolve(arm, settings, preset.control_levels) for arm in wanted}
    standing = is_recorded(records, of_all)
    stages = [stage for stage in stages if not standing(stage)]
    wanted = presets.needed_arms([arm for stage in stages for arm in stage.arms])
    configs = {arm: of_all[arm] for arm in wanted}
    idle = [name for name in changed if name.startswith("perturb_")]
    if idle and not any(config.perturb_rate for config in configs.values()):
        raise ConfigError(
            f"{idle[0]} has no effect on arms that are not perturbed: add --arms imp-perturbed lrr-perturbed"
        )
    seeds = tuple(dict.fromkeys(stage.seed for stage in stages))
    runs = [([configs[arm] for arm in presets.needed_arms(s.arms)], s.seed, s.number) for s in stages]
    tasks = unfinished(plan_stages(runs), command.results)
    if tasks and not command.dry_run:
        check_tasks(tasks, source, device_of(command.device, source))
    folder = f" --dataset {command.dataset}" if command.dataset else ""
    folder += f" --data-dir DIR --dataset-name {source.name}" if command.dataset_name else ""
    small = bool(preset.sweep_on) and not (swept and SWEEPS[swept].on_preset)
    place = _place(swept, changed, shared_overrides or {}, usual, small)
    folder += f" --protocol {command.protocol}" if command.protocol != OURS else ""
    options = f" --sweep {swept}{options}" if place["swept"] else _options(changed)
    line = f"paper_repro.py train --preset {command.preset}{options}{folder}"
    record = study_record(command.preset, changed, resolve("imp", settings), configs, seeds, line, command.protocol)
    record |= place | {"title": source.title, "classes": source.classes, "smoke": preset.smoke}
    record |= _subset(source, settings)
    if preset.plan and not place["swept"]:
        planned = preset.plan.seeds(command.protocol)
        record["planned"] = {arm: list(planned[arm]) for arm in planned if differs(arm, settings)}
    for kind in ("studies", "overlaps", "connectivity"):  # written during and after training
        refuse_wrong(command.results, kind, f"{record['study']}.json")
    return Plan(tasks, source, record, preset, worker_count(command, source) if tasks else 0, configs, seeds)


def _stages(
    command: Study,
    preset: presets.Preset,
    wanted: tuple[str, ...],
    arms: tuple[str, ...],
    tiers: Sequence[str],
    swept: str | None,
) -> list[Stage]:
    """The stages of a study: those of its preset's plan, or all its arms seed by seed.

    Args:
        command: the options of the command.
        preset: the preset.
        wanted: the arms of the study.
        arms: those of them that are asked for; empty: all.
        tiers: tiers of the preset's plan; empty: all.
        swept: the sweep that the study is a value of.

    Raises:
        ConfigError: what is asked for is not in the plan, or there is no plan.
    """
    if preset.plan is None or swept:
        if tiers:
            raise ConfigError(
                f"--tiers go with a preset that has a plan of seeds, got {command.preset!r}: leave it out"
            )
        # without a plan the longest chain of all seeds comes first, so all are one stage
        return [Stage("", wanted, seed) for seed in command.seeds or tuple(preset.seeds)]
    found = preset.plan.stages(command.protocol, arms, command.seeds, tiers)
    mine = (dataclasses.replace(stage, arms=tuple(arm for arm in stage.arms if arm in wanted)) for stage in found)
    return [stage for stage in mine if stage.arms]


def _subset(source: DataSource, settings: Settings) -> dict[str, Any]:
    """The field `train_images` of a study on a part of its data set: how many of how many."""
    from empirics.data.datasets import train_images

    used = settings.get("images_per_class", 0) * source.classes
    return {"train_images": [used, train_images(source.name, source.folder)]} if used else {}


def plan_sweep(command: Study, name: str, arms: Sequence[str], overrides: Mapping[str, Any]) -> list[Plan]:
    """A plan for each value of a sweep, with the sweep's own arms or those given.

    Args:
        command: the options of the command.
        name: key of `SWEEPS`.
        arms: keys of `ARMS`; empty for those of the sweep.
        overrides: settings of the preset that are changed at every value.

    Raises:
        ConfigError: an unknown sweep, or a setting that is both given and swept.
    """
    preset = presets.PRESETS[check_choice(command.preset, presets.PRESETS, "preset")]
    sweep = SWEEPS[check_choice(name, SWEEPS, "sweep")]
    shared_overrides = {**({} if sweep.on_preset else preset.sweep_on), **overrides}
    settings = settings_under(command.protocol, preset, shared_overrides)
    values = sweep.values(settings, brief=bool(preset.sweep_on))
    if not values:
        raise ConfigError(f"--sweep {name} has no value to try in preset {command.preset} under these options")
    clash = sorted({key for value in values for key in value} & set(overrides))
    if clash:
        raise ConfigError(f"--sweep {name} sets {clash[0]} itself: leave out --{clash[0].replace('_', '-')}")
    options = _options(overrides)
    return [
        plan_study(command, arms or sweep.arms, {**shared_overrides, **v}, name, shared_overrides, options)
        for v in values
    ]


def _place(
    swept: str | None, changed: Settings, shared_overrides: Settings, usual: Settings, small: bool
) -> dict[str, Any]:
    """The fields `swept` and `shared_overrides` of a study's record.

    `swept` names the sweep that the study is a value of, and `shared_overrides` holds the settings that all values of
    the sweep share. A study at exactly these settings is a value of every sweep, with `swept` = `base`. If these
    settings are the preset's own, it is the preset's study, which belongs to no sweep.

    Args:
        swept: the sweep; None if there is none.
        changed: settings that the study changes.
        shared_overrides: those that the sweep changes at every value.
        usual: settings of the preset under its protocol.
        small: whether the sweep runs on another network than the preset.
    """
    shared_overrides = {name: value for name, value in shared_overrides.items() if value != _setting(usual, name)}
    if swept is None or (changed == shared_overrides and not small):
        return {"swept": None, "shared_overrides": {}}
    return {"swept": BASE if changed == shared_overrides else swept, "shared_overrides": shared_overrides}


def _setting(settings: Settings, name: str) -> Any:
    """A setting, or the default where there is none."""
    return settings.get(name, getattr(RunConfig(), name))


def _check_numbers(command: Study) -> None:
    if command.workers is not None and command.workers < 1:
        raise ConfigError(f"--workers must be at least 1, got {command.workers}")
    if command.threads < 1:
        raise ConfigError(f"--threads must be at least 1, got {command.threads}")
    if command.checkpoint_epochs < 0 or not command.checkpoint_minutes >= 0:
        raise ConfigError("--checkpoint-epochs and --checkpoint-minutes must be 0 or more")
    for seed in command.seeds:
        seed_folder(seed)  # raises an error for one that cannot name a folder
    if twice := [seed for seed in set(command.seeds) if command.seeds.count(seed) > 1]:
        raise ConfigError(f"--seeds has {twice[0]} more than once: name each seed once")


def device_of(requested: str, source: DataSource) -> str:
    """The device to train on: `auto` is the CPU for a data set whose images are too small for a GPU.

    Args:
        requested: `--device`.
        source: the data.
    """
    from empirics.data.datasets import DATASETS

    facts = DATASETS.get(source.name)
    return "cpu" if requested == "auto" and facts is not None and facts.on_cpu else requested


def worker_count(command: Study, source: DataSource) -> int:
    """The number of workers: the cores; with GPUs, `GPU_WORKERS` for each, or one for streamed images.

    If a GPU has no memory for so many, `train` starts fewer (`fitting_workers`).
    """
    if command.workers:
        return command.workers
    device = device_of(command.device, source)
    if device == "cpu" or provenance.prepare(device).type != "cuda":
        return usable_cores()
    each = 1 if source.image_size else GPU_WORKERS
    return min(each * provenance.accelerators(), usable_cores())


def fitting_workers(tasks: Sequence[Task], source: DataSource, workers: int, command: Study) -> int:
    """The number of workers, at most `workers`, that the GPUs have memory for.

    What `--workers` says stays.
    """
    device = device_of(command.device, source)
    if command.workers or device == "cpu" or provenance.prepare(device).type != "cuda":
        return workers
    from empirics.execution import estimate

    whole = _loaded(source)
    configs = {task.config.name: task.config for task in tasks}.values()
    needed = max(estimate.gpu_bytes(config, whole) for config in configs)
    return estimate.workers_that_fit(free_gpu_memory(), needed, workers)


def _options(overrides: Mapping[str, Any]) -> str:
    return "".join(
        f" --{name.replace('_', '-')} {_option_value(value)}" for name, value in overrides.items() if value != ()
    )


def _option_value(value: object) -> str:
    return " ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def check_tasks(tasks: Sequence[Task], source: DataSource, device: str) -> None:
    """Check, before anything is written, that every task can be trained to its end."""
    from empirics.execution import estimate

    provenance.prepare(device)
    whole = _loaded(source)
    for config in {task.config.name: task.config for task in tasks}.values():
        estimate.check_run(config, part_of(whole, config))


@functools.lru_cache(maxsize=1)
def _loaded(source: DataSource) -> "Dataset":
    """The data set: loaded once for all the studies of a command."""
    return source.load()


def train(plans: Sequence[Plan], command: Study) -> tuple[int, int]:
    """Run the plans together, and record their studies.

    The runs of all studies on the same data share one pool of workers: a free core takes a run of the next study.

    Returns:
        The number of runs that failed, and the number of all runs.
    """
    from empirics.execution.progress import reporter

    studies = StudyRecords([(plan.record, {task.key for task in plan.tasks}) for plan in plans], command.results)
    failed = 0
    together = joined(plans)
    for (source, workers), tasks in together.items():
        with reporter(tasks) as show:

            def on_event(event: TaskEvent, show: Callable[[TaskEvent], None] = show) -> None:
                show(event)
                studies.on_event(event)

            device = device_of(command.device, source)
            failures = run_tasks(
                tasks,
                NetworkWork(source, command.results, device, run_options(command)),
                fitting_workers(tasks, source, workers, command),
                on_event,
                cost=lambda task: task.epochs,
                stage=lambda task: task.stage,
            )
        failed += len(failures)
    studies.count_the_rest()
    return failed, sum(map(len, together.values()))


def joined(plans: Sequence[Plan]) -> dict[tuple[DataSource, int], list[Task]]:
    """The tasks of some plans by (data source, workers), each once and after those that it depends on."""
    found: dict[tuple[DataSource, int], dict[Key, Task]] = {}
    for plan in plans:
        for task in plan.tasks:
            found.setdefault((plan.source, plan.workers), {}).setdefault(task.key, task)
    return {place: list(tasks.values()) for place, tasks in found.items()}


def run_options(command: Study) -> RunOptions:
    """The `RunOptions` of a command: threads, checkpoints, bit-exactness."""
    return RunOptions(**{field.name: getattr(command, field.name) for field in dataclasses.fields(RunOptions)})


def data_source(command: Study, settings: Mapping[str, Any]) -> DataSource:
    """The location of the data, and the hash of their content.

    Raises:
        ConfigError: a label that cannot name a folder of images, or a folder for data that need none.
        DataError: the data do not exist, or not in the expected layout (not raised for a dry run in the default
            folder).
    """
    from empirics.data.datasets import DATASETS, DataError

    folder = (command.data_dir or DATA_FOLDER).absolute()
    label = command.dataset_name
    image_size = settings.get("image_size", 0)
    if label is not None:
        _check_label(label, command.dataset, DATASETS)
    name = label or check_choice(command.dataset or settings["dataset"], DATASETS, "data set")
    known = DATASETS.get(name)
    if known is not None and not known.needs_folder:
        if command.data_dir is not None:
            raise ConfigError(
                f"data set {name!r} needs no folder: to train on the images in --data-dir, give them a name with "
                "--dataset-name"
            )
        content = _content_hash(name, None, image_size, None)
        return DataSource(name, None, content, image_size=image_size, title=known.title, classes=known.classes)
    cache = None if command.dry_run else command.results / "cache"
    try:
        content = _content_hash(name, folder, image_size, cache)
        title, classes = _facts(name, folder)
    except DataError:
        if command.dry_run and command.data_dir is None and known is not None:
            return DataSource(name, title=known.title, classes=known.classes)  # an estimate needs no data
        raise
    source = DataSource(name, folder, content, cache, image_size, title=title, classes=classes)
    return dataclasses.replace(source, threads=max(1, usable_cores() // worker_count(command, source)))


def _check_label(label: str, dataset: str | None, known: Collection[str]) -> None:
    """Refuse a `--dataset-name` that cannot name a folder of images, or that comes with `--dataset`."""
    if dataset is not None:
        raise ConfigError(
            f"--dataset {dataset} and --dataset-name {label} name two data sets: leave out --dataset to train on your "
            "own images"
        )
    if label in known or not is_slug(label) or len(label) > MOST_LETTERS_OF_DATASET:
        raise ConfigError(
            f"--dataset-name {label!r} cannot name a folder of images: use lower-case words joined by hyphens, at most "
            f"{MOST_LETTERS_OF_DATASET} letters, other than the built-in data sets ({', '.join(known)})"
        )


@functools.cache
def _facts(name: str, folder: Path) -> tuple[str, int]:
    """`datasets.facts`, read once for all the studies of a command."""
    from empirics.data.datasets import facts

    return facts(name, folder)


@functools.cache
def _content_hash(name: str, folder: Path | None, image_size: int, cache: Path | None) -> str:
    """`datasets.content_hash`, computed once for all the studies of a command."""
    from empirics.data.datasets import content_hash

    return content_hash(name, folder, image_size, cache)


def forecasts(plans: Sequence[Plan], command: Study) -> str:
    """What each plan would run in addition to the plans before it, with estimates of time and disk space.

    The estimates come from the throughput that is measured now.
    """
    seen: set[Key] = set()
    said = []
    for plan in plans:
        mine = [task for task in plan.tasks if task.key not in seen]
        keys = {task.key for task in mine}
        tasks = [dataclasses.replace(task, needs=tuple(key for key in task.needs if key in keys)) for task in mine]
        said.append(_forecast(dataclasses.replace(plan, tasks=tasks), command))
        seen |= keys
    return "\n".join(said)


def _forecast(plan: Plan, command: Study) -> str:
    tasks = plan.tasks
    source = plan.source
    levels = sum(len(task.levels) for task in tasks)
    epochs = sum(task.epochs for task in tasks)
    lines = [f"study {plan.record['study']}: {len(tasks)} runs, {levels} levels, {epochs} epochs to train"]
    lines += [f"  {config.arm:27} {name}" for name, config in {t.config.name: t.config for t in tasks}.items()]
    if not tasks:
        return lines[0]
    from empirics.execution import estimate

    device = provenance.prepare(device_of(command.device, source))
    config = tasks[0].config
    if slow := provenance.slow_precision(device.type, config.precision):
        lines.append(f"  {slow}")
    from empirics.data.datasets import DATASETS

    facts = DATASETS.get(source.name)
    if facts is not None and facts.needs_folder and source.folder is None:  # not installed
        n_train = config.images_per_class * facts.classes or facts.train_images
        n_test = facts.test_images
        shape = facts.image_shape(config.image_size)
        # a GPU is measured on whole batches
        at_least = config.batch_size if device.type == "cuda" else 1
        data = estimate.random_dataset(shape, n_train, n_test, facts.classes, at_least)
        for task in tasks:
            estimate.check_run(task.config, data, n_train)
    else:
        data = part_of(_loaded(source), config)
        n_train = len(data.labels("train"))
        n_test = len(data.labels("test"))
        check_tasks(tasks, source, device.type)
    throughput = estimate.measure(config, data.to(device))
    cost = estimate.estimate(tasks, throughput, data, n_train, n_test, plan.workers)
    # processes on one GPU share it: no measurement of one says how much they slow one another
    shared = f" to {duration(cost.work_seconds)}" if device.type == "cuda" and plan.workers > 1 else ""
    lines.append(
        f"about {duration(cost.wall_seconds)}{shared} on {plan.workers} workers ({duration(cost.work_seconds)} of work "
        f"at {throughput.training:.0f} images/s), {cost.disk / 1e6:.0f} MB of disk"
    )
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """A duration as text, in seconds, minutes, hours or days."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.3g} seconds"
