"""The commit that the code was run at: of the repository that tracks it, and of no other that lies around it."""

import os
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
SECONDS = 10


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
        of a monitor for them (fsmonitor), and no other has changed.
    """
    file = file.resolve()
    try:
        _git(file.parent, "ls-files", "--error-unmatch", "--", file.name)
        _git(file.parent, "cat-file", "-e", f"HEAD:./{file.name}")
        commit = _git(file.parent, "rev-parse", "--verify", "HEAD").decode("ascii").strip()
        changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
        flags = [entry[:1] for entry in _git(file.parent, "ls-files", "-v", "-f", "-z", "--", ":/").split(b"\0")]
    except (OSError, subprocess.SubprocessError, ValueError):
        return {"commit": None, "dirty": None}
    unseen = any(flag.islower() or flag == b"S" for flag in flags)
    return {"commit": commit, "dirty": True if changes.strip() else None if unseen else False}


def _git(folder: Path, *arguments: str) -> bytes:
    """What git prints.

    Raises:
        OSError, subprocess.SubprocessError: there is no git, it takes too long, or it refuses.
    """
    left_out = (*LEADS_ELSEWHERE, *READS_OTHERWISE)
    environment = {name: value for name, value in os.environ.items() if name not in left_out}
    command = ["git", "--no-optional-locks", *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, timeout=SECONDS, check=True)
    return done.stdout
