"""Claims 1 and 2: Theorem 2.1 and Lemma 2.2 against random starts, by three independent witnesses.

The exact limit uses only the start; the closed form (d = 1) only the formula; an integrated run only the gradient.
A run cannot show that a start never learns, so there the run must keep the invariant on which the proof depends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from theory.exact.closed_form import closed_form
from theory.exact.limits import learns
from theory.flow.integrate import LEARNED_BELOW, Event, Trajectory, integrate
from theory.losses.formulas import loss_1d
from theory.losses.losses import Population
from theory.results import Result
from theory.sampling import balanced_starts, clopper_pearson
from theory.theorems import THEOREMS, check
from theory.validation import Array

DIMENSIONS = {"1": (1,), "2": (2, 3, 5, 10)}  # the d that each claim is tried at
INVARIANT = "the sign of a is that of a(0), and the loss is at least 1/4"
SLACK = 1e-9  # a < 0 puts the loss above 1/4 exactly, so this only allows for rounding
# For d = 1 the starts (a < 0, w > 0) lie on a line that repels: round-off changes the sign of a between t = 36 and 60.
# For d > 1 it repels less and less, as w turns to -e_1: on 600 starts a + |w| was below 2e-8 |w| up to t = 300.
WATCHED_1D = 20.0


def theorem_check(starts: int, runs: int, horizon: float, seed: int) -> Result:
    """Claims 1 and 2: balanced random starts against Theorem 2.1 (d = 1) and Lemma 2.2 (d = 2, 3, 5, 10).

    Every start is compared with its exact limit, for d = 1 also with the loss of the closed form at a late time. The
    first `runs` starts of each claim are integrated as well, up to `horizon`: a start predicted to learn must not fail;
    one predicted to fail must not learn, and must keep the invariant of the proof up to the time in `until` for its d.

    Args:
        starts: int, starts for each claim, shared equally among its d
        runs: int, how many of them are integrated
        horizon: float, the time at which integrated runs end
        seed: int

    Returns:
        Result: values["claims"][claim], claim `1` or `2`; `contradictions` counts starts that any witness contradicts

    Raises:
        ValueError: fewer starts than four.
    """
    line_rng, plane_rng = np.random.default_rng(seed).spawn(2)
    line = [_line(*balanced_starts(line_rng, starts, d)) for d in DIMENSIONS["1"]]
    share = starts // len(DIMENSIONS["2"])
    planes = [_plane(*balanced_starts(plane_rng, share, d)) for d in DIMENSIONS["2"]]
    first = {**against_theorem(line, runs, horizon), **_proved("theorem-2.1", "theorem-a1", "population")}
    second = {**against_theorem(planes, runs, horizon), **_proved("lemma-2.2", "population")}
    return Result({"claims": {"1": first, "2": second}})


@dataclass(frozen=True)
class Starts:
    """Starts a0 (n,) and w0 (n, d) with what the theorem and the exact results say of each.

    `said` (n,) is whether the theorem predicts that the start learns, `wrong` (n,) whether an exact result contradicts
    it.
    """

    a0: Array
    w0: Array
    said: np.ndarray
    wrong: np.ndarray


def _line(a0: Array, w0: Array) -> Starts:
    said = (a0 > 0) & (w0[:, 0] > 0)
    late = loss_1d(*closed_form(a0, w0[:, 0], 1e9)) < LEARNED_BELOW
    return Starts(a0, w0, said, (learns(a0, w0) != said) | (late != said))


def _plane(a0: Array, w0: Array) -> Starts:
    return Starts(a0, w0, a0 > 0, learns(a0, w0) != (a0 > 0))


def against_theorem(groups: list[Starts], runs: int, horizon: float) -> dict[str, Any]:
    """Return what contradicts the theorem among groups of starts, one group for each d.

    `runs` of the starts are integrated.
    """
    share = runs // len(groups)
    found = [_integrated(group, share, horizon) for group in groups]
    against = [seen.against for seen in found]
    wrong = np.concatenate(
        [part for g, seen in zip(groups, against, strict=True) for part in (g.wrong[:share] | seen, g.wrong[share:])]
    )
    verdict = np.concatenate([seen.verdict for seen in found])
    held = np.concatenate([seen.held for seen in found])
    fails = np.concatenate([~g.said[:share] for g in groups])
    low, high = clopper_pearson(wrong.sum(), wrong.size)
    return {
        "starts": wrong.size,
        "contradictions": int(wrong.sum()),
        "low": low,
        "high": high,
        "d": [g.w0.shape[1] for g in groups],
        "integrated": {
            "runs": verdict.size,
            **{word: int((verdict == word).sum()) for word in ("learns", "fails", "undecided")},
            "contradictions": int(np.concatenate(against).sum()),
            "n_predicted_failures": int(fails.sum()),
            "invariant": INVARIANT,
            "invariant_held": int((held & fails).sum()),
            "until": [_watched(g.w0.shape[1], horizon) for g in groups],  # a time for each d
        },
    }


@dataclass(frozen=True)
class _Seen:
    """What the integrated runs show, for each start.

    That is the verdict of the run, whether it kept the invariant, and whether it contradicts the theorem.
    """

    verdict: np.ndarray
    held: np.ndarray
    against: np.ndarray


def _integrated(group: Starts, share: int, horizon: float) -> _Seen:
    until = _watched(group.w0.shape[1], horizon)
    runs = [_run(a, w, horizon, until) for a, w in zip(group.a0[:share], group.w0[:share], strict=True)]
    verdict = np.array([run.verdict for run in runs], dtype=str)
    said = group.said[:share]
    broken = np.array([breaks(run, until) for run in runs], dtype=bool)
    arrived = np.array([run.t[-1] >= until for run in runs], dtype=bool)
    return _Seen(verdict, arrived & ~broken, np.where(said, verdict == "fails", (verdict == "learns") | broken))


def _run(a0: float, w0: Array, horizon: float, until: float) -> Trajectory:
    loss = Population(len(w0))
    times = np.unique([*np.linspace(0, until, 101), horizon])
    near = Event("learned", lambda _, a, w: float(loss.loss(a, w)) - LEARNED_BELOW / 2, direction=-1)
    return integrate(loss, a0, w0, times, rtol=1e-7, atol=1e-10, events=[near], exact_balance=False)


def _watched(d: int, horizon: float) -> float:
    return min(horizon, WATCHED_1D) if d == 1 else horizon


def breaks(run: Trajectory, until: float) -> bool:
    """Return whether a run shows, at one of its rows up to a time, another sign of a or a loss below 1/4."""
    seen = run.t <= until
    same_sign = run.a[seen] * np.sign(run.a[0]) > 0
    return not bool((same_sign & (run.loss[seen] >= 0.25 - SLACK)).all())


def _proved(name: str, *needed: str) -> dict[str, Any]:
    checks = [check(theorem) for theorem in (name, *needed)]
    return {
        "symbolic": all(verdict.holds for verdict in checks),
        "symbolic_seconds": round(sum(verdict.seconds for verdict in checks), 3),
        "statement": THEOREMS[name].statement,
    }
