"""What each name in a results folder stands for: a folder, or a regular file.

Something else under such a name is refused before anything is trained, and named by `doctor`. Else a pipe in place of a
level is waited at without end, a folder in place of a record cannot be written over when it is due, and a file in place
of a folder is passed over as if nothing were there. A link at the top of the results counts as what it leads to.
`figures.results.names` reads the same folders.
"""

from collections.abc import Iterator
from pathlib import Path

from empirics.names import level_of, seed_folder, seed_of
from empirics.storage import folders
from empirics.storage.files import StoreError
from empirics.storage.folders import FILE, FOLDER, OTHER

LEASE_FILE, CONFIG_FILE, LEVEL_FILE, SIGNS_FILE, METRICS_FILE = (
    ".lease",
    "config.json",
    "level.json",
    "signs.json",
    "metrics.jsonl",
)
CHECKPOINTS, MANIFEST = "checkpoints", "manifest.jsonl"
TENSORS = ".safetensors"
_FOUND = {FILE: "a file", FOLDER: "a folder", OTHER: "neither a file nor a folder"}


def must_be(*parts: str) -> str | None:
    """`FOLDER` or `FILE`, as whatever has a name in a results folder must be; None for names that are none of ours.

    Args:
        parts: the name, from the results folder down, such as `"runs", "imp-digits-resnet20-0000cafe", "seed-0"`.
    """
    if any(folders.is_of_the_system(part) and part != LEASE_FILE for part in parts):
        return None
    match parts:
        case ("theory" | "studies" | "overlaps" | "runs" | "cache",) | ("runs", _):
            return FOLDER
        case ("theory" | "studies" | "overlaps", name) if name.endswith((".json", ".npz")):
            return FILE
        case ("runs", _, name):
            return FILE if name == CONFIG_FILE else FOLDER if seed_of(name) is not None else None
        case ("runs", _, seed, name) if seed_of(seed) is not None:
            if name in (LEASE_FILE, METRICS_FILE, SIGNS_FILE):
                return FILE
            return FOLDER if name == CHECKPOINTS or level_of(name) is not None else None
        case ("runs", _, seed, folder, name) if seed_of(seed) is not None:
            record = MANIFEST if folder == CHECKPOINTS else LEVEL_FILE if level_of(folder) is not None else None
            return FILE if record and (name == record or name.endswith(TENSORS)) else None
    return None


def wrong(parts: tuple[str, ...], found: str | None) -> str | None:
    """What is wrong with what was found under a name, and what to do; None where nothing is, or nothing is there."""
    expected = must_be(*parts)
    if expected is None or found in (None, expected):
        return None
    name = "/".join(parts)
    return f"{name if name.isprintable() else ascii(name)} is {_FOUND[found]}, and must be a {expected}: move it away"


def refuse_wrong(results: Path, *parts: str) -> None:
    """Refuse something else in place of what a name in the results, or one on the way to it, stands for.

    What may not be looked at, or is a link that leads nowhere, is left to whoever reads it.

    Raises:
        StoreError: naming it.
    """
    for depth in range(1, len(parts) + 1):
        try:
            found = folders.kind(results.joinpath(*parts[:depth]))
        except OSError:
            return
        if (text := wrong(parts[:depth], found)) is not None:
            raise StoreError(text)


def refuse_wrong_run(results: Path, run: str, seed: int) -> None:
    """As `refuse_wrong`, for a run and all that lies in the folder of its seed.

    Raises:
        StoreError: naming the first that is wrong.
    """
    refuse_wrong(results, "runs", run, CONFIG_FILE)
    refuse_wrong(results, "runs", run, seed_folder(seed))
    for text in wrong_within(results, results / "runs" / run / seed_folder(seed)):
        raise StoreError(text)


def wrong_within(results: Path, folder: Path) -> Iterator[str]:
    """What is wrong with each thing in a folder of the results, in the order of `folders.walk`; links are left out."""
    for entry in folders.walk(folder, on_error=lambda error: None):
        if not entry.is_symlink():
            text = wrong(Path(entry.path).relative_to(results).parts, folders.kind_of_entry(entry))
            if text is not None:
                yield text
