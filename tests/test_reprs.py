"""What is printed of a result fits on a few lines, however much it holds."""

import dataclasses
from types import MappingProxyType

import numpy as np
import pytest

import theory
from figures.claims.verdicts import ClaimVerdict, Row
from figures.plots.builder import Drawing
from figures.results import network
from figures.results.reprs import short_repr as short_of_figures
from tests.figures import synthetic
from theory.reprs import short_repr as short_of_theory

LONGEST = 500
LARGE = ("Array", "dict", "Mapping", "tuple", "Sequence")  # in the type of a field that may hold much

NO_RESULTS = {theory.Event, theory.Experiment, theory.Mutant, theory.Theorem}  # they hold functions


def holds_much(kind) -> bool:
    return any(any(word in str(field.type) for word in LARGE) for field in dataclasses.fields(kind))


def results_of_theory():
    public = [getattr(theory, name) for name in theory.__all__]
    kinds = [kind for kind in public if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    return [kind for kind in kinds if holds_much(kind) and kind not in NO_RESULTS]


def records_of_figures():
    kinds = [kind for kind in vars(network).values() if isinstance(kind, type) and dataclasses.is_dataclass(kind)]
    return [kind for kind in kinds if kind.__module__ == network.__name__ and holds_much(kind)]


TYPES = [*results_of_theory(), *records_of_figures(), Drawing, ClaimVerdict, Row]


def filled(kind, value):
    """A result of a type with one value in all its fields, past its own checks."""
    result = object.__new__(kind)
    for field in dataclasses.fields(kind):
        object.__setattr__(result, field.name, value)
    return result


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: f"{kind.__module__}.{kind.__name__}")
@pytest.mark.parametrize("value", [np.ones((300, 300)), "text " * 500, {str(k): np.ones(99) for k in range(99)},
                                   tuple(map(str, range(999))), MappingProxyType({"key": "text" * 500})],
                         ids=["array", "text", "table of arrays", "tuple", "long entry"])  # fmt: skip
def test_a_result_of_any_public_type_is_printed_in_few_letters(kind, value):
    printed = repr(filled(kind, value))
    assert printed.startswith(f"{kind.__name__}(") and len(printed) < LONGEST


def test_the_types_that_a_user_meets_first_are_among_them():
    names = {kind.__name__ for kind in TYPES}
    assert names >= {"PhasePlane", "Curve", "Trajectory", "Batch", "Limit", "Records", "StudyResults", "TheoryResult"}


def test_a_plane_and_records_say_what_they_hold():
    plane = theory.phase_plane("line", grid=5)
    records = synthetic.in_memory({arm: {seed: 0.9 for seed in range(4)} for arm in ("imp", "lrr")})
    assert "name='line'" in repr(plane) and "parameters={'c_plus': 0.5, 'c_minus': 0.5}" in repr(plane)
    assert "field_x=<array of shape (5, 5)>" in repr(plane)
    assert f"studies=<{len(records.studies)} item>" in repr(records) and "<2 entries: imp, lrr>" in repr(
        records.studies[0]
    )
    for printed in (repr(plane), repr(records), repr(records.studies[0])):
        assert len(printed) < LONGEST


def test_small_values_are_printed_as_they_are():
    run = theory.limit(1.0, [0.5, 0.2])
    assert repr(run).startswith("Limit(a=1.19") and repr(run).endswith("verdict='learns')")


def test_both_packages_print_alike():
    @dataclasses.dataclass
    class Result:
        x: object
        y: object

    class Other(Result):
        pass

    Other.__name__ = "Result"
    ours, theirs = short_of_theory(Result), short_of_figures(Other)
    values = (
        np.ones(9),
        np.ones(2),
        {},
        {"a": 1},
        {"a": np.ones(3)},
        (),
        (1, "b"),
        range(3),
        None,
        "x" * 99,
        Result(1, 2),
    )
    for value in values:
        assert ours(value, 1).__repr__() == theirs(value, 1).__repr__()
