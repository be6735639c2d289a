"""Random samples through every way to follow the flow: they must agree, or say that they cannot know.

`integrate` (each method of scipy), `integrate_batch`, and, where these disagree, gradient descent with its step halved.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Sequence

import numpy as np
from numba import njit

import theory
from theory.flow.batch import STATUSES
from theory.flow.integrate import DOUBTFUL_NOTE, METHODS

TIMES = np.array([0.5, 3.0, 60.0])
AGREE = 1e-6  # losses that differ by less, as a share of the larger of those at the start and at a = 0, are one
FINER = (1e-10, 1e-11)  # tolerances with which a disagreement of solvers must vanish
STEPS = (2e-3, 1e-3, 5e-4)  # of descent
KINDS = ("normal", "a row of zeros", "a repeated row", "collinear rows", "a lattice", "balanced")
MORE = ("integers", "one-hot rows", "opposite rows", "on kinks", "a push to 0")  # drawn for seeds from 100,000 on


@dataclasses.dataclass(frozen=True, eq=False)
class Drawn:
    """A random sample and start."""

    kind: str
    sample: theory.Sample
    a0: float
    w0: np.ndarray

    @property
    def size(self) -> float:
        """What losses are compared with; below the last one there is nothing but rounding of a w.x that is 0."""
        outputs = abs(self.a0) * (np.abs(self.sample.x) @ np.abs(self.w0))
        start, at_0 = self.sample.loss(self.a0, self.w0), self.sample.loss(0.0, np.zeros(self.sample.d))
        return max(float(start), float(at_0), float(np.finfo(float).eps * outputs.max(initial=0.0)) ** 2 / AGREE)


def drawn(seed: int) -> Drawn:
    """Return a sample of 1 to 50 rows and 1 to 10 inputs, clean or noisy, of each kind in turn."""
    if seed >= 100_000:
        return _singular(seed)
    rng = np.random.default_rng([seed, 13])
    kind, d, n = KINDS[seed % len(KINDS)], int(rng.integers(1, 11)), int(rng.integers(1, 51))
    x = rng.normal(size=(n, d))
    y = np.maximum(x[:, 0], 0) + rng.choice([0.0, 0.3, 1.0]) * rng.normal(size=n)
    a0, w0 = rng.normal(), rng.normal(size=d) / np.sqrt(d)
    if kind == "a row of zeros":
        x[rng.integers(n)] = 0
    elif kind == "a repeated row":
        x[-1] = x[0]
    elif kind == "collinear rows":
        x[-1], x[n // 2] = -0.7 * x[0], 2.3 * x[0]
    elif kind == "a lattice":
        x = np.round(2 * x) / 2
    elif kind == "balanced":
        a0 = np.copysign(np.hypot.reduce(w0), a0)
    return Drawn(kind, theory.Sample(x, y), float(a0), w0)


def _singular(seed: int) -> Drawn:
    """Return a small sample whose kinks, starts or pushes meet exactly."""
    rng = np.random.default_rng([seed, 14])
    kind, d, n = MORE[seed % len(MORE)], int(rng.integers(1, 6)), int(rng.integers(1, 11))
    x = rng.normal(size=(n, d))
    y = np.maximum(x[:, 0], 0) + rng.choice([0.0, 0.5]) * rng.normal(size=n)
    a0, w0 = rng.normal(), rng.normal(size=d)
    if kind == "integers":
        x, y, a0 = rng.integers(-2, 3, size=(n, d)) * 1.0, rng.integers(-2, 3, size=n) * 1.0, rng.integers(-4, 5) / 2
        w0 = rng.integers(-2, 3, size=d) / 2
    elif kind == "one-hot rows":
        x = np.eye(d)[rng.integers(d, size=n)] * rng.choice([-1.0, 1.0], size=(n, 1))
    elif kind == "opposite rows":
        x[n // 2 :] = -x[: n - n // 2]
    elif kind == "on kinks" and d > 2:
        normals = np.linalg.qr(x[:2].T)[0]
        w0 = w0 - normals @ (normals.T @ w0)
    elif kind == "a push to 0":
        y, a0 = np.maximum(x[:, 0], 0), -abs(a0) - (1.0 + rng.random()) * np.hypot.reduce(w0) * rng.integers(2)
    return Drawn(kind, theory.Sample(x, y), float(a0), w0)


def followed(one: Drawn, method: str, rtol: float = 1e-9) -> tuple[str, np.ndarray]:
    """Return (status, losses at the times) by `integrate`; a dead neuron keeps its last loss."""
    run = theory.integrate(one.sample, one.a0, one.w0, TIMES, method=method, rtol=rtol, max_evaluations=500_000)
    losses = np.full(len(TIMES), run.loss[-1] if run.status == "dead" else np.nan)
    kept = np.isin(TIMES, run.t)
    losses[kept] = run.loss[np.isin(run.t, TIMES)]
    return "doubtful" if DOUBTFUL_NOTE in run.message else run.status, losses


def batched(one: Drawn) -> tuple[str, np.ndarray]:
    """Return (status, losses at the times) by `integrate_batch`."""
    run = theory.integrate_batch(one.sample, [one.a0], [one.w0], TIMES)
    return STATUSES[run.status[0]], run.loss[0]


def agree(one: Drawn, *losses: np.ndarray) -> bool:
    """Say whether losses, those of the first at least, are one up to the tolerance."""
    return all(bool((abs(other - losses[0]) <= AGREE * one.size).all()) for other in losses[1:])


def compared(seed: int, methods: Sequence[str] = METHODS) -> str:
    """Return `agree`, `undecided` (all say so), `shrinks` with rtol, or what is at fault."""
    one = drawn(seed)
    batch = batched(one)
    runs = {method: followed(one, method) for method in methods}
    failed = [method for method, (status, _) in runs.items() if status == "failed"] + ["batch"] * (batch[0] == "failed")
    if failed:
        return f"failed: {failed}"
    statuses = {status for status, _ in runs.values()} | {batch[0]}
    if statuses == {"undecided"} or "doubtful" in statuses:
        return "undecided"
    if agree(one, batch[1], *(losses for _, losses in runs.values())):
        return "agree"
    finer = [followed(one, method, rtol) for method in methods for rtol in FINER[-1:]]
    if agree(one, batch[1], *(losses for _, losses in finer)):
        return "shrinks"
    found = {"batch": batch, **runs}
    words = ", ".join(f"{name} {status} {losses[-1]:.9g}" for name, (status, losses) in found.items())
    return f"disagree: {words}; descent {[float(f'{descended(one, step):.9g}') for step in STEPS]}"


def disagreements(seeds: Iterable[int], methods: Sequence[str] = METHODS) -> tuple[Counter, list[str]]:
    """Return how often each outcome was met, and the faults, each with its seed."""
    found, faults = Counter(), []
    for seed in seeds:
        outcome = compared(seed, methods)
        found[outcome if outcome in ("agree", "undecided", "shrinks") else "faults"] += 1
        faults += [f"seed {seed}: {outcome}"] if outcome not in ("agree", "undecided", "shrinks") else []
    return found, faults


def descended(one: Drawn, step: float) -> float:
    """Return the loss of gradient descent at the last time."""
    steps = round(TIMES[-1] / step)
    a, w = _descend(one.sample.x, one.sample.y, one.a0, one.w0, TIMES[-1] / steps, steps)
    return float(one.sample.loss(a, w))


@njit
def _descend(x, y, a, w, step, steps):
    n, d = x.shape
    w, force = w.copy(), np.empty(d)
    for _ in range(steps):
        force[:] = 0.0
        for i in range(n):
            z = 0.0
            for j in range(d):
                z += x[i, j] * w[j]
            if z > 0:
                for j in range(d):
                    force[j] += (y[i] - a * z) * x[i, j] / n
        radial = 0.0
        for j in range(d):
            radial += force[j] * w[j]
            w[j] += step * a * force[j]
        a += step * radial
    return a, w
