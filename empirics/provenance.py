"""The process of a run: threads, device and determinism, and the provenance that results record."""

import functools
import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from empirics.commit import commit_of
from empirics.config import ConfigError, check_choice
from empirics.cores import usable_cores
from empirics.storage.folders import is_clutter

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
    torch.backends.cudnn.benchmark = False
    # float32 means float32: TF32 keeps 10 bits of 23
    torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    check_choice(device, DEVICES, "device")
    if device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device 'cuda' was requested and torch finds no GPU: use --device cpu or auto")
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(device, place % accelerators()) if device == "cuda" else torch.device(device)


def accelerators() -> int:
    """The number of GPUs that torch finds."""
    import torch

    return torch.cuda.device_count()


def provenance(threads: int, accelerator: str | None = None) -> dict[str, Any]:
    """What produced a result: versions, code, git commit, hardware, threads.

    It contains no name or path of the machine.
    """
    return {
        "versions": _versions(),
        "code": code(),
        "git": _git(),
        "hardware": {"cpu": _cpu(), "cores": usable_cores(), "accelerator": accelerator},
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


@functools.cache
def code() -> str:
    """The first 12 digits of the SHA-256 of this package's sources: other code may give other bits."""
    digest = hashlib.sha256()
    home = Path(__file__).parent
    for file in sorted(file for file in home.rglob("*.py") if not is_clutter(file.name)):
        digest.update(file.relative_to(home).as_posix().encode() + b"\0" + file.read_bytes())
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
