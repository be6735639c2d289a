"""What the result files of the neuron's sweeps say, checked before anything is drawn; `theory_records` lists them."""

from collections.abc import Mapping, Sequence

from figures.checks import FRACTION, NUMBER, POSITIVE, SIGNED_FRACTION, TABLE, WHOLE, Check, must, take

RULES = ("imp", "lrr")
INITS = ("balanced", "normal")
LIST = Check(lambda v: isinstance(v, list) and len(v) > 0, "a list")
INPUTS = Check(lambda v: isinstance(v, list) and v and all(map(POSITIVE.test, v)), "a list of whole numbers > 0")
RATIOS = Check(lambda v: isinstance(v, list) and v and all(NUMBER.test(r) and r > 0 for r in v), "numbers > 0")
LEVELS = Check(lambda v: isinstance(v, list) and v and all(NUMBER.test(r) and r >= 0 for r in v), "numbers >= 0")
INTERVAL = {"value": SIGNED_FRACTION, "low": SIGNED_FRACTION, "high": SIGNED_FRACTION}
SUCCESS = {"successes": WHOLE, "trials": POSITIVE, "low": FRACTION, "high": FRACTION, "exact": FRACTION}
WITNESSES = {"starts": POSITIVE, "learns": WHOLE, "fails": WHOLE, "undecided": WHOLE, "contradictions": WHOLE}


def check_dimension(values: Mapping, arrays: Mapping, file: str) -> None:
    """`dimension`: counts with intervals over d for both kinds of start, paired differences, claim 13's effect."""
    head = {"dimensions": INPUTS, "trials": POSITIVE, "compared": INPUTS, "inits": TABLE}
    found = take(values, head, file, "values")
    for init in take(found["inits"], dict.fromkeys(INITS, TABLE), file, "values.inits"):
        content, within = found["inits"][init], f"values.inits.{init}"
        lists = dict.fromkeys((*RULES, "switches", "lrr - imp"), LIST)
        for name, rows in take(content, lists, file, within).items():
            shape = INTERVAL if name == "lrr - imp" else SUCCESS
            table(rows, len(found["dimensions"]), shape, file, f"{within}.{name}")
        effect = take(content, {"overparametrisation": TABLE}, file, within)["overparametrisation"]
        take(effect, INTERVAL, file, f"{within}.overparametrisation")


def check_basins(values: Mapping, arrays: Mapping, file: str) -> None:
    """`basins`: the separatrix, computed witnesses with their counts, success over s_w / s_a and its exact curves."""
    head = {"dimensions": INPUTS, "ratios": RATIOS, "trials": POSITIVE, "witnesses": TABLE, "success": TABLE}
    found = take(values, head, file, "values")
    for panel in take(found["witnesses"], {"one": TABLE, "several": TABLE}, file, "values.witnesses"):
        counts = take(found["witnesses"][panel], WITNESSES, file, f"values.witnesses.{panel}")
        shaped(arrays, f"{panel}_start", (counts["starts"], 2), file)
        shaped(arrays, f"{panel}_verdict", (counts["starts"],), file)
    take(found["witnesses"]["several"], {"d": INPUTS}, file, "values.witnesses.several")
    rows = len(found["dimensions"])
    for rule, lists in take(found["success"], dict.fromkeys(RULES, LIST), file, "values.success").items():
        must(len(lists) == rows, file, f"values.success.{rule}", len(lists), f"{rows} lists, one a dimension")
        for cells in lists:
            table(cells, len(found["ratios"]), SUCCESS, file, f"values.success.{rule}")
        shaped(arrays, f"curve_{rule}", (rows, None), file)
    shaped(arrays, "separatrix", (None, 2), file)
    shaped(arrays, "curve_lrr", arrays["curve_imp"].shape, file)
    shaped(arrays, "curve_ratio", arrays["curve_imp"].shape[1:], file)


def check_finite(values: Mapping, arrays: Mapping, file: str) -> None:
    """`sample-size` and `mask-recovery`: a cell of counts and paired differences for each sample size and noise."""
    head = {"d": POSITIVE, "survivors": INPUTS, "trials": POSITIVE, "ratios": RATIOS, "noises": LEVELS, "cells": LIST}
    found = take(values, {**head, "population": TABLE}, file, "values")
    take(found["population"], dict.fromkeys(RULES, FRACTION), file, "values.population")
    wanted = {(ratio, noise) for ratio in found["ratios"] for noise in found["noises"]}
    fields = {"ratio": NUMBER, "n": POSITIVE, "noise": NUMBER} | dict.fromkeys(RULES, TABLE)
    differences = dict.fromkeys(("lrr - imp, learns", "lrr - imp, recovered"), TABLE)
    for cell in found["cells"]:
        got = take(cell, fields | differences, file, "values.cells")
        for name in differences:
            take(got[name], INTERVAL, file, f"values.cells.{name}")
        for rule in RULES:
            _counts(got[rule], file, f"values.cells.{rule}")
    got = {(cell["ratio"], cell["noise"]) for cell in found["cells"]}
    must(got == wanted, file, "values.cells", sorted(got), "one for each ratio and noise")
    if "decides" in values:
        chosen = take(values["decides"], {"ratio": NUMBER, "noise": NUMBER}, file, "values.decides")
        must(tuple(chosen.values()) in wanted, file, "values.decides", chosen, "one of the conditions")


def _counts(content: Mapping, file: str, within: str) -> None:
    head = {"trials": POSITIVE, "unsettled": WHOLE, "learns": TABLE, "recovered": TABLE}
    found = take(content, head, file, within)
    for name in ("learns", "recovered"):
        got = take(found[name], {"count": WHOLE, "low": FRACTION, "high": FRACTION}, file, f"{within}.{name}")
        must(got["count"] <= found["trials"], file, f"{within}.{name}", got["count"], "at most the trials")


def table(rows: Sequence, number: int, fields: Mapping[str, Check], file: str, within: str) -> None:
    """Check a list of so many objects, each with these fields, and no count of successes above its trials."""
    must(isinstance(rows, list) and len(rows) == number, file, within, rows, f"a list of {number} objects")
    for row in rows:
        got = take(row, fields, file, within)
        if "successes" in got:
            must(got["successes"] <= got["trials"], file, within, got["successes"], "at most the trials")


def shaped(arrays: Mapping, name: str, shape: Sequence[int | None], file: str) -> None:
    """Check that an array is there and of a shape, None standing for any length."""
    must(name in arrays, file, f"arrays.{name}", "nothing", "an array (the field is missing)")
    got = arrays[name].shape
    fits = len(got) == len(shape) and all(want in (None, have) for have, want in zip(got, shape, strict=True))
    must(fits, file, f"arrays.{name}", got, f"of shape {tuple('any' if n is None else n for n in shape)}")
