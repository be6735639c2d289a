"""Made-up studies with perturbed signs, without a disk."""

from dataclasses import replace

import numpy as np

from figures.catalogue import FIGURES
from figures.plots.style import drawing_style
from figures.results.network import Records

RULES = ("imp", "lrr", "imp-perturbed", "lrr-perturbed")


VALUES = ((0.1, 4, "global"), (0.2, 4, "global"), (0.5, 4, "global"), (0.2, 1, "global"), (0.2, 7, "global"),
          (0.2, 4, "layerwise"))  # fmt: skip


def accuracy(cost, seeds=(0, 1, 2, 3)):
    """arm -> seed -> accuracy by level, made up: the perturbation costs IMP `cost`, LRR half of it, on average."""
    rng, out = np.random.default_rng(int(1000 * cost)), {}
    for arm in RULES:
        lost = 0.0 if not arm.endswith("-perturbed") else cost if arm.startswith("imp") else cost / 2
        start = 0.93 if arm.startswith("lrr") else 0.9
        out[arm] = {s: list(start - lost - 0.005 * np.arange(8) + rng.normal(0, 0.003, 8)) for s in seeds}
    return out


def swept(synthetic, values=VALUES, seeds=(0, 1, 2, 3), arms=RULES):
    """Records of the sweep `perturbation`, built without a disk, with a plain study beside it."""
    studies = []
    for share, level, scope in values:
        made = {arm: by for arm, by in accuracy(share * (1 - level / 10), seeds).items() if arm in arms}
        (results,) = synthetic.in_memory(made).studies
        config = {"first_level": 1, "perturb_rate": share, "perturb_level": level, "perturb_scope": scope}
        name = f"quick-model-resnet8-{share}-{level}-{scope}"
        changed = {"model": "resnet8", "perturb_rate": share}
        study = replace(results.study, study=name, preset=f"quick, {name}", model="resnet8", swept="perturbation",
                        base="quick", overrides=changed, shared_overrides={"model": "resnet8"},
                        command="paper_repro.py train --preset quick --sweep perturbation")  # fmt: skip
        runs = {arm: replace(run, config=config) for arm, run in results.arms.items()}
        studies.append(replace(results, study=study, arms=runs))
    return studies


def plain(synthetic):
    (results,) = synthetic.in_memory(accuracy(0.02)).studies
    config = {"first_level": 1, "perturb_rate": 0.2, "perturb_level": 4, "perturb_scope": "global"}
    study = replace(results.study, study="quick-digits", base="quick")
    return replace(results, study=study, arms={arm: replace(run, config=config) for arm, run in results.arms.items()})


def draw(*studies, sweeps=()):
    with drawing_style():
        return FIGURES["6"].draw(Records(tuple(studies), {}, (), (), tuple(sweeps)))
