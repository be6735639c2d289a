"""Connectivity is measured over finished runs: once, whatever the workers, and again only where a level has changed."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from empirics.config import ConfigError
from empirics.data import datasets
from empirics.runs.context import initial_network
from empirics.storage import environments, schemas
from empirics.storage.files import StoreError, json_bytes, read_record, with_checksum, write_atomic
from empirics.storage.run_folder import WEIGHT_TENSORS, RunFolder
from empirics.studies import connectivity
from empirics.studies.connectivity import is_measured, measure, pair_places, unmeasured
from empirics.studies.interpolation import error_curves
from empirics.studies.records import connectivity_file
from tests.empirics.tiny_runs import run_arms, setup_in

pytestmark = pytest.mark.slow

SEEDS, LEVELS = (0, 1), 2
PAIRS = 2 * 1 + 2 * 2 * 1 + 1 + 2 * 1  # rules; levels of two arms; two dense networks, two of each arm


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_digits):
    """Runs of two arms and seeds with the record of their study, and what was measured by one worker."""
    setup = setup_in(tmp_path_factory.mktemp("results"), tiny_digits)
    for seed in SEEDS:
        configs = run_arms(["imp", "lrr"], setup, seed, epochs=1, levels=LEVELS)
    record = {"schema": 2, "kind": "study", "study": "tiny", "seeds": list(SEEDS), "levels": LEVELS}
    record |= {"arms": {arm: config.name for arm, config in configs.items()}}
    record |= {"dense_run": configs["imp"].dense.name}
    write_atomic(setup.results / "studies/tiny.json", json_bytes(with_checksum(record)))
    assert unmeasured(setup.results, record) == PAIRS and not is_measured(setup.results, record)
    assert measure(setup.results, "tiny", workers=1, device="cpu") == (0, PAIRS)
    return setup.results, record, configs


@pytest.fixture
def copy(trained, tmp_path):
    results, record, configs = trained
    return Path(shutil.copytree(results, tmp_path / "results")), record, configs


def file_of(results: Path) -> Path:
    return connectivity_file(results, "tiny")


def rows(results: Path) -> list[dict]:
    return read_record(file_of(results), schemas.Connectivity)["pairs"]


def label(row: dict) -> tuple:
    return row["between"], tuple(row["arms"]), tuple(row["seeds"]), tuple(row["levels"])


def without(results: Path, left: int) -> None:
    """The record as a kill after the first `left` pairs leaves it."""
    record = read_record(file_of(results))
    write_atomic(file_of(results), json_bytes(with_checksum({**record, "pairs": record["pairs"][:left]})))


def diverge(results: Path, run: str, level: int) -> None:
    """Make a level of seed 0 one that diverged."""
    file = RunFolder(results, run, 0).level_path(level) / "level.json"
    record = {**json.loads(file.read_text()), "status": "diverged", "reason": "made up", "files": {}, "layers": {}}
    write_atomic(file, json_bytes(with_checksum(record)))


def test_pairs_are_those_of_the_definition_and_no_network_is_in_two_pairs_of_seeds():
    found = list(pair_places(("imp", "lrr"), (0, 1, 2, 3, 7), 3))
    by_kind = {kind: [pair for pair in found if pair[0] == kind] for kind in connectivity.BETWEEN}
    assert [len(pairs) for pairs in by_kind.values()] == [5 * 2, 2 * 5 * 2, 2 * (1 + 2 * 2)]
    assert all((one[0], other[0]) == ("imp", "lrr") and one[1:] == other[1:] for _, one, other in by_kind["rules"])
    assert all(one[1] == other[1] and one[2] + 1 == other[2] for _, one, other in by_kind["levels"])
    assert {one[0] for _, one, _ in by_kind["levels"] if one[2] == 0} == {"dense"}
    ends = [end for _, *pair in by_kind["seeds"] for end in pair]
    assert len(ends) == len(set(ends)) and {end[1] for end in ends} == {0, 1, 2, 3}
    assert len(found) == len({(kind, one, other) for kind, one, other in found})
    assert list(pair_places((), (0, 1), 3)) == []
    assert {kind for kind, *_ in pair_places(("lrr",), (0, 1), 3)} == {"levels", "seeds"}


def test_a_row_holds_what_a_direct_measurement_gives(trained):
    results, record, configs = trained
    dataset = datasets.digits()
    row = next(row for row in rows(results) if row["between"] == "rules" and row["seeds"] == [1, 1])
    folders = [RunFolder(results, configs[arm].name, 1) for arm in ("imp", "lrr")]
    states = [folder.load_tensors(1, WEIGHT_TENSORS) for folder in folders]
    curves = error_curves(initial_network(configs["imp"], 1, dataset), *states, dataset, "float32")
    assert [row["errors"], row["errors_not_recomputed"]] == list(curves)
    assert row["contents"] == [environments.content(folder.level_record(1)) for folder in folders]
    layers = [name for name, value in states[0].items() if value.dim() >= 2]
    kept = [[state[name] != 0 for name in layers] for state in states]
    common = [one & other for one, other in zip(*kept, strict=True)]
    same = [(states[0][name] > 0) == (states[1][name] > 0) for name in layers]
    assert row["n_kept"] == [sum(int(mask.sum()) for mask in masks) for masks in kept], "pruned weights are zeros"
    assert row["shared"] == sum(int(mask.sum()) for mask in common)
    assert row["same_sign"] == sum(int((mask & equal).sum()) for mask, equal in zip(common, same, strict=True))
    union = sum(int((one | other).sum()) for one, other in zip(*kept, strict=True))
    assert row["union_density"] == union / row["total"]


def test_the_record_says_what_it_was_made_from_and_by_what(trained):
    record = read_record(file_of(trained[0]))
    assert record["kind"] == "connectivity" and record["study"] == "tiny" and record["left_out"] == []
    assert record["provenance"]["hardware"]["instruction_set"]
    assert record["environments"] == [environments.conditions(record["provenance"])]
    assert record["of_arms"] == trained[1]["arms"] and record["alphas"] == [k / 10 for k in range(11)]


def test_the_number_of_workers_changes_no_byte(copy):
    results, _, _ = copy
    before = file_of(results).read_bytes()
    file_of(results).unlink()
    assert measure(results, "tiny", workers=2, device="cpu") == (0, PAIRS)
    assert file_of(results).read_bytes() == before


def test_what_is_measured_is_not_measured_again_and_nothing_is_written(copy):
    results, record, _ = copy
    before = file_of(results).stat().st_mtime_ns
    assert measure(results, "tiny", workers=1, device="cpu") == (0, 0) and unmeasured(results, record) == 0
    assert file_of(results).stat().st_mtime_ns == before


def test_a_killed_measurement_goes_on_with_the_pairs_that_are_left(copy):
    results, _, _ = copy
    before = file_of(results).read_bytes()
    without(results, PAIRS - 2)
    assert measure(results, "tiny", workers=1, device="cpu") == (0, 2)
    assert file_of(results).read_bytes() == before


def test_every_pair_is_on_the_disk_as_soon_as_it_is_measured(copy, monkeypatch):
    results, _, _ = copy
    without(results, PAIRS - 2)
    written, write = [], connectivity.write_atomic

    def look(file, data):
        write(file, data)
        written.append(len(read_record(file)["pairs"]))

    monkeypatch.setattr(connectivity, "write_atomic", look)
    measure(results, "tiny", workers=1, device="cpu")
    assert written == [PAIRS - 1, PAIRS]


@pytest.mark.parametrize("spoil", [lambda data: data[:-20], lambda data: data.replace(b'"total": ', b'"total": 1')])
def test_a_damaged_record_is_measured_again(copy, spoil):
    results, _, _ = copy
    before = file_of(results).read_bytes()
    file_of(results).write_bytes(spoil(before))
    assert measure(results, "tiny", workers=1, device="cpu") == (0, PAIRS)
    assert file_of(results).read_bytes() == before


def test_a_level_that_has_changed_is_measured_again_with_its_neighbours_alone(copy):
    results, _, configs = copy
    before = {label(row): row for row in rows(results)}
    record = read_record(file_of(results))
    changed = [("0" * 64 if (arm, seed) == ("lrr", 1) else content) for row in record["pairs"]
               for arm, seed, content in zip(row["arms"], row["seeds"], row["contents"], strict=True)]  # fmt: skip
    for place, row in enumerate(record["pairs"]):
        row["contents"] = changed[2 * place : 2 * place + 2]
    write_atomic(file_of(results), json_bytes(with_checksum(record)))
    assert measure(results, "tiny", workers=1, device="cpu") == (0, 3)  # with IMP, with the level before, with seed 0
    assert {label(row): row for row in rows(results)} == before


def test_a_diverged_level_and_a_missing_run_are_left_out_and_the_others_are_measured(copy):
    results, record, configs = copy
    diverge(results, configs["imp"].name, 1)
    shutil.rmtree(RunFolder(results, configs["lrr"].name, 1).path)
    assert measure(results, "tiny", workers=1, device="cpu") == (0, 0), "the other pairs stand"
    found = read_record(file_of(results))
    reasons = {label(row): row["reasons"] for row in found["left_out"]}
    assert reasons["rules", ("imp", "lrr"), (0, 0), (1, 1)] == ["diverged", None]
    assert reasons["seeds", ("lrr", "lrr"), (0, 1), (1, 1)] == [None, "missing"]
    assert len(found["pairs"]) + len(reasons) == PAIRS and len(reasons) == 6
    assert is_measured(results, record)
    file_of(results).unlink()
    assert measure(results, "tiny", workers=1, device="cpu") == (0, PAIRS - 6)
    assert rows(results) == found["pairs"]


def test_a_study_of_which_nothing_is_trained_leaves_no_file(copy):
    results, _, _ = copy
    file_of(results).unlink()
    shutil.rmtree(results / "runs")
    assert measure(results, "tiny", workers=1, device="cpu") == (0, 0) and not file_of(results).exists()


def test_a_study_that_is_not_there_is_named(copy):
    for study in ("no-such", "../tiny"):
        with pytest.raises((ConfigError, StoreError), match="studies/|must be"):
            measure(copy[0], study, workers=1)


@pytest.mark.parametrize("change", [{"dense_run": "../x"}, {"levels": 10**40}, {"levels": 0}, {"seeds": [-1]}])
def test_a_strangers_record_of_a_study_is_refused(copy, change):
    results, record, _ = copy
    write_atomic(results / "studies/tiny.json", json_bytes(with_checksum({**record, **change})))
    with pytest.raises(ConfigError, match=r"studies/tiny\.json in the results is missing or damaged"):
        measure(results, "tiny", workers=1)


def test_other_data_of_the_same_name_are_refused(copy, monkeypatch):
    results, _, _ = copy
    without(results, 0)
    source = connectivity.data_source
    other = lambda *given: dataclasses.replace(source(*given), data_hash="0123")  # noqa: E731
    monkeypatch.setattr(connectivity, "data_source", other)
    with pytest.raises(ConfigError, match="data set digits has content 0123"):
        measure(results, "tiny", workers=1, device="cpu")


def test_a_failure_is_told_and_leaves_the_other_series(copy, monkeypatch):
    results, _, configs = copy
    without(results, 0)
    wanted = connectivity.wanted_pairs

    def stale(*given):
        """Pairs whose plan is older than the level of LRR, seed 1."""
        pairs = wanted(*given)

        def old(end):
            return dataclasses.replace(end, content="0") if (end.arm, end.seed) == ("lrr", 1) else end

        return [connectivity.Pair(pair.between, tuple(map(old, pair.ends))) for pair in pairs]

    monkeypatch.setattr(connectivity, "wanted_pairs", stale)
    said = []
    failed, measured = measure(results, "tiny", workers=2, device="cpu", say=said.append)
    assert (failed, measured) == (3, PAIRS - 3)
    assert sum("has changed meanwhile: try again" in text for text in said) == 3
    monkeypatch.undo()
    assert measure(results, "tiny", workers=1, device="cpu") == (0, 3)
