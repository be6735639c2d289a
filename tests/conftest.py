import os
import signal
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from figures.results import bundled
from tests.support import processes

# however slow or busy a machine is, no property test fails for it
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def guarded():
    """However the tests end, a guard kills what they leave behind."""
    processes.guard()


@pytest.fixture(scope="session", autouse=True)
def nothing_is_bundled():
    """Figures and claims of a test show its own results alone, whatever records come with the code."""
    bundled.BUNDLED = Path(tempfile.gettempdir()) / f"nothing-bundled-{os.getpid()}"


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    """Whatever a test has started is killed when it ends, as it wished or not."""
    yield
    processes.end_all()


@pytest.fixture(autouse=True)
def signal_handlers_stay():
    """A test that leaves a signal ignored would let a later test, of other code, wait for ever."""
    before = {number: signal.getsignal(number) for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)}
    yield
    changed = [number.name for number, handler in before.items() if signal.getsignal(number) != handler]
    for number, handler in before.items():
        signal.signal(number, handler)
    assert not changed, f"this test leaves another handler of {', '.join(changed)}: put the one before back"
