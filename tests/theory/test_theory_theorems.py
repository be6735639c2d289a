"""Every theorem holds and every mutant of it is refuted, symbolically and numerically."""

import numpy as np
import pytest

from theory.theorems import THEOREMS, check


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem_holds_and_its_mutants_fail(name):
    verdict = check(name)
    assert verdict.symbolic and verdict.numeric and verdict.mutants_fail and verdict.holds, verdict.message
    assert verdict.seconds < 10


@pytest.mark.parametrize(("name", "mutant"), [(name, mutant) for name, t in THEOREMS.items() for mutant in t.mutants])
def test_mutant_is_refuted_with_another_seed(name, mutant):
    theorem = THEOREMS[name]
    assert not theorem.symbolic(mutant)
    assert not theorem.numeric(np.random.default_rng(7), mutant)


@pytest.mark.parametrize("name", THEOREMS)
def test_theorem_states_its_source_hypotheses_and_mutants(name):
    theorem = THEOREMS[name]
    assert theorem.name == name and theorem.hypotheses and theorem.mutants
    assert theorem.source in ("paper, summary", "our reading", "ours")


def test_a_theorem_that_accepts_a_mutant_does_not_hold(monkeypatch):
    from dataclasses import replace

    blind = replace(THEOREMS["theorem-2.1"], symbolic=lambda mutant: True)
    monkeypatch.setitem(THEOREMS, "theorem-2.1", blind)
    verdict = check("theorem-2.1")
    assert verdict.symbolic and verdict.numeric and not verdict.mutants_fail and not verdict.holds
    assert "mutant not refuted" in verdict.message


def test_unknown_theorem_names_the_nearest():
    with pytest.raises(ValueError, match="unknown theorem 'theorem-2.2': did you mean 'theorem-2.1'"):
        check("theorem-2.2")
