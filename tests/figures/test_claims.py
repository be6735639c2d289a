import dataclasses
import json

import numpy as np
import pytest

from figures.claims import CLAIMS, evaluate
from figures.claims_table import claims_json, claims_markdown, effect_text
from figures.commands import train_command
from figures.records import Problem, Records
from figures.verdicts import (
    FAILED,
    INCONCLUSIVE,
    LEVELS,
    NOT_RUN,
    POINTS,
    PROBABILITY,
    REPRODUCED,
    REVERSED,
    SHARE,
    SMALLEST,
    SWITCHES,
    Row,
    beside_control,
    conjunction,
    verdict_of,
)

SEEDS = range(6)
LEADS = {
    "imp": 0.0, "lrr": 3.0, "imp-on-lrr-mask": 1.5, "lrr-on-imp-mask": 2.5, "imp-on-random-mask": -4.0,
    "lrr-on-random-mask": -1.0, "imp-on-shuffled-mask": -3.0, "lrr-on-shuffled-mask": -0.5, "imp-bn-kept": 0.5,
    "lrr-bn-rewind": 4.5, "sign": 3.5, "magnitude": 0.3, "imp-long": 1.0, "imp-long-on-random-mask": -3.0,
    "imp-long-on-shuffled-mask": -2.0,
}  # fmt: skip
SWAP = {
    "imp": "lrr", "imp-on-random-mask": "lrr-on-random-mask", "imp-on-shuffled-mask": "lrr-on-shuffled-mask",
    "imp-on-lrr-mask": "imp", "lrr-on-imp-mask": "imp",
}  # fmt: skip


def accuracy(leads=LEADS, seeds=SEEDS, noise=0.1, seed=0):
    rng = np.random.default_rng(seed)
    seed_effect = {s: rng.normal(0, 1) for s in seeds}
    return {
        arm: {s: (90 + lead + seed_effect[s] + rng.normal(0, noise)) / 100 for s in seeds}
        for arm, lead in leads.items()
    }


def signs(seeds=SEEDS, seed=0):
    """imp flips late, lrr early and further, in the right readings only: the others, and the last level's flips,
    point the other way. Settle counts without the last level: [never, 0, 1, .., 6]."""
    rng = np.random.default_rng(seed)

    def of(previous, initial, settles, late):
        def near(counts):
            return [count + int(rng.integers(-2, 3)) for count in counts]

        wrong = [100 - count for count in previous]
        return {
            s: ({"level_start": near(wrong), "initial": near(initial), "previous": near(previous)}, settles, late)
            for s in seeds
        }

    return {
        "imp": of([10] * 7 + [90], [10, 80, 80, 80, 10, 10, 10, 10], [100, 0, 10, 20, 30, 40, 50, 50], 0),
        "lrr": of([10, 60, 50, 40, 10, 5, 5, 5], [10, 20, 20, 20, 20, 30, 30, 40], [130, 50, 50, 50, 10, 5, 5, 0], 130),
    }


def judged(records):
    return {verdict.id: verdict for verdict in evaluate(records)}


@pytest.mark.parametrize(
    ("low", "high", "n", "verdict"),
    [
        (0.01, 0.1, 4, REPRODUCED),
        (0.1, 3.0, 4, REPRODUCED),
        (-0.1, 0.1, 4, FAILED),
        (0.0, 0.0, 4, FAILED),
        (-0.3, -0.1, 4, REVERSED),
        (-0.1, 0.3, 4, INCONCLUSIVE),
        (0.0, 0.2, 4, INCONCLUSIVE),
        (0.1, 3.0, 3, "inconclusive (n = 3)"),
        (None, None, 1, "inconclusive (n = 1)"),
    ],
)
def test_the_rule_of_the_verdict(low, high, n, verdict):
    assert verdict_of(low, high, 0.2, n) == verdict


def row(verdict, role="effect"):
    return Row("r", 1.0, 0.5, 1.5, 6, "accuracy points", None, None, verdict, 0, role, "s", "c")


@pytest.mark.parametrize(
    ("parts", "verdict"),
    [
        ([REPRODUCED, REPRODUCED], REPRODUCED),
        ([REPRODUCED, INCONCLUSIVE], INCONCLUSIVE),
        ([REPRODUCED, NOT_RUN], NOT_RUN),
        ([REPRODUCED, FAILED], FAILED),
        ([NOT_RUN, FAILED], FAILED),
        ([REVERSED, REPRODUCED], FAILED),
        ([REVERSED, REVERSED], REVERSED),
        ([REPRODUCED, "inconclusive (n = 3)"], "inconclusive (n = 3)"),
    ],
)
def test_a_conjunction_needs_every_part(parts, verdict):
    assert conjunction([row(part) for part in parts]) == verdict


def test_rows_beside_and_controls_do_not_decide():
    assert conjunction([row(REPRODUCED), row(FAILED, "control"), row(FAILED, "beside")]) == REPRODUCED


def test_reproduced_is_printed_only_beside_a_control_that_was_run():
    assert beside_control([row(REPRODUCED), row(NOT_RUN, "control")]) == "inconclusive (control not run)"
    assert beside_control([row(REPRODUCED), row(FAILED, "control")]) == REPRODUCED
    assert beside_control([row(FAILED), row(NOT_RUN, "control")]) == FAILED


def test_every_claim_of_the_table_is_registered():
    assert list(CLAIMS) == ["1", "2", "3", "4a", "4b", *map(str, range(5, 10)), "10a", "10b", *map(str, range(11, 15))]


def test_known_effects_are_reproduced_with_their_size(synthetic):
    found = judged(synthetic.in_memory(accuracy(), signs()))
    for claim in ("5", "6", "7", "8", "9", "10a", "10b", "14"):
        assert found[claim].verdict == REPRODUCED, claim
    for claim, effect in (("5", 3.0), ("6", 1.5), ("7", 2.5), ("8", 3.0)):
        assert found[claim].rows[0].effect == pytest.approx(effect, abs=0.2)
        assert found[claim].rows[0].n == 6 and found[claim].rows[0].p == found[claim].rows[0].p_min == 2 / 64
    signs_row, magnitudes, interaction, share = found["14"].rows[:4]
    assert signs_row.effect == pytest.approx((3.5 + 4.5 - 0 - 0.3) / 2, abs=0.2)
    assert magnitudes.effect == pytest.approx((0.3 + 4.5 - 0 - 3.5) / 2, abs=0.2)
    assert interaction.effect == pytest.approx(4.5 - 3.5 - 0.3, abs=0.3)
    assert share.effect == pytest.approx(signs_row.effect / (signs_row.effect + magnitudes.effect))
    assert share.verdict == "no verdict of its own" and share.low is None


def test_claim_9_counts_never_as_zero_and_leaves_the_last_level_out(synthetic):
    found = judged(synthetic.in_memory(accuracy(), signs()))["9"].rows[0]
    imp = (10 * 1 + 20 * 2 + 30 * 3 + 40 * 4 + 50 * 5 + 50 * 6) / 300
    lrr = (50 * 1 + 50 * 2 + 10 * 3 + 5 * 4 + 5 * 5) / 300
    assert found.effect == pytest.approx(imp - lrr)


def test_claim_10a_counts_reading_iii_in_levels_1_to_3_and_10b_reading_ii_at_the_last(synthetic):
    counts = signs()
    wrong = [70, 9, 9, 9, 9, 9, 9, 9]
    for s in SEEDS:
        imp = {"previous": [500, 1, 2, 3, 0, 0, 0, 7], "initial": [5, 6, 7, 8, 9, 9, 9, 30], "level_start": wrong}
        lrr = {"previous": [0, 10, 20, 30, 0, 0, 0, 8], "initial": [9, 9, 9, 9, 9, 9, 9, 60], "level_start": wrong}
        counts["imp"][s] = (imp, *counts["imp"][s][1:])
        counts["lrr"][s] = (lrr, *counts["lrr"][s][1:])
    found = judged(synthetic.in_memory(accuracy(), counts))
    assert found["10a"].rows[0].effect == pytest.approx((60 - 6) / 300)
    assert found["10b"].rows[0].effect == pytest.approx((60 - 30) / 300)


def test_the_smallest_effects_are_those_fixed_before_the_data(synthetic):
    assert SMALLEST == {POINTS: 0.2, PROBABILITY: 0.02, SHARE: 0.02, LEVELS: 0.02, SWITCHES: 0.02}
    imp = {s: 0.9 for s in SEEDS}
    coarse = {s: 0.9 + 0.008 * (-1) ** s for s in SEEDS}  # interval -.9 to .9 points: too wide to refute .2
    assert judged(synthetic.in_memory({"imp": imp, "imp-on-lrr-mask": coarse}))["6"].verdict == INCONCLUSIVE


def test_claim_8_has_both_kinds_of_mask_each_beside_the_control_on_its_own_masks(synthetic):
    rows = judged(synthetic.in_memory(accuracy(noise=0.001)))["8"].rows
    expected = {
        "H(lrr-on-random-mask) - H(imp-on-random-mask)": 3.0,
        "against training length: lrr-on-random-mask - imp-long-on-random-mask": 2.0,
        "H(lrr-on-shuffled-mask) - H(imp-on-shuffled-mask)": 2.5,
        "against training length: lrr-on-shuffled-mask - imp-long-on-shuffled-mask": 1.5,
    }
    assert [(r.name, r.role) for r in rows] == list(zip(expected, ["effect", "control"] * 2, strict=True))
    for r in rows:
        assert r.effect == pytest.approx(expected[r.name], abs=0.01)


def test_claim_11_is_the_drop_of_imp_less_the_drop_of_lrr(synthetic):
    leads = {"imp": 0.0, "imp-perturbed": -5.0, "lrr": 3.0, "lrr-perturbed": 2.0}
    found = judged(synthetic.in_memory(accuracy(leads, noise=0.001)))["11"]
    assert found.rows[0].effect == pytest.approx(5 - 1, abs=0.01) and found.verdict == REPRODUCED


def test_the_control_is_not_averaged_over_the_levels_of_h(synthetic):
    arms = {"imp": 0.9, "imp-long": 0.9, "lrr": [0.9] * 10 + [0.3, 0.3, 0.92, 0.94]}
    data = {arm: dict.fromkeys(SEEDS, value) for arm, value in arms.items()}
    claim, control = judged(synthetic.in_memory(data, levels=14, rate=0.3))["5"].rows[:2]
    assert claim.effect == pytest.approx(100 * ((0.3 + 0.3 + 0.92 + 0.94) / 4 - 0.9))
    assert control.effect == pytest.approx(3.0) and control.note == "over levels 12, 13"


def test_swapped_arms_turn_the_verdict_to_reversed(synthetic):
    leads = LEADS | {b: LEADS[a] for a, b in SWAP.items()} | {a: LEADS[b] for a, b in SWAP.items()}
    leads |= {"imp": 3.0, "lrr": 0.0, "imp-on-lrr-mask": 1.0, "lrr-on-imp-mask": 1.0}
    counts = signs()
    found = judged(synthetic.in_memory(accuracy(leads), {"imp": counts["lrr"], "lrr": counts["imp"]}))
    for claim in ("5", "6", "7", "8", "9", "10a", "10b"):
        assert found[claim].verdict == REVERSED, claim


NULL_CLAIMS = ("5", "6", "7", "8", "9", "10a", "10b", "14")


def shuffled(real, counts, seeds, rng):
    """The same numbers with the arms' names dealt anew within each seed: no claim holds any more."""
    values, flips = {arm: {} for arm in real}, {"imp": {}, "lrr": {}}
    for s in seeds:
        for arm, other in zip(real, rng.permutation(list(real)), strict=True):
            values[arm][s] = real[other][s]
        for arm, other in zip(flips, rng.permutation(["imp", "lrr"]), strict=True):
            flips[arm][s] = counts[other][s]
    return values, flips


def test_arms_shuffled_within_seeds_are_rarely_called_reproduced(synthetic):
    rng, nulls, false = np.random.default_rng(11), 150, dict.fromkeys(NULL_CLAIMS, 0)
    for n in (6, 8, 10):
        real, counts = accuracy(seeds=range(n), noise=1.5), signs(range(n))
        for _ in range(nulls):
            found = judged(synthetic.in_memory(*shuffled(real, counts, range(n), rng)))
            for claim in NULL_CLAIMS:
                false[claim] += found[claim].verdict == REPRODUCED
    assert max(false.values()) / (3 * nulls) <= 0.05, false


def test_three_seeds_give_no_verdict(synthetic):
    found = judged(synthetic.in_memory(accuracy(seeds=range(3)), signs(range(3))))
    for claim in ("5", "6", "7", "8", "9", "10a", "10b"):
        assert found[claim].verdict == "inconclusive (n = 3)", claim


def test_no_effect_measured_finely_is_not_reproduced_and_coarsely_inconclusive(synthetic):
    flat = dict.fromkeys(LEADS, 0.0)
    assert judged(synthetic.in_memory(accuracy(flat, range(8), noise=0.02)))["6"].verdict == FAILED
    assert judged(synthetic.in_memory(accuracy(flat, range(8), noise=3)))["6"].verdict == INCONCLUSIVE


def test_diverged_runs_are_left_out_and_counted(synthetic):
    records = synthetic.in_memory(accuracy(), diverged={("lrr", 2)})
    found = judged(records)["5"].rows[0]
    assert (found.n, found.diverged) == (5, 1)
    assert "1 diverged, left out" in claims_markdown(evaluate(records))


def test_an_incomplete_seed_is_left_out_and_named(synthetic):
    data = accuracy()
    del data["lrr"][4]
    found = judged(synthetic.in_memory(data))["5"].rows[0]
    assert (found.n, found.missing) == (5, (4,))


def test_claim_5_without_its_control_is_inconclusive_and_claim_14_with_it(synthetic):
    data = accuracy()
    del data["imp-long"]
    found = judged(synthetic.in_memory(data))
    assert found["5"].verdict == "inconclusive (control not run)"
    assert found["14"].verdict == "inconclusive (claim 5 not reproduced)"


def test_a_control_that_turns_the_lead_around_is_shown_beside_the_verdict(synthetic):
    verdicts = evaluate(synthetic.in_memory(accuracy(LEADS | {"imp-long": 9.0}), signs()))
    found = {verdict.id: verdict for verdict in verdicts}
    assert (found["5"].verdict, found["5"].control) == (REPRODUCED, REVERSED)
    assert found["6"].control is None
    line = next(line for line in claims_markdown(verdicts).splitlines() if line.startswith("| **5**"))
    assert "**reproduced**; against training length: **not reproduced (reversed)**" in line


def test_the_control_is_averaged_over_the_levels_that_it_has(synthetic):
    leads = accuracy({"imp": 0, "lrr": 2, "imp-long": 1})
    rising = {s: [v] * 6 + [v + 0.01, v + 0.03] for s, v in leads["lrr"].items()}
    control = judged(synthetic.in_memory(leads | {"lrr": rising}))["5"].rows[1]
    assert control.role == "control" and control.note == "over levels 6, 7"
    assert control.effect == pytest.approx(2 - 1 + 2, abs=0.2)


def test_h_averages_the_levels_of_density_at_most_three_hundredths(synthetic):
    data = accuracy({"imp": 0, "lrr": 0})
    only_dense_levels = {s: [v + 0.5] * 6 + [v, v] for s, v in data["lrr"].items()}
    assert abs(judged(synthetic.in_memory(data | {"lrr": only_dense_levels}))["5"].rows[0].effect) < 0.3
    without = judged(synthetic.in_memory(data, levels=4))["5"]
    assert without.verdict == NOT_RUN and "density" in without.rows[0].note


def test_each_study_has_its_own_verdict(synthetic):
    digits = synthetic.in_memory(accuracy()).studies[0]
    flat = synthetic.in_memory(accuracy(dict.fromkeys(LEADS, 0.0), noise=0.02), dataset="cifar10").studies[0]
    other = dataclasses.replace(flat, study=dataclasses.replace(flat.study, study="c"))
    verdicts = [v for v in evaluate(Records((digits, other))) if v.id == "5"]
    assert [v.verdict for v in verdicts] == [REPRODUCED, FAILED]
    assert "digits" in verdicts[0].scope and "cifar10" in verdicts[1].scope


def test_claim_12_enlarged_lead_and_its_missing_part(synthetic):
    found = judged(synthetic.in_memory(accuracy()))["12"]
    assert found.verdict == NOT_RUN
    assert found.rows[0].effect == pytest.approx((4.5 - 0) - (3.0 - 0.5), abs=0.3)
    assert found.rows[1].verdict == NOT_RUN and "lrr-without-warmup" in found.rows[1].command


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
    [("contradictions", 1, FAILED), ("symbolic", False, FAILED), ("starts", 9_999, "inconclusive (n = 9999)")],
)
def test_a_theorem_needs_ten_thousand_starts_no_contradiction_and_its_symbolic_check(records, field, value, verdict):
    changed = altered(records, "theorem-check", lambda v: v["claims"]["1"].update({field: value}))
    assert judged(changed)["1"].verdict == verdict
    assert judged(changed)["2"].verdict == REPRODUCED


def test_claim_3_fails_where_an_interval_misses_its_value(records):
    changed = altered(records, "factorial", lambda v: v["inits"]["balanced"]["imp"].update(successes=6000))
    assert judged(changed)["3"].verdict == FAILED


def test_claim_4a_fails_where_a_rule_loses_the_mask(records):
    changed = altered(
        records, "pruning-iterations", lambda v: v["rules"]["imp"]["mask_recovered"].__setitem__(-1, 9000)
    )
    assert judged(changed)["4a"].verdict == FAILED


def test_without_results_every_claim_is_not_run_and_names_its_command():
    for verdict in evaluate(Records()):
        assert verdict.verdict == NOT_RUN
        assert all(r.command.startswith("paper_repro.py ") for r in verdict.rows)


def test_an_unreadable_run_is_named_in_the_row_that_needs_it(synthetic):
    data = accuracy()
    records = synthetic.in_memory(data)
    study = dataclasses.replace(
        records.studies[0], arms={k: v for k, v in records.studies[0].arms.items() if k != "lrr"}
    )
    found = judged(Records((study,), {}, (Problem("run-lrr", "f", "runs/lrr/x.json: broken"),)))
    assert found["5"].verdict == NOT_RUN and found["5"].rows[0].note == "runs/lrr/x.json: broken"


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
        (0.15, 0.0012, 0.3, POINTS, True, "+0.1500 [+0.0012, +0.3000] accuracy points"),
        (0.0, 0.0, 0.0, POINTS, True, "+0.00 [+0.00, +0.00] accuracy points"),
        (1.5, None, None, POINTS, True, "+1.50 accuracy points"),
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


def test_theorem_rows_say_how_many_starts_and_how_many_runs_stayed_undecided(records):
    counts = {"runs": 200, "learns": 48, "fails": 98, "undecided": 54, "contradictions": 0}
    changed = altered(records, "theorem-check", lambda v: v["claims"]["1"].update(integrated=counts))
    table = claims_markdown(evaluate(changed))
    line = next(line for line in table.splitlines() if line.startswith("| **1**"))
    assert "20,000 random starts" in line and "200 of them integrated as well, 54 of these undecided" in line
    assert "undecided" not in next(line for line in table.splitlines() if line.startswith("| **2**"))


def test_a_missing_arm_is_asked_for_by_name(synthetic):
    study = synthetic.in_memory({"imp": {0: 0.9}, "lrr": {0: 0.9}}).studies[0].study
    base = "paper_repro.py train --preset quick"
    assert train_command(study, ("imp", "lrr")) == base and train_command(None, ("wr",)) == base
    for arm in ("imp-long", "lrr-bn-rewind", "wr", "imp-on-shuffled-mask", "lrr-perturbed", "imp-without-warmup"):
        assert train_command(study, ("imp", arm)) == f"{base} --arms {arm}"
