"""Entries of the registries of figures from outside the package: `figures.register`."""

import difflib
import re
from typing import Any

from figures.analysis.sweeps import SWEEP_ENTRIES, SweepEntry
from figures.catalogue import CLAIMS_FIGURE, FIGURES, FigureSpec, claims_figure
from figures.claims.registry import CLAIMS, Claim

_REGISTRIES = {"figure": (FIGURES, FigureSpec), "claim": (CLAIMS, Claim), "sweep": (SWEEP_ENTRIES, SweepEntry)}
_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


def register(kind: str, name: str, entry: Any) -> None:
    """Add an entry to a registry: it is then listed, drawn and judged as those of the package are.

    Parameters
    ----------
    kind : "figure", "claim" or "sweep".
    name : lower-case words of letters and digits joined by hyphens that the registry does not have; a sweep has the
        name that its studies record.
    entry : a `FigureSpec` of that id, whose `function` (Records -> Drawing) may be the function itself; a `Claim`; or a
        `SweepEntry`, needed only where the records of a sweep do not say enough.

    Raises
    ------
    ValueError : an unknown kind, or a name that is invalid or taken.
    TypeError : an entry of the wrong type.
    """
    if kind not in _REGISTRIES:
        near = difflib.get_close_matches(str(kind), _REGISTRIES, n=1, cutoff=0.0)[0]
        raise ValueError(f"unknown kind of entry {kind!r}: did you mean {near!r}? known: {', '.join(_REGISTRIES)}")
    entries, wanted = _REGISTRIES[kind]
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise ValueError(f"the name of a {kind} must be lower-case words joined by hyphens, got {name!r}: rename it")
    if name in entries:
        raise ValueError(f"there is a {kind} {name!r} already: choose another name (taken: {', '.join(entries)})")
    if not isinstance(entry, wanted):
        raise TypeError(f"the {kind} {name!r} must be a {wanted.__name__}, got {type(entry).__name__}: make one")
    if kind == "figure":
        _check_figure(name, entry)
    entries[name] = entry
    if kind == "claim":
        FIGURES[CLAIMS_FIGURE] = claims_figure()  # it reads what the new claim reads as well


def _check_figure(name: str, spec: FigureSpec) -> None:
    if spec.id != name:
        raise ValueError(f"the figure {name!r} has the id {spec.id!r}: give both the same name")
    if not callable(spec.function) and not (isinstance(spec.function, str) and spec.function.count(":") == 1):
        raise TypeError(
            f"the function of the figure {name!r} must be a function, or 'module:name' within figures.plots, "
            f"got {spec.function!r:.60}"
        )
