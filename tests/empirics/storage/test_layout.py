"""Something else in place of a folder or a file of ours is refused by name before any training, and named by doctor."""

import os
import shutil
import socket
from pathlib import Path

import pytest

from empirics import doctor
from empirics.execution.tasks import plan_tasks, unfinished
from empirics.runs import levels
from empirics.storage import folders, layout
from empirics.storage.files import StoreError
from empirics.storage.run_folder import RunFolder
from empirics.studies.plan import Study, plan_study
from empirics.studies.records import theory_result_stands
from figures.results import names as names_of_figures
from tests.empirics.tiny_runs import run_arms, setup_in

pytestmark = pytest.mark.slow

RUN = "imp-digits-resnet8-0000cafe"


@pytest.fixture(scope="module")
def trained(tmp_path_factory, tiny_digits):
    setup = setup_in(tmp_path_factory.mktemp("layout") / "results", tiny_digits)
    return setup, run_arms(["imp"], setup, levels=2, epochs=1)["imp"]


def put_file(place: Path) -> None:
    place.write_text("x")


def put_socket(place: Path) -> None:
    with socket.socket(socket.AF_UNIX) as end:
        before = os.getcwd()
        os.chdir(place.parent)  # the path of a socket is short
        try:
            end.bind(place.name)
        finally:
            os.chdir(before)


def put_in_place(place: Path, put) -> None:
    if place.is_dir():
        shutil.rmtree(place)
    else:
        place.unlink(missing_ok=True)
    place.parent.mkdir(exist_ok=True)
    put(place)


def bad(results: Path) -> list[str]:
    return [finding.text for finding in doctor.examine(results, results / "none") if finding.bad]


def copied(trained, tmp_path):
    """The lab and its run, their results a copy."""
    setup, config = trained
    results = Path(shutil.copytree(setup.results, tmp_path / "results"))
    return setup_in(results, setup.dataset), config


SEED = f"runs/{RUN}/seed-0"
OURS = {
    "runs": "folder", f"runs/{RUN}": "folder", f"runs/{RUN}/config.json": "file", SEED: "folder",
    f"{SEED}/signs.json": "file", f"{SEED}/metrics.jsonl": "file", f"{SEED}/level-01": "folder",
    f"{SEED}/level-100": "folder", f"{SEED}/level-01/level.json": "file", "studies": "folder",
    "studies/quick-digits.json": "file", "connectivity": "folder", "connectivity/x.json": "file",
    "theory": "folder", "theory/x-1.json": "file", "theory/x-1.npz": "file",
}  # fmt: skip
WRITTEN_ALONE = {
    "overlaps": "folder", "overlaps/x.json": "file", "cache": "folder", f"{SEED}/.lease": "file",
    f"{SEED}/checkpoints": "folder", f"{SEED}/checkpoints/level-01-epoch-00001.safetensors": "file",
    f"{SEED}/level-01/weights.safetensors": "file",
}  # fmt: skip
NOBODYS = (
    "notes.txt", "studies/notes.txt", "runs/.DS_Store", "runs/Thumbs.db", f"runs/{RUN}/._config.json", f"{SEED}-old",
    f"runs/{RUN}/seed-01", f"{SEED}/level-1", f"{SEED}/level-001", f"{SEED}/x", f"runs/{RUN}/level-01",
    "studies/.quick-digits.json", f"{SEED}/level-01/x", f"{SEED}/level-01/x/level.json", f"{SEED}-old/level-01",
)  # fmt: skip


def test_both_packages_want_a_folder_or_a_file_under_the_same_names():
    for name, kind in OURS.items():
        parts = name.split("/")
        assert layout.must_be(*parts) == names_of_figures.must_be(*parts) == kind, name
    for name, kind in WRITTEN_ALONE.items():
        assert layout.must_be(*name.split("/")) == kind, name
    for name in NOBODYS:
        assert layout.must_be(*name.split("/")) is names_of_figures.must_be(*name.split("/")) is None, name


def test_whatever_a_run_writes_has_a_name_that_is_ours(trained):
    setup, _ = trained
    for entry in folders.walk(setup.results):
        found = layout.must_be(*Path(entry.path).relative_to(setup.results).parts)
        assert found == folders.kind_of_entry(entry), entry.name


PLACES = ["runs", "run", "run/config.json", "run/seed-0", "run/seed-0/level-01", "run/seed-0/checkpoints",
          "run/seed-0/metrics.jsonl", "run/seed-0/level-01/level.json", "run/seed-0/level-01/weights.safetensors",
          "run/seed-0/checkpoints/level-01-epoch-00001.safetensors", "run/seed-0/.lease"]  # fmt: skip


@pytest.mark.parametrize("put", [os.mkfifo, put_socket, None])
@pytest.mark.parametrize("place", PLACES)
def test_something_else_in_place_of_a_part_of_a_run_is_refused_by_name_and_named_by_doctor(
    trained, tmp_path, place, put
):
    setup, config = copied(trained, tmp_path)
    name = place.replace("run/", f"runs/{config.name}/") if place != "run" else f"runs/{config.name}"
    kind = layout.must_be(*name.split("/"))
    put_in_place(setup.results / name, put or (put_file if kind == "folder" else Path.mkdir))
    what = {"file": "a folder", "folder": "a file"}[kind] if put is None else "neither a file nor a folder"
    words = f"{name} is {what}, and must be a {kind}: move it away"
    with pytest.raises(StoreError) as error:
        unfinished(plan_tasks([config], (0,)), setup.results)
    assert str(error.value) == words
    with pytest.raises(StoreError) as error:
        levels.run(config, 0, setup)
    assert str(error.value) == words
    assert words in bad(setup.results)


@pytest.mark.parametrize(
    "name", ["runs", "studies", "overlaps", "connectivity", "theory", "cache", "studies/x.json", "theory/x.npz"]
)
@pytest.mark.parametrize("put", [os.mkfifo, put_socket, None])
def test_doctor_names_something_else_in_place_of_a_part_of_the_results(tmp_path, name, put):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (put or (put_file if "/" not in name else Path.mkdir))(tmp_path / name)
    texts = bad(tmp_path)
    assert any(text.startswith(f"{name} is ") and "and must be a " in text for text in texts)
    shutil.rmtree(tmp_path / name) if (tmp_path / name).is_dir() else (tmp_path / name).unlink()
    assert bad(tmp_path) == []


@pytest.mark.parametrize("name", ["runs", "studies", "overlaps", "studies/quick-digits.json",
                                  "overlaps/quick-digits.json", "connectivity",
                                  "connectivity/quick-digits.json"])  # fmt: skip
def test_something_else_in_place_of_the_records_of_a_study_is_refused_before_anything_is_trained(tmp_path, name):
    command = Study(results=tmp_path, seeds=(0,), dry_run=True, device="cpu", workers=1)
    assert plan_study(command, ["imp"], {}).record["study"] == "quick-digits"
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (Path.mkdir if "/" in name else os.mkfifo)(tmp_path / name)
    with pytest.raises(StoreError, match=f"^{name} is (a folder|neither a file nor a folder), and must be a"):
        plan_study(command, ["imp"], {})


@pytest.mark.parametrize("name", ["theory", "theory/x-1.json", "theory/x-1.npz"])
def test_something_else_in_place_of_a_result_of_the_neuron_is_refused_before_it_is_computed(tmp_path, name):
    assert not theory_result_stands(tmp_path / "theory", "x-1")
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (Path.mkdir if "/" in name else os.mkfifo)(tmp_path / name)
    with pytest.raises(StoreError, match=f"^{name} is .*, and must be a (file|folder): move it away"):
        theory_result_stands(tmp_path / "theory", "x-1")


def test_a_run_that_has_lost_its_config_is_looked_at_again_which_writes_it_and_trains_nothing(trained, tmp_path):
    setup, config = copied(trained, tmp_path)
    run = RunFolder(setup.results, config.name, 0)
    file, level = run.path.parent / "config.json", run.level_path(1) / "level.json"
    before = file.read_bytes(), level.read_bytes(), level.stat().st_mtime_ns
    file.unlink()
    assert bad(setup.results) == [
        f"run {config.name}: config.json is missing: the same command writes it, or delete the run"
    ]
    (task,) = unfinished(plan_tasks([config], (0,)), setup.results)
    assert task.key == (config.name, 0) and task.levels == []
    levels.run(config, 0, setup)
    assert (file.read_bytes(), level.read_bytes(), level.stat().st_mtime_ns) == before and bad(setup.results) == []


def test_a_run_that_is_just_beginning_is_no_problem(trained, tmp_path):
    setup, config = copied(trained, tmp_path)
    with RunFolder(setup.results, "lrr-digits-resnet8-0000cafe", 0).lease():
        assert bad(setup.results) == []


def test_clutter_and_links_at_the_top_are_as_good_as_before(trained, tmp_path):
    setup, config = copied(trained, tmp_path)
    (setup.results / "runs").rename(tmp_path / "another disk")
    (setup.results / "runs").symlink_to(tmp_path / "another disk")
    for place in ("runs", f"runs/{config.name}", f"runs/{config.name}/seed-0"):
        (setup.results / place / ".DS_Store").write_bytes(b"x")
        (setup.results / place / "._level-01").write_bytes(b"x")
        (setup.results / place / "lost+found").mkdir()
    assert unfinished(plan_tasks([config], (0,)), setup.results) == [] and bad(setup.results) == []
    run = RunFolder(setup.results, config.name, 0)
    os.link(run.level_path(1) / "weights.safetensors", tmp_path / "kept")
    assert unfinished(plan_tasks([config], (0,)), setup.results) == [] and bad(setup.results) == []
