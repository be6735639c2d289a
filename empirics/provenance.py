"""The process of a run: threads, device and determinism, and the provenance that results record."""

import functools
import hashlib
import os
import platform
import re
import warnings
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.code_text import without_comments
from empirics.commit import commit_of
from empirics.config import ConfigError, check_choice
from empirics.cores import usable_cores

if TYPE_CHECKING:
    import torch

PACKAGES = ("numpy", "scipy", "sympy", "matplotlib", "scikit-learn", "torch", "torchvision", "safetensors")
DEVICES = ("auto", "cpu", "cuda")


def prepare(device: str, threads: int = 1, place: int = 0) -> "torch.device":
    """Make this process deterministic and choose its device.

    Args:
        device: one of `DEVICES`.
        threads: torch threads on the CPU; a different number changes the last bits.
        place: number of this process among those that share the machine; it selects one of several GPUs.

    Raises:
        ConfigError: an unknown device, or `cuda` without a GPU.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # it would also fill all memory that is allocated before it is used: some 360 launches a step of ResNet20 on a GPU,
    # for memory of which nothing is read
    torch.utils.deterministic.fill_uninitialized_memory = False
    torch.backends.cudnn.benchmark = False
    # float32 means float32: TF32 keeps 10 bits of 23
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    check_choice(device, DEVICES, "device")
    if device == "cuda" and (problem := cuda_problem()) is not None:
        raise ConfigError(f"device 'cuda' was requested, and CUDA cannot start: {problem}: use --device cpu or auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device, place % accelerators()) if device == "cuda" else torch.device(device)


def accelerators() -> int:
    """The number of GPUs that torch finds."""
    import torch

    return torch.cuda.device_count()


def slow_precision(device: str, precision: str) -> str | None:
    """Why a precision is slower than float32 here, with what to do; None where it is not.

    Args:
        device: `cpu` or `cuda`.
        precision: one of `choices.PRECISIONS`.
    """
    import torch

    if device != "cpu" or precision != "bfloat16" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return None
    return (
        "this processor has no kernels for bfloat16 (they need AVX-512), and takes over ten times as long as in "
        "float32: use --precision float32"
    )


def cuda_problem() -> str | None:
    """Why CUDA cannot start in this process; None if it can.

    A GPU may be counted and CUDA not start, as where the driver is older than torch needs.
    """
    import torch

    with warnings.catch_warnings():  # `is_available` warns of what is returned here
        warnings.simplefilter("ignore")
        if torch.cuda.is_available():
            return None
        try:
            torch.cuda.init()
            why = "torch finds no GPU"
        except (RuntimeError, AssertionError) as error:  # AssertionError: torch was built without CUDA
            why = str(error).partition(". ")[0].partition("\n")[0].strip() or type(error).__name__
    return f"{why} (driver {driver_version() or 'none'}; torch is made for CUDA {torch.version.cuda or 'none'})"


def driver_version(file: Path = Path("/proc/driver/nvidia/version")) -> str | None:
    """The version of NVIDIA's driver that Linux has loaded; None without one."""
    try:
        found = re.search(r"Kernel Module.*?\s(\d+(?:\.\d+)+)\s", file.read_text("utf-8", "replace"))
    except OSError:
        return None
    return found[1] if found else None


def gpu_facts(device: "torch.device") -> dict[str, str]:
    """Name, compute capability and libraries of a GPU; empty for a CPU. They choose kernels, and so bits."""
    import torch

    if device.type != "cuda":
        return {}
    major, minor = torch.cuda.get_device_capability(device)
    return {
        "accelerator": torch.cuda.get_device_name(device),
        "capability": f"{major}.{minor}",
        "cuda": str(torch.version.cuda),
        "cudnn": str(torch.backends.cudnn.version()),
        "driver": driver_version() or "unknown",
    }


def instruction_set() -> str:
    """The instruction set of torch's kernels, such as `AVX2` or `AVX512`.

    Processors of one name may differ in it, and then give other bits. It follows `ATEN_CPU_CAPABILITY`.
    """
    import torch

    return torch.backends.cpu.get_cpu_capability()


def provenance(
    threads: int, gpu: Mapping[str, str] | None = None, instruction_set: str | None = None
) -> dict[str, Any]:
    """What produced a result: versions, code, git commit, hardware, threads.

    It contains no name or path of the machine.

    Args:
        threads: torch threads.
        gpu: the facts of the GPU (`gpu_facts`); None or empty without one.
        instruction_set: that torch's kernels use (`instruction_set`); None where torch computed nothing.
    """
    return {
        "versions": _versions(),
        "code": code(),
        "git": _git(),
        "hardware": {
            "cpu": _cpu(),
            "instruction_set": instruction_set,
            "cores": usable_cores(),
            "accelerator": None,
            **(gpu or {}),
        },
        "threads": threads,
    }


@functools.cache
def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


# The modules of this package that the numbers of a run come from; the others plan, read, write and report.
NUMERICAL = (
    "cycles.py",
    "data/cifar.py",
    "data/datasets.py",
    "data/imagenet.py",
    "data/images.py",
    "data/in_memory.py",
    "data/pixels.py",
    "data/shards.py",
    "data/streaming.py",
    "data/tiny_imagenet.py",
    "models.py",
    "pruning/criteria.py",
    "pruning/densities.py",
    "pruning/masks.py",
    "pruning/rewinding.py",
    "pruning/rules.py",
    "pruning/signs.py",
    "runs/context.py",
    "runs/level_start.py",
    "runs/levels.py",
    "runs/mask_sources.py",
    "runs/strikes.py",
    "runs/training.py",
    "schedules.py",
    "seeding.py",
    "train.py",
)


@functools.cache
def code() -> str:
    """The hash of this package's numerical modules: other code may give other bits.

    These are the first 12 digits of a SHA-256. Comments, docstrings and layout do not count.
    """
    home = Path(__file__).parent
    return code_hash({name: (home / name).read_text("utf-8") for name in NUMERICAL})


def code_hash(sources: Mapping[str, str]) -> str:
    """The first 12 digits of the SHA-256 of some source files, by name.

    Comments, docstrings and layout do not count.
    """
    digest = hashlib.sha256()
    for name in sorted(sources):
        digest.update(f"{name}\0{without_comments(sources[name])}\0".encode())
    return digest.hexdigest()[:12]


@functools.cache
def _git() -> dict[str, Any]:
    return commit_of(Path(__file__))


@functools.cache
def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
