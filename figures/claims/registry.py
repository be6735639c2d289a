"""The registry of claims: sentences that data can contradict, each with its effect and its verdict.

Pure: records in, verdicts out. The effects and the rule of the verdict were fixed before the data (the README's table
of claims). A claim is judged on each study, or on each sweep of a preset, separately: a verdict on digits says nothing
about CIFAR-10.

To add a claim: one function that returns its rows (in `figures.claims.neuron` for the neuron, in
`figures.claims.sweeps` for the sweeps of a preset), one line in `CLAIMS` that also lists what the function reads.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from figures.analysis import measures
from figures.analysis.sweeps import Sweep, find_sweeps, format_value, perturbed_studies, sweep_command
from figures.claims.neuron import claim_3, claim_4a, claim_4b, neuron_factorial, theorem
from figures.claims.sweeps import above_chance, at_every_value, claim_13, mask_converges, sweep_scope
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    INCONCLUSIVE,
    NOT_RUN,
    NUMBER_OF_LEVELS,
    NUMBER_OF_SWITCHES,
    REPRODUCED,
    SHARE,
    ClaimVerdict,
    Evidence,
    Row,
    against_length,
    arm_difference,
    beside_control,
    conjunction,
    contrast,
    control_verdict,
    h_measure,
    not_run,
)
from figures.results.network import Records, StudyResults
from figures.results.variants import protocol_mark

ON_NETWORKS, ON_PERTURBED, ON_THEORY = "network", "perturbed", "theory"


@dataclass(frozen=True)
class Claim:
    """A sentence, its source, the kind of its evidence, and the functions that make and judge its rows.

    `kind` is `theory` (judged once), `network` (on each study), `perturbed` (on each study in which a fifth of the
    signs is perturbed), or the name of a sweep (on each preset and data set that has it). `short` is the sentence in
    few words, for a picture. `arms` and `theory` are the arms and the experiments that `rows` and `judge` read;
    `signs`: they read the arms' sign statistics. `both_protocols`: the table of verdicts that turn with the protocol
    has the claim.
    """

    sentence: str
    short: str
    source: str
    kind: str
    rows: Callable[[Evidence], list[Row]]
    judge: Callable[[list[Row], Evidence], str]
    arms: tuple[str, ...] = ()
    theory: tuple[str, ...] = ()
    signs: bool = False
    both_protocols: bool = False


def claim_5(evidence: Evidence) -> list[Row]:
    """LRR over IMP at high sparsity, with the two readings of batch norm and the training-length row."""
    return [
        arm_difference(evidence, "lrr", "imp"),
        against_length(evidence, "lrr", "imp-long"),
        arm_difference(
            evidence, "lrr-bn-rewind", "imp", "both rewind BN: high-sparsity accuracy, lrr-bn-rewind - imp", "secondary"
        ),
        arm_difference(
            evidence, "lrr", "imp-bn-kept", "both keep BN: high-sparsity accuracy, lrr - imp-bn-kept", "secondary"
        ),
    ]


def claim_6(evidence: Evidence) -> list[Row]:
    """IMP improves with the LRR mask."""
    return [arm_difference(evidence, "imp-on-lrr-mask", "imp")]


def claim_7(evidence: Evidence) -> list[Row]:
    """LRR optimises better within the IMP mask, with the training-length row."""
    arm = "lrr-on-imp-mask"
    return [arm_difference(evidence, arm, "imp"), against_length(evidence, arm, "imp-long")]


def claim_8(evidence: Evidence) -> list[Row]:
    """LRR over IMP on random and on shuffled masks, each with its training-length row."""
    rows = []
    for kind in ("random", "shuffled"):
        rows.append(arm_difference(evidence, f"lrr-on-{kind}-mask", f"imp-on-{kind}-mask", label=f"{kind} masks"))
        length = f"{kind}, against training length"
        rows.append(against_length(evidence, f"lrr-on-{kind}-mask", f"imp-long-on-{kind}-mask", length))
    return rows


def claim_9(evidence: Evidence) -> list[Row]:
    """Mean settle level, IMP - LRR."""
    of_arm = measures.sign_measure(measures.settle_level)
    return [contrast(evidence, "mean settle level, imp - lrr", {"imp": 1, "lrr": -1}, of_arm, NUMBER_OF_LEVELS)]


def claim_10a(evidence: Evidence) -> list[Row]:
    """Sign switches, by reading (iii), per last-level survivor in levels 1 to 3, LRR - IMP."""
    enough = evidence.results is None or evidence.results.study.levels > 3
    of_arm = measures.sign_measure(measures.early_switches) if enough else None
    name = "switches a last-level survivor in levels 1 to 3, lrr - imp (reading iii)"
    return [contrast(evidence, name, {"lrr": 1, "imp": -1}, of_arm, NUMBER_OF_SWITCHES)]


def claim_10b(evidence: Evidence) -> list[Row]:
    """Share of signs that differ from initialisation at the last level, LRR - IMP."""
    of_arm = measures.sign_measure(measures.far_from_start)
    name = "share of signs unlike the initial ones at the last level, lrr - imp (reading ii)"
    return [contrast(evidence, name, {"lrr": 1, "imp": -1}, of_arm, SHARE)]


def claim_11(evidence: Evidence) -> list[Row]:
    """Drop of high-sparsity accuracy by perturbed signs, IMP - LRR."""
    name = "drop of high-sparsity accuracy, imp - lrr, 20 % of the signs perturbed at the middle level"
    arms = {"imp": 1, "imp-perturbed": -1, "lrr": -1, "lrr-perturbed": 1}
    if evidence.results is None:
        return [not_run(name, ACCURACY_POINTS, "effect", "networks", sweep_command("perturbation", evidence.protocol))]
    return [above_chance(contrast(evidence, name, arms, h_measure(evidence)), evidence)]


def claim_12(evidence: Evidence) -> list[Row]:
    """BN rewind and warm-up enlarge the lead of LRR: both parts."""
    batch_norm = {"lrr-bn-rewind": 1, "imp": -1, "lrr": -1, "imp-bn-kept": 1}
    warm_up = {"lrr": 1, "imp": -1, "lrr-without-warmup": -1, "imp-without-warmup": 1}
    h, bn_name = h_measure(evidence), "BN rewind: (lrr - imp, both rewound) - (lrr - imp, both kept)"
    return [
        contrast(evidence, bn_name, batch_norm, h, label="BN rewind"),
        contrast(evidence, "warm-up: (lrr - imp with) - (lrr - imp without)", warm_up, h, label="warm-up"),
        arm_difference(evidence, "lrr-bn-rewind", "lrr", role="secondary"),
    ]


def claim_14(evidence: Evidence) -> list[Row]:
    """The factorial on networks, all four cells with BN rewind, and on the neuron."""
    h = h_measure(evidence)
    signs = contrast(evidence, "main effect of trained signs", measures.SIGN_CONTRAST, h)
    magnitudes = contrast(evidence, "main effect of trained magnitudes", measures.MAGNITUDES, h, role="secondary")
    interaction = contrast(evidence, "interaction of signs and magnitudes", measures.INTERACTION, h, role="secondary")
    return [signs, magnitudes, interaction, _share(signs, magnitudes), *neuron_factorial(evidence)]


def _share(signs: Row, magnitudes: Row) -> Row:
    """Share of the lead that signs carry: a ratio of means, with no verdict of its own."""
    whole = (signs.effect or 0.0) + (magnitudes.effect or 0.0)
    verdict, share = ("no verdict of its own", signs.effect / whole) if whole and signs.n else (NOT_RUN, None)
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
        role="secondary",
        signed=False,
    )


def after_claim_5(rows: list[Row], evidence: Evidence | None) -> str:
    """As `conjunction`, but there is nothing for signs to carry where claim 5 is not reproduced."""
    verdict = conjunction(rows)
    if verdict == NOT_RUN or beside_control(claim_5(evidence)) == REPRODUCED:
        return verdict
    return f"{INCONCLUSIVE} (claim 5 not reproduced)"


# ------------------------------------------------------------------------------------------------------ evaluation


def evaluate(records: Records, numbers: Iterable[str] | None = None) -> list[ClaimVerdict]:
    """Judge claims: on theory once, on each study or sweep (once, `not run`, where there is none).

    `numbers` : keys of `CLAIMS`; None for every claim.

    Smoke runs are not judged. Claims on the neuron alone are judged with our protocol: the neuron has no other.
    """
    records = records.judged
    problems = {problem.owner: problem.message for problem in records.problems}
    return [
        _judge(number, claim, evidence)
        for number, claim in ((number, CLAIMS[number]) for number in (CLAIMS if numbers is None else numbers))
        if claim.kind != ON_THEORY or not protocol_mark(records.protocol)
        for evidence in _places(claim.kind, records, problems)
    ]


def _places(kind: str, records: Records, problems: Mapping[str, str]) -> list[Evidence]:
    """The evidence that a claim is judged on, one item per verdict."""

    def evidence(results: StudyResults | None, sweep: Sweep | None = None) -> Evidence:
        return Evidence(results, records.theory, problems, sweep, records.protocol)

    if kind == ON_NETWORKS:
        return [evidence(results) for results in records.studies or [None]]
    if kind == ON_PERTURBED:
        there = perturbed_studies(records)
        judged = {results.study.place for results, _ in there}
        there += [(r, None) for r in records.studies if r.study.place not in judged]
        there = there or [(None, None)]
        return [evidence(results, sweep) for results, sweep in there]
    found = find_sweeps(records, kind) if kind != ON_THEORY else []
    return [evidence(None, sweep) for sweep in found or [None]]


def _judge(number: str, claim: Claim, evidence: Evidence) -> ClaimVerdict:
    rows, sweep = claim.rows(evidence), evidence.sweep
    study = evidence.results.study if evidence.results and sweep is None else None
    place = study or sweep
    return ClaimVerdict(
        number,
        claim.sentence,
        claim.source,
        study.study if study else None,
        _scope(rows, evidence),
        claim.judge(rows, evidence),
        control_verdict(rows),
        tuple(rows),
        claim.short,
        sweep.name if sweep else None,
        place.preset if place else None,
        place.dataset if place else None,
        ", ".join(f"{name}={value}" for name, value in sweep.shared_overrides.items()) if sweep else "",
    )


def _scope(rows: list[Row], evidence: Evidence) -> str:
    """The scope of a verdict: that of the row that decides, or all values of a sweep."""
    deciding, sweep = [row for row in rows if row.decides], evidence.sweep
    if sweep is None or evidence.results or len(sweep.x) == 1:  # one study
        return deciding[0].scope
    seeds = sorted({seed for row in deciding for seed in row.seeds})
    said = f", seeds {' '.join(map(str, seeds))}" if seeds else ""
    return f"{sweep_scope(sweep)}, {sweep.name} {', '.join(map(format_value, sweep.x))}{said}"


_ASKED = "reviewers' question, ours"
_RULES = ("imp", "lrr")
_PERTURBED = (*_RULES, "imp-perturbed", "lrr-perturbed")
_NORM = ("lrr-bn-rewind", "imp-bn-kept")
_WARM_UP = ("imp-without-warmup", "lrr-without-warmup")
_OTHER_MASKS = tuple(f"{arm}-on-{kind}-mask" for kind in ("random", "shuffled") for arm in (*_RULES, "imp-long"))

CLAIMS: dict[str, Claim] = {
    "1": Claim("One input: the neuron learns if and only if a(0) > 0 and w(0) > 0 (balanced)",
               "One input: signs decide", "paper, Theorem 2.1", ON_THEORY, theorem("1"), conjunction,
               theory=("theorem-check",)),
    "2": Claim("Several inputs: a(0) > 0 learns whatever the sign of w_1(0), a(0) < 0 fails (balanced)",
               "Several inputs: a(0) > 0 learns", "paper, Lemma 2.2 in our reading", ON_THEORY, theorem("2"),
               conjunction, theory=("theorem-check",)),
    "3": Claim("After pruning to the correct mask LRR succeeds with probability 1/2, IMP with 1/4 (balanced)",
               "LRR learns in 1/2, IMP in 1/4", "paper, Theorem 2.3 in our reading", ON_THEORY, claim_3, conjunction,
               theory=("factorial",)),
    "4a": Claim("Both IMP and LRR find the neuron's mask (balanced, population)", "Both find the neuron's mask",
                "paper, in our reading", ON_THEORY, claim_4a, conjunction,
                theory=("pruning-iterations",)),
    "4b": Claim("LRR finds the neuron's mask more often than IMP", "LRR finds the mask more often",
                "paper, in our reading", ON_THEORY, claim_4b, conjunction, theory=("mask-recovery",)),
    "5": Claim("LRR beats IMP at high sparsity", "LRR beats IMP at high sparsity", "paper", ON_NETWORKS, claim_5,
               beside_control, (*_RULES, "imp-long", *_NORM), both_protocols=True),
    "6": Claim("IMP improves with the mask that LRR learnt", "IMP improves with LRR's mask", "paper, figure 3",
               ON_NETWORKS, claim_6, conjunction, ("imp", "imp-on-lrr-mask"), both_protocols=True),
    "7": Claim("LRR beats IMP on the mask that IMP learnt", "LRR beats IMP on IMP's mask", "paper, figure 4",
               ON_NETWORKS, claim_7, beside_control, ("imp", "lrr-on-imp-mask", "imp-long"), both_protocols=True),
    "8": Claim("LRR beats IMP on random and on shuffled masks", "LRR beats IMP on other masks", "paper, figure 2",
               ON_NETWORKS, claim_8, beside_control, _OTHER_MASKS),
    "9": Claim("LRR's signs settle at earlier levels than IMP's", "LRR's signs settle earlier", "paper, figure 5",
               ON_NETWORKS, claim_9, conjunction, _RULES, signs=True, both_protocols=True),
    "10a": Claim("LRR flips signs early: more often than IMP in levels 1 to 3", "LRR flips signs early",
                 "paper, abstract", ON_NETWORKS, claim_10a, conjunction, _RULES, signs=True, both_protocols=True),
    "10b": Claim("LRR's signs end further from initialisation than IMP's", "LRR's signs end further away", "ours",
                 ON_NETWORKS, claim_10b, conjunction, _RULES, signs=True, both_protocols=True),
    "11": Claim("LRR loses less than IMP when signs are perturbed", "LRR bears perturbed signs better",
                "paper, abstract", ON_PERTURBED, claim_11, conjunction, _PERTURBED, both_protocols=True),
    "12": Claim("BN rewind and warm-up enlarge the lead of LRR", "What enlarges the lead of LRR", "paper, summary",
                ON_NETWORKS, claim_12, conjunction, (*_RULES, *_NORM, *_WARM_UP), both_protocols=True),
    "13": Claim("Overparametrisation helps LRR more than IMP", "Overparametrisation helps LRR", "paper, summary",
                "width", claim_13, conjunction, _RULES, ("dimension",)),
    "14": Claim("Signs are what LRR carries over", "Signs are what LRR carries over", "ours", ON_NETWORKS, claim_14,
                after_claim_5, (*_RULES, "sign", "magnitude", "lrr-bn-rewind", "imp-long"), ("factorial",),
                both_protocols=True),
    "criteria": Claim("LRR's lead at high sparsity holds under every pruning criterion", "Lead under every criterion",
                      _ASKED, "criterion", at_every_value("criterion", "criterion"), conjunction, _RULES),
    "architectures": Claim("LRR's lead at high sparsity holds on another architecture (VGG)",
                           "Lead on every architecture", _ASKED, "model", at_every_value("model", "network"),
                           conjunction, _RULES),
    "prune-rates": Claim("LRR's lead at high sparsity holds at every prune rate", "Lead at every prune rate", _ASKED,
                         "prune-rate", at_every_value("prune-rate", "prune rate"), conjunction, _RULES),
    "schedules": Claim("LRR's lead at high sparsity holds under every learning-rate schedule",
                       "Lead under every schedule", _ASKED, "schedule", at_every_value("schedule", "schedule"),
                       conjunction, _RULES),
    "mask-convergence": Claim("The mask stops changing once training has converged", "The mask converges", _ASKED,
                              "mask-convergence", mask_converges, conjunction, _RULES),
}  # fmt: skip
