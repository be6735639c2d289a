"""What two packages each have a text of, since they never import one another, is the same in both."""

import ast
import json
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import theory
from empirics import names
from empirics.choices import check_choice
from empirics.storage.files import checksum_ok, json_bytes, with_checksum
from empirics.storage.run_folder import RunFolder
from figures.analysis import statistics
from figures.regenerate import regenerate
from figures.results import names as names_read
from figures.results.fields import ResultError, parse_json, verify_checksum
from figures.results.metrics import best_accuracies
from figures.results.network import LevelRecord
from tests import ROOT
from theory.sampling import clopper_pearson
from theory.validation import known

OF_FOLDERS = ["_ABSENT", "_CLUTTER", "_RECYCLER", "_STREAMS", "_FOUND"]
OF_FOLDERS += ["is_clutter", "kind", "_kind_of_mode", "_broken_link"]
SAME_TEXT = [
    *(("empirics/storage/folders.py", "figures/results/folders.py", name) for name in OF_FOLDERS),
    ("empirics/code_text.py", "figures/provenance/code_text.py", "without_comments"),
    ("empirics/studies/plan.py", "figures/report/page.py", "duration"),
    ("empirics/pruning/signs.py", "figures/results/fields.py", "READINGS"),
]


def definition(file: str, name: str) -> str:
    """A constant or function of a module, without its docstring."""
    for node in ast.parse((ROOT / file).read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return ast.unparse(node.body[1:] if ast.get_docstring(node) else node.body)
        if isinstance(node, ast.Assign) and [target.id for target in node.targets if hasattr(target, "id")] == [name]:
            return ast.unparse(node.value)
    raise AssertionError(f"{file} has no {name}")


@pytest.mark.parametrize(("first", "second", "name"), SAME_TEXT)
def test_two_texts_of_one_thing_are_the_same(first, second, name):
    assert definition(first, name) == definition(second, name)


def test_intervals_of_a_share_agree():
    rng = np.random.default_rng(0)
    for trials in (1, 2, 7, 300, 20_000):
        for successes in {0, 1, trials, *rng.integers(0, trials, size=5, endpoint=True).tolist()}:
            for level in (0.5, 0.95, 1 - 1e-6):
                ours = clopper_pearson(successes, trials, level)
                assert ours == statistics.clopper_pearson(successes, trials, level), (successes, trials)


def test_what_one_package_gives_a_checksum_the_other_checks():
    record = {
        "name": "é\u2028",
        "loss": [0.1, 1e-300, None, True],
        "layers": {"b": {}, "a": {"n_kept": 3}},
        "n": 10**30,
    }
    written = with_checksum(record)
    verify_checksum(json.loads(json.dumps(written)), "level.json")
    for change in ({"n": 10**30 + 1}, {"loss": [0.1]}, {"name": "e"}):
        with pytest.raises(ResultError, match="checksum"):
            verify_checksum({**written, **change}, "level.json")


NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.text(max_size=8), JSON, max_size=5), st.text(max_size=8), JSON)
def test_both_packages_take_every_record_and_see_every_edit(record, name, value):
    """Whatever a record holds: tuples and keys that are no text are hashed as they are read."""
    written = with_checksum({**record, "pair": (1, {2: None})})
    found = parse_json(json_bytes(written), "f")
    verify_checksum(found, "f")
    assert checksum_ok(found)
    edited = {**found, name: value}
    if name != "checksum" and json.dumps(edited, sort_keys=True) != json.dumps(found, sort_keys=True):
        assert not checksum_ok(edited)
        with pytest.raises(ResultError, match="checksum"):
            verify_checksum(edited, "f")


@pytest.mark.parametrize("number", [0, 1, 9, 10, 99, 100, 9999, 10**12])
def test_names_of_seeds_and_levels_are_read_as_they_are_written(number):
    assert names_read.seed_of(names.seed_folder(number)) == number == names.seed_of(names.seed_folder(number))
    assert names_read.level_of(names.level_folder(number)) == number == names.level_of(names.level_folder(number))
    for wrong in (f"seed-0{number}", f"seed-{number} ", f"Seed-{number}", f"level-00{number}", f"level_{number:02d}"):
        assert names_read.seed_of(wrong) is names.seed_of(wrong) is None or wrong.startswith("level")
        assert names_read.level_of(wrong) == names.level_of(wrong)


@pytest.mark.parametrize(("wrong", "meant"), [("lrrr", "lrr"), ("inp", "imp"), ("magnitud", "magnitude")])
def test_a_misspelt_name_is_answered_with_the_nearest_everywhere(wrong, meant):
    rules = ("imp", "lrr", "sign", "magnitude")
    for ask in (lambda: known("rule", wrong, rules), lambda: check_choice(wrong, rules, "rule")):
        with pytest.raises(ValueError, match=f"unknown rule '{wrong}': did you mean '{meant}'\\?"):
            ask()


def test_a_misspelt_figure_is_answered_with_the_nearest(tmp_path):
    with pytest.raises(ValueError, match="unknown figure 'facto': did you mean 'factorial'"):
        regenerate(["facto"], tmp_path, tmp_path, write=lambda path, data: None, provenance={}, command="")


def test_the_hash_of_a_levels_metrics_is_taken_alike(tmp_path):
    folder = RunFolder(tmp_path, "imp-digits-resnet8-0000cafe", 0)
    folder.path.mkdir(parents=True)
    log = b"".join(b'{"level": %d, "epoch": 0, "test_accuracy": 0.5}\n' % level for level in (0, 1, 0))
    (folder.path / "metrics.jsonl").write_bytes(log + b'{"level": 0, "ep')
    empty = dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy"), 0.5)
    for level, epochs in ((0, 2), (1, 1)):
        record = LevelRecord(level, "complete", None, 1.0, **empty, epochs=epochs, layers={}, provenance={},
                             metrics_sha256=folder.metrics_hash(level))  # fmt: skip
        assert best_accuracies((folder.path / "metrics.jsonl").read_bytes(), {level: record}, "f") == {level: 0.5}


def test_files_of_all_packages_have_one_schema():
    schemas = {import_module(name).SCHEMA for name in ("theory.results", "empirics.config", "figures.results.fields")}
    assert schemas == {2} and theory.__doc__
