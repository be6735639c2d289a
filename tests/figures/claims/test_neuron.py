import dataclasses
import json

import pytest

from figures.claims.registry import evaluate
from figures.claims.tables import claims_markdown
from figures.claims.verdicts import NOT_REPRODUCED, REPRODUCED


def judged(records):
    return {verdict.id: verdict for verdict in evaluate(records)}


def test_theory_claims_hold_on_the_exact_probabilities(records):
    found = judged(records)
    for claim in ("1", "2", "3", "4a"):
        assert found[claim].verdict == REPRODUCED, claim
        assert found[claim].study is None


def altered(records, experiment, change):
    values = json.loads(json.dumps(records.theory[experiment].values))
    change(values)
    result = dataclasses.replace(records.theory[experiment], values=values)
    return dataclasses.replace(records, theory={**records.theory, experiment: result})


@pytest.mark.parametrize(
    ("field", "value", "verdict"),
    [
        ("contradictions", 1, NOT_REPRODUCED),
        ("symbolic", False, NOT_REPRODUCED),
        ("starts", 9_999, "inconclusive (n = 9999)"),
    ],
)
def test_a_theorem_needs_ten_thousand_starts_no_contradiction_and_its_symbolic_check(records, field, value, verdict):
    changed = altered(records, "theorem-check", lambda v: v["claims"]["1"].update({field: value}))
    assert judged(changed)["1"].verdict == verdict
    assert judged(changed)["2"].verdict == REPRODUCED


def test_claim_3_fails_where_an_interval_misses_its_value(records):
    changed = altered(records, "factorial", lambda v: v["inits"]["balanced"]["imp"].update(successes=6000))
    assert judged(changed)["3"].verdict == NOT_REPRODUCED


def test_claim_4a_fails_where_a_rule_loses_the_mask(records):
    changed = altered(
        records, "pruning-iterations", lambda v: v["rules"]["imp"]["mask_recovered"].__setitem__(-1, 9000)
    )
    assert judged(changed)["4a"].verdict == NOT_REPRODUCED


def test_theorem_rows_say_how_many_starts_and_how_many_runs_stayed_undecided(records):
    counts = {"runs": 200, "learns": 48, "fails": 98, "undecided": 54, "contradictions": 0}
    changed = altered(records, "theorem-check", lambda v: v["claims"]["1"].update(integrated=counts))
    table = claims_markdown(evaluate(changed))
    line = next(line for line in table.splitlines() if line.startswith("| **1**"))
    assert "20,000 random starts" in line and "200 of them integrated as well, 54 of these undecided" in line
    assert "undecided" not in next(line for line in table.splitlines() if line.startswith("| **2**"))
