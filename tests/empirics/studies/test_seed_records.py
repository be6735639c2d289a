"""Complete seeds are copied out without weights, merged from several machines, and neither replaced nor retrained."""

import contextlib
import gzip
import hashlib
import json
import shutil
import threading

import pytest

from empirics.choices import ConfigError
from empirics.cli import Train, plans
from empirics.runs import levels
from empirics.storage.files import StoreError, checksum_ok, with_checksum
from empirics.storage.packed import pack, packed_file, unpack
from empirics.storage.run_folder import RunFolder
from empirics.studies import seed_records
from empirics.studies.presets import PRESETS, Preset
from empirics.studies.records import study_file, write_study
from empirics.studies.seed_records import record_seeds, recorded
from empirics.studies.tiers import StudyPlan, Tier
from paper_repro import main
from tests.empirics.tiny_runs import setup_in

pytestmark = pytest.mark.slow

SETTINGS = dict(dataset="digits", model="resnet8", width=4, epochs=2, warmup_epochs=0, batch_size=32, levels=3, lr=0.2,
                schedule="cosine", prune_rate=0.5)  # fmt: skip
FIRST, SECOND = ("imp", "lrr-on-imp-mask"), ("imp-on-shuffled-mask",)
TOY = Preset("a study of two tiers", SETTINGS, (*FIRST, *SECOND), (0, 1), {},
             plan=StudyPlan((Tier("A", FIRST, (0, 1)), Tier("B", SECOND, (0,)))))  # fmt: skip
STUDY = "toy-digits"


@pytest.fixture(autouse=True)
def _with_the_preset(monkeypatch):
    monkeypatch.setitem(PRESETS, "toy", TOY)


def trained(results, dataset, **options) -> None:
    """Train what a command asks for, in this process."""
    for plan in plans(Train(preset="toy", results=results, **options)):
        write_study(results, plan.record)
        for task in plan.tasks:
            levels.run(task.config, task.seed, setup_in(results, dataset))


@pytest.fixture(scope="module")
def machines(tmp_path_factory, tiny_digits):
    """Results of two machines: both tiers of seed 0, and the first tier of seed 1."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PRESETS, "toy", TOY)
        first, second = (tmp_path_factory.mktemp(name) for name in ("first", "second"))
        trained(first, tiny_digits, seeds=(0,))
        trained(second, tiny_digits, tiers=("A",), seeds=(1,))
    return first, second


def files_in(folder) -> dict[str, bytes]:
    there = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith("."))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in there}


def run_of(folder, arm: str) -> str:
    return json.loads(study_file(folder, STUDY).read_text())["arms"][arm]


def test_records_hold_every_text_as_it_was_written_and_no_weights(machines, tmp_path):
    (found,) = record_seeds(machines[0], tmp_path)
    assert {arm for arm, _ in found.added} == {*FIRST, *SECOND} and not found.kept
    assert [(stage.tier, stage.seed) for stage in found.open] == [("A", 1)]
    names = files_in(tmp_path)
    assert {name.rpartition("/")[2] for name in names} == {f"{STUDY}.json", "config.json", "seed-0.json.gz"}
    run = run_of(tmp_path, "imp")
    record = recorded(tmp_path, run, 0)
    source = RunFolder(machines[0], run, 0).path
    assert set(record["files"]) == {"level-01/level.json", "level-02/level.json", "metrics.jsonl", "signs.json"}
    assert all(text == (source / name).read_text() for name, text in record["files"].items())
    assert checksum_ok(json.loads(record["files"]["level-01/level.json"]))


def test_the_same_records_give_the_same_bytes(machines, tmp_path):
    record_seeds(machines[0], tmp_path / "a")
    record_seeds(machines[0], tmp_path / "b")
    assert files_in(tmp_path / "a") == files_in(tmp_path / "b")


def test_seeds_of_another_machine_are_added_and_nothing_else_changes(machines, tmp_path):
    record_seeds(machines[0], tmp_path)
    before = files_in(tmp_path)
    (found,) = record_seeds(machines[1], tmp_path)
    assert set(found.added) == {(arm, 1) for arm in FIRST}
    after = files_in(tmp_path)
    assert all(after[name] == content for name, content in before.items() if not name.startswith("studies/"))
    study = json.loads(study_file(tmp_path, STUDY).read_text())
    assert study["seeds"] == [0, 1] and set(study["arms"]) == {*FIRST, *SECOND}
    assert study["planned"] == {"imp": [0, 1], "lrr-on-imp-mask": [0, 1], "imp-on-shuffled-mask": [0]}


def test_the_order_of_the_machines_does_not_matter(machines, tmp_path):
    for folder, order in (("a", machines), ("b", machines[::-1])):
        for results in order:
            record_seeds(results, tmp_path / folder)
    one, other = files_in(tmp_path / "a"), files_in(tmp_path / "b")
    study = f"studies/{STUDY}.json"
    assert {n: c for n, c in one.items() if n != study} == {n: c for n, c in other.items() if n != study}
    merged = [json.loads(files[study]) for files in (one, other)]
    assert merged[0]["seeds"] == merged[1]["seeds"] and merged[0]["arms"] == merged[1]["arms"]


def test_running_it_again_changes_nothing(machines, tmp_path):
    record_seeds(machines[0], tmp_path)
    before = files_in(tmp_path)
    (found,) = record_seeds(machines[0], tmp_path)
    assert not found.added and len(found.kept) == 3 and files_in(tmp_path) == before


def test_a_tier_of_which_an_arm_is_missing_is_not_recorded(machines, tmp_path):
    shutil.copytree(machines[0], tmp_path / "results")
    gone = RunFolder(tmp_path / "results", run_of(machines[0], "lrr-on-imp-mask"), 0)
    shutil.rmtree(gone.level_path(2))
    (found,) = record_seeds(tmp_path / "results", tmp_path / "out")
    assert {arm for arm, _ in found.added} == {*SECOND}, "the other tier is complete"
    assert ("A", 0) in [(stage.tier, stage.seed) for stage in found.open]


def other_bits(results, run: str, seed: int) -> None:
    """Train a run and what builds on it as another processor might: to other bits."""
    folder = RunFolder(results, run, seed)
    for level in folder.levels_there():
        file = folder.level_path(level) / "level.json"
        record = json.loads(file.read_text())
        weights = folder.level_path(level) / "weights.safetensors"
        weights.write_bytes(weights.read_bytes() + b"\0")
        record["files"]["weights.safetensors"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        record["test_accuracy"] = 0.5
        mine = {name: digest for name, digest in record["depends_on"].items() if not name.startswith(run)}
        file.write_text(json.dumps(with_checksum({**record, "depends_on": mine})))


def test_a_seed_that_differs_from_the_recorded_one_is_refused_and_nothing_is_written(machines, tmp_path):
    record_seeds(machines[0], tmp_path / "out")
    before = files_in(tmp_path / "out")
    shutil.copytree(machines[0], tmp_path / "results")
    run = run_of(machines[0], "lrr-on-imp-mask")
    other_bits(tmp_path / "results", run, 0)
    with pytest.raises(StoreError, match=f"run {run}, seed 0, is recorded with other content.*level-01.*0.5000 here"):
        record_seeds(tmp_path / "results", tmp_path / "out")
    assert files_in(tmp_path / "out") == before


def test_a_seed_that_was_trained_from_other_levels_than_the_recorded_ones_is_refused(machines, tmp_path):
    out, results = tmp_path / "out", tmp_path / "results"
    record_seeds(machines[0], out)
    run, source = run_of(out, "imp-on-shuffled-mask"), run_of(out, "imp")
    packed_file(out, run, 0).unlink()
    shutil.copytree(machines[0], results)  # a machine that has imp for its masks alone, with other bits
    shutil.rmtree(RunFolder(results, run_of(out, "lrr-on-imp-mask"), 0).path)
    file = packed_file(out, source, 0)
    files = unpack(file.read_bytes(), file.name)["files"]
    level = json.loads(files["level-01/level.json"])
    level["files"]["masks.safetensors"] = "0" * 64
    files["level-01/level.json"] = json.dumps(with_checksum(level))
    file.write_bytes(pack(source, 0, files))
    with pytest.raises(StoreError, match=f"run {run}, seed 0, was trained from another {source}/level-01 than"):
        record_seeds(results, out)
    assert not packed_file(out, run, 0).exists()


def test_a_study_on_other_data_is_refused(machines, tmp_path):
    record_seeds(machines[0], tmp_path / "out")
    shutil.copytree(machines[1], tmp_path / "results")
    file = study_file(tmp_path / "results", STUDY)
    file.write_text(json.dumps(with_checksum({**json.loads(file.read_text()), "data_hash": "0" * 64})))
    with pytest.raises(StoreError, match="is recorded in out with another data_hash.*use another --output-dir"):
        record_seeds(tmp_path / "results", tmp_path / "out")


@pytest.mark.parametrize("differs", ["bits", "data"])
def test_of_two_commands_that_record_at_one_moment_neither_replaces_what_the_other_recorded(
    machines, tmp_path, monkeypatch, differs
):
    out, sources = tmp_path / "out", (machines[0], tmp_path / "results")
    shutil.copytree(machines[0], sources[1])
    if differs == "bits":
        other_bits(sources[1], run_of(machines[0], "lrr-on-imp-mask"), 0)
    else:
        file = study_file(sources[1], STUDY)
        file.write_text(json.dumps(with_checksum({**json.loads(file.read_text()), "data_hash": "0" * 64})))
    checked, check = threading.Barrier(2), seed_records._check_study

    def check_beside_the_other(*arguments):
        check(*arguments)
        with contextlib.suppress(threading.BrokenBarrierError):
            checked.wait(1)  # until the other has checked too, if it may

    monkeypatch.setattr(seed_records, "_check_study", check_beside_the_other)
    refused = []

    def record(results):
        try:
            record_seeds(results, out)
        except StoreError as error:
            refused.append((results, str(error)))

    commands = [threading.Thread(target=record, args=(results,)) for results in sources]
    for command in commands:
        command.start()
    for command in commands:
        command.join()
    ((loser, message),) = refused
    assert "is recorded" in message and "another" in message
    before = files_in(out)
    record_seeds(*(results for results in sources if results != loser), out)
    assert files_in(out) == before, "all of it is that of the other command"


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-9],
        lambda data: b"no gzip",
        lambda data: gzip.compress(gzip.decompress(data).replace(b"imp", b"lrr")),
        lambda data: gzip.compress(b"[]"),
    ],
    ids=["cut", "other bytes", "edited", "another record"],
)
def test_a_damaged_record_is_named_and_never_taken_for_a_missing_one(machines, tmp_path, damage):
    record_seeds(machines[0], tmp_path)
    file = packed_file(tmp_path, run_of(tmp_path, "imp"), 0)
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(StoreError, match="seed-0.json.gz is damaged or was edited"):
        record_seeds(machines[0], tmp_path)


def test_a_record_in_the_folder_of_another_run_is_refused(machines, tmp_path):
    record_seeds(machines[0], tmp_path)
    one, other = (packed_file(tmp_path, run_of(tmp_path, arm), 0) for arm in FIRST)
    shutil.copyfile(one, other)
    with pytest.raises(StoreError, match="is the record of .*, seed 0: move it back"):
        recorded(tmp_path, run_of(tmp_path, FIRST[1]), 0)


def test_recorded_seeds_are_not_trained_again_but_for_masks_that_others_need(machines, tmp_path):
    record_seeds(machines[0], tmp_path / "out", seeds=(0,))
    record_seeds(machines[1], tmp_path / "out")
    fresh = Train(preset="toy", results=tmp_path / "fresh", records=tmp_path / "out")
    assert plans(fresh) == []
    packed_file(tmp_path / "out", run_of(machines[0], "imp-on-shuffled-mask"), 0).unlink()
    (plan,) = plans(fresh)
    assert [(task.config.arm, task.seed) for task in plan.tasks] == [
        ("dense", 0), ("imp", 0), ("imp-on-shuffled-mask", 0),
    ], "imp is trained again for its masks, the other arm of its tier is not"  # fmt: skip
    assert set(plan.record["arms"]) == {"imp", "imp-on-shuffled-mask"} and plan.record["seeds"] == [0]


def test_a_tier_that_is_recorded_in_part_is_trained_as_a_whole(machines, tmp_path):
    record_seeds(machines[1], tmp_path / "out")
    packed_file(tmp_path / "out", run_of(machines[1], "lrr-on-imp-mask"), 1).unlink()
    (plan,) = plans(Train(preset="toy", results=tmp_path / "fresh", records=tmp_path / "out", seeds=(1,)))
    assert [task.config.arm for task in plan.tasks] == ["dense", *FIRST]


def test_a_folder_of_records_that_does_not_exist_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no folder of records .*leave out --records"):
        plans(Train(preset="toy", results=tmp_path, records=tmp_path / "typo"))


def test_a_study_without_a_plan_is_recorded_by_name(machines, tmp_path):
    shutil.copytree(machines[0], tmp_path / "results")
    file = study_file(tmp_path / "results", STUDY)
    record = {name: value for name, value in json.loads(file.read_text()).items() if name != "planned"}
    file.write_text(json.dumps(with_checksum(record)))
    with pytest.raises(ConfigError, match="has a plan of seeds: name the studies to record, of toy-digits"):
        record_seeds(tmp_path / "results", tmp_path / "out")
    (found,) = record_seeds(tmp_path / "results", tmp_path / "out", (STUDY,))
    assert {arm for arm, _ in found.added} == {*FIRST, *SECOND}


def test_the_command_says_what_it_recorded(machines, tmp_path, capsys):
    assert main(["records", "--results", str(machines[0]), "--output-dir", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"{STUDY}: 3 runs and seeds recorded, 0 were recorded already; not complete here: A seed 1" in said
    assert "MB" in said
    given = ["--preset", "toy", "--records", str(tmp_path), "--seeds", "0", "--results", str(tmp_path / "r")]
    assert main(["train", *given]) == 0
    assert "every seed that this command would train is recorded already" in capsys.readouterr().err
    assert not (tmp_path / "r/runs").exists()
