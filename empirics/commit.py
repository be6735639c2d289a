"""The commit that the code was run at: of the repository that tracks it, and of no other that lies around it."""

import contextlib
import os
import re
import signal
import subprocess
from pathlib import Path
from typing import Any

# set within a hook or an alias of another repository, they lead there whatever the folder is
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
# they change what `:/` and other names of files mean
READS_OTHERWISE = (
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
)
# what git is told for this look alone: to take objects for what they are, and every file's times for what they say
LOOK_CLOSELY = ("--no-replace-objects", "-c", "core.trustctime=true", "-c", "core.checkStat=default")
# of SHA-1 and of SHA-256; a notice or a trace among what git prints is no commit
COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
GIT_SECONDS = 10


def commit_of(file: Path) -> dict[str, Any]:
    """The commit of the repository that tracks a file, and whether anything that it tracks has changed since.

    The commit must hold the file: one that is only staged may be another project's, or new. A package in the virtual
    environment of another project lies in that project's folder and is none of its files: nothing is known of its
    commit then.

    Args:
        file: a source file; links are followed.

    Returns:
        `commit` (hexadecimal) and `dirty`; both None where no commit holds the file, or there is no git. `dirty` alone
        is None where git has been told not to look at some files (assume-unchanged, skip-worktree), or takes the word
        of a monitor for them (fsmonitor), and no other has changed. Out of reach: such files within a submodule, and
        changes that a clean filter of the repository takes out.
    """
    file = file.resolve()
    try:
        _git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
        _git(file.parent, "cat-file", "-e", f"HEAD:./{file.name}")
        commit = _git(file.parent, "rev-parse", "--verify", "HEAD").decode("ascii").strip()
        if not COMMIT.fullmatch(commit):
            raise ValueError("no commit")
        # submodules too, whatever the settings say, but for files in them that nobody tracks
        every = ("--untracked-files=no", "--ignore-submodules=untracked")
        changes = _git(file.parent, "status", "--porcelain", *every)
        flags = [entry[:1] for entry in _git(file.parent, "ls-files", "-v", "-f", "-z", "--", ":/").split(b"\0")]
    except (OSError, subprocess.SubprocessError, ValueError):
        return {"commit": None, "dirty": None}
    unseen = any(flag.islower() or flag == b"S" for flag in flags)
    return {"commit": commit, "dirty": True if changes.strip() else None if unseen else False}


def _git(folder: Path, *arguments: str) -> bytes:
    """What git prints. Where it takes too long, it is killed with the hooks and filters that it has started.

    Raises:
        OSError, subprocess.SubprocessError: there is no git, it takes too long, or it refuses.
    """
    left_out = (*LEADS_ELSEWHERE, *READS_OTHERWISE)
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    command = ["git", "--no-optional-locks", *LOOK_CLOSELY, *arguments]
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, cwd=folder, env=environment, process_group=0, **pipes) as git:
        try:
            printed, _ = git.communicate(timeout=GIT_SECONDS)
        except BaseException:  # Ctrl-C too, which a group of its own does not hear
            with contextlib.suppress(OSError):
                os.killpg(git.pid, signal.SIGKILL)
            raise
    if git.returncode:
        raise subprocess.CalledProcessError(git.returncode, command)
    return printed
