"""The registry of claims: each one a sentence that data can contradict, the effect that decides it, and a verdict.

Pure: records in, verdicts out. The effects and the rule of the verdict were fixed before the data
(the README's table of claims); a claim is judged on each study by itself: digits never speaks for CIFAR-10.

To add a claim: one function that returns its rows (in `theory_claims` for the neuron), one line in `CLAIMS`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from figures import measures
from figures.commands import WIDTHS
from figures.records import Records
from figures.theory_claims import claim_3, claim_4a, claim_4b, neuron_factorial, neuron_over_inputs, theorem
from figures.verdicts import (
    INCONCLUSIVE,
    LEVELS,
    NOT_RUN,
    POINTS,
    REPRODUCED,
    SHARE,
    SWITCHES,
    ClaimVerdict,
    Evidence,
    Row,
    against_length,
    beside_control,
    conjunction,
    contrast,
    control_verdict,
    h_measure,
    lead,
    not_run,
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
    return [signs, magnitudes, interaction, _share(signs, magnitudes), *neuron_factorial(evidence)]


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


def after_claim_5(rows: list[Row], evidence: Evidence | None) -> str:
    """As `conjunction`, but there is nothing for signs to carry where claim 5 is not reproduced."""
    verdict = conjunction(rows)
    if verdict == NOT_RUN or beside_control(claim_5(evidence)) == REPRODUCED:
        return verdict
    return f"{INCONCLUSIVE} (claim 5 not reproduced)"


def claim_13(evidence: Evidence) -> list[Row]:
    """Overparametrisation helps LRR more than IMP: the neuron over input dimension, and a width sweep on networks."""
    network = "networks: the lead of lrr over imp at the largest width - at the smallest"
    neuron, *beside = neuron_over_inputs(evidence)
    return [neuron, not_run(network, POINTS, "effect", "networks", WIDTHS), *beside]


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
               "theory", theorem("1"), conjunction),
    "2": Claim("Several inputs: a(0) > 0 learns whatever the sign of w_1(0), a(0) < 0 fails (balanced)",
               "paper, Lemma 2.2 in our reading", "theory", theorem("2"), conjunction),
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
