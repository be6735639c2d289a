"""What users pass in is taken, or refused in words and at once: numbers, counts, arrays, masks, copies of losses."""

import copy
import json
import pickle
import sys
import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

import figures
import theory
from tests.support.processes import run
from theory import Line, Masked, Population, Sample
from theory.experiments.registry import files, result_name
from theory.extensions.hidden_neurons import hidden_schedule
from theory.losses.losses import Independent
from theory.pruning import schedule, trained
from theory.results import Result
from theory.sampling import balanced_starts, clopper_pearson

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(6, 2)), RNG.normal(size=6)

# --- what is no number, by what it is called in the message

NO_NUMBERS = {
    "booleans": [True, False, np.True_, np.array(True), np.array([True, False]), [True, False], [1.0, True]],
    "complex": [1j, np.complex128(1.0), np.array(1 + 0j), np.array([1 + 0j, 2.0]), [1.0, 2j]],
    "masked": [np.ma.array([1.0, 2.0]), np.ma.array([1.0, 2.0], mask=[0, 1]), np.ma.array(1.0), [np.ma.array([1.0])]],
    "dates": [np.datetime64("2020-01-01"), np.array(["2020", "2021"], "M8[Y]")],
    "times": [np.timedelta64(1, "s"), np.array([1, 2], "m8[s]")],
    "text": ["1.0", b"1", np.array(["1", "2"]), ["1", "2"]],
    "objects": [None, Decimal(1), np.array([1.0, 2.0], object), {1: 2}, {1.0}, len],
    "records": [np.zeros(2, [("a", float)])],
    "rows need one length": [[[1.0], [1.0, 2.0]]],
}
WRONG = [(words, value) for words, values in NO_NUMBERS.items() for value in values]

# name of the argument -> a call that takes it, everything else being good
ARRAYS = {
    "a": [
        lambda v: theory.population_loss(v, [1.0, 0.0]),
        lambda v: theory.population_gradient(v, [1.0, 0.0]),
        lambda v: theory.loss_1d(v, 1.0),
        lambda v: theory.gradient_1d(v, 1.0),
        lambda v: Population(2).loss(v, [1.0, 0.0]),
        lambda v: Population(2).gradient(v, [1.0, 0.0]),
        lambda v: Line().loss(v, [1.0]),
        lambda v: Line().gradient(v, [1.0]),
        lambda v: Independent(2).loss(v, [1.0, 0.0]),
        lambda v: Sample(X, Y).loss(v, [1.0, 0.0]),
        lambda v: Masked(Sample(X, Y), [1, 0]).loss(v, [1.0, 0.0]),
        lambda v: theory.balance(v, [1.0, 0.0]),
        lambda v: theory.balance_change(v, [1.0, 0.0], 0.1),
        lambda v: theory.hidden_loss(v, [[1.0, 0.0]]),
        lambda v: theory.hidden_gradient(v, [[1.0, 0.0]]),
        lambda v: theory.phase_plane("line", grid=3).path(v, [1.0, 0.0]),
    ],
    "w": [
        lambda v: theory.population_loss(1.0, v),
        lambda v: theory.loss_1d(1.0, v),
        lambda v: Population(2).loss(1.0, v),
        lambda v: Line().loss(1.0, v),
        lambda v: Sample(X, Y).gradient(1.0, v),
        lambda v: theory.hidden_loss([1.0], v),
        lambda v: theory.phase_plane("line", grid=3).path([1.0, 1.0], v),
    ],
    "a0": [
        lambda v: theory.limit(v, [1.0, 0.0]),
        lambda v: theory.limits(v, [1.0, 0.0]),
        lambda v: theory.verdicts(v, [1.0, 0.0]),
        lambda v: theory.learns(v, [1.0, 0.0]),
        lambda v: theory.closed_form(v, 1.0, 1.0),
        lambda v: theory.time_to_learn(v, [1.0, 0.0]),
        lambda v: theory.integrate_batch(Population(2), v, [[1.0, 0.0]], 1.0),
        lambda v: theory.integrate(Population(2), v, [1.0, 0.0], 1.0),
        lambda v: theory.settle_samples([X], [Y], v, [[1.0, 0.0]], 1.0),
        lambda v: theory.prune("imp", v, [[1.0, 0.0]]),
        lambda v: trained(v, [1.0, 0.0]),
    ],
    "w0": [
        lambda v: theory.limits(1.0, v),
        lambda v: theory.closed_form(1.0, v, 1.0),
        lambda v: theory.descend(Population(2), 1.0, v, 0.1),
        lambda v: theory.integrate_batch(Population(2), [1.0], v, 1.0),
        lambda v: theory.integrate(Population(2), 1.0, v, 1.0),
        lambda v: theory.prune("imp", [1.0], v),
    ],
    "t": [
        lambda v: theory.closed_form(1.0, 1.0, v),
        lambda v: theory.integrate(Population(2), 1.0, [1.0, 0.0], v),
        lambda v: theory.integrate_batch(Population(2), [1.0], [[1.0, 0.0]], v),
    ],
    "x": [lambda v: Sample(v, Y), lambda v: theory.settle_samples(v, [Y], [1.0], [[1.0, 0.0]], 1.0)],
    "y": [lambda v: Sample(X, v)],
    "c": [lambda v: theory.step_limit(v)],
    "levels": [lambda v: theory.level_sets(v)],
    "survivors": [
        lambda v: theory.prune("imp", [1.0], [[1.0, 0.0]], v),
        lambda v: theory.prune_hidden("imp", [[1.0]], [[[1.0, 0.0]]], v, horizon=1.0),
        lambda v: theory.success_by_level("imp", 3, "balanced", 2, 0, v),
    ],
}
CALLS = [pytest.param(name, call, id=f"{name}-{i}") for name, calls in ARRAYS.items() for i, call in enumerate(calls)]


@pytest.mark.parametrize(("name", "call"), CALLS)
def test_what_is_no_array_of_numbers_is_refused_by_name_and_kind(name, call):
    for words, value in WRONG:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy itself only warns of a complex number that it cuts
            with pytest.raises(ValueError, match=rf"(?s)^{name} must be a number or an array of numbers, got.*{words}"):
                call(value)


GOOD_ARRAYS = [[1, 2], (1.0, 2.0), np.array([1, 2], np.uint8), np.array([1, 2], np.float32), range(1, 3)]


@pytest.mark.parametrize("value", GOOD_ARRAYS, ids=repr)
def test_numbers_of_every_type_and_container_are_taken(value):
    assert (theory.closed_form(1.0, 1.0, value)[0] == theory.closed_form(1.0, 1.0, [1.0, 2.0])[0]).all()
    assert Sample(np.array([[1.0], [-1.0]]), value).y.tolist() == [1.0, 2.0]


GOOD_ZEROS = [
    2,
    2.0,
    np.int64(2),
    np.uint8(2),
    np.float32(2),
    np.longdouble(2),
    np.array(2),
    np.array(2.0),
    Fraction(2),
]


@pytest.mark.parametrize("value", GOOD_ZEROS, ids=repr)
def test_one_number_of_every_type_is_taken(value):
    assert theory.limit(value, [1.0, 0.0]).a == theory.limit(2.0, [1.0, 0.0]).a
    assert theory.descend(Population(2), value, [1.0, 0.0], 0.1, max_steps=value, learned=value).steps == 0
    assert Population(value) == Population(2) and type(Population(value).d) is int
    assert Population(2, target=value).target == 2.0 and type(Population(2, target=value).target) is float
    assert Line(value, value, value, value) == Line(2.0, 2.0, 2.0, 2.0) and hash(Line(value)) == hash(Line(2.0))
    assert Independent(value, value) == Independent(2, 2.0)
    assert theory.phase_plane(grid=value, extent=value).x.tolist() == [-2.0, 2.0]
    assert theory.time_to_learn(1.0, 0.5, c_plus=value) == theory.time_to_learn(1.0, 0.5, c_plus=2.0)
    assert clopper_pearson(value, value) == clopper_pearson(2, 2)
    assert schedule(value, 0.5) == [2, 1] and hidden_schedule(value, value) == [4, 2]
    assert [part.shape for part in balanced_starts(np.random.default_rng(0), value, value)] == [(2,), (2, 2)]
    assert theory.success_probability("imp", value, (value, value), value, value).trials == 2
    assert theory.success_probability_exact("imp", "normal", value, value, value) == (
        theory.success_probability_exact("imp", "normal", 2, 2, 2.0)
    )


# --- one number, one count

NUMBERS = {
    "d": [Population, Independent, lambda v: balanced_starts(RNG, 2, v), lambda v: schedule(v, 0.5)],
    "target": [lambda v: Population(2, target=v), lambda v: Independent(2, v), lambda v: Line.leaky(0.1, target=v)],
    "slope": [lambda v: Population(2, slope=v), Line.leaky, lambda v: Sample(X, Y, v)],
    "c_plus": [
        Line,
        lambda v: Line.leaky(0.1, v),
        lambda v: theory.closed_form(1.0, 1.0, 1.0, v),
        lambda v: theory.loss_1d(1.0, 1.0, v),
        lambda v: theory.time_to_learn(1.0, 1.0, c_plus=v),
        lambda v: theory.phase_plane("line", c_plus=v),
    ],
    "k_minus": [lambda v: Line(k_minus=v), lambda v: theory.gradient_1d(1.0, 1.0, k_minus=v)],
    "a0": [lambda v: theory.descend(Population(2), v, [1.0, 0.0], 0.1)],
    "step": [lambda v: theory.descend(Population(2), 1.0, [1.0, 0.0], v)],
    "max_steps": [lambda v: theory.descend(Population(2), 1.0, [1.0, 0.0], 0.1, max_steps=v)],
    "learned": [
        lambda v: theory.descend(Population(2), 1.0, [1.0, 0.0], 0.1, learned=v),
        lambda v: theory.train_hidden([[1.0]], [[[1.0, 0.0]]], learned=v),
    ],
    "horizon": [
        lambda v: theory.train_hidden([[1.0]], [[[1.0, 0.0]]], horizon=v),
        lambda v: theory.settle_samples([X], [Y], [1.0], [[1.0, 0.0]], v),
    ],
    "grid": [lambda v: theory.phase_plane(grid=v)],
    "extent": [lambda v: theory.phase_plane(extent=v), lambda v: theory.level_sets([0.0], v)],
    "tolerance": [lambda v: theory.phase_plane(tolerance=v), lambda v: theory.time_to_learn(1.0, 1.0, v)],
    "c": [lambda v: theory.phase_plane("slice", c=v)],
    "sign_a": [lambda v: theory.phase_plane("balanced", sign_a=v), lambda v: theory.phase_plane("slice", sign_a=v)],
    "trials": [lambda v: theory.success_probability("imp", 3, "balanced", v, 0), lambda v: clopper_pearson(0, v)],
    "seed": [lambda v: theory.success_probability("imp", 3, "balanced", 2, v), lambda v: theory.check("population", v)],
    "prune_rate": [lambda v: schedule(4, v), lambda v: hidden_schedule(2, 2, v)],
    "level": [lambda v: clopper_pearson(0, 2, v)],
    "ratio": [lambda v: theory.success_probability_exact("imp", "normal", 2, ratio=v)],
    "init": [lambda v: theory.success_probability("imp", 3, (1.0, v), 2, 0)],
}
ONE = [pytest.param(name, call, id=f"{name}-{i}") for name, calls in NUMBERS.items() for i, call in enumerate(calls)]
NO_NUMBER = [value for words, value in WRONG] + [np.nan, np.inf, [1.0], np.array([1.0])]


@pytest.mark.parametrize(("name", "call"), ONE)
def test_what_is_not_one_number_is_refused_by_name(name, call):
    for value in NO_NUMBER:
        with pytest.raises(ValueError, match=rf"^{name}.* must "):
            call(value)


def test_a_whole_number_beyond_floats_is_refused_in_words():
    for big in (10**400, -(10**400)):
        for call in (
            lambda v: Line(k_plus=v),
            lambda v: theory.limit(v, 1.0),
            lambda v: theory.closed_form(1.0, 1.0, v),
        ):
            with pytest.raises(ValueError, match="must be below 1.8e308 in size"):
                call(big)


@pytest.mark.parametrize("sign", [-1, -1.0, np.int64(-1), np.int8(-1), np.float32(-1), np.array(-1)], ids=repr)
@pytest.mark.parametrize("plane", ["balanced", "slice"])
def test_a_sign_of_every_type_is_taken_and_the_parameters_are_ones_that_json_can_hold(plane, sign):
    seen, plain = theory.phase_plane(plane, grid=3, sign_a=sign), theory.phase_plane(plane, grid=3, sign_a=-1)
    assert json.dumps(seen.parameters) == json.dumps(plain.parameters) and (seen.verdict == plain.verdict).all()


def test_a_name_that_is_no_text_is_refused_in_words():
    for name in (1, None, True, ["imp"], np.array(["imp", "lrr"])):
        with pytest.raises(ValueError, match="unknown rule"):
            theory.prune(name, [1.0], [[1.0, 0.0]])
        with pytest.raises(ValueError, match="unknown init"):
            theory.success_probability_exact("imp", name, 2)


def test_what_is_no_loss_and_no_generator_is_refused_in_words():
    for wrong in (None, "population", 3, Population):
        with pytest.raises(ValueError, match="^a loss needs d, loss"):
            theory.descend(wrong, 1.0, [1.0, 0.0], 0.1)
        if wrong is not None and wrong is not Population:
            with pytest.raises(ValueError, match="^loss must be a Line, Population"):
                theory.limits(1.0, [1.0, 0.0], wrong)
    for wrong in (None, 0, np.random, np.random.RandomState(0)):
        with pytest.raises(ValueError, match="^rng must be a generator of numpy"):
            theory.hidden_starts(wrong, 2, 1, 2)


def test_steps_to_keep_are_whole_numbers_in_any_container():
    kept = theory.descend(Population(2), 0.5, [0.6, 0.8], 0.1, max_steps=4, at=np.array([0, 2], np.int8)).at
    assert kept.tolist() == [0, 2, 4]
    for wrong in ([0, True], [0.5], ["1"], np.array(["2020"], "M8[Y]"), np.ma.array([0, 1])):
        with pytest.raises(ValueError, match="^at must be"):
            theory.descend(Population(2), 0.5, [0.6, 0.8], 0.1, at=wrong)


# --- masks


GOOD_MASKS = [[1, 0], (True, False), np.array([1.0, 0.0]), np.array([1, 0], np.uint8), np.array([True, False])]
BAD_MASKS = [[1, 2], [1, np.nan], ["1", "0"], [1 + 0j, 0], [None, 1], np.ma.array([1, 0]), np.array([1, 0], object)]
BAD_MASKS += [np.ma.array([True, False], mask=[0, 1]), np.array([1, 0], "m8[s]"), 1, [[1], [1, 0]]]


def test_masks_of_booleans_and_of_zeros_and_ones_are_taken():
    for mask in GOOD_MASKS:
        assert Masked(Population(2), mask).mask.tolist() == [True, False]
        assert theory.train_hidden([[1.0]], [[[1.0, 1.0]]], [[mask]]).w[0, 0, 1] == 0


def test_other_masks_are_refused_in_words():
    for mask in BAD_MASKS:
        with pytest.raises(ValueError, match="mask must hold 2 values 0 or 1"):
            Masked(Population(2), mask)
        with pytest.raises(ValueError, match="mask must hold 0 and 1"):
            theory.train_hidden([[1.0]], [[[1.0, 1.0]]], mask)


# --- copies


@pytest.mark.parametrize(
    "loss", [Sample(X, Y, 0.1), Masked(Sample(X, Y), [1, 0]), Masked(Population(2), [1, 0])], ids=repr
)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda loss: pickle.loads(pickle.dumps(loss))])
def test_a_copied_loss_is_the_same_loss_and_as_read_only(loss, duplicate):
    before = loss.target_fit_loss, loss.loss(0.5, [1.0, 0.3])  # what is kept once computed is not copied
    again = duplicate(loss)
    assert type(again) is type(loss) and before == (again.target_fit_loss, again.loss(0.5, [1.0, 0.3]))
    held = [again.mask, getattr(again.inner, "x", again.mask)] if isinstance(again, Masked) else [again.x, again.y]
    for array in held:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


# --- records and names


def test_parameters_of_numpy_make_the_same_record_as_pythons():
    plain = {"grid": 5, "extent": 2.0}
    numpys = {"grid": np.int64(5), "extent": np.float64(2.0)}
    assert result_name("quadrants", numpys) == result_name("quadrants", plain)
    records = [
        files("quadrants", Result({"n": n}), params, 0.0, {}, "") for n, params in ((1, plain), (np.int64(1), numpys))
    ]
    assert records[0] == records[1]


def test_dir_of_figures_lists_what_it_offers_and_loads_nothing():
    offered = set(dir(figures))
    assert set(figures.__all__) < offered and "results" in offered and "_MODULES" not in offered
    for name in offered:
        assert getattr(figures, name) is not None
    code = "import figures, sys; dir(figures); print([m for m in ('numpy', 'matplotlib') if m in sys.modules])"
    assert run([sys.executable, "-c", code], check=True).stdout == "[]\n"
