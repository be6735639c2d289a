"""Two sets of plotted numbers held against one another: what differs, where, and by how much. Pure: no disk.

A tree is what a figure's sidecar holds under `plotted`: dicts and lists of numbers, words, truth values and nulls.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
# what is worked out from the numbers, and jumps where they move a little
DERIVED = frozenset({"p", "p_min", "p_holm", "marked"})


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT = _Absent()


@dataclass(frozen=True)
class Tolerance:
    """Numbers agree within `relative` of the larger one plus `absolute`; `skip` lists names that are not compared."""

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
        """In words, for the reader."""
        if not self.relative and not self.absolute:
            return "exactly"
        parts = [f"{self.relative:g} of the larger number"] * bool(self.relative)
        parts += [f"{self.absolute:g}"] * bool(self.absolute)
        skipped = f", without {', '.join(sorted(self.skip))}" if self.skip else ""
        return "within " + " plus ".join(parts) + skipped


EXACT = Tolerance()


@dataclass(frozen=True)
class Difference:
    """One place where the trees differ; a value is `ABSENT` where only the other tree has the place."""

    path: Path
    left: Any
    right: Any

    @property
    def amount(self) -> float | None:
        """The absolute difference of two numbers, else None."""
        return abs(self.left - self.right) if _is_number(self.left) and _is_number(self.right) else None

    def __str__(self) -> str:
        return f"{path_words(self.path)}: {_shown(self.left)} against {_shown(self.right)}"


@dataclass(frozen=True)
class Comparison:
    """What came of comparing two trees.

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

    Parameters
    ----------
    left, right : trees as JSON gives them.
    tolerance : path of a leaf -> how far its two numbers may lie apart; words, truth values and nulls must be equal.
    """
    numbers = skipped = 0
    differences, largest = [], None
    for path, a, b in leaves(left, right):
        allowed = tolerance(path)
        if allowed.skip.intersection(map(str, path)):
            skipped += 1
            continue
        difference = Difference(path, a, b)
        if difference.amount is None:
            differences += [difference] * (not _same(a, b))
            continue
        numbers += 1
        if largest is None or _weight(difference) > _weight(largest):
            largest = difference
        differences += [difference] * (not allowed.allows(a, b))
    return Comparison(numbers, skipped, tuple(differences), largest)


def _weight(difference: Difference) -> tuple[bool, bool, float]:
    """What ranks differences: measured numbers come before counts, and both before what follows from them."""
    whole = isinstance(difference.left, int) and isinstance(difference.right, int)
    return not DERIVED.intersection(map(str, difference.path)), not whole, difference.amount


def leaves(left: Any, right: Any, path: Path = ()) -> Iterator[tuple[Path, Any, Any]]:
    """Pairs of values at the same place; a place that one tree lacks, or lists of two lengths, end the descent."""
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


def path_words(path: Path) -> str:
    """A path as people write it: `quick-digits.curves.imp.mean[3]`."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return text.removeprefix(".") or "the whole"


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return f"a list of {len(value)}"
    if isinstance(value, Mapping):
        return f"{len(value)} entries"
    return str(value) if value is ABSENT else repr(value)[:60]
