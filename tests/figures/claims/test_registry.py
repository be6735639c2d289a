import dataclasses

import pytest

from figures.claims.registry import CLAIMS, claim_11, claim_12, evaluate
from figures.claims.tables import claims_markdown
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    AT_CHANCE,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    NUMBER_OF_LEVELS,
    NUMBER_OF_SWITCHES,
    PROBABILITY,
    REPRODUCED,
    REVERSED,
    SHARE,
    SMALLEST_EFFECT,
    Evidence,
)
from figures.results.network import Problem, Records, train_command
from tests.figures.claim_records import EVERY_LEAD, LEADS, SEEDS, accuracy, as_theirs, on_every_study, signs

SWAP = {
    "imp": "lrr", "imp-on-random-mask": "lrr-on-random-mask", "imp-on-shuffled-mask": "lrr-on-shuffled-mask",
    "imp-on-lrr-mask": "imp", "lrr-on-imp-mask": "imp",
}  # fmt: skip


def judged(records):
    return {verdict.id: verdict for verdict in evaluate(records)}


def test_every_claim_of_the_table_is_registered():
    of_the_paper = [
        "1",
        "2",
        "3",
        "4a",
        "4b",
        *map(str, range(5, 10)),
        "10a",
        "10b",
        *map(str, range(11, 15)),
        "15a",
        "15b",
    ]
    asked = ["criteria", "architectures", "prune-rates", "schedules", "mask-convergence"]
    assert list(CLAIMS) == of_the_paper + asked
    assert {CLAIMS[number].source for number in asked} == {"reviewers' question, ours"}


@pytest.mark.parametrize("number", CLAIMS)
def test_a_claim_reads_what_it_says_and_nothing_else(monkeypatch, records, number):
    """Its verdicts and rows stay the same without the rest, and change without any part of it, in either protocol."""
    claim = CLAIMS[number]
    monkeypatch.setattr("figures.claims.registry.CLAIMS", {number: claim})

    def judged_without(arms, theory):
        def kept(results):
            there = {arm: run for arm, run in results.arms.items() if arm in arms}
            return dataclasses.replace(results, arms=there)

        less = on_every_study(records, kept)
        return both(dataclasses.replace(less, theory={name: records.theory[name] for name in theory}))

    def both(records):
        return evaluate(records), evaluate(on_every_study(records, as_theirs))

    arms = (*claim.arms, *claim.more)
    assert judged_without(arms, claim.theory) == both(records)
    for part in (*arms, *claim.theory):
        without = [{name for name in read if name != part} for read in (arms, claim.theory)]
        assert judged_without(*without) != both(records), part


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
    assert SMALLEST_EFFECT == {
        ACCURACY_POINTS: 0.2,
        PROBABILITY: 0.02,
        SHARE: 0.02,
        NUMBER_OF_LEVELS: 0.02,
        NUMBER_OF_SWITCHES: 0.02,
    }
    imp = {s: 0.9 for s in SEEDS}
    coarse = {s: 0.9 + 0.008 * (-1) ** s for s in SEEDS}  # interval -.9 to .9 points: too wide to refute .2
    assert judged(synthetic.in_memory({"imp": imp, "imp-on-lrr-mask": coarse}))["6"].verdict == INCONCLUSIVE


def test_claim_8_has_both_kinds_of_mask_each_beside_the_control_on_its_own_masks(synthetic):
    rows = judged(synthetic.in_memory(accuracy(noise=0.001)))["8"].rows
    expected = {
        "high-sparsity accuracy, lrr-on-random-mask - imp-on-random-mask": 3.0,
        "against training length: lrr-on-random-mask - imp-long-on-random-mask": 2.0,
        "high-sparsity accuracy, lrr-on-shuffled-mask - imp-on-shuffled-mask": 2.5,
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


def test_three_seeds_give_no_verdict(synthetic):
    found = judged(synthetic.in_memory(accuracy(seeds=range(3)), signs(range(3))))
    for claim in ("5", "6", "7", "8", "9", "10a", "10b"):
        assert found[claim].verdict == "inconclusive (n = 3)", claim


def test_no_effect_measured_finely_is_not_reproduced_and_coarsely_inconclusive(synthetic):
    flat = dict.fromkeys(LEADS, 0.0)
    assert judged(synthetic.in_memory(accuracy(flat, range(8), noise=0.02)))["6"].verdict == NOT_REPRODUCED
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
    assert [v.verdict for v in verdicts] == [REPRODUCED, NOT_REPRODUCED]
    assert "digits" in verdicts[0].scope and "cifar10" in verdicts[1].scope


def test_claim_12_enlarged_lead_and_its_missing_part(synthetic):
    found = judged(synthetic.in_memory(accuracy()))["12"]
    assert found.verdict == NOT_RUN
    assert found.rows[0].effect == pytest.approx((4.5 - 0) - (3.0 - 0.5), abs=0.3)
    assert found.rows[1].verdict == NOT_RUN and "lrr-without-warmup" in found.rows[1].command


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


def test_a_missing_arm_is_asked_for_by_name(synthetic):
    study = synthetic.in_memory({"imp": {0: 0.9}, "lrr": {0: 0.9}}).studies[0].study
    base = "paper_repro.py train --preset quick"
    assert train_command(study, ("imp", "lrr")) == base and train_command(None, ("wr",)) == base
    for arm in ("imp-long", "lrr-bn-rewind", "wr", "imp-on-shuffled-mask", "lrr-perturbed", "imp-without-warmup"):
        assert train_command(study, ("imp", arm)) == f"{base} --arms {arm}"


# ------------------------------------------------------------------------------------- 15, at chance, later arms


def cyclic(early, late, noise=0.02, seeds=range(8)):
    """Claims 15a and 15b where cyclic training leads LRR by `early` points, and by `late` at the last two levels."""
    from tests.figures.synthetic import in_memory

    return judged(in_memory(accuracy({"lrr": 0.0, "cyclic-random": (early, late)}, seeds, noise, seed=1)))


@pytest.mark.parametrize(
    ("early", "noise", "verdict"),
    [(0.0, 0.05, REPRODUCED), (1.0, 0.05, REPRODUCED), (-0.1, 0.02, REPRODUCED), (-0.2, 0.1, INCONCLUSIVE),
     (-0.3, 0.02, NOT_REPRODUCED), (-1.0, 0.05, NOT_REPRODUCED), (0.0, 2.0, INCONCLUSIVE)],
)  # fmt: skip
def test_claim_15a_asks_whether_the_interval_lies_above_minus_two_tenths(early, noise, verdict):
    found = cyclic(early, -9.0, noise)["15a"]
    (row,) = found.rows
    assert found.verdict == verdict and row.against == -0.2
    lies = REPRODUCED if row.low > -0.2 else NOT_REPRODUCED if row.high < -0.2 else INCONCLUSIVE
    assert lies == verdict


def test_claim_15a_averages_the_levels_above_three_hundredths_and_leaves_out_level_0(synthetic):
    lrr = {s: [0.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1] for s in SEEDS}
    lower = {s: [0.5, 0.9, 0.9, 0.9, 0.9, 0.85, 0.9, 0.9] for s in SEEDS}
    row = judged(synthetic.in_memory({"lrr": lrr, "cyclic-random": lower}))["15a"].rows[0]
    assert row.effect == pytest.approx(-5 / 5) and row.verdict == NOT_REPRODUCED


def test_claim_15b_is_the_lead_of_lrr_at_high_sparsity():
    found = cyclic(0.0, -2.0)
    assert found["15b"].verdict == REPRODUCED and found["15b"].rows[0].effect == pytest.approx(2.0, abs=0.1)
    assert cyclic(0.0, 2.0)["15b"].verdict == REVERSED


def test_the_rows_of_claim_15_say_what_had_been_seen_and_need_four_seeds():
    for number in ("15a", "15b"):
        assert "levels 6 and 7 of the preset quick were seen before" in cyclic(0.0, -2.0)[number].rows[0].note
        assert cyclic(0.0, -2.0, seeds=range(3))[number].verdict == "inconclusive (n = 3)"


JUDGED_AT_CHANCE = ("5", "6", "7", "8", "12", "14", "15a", "15b")


@pytest.mark.parametrize("number", JUDGED_AT_CHANCE)
def test_where_no_arm_has_learnt_there_is_no_verdict(synthetic, number):
    low = judged(synthetic.in_memory(accuracy(EVERY_LEAD, noise=0.05, top=9.5)))[number]
    assert low.verdict == AT_CHANCE and {row.verdict for row in low.rows if row.decides} == {AT_CHANCE}
    high = judged(synthetic.in_memory(accuracy(EVERY_LEAD, noise=0.05, top=30)))[number]
    assert high.verdict == REPRODUCED


def test_one_arm_that_has_learnt_is_enough_for_a_verdict(synthetic):
    found = judged(synthetic.in_memory(accuracy(LEADS | {"imp": -4.0, "lrr": 8.0}, noise=0.05, top=10)))
    assert found["5"].verdict == REPRODUCED and found["7"].verdict == AT_CHANCE
    unknown = judged(synthetic.in_memory(accuracy(LEADS, noise=0.05, top=9.5), dataset="birds"))
    assert unknown["5"].verdict == REPRODUCED, "of unknown classes the share of right guesses is not known"


LATER = {
    "imp-warm": 2.0, "lrr-bn-rewind-on-imp-mask": 3.5, "magnitude-bn-kept": 1.3, "imp-perturbed-often": -7.0,
    "lrr-perturbed-often": 1.0, "imp-warmup-every": 0.5, "lrr-warmup-every": 2.0,
}  # fmt: skip


def rows_of(evidence, claim, **more):
    return {row.name: row for row in claim(evidence, **more)}


def added(synthetic, number):
    """The row that a claim has more where the later arms have been run."""
    both = [judged(synthetic.in_memory(accuracy(leads, noise=0.001)))[number] for leads in (LEADS, LEADS | LATER)]
    names = [{row.name: row for row in found.rows} for found in both]
    assert both[0].verdict == both[1].verdict
    (name,) = set(names[1]) - set(names[0])
    assert names[1][name].role == "secondary"
    return names[1][name]


@pytest.mark.parametrize(
    ("number", "words", "effect"),
    [("5", "lrr - imp-warm", 1.0), ("7", "lrr-bn-rewind-on-imp-mask - imp", 3.5),
     ("14", "BN kept by magnitude rewind", (3.5 + 4.5 - 0 - 1.3) / 2)],
)  # fmt: skip
def test_arms_that_a_study_may_have_add_a_secondary_row_and_no_verdict(synthetic, number, words, effect):
    row = added(synthetic, number)
    assert words in row.name and row.effect == pytest.approx(effect, abs=0.01) and row.verdict == "above 0"


def test_an_optional_row_that_is_listed_and_not_run_is_not_run(synthetic):
    (results,) = synthetic.in_memory(accuracy(LEADS)).studies
    listed = dataclasses.replace(results.study, arms={**results.study.arms, "imp-warm": "run-imp-warm"})
    row = judged(Records((dataclasses.replace(results, study=listed),)))["5"].rows[-1]
    assert row.verdict == NOT_RUN and "imp-warm" in row.name


def evidence_of(synthetic, leads):
    return Evidence(synthetic.in_memory(accuracy(leads, noise=0.001)).studies[0], {}, {})


def test_the_protocol_says_which_perturbation_decides_claim_11(synthetic):
    both = evidence_of(synthetic, EVERY_LEAD | LATER)
    ours, theirs = claim_11(both), claim_11(both, protocol="authors")
    assert [row.effect for row in ours] == pytest.approx([5 - 1, 7 - 2], abs=0.01)
    assert [row.name for row in theirs] == [row.name for row in reversed(ours)]
    assert [row.role for row in ours] == [row.role for row in theirs] == ["effect", "secondary"]
    assert len(claim_11(evidence_of(synthetic, EVERY_LEAD))) == 1
    (wanted, beside) = claim_11(evidence_of(synthetic, EVERY_LEAD), protocol="authors")
    assert wanted.verdict == NOT_RUN and "imp-perturbed-often lrr-perturbed-often" in wanted.command
    assert beside.role == "secondary" and beside.effect == pytest.approx(4.0, abs=0.01)


def test_claim_12_compares_a_warm_up_once_with_one_at_every_level_under_the_authors_protocol(synthetic):
    both = evidence_of(synthetic, EVERY_LEAD | LATER)
    theirs = rows_of(both, claim_12, protocol="authors")
    every = theirs["warm-up: (lrr - imp, once) - (lrr - imp, at every level)"]
    none = theirs["warm-up: (lrr - imp, once) - (lrr - imp without), which moves the rewind point too"]
    assert every.decides and every.effect == pytest.approx(3.0 - 1.5, abs=0.01)
    assert none.role == "secondary" and none.effect == pytest.approx(3.0 - 1.5, abs=0.01)
    assert rows_of(both, claim_12).keys() == rows_of(evidence_of(synthetic, EVERY_LEAD), claim_12).keys()


def test_a_study_of_the_authors_protocol_is_judged_on_its_own_perturbation(records):
    (verdict,) = [v for v in evaluate(on_every_study(records, as_theirs)) if v.id == "11"]
    assert verdict.rows[0].decides and "several times" in verdict.rows[0].name and verdict.study == "quick-digits"


def test_the_best_accuracies_are_named_in_every_scope_that_they_are_in(records):
    found = judged(dataclasses.replace(records, accuracy="best"))
    for verdict in found.values():
        about = any(row.unit == ACCURACY_POINTS for row in verdict.rows)
        for scope in (verdict.scope, *(row.scope for row in verdict.rows)):
            assert ("selected on the test set" in scope) == (about and not scope.startswith("theory")), verdict.id
    table = claims_markdown(list(found.values()), accuracy="best")
    assert "selected on the test set" in table.split("## ")[0]
    assert "selected" not in claims_markdown(evaluate(records))
