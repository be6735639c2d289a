"""The records of a run and seed in one compressed file, as `empirics` writes them. Pure.

Such files are in folders of records that are kept with the code. They hold no weights.
"""

import zlib
from typing import Literal

from figures.results.fields import Head, LongWhole, Name, convert, parse_json, require, verify_checksum
from figures.results.names import level_of

LARGEST_TEXT = 2**26
_AGAIN = "take the file from version control again, or record the seed anew"


class _PackedFile(Head[Literal["seed"]], frozen=True):
    run: Name
    seed: LongWhole
    files: dict[str, str]


def unpack(content: bytes, file: str, run: str, seed: int) -> dict[str, bytes]:
    """The records in a packed file, by their names within the folder of the seed, as they were written.

    Parameters
    ----------
    content : the bytes of the file.
    file : its name, for errors.
    run, seed : whose records they must be.

    Raises
    ------
    ResultError : it is damaged or was edited, or holds the records of another run or seed.
    """
    try:
        reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
        text = reader.decompress(content, LARGEST_TEXT)
        whole = reader.eof
    except zlib.error:
        text = b""
        whole = False
    require(whole, file, "the file", f"{len(content)} bytes", f"gzip of at most {LARGEST_TEXT} bytes", _AGAIN)
    data = parse_json(text, file)
    verify_checksum(data, file)
    found = convert(data, _PackedFile, file)
    for name, got, place in (("run", found.run, run), ("seed", found.seed, seed)):
        require(got == place, file, name, got, f"{place!r}, as its name says", "move it back")
    return {name: text.encode() for name, text in found.files.items()}


def levels_in(files: dict[str, bytes]) -> list[tuple[int, str]]:
    """The levels in the records of a seed, each with the name of its record, sorted by number."""
    folders = ((level_of(name.removesuffix("/level.json")), name) for name in files if name.endswith("/level.json"))
    return sorted((number, name) for number, name in folders if number is not None)
