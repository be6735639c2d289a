"""Drawing needs no backend, whichever the environment names."""

import json
import os
import sys

import pytest

from tests import ROOT
from tests.support.processes import run

pytestmark = pytest.mark.slow

DRAW = """
from figures.plots.style import drawing_style, render
with drawing_style():
    from matplotlib.figure import Figure
    figure = Figure()
    figure.add_axes((0, 0, 1, 1)).plot([1, 2])
    sizes = [len(render(figure, form)) for form in ("pdf", "png", "svg")]
import json, os, matplotlib
backend = dict.__getitem__(matplotlib.rcParams, "backend")  # as it is, without choosing one
print(json.dumps([min(sizes) > 500, os.environ["MPLBACKEND"], backend if type(backend) is str else None]))
"""


def drawn(code: str, **variables: str) -> str:
    return run([sys.executable, "-c", code], cwd=ROOT, env={**os.environ, **variables}, check=True).stdout


@pytest.mark.parametrize("named", ["module://matplotlib_inline.backend_inline", "nonsense", "agg"])
def test_figures_are_drawn_whatever_backend_the_environment_names(named):
    pictures, variable, backend = json.loads(drawn(DRAW, MPLBACKEND=named))
    assert pictures and variable == named, "the variable is there for others as it was"
    assert backend in ((named,) if named == "agg" else (None, named)), "a backend that is there is set"


def test_matplotlib_is_loaded_first_by_what_minds_the_backend():
    """A module of figures that imports it by itself would fail where the environment names a backend of elsewhere."""
    code = """
import sys, importlib, pathlib
for path in sorted(pathlib.Path("figures").rglob("*.py")):
    importlib.import_module(".".join(path.with_suffix("").parts))
print("matplotlib" in sys.modules)
"""
    assert drawn(code, MPLBACKEND="nonsense").strip() == "True"
