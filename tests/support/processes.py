"""Processes that tests start: each ends with its test, its time-out or the tests, and so does all that it has started.

Whatever a test starts carries a mark in its environment, and hands it on to whatever it starts itself, in whichever
group or session: by their marks all are found, orphans too. A guard, a small process of its own, waits for the end of
the tests, however they end (kill -9 too), and then kills what is left. Where there is no /proc the process groups alone
are killed. tests/test_architecture.py lets no test start a process otherwise.
"""

import atexit
import contextlib
import ctypes
import itertools
import os
import signal
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL, PIPE, CompletedProcess, Popen, TimeoutExpired

MARK = "MASKS_SIGNS_LRR_TEST"
GRACE = 5  # seconds that what the tests leave behind is given to end by itself
PROC = Path("/proc/self/environ").exists()
_numbers = itertools.count(1)
_started: dict[Popen, str] = {}  # and their marks, until they are ended
_forked: set[int] = set()
_guards: list[Popen] = []
_without_environment: set[int] = set()  # processes that show none however long one looks
_KERNEL_THREAD = 0x200000  # PF_KTHREAD of the flags in /proc/*/stat


def run(
    command: Sequence[str],
    *,
    seconds: float | None = None,
    given: str | None = None,
    check: bool = False,
    **options,
) -> CompletedProcess:
    """Start a command, hand it the text `given`, wait for its end, and kill what it leaves behind.

    seconds : as in `finish`
    check : AssertionError with what it wrote where its exit code is not 0
    options : as in `start`
    """
    process = start(command, stdin=DEVNULL if given is None else PIPE, **options)
    try:
        stdout, stderr = finish(process, seconds, given)
    finally:
        end(process)
    assert not check or process.returncode == 0, stderr
    return CompletedProcess(process.args, process.returncode, stdout, stderr)


def start(command: Sequence[str], **options) -> Popen:
    """Start a command in a session of its own, as a terminal does; it is killed when the test ends at the latest.

    Its stdout and stderr are pipes of text unless `options`, those of `subprocess.Popen`, say otherwise.
    """
    guard()
    mark = f"{_SESSION}.{next(_numbers)}."
    env = {**(options.pop("env", None) or os.environ), MARK: mark}
    text = {} if options.get("text") is False else {"text": True, "errors": "replace"}
    with _hearing_signals():
        process = Popen(command, **{"stdout": PIPE, "stderr": PIPE, **text, **options}, env=env, start_new_session=True)
    _started[process] = mark
    return process


@contextlib.contextmanager
def _hearing_signals() -> Iterator[None]:
    """What is started meanwhile hears Ctrl-C and hang-ups, also where the tests do not: in the background, by nohup."""
    known = (signal.SIGINT, signal.SIGHUP) if threading.current_thread() is threading.main_thread() else ()
    ignored = [number for number in known if signal.getsignal(number) == signal.SIG_IGN]
    for number in ignored:
        signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)


def finish(process: Popen, seconds: float | None = None, given: str | None = None) -> tuple[str, str]:
    """Wait for the end of what `start` started; return what it wrote to stdout and stderr.

    After `seconds` of an idle machine (`waiting.Limit`) it is killed with all that it has started: TimeoutExpired.
    """
    from tests.support.waiting import LIMIT, Limit

    limit = Limit(seconds or LIMIT)
    while True:
        try:
            return process.communicate(given, timeout=1)
        except TimeoutExpired:
            given = None  # what is not written yet it keeps
            if limit.passed():
                end(process)
                with contextlib.suppress(TimeoutExpired):  # something out of reach holds its pipes
                    given = process.communicate(timeout=GRACE)
                raise TimeoutExpired(process.args, limit.seconds, *(given or ())) from None


def end(process: Popen) -> None:
    """Kill what `start` started, and whatever that has started."""
    mark = _started.pop(process, None)
    if mark is None:
        return
    if process.poll() is None or not PROC:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    _kill(mark)
    process.wait()


def end_all() -> None:
    """Kill all that was started and not ended yet."""
    for process in list(_started):
        end(process)
        for pipe in (process.stdin, process.stdout, process.stderr):
            with contextlib.suppress(OSError):  # what was not written to it is lost
                if pipe:
                    pipe.close()
    for child in list(_forked):
        os.kill(child, signal.SIGKILL)
        status(child)


def fork(work: Callable[[], object]) -> int:
    """Do `work` in a copy of this process; return its number. It ends with the int that `work` returns, or 0 or 1."""
    parent, child = os.getpid(), os.fork()
    if child:
        _forked.add(child)
        return child
    code = 1
    try:
        if sys.platform == "linux":  # a copy has no environment of its own to be marked: it is bound to its parent
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
        if os.getppid() == parent:
            code = int(found) if isinstance(found := work(), int) else 0
    except BaseException as error:
        os.write(2, f"forked: {type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def status(child: int) -> int:
    """Wait for the end of what `fork` made: its exit code, or minus the number of the signal that ended it."""
    _forked.discard(child)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


# --- who there is: empty, 0 and False where there is no /proc ---------------------------------------------------------


def children(parent: int) -> dict[int, str]:
    """Number -> command line of the children of a process."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            if int(_fields(int(folder.name))[1]) == parent:
                found[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ").strip()
    return found


def seconds_worked(process: int) -> float:
    """Processor time of a process so far; 0 where it has ended."""
    with contextlib.suppress(OSError):
        return sum(map(int, _fields(process)[11:13])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def alive(process: int) -> bool:
    """Whether a process runs: one that has ended and was not waited for does not."""
    with contextlib.suppress(OSError):
        return _fields(process)[0] != "Z"
    return False


def _fields(process: int) -> list[str]:
    """What /proc says of a process, from its state on."""
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()


# --- marks ------------------------------------------------------------------------------------------------------------


def marked(mark: str) -> list[int]:
    """The processes whose mark begins so; this one is never among them."""
    return _look(mark)[0]


def _look(mark: str) -> tuple[list[int], set[int]]:
    """The processes whose mark begins so, and those that show no environment, as in the middle of an exec."""
    wanted, found, bare = f"\0{MARK}={mark}".encode(), [], set()
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # another user's, or ended meanwhile
            number, shown = int(folder.name), (folder / "environ").read_bytes()
            if number != os.getpid() and wanted in b"\0" + shown:
                found.append(number)
            elif not shown and (fields := _fields(number))[0] != "Z" and not int(fields[6]) & _KERNEL_THREAD:
                bare.add(number)
    return found, bare


def _kill(mark: str) -> None:
    """Kill what carries a mark until nothing does: a process may start another while it is found."""
    start = time.monotonic()
    while time.monotonic() < start + 60:  # one that hangs in the kernel cannot be killed
        found, bare = _look(mark)
        if time.monotonic() > start + GRACE:
            _without_environment.update(bare)
        if not found and bare <= _without_environment:
            return
        for process in found:
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.005)


def guard() -> None:
    """Have a process wait for the end of this one, in whatever way, and then end what is left."""
    if _guards or not PROC:
        return
    clean = {name: value for name, value in os.environ.items() if name != MARK}
    command = [sys.executable, "-I", "-S", __file__, _SESSION]
    _guards.append(Popen(command, stdin=PIPE, stdout=DEVNULL, stderr=DEVNULL, env=clean, start_new_session=True))
    atexit.register(_guards[0].stdin.close)


def _watch(session: str) -> None:
    sys.stdin.read()  # until the tests end
    until = time.monotonic() + GRACE
    while marked(f"{session}.") and time.monotonic() < until:
        time.sleep(0.05)
    _kill(f"{session}.")


if __name__ == "__main__":
    _watch(sys.argv[1])
else:
    _SESSION = os.environ.get(MARK, "") + uuid.uuid4().hex  # within the mark of tests that have started these tests
    os.environ[MARK] = f"{_SESSION}.0."  # for what the code under test starts by itself
