"""Every theorem holds, every mutant of it is refuted by algebra and by numbers, and the losses are what decides."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import sympy as sp

from theory.losses.formulas import population_gradient
from theory.proofs import symbols
from theory.proofs.base import every
from theory.proofs.symbols import THETA, A, P, R, W
from theory.theorems import THEOREMS, Mutant, check

PAPERS = {"theorem-2.1": "paper, summary", **dict.fromkeys(("lemma-2.2", "theorem-2.3", "theorem-a1"), "our reading")}
ADDITIONS = {
    "basins for any balance": ("basin-1d", "basin"),
    "conservation": ("conservation",),
    "the arc-cosine gradient": ("population",),
    "exact probabilities": ("theorem-2.3", "probabilities", "bounded-starts", "factorial"),
    "equilibrium sets": ("equilibria-1d", "equilibria"),
    "the step-size limit": ("step-size",),
    "one input, a finite sample": ("sample-1d",),
    "escape times and the quadrature": ("escape",),
}
LONG = {"basin", "equilibria", "lemma-2.2", "theorem-2.3"}  # their checks take seconds
MUTANTS = [(name, mutant) for name, theorem in THEOREMS.items() for mutant in theorem.mutants]

checked = cache(check)
derived = cache(lambda name: THEOREMS[name].symbolic())


@cache
def seen(name, seed):
    return THEOREMS[name].observe(np.random.default_rng(seed))


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] * (name in LONG)) for name in THEOREMS])
def test_theorem_holds_and_its_mutants_fail(name):
    verdict = checked(name)
    assert verdict.symbolic and verdict.numeric and verdict.mutants_fail and verdict.holds, verdict.message


@pytest.mark.slow
@pytest.mark.parametrize("name", THEOREMS)
def test_theorem_holds_with_other_numbers(name):
    assert every(THEOREMS[name].numeric(seen(name, 7))), THEOREMS[name].numeric(seen(name, 7))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_mutant_is_refuted_with_other_numbers(name, mutant):
    assert THEOREMS[name].mutants[mutant].numeric
    assert not every(THEOREMS[name].numeric(seen(name, 7), mutant))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mutant"), MUTANTS)
def test_mutant_is_refuted_by_a_step_that_the_theorem_passes_or_does_not_have(name, mutant):
    assert THEOREMS[name].mutants[mutant].symbolic
    steps, true = THEOREMS[name].symbolic(mutant), derived(name)
    refuted = [step for step, held in steps.items() if not held]
    assert refuted and all(true.get(step, True) for step in refuted)


def test_the_theorems_are_those_of_the_paper_and_our_additions():
    assert set(THEOREMS) == set(PAPERS) | {name for names in ADDITIONS.values() for name in names}
    assert {name: THEOREMS[name].source for name in PAPERS} == PAPERS
    assert {theorem.source for name, theorem in THEOREMS.items() if name not in PAPERS} == {"ours"}


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem_states_its_hypotheses_and_its_mutants(name):
    theorem = THEOREMS[name]
    assert theorem.name == name and theorem.statement.endswith(".") and theorem.hypotheses and theorem.mutants
    assert all(mutant.change and mutant.claim for mutant in theorem.mutants.values())


# --- the losses decide

LINE, POPULATION, POINT = symbols.line_loss, symbols.population_loss, symbols.sample_loss
LINE_POINT = symbols.line_sample_loss
ON_BOTH = {"theorem-2.3", "probabilities", "bounded-starts", "factorial"}
ON_LINE = ON_BOTH | {"theorem-2.1", "theorem-a1", "basin-1d", "equilibria-1d"}
ON_POPULATION = ON_BOTH | {"lemma-2.2", "basin", "escape", "equilibria", "step-size"}
CHANGES = {
    "twice the d = 1 loss": ("line_loss", lambda side: 2 * LINE(side), ON_LINE | {"population", "sample-1d"}),
    "target slope 2": (
        "line_loss",
        lambda side: P * (A * W[1] - 2) ** 2 / 2 if side > 0 else LINE(side),
        ON_LINE | {"population", "sample-1d"},
    ),
    "twice the loss below the kink": (
        "line_loss",
        lambda side: LINE(side) if side > 0 else 2 * LINE(side),
        ON_LINE | {"population"},
    ),
    "twice the correlation": (
        "population_loss",
        lambda: sp.expand(POPULATION() + A * POPULATION().coeff(A, 1)),
        ON_POPULATION | {"population"},
    ),
    "twice the neuron's own square": (
        "population_loss",
        lambda: POPULATION() + A**2 * R**2 / 4,
        ON_POPULATION | {"population"},
    ),
    "no relu": (
        "population_loss",
        lambda: A**2 * R**2 / 2 - A * R * sp.cos(THETA) + sp.Rational(1, 2),
        ON_POPULATION | {"population"},
    ),
    "a bias": ("sample_loss", lambda offset=0: POINT(1), {"conservation"}),
    "twice the output": (
        "line_sample_loss",
        lambda side: tuple(part.subs(A, 2 * A) for part in LINE_POINT(side)),
        {"sample-1d"},
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_loss_refutes_every_theorem_that_rests_on_it(monkeypatch, change):
    loss, changed, resting = CHANGES[change]
    monkeypatch.setattr(symbols, loss, changed)
    assert {name for name in resting if every(THEOREMS[name].symbolic())} == set()


@pytest.mark.slow
def test_every_theorem_rests_on_a_loss():
    assert set().union(*(resting for _, _, resting in CHANGES.values())) == set(THEOREMS)


def test_the_numeric_check_notices_a_wrong_gradient(monkeypatch):
    def wrong(a, w):
        da, dw = population_gradient(a, w)
        return da, 1.001 * dw

    for module in ("population", "equilibria", "descent"):
        monkeypatch.setattr(f"theory.proofs.{module}.population_gradient", wrong)
    for name in ("population", "equilibria", "step-size"):
        assert not every(THEOREMS[name].numeric(THEOREMS[name].observe(np.random.default_rng(0)))), name


@pytest.mark.slow
@pytest.mark.parametrize(("name", "module"), [("basin-1d", "line"), ("theorem-2.1", "line"), ("basin", "basin")])
def test_the_numeric_check_notices_wrong_verdicts(monkeypatch, name, module):
    monkeypatch.setattr(f"theory.proofs.{module}.verdicts", lambda a0, w0: np.ones(len(a0), int))
    assert not every(THEOREMS[name].numeric(THEOREMS[name].observe(np.random.default_rng(0))))


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(ON_BOTH))
def test_the_numeric_check_notices_a_rule_that_learns_too_often(monkeypatch, name):
    from theory.pruning import Levels, prune

    def lucky(rule, a0, w0, survivors):
        levels = prune(rule, a0, w0, survivors)
        return Levels(levels.survivors, levels.learns | (np.arange(len(a0)) % 20 == 0), levels.masks)

    monkeypatch.setattr("theory.proofs.pruning.prune", lucky)
    assert not every(THEOREMS[name].numeric(THEOREMS[name].observe(np.random.default_rng(0))))


# --- what a verdict is worth


@pytest.mark.parametrize(
    ("blind", "kind"),
    [
        ({"derive": lambda claim: {"yes": True}}, "symbolic"),
        ({"compare": lambda seen, claim: {"yes": True}}, "numeric"),
    ],
)
def test_a_check_that_accepts_a_mutant_does_not_hold(monkeypatch, blind, kind):
    monkeypatch.setitem(THEOREMS, "equilibria-1d", replace(THEOREMS["equilibria-1d"], **blind))
    verdict = check("equilibria-1d")
    assert verdict.symbolic and verdict.numeric and not verdict.mutants_fail and not verdict.holds
    assert f"mutant not refuted: half the rate ({kind})" in verdict.message


def test_a_check_without_steps_does_not_hold(monkeypatch):
    empty = replace(THEOREMS["equilibria-1d"], derive=lambda claim: {})
    monkeypatch.setitem(THEOREMS, "equilibria-1d", empty)
    verdict = check("equilibria-1d")
    assert not verdict.symbolic and not verdict.holds and "symbolic check: no steps" in verdict.message


def test_a_false_theorem_does_not_hold_and_the_message_names_the_step(monkeypatch):
    theorem = THEOREMS["equilibria-1d"]
    false = replace(theorem, claim={**theorem.claim, "dead": 0.5}, mutants={"truth": Mutant("C- a^2", {"dead": 1})})
    monkeypatch.setitem(THEOREMS, "equilibria-1d", false)
    verdict = check("equilibria-1d")
    assert not (verdict.symbolic or verdict.numeric or verdict.mutants_fail or verdict.holds)
    assert "symbolic check: not 'w = 0, from below: eigenvalues 0 and q a^2'" in verdict.message
    assert "numeric check: not 'dead'" in verdict.message
    assert "mutant not refuted: truth (symbolic); mutant not refuted: truth (numeric)" in verdict.message


def test_a_check_that_cannot_see_a_mutant_is_not_asked_and_the_message_says_so(monkeypatch):
    theorem = THEOREMS["equilibria-1d"]
    mutant = replace(theorem.mutants["half the rate"], symbolic=False)
    half_blind = {"derive": lambda claim: {"yes": True}, "mutants": {"half the rate": mutant}}
    monkeypatch.setitem(THEOREMS, "equilibria-1d", replace(theorem, **half_blind))
    verdict = check("equilibria-1d")
    assert verdict.holds and "'half the rate': numeric check only" in verdict.message


@pytest.mark.parametrize(
    "mutant", [Mutant("another name", {"edge": 2}), Mutant("nothing", {}), Mutant("unseen", {"dead": 2}, False, False)]
)
def test_a_mutant_must_alter_what_the_claim_holds_and_a_check_can_see(mutant):
    with pytest.raises(ValueError, match=r"mutant 'wrong' of equilibria-1d must alter entries of \['along', 'dead'"):
        replace(THEOREMS["equilibria-1d"], mutants={"wrong": mutant})


def test_unknown_theorem_names_the_nearest():
    with pytest.raises(ValueError, match="unknown theorem 'theorem-2.2': did you mean 'theorem-2.[13]'"):
        check("theorem-2.2")


def test_a_seed_is_a_whole_number():
    with pytest.raises(ValueError, match="seed must be a whole number"):
        check("theorem-2.1", seed=-1)
