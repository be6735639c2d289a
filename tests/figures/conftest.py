import pytest

from tests.figures import synthetic as made_up
from tests.figures import synthetic_sweeps


@pytest.fixture(scope="session")
def synthetic():
    """The generator of made-up results."""
    return made_up


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """A results folder: theory, one complete study on digits, and its sweeps; tests must not write into it."""
    root = tmp_path_factory.mktemp("results")
    made_up.theory(root)
    made_up.study(root)
    synthetic_sweeps.everything(root)
    return root


@pytest.fixture(scope="session")
def records(folder):
    from figures.results.load import load

    return load(folder)


@pytest.fixture(scope="session")
def drawings(records):
    """Every registered figure, drawn once."""
    from figures.catalogue import FIGURES
    from figures.plots.style import drawing_style

    with drawing_style():
        return {name: spec.draw(records) for name, spec in FIGURES.items()}


@pytest.fixture(scope="session")
def writer():
    def write(path, data):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    return write
