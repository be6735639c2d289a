"""`import theory` is light, its names are loaded when used, and its names work whatever was imported first."""

import subprocess
import sys

import pytest

import theory


def in_a_fresh_interpreter(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_closed_form_can_be_called_whatever_was_imported_first():
    for first in ("import theory.exact", "from theory.flow import integrate", "from theory import limit", "pass"):
        code = f"{first}\nimport theory\nfrom theory.exact import limit\nprint(theory.closed_form(1., 1., 0.)[0])"
        assert in_a_fresh_interpreter(code) == "1.0\n"


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'closed_from'"):
        _ = theory.closed_from
