"""The tidy table of results: its columns, its rows, and what is computed from it."""

import json
import math
import re
from dataclasses import replace

import pandas as pd
import pytest

import figures
from figures.analysis.statistics import t_interval
from figures.analysis.table import COLUMNS, arm_curve, contrast_curve
from figures.results.load import load
from tests import ROOT
from tests.figures import claim_records as made
from tests.figures import synthetic

SEEDS = (0, 1, 2, 3)


@pytest.fixture(scope="module")
def table(folder):
    return figures.frame(folder)


@pytest.fixture(scope="module")
def study(table):
    return table[table.study == "quick-digits"]


def level_file(folder, arm, seed, level):
    (found,) = folder.glob(f"runs/{arm}-digits-resnet20-0000cafe/seed-{seed}/level-{level:02d}/level.json")
    return json.loads(found.read_text())


def test_every_column_is_in_the_readme_with_its_words(table):
    text = (ROOT / "figures/README.md").read_text().partition("### One table of results")[2].partition("\n## ")[0]
    assert dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.MULTILINE)) == COLUMNS
    assert list(table.columns) == list(COLUMNS)


def test_there_is_one_row_for_each_level_of_each_seed_of_each_arm_of_each_study(table, records):
    assert not table.duplicated(["study", "arm", "seed", "level"]).any()
    studies = [*records.studies, *records.sweeps]
    assert set(table.study) == {results.study.study for results in studies}
    (own,) = records.studies
    rows = table[(table.study == own.study.study) & (table.arm == "imp")]
    assert sorted(zip(rows.seed, rows.level, strict=True)) == [(s, k) for s in SEEDS for k in range(own.study.levels)]


def test_a_row_holds_the_numbers_of_its_file(folder, study):
    for arm, seed, level in (("imp", 0, 1), ("lrr", 2, 5), ("sign", 3, 7)):
        (row,) = study[(study.arm == arm) & (study.seed == seed) & (study.level == level)].itertuples()
        data = level_file(folder, arm, seed, level)
        for name in ("density", "test_accuracy", "test_loss", "train_accuracy", "train_loss", "epochs"):
            assert getattr(row, name) == data[name]
        kept = sum(layer["n_kept"] for layer in data["layers"].values())
        flips = sum(layer["flips"]["previous"] for layer in data["layers"].values())
        assert row.flips_previous == flips / kept
        assert (row.status, row.seed_status, row.protocol, row.preset) == ("complete", "complete", "ours", "quick")


def test_level_0_is_the_dense_networks_and_is_repeated_for_each_arm(study):
    first = study[(study.level == 0) & (study.seed == 1) & study.arm.isin(["imp", "lrr", "sign"])]
    assert len(first) == 3 and first.test_accuracy.nunique() == 1


def test_what_is_missing_or_diverged_has_a_row_that_says_so(records):
    (own,) = records.studies
    runs = dict(own.arms)
    seeds = dict(runs["imp"].seeds)
    del seeds[0]
    seeds[1] = replace(seeds[1], levels={k: v for k, v in seeds[1].levels.items() if k != 3})
    gone = replace(seeds[2].levels[4], status="diverged", test_accuracy=None, train_loss=None)
    seeds[2] = replace(seeds[2], levels=seeds[2].levels | {4: gone})
    table = figures.frame(replace(own, arms=runs | {"imp": replace(runs["imp"], seeds=seeds)}))
    rows = table[table.arm == "imp"].set_index(["seed", "level"])
    assert rows.loc[0].seed_status.eq("missing").all() and rows.loc[0].status[1:].eq("missing").all()
    assert rows.loc[1].seed_status.eq("missing").all() and rows.loc[(1, 3), "status"] == "missing"
    assert rows.loc[2].seed_status.eq("diverged").all() and rows.loc[(2, 4), "status"] == "diverged"
    assert math.isnan(rows.loc[(2, 4), "test_accuracy"]) and not math.isnan(rows.loc[(2, 3), "test_accuracy"])
    found = arm_curve(table, "imp")
    assert (found["seeds"], found["diverged"], found["missing"]) == ([3], [2], [0, 1])
    lead = figures.paired(table, "lrr", "imp")
    assert set(lead.n) == {1} and lead[["low", "high"]].isna().all(axis=None)


def test_paired_is_the_interval_of_the_differences_of_the_files(folder, study):
    found = figures.paired(study, "lrr", "imp").set_index("level")
    assert list(found.index) == list(range(1, 8))  # level 0 is common to both arms
    for level in (1, 7):
        sides = [[level_file(folder, arm, s, level)["test_accuracy"] for s in SEEDS] for arm in ("lrr", "imp")]
        values = [x - y for x, y in zip(*sides, strict=True)]
        wanted, row = t_interval(values), found.loc[level]
        assert row["values"] == values
        assert (row["mean"], row["low"], row["high"], row["n"]) == (wanted.mean, wanted.low, wanted.high, wanted.n)


def test_paired_takes_every_study_apart_and_any_column(table):
    found = figures.paired(table, "lrr", "imp", "train_loss")
    assert set(found.study) == set(table[table.arm == "lrr"].study)
    alone = figures.paired(table[table.study == "quick-digits"], "lrr", "imp", "train_loss")
    pd.testing.assert_frame_equal(found[found.study == "quick-digits"].reset_index(drop=True), alone)
    own = table.assign(error=1 - table.test_accuracy)
    gain = figures.paired(own, "lrr", "imp")["mean"]
    assert figures.paired(own, "imp", "lrr", "error")["mean"].tolist() == pytest.approx(gain.tolist())


def test_a_level_that_a_seed_lacks_is_left_out_of_every_mean(study):
    rows = study[~((study.arm == "imp") & (study.seed == 2) & (study.level.isin([0, 5])))]
    assert contrast_curve(rows, {"imp": 1})["level"] == [1, 2, 3, 4, 6, 7]
    assert list(figures.paired(rows, "lrr", "imp").level) == [1, 2, 3, 4, 6, 7]


def test_an_arm_that_nobody_ran_gives_no_row(study):
    assert figures.paired(study, "lrr", "no-such-arm").empty
    assert figures.paired(study[study.level < 0], "lrr", "imp").empty


def test_numbers_are_floats_even_where_none_is_there():
    results = made.study()
    empty = {arm: replace(run, seeds={}) for arm, run in results.arms.items()}
    table = figures.frame(replace(results, arms=empty, dense=None))
    assert table.status.eq("missing").all() and table.test_accuracy.dtype == float


def test_both_protocols_are_in_the_table_of_a_folder(tmp_path):
    synthetic.study(tmp_path, seeds=(0,), arms={arm: synthetic.ARMS[arm] for arm in ("imp", "lrr")})
    (path,) = (tmp_path / "studies").iterdir()
    theirs = json.loads(path.read_text()) | {"study": "quick-authors-digits", "protocol": "authors"}
    theirs.pop("checksum", None)
    (tmp_path / "studies/quick-authors-digits.json").write_text(json.dumps(theirs))
    assert set(figures.frame(tmp_path).protocol) == {"ours", "authors"}
    assert set(figures.frame(load(tmp_path)).protocol) == {"ours"}
