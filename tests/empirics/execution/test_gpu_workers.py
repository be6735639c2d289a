"""Workers on GPUs: too little memory, several GPUs, one that hangs. Torch's functions of CUDA are replaced."""

import dataclasses
import multiprocessing
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from empirics import provenance
from empirics.data import datasets, streaming
from empirics.execution import estimate, gpus, processes, workers
from empirics.execution.processes import TaskEvent, run_tasks
from empirics.execution.tasks import Task
from empirics.execution.workers import DataSource, NetworkWork
from empirics.studies import plan, presets
from empirics.studies.plan import Study
from tests.empirics.execution import gpu_work
from tests.support.processes import fork, status

CONFIG = presets.arm_config("quick", "imp").dense
TASKS = [Task(CONFIG, seed, ()) for seed in range(3)]
DIGITS = DataSource("digits")
CIFAR = DataSource("cifar10", classes=10)


@pytest.fixture
def two_gpus(monkeypatch):
    """Two GPUs, as far as torch says; whoever makes a context on one of them fails."""

    def fail(*_):
        raise AssertionError("a context is made in the process that starts workers")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for name in ("set_device", "mem_get_info", "synchronize", "current_stream"):
        monkeypatch.setattr(torch.cuda, name, fail)
    monkeypatch.setattr(plan, "usable_cores", lambda: 64)


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        gpu_work.FULL,
        "CUDA out of memory. Tried to allocate 20.00 MiB",
        "cuDNN error: CUDNN_STATUS_ALLOC_FAILED",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "CUDA error: CUBLAS_STATUS_NOT_INITIALIZED when calling `cublasCreate(handle)`",
    ],
)
def test_all_the_words_for_too_little_memory_are_known(words):
    assert gpus.is_out_of_gpu_memory(RuntimeError(words))


def test_other_errors_are_not_taken_for_it():
    assert gpus.is_out_of_gpu_memory(torch.cuda.OutOfMemoryError("any words"))
    for error in (RuntimeError("CUDA error: an illegal memory access"), ValueError("out of memory"), MemoryError()):
        assert not gpus.is_out_of_gpu_memory(error)


def execute(work, results: Path, workers: int, tasks=TASKS):
    told: list[TaskEvent] = []
    failures = run_tasks(tasks, NetworkWork(DIGITS, results, "cpu", work=work), workers, told.append)
    return failures, [(event.kind, event.task.seed) for event in told]


@pytest.mark.slow
def test_a_run_without_room_starts_again_when_another_one_has_ended(tmp_path):
    failures, told = execute(gpu_work.share_a_gpu, tmp_path, workers=3)
    assert failures == []
    (again,) = [seed for kind, seed in told if kind == "died"]
    assert told.count(("started", again)) == 2 and [kind for kind, _ in told].count("finished") == 3
    second_start = len(told) - 1 - told[::-1].index(("started", again))
    assert told.index(("died", again)) < second_start
    # those that have room end only after one was refused, but the pool may hear of their end first
    assert "finished" in [kind for kind, _ in told[:second_start]], "not before another one has given room"


@pytest.mark.slow
def test_a_run_that_never_has_room_is_tried_twice_and_fails_with_advice(tmp_path):
    failures, told = execute(gpu_work.need_too_much, tmp_path, workers=2)
    assert [(event.kind, event.task.seed) for event in failures] == [("failed", 0)]
    assert told.count(("started", 0)) == 2 and ("finished", 1) in told and ("finished", 2) in told
    message = failures[0].message
    assert message.index("--workers") < message.index("--micro-batch"), "which is another run"
    (tmp_path / "alone").mkdir()
    failures, told = execute(gpu_work.need_too_much, tmp_path / "alone", workers=2, tasks=TASKS[:1])
    assert told == [("started", 0), ("failed", 0)], "nothing would give it room"


def test_as_many_workers_as_the_smallest_gpu_has_memory_for():
    gib = 2**30
    assert estimate.workers_that_fit([80 * gib, 80 * gib], 25 * gib, 8) == 6
    assert estimate.workers_that_fit([80 * gib, 24 * gib], 25 * gib, 8) == 1
    assert estimate.workers_that_fit([80 * gib], 2 * gib, 4) == 4
    assert estimate.workers_that_fit([], 25 * gib, 4) == 4, "unknown"


@pytest.mark.slow
def test_the_memory_of_a_worker_is_counted_from_what_a_step_keeps():
    shape, images = (3, 224, 224), dataclasses.replace(CONFIG, model="resnet50", width=64, image_size=224)
    data = estimate.random_dataset(shape, 2, 2, 1000)
    large = estimate.gpu_bytes(dataclasses.replace(images, batch_size=1024, micro_batch=256), data)
    assert 20e9 < large < 32e9, "four of them want a GPU of 100 GB"
    assert estimate.gpu_bytes(dataclasses.replace(images, batch_size=1024), data) > 3 * large
    half = dataclasses.replace(images, batch_size=1024, micro_batch=256, precision="bfloat16")
    assert 0.5 * large < estimate.gpu_bytes(half, data) < 0.7 * large
    small = dataclasses.replace(CONFIG, model="resnet20", width=16, batch_size=128)
    assert 1e9 < estimate.gpu_bytes(small, estimate.random_dataset((3, 32, 32), 100, 100, 10)) < 2e9


def test_what_a_step_keeps_is_counted_as_torch_keeps_it():
    """One convolution: its input and its weight, of which only the input counts."""
    kept, weights = estimate._step_bytes("resnet8", 4, (3, 32, 32), 10, 1)
    more, same = estimate._step_bytes("resnet8", 4, (3, 32, 32), 10, 3)
    assert weights == same and 2.5 * kept < more < 3 * kept + 1000


def test_workers_are_bounded_by_memory_that_a_worker_has_seen(two_gpus, monkeypatch):
    tasks = [Task(dataclasses.replace(CONFIG, model="resnet20", width=16, batch_size=128), 0, ())]
    data = estimate.random_dataset((3, 32, 32), 100, 100, 10)
    monkeypatch.setattr(plan, "_loaded", lambda source: data)
    needed, asked = estimate.gpu_bytes(tasks[0].config, data), []
    monkeypatch.setattr(plan, "free_gpu_memory", lambda: asked.append(1) or [int(1.5 * needed)] * 2)
    assert plan.worker_count(Study(), CIFAR) == 2 * plan.GPU_WORKERS
    assert plan.fitting_workers(tasks, CIFAR, 8, Study()) == 2
    assert plan.fitting_workers(tasks, CIFAR, 5, Study(workers=5)) == 5, "as the user says"
    assert plan.fitting_workers(tasks, CIFAR, 8, Study(device="cpu")) == 8 and asked == [1]


@pytest.mark.slow
def test_the_process_that_is_asked_for_memory_answers_also_where_there_is_no_gpu():
    assert workers.free_gpu_memory() == [] or all(free > 0 for free in workers.free_gpu_memory())


# --- devices ----------------------------------------------------------------------------------------------------------


def test_auto_takes_the_cpu_for_digits_and_all_of_its_cores(two_gpus):
    assert plan.device_of("auto", DIGITS) == "cpu" and plan.device_of("cuda", DIGITS) == "cuda"
    assert plan.device_of("auto", CIFAR) == "auto" and plan.device_of("auto", DataSource("my-images")) == "auto"
    assert plan.worker_count(Study(), DIGITS) == 64
    assert plan.worker_count(Study(device="cuda"), DIGITS) == 2 * plan.GPU_WORKERS


@pytest.mark.slow
def test_a_command_on_digits_trains_on_the_cpu_where_there_is_a_gpu(two_gpus, monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(plan, "run_tasks", lambda tasks, work, n, *_, **__: seen.append((work.device, n)) or [])
    made = plan.plan_study(Study(preset="quick", results=tmp_path, seeds=(0,)), ("imp",), {})
    plan.train([made], Study(preset="quick", results=tmp_path, seeds=(0,)))
    assert seen == [("cpu", 64)]


def test_each_process_has_its_gpu_and_the_one_that_starts_them_makes_no_context(two_gpus):
    assert [provenance.prepare("auto", place=k) for k in range(3)] == [torch.device("cuda", k) for k in (0, 1, 0)]


@pytest.mark.slow
def test_a_worker_takes_its_gpu_before_its_data_get_there(tmp_path):
    receiving, sending = multiprocessing.Pipe(duplex=False)

    def child():
        seen = []
        torch.cuda.set_device = seen.append
        gpus._keep_asking = lambda device, answer: None
        provenance.prepare = lambda *_: torch.device("cuda", 1)
        data = SimpleNamespace(to=lambda device: seen.append(("data", device)))
        workers.part_of = lambda *_: data
        source = SimpleNamespace(load=lambda: None)
        work = NetworkWork(source, tmp_path, "cuda", work=lambda task, setup: [repr(seen)])
        processes._main(TASKS[0], work, 1, sending)

    assert status(fork(child)) == 0
    assert receiving.recv() == ("answer", "")
    where = torch.device("cuda", 1)
    assert receiving.recv() == ("finished", repr([where, ("data", where)]))


# --- a GPU that hangs -------------------------------------------------------------------------------------------------


def test_a_worker_says_that_its_gpu_answers_until_it_does_not(monkeypatch):
    class Event:
        left = 3

        def __init__(self, blocking):
            assert blocking, "a thread that spins would take a core"

        def record(self, stream):
            assert stream == "its stream"

        def synchronize(self):
            Event.left -= 1
            if Event.left < 0:
                raise RuntimeError("CUDA error: the device has fallen off the bus")

    monkeypatch.setattr(torch.cuda, "Event", Event)
    monkeypatch.setattr(torch.cuda, "default_stream", lambda device: "its stream")
    answers = []
    gpus._keep_asking(torch.device("cuda", 0), lambda: answers.append(1), pause=0)
    assert answers == [1, 1, 1]


class Hanging:
    """A process that hangs in the driver."""

    killed = False

    def kill(self):
        self.killed = True

    def join(self, timeout=None):
        assert timeout is not None, "it may never end"


def test_a_gpu_that_does_not_answer_ends_the_run_with_a_message(monkeypatch):
    """The pool waited for ever."""
    monkeypatch.setattr(processes, "LOOK_SECONDS", 0.01)
    pool, process = processes._Processes(1, lambda *_: None, "forkserver"), Hanging()
    receiving, sending = multiprocessing.Pipe(duplex=False)
    pool._running[receiving] = processes._Process(TASKS[0], process, 0, alone=True)
    sending.send(("answer", ""))
    assert list(pool.events()) == [] and list(pool.events()) == [] and not process.killed
    monkeypatch.setattr(processes, "HUNG_SECONDS", -1.0)
    (event,) = pool.events()
    assert process.killed and not len(pool) and event.kind == "failed"
    assert "has not answered" in event.message and "nvidia-smi" in event.message and "resumes" in event.message


# --- streamed images, forecasts ---------------------------------------------------------------------------------------


def test_streamed_images_are_sent_to_a_gpu_from_pinned_memory_without_a_wait(monkeypatch):
    calls = []
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda self: calls.append("pinned") or self)
    monkeypatch.setattr(torch.Tensor, "to", lambda self, *a, **k: calls.append((a, k)) or self)
    tensor, gpu = torch.ones(2), torch.device("cuda", 0)
    assert streaming.sent(tensor, gpu) is tensor
    assert calls == ["pinned", ((gpu,), {"non_blocking": True})]
    calls.clear()
    streaming.sent(tensor, torch.device("cpu"))
    assert calls == [((torch.device("cpu"),), {})]


@pytest.mark.parametrize("batch", [128, 300])
def test_a_gpu_is_measured_on_whole_batches_also_of_large_images(batch):
    shape = (3, 224, 224)
    assert len(estimate.random_dataset(shape, 1000, 1000, 10).labels("train")) == 2
    data = estimate.random_dataset(shape, 1000, 1000, 10, at_least=batch)
    assert len(data.labels("train")) == batch
    assert len(estimate.random_dataset(shape, 100, 1000, 10, at_least=batch).labels("train")) == 100


@pytest.mark.slow
def test_a_forecast_for_gpus_measures_real_batches_and_says_what_sharing_may_cost(two_gpus, monkeypatch, tmp_path):
    sizes = []
    monkeypatch.setattr(datasets.InMemory, "to", lambda self, device: self)

    def measure(config, data):
        sizes.append(len(data.labels("train")))
        return estimate.Throughput(1000.0, 3000.0)

    monkeypatch.setattr(estimate, "measure", measure)
    monkeypatch.setattr(plan, "DATA_FOLDER", tmp_path / "none")
    study = Study(preset="imagenet", results=tmp_path, seeds=(0, 1), workers=2, dry_run=True, device="cuda")
    made = plan.plan_study(study, ("imp",), {})
    text = plan.forecasts([made], study)
    assert sizes == [made.tasks[0].config.batch_size]
    assert " to " in text.splitlines()[-1] and "on 2 workers" in text
