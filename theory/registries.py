"""Entries of the theory's registries from outside the package: `theory.register`."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

from theory.validation import known

# kind -> the module and the name of its registry
_REGISTRIES = {
    "theorem": ("theory.theorems", "THEOREMS"),
    "phase plane": ("theory.portraits.planes", "PLANES"),
    "experiment": ("theory.experiments.registry", "EXPERIMENTS"),
}
_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*")


def register(kind: str, name: str, entry: Any) -> None:
    """Add an entry to a registry: it is then listed, checked and run as those of the package are.

    An experiment's function is best defined in a module: slow experiments run in processes of their own, which import
    it. One that cannot be imported runs in this process.

    Args:
        kind: "theorem", "phase plane" or "experiment"
        name: lower-case words of letters and digits, joined by hyphens or dots, that the registry does not have
        entry: a `theory.Theorem` or a `theory.Experiment` of that name; for a phase plane a function (extent, grid,
            tolerance, further parameters) -> `theory.PhasePlane`

    Raises:
        ValueError: an unknown kind, or a name that is invalid or taken.
        TypeError: an entry of the wrong type.
    """
    known("kind of entry", kind, tuple(_REGISTRIES))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"the name of a {kind} must be lower-case words joined by hyphens, got {name!r}: rename it")
    module, registry = _REGISTRIES[kind]
    entries = getattr(import_module(module), registry)
    if name in entries:
        raise ValueError(f"there is a {kind} {name!r} already: choose another name (taken: {', '.join(entries)})")
    if kind == "phase plane":
        _check_plane(name, entry)
    else:
        _check_named(kind, name, entry)
    entries[name] = entry


def _check_named(kind: str, name: str, entry: Any) -> None:
    """Raise an error unless an entry is of its kind's class, and has the name of its place."""
    if kind == "theorem":
        from theory.proofs.base import Theorem as wanted
    else:
        from theory.experiments.registry import Experiment as wanted
    if not isinstance(entry, wanted):
        raise TypeError(f"the {kind} {name!r} must be a theory.{wanted.__name__}, got {type(entry).__name__}: make one")
    if entry.name != name:
        raise ValueError(f"the {kind} {name!r} has the name {entry.name!r}: give both the same name")
    function = getattr(entry, "function", "")  # of an experiment; a theorem has none
    if not (isinstance(function, str) or callable(function)):
        raise TypeError(f"the function of the experiment {name!r} must be a function, got {function!r:.60}")


def _check_plane(name: str, entry: Any) -> None:
    if not callable(entry) or len(inspect.signature(entry).parameters) < 3:
        raise TypeError(
            f"the phase plane {name!r} must be a function (extent, grid, tolerance, ...) -> theory.PhasePlane, "
            f"got {entry!r:.60}: pass such a function"
        )
