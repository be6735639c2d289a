"""Claims 1 and 2 against starts: each witness alone notices a false theorem, and a fault in what it looks at."""

from dataclasses import replace

import numpy as np
import pytest

from theory.experiments import theorem_check as claims
from theory.experiments.theorem_check import Starts, against_theorem, breaks, theorem_check
from theory.flow.integrate import Event, integrate
from theory.losses.losses import Population
from theory.sampling import balanced_starts

pytestmark = pytest.mark.slow


def integrated(a0, w0, said, horizon, runs=40):
    """Return what integrated runs alone find against a rule."""
    a0, w0, said = np.asarray(a0, float), np.asarray(w0, float), np.asarray(said, bool)
    found = against_theorem([Starts(a0, w0, said, np.zeros(len(a0), bool))], runs, horizon)
    assert found["contradictions"] == found["integrated"]["contradictions"]
    return found["integrated"]


def starts(d, n=40):
    return balanced_starts(np.random.default_rng(d), n, d)


@pytest.mark.parametrize("d", [2, 3, 10])
def test_integrated_runs_bear_witness_on_both_halves_of_lemma_2_2(d):
    a0, w0 = starts(d)
    seen = integrated(a0, w0, a0 > 0, 300.0)
    assert seen["contradictions"] == 0 and seen["until"] == [300.0]
    assert seen["invariant_held"] == seen["n_predicted_failures"] == (a0 < 0).sum() > 10
    assert seen["learns"] >= 0.8 * (a0 > 0).sum()


def test_integrated_runs_bear_witness_on_the_separatrix_of_one_input():
    a0, w0 = starts(1)
    seen = integrated(a0, w0, (a0 > 0) & (w0[:, 0] > 0), 300.0)
    assert (
        seen["contradictions"] == 0
        and seen["invariant_held"] == seen["n_predicted_failures"]
        and seen["until"] == [20.0]
    )
    assert (
        seen["fails"] < seen["n_predicted_failures"]
    )  # no verdict on the separatrix: the invariant alone speaks there


@pytest.mark.parametrize("horizon", [60.0, 300.0])
def test_a_false_lemma_without_balance_is_contradicted_by_every_run(horizon):
    a0, w0 = starts(3)
    negative = a0 < 0
    seen = integrated(0.5 * a0[negative], w0[negative], a0[negative] > 0, horizon)
    assert seen["contradictions"] == seen["runs"] == seen["n_predicted_failures"] and seen["invariant_held"] == 0


def test_a_false_rule_is_contradicted_before_any_run_has_a_verdict():
    a0, w0 = starts(3)
    positive = a0 > 0
    seen = integrated(a0[positive], w0[positive], ~positive[positive], 5.0)
    assert seen["undecided"] == seen["runs"] and seen["contradictions"] > 0.8 * seen["runs"]


def test_a_start_that_learns_after_the_watched_time_contradicts_too():
    seen = integrated([1e-10], [[1e-10]], [False], 120.0)
    assert (seen["invariant_held"], seen["learns"], seen["contradictions"]) == (1, 1, 1)


def test_a_run_that_fails_contradicts_a_rule_that_says_it_learns():
    seen = integrated([0.7, -0.7], [[-0.7], [-0.7]], [True, True], 60.0)
    assert seen["fails"] == seen["contradictions"] == 2 and seen["n_predicted_failures"] == 0 == seen["invariant_held"]


def test_a_reversed_rule_is_contradicted():
    a0, w0 = starts(3, 400)
    assert 0 < integrated(a0, w0, a0 < 0, 500.0, runs=10)["contradictions"] <= 10


def test_a_run_cut_short_neither_holds_the_invariant_nor_contradicts(monkeypatch):
    def short(*arguments, **options):
        return integrate(*arguments, **options, max_evaluations=30)

    a0, w0 = starts(2)
    monkeypatch.setattr(claims, "integrate", short)
    seen = integrated(-abs(a0), w0, a0 > np.inf, 300.0)
    assert seen["n_predicted_failures"] == 40 and seen["invariant_held"] == 0 == seen["contradictions"]


def test_a_flow_that_lifts_a_is_noticed(monkeypatch):
    class Lifted(Population):
        def gradient(self, a, w):
            da, dw = super().gradient(a, w)
            return da - 0.05, dw

    a0, w0 = starts(3)
    monkeypatch.setattr(claims, "Population", Lifted)
    assert integrated(-abs(a0), w0, a0 > np.inf, 100.0)["contradictions"] > 30


def test_the_invariant_is_the_sign_of_a_and_a_loss_of_a_quarter_up_to_the_time():
    turn = Event("turn", lambda t, a, w: a, terminal=False)
    run = integrate(Population(2), -0.2, [0.6, 0.8], np.linspace(0, 20, 401), events=[turn])
    (_, crossing), *_ = run.events
    assert not breaks(run, crossing - 0.1) and breaks(run, crossing + 0.1)
    assert breaks(replace(run, loss=run.loss + 1), crossing + 0.1)  # the sign alone
    learning = integrate(Population(2), 0.5, [0.3, 0.4], np.linspace(0, 20, 401))  # a stays positive, the loss falls
    assert breaks(learning, 1.0)


def checked(monkeypatch, **faults):
    for name, fault in faults.items():
        monkeypatch.setattr(claims, name, fault)
    monkeypatch.setattr(claims, "_proved", lambda *names: {})
    found = theorem_check(400, 8, 30.0, 0).values["claims"]
    return {claim: found[claim]["contradictions"] for claim in found}


def test_no_fault_is_found_where_there_is_none(monkeypatch):
    assert checked(monkeypatch) == {"1": 0, "2": 0}


def test_wrong_exact_limits_are_noticed(monkeypatch):
    found = checked(monkeypatch, learns=lambda a0, w0: np.asarray(a0) > np.inf)  # nothing learns
    assert 70 < found["1"] < 130 and 150 < found["2"] < 250
    found = checked(monkeypatch, learns=lambda a0, w0: np.asarray(a0) > -np.inf)  # everything does
    assert 270 < found["1"] < 330 and 150 < found["2"] < 250


def test_a_wrong_closed_form_is_noticed(monkeypatch):
    found = checked(monkeypatch, closed_form=lambda a0, w0, t: (abs(a0), abs(w0)))
    assert found["1"] > 50 and found["2"] == 0


def test_a_wrong_theorem_is_noticed_by_the_whole_check(monkeypatch):
    found = checked(monkeypatch, balanced_starts=lambda rng, n, d: unbalanced(*balanced_starts(rng, n, d)))
    assert found["1"] > 50 and found["2"] > 100  # a(0) < 0 learns for |a(0)| < |w(0)|


def unbalanced(a0, w0):
    return 0.5 * a0, w0


def test_too_few_starts_are_refused():
    with pytest.raises(ValueError, match="trials must be a whole number, at least 1, got 0"):
        theorem_check(3, 1, 10.0, 0)
