import pytest

from empirics.data import datasets
from tests.empirics.tiny_runs import clip


@pytest.fixture(scope="session", autouse=True)
def deterministic():
    from empirics.provenance import prepare

    return prepare("cpu", threads=1)


@pytest.fixture(scope="session")
def tiny_digits():
    return clip(datasets.digits())
