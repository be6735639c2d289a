"""Numerical gradient flow: `integrate` on scipy's solvers, each branch of the kink on its own.

A run gives no verdict that it cannot carry: starts near the separatrix, blown-up, unfinished and drifting runs are
`undecided`. Where exact verdicts exist, use `theory.limit`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike
from scipy.integrate import solve_ivp

from theory.exact import known
from theory.network import Array, finite

METHODS = ("DOP853", "RK45", "RK23", "Radau", "BDF", "LSODA")
LEARNED = 1e-6  # a loss below it has learned
DRIFTED = 1e-3  # a run whose c has moved by more than this share of a^2 + |w|^2 is not trusted


class Loss(Protocol):
    """What `integrate` needs: d inputs, loss(a, w), gradient(a, w), and branch(side) for the axis w_perp = 0."""

    d: int

    def loss(self, a: ArrayLike, w: ArrayLike) -> Array:
        """Return the loss, shape (...), of a (...) and w (..., d)."""

    def gradient(self, a: ArrayLike, w: ArrayLike) -> tuple[Array, Array]:
        """Return (dL/da, dL/dw)."""

    def branch(self, side: int) -> Callable[[Array, Array], tuple[Array, Array]]:
        """Return the gradient in (a, w_1) on one side of the kink w_1 = 0, continued smoothly across it."""


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
    events : tuple of (name, time); `kink` is the hit of w = 0 for d = 1
    verdict : `learns`, `fails`, or `undecided` where rounding could have decided; `theory.limit` has the exact one
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


@dataclass(frozen=True)
class _Piece:
    """A stretch between kinks: rows (time, y), (event index, time), the terminal index, a failure message."""

    rows: list[tuple[float, Array]]
    found: list[tuple[int, float]]
    ended_by: int | None = None
    failure: str = ""


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
) -> Trajectory:
    """Integrate the gradient flow of a loss from (a0, w0) at time 0.

    Parameters
    ----------
    loss : `Population(d)`, `Line(c_plus, c_minus)`, ... (see `Loss`)
    a0 : float
    w0 : float (d = 1) or array_like, shape (d,)
    t : float (the horizon; rows at the solver's own steps) or increasing array_like (rows at those times), at least 0
    method : DOP853, RK45, RK23, Radau, BDF or LSODA, as in `scipy.integrate.solve_ivp`
    rtol, atol : float, relative and absolute tolerance; atol is at most rtol times the start's size, so that small
        starts keep their digits
    events : terminal ones end the run, and add the row at which they do
    max_evaluations : int, gradients to spend before the run counts as failed

    Returns
    -------
    Trajectory : a run that fails says so in status and message, and holds the start and what rows the solver gave.

    Raises
    ------
    ValueError: shapes that do not match, no numbers, NaN, times that fall or lie below 0, an unknown method, a
        tolerance that is no number above 0.

    On the axis w_perp = 0 (d = 1 always) each side of the kink w_1 = 0 is integrated on its smooth extension up to the
    kink and lands on it exactly; from below the flow never reaches it. Starts with w0 = 0 rest (relu'(0) = 0).

    Source: the gradient flow of section 2; the verdicts and their caution are ours.

    Examples
    --------
    >>> from theory.network import Population
    >>> run = integrate(Population(2), 0.5, [-0.3, 0.4], [0.0, 60.0])
    >>> run.verdict, run.w.shape, (run.a * run.w[:, 0]).round(6).tolist()
    ('learns', (2, 2), [-0.15, 1.0])
    """
    a0, w0, times = _checked(loss, a0, w0, t, method, {"rtol": rtol, "atol": atol})
    size = max(abs(a0), *abs(w0))
    options = {"method": method, "rtol": rtol, "atol": max(min(atol, rtol * size), np.finfo(float).tiny)}
    follow = _off_axis if w0[1:].any() else _on_axis
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # what scipy warns of ends in status and message
        piece, names = follow(loss, a0, w0, times, tuple(events), options, _Guard(max_evaluations))
        return _trajectory(loss, piece, names, times, options)


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

    def flow(self, gradient: Callable[[Array], Array]) -> Callable[[float, Array], Array]:
        """Return the right-hand side -gradient, guarded."""

        def velocity(_, y):
            self.left -= 1
            if self.left < 0:
                raise _Stop("gave up after max_evaluations: the start is stiff, try method='Radau' or a shorter t")
            out = -gradient(y)
            if not np.isfinite(out).all():
                raise _Stop("the gradient overflowed: the start is too large to integrate, use theory.limit")
            return out

        return velocity


def _off_axis(
    loss: Loss, a0: float, w0: Array, times: Array, events: tuple[Event, ...], options: dict, guard: _Guard
) -> tuple[_Piece, list[str]]:
    """Follow (a, w) off the axis: smooth, but w / |w| is lost once |w| falls to atol, so a dead neuron ends the run."""
    dying = a0 < 0 and -a0 > np.hypot.reduce(w0)
    radius = 100 * options["atol"]
    dead = (Event("dead", lambda _, a, w: np.hypot.reduce(w) - radius, direction=-1),) if dying else ()
    if dying and np.hypot.reduce(w0) <= radius:
        return _Piece([(0.0, np.array([a0, *w0]))], [(0, 0.0)], 0), ["dead"]

    def gradient(y):
        da, dw = loss.gradient(y[0], y[1:])
        return np.concatenate([[da], dw])

    watch = [_scipy_event(e, lambda y: (y[0], y[1:]), 0.0) for e in dead + events]
    piece = _solve(guard.flow(gradient), 0.0, np.array([a0, *w0]), times, watch, options)
    return piece, [e.name for e in dead + events]


def _on_axis(
    loss: Loss, a0: float, w0: Array, times: Array, events: tuple[Event, ...], options: dict, guard: _Guard
) -> tuple[_Piece, list[str]]:
    """Follow (a, w_1) where w_perp = 0, which stays so; land on the kink w_1 = 0 exactly and go on below it."""
    kink = Event("kink", lambda _, a, w: w[0], direction=-1)
    names = [*(e.name for e in events), kink.name]

    def side(which: int, now: float, start: Array, events: tuple[Event, ...]) -> _Piece:
        branch = loss.branch(which)
        watch = [_scipy_event(e, lambda y: (y[0], np.array([y[1], *w0[1:]])), now) for e in events]
        return _solve(guard.flow(lambda y: np.array(branch(*y))), now, start, times, watch, options)

    first, now, start = _Piece([], []), 0.0, np.array([a0, w0[0]])
    if w0[0] > 0:
        first = side(1, now, start, (*events, kink))
        if first.ended_by != len(events):
            return _widened(first, w0[1:]), names
        now, start = first.found[-1][1], np.array([first.rows[-1][1][0], 0.0])
    below = side(-1, now, start, events)  # no kink event: from below w only tends to 0
    rows = first.rows[:-1] + [(t, np.array([a, min(w, 0.0)])) for t, (a, w) in below.rows]
    return _widened(replace(below, rows=rows, found=first.found + below.found), w0[1:]), names


def _widened(piece: _Piece, zeros: Array) -> _Piece:
    return replace(piece, rows=[(t, np.concatenate([y, zeros])) for t, y in piece.rows])


def _scipy_event(event: Event, state: Callable[[Array], tuple[float, Array]], now: float) -> Callable:
    def value(t, y):
        found = float(event.value(t, *state(y)))
        return np.nan if t == now and found == 0 else found  # solve_ivp would fire an event that starts at 0

    value.terminal, value.direction = event.terminal, event.direction
    return value


def _solve(velocity: Callable, now: float, start: Array, times: Array, watch: list[Callable], options: dict) -> _Piece:
    """Run solve_ivp from `now` to the last time; rows: start, times asked for (or the solver's), terminal event."""
    rows, end = [(now, start)], float(np.max(times))
    if end <= now:
        return _Piece(rows, [])
    later = times[times > now] if times.ndim else None
    try:
        sol = solve_ivp(velocity, (now, end), start, t_eval=later, events=watch or None, **options)
    except (_Stop, ValueError, ArithmeticError, np.linalg.LinAlgError) as stop:
        return _Piece(rows, [], failure=str(stop))
    # both are empty lists if an event ends the run before the first time asked for
    rows += [(float(t), y) for t, y in zip(sol.t, np.transpose(sol.y), strict=True) if t > now]
    hits = [
        (time, i, y) for i, ts in enumerate(sol.t_events or []) for time, y in zip(ts, sol.y_events[i], strict=True)
    ]
    hits.sort(key=lambda hit: hit[:2])
    found = [(i, float(time)) for time, i, _ in hits]
    if sol.status != 1:
        return _Piece(rows, found, failure="" if sol.status == 0 else f"the solver stopped: {sol.message}")
    time, last, y = next(hit for hit in reversed(hits) if watch[hit[1]].terminal)
    return _Piece([row for row in rows if row[0] < time] + [(float(time), y)], found, last)


def _trajectory(loss: Loss, piece: _Piece, names: list[str], times: Array, options: dict) -> Trajectory:
    wanted = set(times.tolist()) if times.ndim else {t for t, _ in piece.rows}
    rows = [(t, y) for t, y in piece.rows if t in wanted] or piece.rows[:1]
    if piece.ended_by is not None and rows[-1][0] != piece.rows[-1][0]:
        rows.append(piece.rows[-1])
    t, y = np.array([t for t, _ in rows]), np.array([y for _, y in rows])
    events = tuple((names[i], time) for i, time in piece.found)
    status, message = _status(piece, names)
    a, w = y[:, 0], y[:, 1:]
    trajectory = Trajectory(t, a, w, loss.loss(a, w), status, message, _drift(piece.rows), events, "undecided")
    return replace(trajectory, verdict=_verdict(trajectory, piece.rows[0][1], options))


def _status(piece: _Piece, names: list[str]) -> tuple[str, str]:
    if piece.failure:
        return "failed", piece.failure
    if piece.ended_by is None:
        return "finished", "reached the last time"
    if names[piece.ended_by] == "dead":
        return "dead", "w died with a < 0: it tends to 0 and a to -sqrt(c)"
    return "stopped", f"event {names[piece.ended_by]!r} ended the run"


def _drift(rows: list[tuple[float, Array]]) -> float:
    y = np.array([y for _, y in rows])
    size = abs(y).max() or 1.0
    squares = (y / size) ** 2
    a2, w2 = squares[:, 0], squares[:, 1:].sum(axis=1)
    c = a2 - w2
    scale = a2 + w2 + abs(c[0])
    return float((abs(c - c[0]) / np.where(scale > 0, scale, 1.0)).max())


def _verdict(run: Trajectory, start: Array, options: dict) -> str:
    """Say what the run shows, `undecided` where its own errors could have decided it.

    Round-off alone leaves the separatrix of one input after t of about 74.
    """
    a0, w0 = start[0], start[1:]
    r0, on_axis = np.hypot.reduce(w0), not w0[1:].any()
    trusted = 1e3 * (options["rtol"] * r0 + options["atol"])
    near_separatrix = a0 < 0 and abs(a0 + r0) <= trusted and not (on_axis and w0[0] <= 0)
    if run.status == "failed" or run.drift > DRIFTED or near_separatrix:
        return "undecided"
    if run.loss[-1] < LEARNED:
        return "learns"
    below = on_axis and run.w[-1, 0] <= 0 and (w0[0] <= 0 or a0 < 0)
    return "fails" if run.status == "dead" or below else "undecided"
