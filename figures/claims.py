"""The registry of claims: each one a sentence that data can contradict, the effect that decides it, and a verdict.

Pure: records in, verdicts out. The effects and the rule of the verdict were fixed before the data
(the README's table of claims); a claim is judged on each study by itself: digits never speaks for CIFAR-10.

To add a claim: one function that returns its rows, one line in `CLAIMS` at the foot.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from figures import measures
from figures.commands import PLANNED
from figures.records import Records
from figures.statistics import clopper_pearson, difference_of_shares
from figures.verdicts import (
    FAILED,
    FEWEST_STARTS,
    INCONCLUSIVE,
    LEVELS,
    NOT_RUN,
    POINTS,
    PROBABILITY,
    REPRODUCED,
    SHARE,
    SMALLEST,
    SWITCHES,
    ClaimVerdict,
    Evidence,
    Row,
    against_length,
    beside_control,
    conjunction,
    contrast,
    control_verdict,
    from_interval,
    h_measure,
    lead,
    not_run,
    start_words,
    theory_missing,
)


@dataclass(frozen=True)
class Claim:
    """A sentence, whose it is, where its evidence lives, how its rows are made and how they are judged."""

    sentence: str
    source: str
    kind: str
    rows: Callable[[Evidence], list[Row]]
    judge: Callable[[list[Row], Evidence], str]


def claim_5(evidence: Evidence) -> list[Row]:
    """LRR over IMP at high sparsity, with the two readings of batch norm and the training-length row."""
    return [
        lead(evidence, "lrr", "imp"),
        against_length(evidence, "lrr", "imp-long"),
        lead(evidence, "lrr-bn-rewind", "imp", "both rewind BN: H(lrr-bn-rewind) - H(imp)", "beside"),
        lead(evidence, "lrr", "imp-bn-kept", "both keep BN: H(lrr) - H(imp-bn-kept)", "beside"),
    ]


def claim_6(evidence: Evidence) -> list[Row]:
    """IMP improves with the LRR mask."""
    return [lead(evidence, "imp-on-lrr-mask", "imp")]


def claim_7(evidence: Evidence) -> list[Row]:
    """LRR optimises better within the IMP mask, beside the training-length row."""
    arm = "lrr-on-imp-mask"
    return [lead(evidence, arm, "imp"), against_length(evidence, arm, "imp-long")]


def claim_8(evidence: Evidence) -> list[Row]:
    """LRR over IMP on random and on shuffled masks, each beside its training-length row."""
    rows = []
    for kind in ("random", "shuffled"):
        rows.append(lead(evidence, f"lrr-on-{kind}-mask", f"imp-on-{kind}-mask"))
        rows.append(against_length(evidence, f"lrr-on-{kind}-mask", f"imp-long-on-{kind}-mask"))
    return rows


def claim_9(evidence: Evidence) -> list[Row]:
    """Mean settle level, IMP - LRR."""
    of_arm = measures.sign_measure(measures.settle_level)
    return [contrast(evidence, "mean settle level, imp - lrr", {"imp": 1, "lrr": -1}, of_arm, LEVELS)]


def claim_10a(evidence: Evidence) -> list[Row]:
    """Reading-(iii) switches a last-level survivor in levels 1 to 3, LRR - IMP."""
    enough = evidence.results is None or evidence.results.study.levels > 3
    of_arm = measures.sign_measure(measures.early_switches) if enough else None
    name = "switches a last-level survivor in levels 1 to 3, lrr - imp (reading iii)"
    return [contrast(evidence, name, {"lrr": 1, "imp": -1}, of_arm, SWITCHES)]


def claim_10b(evidence: Evidence) -> list[Row]:
    """Share of signs that differ from initialisation at the last level, LRR - IMP."""
    of_arm = measures.sign_measure(measures.far_from_start)
    name = "share of signs unlike the initial ones at the last level, lrr - imp (reading ii)"
    return [contrast(evidence, name, {"lrr": 1, "imp": -1}, of_arm, SHARE)]


def claim_11(evidence: Evidence) -> list[Row]:
    """Drop of H by perturbed signs, IMP - LRR."""
    arms = {"imp": 1, "imp-perturbed": -1, "lrr": -1, "lrr-perturbed": 1}
    return [
        contrast(evidence, "drop of H(imp) - drop of H(lrr), 20 % of the signs perturbed", arms, h_measure(evidence))
    ]


def claim_12(evidence: Evidence) -> list[Row]:
    """BN rewind and warm-up enlarge the lead of LRR: both parts."""
    batch_norm = {"lrr-bn-rewind": 1, "imp": -1, "lrr": -1, "imp-bn-kept": 1}
    warm_up = {"lrr": 1, "imp": -1, "lrr-without-warmup": -1, "imp-without-warmup": 1}
    return [
        contrast(
            evidence, "BN rewind: (lrr - imp, both rewound) - (lrr - imp, both kept)", batch_norm, h_measure(evidence)
        ),
        contrast(evidence, "warm-up: (lrr - imp with) - (lrr - imp without)", warm_up, h_measure(evidence)),
        lead(evidence, "lrr-bn-rewind", "lrr", role="beside"),
    ]


def claim_14(evidence: Evidence) -> list[Row]:
    """The factorial, all four cells with BN rewind, and the neuron's beside it."""
    h = h_measure(evidence)
    signs = contrast(evidence, "main effect of trained signs", measures.SIGNS, h)
    magnitudes = contrast(evidence, "main effect of trained magnitudes", measures.MAGNITUDES, h, role="beside")
    interaction = contrast(evidence, "interaction of signs and magnitudes", measures.INTERACTION, h, role="beside")
    return [signs, magnitudes, interaction, _share(signs, magnitudes), *_neuron_rows(evidence)]


def _share(signs: Row, magnitudes: Row) -> Row:
    """Share of the lead that signs carry: a ratio of means, with no verdict of its own."""
    lead = (signs.effect or 0.0) + (magnitudes.effect or 0.0)
    verdict, share = ("no verdict of its own", signs.effect / lead) if lead and signs.n else (NOT_RUN, None)
    return replace(
        signs,
        name="share carried by signs (ratio of means)",
        effect=share,
        low=None,
        high=None,
        unit=SHARE,
        p=None,
        p_min=None,
        verdict=verdict,
        role="beside",
        signed=False,
    )


def _neuron_rows(evidence: Evidence) -> list[Row]:
    result, command = evidence.theory.get("factorial"), "paper_repro.py theory factorial"
    if result is None:
        return [not_run("neuron: main effect of trained signs", PROBABILITY, "beside", "theory", command)]
    rows = []
    for init, content in result.values["inits"].items():
        effect, trials = content["effects"]["signs"], content["imp"]["trials"]
        name = f"neuron, {start_words(init)}: main effect of trained signs"
        rows.append(from_interval(name, effect, trials, PROBABILITY, result, "beside"))
    return rows


def after_claim_5(rows: list[Row], evidence: Evidence | None) -> str:
    """As `conjunction`, but there is nothing for signs to carry where claim 5 is not reproduced."""
    verdict = conjunction(rows)
    if verdict == NOT_RUN or beside_control(claim_5(evidence)) == REPRODUCED:
        return verdict
    return f"{INCONCLUSIVE} (claim 5 not reproduced)"


# ------------------------------------------------------------------------------------------------ rows from theory


def _theorem(number: str):
    def rows(evidence):
        name, result = "share of starts that contradict the theorem", evidence.theory.get("theorem-check")
        if result is None:
            return [theory_missing(evidence, name, "theorem-check", PROBABILITY)]
        found = result.values["claims"][number]
        starts, against = found["starts"], found["contradictions"]
        verdict = REPRODUCED if starts >= FEWEST_STARTS else f"{INCONCLUSIVE} (n = {starts})"
        verdict = FAILED if against or not found["symbolic"] else verdict
        low, high = clopper_pearson(against, starts)
        interval = {"value": against / starts, "low": low, "high": high}
        row = from_interval(name, interval, starts, PROBABILITY, result, verdict=verdict, signed=False)
        symbolic = "holds" if found["symbolic"] else "fails"
        return [
            replace(
                row, scope=f"theory, {starts:,} random starts", note=f"symbolic check {symbolic}{_integrated(found)}"
            )
        ]

    return rows


def _integrated(found) -> str:
    """How many of a theorem's starts were integrated as well, and how many of these had not decided by the end."""
    counts = found.get("integrated")
    if not isinstance(counts, dict) or not {"runs", "undecided"} <= set(counts):
        return ""
    text = f"; {counts['runs']:,} of them integrated as well, {counts['undecided']:,} of these undecided at the end"
    if {"said_to_fail", "invariant_held"} <= set(counts):
        text += f"; {counts['invariant_held']} of {counts['said_to_fail']} said to fail kept sign of a and loss >= 1/4"
    return text


def claim_3(evidence: Evidence) -> list[Row]:
    """P(LRR) - P(IMP) on the balanced neuron, and each interval holds its value."""
    result, name = evidence.theory.get("factorial"), "P(lrr) - P(imp), balanced starts"
    if result is None:
        return [theory_missing(evidence, name, "factorial", PROBABILITY)]
    content = result.values["inits"]["balanced"]
    rows = [from_interval(name, content["difference"]["lrr - imp"], content["imp"]["trials"], PROBABILITY, result)]
    for rule, value, word in (("lrr", 0.5, "1/2"), ("imp", 0.25, "1/4")):
        cell = content[rule]
        low, high = clopper_pearson(cell["successes"], cell["trials"])
        interval = {"value": cell["successes"] / cell["trials"], "low": low, "high": high}
        verdict = REPRODUCED if low <= value <= high else FAILED
        name = f"P({rule}): its interval holds {word}"
        rows.append(from_interval(name, interval, cell["trials"], PROBABILITY, result, verdict=verdict, signed=False))
    return rows


def claim_4a(evidence: Evidence) -> list[Row]:
    """Both rules keep input 1 to the last level (balanced population): recovery of at least 1 - .02, each."""
    result, rows = evidence.theory.get("pruning-iterations"), []
    for rule in ("lrr", "imp"):
        name = f"share of trials in which {rule} finds the mask"
        if result is None:
            rows.append(theory_missing(evidence, name, "pruning-iterations", PROBABILITY))
            continue
        found, trials = result.values["rules"][rule]["mask_recovered"][-1], result.values["trials"]
        low, high = clopper_pearson(found, trials)
        least = 1 - SMALLEST[PROBABILITY]
        verdict = REPRODUCED if low >= least else FAILED if high < least else INCONCLUSIVE
        interval = {"value": found / trials, "low": low, "high": high}
        rows.append(from_interval(name, interval, trials, PROBABILITY, result, verdict=verdict, signed=False))
    return rows


def claim_4b(evidence: Evidence) -> list[Row]:
    """Difference of mask recovery at N(0, 1/d) starts, finite samples, label noise, 50 % pruned a level."""
    name, result = "mask recovery, lrr - imp", evidence.theory.get("mask-recovery")
    if result is None or not {"imp", "lrr"} <= set(result.values.get("rules", {})):
        command = "paper_repro.py theory mask-recovery" + PLANNED
        return [not_run(name, PROBABILITY, "effect", "theory, finite samples with label noise", command)]
    counts = [(cell["recovered"], cell["trials"]) for cell in (result.values["rules"][r] for r in ("lrr", "imp"))]
    value, low, high = difference_of_shares(*counts)
    interval = {"value": value, "low": low, "high": high}
    return [from_interval(name, interval, min(n for _, n in counts), PROBABILITY, result)]


def claim_13(evidence: Evidence) -> list[Row]:
    """Overparametrisation helps LRR more than IMP: the neuron over input dimension, and a width sweep on networks."""
    neuron = "neuron: [P(lrr, d=10) - P(lrr, d=1)] - [same for imp]"
    network = "networks: the lead of lrr over imp at the largest width - at the smallest"
    return [
        not_run(neuron, PROBABILITY, "effect", "theory", "paper_repro.py theory dimension" + PLANNED),
        not_run(network, POINTS, "effect", "networks", "paper_repro.py train --preset width-sweep" + PLANNED),
    ]


# ------------------------------------------------------------------------------------------------------ evaluation


def evaluate(records: Records) -> list[ClaimVerdict]:
    """Judge every claim: theory claims once, network claims on each study (or once, `not run`, where there is none)."""
    problems = {problem.owner: problem.message for problem in records.problems}
    verdicts = []
    for number, claim in CLAIMS.items():
        studies = list(records.studies) or [None]
        for results in studies if claim.kind == "network" else [None]:
            verdicts.append(_judge(number, claim, Evidence(results, records.theory, problems)))
    return verdicts


def _judge(number: str, claim: Claim, evidence: Evidence) -> ClaimVerdict:
    rows = claim.rows(evidence)
    deciding = next(row for row in rows if row.decides)
    name = evidence.results.study.study if evidence.results else None
    verdict = claim.judge(rows, evidence)
    return ClaimVerdict(
        number, claim.sentence, claim.source, name, deciding.scope, verdict, control_verdict(rows), tuple(rows)
    )


CLAIMS: dict[str, Claim] = {
    "1": Claim("One input: the neuron learns if and only if a(0) > 0 and w(0) > 0 (balanced)", "paper, Theorem 2.1",
               "theory", _theorem("1"), conjunction),
    "2": Claim("Several inputs: a(0) > 0 learns whatever the sign of w_1(0), a(0) < 0 fails (balanced)",
               "paper, Lemma 2.2 in our reading", "theory", _theorem("2"), conjunction),
    "3": Claim("After pruning to the correct mask LRR succeeds with probability 1/2, IMP with 1/4",
               "paper, Theorem 2.3 in our reading", "theory", claim_3, conjunction),
    "4a": Claim("Both IMP and LRR find the neuron's mask (balanced, population)", "paper, in our reading",
                "theory", claim_4a, conjunction),
    "4b": Claim("LRR finds the neuron's mask more often than IMP", "paper, in our reading", "theory", claim_4b,
                conjunction),
    "5": Claim("LRR beats IMP at high sparsity", "paper", "network", claim_5, beside_control),
    "6": Claim("IMP improves with the mask that LRR learnt", "paper, figure 3", "network", claim_6, conjunction),
    "7": Claim("LRR beats IMP on the mask that IMP learnt", "paper, figure 4", "network", claim_7, beside_control),
    "8": Claim("LRR beats IMP on random and on shuffled masks", "paper, figure 2", "network", claim_8, beside_control),
    "9": Claim("LRR's signs settle at earlier levels than IMP's", "paper, figure 5", "network", claim_9, conjunction),
    "10a": Claim("LRR flips signs early: more often than IMP in levels 1 to 3", "paper, abstract", "network", claim_10a,
                 conjunction),
    "10b": Claim("LRR's signs end further from initialisation than IMP's", "ours", "network", claim_10b, conjunction),
    "11": Claim("LRR loses less than IMP when signs are perturbed", "paper, abstract", "network", claim_11,
                conjunction),
    "12": Claim("BN rewind and warm-up enlarge the lead of LRR", "paper, summary", "network", claim_12, conjunction),
    "13": Claim("Overparametrisation helps LRR more than IMP", "paper, summary", "theory", claim_13, conjunction),
    "14": Claim("Signs are what LRR carries over", "ours", "network", claim_14, after_claim_5),
}  # fmt: skip
