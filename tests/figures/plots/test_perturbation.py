from dataclasses import replace

import numpy as np
import pytest

from figures.analysis.statistics import t_interval
from figures.catalogue import FIGURES
from figures.plots.builder import NothingToDraw
from figures.plots.style import ARM_STYLES
from figures.results.network import Records
from tests.figures.perturbed import RULES, VALUES, draw, plain, swept

H_LEVELS = (6, 7)


@pytest.fixture(scope="module")
def drawing(synthetic):
    return draw(plain(synthetic), sweeps=swept(synthetic))


def cost(results, rule, levels):
    """Unperturbed less perturbed accuracy over some levels, one a seed, read from the records."""

    def mean(arm, seed):
        return np.mean([results.arms[arm].seeds[seed].levels[k].test_accuracy for k in levels])

    return [mean(rule, s) - mean(f"{rule}-perturbed", s) for s in results.study.seeds]


def line_of(axes, label):
    return next(c.lines[0] for c in axes.containers if c.get_label() == label)


@pytest.mark.parametrize("rule", ["imp", "lrr"])
def test_the_cost_over_density_is_unperturbed_less_perturbed_paired_by_seed(drawing, synthetic, rule):
    curve, results = drawing.plotted["quick-digits"]["costs"][rule], plain(synthetic)
    expected = [t_interval(cost(results, rule, [k])) for k in curve["level"]]
    assert curve["level"] == list(range(1, 8))
    for key in ("mean", "low", "high"):
        np.testing.assert_allclose(curve[key], [getattr(e, key) for e in expected])
    drawn = line_of(drawing.figure.axes[1], ARM_STYLES[rule].label).get_ydata(orig=False)
    np.testing.assert_allclose(drawn, curve["mean"])


@pytest.mark.parametrize("rule", ["imp", "lrr"])
def test_the_cost_of_h_over_the_share_is_that_of_the_records_at_the_usual_level(drawing, synthetic, rule):
    plotted = drawing.plotted["quick, model=resnet8, digits"]
    curve, studies = plotted["over share"][rule], swept(synthetic)
    assert [p["share"] for p in curve["perturbed"]] == [0.1, 0.2, 0.5]
    assert {(p["level"], p["scope"]) for p in curve["perturbed"]} == {(4, "global")}
    expected = [t_interval(cost(studies[i], rule, H_LEVELS)) for i in (0, 1, 2)]
    for key in ("mean", "low", "high"):
        np.testing.assert_allclose(curve[key], [getattr(e, key) for e in expected])
    line = line_of(drawing.figure.axes[2], ARM_STYLES[rule].label)
    np.testing.assert_allclose(line.get_ydata(orig=False), curve["mean"])
    np.testing.assert_allclose(line.get_xdata(orig=False), [0.1, 0.2, 0.5], atol=0.01)


def test_other_levels_and_scopes_stand_apart_at_one_share(drawing, synthetic):
    plotted, studies = drawing.plotted["quick, model=resnet8, digits"], swept(synthetic)
    places = {(p["level"], p["scope"]): i for i, p in enumerate(plotted["by level and scope"]["imp"]["perturbed"])}
    assert set(places) == {(1, "global"), (4, "global"), (7, "global"), (4, "layerwise")}
    assert {p["share"] for p in plotted["by level and scope"]["imp"]["perturbed"]} == {0.2}
    late = plotted["by level and scope"]["imp"]["mean"][places[7, "global"]]
    assert late == pytest.approx(np.mean(cost(studies[4], "imp", H_LEVELS)))
    labels = [tick.get_text() for tick in drawing.figure.axes[3].get_xticklabels()]
    assert labels == ["level 1", "level 4", "level 7", "level 4\nin layers"]


def test_the_caption_says_share_level_seeds_and_the_claims_effect(drawing, synthetic):
    from figures.claims.registry import evaluate

    row = next(v for v in evaluate(Records((plain(synthetic),))) if v.id == "11").rows[0]
    effect = f"{row.effect:+.2f} [{row.low:+.2f}, {row.high:+.2f}] accuracy points"
    assert f"IMP's less LRR's (high-sparsity accuracy: {effect})" in drawing.caption
    assert "a share of 0.2 of the surviving signs flipped at the start of level 4" in drawing.caption
    assert drawing.caption.count("n = 4 seeds (0 1 2 3)") == 2 and "resnet8" in drawing.caption
    assert [item.what for item in drawing.missing] == ["IMP, LRR's epochs"], "the control, which was not made up"


def test_without_the_sweep_the_plain_study_is_drawn_and_the_command_named(synthetic):
    found = draw(plain(synthetic))
    assert len(found.figure.axes) == 2
    assert [item.command for item in found.missing if "share" in item.panel] == [
        "paper_repro.py train --preset quick --sweep perturbation"
    ]
    assert "`paper_repro.py train --preset quick --sweep perturbation`" in found.caption


def test_a_study_without_perturbed_arms_is_left_out_and_said(synthetic):
    bare = plain(synthetic)
    arms = {arm: run for arm, run in bare.arms.items() if not arm.endswith("-perturbed")}
    with pytest.raises(NothingToDraw, match="--arms imp-perturbed lrr-perturbed"):
        draw(replace(bare, arms=arms, study=replace(bare.study, arms={arm: run.run for arm, run in arms.items()})))
    found = draw(bare, sweeps=swept(synthetic, arms=("imp", "imp-perturbed")))
    plotted = found.plotted["quick, model=resnet8, digits"]
    assert plotted["over share"]["lrr"]["mean"] == [] and len(plotted["over share"]["imp"]["mean"]) == 3
    assert any("lrr-perturbed" in item.why for item in found.missing)


def test_one_seed_gives_no_interval(synthetic):
    found = draw(sweeps=swept(synthetic, seeds=(0,)))
    plotted = found.plotted["quick, model=resnet8, digits"]
    for part in ("over share", "by level and scope"):
        assert set(plotted[part]["imp"]["low"]) == {None} and plotted[part]["imp"]["mean"]
    assert "n = 1 seed, no intervals" in found.caption


def test_one_perturbation_alone_needs_no_panel_of_others(synthetic):
    found = draw(sweeps=swept(synthetic, values=VALUES[:1]))
    assert "by level and scope" not in found.plotted["quick, model=resnet8, digits"]
    assert len(found.figure.axes) == 1


def without_perturbed_arms(results):
    arms = {arm: run for arm, run in results.arms.items() if not arm.endswith("-perturbed")}
    return replace(results, arms=arms, study=replace(results.study, arms={arm: run.run for arm, run in arms.items()}))


def test_where_only_the_sweep_has_perturbed_signs_its_usual_value_is_drawn_and_judged(synthetic):
    from figures.claims.registry import evaluate

    study, values = without_perturbed_arms(plain(synthetic)), swept(synthetic)
    usual = values[1]
    found = draw(study, sweeps=values)
    assert list(found.plotted) == [usual.study.study, "quick, model=resnet8, digits"]
    assert found.plotted[usual.study.study]["perturbed"]["share"] == 0.2 and not found.missing
    (verdict,) = [v for v in evaluate(Records((study,), sweeps=tuple(values))) if v.id == "11"]
    effect = np.mean(cost(usual, "imp", H_LEVELS)) - np.mean(cost(usual, "lrr", H_LEVELS))
    assert verdict.rows[0].effect == pytest.approx(100 * effect) and verdict.study is None
    assert (verdict.preset, verdict.sweep, verdict.shared_overrides) == ("quick", "perturbation", "model=resnet8")
    assert "resnet8" in verdict.scope and "resnet20" not in verdict.scope


def test_a_presets_own_perturbed_arms_are_judged_rather_than_the_sweep(synthetic):
    from figures.claims.registry import evaluate

    records = Records((plain(synthetic),), sweeps=tuple(swept(synthetic)))
    (verdict,) = [v for v in evaluate(records) if v.id == "11"]
    assert verdict.study == "quick-digits" and verdict.sweep is None


def test_claim_11_is_not_run_where_its_share_and_level_are_not_among_the_values(synthetic):
    from figures.claims.registry import evaluate

    others = tuple(value for k, value in enumerate(swept(synthetic)) if k != 1)
    (verdict,) = [v for v in evaluate(Records((), sweeps=others)) if v.id == "11"]
    assert verdict.verdict == "not run"
    assert verdict.rows[0].command == "paper_repro.py train --preset quick --sweep perturbation"


def test_claim_11_is_not_judged_on_networks_at_chance(synthetic):
    from figures.claims.registry import evaluate
    from figures.claims.verdicts import AT_CHANCE

    usual = swept(synthetic)[1]

    def guessing(run):
        def at(record):
            levels = {k: replace(level, test_accuracy=level.test_accuracy - 0.8) for k, level in record.levels.items()}
            return replace(record, levels=levels)

        return replace(run, seeds={s: at(record) for s, record in run.seeds.items()})

    lost = replace(usual, arms={arm: guessing(run) for arm, run in usual.arms.items()})
    (verdict,) = [v for v in evaluate(Records((), sweeps=(lost,))) if v.id == "11"]
    assert verdict.verdict == AT_CHANCE


@pytest.mark.parametrize("change", ["another share", "an arm missing", "no complete seed"])
def test_perturbed_arms_that_are_not_those_of_claim_11_do_not_stand_in_for_the_sweep(synthetic, change):
    from figures.analysis.sweeps import perturbed_studies

    own, values = plain(synthetic), swept(synthetic)
    arms = dict(own.arms)
    if change == "another share":
        arms = {arm: replace(run, config=run.config | {"perturb_rate": 0.5}) for arm, run in arms.items()}
    elif change == "an arm missing":
        del arms["lrr-perturbed"]
    else:
        arms["imp-perturbed"] = replace(arms["imp-perturbed"], seeds={})
    ((found, sweep),) = perturbed_studies(Records((replace(own, arms=arms),), sweeps=tuple(values)))
    assert found is values[1] and sweep.name == "perturbation"


def test_a_study_without_perturbed_signs_keeps_its_place_among_the_claims(synthetic):
    from figures.claims.registry import evaluate

    study, values = without_perturbed_arms(plain(synthetic)), swept(synthetic)
    cifar = replace(study, study=replace(study.study, study="cifar10", base="cifar10", dataset="cifar10"))
    found = {v.dataset: v for v in evaluate(Records((study, cifar), sweeps=tuple(values))) if v.id == "11"}
    assert found["digits"].sweep == "perturbation" and found["cifar10"].verdict == "not run"
    assert "--arms imp-perturbed lrr-perturbed" in found["cifar10"].rows[0].command


def test_a_study_that_the_sweep_stands_in_for_is_no_input_of_figure_6(synthetic):
    from figures.inputs import studies_read

    own, values = plain(synthetic), tuple(swept(synthetic))

    def read(study, sweeps):
        found = studies_read(FIGURES["6"], Records((study,), sweeps=sweeps))
        return {arm for results, arms in found if results.study.study == "quick-digits" for arm in arms}

    assert read(without_perturbed_arms(own), values) == set()
    assert set(RULES) <= read(own, values) and set(RULES) <= read(without_perturbed_arms(own), ())
