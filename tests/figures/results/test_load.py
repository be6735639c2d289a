import json
import shutil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from figures.results.fields import ResultError, parse_json
from figures.results.load import load
from figures.results.network import parse_level, parse_signs, parse_study
from tests import ROOT

pytestmark = pytest.mark.slow

STUDY = "studies/quick-digits.json"
RUN = "runs/lrr-digits-resnet20-0000cafe"
LEVEL = f"{RUN}/seed-1/level-03/level.json"
SIGNS = f"{RUN}/seed-1/signs.json"


@pytest.fixture
def copy(folder, tmp_path):
    """A folder that a test may spoil."""
    shutil.copytree(folder, tmp_path / "results")
    return tmp_path / "results"


def edit(root, path, change):
    data = json.loads((root / path).read_text())
    change(data)
    (root / path).write_text(json.dumps(data))


def test_a_whole_folder_loads_without_problems(records, folder, synthetic):
    assert records.problems == ()
    study = records.studies[0]
    assert study.study.seeds == (0, 1, 2, 3) and len(study.arms) == len(synthetic.ARMS)
    assert sorted(study.arms["lrr"].seeds[0].levels) == list(range(1, 8))
    assert sorted(study.arms["imp-long"].seeds[0].levels) == [6, 7]
    written = {path.stem.removesuffix("-0000cafe") for path in folder.glob("theory/*.json")}
    assert set(records.theory) == written and len(written) >= 7


def test_every_file_read_is_listed_with_its_sha256(folder, records):
    import hashlib

    files = [f for run in records.studies[0].arms.values() for f in run.files]
    files += [f for result in records.theory.values() for f in result.files]
    assert len(files) > 400 and any(f.path.endswith(".npz") for f in files)
    for file in files[::37]:
        assert hashlib.sha256((folder / file.path).read_bytes()).hexdigest() == file.sha256


LEVEL_FAULTS = {
    "test_accuracy": 97.0,
    "density": 0.5,
    "n_kept": "many",
    "status": "done",
    "seed": 2,
    "run": "another",
    "level": True,
    "schema": 1,
    "train_loss": None,
    "test_loss": 10**400,
}


@pytest.mark.parametrize("field", LEVEL_FAULTS)
def test_a_bad_field_of_a_level_is_named_with_file_value_and_remedy(copy, field):
    edit(copy, LEVEL, lambda data: data.update({field: LEVEL_FAULTS[field]}))
    (problem,) = load(copy).problems
    assert problem.owner == RUN.removeprefix("runs/")
    for word in (LEVEL, field, repr(LEVEL_FAULTS[field])[:70], "run the command that made it again"):
        assert word in problem.message


@pytest.mark.parametrize(
    ("path", "content"),
    [
        (LEVEL, b'{"schema": 2, "kind"'),
        (LEVEL, b""),
        (LEVEL, b"[1, 2]"),
        (LEVEL, b'{"a": NaN}'),
        (LEVEL, b'{"a": 1, "a": 2}'),
        (LEVEL, b"\xff\xfe\x00"),
        (LEVEL, b"[" * 100_000),
        (SIGNS, b"{}"),
        (f"{RUN}/config.json", b"null"),
        (STUDY, b'{"schema": 2}'),
        ("theory/quadrants-0000cafe.json", b"{}"),
    ],
)
def test_garbage_is_one_named_problem_and_the_rest_still_loads(copy, path, content):
    (copy / path).write_bytes(content)
    found = load(copy)
    assert len(found.problems) == 1 and path.rsplit("/", 1)[0] in found.problems[0].message
    assert "stories" in found.theory


def test_nan_written_as_a_number_is_refused(copy):
    text = (copy / LEVEL).read_text()
    value = json.loads(text)["test_accuracy"]
    (copy / LEVEL).write_text(text.replace(f'"test_accuracy": {value}', '"test_accuracy": NaN'))
    assert "NaN" in load(copy).problems[0].message
    (copy / LEVEL).write_text(text.replace(f'"test_accuracy": {value}', '"test_accuracy": 1e999'))
    assert "fraction in [0, 1]" in load(copy).problems[0].message


def test_a_run_name_cannot_lead_out_of_the_folder(copy):
    edit(copy, STUDY, lambda data: data["arms"].update(lrr="../../elsewhere"))
    (problem,) = load(copy).problems
    assert "arms.lrr must be a name" in problem.message and problem.owner == "studies"


@pytest.mark.parametrize(
    ("change", "words"), [({"levels": 10_000}, "from 1 to 9999"), ({"prune_rate": 0.4}, "the rate of its levels")]
)
def test_a_study_that_its_levels_contradict_is_refused_by_name(copy, change, words):
    edit(copy, STUDY, lambda data: data.update(change))
    found = load(copy)
    (problem,) = found.problems
    assert found.studies == () and STUDY in problem.message and words in problem.message


def test_a_bad_level_costs_its_seed_and_bad_sign_statistics_cost_those_alone(copy):
    (copy / LEVEL).write_bytes(b"{")
    (copy / RUN / "seed-2/signs.json").write_bytes(b"{")
    found = load(copy)
    run = found.studies[0].arms["lrr"]
    assert run.unreadable == (1,) and sorted(run.seeds) == [0, 2, 3]
    assert run.seeds[2].signs is None and len(run.seeds[2].levels) == 7 and run.seeds[3].signs
    assert [(p.seed, p.signs_only, p.file) for p in found.problems] == [
        (1, False, LEVEL), (2, True, f"{RUN}/seed-2/signs.json")
    ]  # fmt: skip
    assert not any("seed-1" in source.path for source in run.files)


def test_a_study_with_changed_settings_may_say_so_in_its_name(copy):
    data = json.loads((copy / STUDY).read_text())
    label = "quick with levels=8, lr=0.05"
    data |= {"study": f"{label}-digits", "preset": label}
    (copy / f"studies/{label}-digits.json").write_text(json.dumps(data))
    found = load(copy)
    assert found.problems == () and len(found.studies) == 2


def test_the_golden_run_of_the_networks_can_be_read():
    found = load(ROOT / "tests" / "golden/results")
    assert found.problems == () and len(found.studies) == 1
    study = found.studies[0]
    assert set(study.arms) == {"imp", "lrr"} and study.dense is not None
    for arm in study.arms.values():
        seed = arm.seeds[0]
        assert sorted(seed.levels) == [1, 2] and seed.signs.levels == (0, 1, 2) and not seed.diverged
        for level in seed.levels.values():
            assert level.density == pytest.approx(study.study.density(level.level), rel=1e-2)
            assert sum(layer["n_kept"] for layer in level.layers.values()) >= seed.signs.survivors


def test_counts_that_do_not_add_up_are_refused(copy):
    def change(data):
        data["layers"]["linear"]["settles_at"][0] += 1

    edit(copy, SIGNS, change)
    assert "linear.settles_at" in load(copy).problems[0].message


def test_more_flips_than_survivors_are_refused(copy):
    def change(data):
        data["layers"]["linear"]["flips"]["initial"] = data["layers"]["linear"]["n_kept"] + 1

    edit(copy, LEVEL, change)
    assert "flips.initial" in load(copy).problems[0].message


def test_changed_missing_or_pickled_arrays_are_refused(copy):
    path = copy / "theory/quadrants-0000cafe.npz"
    good = path.read_bytes()
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert "sha256" in load(copy).problems[0].message
    path.unlink()
    assert "paper_repro.py theory quadrants" in load(copy).problems[0].message

    import hashlib

    np.savez(path, grid_a=np.array([{"a": 1}], dtype=object))
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    edit(copy, "theory/quadrants-0000cafe.json", lambda data: data["arrays"].update(sha256=digest))
    assert "without pickled objects" in load(copy).problems[0].message


def test_nan_in_an_array_is_refused(copy, synthetic):
    values, arrays = synthetic.quadrants()
    arrays["field_a"][0, 0] = np.nan
    synthetic._theory_file(copy, "quadrants", {}, values, arrays)
    assert "field_a" in load(copy).problems[0].message and "finite" in load(copy).problems[0].message


def test_a_diverged_level_is_read_without_numbers(copy):
    nulls = dict.fromkeys(("train_loss", "train_accuracy", "test_loss", "test_accuracy"))
    edit(copy, LEVEL, lambda data: data.update(nulls | {"status": "diverged", "reason": "loss is NaN at step 3"}))
    found = load(copy)
    assert found.problems == () and found.studies[0].arms["lrr"].seeds[1].diverged


def test_of_several_parameter_sets_the_one_with_most_trials_is_taken_unless_one_is_named(copy):
    data = json.loads((copy / "theory/factorial-0000cafe.json").read_text())
    data["params"]["trials"] = 10
    (copy / "theory/factorial-0000beef.json").write_text(json.dumps(data))
    assert load(copy).theory["factorial"].name == "factorial-0000cafe"
    assert load(copy).left_out == ("factorial-0000beef",)
    assert load(copy, {"factorial": "factorial-0000beef"}).theory["factorial"].name == "factorial-0000beef"


def test_trained_seeds_that_no_study_lists_are_named(copy, records):
    """As where one results folder was copied over another, and of two records of a study one is left."""
    assert records.unlisted == () and load(copy).unlisted == ()
    edit(copy, STUDY, lambda data: data.update(seeds=[0, 2]))
    arms = sorted(set(json.loads((copy / STUDY).read_text())["arms"].values()))
    found = load(copy)
    assert found.problems == () and found.unlisted == tuple(f"{run}, seeds 1 3" for run in arms)
    (copy / STUDY).write_text("{")
    assert load(copy).unlisted == (), "what a damaged record lists is not known"
    (copy / STUDY).unlink()
    assert f"{RUN.partition('/')[2]}, seeds 0 1 2 3" in load(copy).unlisted


def test_an_absent_folder_is_a_named_error(tmp_path):
    do = "run `paper_repro.py figures` first, or give the folder of the results with --results"
    with pytest.raises(ResultError, match=rf"results folder .*none does not exist: {do}"):
        load(tmp_path / "none")
    assert load(tmp_path).studies == ()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_fuzzed_file_gives_a_typed_error_or_a_record(folder, data):
    parsers = {
        STUDY: parse_study,
        LEVEL: lambda d, f: parse_level(d, f, RUN.removeprefix("runs/"), 1, 3),
        SIGNS: lambda d, f: parse_signs(d, f, RUN.removeprefix("runs/"), 1),
    }
    path = data.draw(st.sampled_from(sorted(parsers)))
    document = json.loads((folder / path).read_text())
    spot = document
    while isinstance(spot, dict) and spot and data.draw(st.booleans()):
        key = data.draw(st.sampled_from(sorted(spot)))
        if not isinstance(spot[key], dict):
            break
        spot = spot[key]
    if isinstance(spot, dict) and spot:
        spot[data.draw(st.sampled_from(sorted(spot)))] = data.draw(JSON)
    try:
        parsers[path](parse_json(json.dumps(document).encode(), path), path)
    except ResultError as error:
        assert path in str(error)


def test_an_arm_that_changes_level_0_is_read_with_a_dense_run_of_its_own(copy):
    from figures.analysis import measures

    own = copy / "runs/dense-digits-resnet20-0000beef"
    shutil.copytree(copy / "runs/dense-digits-resnet20-0000cafe", own)
    for path in [own / "config.json", *own.rglob("level.json")]:
        edit(copy, path.relative_to(copy), lambda data: data.update(run=own.name))
    edit(copy, "runs/dense-digits-resnet20-0000beef/seed-0/level-00/level.json", lambda d: d.update(test_accuracy=0.5))
    shutil.rmtree(own / "seed-1")
    edit(copy, f"{RUN}/config.json", lambda data: data.update(dense_run=own.name))
    found = load(copy)
    assert found.problems == ()
    (results,) = found.studies
    assert results.dense_of("lrr").run == own.name and results.dense_of("imp") is results.dense
    assert (
        measures.level(results, "lrr", 0, 0).test_accuracy == 0.5 != measures.level(results, "imp", 0, 0).test_accuracy
    )
    edit(copy, "runs/dense-digits-resnet20-0000beef/seed-0/level-00/level.json", lambda d: d.update(status="diverged"))
    (results,) = load(copy).studies
    assert measures.seeds_of(results, "lrr")[1] == [0] and measures.seeds_of(results, "imp")[1] == []


def test_the_control_that_is_never_pruned_may_keep_its_density(copy):
    def whole(data):
        for layer in data["layers"].values():
            layer["n_kept"] = layer["size"]
        data.update(density=1.0, n_kept=data["total"])

    edit(copy, LEVEL, whole)
    assert any("prune_rate" in problem.message for problem in load(copy).problems)
    edit(copy, f"{RUN}/config.json", lambda data: data["config"].update(mask_source="dense"))
    assert load(copy).problems == ()


def test_the_studies_of_a_sweep_are_kept_apart_from_those_that_claims_speak_of(copy):
    for file in copy.glob("studies/*model*.json"):  # those of the made-up sweeps
        file.unlink()
    data = json.loads((copy / STUDY).read_text())
    (copy / "studies/quick-width-2-digits.json").write_text(
        json.dumps({**data, "study": "quick-width-2-digits", "swept": "width"})
    )
    found = load(copy)
    assert [results.study.study for results in found.studies] == ["quick-digits"]
    assert [(r.study.study, r.study.swept) for r in found.sweeps] == [("quick-width-2-digits", "width")]
    edit(copy, "studies/quick-width-2-digits.json", lambda d: d.update(swept=3))
    assert "swept" in load(copy).problems[0].message


@pytest.mark.parametrize("path", [LEVEL, SIGNS, STUDY, f"{RUN}/config.json"])
def test_results_of_another_version_say_what_to_do(copy, path):
    edit(copy, path, lambda data: data.update(schema=1))
    (problem,) = load(copy).problems
    assert "schema must be 2, which this version reads and writes, got 1" in problem.message
    assert "with another --results folder, or use the version that wrote it" in problem.message


def test_a_record_that_was_edited_after_it_was_sealed_is_refused():
    """Sealed by `empirics`, read here: the golden run."""
    golden = ROOT / "tests" / "golden" / "results"
    file = next(golden.rglob("level-01/level.json"))
    data = json.loads(file.read_text())
    place = (data["run"], data["seed"], data["level"])
    assert parse_level(data, "level.json", *place).test_accuracy == data["test_accuracy"] and "checksum" in data
    with pytest.raises(ResultError, match="checksum"):
        parse_level({**data, "test_accuracy": data["test_accuracy"] + 0.01}, "level.json", *place)


def test_title_classes_and_smoke_are_what_the_study_says(copy):
    (before,) = load(copy).studies
    assert (before.study.title, before.study.classes, before.study.smoke) == ("digits", 10, False), "an old record"
    edit(copy, STUDY, lambda data: data.update(title="Birds of Britain", classes=3, smoke=True))
    (after,) = load(copy).studies
    assert (after.study.title, after.study.classes, after.study.smoke) == ("Birds of Britain", 3, True)


@pytest.mark.parametrize(("field", "value"), [("title", "a`b"), ("classes", 1), ("classes", True), ("smoke", "yes")])
def test_a_title_or_number_of_classes_that_cannot_be_is_named(copy, field, value):
    edit(copy, STUDY, lambda data: data.update({field: value}))
    assert f"{field} must be" in load(copy).problems[0].message


def test_studies_are_in_the_papers_order_then_by_name_and_smoke_runs_are_last(copy):
    data = json.loads((copy / STUDY).read_text())
    for dataset, smoke in (("imagenet", False), ("owls", False), ("cifar100", True), ("birds", False)):
        content = {**data, "study": f"a-{dataset}", "dataset": dataset, "smoke": smoke}
        (copy / f"studies/a-{dataset}.json").write_text(json.dumps(content))
    assert [r.study.dataset for r in load(copy).studies] == ["imagenet", "birds", "digits", "owls", "cifar100"]
