from dataclasses import replace

import pytest

from figures.analysis.sweeps import SWEEP_ENTRIES
from figures.claims.registry import CLAIMS, evaluate
from figures.claims.tables import by_place, claims_json, claims_markdown
from figures.claims.verdicts import AT_CHANCE, INCONCLUSIVE, NOT_REPRODUCED, NOT_RUN, REPRODUCED, REVERSED
from figures.results.network import Problem, Records
from tests.figures import claim_records as made

ASKED = {"criteria": "criterion", "architectures": "model", "prune-rates": "prune-rate", "schedules": "schedule"}
SIX = range(6)


def judged(*studies, theory=None, plain=()):
    found = evaluate(Records(plain, theory or {}, (), (), tuple(studies)))
    return {verdict.id: verdict for verdict in found}


@pytest.mark.parametrize(("number", "name"), ASKED.items())
def test_a_lead_at_every_value_is_reproduced_with_a_row_and_the_size_of_each(number, name):
    found = judged(*made.swept(name))[number]
    leads = made.VALUES[name]
    assert found.verdict == REPRODUCED and (found.dataset, found.preset, found.sweep) == ("digits", "quick", name)
    assert [row.label for row in found.rows] == [f"{x}" for x in sorted(leads, key=str)]
    for row in found.rows:
        lead = next(lead for x, lead in leads.items() if str(x) == row.label)
        assert row.effect == pytest.approx(lead, abs=0.2) and row.decides and row.n == 6
        assert row.seeds == tuple(SIX) and row.p == row.p_min == 2 / 64
    assert sum("the common settings" in row.name for row in found.rows) == 1
    assert "digits" in found.scope and "seeds 0 1 2 3 4 5" in found.scope
    assert all(str(x) in found.scope for x in leads)


@pytest.mark.parametrize(("number", "name"), ASKED.items())
@pytest.mark.parametrize("lost", ["first", "base"])
def test_one_value_without_the_lead_refutes_it_the_common_settings_among_them(number, name, lost):
    base = made.BASE[name]
    without = base if lost == "base" else next(x for x in made.VALUES[name] if x != base)
    leads = made.VALUES[name] | {without: -1.0}
    found = judged(*made.swept(name, leads=leads))[number]
    assert found.verdict == NOT_REPRODUCED
    assert [row.verdict for row in found.rows].count(REVERSED) == 1


@pytest.mark.parametrize(("number", "name"), ASKED.items())
def test_a_sweep_is_judged_once_all_of_its_values_stand(number, name):
    studies = made.swept(name)
    assert SWEEP_ENTRIES[name].values_needed == len(studies)
    found = judged(*studies[:-1])[number]
    if len(studies) > 2:
        assert (
            found.verdict == NOT_RUN and found.rows[-1].note == f"{len(studies) - 1} of {len(studies)} values were run"
        )
        assert found.rows[-1].command == f"paper_repro.py train --preset quick --sweep {name}"
    refuted = judged(*made.swept(name, leads=dict.fromkeys(made.VALUES[name], -1.0))[1:])[number]
    assert refuted.verdict == NOT_REPRODUCED


def test_a_value_whose_networks_are_at_chance_neither_supports_nor_refutes():
    usual = made.swept("criterion")
    for lead in (2.0, 0.0, -2.0):  # of 10 points: all below 15
        lost = made.swept("criterion", leads=made.VALUES["criterion"] | {"random": lead}, top=10)[1]
        found = judged(usual[0], lost, *usual[2:])["criteria"]
        row = next(row for row in found.rows if row.label == "random")
        assert found.verdict == row.verdict == AT_CHANCE and row.effect == pytest.approx(lead, abs=0.2)
    assert AT_CHANCE.startswith(INCONCLUSIVE)


def test_a_lead_over_networks_at_chance_is_a_lead():
    usual = made.swept("criterion")
    found = judged(usual[0], made.swept("criterion", leads={"random": 30.0}, top=10)[0], *usual[2:])["criteria"]
    assert found.verdict == REPRODUCED
    assert (
        next(row for row in found.rows if row.label == "random").note
        == "high-sparsity accuracy at criterion random: imp 10.1, lrr 40.0"
    )


def test_a_data_set_of_unknown_classes_is_never_at_chance():
    found = judged(*made.swept("criterion", top=10, dataset="birds"))["criteria"]
    assert found.verdict == REPRODUCED


def test_claim_13_is_the_lead_at_the_largest_width_less_that_at_the_smallest_paired_by_seed(records):
    widths = made.swept("width")
    found = judged(*widths, theory=records.theory)["13"]
    network, *leads = [row for row in found.rows if row.unit == "accuracy points"]
    assert found.verdict == REPRODUCED and network.decides and network.effect == pytest.approx(4.0, abs=0.2)
    expected = [16, 4]
    h = {w: [r for r in widths if r.study.width == w][0] for w in expected}

    def lead(results, seed):
        values = [results.arms[arm].seeds[seed].levels[7].test_accuracy for arm in ("lrr", "imp")]
        return 100 * (values[0] - values[1])

    assert network.effect == pytest.approx(sum(lead(h[16], s) - lead(h[4], s) for s in SIX) / 6)
    assert [row.role for row in leads] == ["secondary"] * 3 and not network.note
    assert network.label == "networks: width 16 less 4" and "widths 4 and 16" in network.scope


def test_claim_13_needs_its_theory_part_and_its_network_part(records):
    widths = made.swept("width")
    assert judged(*widths)["13"].verdict == NOT_RUN
    assert judged(theory=records.theory)["13"].verdict == NOT_RUN
    falling = made.swept("width", leads={4: 3.0, 8: 2.0, 16: 1.0})
    assert judged(*falling, theory=records.theory)["13"].verdict == NOT_REPRODUCED
    assert judged(*widths[:-1], theory=records.theory)["13"].verdict == NOT_RUN


def test_claim_13_is_not_judged_where_the_narrowest_networks_are_at_chance(records):
    widths = made.swept("width")
    lost = made.swept("width", leads={4: 0.0}, top=10)[0]
    found = judged(lost, *widths[1:], theory=records.theory)["13"]
    assert found.verdict == found.rows[0].verdict == AT_CHANCE and found.rows[0].n == 6


def test_seeds_that_one_of_the_two_widths_lacks_are_left_out_and_named(records):
    widths = made.swept("width")
    few = made.swept("width", seeds=range(4))[-1]
    row = judged(*widths[:-1], few, theory=records.theory)["13"].rows[0]
    assert (row.n, row.seeds, row.missing) == (4, (0, 1, 2, 3), (4, 5))


def test_each_data_set_has_its_own_verdict_on_its_sweeps(records):
    digits = made.swept("width")
    cifar = made.swept("width", leads={4: 3.0, 8: 2.0, 16: 1.0}, dataset="cifar10")
    found = [v for v in evaluate(Records((), records.theory, (), (), (*digits, *cifar))) if v.id == "13"]
    assert [(v.dataset, v.verdict) for v in found] == [("digits", REPRODUCED), ("cifar10", NOT_REPRODUCED)]
    assert "cifar10" in found[1].scope and "digits" not in found[1].scope


def shares(share, spread=0.001):
    return {s: share + spread * (-1) ** s for s in SIX}


@pytest.mark.parametrize(
    ("imp", "lrr", "verdict"),
    [(0.995, 0.99, REPRODUCED), (0.995, 0.9, NOT_REPRODUCED), (0.97, 0.97, NOT_REPRODUCED), (0.98, 0.995, INCONCLUSIVE),
     (0.981, 0.981, REPRODUCED), (0.979, 0.979, NOT_REPRODUCED)],
)  # fmt: skip
def test_a_mask_converges_where_a_further_cycle_changes_less_than_two_hundredths(imp, lrr, verdict):
    spread = 0.0 if imp == lrr else 0.001
    found = judged(made.mask_study({"imp": shares(imp, spread), "lrr": shares(lrr, spread)}))["mask-convergence"]
    assert found.verdict == verdict
    of_lrr = (imp + 3 * lrr) / 4  # level 0 is common to both
    effects = [row.effect for row in found.rows]
    assert effects == pytest.approx([imp - 0.98, of_lrr - 0.98, 0.019, 0.019], abs=1e-9)
    assert [row.role for row in found.rows] == ["effect", "effect", "secondary", "secondary"]


def test_the_share_of_a_mask_is_averaged_over_levels_level_0_among_them():
    results = made.mask_study({arm: shares(0.99, 0.0) for arm in ("imp", "lrr")})
    lower = made.mask_study({arm: shares(0.95, 0.0) for arm in ("imp", "lrr")}).dense
    found = judged(replace(results, dense=lower))["mask-convergence"]
    assert found.rows[0].effect == pytest.approx((0.95 + 3 * 0.99) / 4 - 0.98)


def test_a_level_without_its_masks_is_a_seed_not_complete():
    results = made.mask_study({arm: shares(0.99) for arm in ("imp", "lrr")})
    seed = results.arms["imp"].seeds[3]
    bare = replace(seed, levels=seed.levels | {2: replace(seed.levels[2], mask_snapshots=())})
    arms = {**results.arms, "imp": replace(results.arms["imp"], seeds={**results.arms["imp"].seeds, 3: bare})}
    row = judged(replace(results, arms=arms))["mask-convergence"].rows[0]
    assert (row.n, row.missing) == (5, (3,))


def test_without_sweeps_their_claims_are_not_run_and_name_their_commands():
    found = judged()
    for number, name in {**ASKED, "13": "width", "mask-convergence": "mask-convergence"}.items():
        assert found[number].verdict == NOT_RUN
        assert found[number].rows[0].command == f"paper_repro.py train --preset quick --sweep {name}"


def test_sweeps_are_never_shown_as_the_presets_own_study():
    found = evaluate(made.every_record())
    for verdict in found:
        assert (verdict.study is None) or (verdict.sweep is None)
        if CLAIMS[verdict.id].kind not in ("theory", "network", "perturbed"):
            assert verdict.study is None and verdict.shared_overrides == "model=resnet8"
    titles = list(by_place(found))
    assert titles == [
        "Theory, and claims without results of networks",
        "Study s: preset quick, digits",
        "Sweeps of preset quick (common settings: model=resnet8), digits",
    ]


def test_an_unreadable_run_of_a_value_is_named_in_its_row():
    studies = made.swept("criterion")
    arms = {arm: run for arm, run in studies[1].arms.items() if arm != "lrr"}
    records = Records(sweeps=(studies[0], replace(studies[1], arms=arms), *studies[2:]),
                      problems=(Problem("run-lrr", "f", "runs/lrr/x.json: broken"),))  # fmt: skip
    row = next(v for v in evaluate(records) if v.id == "criteria").rows[1]
    assert row.verdict == NOT_RUN and row.note.startswith("runs/lrr/x.json: broken")


def test_the_table_and_the_json_hold_the_sweeps_with_their_scope():
    import json

    verdicts = evaluate(made.every_record())
    table = claims_markdown(verdicts)
    assert (
        "criterion random: high-sparsity accuracy, lrr - imp" in table
        and "width 16: high-sparsity accuracy, lrr - imp" in table
    )
    found = {claim["id"]: claim for claim in json.loads(claims_json(verdicts))["claims"]}
    assert (found["criteria"]["dataset"], found["criteria"]["preset"]) == ("digits", "quick")
    assert found["criteria"]["rows"][0]["seeds"] == list(SIX)
    assert "p_min" in found["criteria"]["rows"][0]
