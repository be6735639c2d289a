"""The code's hash: it changes with what the numbers come from, and not with comments, docstrings or layout."""

import os
import shutil
import sys

import pytest

from empirics import provenance
from empirics.code_text import without_comments
from empirics.provenance import NUMERICAL, code_hash
from tests import ROOT
from tests.support.processes import run

SOURCE = '''"""A module."""

import math  # for pi


def area(r):
    """Area of a disk."""
    return math.pi * r**2  # not a sphere
'''
# modules beside numerical ones that compute no number of a run
OTHERS = {
    "data/__init__.py",
    "data/download.py",
    "pruning/__init__.py",
    "runs/__init__.py",
    "runs/level_record.py",
    "runs/open_run.py",
    "runs/resume.py",
}


@pytest.mark.parametrize(
    "old, new",
    [
        ("# for pi", "# for the constant"),
        ("# not a sphere", ""),
        ('"""A module."""', '"""Another module."""'),
        ('"""Area of a disk."""', '"""The area of a disk of radius r."""'),
        ("r**2", "r ** 2"),
        ("\n\n\n", "\n\n"),
    ],
)
def test_what_cannot_change_a_result_does_not_change_the_hash(old, new):
    assert old in SOURCE
    assert code_hash({"a.py": SOURCE.replace(old, new)}) == code_hash({"a.py": SOURCE})


@pytest.mark.parametrize("old, new", [("*", "+"), ("**2", "**3"), ("math.pi * ", ""), ("import math", "import cmath")])
def test_what_can_change_a_result_changes_the_hash(old, new):
    assert code_hash({"a.py": SOURCE.replace(old, new, 1)}) != code_hash({"a.py": SOURCE})


def test_a_body_that_is_a_docstring_alone_stays_a_body():
    assert without_comments('def f():\n    """Nothing."""') == "def f():\n    pass"


def test_every_module_is_either_numerical_or_not():
    home = ROOT / "empirics"
    found = {
        path.relative_to(home).as_posix()
        for folder in ("data", "pruning", "runs")
        for path in home.glob(f"{folder}/*.py")
    }
    assert found == {name for name in NUMERICAL if "/" in name} | OTHERS
    assert all((home / name).is_file() for name in NUMERICAL)


def test_the_hash_covers_the_numerical_modules():
    sources = {name: (ROOT / "empirics" / name).read_text() for name in NUMERICAL}
    assert provenance.code() == code_hash(sources)


TRAIN = """
import sys
from pathlib import Path
from empirics.provenance import prepare
prepare("cpu")
import dataclasses, torch
from empirics.data import datasets
from empirics.runs import levels
from empirics.runs.context import RunSetup
from empirics.studies.presets import arm_config

whole = datasets.digits()
data = whole.choose(torch.arange(160), torch.arange(0))
tiny = dict(model="resnet8", width=4, epochs=1, warmup_epochs=0, batch_size=32, levels=2)
config = arm_config("quick", "imp", **tiny)
setup = RunSetup(data, torch.device("cpu"), Path("results"))
for run in (config.dense, config) if sys.argv[1] == "all" else (config,):
    print(levels.run(run, 0, setup))
"""


@pytest.mark.slow
def test_a_mended_comment_gives_no_warning_and_a_changed_operator_does(tmp_path):
    """Level 1 is trained on a level 0 that another process made, with the package edited in between."""
    package = tmp_path / "empirics"
    shutil.copytree(ROOT / "empirics", package, ignore=shutil.ignore_patterns("__pycache__"))
    here = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}

    def trained(what: str) -> str:
        done = run([sys.executable, "-c", TRAIN, what], cwd=tmp_path, env=here, seconds=120, check=True)
        return done.stdout

    def edit(old: str, new: str) -> None:
        file = package / "train.py"
        assert file.read_text().count(old) == 1
        file.write_text(file.read_text().replace(old, new))

    assert "other conditions" not in trained("all")
    for old, new, warns in (
        ("# read once per epoch: reading", "# read once an epoch; to read", False),
        ("loss = loss + part.detach()", "loss = part.detach() + loss", True),
    ):
        edit(old, new)
        (level,) = (tmp_path / "results/runs").glob("imp-*/seed-0/level-01")
        shutil.rmtree(level)
        assert ("under other conditions (code" in trained("again")) == warns
