"""The number of cores that this process may use; containers and batch systems limit it."""

import math
import os
import re
from collections.abc import Iterator
from pathlib import Path


def usable_cores(root: Path = Path("/")) -> int:
    """The number of cores that this process may use, at least 1.

    It is the minimum of the cores that the process is bound to and of its quotas. A quota is processor time divided by
    wall time, as set for containers (`docker run --cpus 2`): 1.5 counts as 1, since two processes would wait for one
    another.

    Args:
        root: the folder that contains `proc` and `sys`.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([bound, *(math.floor(quota) for quota in _quotas(root))]))


def _quotas(root: Path) -> Iterator[float]:
    """The quotas of the control groups of this process and of their parents."""
    for line in _text(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0" and not controllers:
            found = map(_quota_2, _places(root, "cgroup2", "", group))
        elif "cpu" in controllers.split(","):
            found = map(_quota_1, _places(root, "cgroup", "cpu", group))
        else:
            continue
        yield from (quota for quota in found if quota is not None)


def _places(root: Path, kind: str, controller: str, group: str) -> Iterator[Path]:
    """The folders of a control group and of its parents, in every mount of the hierarchy."""
    for line in _text(root / "proc/self/mountinfo").splitlines():
        before, _, after = line.partition(" - ")
        fields = before.split()
        kinds = after.split()
        if len(fields) < 5 or len(kinds) < 3 or kinds[0] != kind or controller not in ("", *kinds[2].split(",")):
            continue
        top = fields[3]
        point = root / re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[4]).lstrip("/")
        # in a container the mount may begin at the group itself: then the group's name begins with `top`
        below = os.path.relpath(group, top) if Path(group).is_relative_to(top) else "."
        parts = Path(below).parts if ".." not in Path(below).parts else ()
        yield from (point.joinpath(*parts[:depth]) for depth in range(len(parts) + 1))


def _quota_2(folder: Path) -> float | None:
    """The quota of a control group, version 2.

    `cpu.max` holds the processor time per period and the period, in microseconds.
    """
    return _ratio(_text(folder / "cpu.max").split())


def _quota_1(folder: Path) -> float | None:
    """The quota of a control group, version 1: the same two numbers in two files; -1 means no quota."""
    return _ratio([_text(folder / f"cpu.cfs_{name}_us").strip() for name in ("quota", "period")])


def _ratio(words: list[str]) -> float | None:
    try:
        quota, period = map(int, words)
    except ValueError:  # `max`, or no such file
        return None
    return quota / period if quota > 0 and period > 0 else None


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace")
    except OSError:
        return ""
