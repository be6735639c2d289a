"""What the result files of the neuron's sweeps say, checked before anything is drawn; `theory_records` lists them."""

from collections.abc import Mapping, Sequence

from figures.results.fields import (
    COUNTS,
    FRACTION,
    NUMBER,
    POSITIVE,
    SIGNED_FRACTION,
    TABLE,
    WHOLE,
    Check,
    must,
    or_null,
    take,
)

RULES = ("imp", "lrr")
INITS = ("balanced", "normal")
LIST = Check(lambda v: isinstance(v, list) and len(v) > 0, "a list")
INPUTS = Check(lambda v: isinstance(v, list) and v and all(map(POSITIVE.test, v)), "a list of whole numbers > 0")
RATIOS = Check(lambda v: isinstance(v, list) and v and all(NUMBER.test(r) and r > 0 for r in v), "numbers > 0")
LEVELS = Check(lambda v: isinstance(v, list) and v and all(NUMBER.test(r) and r >= 0 for r in v), "numbers >= 0")
INTERVAL = {"value": SIGNED_FRACTION, "low": SIGNED_FRACTION, "high": SIGNED_FRACTION}
SUCCESS = {"successes": WHOLE, "trials": POSITIVE, "low": FRACTION, "high": FRACTION, "exact": FRACTION}
WORDS = Check(lambda v: isinstance(v, list) and v and all(isinstance(w, str) for w in v), "a list of words")
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


# --- numerical sweeps: `large-steps`, `hidden-neurons`

DESCENT = {"status": WORDS, "steps": COUNTS, "least_loss": LIST, "c": LIST}
ENDS = ("learned", "stationary", "undecided")


def check_large_steps(values: Mapping, arrays: Mapping, file: str) -> None:
    """`large-steps`: runs over the step for each angle and in d = 1, runs kept step by step, runs after a push."""
    head = {"step": RATIOS, "learned_below": NUMBER, "starts": LIST, "d1": TABLE, "shown": LIST, "pushed": TABLE}
    found = take(values, head, file, "values")
    number = len(found["step"])
    for start in found["starts"]:
        take(start, {"angle": NUMBER}, file, "values.starts")
        _descents(start, number, file, "values.starts")
    _descents(found["d1"], number, file, "values.d1")
    take(found["d1"], {"largest_c": NUMBER}, file, "values.d1")
    for i, run in enumerate(found["shown"]):
        take(run, {"d": POSITIVE, "angle": NUMBER, "step": NUMBER, "steps": WHOLE}, file, "values.shown")
        shaped(arrays, f"shown_{i}_at", (None,), file)
        for part in ("loss", "c"):
            shaped(arrays, f"shown_{i}_{part}", arrays[f"shown_{i}_at"].shape, file)
    minima = take(found["pushed"], {"push": NUMBER, "left": NUMBER, "minima": LIST}, file, "values.pushed")["minima"]
    for minimum in minima:
        got = take(minimum, {"balance": NUMBER, "limit": NUMBER, "step": RATIOS, "left": LIST}, file, "values.pushed")
        must(len(got["left"]) == len(got["step"]), file, "values.pushed.left", got["left"], "one a step")
        _descents(minimum, len(got["step"]), file, "values.pushed")


def _descents(content: Mapping, number: int, file: str, within: str) -> None:
    for name, column in take(content, DESCENT, file, within).items():
        must(len(column) == number, file, f"{within}.{name}", column, f"{number} entries, one a step")
        if name in ("least_loss", "c"):
            must(all(map(or_null(NUMBER).test, column)), file, f"{within}.{name}", column, "numbers or null")


def check_hidden(values: Mapping, arrays: Mapping, file: str) -> None:
    """`hidden-neurons`: for each d and k counts by level and status, heuristic, agreement and paired difference."""
    head = {"dimensions": INPUTS, "neurons": INPUTS, "trials": POSITIVE, "prune_rate": NUMBER, "cells": LIST}
    found = take(values, head | {"criterion": TABLE}, file, "values")
    take(found["criterion"], {"learned": NUMBER, "stationary": NUMBER}, file, "values.criterion")
    wanted = {(d, k) for d in found["dimensions"] for k in found["neurons"]}
    for cell in found["cells"]:
        fields = {"d": POSITIVE, "k": POSITIVE, "survivors": INPUTS, "difference": TABLE} | dict.fromkeys(RULES, TABLE)
        got = take(cell, fields, file, "values.cells")
        for rule in RULES:
            _ends(got[rule], len(got["survivors"]), file, f"values.cells.{rule}")
        lead = take(got["difference"], {"lrr - imp": TABLE}, file, "values.cells.difference")["lrr - imp"]
        take(lead, INTERVAL, file, "values.cells.difference")
        for rule, exact in cell.get("against_exact", {}).items():
            take(exact, {"exact": FRACTION, "contradictions": WHOLE}, file, f"values.cells.against_exact.{rule}")
    got = {(cell["d"], cell["k"]) for cell in found["cells"]}
    must(got == wanted, file, "values.cells", sorted(got), "one for each d and k")


def _ends(content: Mapping, levels: int, file: str, within: str) -> None:
    counts = {"successes": WHOLE, "trials": POSITIVE, "as_predicted": WHOLE, "learned_against": WHOLE}
    shares = dict.fromkeys(("low", "high", "heuristic"), FRACTION)
    found = take(content, counts | shares | dict.fromkeys(ENDS, COUNTS), file, within)
    sums = [sum(level) for level in zip(*(found[name] for name in ENDS), strict=False)]
    must(sums == [found["trials"]] * levels, file, within, sums, f"{levels} levels of {found['trials']} trials")
    last = found["learned"][-1]
    must(found["successes"] == last, file, f"{within}.successes", found["successes"], f"{last}, the last level's")
