"""Results that may not be looked at, and broken links in them: named, and never taken for runs that are not there."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest
import torch

from empirics import doctor
from empirics.config import config_hash
from empirics.execution.tasks import plan_tasks, unfinished
from empirics.runs import levels
from empirics.storage import checkpoints, files, folders
from empirics.storage.checkpoints import Checkpoint, Expected
from empirics.storage.data_files import DataError
from empirics.storage.files import (
    StoreError,
    json_bytes,
    names_in,
    read_record,
    refuse_links,
    with_checksum,
    write_atomic,
)
from empirics.storage.folders import BrokenLink
from empirics.storage.locks import locked
from empirics.storage.run_folder import RunFolder
from empirics.studies.plan import Study, data_source
from empirics.studies.records import sealed_json, theory_result_stands
from figures.results import folders as folders_of_figures
from figures.results.load import load as results_of_figures
from tests.empirics.closed_folders import closed, open_folder
from tests.empirics.tiny_runs import run_arms, setup_in

pytestmark = pytest.mark.slow

NOWHERE, CIRCLE = "it is a link that leads nowhere", "it is a link that leads in a circle"


@pytest.fixture(scope="module")
def trained(tiny_digits):
    """Results of imp, which everybody may read."""
    with open_folder() as root:
        setup = setup_in(root / "results", tiny_digits)
        config = run_arms(["imp"], setup, levels=2, epochs=1)["imp"]
        for kind, record in (("studies", {"study": "x"}), ("overlaps", {"study": "x"})):
            (setup.results / kind).mkdir()
            (setup.results / kind / "x.json").write_bytes(json_bytes(with_checksum(record)))
        (setup.results / "theory").mkdir()
        (setup.results / "theory/x-1.json").write_bytes(sealed_json(b'{"arrays": null}'))
        yield setup, config


def places(setup, config) -> dict[str, Path]:
    run = setup.results / "runs" / config.name
    return {
        "runs": setup.results / "runs",
        "run": run,
        "seed": run / "seed-0",
        "level": run / "seed-0/level-01",
        "level.json": run / "seed-0/level-01/level.json",
        "weights": run / "seed-0/level-01/weights.safetensors",
    }


WHERE = ["runs", "run", "seed", "level", "level.json", "weights"]


@pytest.mark.parametrize("mode", [0, 0o400])
@pytest.mark.parametrize("where", WHERE)
def test_a_run_that_may_not_be_looked_at_is_an_error_and_is_not_trained_anew(trained, where, mode):
    setup, config = trained
    place = places(setup, config)[where]
    mode = mode if place.is_dir() else 0
    tasks = plan_tasks([config], (0,))
    with closed(place, mode=mode), pytest.raises(StoreError, match="Permission denied") as error:
        unfinished(tasks, setup.results)
    assert "seed 0" in str(error.value)
    with closed(place, mode=mode), pytest.raises(StoreError, match="Permission denied"):
        levels.run(config, 0, setup)
    assert unfinished(tasks, setup.results) == [], "nothing was lost"


@pytest.mark.parametrize("where", [".", "theory", "studies", "overlaps", *WHERE])
def test_doctor_names_what_it_may_not_look_at(trained, where):
    setup, config = trained
    place = places(setup, config)[where] if where in WHERE else setup.results / where
    with closed(place):
        found = [finding.text for finding in doctor.examine(setup.results, setup.results / "none") if finding.bad]
    assert any("Permission denied" in text for text in found)
    name = "the results folder" if where == "." else place.name if place.is_dir() else "level 1 of run"
    assert any(name in text for text in found if "Permission denied" in text)
    assert not any(str(setup.results) in text for text in found), "the report can be pasted"
    assert [f.text for f in doctor.examine(setup.results, setup.results / "none") if f.bad] == []


@pytest.mark.parametrize("mode", [0, 0o100, 0o400])
def test_doctor_names_checkpoints_that_may_not_be_looked_at_and_no_folder_above(trained, mode):
    setup, config = trained
    folder = places(setup, config)["seed"] / "checkpoints"
    value = {"w": torch.ones(3)}
    checkpoint = Checkpoint(1, 1, value, {}, {}, {}, [{}], {})
    checkpoints.save(folder, checkpoint, config_hash(config), {})
    try:
        with closed(folder, mode=mode):
            found = [finding.text for finding in doctor.examine(setup.results, setup.results / "none") if finding.bad]
    finally:
        shutil.rmtree(folder)
    assert found and all("Permission denied" in text and str(setup.results) not in text for text in found)


@pytest.mark.parametrize("name", ["theory/x-1.json", "studies/x.json", "overlaps/x.json"])
def test_doctor_names_a_record_that_may_not_be_read(trained, name):
    setup, _ = trained
    with closed(setup.results / name):
        found = [finding.text for finding in doctor.examine(setup.results, setup.results / "none") if finding.bad]
    assert len(found) == 1 and "Permission denied" in found[0] and Path(name).stem in found[0]


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("why", [NOWHERE, CIRCLE])
def test_a_run_behind_a_broken_link_is_an_error_and_is_not_trained_anew(trained, tmp_path, where, why):
    setup, config = trained
    results = Path(shutil.copytree(setup.results, tmp_path / "results"))
    place = results / places(setup, config)[where].relative_to(setup.results)
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    place.symlink_to("gone" if why == NOWHERE else place.name)
    with pytest.raises(StoreError, match=why.removeprefix("it ")):
        unfinished(plan_tasks([config], (0,)), results)
    assert any("is a symbolic link" in f.text for f in doctor.examine(results, results / "none") if f.bad)
    assert place.is_symlink(), "left alone"


def test_results_that_are_a_broken_link_are_named_by_doctor(tmp_path):
    (tmp_path / "results").symlink_to("gone")
    texts = [finding.text for finding in doctor.examine(tmp_path / "results", tmp_path) if finding.bad]
    assert f"the results folder cannot be listed: {NOWHERE}: its content is unknown" in texts
    (tmp_path / "circle").symlink_to("circle")
    texts = [finding.text for finding in doctor.examine(tmp_path / "circle", tmp_path) if finding.bad]
    assert f"the results folder cannot be listed: {CIRCLE}: its content is unknown" in texts


def test_results_in_a_folder_that_may_not_be_entered_are_named_by_doctor():
    with open_folder() as root:
        (root / "a/results").mkdir(parents=True)
        with closed(root / "a"):
            texts = [finding.text for finding in doctor.examine(root / "a/results", root) if finding.bad]
    assert "the results folder cannot be listed: Permission denied: its content is unknown" in texts


def test_closed_checkpoints_are_an_error(trained):
    setup, config = trained
    folder = places(setup, config)["seed"] / "checkpoints"
    folder.mkdir(exist_ok=True)
    with closed(folder), pytest.raises(StoreError, match="Permission denied"):
        checkpoints.newest(folder, Expected(1, "hash", {}, {}, [], [], cycle_ends=[9], has_momentum=True))
    with closed(folder), pytest.raises(StoreError, match="Permission denied"):
        names_in(folder)
    with closed(folder, mode=0o300), pytest.raises(StoreError, match="cannot list checkpoints: Permission denied"):
        names_in(folder)


def test_a_closed_folder_may_hold_links_and_is_refused(trained):
    setup, config = trained
    run = places(setup, config)["run"]
    refuse_links(run)
    with closed(run / "seed-0/level-01"), pytest.raises(StoreError, match="cannot list level-01: Permission denied"):
        refuse_links(run)


def test_a_result_of_the_neuron_that_may_not_be_read_is_not_run_again(trained):
    setup, _ = trained
    for place in (setup.results / "theory", setup.results / "theory/x-1.json"):
        with closed(place), pytest.raises(StoreError, match="cannot read x-1.json: Permission denied"):
            theory_result_stands(setup.results / "theory", "x-1")
    assert theory_result_stands(setup.results / "theory", "x-1")


def test_a_record_of_another_user_that_may_not_be_replaced_is_named_with_what_to_do():
    with open_folder() as root:
        (root / "studies").mkdir()
        (root / "studies/x.json").write_text("another's")
        words = r"^cannot write x\.json: Operation not permitted: it belongs to another user, and studies/ lets.*: let"
        with closed(root / "studies", mode=0o1777), pytest.raises(StoreError, match=words):
            if os.geteuid() == (root / "studies/x.json").stat().st_uid:
                pytest.skip("a file of another user takes root to make")
            write_atomic(root / "studies/x.json", b"ours")
        words = (
            "^cannot write x.json: Permission denied: correct the permissions of studies/, or choose another --out or"
        )
        for write in (write_atomic, lambda file, _: locked(file).__enter__()):
            with closed(root / "studies", mode=0o555), pytest.raises(StoreError, match=words):
                write(root / "studies/x.json", b"ours")


def test_folders_that_vanish_while_they_are_walked_are_left_out(tmp_path, monkeypatch):
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    found = []
    for entry in folders.walk(tmp_path):
        found.append(entry.name)
        if entry.name == "a":
            shutil.rmtree(tmp_path / "b")
    assert found == ["a", "file", "b", "c", "file"]


def test_a_data_folder_that_is_a_circle_of_links_is_an_error_in_words(tmp_path):
    (tmp_path / "data").symlink_to("data")
    command = Study(preset="cifar10", data_dir=tmp_path / "data", results=tmp_path / "results")
    with pytest.raises(DataError, match=f"data cannot be read: {CIRCLE}"):
        data_source(command, {"dataset": "cifar10"})


def test_both_packages_see_the_same_in_a_folder(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name, target in (("link", "file"), ("nowhere", "gone"), ("circle", "circle"), ("through", "file/x")):
        (tmp_path / name).symlink_to(target)
    names = ("file", "folder", "pipe", "link", "nowhere", "circle", "through", "none")
    for name in (*names, "file/x", "link/x", "nowhere/x/y", "circle/x", "none/x", "a" * 300):
        seen = []
        for package in (folders, folders_of_figures):
            try:
                seen.append(package.kind(tmp_path / name))
            except OSError as error:
                seen.append((type(error).__name__, error.errno, error.strerror))
        assert seen[0] == seen[1], name


def test_a_broken_link_is_not_taken_for_an_absent_file(tmp_path):
    (tmp_path / "x").symlink_to("gone")
    with pytest.raises(BrokenLink) as error:
        folders.kind(tmp_path / "x")
    assert not isinstance(error.value, FileNotFoundError)
    with pytest.raises(StoreError, match=f"cannot read x: {NOWHERE}"):
        read_record(tmp_path / "x")
    with pytest.raises(StoreError, match=f"cannot list x: {NOWHERE}"):
        names_in(tmp_path / "x")
    with contextlib.suppress(OSError):
        files.sha256(tmp_path / "x")
        raise AssertionError("it has no hash")
    assert read_record(tmp_path / "none") is None and names_in(tmp_path / "none") == []


@pytest.mark.parametrize("where", ["run", "config.json"])
def test_doctor_does_not_tell_to_delete_a_run_that_may_not_be_read(trained, where):
    setup, config = trained
    run = places(setup, config)["run"]
    with closed(run if where == "run" else run / where):
        found = [finding.text for finding in doctor.examine(setup.results, setup.results / "none") if finding.bad]
    assert (
        f"run {run.name}: config.json cannot be read: Permission denied: correct its permissions, or check the disk"
        in found
    )
    assert not any("delete" in text for text in found)


PLACES_OF_A_DISK = [".", "runs", "studies", "theory", "overlaps", "run", "seed", "level"]


@pytest.mark.parametrize("where", PLACES_OF_A_DISK)
@pytest.mark.parametrize("mode", [0, 0o755])
@pytest.mark.parametrize("name", ["lost+found", ".Trash-1000", "System Volume Information"])
def test_what_the_system_has_on_a_disk_is_passed_over_in_results(trained, where, mode, name):
    setup, config = trained
    folder = places(setup, config).get(where, setup.results / where)
    place, drawn = folder / name, results_of_figures(setup.results)
    place.mkdir()
    try:
        with closed(place, mode=mode):
            assert [f.text for f in doctor.examine(setup.results, setup.results / "none") if f.bad] == []
            refuse_links(places(setup, config)["run"])
            assert unfinished(plan_tasks([config], (0,)), setup.results) == []
            assert results_of_figures(setup.results) == drawn
    finally:
        place.rmdir()


@pytest.mark.parametrize("name", ["lost+found", ".Trash-1000"])
def test_a_run_with_a_closed_folder_of_the_system_in_it_can_be_held(trained, name):
    _, config = trained
    with open_folder() as results:
        run = RunFolder(results, config.name, 0)
        (run.path / name).mkdir(parents=True)
        run.path.chmod(0o777)
        with closed(run.path / name), run.lease():
            assert (run.path / ".lease").is_file()
