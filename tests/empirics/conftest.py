import pytest
from tiny_runs import clip

from empirics.data import datasets


@pytest.fixture(scope="session", autouse=True)
def deterministic():
    from empirics.provenance import prepare

    return prepare("cpu", threads=1)


@pytest.fixture(scope="session")
def tiny_digits():
    return clip(datasets.digits())
