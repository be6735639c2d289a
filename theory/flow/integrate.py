"""Numerical gradient flow: `integrate` uses scipy's solvers on each smooth piece of the loss.

A run gives a verdict only if its accuracy supports it: diverging, unfinished and drifting runs are `undecided`. Where
exact verdicts exist, use `theory.limit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import BDF, DOP853, LSODA, RK23, RK45, Radau

from theory.exact.limits import exact_verdict
from theory.flow.coordinates import Coordinates
from theory.flow.events import INSIDE, Edges, Event, Watch, checked
from theory.flow.units import Units, canonical
from theory.losses.losses import CompletedLoss, Independent, Line, Loss, Own, Population, completed
from theory.losses.regions import DIED, Ended, Equilibrium, LineSide, Region, SampleRegion, SmoothRegion
from theory.losses.samples import Masked, Sample, learned_within
from theory.reprs import short_repr
from theory.validation import Array, finite, known, scalar, whole

SOLVERS = {solver.__name__: solver for solver in (DOP853, RK45, RK23, Radau, BDF, LSODA)}
METHODS = tuple(SOLVERS)
# A loss that exceeds `target_fit_loss` by at most this share of that at a = 0 has learned (population: 4 times it).
LEARNED_BELOW = 1e-6
DRIFTED = 1e-3  # a run whose c has changed by more than this share of a^2 + |w|^2 gets no verdict
KINK = "kink"
DOUBTFUL_NOTE = "the flow reached a kink, which it may have left to either side"
KINKS_OF_OTHERS = "; a loss of your own counts as smooth: where it has kinks, give it a region (theory.losses.regions)"
KNOWN = (Line, Population, Independent, Sample)
SHRUNK = 0.1  # a piece ends where |w| has fallen by this factor below the size for which its tolerance was chosen
# With c > 0, a |w| below this share of |a| and of the |w| that fits the data with a is 0: its direction is at rest.
NEXT_TO_ZERO = 1e-13
ASLEEP = 1e-10  # of a balanced neuron: |w| below this share of the start, still falling along a ray, never grows again
LOST = 1e-150  # and below this share in any case: its squares underflow
AT_ONE_TIME = 200  # kinks met without a step in time, before a run fails


@short_repr
@dataclass(frozen=True)
class Trajectory:
    """A run of the flow; it ends early at a terminal event or a failure.

    Attributes:
        t: ndarray, shape (n,)
        a: ndarray, shape (n,)
        w: ndarray, shape (n, d)
        loss: ndarray, shape (n,)
        status: `finished` (reached the last time), `stopped` (a terminal event), `dead` (w died), `undecided` (w
            reached 0, where the flow of a sample may continue in different directions), `failed`
        message: one sentence
        drift: float, largest |c - c(0)| / (a^2 + |w|^2 + |c(0)|) on the way, c = a^2 - |w|^2 being conserved
        events: tuple of (name, time), in the order of their times; `kink` is the hit of w = 0 (d = 1) or of w.x_i = 0,
            or the end of a slide along it
        verdict: `learns` (the loss came down to `target_fit_loss`, with w_1 > 0), `fails`, `separatrix` (d = 1,
            balanced, a0 < 0: kept on it exactly), or `undecided` where the run shows neither; `theory.limit` has the
            exact one, which a run with an exact limit never contradicts
    """

    t: Array
    a: Array
    w: Array
    loss: Array
    status: str
    message: str
    drift: float
    events: tuple[tuple[str, float], ...]
    verdict: str


@dataclass
class _Track:
    """The record of a run: rows, events, how it ended, and whether that is doubtful.

    A row is (time, a, w), an event (name, time).
    """

    rows: list[tuple[float, float, Array]]
    events: list[tuple[str, float]] = field(default_factory=list)
    ended: Ended | None = None
    region: Region | None = None
    doubtful: bool = False


class _Stop(Exception):
    """The flow cannot be followed any further."""


class _NotConserved(Exception):
    """A user-defined loss does not conserve a^2 - |w|^2 where the flow came by."""


def integrate(
    loss: Loss,
    a0: float,
    w0: ArrayLike,
    t: ArrayLike,
    *,
    method: str = "DOP853",
    rtol: float = 1e-9,
    atol: float = 1e-12,
    events: Sequence[Event] | Event | None = (),
    max_evaluations: int = 50_000,
    exact_balance: bool = True,
) -> Trajectory:
    """Integrate the gradient flow of a loss from (a0, w0) at time 0.

    Kinks of the loss (w_1 = 0 on the axis w_perp = 0, for a sample w.x_i = 0) are located as events: each piece is
    integrated on its own smooth extension up to the kink and lands on it exactly. A sample's flow slides along kinks
    whose sides push towards them, and may pass through w = 0 (`theory.losses.kinks`). Starts with w0 = 0 rest
    (relu'(0) = 0), except for losses of your own, whose gradient decides. Balanced starts, a0 = +-|w0| up to a relative
    1e-12, are integrated as such: a = +-|w| is invariant for every loss with a dL/da = w.dL/dw, which is checked, and
    round-off cannot leave it. Lines, populations and samples are integrated in units of their own data
    (`theory.flow.units`), so that scale does not matter.

    Source: the gradient flow of section 2; the verdicts and when they are undecided: this project.

    Args:
        loss: `Population(d)`, `Line(c_plus, c_minus)`, `Sample(x, y)`, `Masked(loss, mask)`, or one of your own, which
            counts as smooth unless it defines regions; see `theory.losses.losses`
        a0: float
        w0: float (d = 1) or array_like, shape (d,); entries that the loss masks are taken as 0
        t: float (the horizon; rows at the solver's own steps) or increasing array_like (rows at those times), at least
            0
        method: DOP853, RK45, RK23, Radau, BDF or LSODA, as in `scipy.integrate.solve_ivp`
        rtol: float, relative tolerance
        atol: float, absolute tolerance; at most rtol times the size of the start is used, and at most rtol times the a
            that fits the data where w0 is far larger, so that small values keep their digits
        events: terminal ones end the run, and add the row at which they do; see `theory.Event` for when one fires
        max_evaluations: int, evaluations of the gradient before the run counts as failed
        exact_balance: bool, use that a - sign(a0) |w| never changes sign (see `theory.flow.coordinates`). False
            integrates (a, w) directly: a witness that uses the gradient alone, and gives no verdict near the separatrix

    Returns:
        Trajectory: a run that fails reports it in status and message, and holds the start and the rows that were
            computed.

    Raises:
        ValueError: shapes that do not match, a value that is no number, NaN, times that decrease or lie below 0, an
            unknown method, a tolerance that is no number above 0, an object that is no loss, a loss whose values are no
            numbers of its shapes, an object that is no event, an event whose value is no number.

    Examples:
        >>> from theory import Population
        >>> run = integrate(Population(2), 0.5, [-0.3, 0.4], [0.0, 60.0])
        >>> run.verdict, run.w.shape, (run.a * run.w[:, 0]).round(6).tolist()
        ('learns', (2, 2), [-0.15, 1.0])
    """
    loss = completed(loss)
    a0, w0, times = _checked(loss, a0, w0, t, method, {"rtol": rtol, "atol": atol})
    events = checked(events)
    max_evaluations = whole("max_evaluations", max_evaluations, 1)
    if isinstance(loss, Masked):
        options = {"method": method, "rtol": rtol, "atol": atol, "max_evaluations": max_evaluations}
        return _widened(loss, a0, w0, t, events, exact_balance=exact_balance, **options)
    inner, units = canonical(loss, a0, w0)
    a0 = a0 / units.size
    w0 = w0 / units.size
    times = times * units.clock
    atol = atol / units.size
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # status and message report what scipy warns of
        length = max(abs(w0))
        # in these units a |w| fits the data at size 1, so at an a of 1 / |w|: a keeps its own digits beside a far
        # larger w
        size = max(abs(a0), min(length, 1 / length if length else 0.0))
        least = _least_tolerance(inner, a0, w0, float(np.max(times)))
        options = {"rtol": rtol, "atol": max(min(atol, rtol * size), least), "least": least}
        balances = exact_balance and (type(inner) in KNOWN or _conserves(a0, w0, *inner.gradient(a0, w0)))
        run = _Run(
            inner, units, SOLVERS[method], Coordinates.of(a0, w0) if balances else Coordinates.plain(a0), times, options
        )
        try:
            track = _Follower(run, events, _Guard(max_evaluations)).follow(a0, w0)
        except _NotConserved:
            run = replace(run, coordinates=Coordinates.plain(a0))
            track = _Follower(run, events, _Guard(max_evaluations)).follow(a0, w0)
        return _trajectory(loss, run, track)


def _conserves(a: float, w: Array, da: float | Array, dw: Array) -> bool:
    """Return whether a dL/da = w.dL/dw at a point, up to rounding.

    It holds for the losses of `theory`, and is checked for others. No product of it over- or underflows.
    """
    size = max(abs(a), *abs(w)) or 1.0
    steepness = max(abs(da), *abs(dw)) or 1.0
    parts = np.array([a / size * (da / steepness), *-(w / size * (dw / steepness))])
    return bool(abs(parts.sum()) <= 1e-9 * abs(parts).sum())


def _least_tolerance(loss: CompletedLoss, a0: float, w0: Array, end: float) -> float:
    """Return the least absolute tolerance, above 0.

    A start of a user-defined loss may be 0 or small compared with the states that the flow reaches.

    The solvers square a speed over a tolerance, which would overflow there. A loss of `theory` is slow at small starts.
    """
    least = float(np.finfo(float).tiny)
    if not isinstance(loss, Own):
        return least
    da, dw = loss.gradient(a0, w0)
    with np.errstate(all="ignore"):
        goes = float(np.hypot.reduce([float(da), *dw])) * end
    return max(least, LOST * goes) if goes < np.inf else least


def _widened(loss: Masked, a0: float, w0: Array, t: ArrayLike, events: Sequence[Event], **options: Any) -> Trajectory:
    """Follow the surviving inputs alone, and put the zeros of the pruned ones back into w."""

    def wide(event: Event) -> Event:
        return replace(event, value=lambda t, a, w: event.value(t, a, loss.widen(w)))

    run = integrate(loss.survivors, a0, w0[loss.mask], t, events=[wide(event) for event in events], **options)
    verdict = "fails" if run.verdict == "learns" and not loss.mask[0] else run.verdict  # the fit of another input
    return replace(run, w=loss.widen(run.w), verdict=verdict)


def _checked(
    loss: Loss, a0: ArrayLike, w0: ArrayLike, t: ArrayLike, method: str, tolerances: dict[str, float]
) -> tuple[float, Array, Array]:
    known("method", method, METHODS)
    for name, value in tolerances.items():
        found = scalar(value)
        if found is None or not 0 < found < np.inf:
            raise ValueError(f"{name} must be a number above 0, got {value!r:.60}: try 1e-9")
    a0, w0, t = finite(a0=a0, w0=w0, t=t)
    if a0.ndim or w0.ndim > 1 or w0.size != loss.d:
        raise ValueError(f"one start needs a0 a number and w0 of shape ({loss.d},), got {a0.shape} and {w0.shape}")
    if t.ndim > 1 or t.size == 0 or t.min() < 0 or (np.diff(np.atleast_1d(t)) <= 0).any():
        raise ValueError(f"t must be a horizon or increasing times, at least 0, got {t}: the flow starts at time 0")
    return float(a0), w0.reshape(loss.d), t


_Piece = tuple[float, float, Array, Region | Ended | None]  # (time, a, w) at its end, and what follows


class _Guard:
    """Stop a run that would hang or overflow."""

    def __init__(self, evaluations: int):
        self.left = evaluations

    def watched(self, flow: Callable[[Array], Array]) -> Callable[[float, Array], Array]:
        """Return the right-hand side, guarded."""

        def velocity(_: float, y: Array) -> Array:
            self.left -= 1
            if self.left < 0:
                raise _Stop("stopped after max_evaluations: the start is stiff, try method='Radau' or a shorter t")
            out = flow(y)
            if not np.isfinite(out).all():
                raise _Stop("the gradient overflowed in a step: the start is too large for it, try method='Radau'")
            return out

        return velocity


@dataclass(frozen=True)
class _Run:
    """Values that are the same for all pieces of a run, in the units of the loss."""

    loss: CompletedLoss
    units: Units
    solver: type
    coordinates: Coordinates
    times: Array
    options: dict


class _Follower:
    """Follow the flow from region to region, to the last time, a terminal event, a failure or w = 0."""

    def __init__(self, run: _Run, events: Sequence[Event], guard: _Guard):
        self.run = run
        self.events = events
        self.guard = guard

    def follow(self, a0: float, w0: Array) -> _Track:
        """Return the record of the run from (a0, w0)."""
        run = self.run
        r0 = float(np.hypot.reduce(w0))
        self.size0 = max(abs(a0), r0)
        # a leaky unit is pushed through 0, to the fit with w < 0
        relu = isinstance(run.loss, Population) and run.loss.slope == 0
        self.may_die = relu and a0 * run.loss.required_sign_of_a < 0 and abs(a0) > r0
        # small compared with the tolerance, and with the w that would fit with so large an a
        self.dead_radius = min(100 * run.options["atol"], 1e-6 / abs(a0)) if self.may_die else 0.0
        track = self.track = _Track([(0.0, a0, w0)])
        self.watch = Watch([self._in_units(event) for event in self.events], a0, w0, self._kinks())
        region = self._start_region(a0, w0)
        now = 0.0
        a = a0
        w = w0
        track.doubtful = getattr(region, "doubtful", False)
        end = float(np.max(run.times))
        met = 0
        while track.ended is None and now < end:
            later, a, w, after = self._piece(region, now, a, w, end)
            met = 0 if later > now else met + 1
            track.region = region
            now = later
            if isinstance(after, SampleRegion) and not w.any():
                takes, off = after.off_zero(a)
                now += takes
                w = off
            if isinstance(after, Ended):
                track.ended = after
            elif met > AT_ONE_TIME:
                track.ended = Ended("failed", f"more than {AT_ONE_TIME} kinks met at one time")
            elif after is not None:
                region = after
                track.doubtful = track.doubtful or getattr(after, "doubtful", False)
        return track

    def _start_region(self, a0: float, w0: Array) -> Region:
        line = self.run.loss.line(w0)
        if not w0.any() and not (line is None and isinstance(self.run.loss, Own)):
            return Equilibrium()  # relu'(0) = 0; a user-defined loss has the gradient that it returns
        if line is not None:
            return LineSide.at(line, 1 if w0[0] > 0 else -1, a0, len(w0))
        return self.run.loss.region(a0, w0)

    def _kinks(self) -> Callable[[Array], Array] | None:
        """Return the function that gives the normals of a sample's kinks on which w lies."""
        if not isinstance(self.run.loss, Sample):
            return None
        kinks = self.run.loss.kinks
        return lambda w: kinks.normal[kinks.near(w)]

    def _in_units(self, event: Event) -> Event:
        units = self.run.units
        value = event.value
        if units == Units():
            return event
        return replace(event, value=lambda t, a, w: value(t / units.clock, a * units.size, w * units.size))

    def _piece(self, region: Region, now: float, a: float, w: Array, end: float) -> _Piece:
        """Follow one region to where the flow leaves it.

        Returns (time, a, w) there, and the next region, None, or how the run ended.
        """
        run = self.run
        coordinates = self.run.coordinates
        v = region.inner(w)
        radius = float(np.hypot.reduce(v))
        if (died := self._dies(region, a, v)) is not None:
            return now, a, (np.zeros_like(w) if isinstance(died, SampleRegion) else w), died
        y0 = coordinates.state(a, v)
        tolerance = coordinates.tolerance(**run.options, size=len(y0), radius=radius)
        assumed = coordinates.sigma != 0 and type(run.loss) not in KNOWN  # that a^2 - |w|^2 is conserved

        def flow(y: Array) -> Array:
            at = coordinates.point(y)
            da, dv = region.gradient(*at)
            if assumed and not _conserves(*at, da, dv):
                raise _NotConserved
            return coordinates.velocity(y, da, dv)

        fun = self.guard.watched(flow)
        least = self._least_radius(region, radius)
        edges = _edges(region, least, a, v)
        own = len(edges.last) - (least is not None)
        try:
            solver = run.solver(fun, 0.0, y0, end - now, rtol=run.options["rtol"], atol=tolerance)
            while solver.status == "running":
                message = solver.step()
                if solver.status == "failed":
                    raise _Stop(f"the solver stopped: {message}")
                left = self._step(region, edges, own, solver, now, end)
                if left is not None:
                    return left
        except (_Stop, ArithmeticError, np.linalg.LinAlgError) as stop:
            return now, a, w, Ended("failed", f"{stop}{KINKS_OF_OTHERS if isinstance(run.loss, Own) else ''}")
        return end, *self.track.rows[-1][1:], None

    def _step(self, region: Region, edges: Edges, own: int, solver: Any, now: float, end: float) -> _Piece | None:
        """Process a step of the solver: add its rows and events; return where the region is left, if it is."""
        coordinates = self.run.coordinates
        track = self.track
        start = solver.t_old
        stop = solver.t
        dense = None

        def point(t: float) -> tuple[float, Array]:
            nonlocal dense
            if t == stop:
                return coordinates.point(solver.y)
            dense = solver.dense_output() if dense is None else dense
            return coordinates.point(dense(t))

        def state(t: float) -> tuple[float, Array]:
            a, v = point(t)
            return a, region.outer(v)

        met, landed = None, None
        if len(edges.last):  # a region without edges needs no look inside the step
            times = start + (stop - start) * np.concatenate([[0.0], INSIDE])
            times[-1] = stop
            dense = solver.dense_output()
            met = edges.first(
                times, *coordinates.points(np.concatenate([dense(times[:-1]), solver.y[:, None]], axis=1)), point
            )
        until = stop if met is None else met[0]
        a, v = point(until)
        w = region.outer(v)
        after = None
        name = None
        if met is not None and met[1] < own:
            a, w, after = region.next_region(met[1], a, v)
            name = KINK
            landed = (a, w)
        elif met is not None:
            after = replace(region, start=v) if isinstance(region, SampleRegion) else Ended("dead", DIED)
        last = end if until == solver.t_bound else now + until
        slides = isinstance(region, SampleRegion) and len(region.sliding) > 0
        lands = landed is not None
        fired = self.watch.passed(now + start, last, lambda t: state(t - now), landed or (a, w), slides, lands)
        halted = next((one for one in fired if one[1].terminal), None)
        ending = halted[0] if halted else last
        self._add_rows(now + start, ending, last, state, now, (a, w))
        track.events += [(event.name, t) for t, event in fired]
        if name and not (halted and halted[0] < last):
            track.events.append((name, last))
            track.events.sort(key=lambda one: one[1])
        if halted:
            if halted[0] < last:
                a, w = state(halted[0] - now)
                if track.rows[-1][0] != halted[0]:
                    track.rows.append((halted[0], a, w))
            return halted[0], a, w, Ended("stopped", f"event {halted[1].name!r} ended the run")
        return (last, a, w, after) if met is not None else None

    def _add_rows(
        self,
        start: float,
        end: float,
        last: float,
        state: Callable[[float], tuple[float, Array]],
        now: float,
        at_last: tuple[float, Array],
    ) -> None:
        """Add the rows requested in (start, end], and the one at `end`."""
        times = self.run.times
        rows = self.track.rows
        if times.ndim:
            for t in times[(times > start) & (times <= end)].tolist():
                if t != end:
                    rows.append((t, *state(t - now)))
        a, w = at_last if end == last else state(end - now)
        rows.append((end, a, w))

    def _least_radius(self, region: Region, radius: float) -> float | None:
        """Return the |w| at which a piece ends; None if there is none.

        A population's neuron dies there, a sample's needs a finer tolerance.
        """
        rtol, atol = self.run.options["rtol"], self.run.options["atol"]
        if isinstance(region, SampleRegion) and region.radial is None and radius > 0:
            return SHRUNK * min(radius, atol / rtol)
        return self.dead_radius if isinstance(region, SmoothRegion) and self.may_die else None

    def _dies(self, region: Region, a: float, v: Array) -> Region | Ended | None:
        """Return how a run ends before its next piece, where w is next to 0; None if it does not end."""
        radius = float(np.hypot.reduce(v))
        if isinstance(region, SmoothRegion) and self.may_die and radius <= self.dead_radius:
            return Ended("dead", DIED)
        if not isinstance(region, SampleRegion) or radius == 0:
            return None
        da, dv = region.gradient(a, v)
        if v @ dv <= 0:
            return None  # w grows
        if self.run.coordinates.balanced:
            size = min(self.size0, np.sqrt(region.sample.kinks.fit) or np.inf)
            asleep = radius <= ASLEEP * size and region.keeps_direction(v)
            return Ended("dead", DIED) if asleep or radius <= LOST * size else None
        return region.through_zero(a, v)[2] if radius <= NEXT_TO_ZERO * region.sample.kinks.near_zero(a) else None


def _edges(region: Region, least: float | None, a: float, v: Array) -> Edges:
    """Return the edges of a region, the last of which is |w| = `least` where there is such a length."""
    if least is None:
        return Edges(region.edge_margins, region.noise, a, v)

    def margins(a: Array, v: Array) -> Array:
        length = np.sqrt(np.einsum("...i,...i", v, v)) - least
        return np.concatenate([region.edge_margins(a, v), length[..., None]], axis=-1)

    return Edges(margins, lambda v: np.append(region.noise(v), 0.0), a, v)


def _trajectory(loss: CompletedLoss, run: _Run, track: _Track) -> Trajectory:
    units = run.units
    wanted = set(run.times.tolist()) if run.times.ndim else {t for t, _, _ in track.rows}
    rows = [row for row in track.rows if row[0] in wanted] or track.rows[:1]
    if track.ended and track.ended.status != "failed" and rows[-1][0] != track.rows[-1][0]:
        rows.append(track.rows[-1])
    t = np.array([row[0] for row in rows]) / units.clock
    a = np.array([row[1] for row in rows]) * units.size
    w = np.array([row[2] for row in rows]) * units.size
    ended = track.ended or Ended("finished", "reached the last time")
    if track.doubtful:
        ended = replace(ended, message=f"{ended.message}; {DOUBTFUL_NOTE}")
    events = tuple((name, float(time / units.clock)) for name, time in track.events)
    seen = Trajectory(t, a, w, loss.loss(a, w), ended.status, ended.message, _drift(track.rows), events, "undecided")
    return replace(seen, verdict=_verdict(loss, run, track, seen))


def _drift(rows: list[tuple[float, float, Array]]) -> float:
    a, w = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    size = max(abs(a).max(), abs(w).max()) or 1.0
    a2 = (a / size) ** 2
    w2 = ((w / size) ** 2).sum(axis=1)
    c = a2 - w2
    scale = a2 + w2 + abs(c[0])
    return float((abs(c - c[0]) / np.where(scale > 0, scale, 1.0)).max())


def _verdict(loss: CompletedLoss, run: _Run, track: _Track, seen: Trajectory) -> str:
    """Return the verdict that the run shows, `undecided` where its own errors could have decided it."""
    _, a0, w0 = track.rows[0]
    required_sign_of_a = run.loss.required_sign_of_a
    if (
        seen.status in ("failed", "undecided")
        or track.doubtful
        or seen.drift > DRIFTED
        or _near_separatrix(run, a0, w0)
    ):
        return "undecided"
    exact = exact_verdict(a0, w0, run.loss)
    if exact and run.coordinates.balanced and isinstance(loss, Population | Line) and a0 * required_sign_of_a < 0:
        return exact  # a = -|w| holds exactly all the way: a never changes sign
    if (
        required_sign_of_a
        and seen.loss[-1] < loss.target_fit_loss + learned_within(loss, LEARNED_BELOW)
        and seen.w[-1, 0] > 0
    ):
        return exact or "learns"  # a loss this near to it may be that of a = 0, where w < 0 fits better
    if not _lost(run, track) or _lost_by_solver(run, w0):
        return "undecided"
    return "undecided" if exact == "learns" else exact or "fails"  # at rest because a gradient underflows


def _lost_by_solver(run: _Run, w0: Array) -> bool:
    """Return whether a part of w on which the flow depends lies below the solver's tolerance."""
    trusted = 1e3 * run.options["atol"]
    sizes = [float(np.hypot.reduce(w0))]
    if run.loss.line(w0) is None:
        sizes.append(float(np.hypot.reduce(w0[1:])))
    return any(0 < size <= trusted for size in sizes)


def _near_separatrix(run: _Run, a0: float, w0: Array) -> bool:
    """Return whether round-off alone could move a run across the separatrix.

    This concerns runs that do not use the exact balance.
    """
    r0 = float(np.hypot.reduce(w0))
    below = run.loss.line(w0) is not None and w0[0] <= 0
    trusted = 1e3 * (run.options["rtol"] * r0 + run.options["atol"])
    return (
        not run.coordinates.sigma
        and not below
        and a0 * run.loss.required_sign_of_a < 0
        and abs(abs(a0) - r0) <= trusted
    )


def _lost(run: _Run, track: _Track) -> bool:
    """Return whether the run has reached a point from which nothing can be learned any more."""
    if track.ended and track.ended.status == "dead":
        return isinstance(run.loss, Population)
    line = run.loss.line(track.rows[0][2])
    _, a, w = track.rows[-1]
    if track.region is None or (isinstance(track.region, Equilibrium) and track.region.up_to_rounding):
        return False
    da, dw = track.region.gradient(a, track.region.inner(w))
    if da == 0 and not np.any(dw):  # at rest, or no input is active
        return True
    return (
        line is not None and w[0] <= 0 and a * np.sign(line.k_minus) >= 0
    )  # from w < 0 the kink is reached for a k- < 0 only
