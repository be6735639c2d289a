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
from figures.claims.family import with_family
from figures.claims.neuron import claim_3, claim_4a, claim_4b, neuron_factorial, theorem
from figures.claims.sweeps import at_every_value, claim_13, mask_converges, sweep_scope
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    AT_CHANCE,
    INCONCLUSIVE,
    INTERIM,
    NOT_PLANNED,
    NOT_RUN,
    NUMBER_OF_LEVELS,
    NUMBER_OF_SWITCHES,
    REPRODUCED,
    SHARE,
    SMALLEST_EFFECT,
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
    not_worse,
    optional,
)
from figures.results.network import Records, StudyResults
from figures.results.variants import AUTHORS_PROTOCOL, BEST_EPOCH, SELECTED, protocol_mark

ON_NETWORKS = "network"
ON_PERTURBED = "perturbed"
ON_THEORY = "theory"
MAGNITUDE_BN_KEPT = "magnitude-bn-kept"


@dataclass(frozen=True)
class Claim:
    """A sentence, its source, the kind of its evidence, and the functions that make and judge its rows.

    `kind` is `theory` (judged once), `network` (on each study), `perturbed` (on each study in which a fifth of the
    signs is perturbed), or the name of a sweep (on each preset and data set that has it). `short` is the sentence in
    few words, for a picture. `arms` and `theory` are the arms and the experiments that `rows` and `judge` read; `more`
    are arms that they read where a study lists them, but that are not run for the claim; `signs`: they read the arms'
    sign statistics. `both_protocols`: the table of verdicts that turn with the protocol has the claim.
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
    more: tuple[str, ...] = ()


def protocol_of(evidence: Evidence) -> str:
    """The protocol of the study that a claim is judged on."""
    return evidence.results.study.protocol if evidence.results else evidence.protocol


def claim_5(evidence: Evidence) -> list[Row]:
    """LRR over IMP at high sparsity, with the two readings of batch norm and the training-length row.

    Where it has been run, IMP rewound to the end of the warm-up, as in the authors' code, is beside them.
    """
    warm = "IMP rewound to the end of the warm-up: high-sparsity accuracy, lrr - imp-warm"
    return [
        arm_difference(evidence, "lrr", "imp"),
        against_length(evidence, "lrr", "imp-long"),
        arm_difference(
            evidence, "lrr-bn-rewind", "imp", "both rewind BN: high-sparsity accuracy, lrr-bn-rewind - imp", "secondary"
        ),
        arm_difference(
            evidence, "lrr", "imp-bn-kept", "both keep BN: high-sparsity accuracy, lrr - imp-bn-kept", "secondary"
        ),
        *optional(evidence, {"lrr": 1, "imp-warm": -1}, warm),
    ]


def claim_6(evidence: Evidence) -> list[Row]:
    """IMP improves with the LRR mask."""
    return [arm_difference(evidence, "imp-on-lrr-mask", "imp")]


def claim_7(evidence: Evidence) -> list[Row]:
    """LRR optimises better within the IMP mask, with the training-length row.

    Where it has been run, LRR with BN rewound is beside them.
    """
    arm = "lrr-on-imp-mask"
    rewound = {"lrr-bn-rewind-on-imp-mask": 1, "imp": -1}
    name = "both rewind BN: high-sparsity accuracy, lrr-bn-rewind-on-imp-mask - imp"
    lengths = against_length(evidence, arm, "imp-long")
    return [arm_difference(evidence, arm, "imp"), lengths, *optional(evidence, rewound, name)]


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


def claim_11(evidence: Evidence, protocol: str = "") -> list[Row]:
    """Drop of high-sparsity accuracy by perturbed signs, IMP - LRR.

    Signs are perturbed once, or several times in every level. The protocol (that of the study, if not given) says which
    of the two decides; the other is beside it where a preset's own study lists its arms.
    """
    if evidence.results is None:
        return [not_run(_ONCE, ACCURACY_POINTS, "effect", "networks", sweep_command("perturbation", evidence.protocol))]
    once = (_ONCE, _drop("perturbed"))
    often = (_OFTEN, _drop("perturbed-often"))
    (name, arms), beside = (often, once) if (protocol or protocol_of(evidence)) == AUTHORS_PROTOCOL else (once, often)
    decides = contrast(evidence, name, arms, h_measure(evidence))
    return [decides, *(optional(evidence, beside[1], beside[0]) if evidence.sweep is None else [])]


def _drop(ending: str) -> dict[str, float]:
    """The drop of IMP less the drop of LRR, as a contrast of arms."""
    return {"imp": 1, f"imp-{ending}": -1, "lrr": -1, f"lrr-{ending}": 1}


_ONCE = "drop of high-sparsity accuracy, imp - lrr, 20 % of the signs perturbed at the middle level"
_OFTEN = "drop of high-sparsity accuracy, imp - lrr, 30 % of the signs perturbed several times in every level"


def claim_12(evidence: Evidence, protocol: str = "") -> list[Row]:
    """BN rewind and warm-up enlarge the lead of LRR: both parts.

    Under the authors' protocol (that of the study, if not given) the warm-up comes once, before level 0, and is
    compared with a warm-up at every level.
    """
    batch_norm = {"lrr-bn-rewind": 1, "imp": -1, "lrr": -1, "imp-bn-kept": 1}
    h = h_measure(evidence)
    bn_name = "BN rewind: (lrr - imp, both rewound) - (lrr - imp, both kept)"
    decides, *beside = _warm_up_rows(evidence, protocol or protocol_of(evidence))
    return [
        contrast(evidence, bn_name, batch_norm, h, label="BN rewind"),
        decides,
        arm_difference(evidence, "lrr-bn-rewind", "lrr", role="secondary"),
        *beside,
    ]


def _warm_up_rows(evidence: Evidence, protocol: str) -> list[Row]:
    h = h_measure(evidence)
    no_warm_up = _lead_less_lead("without-warmup")
    if protocol != AUTHORS_PROTOCOL:
        return [contrast(evidence, "warm-up: (lrr - imp with) - (lrr - imp without)", no_warm_up, h, label="warm-up")]
    name = "warm-up: (lrr - imp, once) - (lrr - imp, at every level)"
    none = "warm-up: (lrr - imp, once) - (lrr - imp without), which moves the rewind point too"
    decides = contrast(evidence, name, _lead_less_lead("warmup-every"), h, label="warm-up")
    return [decides, *optional(evidence, no_warm_up, none)]


def _lead_less_lead(ending: str) -> dict[str, float]:
    """The lead of LRR less its lead in the arms with another ending, as a contrast of arms."""
    return {"lrr": 1, "imp": -1, f"lrr-{ending}": -1, f"imp-{ending}": 1}


def claim_14(evidence: Evidence) -> list[Row]:
    """The factorial on networks, all four cells with BN rewind, and on the neuron.

    Where it has been run, the effect of signs with the authors' magnitude rewind, which keeps BN, is beside them.
    """
    h = h_measure(evidence)
    kept = {MAGNITUDE_BN_KEPT if arm == "magnitude" else arm: c for arm, c in measures.SIGN_CONTRAST.items()}
    as_theirs = optional(evidence, kept, "main effect of trained signs, BN kept by magnitude rewind")
    signs = contrast(evidence, "main effect of trained signs", measures.SIGN_CONTRAST, h)
    magnitudes = contrast(evidence, "main effect of trained magnitudes", measures.MAGNITUDES, h, role="secondary")
    interaction = contrast(evidence, "interaction of signs and magnitudes", measures.INTERACTION, h, role="secondary")
    return [signs, magnitudes, interaction, _share(signs, magnitudes), *as_theirs, *neuron_factorial(evidence)]


def _share(signs: Row, magnitudes: Row) -> Row:
    """Share of the lead that signs carry: a ratio of means, with no verdict of its own."""
    whole = (signs.effect or 0.0) + (magnitudes.effect or 0.0)
    verdict, share = ("no verdict of its own", signs.effect / whole) if whole and signs.n else (NOT_RUN, None)
    verdict = signs.verdict if signs.verdict.startswith((INTERIM, NOT_PLANNED)) else verdict
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
    lead = beside_control(claim_5(evidence))
    if verdict in (NOT_RUN, NOT_PLANNED, AT_CHANCE) or verdict.startswith(INTERIM) or lead == REPRODUCED:
        return verdict
    if lead.startswith(INTERIM):
        return lead
    return f"{INCONCLUSIVE} (claim 5 not reproduced)"


def claim_15a(evidence: Evidence) -> list[Row]:
    """Cyclic training of a random mask is as good as LRR where networks are not yet very sparse.

    The effect is the mean accuracy over the levels of density above .03, cyclic-random - lrr, and it is compared with
    -.2 points. Level 0 is left out: both arms share it, and with it the same difference would look nearer to 0, which
    is in the claim's favour.
    """
    levels = measures.denser_levels(evidence.results) if evidence.results else ()
    name = "mean accuracy over levels of density above .03 without level 0, cyclic-random - lrr, against -0.2"
    of_arm = measures.mean_accuracy(levels) if levels else None
    row = contrast(evidence, name, {"cyclic-random": 1, "lrr": -1}, of_arm)
    return [_seen_before(not_worse(row, SMALLEST_EFFECT[ACCURACY_POINTS]))]


def claim_15b(evidence: Evidence) -> list[Row]:
    """Cyclic training of a random mask is not enough at high sparsity: LRR beats it there."""
    return [_seen_before(arm_difference(evidence, "lrr", "cyclic-random"))]


def _seen_before(row: Row) -> Row:
    seen = "levels 6 and 7 of the preset quick were seen before this claim was written"
    return replace(row, note="; ".join(filter(None, (row.note, seen))))


# ------------------------------------------------------------------------------------------------------ evaluation


def evaluate(records: Records, numbers: Iterable[str] | None = None) -> list[ClaimVerdict]:
    """Judge claims: on theory once, on each study or sweep (once, `not run`, where there is none).

    `numbers` : keys of `CLAIMS`; None for every claim.

    Smoke runs are not judged. Claims on the neuron alone are judged with our protocol: the neuron has no other.
    """
    records = records.judged
    wanted = list(CLAIMS if numbers is None else numbers)
    problems = {problem.owner: problem.message for problem in records.problems}
    found = [
        _judge(number, claim, evidence)
        for number, claim in ((number, CLAIMS[number]) for number in wanted)
        if claim.kind != ON_THEORY or not protocol_mark(records.protocol)
        for evidence in _places(claim.kind, records, problems)
    ]
    found = with_family([verdict for verdict in map(_planned_part, found) if verdict], records)
    return [_selected(verdict) for verdict in found] if records.accuracy == BEST_EPOCH else found


def _planned_part(verdict: ClaimVerdict) -> ClaimVerdict | None:
    """A verdict without secondary rows that are not planned; None where nothing that decides is."""
    if all(row.verdict == NOT_PLANNED for row in verdict.rows if row.decides):
        return None
    rows = tuple(row for row in verdict.rows if row.role != "secondary" or row.verdict != NOT_PLANNED)
    return verdict if len(rows) == len(verdict.rows) else replace(verdict, rows=rows)


def _selected(verdict: ClaimVerdict) -> ClaimVerdict:
    """The verdict on accuracies of networks with the selection on the test set in every scope."""
    if all(row.unit != ACCURACY_POINTS for row in verdict.rows):
        return verdict

    def labelled(scope: str) -> str:
        return scope if scope.startswith("theory") else f"{scope}; {SELECTED}"

    rows = tuple(replace(row, scope=labelled(row.scope)) for row in verdict.rows)
    return replace(verdict, scope=labelled(verdict.scope), rows=rows)


def _places(kind: str, records: Records, problems: Mapping[str, str]) -> list[Evidence]:
    """The evidence that a claim is judged on, one item per verdict."""

    def evidence(results: StudyResults | None, sweep: Sweep | None = None) -> Evidence:
        return Evidence(results, records.theory, problems, sweep, records.protocol)

    # what the results folder lacks is not run, whatever comes with the code
    bundled = [results for results in records.studies if results.bundled]
    records = replace(records, studies=tuple(results for results in records.studies if not results.bundled))
    if kind == ON_NETWORKS:
        return [evidence(results) for results in [*(records.studies or [None]), *bundled]]
    if kind == ON_PERTURBED:
        often = [r for r in records.studies if _is_perturbed_often(r)]
        there = [(r, None) for r in often]
        there += [(r, s) for r, s in perturbed_studies(records) if r.study.place not in {o.study.place for o in often}]
        judged = {results.study.place for results, _ in there}
        there += [(r, None) for r in records.studies if r.study.place not in judged]
        there = there or [(None, None)]
        return [evidence(results, sweep) for results, sweep in there]
    found = find_sweeps(records, kind) if kind != ON_THEORY else []
    return [evidence(None, sweep) for sweep in found or [None]]


def _is_perturbed_often(results: StudyResults) -> bool:
    """Whether a study has what decides claim 11 under the authors' protocol."""
    authors = results.study.protocol == AUTHORS_PROTOCOL
    return authors and all(measures.has_arm(results, arm) for arm in _OFTEN_ARMS)


def _judge(number: str, claim: Claim, evidence: Evidence) -> ClaimVerdict:
    rows = claim.rows(evidence)
    sweep = evidence.sweep
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
    deciding = [row for row in rows if row.decides]
    sweep = evidence.sweep
    if sweep is None or evidence.results or len(sweep.x) == 1:  # one study
        return deciding[0].scope
    seeds = sorted({seed for row in deciding for seed in row.seeds})
    said = f", seeds {' '.join(map(str, seeds))}" if seeds else ""
    return f"{sweep_scope(sweep)}, {sweep.name} {', '.join(map(format_value, sweep.x))}{said}"


_ASKED = "reviewers' question, ours"
_FOLLOW_UP = "follow-up of the paper's group, in our reading"
_RULES = ("imp", "lrr")
_PERTURBED = (*_RULES, "imp-perturbed", "lrr-perturbed")
_NORM = ("lrr-bn-rewind", "imp-bn-kept")
_WARM_UP = ("imp-without-warmup", "lrr-without-warmup")
_OFTEN_ARMS = ("imp-perturbed-often", "lrr-perturbed-often")
_EVERY_LEVEL = ("imp-warmup-every", "lrr-warmup-every")
_CYCLIC = ("lrr", "cyclic-random")
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
               beside_control, (*_RULES, "imp-long", *_NORM), more=("imp-warm",), both_protocols=True),
    "6": Claim("IMP improves with the mask that LRR learnt", "IMP improves with LRR's mask", "paper, figure 3",
               ON_NETWORKS, claim_6, conjunction, ("imp", "imp-on-lrr-mask"), both_protocols=True),
    "7": Claim("LRR beats IMP on the mask that IMP learnt", "LRR beats IMP on IMP's mask", "paper, figure 4",
               ON_NETWORKS, claim_7, beside_control, ("imp", "lrr-on-imp-mask", "imp-long"),
               more=("lrr-bn-rewind-on-imp-mask",), both_protocols=True),
    "8": Claim("LRR beats IMP on random and on shuffled masks", "LRR beats IMP on other masks", "paper, figure 2",
               ON_NETWORKS, claim_8, beside_control, _OTHER_MASKS),
    "9": Claim("LRR's signs settle at earlier levels than IMP's", "LRR's signs settle earlier", "paper, figure 5",
               ON_NETWORKS, claim_9, conjunction, _RULES, signs=True, both_protocols=True),
    "10a": Claim("LRR flips signs early: more often than IMP in levels 1 to 3", "LRR flips signs early",
                 "paper, abstract", ON_NETWORKS, claim_10a, conjunction, _RULES, signs=True, both_protocols=True),
    "10b": Claim("LRR's signs end further from initialisation than IMP's", "LRR's signs end further away", "ours",
                 ON_NETWORKS, claim_10b, conjunction, _RULES, signs=True, both_protocols=True),
    "11": Claim("LRR loses less than IMP when signs are perturbed", "LRR bears perturbed signs better",
                "paper, abstract", ON_PERTURBED, claim_11, conjunction, _PERTURBED, more=_OFTEN_ARMS,
                both_protocols=True),
    "12": Claim("BN rewind and warm-up enlarge the lead of LRR", "What enlarges the lead of LRR", "paper, summary",
                ON_NETWORKS, claim_12, conjunction, (*_RULES, *_NORM, *_WARM_UP), more=_EVERY_LEVEL,
                both_protocols=True),
    "13": Claim("Overparametrisation helps LRR more than IMP", "Overparametrisation helps LRR", "paper, summary",
                "width", claim_13, conjunction, _RULES, ("dimension",)),
    "14": Claim("Signs are what LRR carries over", "Signs are what LRR carries over", "ours", ON_NETWORKS, claim_14,
                after_claim_5, (*_RULES, "sign", "magnitude", "lrr-bn-rewind", "imp-long"), ("factorial",),
                more=(MAGNITUDE_BN_KEPT,), both_protocols=True),
    "15a": Claim("Cyclic training of a random mask is as good as LRR where networks are not yet very sparse",
                 "Cyclic training is as good as LRR", _FOLLOW_UP, ON_NETWORKS, claim_15a, conjunction, _CYCLIC),
    "15b": Claim("Cyclic training of a random mask is not enough at high sparsity: LRR beats it",
                 "At high sparsity LRR beats it", _FOLLOW_UP, ON_NETWORKS, claim_15b, conjunction, _CYCLIC),
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
