"""Every kind of entry of `empirics` can be added from outside, and is then trained and named."""

import json
import math
import os
import sys

import pytest
import torch

import empirics
import paper_repro
from empirics import registries
from empirics.choices import ConfigError
from empirics.pruning.criteria import CRITERIA, Criterion, CriterionError, select_mask
from empirics.storage.run_folder import MASK_TENSORS, WEIGHT_TENSORS, RunFolder
from empirics.studies.arms import Arm, resolve
from empirics.studies.presets import PRESETS, Preset
from tests import ROOT
from tests.empirics.toys import TOYS
from tests.support.processes import run

KINDS_OF_EMPIRICS = list(registries.KINDS)


@pytest.fixture
def toys():
    """The toys of `empirics`, registered for one test."""
    for kind, (name, entry) in TOYS.items():
        empirics.register(kind, name, entry)
    yield
    for kind, (name, _) in TOYS.items():
        registries.unregister(kind, name)


def command(*words: str) -> int:
    return paper_repro.main(list(words))


def test_there_is_a_toy_of_every_kind():
    assert set(TOYS) == set(registries.KINDS)


def test_toys_are_listed(toys, capsys):
    assert command("list") == 0
    text = capsys.readouterr().out
    for name, _ in TOYS.values():
        assert f"\n  {name} " in text
    assert "Keep the smallest weights." in text and "Restart from half of the trained values." in text


def test_toys_are_gone_after_a_test():
    for kind, (name, _) in TOYS.items():
        assert name not in registries.KINDS[kind].entries


@pytest.mark.slow
def test_a_preset_of_toys_is_trained_in_worker_processes_and_named(toys, tmp_path):
    """Its data set, model, schedule, criterion, rewinding rule and arm are toys as well."""
    results = tmp_path / "results"
    assert command("train", "--preset", "toy", "--results", str(results), "--workers", "2") == 0
    (record,) = [json.loads(path.read_text()) for path in (results / "studies").glob("*.json")]
    assert (record["study"], record["title"], record["classes"]) == ("toy-toy-images", "Three images", 3)
    imp, toy = (RunFolder(results, record["arms"][arm], 0) for arm in ("imp", "toy-arm"))
    assert toy.run.startswith("toy-arm-toy-images-toy-network-")
    dense = RunFolder(results, record["dense_run"], 0).load_tensors(0, WEIGHT_TENSORS)
    for folder in (imp, toy):
        n_kept = [folder.level_record(level)["n_kept"] for level in (1, 2)]
        assert n_kept == [38, 19], "76 weights, half of them removed at each level"
    first = toy.load_tensors(1, MASK_TENSORS)
    assert first.keys() == imp.load_tensors(1, MASK_TENSORS).keys() <= dense.keys()
    assert (toy.load_tensors(1, WEIGHT_TENSORS)["1.weight"] == 0).any()


@pytest.mark.slow
def test_a_toy_changes_what_it_is_there_for(toys, tmp_path):
    """The same runs with the project's own criterion, rule, schedule and densities have other masks, weights, rates."""
    results = tmp_path / "results"
    base = ("train", "--preset", "toy", "--results", str(results), "--workers", "1", "--arms")
    for more in (("imp",), ("imp", "--criterion", "magnitude"), ("imp", "--schedule", "constant")):
        assert command(*base, *more) == 0
    for densities in ("toy-densities", "erk"):
        assert command(*base, "imp-on-random-mask", "--densities", densities) == 0
    records = {path.stem: json.loads(path.read_text()) for path in (results / "studies").glob("*.json")}

    def masks(study: str, arm: str) -> dict:
        folder = RunFolder(results, records[study]["arms"][arm], 0)
        return {name: bits.tolist() for name, bits in folder.load_tensors(1, MASK_TENSORS).items()}

    def rates(study: str) -> list[float]:
        file = RunFolder(results, records[study]["arms"]["imp"], 0).path / "metrics.jsonl"
        return [json.loads(line)["lr"] for line in file.read_text().splitlines()]

    assert masks("toy-toy-images", "imp") != masks("toy-criterion-magnitude-toy-images", "imp")
    assert rates("toy-toy-images") == [0.1, 0.05] * 2, "two levels of two epochs of one step"
    assert rates("toy-schedule-constant-toy-images") == [0.1] * 4
    by_erk = masks("toy-toy-images", "imp-on-random-mask")
    assert masks("toy-densities-toy-densities-toy-images", "imp-on-random-mask") != by_erk


@pytest.mark.slow
def test_a_sweep_of_toys_is_a_study_for_each_value(toys, tmp_path):
    line = ("train", "--preset", "toy", "--sweep", "toy-sweep", "--results", str(tmp_path), "--workers", "1")
    assert command(*line) == 0
    found = sorted(path.stem for path in (tmp_path / "studies").glob("*.json"))
    assert found == ["toy-toy-images", "toy-width-8-toy-images"]


@pytest.mark.slow
def test_a_data_set_of_ones_own_is_trained_with_a_presets_settings(toys, tmp_path):
    tiny = ("--arms", "imp", "--seeds", "0", "--levels", "2", "--epochs", "1", "--warmup-epochs", "0")
    line = ("train", "--dataset", "toy-images", "--batch-size", "3", *tiny, "--model", "toy-network", "--width", "4")
    assert command(*line, "--results", str(tmp_path), "--workers", "1") == 0
    (file,) = (tmp_path / "studies").glob("*.json")
    record = json.loads(file.read_text())
    assert record["dataset"] == "toy-images" and "--dataset toy-images" in record["command"]
    assert (record["title"], record["classes"], record["smoke"]) == ("Three images", 3, False)


def test_the_data_set_that_a_preset_does_not_name_needs_its_name(toys, tmp_path, capsys):
    assert command("train", "--dataset", "toy-image", "--results", str(tmp_path)) == 2
    assert "unknown data set 'toy-image': did you mean 'toy-images'" in capsys.readouterr().err


@pytest.mark.parametrize("kind", KINDS_OF_EMPIRICS)
def test_a_name_that_is_taken_and_an_entry_of_another_type_are_refused(kind):
    name, entry = TOYS[kind]
    taken = next(iter(registries.KINDS[kind].entries))
    with pytest.raises(ConfigError, match=f"there is a {kind} '{taken}' already: choose another name"):
        empirics.register(kind, taken, entry)
    with pytest.raises(ConfigError, match=f"the {kind} '{name}' must be .*, got (str|int): (make|pass) one"):
        empirics.register(kind, name, 3)
    for wrong in ("My Toy", 3):
        with pytest.raises(ConfigError, match=f"must be lower-case words joined by hyphens, got {wrong!r}: rename it"):
            empirics.register(kind, wrong, entry)
    assert name not in registries.KINDS[kind].entries


@pytest.mark.parametrize("kind, message", [("criteria", "did you mean 'criterion'"), (3, "unknown kind of entry '3'")])
def test_an_unknown_kind_is_refused(kind, message):
    with pytest.raises(ConfigError, match=message):
        empirics.register(kind, "x", None)


def test_an_entry_that_workers_cannot_import_is_refused():
    with pytest.raises(ConfigError, match="cannot import the schedule 'anonymous' .*: define its functions by `def`"):
        empirics.register("schedule", "anonymous", lambda step, total, warmup, milestones: 1.0)
    assert "anonymous" not in registries.KINDS["schedule"].entries


@pytest.mark.parametrize(
    "made, message",
    [
        (lambda: Arm("mine", {"rewnd": "sign"}), "unknown setting of the arm 'mine' 'rewnd': did you mean 'rewind'"),
        (lambda: Preset("mine", {"epoch": 3}, (), (0,), {}), "unknown setting of the preset 'mine' 'epoch'"),
        (lambda: Criterion(3, layerwise=False), "the score of a criterion must be a function, got 3"),
        (lambda: Criterion(print, layerwise="yes"), "layerwise must be True or False, got 'yes'"),
        (lambda: Criterion(print, layerwise=True, rounds=0), "rounds must be a whole number from 1, got 0"),
        (
            lambda: resolve("imp", {**PRESETS["quick"].settings, "nesterov": True}),
            "unknown setting of a study 'nesterov'",
        ),
    ],
)
def test_an_entry_that_cannot_be_used_is_refused_when_it_is_made(made, message):
    with pytest.raises(ConfigError, match=message):
        made()


@pytest.mark.parametrize(
    "score, message",
    [
        (lambda weights, masks, probe: {}, "must return a score for every weight of layer a, of shape .2,., got none"),
        (lambda weights, masks, probe: {"a": torch.ones(3)}, "of shape .2,., got .3,."),
        (lambda weights, masks, probe: {"a": torch.tensor([1.0, math.nan])}, "are not all finite in layer a: return"),
    ],
)
def test_scores_that_cannot_be_used_name_the_criterion(score, message, monkeypatch):
    monkeypatch.setitem(CRITERIA, "mine", Criterion(score, layerwise=False))
    with pytest.raises(CriterionError, match=f"criterion 'mine' .*{message}|{message}"):
        select_mask("mine", {}, {"a": torch.ones(2, dtype=torch.bool)}, 1, seed=0, densities="erk")


SCRIPT = """
import sys
import empirics, paper_repro
from empirics.pruning.criteria import Criterion


def smallest(weights, masks, probe):
    return {name: -weights[name].abs() for name in masks}


empirics.register("criterion", "smallest", Criterion(smallest, layerwise=False))
"""
CALL = 'paper_repro.main(["train", "--criterion", "smallest", "--arms", "imp", "--seeds", "0", "--levels", "2", *TINY])'
TINY = 'TINY = ["--epochs", "1", "--warmup-epochs", "0", "--model", "resnet8", "--width", "4", "--workers", "1"]\n'


def of_script(tmp_path, text: str, typed: bool = False):
    """Run a script from its file, or typed into an interpreter."""
    file = tmp_path / "script.py"
    file.write_text(text)
    here = {**os.environ, "PYTHONPATH": str(ROOT)}
    given = dict(given=text) if typed else {}
    return run([sys.executable, "-" if typed else str(file)], cwd=tmp_path, env=here, seconds=120, **given)


@pytest.mark.slow
def test_a_script_trains_with_its_own_criterion(tmp_path):
    done = of_script(tmp_path, f'{SCRIPT}{TINY}\nif __name__ == "__main__":\n    sys.exit({CALL})')
    assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    (file,) = (tmp_path / "results/studies").glob("*.json")
    assert json.loads(file.read_text())["overrides"]["criterion"] == "smallest"


@pytest.mark.slow
def test_a_script_without_a_guard_says_what_to_write(tmp_path):
    done = of_script(tmp_path, f"{SCRIPT}{TINY}\n{CALL}")
    assert 'under `if __name__ == "__main__":`' in done.stderr and "Traceback" not in done.stderr, done.stderr


@pytest.mark.slow
def test_a_function_that_was_typed_in_is_refused_when_it_is_registered(tmp_path):
    done = of_script(tmp_path, f"{SCRIPT}{TINY}\n{CALL}", typed=True)
    message = "cannot import the criterion 'smallest' (it was typed into an interpreter): define its functions by `def`"
    assert done.returncode == 1 and message in done.stderr
