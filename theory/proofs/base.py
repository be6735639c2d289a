"""The parts of a theorem, and how sympy decides its steps.

Identities are decided by canonical forms, signs by assumptions on the symbols.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
import sympy as sp

from theory.proofs.symbols import TANGENT, THETA

PAPER = "paper, summary"
READING = "our reading"
OURS = "ours"

Steps = dict[str, bool]  # for each step, whether it holds
Claim = SimpleNamespace  # the constants and hypotheses of a statement, which its checks read


@dataclass(frozen=True)
class Mutant:
    """A false variant of a theorem: some entries of its claim are altered, and nothing else.

    Attributes:
        change: the alteration, in words
        claim: the altered entries
        symbolic: whether the symbolic check can detect the change; then it must reject the mutant
        numeric: whether the numeric check can
    """

    change: str
    claim: Mapping[str, Any]
    symbolic: bool = True
    numeric: bool = True


@dataclass(frozen=True)
class Theorem:
    """A statement with its evidence.

    The checks read the constants and hypotheses from `claim`, so they cannot distinguish a theorem from a mutant.

    Attributes:
        derive: claim -> steps, decided by sympy from the losses in `theory.proofs.symbols`
        observe: Generator -> numbers that do not depend on the claim
        compare: (those numbers, claim) -> steps, whether the claim fits them
        mutants: name -> Mutant
        cited: results that the derivation uses and sympy does not decide
    """

    name: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    claim: Mapping[str, Any]
    derive: Callable[[Claim], Steps]
    observe: Callable[[np.random.Generator], Any]
    compare: Callable[[Any, Claim], Steps]
    mutants: Mapping[str, Mutant]
    cited: tuple[str, ...] = field(default=())

    def __post_init__(self):
        """Raise ValueError for a mutant that alters nothing, or an entry that the claim does not have."""
        for name, mutant in self.mutants.items():
            unknown = set(mutant.claim) - set(self.claim)
            if unknown or not mutant.claim or not (mutant.symbolic or mutant.numeric):
                raise ValueError(
                    f"mutant {name!r} of {self.name} must alter entries of {sorted(self.claim)} that a check can see, "
                    f"got {sorted(mutant.claim)}"
                )

    def symbolic(self, mutant: str | None = None) -> Steps:
        """Return which steps sympy decides to hold for the claim, or for a mutant's claim."""
        return self.derive(self._claimed(mutant))

    def numeric(self, seen: Any, mutant: str | None = None) -> Steps:
        """Return which steps of the claim, or of a mutant's, agree with what `observe` has returned."""
        return self.compare(seen, self._claimed(mutant))

    def _claimed(self, mutant: str | None) -> Claim:
        return SimpleNamespace(**{**self.claim, **(self.mutants[mutant].claim if mutant else {})})


def vanishes(expression: sp.Expr, *relations: tuple[sp.Expr, sp.Symbol]) -> bool:
    """Return whether a rational expression is 0 modulo relations (polynomial, generator).

    The canonical numerator decides.

    Examples:
        >>> x, s, c = sp.symbols("x s c")
        >>> circle = (s**2 + c**2 - 1, s)
        >>> vanishes((x + 1) ** 2 - x**2 - 2 * x - 1), vanishes(s**2 + c**2 - 1), vanishes(s**2 + c**2 - 1, circle)
        (True, False, True)
    """
    numerator = sp.expand(sp.fraction(sp.together(expression))[0])
    for relation, generator in relations:
        numerator = sp.expand(sp.rem(numerator, relation, generator))
    return numerator == 0


def positive(expression: sp.Expr) -> bool:
    """Return whether the assumptions on the symbols alone make an expression positive.

    False where they do not decide it.
    """
    return sp.factor(sp.together(expression)).is_positive is True


def nonnegative(expression: sp.Expr) -> bool:
    """Return whether the assumptions alone make an expression at least 0; False where they do not decide."""
    return sp.factor(sp.together(expression)).is_nonnegative is True


def by_half_angle(expression: sp.Expr) -> sp.Expr:
    """Write an expression in theta in (0, pi) in h = tan(theta / 2) > 0, so that signs can be decided.

    Examples:
        >>> positive(sp.sin(THETA) * (sp.pi - THETA)), positive(by_half_angle(sp.sin(THETA) * (sp.pi - THETA)))
        (False, True)
    """
    h = TANGENT
    values = {
        sp.sin(THETA): 2 * h / (1 + h**2),
        sp.cos(THETA): (1 - h**2) / (1 + h**2),
        THETA: sp.pi - 2 * sp.atan(1 / h),
    }
    return sp.expand(expression).subs(values, simultaneous=True)


def every(steps: Steps) -> bool:
    """Return whether there are steps and all of them hold."""
    return bool(steps) and all(steps.values())
