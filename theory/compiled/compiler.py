"""Compile kernels once and store them where numba may write.

Where numba may not write, every process compiles them again.

A kernel runs, with bit-identical results, even if the package folder is read-only, there is no home folder, the disk is
full or a stored file is corrupted. This module is loaded when first used, since importing numba is slow.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable
from pathlib import Path

from numba import njit

_tidied: set[str] = set()  # folders of stored code that have been checked


def compiler(**options) -> Callable[[Callable], Callable]:
    """Return a decorator that compiles functions with the options of `numba.njit`.

    The compiled code is stored where that works.
    """

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
    """Make a step of numba's cache return None where it fails.

    Code that could not be loaded or stored is compiled again.
    """

    @functools.wraps(step)
    def attempt(*args):
        # a full disk, a missing folder, a corrupted file: any error of unpickling
        with contextlib.suppress(Exception):
            return step(*args)
        return None

    return attempt


def _forget_stale_code(folder: str) -> None:
    """Remove compiled code that is older than the source of a kernel.

    numba itself checks the file of the outermost call only.
    """
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
