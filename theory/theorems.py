"""The theorems: `check` decides each by algebra and by numbers, and refutes its mutants.

`THEOREMS` lists them.

A mutant drops a hypothesis or changes a constant. A check that accepts a mutant proves nothing, so `check` requires
that each check rejects every mutant that it can detect. Statements and checks are in `theory.proofs.*`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from theory.proofs import (
    basin,
    closed_form,
    descent,
    equilibria,
    line,
    population,
    probability,
    pruning,
    sample,
)
from theory.proofs.base import OURS, PAPER, READING, Mutant, Theorem, every
from theory.reprs import short_repr
from theory.validation import known, whole

__all__ = ["OURS", "PAPER", "READING", "THEOREMS", "Mutant", "Theorem", "Verdict", "check", "check_table"]


@short_repr
@dataclass(frozen=True)
class Verdict:
    """The result of `check`.

    Attributes:
        holds: bool, symbolic and numeric and mutants_fail
        symbolic: bool, whether every step of the symbolic check holds
        numeric: bool, whether every step of the numeric check holds
        mutants_fail: bool, whether each check rejects every mutant that it can detect
        seconds: float, wall-clock
        message: what failed; or how many steps hold, how many mutants fail, and which results are cited, not decided
    """

    holds: bool
    symbolic: bool
    numeric: bool
    mutants_fail: bool
    seconds: float
    message: str


def check(name: str, seed: int = 0) -> Verdict:
    """Check one theorem symbolically and numerically, and refute its mutants.

    Args:
        name: a name in `THEOREMS`
        seed: int, at least 0, of the numeric check

    Returns:
        Verdict

    Raises:
        ValueError: an unknown name (the message lists the known ones), or a seed that is no whole number or is below 0.

    Examples:
        >>> verdict = check("equilibria-1d")
        >>> verdict.holds, verdict.message
        (True, '8 symbolic and 4 numeric steps hold; 3 mutants fail')
    """
    known("theorem", name, tuple(THEOREMS))
    theorem = THEOREMS[name]
    start = time.perf_counter()
    seen = theorem.observe(np.random.default_rng(whole("seed", seed, 0)))
    steps = {"symbolic": theorem.symbolic(), "numeric": theorem.numeric(seen)}
    accepted = {mutant: _accepting(theorem, mutant, seen) for mutant in theorem.mutants}
    wrong = [f"{kind} check: not {step!r}" for kind in steps for step, held in steps[kind].items() if not held]
    wrong += [f"{kind} check: no steps" for kind in steps if not steps[kind]]
    wrong += [f"mutant not refuted: {mutant} ({kind})" for mutant, kinds in accepted.items() for kind in kinds]
    symbolic = every(steps["symbolic"])
    numeric = every(steps["numeric"])
    refuted = not any(accepted.values())
    message = "; ".join(wrong) or _summary(theorem, len(steps["symbolic"]), len(steps["numeric"]))
    return Verdict(symbolic and numeric and refuted, symbolic, numeric, refuted, time.perf_counter() - start, message)


def check_table() -> Iterator[tuple[str, bool]]:
    """Yield a table of the checks of all theorems: its head, and a row as each check ends.

    Each item is (text, whether all checks of the row succeed).
    """
    yield f"{'theorem':16} {'holds':6} {'symbolic':9} {'numeric':8} {'mutants fail':13} {'seconds':8}", True
    word = {True: "yes", False: "NO", None: "-"}
    for name in THEOREMS:
        found = check(name)
        row = f"{name:16} {word[found.holds]:6} {word[found.symbolic]:9} {word[found.numeric]:8} "
        row += f"{word[found.mutants_fail]:13} {found.seconds:8.1f}  {found.message}"
        yield row, bool(found.holds and found.mutants_fail)


def _accepting(theorem: Theorem, name: str, seen: object) -> list[str]:
    """Return which of the checks that can detect a mutant accept it."""
    mutant = theorem.mutants[name]
    accepting = []
    if mutant.symbolic and every(theorem.symbolic(name)):
        accepting.append("symbolic")
    if mutant.numeric and every(theorem.numeric(seen, name)):
        accepting.append("numeric")
    return accepting


def _summary(theorem: Theorem, symbolic: int, numeric: int) -> str:
    parts = [f"{symbolic} symbolic and {numeric} numeric steps hold", f"{len(theorem.mutants)} mutants fail"]
    for name, mutant in theorem.mutants.items():
        if not (mutant.symbolic and mutant.numeric):
            parts.append(f"{name!r}: {'symbolic' if mutant.symbolic else 'numeric'} check only")
    if theorem.cited:
        parts.append(f"cited: {', '.join(theorem.cited)}")
    return "; ".join(parts)


THEOREMS: dict[str, Theorem] = {
    "theorem-2.1": line.THEOREM_2_1,
    "lemma-2.2": basin.LEMMA_2_2,
    "theorem-2.3": pruning.THEOREM_2_3,
    "theorem-a1": closed_form.THEOREM_A1,
    "population": population.POPULATION,
    "conservation": sample.CONSERVATION,
    "sample-1d": sample.SAMPLE_1D,
    "basin-1d": line.BASIN_1D,
    "basin": basin.BASIN,
    "escape": population.ESCAPE,
    "probabilities": probability.PROBABILITIES,
    "bounded-starts": probability.BOUNDED_STARTS,
    "factorial": pruning.FACTORIAL,
    "equilibria-1d": equilibria.EQUILIBRIA_1D,
    "equilibria": equilibria.EQUILIBRIA,
    "step-size": descent.STEP_SIZE,
}
