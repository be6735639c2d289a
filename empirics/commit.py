"""The git commit of the code.

It is read from the repository that tracks the code, not from one whose folder only contains it.
"""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

# in a hook or an alias of another repository, these variables make git use that repository in any folder
LEADS_ELSEWHERE = (
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_COMMON_DIR",
    "GIT_INDEX_FILE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_NAMESPACE",
    "GIT_PREFIX",
)
# these variables change the meaning of `:/` and other file names
READS_OTHERWISE = (
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
# options for these calls only: no replacement objects, and all times of a file are compared
LOOK_CLOSELY = ("--no-replace-objects", "-c", "core.trustctime=true", "-c", "core.checkStat=default")
# a SHA-1 or a SHA-256; a notice or a trace in git's output is not a commit
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
GIT_SECONDS = 10


def commit_of(file: Path) -> dict[str, Any]:
    """The commit of the repository that tracks a file, and whether tracked files have changed since.

    The commit must contain the file: a file that is only staged may be new, or of another project. A package in the
    virtual environment of another project lies in that project's folder without being tracked by it: then the commit
    is unknown.

    Args:
        file: a source file; links are followed.

    Returns:
        `commit` (hexadecimal) and `dirty`. Both are None if no commit contains the file, or git is not installed.
        `dirty` alone is None if git skips some files (assume-unchanged, skip-worktree) or relies on a file monitor for
        them (fsmonitor), and no other file has changed. Not detected: such files in a submodule, and changes that a
        clean filter of the repository removes.
    """
    file = file.resolve()
    try:
        _git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
        _git(file.parent, "cat-file", "-e", f"HEAD:./{file.name}")
        commit = _git(file.parent, "rev-parse", "--verify", "HEAD").decode("ascii").strip()
        if not COMMIT.fullmatch(commit):
            raise ValueError("no commit")
        # submodules are included, whatever the settings; untracked files in them are not
        every = ("--untracked-files=no", "--ignore-submodules=untracked")
        changes = _git(file.parent, "status", "--porcelain", *every)
        flags = [entry[:1] for entry in _git(file.parent, "ls-files", "-v", "-f", "-z", "--", ":/").split(b"\0")]
    except (OSError, subprocess.SubprocessError, ValueError):
        return {"commit": None, "dirty": None}
    unseen = any(flag.islower() or flag == b"S" for flag in flags)
    return {"commit": commit, "dirty": True if changes.strip() else None if unseen else False}


def _git(folder: Path, *arguments: str) -> bytes:
    """The output of a git command.

    After `GIT_SECONDS` git is killed, together with the hooks and filters that it has started.

    Raises:
        OSError, subprocess.SubprocessError: git is not installed, takes too long, or fails.
    """
    left_out = (*LEADS_ELSEWHERE, *READS_OTHERWISE)
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    command = ["git", "--no-optional-locks", *LOOK_CLOSELY, *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=environment, process_group=0, **pipes) as git:
        try:
            printed, _ = git.communicate(timeout=GIT_SECONDS)
        except BaseException:  # also for Ctrl-C, which a separate process group does not receive
            with contextlib.suppress(OSError):
                os.killpg(git.pid, signal.SIGKILL)
            raise
    if git.returncode:
        raise subprocess.CalledProcessError(git.returncode, command)
    return printed
