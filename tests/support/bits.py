"""The oracle of bits: SHA-256 of every tensor and number of a tiny study of all arms, and of the theory's arrays.

Code may be moved and renamed as long as these stay. The processor, the libraries and their versions change bits too: so
all is computed with what any x86-64 processor can do, and beside it a probe, which is made by the libraries alone.
Where the probe has other bits than the recorded one, nothing can be said of ours.

python -m tests.support.bits theory|empirics|probe     prints one part as JSON; `record` writes tests/golden/bits.json
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from tests import ROOT
from tests.support.records import OF_THE_PLACE

RECORD = ROOT / "tests/golden/bits.json"
PARTS = ("theory", "empirics")
VOLATILE = OF_THE_PLACE | {"schema"}
TINY = {"epochs": 3, "warmup_epochs": 1, "levels": 3}
# settings that no arm has: each is one run of IMP
SETTINGS = {
    "snip": {"criterion": "snip", "scores_from": "initialisation"},
    "grasp": {"criterion": "grasp"},
    "synflow": {"criterion": "synflow"},
    "random": {"criterion": "random", "densities": "uniform"},
    "balanced": {"mask_source": "random", "densities": "balanced"},
    "step": {"schedule": "step", "milestones": (0.5,)},
    "triangular": {"schedule": "triangular"},
    "constant": {"schedule": "constant"},
    "snapshots": {"mask_snapshot_epochs": (1, 2), "micro_batch": 8},
    "vgg11": {"model": "vgg11", "width": 4},
    "resnet18": {"model": "resnet18", "width": 64, "epochs": 1, "warmup_epochs": 0, "levels": 2},
}
EXPERIMENTS = {
    "quadrants": {"grid": 11, "starts": 100},
    "stories": {"points": 30},
    "pruning-iterations": {"trials": 1000},
    "factorial": {"trials": 1000},
    "dimension": {"dimensions": [1, 2, 10], "trials": 1000, "inits": ["balanced", "normal"]},
    "sample-size": {"d": 3, "ratios": [2.0, 20.0], "noises": [0.0, 0.5], "trials": 20},
    "mask-recovery": {"d": 3, "ratios": [2.0, 10.0], "noises": [0.5], "trials": 20, "deciding_trials": 30},
    "basins": {"dimensions": [1, 2], "ratios": [0.5, 2.0], "trials": 500, "starts": 10, "horizon": 100.0},
    "large-steps": {"angles": [0.5], "grid": 4, "max_steps": 500},
    "hidden-neurons": {"dimensions": [2], "neurons": [1, 2], "trials": 6},
}


def portable() -> dict[str, str]:
    """Return variables with which libraries compute what any x86-64 processor computes."""
    words = "from numpy._core._multiarray_umath import __cpu_dispatch__ as found; print(*found)"
    done = subprocess.run([sys.executable, "-c", words], stdout=subprocess.PIPE, text=True, check=True)
    return {
        "NPY_DISABLE_CPU_FEATURES": done.stdout.strip(),
        "OPENBLAS_CORETYPE": "Nehalem",
        "ATEN_CPU_CAPABILITY": "default",
        "ONEDNN_MAX_CPU_ISA": "SSE41",
        "MKL_CBWR": "COMPATIBLE",
        "NUMBA_CPU_NAME": "x86-64",
        "NUMBA_CPU_FEATURES": "+sse2",
        "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4,-AVX512F",
        "OMP_NUM_THREADS": "1",
    }


def sha(*parts: object) -> str:
    """Return the first 16 digits of the SHA-256 of arrays, text and numbers, bit for bit."""
    digest = hashlib.sha256()
    for part in parts:
        array = np.asarray(part)
        digest.update(f"{array.dtype.str} {array.shape} ".encode())
        digest.update(str(part).encode() if array.dtype.kind in "OU" else np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()[:16]


def numbers(value: object) -> list[float]:
    """Return every number of a JSON value in its order, without those that differ from run to run."""
    if isinstance(value, dict):
        return [number for key, part in value.items() if key not in VOLATILE for number in numbers(part)]
    if isinstance(value, list | tuple):
        return [number for part in value for number in numbers(part)]
    return [float(value)] if isinstance(value, int | float) else []


def theory() -> dict[str, str]:
    """Return the hashes of the theory's functions and experiments at small sizes."""
    from theory import EXPERIMENTS as KNOWN
    from theory import (
        PLANES,
        Line,
        Masked,
        Population,
        Sample,
        closed_form,
        descend,
        hidden_starts,
        integrate,
        integrate_batch,
        limits,
        phase_plane,
        prune,
        success_by_level,
        success_probability_exact,
        switch_probability_exact,
        time_to_learn,
        train_hidden,
    )  # fmt: skip

    found, rng = {}, np.random.default_rng(14)
    a0, w0, times = rng.normal(size=12), rng.normal(size=(12, 3)) / 2, [0.5, 3.0, 40.0]
    x = rng.normal(size=(15, 3))
    sample = Sample(x, np.maximum(x[:, 0], 0) + 0.3 * rng.normal(size=15))
    losses = {"line": Line(), "population": Population(3), "sample": sample, "masked": Masked(sample, [1, 0, 1])}
    for name, loss in losses.items():
        w = w0[:, :1] if name == "line" else w0
        for method in ("DOP853", "RK45", "RK23", "LSODA", "BDF", "Radau"):
            runs = [integrate(loss, a, start, times, method=method) for a, start in zip(a0[:4], w[:4], strict=True)]
            found[f"integrate {name} {method}"] = sha(*(part for run in runs for part in (run.a, run.w, run.loss)))
        batch = integrate_batch(loss, a0, w, times)
        found[f"batch {name}"] = sha(batch.a, batch.w, batch.loss, batch.status)
        if name in ("line", "population"):
            found[f"limits {name}"] = sha(*limits(a0, w, loss))
            descents = [descend(loss, a, start, 0.1, max_steps=50) for a, start in zip(a0[:4], w[:4], strict=True)]
            found[f"descend {name}"] = sha(*(part for run in descents for part in (run.a, run.w)))
    found["closed form"] = sha(*closed_form(a0[:, None], w0, times))
    found["probabilities"] = sha(
        [[success_probability_exact(rule, "normal", d) for d in (1, 2, 10)] for rule in ("imp", "lrr")],
        [switch_probability_exact("normal", d) for d in (1, 2, 10)],
    )
    found["time to learn"] = sha(time_to_learn(abs(a0), w0))
    levels = prune("lrr", abs(a0), w0, [2, 1])
    found["prune"] = sha(levels.learns, levels.masks)
    successes = success_by_level("imp", 5, "normal", 500, 0, [3, 1])
    found["success by level"] = sha(*numbers([vars(success) for success in successes]))
    for plane in PLANES:
        here = phase_plane(plane, grid=9)
        curves = [curve.points for curve in here.curves]
        found[f"phase plane {plane}"] = sha(here.field_x, here.field_y, here.verdict, here.time_to_learn, *curves)
    starts = hidden_starts(np.random.default_rng(3), 4, 2, 3)
    runs = train_hidden(*starts)
    found["hidden neurons"] = sha(runs.a, runs.w)
    for name, params in EXPERIMENTS.items():
        result = KNOWN[name].run(**{**KNOWN[name].params, **params})
        arrays = [array for _, array in sorted(result.arrays.items())]
        found[f"experiment {name}"] = sha(numbers(result.values), *arrays)
    return found


def empirics() -> dict[str, str]:
    """Return the hashes of each run's tensors and numbers: all arms, other settings, networks, crops and shifts.

    The names of tensors and of fields, and their order, are not in the hash: they may be changed.
    """
    import torch
    from PIL import Image

    from empirics import models, seeding
    from empirics.data import datasets, in_memory, streaming
    from empirics.provenance import prepare
    from empirics.studies import arms, presets, protocols
    from tests.empirics.tiny_runs import clip, run_arms, setup_in

    prepare("cpu", threads=1)
    found: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        setup = setup_in(Path(folder), clip(datasets.load("digits"), 96, 64))
        for protocol in protocols.PROTOCOLS:
            settings = protocols.settings_under(protocol, presets.PRESETS["quick"], TINY)
            different = [arm for arm in arms.ARMS if arms.differs(arm, settings)]
            run_arms(different, setup, protocol=protocol, **TINY)
        for settings in SETTINGS.values():
            run_arms(["imp"], setup, **TINY | settings)
        for run in sorted((Path(folder) / "runs").iterdir()):
            found[f"{run.name} tensors"] = sha(
                *sorted(tensor for file in run.rglob("*.safetensors") for tensor in tensors(file))
            )
            found[f"{run.name} numbers"] = sha(
                sorted(number for file in run.rglob("*.json*") for number in records(file))
            )
    for name in models.MODELS:
        width = 64 if name in ("resnet18", "resnet50") else 4
        network = models.create(name, width, (3, 32, 32), 10, seeding.generator(0, "initial weights"))
        found[f"initial {name}"] = sha(*(part for item in network.state_dict().items() for part in item))
    draw = in_memory.draw_augmentation(9, 4, True, seeding.generator(0, "data", 1, 2))
    images = torch.arange(9 * 3 * 8 * 8, dtype=torch.int64).remainder(251).to(torch.uint8).reshape(9, 3, 8, 8)
    found["shifts"] = sha(draw.order, draw.shifts, draw.flips, in_memory.crop_batch(images, draw.shifts, draw.flips, 4))
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (40, 50, 3), dtype=np.uint8))
    found["crops"] = sha(
        *(streaming.training_view(image, 16, rng) for _ in range(5)), streaming.evaluation_view(image, 16)
    )
    return found


def tensors(file: Path) -> list[str]:
    """Return the hash of each tensor of a file."""
    from safetensors.numpy import load_file

    return [sha(tensor) for tensor in load_file(file).values()]


def records(file: Path) -> list[float]:
    """Return the numbers of a run's JSON or JSONL file, but those of its settings, which its name has."""
    lines = file.read_text().splitlines() if file.suffix == ".jsonl" else [file.read_text()]
    return [] if file.name == "config.json" else [number for line in lines for number in numbers(json.loads(line))]


def probe() -> dict[str, str]:
    """Return the hashes of what the libraries alone compute, and their versions."""
    import torch
    from scipy.integrate import solve_ivp
    from scipy.special import stdtr

    rng = np.random.default_rng(0)
    x, matrix = rng.normal(size=500), rng.normal(size=(20, 20))
    found = {
        name: version(name) for name in ("numpy", "scipy", "numba", "torch", "torchvision", "scikit-learn", "pillow")
    }
    functions = (np.exp(x), np.log(abs(x)), np.sin(x), np.arctan2(x, x[::-1]), np.hypot(x, 2))
    algebra = (matrix @ matrix, np.einsum("ij,kj->ik", matrix, matrix), *np.linalg.svd(matrix), np.linalg.pinv(matrix))
    found["numpy"] += " " + sha(x, *functions, *algebra)
    found["math"] = sha([[math.exp(v), math.atan2(v, 2), math.cos(v), math.log1p(abs(v))] for v in x.tolist()])
    paths = [solve_ivp(lambda t, y: np.sin(t * y) + y[::-1], (0, 2), [0.3, 0.7], method=method, rtol=1e-9).y
             for method in ("DOP853", "LSODA", "Radau")]  # fmt: skip
    found["scipy"] += " " + sha(*paths, stdtr(5, x))
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    nn = torch.nn
    convolutions = (nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2))
    model = nn.Sequential(*convolutions, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=draw) / 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    for _ in range(10):
        images, labels = torch.randn(32, 1, 8, 8, generator=draw), torch.randint(10, (32,), generator=draw)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(images), labels).backward()
        optimizer.step()
    found["torch"] += " " + sha(*(tensor.detach().numpy() for tensor in model.state_dict().values()))
    return found


def made(part: str) -> dict[str, str]:
    """Return a part, computed by a process of its own with the portable settings."""
    from tests.support.processes import run

    command, there = (
        [sys.executable, "-m", "tests.support.bits", part],
        {**os.environ, **portable(), "PYTHONPATH": str(ROOT)},
    )
    done = run(command, cwd=ROOT, env=there, seconds=600, check=True)
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    if sys.argv[1:] == ["record"]:
        record = {part: made(part) for part in ("probe", *PARTS)}
        RECORD.write_text(json.dumps(record, indent=1) + "\n")
    else:
        print(json.dumps({"theory": theory, "empirics": empirics, "probe": probe}[sys.argv[1]]()))
