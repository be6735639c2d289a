"""Standard streams that a command can count on: there, and able to take every character.

A process may be started without them (`2>&-`), its terminal may know ASCII or Latin-1 alone, or be gone before it ends.
"""

import codecs
import contextlib
import os
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

READABLE = "paper-repro-readable"
_ALIKE = str.maketrans({"•": "*", "−": "-", "–": "-", "·": ".", "′": "'", "’": "'", "‘": "'", "“": '"', "”": '"'})
_RAISED = {"<super>": "^", "<sub>": "_"}


@contextlib.contextmanager
def usable_streams() -> Iterator[None]:
    """Standard output and error that can be written to; the former ones return at the end.

    A character that a stream's encoding lacks is written as the nearest that it has. Messages that cannot be written
    are lost, and the work goes on; but a pipe that nobody reads any more ends it, as in `... 2>&1 | head`.
    """
    _open_descriptors()
    before = sys.stdout, sys.stderr
    output, messages = (stream or open(os.devnull, "w", encoding="utf-8") for stream in before)
    handlers = {}
    for stream in (output, messages):
        if hasattr(stream, "reconfigure"):  # a notebook's are of another kind, and take every character
            handlers.setdefault(stream, stream.errors)
            stream.reconfigure(errors=READABLE)
    sys.stdout, sys.stderr = output, _Messages(messages)
    try:
        yield
    finally:
        sys.stdout, sys.stderr = before
        for stream, handler in handlers.items():
            _flush_or_drop(stream)
            stream.reconfigure(errors=handler)
            if stream not in before:
                stream.close()


class _Messages:
    """Standard error of which nothing ends the work but a reader that has gone: see `usable_streams`."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or lose it."""
        with _lost():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write what has been kept back, or lose it."""
        with _lost():
            self._stream.flush()


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:  # a terminal that is gone, a full disk behind `2> file`
        pass


def _open_descriptors() -> None:
    """Put the null device where a descriptor of the standard streams is closed.

    The next file opened would take its number, and messages of libraries and of other processes would go into it.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _flush_or_drop(stream: Any) -> None:
    """Write what a stream keeps back; where that fails, have it go nowhere, or Python would complain as it ends."""
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
            stream.flush()


def _readable(error: UnicodeError) -> tuple[str, int]:
    """The handler of encoding errors: characters that an encoding lacks, by others that every encoding has."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    said, before = [], ""
    for character in error.object[error.start : error.end].translate(_ALIKE):
        raised = _RAISED.get(unicodedata.decomposition(character).partition(" ")[0], "")
        said.append(raised * (raised != before) + _in_ascii(character))
        before = raised
    return "".join(said), error.end


def _in_ascii(character: str) -> str:
    alike = unicodedata.normalize("NFKD", character).translate(_ALIKE).encode("ascii", "ignore").decode()
    name = unicodedata.name(character, "")
    if not alike and name.startswith("GREEK SMALL LETTER "):
        return name.removeprefix("GREEK SMALL LETTER ").lower()
    return alike or ascii(character)[1:-1]


codecs.register_error(READABLE, _readable)
