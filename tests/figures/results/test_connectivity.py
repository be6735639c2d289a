"""The record of connectivity is used only as far as its numbers agree with one another and with the study."""

import json

import pytest

from figures.catalogue import FIGURES
from figures.inputs import figure_inputs, figure_problems
from figures.results.connectivity import parse_connectivity
from figures.results.fields import ResultError
from figures.results.load import load
from figures.results.network import connectivity_command

FILE = "connectivity/quick-digits.json"


@pytest.fixture
def data(folder):
    return json.loads((folder / FILE).read_text())


@pytest.fixture
def parsed(records):
    study = records.studies[0].study
    return lambda data: parse_connectivity(data, FILE, study, connectivity_command(study))


def test_the_numbers_of_a_pair_are_read(data, parsed):
    found, row = parsed(data), data["pairs"][0]
    pair = found.pairs[0]
    assert len(found.pairs) == len(data["pairs"]) and found.alphas == tuple(data["alphas"])
    assert (pair.between, pair.arms, pair.seeds, pair.levels) == ("rules", ("imp", "lrr"), (0, 0), (1, 1))
    assert list(pair.errors) == row["errors"] and pair.barrier == row["barrier"] > 0
    assert pair.barrier_not_recomputed == row["barrier_not_recomputed"] > pair.barrier
    assert pair.sign_similarity == row["same_sign"] / row["shared"]


def test_a_pair_without_a_common_survivor_has_no_similarity(data, parsed):
    row = data["pairs"][0]
    row |= {"shared": 0, "same_sign": 0, "sign_similarity": None, "union_density": sum(row["n_kept"]) / row["total"]}
    assert parsed(data).pairs[0].sign_similarity is None
    row["sign_similarity"] = 0.0
    with pytest.raises(ResultError, match=r"sign_similarity must be same_sign / shared = None"):
        parsed(data)


@pytest.mark.parametrize(
    "change, field",
    [
        ({"between": "networks"}, "between"),
        ({"arms": ["imp"]}, "arms"),
        ({"seeds": [0, -1]}, "seeds.1"),
        ({"levels": "1"}, "levels"),
        ({"errors": [0.1]}, "errors"),
        ({"errors_not_recomputed": [1.1] * 11}, "errors_not_recomputed.0"),
        ({"barrier": 0.9}, "barrier"),
        ({"barrier_not_recomputed": 0.9}, "barrier_not_recomputed"),
        ({"union_density": 0.9}, "union_density"),
        ({"sign_similarity": 0.123}, "sign_similarity"),
        ({"sign_similarity": None}, "sign_similarity"),
        ({"n_kept": [1]}, "n_kept"),
        ({"n_kept": [0, 1]}, "n_kept.0"),
        ({"shared": 10**6}, "shared"),
        ({"same_sign": 10**6}, "same_sign"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_field(data, parsed, change, field):
    data["pairs"][3] |= change
    with pytest.raises(ResultError) as error:
        parsed(data)
    assert error.value.field == f"pairs.3.{field}"


@pytest.mark.parametrize(
    "change, field",
    [
        ({"schema": 1}, "schema"),
        ({"kind": "overlaps"}, "kind"),
        ({"study": "other"}, "study"),
        ({"alphas": [0, 0.5, 0.5, 1]}, "alphas"),
        ({"alphas": [0, 0.5]}, "alphas"),
        ({"pairs": {}}, "pairs"),
        ({"left_out": [{"between": "rules"}]}, "left_out.0.arms"),
        ({"dense_run": "another"}, "of_arms"),
        ({"of_arms": {"imp": "another", "lrr": "another"}}, "of_arms"),
        ({"provenance": "mine"}, "provenance"),
        ({"checksum": "0"}, "checksum"),
    ],
)
def test_a_record_that_is_not_the_studys_is_refused_by_field(data, parsed, change, field):
    with pytest.raises(ResultError) as error:
        parsed(data | change)
    assert error.value.field == field


def test_a_pair_is_measured_once(data, parsed):
    data["pairs"].append(data["pairs"][0])
    with pytest.raises(ResultError, match="different pairs"):
        parsed(data)


def test_only_the_figure_that_shows_it_reads_it_and_has_its_problems(synthetic, tmp_path):
    synthetic.study(tmp_path, arms={arm: synthetic.ARMS[arm] for arm in ("imp", "lrr")})
    records = load(tmp_path)
    reading = {name for name, spec in FIGURES.items() if FILE in [s.path for s in figure_inputs(spec, records)]}
    assert reading == {"connectivity"}
    (tmp_path / FILE).write_text("{")
    records = load(tmp_path)
    assert records.studies[0].connectivity is None and len(records.problems) == 1
    assert {name for name, spec in FIGURES.items() if figure_problems(spec, records)} == {"connectivity"}


def test_the_command_that_measures_trains_what_is_missing(records):
    from dataclasses import replace

    study = records.studies[0].study
    assert connectivity_command(study) == "paper_repro.py figures connectivity --preset quick"
    changed = replace(study, overrides={"lr": 0.2}, command="paper_repro.py train --preset quick --lr 0.2")
    assert connectivity_command(changed) == "paper_repro.py train --preset quick --lr 0.2 --all"
    assert connectivity_command(None) == "paper_repro.py figures connectivity"
