"""Gradient descent with a finite step on the neuron, and its effect on c = a^2 - |w|^2.

One step is a, w <- (a, w) - step * gradient.

The flow conserves c. A step does not: it changes c by step^2 (-c (dL/da)^2 / |w|^2 - T^2), where T is the part of
dL/dw orthogonal to w. So a balanced start with a < 0, which never learns in the flow, drifts to c < 0 and finally
learns if w is off the e_1 axis. On the axis, and so in d = 1, T = 0 and the verdict of the flow remains valid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from theory.flow.units import canonical
from theory.losses.formulas import population_gradient, split
from theory.losses.losses import completed
from theory.losses.samples import learned_within
from theory.reprs import short_repr
from theory.validation import Array, finite, neuron, number, positive, together, whole

if TYPE_CHECKING:
    from theory.losses.losses import Loss

LOSS_BELOW = 1e-6  # learned
DESCENT_STATUSES = ("learned", "stationary", "diverged", "max_steps")
SMALL = "pass a small positive number"


@short_repr
@dataclass(frozen=True, eq=False)
class Descent:
    """A run of gradient descent.

    Attributes:
        status: `learned` (the loss came within `learned` of `target_fit_loss`), `stationary` (a step changed no bit, so
            none ever will), `diverged` (an entry would exceed 1e100 in units of the data: its cube may overflow) or
            `max_steps` (none of these within max_steps)
        steps: int, steps taken
        at: int ndarray, shape (m,), the steps whose states follow; the last is `steps`
        a (m,), w (m, d), loss (m,): ndarray
    """

    status: str
    steps: int
    at: np.ndarray
    a: Array
    w: Array
    loss: Array

    @property
    def c(self) -> Array:
        """a^2 - |w|^2, shape (m,): exactly 0 where |a| = |w|."""
        return balance(self.a, self.w)


def balance(a: ArrayLike, w: ArrayLike) -> Array:
    """Return c = a^2 - |w|^2, shape (...), of a (...) and w (..., d), as (|a| - |w|)(|a| + |w|).

    Raises ValueError for NaN, infinity, or shapes that do not match. Source: section 2, the conserved quantity.
    """
    a, w = neuron(*finite(a=a, w=w))
    r = split(w)[2]
    return (abs(a) - r) * (abs(a) + r)


def descend(
    loss: Loss,
    a0: float,
    w0: ArrayLike,
    step: float,
    *,
    max_steps: int = 1_000_000,
    learned: float = LOSS_BELOW,
    at: ArrayLike = (0,),
) -> Descent:
    """Run plain gradient descent from one start.

    The run ends when it has learned, when it diverges, when a step changes nothing, or after `max_steps`.

    Source: this project. In d = 1 the same rounding errors act on a and on w, so that a = -w holds bit for bit at every
    step. With a step below 1 / (largest curvature of the loss on the way) the loss never rises, except where a step
    passes w = 0 from a side that pushes towards it: there the loss has a kink, and its curvature no bound.

    Args:
        loss: a loss of `theory`; Line and Population(d), and starts that stay on a line, run compiled (ten million or
            more steps a second), others in Python; all in units of their data (`theory.flow.units`), so that scale does
            not matter
        a0: float
        w0: array_like, shape (d,)
        step: float above 0, the learning rate
        max_steps: int, at least 1
        learned: float above 0: success is a loss below target_fit_loss + learned for the target relu(x_1); for other
            targets and for data, `learned` is a share of 4 times the loss at a = 0, for a `Sample` of the loss at a = 0
        at: array_like of int, increasing, from 0: steps whose states are kept, in addition to the last one

    Returns:
        Descent

    Raises:
        ValueError: a number out of range, NaN, or a shape that does not match the loss.

    Examples:
        >>> from theory import Population
        >>> run = descend(Population(2), -1.0, [np.cos(0.5), np.sin(0.5)], 1.0)
        >>> run.status, run.steps
        ('learned', 27)
        >>> run = descend(Population(1), -1.0, [1.0], 0.1, max_steps=10_000)  # balanced, d = 1: never
        >>> run.status, run.c.tolist()
        ('max_steps', [0.0, 0.0])
    """
    from theory.losses.samples import Masked

    loss = completed(loss)
    a0, w0 = _start(loss, a0, w0)
    if isinstance(loss, Masked):
        options = {"max_steps": max_steps, "learned": learned, "at": at}
        run = descend(loss.survivors, a0, w0[loss.mask], step, **options)
        return replace(run, w=loss.widen(run.w))
    step = positive("step", step, SMALL)
    learned = positive("learned", learned, SMALL)
    max_steps = whole("max_steps", max_steps, 1)
    at = _increasing(at)
    loss, units = canonical(loss, a0, w0)
    learned = loss.target_fit_loss + learned_within(loss, learned)
    run = _compiled if loss.line(w0) is not None or _is_plain(loss) else _in_python
    start = (a0 / units.size, w0 / units.size, step * units.clock)
    stops = np.append(at, 2**62)
    code, steps, saved, (a, w, losses) = run(loss, *start, max_steps, learned, stops)
    kept = [*at[:saved]] if saved and at[saved - 1] == steps else [*at[:saved], steps]
    m = len(kept)
    kept = np.array(kept, np.int64)
    a = a[:m] * units.size
    w = w[:m] * units.size
    losses = losses[:m] * (units.clock * units.size**2)
    return Descent(DESCENT_STATUSES[code], steps, kept, a, w, losses)


def _start(loss: Loss, a0: float, w0: ArrayLike) -> tuple[float, Array]:
    (w0,) = finite(w0=w0)
    if w0.shape != (loss.d,):
        raise ValueError(f"w0 must have shape ({loss.d},) for a loss of {loss.d} inputs, got {w0.shape}: one start")
    return number("a0", a0), w0


def _increasing(at: ArrayLike) -> np.ndarray:
    steps = finite(at=at)[0].ravel()
    if (steps < 0).any() or (steps % 1 != 0).any() or (np.diff(steps) <= 0).any() or (steps >= 2**53).any():
        raise ValueError(
            f"at must be increasing whole numbers from 0, got {steps.tolist()!r:.60}: sort them, drop repeats"
        )
    return steps.astype(np.int64)


def _is_plain(loss: Loss) -> bool:
    from theory.losses.losses import Population

    return isinstance(loss, Population) and (loss.target, loss.slope) == (1.0, 0.0)


def _compiled(loss, a0, w0, step, max_steps, learned, at):
    """Run the compiled loop in (a, w_1, |w_perp|): the direction of w_perp does not change."""
    from theory.compiled.descent import run

    line = loss.line(w0)
    along, across, _ = split(w0)
    numbers = (0.5, 0.5, 1.0, 0.0) if line is None else tuple(map(float, line.numbers))
    rows = np.empty((len(at), 4))
    code, steps, saved = run((a0, float(along), float(across)), numbers, step, max_steps, learned, at, rows)
    direction = w0[1:] / (across if across > 0 else 1.0)
    rows = rows[: saved + 1]
    w = np.concatenate([rows[:, 1:2], rows[:, 2:3] * direction], axis=1)
    return code, steps, saved, (rows[:, 0], w, rows[:, 3])


def _in_python(loss, a0, w0, step, max_steps, learned, at):
    """Run the same loop in Python, with the methods of the loss itself."""
    from theory.compiled.descent import DIVERGED, LEARNED, MAX_STEPS, STATIONARY, TOO_LARGE

    a = np.float64(a0)
    w = w0
    rows = []
    code = MAX_STEPS
    with np.errstate(over="ignore", invalid="ignore"):
        for taken in range(max_steps + 1):
            value = loss.loss(a, w)
            da, dw = loss.gradient(a, w)
            if taken == at[len(rows)]:
                rows.append((a, w, value))
            next_a, next_w = a - step * da, w - step * dw
            if value < learned:
                code = LEARNED
            elif not (abs(next_a) < TOO_LARGE and (abs(next_w) < TOO_LARGE).all()):
                code = DIVERGED
            elif next_a == a and (next_w == w).all():
                code = STATIONARY
            if code != MAX_STEPS or taken == max_steps:
                break
            a, w = next_a, next_w
    columns = zip(*rows, (a, w, value), strict=True)
    return code, taken, len(rows), tuple(np.array(column) for column in columns)


def step_limit(c: ArrayLike) -> Array:
    """Return the largest stable step 4 / sqrt(4 + c^2) at the minimum of balance c, shape (...).

    The loss is that of the population.

    Gradient descent returns to the minimum a |w| = 1, w on the ray e_1, a^2 - |w|^2 = c, after a small push iff
    its step is below this limit: the largest Hessian eigenvalue there is sqrt(4 + c^2) / 2, in d = 1 as in d > 1. No
    step above 2 is stable anywhere.

    Raises ValueError for NaN or infinity. Source: this project.

    Examples:
        >>> step_limit([0.0, 3.0]).round(4).tolist()
        [2.0, 1.1094]
    """
    (c,) = finite(c=c)
    return 4 / np.hypot(2.0, c)


def balance_change(a: ArrayLike, w: ArrayLike, step: ArrayLike) -> Array:
    """Return the change of c = a^2 - |w|^2 in one step on the population.

    The change is step^2 (-c (dL/da)^2 / r^2 - T^2).

    T = a (pi - theta) sin(theta) / (2 pi) is the gradient orthogonal to w, theta the angle between w and e_1, r = |w|.
    At c >= 0 the change is at most 0.

    Raises ValueError for NaN, infinity, w = 0, or shapes that do not match. Source: this project.

    Args:
        a: array_like, shape (...)
        w: array_like, shape (..., d), not 0
        step: array_like, broadcasts with a

    Examples:
        >>> balance_change(-1.0, [1.0, 0.0], 0.5).item() + 0.0  # balanced, on the ray e_1, as in d = 1
        0.0
        >>> bool(balance_change(-1.0, [0.0, 1.0], 0.5) < 0)
        True
    """
    a, w = neuron(*finite(a=a, w=w))
    a, step = together(a, *finite(step=step), names=("a", "step"))
    along, across, r = split(w)
    if (r == 0).any():
        raise ValueError("w must not be 0, got a zero vector: there the gradient is 0 and no step changes anything")
    slope = population_gradient(a, w)[0] / r
    turn = a * np.arctan2(across, -along) * (across / r) / (2 * np.pi)
    return step**2 * (-balance(a, w) * slope**2 - turn**2)
