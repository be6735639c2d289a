"""The required kind of each name in a results folder: a folder, or a regular file.

Anything of another kind is refused before training, and reported by `doctor`. Otherwise a pipe in place of a level
would block forever, a folder in place of a record could not be overwritten, and a file in place of a folder would be
skipped as if it did not exist. A link at the top of the results counts as its target. `figures.results.names` reads
the same folders.
"""

from collections.abc import Iterator
from pathlib import Path

from empirics.names import level_of, seed_folder, seed_of
from empirics.storage import folders
from empirics.storage.files import StoreError
from empirics.storage.folders import FILE, FOLDER, OTHER

LEASE_FILE = ".lease"
CONFIG_FILE = "config.json"
LEVEL_FILE = "level.json"
SIGNS_FILE = "signs.json"
METRICS_FILE = "metrics.jsonl"
CHECKPOINTS = "checkpoints"
TENSORS = ".safetensors"
PACKED = ".json.gz"  # the records of a run and seed without weights, in a folder of records
_FOUND = {FILE: "a file", FOLDER: "a folder", OTHER: "neither a file nor a folder"}


def must_be(*parts: str) -> str | None:
    """The required kind of a name in a results folder: `FOLDER` or `FILE`; None for any other name.

    Args:
        parts: the path, relative to the results folder, such as `"runs", "imp-digits-resnet20-0000cafe", "seed-0"`.
    """
    if any(folders.is_of_the_system(part) and part != LEASE_FILE for part in parts):
        return None
    match parts:
        case ("theory" | "studies" | "overlaps" | "connectivity" | "runs" | "cache",) | ("runs", _):
            return FOLDER
        case ("theory" | "studies" | "overlaps" | "connectivity", name) if name.endswith((".json", ".npz")):
            return FILE
        case ("runs", _, name):
            if name == CONFIG_FILE or seed_of(name.removesuffix(PACKED)) is not None and name.endswith(PACKED):
                return FILE
            return FOLDER if seed_of(name) is not None else None
        case ("runs", _, seed, name) if seed_of(seed) is not None:
            if name in (LEASE_FILE, METRICS_FILE, SIGNS_FILE):
                return FILE
            return FOLDER if name == CHECKPOINTS or level_of(name) is not None else None
        case ("runs", _, seed, folder, name) if seed_of(seed) is not None:
            is_level = level_of(folder) is not None
            tensors = name.endswith(TENSORS) and (is_level or folder == CHECKPOINTS)
            return FILE if tensors or is_level and name == LEVEL_FILE else None
    return None


def wrong(parts: tuple[str, ...], found: str | None) -> str | None:
    """The error for a path of kind `found`; None if the kind is right or nothing exists there."""
    expected = must_be(*parts)
    if expected is None or found in (None, expected):
        return None
    name = "/".join(parts)
    return f"{name if name.isprintable() else ascii(name)} is {_FOUND[found]}, and must be a {expected}: move it away"


def refuse_wrong(results: Path, *parts: str) -> None:
    """Refuse a path in the results that is, or lies in, something of the wrong kind.

    Paths that cannot be accessed, and broken links, are reported when they are read.

    Raises:
        StoreError: names the path.
    """
    for depth in range(1, len(parts) + 1):
        try:
            found = folders.kind(results.joinpath(*parts[:depth]))
        except OSError:
            return
        if (text := wrong(parts[:depth], found)) is not None:
            raise StoreError(text)


def refuse_wrong_run(results: Path, run: str, seed: int) -> None:
    """As `refuse_wrong`, for a run and everything in the folder of its seed.

    Raises:
        StoreError: names the first wrong path.
    """
    refuse_wrong(results, "runs", run, CONFIG_FILE)
    refuse_wrong(results, "runs", run, seed_folder(seed))
    for text in wrong_within(results, results / "runs" / run / seed_folder(seed)):
        raise StoreError(text)


def wrong_within(results: Path, folder: Path) -> Iterator[str]:
    """The errors of all paths of the wrong kind in a folder of the results; links are left out.

    They come in the order of `folders.walk`.
    """
    for entry in folders.walk(folder, on_error=lambda error: None):
        if not entry.is_symlink():
            text = wrong(Path(entry.path).relative_to(results).parts, folders.kind_of_entry(entry))
            if text is not None:
                yield text
