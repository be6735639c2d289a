"""The registries of this package by kind, and the entries that come from outside it.

Modules are named as text and imported when they are used, so that this one may be imported by any other.
"""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import Any

from empirics.choices import ConfigError, check_choice
from empirics.names import is_slug


@dataclass(frozen=True)
class Registry:
    """Where the entries of one kind are.

    Args:
        title: for `list`.
        module, name: of the dictionary name -> entry.
        entry: name of the class of entries, in the same module; empty if entries are functions.
        trains: whether a run that is trained looks entries up, and so every worker process needs them.
    """

    title: str
    module: str
    name: str
    entry: str = ""
    trains: bool = True

    @property
    def entries(self) -> dict[str, Any]:
        """Name -> entry."""
        return getattr(import_module(self.module), self.name)

    def check(self, kind: str, name: str, entry: object) -> None:
        """Refuse an entry of another type."""
        if not self.entry and not callable(entry):
            raise ConfigError(f"the {kind} {name!r} must be a function, got {type(entry).__name__}: pass one")
        if self.entry and not isinstance(entry, getattr(import_module(self.module), self.entry)):
            raise ConfigError(
                f"the {kind} {name!r} must be of the class {self.module}.{self.entry}, got {type(entry).__name__}: "
                "make one"
            )


# A new registry: one line here.
KINDS: dict[str, Registry] = {
    "preset": Registry("presets", "empirics.studies.presets", "PRESETS", "Preset", trains=False),
    "arm": Registry("arms", "empirics.studies.arms", "ARMS", "Arm", trains=False),
    "sweep": Registry("sweeps", "empirics.studies.sweeps", "SWEEPS", "Sweep", trains=False),
    "data set": Registry("data sets", "empirics.data.datasets", "DATASETS", "Source"),
    "model": Registry("models", "empirics.models", "MODELS"),
    "criterion": Registry("criteria", "empirics.pruning.criteria", "CRITERIA", "Criterion"),
    "densities": Registry("layer densities", "empirics.pruning.densities", "DENSITIES"),
    "rewinding rule": Registry("rewinding rules", "empirics.pruning.rules", "REWINDS", "RewindRule"),
    "schedule": Registry("schedules", "empirics.schedules", "SCHEDULES"),
}
Addition = tuple[str, str, Any]
_additions: dict[tuple[str, str], Any] = {}


def register(kind: str, name: str, entry: Any) -> None:
    """Add an entry to a registry from outside the package.

    This process and the workers that it starts know it.

    Args:
        kind: key of `KINDS`.
        name: lower-case words joined by hyphens.
        entry: as in the registry; its functions must be importable (defined by `def` at the top of a module or script),
            so that worker processes find them.

    Raises:
        ConfigError: an unknown kind; a name that is taken or cannot be one; an entry of another type, or one that
            worker processes cannot import.
    """
    registry = KINDS[check_choice(str(kind), KINDS, "kind of entry")]
    if not isinstance(name, str) or not is_slug(name):
        raise ConfigError(f"the name of a {kind} must be lower-case words joined by hyphens, got {name!r}: rename it")
    registry.check(kind, name, entry)
    if name in registry.entries:
        raise ConfigError(
            f"there is a {kind} {name!r} already: choose another name (taken: {', '.join(registry.entries)})"
        )
    if registry.trains:
        _check_importable(kind, name, entry)
    registry.entries[name] = entry
    _additions[kind, name] = entry


def _check_importable(kind: str, name: str, entry: object) -> None:
    """Refuse an entry whose functions worker processes cannot import."""
    try:
        sent = bytes(ForkingPickler.dumps(entry))  # as it is sent to a worker
    except Exception as error:  # of many types
        why = str(error)
    else:
        # the main module of a worker is made from the script's file; code that was typed in has none
        script = getattr(sys.modules["__main__"], "__file__", None)
        if b"__main__" not in sent or (script and Path(script).is_file()):
            return
        why = "it was typed into an interpreter"
    raise ConfigError(
        f"worker processes cannot import the {kind} {name!r} ({why}): define its functions by `def` at the top of a "
        "file"
    )


def unregister(kind: str, name: str) -> None:
    """Remove an entry that was added by `register`.

    Raises:
        ConfigError: there is no such entry.
    """
    if (kind, name) not in _additions:
        raise ConfigError(f"no {kind} {name!r} was registered")
    del _additions[kind, name]
    del KINDS[kind].entries[name]


def additions() -> list[Addition]:
    """The entries from outside that worker processes need."""
    return [(kind, name, entry) for (kind, name), entry in _additions.items() if KINDS[kind].trains]


def add(entries: Sequence[Addition]) -> None:
    """Register the entries that another process sent; those that this process has are left as they are."""
    for kind, name, entry in entries:
        if name not in KINDS[kind].entries:
            register(kind, name, entry)


def by_title() -> dict[str, Mapping[str, Any]]:
    """Every registry by its title, for `list`."""
    return {registry.title: registry.entries for registry in KINDS.values()}
