import processes
import pytest


@pytest.fixture(scope="session", autouse=True)
def guarded():
    """However the tests end, a guard kills what they leave behind."""
    processes.guard()


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    """Whatever a test has started is killed when it ends, as it wished or not."""
    yield
    processes.end_all()
