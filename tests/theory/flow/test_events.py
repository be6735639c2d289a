"""Events of `integrate`: each fires once, when its value, nonzero before, becomes 0 or changes sign."""

import numpy as np
import pytest

import theory
from theory import Event, Line, Population, Sample, integrate
from theory.flow.integrate import METHODS

pytestmark = pytest.mark.slow

DECAY = Line(0.0, 0.0)  # nothing moves: t alone decides


def fired(value, t=5.0, loss=DECAY, a0=1.0, w0=1.0, **options):
    """Times at which an event that does not end the run fires."""
    event = Event("it", value, terminal=False, direction=options.pop("direction", 0))
    return [when for name, when in integrate(loss, a0, w0, t, events=[event], **options).events if name == "it"]


def test_an_event_where_two_pieces_join_is_seen():
    zero = Event("zero", lambda t, a, w: w[0])
    run = integrate(Line(k_minus=-0.2), -1.5, 0.5, 20.0, events=[zero])
    assert run.status == "stopped" and run.t[-1] == pytest.approx(0.52255046, abs=1e-8) and run.w[-1, 0] == 0
    assert dict(run.events) == {"zero": run.t[-1], "kink": run.t[-1]}


@pytest.mark.parametrize("method", METHODS)
def test_every_crossing_of_a_kink_of_a_sample_is_seen_by_an_event_of_the_same_value(method):
    rng = np.random.default_rng(4)
    x, w0 = rng.normal(size=(12, 3)), rng.normal(size=3)
    loss = Sample(x, np.maximum(x[:, 0], 0) + 0.3 * rng.normal(size=12))
    grid = np.linspace(0, 20, 4001)
    sides = np.sign(integrate(loss, 0.7, w0, grid, method=method).w @ x.T)
    crossed = [i for i in range(12) if sides[0, i] * sides[-1, i] < 0]
    events = [Event(f"row {i}", lambda t, a, w, i=i: x[i] @ w, terminal=False) for i in range(12)]
    run = integrate(loss, 0.7, w0, 20.0, events=events, method=method)
    names = [name for name, _ in run.events]
    assert len(crossed) >= 3
    for i in range(12):
        seen = names.count(f"row {i}")
        assert seen % 2 == (i in crossed) or (abs(run.w[-1] @ x[i]) < 1e-9 and seen)


@pytest.mark.parametrize("name", ["dead", "kink", "finished", "failed", ""])
def test_ends_are_known_by_their_type_and_never_by_a_name(name):
    run = integrate(Population(3), -0.2, [0.3, 0.4, 0.5], 5.0, events=[Event(name, lambda t, a, w: t - 1.0)])
    assert (run.status, run.verdict, run.t[-1]) == ("stopped", "undecided", pytest.approx(1.0, abs=1e-12))


def test_a_value_that_is_0_at_the_start_or_all_along_fires_nothing():
    assert fired(lambda t, a, w: 0.0) == []
    assert fired(lambda t, a, w: t) == []  # 0 at the start, above it ever after
    run = integrate(Population(3), 0.5, [0.3, 0.4, 0.0], 9.0, events=[Event("w3", lambda t, a, w: w[2])])
    assert run.status == "finished" and run.events == ()


def test_an_event_fires_when_its_value_becomes_0_and_again_only_after_it_has_been_nonzero():
    assert fired(lambda t, a, w: max(1.0 - t, 0.0)) == pytest.approx([1.0], abs=1e-9)  # becomes 0 and stays
    assert fired(lambda t, a, w: max(1.0 - t, 0.0) - max(t - 3.0, 0.0)) == pytest.approx([1.0], abs=1e-9)
    waves = fired(lambda t, a, w: np.cos(np.pi * t), t=np.linspace(0, 5, 101), loss=Population(2), w0=[0.3, 0.4])
    assert waves == pytest.approx([0.5, 1.5, 2.5, 3.5, 4.5], abs=1e-9)


@pytest.mark.parametrize(("direction", "times"), [(0, [1.0, 3.0]), (-1, [1.0]), (1, [3.0])])
def test_the_direction_is_that_of_the_sign_before(direction, times):
    value = lambda t, a, w: (t - 1.0) * (t - 3.0)  # noqa: E731
    found = fired(value, loss=Population(2), w0=[0.3, 0.4], direction=direction)
    assert found == pytest.approx(times, abs=1e-9)


def test_events_at_one_time_all_fire_and_the_first_listed_ends_the_run():
    first, second = Event("first", lambda t, a, w: t - 1.0), Event("second", lambda t, a, w: 2.0 - 2 * t)
    run = integrate(Population(2), 0.5, [0.3, 0.4], 5.0, events=[first, second])
    assert run.status == "stopped" and "'first'" in run.message and run.events[0][0] == "first"
    passing = [Event("passing", lambda t, a, w: t - 1.0, terminal=False), second]
    run = integrate(Population(2), 0.5, [0.3, 0.4], 5.0, events=passing)
    assert [name for name, _ in run.events] == ["passing", "second"] and "'second'" in run.message


@pytest.mark.parametrize("width", [1e-1, 1e-2, 1e-3])
@pytest.mark.parametrize("method", ["DOP853", "BDF"])
def test_a_narrow_event_inside_a_step_is_found(width, method):
    for middle in (0.37, 1.234, 4.04):
        found = fired(
            lambda t, a, w, m=middle: (t - m) ** 2 - (width / 2) ** 2, loss=Population(2), w0=[0.3, 0.4], method=method
        )
        assert found == pytest.approx([middle - width / 2, middle + width / 2], abs=1e-8)


def test_a_narrow_crossing_of_a_kink_inside_a_step_is_followed():
    """w passes a kink and comes back within what would be one step; the batch, which cuts its steps, agrees."""
    rng = np.random.default_rng(1)
    met = 0
    for _ in range(30):
        x, w0 = rng.normal(size=(30, 2)), rng.normal(size=2)
        loss = Sample(x, np.maximum(x[:, 0], 0) + 0.3 * rng.normal(size=30))
        run = integrate(loss, 0.9, w0, [10.0], rtol=1e-6)
        batch = theory.integrate_batch(loss, [0.9], [w0], [10.0])
        assert run.loss[-1] == pytest.approx(batch.loss[0, 0], abs=1e-5)
        met += len(run.events)
    assert met > 100


@pytest.mark.parametrize(
    ("events", "message"),
    [
        (lambda t, a, w: a, "events must be a list of theory.Event, got <function"),
        ([lambda t, a, w: a], r"events must be a list of theory.Event, got \(<function"),
        (3, "events must be a list of theory.Event, got 3"),
        ("kink", "events must be a list of theory.Event"),
        (
            [Event("big", lambda t, a, w: a > 0.9)],
            r"event 'big' must give a number that changes sign, got (True|False)",
        ),
        ([Event("word", lambda t, a, w: "1")], "event 'word' must give a number, got '1'"),
        ([Event("complex", lambda t, a, w: 1j)], "event 'complex' must give a number, got 1j"),
        ([Event("nan", lambda t, a, w: np.nan)], "event 'nan' must give a number, got nan at t = 0"),
        ([Event("wrong", lambda t, a, w: w[7])], "event 'wrong' raised IndexError at t = 0"),
        ([Event("later", lambda t, a, w: 1 / int(t < 0.5))], "event 'later' raised ZeroDivisionError at t = "),
    ],
)
def test_what_is_no_event_is_refused_in_words(events, message):
    with pytest.raises(ValueError, match=message):
        integrate(Population(2), 0.5, [0.3, 0.4], 5.0, events=events)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"name": 3}, "the name of an event must be a str, got 3"),
        ({"value": 1.0}, "event 'it' needs a function"),
        ({"direction": 2}, "direction of event 'it' must be -1, 0 or 1, got 2"),
        ({"direction": True}, "direction of event 'it' must be -1, 0 or 1, got True"),
        ({"terminal": 1}, "terminal of event 'it' must be True or False, got 1"),
    ],
)
def test_an_event_is_checked_when_it_is_made(change, message):
    with pytest.raises(ValueError, match=message):
        Event(**{"name": "it", "value": lambda t, a, w: a, **change})


def test_one_event_none_and_generators_are_taken():
    one = Event("it", lambda t, a, w: t - 1.0)
    for events in (one, [one], (event for event in [one])):
        assert integrate(Population(2), 0.5, [0.3, 0.4], 5.0, events=events).status == "stopped"
    assert integrate(Population(2), 0.5, [0.3, 0.4], 5.0, events=None).status == "finished"
    size_1 = Event("it", lambda t, a, w: w[:1] - 0.5, direction=np.int64(1))
    assert integrate(Population(2), 0.5, [0.3, 0.4], 9.0, events=size_1).status == "stopped"


def test_events_see_the_users_units_of_a_masked_and_scaled_loss():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(20, 3))
    loss = theory.Masked(Sample(x * 64, np.maximum(x[:, 0], 0) * 1024), [1, 0, 1])
    free = integrate(loss, 4.0, [1.0, 9.0, 2.0], 1e-3)
    seen = []
    half = Event("half", lambda t, a, w: seen.append((t, w.copy())) or t - 5e-4)
    run = integrate(loss, 4.0, [1.0, 9.0, 2.0], 1e-3, events=[half])
    assert run.t[-1] == pytest.approx(5e-4, rel=1e-9) and free.t[-1] == pytest.approx(1e-3)
    assert max(t for t, _ in seen) <= 1e-3 and all(w.shape == (3,) and w[1] == 0 for _, w in seen)


@pytest.mark.parametrize(
    ("value", "times"),
    [
        (lambda t, a, w: -np.inf if t < 1 else (np.inf if t < 2 else -1.0), [1.0, 2.0]),
        (
            lambda t, a, w: np.exp(-40 * t) * np.cos(3 * t),
            [np.pi / 6, np.pi / 2, 5 * np.pi / 6, 7 * np.pi / 6, 4.712389],
        ),
        (lambda t, a, w: abs(t - 0.37) - 0.02, [0.35, 0.39]),
        (lambda t, a, w: max(0.0, abs(t - 0.37) - 0.05), [0.32]),
        (lambda t, a, w: t**3 - 1e-60, [1e-20]),
    ],
)
def test_values_that_jump_decay_have_corners_or_rest_at_0_are_events_too(value, times):
    found = fired(value, loss=Population(3), a0=0.5, w0=[0.3, 0.4, 0.5])
    assert found == pytest.approx(times, rel=1e-6)


def test_a_row_on_whose_kink_w_slides_is_met_once():
    rng = np.random.default_rng(3)
    x, y, a0, w0 = rng.normal(size=(4, 3)), rng.normal(size=4), 2 * rng.normal(), rng.normal(size=3)
    met = fired(lambda t, a, w: w @ x[2], t=20.0, loss=Sample(x, y), a0=a0, w0=w0)
    assert met == pytest.approx([0.34003], abs=1e-4)


@pytest.mark.parametrize("method", ["DOP853", "RK45", "Radau"])
def test_a_value_that_turns_often_within_a_step_fires_each_time(method):
    event = theory.Event("often", lambda t, a, w: np.sin(40 * t + 0.1), terminal=False)
    run = theory.integrate(theory.Population(3), 0.5, [0.3, 0.4, 0.5], [10.0], method=method, events=[event])
    assert np.allclose([t for _, t in run.events], (np.pi * np.arange(1, 128) - 0.1) / 40, rtol=0, atol=1e-9)


def test_an_event_on_the_kink_where_w_lands_and_rests_is_seen():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, w0 = rng.normal(size=(1, 2)), rng.normal(size=2)
        w0 *= np.sign(x[0] @ w0) / np.hypot.reduce(w0)
        crossing = theory.Event("z", lambda t, a, w, row=x[0]: w @ row)
        run = theory.integrate(theory.Sample(x, [1.0]), -1.5, w0, [50.0], events=[crossing])
        assert run.status == "stopped" and run.events[-1] == ("z", run.t[-1]), seed
        assert abs(run.w[-1] @ x[0]) <= 1e-15


def test_numbers_of_any_kind_are_values_and_times_are_none():
    from fractions import Fraction

    event = theory.Event("half", lambda t, a, w: Fraction(t) - Fraction(1, 2))
    assert theory.integrate(theory.Line(), 1.0, 1.0, 3.0, events=[event]).t[-1] == 0.5
    with pytest.raises(ValueError, match="must give a number, got"):
        event = theory.Event("clock", lambda t, a, w: np.timedelta64(1, "s"))
        theory.integrate(theory.Line(), 1.0, 1.0, 3.0, events=[event])


@pytest.mark.parametrize("kind", ["Integer", "Rational", "Float"])
def test_numbers_that_numpy_does_not_know_are_values_too(kind):
    import sympy

    number = getattr(sympy, kind)
    event = theory.Event("half", lambda t, a, w: number(1 if t > 0.5 else -1))
    assert theory.integrate(theory.Line(), 1.0, 1.0, 3.0, events=[event]).t[-1] == pytest.approx(0.5, abs=1e-9)
    event = theory.Event("root", lambda t, a, w: sympy.Symbol("x"))
    with pytest.raises(ValueError, match="event 'root' must give a number, got x"):
        theory.integrate(theory.Line(), 1.0, 1.0, 3.0, events=[event])


def test_a_number_beyond_the_floats_is_refused_in_words():
    event = theory.Event("far", lambda t, a, w: 10**400)
    with pytest.raises(ValueError, match="event 'far' raised OverflowError at t = 0: int too large"):
        theory.integrate(theory.Line(), 1.0, 1.0, 3.0, events=[event])


def test_an_event_cannot_change_the_run():
    def writes(t, a, w):
        w[0] = 5.0
        return t - 1

    with pytest.raises(ValueError, match="'writes' raised ValueError.*read-only"):
        theory.integrate(theory.Line(), 1.0, 1.0, 3.0, events=[theory.Event("writes", writes)])


@pytest.mark.parametrize("gap", [0.01, 0.05, 0.3])
@pytest.mark.parametrize("method", ["DOP853", "LSODA", "BDF", "RK23"])
def test_two_crossings_between_nodes_are_seen_wherever_they_lie(gap, method):
    for at in np.linspace(0.4, 4.3, 14):
        event = theory.Event("two", lambda t, a, w, at=at: (t - at) * (t - at - gap), terminal=False)
        run = theory.integrate(theory.Population(3), 0.2, [0.3, 0.4, 0.5], [5.0], method=method, events=[event])
        assert np.allclose([t for _, t in run.events], [at, at + gap], rtol=0, atol=1e-9), at


LANDS = Line(k_minus=-0.2)  # from (-1.5, .5) w comes to 0 at .52255046, and goes on to w < 0


@pytest.mark.parametrize("method", METHODS)
def test_an_event_in_a_step_that_lands_on_a_kink_fires_at_its_own_zero(method):
    falling = Event("falls", lambda t, a, w: np.exp(-60 * t) - np.exp(-30.0))  # 1e-13 of its value at 0
    run = integrate(LANDS, -1.5, 0.5, 20.0, events=[falling], method=method)
    assert run.t[-1] == pytest.approx(0.5, abs=1e-9)
    flat = Event("flat", lambda t, a, w: w[0] ** 3)
    run = integrate(LANDS, -1.5, 0.5, 20.0, events=[flat], method=method)
    assert run.w[-1, 0] == 0 and run.t[-1] == pytest.approx(0.52255046, abs=1e-6)


FAR_SAMPLES = [13, 14, 22]


@pytest.mark.parametrize("seed", FAR_SAMPLES)
def test_an_event_on_a_sample_fires_where_the_loss_passes_its_threshold_however_large_it_was(seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(6, 2))
    loss = Sample(x, np.maximum(x[:, 0], 0) + rng.normal(size=6))
    a0, w0 = 30 * rng.normal(), 30 * rng.normal(size=2)
    low = integrate(loss, a0, w0, 20.0, method="LSODA").loss[-1] * 1.001
    below = Event("low", lambda t, a, w: (loss.loss(a, w) / low) ** 4 - 1)
    run = integrate(loss, a0, w0, 20.0, events=[below], method="LSODA")
    assert run.status == "stopped" and run.loss[-1] == pytest.approx(low, rel=1e-9)


@pytest.mark.parametrize("power", [1, 2, 3])
@pytest.mark.parametrize("far", [0.1, 0.0])
def test_the_value_of_a_kink_on_which_w_slides_is_0_and_others_keep_their_zeros(power, far):
    slide = Sample([[1.0, 0.0], [0.0, 1.0]], [1.0, -1.0])  # a > 0: w_2 = 0 holds
    held = Event("held", lambda t, a, w: w[1] ** power, terminal=False)
    late = Event("late", lambda t, a, w: np.exp(-60 * t) - np.exp(-60 * 3.0), terminal=False)
    slow = Event("slow", lambda t, a, w: (a - 1.05) ** 3, terminal=False)
    run = integrate(slide, 1.0, [0.5, far], 20.0, events=[held, late, slow])
    names = [name for name, _ in run.events]
    assert names.count("held") == (far > 0) and names.count("late") == names.count("slow") == 1
    assert dict(run.events)["late"] == pytest.approx(3.0, abs=1e-9)
    there = integrate(slide, 1.0, [0.5, far], [dict(run.events)["slow"]])
    assert there.a[-1] == pytest.approx(1.05, abs=1e-7)


def test_every_event_at_the_moment_of_a_terminal_one_fires_whatever_its_rounding():
    rng = np.random.default_rng(0)
    for x in 0.5 + 0.3 * rng.random(40):
        values = [
            lambda t, a, w, x=x: 3 * (a - x),
            lambda t, a, w, x=x: x - a,
            lambda t, a, w, x=x: a / x - 1,
            lambda t, a, w, x=x: a * a - x * x,
            lambda t, a, w, x=x: np.hypot(*w) - x,  # balanced: a = |w|
        ]
        passing = [Event(str(i), value, terminal=False) for i, value in enumerate(values)]
        later = Event("later", lambda t, a, w, x=x: a - x - 1e-9, terminal=False)
        ends = Event("ends", lambda t, a, w, x=x: a - x)
        for events in ([*passing, later, ends], [ends, later, *passing]):
            run = integrate(Population(2), 0.5, [0.3, 0.4], 60.0, events=events)
            assert sorted(name for name, _ in run.events) == ["0", "1", "2", "3", "4", "ends"], x
            assert run.t[-1] == max(t for _, t in run.events) and run.a[-1] == pytest.approx(x, abs=1e-12)


def test_events_at_a_moment_that_rounding_has_spread_all_fire_and_the_first_listed_ends_the_run():
    passing = [Event("A", lambda t, a, w: t - 1, terminal=False), Event("B", lambda t, a, w: 1 - t, terminal=False)]
    rising = Event("rising", lambda t, a, w: 1 - t, terminal=False, direction=1)
    second = Event("second", lambda t, a, w: t - 1.0)
    events = [*passing, rising, Event("first", lambda t, a, w: (t - 1) ** 3), second]
    run = integrate(Population(2), 0.5, [0.3, 0.4], 5.0, events=events)
    assert sorted(name for name, _ in run.events) == ["A", "B", "first", "second"] and "'first'" in run.message
