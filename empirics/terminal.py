"""Standard streams that always exist and accept every character.

A process may be started without them (`2>&-`), its terminal may support only ASCII or Latin-1, or may be closed before
the process ends.
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
    """Make standard output and error writable; the former streams are restored at the end.

    A character that a stream's encoding lacks is replaced by the nearest one that it has. Messages that cannot be
    written are dropped and the program continues; but a closed pipe ends the program, as in `... 2>&1 | head`.
    """
    _open_descriptors()
    before = sys.stdout, sys.stderr
    output, messages = (stream or open(os.devnull, "w", encoding="utf-8") for stream in before)
    handlers = {}
    for stream in (output, messages):
        if hasattr(stream, "reconfigure"):  # streams of a notebook have no `reconfigure`, and accept every character
            handlers.setdefault(stream, stream.errors)
            stream.reconfigure(errors=READABLE)
    sys.stdout = output
    sys.stderr = _Messages(messages)
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
    """Standard error that drops what it cannot write; only a closed pipe is an error.

    See `usable_streams`.
    """

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write a text, or drop it."""
        with _lost():
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Write the buffered text, or drop it."""
        with _lost():
            self._stream.flush()


@contextlib.contextmanager
def _lost() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError:  # a closed terminal, a full disk with `2> file`
        pass


def _open_descriptors() -> None:
    """Open the null device for each closed descriptor of the standard streams.

    Otherwise the next file opened would get its number, and messages of libraries and of other processes would be
    written into that file.
    """
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            # the lowest number that is free, which is this one
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def _flush_or_drop(stream: Any) -> None:
    """Write a stream's buffered text; if that fails, send it to the null device.

    Otherwise Python would print an error at exit.
    """
    try:
        stream.flush()
    except (OSError, ValueError):
        with contextlib.suppress(OSError, ValueError):
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, stream.fileno())
            os.close(null)
            stream.flush()


def _readable(error: UnicodeError) -> tuple[str, int]:
    """Handle an encoding error: replace characters that the encoding lacks by ASCII ones."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    said = []
    before = ""
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
