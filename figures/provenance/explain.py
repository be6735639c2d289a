"""Explain where a picture came from.

Its sidecar is read back and checked against the picture's bytes and the result files.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from figures.catalogue import CLAIMS_FIGURE, FIGURES
from figures.plots.style import PICTURE_FORMATS
from figures.provenance.sidecars import UnknownPicture, is_file, read_sidecar
from figures.results.bundled import place_of
from figures.results.folders import FOLDER, kind
from figures.results.variants import OURS_PROTOCOL, file_suffix, with_protocol

__all__ = ["UnknownPicture", "explain", "locate"]

_FILES_SHOWN = 12
_CHANGED_SHOWN = 40


def explain(
    what: Path | str, results: Path | str | None = None, out: Path | str = "out", protocol: str = OURS_PROTOCOL
) -> str:
    """What a figure shows and what made it, as text of a few dozen lines.

    Args:
        what: a figure's id, `claims`, or a file: a .pdf, .png or .svg that this project drew, its .json, or
            claims.json.
        results: folder of result files; with it, every input is compared with the current file in it.
        out: folder in which an id is looked up, and the name of a file that is not in the current folder.
        protocol: of a figure that is given by its id.

    Raises:
        UnknownPicture: no such file, another kind of file, or no readable sidecar next to it.
    """
    path = locate(what, out, protocol)
    sidecar = read_sidecar(path.with_suffix(".json"))
    lines = [f"{path.name}: {sidecar.get('title') or 'claims and verdicts'}", _matches(path, sidecar), ""]
    if sidecar.get("caption"):
        lines += [str(sidecar["caption"]), ""]
    lines += made_by(sidecar) + runs(sidecar) + _against(sidecar) + missing(sidecar)
    return "\n".join(lines + _inputs(sidecar, results)) + "\n"


def locate(what: Path | str, out: Path | str, protocol: str = OURS_PROTOCOL) -> Path:
    """The file that `what` names: a figure's sidecar for an id, else the file itself.

    A file's name alone, such as `fig3-authors.png`, is also looked up in the folders of pictures and tables.

    Raises:
        UnknownPicture: there is no such file, or it is of another kind.
    """
    name = str(what)
    if name in FIGURES:
        stem = ("claims" if name == CLAIMS_FIGURE else f"figures/fig{name}") + file_suffix(protocol)
        path = Path(out) / f"{stem}.json"
        if not is_file(path):
            title = "the claims have" if name == CLAIMS_FIGURE else f"figure {name} has"
            how = with_protocol(f"paper_repro.py figures {name}", protocol)
            raise UnknownPicture(f"{title} not been made in {path.parent}: run `{how}`")
        return path
    path = Path(what)
    if path.name == name and not is_file(path):
        path = next((place for folder in ("figures", ".") if is_file(place := Path(out, folder, name))), path)
    if path.suffix.lstrip(".") not in (*PICTURE_FORMATS, "json"):
        known = ", ".join(FIGURES)
        raise UnknownPicture(
            f"explain needs a .pdf, .png, .svg or .json file, or a figure ({known}), got {path.name!r}"
        )
    if not is_file(path):
        raise UnknownPicture(f"there is no file {path}: run `paper_repro.py figures` to make the figures")
    return path


def _matches(path: Path, sidecar: Mapping[str, Any]) -> str:
    if path.suffix == ".json":
        return "This is the record of what was made." + _pictures(path.parent, sidecar)
    return _recorded(path, sidecar.get("outputs", {}).get(path.name))


def _recorded(path: Path, wanted: str | None) -> str:
    try:
        got = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UnknownPicture(f"{path} cannot be read: {error.strerror}") from None
    if got == wanted:
        return f"The file is the one recorded (sha256 {got[:12]})."
    return f"WARNING: the file is not the one recorded: sha256 {got[:12]}, recorded {str(wanted)[:12]}. It was changed."


def _pictures(folder: Path, sidecar: Mapping[str, Any]) -> str:
    """What is wrong with the pictures next to a sidecar, as further sentences."""
    found = ""
    for name, digest in sidecar.get("outputs", {}).items():
        path = folder / Path(name).name
        try:
            if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
                found += f"\nWARNING: {path.name} is not the picture recorded. It was changed."
        except (FileNotFoundError, IsADirectoryError):
            found += f"\n{path.name} does not exist."
        except OSError as error:
            found += f"\nWARNING: {path.name} cannot be read: {error.strerror}."
    return found


def made_by(sidecar: Mapping[str, Any]) -> list[str]:
    """Lines on the command, the commit, the versions and the machine."""
    made = sidecar.get("provenance", {})
    git = made.get("git") or {}
    versions = made.get("versions") or {}
    dirty = _changes(git, "with uncommitted changes")
    lines = [f"Made by: {sidecar.get('command')}", f"Commit: {git.get('commit') or 'unknown'}{dirty}"]
    lines.append("Versions: " + ", ".join(f"{name} {value}" for name, value in versions.items()))
    lines.append(f"Hardware: {_hardware(made)}, threads: {made.get('threads')}")
    if "code_sha256" in sidecar:
        lines.append(f"Code that draws: sha256 {sidecar['code_sha256'][:12]}")
    if "seconds" in sidecar:
        lines.append(f"Drawn in {sidecar['seconds']} s")
    return [*lines, ""]


def _hardware(made: Mapping[str, Any]) -> str:
    found = made.get("hardware") or {}
    processor = ", ".join(text for text in (str(found.get("cpu")), found.get("instruction_set")) if text)
    return f"{processor}, {found.get('cores')} cores, accelerator {found.get('accelerator') or 'none'}"


def runs(sidecar: Mapping[str, Any]) -> list[str]:
    """Lines on the experiments, studies, runs and seeds that a figure reads."""
    lines = []
    for name, result in sidecar.get("theory", {}).items():
        lines.append(f"Theory {name}: {result['file']}, params {result['params']}, made by {result['command']}")
        lines.append(f"  {_conditions(result['provenance'])}")
    for name, study in sidecar.get("studies", {}).items():
        read = f", read from records in {study['records']}" if study.get("records") else ""
        lines.append(f"Study {name} ({study['scope']}), made by {study['command']}{read}")
        for arm, run in study["arms"].items():
            left_out = "".join(f", {word} {run[word]}" for word in ("diverged", "missing") if run[word])
            lines.append(f"  {arm}: run {run['run']}, seeds {run['seeds']}{left_out}")
        made = [provenance for run in study["arms"].values() for provenance in run["provenance"]]
        lines += [f"  {text}" for text in dict.fromkeys(map(_conditions, made))]
    return [*lines, ""] if lines else []


def _conditions(made: Mapping[str, Any]) -> str:
    """Commit, versions and hardware of one result, in a line."""
    versions = made.get("versions") or {}
    git = made.get("git") or {}
    words = ", ".join(f"{name} {versions[name]}" for name in ("python", "numpy", "scipy", "torch") if name in versions)
    dirty = _changes(git, "with changes")
    commit = str(git.get("commit") or "unknown")[:12]
    return f"made at commit {commit}{dirty}, {words}, on {_hardware(made)}, threads {made.get('threads')}"


def _against(sidecar: Mapping[str, Any]) -> list[str]:
    """Lines on the second set of results of a comparison, and on the differences."""
    if "reference" not in sidecar:
        return []
    lines = ["Compared with:", *(f"  {line}" for line in runs(sidecar["reference"]) if line)]
    return [*lines, *sidecar.get("summary", []), ""]


def missing(sidecar: Mapping[str, Any]) -> list[str]:
    """Lines on the panels and claims that were left out, each with the command that makes it."""
    lines = [f"Left out: {item['panel']}, {item['why']} ({item['command']})" for item in sidecar.get("missing", [])]
    not_run: dict[str, dict[str, None]] = {}
    for claim in sidecar.get("claims", []):
        for row in claim.get("rows", []):
            if row.get("verdict") == "not run":
                not_run.setdefault(str(row.get("command")), {})[str(claim.get("id"))] = None
    lines += [f"Not run: claims {', '.join(ids)} ({command})" for command, ids in not_run.items()]
    lines += [f"Not trusted: {problem.get('message')}" for problem in sidecar.get("problems", [])]
    return [*lines, ""] if lines else []


def _inputs(sidecar: Mapping[str, Any], results: Path | str | None) -> list[str]:
    inputs = sidecar.get("inputs", [])
    lines = [f"Inputs ({len(inputs)} files, sha256):"]
    lines += [f"  {item['sha256'][:12]}  {item['path']}" for item in inputs[:_FILES_SHOWN]]
    more = len(inputs) - _FILES_SHOWN
    lines += [f"  and {more} more, listed in the sidecar"] if more > 0 else []
    return lines + (_standing(inputs, Path(results)) if results is not None and inputs else [])


def _standing(inputs: list[dict[str, str]], results: Path) -> list[str]:
    """Lines on whether the inputs are unchanged in a results folder."""
    try:
        if kind(results) != FOLDER:
            return [
                f"Not compared with the current files: there is no folder {results}: give the folder of the results "
                "with --results"
            ]
    except OSError as error:
        return [f"WARNING: not compared with the current files: {results} cannot be read: {error.strerror}"]
    states = {item["path"]: _state(*place_of(item["path"], results), item["sha256"]) for item in inputs}
    changed = [f"  {state}  {path}" for path, state in states.items() if state != "same"]
    if not changed:
        return [f"All {len(inputs)} inputs are unchanged in {results}."]
    more = [f"  and {len(changed) - _CHANGED_SHOWN} more"] if len(changed) > _CHANGED_SHOWN else []
    head = f"WARNING: {len(changed)} of {len(inputs)} inputs are no longer the same in {results}:"
    return [head, *changed[:_CHANGED_SHOWN], *more, "Run `paper_repro.py figures` to draw the current files."]


def _state(results: Path, name: str, digest: str) -> str:
    parts = PurePosixPath(name).parts
    path = Path(os.path.realpath(results.joinpath(*parts)))
    top = Path(os.path.realpath(results.joinpath(*parts[:1])))
    # an untrusted sidecar must not make us read other folders; but the user may keep `runs` on another disk
    if ".." in parts or name.startswith("/") or not {top, Path(os.path.realpath(results))} & set(path.parents):
        return "outside"
    try:
        same = hashlib.sha256(path.read_bytes()).hexdigest() == digest
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return "gone   "
    except OSError:
        return "closed "
    return "same" if same else "changed"


def _changes(git: Mapping[str, Any], words: str) -> str:
    """Say whether the code had changed since its commit.

    `perhaps` where git was told to ignore changes (`dirty` is None).
    """
    if not git.get("commit") or git.get("dirty") is False:
        return ""
    return f" {words}" if git.get("dirty") else f" perhaps {words}"
