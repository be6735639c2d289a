"""Completion scripts for shells, as `--tyro-print-completion SHELL` prints them."""

import sys

import pytest

import paper_repro
from tests.support.processes import run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
@pytest.mark.parametrize("program", ["paper_repro.py", "paper-repro"])
def test_a_completion_script_is_printed_for_the_program_as_it_was_called(shell, program, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", [f"/somewhere/{program}"])
    with pytest.raises(SystemExit) as end:
        paper_repro.main(["--tyro-print-completion", shell])
    script = capsys.readouterr().out
    assert not end.value.code and program in script
    assert all(word in script for word in ("verify", "mask", "checkpoint-minutes", "table1"))


def test_bash_completes_commands_and_options(tmp_path, monkeypatch, capsys):
    with pytest.raises(SystemExit):
        paper_repro.main(["--tyro-write-completion", "bash", str(tmp_path / "script")])
    name = (tmp_path / "script").read_text().split("complete -F ")[1].split()[0]
    for words, expected in ((("", "tra"), {"train"}), (("train", "--wor"), {"--workers"})):
        line = " ".join(["x", *filter(None, words)])
        typed = f"COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); COMP_LINE='{line}'"
        code = f"source ./script; {typed}; COMP_POINT=${{#COMP_LINE}}; {name}; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        done = run(["bash", "-c", code], cwd=tmp_path)
        assert set(done.stdout.split()) == expected, done.stderr


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--tyro-print-completion", "zs"], "unknown shell 'zs': did you mean 'zsh'"),
        (["--tyro-print-completion"], "unknown shell ''"),
        (["--tyro_print_completion", "csh"], "unknown shell 'csh'"),
        (["--tyro-write-completion", "bash", "/nowhere/script"], "cannot write the completion script to '/nowhere"),
    ],
)
def test_what_cannot_be_completed_is_refused_in_words(arguments, message, capsys):
    assert paper_repro.main(arguments) == 2
    assert message in capsys.readouterr().err
