"""Records for the tests of the claims, made up in memory with known effects; and their arms dealt anew."""

from dataclasses import dataclass, replace

import numpy as np

from figures.results.network import ArmRun, MaskSnapshot, Records, Study, StudyResults
from tests.figures import synthetic

SEEDS = range(6)
LEADS = {
    "imp": 0.0, "lrr": 3.0, "imp-on-lrr-mask": 1.5, "lrr-on-imp-mask": 2.5, "imp-on-random-mask": -4.0,
    "lrr-on-random-mask": -1.0, "imp-on-shuffled-mask": -3.0, "lrr-on-shuffled-mask": -0.5, "imp-bn-kept": 0.5,
    "lrr-bn-rewind": 4.5, "sign": 3.5, "magnitude": 0.3, "imp-long": 1.0, "imp-long-on-random-mask": -3.0,
    "imp-long-on-shuffled-mask": -2.0,
}  # fmt: skip
EVERY_LEAD = LEADS | {
    "imp-perturbed": -5.0, "lrr-perturbed": 2.0, "imp-without-warmup": 0.4, "lrr-without-warmup": 1.9,
    "cyclic-random": (3.2, 1.0),
}  # fmt: skip
# sweep -> settings of each of its values, and the lead of LRR there
VALUES = {
    "criterion": {"magnitude": 3.0, "random": 2.0, "snip": 1.0, "synflow": 4.0},
    "model": {"resnet8": 3.0, "vgg11": 5.0},
    "prune-rate": {0.2: 1.5, 0.5: 3.0, 0.7: 4.0},
    "schedule": {"constant": 1.0, "cosine": 3.0, "step": 2.0},
    "width": {4: 0.5, 8: 3.0, 16: 4.5},
}
BASE = {"criterion": "magnitude", "model": "resnet8", "prune-rate": 0.5, "schedule": "cosine", "width": 8}
_COMMON = {"model": "resnet8"}


def accuracy(leads=LEADS, seeds=SEEDS, noise=0.1, seed=0, top=90):
    """Arm -> seed -> accuracy: what a seed has in common, the arm's lead in points, and noise.

    Of a pair of leads the first is that of the levels of density above .03, the second that of the last two levels.
    """
    rng = np.random.default_rng(seed)
    seed_effect = {s: rng.normal(0, 1) for s in seeds}

    def of_seed(lead, s):
        own = seed_effect[s] + rng.normal(0, noise)
        if isinstance(lead, tuple):
            return [(top + lead[0] + own) / 100] * 6 + [(top + lead[1] + own) / 100] * 2
        return (top + lead + own) / 100

    return {arm: {s: of_seed(lead, s) for s in seeds} for arm, lead in leads.items()}


def signs(seeds=SEEDS, seed=0):
    """imp flips late, lrr early and further, in the right readings only: the others, and the last level's flips,
    point the other way. Settle counts without the last level: [never, 0, 1, .., 6]."""
    rng = np.random.default_rng(seed)

    def of(previous, initial, settles, late):
        def near(counts):
            return [count + int(rng.integers(-2, 3)) for count in counts]

        wrong = [100 - count for count in previous]
        return {
            s: ({"level_start": near(wrong), "initial": near(initial), "previous": near(previous)}, settles, late)
            for s in seeds
        }

    return {
        "imp": of([10] * 7 + [90], [10, 80, 80, 80, 10, 10, 10, 10], [100, 0, 10, 20, 30, 40, 50, 50], 0),
        "lrr": of([10, 60, 50, 40, 10, 5, 5, 5], [10, 20, 20, 20, 20, 30, 30, 40], [130, 50, 50, 50, 10, 5, 5, 0], 130),
    }


def study(leads=EVERY_LEAD, seeds=SEEDS, noise=0.1, seed=0) -> StudyResults:
    """One study of all arms that claims speak of; every arm has every level and sign statistics, to be dealt anew."""
    counts = signs(seeds, seed)
    every = {arm: counts["lrr" if arm.startswith(("lrr", "sign")) else "imp"] for arm in leads}
    return _whole(synthetic.in_memory(accuracy(leads, seeds, noise, seed), every).studies[0])


def _whole(results: StudyResults) -> StudyResults:
    """The controls have the levels 1 to 5 as well: those of level 6, which no measure reads."""

    def filled(record):
        first = min(record.levels)
        early = {k: replace(record.levels[first], level=k) for k in range(1, first)}
        return replace(record, levels=early | dict(record.levels))

    arms = {arm: replace(run, seeds={s: filled(r) for s, r in run.seeds.items()}) for arm, run in results.arms.items()}
    return replace(results, arms=arms)


def swept(name, seeds=SEEDS, noise=0.1, leads=None, seed=0, top=90, dataset="digits") -> list[StudyResults]:
    """The studies of one sweep of `quick` on ResNet8; the value of the common settings is called `base`."""
    leads = leads or VALUES[name]
    return [
        _value(name, x, lead, seeds, noise, (seed, place), top, dataset)
        for place, (x, lead) in enumerate(leads.items())
    ]


def _value(name, x, lead, seeds, noise, seed, top, dataset) -> StudyResults:
    levels = {0.2: 22, 0.7: 5}.get(x, 8)
    rate = x if name == "prune-rate" else 0.5
    data = accuracy({"imp": 0.0, "lrr": lead}, seeds, noise, list(seed), top)
    results = synthetic.in_memory(data, levels=levels, rate=rate, dataset=dataset).studies[0]
    base, setting = x == BASE[name], name.replace("-", "_")
    changed = _COMMON if base else _COMMON | {setting: x}
    place = {
        "study": f"quick-{name}-{x}-{dataset}", "swept": "base" if base else name, "base": "quick",
        "shared_overrides": _COMMON, "overrides": changed,
        "preset": ", ".join(["quick", *(f"{k}={v}" for k, v in changed.items())]),
        "command": f"paper_repro.py train --preset quick --sweep {name}",
        "model": x if name == "model" else "resnet8", "width": x if name == "width" else 8,
    }  # fmt: skip
    arms = {
        arm: replace(run, config={**run.config, "criterion": "magnitude", "schedule": "cosine", setting: x})
        for arm, run in results.arms.items()
    }
    return replace(results, study=replace(results.study, **place), arms=arms)


def mask_study(shares, seeds=SEEDS, late=0.999, cycles=4, epochs=16) -> StudyResults:
    """Levels of some cycles: `shares` is arm -> seed -> share of the last mask that the mask a cycle before had.

    The mask a quarter of a cycle before the end has `late` of it, those of the cycles before .6.
    """
    data = {arm: dict.fromkeys(seeds, 0.9) for arm in shares}
    results = synthetic.in_memory(data, levels=4).studies[0]
    whole, kept = cycles * epochs, 10_000

    def with_masks(record, share):
        found = {epochs: 0.6, whole - epochs: share, whole - epochs // 4: late, whole: 1.0}
        masks = tuple(MaskSnapshot(epoch, kept, round(kept * part)) for epoch, part in found.items())
        return replace(record, epochs=whole, mask_snapshots=masks)

    def with_all(run, of_seed):
        config = run.config | {"epochs": epochs, "cycles": str(cycles)}
        found = {
            s: replace(r, levels={k: with_masks(level, of_seed[s]) for k, level in r.levels.items()})
            for s, r in run.seeds.items()
        }
        return replace(run, config=config, seeds=found)

    arms = {arm: with_all(run, shares[arm]) for arm, run in results.arms.items()}
    first = arms["imp"]
    level_0 = {s: replace(r, levels={0: replace(r.levels[1], level=0)}) for s, r in first.seeds.items()}
    dense = ArmRun("dense", "dense", first.config, level_0, ())
    changed, command = _COMMON | {"cycles": "4"}, "paper_repro.py train --sweep mask-convergence"
    place = {"study": "quick-masks", "swept": "mask-convergence", "base": "quick", "shared_overrides": _COMMON,
             "overrides": changed, "command": command}  # fmt: skip
    return replace(results, study=replace(results.study, **place), arms=arms, dense=dense)


def every_record(seeds=SEEDS, noise=0.1, share=0.995) -> Records:
    """Records in which every claim on networks is reproduced."""
    studies = [value for name in VALUES for value in swept(name, seeds, noise)]
    names = {value.study.study: value for value in studies if value.study.swept != "base"}
    base = next(value for value in studies if value.study.swept == "base")
    rng = np.random.default_rng(5)
    shares = {arm: {s: share + rng.normal(0, 0.001) for s in seeds} for arm in ("imp", "lrr")}
    return Records((study(seeds=seeds, noise=noise),), {}, (), (), (base, *names.values(), mask_study(shares, seeds)))


@dataclass(frozen=True)
class Theirs(Study):
    """A study under the authors' protocol."""

    protocol: str = "authors"


def as_theirs(results: StudyResults) -> StudyResults:
    """The study under the authors' protocol."""
    return replace(results, study=Theirs(**(vars(results.study) | {"protocol": "authors"})))


def relabelled(results: StudyResults, names) -> StudyResults:
    """The study with its arms' names changed: those not in `names` keep theirs."""
    there = {arm: names.get(arm, arm) for arm in results.arms}
    return replace(results, arms={name: replace(results.arms[arm], arm=name) for arm, name in there.items()})


def dealt(results: StudyResults, deal) -> StudyResults:
    """The study with its arms' results dealt anew within each seed: `deal(arms)` gives, arm by arm, whose it gets."""
    seeds = {arm: {} for arm in results.arms}
    for s in results.study.seeds:
        for arm, other in zip(results.arms, deal(list(results.arms)), strict=True):
            seeds[arm][s] = results.arms[other].seeds[s]
    return replace(results, arms={arm: replace(run, seeds=seeds[arm]) for arm, run in results.arms.items()})


def on_every_study(records: Records, change) -> Records:
    """The records with every study changed."""
    return replace(records, studies=tuple(map(change, records.studies)), sweeps=tuple(map(change, records.sweeps)))
