"""Events of a run: the user's events, and the edges of regions.

An event fires when its value, nonzero before, first becomes 0 or changes sign, and again only after it has been
nonzero. The sign before decides its direction. Between the ends of a step the values are computed on the solver's own
interpolant, at some nodes and at the least value between them where a parabola through three of them comes near to 0.

Where w lies on kinks, a value may differ from 0 by the rounding of w alone. This difference is estimated by computing
the value with w moved off the kinks by as little as rounding may. In the same way, by moving the time and the neuron,
the values that become 0 at the moment of a terminal event are found.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from theory.losses.kinks import ON_THE_KINK
from theory.validation import Array

State = tuple[float, Array]
INSIDE = np.array([1e-3, 0.125, 0.25, 0.375, 0.5, 0.625, 0.75, 0.875, 1 - 1e-3, 1.0])  # nodes for edges, of a step
LOOKS = np.array([0.02, 0.25, 0.5, 0.75, 0.98, 1.0])  # nodes for events
ROUNDING = 8 * np.finfo(float).eps  # by this share rounding moves a time that has been found, and the neuron there
CORNER = 0.5  # the same for events, which may have corners
FINER = 6  # how often nodes are doubled,
SMOOTH = 0.05  # while a cubic misses one by this share of the values' range
NEAR_MISS = 0.1  # a parabola whose least value is below this share of its bend may hide a value below 0


@dataclass(frozen=True)
class Event:
    """An event: value(t, a, w), nonzero before, becomes 0 or changes sign.

    Raises ValueError for a value that cannot be called or another direction.

    Attributes:
        name: str, any
        value: (float, float, ndarray (d,)) -> float
        terminal: end the run there; others that become 0 at that moment, up to rounding, fire too
        direction: 1 rising only (the value was negative before), -1 falling only, 0 both
    """

    name: str
    value: Callable[[float, float, Array], float]
    terminal: bool = True
    direction: int = 0

    def __post_init__(self):
        """Raise ValueError unless the fields are those of an event."""
        if not isinstance(self.name, str):
            raise ValueError(f"the name of an event must be a str, got {self.name!r:.60}")
        if not callable(self.value):
            raise ValueError(f"event {self.name!r} needs a function value(t, a, w) -> float, got {self.value!r:.60}")
        if not isinstance(self.terminal, bool | np.bool_):
            raise ValueError(f"terminal of event {self.name!r} must be True or False, got {self.terminal!r:.60}")
        if isinstance(self.direction, bool) or not isinstance(self.direction, Integral) or abs(self.direction) > 1:
            raise ValueError(f"direction of event {self.name!r} must be -1, 0 or 1, got {self.direction!r:.60}")


def checked(events: Event | Iterable[Event] | None) -> tuple[Event, ...]:
    """Return the events as a tuple; raises ValueError for anything that is not an event."""
    if events is None or isinstance(events, Event):
        return () if events is None else (events,)
    events = tuple(events) if isinstance(events, Iterable) else events
    if not isinstance(events, tuple) or not all(isinstance(event, Event) for event in events):
        raise ValueError(f"events must be a list of theory.Event, got {events!r:.60}: pass [theory.Event(name, value)]")
    return events


def number_of(event: Event, t: float, a: float, w: Array) -> float:
    """Return the value of an event; raises ValueError where it is not a real number."""
    try:
        seen = np.array(w)
        seen.flags.writeable = False  # an event must not change the state of the run
        value = event.value(float(t), float(a), seen)
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.reshape(())[()]
        is_number = isinstance(value, Real | Decimal) and not isinstance(value, bool | np.bool_ | np.timedelta64)
        found = float(value) if is_number else np.nan  # of whatever kind of number: numpy knows its own alone
    except Exception as error:
        raise ValueError(f"event {event.name!r} raised {type(error).__name__} at t = {t:g}: {error}") from error
    if isinstance(value, bool | np.bool_):
        raise ValueError(
            f"event {event.name!r} must give a number that changes sign, got {value}: a - 0.9 instead of a > 0.9"
        )
    if np.isnan(found):
        raise ValueError(f"event {event.name!r} must give a number, got {value!r:.60} at t = {t:g}")
    return found


class Watch:
    """The events of a run, and the sign that the value of each had when it was last nonzero.

    Attributes:
        kinks: w -> unit normals, shape (K, d), of the kinks that w lies on; default: rounding may move w in every
            direction
    """

    def __init__(self, events: Sequence[Event], a: float, w: Array, kinks: Callable[[Array], Array] | None = None):
        self.events = tuple(events)
        self.kinks = kinks or (lambda w: np.eye(len(w)))
        values = [number_of(event, 0.0, a, w) for event in self.events]
        self.rough = [False] * len(values)  # w has been on a kink since the value was last known to be nonzero
        if kinks is not None:
            values = [self._off_kinks(event, 0.0, (a, w), v) for event, v in zip(self.events, values, strict=True)]
        self.before = [float(np.sign(value)) for value in values]

    def passed(
        self,
        start: float,
        end: float,
        state: Callable[[float], State],
        last: State | None = None,
        slides: bool = False,
        lands: bool = False,
    ) -> list[tuple[float, Event]]:
        """Return the events that fire in (start, end], up to the moment of the first terminal one.

        The result is a list of (time, event), in the order of the times.

        All that fire at that moment are returned, the terminal one listed first before the others.

        Args:
            start: time at which the step begins
            end: time at which it ends
            state: time -> (a, w)
            last: the state at the end, where it is known
            slides: w stays on kinks during the step: there the value of a kink is 0 up to rounding, and does not count
                as nonzero
            lands: w lies on a kink at its end, with the same consequence
        """
        if not self.events or not end > start:
            return []

        def at(t: float) -> State:
            return last if last is not None and t == end else state(t)

        times = start + (end - start) * np.array([0.0, *LOOKS])
        times[-1] = end
        states = [at(t) for t in times.tolist()]
        found = []
        for i in range(len(self.events)):
            found += [(t, i, wanted) for t, wanted in self._zeros(i, times, states, state, slides, lands)]
        found.sort()
        stop = next((t for t, i, wanted in found if wanted and self.events[i].terminal), np.inf)
        fired = [(t, i) for t, i, wanted in found if wanted and t <= stop]
        seen = {i for t, i, _ in found if stop * (1 - ROUNDING) <= t <= stop}
        for t, i, wanted in found:
            if t > stop and i not in seen:
                seen.add(i)  # a later one is another moment
                if wanted and (t <= stop * (1 + ROUNDING) or self._is_0(self.events[i], stop, at(stop))):
                    fired.append((stop, i))
        return [(t, self.events[i]) for t, i in sorted(fired)]

    def _zeros(
        self,
        i: int,
        times: Array,
        states: list[State],
        state: Callable[[float], State],
        slides: bool,
        lands: bool,
    ) -> list[tuple[float, bool]]:
        """Return when the value of event i becomes 0, and whether it does so in the requested direction."""
        event = self.events[i]
        end = float(times[-1])

        def value(t: float) -> float:
            return number_of(event, t, *state(t))

        values = [number_of(event, t, *point) for t, point in zip(times, states, strict=True)]
        times, values = _refined(value, times, values)
        nodes = list(zip(times.tolist(), values, strict=True))
        for j in dips(times, np.array(values), CORNER):
            if values[j] != 0 and (t := least(value, times[j - 1], times[j + 1], np.sign(values[j]))) is not None:
                nodes.append((t, value(t)))
        nodes.sort()
        zeros = []
        for (t0, _), (t1, v) in zip(nodes, nodes[1:], strict=False):
            on_kink = slides or (lands and t1 == end)
            self.rough[i] = self.rough[i] or on_kink
            if self.rough[i]:
                v = self._off_kinks(event, t1, states[-1] if t1 == end else state(t1), v)
            sign = float(np.sign(v))
            before = self.before[i]
            if before and sign != before:
                zeros.append((_first(value, t0, t1, before, v), event.direction in (0, -before)))
                self.before[i] = 0.0
            if sign:
                self.before[i], self.rough[i] = sign, on_kink
        return zeros

    def _off_kinks(self, event: Event, t: float, point: State, value: float) -> float:
        """Return the value, or 0 where w lies on kinks and the value is within rounding of 0.

        That is so where a step of w off the kinks changes the value by at least its size.
        """
        if value == 0:
            return value
        a, w = point
        step = ON_THE_KINK * float(np.hypot.reduce(point[1]))
        moved = [(t, a, w + side * step * normal) for normal in self.kinks(w) for side in (1, -1)] if step > 0 else []
        return 0.0 if abs(value) <= _change(event, value, moved) else value

    def _is_0(self, event: Event, t: float, point: State) -> bool:
        """Return whether the value at a moment is 0 up to the rounding of the time and of the neuron."""
        a, w = point
        more = 1 + ROUNDING
        moved = [(t * more, a, w), (t, a * more, w)]
        moved += [(t, a, w + ROUNDING * w[j] * unit) for j, unit in enumerate(np.eye(len(w)))]
        value = number_of(event, t, a, w)
        return abs(value) <= _change(event, value, moved)


def _change(event: Event, value: float, moved: list[tuple[float, float, Array]]) -> float:
    """Return the total change of the value of an event at moved points (t, a, w)."""
    change = 0.0
    for point in moved:
        with contextlib.suppress(ValueError):  # it may have no value outside the states of the run
            change += abs(number_of(event, *point) - value)
    return change


def _refined(value: Callable[[float], float], times: Array, values: list[float]) -> tuple[Array, list[float]]:
    """Return more nodes: intervals are halved while a cubic through their neighbours misses a node.

    The cubic is that through two nodes on each side.

    A value that oscillates within a step, such as sin(40 t), would be computed at too few moments.
    """
    for _ in range(FINER):
        if not _misses(times, np.array(values)):
            break
        middles = (times[1:] + times[:-1]) / 2
        places = np.arange(1, len(times))
        values = np.insert(values, places, [value(t) for t in middles.tolist()]).tolist()
        times = np.insert(times, places, middles)
    return times, values


def _misses(t: Array, values: Array) -> bool:
    """Return whether a node lies far from the cubic through its four neighbours.

    Its distance is compared with the range of the values.
    """
    spread = np.ptp(values)
    if not 0 < spread < np.inf:
        return False
    t = (t - t[0]) / (t[-1] - t[0])
    divided = values
    for order in range(1, 5):
        divided = np.diff(divided) / (t[order:] - t[:-order])
    # the distance of the middle node from the cubic is the fourth divided difference of five nodes, times its distances
    middle = t[2:-2]
    last = len(t) - 4
    distances = [middle - t[k : k + last] for k in (0, 1, 3, 4)]
    return bool((np.abs(divided * np.prod(distances, axis=0)) > SMOOTH * spread).any())


def _first(value: Callable[[float], float], low: float, high: float, before: float, end: float) -> float:
    """Return the first moment in (low, high] at which the value is 0 or has changed its sign.

    Until then the value has the sign `before`.
    """
    at_low = value(low) * before
    if at_low > 0 and value(high) * before > 0:
        return high  # it changes sign where w is landed on a kink
    if end * before < 0 < at_low:
        return _crossing(value, low, high)
    if at_low <= 0:
        return low  # it was nonzero before, at the joint of two pieces
    while low < (middle := (low + high) / 2) < high:  # it is 0 from some moment onwards
        low, high = (middle, high) if value(middle) * before > 0 else (low, middle)
    return high


def dips(times: Array, values: Array, near: float = NEAR_MISS) -> list[int]:
    """Return the inner nodes where |value| is the least of three and may hide a zero.

    times and values have the shape (n,).
    """
    before = np.abs(values[:-2])
    here = np.abs(values[1:-1])
    after = np.abs(values[2:])
    first = np.diff(times)[:-1]
    second = np.diff(times)[1:]
    one = (np.sign(values[:-2]) == np.sign(values[1:-1])) & (np.sign(values[1:-1]) == np.sign(values[2:]))
    with np.errstate(all="ignore"):  # the parabola through the three
        falls, rises = (here - before) / first, (after - here) / second
        curve = (rises - falls) / (first + second)
        lowest = here - ((falls * second + rises * first) / (first + second)) ** 2 / (4 * curve)
        bend = curve * (first + second) ** 2 / 2
    return (np.flatnonzero(one & (here <= before) & (here <= after) & (bend > 0) & (lowest < near * bend)) + 1).tolist()


def least(value: Callable[[float], float], low: float, high: float, sign: float) -> float | None:
    """Return where value, of the given sign at both ends, is 0 or has the other sign; None if nowhere."""
    found = minimize_scalar(
        lambda t: sign * value(t), bounds=(low, high), method="bounded", options={"xatol": 1e-9 * (high - low)}
    )
    return float(found.x) if found.fun <= 0 else None


class Edges:
    """The edges of a region, from the point where the flow enters it.

    An edge is met where its margin is below 0 by more than rounding.

    A margin that rounding does not move is met at 0, once it has been more.
    """

    def __init__(self, edge_margins: Callable[[Array, Array], Array], noise: Callable, a: float, v: Array):
        self.edge_margins = edge_margins
        self.noise = noise
        self.last = edge_margins(np.array([a]), v[None])[0]
        self.armed: NDArray[np.bool_] = self.last > noise(v)

    def first(self, times: Array, a: Array, v: Array, state: Callable[[float], State]) -> tuple[float, int] | None:
        """Return when an edge is met, and which; None if none is met.

        times (n,), a (n,), v (n, m) are nodes of a step; those at the start have been examined before.
        """
        if len(self.last) == 0:
            return None
        rows = np.vstack([self.last, self.edge_margins(a[1:], v[1:])])
        armed = self.armed
        self.last = rows[-1]
        odd = ~armed | (rows[1:] <= 0).any(axis=0)
        valley = (rows[1:-1] <= rows[:-2]) & (rows[1:-1] <= rows[2:])
        odd |= valley.any(axis=0)
        if not odd.any():
            return None
        met = []
        for edge in np.flatnonzero(odd).tolist():
            if (found := self._met(edge, times, rows[:, edge], v, state)) is not None:
                met.append((found, edge))
        return min(met) if met else None

    def _met(self, edge: int, times: Array, values: Array, v: Array, state: Callable[[float], State]) -> float | None:
        def value(t: float, more: float = 0.0) -> float:
            a, at = state(t)
            return float(self.edge_margins(np.array([a]), at[None])[0, edge]) + more

        lows = set(dips(times, values))
        for j in range(1, len(times)):
            here = values[j]
            armed = self.armed[edge]
            noise = float(np.broadcast_to(self.noise(v[j]), self.armed.shape)[edge])

            def with_noise(t: float, more: float = noise) -> float:
                return value(t, more)

            if here <= -noise and (armed or noise > 0):
                return _root(with_noise, times[j - 1], times[j])
            if armed and j in lows:
                at = least(with_noise, times[j - 1], times[j + 1], 1.0)
                if at is not None:
                    return _root(with_noise, times[j - 1], at)
            self.armed[edge] |= here > noise
        return None


def _root(value: Callable[[float], float], low: float, high: float) -> float:
    """Return where the value falls to 0, or the ends where it does so by rounding."""
    if value(low) <= 0:
        return float(low)
    return _crossing(value, low, high) if value(high) < 0 else float(high)


def _crossing(value: Callable[[float], float], low: float, high: float) -> float:
    """Return where a value of opposite signs at its ends crosses 0."""

    def finite(t: float) -> float:
        return float(np.clip(value(t), -1e300, 1e300))

    root: Any = brentq(finite, low, high, xtol=1e-300, rtol=4 * np.finfo(float).eps, maxiter=2000, disp=False)
    return float(root)
