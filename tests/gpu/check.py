"""`make gpu-check`: does everything work on this GPU, and how fast? One JSON file and a short table, within minutes.

It needs the checkout, Python, torch, numpy and safetensors, and no network. Every check runs in a process of its own,
which ends when its time is over: one that fails, hangs or breaks its GPU is recorded, and the others go on.

python -m tests.gpu.check [--device cuda] [--size full] [--out gpu-check.json] [NAME ...]
"""

import argparse
import faulthandler
import importlib.machinery
import importlib.util
import json
import os
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import ROOT
from tests.support import processes

if TYPE_CHECKING:
    from tests.gpu.subjects import Place

REQUIRED = ("torch", "numpy", "safetensors")
USEFUL = ("filelock", "torchvision", "PIL", "sklearn", "scipy", "tyro", "rich")
# of all checks together; what has not begun by then is not tried
SECONDS = 450.0
FAILED = ("failed", "out of time", "not tried")


@dataclass(frozen=True)
class Check:
    """One check.

    Args:
        module, function: where it is, in `tests.gpu`; its docstring says what it shows. It takes a `Place` and returns
            what it found, for JSON; an exception means that it failed.
        seconds: it is ended after so long.
        needs: packages besides `REQUIRED`; it is left out where one is missing.
        stack: for networks that are trained together, which of the size's numbers.
    """

    module: str
    function: str
    seconds: float
    needs: tuple[str, ...] = ()
    stack: int | None = None

    def run(self, place: "Place") -> dict[str, Any]:
        """Do it in this process."""
        function: Callable[..., dict[str, Any]] = getattr(
            importlib.import_module(f"tests.gpu.{self.module}"), self.function
        )
        return function(place) if self.stack is None else function(place, self.stack_of(place))

    def stack_of(self, place: "Place") -> int:
        """How many networks, or processes, at once."""
        return place.size.stacks[self.stack] if self.function.startswith("by_") else self.stack


# In the order in which they run: what must work first, then how fast it is, then what may disturb others.
CHECKS: dict[str, Check] = {
    "arithmetic": Check("results", "arithmetic", 40),
    "study": Check("results", "study", 90),
    "arms": Check("results", "arms", 60),
    "loop": Check("speed", "loop", 30),
    "eager": Check("speed", "eager", 30),
    "channels last": Check("speed", "channels_last", 30),
    "bfloat16": Check("speed", "bfloat16", 30),
    "compile": Check("speed", "compiled", 75),
    "CUDA graph": Check("speed", "graph", 30),
    "vmap, few": Check("speed", "by_vmap", 45, stack=0),
    "vmap, many": Check("speed", "by_vmap", 45, stack=-1),
    "grouped, few": Check("speed", "by_grouping", 45, stack=0),
    "grouped, many": Check("speed", "by_grouping", 45, stack=-1),
    "2 processes": Check("speed", "in_processes", 60, stack=2),
    "4 processes": Check("speed", "in_processes", 60, stack=4),
    "profile": Check("speed", "profile", 40),
    "same bits": Check("results", "same_bits", 60),
    "resume": Check("results", "resume", 60),
    "against the CPU": Check("results", "against_cpu", 60),
    "ended worker": Check("results", "ended_worker", 60),
    "criteria": Check("results", "criteria", 60),
    "same bits, large images": Check("results", "same_bits_of_large_images", 60, ("torchvision",)),
    "same bits, streamed": Check("results", "same_bits_of_streamed_images", 40, ("PIL",)),
    "memory": Check("speed", "memory", 60, ("torchvision",)),
    "out of memory": Check("speed", "out_of_memory", 40),
}


def stand_in_for_msgspec() -> None:
    """Where msgspec is missing, put a stand-in in its place that checks nothing.

    Nobody else writes the folders of the checks, and every record has its checksum. Workers import this module too.
    """

    class Struct:
        def __init_subclass__(cls, **_: object) -> None:
            pass

    stand_in = types.ModuleType("msgspec")
    stand_in.__spec__ = importlib.machinery.ModuleSpec("msgspec", None)
    stand_in.Struct, stand_in.Meta, stand_in.convert = Struct, lambda **_: None, lambda record, schema: record
    stand_in.ValidationError = type("ValidationError", (ValueError,), {})
    sys.modules["msgspec"] = stand_in


def missing(names: Sequence[str]) -> list[str]:
    """The packages among `names` that are not installed."""
    return [name for name in names if importlib.util.find_spec(name) is None]


if missing(["msgspec"]):
    stand_in_for_msgspec()


def in_own_process(name: str, device: str, size: str) -> dict[str, Any]:
    """Run a check in a process of its own; returns its `status`, what it `found` or its `error`, and `seconds`."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "found.json"
        words = ["--one", name, "--device", device, "--size", size, "--out", str(out)]
        started = time.monotonic()
        try:
            done = processes.run([sys.executable, "-m", "tests.gpu.check", *words], cwd=ROOT)
            said = done.stderr
        except processes.TimeoutExpired:  # not even its own end is reached: it hangs in the driver
            said = "it hangs, and cannot be ended"
        seconds = round(time.monotonic() - started, 1)
        if out.exists():
            return json.loads(out.read_text()) | {"seconds": seconds}
        late = "Timeout (" in said
        error = f"{said.strip()[-3000:]}" or "its process ended without a word"
        return {"status": "out of time" if late else "failed", "error": error, "seconds": seconds}


def one(name: str, device: str, size: str, out: Path) -> int:
    """The process of one check."""
    check = CHECKS[name]
    # it ends the process also if it hangs within the driver; a CPU is there for tests, however slow it is
    faulthandler.dump_traceback_later(check.seconds * (1 if device == "cuda" else 20), exit=True)
    from empirics.provenance import prepare
    from tests.gpu.subjects import SIZES, Place

    with tempfile.TemporaryDirectory() as folder:
        try:
            place = Place(prepare(device), SIZES[size], Path(folder))
            result = {"status": "ok", "found": check.run(place)}
        except Exception as error:
            words = traceback.format_exc()[-3000:]
            result = {"status": "failed", "error": f"{type(error).__name__}: {error}"[:1000], "traceback": words}
        out.write_text(json.dumps(result))
    return 0


def run_all(names: Sequence[str], device: str, size: str, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """Run checks one after the other; what each of them gave, by its name."""
    found: dict[str, Any] = {}
    ends = time.monotonic() + seconds
    for name in names:
        if absent := missing(CHECKS[name].needs):
            found[name] = {"status": "left out", "error": f"it needs {', '.join(absent)}", "seconds": 0.0}
        elif time.monotonic() > ends:
            found[name] = {"status": "not tried", "error": f"{seconds:.0f} seconds were over", "seconds": 0.0}
        else:
            found[name] = in_own_process(name, device, size)
        say(row(name, found[name]))
    return found


def row(name: str, result: dict[str, Any]) -> str:
    """The line of the table on one check."""
    found, facts = result.get("found", {}), ""
    if "images a second" in found:
        facts = f"{found['images a second']:,.0f} images/s"
        facts += f", {found['ms a step']:.2f} ms a step" if "ms a step" in found else ""
    if "launches a step" in found:
        facts = f"{found['launches a step']:.0f} launches a step, bound by the {found.get('bound by', '?')}"
        facts += f", {found['waits an epoch']} waits an epoch"
    elif "error" in result:
        facts = result["error"].strip().splitlines()[-1 if result["status"] != "failed" else 0][:100]
    return f"{name:26}{result['status']:13}{result['seconds']:6.1f} s   {facts}".rstrip()


def machine(device: str) -> dict[str, Any]:
    """Versions and hardware, without a name or path of the machine."""
    import torch

    from empirics import provenance

    where = provenance.prepare(device)
    origin = provenance.provenance(1, provenance.gpu_facts(where), provenance.instruction_set())
    memory = torch.cuda.get_device_properties(where).total_memory if where.type == "cuda" else None
    facts = {"GPUs": provenance.accelerators(), "memory, bytes": memory, "system": sys.platform}
    return {**{name: origin[name] for name in ("versions", "code", "git", "hardware")}, **facts}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the checks; 0 if none failed or there is no GPU, 1 if one failed, 2 if it cannot begin."""
    parser = argparse.ArgumentParser(prog="gpu-check", description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*", help=f"checks to run; default: all ({', '.join(CHECKS)})")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--size", default="full", choices=("full", "tiny"))
    parser.add_argument("--out", type=Path, default=Path("gpu-check.json"))
    parser.add_argument("--one", choices=CHECKS, help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.one:
        return one(given.one, given.device, given.size, given.out)
    if unknown := [name for name in given.names if name not in CHECKS]:
        parser.error(f"unknown check {unknown[0]!r}: known are {', '.join(CHECKS)}")
    if sys.version_info < (3, 11) or missing(REQUIRED):
        print(f"gpu-check needs Python 3.11 and {', '.join(REQUIRED)}: missing here: {missing(REQUIRED) or 'Python'}")
        return 2
    if given.device == "cuda" and (code := without_gpu()) is not None:
        return code
    if absent := missing(USEFUL):
        print(f"not installed here: {', '.join(absent)}; checks that need one of them are left out")
    started = time.monotonic()
    report = {"machine": machine(given.device), "device": given.device, "size": given.size, "missing": missing(USEFUL)}
    say = lambda text: print(text, flush=True)  # noqa: E731
    report["checks"] = run_all(given.names or list(CHECKS), given.device, given.size, SECONDS, say)
    report["seconds"] = round(time.monotonic() - started, 1)
    given.out.write_text(json.dumps(report, indent=1) + "\n")
    failed = [name for name, result in report["checks"].items() if result["status"] in FAILED]
    tried = sum(result["status"] != "left out" for result in report["checks"].values())
    print(f"{tried - len(failed)} of {tried} checks succeeded in {report['seconds']:.0f} s: see {given.out}")
    return 1 if failed else 0


def without_gpu() -> int | None:
    """Say so if there is no GPU to check, with the exit code: 1 for one that is there and cannot be used."""
    from empirics import provenance

    problem = provenance.cuda_problem()
    if problem is None:
        return None
    there = provenance.accelerators() or provenance.driver_version()
    print(f"gpu-check: {'CUDA cannot start' if there else 'there is no GPU here to check'}: {problem}")
    return 1 if there else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
