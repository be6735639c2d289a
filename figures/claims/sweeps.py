"""The claims that a sweep of a preset decides: claim 13 on networks, and the reviewers' questions.

Pure: records in, rows out. The rules below were fixed before the data (the network and the values that `quick` varies
were not: those chosen first had ended near chance, and took too long):

- A claim is judged once all values of its sweep have been run (as many as its entry in `SWEEP_ENTRIES` needs), so the
  order of training cannot decide it.
- The common settings are a value like the others: "at every value" includes them.
- Where neither rule is clearly better than guessing (`verdicts.above_chance`) no lead can be measured: the row is
  `inconclusive (at chance)`, and so the claim is neither reproduced nor refuted by that value.
- LRR's weights have seen more epochs than IMP's at the same level, and no value has claim 5's control of that.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from figures.analysis import measures
from figures.analysis.measures import LEAD, combine, high_sparsity_levels, mean_accuracy
from figures.analysis.sweeps import (
    BASE,
    SWEEP_ENTRIES,
    Sweep,
    SweepEntry,
    differing,
    format_value,
    setting,
    sweep_command,
)
from figures.claims.neuron import neuron_over_inputs
from figures.claims.verdicts import (
    ACCURACY_POINTS,
    AT_CHANCE,
    FEWEST_SEEDS,
    INCONCLUSIVE,
    NOT_REPRODUCED,
    NOT_RUN,
    REPRODUCED,
    SHARE,
    SMALLEST_EFFECT,
    Evidence,
    Row,
    arm_difference,
    contrast,
    not_run,
    sample_row,
    secondary_words,
)
from figures.results.network import StudyResults


def at_every_value(name: str, what: str) -> Callable[[Evidence], list[Row]]:
    """Make the rows of "the lead holds at every value": LRR's lead at each value, paired by seed.

    All of them are needed.
    """

    def rows(evidence: Evidence) -> list[Row]:
        sweep = evidence.sweep
        if sweep is None:
            return [
                not_run(
                    f"{what}: high-sparsity accuracy, lrr - imp at each value",
                    ACCURACY_POINTS,
                    "effect",
                    "networks",
                    sweep_command(name, evidence.protocol),
                )
            ]
        found = [
            replace(_lead_at(replace(evidence, results=results), f"{what} {format_value(x)}"), label=format_value(x))
            for x, results in zip(sweep.x, sweep.studies, strict=True)
        ]
        return [*found, *_too_few(sweep, f"{what}: high-sparsity accuracy, lrr - imp at the other values")]

    return rows


def _lead_at(evidence: Evidence, value: str) -> Row:
    """LRR's lead over IMP in one study; not judged where neither network is better than guessing."""
    results = evidence.results
    h = _h(evidence.results)
    base = ", the common settings" if results.study.swept in (BASE, None) else ""
    row = arm_difference(evidence, "lrr", "imp", f"{value}{base}: high-sparsity accuracy, lrr - imp")
    return replace(row, note="; ".join(filter(None, (row.note, _accuracies_note(h, value)))))


def _h(results: StudyResults) -> dict[str, float]:
    return measures.means(results, ("imp", "lrr"), high_sparsity_levels(results))


def _accuracies_note(h: dict[str, float], value: str) -> str:
    """The accuracy of both rules, as a note.

    A lead between networks near chance means something else than a lead between accurate networks.
    """
    return (
        f"high-sparsity accuracy at {value}: " + ", ".join(f"{arm} {mean:.1f}" for arm, mean in h.items()) if h else ""
    )


def _too_few(sweep: Sweep, name: str) -> list[Row]:
    """A row that reports that not every value of a sweep has been run."""
    there = len(sweep.studies)
    wanted = SWEEP_ENTRIES.get(sweep.name, SweepEntry()).values_needed
    if there >= wanted:
        return []
    note = f"{there} of {wanted} values were run"
    scope = sweep.studies[0].study.scope
    return [replace(not_run(name, ACCURACY_POINTS, "effect", scope, sweep.command, note), label="other values")]


def claim_13(evidence: Evidence) -> list[Row]:
    """Overparametrisation helps LRR more than IMP: over network width, and over the neuron's inputs.

    Both decide. Networks: the lead at the largest width minus that at the smallest, paired by seed.
    """
    neuron, *beside = neuron_over_inputs(evidence)
    return [*_over_widths(evidence), neuron, *beside]


_WIDER = "networks: the lead of lrr over imp at the largest width - at the smallest"


def _over_widths(evidence: Evidence) -> list[Row]:
    sweep = evidence.sweep
    if sweep is None:
        row = not_run(_WIDER, ACCURACY_POINTS, "effect", "networks", sweep_command("width", evidence.protocol))
        return [replace(row, label="networks: widest less narrowest")]
    few = _too_few(sweep, _WIDER)
    if few:
        return [replace(few[0], label="networks: widest less narrowest")]
    values = zip(sweep.x, sweep.studies, strict=True)
    leads = [_lead_at(replace(evidence, results=results), f"width {format_value(w)}") for w, results in values]
    return [_difference(sweep, leads[-1], leads[0]), *(_beside(row) for row in leads)]


def _beside(row: Row) -> Row:
    judged = row.verdict not in (NOT_RUN, AT_CHANCE)
    return replace(
        row, role="secondary", verdict=secondary_words(row.verdict, row.low, row.high) if judged else row.verdict
    )


def _difference(sweep: Sweep, widest: Row, narrowest: Row) -> Row:
    """The lead at the largest width minus that at the smallest.

    It is judged where a lead can be measured at both.
    """
    ends = (sweep.studies[-1], sweep.studies[0])
    widths = (sweep.x[-1], sweep.x[0])
    largest, smallest = map(format_value, widths)
    label = f"networks: width {largest} less {smallest}"
    scope = f"{sweep_scope(sweep)}, {ends[0].study.model}, widths {smallest} and {largest}"
    absent = next((row for row in (widest, narrowest) if row.verdict == NOT_RUN), None)
    if absent:
        return replace(not_run(_WIDER, ACCURACY_POINTS, "effect", scope, absent.command, absent.note), label=label)
    leads = [combine(results, LEAD, mean_accuracy(high_sparsity_levels(results))) for results in ends]
    sample = measures.weigh([(1, leads[0]), (-1, leads[1])])
    row = sample_row(_WIDER, sample, ACCURACY_POINTS, "effect", scope, sweep.command, label)
    return replace(row, verdict=AT_CHANCE) if AT_CHANCE in (widest.verdict, narrowest.verdict) else row


def sweep_scope(sweep: Sweep) -> str:
    """Preset, what is changed in it at every value, and data set in a few words."""
    changes = [f"{name}={value}" for name, value in differing(sweep).items()]
    return f"preset {', '.join([sweep.preset, *changes])}, {sweep.dataset}"


_LEAST = 1 - SMALLEST_EFFECT[SHARE]
_EARLIER = {"effect": (1, "a cycle before the end"), "secondary": (0.25, "a quarter of a cycle before the end")}


def mask_converges(evidence: Evidence) -> list[Row]:
    """Does a level that is trained longer still change its mask?

    The effect is the share of the level's last mask that an earlier mask already had, minus .98. A level consists of
    several cycles of the schedule, each trained to the end of its learning rates. The mask at the end of the last but
    one cycle decides: it has stopped changing where a further cycle replaces at most .02 of it, the smallest share that
    matters, so the rule is an interval wholly above 0 or wholly below. A secondary row takes the mask a quarter of a
    cycle before the end, when the learning rate is small. Each rule is measured separately, as the mean over its
    levels; both are needed.
    """
    sweep = evidence.sweep
    if sweep is None:
        name = f"share of the last mask that the mask a cycle before had, - {_LEAST:g}"
        return [not_run(name, SHARE, "effect", "networks", sweep_command("mask-convergence", evidence.protocol))]
    return [
        _mask_row(replace(evidence, results=results), arm, role)
        for results in sweep.studies
        for role in _EARLIER
        for arm in ("imp", "lrr")
    ]


def _mask_row(evidence: Evidence, arm: str, role: str) -> Row:
    before, words = _EARLIER[role]
    name = f"{arm}: share of the last mask that the mask {words} had, - {_LEAST:g}"
    row = contrast(evidence, name, {arm: 1}, _less(measures.mask_share(before)), SHARE, role, arm.upper())
    study = evidence.results.study
    sweep = evidence.sweep
    short = f"{sweep_scope(sweep)}, {setting(evidence.results, 'cycles')} cycles a level, {study.levels} levels"
    row = replace(row, scope=row.scope.replace(study.scope, short))  # the usual scope would name every epoch of a mask
    if role == "secondary" or row.n < FEWEST_SEEDS:
        return row
    return replace(row, verdict=REPRODUCED if row.low > 0 else NOT_REPRODUCED if row.high < 0 else INCONCLUSIVE)


def _less(of_arm: measures.Measure) -> measures.Measure:
    """The measure minus the share that a mask must keep."""

    def less(results: StudyResults, arm: str) -> Any:
        sample = of_arm(results, arm)
        return replace(sample, values={seed: value - _LEAST for seed, value in sample.values.items()})

    return less
