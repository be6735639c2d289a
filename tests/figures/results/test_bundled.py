"""Records of studies that come with the code are read like a results folder, and shown beside one."""

import gzip
import json
import shutil

import pytest

from empirics.storage.files import with_checksum
from figures.catalogue import FIGURES
from figures.inputs import figure_inputs, shown_in, studies_used
from figures.results import bundled
from figures.results.bundled import place_of, with_bundled
from figures.results.load import load
from figures.results.variants import with_accuracy
from tests.figures import synthetic_planned as planned

FOLDER = f"figures/reference/{planned.DATASET}"
# the figures that have panels of the study, and those in which it would have none for good
SHOWN = ("2", "3", "4", "5", "7", "9", "12", "13", "factorial", "claims")
NOT_SHOWN = ("6", "11", "16", "cyclic", "connectivity", "width")


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    root = tmp_path_factory.mktemp("reference")
    planned.study(root / planned.DATASET)
    (root / "quick").mkdir()  # pictures alone
    return root


@pytest.fixture
def _bundled(reference, monkeypatch):
    monkeypatch.setattr(bundled, "BUNDLED", reference)


@pytest.fixture
def both(records, _bundled):
    return with_bundled(records)


def test_packed_seeds_are_the_records_that_were_packed(reference, tmp_path):
    packed = load(reference / planned.DATASET)
    assert not packed.problems
    (study,) = packed.studies
    assert study.study.title == "CIFAR-10 (JPEG)" and study.study.train_images == (20000, 50000)
    assert "20,000 of 50,000 training images" in study.study.scope
    shutil.copytree(reference / planned.DATASET, tmp_path / "plain")
    for file in sorted((tmp_path / "plain").glob("runs/*/seed-*.json.gz")):
        record = json.loads(gzip.decompress(file.read_bytes()))
        for name, text in record["files"].items():
            target = file.with_name(f"seed-{record['seed']}") / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        file.unlink()
    (plain,) = load(tmp_path / "plain").studies
    for arm, run in plain.arms.items():
        assert run.seeds == study.arms[arm].seeds and run.config == study.arms[arm].config
        assert len(study.arms[arm].files) == 1 + len(run.seeds), "the settings, and a file a seed"


def spoilt(reference, tmp_path, change):
    folder = tmp_path / "results"
    shutil.copytree(reference / planned.DATASET, folder)
    file = next(folder.glob("runs/imp-cifar*/seed-2.json.gz"))
    change(file)
    return folder, file


def edited(file, **changes):
    record = json.loads(gzip.decompress(file.read_bytes()))
    file.write_bytes(gzip.compress(json.dumps(record | changes).encode()))


def level_edited(file):
    record = json.loads(gzip.decompress(file.read_bytes()))
    level = json.loads(record["files"]["level-07/level.json"]) | {"test_accuracy": 0.99}
    record["files"]["level-07/level.json"] = json.dumps(level)
    file.write_bytes(gzip.compress(json.dumps(with_checksum(record)).encode()))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-20]), "the file must be gzip"),
        (lambda file: file.write_bytes(b"text"), "the file must be gzip"),
        (lambda file: edited(file, seed=3), "checksum"),
        (level_edited, "seed-2.json.gz, level-07/level.json: checksum"),
        (lambda file: shutil.copyfile(file.with_name("seed-3.json.gz"), file), "seed must be 2, as its name says"),
        (lambda file: file.with_name("seed-2").mkdir(), "there once"),
    ],
    ids=["cut", "no gzip", "edited", "a level edited", "another seed", "twice"],
)
def test_a_packed_seed_that_cannot_be_trusted_is_a_problem_and_not_used(reference, tmp_path, change, words):
    folder, file = spoilt(reference, tmp_path, change)
    found = load(folder)
    assert any(words in problem.message and problem.seed == 2 for problem in found.problems), found.problems
    assert 2 not in found.studies[0].arms["imp"].seeds and 2 in found.studies[0].arms["lrr"].seeds


def test_bundled_studies_stand_after_those_of_the_results(both, records):
    assert [r.study.study for r in both.studies] == [*(r.study.study for r in records.studies), planned.STUDY]
    assert both.studies[:-1] == records.studies and both.sweeps == records.sweeps and both.theory == records.theory
    assert both.studies[-1].bundled == FOLDER


def test_a_study_that_the_results_have_too_counts_once(reference, _bundled):
    own = load(reference / planned.DATASET)
    assert with_bundled(own).studies == own.studies


def test_without_bundled_folders_nothing_changes(records, monkeypatch, tmp_path):
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path / "absent")
    assert with_bundled(records) == records
    monkeypatch.setattr(bundled, "BUNDLED", tmp_path)
    (tmp_path / "quick").mkdir()
    assert with_bundled(records) == records


def test_the_best_accuracies_have_no_bundled_study(records, _bundled):
    from dataclasses import replace

    best = replace(records, accuracy="best")
    assert with_bundled(best) == best and with_accuracy("x", "best").endswith("--accuracy best")


def test_files_are_named_by_their_place_in_the_code(both, reference, tmp_path):
    inputs = [source.path for source in figure_inputs(FIGURES["3"], both)]
    mine = [path for path in inputs if planned.DATASET in path]
    assert mine and all(path.startswith(f"{FOLDER}/") for path in mine) and str(reference) not in str(inputs)
    assert studies_used(FIGURES["3"], both)[planned.STUDY]["records"] == FOLDER
    assert "records" not in studies_used(FIGURES["3"], both)["quick-digits"]
    assert place_of(f"{FOLDER}/studies/x.json", tmp_path) == (reference, f"{planned.DATASET}/studies/x.json")
    assert place_of("studies/x.json", tmp_path) == (tmp_path, "studies/x.json")


def test_figures_have_panels_of_a_bundled_study_only_where_it_has_their_arms(both):
    shows = {name: both.studies[-1] in shown_in(FIGURES[name], both).studies for name in (*SHOWN, *NOT_SHOWN)}
    assert shows == {name: name in SHOWN for name in shows}


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in SHOWN if name != "claims"])
def test_its_panels_have_the_data_sets_name_and_the_others_their_numbers(both, records, name):
    from figures.plots.style import drawing_style

    with drawing_style():
        alone, beside = (FIGURES[name].draw(shown_in(FIGURES[name], some)) for some in (records, both))
    for key, numbers in alone.plotted.items():
        assert beside.plotted[key] == numbers
    titles = " ".join(axes.get_title(loc="left").replace("\n", " ") for axes in beside.figure.axes)
    texts = " ".join(text.get_text() for axes in beside.figure.axes for text in axes.texts)
    assert "CIFAR-10 (JPEG)" in titles + texts and "20,000 of 50,000 training images" in beside.caption
    assert not any(planned.PRESET in item.command for item in beside.missing), "what is not planned is not missing"
