"""The theorems: hypotheses, a symbolic and a numeric check of each, and mutants that both checks must refute.

A mutant drops a hypothesis or changes a constant. A check that accepts a mutant proves nothing, so `check` requires
that both checks reject each. The checks themselves are in `theory.proofs`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from theory import proofs
from theory.exact import known

PAPER, READING, OURS = "paper, summary", "our reading", "ours"


@dataclass(frozen=True)
class Theorem:
    """A statement with its evidence.

    symbolic : (mutant or None) -> bool, decided by sympy
    numeric : (Generator, mutant or None) -> bool, decided by numbers
    mutants : name -> what is changed; both checks must be False for each
    """

    name: str
    statement: str
    hypotheses: tuple[str, ...]
    source: str
    symbolic: Callable[[str | None], bool]
    numeric: Callable[[np.random.Generator, str | None], bool]
    mutants: dict[str, str]


@dataclass(frozen=True)
class Verdict:
    """What `check` found; holds = symbolic and numeric and mutants_fail."""

    holds: bool
    symbolic: bool
    numeric: bool
    mutants_fail: bool
    seconds: float
    message: str


def check(name: str, seed: int = 0) -> Verdict:
    """Check one theorem symbolically and numerically, and refute its mutants.

    Parameters
    ----------
    name : a name in `THEOREMS`
    seed : int, at least 0, of the numeric checks

    Returns
    -------
    Verdict : with a message that names each check that failed and each mutant that was not refuted

    Raises
    ------
    ValueError: unknown name; the message lists the known ones.
    """
    known("theorem", name, tuple(THEOREMS))
    theorem, start = THEOREMS[name], time.perf_counter()
    symbolic = theorem.symbolic(None)
    numeric = theorem.numeric(np.random.default_rng(seed), None)
    survivors = [
        f"{mutant} ({kind})"
        for mutant in theorem.mutants
        for kind, held in (
            ("symbolic", theorem.symbolic(mutant)),
            ("numeric", theorem.numeric(np.random.default_rng(seed), mutant)),
        )
        if held
    ]
    wrong = [f"the {kind} check failed" for kind, ok in (("symbolic", symbolic), ("numeric", numeric)) if not ok]
    wrong += [f"mutant not refuted: {mutant}" for mutant in survivors]
    holds = symbolic and numeric and not survivors
    message = "; ".join(wrong) or "holds, and every mutant is refuted"
    return Verdict(holds, symbolic, numeric, not survivors, time.perf_counter() - start, message)


THEOREMS: dict[str, Theorem] = {
    "population": Theorem(
        "population",
        "For x ~ N(0, I_d) the loss is a^2 r^2 / 4 - a r g / (2 pi) + 1/4, and population_gradient is its gradient.",
        ("r = |w| > 0", "theta = angle(w, e_1)", "g = sin theta + (pi - theta) cos theta"),
        OURS,
        proofs.population_symbolic,
        proofs.population_numeric,
        {
            "twice the correlation": "g / pi in the place of g / (2 pi)",
            "no pull off the axis": "dL/dw_perp without its term in sin theta",
        },
    ),
    "theorem-a1": Theorem(
        "theorem-a1",
        "The closed form solves the d = 1 gradient flow for every balance, on w > 0 up to the kink and on w < 0.",
        ("d = 1", "any C+, C-, any balance"),
        READING,
        proofs.closed_form_symbolic,
        proofs.closed_form_numeric,
        {
            "wrong sign of B^2": "z with - B^2 (1 - e)",
            "rate without c": "e = exp(-2 p t) in the place of exp(-p D t)",
            "half the rate below": "e = exp(-q c t) in the place of exp(-2 q c t) on w < 0",
        },
    ),
    "theorem-2.1": Theorem(
        "theorem-2.1",
        "d = 1, balanced: a(0) > 0 and w(0) > 0 learns; every other sign pattern fails, (a < 0, w > 0) on the stable "
        "manifold of the origin.",
        ("d = 1", "|a(0)| = |w(0)| > 0"),
        PAPER,
        proofs.quadrants_symbolic,
        proofs.quadrants_numeric,
        {
            "the sign of w does not matter": "a(0) > 0 suffices",
            "the sign of a does not matter": "w(0) > 0 suffices",
            "balance does not matter": "a(0) < 0 fails for |a(0)| < |w(0)| too",
        },
    ),
    "lemma-2.2": Theorem(
        "lemma-2.2",
        "d > 1, balanced, population: a(0) > 0 learns from every w(0) off the ray -e_1; a(0) < 0 fails.",
        ("d > 1", "|a(0)| = |w(0)| > 0", "w(0) is not on the ray -e_1"),
        READING,
        proofs.lemma_symbolic,
        proofs.lemma_numeric,
        {
            "a(0) < 0 learns as well": "the sign of a dropped",
            "balance does not matter": "a(0) < 0 fails for |a(0)| < |w(0)| too",
            "the ray -e_1 learns as well": "the null set dropped",
        },
    ),
    "basin": Theorem(
        "basin",
        "Population, any d and balance: a start learns iff a(0) > -|w(0)| and w(0) is neither 0 nor on the ray -e_1.",
        ("w(0) not 0, not on the ray -e_1",),
        OURS,
        proofs.basin_symbolic,
        proofs.basin_numeric,
        {
            "a(0) > |w(0)| is needed": "the other sign of |w|",
            "half the pull": "s' = s (g / 2 pi - a |w| / 4), so a(0) > -|w(0)| / 2",
        },
    ),
}
