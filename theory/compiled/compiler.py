"""How kernels are compiled: once, and stored where numba may write; where it may not, anew in every process.

A package that may not be written, no home, a full disk, a stored file that is torn: none of them keeps a kernel from
running, and none changes a bit of what it gives. Loaded when used: numba is heavy.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

from numba import njit

_tidied: set[str] = set()  # folders of stored code that have been looked at


def compiler(**options) -> Callable[[Callable], Callable]:
    """Return a decorator that compiles functions with the options of `numba.njit`, and stores them where that works."""

    def decorate(function: Callable) -> Callable:
        try:
            made = njit(cache=True, **options)(function)
        except RuntimeError:  # there is no folder that numba may write
            return njit(**options)(function)
        cache = getattr(made, "_cache", None)  # none where numba is switched off (NUMBA_DISABLE_JIT)
        if cache is not None:
            _forget_stale_code(cache.cache_path)
            cache.load_overload, cache.save_overload = map(_or_nothing, (cache.load_overload, cache.save_overload))
        return made

    return decorate


def _or_nothing(step: Callable) -> Callable:
    """Make a step of numba's store return None where it fails: what was not loaded or stored is compiled again."""

    @functools.wraps(step)
    def attempt(*args):
        # a full disk, a folder that is gone, a torn file: whatever unpickling says
        with contextlib.suppress(Exception):
            return step(*args)
        return None

    return attempt


def _forget_stale_code(folder: str) -> None:
    """Remove compiled code that is older than a kernel's source: numba looks at the file of the outermost call only."""
    if folder in _tidied:
        return
    _tidied.add(folder)
    newest = max((source.stat().st_mtime for source in Path(__file__).parent.glob("*.py")), default=0.0)
    for stored in Path(folder).glob("*.nb[ic]"):
        with contextlib.suppress(OSError):
            if stored.stat().st_mtime < newest:
                stored.unlink()


compiled = compiler(error_model="numpy")  # a division by zero gives infinity or NaN, as for arrays
inlined = compiler(error_model="numpy", forceinline=True)  # a loop over lanes with a call is not vectorised
strict = compiler()  # a division by zero is an error
