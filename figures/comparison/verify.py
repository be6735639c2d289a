"""Verify a remade figure: compare its sidecar with that of the existing one. Pure.

Two sidecars in, a verdict in words out.
"""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
# derived from other numbers, and may jump where these change slightly
DERIVED = frozenset({"p", "p_min", "p_holm", "marked"})


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True)
class Tolerance:
    """How far two numbers may differ: by `relative` times the larger one plus `absolute`.

    `skip` lists names that are not compared.
    """

    relative: float = 0.0
    absolute: float = 0.0
    skip: frozenset[str] = frozenset()

    def allows(self, left: float, right: float) -> bool:
        """Whether two numbers agree: NaN with NaN, infinities with themselves."""
        if left == right or (math.isnan(left) and math.isnan(right)):
            return True
        return abs(left - right) <= self.relative * max(abs(left), abs(right)) + self.absolute

    @property
    def words(self) -> str:
        """The tolerance in words."""
        if not self.relative and not self.absolute:
            return "exactly"
        parts = []
        if self.relative:
            parts.append(f"{self.relative:g} of the larger number")
        if self.absolute:
            parts.append(f"{self.absolute:g}")
        skipped = f", without {', '.join(sorted(self.skip))}" if self.skip else ""
        return "within " + " plus ".join(parts) + skipped


EXACT = Tolerance()


@dataclass(frozen=True)
class Difference:
    """One place where the trees differ.

    A value is `ABSENT` where only the other tree has the place.
    """

    path: Path
    left: Any
    right: Any

    @property
    def amount(self) -> float | None:
        """The absolute difference of two numbers, else None."""
        return abs(self.left - self.right) if _is_number(self.left) and _is_number(self.right) else None

    def __str__(self) -> str:
        return f"{format_path(self.path)}: {_short_value(self.left)} against {_short_value(self.right)}"


@dataclass(frozen=True)
class Comparison:
    """The result of comparing two trees.

    `numbers` counts the pairs of numbers that were compared, `skipped` the leaves that the tolerance leaves out.
    `differences` are the places that do not agree; `largest` is the pair of numbers that lie furthest apart, agreeing
    or not (counts and p-values only where nothing else was compared), None where there is no number.
    """

    numbers: int
    skipped: int
    differences: tuple[Difference, ...]
    largest: Difference | None


def compare(left: Any, right: Any, tolerance: Callable[[Path], Tolerance] = lambda path: EXACT) -> Comparison:
    """Compare two trees leaf by leaf.

    Args:
        left: a tree as JSON gives it.
        right: the tree that it is compared with.
        tolerance: path of a leaf -> how far its two numbers may lie apart; words, truth values and nulls must be equal.
    """
    numbers = skipped = 0
    differences: list[Difference] = []
    largest = None
    for path, a, b in leaves(left, right):
        allowed = tolerance(path)
        if allowed.skip.intersection(map(str, path)):
            skipped += 1
            continue
        difference = Difference(path, a, b)
        if difference.amount is None:
            if not _same(a, b):
                differences.append(difference)
            continue
        numbers += 1
        if largest is None or _weight(difference) > _weight(largest):
            largest = difference
        if not allowed.allows(a, b):
            differences.append(difference)
    return Comparison(numbers, skipped, tuple(differences), largest)


def _weight(difference: Difference) -> tuple[bool, bool, float]:
    """The rank of a difference.

    Measured numbers come before counts, and both before values that are derived from them.
    """
    whole = isinstance(difference.left, int) and isinstance(difference.right, int)
    return not DERIVED.intersection(map(str, difference.path)), not whole, difference.amount or 0.0


def leaves(left: Any, right: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Pairs of values at the same place in two trees.

    The descent ends at a place that one tree lacks and at lists of different lengths.
    """
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        for key in dict.fromkeys([*left, *right]):
            yield from leaves(left.get(key, ABSENT), right.get(key, ABSENT), (*path, key))
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        for place, (a, b) in enumerate(zip(left, right, strict=True)):
            yield from leaves(a, b, (*path, place))
    else:
        yield path, left, right


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _same(left: Any, right: Any) -> bool:
    """Equal, and of one type: true is not 1."""
    return type(left) is type(right) and left == right


def format_path(path: Path) -> str:
    """A path as text: `quick-digits.curves.imp.mean[3]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the whole"


def _short_value(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    return str(value) if value is ABSENT else repr(value)[:60]


THEORY_TOLERANCE = Tolerance(relative=1e-9, absolute=1e-12)
OTHER_CONDITIONS = Tolerance(relative=0.05, absolute=0.05, skip=DERIVED)
_SHOWN = 20
# the parts of a provenance that may change the last bits of a network's training
_CONDITIONS = (
    ("versions", "python"),
    ("versions", "numpy"),
    ("versions", "torch"),
    ("hardware", "cpu"),
    ("hardware", "instruction_set"),
    ("hardware", "accelerator"),
    ("hardware", "capability"),
    ("hardware", "cuda"),
    ("hardware", "cudnn"),
    ("threads",),
)


@dataclass(frozen=True)
class Verification:
    """Whether a remade figure shows the same numbers, and the lines that report it."""

    agrees: bool
    lines: tuple[str, ...]


def verify(
    standing: Mapping[str, Any], again: Mapping[str, Any], left_out: Collection[str] = (), within: float | None = None
) -> Verification:
    """Compare the numbers of a remade figure with those of the existing figure.

    Numbers of the neuron agree within `THEORY_TOLERANCE`. Those of networks must be equal where both were made by the
    same versions, processor, instruction set and number of threads, and otherwise agree within `OTHER_CONDITIONS`,
    since training amplifies the last bit of a number.

    Args:
        standing: the sidecar of the existing figure.
        again: that of the remade figure.
        left_out: studies that were not run again; their numbers are not compared, and a line reports it.
        within: tolerance for networks in place of these, relative and absolute at once.
    """
    conditions = changed(standing, again)
    networks = OTHER_CONDITIONS if conditions else EXACT
    if within is not None:
        networks = Tolerance(within, within, networks.skip)
    of_networks = _network_paths(standing)
    old, dropped = _without(standing.get("plotted", {}), left_out)
    new, _ = _without(again.get("plotted", {}), left_out)
    found = compare(old, new, lambda path: networks if of_networks(path) else THEORY_TOLERANCE)
    lines = [f"figure {standing.get('id')}: {found.numbers} numbers compared with those of the existing figure"]
    lines += [f"numbers of the neuron must agree {THEORY_TOLERANCE.words}"] if standing.get("theory") else []
    lines += [f"numbers of networks must agree {networks.words}"] if standing.get("studies") else []
    lines += [f"made differently: {text}" for text in (*conditions, *_remarks(standing, again, conditions))]
    lines += [f"not run again, so not compared: {', '.join(dropped)}"] if dropped else []
    read = {name: study["records"] for name, study in standing.get("studies", {}).items() if study.get("records")}
    lines += [f"read from records in {folder}, not recomputed: {name}" for name, folder in read.items()]
    lines += [f"{found.skipped} values derived from other numbers were not compared"] if found.skipped else []
    agrees = found.numbers > 0 and not found.differences
    return Verification(agrees, (*lines, *_outcome(found, agrees)))


def _outcome(found: Comparison, agrees: bool) -> list[str]:
    places = len(found.differences)
    more = places - _SHOWN
    lines = [f"differs: {difference}" for difference in found.differences[:_SHOWN]]
    lines += [f"and {more} more places"] if more > 0 else []
    if found.largest and found.largest.amount:
        lines.append(f"largest difference of two numbers: {found.largest.amount:.3g}, at {found.largest}")
    if agrees:
        return [*lines, "reproduced"]
    if not places:
        return [*lines, "NOT reproduced: there is no number to compare"]
    return [*lines, f"NOT reproduced: it differs in {places} {'places' if places > 1 else 'place'}"]


def _network_paths(sidecar: Mapping[str, Any]) -> Callable[[Path], bool]:
    """Which paths hold numbers of networks.

    All do where no theory is read; otherwise those below a study's name.
    """
    studies = sidecar.get("studies") or {}
    theory = sidecar.get("theory") or {}
    if not studies or not theory:
        return lambda path: bool(studies)
    return lambda path: any(_names(step, studies) for step in path)


def _names(step: str | int, studies: Collection[str]) -> bool:
    return isinstance(step, str) and bool(set(re.split(r"[ ,]+", step)) & set(studies))


def _without(tree: Mapping[str, Any], studies: Collection[str]) -> tuple[dict[str, Any], list[str]]:
    """A tree without the numbers of these studies, and the names of the parts that were removed."""
    kept: dict[str, Any] = {}
    dropped: list[str] = []
    for name, branch in tree.items():
        if _names(name, studies):
            dropped.append(name)
            continue
        kept[name] = branch
        if isinstance(branch, Mapping):
            kept[name], inner = _without(branch, studies)
            dropped += [f"{name}.{step}" for step in inner]
    return kept, dropped


def changed(standing: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """Which conditions of the networks' training differ between two sidecars, each in words.

    Where the runs of one figure were trained under several conditions, each of these counts.
    """
    return _changes(_CONDITIONS, _runs(standing), _runs(again))


def _remarks(standing: Mapping[str, Any], again: Mapping[str, Any], said: Collection[str]) -> list[str]:
    """All other differences between the two: code, versions, hardware, parameters.

    The numbers should agree in spite of them, but they are reported. `said` holds the conditions already reported.
    """
    then = _everything(standing)
    now = _everything(again)
    versions = {name: None for made in (*then, *now) for name in made.get("versions", {})}
    facts = [("code",), ("git", "commit"), *(("versions", name) for name in versions), *_CONDITIONS]
    known = {text.split(" ")[0] for text in said}
    found = _changes([names for names in dict.fromkeys(facts) if names[-1] not in known], then, now)
    if standing.get("code_sha256") != again.get("code_sha256"):
        found.append("the drawing code differs")
    for name in standing.get("theory", {}).keys() & again.get("theory", {}).keys():
        parameters = compare(standing["theory"][name]["params"], again["theory"][name]["params"])
        found += [f"parameter of {name}, {difference}" for difference in parameters.differences]
    return found


def _changes(
    facts: Collection[tuple[str, ...]], then: list[Mapping[str, Any]], now: list[Mapping[str, Any]]
) -> list[str]:
    found = []
    for names in facts:
        before, after = ({_fact(made, names) for made in provenances} for provenances in (then, now))
        if before != after:
            found.append(f"{names[-1]} {_listed(before)} then, {_listed(after)} now")
    return found


def _fact(provenance: Mapping[str, Any], names: tuple[str, ...]) -> str:
    value: Any = provenance
    for name in names:
        value = value.get(name) if isinstance(value, Mapping) else None
    return str(value)


def _listed(values: Collection[str]) -> str:
    return " and ".join(sorted(values)) or "nothing"


def _runs(sidecar: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The provenance of every run that a figure shows."""
    studies = sidecar.get("studies", {}).values()
    return [made for study in studies for run in study["arms"].values() for made in run["provenance"]]


def _everything(sidecar: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    theory = [result["provenance"] for result in sidecar.get("theory", {}).values()]
    return [*_runs(sidecar), *theory, sidecar.get("provenance", {})]
