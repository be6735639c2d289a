"""Compiled kernels run, with the same bits, wherever numba can store them: or nowhere, on a full disk, torn."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.support.processes import run

pytestmark = pytest.mark.slow

# every kernel is loaded; those of the descent, the quickest to compile, run
CODE = """
import importlib, json, pathlib, sys, theory
folder = pathlib.Path(theory.__file__).parent
if sys.argv[1:]:
    import resource, signal
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]),) * 2)  # what a full disk does
for source in sorted((folder / "compiled").glob("*.py")):
    importlib.import_module(f"theory.compiled.{source.stem}")
from theory.compiled.descent import population_at
print(folder)
print(*(part.hex() for part in population_at(0.8, -0.3, 0.5)))
print(len(population_at.stats.cache_hits), len(population_at.stats.cache_misses))
"""


@pytest.fixture
def package(tmp_path):
    """A copy of the package, without what was compiled."""
    shutil.copytree(ROOT / "theory", tmp_path / "theory", ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "theory"


@pytest.fixture(scope="module")
def once(tmp_path_factory):
    """A copy of the package with what was compiled in it."""
    folder = tmp_path_factory.mktemp("once")
    shutil.copytree(ROOT / "theory", folder / "theory", ignore=shutil.ignore_patterns("__pycache__"))
    assert found(folder / "theory")[1:] == (0, 1)
    return folder / "theory"


@pytest.fixture
def stored_before(once, tmp_path):
    return shutil.copytree(once, tmp_path / "theory")


@pytest.fixture
def nowhere(tmp_path):
    """Folders of a user's that can be made by nobody, root neither: a file stands where they would be."""
    (tmp_path / "file").touch()
    inside = str(tmp_path / "file/inside")
    return {"HOME": inside, "XDG_CACHE_HOME": inside, "IPYTHONDIR": inside}


def found(package: Path, *arguments: str, **variables: str) -> tuple[list[str], int, int]:
    """What a kernel of the package gives, bit for bit, and how often it was loaded and compiled."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")}
    here = {**clean, "PYTHONPATH": str(package.parent), "PYTHONDONTWRITEBYTECODE": "1", **variables}
    done = run([sys.executable, "-c", CODE, *arguments], cwd=package.parent, env=here, check=True)
    place, values, counts = done.stdout.splitlines()
    assert place == str(package) and "Warning" not in done.stderr, done.stderr
    return (values.split(), *map(int, counts.split()))


@pytest.fixture(scope="module")
def right():
    from theory.compiled.descent import population_at

    return [part.hex() for part in population_at(0.8, -0.3, 0.5)]


def stored(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*.nb[ic]"))


def test_without_a_folder_that_may_be_written_kernels_run_and_give_the_same_bits(package, nowhere, right):
    (package / "compiled/__pycache__").touch()
    assert found(package, **nowhere) == (right, 0, 1)
    assert found(package, NUMBA_CACHE_DIR=nowhere["HOME"], **nowhere) == (right, 0, 1)
    assert stored(package.parent) == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_package_of_somebody_else_s_runs(package, nowhere, right):
    (package / "compiled").chmod(0o555)
    assert found(package, **nowhere) == (right, 0, 1)


def test_a_full_disk_is_no_error(package, nowhere, right):
    assert found(package, "100", **nowhere) == (right, 0, 1)
    assert found(package, **nowhere) == (right, 0, 1), "whatever was left of it is no error either"


@pytest.mark.parametrize("ending, left", [("nbi", 0.0), ("nbi", 0.5), ("nbc", 0.5)])
def test_stored_code_that_is_torn_is_no_error(stored_before, nowhere, right, ending, left):
    for file in stored_before.rglob(f"*population_at*.{ending}"):
        data = file.read_bytes()
        file.write_bytes(data[: int(len(data) * left)])
    assert found(stored_before, **nowhere) == (right, 0, 1)


def test_what_was_compiled_is_loaded_until_any_kernel_changes(stored_before, nowhere, right):
    assert found(stored_before, **nowhere) == (right, 1, 0)
    # numba itself looks at the file of the kernel that is called, which is another one
    os.utime(stored_before / "compiled/population.py", (2**32, 2**32))
    assert found(stored_before, **nowhere) == (right, 0, 1)


def test_in_a_folder_that_the_user_names_too(package, right, tmp_path):
    cache = tmp_path / "cache"
    for hits in (0, 1):
        assert found(package, NUMBA_CACHE_DIR=str(cache)) == (right, hits, 1 - hits)
    assert stored(cache) and not stored(package)
    os.utime(package / "compiled/population.py", (2**32, 2**32))
    assert found(package, NUMBA_CACHE_DIR=str(cache)) == (right, 0, 1)


def test_kernels_run_where_numba_is_switched_off(package, nowhere, right):
    code = """
from theory.compiled.descent import population_at
print(*(float(x).hex() for x in population_at(.8, -.3, .5)))
"""
    here = {**os.environ, **nowhere, "PYTHONPATH": str(package.parent), "NUMBA_DISABLE_JIT": "1"}
    done = run([sys.executable, "-c", code], cwd=package.parent, env=here, check=True)
    assert [float.fromhex(part) for part in done.stdout.split()] == pytest.approx([float.fromhex(x) for x in right])


def test_every_kernel_is_compiled_by_one_decorator():
    for source in (ROOT / "theory").rglob("*.py"):
        assert ("njit" in source.read_text()) == (source.stem == "compiler"), source.name
