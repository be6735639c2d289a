import dataclasses
import json

import pytest

from figures.claims.registry import evaluate
from figures.claims.tables import claims_json, claims_markdown, effect_text
from figures.claims.verdicts import ACCURACY_POINTS, PROBABILITY, REPRODUCED, REVERSED, SHARE, Row
from tests.figures.claim_records import LEADS, accuracy, signs


def judged(records):
    return {verdict.id: verdict for verdict in evaluate(records)}


def row(verdict):
    return Row("r", 1.0, 0.5, 1.5, 6, "accuracy points", None, None, verdict, 0, "effect", "s", "c")


def test_json_and_table_hold_every_row(records):
    verdicts = evaluate(records)
    document = json.loads(claims_json(verdicts))
    table = claims_markdown(verdicts)
    assert [c["id"] for c in document["claims"]] == [v.id for v in verdicts]
    fields = {
        "name",
        "effect",
        "low",
        "high",
        "n",
        "unit",
        "p",
        "p_min",
        "verdict",
        "diverged",
        "decides",
        "scope",
        "command",
    }
    for verdict, claim in zip(verdicts, document["claims"], strict=True):
        assert f"**{verdict.id}** {verdict.claim}" in table and f"**{verdict.verdict}**" in table
        assert all(fields <= set(r) for r in claim["rows"])
        for r in verdict.rows:
            assert r.role == "effect" or r.name in table
    widths = {line.count("|") for line in table.splitlines() if line.startswith("| ")}
    assert len(widths) == 1


@pytest.mark.parametrize(
    ("effect", "low", "high", "unit", "signed", "text"),
    [
        (0.0, 0.0, 0.000184, PROBABILITY, False, "0.000 [0, 0.00018] probability"),
        (1.0, 0.999816, 1.0, PROBABILITY, False, "1.000 [0.99982, 1] probability"),
        (0.25, 0.243, 0.257, PROBABILITY, True, "+0.250 [+0.243, +0.257] probability"),
        (0.25, 0.243, 0.257, PROBABILITY, False, "0.250 [0.243, 0.257] probability"),
        (0.03, 0.018, 0.042, SHARE, True, "+0.030 [+0.018, +0.042] share"),
        (0.15, 0.0012, 0.3, ACCURACY_POINTS, True, "+0.1500 [+0.0012, +0.3000] accuracy points"),
        (0.0, 0.0, 0.0, ACCURACY_POINTS, True, "+0.00 [+0.00, +0.00] accuracy points"),
        (1.5, None, None, ACCURACY_POINTS, True, "+1.50 accuracy points"),
    ],
)
def test_an_interval_is_never_printed_as_a_point_and_a_difference_always_has_a_sign(
    effect, low, high, unit, signed, text
):
    made = dataclasses.replace(row(REPRODUCED), effect=effect, low=low, high=high, unit=unit, signed=signed)
    assert effect_text(made) == text


def test_differences_carry_a_sign_and_levels_none_by_their_kind(records):
    found = judged(records)
    assert [r.signed for r in found["3"].rows] == [True, False, False]
    assert not any(r.signed for claim in ("1", "2", "4a") for r in found[claim].rows)
    assert found["10b"].rows[0].signed
    assert all(r.signed == (not r.name.startswith("share carried")) for r in found["14"].rows)


def test_a_control_that_turns_the_lead_around_is_shown_beside_the_verdict(synthetic):
    verdicts = evaluate(synthetic.in_memory(accuracy(LEADS | {"imp-long": 9.0}), signs()))
    found = {verdict.id: verdict for verdict in verdicts}
    assert (found["5"].verdict, found["5"].control) == (REPRODUCED, REVERSED)
    assert found["6"].control is None
    line = next(line for line in claims_markdown(verdicts).splitlines() if line.startswith("| **5**"))
    assert "**reproduced**; against training length: **not reproduced (reversed)**" in line
