"""How exact is what calls itself exact: `closed_form` against mpmath, `limit` against rational arithmetic.

`make bench` prints the worst cases of many starts; the tests run a few hundred.
"""

from __future__ import annotations

from fractions import Fraction

import mpmath as mp
import numpy as np

from theory.exact.closed_form import closed_form
from theory.exact.limits import BAND, FAILS, LEARNS, SEPARATRIX, verdicts

DIGITS = 340  # c = (a - w)(a + w) of 1e150 and 1e-75 needs 225 of them
BOUND, FLOOR = 1e-13, 1e-150  # error allowed: BOUND max(|a|, |w|) + FLOOR
NEAR = 1e-3  # starts nearer to the separatrix than this share of |w0| are measured against their condition number


# --- the closed form, d = 1


def textbook(a0: float, w0: float, t: float) -> tuple[mp.mpf, mp.mpf]:
    """Return the solution for C+ = C- = 1/2 in its textbook form, in the digits that mpmath is set to."""
    a0, w0, t = mp.mpf(a0), mp.mpf(w0), mp.mpf(t)
    c = a0**2 - w0**2
    if w0 == 0:
        return a0, w0
    if w0 < 0:
        g = -mp.expm1(-c * t) / c if c else t
        return mp.sign(a0) * abs(a0) / mp.sqrt(1 + w0**2 * g), w0 * mp.exp(-c * t / 2) / mp.sqrt(1 + w0**2 * g)
    A, B, D = a0 + w0, a0 - w0, mp.sqrt(4 + c**2)
    S, e = 2 + D, mp.exp(-D * t / 2)
    if A == 0:
        v = mp.sqrt(a0**2 * e / (1 + a0**2 * (1 - e)))
        return mp.sign(a0) * v, v
    z = (S * (S + B**2) - B**2 * (S - A**2) * e) / (A**2 * (S + B**2) + S * (S - A**2) * e)
    if A < 0 and z >= B / A:
        return -mp.sqrt(c), mp.mpf(0)
    return (A * mp.sqrt(z) + B / mp.sqrt(z)) / 2, (A * mp.sqrt(z) - B / mp.sqrt(z)) / 2


def random_starts(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (n, 3) rows a0, w0, t: sizes from 1e-75 to 1e75, every quadrant and balance, t from 0 to 1e6."""
    start = 10 ** rng.uniform(-75, 75, size=(n, 2)) * rng.choice([-1.0, 1.0], size=(n, 2))
    kind = rng.integers(0, 8, size=n)
    start[kind == 1, 0] = np.copysign(start[kind == 1, 1], start[kind == 1, 0])  # balanced
    middle = kind >= 5
    start[middle] = rng.normal(size=(middle.sum(), 2)) * 10 ** rng.uniform(-2, 2, size=(middle.sum(), 1))
    start[kind == 6] = [-1.0, 1.0] * abs(start[kind == 6])  # towards w = 0, where |a0| > w0
    time = np.where(rng.random(n) < 0.05, 0.0, 10 ** rng.uniform(-6, 6, size=n))
    hits = kind == 6
    time[hits] = 10 ** rng.uniform(-3, 2, size=hits.sum()) / np.maximum(1, start[hits, 0] ** 2)
    slow = kind == 2  # on the separatrix itself, where exp(-t / 2) has the last word
    start[slow] = np.array([-1.0, 1.0]) * 10 ** rng.uniform(-2, 2, size=(slow.sum(), 1))
    time[slow] = rng.uniform(0, 600, size=slow.sum())
    return np.column_stack([start, time])


def near_separatrix(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return (n, 3) rows with a0 = -w0 (1 + gap), gaps from one unit in the last place to 1e-3, on either side."""
    w0 = 10 ** rng.uniform(-3, 3, size=n)
    gap = np.maximum(10 ** rng.uniform(-16, -3, size=n), np.finfo(float).eps) * rng.choice([-1, 1], size=n)
    return np.column_stack([-w0 * (1 + gap), w0, 10 ** rng.uniform(-2, 3, size=n)])


def error(row: np.ndarray) -> tuple[mp.mpf, mp.mpf]:
    """Return (largest error of a and w, what is allowed) for one start and time."""
    found = [float(part) for part in closed_form(*row)]
    want = textbook(*row)
    return max(abs(w - mp.mpf(f)) for w, f in zip(want, found, strict=True)), allowed(want)


def allowed(want: tuple[mp.mpf, mp.mpf]) -> mp.mpf:
    """Return BOUND max(|a|, |w|) + FLOOR."""
    return mp.mpf(BOUND) * max(map(abs, want)) + mp.mpf(FLOOR)


def conditioned(row: np.ndarray) -> float:
    """Return the error as a share of what is allowed times the condition number.

    The condition number is how much more than BOUND the solution moves, in mpmath, when one input moves by one unit in
    its last place (at least 1).
    """
    wrong, most = error(row)
    want, moved = textbook(*row), mp.mpf(0)
    for place in range(3):
        for towards in (-np.inf, np.inf):
            other = row.copy()
            other[place] = np.nextafter(row[place], towards)
            moved = max(moved, *(abs(x - y) for x, y in zip(textbook(*other), want, strict=True)))
    return float(wrong / (most + moved))


def worst_closed_form(rng: np.random.Generator, n: int) -> dict[str, tuple[float, np.ndarray]]:
    """Return, for each kind of start, (worst error as a share of what is allowed, the start and time)."""
    with mp.workdps(DIGITS):
        far = [row for row in random_starts(rng, n) if not 0 < abs(row[0] + row[1]) < NEAR * abs(row[1])]
        shares = [float(wrong / most) for wrong, most in map(error, far)]
        near = near_separatrix(rng, n // 4)
        conditions = [conditioned(row) for row in near]
    return {
        "random starts": (max(shares), far[int(np.argmax(shares))]),
        "near the separatrix, times the condition number": (max(conditions), near[int(np.argmax(conditions))]),
    }


# --- verdicts


def exact_verdict(a0: float, w0: np.ndarray) -> int:
    """Return the verdict by rational arithmetic alone: the rule and the band of `theory.verdicts`, without rounding."""
    a, w = Fraction(float(a0)), [Fraction(float(x)) for x in w0]
    square, across = sum(x * x for x in w), any(w[1:])
    if square == 0 or (not across and w[0] < 0):
        return FAILS
    if a >= 0:
        return LEARNS
    band = Fraction(BAND)
    if a * a > square * (1 + band) ** 2:
        return FAILS
    if a * a < square * (1 - band) ** 2:
        return LEARNS
    return SEPARATRIX if len(w) == 1 else FAILS


def adversarial_starts(rng: np.random.Generator, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a0 (n,), w0 (n, d): random, balanced, inside and outside the band, on the axis, on the ray, at 0."""
    w0 = rng.normal(size=(n, d)) * 10 ** rng.uniform(-70, 70, size=(n, 1))
    a0 = rng.normal(size=n) * np.hypot.reduce(w0, axis=1)
    kind = rng.integers(0, 10, size=n)
    w0[kind == 1, 1:] = 0.0  # the axis, both rays
    w0[kind == 2] = -abs(w0[kind == 2, :1]) * np.eye(1, d)
    w0[kind == 3] = 0.0
    a0[kind == 4] = 0.0
    r = np.hypot.reduce(w0, axis=1)
    a0 = np.where(kind == 5, -r, a0)  # balanced, up to rounding
    a0 = np.where(kind == 6, r, a0)
    a0 = np.where(kind == 7, -r * (1 + rng.choice([-1, 1], size=n) * 0.9e-12), a0)  # just inside the band
    a0 = np.where(kind == 8, -r * (1 + rng.choice([-1, 1], size=n) * 1.1e-12), a0)  # just outside
    return np.where(kind == 9, -r * (1 + rng.choice([-1, 1], size=n) * 10 ** rng.uniform(-11, -1, size=n)), a0), w0


def wrong_verdicts(rng: np.random.Generator, n: int) -> int:
    """Return how many of n starts, shared among d = 1, 2, 3 and 10, get another verdict than by rational arithmetic."""
    wrong = 0
    for d in (1, 2, 3, 10):
        a0, w0 = adversarial_starts(rng, n // 4, d)
        exact = np.array([exact_verdict(a, w) for a, w in zip(a0, w0, strict=True)])
        wrong += int((verdicts(a0, w0) != exact).sum())
    return wrong
