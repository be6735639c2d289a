"""The kinks of a finite sample, and how the flow continues on them.

A row x_i of the sample bends the loss where w.x_i = 0. Rows that share this hyperplane (repeated or collinear ones) are
one kink, and a row of zeros has none. With z = w.n for the unit normal n of a kink, its rows push by

    F_k = (pull - a square z) n,        one pair (pull, square) for z <= 0 and one for z > 0,

and the flow is a' = w.F, w' = a F with F the sum over the kinks. On a kink z = 0, so that its two sides differ by
(pull_on - pull_off) n = jump n. Where sign(a) jump < 0 both sides may push towards it: the loss is convex across it,
and the flow takes the force of least norm among pull_off + theta jump, 0 <= theta <= 1, for all such kinks together.
Where sign(a) jump > 0 both sides may push away: the flow stays on the side that it came from, and a start exactly on
the kink on z <= 0. A slide ends where theta reaches 0 or 1, and where a passes 0: there every push changes its sign,
and the flow leaves to z > 0 where theta > 1/2, which is the limit of gradient descent as its steps tend to 0.

Source: Filippov's solution, which for a gradient flow is the element of least norm of Clarke's subdifferential; the
joint rule is defined by this project. `theory.compiled.activation_pattern` has the same rule, compiled.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import lsq_linear

from theory.validation import Array

ONE = 1e-12  # unit normals that differ by no more are one: rows are rounded
SAME = 1e-8  # those that differ by no more are one kink: w is not located between them (to 1e-9 in a batch)
NEIGHBOURS = 1e-6  # kinks whose normals differ by no more are neighbours
ON_THE_KINK = 1e-12  # |w.n| below this share of |w| is on the kink: w has been landed there, up to rounding
QUIET = 1e-11  # a push below this share of the forces that cancel in it is rounding, and switches no kink
# A push below this share of these forces, and of the force beyond the kink, may be an error of the solver: it would
# move a w that only tends to the kink through it, if the force beyond pushes w away.
FAINT = 1e-6
AT_BOUND = 1e-12  # by how much rounding moves theta
# Kinks that are nearly one, as of rows that differ by rounding: w is put on both only if it need not move by more than
# this share of |w|.
MOVED = 1e-6


@dataclass(frozen=True, eq=False)
class Kinks:
    """The kinks of a sample of d inputs, K of them.

    Attributes:
        normal: ndarray, shape (K, d), of length 1
        pull: ndarray, shape (2, K): on the sides z <= 0 and z > 0, the mean over all rows of the sample of phi' y (x.n)
        square: ndarray, shape (2, K): the same of (phi' x.n)^2
        split: ndarray, shape (2, K): of a kink in which several were joined that are not one up to rounding, and of its
            neighbours, the sums of all their jumps above 0 and of the sizes of those below 0; 0 for other kinks
    """

    normal: Array
    pull: Array
    square: Array
    split: Array

    @classmethod
    def of(cls, x: Array, y: Array, slope: float) -> Kinks:
        """Return the kinks of rows x, shape (n, d), with targets y (n,); slope is that of phi at z < 0."""
        scale = np.abs(x).max(axis=1)
        rows = scale > 0
        unit = x[rows] / scale[rows, None]
        length = np.sqrt(np.einsum("ij,ij->i", unit, unit))
        unit = unit / length[:, None]
        length = scale[rows] * length
        which, sign, first = _joined(unit, SAME)
        positive = np.where(sign > 0, 1.0, slope), np.where(sign > 0, slope, 1.0)  # phi' of each row for z > 0, z <= 0
        pull, square = np.zeros((2, len(first))), np.zeros((2, len(first)))
        for side, factor in ((1, positive[0]), (0, positive[1])):
            np.add.at(pull[side], which, factor * y[rows] * (sign * length) / len(x))
            np.add.at(square[side], which, (factor * length) ** 2 / len(x))
        split = np.zeros((2, len(first)))
        if len(first) < len(unit):
            finest, _, alone = _joined(unit, ONE)
            of = which[alone]  # the kink of each that is one up to rounding
            if len(of) > len(first):
                jump = (1 - slope) * y[rows] * length / len(x)  # the same for both signs of a normal
                split = _sums(np.bincount(finest, jump), of, unit[first])
        return cls(unit[first], pull, square, split)

    @property
    def jump(self) -> Array:
        """By how much the pull of the side z > 0 exceeds the other one's, shape (K,)."""
        return self.pull[1] - self.pull[0]

    @property
    def most(self) -> float:
        """The sum of all pulls, each on the side where it is larger."""
        return float(np.abs(self.pull).max(axis=0).sum())

    @property
    def fit(self) -> float:
        """The size of a |w| that fits the data, up to a factor: an a |w| far below it is near w = 0."""
        square = float(self.square.max(axis=0).sum())
        return self.most / square if square > 0 else 0.0

    def near_zero(self, a: float) -> float:
        """The scale of |w|, the smaller of |a| and of what fits the data: a |w| far below it is next to 0."""
        return min(abs(a), self.fit / abs(a)) if a and self.fit else abs(a)

    @cached_property
    def joins(self) -> bool:
        """Whether a kink holds several that are not one up to rounding."""
        return bool(self.split.any())

    def hides(self, sign: float, force: Array, w: Array, on: NDArray[np.bool_], sliding: tuple[int, ...]) -> bool:
        """Return whether w could be held between joined kinks, next to which it lies and which it leaves.

        Between them a part of their jumps may turn the push round by which w leaves. Where all of them together hold w,
        it does not matter where between them it is. `force` is F, shape (d,).
        """
        if not self.joins or not sign:
            return False
        z = self.normal @ w
        held = self.split[0 if sign > 0 else 1]
        beside = (held > 0) & (np.abs(z) <= 2 * SAME * np.hypot.reduce(w))
        beside[list(sliding)] = False
        outwards = np.where(on, sign, -sign) * (self.normal @ force)
        return bool((beside & (outwards <= (1 + FAINT) * held)).any())

    def force(self, a: float, w: Array, on: NDArray[np.bool_]) -> Array:
        """Return F, shape (d,), with each kink on its side in `on`, shape (K,)."""
        side = on.astype(int)
        every = np.arange(len(on))
        return (self.pull[side, every] - a * self.square[side, every] * (self.normal @ w)) @ self.normal

    def cancelling(self, a: float, w: Array, on: NDArray[np.bool_]) -> float:
        """Return the sum of the sizes of the parts of F.

        Where the parts cancel, F is known up to the rounding of this sum.
        """
        side = on.astype(int)
        every = np.arange(len(on))
        return float((np.abs(self.pull[side, every]) + np.abs(a * self.square[side, every] * (self.normal @ w))).sum())

    def near(self, w: Array) -> NDArray[np.intp]:
        """Return the kinks on which w lies, up to rounding."""
        return np.flatnonzero(np.abs(self.normal @ w) <= ON_THE_KINK * np.hypot.reduce(w))

    def decided(
        self, sign: float, a: float, w: Array, on: NDArray[np.bool_], near: NDArray[np.intp]
    ) -> tuple[NDArray[np.bool_], tuple[int, ...], bool]:
        """Return how the flow continues from w on the kinks `near`: (sides, kinks that slide, in doubt).

        A kink is in doubt that pushes away on both sides, and is passed because of a push that may be an error.

        Args:
            sign: of a, or of what a becomes next where a = 0
            a: the outer weight
            w: the inner weights, shape (d,)
            on: side of each kink; for those of `near` the side that the flow came from, or, if a slide ends, goes to
            near: the kinks on which w lies
        """
        on = on.copy()
        hold = near[sign * self.jump[near] < 0]
        repel = near[sign * self.jump[near] >= 0]
        size = self.cancelling(a, w, on)
        doubtful = False
        quiet = QUIET * size
        for _ in range(2 * len(repel) + 1):
            on[hold] = False
            force = self.force(a, w, on)
            theta = self._least(force, hold)
            slides = (theta > 0) & (theta < 1)
            push = sign * (self.normal[repel] @ (force + (theta * self.jump[hold]) @ self.normal[hold]))
            wrong = (push > quiet) & ~on[repel] | (push < -quiet) & on[repel]
            if not wrong.any():
                break
            turned = repel[int(np.where(wrong, np.abs(push), -1.0).argmax())]
            jump = sign * self.jump[turned]
            weak = np.abs(push).max(where=wrong, initial=0.0)
            doubtful |= bool(jump > 0 and weak <= FAINT * max(size, jump))
            on[turned] = not on[turned]
        theta, slides = self._independent(w, hold, *self._inside(hold, theta, force))
        on[hold] = theta > 0.5
        return on, tuple(hold[slides].tolist()), doubtful

    def _least(self, force: Array, hold: NDArray[np.intp]) -> Array:
        """Return theta of the kinks `hold` for which |force + sum theta jump n| is least."""
        if len(hold) == 0:
            return np.zeros(0)
        if len(hold) == 1:
            return np.clip(-(self.normal[hold] @ force) / self.jump[hold], 0.0, 1.0)
        pushes = self.normal[hold].T * self.jump[hold]
        size = np.abs(pushes).max()
        return lsq_linear(pushes / size, -force / size, bounds=(0.0, 1.0), method="bvls", tol=1e-15).x

    def _inside(self, hold: NDArray[np.intp], theta: Array, force: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Return theta, and which kinks slide.

        Kinks slide whose theta lie between 0 and 1 where only the sliding kinks decide them.
        """
        slides = (theta > 0) & (theta < 1)
        theta = theta.copy()
        while slides.sum() > 0 and len(hold) > 1:
            pushes = (self.normal[hold] * self.jump[hold, None]).T
            alone = -np.linalg.pinv(pushes[:, slides]) @ (force + pushes[:, ~slides] @ theta[~slides])
            outside = np.maximum(-alone, alone - 1)
            worst = int(outside.argmax())
            if outside[worst] <= AT_BOUND:
                break
            let_go = np.flatnonzero(slides)[worst]
            theta[let_go] = float(alone[worst] > 0.5)
            slides[let_go] = False
        return theta, slides

    def _close(self, w: Array, kinks: NDArray[np.intp]) -> bool:
        """Return whether kinks are far from parallel, or w is put on them by a small step."""
        _, values, turns = np.linalg.svd(self.normal[kinks], full_matrices=False)
        return bool(values[-1] > MOVED or abs(turns[-1] @ w) <= MOVED * np.hypot.reduce(w))

    def _independent(
        self, w: Array, hold: NDArray[np.intp], theta: Array, slides: NDArray[np.bool_]
    ) -> tuple[Array, NDArray[np.bool_]]:
        """Return theta, and which kinks slide, such that the normals of the sliding kinks are independent.

        Sliding on these kinks implies that w stays on the others, or beside those that are nearly parallel to them.
        """
        theta = theta.copy()
        slides = slides.copy()
        while slides.sum() > 1:
            pushes = (self.normal[hold[slides]] * self.jump[hold[slides], None]).T
            _, values, turns = np.linalg.svd(pushes)
            rank = int((values > 1e-10 * values[0]).sum())
            if rank == slides.sum() and self._close(w, hold[slides]):
                break
            free = turns[-1]  # theta may move along it without a change of the force
            here = theta[slides]
            with np.errstate(divide="ignore", invalid="ignore"):
                steps = np.where(free > 0, (1 - here) / free, np.where(free < 0, -here / free, np.inf))
            theta[slides] = np.clip(here + steps.min() * free, 0.0, 1.0)
            let_go = np.flatnonzero(slides)[int(steps.argmin())]
            theta[let_go] = round(float(theta[let_go]))
            slides[let_go] = False
        return theta, slides


def _joined(unit: Array, same: float) -> tuple[NDArray[np.intp], Array, NDArray[np.intp]]:
    """Return the kink of each unit vector, its sign there, and the first vector of each kink.

    The vectors of a kink differ from its first one by at most `same`.
    """
    key = np.abs(unit) @ np.sqrt(np.arange(2.0, unit.shape[1] + 2))  # vectors that agree up to sign share it
    order = np.argsort(key, kind="stable")
    which = np.full(len(unit), -1, np.intp)
    first = []
    starts = np.flatnonzero(np.diff(key[order], prepend=-np.inf) > 100 * same)
    if len(starts) == len(unit):  # no two are alike, as nearly always: the loop below takes long, and would return this
        return np.arange(len(unit)), np.ones(len(unit)), np.arange(len(unit))
    for block in np.split(order, starts[1:]):  # blocks of candidates, nearly always of one vector
        for i in block.tolist():
            for kink in {int(which[j]) for j in block.tolist()} - {-1}:
                other = unit[first[kink]]
                if min(np.abs(unit[i] - other).max(), np.abs(unit[i] + other).max()) <= same:
                    which[i] = kink
                    break
            else:
                which[i] = len(first)
                first.append(i)
    first = np.array(first, np.intp)
    # kinks in the order of their first rows, so that the sums have one order
    rank = np.argsort(np.argsort(first, kind="stable"), kind="stable")
    which = rank[which]
    first = np.sort(first)
    return which, np.sign(np.einsum("ij,ij->i", unit, unit[first][which])), first


def _sums(jumps: np.ndarray, of: NDArray[np.intp], normal: Array) -> Array:
    """Return `split` of `Kinks`, shape (2, K).

    `jumps` are those of the kinks before they were joined, shape (k,), and `of` says in which of K each was joined.
    """
    group = _joined(normal, NEIGHBOURS)[0]  # what was joined was moved, perhaps to the other side of its neighbours
    joined = np.bincount(of, minlength=len(normal)) > 1
    sums = np.zeros((2, group.max() + 1))
    np.add.at(sums, (np.where(jumps > 0, 0, 1), group[of]), np.abs(jumps))
    return np.where(np.isin(group, group[joined]), sums[:, group], 0.0)


OUTCOMES = ("grows", "dies", "differs")  # the word of each code of `theory.compiled.zero`


def leave_zero(kinks: Kinks, sign: float, u: Array) -> tuple[str, Array]:
    """Return how the flow leaves w = 0 when it arrives there along u.

    Returns (`grows`, the direction in which w grows), or (`dies`, ...) where every neighbouring region of u leads back
    to 0 or to where nothing moves w, or (`differs`, ...) where they lead to different ends. Source: the limit of
    gradient descent, derived by this project.

    Args:
        kinks: of the sample
        sign: of a, 1 or -1
        u: ndarray, shape (d,), of length 1
    """
    from theory.compiled.zero import leave

    parts = kinks.normal, kinks.normal.T, kinks.pull, kinks.square, kinks.split
    data = tuple(np.require(part, float, ["C", "W"]) for part in parts)
    end = np.zeros(len(u))
    return OUTCOMES[leave(float(sign), np.require(u, float, ["C", "W"]), data, end)], end
