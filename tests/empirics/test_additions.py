"""Every kind of entry of `empirics` can be added from outside, and is then trained and named."""

import json

import pytest

import empirics
import paper_repro
from empirics import registries
from empirics.choices import ConfigError
from empirics.execution import workers
from empirics.storage.run_folder import MASK_TENSORS, WEIGHT_TENSORS, RunFolder
from tests.empirics.toys import TOYS

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


def test_a_sweep_of_toys_is_a_study_for_each_value(toys, tmp_path):
    line = ("train", "--preset", "toy", "--sweep", "toy-sweep", "--results", str(tmp_path), "--workers", "1")
    assert command(*line) == 0
    found = sorted(path.stem for path in (tmp_path / "studies").glob("*.json"))
    assert found == ["toy-toy-images", "toy-width-8-toy-images"]


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
    with pytest.raises(ConfigError, match=f"{kind} '{taken}' exists already .*: choose another name"):
        empirics.register(kind, taken, entry)
    with pytest.raises(ConfigError, match=f"a {kind} must be a"):
        empirics.register(kind, name, "an entry")
    with pytest.raises(ConfigError, match="must be lower-case words joined by hyphens, got 'My Toy'"):
        empirics.register(kind, "My Toy", entry)
    assert name not in registries.KINDS[kind].entries


def test_an_unknown_kind_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="unknown kind of entry 'criteria': did you mean 'criterion'"):
        empirics.register("criteria", "x", None)


def test_an_entry_that_workers_cannot_import_is_refused_before_anything_is_trained(tmp_path):
    empirics.register("schedule", "lambda", lambda step, total, warmup, milestones: 1.0)
    try:
        with pytest.raises(ConfigError, match="cannot import schedule 'lambda' .*: define its functions by `def`"):
            workers.execute([], workers.DataSource("digits"), tmp_path, device="cpu", workers=1, on_event=print)
    finally:
        registries.unregister("schedule", "lambda")
