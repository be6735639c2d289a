import contextlib
import dataclasses
import hashlib
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import pytest

from empirics.config import RunConfig
from empirics.execution.processes import TaskEvent, end_processes, run_tasks
from empirics.execution.tasks import Schedule, Task, plan_tasks, study_record, unfinished, wall_seconds
from empirics.execution.workers import DataSource, NetworkWork
from empirics.storage.run_folder import RunFolder
from empirics.studies import presets
from tests.empirics.tiny_runs import TINY
from tests.support.processes import run

pytestmark = pytest.mark.slow

ONE_EPOCH = {**TINY, "epochs": 1, "levels": 3, "batch_size": 256}


def configs(*arms: str, protocol: str = "ours", **settings) -> list[RunConfig]:
    return [presets.arm_config("quick", a, protocol, **{**ONE_EPOCH, **settings}) for a in presets.needed_arms(arms)]


def training(results: Path) -> NetworkWork:
    return NetworkWork(DataSource("digits"), results, "cpu")


def execute(tasks, results: Path, workers: int = 2) -> tuple[list[TaskEvent], list[TaskEvent]]:
    told: list[TaskEvent] = []
    return run_tasks(tasks, training(results), workers, told.append), told


def test_a_plan_trains_each_dense_run_once_a_seed_and_before_its_arms():
    tasks = plan_tasks(configs("imp", "lrr", "imp-on-lrr-mask"), (0, 1))
    assert [task.config.arm for task in tasks] == ["dense", "imp", "lrr", "imp-on-lrr-mask"] * 2
    for place, task in enumerate(tasks):
        assert all(need in [other.key for other in tasks[:place]] for need in task.needs)


def test_a_plan_without_the_mask_run_is_refused():
    orphan = presets.arm_config("quick", "imp-on-lrr-mask")
    with pytest.raises(ValueError, match="needs run lrr-digits.*add that arm"):
        plan_tasks([orphan], (0,))


def test_the_schedule_starts_the_longest_chain_first_and_respects_needs():
    tasks = plan_tasks(configs("imp", "lrr", "lrr-on-imp-mask"), (0,))
    schedule = Schedule(tasks, lambda task: task.epochs)
    dense = schedule.next()
    assert dense.config.arm == "dense" and schedule.next() is None
    schedule.finish(dense.key)
    first, second = schedule.next(), schedule.next()
    assert (first.config.arm, second.config.arm) == ("imp", "lrr"), "the exchange arm waits behind imp"
    assert schedule.next() is None
    schedule.finish(first.key)
    assert schedule.next().config.arm == "lrr-on-imp-mask"


def test_wall_time_is_that_of_the_schedule_played_through():
    tasks = plan_tasks(configs("imp", "lrr"), (0, 1))
    assert wall_seconds(tasks, lambda task: 1.0, workers=1) == 6
    assert wall_seconds(tasks, lambda task: 1.0, workers=2) == 3
    assert wall_seconds(tasks, lambda task: 1.0, workers=100) == 2


def test_epochs_of_a_task_count_the_cycles_of_the_control():
    tasks = plan_tasks([presets.arm_config("quick", a) for a in ("imp", "imp-long")], (0,))
    assert [task.epochs for task in tasks] == [16, 16 * 7, 16 * (7 + 8)]


def digest(results: Path) -> dict[str, str]:
    files = sorted(results.rglob("*.safetensors")) + sorted(results.rglob("signs.json"))
    return {str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_results_depend_neither_on_the_number_of_workers_nor_on_the_other_arms(tmp_path):
    few = plan_tasks(configs("imp", "lrr"), (0,))
    many = plan_tasks(configs("imp", "sign", "lrr", "imp-on-random-mask"), (0,))
    assert execute(few, tmp_path / "few", workers=1)[0] == []
    failures, told = execute(many, tmp_path / "many", workers=3)
    assert failures == []
    one, other = digest(tmp_path / "few"), digest(tmp_path / "many")
    assert one and all(other[name] == value for name, value in one.items())
    kinds = [event.kind for event in told]
    assert kinds.count("started") == kinds.count("finished") == len(many)
    assert kinds.count("report") == sum(task.epochs for task in many)
    assert unfinished(many, tmp_path / "many") == []


def test_nor_do_they_under_the_authors_protocol_strikes_and_foreign_signs_included(tmp_path):
    warm = dict(protocol="authors", epochs=2, warmup_epochs=1)
    few = plan_tasks(configs("imp", "lrr", "imp-perturbed-often", "signs-of-lrr", **warm), (0,))
    many = plan_tasks(configs("imp-perturbed-often", "signs-of-lrr", "sculpt", "lrr-perturbed-often", **warm), (0,))
    assert execute(few, tmp_path / "few", workers=1)[0] == execute(many, tmp_path / "many", workers=3)[0] == []
    one, other = digest(tmp_path / "few"), digest(tmp_path / "many")
    shared = set(one) & set(other)
    assert len(shared) > 20 and all(other[name] == one[name] for name in shared)


def test_a_run_that_fails_is_reported_and_takes_along_only_what_builds_on_it(tmp_path):
    good, bad = configs("imp", "imp-on-random-mask")
    bad = dataclasses.replace(bad, prune_rate=0.98, levels=4)  # its last level has fewer weights than layers
    tasks = [*plan_tasks([good], (0,)), Task(bad, 0, ((bad.dense.name, 0),))]
    tasks.append(Task(dataclasses.replace(good, arm="late"), 0, (tasks[-1].key,)))
    failures, _ = execute(tasks, tmp_path)
    assert [(event.kind, event.task.config.arm) for event in failures] == [
        ("failed", "imp-on-random-mask"),
        ("skipped", "late"),
    ]
    assert "leave one empty" in failures[0].message
    assert RunFolder(tmp_path, good.name, 0).is_complete(good)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_is_killed_or_asked_to_end_is_started_once_more(tmp_path, number):
    tasks = plan_tasks(configs("imp"), (0,))
    told, killed = [], []

    def kill_once(event: TaskEvent) -> None:
        told.append(event.kind)
        if event.kind == "report" and event.task.config.arm == "imp" and not killed:
            killed.append(multiprocessing.active_children()[0].pid)
            os.kill(killed[0], number)

    assert run_tasks(tasks, training(tmp_path), 1, kill_once) == []
    assert told.count("died") == 1 and told.count("finished") == len(tasks)
    assert unfinished(tasks, tmp_path) == []
    assert execute(tasks, tmp_path / "undisturbed")[0] == []
    assert digest(tmp_path / "undisturbed") == {
        name: value for name, value in digest(tmp_path).items() if not name.startswith("undisturbed")
    }


class Terminated(KeyboardInterrupt):
    """What a caller makes of SIGTERM."""


def terminate(*_) -> None:
    raise Terminated


@pytest.mark.parametrize("number, raised", [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_an_interrupt_that_python_swallows_stops_the_sweep_all_the_same(tmp_path, number, raised):
    told = []
    handlers = {signal.SIGTERM: terminate, signal.SIGINT: signal.default_int_handler}  # ignored in the background
    former = {sent: signal.signal(sent, handler) for sent, handler in handlers.items()}

    def swallow(event: TaskEvent) -> None:
        told.append(event.kind)
        if told.count("report") == 1:
            with contextlib.suppress(KeyboardInterrupt):  # as in a destructor, where Python can only print it
                signal.raise_signal(number)

    tasks = plan_tasks(configs("imp"), (0,))
    before = [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)]
    try:
        with pytest.raises(raised):
            run_tasks(tasks, training(tmp_path), 1, swallow)
        assert [signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)] == before
    finally:
        for sent, handler in former.items():
            signal.signal(sent, handler)
    assert "imp" in [task.config.arm for task in unfinished(tasks, tmp_path)], "a worker may end its last epoch"
    assert not multiprocessing.active_children()


def test_unfinished_work_is_planned_without_what_is_done(tmp_path):
    tasks = plan_tasks(configs("imp"), (0,))
    execute(tasks[:1], tmp_path)
    left = unfinished(tasks, tmp_path)
    assert [(task.config.arm, task.needs) for task in left] == [("imp", ())]


def test_a_study_lists_every_arm_and_the_settings_that_name_its_scope():
    arms = {a: presets.arm_config("quick", a) for a in ("imp", "lrr")}
    record = study_record("quick", {}, arms["imp"], arms, (0, 1), "paper_repro.py train")
    assert record["study"] == "quick-digits" and record["arms"]["imp"] == arms["imp"].name
    changed = study_record("quick", {"prune_rate": 0.2}, arms["imp"], arms, (0,), "")
    assert changed["study"] == "quick-prune-rate-0.2-digits"
    assert (record["levels"], record["prune_rate"], record["seeds"]) == (8, 0.5, [0, 1])


def test_what_arms_have_in_common_is_read_from_the_settings_and_not_from_the_arm_named_first():
    plain = presets.arm_config("quick", "imp")
    arms = {a: presets.arm_config("quick", a) for a in ("imp-without-warmup", "imp")}
    record = study_record("quick", {}, plain, arms, (0,), "")
    assert record["dense_run"] == plain.dense.name != arms["imp-without-warmup"].dense.name


class Slow:
    """A worker that takes its time to save; the second interrupt comes while it is waited for."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def terminate(self) -> None:
        self.calls.append("terminate")

    def is_alive(self) -> bool:
        return "kill" not in self.calls

    def join(self, timeout: float | None = None) -> None:
        self.calls.append("join")
        if "kill" not in self.calls:
            raise KeyboardInterrupt

    def kill(self) -> None:
        self.calls.append("kill")


def test_a_second_interrupt_ends_the_workers_at_once_and_leaves_none_behind():
    workers = [Slow(), Slow()]
    with pytest.raises(KeyboardInterrupt):
        end_processes(workers)
    assert workers[0].calls == ["terminate", "join", "kill", "join"] and workers[1].calls == [
        "terminate",
        "kill",
        "join",
    ]


def test_a_worker_imports_nothing_that_the_fork_server_could_have_imported_for_all():
    code = (
        "import sys, empirics.execution.fork_server, empirics.runs.levels, sklearn.datasets; there = set(sys.modules)\n"
        "from empirics import provenance, train; from empirics.execution.workers import DataSource\n"
        "import torch; provenance.prepare('cpu'); DataSource('digits').load()\n"
        "torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1)\n"
        "print(len([name for name in set(sys.modules) - there if name.startswith(('torch', 'sympy', 'sklearn'))]))"
    )
    done = run([sys.executable, "-c", code])
    assert done.returncode == 0 and int(done.stdout) < 5, done.stdout + done.stderr
