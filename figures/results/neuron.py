"""The contents of theory result files, checked experiment by experiment before anything is drawn."""

import io
import math
import re
import zipfile
from collections.abc import Mapping, Sequence
from itertools import product

from figures.results.fields import (
    COUNTS,
    FRACTION,
    FRACTIONS,
    NAME,
    NUMBER,
    POSITIVE,
    SCHEMA_IS,
    SIGNED_FRACTION,
    TABLE,
    TEXT,
    TRUTH,
    WHOLE,
    Check,
    ResultError,
    exactly,
    or_null,
    require,
    validate,
)

RULES = ("imp", "lrr")
INITS = ("balanced", "normal")  # of every result; those of later ones may have more
LIST = Check(lambda v: isinstance(v, list) and len(v) > 0, "a list")
INPUT_LIST = Check(lambda v: isinstance(v, list) and v and all(map(POSITIVE.test, v)), "a list of whole numbers > 0")
RATIO_LIST = Check(lambda v: isinstance(v, list) and v and all(NUMBER.test(r) and r > 0 for r in v), "numbers > 0")
LEVEL_LIST = Check(lambda v: isinstance(v, list) and v and all(NUMBER.test(r) and r >= 0 for r in v), "numbers >= 0")
INTERVAL = {"value": SIGNED_FRACTION, "low": SIGNED_FRACTION, "high": SIGNED_FRACTION}
SUCCESS = {"successes": WHOLE, "trials": POSITIVE, "low": FRACTION, "high": FRACTION, "exact": FRACTION}
_RESTED = {"successes": WHOLE, "trials": POSITIVE, "low": FRACTION, "high": FRACTION, "unsettled": WHOLE}
WORDS = Check(lambda v: isinstance(v, list) and v and all(isinstance(w, str) for w in v), "a list of words")
WITNESSES = {"starts": POSITIVE, "learns": WHOLE, "fails": WHOLE, "undecided": WHOLE, "contradictions": WHOLE}


def check_dimension(values: Mapping, arrays: Mapping, file: str) -> None:
    """Check `dimension`: success over the number of inputs d.

    It has counts with intervals over d for each kind of start, paired differences, and claim 13's effect.
    """
    head = {"dimensions": INPUT_LIST, "trials": POSITIVE, "compared": INPUT_LIST, "inits": TABLE}
    found = validate(values, head, file, "values")
    for init in validate(found["inits"], dict.fromkeys((*INITS, *found["inits"]), TABLE), file, "values.inits"):
        content, within = found["inits"][init], f"values.inits.{init}"
        lists = dict.fromkeys((*RULES, "switches", "lrr - imp"), LIST)
        for name, rows in validate(content, lists, file, within).items():
            shape = INTERVAL if name == "lrr - imp" else SUCCESS
            table(rows, len(found["dimensions"]), shape, file, f"{within}.{name}")
        effect = validate(content, {"overparametrisation": TABLE}, file, within)["overparametrisation"]
        validate(effect, INTERVAL, file, f"{within}.overparametrisation")


def check_basins(values: Mapping, arrays: Mapping, file: str) -> None:
    """Check `basins`: which starts learn, for any balance.

    It has the separatrix, computed witnesses with their counts, success over s_w / s_a and its exact curves.
    """
    head = {"dimensions": INPUT_LIST, "ratios": RATIO_LIST, "trials": POSITIVE, "witnesses": TABLE, "success": TABLE}
    found = validate(values, head, file, "values")
    for panel in validate(found["witnesses"], {"one": TABLE, "several": TABLE}, file, "values.witnesses"):
        counts = validate(found["witnesses"][panel], WITNESSES, file, f"values.witnesses.{panel}")
        shaped(arrays, f"{panel}_start", (counts["starts"], 2), file)
        shaped(arrays, f"{panel}_verdict", (counts["starts"],), file)
    validate(found["witnesses"]["several"], {"d": INPUT_LIST}, file, "values.witnesses.several")
    rows = len(found["dimensions"])
    for rule, lists in validate(found["success"], dict.fromkeys(RULES, LIST), file, "values.success").items():
        require(len(lists) == rows, file, f"values.success.{rule}", len(lists), f"{rows} lists, one a dimension")
        for cells in lists:
            table(cells, len(found["ratios"]), SUCCESS, file, f"values.success.{rule}")
        shaped(arrays, f"curve_{rule}", (rows, None), file)
    shaped(arrays, "separatrix", (None, 2), file)
    shaped(arrays, "curve_lrr", arrays["curve_imp"].shape, file)
    shaped(arrays, "curve_ratio", arrays["curve_imp"].shape[1:], file)


def check_finite(values: Mapping, arrays: Mapping, file: str) -> None:
    """Check `sample-size` and `mask-recovery`.

    They have a cell of counts and paired differences for each sample size and noise.
    """
    head = {
        "d": POSITIVE,
        "survivors": INPUT_LIST,
        "trials": POSITIVE,
        "ratios": RATIO_LIST,
        "noises": LEVEL_LIST,
        "cells": LIST,
    }
    found = validate(values, {**head, "population": TABLE}, file, "values")
    validate(found["population"], dict.fromkeys(RULES, FRACTION), file, "values.population")
    wanted = {(ratio, noise) for ratio in found["ratios"] for noise in found["noises"]}
    fields = {"ratio": NUMBER, "n": POSITIVE, "noise": NUMBER} | dict.fromkeys(RULES, TABLE)
    differences = dict.fromkeys(("lrr - imp, learns", "lrr - imp, recovered"), TABLE)
    for cell in found["cells"]:
        got = validate(cell, fields | differences, file, "values.cells")
        for name in differences:
            validate(got[name], INTERVAL, file, f"values.cells.{name}")
        for rule in RULES:
            _counts(got[rule], file, f"values.cells.{rule}")
    got = {(cell["ratio"], cell["noise"]) for cell in found["cells"]}
    require(got == wanted, file, "values.cells", sorted(got), "one for each ratio and noise")
    if "decides" in values:
        chosen = validate(values["decides"], {"ratio": NUMBER, "noise": NUMBER}, file, "values.decides")
        require(tuple(chosen.values()) in wanted, file, "values.decides", chosen, "one of the conditions")


def _counts(content: Mapping, file: str, within: str) -> None:
    head = {"trials": POSITIVE, "unsettled": WHOLE, "learns": TABLE, "recovered": TABLE}
    found = validate(content, head, file, within)
    for name in ("learns", "recovered"):
        got = validate(found[name], {"count": WHOLE, "low": FRACTION, "high": FRACTION}, file, f"{within}.{name}")
        require(got["count"] <= found["trials"], file, f"{within}.{name}", got["count"], "at most the trials")


def check_pruned_samples(values: Mapping, arrays: Mapping, file: str) -> None:
    """Check `pruned-samples`.

    It has counts and paired differences for each end, start, kind of inputs, noise and sample size, and the exact
    probabilities that are known.
    """
    axes = {"ends": INPUT_LIST, "inits": WORDS, "inputs": WORDS, "noises": LEVEL_LIST, "sizes": INPUT_LIST}
    head = {"d": POSITIVE, "trials": POSITIVE, "schedules": LIST, "exact": LIST, "cells": LIST}
    found = validate(values, axes | head, file, "values")
    ends = [survivors[-1] for survivors in found["schedules"] if INPUT_LIST.test(survivors)]
    require(ends == found["ends"], file, "values.schedules", ends, f"lists of inputs that end at {found['ends']}")
    fields = {"end": POSITIVE, "init": TEXT, "inputs": TEXT, "noise": NUMBER, "n": POSITIVE, "lrr - imp": TABLE}
    for cell in found["cells"]:
        got = validate(cell, fields | dict.fromkeys(RULES, TABLE), file, "values.cells")
        validate(got["lrr - imp"], INTERVAL, file, "values.cells.lrr - imp")
        for rule in RULES:
            counts = validate(got[rule], _RESTED, file, f"values.cells.{rule}")
            both = counts["successes"] + counts["unsettled"]
            require(both <= counts["trials"], file, f"values.cells.{rule}", both, "at most the trials")
    wanted = sorted(product(*(found[name] for name in axes)))
    got = sorted(tuple(cell[name] for name in ("end", "init", "inputs", "noise", "n")) for cell in found["cells"])
    require(got == wanted, file, "values.cells", f"{len(got)} cells", "one for each condition")
    for row in found["exact"]:
        validate(row, {"end": POSITIVE, "init": TEXT} | dict.fromkeys(RULES, or_null(FRACTION)), file, "values.exact")
    got = sorted((row["end"], row["init"]) for row in found["exact"])
    wanted = sorted(product(found["ends"], found["inits"]))
    require(got == wanted, file, "values.exact", got, "one for each end and start")


def table(rows: Sequence, number: int, fields: Mapping[str, Check], file: str, within: str) -> None:
    """Check a list of `number` objects, each with these fields.

    No count of successes may be above its trials.
    """
    require(isinstance(rows, list) and len(rows) == number, file, within, rows, f"a list of {number} objects")
    for row in rows:
        got = validate(row, fields, file, within)
        if "successes" in got:
            require(got["successes"] <= got["trials"], file, within, got["successes"], "at most the trials")


def shaped(arrays: Mapping, name: str, shape: Sequence[int | None], file: str) -> None:
    """Check that an array exists and has a shape; None means any length."""
    require(name in arrays, file, f"arrays.{name}", "nothing", "an array (the field is missing)")
    got = arrays[name].shape
    fits = len(got) == len(shape) and all(want in (None, have) for have, want in zip(got, shape, strict=True))
    require(fits, file, f"arrays.{name}", got, f"of shape {tuple('any' if n is None else n for n in shape)}")


# --- numerical sweeps: `large-steps`, `hidden-neurons`

DESCENT = {"status": WORDS, "steps": COUNTS, "least_loss": LIST, "c": LIST}
HIDDEN_STATUSES = ("learned", "stationary", "undecided")


def check_large_steps(values: Mapping, arrays: Mapping, file: str) -> None:
    """Check `large-steps`: gradient descent with large steps.

    It has runs over the step for each angle and in d = 1, runs kept step by step, and runs after a push.
    """
    head = {"step": RATIO_LIST, "learned_below": NUMBER, "starts": LIST, "d1": TABLE, "shown": LIST, "pushed": TABLE}
    found = validate(values, head, file, "values")
    number = len(found["step"])
    for start in found["starts"]:
        validate(start, {"angle": NUMBER}, file, "values.starts")
        _descents(start, number, file, "values.starts")
    _descents(found["d1"], number, file, "values.d1")
    validate(found["d1"], {"largest_c": NUMBER}, file, "values.d1")
    for i, run in enumerate(found["shown"]):
        validate(run, {"d": POSITIVE, "angle": NUMBER, "step": NUMBER, "steps": WHOLE}, file, "values.shown")
        shaped(arrays, f"shown_{i}_at", (None,), file)
        for part in ("loss", "c"):
            shaped(arrays, f"shown_{i}_{part}", arrays[f"shown_{i}_at"].shape, file)
    minima = validate(found["pushed"], {"push": NUMBER, "left": NUMBER, "minima": LIST}, file, "values.pushed")[
        "minima"
    ]
    for minimum in minima:
        got = validate(
            minimum, {"balance": NUMBER, "limit": NUMBER, "step": RATIO_LIST, "left": LIST}, file, "values.pushed"
        )
        require(len(got["left"]) == len(got["step"]), file, "values.pushed.left", got["left"], "one a step")
        _descents(minimum, len(got["step"]), file, "values.pushed")


def _descents(content: Mapping, number: int, file: str, within: str) -> None:
    for name, column in validate(content, DESCENT, file, within).items():
        require(len(column) == number, file, f"{within}.{name}", column, f"{number} entries, one a step")
        if name in ("least_loss", "c"):
            require(all(map(or_null(NUMBER).test, column)), file, f"{within}.{name}", column, "numbers or null")


def check_hidden(values: Mapping, arrays: Mapping, file: str) -> None:
    """Check `hidden-neurons`: IMP and LRR on several hidden neurons.

    For each d and k it has counts by level and status, the heuristic, the agreement with it and a paired difference.
    """
    head = {"dimensions": INPUT_LIST, "neurons": INPUT_LIST, "trials": POSITIVE, "prune_rate": NUMBER, "cells": LIST}
    found = validate(values, head | {"criterion": TABLE}, file, "values")
    validate(found["criterion"], {"learned": NUMBER, "stationary": NUMBER}, file, "values.criterion")
    wanted = {(d, k) for d in found["dimensions"] for k in found["neurons"]}
    for cell in found["cells"]:
        fields = {"d": POSITIVE, "k": POSITIVE, "survivors": INPUT_LIST, "difference": TABLE} | dict.fromkeys(
            RULES, TABLE
        )
        got = validate(cell, fields, file, "values.cells")
        for rule in RULES:
            _ends(got[rule], len(got["survivors"]), file, f"values.cells.{rule}")
        lead = validate(got["difference"], {"lrr - imp": TABLE}, file, "values.cells.difference")["lrr - imp"]
        validate(lead, INTERVAL, file, "values.cells.difference")
        for rule, exact in cell.get("against_exact", {}).items():
            validate(exact, {"exact": FRACTION, "contradictions": WHOLE}, file, f"values.cells.against_exact.{rule}")
    got = {(cell["d"], cell["k"]) for cell in found["cells"]}
    require(got == wanted, file, "values.cells", sorted(got), "one for each d and k")


def _ends(content: Mapping, levels: int, file: str, within: str) -> None:
    counts = {"successes": WHOLE, "trials": POSITIVE, "n_as_predicted": WHOLE, "n_contradicting": WHOLE}
    shares = dict.fromkeys(("low", "high", "heuristic"), FRACTION)
    found = validate(content, counts | shares | dict.fromkeys(HIDDEN_STATUSES, COUNTS), file, within)
    sums = [sum(level) for level in zip(*(found[name] for name in HIDDEN_STATUSES), strict=False)]
    require(sums == [found["trials"]] * levels, file, within, sums, f"{levels} levels of {found['trials']} trials")
    last = found["learned"][-1]
    require(found["successes"] == last, file, f"{within}.successes", found["successes"], f"{last}, the last level's")


LARGEST_ARRAYS = 512 * 2**20
PHASES = ("dense", "imp", "lrr")
EFFECTS = ("signs", "magnitudes", "interaction")
_COUNT_LIST = Check(lambda v: isinstance(v, list) and v and all(map(WHOLE.test, v)), "a list of whole numbers >= 0")
_HEAD = {
    "schema": SCHEMA_IS,
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
    found = validate(data, _HEAD, file)
    _finite(found["values"], file, "values")
    if found["arrays"] is not None:
        stem = file.rsplit("/", 1)[-1].removesuffix(".json")
        head = {"file": exactly(stem + ".npz"), "sha256": TEXT, "names": TABLE}
        validate(found["arrays"], head, file, "arrays")
    return found


def _finite(value, file, within):
    if isinstance(value, dict):
        for name, inner in value.items():
            _finite(inner, file, f"{within}.{name}")
    elif isinstance(value, list):
        for inner in value:
            _finite(inner, file, within)
    elif isinstance(value, float):
        require(math.isfinite(value), file, within, value, "a finite number")


def parse_arrays(content: bytes, names: Mapping, file: str) -> dict:
    """The named arrays of an npz file (never pickled).

    They must be finite and have the shapes that the JSON file states.
    """
    import numpy as np

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(item.file_size for item in archive.infolist())
        require(size <= LARGEST_ARRAYS, file, "the arrays", f"{size} bytes", f"at most {LARGEST_ARRAYS} bytes")
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except ResultError:
        raise
    except Exception as error:  # a malicious zip file raises errors of many modules
        said = re.sub(r" <[^<>]* object at 0x[0-9a-fA-F]+>", "", str(error))[:60]
        raise ResultError(file, "the file", said, "an npz file without pickled objects") from None
    for name, shape in names.items():
        require(name in arrays, file, name, "nothing", "an array named in the JSON file")
        array = arrays[name]
        require(list(array.shape) == list(shape), file, name, list(array.shape), f"of shape {shape}")
        require(
            array.dtype.kind in "biuf" and bool(np.isfinite(array).all()), file, name, array.dtype, "finite numbers"
        )
    return arrays


def check_values(experiment: str, values: Mapping, arrays: Mapping, file: str) -> None:
    """Check the values that figures and claims use of a known experiment; unknown ones are not checked."""
    checker = CHECKERS.get(experiment)
    if checker is not None:
        checker(values, arrays, file)


def _shapes(arrays, wanted, file):
    for name, dimensions in wanted.items():
        require(name in arrays, file, f"arrays.{name}", "nothing", "an array (the field is missing)")
        require(
            arrays[name].ndim == dimensions, file, f"arrays.{name}", arrays[name].shape, f"{dimensions}-dimensional"
        )


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
        require(arrays[name].shape == grid, file, f"arrays.{name}", arrays[name].shape, f"of shape {grid}")
    for name, counts in validate(values, {"quadrants": TABLE}, file, "values")["quadrants"].items():
        within = f"values.quadrants.{name}"
        found = validate(counts, {"starts": POSITIVE, "learns": WHOLE}, file, within)
        require(found["learns"] <= found["starts"], file, f"{within}.learns", found["learns"], "at most the starts")


def _stories(values, arrays, file):
    for phase in PHASES:
        _shapes(arrays, {f"{phase}_times": 1, f"{phase}_a": 1, f"{phase}_w": 2, f"{phase}_loss": 1}, file)
    phases = dict.fromkeys(PHASES, TEXT)
    found = validate(values, {"verdict": TABLE, "limit": TABLE, "start": TABLE}, file, "values")
    validate(found["verdict"], phases, file, "values.verdict")
    point = Check(lambda v: isinstance(v, list) and len(v) == 2 and all(map(NUMBER.test, v)), "two numbers")
    for where in ("start", "limit"):
        for phase, value in validate(found[where], dict.fromkeys(PHASES, TABLE), file, f"values.{where}").items():
            validate(value, {"a": NUMBER, "w": point}, file, f"values.{where}.{phase}")


def _pruning_iterations(values, arrays, file):
    found = validate(
        values, {"d": POSITIVE, "survivors": _COUNT_LIST, "trials": POSITIVE, "rules": TABLE}, file, "values"
    )
    levels = len(found["survivors"])
    lists = {
        "successes": _COUNT_LIST,
        "low": FRACTIONS,
        "high": FRACTIONS,
        "exact": FRACTIONS,
        "mask_recovered": _COUNT_LIST,
    }
    for rule in validate(found["rules"], {"imp": TABLE, "lrr": TABLE}, file, "values.rules"):
        within = f"values.rules.{rule}"
        for name, numbers in validate(found["rules"][rule], lists, file, within).items():
            require(len(numbers) == levels, file, f"{within}.{name}", numbers, f"{levels} numbers, one a level")
        for name in ("successes", "mask_recovered"):
            most = max(found["rules"][rule][name])
            require(most <= found["trials"], file, f"{within}.{name}", most, f"at most the {found['trials']} trials")


def _factorial(values, arrays, file):
    found = validate(values, {"d": POSITIVE, "trials": POSITIVE, "inits": TABLE}, file, "values")
    cell = {"successes": WHOLE, "trials": POSITIVE, "low": FRACTION, "high": FRACTION, "exact": FRACTION}
    for init, content in validate(found["inits"], {"balanced": TABLE, "normal": TABLE}, file, "values.inits").items():
        within = f"values.inits.{init}"
        for rule in ("imp", "sign", "magnitude", "lrr"):
            got = validate(validate(content, {rule: TABLE}, file, within)[rule], cell, file, f"{within}.{rule}")
            require(got["successes"] <= got["trials"], file, f"{within}.{rule}", got["successes"], "at most the trials")
        extra = validate(content, {"effects": TABLE, "difference": TABLE}, file, within)
        for name in EFFECTS:
            validate(
                validate(extra["effects"], {name: TABLE}, file, within)[name],
                _INTERVAL,
                file,
                f"{within}.effects.{name}",
            )
        difference = validate(extra["difference"], {"lrr - imp": TABLE}, file, f"{within}.difference")
        validate(difference["lrr - imp"], _INTERVAL, file, f"{within}.difference")


def _theorem_check(values, arrays, file):
    wanted = {
        "starts": POSITIVE,
        "contradictions": WHOLE,
        "low": FRACTION,
        "high": FRACTION,
        "symbolic": TRUTH,
        "statement": TEXT,
    }
    claims = validate(values, {"claims": TABLE}, file, "values")["claims"]
    for claim in ("1", "2"):
        within = f"values.claims.{claim}"
        found = validate(validate(claims, {claim: TABLE}, file, "values.claims")[claim], wanted, file, within)
        require(
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
    "pruned-samples": check_pruned_samples,
    "large-steps": check_large_steps,
    "hidden-neurons": check_hidden,
}
