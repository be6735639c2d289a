"""What a theory result file says, checked experiment by experiment before anything is drawn."""

import io
import math
import re
import zipfile
from collections.abc import Mapping

from figures.results.fields import (
    FRACTION,
    FRACTIONS,
    NAME,
    NUMBER,
    POSITIVE,
    SCHEMA,
    SIGNED_FRACTION,
    TABLE,
    TEXT,
    TRUTH,
    WHOLE,
    Check,
    ResultError,
    exactly,
    must,
    or_null,
    take,
)
from figures.results.neuron_records import check_basins, check_dimension, check_finite, check_hidden, check_large_steps

LARGEST_ARRAYS = 512 * 2**20
PHASES = ("dense", "imp", "lrr")
EFFECTS = ("signs", "magnitudes", "interaction")
_COUNT_LIST = Check(lambda v: isinstance(v, list) and v and all(map(WHOLE.test, v)), "a list of whole numbers >= 0")
_HEAD = {
    "schema": exactly(SCHEMA),
    "kind": exactly("theory"),
    "experiment": NAME,
    "params": TABLE,
    "values": TABLE,
    "arrays": or_null(TABLE),
    "command": TEXT,
    "provenance": TABLE,
}
_INTERVAL = {"value": SIGNED_FRACTION, "low": SIGNED_FRACTION, "high": SIGNED_FRACTION}


def parse_theory(data: dict, file: str) -> dict:
    """The checked head of a theory JSON file; its values are checked by `check_values`."""
    found = take(data, _HEAD, file)
    _finite(found["values"], file, "values")
    if found["arrays"] is not None:
        stem = file.rsplit("/", 1)[-1].removesuffix(".json")
        head = {"file": exactly(stem + ".npz"), "sha256": TEXT, "names": TABLE}
        take(found["arrays"], head, file, "arrays")
    return found


def _finite(value, file, within):
    if isinstance(value, dict):
        for name, inner in value.items():
            _finite(inner, file, f"{within}.{name}")
    elif isinstance(value, list):
        for inner in value:
            _finite(inner, file, within)
    elif isinstance(value, float):
        must(math.isfinite(value), file, within, value, "a finite number")


def parse_arrays(content: bytes, names: Mapping, file: str) -> dict:
    """The named arrays of an npz file (never pickled), finite and of the shapes that the JSON file states."""
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
        must(size <= LARGEST_ARRAYS, file, "the arrays", f"{size} bytes", f"at most {LARGEST_ARRAYS} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ResultError:
        raise
    except Exception as error:  # a hostile zip raises from many modules
        said = re.sub(r" <[^<>]* object at 0x[0-9a-fA-F]+>", "", str(error))[:60]
        raise ResultError(file, "the file", said, "an npz file without pickled objects") from None
    for name, shape in names.items():
        must(name in arrays, file, name, "nothing", "an array named in the JSON file")
        array = arrays[name]
        must(list(array.shape) == list(shape), file, name, list(array.shape), f"of shape {shape}")
        must(array.dtype.kind in "biuf" and bool(np.isfinite(array).all()), file, name, array.dtype, "finite numbers")
    return arrays


def check_values(experiment: str, values: Mapping, arrays: Mapping, file: str) -> None:
    """Check what the figures and claims take from a known experiment; an unknown one passes."""
    checker = CHECKERS.get(experiment)
    if checker is not None:
        checker(values, arrays, file)


def _shapes(arrays, wanted, file):
    for name, dimensions in wanted.items():
        must(name in arrays, file, f"arrays.{name}", "nothing", "an array (the field is missing)")
        must(arrays[name].ndim == dimensions, file, f"arrays.{name}", arrays[name].shape, f"{dimensions}-dimensional")


def _quadrants(values, arrays, file):
    shapes = {
        "grid_a": 1,
        "grid_w": 1,
        "field_a": 2,
        "field_w": 2,
        "verdict": 2,
        "separatrix": 2,
        "minimum": 2,
        "trajectories": 3,
        "trajectory_verdict": 1,
        "balanced": 1,
    }
    _shapes(arrays, shapes, file)
    grid = (len(arrays["grid_w"]), len(arrays["grid_a"]))
    for name in ("field_a", "field_w", "verdict"):
        must(arrays[name].shape == grid, file, f"arrays.{name}", arrays[name].shape, f"of shape {grid}")
    for name, counts in take(values, {"quadrants": TABLE}, file, "values")["quadrants"].items():
        within = f"values.quadrants.{name}"
        found = take(counts, {"starts": POSITIVE, "learns": WHOLE}, file, within)
        must(found["learns"] <= found["starts"], file, f"{within}.learns", found["learns"], "at most the starts")


def _stories(values, arrays, file):
    for phase in PHASES:
        _shapes(arrays, {f"{phase}_times": 1, f"{phase}_a": 1, f"{phase}_w": 2, f"{phase}_loss": 1}, file)
    phases = dict.fromkeys(PHASES, TEXT)
    found = take(values, {"verdict": TABLE, "limit": TABLE, "start": TABLE}, file, "values")
    take(found["verdict"], phases, file, "values.verdict")
    point = Check(lambda v: isinstance(v, list) and len(v) == 2 and all(map(NUMBER.test, v)), "two numbers")
    for where in ("start", "limit"):
        for phase, value in take(found[where], dict.fromkeys(PHASES, TABLE), file, f"values.{where}").items():
            take(value, {"a": NUMBER, "w": point}, file, f"values.{where}.{phase}")


def _pruning_iterations(values, arrays, file):
    found = take(values, {"d": POSITIVE, "survivors": _COUNT_LIST, "trials": POSITIVE, "rules": TABLE}, file, "values")
    levels = len(found["survivors"])
    lists = {
        "successes": _COUNT_LIST,
        "low": FRACTIONS,
        "high": FRACTIONS,
        "exact": FRACTIONS,
        "mask_recovered": _COUNT_LIST,
    }
    for rule in take(found["rules"], {"imp": TABLE, "lrr": TABLE}, file, "values.rules"):
        within = f"values.rules.{rule}"
        for name, numbers in take(found["rules"][rule], lists, file, within).items():
            must(len(numbers) == levels, file, f"{within}.{name}", numbers, f"{levels} numbers, one a level")
        for name in ("successes", "mask_recovered"):
            most = max(found["rules"][rule][name])
            must(most <= found["trials"], file, f"{within}.{name}", most, f"at most the {found['trials']} trials")


def _factorial(values, arrays, file):
    found = take(values, {"d": POSITIVE, "trials": POSITIVE, "inits": TABLE}, file, "values")
    cell = {"successes": WHOLE, "trials": POSITIVE, "low": FRACTION, "high": FRACTION, "exact": FRACTION}
    for init, content in take(found["inits"], {"balanced": TABLE, "normal": TABLE}, file, "values.inits").items():
        within = f"values.inits.{init}"
        for rule in ("imp", "sign", "magnitude", "lrr"):
            got = take(take(content, {rule: TABLE}, file, within)[rule], cell, file, f"{within}.{rule}")
            must(got["successes"] <= got["trials"], file, f"{within}.{rule}", got["successes"], "at most the trials")
        extra = take(content, {"effects": TABLE, "difference": TABLE}, file, within)
        for name in EFFECTS:
            take(take(extra["effects"], {name: TABLE}, file, within)[name], _INTERVAL, file, f"{within}.effects.{name}")
        difference = take(extra["difference"], {"lrr - imp": TABLE}, file, f"{within}.difference")
        take(difference["lrr - imp"], _INTERVAL, file, f"{within}.difference")


def _theorem_check(values, arrays, file):
    wanted = {
        "starts": POSITIVE,
        "contradictions": WHOLE,
        "low": FRACTION,
        "high": FRACTION,
        "symbolic": TRUTH,
        "statement": TEXT,
    }
    claims = take(values, {"claims": TABLE}, file, "values")["claims"]
    for claim in ("1", "2"):
        within = f"values.claims.{claim}"
        found = take(take(claims, {claim: TABLE}, file, "values.claims")[claim], wanted, file, within)
        must(
            found["contradictions"] <= found["starts"],
            file,
            f"{within}.contradictions",
            found["contradictions"],
            "at most the starts",
        )


CHECKERS = {
    "quadrants": _quadrants,
    "stories": _stories,
    "pruning-iterations": _pruning_iterations,
    "factorial": _factorial,
    "theorem-check": _theorem_check,
    "dimension": check_dimension,
    "basins": check_basins,
    "sample-size": check_finite,
    "mask-recovery": check_finite,
    "large-steps": check_large_steps,
    "hidden-neurons": check_hidden,
}
