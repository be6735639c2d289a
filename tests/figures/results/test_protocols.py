"""Studies of two protocols in one results folder: each is read, and every record is of one of them."""

import json

import pytest

from figures.analysis.sweeps import find_sweeps
from figures.results.load import load
from figures.results.variants import EVERY_PROTOCOL, file_suffix, plain_preset, protocol_mark, with_protocol
from tests.figures import synthetic, synthetic_protocols, synthetic_sweeps

AUTHORS = "authors"


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Small studies of both protocols, and a sweep of ours."""
    root = tmp_path_factory.mktemp("both")
    few = {"seeds": (0, 1), "levels": 3, "rate": 0.9}
    arms = {arm: synthetic.ARMS[arm] for arm in ("imp", "lrr")}
    synthetic.study(root, arms=arms, **few)
    synthetic_protocols.study(root, AUTHORS, {"protocol": AUTHORS}, arms, **few)
    synthetic_sweeps.base(root, seeds=(0,))
    synthetic_sweeps.study(root, "width", {"width": 4}, 1.0, seeds=(0,))
    return root


def names(records):
    return [results.study.study for results in (*records.studies, *records.sweeps)]


def changed(root, path, **fields):
    file = root / path
    before = file.read_text()
    file.write_text(json.dumps(json.loads(before) | fields))
    return lambda: file.write_text(before)


def test_a_study_that_states_no_protocol_is_ours_and_only_ours_are_read_unless_asked(both):
    assert "quick-authors-digits" not in names(load(both)) and "quick-digits" in names(load(both))
    assert names(load(both, protocol=AUTHORS)) == ["quick-authors-digits"]
    every = load(both, protocol=EVERY_PROTOCOL)
    assert names(every.of_protocol("ours")) == names(load(both)) and len(names(every)) == len(names(load(both))) + 1
    assert every.of_protocol(AUTHORS) == load(both, protocol=AUTHORS)


def test_an_unknown_protocol_is_a_problem_that_names_the_field(both):
    undo = changed(both, "studies/quick-authors-digits.json", protocol="theirs")
    (problem,) = load(both).problems
    undo()
    assert "protocol must be 'ours' or 'authors', got 'theirs'" in problem.message


def test_a_damaged_run_of_one_protocol_is_no_problem_of_the_other(both):
    run = next(path.name for path in (both / "runs").glob("lrr-*-authors"))
    undo = changed(both, f"runs/{run}/config.json", arm=3)
    ours, authors = load(both), load(both, protocol=AUTHORS)
    undo()
    assert ours.problems == () and [problem.owner for problem in authors.problems] == [run]


def test_a_sweep_has_no_study_of_another_protocol_among_its_values(both):
    undo = changed(both, "studies/quick-model-resnet8-digits.json", protocol=AUTHORS)
    every = load(both, protocol=EVERY_PROTOCOL)
    undo()
    (sweep,) = find_sweeps(every, "width")
    assert sweep.x == (4,) and not sweep.has_base


def test_masks_of_clamped_densities_keep_fewer_weights_than_the_rate_gives(both):
    run = next(path.name for path in (both / "runs").glob("imp-*-authors"))
    place = f"runs/{run}/seed-0/level-02/level.json"
    level = json.loads((both / place).read_text())
    layers = {name: layer | {"n_kept": max(1, layer["n_kept"] // 2)} for name, layer in level["layers"].items()}
    for layer in layers.values():
        layer["flips"] = dict.fromkeys(layer["flips"], 0)
    kept = sum(layer["n_kept"] for layer in layers.values())
    fewer = {"layers": layers, "n_kept": kept, "density": kept / level["total"]}
    undo = changed(both, place, **fewer)
    refused = load(both, protocol=AUTHORS).problems
    undo()
    undo = changed(both, place, **fewer, nominal_density=0.01)
    found = load(both, protocol=AUTHORS)
    undo()
    assert "prune_rate" in refused[0].message and found.problems == ()
    record = found.studies[0].arms["imp"].seeds[0].levels[2]
    assert record.density == kept / level["total"] and record.nominal_density == 0.01
    assert found.studies[0].arms["imp"].seeds[1].levels[2].nominal_density == pytest.approx(0.01, rel=0.05)


def test_names_and_words_of_a_protocol():
    assert (file_suffix(), file_suffix(AUTHORS), file_suffix(EVERY_PROTOCOL)) == ("", "-authors", "")
    assert file_suffix(AUTHORS, "best") == "-authors-best" and file_suffix(accuracy="best") == "-best"
    assert (protocol_mark("ours"), protocol_mark(AUTHORS)) == ("", "protocol authors")
    assert with_protocol("c", "ours") == "c" and with_protocol("c", AUTHORS) == "c --protocol authors"
    assert plain_preset("quick, authors, lr=0.2") == "quick, lr=0.2" and plain_preset("quick, authors") == "quick"
    assert plain_preset("quick, mask=authors, lr=0.2") == "quick, mask=authors, lr=0.2"
