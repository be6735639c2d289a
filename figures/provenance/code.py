"""The hash of the code that draws a figure: it changes when that code does, and on no other edit.

That code is the module of the figure's function, the module that reads the results, and every module of `figures` that
these import, directly or not; each as text without comments and docstrings.
"""

import ast
import hashlib
import inspect
import sys
from collections.abc import Callable, Iterable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from figures.catalogue import FigureSpec
from figures.claims.registry import CLAIMS
from figures.provenance.code_text import without_comments

LIBRARIES = ("matplotlib", "numpy", "scipy")
UNKNOWN_CODE = "unknown"  # in place of the hash, where a function has no source file: such a figure is always drawn
_READS_RESULTS = "figures.results.load"
_HOME = Path(__file__).parents[1]


def code_hashes(specs: Iterable[FigureSpec]) -> dict[str, str]:
    """Figure id -> SHA-256 of its entry, of the code that draws it, and of the versions of the libraries.

    `UNKNOWN_CODE` where the source of a function cannot be read (it was typed into a Python prompt).
    """
    versions = repr([(name, version(name)) for name in LIBRARIES])
    source = cache(read_source)  # a module is read once for all figures
    found = {}
    for spec in specs:
        modules = reached(_starts(spec), lambda name: _text_and_imports(source(name))[1])
        texts = {name: _text_and_imports(source(name))[0] for name in modules}
        content = [_entry(spec), *(f"{name}\n{texts[name]}" for name in sorted(texts)), versions]
        digest = hashlib.sha256("\0".join(content).encode()).hexdigest()
        found[spec.id] = UNKNOWN_CODE if "" in (texts[name] for name in _starts(spec)) else digest
    return found


def _starts(spec: FigureSpec) -> list[str]:
    """The modules of the functions that have a part in a figure: it, its claims, and the reading."""
    judged = [CLAIMS[name] for name in spec.claims]
    functions = [function for claim in judged for function in (claim.rows, claim.judge)]
    claims = [getattr(function, "__module__", "") for function in functions]
    return list(dict.fromkeys([spec.place.split(":")[0], _READS_RESULTS, *claims]))


def _entry(spec: FigureSpec) -> str:
    return repr(vars(spec) | {"function": spec.place})


def reached(starts: Iterable[str], imports: Callable[[str], set[str]]) -> set[str]:
    """`starts`, and every module that they import, directly or not; `imports` gives those of one module."""
    found: set[str] = set()
    left = list(starts)
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left += imports(name)
    return found


def imported(source: str, known: Callable[[str], bool]) -> set[str]:
    """The modules for which `known` holds that a source imports, inside functions too.

    `from a import b` is the module a.b if that is known, and the module a otherwise.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and not node.level:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            found |= {name if known(name) else node.module for name in names}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if known(name)}


@cache
def _text_and_imports(source: str) -> tuple[str, set[str]]:
    """A source without comments, and the modules of `figures` that it imports."""
    return without_comments(source), imported(source, lambda name: _file(name) is not None)


def read_source(module: str) -> str:
    """The source of a module of `figures`, or of a loaded one; "" where there is none."""
    file = _file(module)
    if file is not None:
        return file.read_text("utf-8")
    try:
        return inspect.getsource(sys.modules[module])
    except (KeyError, OSError, TypeError):
        return ""


def _file(module: str) -> Path | None:
    """The file of a module of `figures`; None for anything else."""
    package, *parts = module.split(".")
    if package != _HOME.name or not parts:
        return None
    file = _HOME.joinpath(*parts).with_suffix(".py")
    return file if file.is_file() else None
