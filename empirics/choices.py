"""The values that a setting may take, and the error for any other.

Imports no other module of the project, so that the command line starts quickly.
"""

import difflib
from typing import Any

MASK_SOURCES = ("own", "run", "shuffled", "random", "dense")
PRUNING = ("iterative", "one-shot")
SCORES_FROM = ("trained", "initialisation")
PERTURB_SCOPES = ("global", "layerwise")
WARMUPS = ("every", "once")
WARMUP_SHAPES = ("linear", "constant")
PRECISIONS = ("float32", "bfloat16")
AS_LONG_AS_LRR = "level + 1"


class ConfigError(ValueError):
    """A setting that cannot be run; the message gives the setting, the value and what to do."""


def check_choice(name: str, known: Any, what: str) -> str:
    """Return `name` if it is among `known`; otherwise raise an error that lists them, nearest first."""
    if name in known:
        return name
    near = difflib.get_close_matches(name, list(known), n=len(list(known)), cutoff=0.0)
    offer = f"did you mean {near[0]!r}? " if near else ""
    raise ConfigError(f"unknown {what} {name!r}: {offer}known: {', '.join(near)}")
