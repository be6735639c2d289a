"""Training on another device: nothing is mixed, the host seldom waits, and the results are those of the CPU.

A pretend GPU (tests/support/pretend_gpu.py) takes the place of one.
"""

import contextlib
import dataclasses
import importlib

import pytest
import torch

from empirics import doctor, models, provenance, train
from empirics.choices import ConfigError
from empirics.pruning import masks as m
from empirics.pruning.criteria import CRITERIA
from empirics.runs import levels
from empirics.runs.context import RunSetup, state_of
from empirics.runs.resume import Interrupted
from empirics.seeding import generator
from empirics.storage import checkpoints, environments
from empirics.storage.checkpoints import Checkpoint
from empirics.studies.arms import ARMS, differs
from empirics.studies.presets import PRESETS
from empirics.studies.protocols import settings_under
from tests.empirics.interrupted_runs import stopping_after
from tests.empirics.tiny_runs import arm as arm_config
from tests.empirics.tiny_runs import clip, run_arms
from tests.support.pretend_gpu import DEVICE, DeviceError, OnDevice, PretendGpu

SETTINGS = train.TrainingSettings(batch_size=32, micro_batch=0, momentum=0.9, weight_decay=5e-4, precision="float32")


@pytest.fixture
def gpu():
    with PretendGpu() as pretended:
        yield pretended


def network(tiny_digits, masked: bool = True):
    """A small network on the device, and masks that keep half of each layer."""
    model = models.create("resnet8", 4, tiny_digits.shape, 10, generator(0, "initial weights")).to(DEVICE)
    masks = {name: torch.arange(w.numel()).view(w.shape) % 2 == 0 for name, w in models.prunable_weights(model).items()}
    return model, {name: mask.to(DEVICE) for name, mask in masks.items()} if masked else {}


@pytest.fixture(autouse=True)
def same_kernels(monkeypatch):
    """The pretend GPU computes with the CPU's kernels: in its memory format, with fused steps, bits can be compared."""
    monkeypatch.setattr(train, "memory_format", lambda device, precision: torch.channels_last)
    optimizers = importlib.import_module("torch.optim.optimizer")
    monkeypatch.setattr(optimizers, "_get_fused_kernels_supported_devices", lambda: [DEVICE.type, "cpu", "cuda"])


# --- the pretend GPU itself -------------------------------------------------------------------------------------------


def test_the_pretend_gpu_computes_what_the_cpu_does_and_refuses_to_mix(gpu):
    here = torch.arange(6.0).view(2, 3)
    there = here.to(DEVICE)
    assert isinstance(there, OnDevice) and there.device == DEVICE
    assert torch.equal((there * 2 + 1).cpu(), here * 2 + 1)
    for mixed in (lambda: there + here, lambda: here[there > 2], lambda: torch.where(here > 2, there, there)):
        with pytest.raises(DeviceError, match="expected all tensors on one device"):
            mixed()
    assert float((there * torch.tensor(2.0)).sum()) == 30.0, "a GPU takes a number that is on the CPU"


def test_the_pretend_gpu_counts_what_its_host_waits_for_and_what_it_launches(gpu):
    there = torch.ones(4, device=DEVICE)
    view = there.view(2, 2)
    assert not gpu.waits and sum(gpu.launches.values()) == 1
    view.add_(1)
    assert there.cpu().tolist() == [2.0] * 4 and gpu.launches["add_"] == 1
    float(there.sum())
    there[there > 1]
    assert dict(gpu.waits) == {"_to_copy": 1, "_local_scalar_dense": 1, "index": 1}


# --- the loop over batches --------------------------------------------------------------------------------------------


def test_an_evaluation_is_read_once_however_many_batches_it_has(tiny_digits, gpu, monkeypatch):
    from empirics.data import in_memory

    (model, _), waits = network(tiny_digits), []
    for size in (100, 7):
        monkeypatch.setattr(in_memory, "EVALUATION_BATCH", size)
        gpu.waits.clear()
        train.evaluate(model, tiny_digits.to(DEVICE), "test")
        waits.append(sum(gpu.waits.values()))
    assert waits == [1, 1]


def test_an_evaluation_adds_the_batches_one_after_the_other(tiny_digits, monkeypatch):
    """In float64, from the first to the last, as it always did: the last bits of stored results depend on it."""
    from empirics.data import in_memory

    monkeypatch.setattr(in_memory, "EVALUATION_BATCH", 7)
    model = models.create("resnet8", 4, tiny_digits.shape, 10, generator(0, "initial weights"))
    loss, correct = 0.0, 0
    with torch.no_grad():
        for images, labels in tiny_digits.batches("test"):
            logits = model.eval()(images)
            loss += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
            correct += int((logits.argmax(1) == labels).sum())
    assert train.evaluate(model, tiny_digits, "test") == (loss / 100, correct / 100)


@pytest.mark.parametrize("fixed", [False, True])
def test_a_step_inverts_no_mask_and_waits_for_nothing(tiny_digits, gpu, fixed):
    model, masks = network(tiny_digits)
    signs = {name: w.detach().clone() for name, w in models.prunable_weights(model).items()} if fixed else None
    optimizer = train.sgd(model, masks, SETTINGS, signs)
    data = tiny_digits.to(DEVICE)
    gpu.launches.clear(), gpu.waits.clear()
    train.train_epoch(model, optimizer, data, torch.Generator(), SETTINGS, lambda step: 0.1, 0)
    steps = 160 // 32
    assert gpu.launches["bitwise_not"] == (len(masks) * steps if fixed else 0), "only those that a step makes"
    assert sum(gpu.waits.values()) == 2, "the losses and the correct images of an epoch"
    for name, weight in models.prunable_weights(model).items():
        momentum = optimizer.state[weight]["momentum_buffer"]
        assert not weight[~masks[name]].any() and not momentum[~masks[name]].any()


def test_cleared_is_what_a_mask_prunes_also_what_is_not_finite():
    masks = {"a": torch.tensor([True, False, False, False])}
    tensors = {"a": torch.tensor([1.0, float("nan"), float("inf"), -2.0])}
    m.clear(m.inverted(masks), tensors)
    assert tensors["a"].tolist() == [1.0, 0.0, 0.0, 0.0] and not torch.signbit(tensors["a"]).any()


# --- copies -----------------------------------------------------------------------------------------------------------


def test_the_copy_of_every_epoch_stays_on_the_device_until_it_is_saved(tiny_digits, gpu, tmp_path):
    model, masks = network(tiny_digits, masked=False)
    gpu.waits.clear()
    copy = checkpoints.copied(Checkpoint(0, 1, model.state_dict(), model.state_dict(), {}, {}, [], {}))
    assert not gpu.waits
    before = {name: value.cpu() for name, value in copy.weights.items()}
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1)
    assert all(torch.equal(value.cpu(), before[name]) for name, value in copy.weights.items()), "it is a copy"
    gpu.waits.clear()
    checkpoints.save(tmp_path, copy, "hash", {})
    assert sum(gpu.waits.values()) == 2 * len(before), "one copy a tensor, of weights and momentum"


def test_a_state_is_copied_once_and_shares_nothing_with_the_network(tiny_digits, gpu):
    model, _ = network(tiny_digits)
    gpu.waits.clear(), gpu.launches.clear()
    state = state_of(model)
    assert gpu.waits["_to_copy"] == len(state) and not gpu.launches["clone"]
    on_cpu = models.create("resnet8", 4, tiny_digits.shape, 10, generator(0, "initial weights"))
    kept = state_of(on_cpu)
    with torch.no_grad():
        on_cpu.linear.weight.add_(1)
    assert not torch.equal(kept["linear.weight"], on_cpu.state_dict()["linear.weight"])


def test_numbers_of_a_training_are_those_of_the_cpu(tiny_digits, gpu):
    found = []
    for device in (torch.device("cpu"), DEVICE):
        model, masks = network(tiny_digits)
        model, masks = model.to(device), {name: mask.to(device) for name, mask in masks.items()}
        optimizer = train.sgd(model, masks, dataclasses.replace(SETTINGS, micro_batch=8))
        draw = torch.Generator().manual_seed(0)
        losses, correct = train.train_epoch(
            model, optimizer, tiny_digits.to(device), draw, SETTINGS, lambda step: 0.1, 0
        )
        found.append((losses.tolist(), correct, train.evaluate(model, tiny_digits.to(device), "test")))
    assert found[0] == found[1]


# --- whole runs -------------------------------------------------------------------------------------------------------


def test_masks_that_keep_everything_lie_on_the_cpu_wherever_the_weights_do():
    """Scores, states and sign bits do too; a mask that followed the network mixed devices in most arms."""
    weights = {"a": torch.empty(2, 3, device="meta")}
    assert m.dense(weights)["a"].device.type == "cpu" and m.dense(weights)["a"].all()
    assert set(m.random_scores(m.dense(weights), 0)) == {"a"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Results of the CPU and of the device; level 0 and mask runs are trained once and shared."""
    return {device: tmp_path_factory.mktemp(device.type) for device in (torch.device("cpu"), DEVICE)}


RUNS = {arm: (arm, {}) for arm in ARMS if differs(arm, settings_under("ours", PRESETS["quick"]))}
RUNS |= {f"imp, {name}": ("imp", {"criterion": name}) for name, one in CRITERIA.items() if one.uses_network}
RUNS |= {f"imp, {name}, vgg11": ("imp", {"criterion": name, "model": "vgg11"}) for name in ("grasp", "synflow")}
RUNS["imp, micro-batches, snapshots"] = ("imp", {"micro_batch": 8, "mask_snapshot_epochs": (1,)})


@pytest.mark.slow
@pytest.mark.parametrize("run", RUNS)
def test_three_levels_on_another_device_mix_nothing_and_have_the_bits_of_the_cpu(run, folders, tiny_digits):
    """In one process, where a network that was moved stays moved."""
    arm, settings = RUNS[run]
    data, found = clip(tiny_digits, 64, 40), []
    for device, folder in folders.items():
        with PretendGpu() if device == DEVICE else contextlib.nullcontext():
            setup = RunSetup(data.to(device), device, folder)
            configs = run_arms([arm], setup, **{"epochs": 2, "warmup_epochs": 1, "levels": 3} | settings)
        files = sorted((folder / "runs" / configs[arm].name).rglob("*.safetensors"))
        found.append({file.relative_to(folder): file.read_bytes() for file in files})
    assert len(found[0]) >= 3 and found[0].keys() == found[1].keys()
    assert [str(file) for file, data in found[0].items() if found[1][file] != data] == []


@pytest.mark.slow
def test_a_run_that_is_stopped_on_one_device_goes_on_on_another(tiny_digits, tmp_path):
    """A checkpoint of either device resumes on the other, to the bits of a run that was not stopped."""
    data, cpu = clip(tiny_digits, 64, 40), torch.device("cpu")
    config, digests = arm_config("lrr", levels=2, epochs=4), []
    for name, devices in {"straight": [cpu], "there": [cpu, DEVICE], "back": [DEVICE, cpu]}.items():
        with PretendGpu():
            base = RunSetup(data, cpu, tmp_path / name)
            levels.run(config.dense, 0, base)
            for device in devices:
                stop = stopping_after(2 * 2 + 1) if device != devices[-1] else lambda: False
                setup = dataclasses.replace(base, dataset=data.to(device), device=device, stop=stop)
                with pytest.raises(Interrupted) if device != devices[-1] else contextlib.nullcontext():
                    levels.run(config, 0, setup)
        digests.append([file.read_bytes() for file in sorted((tmp_path / name).rglob("*.safetensors"))])
    assert digests[0] == digests[1] == digests[2]


# --- what a machine has -----------------------------------------------------------------------------------------------

TOO_OLD = "The NVIDIA driver on your system is too old (found version 11040). Please update your GPU driver"


@pytest.fixture
def old_driver(monkeypatch):
    """A machine whose GPU is counted, by the driver's library, and whose driver is too old for torch."""

    def fail():
        raise RuntimeError(TOO_OLD)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "init", fail)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda k=0: fail())
    monkeypatch.setattr(provenance, "driver_version", lambda: "470.82.01")


def test_doctor_reports_a_gpu_that_cuda_cannot_start_on(old_driver, tmp_path):
    """It ended in a traceback."""
    (found,) = [finding for finding in doctor.examine(tmp_path, tmp_path) if finding.text.startswith("GPU:")]
    assert found.bad and "1 counted, and CUDA cannot start" in found.text and "update the driver" in found.text
    assert "too old (found version 11040)" in found.text and "driver 470.82.01" in found.text


def test_a_gpu_that_is_asked_for_and_cannot_start_is_refused_with_its_driver(old_driver):
    with pytest.raises(ConfigError, match=r"too old \(found version 11040\) \(driver 470.82.01; torch is"):
        provenance.prepare("cuda")
    assert provenance.prepare("auto").type == "cpu"


def test_without_a_gpu_the_reason_is_torchs_own(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    problem = provenance.cuda_problem()
    assert problem and "Traceback" not in problem and "torch is made for CUDA" in problem and "\n" not in problem


def test_the_drivers_version_is_read_from_what_linux_loaded(tmp_path):
    file = tmp_path / "version"
    file.write_text("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.15  Release\nGCC version: 12.2.0")
    assert provenance.driver_version(file) == "570.86.15" and provenance.driver_version(tmp_path / "none") is None


def test_conditions_of_a_gpu_include_what_chooses_its_kernels(monkeypatch):
    """The name alone let --bit-exact take another CUDA or cuDNN for the same."""
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA H200")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92000)
    gpu = provenance.gpu_facts(torch.device("cuda", 0))
    assert gpu["accelerator"] == "NVIDIA H200" and gpu["capability"] == "9.0" and gpu["cudnn"] == "92000"
    then, here = provenance.provenance(1, gpu, "AVX2"), provenance.provenance(1, None, "AVX2")
    assert environments.changed([environments.conditions(then)], environments.conditions(then)) is None
    for name in ("capability", "cuda", "cudnn"):
        now = provenance.provenance(1, gpu | {name: "another"}, "AVX2")
        changed = environments.changed([environments.conditions(then)], environments.conditions(now))
        assert changed == f"{name} {gpu[name]} then, another now"
    assert environments.changed([environments.conditions(then)], environments.conditions(here))
    assert environments.changed([environments.conditions(here)], environments.conditions(then))
    assert set(environments.conditions(here)) == set(environments.CONDITION_NAMES), "as in records of a CPU before"
    assert provenance.gpu_facts(torch.device("cpu")) == {}


def test_memory_of_which_nothing_is_read_is_not_filled():
    """In deterministic mode torch fills it: some 360 launches a step of ResNet20."""
    torch.utils.deterministic.fill_uninitialized_memory = True
    provenance.prepare("cpu")
    assert torch.are_deterministic_algorithms_enabled() and not torch.utils.deterministic.fill_uninitialized_memory
