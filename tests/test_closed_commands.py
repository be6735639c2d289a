"""What the commands say and answer where results or data may not be looked at: an error by name, never "not run"."""

import contextlib
import os

import pytest

import paper_repro
from empirics.cli import Train, plans
from empirics.runs import levels  # noqa: F401  what commands load late must be there before folders are closed to this user
from tests.empirics.closed_folders import closed, open_folder
from tests.figures import synthetic

pytestmark = pytest.mark.slow

NOWHERE = "is a link that leads nowhere"


@pytest.fixture(scope="module")
def root():
    """A folder that everybody may write, with results of a study in it."""
    with open_folder() as folder:
        synthetic.study(
            folder / "results", seeds=(0, 1), levels=3, arms={arm: synthetic.ARMS[arm] for arm in ("imp", "lrr")}
        )
        (folder / "results/theory").mkdir()
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        yield folder


def answer(capsys, *arguments) -> tuple[int, str]:
    code = paper_repro.main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out + said.err


@pytest.mark.parametrize("part", [".", "runs", "studies", "theory"])
def test_claims_from_closed_results_are_refused(root, capsys, part):
    with closed(root / "results" / part):
        code, said = answer(capsys, "claims", "--results", root / "results", "--out", root / "out")
    assert code == 2 and "cannot be listed: Permission denied" in said and "not run" not in said
    code, said = answer(capsys, "claims", "--results", root / "results", "--out", root / "out")
    assert code == 0 and "quick" in said


def test_claims_from_a_run_that_may_not_be_looked_at_fail(root, capsys):
    with closed(root / "results/runs/lrr-digits-resnet20-0000cafe"):
        code, said = answer(capsys, "claims", "--results", root / "results", "--out", root / "out")
    assert code == 1 and "runs/lrr-digits-resnet20-0000cafe/config.json: cannot be read (Permission denied)" in said


def test_a_comparison_with_closed_results_is_refused(root, capsys):
    given = ("figures", "13", "--results", root / "results", "--compare", root / "results", "--out", root / "out")
    with closed(root / "results"):
        code, said = answer(capsys, *given)
    assert code == 2 and "cannot be listed: Permission denied" in said


def test_training_into_closed_results_is_refused_before_anything_is_trained(root, capsys):
    given = ("train", "--preset", "quick", "--arms", "imp", "--seeds", "0", "--results", root / "results")
    with closed(root / "results"):
        code, said = answer(capsys, *given)
    assert code == 2 and "Permission denied" in said


def test_results_behind_a_broken_link_are_refused_by_every_command(root, capsys):
    (root / "linked").symlink_to(root / "unmounted")
    given = {
        "claims": ("claims", "--out", root / "out"),
        "figures": ("figures", "1", "--out", root / "out"),
        "train": ("train", "--preset", "quick", "--arms", "imp", "--seeds", "0"),
        "theory": ("theory", "quadrants"),
    }
    for name, arguments in given.items():
        code, said = answer(capsys, *arguments, "--results", root / "linked")
        assert code == 2 and "error: " in said, name
    code, said = answer(capsys, "doctor", "--results", root / "linked", "--data-dir", root / "none")
    assert code == 1 and NOWHERE in said
    os.unlink(root / "linked")


def test_a_file_in_place_of_results_is_called_one(tmp_path, capsys):
    (tmp_path / "f").write_text("x")
    code, said = answer(capsys, "claims", "--results", tmp_path / "f", "--out", tmp_path / "out")
    assert code == 2 and "f is a file, not a folder of results: give the folder" in said
    given = ("train", "--preset", "quick", "--arms", "imp", "--seeds", "0")
    code, said = answer(capsys, *given, "--results", tmp_path / "f")
    assert code == 2 and "f' is a file, not a folder: choose another --out or --results" in said


@pytest.mark.parametrize(
    ("given", "option"),
    [
        (("data", "download", "cifar10", "--data-dir"), "--data-dir"),
        (("records", "quick-digits", "--output-dir"), "--output-dir"),
        (("verify", "1", "--reference", "figures/reference/quick", "--output-dir"), "--output-dir"),
        (("claims", "--out"), "--out or --results"),
    ],
)
@pytest.mark.parametrize("what", ["closed", "file", "link"])
def test_a_folder_that_cannot_be_written_is_refused_with_the_option_that_the_command_has(capsys, given, option, what):
    with open_folder() as root:
        place = root / what
        place.symlink_to("gone") if what == "link" else place.touch() if what == "file" else place.mkdir()
        with closed(place, mode=0o555) if what == "closed" else contextlib.nullcontext():
            code, said = answer(capsys, *given, place)
    assert code == 2 and said.endswith(f"choose another {option}\n")


@pytest.mark.parametrize("place", ["runs", "runs/{run}", "runs/{run}/seed-0", "runs/{run}/seed-0/level-01"])
def test_a_pipe_in_place_of_a_part_of_a_run_is_refused_before_anything_is_trained(tmp_path, capsys, place):
    given = ("train", "--arms", "imp", "--seeds", "0", "--device", "cpu", "--workers", "1", "--results", tmp_path)
    (plan,) = plans(Train(arms=("imp",), seeds=(0,), device="cpu", results=tmp_path, dry_run=True))
    name = place.format(run=plan.configs["imp"].name)
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    os.mkfifo(tmp_path / name)
    code, said = answer(capsys, *given)
    assert code == 2 and f"error: {name} is neither a file nor a folder, and must be a folder: move it away" in said


@pytest.mark.parametrize("within", ["L", "L/deeper"])
@pytest.mark.parametrize("target, where", [("gone", "nowhere"), ("L", "in a circle")])
def test_a_link_that_leads_nowhere_in_place_of_a_folder_to_write_is_called_one(
    root, tmp_path, capsys, within, target, where
):
    (tmp_path / "L").symlink_to(target)
    for given in (("claims", "--results", root / "results", "--out"), ("theory", "quadrants", "--results")):
        code, said = answer(capsys, *given, tmp_path / within)
        assert code == 2 and f"is a link that leads {where}" in said and "is a file" not in said
    assert (
        "repair or remove the link, or choose another --out" in answer(capsys, "claims", "--out", tmp_path / within)[1]
    )


@pytest.mark.parametrize("given", [("train", "--results", "res", "--dry-run"), ("doctor",)])
def test_a_command_in_a_folder_that_was_removed_is_refused_in_words(tmp_path, capsys, monkeypatch, given):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here").rmdir()
    code, said = answer(capsys, *given)
    assert code == 2 and "error: the current folder does not exist any more: change to another one (cd)" in said


def test_doctor_names_results_that_would_lie_in_a_file(tmp_path, capsys):
    (tmp_path / "f").write_text("x")
    for place in ("/dev/null/x", tmp_path / "f/x/y"):
        code, said = answer(capsys, "doctor", "--results", place, "--data-dir", tmp_path / "none")
        assert code == 1 and "PROBLEM  the results folder is inside a file: choose another" in said
    code, said = answer(capsys, "doctor", "--results", tmp_path / "none/yet", "--data-dir", tmp_path / "none")
    assert code == 0 and "PROBLEM" not in said


@pytest.mark.parametrize("target", ["gone", "data"])
def test_data_behind_a_broken_link_are_refused_by_name(root, capsys, target):
    (root / "data").symlink_to(target)
    try:
        code, said = answer(
            capsys, "train", "--preset", "cifar10", "--data-dir", root / "data", "--results", root / "results"
        )
    finally:
        os.unlink(root / "data")
    assert code == 2 and "error: data cannot be read: it is a link that leads" in said
