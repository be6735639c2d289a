"""Tasks to train, with their dependencies and the order in which they run; records of studies."""

import dataclasses
import heapq
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empirics.config import RunConfig
from empirics.names import study_name
from empirics.storage.run_folder import RunFolder

Key = tuple[str, int]


@dataclass(frozen=True)
class Task:
    """One run and seed.

    Args:
        config: the run.
        seed: at least 0.
        needs: the tasks whose results it depends on.
        complete: levels that need no training, since they are complete.
        stage: tasks of an earlier stage run first, as far as workers are free.
    """

    config: RunConfig
    seed: int
    needs: tuple[Key, ...]
    complete: tuple[int, ...] = ()
    stage: int = 0

    @property
    def key(self) -> Key:
        """Run name and seed."""
        return self.config.name, self.seed

    @property
    def levels(self) -> list[int]:
        """The levels still to train."""
        return [level for level in self.config.trained_levels if level not in self.complete]

    @property
    def epochs(self) -> int:
        """Epochs still to train, over the levels and their cycles."""
        return sum(len(cycle.epochs) for level in self.levels for cycle in self.config.cycles_at(level))


def plan_tasks(configs: Iterable[RunConfig], seeds: Sequence[int]) -> list[Task]:
    """Every task of these runs and seeds, including dense runs, each after the tasks that it needs.

    Raises:
        ValueError: a run takes the masks or signs of a run that does not precede it in the plan.
    """
    tasks: dict[Key, Task] = {}
    for seed in seeds:
        for config in configs:
            dense = config.dense
            tasks.setdefault((dense.name, seed), Task(dense, seed, ()))
            if config.is_dense:
                continue
            needs = [(dense.name, seed)]
            needs += [(run, seed) for run in dict.fromkeys((config.mask_run, config.sign_run)) if run]
            missing = [run for run, s in needs if (run, s) not in tasks]
            if missing:
                raise ValueError(
                    f"run {config.name} needs run {missing[0]}, which is not planned before it: add that arm"
                )
            tasks.setdefault((config.name, seed), Task(config, seed, tuple(needs)))
    return list(tasks.values())


def plan_stages(stages: Iterable[tuple[Iterable[RunConfig], int, int]]) -> list[Task]:
    """Every task of some stages, each once, in the first stage that needs it.

    Args:
        stages: the runs, the seed and the number of each stage, in the order of training.
    """
    tasks: dict[Key, Task] = {}
    for configs, seed, number in stages:
        for task in plan_tasks(configs, (seed,)):
            tasks.setdefault(task.key, dataclasses.replace(task, stage=number))
    return list(tasks.values())


def unfinished(tasks: Sequence[Task], results: Path) -> list[Task]:
    """The tasks that are not complete; their `needs` are reduced to tasks that are not complete.

    A complete task that depends on one of them is included too: it must be checked again once that one is trained.

    Raises:
        StoreError: a file or folder in the results is not of the kind that its name requires, or cannot be read.
    """
    left = []
    open_keys = set()
    for task in tasks:
        folder = RunFolder(results, task.config.name, task.seed)
        folder.refuse_wrong()
        if open_keys & set(task.needs) or not folder.has_config or not folder.is_complete(task.config):
            whole = tuple(level for level in task.config.trained_levels if folder.level_record(level) is not None)
            left.append(dataclasses.replace(task, complete=whole))
            open_keys.add(task.key)
    return [dataclasses.replace(task, needs=tuple(key for key in task.needs if key in open_keys)) for task in left]


class Schedule:
    """Selects the next task to run.

    Of those that are ready it is one of the earliest stage, and of these the one whose dependents take longest.

    Args:
        tasks: each after the tasks that it needs.
        cost: of a task, in any unit.
        stage: of a task; a later stage waits while a task of an earlier one is ready.
    """

    def __init__(
        self,
        tasks: Sequence[Task],
        cost: Callable[[Task], float],
        stage: Callable[[Task], int] = lambda task: 0,
    ) -> None:
        self._waiting = {task.key: (task, set(task.needs)) for task in tasks}
        chain: dict[Key, float] = {}
        for task in reversed(tasks):
            behind = [chain[other.key] for other in tasks if task.key in other.needs]
            chain[task.key] = cost(task) + max(behind, default=0.0)
        self._rank = {task.key: (stage(task), -chain[task.key], i) for i, task in enumerate(tasks)}

    def __len__(self) -> int:
        return len(self._waiting)

    def next(self) -> Task | None:
        """A task whose needs are met; None if there is none at present."""
        ready = [task for task, needs in self._waiting.values() if not needs]
        if not ready:
            return None
        task = min(ready, key=lambda task: self._rank[task.key])
        del self._waiting[task.key]
        return task

    def put_back(self, task: Task) -> None:
        """Have a task that `next` returned run again."""
        self._waiting[task.key] = (task, set())

    def finish(self, key: Key) -> None:
        """Mark a task as done, so that tasks that need it may start."""
        for _, needs in self._waiting.values():
            needs.discard(key)

    def drop_dependents(self, key: Key) -> list[Task]:
        """Remove, after a failure of the task, all tasks that depend on it, and return them."""
        dropped = []
        for task in [task for task, needs in self._waiting.values() if key in needs]:
            if self._waiting.pop(task.key, None):
                dropped += [task, *self.drop_dependents(task.key)]
        return dropped


def wall_seconds(tasks: Sequence[Task], seconds: Callable[[Task], float], workers: int) -> float:
    """The time that the tasks take on `workers` processes, from a simulation of the schedule."""
    schedule = Schedule(tasks, seconds, lambda task: task.stage)
    running = []
    now = 0.0
    while len(schedule) or running:
        while len(running) < workers and (task := schedule.next()) is not None:
            heapq.heappush(running, (now + seconds(task), task.key))
        now, key = heapq.heappop(running)
        schedule.finish(key)
    return now


def study_record(
    base: str,
    changed: Mapping[str, Any],
    plain: RunConfig,
    configs: Mapping[str, RunConfig],
    seeds: Sequence[int],
    command: str,
    protocol: str = "ours",
) -> dict[str, Any]:
    """The record of a study: the run of each arm, and the command that trains them.

    Args:
        base: key of the preset.
        changed: the settings of the preset that were changed, if any.
        plain: the arm `imp` of the study, trained or not; the settings that all arms share are read from it.
        configs: arm -> run.
        seeds: seeds that the command trains.
        command: the command that trains the runs.
        protocol: key of `protocols.PROTOCOLS`.
    """
    words = [base] if protocol == "ours" else [base, protocol]
    preset = ", ".join([*words, *(f"{name}={_label(value)}" for name, value in changed.items())])
    return {
        "study": study_name(preset, plain.dataset),
        "preset": preset,
        "base": base,
        "protocol": protocol,
        "overrides": dict(changed),
        "dataset": plain.dataset,
        "data_hash": plain.data_hash,
        "model": plain.model,
        "width": plain.width,
        "dense_run": plain.dense.name,
        "arms": {arm: config.name for arm, config in configs.items()},
        "seeds": list(seeds),
        "levels": plain.levels,
        "prune_rate": plain.prune_rate,
        "command": command,
    }


def _label(value: object) -> str:
    text = "-".join(map(str, value)) if isinstance(value, tuple) else str(value)
    return text.lower()
