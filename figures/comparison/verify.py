"""A figure that was made again, held against the one that stands: two sidecars in, a verdict in words out. Pure."""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from figures.comparison.compare import DERIVED, EXACT, Comparison, Path, Tolerance, compare

THEORY = Tolerance(relative=1e-9, absolute=1e-12)
OTHER_CONDITIONS = Tolerance(relative=0.05, absolute=0.05, skip=DERIVED)
_SHOWN = 20
# of a provenance, what may change the last bits of a network's training
_CONDITIONS = (
    ("versions", "python"),
    ("versions", "numpy"),
    ("versions", "torch"),
    ("hardware", "cpu"),
    ("hardware", "accelerator"),
    ("threads",),
)


@dataclass(frozen=True)
class Verification:
    """Whether a figure that was made again shows the same numbers, and the lines that say so."""

    agrees: bool
    lines: tuple[str, ...]


def verify(
    standing: Mapping, again: Mapping, left_out: Collection[str] = (), within: float | None = None
) -> Verification:
    """Hold the numbers of a figure made again against those of the figure that stands.

    Numbers of the neuron agree within `THEORY`. Those of networks must be equal where both were made by the same
    versions, processor and number of threads, and else agree within `OTHER_CONDITIONS`, since training amplifies the
    last bit of a number.

    Parameters
    ----------
    standing, again : the two sidecars.
    left_out : studies that were not run again; what they plot is not compared, and said.
    within : tolerance for networks in place of these, relative and absolute at once.
    """
    conditions = changed(standing, again)
    networks = OTHER_CONDITIONS if conditions else EXACT
    if within is not None:
        networks = Tolerance(within, within, networks.skip)
    of_networks = _network_paths(standing)
    old, dropped = _without(standing.get("plotted", {}), left_out)
    new, _ = _without(again.get("plotted", {}), left_out)
    found = compare(old, new, lambda path: networks if of_networks(path) else THEORY)
    lines = [f"figure {standing.get('id')}: {found.numbers} numbers compared with those of the figure that stands"]
    lines += [f"numbers of the neuron must agree {THEORY.words}"] if standing.get("theory") else []
    lines += [f"numbers of networks must agree {networks.words}"] if standing.get("studies") else []
    lines += [f"made otherwise: {text}" for text in (*conditions, *_remarks(standing, again, conditions))]
    lines += [f"not run again, so not compared: {', '.join(dropped)}"] if dropped else []
    lines += [f"{found.skipped} values that follow from other numbers were not compared"] if found.skipped else []
    agrees = found.numbers > 0 and not found.differences
    return Verification(agrees, (*lines, *_outcome(found, agrees)))


def _outcome(found: Comparison, agrees: bool) -> list[str]:
    places, more = len(found.differences), len(found.differences) - _SHOWN
    lines = [f"differs: {difference}" for difference in found.differences[:_SHOWN]]
    lines += [f"and {more} more places"] if more > 0 else []
    if found.largest and found.largest.amount:
        lines.append(f"largest difference of two numbers: {found.largest.amount:.3g}, at {found.largest}")
    if agrees:
        return [*lines, "reproduced"]
    why = f"it differs in {places} place{'s' * (places > 1)}" if places else "there is no number to compare"
    return [*lines, f"NOT reproduced: {why}"]


def _network_paths(sidecar: Mapping) -> Callable[[Path], bool]:
    """Which paths hold numbers of networks: all, where no theory is read; else those below a study's name."""
    studies, theory = sidecar.get("studies") or {}, sidecar.get("theory") or {}
    if not studies or not theory:
        return lambda path: bool(studies)
    return lambda path: any(_names(step, studies) for step in path)


def _names(step: str | int, studies: Collection[str]) -> bool:
    return isinstance(step, str) and bool(set(re.split(r"[ ,]+", step)) & set(studies))


def _without(tree: Mapping, studies: Collection[str]) -> tuple[dict, list[str]]:
    """A tree without what these studies plot, and the names of what was taken out."""
    kept, dropped = {}, []
    for name, branch in tree.items():
        if _names(name, studies):
            dropped.append(name)
            continue
        kept[name] = branch
        if isinstance(branch, Mapping):
            kept[name], inner = _without(branch, studies)
            dropped += [f"{name}.{step}" for step in inner]
    return kept, dropped


def changed(standing: Mapping, again: Mapping) -> list[str]:
    """Which conditions of the networks' training differ between two sidecars, each in words.

    Where the runs of one were trained under several conditions, each of these counts.
    """
    return _changes(_CONDITIONS, _runs(standing), _runs(again))


def _remarks(standing: Mapping, again: Mapping, said: Collection[str]) -> list[str]:
    """Everything else that was other: the numbers should be the same all the same, and a reader should know."""
    then, now = _everything(standing), _everything(again)
    versions = {name: None for made in (*then, *now) for name in made.get("versions", {})}
    facts = [("code",), ("git", "commit"), *(("versions", name) for name in versions), *_CONDITIONS]
    known = {text.split(" ")[0] for text in said}
    found = _changes([names for names in dict.fromkeys(facts) if names[-1] not in known], then, now)
    if standing.get("code_sha256") != again.get("code_sha256"):
        found.append("the code that draws is another")
    for name in standing.get("theory", {}).keys() & again.get("theory", {}).keys():
        parameters = compare(standing["theory"][name]["params"], again["theory"][name]["params"])
        found += [f"parameter of {name}, {difference}" for difference in parameters.differences]
    return found


def _changes(facts: Collection[tuple[str, ...]], then: list[Mapping], now: list[Mapping]) -> list[str]:
    found = []
    for names in facts:
        before, after = ({_fact(made, names) for made in provenances} for provenances in (then, now))
        if before != after:
            found.append(f"{names[-1]} {_listed(before)} then, {_listed(after)} now")
    return found


def _fact(provenance: Mapping, names: tuple[str, ...]) -> str:
    value: Any = provenance
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value)


def _listed(values: Collection[str]) -> str:
    return " and ".join(sorted(values)) or "nothing"


def _runs(sidecar: Mapping) -> list[Mapping]:
    """The provenance of every run that a figure shows."""
    studies = sidecar.get("studies", {}).values()
    return [made for study in studies for run in study["arms"].values() for made in run["provenance"]]


def _everything(sidecar: Mapping) -> list[Mapping]:
    theory = [result["provenance"] for result in sidecar.get("theory", {}).values()]
    return [*_runs(sidecar), *theory, sidecar.get("provenance", {})]
