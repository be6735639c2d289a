"""The READMEs are true: their snippets run, their commands, options, links and registries exist."""

import re
import shlex
import sys
from dataclasses import fields
from importlib import import_module

import pytest

from tests import ROOT
from tests.support.processes import run

READMES = ["README.md", *(f"{folder}/README.md" for folder in ("theory", "empirics", "figures", "tests"))]
MOST_WORDS = 1_500  # of README.md, outside code blocks and tables
EXTERNAL_OPTIONS = {"--help", "--tyro-print-completion"}  # that the command line gets from its parser
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = re.findall(r"^([\w-]+):(?!=)", MAKEFILE, re.MULTILINE)


def text_of(readme: str) -> str:
    return (ROOT / readme).read_text()


def without_code(text: str) -> str:
    """The text without fenced and indented code blocks."""
    fenced = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return "\n".join(line for line in fenced.splitlines() if not line.startswith("    "))


def words_outside_code_and_tables(text: str) -> int:
    prose = [line for line in without_code(text).splitlines() if not line.startswith("|")]
    return len(" ".join(prose).split())


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", without_code(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(readme: str) -> list[str]:
    """The links of a README to files or headings that are not there; links to other sites are left out."""
    found = []
    for link in re.findall(r"\]\(([^)]+)\)", text_of(readme)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / readme).parent / path if path else ROOT / readme
        if not target.exists() or (anchor and anchor not in anchors(target.read_text())):
            found.append(link)
    return found


def commands(text: str) -> list[str]:
    """The command lines of `paper_repro.py` in code blocks and in backticks, without the program and its path."""
    blocks = re.findall(r"^    \.venv/bin/python paper_repro\.py (.*?)(?:\s+#.*)?$", text, re.MULTILINE)
    inline = re.findall(r"`(?:\.venv/bin/python )?paper_repro\.py ([^`]+)`", without_code(text))
    return [line.strip() for line in (*blocks, *inline)]


COMMAND_LINES = list(dict.fromkeys(line for readme in READMES for line in commands(text_of(readme))))
SMOKE = re.search(r"^smoke:.*\n(?:\t.*\n)*?\t\$\(PY\) paper_repro\.py (.*)$", MAKEFILE, re.MULTILINE)[1]


def known_options() -> set[str]:
    from empirics.cli import COMMANDS

    names = {field.name for command in COMMANDS.values() for field in fields(command)}
    return {f"--{name.replace('_', '-')}" for name in names} | EXTERNAL_OPTIONS


def parse(line: str) -> object:
    """The command of a line, or None for help and completion scripts; a line that cannot be parsed fails the test."""
    from empirics import commands as of_empirics
    from figures.catalogue import FIGURES

    try:
        return of_empirics.parsed(shlex.split(line), lambda: FIGURES)
    except SystemExit as end:
        assert not end.code, line
        return None


def unknown_names(command: object) -> list[str]:
    """The names in a command that no registry has."""
    from empirics.data.datasets import DATASETS
    from empirics.studies.arms import ARMS
    from empirics.studies.presets import PRESETS
    from empirics.studies.sweeps import SWEEPS
    from figures.catalogue import FIGURES
    from theory.experiments.registry import EXPERIMENTS

    registries = {
        "preset": PRESETS,
        "dataset": DATASETS,
        "arms": ARMS,
        "sweep": SWEEPS,
        "ids": FIGURES,
        "figure": FIGURES,
        "experiments": EXPERIMENTS,
    }
    found = []
    for field, registry in registries.items():
        value = getattr(command, field, None) or ()
        given = (value,) if isinstance(value, str) else value
        found += [name for name in given if name not in registry]
    return found


@pytest.mark.slow
@pytest.mark.parametrize("readme", READMES)
def test_every_python_snippet_runs_when_pasted(readme, tmp_path):
    snippets = re.findall(r"^```python\n(.*?)^```", text_of(readme), re.DOTALL | re.MULTILINE)
    if not snippets:
        assert readme == "tests/README.md"
        return
    blocks = []
    for number, snippet in enumerate(snippets, 1):
        name = f"{readme}, block {number}"
        blocks.append(f"exec(compile({snippet!r}, {name!r}, 'exec'), {{'__name__': '__main__'}})")
        blocks.append(f"print('end of block {number}')")
    script = "\n".join([f"import sys; sys.path.insert(0, {str(ROOT)!r})", *blocks])
    done = run([sys.executable, "-c", script], cwd=tmp_path, seconds=300, check=True)
    printed = re.split(r"end of block \d+\n", done.stdout)[:-1]
    assert len(printed) == len(snippets)
    written = [path for path in tmp_path.iterdir() if path.stat().st_size]
    silent = [number for number, text in enumerate(printed, 1) if not text.strip()]
    assert len(silent) <= len(written), f"blocks {silent} neither print nor write anything"


@pytest.mark.parametrize("readme", READMES)
def test_every_link_and_picture_leads_to_a_file_and_a_heading(readme):
    assert broken_links(readme) == []


def test_a_broken_link_is_seen(tmp_path, monkeypatch):
    page = tmp_path / "README.md"
    page.write_text("# One heading\n[a](none.md) [b](#one-heading) [c](#other) [d](README.md) [e](https://x.org)")
    assert broken_links(str(page)) == ["none.md", "#other"]


@pytest.mark.parametrize("line", COMMAND_LINES)
def test_every_command_of_the_readmes_is_one(line):
    assert unknown_names(parse(line)) == []


def test_the_readmes_show_commands():
    assert {line.split()[0] for line in COMMAND_LINES} >= {"figures", "train", "theory", "data", "explain", "verify"}


@pytest.mark.parametrize("line", ["nonsense", "train --no-such-option", "figures --workers many"])
def test_a_command_that_is_none_is_seen(line):
    with pytest.raises((AssertionError, ValueError)):
        parse(line)


def test_a_name_that_no_registry_has_is_seen():
    assert unknown_names(parse("train --preset quik --arms imp irr --sweep width")) == ["quik", "irr"]


@pytest.mark.parametrize("readme", READMES)
def test_every_option_in_the_text_exists(readme):
    spans = re.findall(r"`([^`\n]+)`", without_code(text_of(readme)))
    options = {word for span in spans for word in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)}
    assert options <= known_options()


@pytest.mark.parametrize("readme", READMES)
def test_every_make_target_in_the_text_exists(readme):
    text = text_of(readme)
    named = re.findall(r"`make ([\w-]+)`", text) + re.findall(r"^    make ([\w-]+)", text, re.MULTILINE)
    assert set(named) <= set(TARGETS)


def test_the_set_up_commands_stand_in_the_readme():
    for target in ("smoke", "figures", "test"):
        assert f"    make {target} " in text_of("README.md") and target in TARGETS


def test_the_readme_is_short():
    assert words_outside_code_and_tables(text_of("README.md")) <= MOST_WORDS


def test_words_in_code_and_tables_do_not_count():
    page = "two words\n\n    code is code\n\n```python\nmore code\n```\n\n| a | table |\n\n- a third"
    assert words_outside_code_and_tables(page) == 5


def test_make_smoke_draws_what_it_names_in_a_folder_of_its_own():
    command = parse(SMOKE)
    assert unknown_names(command) == [] and command.preset == "smoke"
    assert {command.results.parts[0], command.out.parts[0]} == {"smoke"}
    assert "/smoke/" in (ROOT / ".gitignore").read_text().splitlines()
    recipe = re.search(r"^smoke:.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE)[1].splitlines()
    assert "no evidence" in recipe[0]
    assert [name for name in command.ids if f"{command.out}/figures/fig{name}.png" not in recipe[-1]] == []


def test_every_registry_of_the_readme_is_where_it_says():
    rows = re.findall(r"`((?:\w+/)+\w+\.py)`: ((?:`[A-Z]+`(?:, )?)+)", text_of("README.md"))
    assert len(rows) >= 13
    for path, names in rows:
        for name in re.findall(r"`([A-Z]+)`", names):
            assert re.search(rf"^{name}\b.*= {{", (ROOT / path).read_text(), re.MULTILINE), f"{name} in {path}"


def additions(readme: str) -> dict[str, str]:
    """What can be added -> the next cell of the table of additions."""
    table = re.search(r"^\| add \|.*\n\|[-|]+\n((?:\|.*\n)+)", text_of(readme), re.MULTILINE)[1]
    cells = [[cell.strip() for cell in row.split("|")[1:3]] for row in table.splitlines()]
    return dict(cells)


def test_every_addition_has_quick_tests():
    quick = additions("tests/README.md")
    assert list(quick) == list(additions("README.md"))
    for addition, place in quick.items():
        module = import_module(place.strip("`").removesuffix(".py").replace("/", "."))
        marks = getattr(module, "pytestmark", [])
        whole_module = [marks] if not isinstance(marks, list) else marks
        assert "slow" not in {mark.name for mark in whole_module}, f"{addition}: {place} is left out by test-fast"


def test_hooks_before_a_commit_run_the_ruff_of_make_lint_and_state_no_version():
    hooks = (ROOT / ".pre-commit-config.yaml").read_text()
    entries = re.findall(r"entry: \.venv/bin/python -m (ruff \w+)", hooks)
    assert entries == re.findall(r"^\t\$\(PY\) -m (ruff \w+)", MAKEFILE, re.MULTILINE)
    assert "rev:" not in hooks and hooks.count("repo:") == hooks.count("repo: local")


def test_the_changelog_has_the_version_of_the_package():
    version = re.search(r'^version = "(.*)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)[1]
    sections = re.findall(r"^## \[(.*?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert sections[0] == "Unreleased" and version in sections
