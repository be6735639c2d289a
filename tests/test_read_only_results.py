"""Figures from results that can only be read, such as a colleague's, into a folder of one's own."""

import pytest

import paper_repro
from tests.empirics.closed_folders import closed, open_folder

pytestmark = pytest.mark.slow

TINY = ["train", "--arms", "imp", "lrr", "--model", "resnet8", "--width", "4", "--images-per-class", "20",
        "--batch-size", "32", "--epochs", "2", "--levels", "2", "--seeds", "0", "--workers", "1"]  # fmt: skip


@pytest.fixture(scope="module")
def root():
    """A folder in which everybody may write, with small results in it."""
    with open_folder() as folder:
        (folder / "out").mkdir()
        (folder / "out").chmod(0o777)
        assert paper_repro.main([*TINY, "--results", str(folder / "results")]) == 0
        # all modules are loaded too: somebody else may not be allowed to read Python's own
        drawn = ["figures", "1", "--results", str(folder / "results"), "--out", str(folder / "first")]
        assert paper_repro.main(drawn) == 0
        yield folder


def content(folder) -> dict:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def read_only(root, *arguments) -> int:
    """Exit code of a command in whose results nothing can be written."""
    results = root / "results"
    before = content(results)
    folders = [path for path in [results, *results.rglob("*")] if path.is_dir()]
    with closed(*folders, mode=0o555):
        code = paper_repro.main([*arguments, "--results", str(results)])
    assert content(results) == before
    return code


def test_figures_are_drawn_where_nothing_is_missing(root, capsys):
    out = root / "out"
    assert read_only(root, "figures", "1", "--out", str(out)) == 0
    assert (out / "figures/fig1.pdf").read_bytes() == (root / "first/figures/fig1.pdf").read_bytes()
    assert "the results folder is read-only and complete" in capsys.readouterr().err


def test_the_runs_that_are_there_are_not_asked_for_again(root, capsys):
    assert read_only(root, *TINY) == 0
    (root / "results/overlaps").rename(root / "overlaps")  # counted from the runs, and read by no figure
    assert read_only(root, *TINY) == 0
    (root / "overlaps").rename(root / "results/overlaps")


@pytest.mark.parametrize("arguments", [["figures", "5"], ["figures", "14"], [*TINY[:-4], "--seeds", "1"]])
def test_what_is_missing_is_refused_before_anything_is_made(root, arguments, capsys):
    out = ["--out", str(root / "out")] if arguments[0] == "figures" else []
    assert read_only(root, *arguments, *out) == 2
    said = capsys.readouterr().err
    assert "cannot write to folder" in said and "Permission denied" in said and "are missing in it" in said
