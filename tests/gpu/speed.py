"""Measurements: images a second of ResNet20 in several ways, what bounds a step, memory."""

import copy
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.autograd import DeviceType
from torch.nn import functional as F

from empirics import models, train
from empirics.cycles import Cycle
from empirics.execution import estimate, gpus
from empirics.execution import workers as pool
from empirics.seeding import generator
from empirics.storage import checkpoints
from empirics.storage.checkpoints import Checkpoint
from empirics.studies.presets import arm_config
from tests import ROOT
from tests.gpu import subjects
from tests.gpu.subjects import Place
from tests.support import processes
from tests.support.waiting import wait_for

LEARNING_RATE, MOMENTUM, WEIGHT_DECAY = 0.1, 0.9, 5e-4
GRAPH_WARM_UP = 3  # steps on a stream of their own before one is captured
# a device that is busy for less of the time waits for its host
BUSY = 0.8


def network(place: Place, seed: int = 0) -> nn.Module:
    """The measured network, on the device."""
    shape = (3, place.size.side, place.size.side)
    made = models.create(place.size.model, place.size.width, shape, 10, generator(seed, "initial weights"))
    return made.to(place.device).train()


def batch(place: Place, count: int = 0) -> tuple[Tensor, Tensor]:
    """Images and labels on the device; with `count`, so many batches in a first dimension."""
    size, lead = place.size, (count,) if count else ()
    draw = torch.Generator().manual_seed(1)
    images = torch.randn((*lead, size.batch, 3, size.side, size.side), generator=draw)
    labels = torch.randint(0, 10, (*lead, size.batch), generator=draw)
    return images.to(place.device), labels.to(place.device)


def descend(parameters: Sequence[Tensor], momenta: Sequence[Tensor]) -> None:
    """One step of SGD with momentum, in place, in few launches."""
    with torch.no_grad():
        slopes = [parameter.grad for parameter in parameters]
        torch._foreach_add_(slopes, list(parameters), alpha=WEIGHT_DECAY)
        torch._foreach_mul_(momenta, MOMENTUM)
        torch._foreach_add_(momenta, slopes)
        torch._foreach_add_(list(parameters), momenta, alpha=-LEARNING_RATE)


def stepping(parameters: Sequence[Tensor], loss: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A step of training as a function without arguments, which returns the loss before it."""
    parameters = list(parameters)
    momenta = [torch.zeros_like(parameter) for parameter in parameters]

    def step() -> Tensor:
        for parameter in parameters:
            parameter.grad = None
        value = loss()
        value.backward()
        descend(parameters, momenta)
        return value.detach()

    return step


def measured(place: Place, step: Callable[[], object], images: int, warm: int = 5) -> dict:
    """Steps and images a second, from `steps` steps after `warm` others."""
    for _ in range(warm if place.size.steps > warm else 1):
        step()
    place.wait()
    started = time.perf_counter()
    for _ in range(place.size.steps):
        step()
    place.wait()
    seconds = (time.perf_counter() - started) / place.size.steps
    return {"ms a step": 1000 * seconds, "images a second": images / seconds}


def loop(place: Place) -> dict:
    """The project's own loop over batches: masks, augmentation, SGD, losses that are read once an epoch."""
    size, model = place.size, network(place)
    masks = {name: torch.arange(w.numel()).view(w.shape) % 2 == 0 for name, w in models.prunable_weights(model).items()}
    numbers = train.TrainingSettings(size.batch, 0, MOMENTUM, WEIGHT_DECAY, "float32")
    optimizer = train.sgd(model, {name: mask.to(place.device) for name, mask in masks.items()}, numbers)
    data = subjects.images(size.side, size.batch * size.steps, size.batch).to(place.device)
    draw = torch.Generator().manual_seed(0)
    epoch = lambda: train.train_epoch(model, optimizer, data, draw, numbers, lambda step: LEARNING_RATE, 0)  # noqa: E731
    epoch()
    place.wait()
    started = time.perf_counter()
    losses, _ = epoch()
    seconds = time.perf_counter() - started
    assert losses.isfinite().all(), "a loss is not finite"
    return {"ms a step": 1000 * seconds / size.steps, "images a second": size.batch * size.steps / seconds}


def _plain(place: Place, model: Callable[[Tensor], Tensor], parameters: Sequence[Tensor], **options) -> dict:
    """Speed of a network that is called as it is, on one batch."""
    images, labels = batch(place)
    if options.pop("channels_last", False):
        images = images.contiguous(memory_format=torch.channels_last)
    half = options.pop("bfloat16", False)

    def loss() -> Tensor:
        with torch.autocast(place.device.type, dtype=torch.bfloat16, enabled=half):
            logits = model(images).float()
        return F.cross_entropy(logits, labels)

    step = stepping(parameters, loss)
    found = measured(place, step, place.size.batch)
    assert step().isfinite(), "the loss is not finite"
    return found


def eager(place: Place) -> dict:
    """A step as it is: forward, backward, SGD."""
    model = network(place)
    return _plain(place, model, list(model.parameters()))


def channels_last(place: Place) -> dict:
    """The same with channels last in memory."""
    model = network(place).to(memory_format=torch.channels_last)
    return _plain(place, model, list(model.parameters()), channels_last=True)


def bfloat16(place: Place) -> dict:
    """The same under autocast to bfloat16, channels last."""
    model = network(place).to(memory_format=torch.channels_last)
    return _plain(place, model, list(model.parameters()), channels_last=True, bfloat16=True)


def compiled(place: Place) -> dict:
    """The same through torch.compile."""
    model = network(place)
    started = time.perf_counter()
    fast = torch.compile(model, backend=place.size.backend)
    found = _plain(place, fast, list(model.parameters()))
    return found | {"seconds with compilation": time.perf_counter() - started}


def graph(place: Place) -> dict:
    """The same as one CUDA graph a step, whose losses must be those of the eager steps."""
    images, labels = batch(place)

    def fresh() -> Callable[[], Tensor]:
        model = network(place)
        return stepping(model.parameters(), lambda: F.cross_entropy(model(images), labels))

    eager_step = fresh()
    eager_losses = [float(eager_step()) for _ in range(GRAPH_WARM_UP + 3)]
    step = _captured(place, fresh())
    done = GRAPH_WARM_UP if place.device.type == "cuda" else 0
    losses, expected = [float(step()) for _ in range(3)], eager_losses[done : done + 3]
    wrong = [
        (one, other) for one, other in zip(losses, expected, strict=True) if abs(one - other) > 0.01 * other + 1e-3
    ]
    assert not wrong, f"losses of the graph are {losses}, those of eager steps {expected}"
    return measured(place, step, place.size.batch) | {"losses have the bits of eager steps": losses == expected}


def _captured(place: Place, step: Callable[[], Tensor]) -> Callable[[], Tensor]:
    """A step as a replayed graph; without a GPU the step itself."""
    if place.device.type != "cuda":
        return step
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(GRAPH_WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(side)
    made = torch.cuda.CUDAGraph()
    with torch.cuda.graph(made):
        value = step()

    def replay() -> Tensor:
        made.replay()
        return value

    return replay


class GroupedLinear(nn.Module):
    """`count` linear layers side by side: input (n, count * inputs), output (n, count, outputs)."""

    def __init__(self, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every network."""
        x = x.view(len(x), len(self.weight), -1).transpose(0, 1)
        return torch.baddbmm(self.bias[:, None], x, self.weight.transpose(1, 2)).transpose(0, 1)


def grouped(networks: Sequence[nn.Module]) -> nn.Module:
    """One network that computes what `networks` do, side by side, by grouped convolutions.

    Its input has the channels of all, (n, count * channels, height, width), its output is (n, count, classes).
    """
    made = copy.deepcopy(networks[0])
    for name, module in list(made.named_modules()):
        alike = [one.get_submodule(name) for one in networks]
        if isinstance(module, nn.Conv2d):
            sizes = (len(alike) * module.in_channels, len(alike) * module.out_channels, module.kernel_size)
            new: nn.Module = nn.Conv2d(*sizes, module.stride, module.padding, groups=len(alike), bias=False)
        elif isinstance(module, nn.BatchNorm2d):
            new = nn.BatchNorm2d(len(alike) * module.num_features)
        elif isinstance(module, nn.Linear):
            new = GroupedLinear(alike)
        else:
            continue
        if not isinstance(module, nn.Linear):
            with torch.no_grad():
                for key, value in new.named_parameters():
                    value.copy_(torch.cat([one.get_parameter(key) for one in alike]))
        parent, _, last = name.rpartition(".")
        setattr(made.get_submodule(parent), last, new.to(module.weight.device))
    return made.train()


def by_grouping(place: Place, count: int) -> dict:
    """`count` networks of different seeds as one with grouped convolutions; images a second over all of them."""
    model = grouped([network(place, seed) for seed in range(count)])
    images, labels = batch(place, count)
    wide = images.transpose(0, 1).reshape(place.size.batch, -1, *images.shape[-2:])

    def loss() -> Tensor:
        logits = model(wide).transpose(0, 1)
        return count * F.cross_entropy(logits.flatten(0, 1), labels.flatten())

    return measured(place, stepping(model.parameters(), loss), count * place.size.batch)


def by_vmap(place: Place, count: int) -> dict:
    """`count` networks of different seeds by torch.func.vmap; images a second over all of them."""
    step = vmapped([network(place, seed) for seed in range(count)], *batch(place, count))
    return measured(place, step, count * place.size.batch)


def vmapped(networks: Sequence[nn.Module], images: Tensor, labels: Tensor) -> Callable[[], Tensor]:
    """A step of all networks at once; returns the sum of their losses."""
    parameters, buffers = torch.func.stack_module_state(list(networks))
    base = networks[0]

    def loss_of_one(parameters: dict, buffers: dict, images: Tensor, labels: Tensor) -> Tensor:
        return F.cross_entropy(torch.func.functional_call(base, (parameters, buffers), (images,)), labels)

    def loss() -> Tensor:
        return torch.func.vmap(loss_of_one)(parameters, buffers, images, labels).sum()

    return stepping(list(parameters.values()), loss)


def in_processes(place: Place, count: int) -> dict:
    """`count` processes that train at the same time on one device; images a second over all of them."""
    name = next(name for name, size in subjects.SIZES.items() if size == place.size)
    command = [sys.executable, "-m", "tests.gpu.speed", place.device.type, name, str(place.folder), str(count)]
    started = [processes.start([*command, str(number)], cwd=ROOT) for number in range(count)]
    found = []
    for process in started:
        stdout, stderr = processes.finish(process)
        assert process.returncode == 0, stderr[-2000:]
        found.append(float(stdout.split()[-1]))
    return {"images a second": sum(found), "of each": found}


def one_of_many(device: str, size: str, folder: str, count: str, number: str) -> None:
    """One of the processes of `in_processes`: waits for the others, measures, prints images a second."""
    from empirics.provenance import prepare

    place = Place(prepare(device), subjects.SIZES[size], Path(folder))
    loop(place)  # kernels are loaded before the others are waited for
    (place.folder / f"ready-{number}").touch()
    wait_for(lambda: len(list(place.folder.glob("ready-*"))) == int(count), "the other processes are ready")
    print(loop(place)["images a second"])


def profile(place: Place) -> dict:
    """What bounds a step, launches a step, and for how many operations an epoch the host waits."""
    model, (images, labels) = network(place), batch(place)
    size = place.size
    numbers = train.TrainingSettings(size.batch, 0, MOMENTUM, WEIGHT_DECAY, "float32")
    masks = {name: torch.ones_like(w, dtype=torch.bool) for name, w in models.prunable_weights(model).items()}
    for mask in masks.values():
        mask.view(-1)[::2] = False
    optimizer = train.sgd(model, masks, numbers)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        F.cross_entropy(train.forward(model, images, "float32"), labels).backward()
        optimizer.step()

    plain = measured(place, step, size.batch)
    activities = [torch.profiler.ProfilerActivity.CPU]
    activities += [torch.profiler.ProfilerActivity.CUDA] if place.device.type == "cuda" else []
    steps = min(size.steps, 10)
    with torch.profiler.profile(activities=activities) as profiler:
        for _ in range(steps):
            step()
        place.wait()
    rows = profiler.key_averages()
    launches = sum(row.count for row in rows if "Launch" in row.key) / steps
    # the rows of operations repeat the time of their kernels
    kernels = [row for row in rows if row.device_type != DeviceType.CPU and not row.is_user_annotation]
    busy = sum(row.self_device_time_total for row in kernels) / steps / 1000
    longest = sorted(kernels, key=lambda row: -row.self_device_time_total)[:8]
    found = {**plain, "launches a step": launches, "ms a step that the device is busy": busy}
    if place.device.type == "cuda":
        found["bound by"] = "device" if busy > BUSY * plain["ms a step"] else "host"
        found["longest kernels, ms a step"] = {
            row.key[:80]: row.self_device_time_total / steps / 1000 for row in longest
        }
    return found | {"waits an epoch": waits(place)}


def waits(place: Place) -> int | None:
    """The operations of an epoch for which the host waits, with its evaluation and the copy for a checkpoint."""
    if place.device.type != "cuda":
        return None
    size, model = place.size, network(place)
    data = subjects.small_images(size).to(place.device)
    numbers = train.TrainingSettings(size.batch, 0, MOMENTUM, WEIGHT_DECAY, "float32")
    copy_of = lambda metrics, momentum: checkpoints.copied(  # noqa: E731
        Checkpoint(0, 1, model.state_dict(), momentum, {}, {}, [], {})
    )
    cycle = lambda: train.train_cycle(  # noqa: E731
        model, data, {}, numbers, lambda step: 0.01, Cycle(0, 0, range(1)), seed=0, level=0, on_epoch=copy_of
    )
    cycle()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            cycle()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(one.message) for one in caught)


def memory(place: Place) -> dict:
    """The peak memory of a step of the largest presets, beside the estimate that bounds the number of workers."""
    found = {}
    for name in ("tiny-imagenet", "imagenet"):
        config = arm_config(name, "imp")
        side = config.image_size or 64
        classes = {"tiny-imagenet": 200, "imagenet": 1000}[name]
        if place.size is subjects.TINY:
            config = subjects.config(place.size)
            side = place.size.side
        data = estimate.random_dataset((3, side, side), config.batch_size, 2, classes, at_least=config.batch_size)
        found[name] = {"estimate, GB": estimate.gpu_bytes(config, data) / 1e9}
        if place.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        started = time.perf_counter()
        model = models.create(config.model, config.width, data.shape, classes, generator(0, "initial weights"))
        numbers = train.TrainingSettings(config.batch_size, config.micro_batch, MOMENTUM, WEIGHT_DECAY, "float32")
        model, data = model.to(place.device), data.to(place.device)
        optimizer = train.sgd(model, {}, numbers)
        for _ in range(2):
            train.train_epoch(model, optimizer, data, torch.Generator(), numbers, lambda step: 0.01, 0)
        place.wait()
        found[name]["seconds of two steps"] = time.perf_counter() - started
        if place.device.type == "cuda":
            found[name]["peak, GB"] = torch.cuda.max_memory_allocated() / 1e9
            found[name]["reserved, GB"] = torch.cuda.max_memory_reserved() / 1e9
    return found


def out_of_memory(place: Place) -> dict:
    """Too little memory is known by its words, in this process and at the creation of another one's context."""
    if place.device.type != "cuda":
        return {"not tried": "a CPU has no such limit"}
    free = torch.cuda.mem_get_info(place.device)[0]
    try:
        torch.empty(2 * free, dtype=torch.uint8, device=place.device)
        raise AssertionError("twice the free memory was allocated")
    except RuntimeError as error:
        assert gpus.is_out_of_gpu_memory(error), f"unknown words: {error}"
    found = {"free, GB": free / 1e9, "as workers see it, GB": [bytes / 1e9 for bytes in pool.free_gpu_memory()]}
    held = torch.empty(torch.cuda.mem_get_info(place.device)[0] - 2**27, dtype=torch.uint8, device=place.device)
    code = "import torch\ntorch.ones(2**28, device='cuda')"
    done = processes.run([sys.executable, "-c", code], cwd=ROOT)
    del held
    torch.cuda.empty_cache()
    last = done.stderr.strip().splitlines()
    assert done.returncode != 0, "a second process found memory that this one holds"
    assert gpus.is_out_of_gpu_memory(RuntimeError(done.stderr)), f"unknown words: {last[-3:]}"
    loop(place)  # this process goes on
    return found | {"words": next((line for line in reversed(last) if "memory" in line), "")[:200]}


if __name__ == "__main__":
    one_of_many(*sys.argv[1:])
