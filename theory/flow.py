"""Numerical gradient flow: `integrate` on scipy's solvers, each smooth piece of the loss on its own.

A run gives no verdict that it cannot carry: blown-up, unfinished and drifting runs are `undecided`. Where exact
verdicts exist, use `theory.limit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from theory.basins import VERDICTS, verdicts
from theory.cells import Cell, Rest
from theory.charts import Chart
from theory.checks import Array, finite, known
from theory.losses import Line, Loss, Population
from theory.samples import Masked

METHODS = ("DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA")
LEARNED = 1e-6  # a loss within it of the goal has learned
DRIFTED = 1e-3  # a run whose c has moved by more than this share of a^2 + |w|^2 is not trusted
KINK = "kink"


@dataclass(frozen=True)
class Event:
    """A moment to look for: value(t, a, w) crosses 0.

    value : (float, float, ndarray (d,)) -> float
    terminal : end the run there
    direction : 1 rising only, -1 falling only, 0 both
    """

    name: str
    value: Callable[[float, float, Array], float]
    terminal: bool = True
    direction: int = 0


@dataclass(frozen=True)
class Trajectory:
    """A run of the flow; it ends early where an event or a failure ended it.

    t, a : ndarray, shape (n,)
    w : ndarray, shape (n, d)
    loss : ndarray, shape (n,)
    status : `finished` (reached the last time), `stopped` (a terminal event), `dead` (w died with a < 0), `failed`
    message : one sentence
    drift : float, largest |c - c(0)| / (a^2 + |w|^2 + |c(0)|) on the way, c = a^2 - |w|^2 being conserved
    events : tuple of (name, time); `kink` is the hit of w = 0 (d = 1) or of w.x_i = 0, or the end of a slide along it
    verdict : `learns` (the loss came down to the loss's `goal`, with w_1 > 0), `fails`, `separatrix` (d = 1, balanced,
        a0 < 0: kept on it exactly), or `undecided` where the run shows neither; `theory.limit` has the exact one
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
    """What a run has gathered: rows (time, a, w), events (name, time), why it ended."""

    rows: list[tuple[float, float, Array]]
    events: list[tuple[str, float]] = field(default_factory=list)
    ended_by: str = ""
    failure: str = ""
    cell: Cell | None = None


class _Stop(Exception):
    """The flow cannot be followed any further."""


def integrate(
    loss: Loss,
    a0: float,
    w0: ArrayLike,
    t: ArrayLike,
    *,
    method: str = "DOP853",
    rtol: float = 1e-9,
    atol: float = 1e-12,
    events: Sequence[Event] = (),
    max_evaluations: int = 50_000,
    exact_balance: bool = True,
) -> Trajectory:
    """Integrate the gradient flow of a loss from (a0, w0) at time 0.

    Parameters
    ----------
    loss : `Population(d)`, `Line(c_plus, c_minus)`, `Sample(x, y)`, `Masked(loss, mask)`; see `theory.losses`
    a0 : float
    w0 : float (d = 1) or array_like, shape (d,); entries that the loss masks are taken as 0
    t : float (the horizon; rows at the solver's own steps) or increasing array_like (rows at those times), at least 0
    method : DOP853, RK45, RK23, Radau, BDF or LSODA, as in `scipy.integrate.solve_ivp`
    rtol, atol : float, relative and absolute tolerance; atol is at most rtol times the start's size, so that small
        starts keep their digits
    events : terminal ones end the run, and add the row at which they do
    max_evaluations : int, gradients to spend before the run counts as failed
    exact_balance : bool, use that a - sign(a0) |w| never changes sign (see `theory.charts`). False integrates (a, w) as
        they are: a witness that knows the gradient alone, and gives no verdict near the separatrix

    Returns
    -------
    Trajectory : a run that fails says so in status and message, and holds the start and what rows the solver gave.

    Raises
    ------
    ValueError: shapes that do not match, no numbers, NaN, times that fall or lie below 0, an unknown method, a
        tolerance that is no number above 0.

    Kinks of the loss (w_1 = 0 on the axis w_perp = 0, for a sample w.x_i = 0) are located as events: each piece is
    integrated on its own smooth extension up to the kink and lands on it exactly. A sample's flow may slide along a
    kink whose two sides push towards it. Starts with w0 = 0 rest (relu'(0) = 0). Balanced starts, a0 = +-|w0| up to a
    relative 1e-12, are integrated as such: a = +-|w| is invariant for every loss, and round-off cannot leave it.

    Source: the gradient flow of section 2; the verdicts and their caution are ours.

    Examples
    --------
    >>> from theory.losses import Population
    >>> run = integrate(Population(2), 0.5, [-0.3, 0.4], [0.0, 60.0])
    >>> run.verdict, run.w.shape, (run.a * run.w[:, 0]).round(6).tolist()
    ('learns', (2, 2), [-0.15, 1.0])
    """
    a0, w0, times = _checked(loss, a0, w0, t, method, {"rtol": rtol, "atol": atol})
    if isinstance(loss, Masked):
        options = {"method": method, "rtol": rtol, "atol": atol, "max_evaluations": max_evaluations}
        return _widened(loss, a0, w0, t, events, exact_balance=exact_balance, **options)
    size = max(abs(a0), *abs(w0))
    options = {"method": method, "rtol": rtol, "atol": max(min(atol, rtol * size), np.finfo(float).tiny)}
    chart = Chart.of(a0, w0) if exact_balance else Chart.plain(a0)
    run = _Run(loss, chart, times, tuple(events), options, _Guard(max_evaluations))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what scipy warns of ends in status and message
        return _trajectory(run, _follow(run, a0, w0))


def _widened(loss: Masked, a0: float, w0: Array, t: ArrayLike, events: Sequence[Event], **options) -> Trajectory:
    """Follow the survivors alone, and give w its pruned zeros back."""

    def wide(event: Event) -> Event:
        return replace(event, value=lambda t, a, w: event.value(t, a, loss.widen(w)))

    run = integrate(loss.survivors, a0, w0[loss.mask], t, events=[wide(event) for event in events], **options)
    return replace(run, w=loss.widen(run.w))


def _checked(
    loss: Loss, a0: float, w0: ArrayLike, t: ArrayLike, method: str, tolerances: dict[str, float]
) -> tuple[float, Array, Array]:
    known("method", method, METHODS)
    for name, value in tolerances.items():
        if not isinstance(value, Real) or not 0 < value < np.inf:
            raise ValueError(f"{name} must be a number above 0, got {value!r:.60}: 1e-9 is a good one")
    a0, w0, t = finite(a0=a0, w0=w0, t=t)
    if a0.ndim or w0.ndim > 1 or w0.size != loss.d:
        raise ValueError(f"one start needs a0 a number and w0 of shape ({loss.d},), got {a0.shape} and {w0.shape}")
    if t.ndim > 1 or t.size == 0 or t.min() < 0 or (np.diff(np.atleast_1d(t)) <= 0).any():
        raise ValueError(f"t must be a horizon or increasing times, at least 0, got {t}: the flow starts at time 0")
    return float(a0), w0.reshape(loss.d), t


class _Guard:
    """Stop a run that would hang or overflow."""

    def __init__(self, evaluations: int):
        self.left = evaluations

    def watched(self, flow: Callable[[Array], Array]) -> Callable[[float, Array], Array]:
        """Return the right-hand side, guarded."""

        def velocity(_, y):
            self.left -= 1
            if self.left < 0:
                raise _Stop("gave up after max_evaluations: the start is stiff, try method='Radau' or a shorter t")
            out = flow(y)
            if not np.isfinite(out).all():
                raise _Stop("the gradient overflowed: the start is too large to integrate, use theory.limit")
            return out

        return velocity


@dataclass(frozen=True)
class _Run:
    """What stays the same from piece to piece."""

    loss: Loss
    chart: Chart
    times: Array
    events: tuple[Event, ...]
    options: dict
    guard: _Guard


def _follow(run: _Run, a0: float, w0: Array) -> _Track:
    """Follow the flow from cell to cell to the last time, a terminal event, a failure or its death."""
    inner = run.loss.line(w0)
    embed = (lambda w: np.array([w[0], *w0[1:]])) if inner else (lambda w: w)
    cell = (inner or run.loss).cell(a0, w0[:1] if inner else w0) if w0.any() else Rest()
    track = _Track([(0.0, a0, w0)])
    now, a, w = 0.0, a0, w0[:1] if inner else w0
    dead = _dead(run, a0, w0) if not inner else None
    if dead and dead.value(0.0, a0, w0) <= 0:
        track.ended_by = dead.name
        return track
    while True:
        edge = _edge(cell, now) if cell.edge else None
        watch = [event for event in (edge, dead) if event] + [_embedded(event, embed) for event in run.events]
        ended_by = _piece(run, track, cell, (now, a, w), watch, embed)
        track.cell, (now, a, _) = cell, track.rows[-1]
        if ended_by is None or ended_by is not edge:
            track.ended_by = ended_by.name if ended_by else ""
            return track
        w, cell = cell.beyond(a, track.rows[-1][2][: len(w)])
        track.rows[-1] = (now, a, embed(w))


def _edge(cell: Cell, now: float) -> Event:
    """Return the end of a cell entered at `now`: there the margin is 0 up to rounding, and counts as inside."""

    def margin(t: float, a: float, w: Array) -> float:
        found = cell.margin(a, w)
        return max(found, np.finfo(float).tiny) if t == now else found

    return Event(KINK, margin, direction=-1)


def _dead(run: _Run, a0: float, w0: Array) -> Event | None:
    """End a run whose direction w / |w| is lost once |w| falls to atol: a dying neuron."""
    if isinstance(run.loss, Population) and not (a0 * run.loss.aim < 0 and abs(a0) > np.hypot.reduce(w0)):
        return None  # |w| may be tiny here and grow again
    radius = 100 * run.options["atol"]
    return Event("dead", lambda _, a, w: np.hypot.reduce(w) - radius, direction=-1)


def _embedded(event: Event, embed: Callable[[Array], Array]) -> Event:
    return replace(event, value=lambda t, a, w: event.value(t, a, embed(w)))


def _piece(
    run: _Run, track: _Track, cell: Cell, start: tuple[float, float, Array], watch: Sequence[Event], embed: Callable
) -> Event | None:
    """Run solve_ivp within one cell from start, (time, a, w), and add its rows and events; return what ended it."""
    (now, a, w), chart, end = start, run.chart, float(np.max(run.times))
    if end <= now:
        return None
    later, y0 = run.times[run.times > now] if run.times.ndim else None, chart.state(a, w)
    velocity = run.guard.watched(lambda y: chart.velocity(y, *cell.gradient(*chart.point(y))))
    functions = [_scipy_event(event, chart.point, now) for event in watch]
    options = {**run.options, "atol": chart.tolerance(run.options["rtol"], run.options["atol"], len(y0))}
    try:
        sol = solve_ivp(velocity, (now, end), y0, t_eval=later, events=functions or None, **options)
    except (_Stop, ValueError, ArithmeticError, np.linalg.LinAlgError) as stop:
        track.failure = str(stop)
        return None
    # both are empty lists if an event ends the run before the first time asked for
    rows = [(float(t), *chart.point(y)) for t, y in zip(sol.t, np.transpose(sol.y), strict=True) if t > now]
    hits = [(t, i) for i, times in enumerate(sol.t_events or []) for t in times]
    track.events += [(watch[i].name, float(t)) for t, i in sorted(hits)]
    ended_by = None
    if sol.status == 1:
        time, ended_by = next((t, i) for t, i in sorted(hits, reverse=True) if watch[i].terminal)
        rows = [row for row in rows if row[0] < time] + [(float(time), *chart.point(sol.y_events[ended_by][-1]))]
    track.rows += [(t, a, embed(cell.held(w))) for t, a, w in rows]
    track.failure = "" if sol.status >= 0 else f"the solver stopped: {sol.message}"
    return None if ended_by is None else watch[ended_by]


def _scipy_event(event: Event, point: Callable[[Array], tuple[float, Array]], now: float) -> Callable:
    def value(t, y):
        found = float(event.value(t, *point(y)))
        return np.nan if t == now and found == 0 else found  # solve_ivp would fire an event that starts at 0

    value.terminal, value.direction = event.terminal, event.direction
    return value


def _trajectory(run: _Run, track: _Track) -> Trajectory:
    wanted = set(run.times.tolist()) if run.times.ndim else {t for t, _, _ in track.rows}
    rows = [row for row in track.rows if row[0] in wanted] or track.rows[:1]
    if track.ended_by and rows[-1][0] != track.rows[-1][0]:
        rows.append(track.rows[-1])
    t, a = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    w = np.array([row[2] for row in rows])
    status, message = _status(track)
    loss, events = run.loss.loss(a, w), tuple(track.events)
    trajectory = Trajectory(t, a, w, loss, status, message, _drift(track.rows), events, "undecided")
    return replace(trajectory, verdict=_verdict(run, track, trajectory))


def _status(track: _Track) -> tuple[str, str]:
    if track.failure:
        return "failed", track.failure
    if not track.ended_by:
        return "finished", "reached the last time"
    if track.ended_by == "dead":
        return "dead", "w died: it tends to 0 and a to +-sqrt(c)"
    return "stopped", f"event {track.ended_by!r} ended the run"


def _drift(rows: list[tuple[float, float, Array]]) -> float:
    a, w = np.array([row[1] for row in rows]), np.array([row[2] for row in rows])
    size = max(abs(a).max(), abs(w).max()) or 1.0
    a2, w2 = (a / size) ** 2, ((w / size) ** 2).sum(axis=1)
    c = a2 - w2
    scale = a2 + w2 + abs(c[0])
    return float((abs(c - c[0]) / np.where(scale > 0, scale, 1.0)).max())


def _verdict(run: _Run, track: _Track, seen: Trajectory) -> str:
    """Say what the run shows, `undecided` where its own errors could have decided it."""
    loss, (_, a0, w0) = run.loss, track.rows[0]
    if seen.status == "failed" or seen.drift > DRIFTED or _near_separatrix(run, a0, w0):
        return "undecided"
    if run.chart.balanced and isinstance(loss, Population | Line) and a0 * loss.aim < 0:
        return VERDICTS[int(verdicts(a0, w0, loss))]  # a = -|w| holds exactly all the way: a never changes sign
    if loss.aim and seen.loss[-1] < loss.goal + LEARNED and seen.w[-1, 0] > 0:
        return "learns"
    # a weight below the solver's tolerance may have been lost by the solver and not by the flow
    lost_by_solver = 0 < np.hypot.reduce(w0) <= 1e3 * run.options["atol"]
    return "fails" if _lost(run, track) and not lost_by_solver else "undecided"


def _near_separatrix(run: _Run, a0: float, w0: Array) -> bool:
    """Say whether round-off alone could carry a run that does not know of the separatrix over it."""
    r0, below = float(np.hypot.reduce(w0)), run.loss.line(w0) is not None and w0[0] <= 0
    trusted = 1e3 * (run.options["rtol"] * r0 + run.options["atol"])
    return not run.chart.sigma and not below and a0 * run.loss.aim < 0 and abs(abs(a0) - r0) <= trusted


def _lost(run: _Run, track: _Track) -> bool:
    """Say whether the run has come to where nothing can be learned any more."""
    if track.ended_by == "dead":
        return isinstance(run.loss, Population)
    line, (_, a, w) = run.loss.line(track.rows[0][2]), track.rows[-1]
    da, dw = track.cell.gradient(a, w[:1] if line else w)
    if da == 0 and not np.any(dw):  # at rest, or no input is active
        return True
    return line is not None and w[0] <= 0 and a * line.k_minus >= 0  # from w < 0 the kink is reached for a k- < 0 only
