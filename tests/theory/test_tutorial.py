"""The tutorial runs as a script and cell by cell, says what it promises, and draws its pictures."""

import os
import re
import sys

import pytest

from tests import ROOT
from tests.support.processes import run

pytestmark = pytest.mark.slow

TUTORIAL = ROOT / "theory/tutorial.py"


def test_it_consists_of_percent_cells_each_with_words_before_its_code():
    kinds = re.findall(r"^# %%( \[markdown\])?$", TUTORIAL.read_text(), re.MULTILINE)
    assert len(kinds) >= 12 and kinds[::2] == [" [markdown]"] * len(kinds[::2]) and set(kinds[1::2]) == {""}


def test_it_runs_and_shows_why_lrr_wins(tmp_path):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = run(
        [sys.executable, str(TUTORIAL)], cwd=tmp_path, seconds=300, check=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert re.search(r"^imp +fails$", done.stdout, re.MULTILINE) and re.search(
        r"^lrr +learns$", done.stdout, re.MULTILINE
    )
    assert "exactly 0.2500" in done.stdout and "exactly 0.5000" in done.stdout and "exactly 1.0000" in done.stdout
    names = {path.name for path in tmp_path.iterdir() if path.stat().st_size > 10_000}
    assert names == {"tutorial-one-input.png", "tutorial-two-inputs.png", "tutorial-explore.html"}
