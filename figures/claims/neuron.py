"""The claims of the theory: rows from the neuron's result files. Pure: records in, rows out."""

from collections.abc import Callable
from dataclasses import replace

from figures.analysis.statistics import clopper_pearson
from figures.claims.verdicts import (
    FEWEST_STARTS,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    PROBABILITY,
    REPRODUCED,
    SMALLEST_EFFECT,
    Evidence,
    Row,
    format_start,
    from_interval,
    not_run,
    theory_missing,
)


def theorem(number: str) -> Callable[[Evidence], list[Row]]:
    """Make the rows of claim 1 or 2: the share of random starts that contradict its theorem."""

    def rows(evidence):
        name = "share of starts that contradict the theorem"
        result = evidence.theory.get("theorem-check")
        if result is None:
            return [theory_missing(evidence, name, "theorem-check", PROBABILITY)]
        found = result.values["claims"][number]
        starts = found["starts"]
        against = found["contradictions"]
        verdict = REPRODUCED if starts >= FEWEST_STARTS else f"{INCONCLUSIVE} (n = {starts})"
        verdict = NOT_REPRODUCED if against or not found["symbolic"] else verdict
        low, high = clopper_pearson(against, starts)
        interval = {"value": against / starts, "low": low, "high": high}
        row = from_interval(name, interval, starts, PROBABILITY, result, verdict=verdict, against=0.0)
        inputs = f", d = {', '.join(map(str, found['d']))}" if isinstance(found.get("d"), list) else ""
        note = f"symbolic check {'holds' if found['symbolic'] else 'fails'}{_integrated(found)}"
        return [replace(row, scope=f"theory, {starts:,} random starts{inputs}", note=note)]

    return rows


def _integrated(found) -> str:
    """How many of a theorem's starts were also integrated numerically.

    The text gives their number and how many of them were undecided at the end.
    """
    counts = found.get("integrated")
    if not isinstance(counts, dict) or not {"runs", "undecided"} <= set(counts):
        return ""
    text = f"; {counts['runs']:,} of them integrated as well, {counts['undecided']:,} of these undecided at the end"
    if {"n_predicted_failures", "invariant_held"} <= set(counts):
        kept = counts["invariant_held"]
        failures = counts["n_predicted_failures"]
        text += f"; {kept} of {failures} predicted to fail kept sign of a and loss >= 1/4"
    return text


def claim_3(evidence: Evidence) -> list[Row]:
    """P(LRR) - P(IMP) for balanced starts of the neuron.

    Further rows test that the interval of each probability contains its predicted value: 1/2 for LRR, 1/4 for IMP.
    These values belong to the balanced start; from other starts the probabilities differ (figure 14).
    """
    result = evidence.theory.get("factorial")
    name = "P(lrr) - P(imp), balanced starts"
    if result is None:
        return [theory_missing(evidence, name, "factorial", PROBABILITY)]
    content = result.values["inits"]["balanced"]
    difference = content["difference"]["lrr - imp"]
    trials = content["imp"]["trials"]
    rows = [from_interval(name, difference, trials, PROBABILITY, result, label="P(LRR) - P(IMP)")]
    for rule, value, word in (("lrr", 0.5, "1/2"), ("imp", 0.25, "1/4")):
        cell = content[rule]
        low, high = clopper_pearson(cell["successes"], cell["trials"])
        interval = {"value": cell["successes"] / cell["trials"], "low": low, "high": high}
        verdict = REPRODUCED if low <= value <= high else NOT_REPRODUCED
        name = f"P({rule}): its interval holds {word}"
        row = from_interval(name, interval, cell["trials"], PROBABILITY, result, verdict=verdict, against=value)
        rows.append(replace(row, note=_TWO_INTERVALS, label=f"P({rule.upper()}) = {word}"))
    return rows


_TWO_INTERVALS = "two 95 % intervals must hold their values: if the claim is true, at most 1 seed in 10 fails by chance"


def claim_4a(evidence: Evidence) -> list[Row]:
    """Both rules keep input 1 to the last level (balanced starts, population loss).

    The share of trials in which a rule does must be at least 1 - .02, for each rule.
    """
    result = evidence.theory.get("pruning-iterations")
    rows = []
    for rule in ("lrr", "imp"):
        name = f"share of trials in which {rule} finds the mask"
        if result is None:
            rows.append(theory_missing(evidence, name, "pruning-iterations", PROBABILITY, rule.upper()))
            continue
        found = result.values["rules"][rule]["mask_recovered"][-1]
        trials = result.values["trials"]
        low, high = clopper_pearson(found, trials)
        least = 1 - SMALLEST_EFFECT[PROBABILITY]
        verdict = REPRODUCED if low >= least else NOT_REPRODUCED if high < least else INCONCLUSIVE
        interval = {"value": found / trials, "low": low, "high": high}
        row = from_interval(name, interval, trials, PROBABILITY, result, verdict=verdict, against=least)
        rows.append(replace(row, label=rule.upper()))
    return rows


def claim_4b(evidence: Evidence) -> list[Row]:
    """Difference of mask recovery, LRR - IMP: N(0, 1/d) starts, finite samples, label noise.

    50 % of the inputs are pruned per level; the rules are paired by trial. One condition, named in the result file,
    decides; those of the same sample size or the same noise are shown as secondary rows.
    """
    name = "mask recovery, lrr - imp"
    result = evidence.theory.get("mask-recovery")
    if result is None:
        return [theory_missing(evidence, name, "mask-recovery", PROBABILITY)]
    rows = []
    decides = result.values["decides"]
    for cell in result.values["cells"]:
        alike = [cell[key] == decides[key] for key in ("ratio", "noise")]
        if not any(alike):
            continue
        words = f"{name}, n = {cell['n']:,}, label noise {cell['noise']:g}"
        interval = cell["lrr - imp, recovered"]
        trials = cell["imp"]["trials"]
        row = from_interval(words, interval, trials, PROBABILITY, result, "effect" if all(alike) else "secondary")
        scope = f"theory, one neuron, d = {result.values['d']}, {trials:,} samples of n = {cell['n']:,}"
        rows.append(replace(row, scope=scope, note=_recovered(cell)))
    return sorted(rows, key=lambda row: not row.decides)


def _recovered(cell: dict) -> str:
    """The counts behind a difference, and how many flows were stopped before they came to rest."""
    shares = ", ".join(f"{rule} {cell[rule]['recovered']['count']:,}" for rule in ("lrr", "imp"))
    late = sum(cell[rule]["unsettled"] for rule in ("lrr", "imp"))
    return f"{shares} of {cell['imp']['trials']:,} found it" + (f"; {late} stopped before they rested" if late else "")


# the numbers of inputs that claim 13 compares
_FEW = 1
_MANY = 10


def neuron_over_inputs(evidence: Evidence) -> list[Row]:
    """Claim 13 on the neuron; the rules are paired within each number of inputs d.

    Balanced starts decide; N(0, 1/d) starts are a secondary row.
    """
    effect = f"neuron, {{}}: [P(lrr, d={_MANY}) - P(lrr, d={_FEW})] - [same for imp]"
    name = effect.format(format_start("balanced"))
    result = evidence.theory.get("dimension")
    label = f"neuron: d = {_MANY} less d = {_FEW}"
    if result is None:
        return [theory_missing(evidence, name, "dimension", PROBABILITY, label)]
    if result.values["compared"] != [_FEW, _MANY]:
        note = f"the result compares d = {result.values['compared']}"
        return [replace(not_run(name, PROBABILITY, "effect", "theory", result.command, note), label=label)]
    rows = []
    trials = result.values["trials"]
    for init, role in (("balanced", "effect"), ("normal", "secondary")):
        interval = result.values["inits"][init]["overparametrisation"]
        row = from_interval(effect.format(format_start(init)), interval, trials, PROBABILITY, result, role, label=label)
        rows.append(replace(row, scope=f"theory, one neuron, {trials:,} trials at each d"))
    return rows


def neuron_factorial(evidence: Evidence) -> list[Row]:
    """Secondary rows of claim 14: the neuron's main effects and interaction, for both kinds of start."""
    result = evidence.theory.get("factorial")
    command = "paper_repro.py theory factorial"
    if result is None:
        return [not_run("neuron: main effect of trained signs", PROBABILITY, "secondary", "theory", command)]
    names = {
        "signs": "main effect of trained signs",
        "magnitudes": "main effect of trained magnitudes",
        "interaction": "interaction of signs and magnitudes",
    }
    return [
        from_interval(
            f"neuron, {format_start(init)}: {words}",
            content["effects"][effect],
            content["imp"]["trials"],
            PROBABILITY,
            result,
            "secondary",
        )
        for init, content in result.values["inits"].items()
        for effect, words in names.items()
    ]
