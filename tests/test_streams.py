"""What the command line writes, whatever is behind its streams: another encoding, nothing, a reader that has gone."""

import io
import os
import sys
from pathlib import Path

import pytest

import paper_repro
from empirics.terminal import READABLE, usable_streams
from tests import ROOT
from tests.support.processes import finish, run, start

pytestmark = pytest.mark.slow

PROGRAM = [sys.executable, str(ROOT / "paper_repro.py")]
REFERENCE = sorted((ROOT / "figures/reference/quick").glob("*.json"))
TINY = ["train", "--model", "resnet8", "--width", "4", "--levels", "2", "--epochs", "2", "--seeds", "0",
        "--arms", "lrr", "--images-per-class", "20", "--batch-size", "32", "--workers", "1"]  # fmt: skip


def said(monkeypatch, encoding: str, *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and messages of a command on a terminal of this encoding."""
    streams = [io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict") for _ in range(2)]
    with monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", streams[0])
        patch.setattr(sys, "stderr", streams[1])
        try:
            code = paper_repro.main(arguments)
        except SystemExit as end:
            code = end.code or 0
        assert [sys.stdout, sys.stderr] == streams and streams[0].errors == streams[1].errors == "strict"
    return code, *(stream.buffer.getvalue().decode(encoding) for stream in streams)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "cp1252", "koi8-r", "utf-8"])
def test_every_text_is_written_on_a_terminal_of_any_encoding(encoding, monkeypatch, tmp_path):
    commands = [["--help"], ["train", "--help"], ["list"], ["theory", "--help"]]
    commands += [["table1", "--format", form] for form in ("markdown", "latex", "json")]
    commands += [["explain", str(file), "--results", str(tmp_path)] for file in REFERENCE]
    for command in commands:
        code, output, messages = said(monkeypatch, encoding, *command)
        assert code == 0 and len(output) > 100 and not messages, command
    code, output, messages = said(monkeypatch, encoding, "trién ₁\udcff")
    assert (code, output) == (2, "") and "unknown command or figure 'tri" in messages


@pytest.mark.parametrize(
    "encoding, said_there",
    [("ascii", "w_1"), ("latin-1", "w_1"), ("cp1252", "w_1"), ("utf-8", "w₁"), ("utf-16", "w₁")],
)
def test_the_first_weight_of_figure_1_is_readable(encoding, said_there, monkeypatch, tmp_path):
    assert said_there in said(monkeypatch, encoding, "explain", str(ROOT / "figures/reference/quick/fig1.json"))[1]


@pytest.mark.parametrize(
    "text, encoding, expected",
    [
        ("10⁻⁴ of aᵏ", "ascii", "10^-4 of a^k"),
        ("10³ aᵏ", "latin-1", "10³ a^k"),
        ("w₁₂, w₀′ − θ, π", "ascii", "w_12, w_0' - theta, pi"),
        ("“quoted”, ’twas • on", "ascii", '"quoted", \'twas * on'),
        ("naïve", "ascii", "naive"),
        ("\udcff 中 \x00", "ascii", "\\udcff \\u4e2d \x00"),
        ("plain", "ascii", "plain"),
        ("²", "koi8-r", "²"),
    ],
)
def test_a_character_that_an_encoding_lacks_is_written_as_the_nearest(text, encoding, expected):
    assert text.encode(encoding, READABLE).decode(encoding) == expected


def test_bytes_that_are_no_text_stay_an_error():
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", READABLE)


def in_a_shell(redirected: str, *arguments: str, **options):
    return run(["sh", "-c", f'exec "$0" "$@" {redirected}', *PROGRAM, *arguments], **options)


@pytest.mark.parametrize("redirected", ["2>&-", ">&-", "<&- >&- 2>&-"])
def test_a_command_works_without_its_standard_streams(redirected, tmp_path):
    done = in_a_shell(redirected, "--help", cwd=tmp_path)
    assert done.returncode == 0 and bool(done.stdout) == (redirected == "2>&-") and not done.stderr
    refused = in_a_shell(redirected, "trian", cwd=tmp_path)
    assert refused.returncode == 2 and not refused.stdout, "what is wrong with it never goes to the output"


def test_training_without_standard_streams_writes_nothing_of_its_messages_into_results(tmp_path):
    closed, usual = tmp_path / "closed", tmp_path / "usual"
    for folder, redirected in ((closed, "<&- >&- 2>&-"), (usual, "")):
        folder.mkdir()
        done = in_a_shell(redirected, *TINY, cwd=folder)
        assert done.returncode == 0, done.stderr
    files = sorted(path.relative_to(usual) for path in usual.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(closed) for path in closed.rglob("*") if path.is_file())
    tensors = [file for file in files if file.suffix == ".safetensors"]
    assert tensors and all((usual / file).read_bytes() == (closed / file).read_bytes() for file in tensors)
    done = run([*PROGRAM, "doctor"], cwd=closed)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("arguments", [["list"], ["--help"], ["doctor"]])
def test_a_reader_that_has_gone_ends_a_command_without_a_traceback(arguments, tmp_path):
    read, write = os.pipe()
    os.close(read)
    process = start([*PROGRAM, *arguments], cwd=tmp_path, stdout=write)
    os.close(write)
    _, stderr = finish(process)
    assert process.returncode == 1 and not stderr, stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_behind_the_output_is_said_and_one_behind_the_messages_ends_nothing(tmp_path):
    for command in (["list"], ["--help"]):
        done = in_a_shell(">/dev/full", *command, cwd=tmp_path)
        assert done.returncode == 1 and done.stderr == (
            "error: the output cannot be written: No space left on device\n"
        )
    done = in_a_shell("2>/dev/full", *TINY, cwd=tmp_path)
    assert done.returncode == 0 and list(tmp_path.rglob("level-01/level.json"))


def test_streams_that_are_no_files_are_left_as_they_are(monkeypatch):
    output, messages = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", output)
    monkeypatch.setattr(sys, "stderr", messages)
    with usable_streams():
        print("w₁")
        print("w₂", file=sys.stderr)
    assert (output.getvalue(), messages.getvalue()) == ("w₁\n", "w₂\n")
    assert (sys.stdout, sys.stderr) == (output, messages)


def test_one_stream_for_both_returns_as_it_was(monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="strict")
    monkeypatch.setattr(sys, "stdout", stream)
    monkeypatch.setattr(sys, "stderr", stream)
    with usable_streams():
        print("θ")
    assert stream.errors == "strict" and stream.buffer.getvalue() == b"theta\n"


@pytest.mark.parametrize("arguments, holds", [(["--help"], "run the experiments"), (["list"], "resnet20")])
def test_commands_work_without_docstrings(arguments, holds, tmp_path):
    done = run([sys.executable, "-OO", *PROGRAM[1:], *arguments], cwd=tmp_path)
    assert done.returncode == 0 and holds in done.stdout, done.stderr
