"""`import theory` is light, its names are loaded when used, and its names work whatever was imported first."""

import doctest
import importlib
import inspect
import sys
from pathlib import Path

import pytest

import theory
from tests.support.processes import run


def in_a_fresh_interpreter(code):
    return run([sys.executable, "-c", code], check=True).stdout


def test_import_theory_loads_no_library():
    heavy = "numpy scipy sympy matplotlib torch mpmath"
    assert (
        in_a_fresh_interpreter(f"import sys, theory; print([m for m in '{heavy}'.split() if m in sys.modules])")
        == "[]\n"
    )


def test_the_flow_needs_neither_sympy_nor_torch():
    code = "import sys, theory; theory.integrate(theory.Population(1), 1., 1., 1.); theory.limit(1., 1.)"
    assert in_a_fresh_interpreter(code + "; print('sympy' in sys.modules, 'torch' in sys.modules)") == "False False\n"


@pytest.mark.parametrize("name", theory.__all__)
def test_every_public_name_loads_and_is_documented(name):
    value = getattr(theory, name)
    assert name in dir(theory)
    assert isinstance(value, dict) or value.__doc__


HOME = Path(theory.__file__).parent
MODULES = [
    ".".join(path.relative_to(HOME.parent).with_suffix("").parts)
    for path in sorted(HOME.rglob("*.py"))
    if path.stem not in ("__init__", "tutorial")  # which is a script
]


@pytest.mark.parametrize("module", MODULES)
def test_every_example_gives_what_it_states(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("name", ["closed_form", "limit", "population_loss", "integrate", "success_probability_exact"])
def test_the_chief_functions_have_an_example(name):
    found = doctest.DocTestFinder().find(getattr(theory, name), name)
    assert any(test.examples for test in found)


def test_an_example_that_states_a_falsehood_fails():
    wrong = theory.limit.__doc__.replace("'separatrix'", "'fails'")
    test = doctest.DocTestParser().get_doctest(wrong, {"limit": theory.limit}, "wrong", None, 0)
    assert doctest.DocTestRunner(verbose=False).run(test, out=lambda text: None).failed == 1


@pytest.mark.parametrize("name", [n for n in theory.__all__ if inspect.isfunction(getattr(theory, n))])
def test_every_public_function_states_its_errors(name):
    text = getattr(theory, name).__doc__
    assert "ValueError" in text or "errors and source as in" in text


@pytest.mark.slow
def test_closed_form_can_be_called_whatever_was_imported_first():
    for first in (
        "import theory.exact.closed_form",
        "from theory.flow.integrate import integrate",
        "from theory import limit",
        "pass",
    ):
        code = (
            f"{first}\nimport theory\nfrom theory.exact.limits import limit\nprint(theory.closed_form(1., 1., 0.)[0])"
        )
        assert in_a_fresh_interpreter(code) == "1.0\n"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'closed_from'"):
        _ = theory.closed_from
