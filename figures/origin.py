"""Where a picture came from: its sidecar, read back and checked against the picture's bytes."""

import hashlib
import json
from pathlib import Path

from figures.style import FORMATS

_FILES_SHOWN = 12


class UnknownPicture(ValueError):
    """A path that is no picture of ours; the message says what was given and what to do."""


def explain(path: Path | str) -> str:
    """What a figure shows and what made it, as text of a few dozen lines.

    Parameters
    ----------
    path : a .pdf, .png or .svg that `regenerate` wrote, its .json sidecar, or claims.json.

    Raises
    ------
    UnknownPicture : no such file, another kind of file, or no readable sidecar beside it.
    """
    path = Path(path)
    if path.suffix.lstrip(".") not in (*FORMATS, "json"):
        raise UnknownPicture(f"explain needs a .pdf, .png, .svg or .json file, got {path.name!r}")
    if not path.is_file():
        raise UnknownPicture(f"there is no file {path}: run `paper_repro.py figures` to make the figures")
    sidecar = _read(path.with_suffix(".json"))
    lines = [f"{path.name}: {sidecar.get('title') or 'claims and verdicts'}", _matches(path, sidecar), ""]
    if sidecar.get("caption"):
        lines += [str(sidecar["caption"]), ""]
    return "\n".join(lines + _made_by(sidecar) + _runs(sidecar) + _inputs(sidecar)) + "\n"


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_bytes())
    except OSError:
        raise UnknownPicture(f"no sidecar {path.name} beside the picture: run `paper_repro.py figures` again") from None
    except (ValueError, RecursionError):
        raise UnknownPicture(f"{path.name} is not whole JSON: run `paper_repro.py figures` again") from None
    if not isinstance(found, dict) or found.get("kind") not in ("figure", "claims"):
        raise UnknownPicture(f"{path.name} is not a figure's sidecar (its field kind says neither figure nor claims)")
    return found


def _matches(path: Path, sidecar: dict) -> str:
    if path.suffix == ".json":
        return "This is the record of what was made."
    wanted = sidecar.get("outputs", {}).get(path.name)
    got = hashlib.sha256(path.read_bytes()).hexdigest()
    if got == wanted:
        return f"The file is the one recorded (sha256 {got[:12]})."
    return f"WARNING: the file is not the one recorded: sha256 {got[:12]}, recorded {str(wanted)[:12]}. It was changed."


def _made_by(sidecar: dict) -> list[str]:
    made = sidecar.get("provenance", {})
    git, versions = made.get("git") or {}, made.get("versions") or {}
    dirty = " with uncommitted changes" if git.get("dirty") else ""
    lines = [f"Made by: {sidecar.get('command')}", f"Commit: {git.get('commit')}{dirty}"]
    lines.append("Versions: " + ", ".join(f"{name} {value}" for name, value in versions.items()))
    lines.append(f"Hardware: {made.get('hardware')}, threads: {made.get('threads')}")
    if "seconds" in sidecar:
        lines.append(f"Drawn in {sidecar['seconds']} s")
    lines += [f"Left out: {item['panel']}, {item['why']} ({item['command']})" for item in sidecar.get("missing", [])]
    return [*lines, ""]


def _runs(sidecar: dict) -> list[str]:
    lines = []
    for name, result in sidecar.get("theory", {}).items():
        lines.append(f"Theory {name}: {result['file']}, params {result['params']}, made by {result['command']}")
    for name, study in sidecar.get("studies", {}).items():
        lines.append(f"Study {name} ({study['scope']}), made by {study['command']}")
        for arm, run in study["arms"].items():
            left_out = "".join(f", {word} {run[word]}" for word in ("diverged", "missing") if run[word])
            lines.append(f"  {arm}: run {run['run']}, seeds {run['seeds']}{left_out}")
    return [*lines, ""] if lines else []


def _inputs(sidecar: dict) -> list[str]:
    inputs = sidecar.get("inputs", [])
    lines = [f"Inputs ({len(inputs)} files, sha256):"]
    lines += [f"  {item['sha256'][:12]}  {item['path']}" for item in inputs[:_FILES_SHOWN]]
    more = len(inputs) - _FILES_SHOWN
    return lines + ([f"  and {more} more, listed in the sidecar"] if more > 0 else [])
