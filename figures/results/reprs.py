"""Short representations of results: small values as they are, arrays and tables by their size.

The package `theory` has the same; a test keeps the two alike.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

# letters of a result and of a value; items that are listed
MOST_OF_RESULT = 400
MOST_OF_VALUE = 60
MOST_LISTED = 4
Kind = TypeVar("Kind", bound=type)


def short_repr(kind: Kind) -> Kind:
    """Give a dataclass a representation of a few lines at most, however large its values are."""
    kind.__repr__ = _represented
    return kind


def _represented(result: Any) -> str:
    parts = (f"{field.name}={format_value(getattr(result, field.name))}" for field in fields(result) if field.repr)
    return f"{type(result).__name__}({_cut(', '.join(parts), MOST_OF_RESULT)})"


def format_value(value: Any) -> str:
    """A value in few letters: arrays by shape, tables by first keys, sequences by length."""
    if hasattr(value, "shape") and hasattr(value, "tolist"):
        return f"<array of shape {value.shape}>" if value.size > MOST_LISTED else _cut(repr(value.tolist()))
    if is_dataclass(value):
        return f"<{type(value).__name__}>"
    if isinstance(value, Mapping):
        if _is_plain(value.values()):
            return _cut(repr(dict(value)))
        keys = ", ".join(str(key) for key in list(value)[:MOST_LISTED])
        return _cut(f"<{_counted(value, 'entries', 'entry')}: {keys}{', ...' if len(value) > MOST_LISTED else ''}>")
    if isinstance(value, (tuple, list, set, frozenset)) and not _is_plain(value):
        return f"<{_counted(value, 'items', 'item')}>"
    return _cut(repr(value))


def _is_plain(values: Collection[Any]) -> bool:
    """Whether values are few, and each is a number, a text, a truth value or None."""
    return len(values) <= MOST_LISTED and all(value is None or isinstance(value, (str, int, float)) for value in values)


def _counted(values: Collection[Any], several: str, one: str) -> str:
    return f"{len(values)} {one if len(values) == 1 else several}"


def _cut(text: str, most: int = MOST_OF_VALUE) -> str:
    return text if len(text) <= most else f"{text[: most - 4]} ..."
