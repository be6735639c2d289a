"""A study whose n was fixed before its data: interim below it, primary claims by Holm, what its verdicts are worth."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from figures.analysis.statistics import Interval, holm, p_of_interval, t_interval, t_test_p
from figures.claims.family import FALSE_REPRODUCED, HIGHEST_RATE, PRIMARY, multiplicity
from figures.claims.registry import evaluate
from figures.claims.tables import claims_json, claims_markdown, side_by_side, verdicts_of
from figures.claims.verdicts import INTERIM, NOT_REPRODUCED, REPRODUCED, REVERSED
from figures.report.page import Content, report_html
from figures.results import bundled
from figures.results.bundled import with_bundled
from figures.results.load import load
from figures.results.network import Records
from tests.figures import synthetic_planned as planned

SIX_SEEDS, FOUR_SEEDS = ("5", "6", "7", "9", "10a", "10b", "14"), ("8", "12")


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    """Records of the study with three, four and all six seeds of its first tier, and with the opposite effects."""
    made = {n: load(planned.study(tmp_path_factory.mktemp(f"n{n}") / "r", n)) for n in (3, 4, 6)}
    return made | {"opposite": load(planned.study(tmp_path_factory.mktemp("opposite") / "r", scale=-1.0))}


def judged(records, number):
    return next(verdict for verdict in evaluate(records, [number]) if verdict.study == planned.STUDY)


def deciding(verdict):
    return [row for row in verdict.rows if row.decides]


@pytest.mark.parametrize("number", SIX_SEEDS)
def test_below_the_planned_n_every_row_is_interim_and_none_has_a_verdict(studies, number):
    verdict = judged(studies[3], number)
    assert verdict.verdict == "interim (n = 3 of 6)"
    rows = [row for row in verdict.rows if row.n and not row.scope.startswith("theory")]
    assert rows and all(row.verdict.startswith(INTERIM) for row in rows)
    assert all(row.effect is not None for row in rows), "what has been measured is shown"


def test_each_row_has_the_n_that_was_planned_for_its_arms(studies):
    five = judged(studies[4], "5")
    assert five.verdict == "interim (n = 4 of 6)" and five.control == "interim (n = 4 of 6)"
    kept = next(row for row in five.rows if "imp-bn-kept" in row.name)
    assert (kept.n, kept.planned, kept.verdict) == (4, 4, "above 0"), "four seeds were planned, and are there"
    assert kept.missing == ()
    whole = judged(studies[6], "5")
    assert next(row for row in whole.rows if "imp-bn-kept" in row.name).missing == (), "seeds 4 and 5 are not missing"


def test_at_the_planned_n_the_usual_rule_holds(studies):
    for number in ("5", "6", "7", "9", "14"):
        assert judged(studies[6], number).verdict == REPRODUCED
    assert judged(studies["opposite"], "5").verdict == REVERSED


def test_a_seed_that_diverged_does_not_keep_a_row_interim(studies):
    (study,) = studies[6].studies
    run = study.arms["imp"]
    level = replace(run.seeds[5].levels[7], status="diverged", test_accuracy=None)
    lost = replace(run.seeds[5], levels={**run.seeds[5].levels, 7: level})
    arms = {**study.arms, "imp": replace(run, seeds={**run.seeds, 5: lost})}
    row = deciding(judged(replace(studies[6], studies=(replace(study, arms=arms),)), "6"))[0]
    assert (row.n, row.planned, row.diverged) == (5, 6, 1) and not row.verdict.startswith(INTERIM)


def test_a_seed_that_was_not_planned_never_counts(studies):
    (study,) = studies[6].studies
    fewer = {**study.study.planned, "imp": (0, 1, 2, 3)}
    results = replace(study, study=replace(study.study, planned=fewer))
    row = deciding(judged(replace(studies[6], studies=(results,)), "5"))[0]
    assert row.seeds == (0, 1, 2, 3) and row.planned == 4


def test_claims_whose_arms_are_not_planned_are_not_judged_on_the_study(studies):
    found = evaluate(studies[6])
    of_study = {verdict.id for verdict in found if verdict.study == planned.STUDY}
    assert of_study == {*SIX_SEEDS, *FOUR_SEEDS} and not {"11", "15a", "15b"} & of_study
    rows = [row for verdict in found if verdict.study for row in verdict.rows if row.role == "secondary"]
    assert not any(row.verdict == "not planned" for row in rows)


def test_a_control_that_is_not_planned_is_said_and_keeps_a_claim_inconclusive(tmp_path):
    few = {arm: range(6) for arm in ("imp", "lrr", "imp-on-lrr-mask", "lrr-on-imp-mask")}
    records = load(planned.study(tmp_path / "r", planned=few, protocol="authors"), protocol="authors")
    five = judged(records, "5")
    assert five.verdict == "inconclusive (control not planned)" and five.control == "not planned"
    assert judged(records, "6").verdict == REPRODUCED
    assert "All claims of this study are secondary." in claims_markdown(evaluate(records), protocol="authors")


# ------------------------------------------------------------------------------------------------ primary claims


@pytest.mark.parametrize("values", [[0.5, 0.9, 0.7, 1.1, 0.2, 0.6], [-1.0, 1.0], [2.0, 2.0, 2.0], [0.0, 0.0]])
def test_the_p_of_an_interval_is_that_of_its_t_test(values):
    assert math.isclose(p_of_interval(t_interval(values)), t_test_p(values), rel_tol=1e-9, abs_tol=1e-12)
    assert p_of_interval(Interval(1.0, None, None, 1)) == 1.0


def test_primary_rows_print_p_by_holm_over_the_three_claims(studies):
    verdicts = {number: judged_all(studies[6])[number] for number in PRIMARY}
    rows = [deciding(verdict)[0] for verdict in verdicts.values()]
    p = [p_of_interval(Interval(row.effect, row.low, row.high, row.n)) for row in rows]
    for row, one, adjusted in zip(rows, p, holm(p), strict=True):
        assert f"primary claim: t-test p = {one:.3g}, {adjusted:.3g} by Holm over claims 5, 7, 14" in row.note
    others = [row for number, v in judged_all(studies[6]).items() if number not in PRIMARY for row in v.rows]
    assert not any("primary" in row.note for row in others)


def judged_all(records):
    return {verdict.id: verdict for verdict in evaluate(records) if verdict.study == planned.STUDY}


def test_nothing_is_tested_before_all_primary_claims_have_their_n(studies):
    for number in PRIMARY:
        note = deciding(judged_all(studies[4])[number])[0].note
        assert "tested when all primary claims have their planned n" in note and "Holm" not in note


def test_other_studies_have_no_primary_claims(records):
    text = claims_markdown(evaluate(records))
    assert "primary" not in text.lower() and "interim" not in text and "Data sets side by side" not in text
    assert b'"planned"' not in claims_json(evaluate(records))


# --------------------------------------------------------------------------------------- what verdicts are worth


def test_the_table_says_how_many_verdicts_it_has_and_how_many_would_be_false(studies):
    found = [verdict for verdict in evaluate(studies[6]) if verdict.study == planned.STUDY]
    counted = multiplicity(found)
    with_control = [verdict for verdict in found if verdict.id in ("5", "7", "8")]
    assert counted.verdicts == len(found) + len(with_control) == 12
    assert counted.interim == 0 and 0 < counted.false < counted.verdicts * HIGHEST_RATE
    assert counted.false >= 12 * FALSE_REPRODUCED[6]
    text = claims_markdown(evaluate(studies[6]))
    assert f"{counted.verdicts} verdicts" in text and f"about {counted.false:.1f} of them" in text
    interim = multiplicity([verdict for verdict in evaluate(studies[3]) if verdict.study == planned.STUDY])
    assert interim.interim == interim.verdicts == counted.verdicts and interim.false == counted.false


def test_a_document_of_verdicts_reads_back_with_the_planned_n(studies):
    verdicts = evaluate(studies[3])
    assert verdicts_of(json.loads(claims_json(verdicts))) == list(verdicts)


# ----------------------------------------------------------------------------------------- data sets side by side


def beside(records, study):
    return replace(records, studies=(*records.studies, *study.studies), sweeps=())


def test_data_sets_stand_side_by_side_and_a_column_is_empty_until_its_n_is_reached(records, studies):
    found = side_by_side(evaluate(beside(records, studies[3])))
    assert found.columns == ("digits", "CIFAR-10 (JPEG)") and not any(words[1] for words in found.rows.values())
    assert "no claim has a final verdict on two data sets" in found.sentences.lower()
    found = side_by_side(evaluate(beside(records, studies[6])))
    assert found.rows["5"] == (REPRODUCED, REPRODUCED) and found.rows["15b"] == (REPRODUCED, "")


def test_where_data_sets_disagree_a_sentence_lists_it(records, studies):
    verdicts = evaluate(beside(records, studies["opposite"]))
    found = side_by_side(verdicts)
    assert f"5 ({REPRODUCED} on digits, {REVERSED} on CIFAR-10 (JPEG))" in found.disagreements
    assert "10a" not in " ".join(found.disagreements)
    text = claims_markdown(verdicts)
    assert "The data sets disagree on claim 5 (reproduced on digits" in text
    assert f"| 5 | {REPRODUCED} | {REVERSED} |" in text
    page = report_html(Content([], {}, verdicts)).decode()
    assert "The data sets disagree on claim 5" in page and "Primary claims, stated before the data: 5, 7, 14" in page
    assert f'<tr class="claim"><th scope="row">5</th><td>{REPRODUCED}</td><td>{REVERSED}</td></tr>' in page


@pytest.mark.parametrize(
    ("words", "disagree", "differ"),
    [
        ((REPRODUCED, REVERSED), 1, 0),
        ((REPRODUCED, NOT_REPRODUCED), 1, 0),
        ((REPRODUCED, "inconclusive"), 0, 1),
        ((NOT_REPRODUCED, REVERSED), 0, 1),
        ((REPRODUCED, ""), 0, 0),
        ((REPRODUCED, REPRODUCED), 0, 0),
    ],
)
def test_only_opposite_verdicts_disagree(records, studies, words, disagree, differ):
    found = replace(side_by_side(evaluate(beside(records, studies[6]))), rows={"5": words})
    assert (len(found.disagreements), len(found.differences)) == (disagree, differ)


def test_what_the_results_lack_is_not_run_although_a_study_comes_with_the_code(studies, tmp_path, monkeypatch):
    planned.study(tmp_path / planned.DATASET)
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path)
    found = [verdict for verdict in evaluate(with_bundled(Records())) if verdict.id == "5"]
    assert [(verdict.study, verdict.verdict) for verdict in found] == [(None, "not run"), (planned.STUDY, REPRODUCED)]


@pytest.mark.slow
def test_rates_of_false_verdicts_are_at_least_those_that_are_measured():
    """Normal differences without an effect: the interval promises 2.5 % above 0."""
    rng = np.random.default_rng(5)
    for n, rate in FALSE_REPRODUCED.items():
        drawn = rng.normal(size=(4000, n))
        assert np.mean([t_interval(list(row)).low > 0 for row in drawn]) <= rate <= HIGHEST_RATE
