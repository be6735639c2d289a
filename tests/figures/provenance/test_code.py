import json
import re

import pytest

from figures.catalogue import FIGURES, FigureSpec
from figures.plots.builder import Caption, Drawing
from figures.plots.style import PICTURE_FORMATS
from figures.provenance import code
from figures.provenance.code import UNKNOWN_CODE, code_hashes, imported, reached
from figures.provenance.code_text import without_comments
from figures.regenerate import regenerate

pytestmark = pytest.mark.slow

SOURCE = '''
"""A module."""
from a import b  # needed


class C:
    """A class."""


def f(x):
    """A function."""
    # a comment
    return (x +
            1)
'''


def test_comments_docstrings_and_layout_are_no_code():
    plain = "from a import b\nclass C: pass\ndef f(x): return x + 1"
    assert without_comments(SOURCE) == without_comments(plain) == without_comments(without_comments(plain))
    for old, new in (("+", "-"), ("x + 1", '"A function."'), ("a import", "c import")):
        changed = plain.replace(old, new)
        assert without_comments(changed) != without_comments(plain)


def test_a_text_that_is_no_docstring_is_code():
    assert without_comments('x = "# not a comment"') != without_comments('x = "# another"')
    assert without_comments("def f():\n    x = 1\n    'a note'\n") != without_comments("def f():\n    x = 1\n")


def test_imports_are_found_inside_functions_and_in_circles():
    known = {"p.a", "p.b", "p.c", "p.d"}
    source = "import p.a, os\nfrom p import b, x\ndef f():\n    from p.c import name\n"
    assert imported(source, known.__contains__) == {"p.a", "p.b", "p.c"}
    arrows = {"p.a": {"p.b"}, "p.b": {"p.a", "p.c"}, "p.c": set(), "p.d": {"p.a"}}
    assert reached(["p.a"], arrows.__getitem__) == {"p.a", "p.b", "p.c"}


def changed(monkeypatch, module, change):
    """The figures whose hash changes with the source of one module."""
    before = code_hashes(FIGURES.values())
    read = code.read_source
    with monkeypatch.context() as patch:
        patch.setattr(code, "read_source", lambda name: change(read(name)) if name == module else read(name))
        after = code_hashes(FIGURES.values())
    return {name for name in FIGURES if before[name] != after[name]}


def minus(source):
    """The source with one operator changed."""
    assert " + " in source
    return source.replace(" + ", " - ", 1)


@pytest.mark.parametrize(
    ("module", "redrawn"),
    [
        ("figures.plots.sweeps", {"11", "16", "17", "18", "width"}),
        ("figures.plots.ablations", {"7", "9", "10"}),
        ("figures.plots.sign_flips", {"12"}),
        ("figures.claims.sweeps", {"claims"}),
        ("figures.claims.tables", {"claims"}),
        ("figures.plots.style", set(FIGURES)),
        ("figures.results.load", set(FIGURES)),
        ("figures.report.page", set()),
        ("figures.comparison.verify", set()),
    ],
)
def test_a_changed_operator_changes_the_figures_that_it_draws_and_no_others(monkeypatch, module, redrawn):
    assert changed(monkeypatch, module, lambda source: f"{source}\nVALUE = 1 + 1") == redrawn
    if module != "figures.plots.style":
        assert changed(monkeypatch, module, minus) == redrawn


@pytest.mark.parametrize("module", ["figures.plots.style", "figures.plots.sweeps", "figures.claims.sweeps"])
def test_a_changed_comment_or_docstring_changes_no_figure(monkeypatch, module):
    def reworded(source):
        assert re.match(r'"""\w', source) and "    # " not in source[:1]
        return '"""Other words.' + source[3:].replace("\n\n", "\n\n# a comment\n", 3)

    assert changed(monkeypatch, module, reworded) == set()


def test_a_picture_is_redrawn_for_its_code_alone(monkeypatch, folder, tmp_path, writer):
    def sketch(spec, records):
        return Drawing(None, {}, Caption("A caption.", "Data: n = 0.")), dict.fromkeys(
            PICTURE_FORMATS, spec.id.encode()
        )

    monkeypatch.setattr("figures.regenerate._draw", sketch)
    read, texts = code.read_source, {}
    monkeypatch.setattr(code, "read_source", lambda name: texts.get(name) or read(name))

    def drawn():
        made = regenerate(["3", "12", "13"], folder, tmp_path, write=writer, provenance={}, command="")
        return {outcome.id for outcome in made if outcome.status == "drawn"}

    assert drawn() == {"3", "12", "13"} and drawn() == set()
    texts["figures.plots.loss"] = f"{read('figures.plots.loss')}\n# a comment\n"
    assert drawn() == set()
    texts["figures.plots.loss"] = minus(read("figures.plots.loss"))
    assert drawn() == {"13"} and drawn() == set()
    of_two = [json.loads((tmp_path / f"figures/fig{name}.json").read_text())["code_sha256"] for name in ("12", "13")]
    assert len(set(of_two)) == 2


def test_a_changed_entry_redraws_its_figure(monkeypatch):
    before = code_hashes(FIGURES.values())
    spec = FigureSpec("13", "Another title", "loss:figure_13", (), ("imp", "lrr"))
    assert code_hashes([spec])["13"] != before["13"]


def test_a_function_without_a_source_is_of_unknown_code():
    spec = FigureSpec("x", "Typed into a prompt", eval("lambda records: None", {"__name__": "no.such.module"}), (), ())
    assert code_hashes([spec]) == {"x": UNKNOWN_CODE}
