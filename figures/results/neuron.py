"""The contents of theory result files, checked experiment by experiment before anything is drawn."""

import io
import math
import re
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Annotated, Any, Generic, Literal, TypeVar

from msgspec import UNSET, Meta, Struct, UnsetType, field

from figures.results.fields import (
    LARGEST_NUMBER,
    LARGEST_WHOLE,
    Duration,
    Fraction,
    Head,
    Name,
    Number,
    Positive,
    ResultError,
    SignedFraction,
    Table,
    Text,
    Whole,
    convert,
    must,
    require,
)

RULES = ("imp", "lrr")
INITS = ("balanced", "normal")  # of every result; those of later ones may have more
LARGEST_ARRAYS = 512 * 2**20
_AboveZero = Annotated[float, Meta(gt=0, le=LARGEST_NUMBER, description="a number > 0")]
_FromZero = Annotated[float, Meta(ge=0, le=LARGEST_NUMBER, description="a number >= 0")]
_Inputs = Annotated[list[Positive], Meta(min_length=1, description="a list of whole numbers > 0")]
_Counts = Annotated[list[Whole], Meta(min_length=1, description="a list of whole numbers >= 0")]
_Ratios = Annotated[list[_AboveZero], Meta(min_length=1, description="numbers > 0")]
_Noises = Annotated[list[_FromZero], Meta(min_length=1, description="numbers >= 0")]
_Words = Annotated[list[str], Meta(min_length=1, description="a list of words")]


class _Values(Struct, frozen=True, kw_only=True):
    """The values of an experiment; fields that figures and claims do not use are not named."""

    def check_arrays(self, arrays: Mapping, file: str) -> None:
        """Raise `ResultError` for arrays that do not belong to the values."""


class _Interval(Struct, frozen=True):
    value: SignedFraction
    low: SignedFraction
    high: SignedFraction


class _Share(Struct, frozen=True, kw_only=True):
    successes: Whole
    trials: Positive
    low: Fraction
    high: Fraction

    def __post_init__(self) -> None:
        must(self.successes <= self.trials, "successes", self.successes, f"at most the {self.trials} trials")


class _Success(_Share, frozen=True, kw_only=True):
    exact: Fraction


Kind = TypeVar("Kind")


class _ByRule(Struct, Generic[Kind], frozen=True):
    imp: Kind
    lrr: Kind


class _ByPhase(_ByRule[Kind], Generic[Kind], frozen=True):
    dense: Kind


class _ByInit(Struct, Generic[Kind], frozen=True):
    balanced: Kind
    normal: Kind


def _in_each(table: Mapping, wanted: Iterable[str], where: str) -> None:
    """Raise `Contradiction` unless a table has these entries."""
    for name in wanted:
        must(name in table, f"{where}.{name}", "nothing", "an object (the field is missing)")


def _lengths(where: str, number: int, **lists: Sequence) -> None:
    """Raise `Contradiction` unless lists have this many entries."""
    for name, found in lists.items():
        must(len(found) == number, f"{where}.{name}" if where else name, found, f"a list of {number}")


# --- one neuron: figure 1, pruning by levels, the factorial, the theorem


class _Counted(Struct, frozen=True):
    starts: Positive
    learns: Whole

    def __post_init__(self) -> None:
        must(self.learns <= self.starts, "learns", self.learns, "at most the starts")


class _Quadrants(_Values, frozen=True, kw_only=True):
    quadrants: dict[str, _Counted]

    def check_arrays(self, arrays: Mapping, file: str) -> None:
        grid = (shaped(arrays, "grid_w", (None,), file)[0], shaped(arrays, "grid_a", (None,), file)[0])
        for name in ("field_a", "field_w", "verdict"):
            shaped(arrays, name, grid, file)
        for name, dimensions in (("separatrix", 2), ("minimum", 2), ("trajectories", 3), ("trajectory_verdict", 1),
                                 ("balanced", 1)):  # fmt: skip
            shaped(arrays, name, (None,) * dimensions, file)


class _Point(Struct, frozen=True):
    a: Number
    w: tuple[Number, Number]


class _Stories(_Values, frozen=True, kw_only=True):
    verdict: _ByPhase[Text]
    start: _ByPhase[_Point]
    limit: _ByPhase[_Point]

    def check_arrays(self, arrays: Mapping, file: str) -> None:
        for phase in _ByPhase.__struct_fields__:
            for name, dimensions in (("times", 1), ("a", 1), ("w", 2), ("loss", 1)):
                shaped(arrays, f"{phase}_{name}", (None,) * dimensions, file)


class _ByLevel(Struct, frozen=True):
    successes: _Counts
    low: list[Fraction]
    high: list[Fraction]
    exact: list[Fraction]
    mask_recovered: _Counts


class _PruningIterations(_Values, frozen=True, kw_only=True):
    d: Positive
    survivors: _Counts
    trials: Positive
    rules: _ByRule[_ByLevel]

    def __post_init__(self) -> None:
        for rule in RULES:
            found = getattr(self.rules, rule)
            for name in _ByLevel.__struct_fields__:
                _lengths(f"rules.{rule}", len(self.survivors), **{name: getattr(found, name)})
            for name in ("successes", "mask_recovered"):
                most = max(getattr(found, name))
                must(most <= self.trials, f"rules.{rule}.{name}", most, f"at most the {self.trials} trials")


class _Effects(Struct, frozen=True):
    signs: _Interval
    magnitudes: _Interval
    interaction: _Interval


class _Difference(Struct, frozen=True):
    lrr_imp: _Interval = field(name="lrr - imp")


class _Crossed(_ByRule[_Success], frozen=True, kw_only=True):
    sign: _Success
    magnitude: _Success
    effects: _Effects
    difference: _Difference


class _Factorial(_Values, frozen=True, kw_only=True):
    d: Positive
    trials: Positive
    inits: _ByInit[_Crossed]


class _Claim(Struct, frozen=True):
    starts: Positive
    contradictions: Whole
    low: Fraction
    high: Fraction
    symbolic: bool
    statement: Text

    def __post_init__(self) -> None:
        must(self.contradictions <= self.starts, "contradictions", self.contradictions, "at most the starts")


class _Claims(Struct, frozen=True):
    first: _Claim = field(name="1")
    second: _Claim = field(name="2")


class _TheoremCheck(_Values, frozen=True, kw_only=True):
    claims: _Claims


# --- many inputs, any balance, finite samples


class _OverInputs(_ByRule[list[_Success]], frozen=True, kw_only=True):
    switches: list[_Success]
    difference: list[_Interval] = field(name="lrr - imp")
    overparametrisation: _Interval


class _Dimension(_Values, frozen=True, kw_only=True):
    dimensions: _Inputs
    trials: Positive
    compared: _Inputs
    inits: dict[str, _OverInputs]

    def __post_init__(self) -> None:
        _in_each(self.inits, INITS, "inits")
        for init, found in self.inits.items():
            lists = {"imp": found.imp, "lrr": found.lrr, "switches": found.switches, "lrr - imp": found.difference}
            _lengths(f"inits.{init}", len(self.dimensions), **lists)


class _Witnesses(Struct, frozen=True, kw_only=True):
    starts: Positive
    learns: Whole
    fails: Whole
    undecided: Whole
    contradictions: Whole


class _OfSeveral(_Witnesses, frozen=True, kw_only=True):
    d: _Inputs


class _Panels(Struct, frozen=True):
    one: _Witnesses
    several: _OfSeveral


class _Basins(_Values, frozen=True, kw_only=True):
    dimensions: _Inputs
    ratios: _Ratios
    trials: Positive
    witnesses: _Panels
    success: _ByRule[list[list[_Success]]]

    def __post_init__(self) -> None:
        for rule in RULES:
            lists = getattr(self.success, rule)
            _lengths("success", len(self.dimensions), **{rule: lists})
            for cells in lists:
                _lengths("success", len(self.ratios), **{rule: cells})

    def check_arrays(self, arrays: Mapping, file: str) -> None:
        for panel in ("one", "several"):
            starts = getattr(self.witnesses, panel).starts
            shaped(arrays, f"{panel}_start", (starts, 2), file)
            shaped(arrays, f"{panel}_verdict", (starts,), file)
        shaped(arrays, "separatrix", (None, 2), file)
        curve = shaped(arrays, "curve_imp", (len(self.dimensions), None), file)
        shaped(arrays, "curve_lrr", curve, file)
        shaped(arrays, "curve_ratio", curve[1:], file)


class _CountInterval(Struct, frozen=True):
    count: Whole
    low: Fraction
    high: Fraction


class _Finite(Struct, frozen=True):
    trials: Positive
    unsettled: Whole
    learns: _CountInterval
    recovered: _CountInterval

    def __post_init__(self) -> None:
        for name in ("learns", "recovered"):
            count = getattr(self, name).count
            must(count <= self.trials, name, count, "at most the trials")


class _FiniteCell(_ByRule[_Finite], frozen=True, kw_only=True):
    ratio: Number
    n: Positive
    noise: Number
    learns: _Interval = field(name="lrr - imp, learns")
    recovered: _Interval = field(name="lrr - imp, recovered")


class _Condition(Struct, frozen=True):
    ratio: Number
    noise: Number


class _FiniteSamples(_Values, frozen=True, kw_only=True):
    d: Positive
    survivors: _Inputs
    trials: Positive
    ratios: _Ratios
    noises: _Noises
    population: _ByRule[Fraction]
    cells: list[_FiniteCell]
    decides: _Condition | UnsetType = UNSET

    def __post_init__(self) -> None:
        wanted = set(product(self.ratios, self.noises))
        got = {(cell.ratio, cell.noise) for cell in self.cells}
        must(got == wanted, "cells", sorted(got), "one for each ratio and noise")
        chosen = self.decides
        right = chosen is UNSET or (chosen.ratio, chosen.noise) in wanted
        must(right, "decides", chosen, "one of the conditions")


class _Rested(_Share, frozen=True, kw_only=True):
    unsettled: Whole

    def __post_init__(self) -> None:
        both = self.successes + self.unsettled
        must(both <= self.trials, "successes", both, "with the unsettled at most the trials")


class _PrunedCell(_ByRule[_Rested], frozen=True, kw_only=True):
    end: Positive
    init: Text
    inputs: Text
    noise: Number
    n: Positive
    difference: _Interval = field(name="lrr - imp")


class _Exact(_ByRule[Fraction | None], frozen=True, kw_only=True):
    end: Positive
    init: Text


class _PrunedSamples(_Values, frozen=True, kw_only=True):
    d: Positive
    trials: Positive
    ends: _Inputs
    inits: _Words
    inputs: _Words
    noises: _Noises
    sizes: _Inputs
    schedules: list[_Inputs]
    exact: list[_Exact]
    cells: list[_PrunedCell]

    def __post_init__(self) -> None:
        ends = [survivors[-1] for survivors in self.schedules]
        must(ends == self.ends, "schedules", ends, f"lists of inputs that end at {self.ends}")
        wanted = sorted(product(self.ends, self.inits, self.inputs, self.noises, self.sizes))
        got = sorted((cell.end, cell.init, cell.inputs, cell.noise, cell.n) for cell in self.cells)
        must(got == wanted, "cells", f"{len(got)} cells", "one for each condition")
        wanted = sorted(product(self.ends, self.inits))
        got = sorted((row.end, row.init) for row in self.exact)
        must(got == wanted, "exact", got, "one for each end and start")


# --- numerical sweeps: `large-steps`, `hidden-neurons`


class _Descents(Struct, frozen=True, kw_only=True):
    status: _Words
    steps: list[Whole]
    least_loss: list[Number | None]
    c: list[Number | None]

    def check(self, number: int, where: str) -> None:
        """Raise `Contradiction` unless there is one of each a step."""
        _lengths(where, number, status=self.status, steps=self.steps, least_loss=self.least_loss, c=self.c)


class _Start(_Descents, frozen=True, kw_only=True):
    angle: Number


class _OneInput(_Descents, frozen=True, kw_only=True):
    largest_c: Number


class _Shown(Struct, frozen=True):
    d: Positive
    angle: Number
    step: Number
    steps: Whole


class _Minimum(_Descents, frozen=True, kw_only=True):
    balance: Number
    limit: Number
    step: _Ratios
    left: list[Any]


class _Pushed(Struct, frozen=True):
    push: Number
    left: Number
    minima: list[_Minimum]


class _LargeSteps(_Values, frozen=True, kw_only=True):
    step: _Ratios
    learned_below: Number
    starts: Annotated[list[_Start], Meta(min_length=1)]
    d1: _OneInput
    shown: Annotated[list[_Shown], Meta(min_length=1)]
    pushed: _Pushed

    def __post_init__(self) -> None:
        for i, start in enumerate(self.starts):
            start.check(len(self.step), f"starts.{i}")
        self.d1.check(len(self.step), "d1")
        for i, minimum in enumerate(self.pushed.minima):
            minimum.check(len(minimum.step), f"pushed.minima.{i}")
            _lengths(f"pushed.minima.{i}", len(minimum.step), left=minimum.left)

    def check_arrays(self, arrays: Mapping, file: str) -> None:
        for i in range(len(self.shown)):
            number = shaped(arrays, f"shown_{i}_at", (None,), file)
            for part in ("loss", "c"):
                shaped(arrays, f"shown_{i}_{part}", number, file)


class _Ends(Struct, frozen=True):
    successes: Whole
    trials: Positive
    n_as_predicted: Whole
    n_contradicting: Whole
    low: Fraction
    high: Fraction
    heuristic: Fraction
    learned: list[Whole]
    stationary: list[Whole]
    undecided: list[Whole]

    def check(self, levels: int, where: str) -> None:
        """Raise `Contradiction` unless the ends of all trials are counted at each level."""
        sums = [sum(level) for level in zip(self.learned, self.stationary, self.undecided, strict=False)]
        must(sums == [self.trials] * levels, where, sums, f"{levels} levels of {self.trials} trials")
        last = self.learned[-1]
        must(self.successes == last, f"{where}.successes", self.successes, f"{last}, the last level's")


class _AgainstExact(Struct, frozen=True):
    exact: Fraction
    contradictions: Whole


class _HiddenCell(_ByRule[_Ends], frozen=True, kw_only=True):
    d: Positive
    k: Positive
    survivors: _Inputs
    difference: _Difference
    against_exact: dict[str, _AgainstExact] = {}

    def __post_init__(self) -> None:
        for rule in RULES:
            getattr(self, rule).check(len(self.survivors), rule)


class _Criterion(Struct, frozen=True):
    learned: Number
    stationary: Number


class _Hidden(_Values, frozen=True, kw_only=True):
    dimensions: _Inputs
    neurons: _Inputs
    trials: Positive
    prune_rate: Number
    criterion: _Criterion
    cells: Annotated[list[_HiddenCell], Meta(min_length=1)]

    def __post_init__(self) -> None:
        wanted = set(product(self.dimensions, self.neurons))
        got = {(cell.d, cell.k) for cell in self.cells}
        must(got == wanted, "cells", sorted(got), "one for each d and k")


VALUES: dict[str, type[_Values]] = {
    "quadrants": _Quadrants,
    "stories": _Stories,
    "pruning-iterations": _PruningIterations,
    "factorial": _Factorial,
    "theorem-check": _TheoremCheck,
    "dimension": _Dimension,
    "basins": _Basins,
    "sample-size": _FiniteSamples,
    "mask-recovery": _FiniteSamples,
    "pruned-samples": _PrunedSamples,
    "large-steps": _LargeSteps,
    "hidden-neurons": _Hidden,
}


def check_values(experiment: str, values: Mapping, arrays: Mapping, file: str) -> None:
    """Check the values that figures and claims use of a known experiment; unknown ones are not checked."""
    if experiment in VALUES:
        convert(values, VALUES[experiment], file, "values").check_arrays(arrays, file)


def shaped(arrays: Mapping, name: str, shape: Sequence[int | None], file: str) -> tuple[int, ...]:
    """The shape of an array, after a check that it exists and has a shape; None means any length."""
    require(name in arrays, file, f"arrays.{name}", "nothing", "an array (the field is missing)")
    got = arrays[name].shape
    fits = len(got) == len(shape) and all(want in (None, have) for have, want in zip(got, shape, strict=True))
    require(fits, file, f"arrays.{name}", got, f"of shape {tuple('any' if n is None else n for n in shape)}")
    return got


class _Arrays(Struct, frozen=True):
    file: str
    sha256: Text
    names: Table


class TheoryFile(Head[Literal["theory"]], frozen=True, kw_only=True):
    """The JSON file of a theory result; its values are checked by `check_values`."""

    experiment: Name
    params: Table
    values: Table
    arrays: _Arrays | None
    command: Text
    provenance: Table
    seconds: Duration = 0.0


def parse_theory(data: dict, file: str) -> TheoryFile:
    """The checked head of a theory JSON file."""
    found = convert(data, TheoryFile, file)
    _finite(found.values, file, "values")
    if found.arrays is not None:
        npz = file.rsplit("/", 1)[-1].removesuffix(".json") + ".npz"
        require(found.arrays.file == npz, file, "arrays.file", found.arrays.file, repr(npz))
    return found


def _finite(value, file, within):
    if isinstance(value, dict):
        for name, inner in value.items():
            _finite(inner, file, f"{within}.{name}")
    elif isinstance(value, list):
        for inner in value:
            _finite(inner, file, within)
    elif isinstance(value, int | float):
        finite = math.isfinite(value) if isinstance(value, float) else abs(value) <= LARGEST_WHOLE
        require(finite, file, within, value, "a finite number")


def parse_arrays(content: bytes, names: Mapping, file: str) -> dict:
    """The named arrays of an npz file (never pickled).

    They must be finite and have the shapes that the JSON file states.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
        require(size <= LARGEST_ARRAYS, file, "the arrays", f"{size} bytes", f"at most {LARGEST_ARRAYS} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ResultError:
        raise
    except Exception as error:  # a malicious zip file raises errors of many modules
        said = re.sub(r" <[^<>]* object at 0x[0-9a-fA-F]+>", "", str(error))[:60]
        raise ResultError(file, "the file", said, "an npz file without pickled objects") from None
    for name, shape in names.items():
        require(name in arrays, file, name, "nothing", "an array named in the JSON file")
        array = arrays[name]
        require(list(array.shape) == list(shape), file, name, list(array.shape), f"of shape {shape}")
        require(
            array.dtype.kind in "biuf" and bool(np.isfinite(array).all()), file, name, array.dtype, "finite numbers"
        )
    return arrays
