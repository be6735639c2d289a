"""The README is true: its snippet runs, its commands and links exist."""

import os
import re
import shlex
import sys

import pytest

from tests import ROOT
from tests.support.processes import run

TEXT = (ROOT / "README.md").read_text()


def test_every_python_snippet_runs_when_pasted(tmp_path):
    snippets = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    assert snippets
    for snippet in snippets:
        here = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = run([sys.executable, "-c", snippet], cwd=tmp_path, env=here, seconds=300, check=True)
        assert done.stdout.strip() or any(path.stat().st_size for path in tmp_path.iterdir())


def test_every_link_and_picture_leads_to_a_file():
    links = [link for link in re.findall(r"\]\(([^)]+)\)", TEXT) if "://" not in link]
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def commands() -> list[str]:
    lines = re.findall(r"^    \.venv/bin/python paper_repro\.py (.*?)(?:\s+#.*)?$", TEXT, re.MULTILINE)
    return [line.strip() for line in lines]


@pytest.mark.parametrize("line", commands())
def test_every_command_of_the_readme_is_one(line):
    from empirics.cli import COMMANDS

    words = shlex.split(line)
    assert words[0] in (*COMMANDS, "--help")
    for option in (word for word in words if word.startswith("--")):
        command = [] if words[0] == "--help" else words[:1]
        done = run([sys.executable, "paper_repro.py", *command, "--help"], cwd=ROOT)
        assert option in done.stdout


def test_the_two_set_up_commands_are_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text()
    for target in ("figures", "test"):
        assert f"make {target}" in TEXT and re.search(rf"^{target}:", makefile, re.MULTILINE)


def test_every_registry_of_the_readme_is_where_it_says():
    rows = re.findall(r"`((?:\w+/)+\w+\.py)`: ((?:`[A-Z]+`(?:, )?)+)", TEXT)
    assert len(rows) >= 13
    for path, names in rows:
        for name in re.findall(r"`([A-Z]+)`", names):
            assert re.search(rf"^{name}\b.*= {{", (ROOT / path).read_text(), re.MULTILINE), f"{name} in {path}"
