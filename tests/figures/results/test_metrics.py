"""The best test accuracy is that of the epochs that were trained, or it is refused."""

import hashlib
import json
from dataclasses import replace

import pytest

from figures.catalogue import FIGURES
from figures.inputs import figure_inputs
from figures.results.fields import ResultError
from figures.results.load import load
from figures.results.metrics import best_accuracies
from figures.results.network import LevelRecord, parse_level
from figures.results.variants import file_suffix, with_accuracy

FEW = ("imp", "lrr", "lrr-on-imp-mask", "imp-long", "lrr-without-warmup")


def log(*levels):
    """Lines of metrics: a list of test accuracies for each level."""
    lines = [
        {"level": number, "cycle": epoch // 2, "epoch": epoch, "test_accuracy": value}
        for number, values in enumerate(levels)
        for epoch, value in enumerate(values)
    ]
    return b"".join((json.dumps(line) + "\n").encode() for line in lines)


def record(number, content, epochs=4):
    mine = [line for line in content.splitlines(keepends=True) if json.loads(line)["level"] == number]
    digest = hashlib.sha256(b"".join(mine)).hexdigest()
    numbers = dict.fromkeys(("train_loss", "train_accuracy", "test_loss"), 0.5)
    return LevelRecord(number, "complete", None, 1.0, **numbers, test_accuracy=0.7, epochs=epochs, layers={},
                       provenance={}, metrics_sha256=digest)  # fmt: skip


TWO = log([0.1, 0.8, 0.3, 0.7], [0.9, 0.2, 0.6, 0.5])
LEVELS = {number: record(number, TWO) for number in (0, 1)}


def test_the_best_of_each_level_is_the_highest_of_its_epochs():
    assert best_accuracies(TWO, LEVELS, "f") == {0: 0.8, 1: 0.9}


def test_a_run_that_prunes_within_its_levels_has_the_best_of_its_last_cycle():
    assert best_accuracies(TWO, LEVELS, "f", last_cycle=True) == {0: 0.7, 1: 0.6}


def test_a_torn_last_line_and_a_level_in_training_change_nothing():
    assert best_accuracies(TWO + log([], [], [0.99]) + b'{"level": 1, "te', LEVELS, "f") == {0: 0.8, 1: 0.9}


@pytest.mark.parametrize(
    ("content", "words"),
    [(TWO.replace(b"0.3", b"0.9"), "SHA-256 of the lines of level 0"), (b"", "SHA-256 of the lines of level 0"),
     (log([0.1, 0.8, 0.3, 0.7]), "SHA-256 of the lines of level 1")],
    ids=["changed", "empty", "a level is missing"],
)  # fmt: skip
def test_lines_that_are_not_those_that_were_written_are_refused(content, words):
    with pytest.raises(ResultError, match=f"m.jsonl: the {words} must be .* draw with --accuracy last"):
        best_accuracies(content, LEVELS, "m.jsonl")


def test_a_level_that_records_no_hash_is_refused():
    with pytest.raises(ResultError, match="none is recorded there"):
        best_accuracies(TWO, {0: replace(LEVELS[0], metrics_sha256=None)}, "f")


@pytest.mark.parametrize("values", [[None, None, None, 0.7], [0.7]], ids=["null", "fewer lines"])
def test_a_level_that_was_not_evaluated_at_every_epoch_is_refused(values):
    content = log(values)
    words = "number of test accuracies of level 0 must be 4, one for each epoch that was trained, got 1"
    with pytest.raises(ResultError, match=words):
        best_accuracies(content, {0: record(0, content)}, "f")


@pytest.mark.parametrize("value", [1.5, "high", float("nan"), True])
def test_a_line_whose_accuracy_is_none_is_refused(value):
    content = log([0.1, value, 0.3, 0.7])
    with pytest.raises(ResultError, match="a line of level 0.test_accuracy"):
        best_accuracies(content, {0: record(0, content)}, "f")


@pytest.fixture(scope="module")
def few(tmp_path_factory, synthetic):
    """A small study with the metrics of every epoch."""
    root = tmp_path_factory.mktemp("few")
    synthetic.study(root, seeds=(0, 1), arms={arm: synthetic.ARMS[arm] for arm in FEW})
    synthetic.metrics(root, gain=0.01)
    return root


def accuracies(records):
    results = records.studies[0]
    runs = {"dense": results.dense, **results.arms, "own": results.own_dense["lrr-without-warmup"]}
    return {
        (arm, s, k): level.test_accuracy
        for arm, run in runs.items()
        for s, seed in run.seeds.items()
        for k, level in seed.levels.items()
    }


def test_every_level_of_a_study_has_its_best_accuracy_level_0_among_them(few):
    last, best = load(few), load(few, accuracy="best")
    assert (last.accuracy, best.accuracy) == ("last", "best") and best.problems == ()
    usual, found = accuracies(last), accuracies(best)
    assert found == pytest.approx({place: min(value + 0.01, 1) for place, value in usual.items()})
    assert len(found) == 2 * (2 + 4 * 7 + 2)


def test_metrics_are_inputs_of_the_best_accuracies_and_are_not_read_for_the_last(few, monkeypatch):
    def metrics(records):
        return [source.path for source in figure_inputs(FIGURES["4"], records) if source.path.endswith("metrics.jsonl")]

    assert len(metrics(load(few, accuracy="best"))) == 2 * 5
    monkeypatch.setattr("figures.results.load.best_accuracies", None)
    assert metrics(load(few)) == []


@pytest.mark.parametrize("state", ["missing", "every fourth epoch"])
def test_a_study_is_refused_whole_where_one_of_its_metrics_is_not_complete(tmp_path, synthetic, state):
    synthetic.study(tmp_path, seeds=(0,), arms={arm: synthetic.ARMS[arm] for arm in ("imp", "lrr")})
    synthetic.metrics(tmp_path, every=4 if state.startswith("every") else 1)
    if state == "missing":
        (tmp_path / "runs/lrr-digits-resnet20-0000cafe/seed-0/metrics.jsonl").unlink()
    best = load(tmp_path, accuracy="best")
    (problem,) = best.problems
    assert best.studies == () and problem.owner == "studies" and "metrics.jsonl" in problem.message
    assert "draw with --accuracy last" in problem.message
    assert load(tmp_path).problems == () and len(load(tmp_path).studies) == 1


def of_level(**more):
    from tests.figures.synthetic import _level

    return _level("r", "imp", 0, 3, 0.125, 90.0, False) | more


def test_the_later_fields_of_a_level_have_defaults_and_are_checked():
    plain = parse_level(of_level(), "f", "r", 0, 3)
    assert (plain.nominal_density, plain.strike, plain.metrics_sha256) == (plain.density, None, None)
    strike = {"epoch": 14, "test_accuracy_before": 0.9, "test_accuracy_after": 0.4}
    found = parse_level(of_level(nominal_density=0.2, strike=strike), "f", "r", 0, 3)
    assert found.nominal_density == 0.2 and found.strike.test_accuracy_after == 0.4 and found.strike.epoch == 14


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [("nominal_density", 20, "nominal_density must be a fraction"), ("nominal_density", None, "nominal_density must"),
     ("strike", 3, "strike must be an object or null"), ("strike", {}, "strike.epoch must"),
     ("strike", {"epoch": 16, "test_accuracy_before": 0.9, "test_accuracy_after": 0.4}, "below the 16 epochs"),
     ("strike", {"epoch": 3, "test_accuracy_before": 0.9, "test_accuracy_after": 4}, "strike.test_accuracy_after"),
     ("metrics_sha256", 5, "metrics_sha256 must be a text or null")],
)  # fmt: skip
def test_a_bad_later_field_of_a_level_is_named(field, value, words):
    with pytest.raises(ResultError, match=words):
        parse_level(of_level(**{field: value}), "f", "r", 0, 3)


def test_clamped_masks_keep_fewer_weights_than_their_nominal_density_and_are_read(few, tmp_path):
    import shutil

    shutil.copytree(few, tmp_path / "results")
    path = tmp_path / "results/runs/lrr-digits-resnet20-0000cafe/seed-0/level-01/level.json"
    level = json.loads(path.read_text())
    layers = {name: layer | {"n_kept": layer["n_kept"] // 2, "flips": {k: 0 for k in layer["flips"]}}
              for name, layer in level["layers"].items()}  # fmt: skip
    kept = sum(layer["n_kept"] for layer in layers.values())
    level |= {"layers": layers, "n_kept": kept, "density": kept / level["total"]}
    path.write_text(json.dumps(level))
    assert "prune_rate" in load(tmp_path / "results").problems[0].message
    path.write_text(json.dumps(level | {"nominal_density": 0.5}))
    assert load(tmp_path / "results").problems == ()


def test_the_suffix_of_a_variant_and_its_command():
    assert (file_suffix(), file_suffix(accuracy="best")) == ("", "-best")
    assert with_accuracy("x figures 3", "best") == "x figures 3 --accuracy best" and with_accuracy("x", "last") == "x"
