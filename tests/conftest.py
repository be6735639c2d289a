import processes
import pytest


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    """Whatever a test has started is killed when it ends, as it wished or not."""
    yield
    processes.end_all()
