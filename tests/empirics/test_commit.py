"""Whose commit a result names: that of the repository which tracks the code, and of no other around it."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from empirics import commit as module
from empirics.commit import LEADS_ELSEWHERE, READS_OTHERWISE, commit_of
from tests.support.processes import alive, run
from tests.support.waiting import wait_for

NOBODY = {"commit": None, "dirty": None}
pytestmark = [pytest.mark.slow, pytest.mark.skipif(shutil.which("git") is None, reason="no git here")]


@pytest.fixture(autouse=True)
def plain_git(monkeypatch):
    for name in (*LEADS_ELSEWHERE, *READS_OTHERWISE):
        monkeypatch.delenv(name, raising=False)


def git(folder: Path, *arguments: str) -> str:
    me = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false", "-c", "init.defaultBranch=main")
    return run(["git", *me, *arguments], cwd=folder, check=True).stdout.strip()


def repository(folder: Path, *files: str) -> str:
    """A repository that tracks these files; its commit."""
    folder.mkdir(exist_ok=True)
    git(folder, "init")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x = 1\n")
        git(folder, "add", "--", name)
    git(folder, "commit", "--allow-empty", "-m", "first")
    return git(folder, "rev-parse", "HEAD")


def installed(folder: Path) -> Path:
    """A package in the virtual environment of a project."""
    file = folder / ".venv/lib/python3/site-packages/empirics/provenance.py"
    file.parent.mkdir(parents=True)
    file.write_text("x = 1\n")
    return file


def test_the_commit_is_that_of_the_repository_that_tracks_the_code(tmp_path):
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    file = tmp_path / "ours/empirics/provenance.py"
    assert commit_of(file) == {"commit": commit, "dirty": False}
    (tmp_path / "ours/new.txt").write_text("not tracked")
    assert commit_of(file)["dirty"] is False
    file.write_text("x = 2\n")
    assert commit_of(file) == {"commit": commit, "dirty": True}


def test_the_commit_of_a_project_in_whose_environment_the_package_lies_is_not_ours(tmp_path):
    repository(tmp_path / "theirs", "main.py")
    file = installed(tmp_path / "theirs")
    assert commit_of(file) == NOBODY
    (tmp_path / "theirs/.gitignore").write_text(".venv\n")
    assert commit_of(file) == NOBODY, "ignored, as it usually is"


def test_a_copy_among_the_files_of_another_project_has_its_commit_only_once_it_is_tracked_there(tmp_path):
    repository(tmp_path / "theirs", "main.py")
    file = tmp_path / "theirs/empirics/provenance.py"
    file.parent.mkdir()
    file.write_text("x = 1\n")
    assert commit_of(file) == NOBODY
    git(tmp_path / "theirs", "add", "empirics")
    assert commit_of(file) == NOBODY, "staged, and in no commit"
    git(tmp_path / "theirs", "commit", "-m", "second")
    assert commit_of(file)["commit"] == git(tmp_path / "theirs", "rev-parse", "HEAD")


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
@pytest.mark.parametrize("name", ["empirics/provenance.py", "other.py"])
def test_where_git_was_told_not_to_look_nobody_knows_whether_a_file_has_changed(tmp_path, flag, name):
    commit = repository(tmp_path / "ours", "empirics/provenance.py", "other.py")
    git(tmp_path / "ours", "update-index", flag, name)
    (tmp_path / "ours" / name).write_text("x = 2\n")
    file = tmp_path / "ours/empirics/provenance.py"
    assert commit_of(file) == {"commit": commit, "dirty": None}
    git(tmp_path / "ours", "update-index", flag.replace("--", "--no-"), name)
    assert commit_of(file) == {"commit": commit, "dirty": True}


def test_where_git_takes_the_word_of_a_monitor_nobody_knows_whether_a_file_has_changed(tmp_path):
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    monitor = tmp_path / "monitor"
    monitor.write_text("#!/bin/sh\nprintf 'token\\0'\n")  # nothing has changed, whatever was asked
    monitor.chmod(0o755)
    git(tmp_path / "ours", "config", "core.fsmonitor", str(monitor))
    git(tmp_path / "ours", "update-index", "--fsmonitor")
    git(tmp_path / "ours", "status")
    file = tmp_path / "ours/empirics/provenance.py"
    file.write_text("x = 2\n")
    assert git(tmp_path / "ours", "status", "--porcelain", "--untracked-files=no") == ""
    assert commit_of(file) == {"commit": commit, "dirty": None}


def fake_git(folder: Path, says: str) -> None:
    """A git that does what git does, and prints something else where the commit is asked for."""
    real = shutil.which("git")
    (folder / "bin").mkdir()
    (folder / "bin/git").write_text(
        f'#!/bin/sh\nfor word; do test "$word" = rev-parse && {{ {says}; exit 0; }}; done\nexec \'{real}\' "$@"\n'
    )
    (folder / "bin/git").chmod(0o755)


@pytest.mark.parametrize(
    "says", [":", "echo hello world", "echo main", "echo a notice; echo {0}", "echo {0}; echo {0}", "echo {0}0"]
)
def test_what_git_prints_is_a_commit_only_where_it_is_one(tmp_path, monkeypatch, says):
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    fake_git(tmp_path, says.format(commit))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert commit_of(tmp_path / "ours/empirics/provenance.py") == NOBODY
    (tmp_path / "bin/git").write_text((tmp_path / "bin/git").read_text().replace(says.format(commit), f"echo {commit}"))
    assert commit_of(tmp_path / "ours/empirics/provenance.py") == {"commit": commit, "dirty": False}


def test_a_trace_among_what_git_prints_is_no_commit(tmp_path, monkeypatch):
    repository(tmp_path / "ours", "empirics/provenance.py")
    monkeypatch.setenv("GIT_TRACE", "/dev/fd/1")
    assert commit_of(tmp_path / "ours/empirics/provenance.py") == NOBODY


def test_a_commit_that_another_is_put_in_place_of_is_looked_at_as_it_is(tmp_path):
    """`git replace` shows other content under the same name: what is recorded is the name."""
    first = repository(tmp_path / "ours", "empirics/provenance.py")
    file = tmp_path / "ours/empirics/provenance.py"
    file.write_text("x = 2\n")
    git(tmp_path / "ours", "commit", "-a", "-m", "second")
    second = git(tmp_path / "ours", "rev-parse", "HEAD")
    git(tmp_path / "ours", "reset", "--hard", first)
    git(tmp_path / "ours", "replace", first, second)
    assert commit_of(file) == {"commit": first, "dirty": False}
    file.write_text("x = 2\n")
    git(tmp_path / "ours", "add", "-A")
    assert git(tmp_path / "ours", "status", "--porcelain") == "", "git shows no change"
    assert commit_of(file) == {"commit": first, "dirty": True}


@pytest.mark.parametrize("ignore", ["all", "dirty"])
def test_a_submodule_that_git_was_told_to_ignore_is_looked_at(tmp_path, ignore):
    repository(tmp_path / "part", "x.py")
    repository(tmp_path / "ours", "empirics/provenance.py")
    git(tmp_path / "ours", "-c", "protocol.file.allow=always", "submodule", "add", str(tmp_path / "part"), "part")
    git(tmp_path / "ours", "commit", "-m", "with a part")
    git(tmp_path / "ours", "config", "submodule.part.ignore", ignore)
    file = tmp_path / "ours/empirics/provenance.py"
    (tmp_path / "ours/part/new.txt").write_text("not tracked")
    assert commit_of(file)["dirty"] is False
    (tmp_path / "ours/part/x.py").write_text("x = 2\n")
    assert git(tmp_path / "ours", "status", "--porcelain", "--untracked-files=no") == ""
    assert commit_of(file)["dirty"] is True


def test_a_change_that_only_the_time_of_the_file_s_entry_shows_is_seen(tmp_path):
    """Of the same length and with the time of before: git sees it unless it is told to trust no ctime."""
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    file = tmp_path / "ours/empirics/provenance.py"
    os.utime(file, (10**9, 10**9))  # long before the index, or git would look into the file
    git(tmp_path / "ours", "config", "core.trustctime", "false")
    git(tmp_path / "ours", "update-index", "--refresh")
    before = int(file.stat().st_ctime)

    def changed_in_another_second() -> bool:
        """Git counts in whole seconds, and a file system's clock may lag behind the processor's by a tick."""
        file.write_text("x = 2\n")
        os.utime(file, (10**9, 10**9))
        return int(file.stat().st_ctime) != before

    wait_for(changed_in_another_second, "another second")
    assert git(tmp_path / "ours", "status", "--porcelain") == ""
    assert commit_of(file) == {"commit": commit, "dirty": True}


@pytest.mark.parametrize("how", ["monitor", "filter"])
def test_what_git_has_started_ends_with_git_where_it_takes_too_long(tmp_path, monkeypatch, how):
    repository(tmp_path / "ours", "empirics/provenance.py")
    file = tmp_path / "ours/empirics/provenance.py"
    os.mkfifo(tmp_path / "never")
    hook = tmp_path / "hook"
    hook.write_text(f"#!/bin/sh\necho $$ > '{tmp_path}/number'\nread line < '{tmp_path}/never'\n")
    hook.chmod(0o755)
    if how == "monitor":
        git(tmp_path / "ours", "config", "core.fsmonitor", str(hook))
    else:
        git(tmp_path / "ours", "config", "filter.slow.clean", str(hook))
        (tmp_path / "ours/.git/info/attributes").write_text("*.py filter=slow\n")
        file.write_text("x = 2\n")
    limits = iter(range(1, 30))  # seconds: the hook must have begun, however busy the machine is
    while not (tmp_path / "number").exists():
        monkeypatch.setattr(module, "GIT_SECONDS", next(limits))
        assert commit_of(file) == NOBODY
    number = int((tmp_path / "number").read_text())
    wait_for(lambda: not alive(number), "the end of what git has started")


@pytest.mark.parametrize("name", READS_OTHERWISE)
def test_how_another_command_reads_names_of_files_changes_nothing(tmp_path, monkeypatch, name):
    commit = repository(tmp_path / "ours", "empirics/provenance.py", "other.py")
    monkeypatch.setenv(name, "1")
    file = tmp_path / "ours/empirics/provenance.py"
    assert commit_of(file) == {"commit": commit, "dirty": False}
    git(tmp_path / "ours", "update-index", "--assume-unchanged", "other.py")
    assert commit_of(file) == {"commit": commit, "dirty": None}


@pytest.mark.parametrize("name", LEADS_ELSEWHERE[:2])
def test_a_hook_of_another_repository_does_not_lend_its_commit(tmp_path, monkeypatch, name):
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    repository(tmp_path / "theirs", "main.py", "empirics/provenance.py")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "theirs/.git"))
    monkeypatch.setenv(name, str(tmp_path / "theirs" / (".git" if name == "GIT_DIR" else "")))
    assert commit_of(tmp_path / "ours/empirics/provenance.py") == {"commit": commit, "dirty": False}
    assert commit_of(installed(tmp_path)) == NOBODY


def test_links_are_followed_to_the_repository_of_the_file(tmp_path):
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    repository(tmp_path / "theirs", "main.py")
    packages = tmp_path / "theirs/.venv/site-packages"
    packages.mkdir(parents=True)
    (packages / "empirics").symlink_to(tmp_path / "ours/empirics")
    assert commit_of(packages / "empirics/provenance.py")["commit"] == commit
    (packages / "runtime.py").symlink_to(tmp_path / "ours/empirics/provenance.py")
    assert commit_of(packages / "runtime.py")["commit"] == commit


@pytest.mark.parametrize("kind", ["worktree", "submodule"])
def test_worktrees_and_submodules_are_repositories_of_their_own(tmp_path, kind):
    commit = repository(tmp_path / "ours", "empirics/provenance.py")
    repository(tmp_path / "theirs", "main.py")
    if kind == "worktree":
        git(tmp_path / "ours", "worktree", "add", str(tmp_path / "theirs/lib"))
    else:
        git(tmp_path / "theirs", "-c", "protocol.file.allow=always", "submodule", "add", str(tmp_path / "ours"), "lib")
    assert commit_of(tmp_path / "theirs/lib/empirics/provenance.py") == {"commit": commit, "dirty": False}


def test_without_git_without_a_repository_or_without_a_commit_nothing_is_known(tmp_path, monkeypatch):
    file = tmp_path / "alone.py"
    file.write_text("x = 1\n")
    assert commit_of(file) == NOBODY
    assert commit_of(tmp_path / "gone/x.py") == NOBODY
    git(tmp_path, "init")
    git(tmp_path, "add", "alone.py")
    assert commit_of(file) == NOBODY, "tracked, and never committed"
    git(tmp_path, "commit", "-m", "first")
    assert commit_of(file)["commit"] is not None
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert commit_of(file) == NOBODY


def test_file_names_that_are_no_text_do_no_harm(tmp_path, monkeypatch):
    repository(tmp_path / "ours", "empirics/provenance.py")
    git(tmp_path / "ours", "config", "core.quotepath", "false")
    odd = tmp_path / "ours" / "caf\udce9.txt"
    try:
        odd.write_text("1")
    except OSError:
        pytest.skip("this file system takes texts alone for names")
    git(tmp_path / "ours", "add", "-A")
    assert commit_of(tmp_path / "ours/empirics/provenance.py")["dirty"] is True


def test_every_record_of_an_installed_package_says_that_its_commit_is_unknown(tmp_path):
    """The whole package, copied into the environment of another project: what it says of itself."""
    repository(tmp_path / "theirs", "main.py")
    packages = tmp_path / "theirs/.venv/site-packages"
    source = Path(sys.modules["empirics.commit"].__file__).parent
    shutil.copytree(source, packages / "empirics", ignore=shutil.ignore_patterns("__pycache__"))
    code = "from empirics.provenance import provenance; print(provenance(1)['git'])"
    done = run([sys.executable, "-c", code], cwd=packages, check=True)
    assert done.stdout.strip() == str(NOBODY)
