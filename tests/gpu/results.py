"""Checks of results: right numbers, no mixed devices, the same bits twice, and after an interruption."""

import dataclasses
import multiprocessing
import os
import signal

import torch
from torch.nn import functional as F

import empirics
from empirics.data.datasets import InMemory, Request, Source
from empirics.execution.processes import TaskEvent, run_tasks
from empirics.execution.tasks import plan_tasks
from empirics.execution.workers import DataSource, NetworkWork
from empirics.pruning.criteria import CRITERIA
from empirics.runs import levels
from empirics.runs.context import RunSetup
from empirics.runs.resume import Interrupted
from empirics.storage.run_folder import MASK_TENSORS, RunFolder
from empirics.studies.plan import Study, forecasts, plan_study, train
from empirics.studies.presets import PRESETS, Preset
from tests.gpu import subjects
from tests.gpu.subjects import SIZES, Place

# arms that mixed devices before, and those that take signs or masks from elsewhere
ARMS = ("wr", "imp-on-random-mask", "one-shot", "dense-long", "lrr-on-imp-mask", "sign", "imp-perturbed-often")
# float32 means float32: TF32 errs by some 1e-3
LARGEST_ERROR = 1e-5


def arithmetic(place: Place) -> dict:
    """Convolutions and products in float32 agree with float64: no TF32."""
    draw = torch.Generator().manual_seed(0)
    x, w = torch.randn((8, 16, 32, 32), generator=draw), torch.randn((32, 16, 3, 3), generator=draw)
    a, b = torch.randn((256, 256), generator=draw), torch.randn((256, 256), generator=draw)

    def error(compute, *given: torch.Tensor) -> float:
        exact = compute(*(tensor.double() for tensor in given))
        found = compute(*(tensor.to(place.device) for tensor in given)).cpu().double()
        return float((found - exact).norm() / exact.norm())

    def slope(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
        weights = w.clone().requires_grad_(True)
        return torch.autograd.grad(F.conv2d(x, weights, padding=1).square().sum(), weights)[0]

    found = {
        "convolution": error(lambda x, w: F.conv2d(x, w, padding=1), x, w),
        "convolution, gradient": error(slope, x, w),
        "matrix product": error(torch.matmul, a, b),
    }
    wrong = {name: value for name, value in found.items() if not value < LARGEST_ERROR}
    assert not wrong, f"relative errors above {LARGEST_ERROR}: {wrong}"
    return found


def patterns(request: Request) -> InMemory:
    """The synthetic images, as a data set that worker processes load by its name; its folder names the size."""
    return subjects.small_images(SIZES[request.folder.name])


def no_hash(request: Request) -> str:
    """They are the same everywhere."""
    return ""


def source_of(place: Place) -> DataSource:
    """Where worker processes load the synthetic images from."""
    name = next(name for name, size in SIZES.items() if size == place.size)
    shape = (3, place.size.side, place.size.side)
    facts = Source("patterns under noise", "patterns", patterns, no_hash, 10, shape, 1, 1, "shift, mirror")
    if "gpu-check-images" not in empirics.registries.KINDS["data set"].entries:
        empirics.register("data set", "gpu-check-images", facts)
    return DataSource("gpu-check-images", place.folder / name)


def study(place: Place) -> dict:
    """A study of IMP and LRR from its forecast to its last level, in worker processes of the fork server."""
    subjects.needs_filelock()
    source, size = source_of(place), place.size
    settings = dict(subjects.config(size).record())
    kept = ("model", "width", "batch_size", "epochs", "warmup_epochs", "levels", "lr")
    if "gpu-check" not in PRESETS:
        shared = {name: settings[name] for name in kept} | {"dataset": source.name}
        empirics.register("preset", "gpu-check", Preset("a check of a GPU", shared, ("imp", "lrr"), (0,), {}))
    options = Study("gpu-check", results=place.folder / "results", device=place.device.type, data_dir=source.folder)
    planned = plan_study(options, (), {})
    forecast = forecasts([planned], options).splitlines()[-1].strip()
    failed, runs = train([planned], options)
    assert not failed, f"{failed} of {runs} runs failed"
    records = [
        RunFolder(options.results, config.name, 0).level_record(level)
        for config in planned.configs.values()
        for level in config.trained_levels
    ]
    assert all(record and record["status"] == "complete" for record in records), "a level is missing or diverged"
    return {
        "forecast": forecast,
        "runs": runs,
        "workers": planned.workers,
        "test accuracy": {f"{r['arm']}, level {r['level']}": r["test_accuracy"] for r in records},
        "hardware": records[-1]["provenance"]["hardware"],
    }


def arms(place: Place) -> dict:
    """Three levels of each arm in one process: nothing mixes the CPU with the device."""
    configs = subjects.train(place, list(ARMS), subjects.small_images(place.size))
    found = {}
    for arm, config in configs.items():
        record = RunFolder(place.folder, config.name, 0).level_record(config.levels - 1)
        assert record is not None and record["status"] == "complete", f"{arm} has no last level, or it diverged"
        found[arm] = record["test_accuracy"]
    return {"test accuracy at the last level": found}


def criteria(place: Place) -> dict:
    """The masks of every criterion that takes the network: those of the CPU, but for rounding."""
    found = {}
    cpu = dataclasses.replace(place, device=torch.device("cpu"))
    data = subjects.small_images(dataclasses.replace(place.size, n_train=10 * place.size.batch))
    for name in (name for name, criterion in CRITERIA.items() if criterion.uses_network):
        for model in (place.size.model, "vgg11"):
            masks = []
            for where in (cpu, place):
                here = where.within(f"{name}-{model}-{len(masks)}")
                settings = dict(model=model, criterion=name, scores_from="initialisation", pruning="one-shot")
                run = subjects.config(place.size, **settings, levels=2, epochs=1, warmup_epochs=0)
                setup = RunSetup(data.to(here.device), here.device, here.folder)
                for one in (run.dense, run):
                    levels.run(one, 0, setup)
                packed = RunFolder(here.folder, run.name, 0).load_tensors(1, MASK_TENSORS)
                masks.append(torch.cat([packed[layer].flatten() for layer in sorted(packed)]))
            found[f"{name}, {model}"] = float((masks[0] == masks[1]).double().mean())
    low = {name: share for name, share in found.items() if share < 0.98}
    assert not low, f"masks differ from the CPU's in more than 2 % of their bytes: {low}"
    return {"bytes of the masks that are the CPU's": found}


def _twice(place: Place, data: InMemory, name: str, **settings) -> int:
    """Train the dense run twice; the number of files, which must be the same bits."""
    found = []
    for number in range(2):
        here = place.within(f"{name}-{number}")
        setup = RunSetup(data.to(place.device), place.device, here.folder)
        levels.run(subjects.config(place.size, **{"levels": 2, **settings}).dense, 0, setup)
        found.append(subjects.digests(here.folder))
    differing = [file for file in found[0] if found[0][file] != found[1].get(file)]
    assert found[0] and not differing, f"{name}: other bits at the second time in {differing}"
    return len(found[0])


def same_bits(place: Place) -> dict:
    """A level that is trained twice has the same bits."""
    subjects.needs_filelock()
    data, found = subjects.small_images(place.size), {}
    for model in (place.size.model, "vgg16"):
        for precision in ("float32", "bfloat16"):
            name = f"{model}-{precision}"
            found[name] = _twice(place, data, name, model=model, precision=precision)
    return {"files": found}


def same_bits_of_large_images(place: Place) -> dict:
    """A level on large images that is trained twice has the same bits."""
    subjects.needs_filelock()
    size, found = place.size, {}
    data = subjects.images(size.large_side, 4 * size.large_batch, size.large_batch)
    for precision in ("float32", "bfloat16"):
        settings = dict(model=size.large_model, width=size.large_width, batch_size=size.large_batch)
        name = f"{size.large_model}-{precision}"
        found[name] = _twice(place, data, name, precision=precision, lr=0.01, **settings)
    return {"files": found}


def same_bits_of_streamed_images(place: Place) -> dict:
    """A level on images that are decoded while they are used has the same bits twice."""
    subjects.needs_filelock()
    import numpy as np
    from PIL import Image

    from empirics.data import datasets

    root, rng = place.folder / "images", np.random.default_rng(0)
    for split, n in (("train", 2 * place.size.batch), ("test", place.size.batch)):
        for number in range(n):
            folder = root / split / f"class-{number % 4}"
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (place.size.side + 8, place.size.side + 5, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    data = datasets.load("streamed", folder=root, image_size=place.size.side, data_hash="0" * 64, threads=2)
    return {"files": _twice(place, data, "streamed")}


def resume(place: Place) -> dict:
    """A run that is stopped and resumed has the bits of one that was not; a checkpoint passes between devices."""
    subjects.needs_filelock()
    data, cpu = subjects.small_images(place.size), torch.device("cpu")
    run, per_epoch = subjects.config(place.size, "lrr", levels=2, epochs=3), place.size.n_train // place.size.batch
    found = {}
    ways = {"straight": [place.device], "stopped": [place.device] * 2, "from CPU": [cpu, place.device]}
    for name, devices in (ways | {"to CPU": [place.device, cpu]}).items():
        here = place.within(name)
        base = RunSetup(data.to(place.device), place.device, here.folder)
        levels.run(run.dense, 0, base)
        for device in devices[:-1]:
            stop = subjects.stopping_after(per_epoch + 1)
            try:
                levels.run(run, 0, dataclasses.replace(base, dataset=data.to(device), device=device, stop=stop))
            except Interrupted:
                continue
            raise AssertionError(f"{name}: the run was not stopped")
        levels.run(run, 0, dataclasses.replace(base, dataset=data.to(devices[-1]), device=devices[-1]))
        record = RunFolder(here.folder, run.name, 0).level_record(1)
        assert record is not None and record["status"] == "complete", name
        found[name] = {"test accuracy": record["test_accuracy"], "files": subjects.digests(here.folder)}
    assert found["straight"]["files"] == found["stopped"]["files"], "the resumed run has other bits"
    return {"test accuracy": {name: one["test accuracy"] for name, one in found.items()}}


def ended_worker(place: Place) -> dict:
    """A worker that SIGTERM ends goes on in a new process, to the bits of one that nothing ended."""
    subjects.needs_filelock()
    tasks, found = plan_tasks([subjects.config(place.size, "lrr", levels=2, epochs=3)], (0,)), []
    for ends in (False, True):
        here, told = place.within("ended" if ends else "straight"), []

        def on_event(event: TaskEvent, ends: bool = ends, told: list = told) -> None:
            told.append(event.kind)
            if ends and event.kind == "report" and event.task.config.arm == "lrr" and told.count("died") == 0:
                for child in multiprocessing.active_children():
                    os.kill(child.pid, signal.SIGTERM)

        work = NetworkWork(source_of(place), here.folder, place.device.type)
        failures = run_tasks(tasks, work, 1, on_event)
        assert not failures, failures[0].message
        assert not ends or "died" in told, "the worker was done before it heard SIGTERM"
        found.append(subjects.digests(here.folder))
    assert found[0] == found[1], "the resumed run has other bits"
    return {"files": len(found[0])}


def against_cpu(place: Place) -> dict:
    """Levels on the device and on the CPU: the losses of the first epoch agree, accuracies are near."""
    found = {}
    for device in (torch.device("cpu"), place.device):
        name = f"device-{len(found)}"
        here = dataclasses.replace(place.within(name), device=device)
        configs = subjects.train(here, ["imp", "lrr"], subjects.small_images(place.size))
        folder = RunFolder(here.folder, configs["imp"].dense.name, 0)
        first = folder.start_metrics(0, place.size.epochs)[0]["train_loss"]
        last = {arm: RunFolder(here.folder, run.name, 0).level_record(2) for arm, run in configs.items()}
        found[name] = {"first loss": first, **{arm: record["test_accuracy"] for arm, record in last.items()}}
    one, other = found.values()
    difference = abs(one["first loss"] - other["first loss"])
    assert difference < 0.02 * max(1.0, one["first loss"]), f"the first epoch's loss is {one} and {other}"
    return {"CPU": one, "device": other, "difference of the first loss": difference}
