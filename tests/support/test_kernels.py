"""The theory is tested under a second BLAS kernel, too: which one, and where."""

import re

import pytest

from tests import ROOT
from tests.support import kernels

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "own, flags, other",
    [
        ("SkylakeX", {"avx2", "sse4_2"}, "Haswell"),
        ("Cooperlake", {"avx2", "sse4_2"}, "Haswell"),
        ("Haswell", {"avx2", "sse4_2"}, "Nehalem"),
        ("Zen", {"avx2", "sse4_2"}, "Nehalem"),
        ("Sandybridge", {"avx", "sse4_2"}, "Nehalem"),
    ],
)
def test_the_other_kernel_works_on_the_processor_and_differs_from_its_own(own, flags, other):
    assert kernels.other(own, flags) == other != own


def test_the_kernel_that_is_printed_is_one_that_numpy_takes(capsys):
    if kernels.main() == 0:
        name = capsys.readouterr().out.strip()
        assert kernels.own(OPENBLAS_CORETYPE=name) == name != kernels.own()
    else:
        assert "no second BLAS kernel here" in capsys.readouterr().err


def test_without_openblas_it_is_said_and_is_no_error_of_the_build(monkeypatch, capsys):
    monkeypatch.setattr(kernels, "own", lambda **variables: "None")
    assert kernels.main() == 1 and "no second BLAS kernel here" in capsys.readouterr().err
    recipe = re.search(r"^test-kernel:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)[1]
    assert recipe.startswith("\tif kernel=$$($(PY) -m tests.support.kernels); then") and recipe.endswith("fi\n")
    assert (ROOT / ".ci/run").read_text().endswith("make test-kernel\n")
