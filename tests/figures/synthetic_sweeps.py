"""Made-up sweep studies with known effects: a test fixture, never evidence. Everything comes from a seed.

Each value of a sweep is a study file with the fields that `empirics/studies/plan.py` writes, and its runs.
"""

import zlib
from pathlib import Path

import numpy as np

from tests.figures import synthetic

BASE_LEAD = 3.0  # points of LRR over IMP at the lowest density, at the settings that all sweeps have in common
COMMON = {"model": "resnet8"}
SETTINGS = {"model": "resnet20", "width": 8, "criterion": "magnitude", "schedule": "cosine", "epochs": 16,
            "warmup_epochs": 1, "prune_rate": 0.5, "levels": 8, "cycles": "1", "mask_snapshot_epochs": []}  # fmt: skip
CHANCE = "chance"  # in place of a lead: neither rule learns anything

# sweep -> (what is changed beside COMMON, lead of LRR over IMP in points at the lowest density)
VALUES = {
    "criterion": [
        ({"criterion": "magnitude-layerwise"}, 2.0),
        ({"criterion": "random"}, CHANCE),
        ({"criterion": "snip"}, 1.5),
        ({"criterion": "synflow"}, -4.0),
        ({"criterion": "grasp"}, 0.1),
    ],
    "prune-rate": [({"prune_rate": 0.2, "levels": 22}, 4.0), ({"prune_rate": 0.7, "levels": 5}, 2.0)],
    "schedule": [({"schedule": "constant"}, -2.0), ({"schedule": "step"}, 2.5), ({"schedule": "triangular"}, 3.5)],
    "model": [({"model": "vgg11"}, 5.0)],
    "width": [({"width": 2}, 0.5), ({"width": 4}, 1.5), ({"width": 16}, 6.0)],
}
MASK_EPOCHS = [4 * k for k in range(1, 17)]


def everything(root: Path, **kwargs) -> None:
    """Every value of every sweep, the one that they have in common among them, and masks within levels."""
    base(root, **kwargs)
    for name, values in VALUES.items():
        for changes, lead in values:
            study(root, name, changes, lead, **kwargs)
    convergence(root, **kwargs)


def base(root: Path, **kwargs) -> str:
    """The study at the common settings: a value of every sweep."""
    return study(root, "base", {}, BASE_LEAD, **kwargs)


def convergence(root: Path, **kwargs) -> str:
    """Levels of four cycles, whose masks are taken on the way."""
    changes = {"cycles": "4", "mask_snapshot_epochs": MASK_EPOCHS, "levels": 4}
    return study(root, "mask-convergence", changes, BASE_LEAD, **kwargs)


def study(
    root: Path,
    varied: str | None,
    changes: dict,
    lead: float | str,
    *,
    seeds=(0, 1, 2, 3),
    preset="quick",
    dataset="digits",
    shared_overrides=COMMON,
    noise=0.3,
    diverged=(),
    left_out=(),
) -> str:
    """One value: its study file and runs of imp and lrr; returns the study's name. None is varied: the preset's own.

    `diverged` and `left_out` list (arm, seed) whose last level diverged, or is not there.
    """
    changed = {**shared_overrides, **changes}
    settings = {**SETTINGS, **changed}
    label = ", ".join([preset, *(f"{name}={_label(value)}" for name, value in changed.items())])
    name = "-".join(part for part in "".join(c if c.isalnum() or c == "." else " " for c in label).split())
    name = f"{name}-{dataset}"
    stem = f"{dataset}-{settings['model']}-{zlib.crc32(name.encode()):08x}"
    runs = {arm: f"{arm}-{stem}" for arm in ("imp", "lrr")}
    record = {"schema": 2, "kind": "study", "study": name, "preset": label, "base": preset, "overrides": changed,
              "dataset": dataset, "data_hash": "", "model": settings["model"], "width": settings["width"],
              "dense_run": f"dense-{stem}", "arms": runs, "seeds": list(seeds), "levels": settings["levels"],
              "prune_rate": settings["prune_rate"], "swept": varied, "shared_overrides": shared_overrides,
              "command": f"paper_repro.py train --preset {preset}{f' --sweep {varied}' if varied else ''}"}  # fmt: skip
    synthetic.write(root, f"studies/{name}.json", record)
    rng = np.random.default_rng([17, zlib.crc32(name.encode())])
    effects = {seed: rng.normal(0, 2 * noise) for seed in seeds}
    for arm, run in {"dense": f"dense-{stem}", **runs}.items():
        _run(root, run, arm, settings, seeds, lead, effects, rng, noise, f"dense-{stem}", diverged, left_out)
    return name


def _label(value) -> str:
    return "-".join(map(str, value)) if isinstance(value, list) else str(value)


def _run(root, run, arm, settings, seeds, lead, effects, rng, noise, dense, diverged, left_out):
    of_dense = arm == "dense"
    config = {**settings, "dataset": "made up", "first_level": 1, "levels": 1 if of_dense else settings["levels"]}
    head = {"schema": 2, "kind": "run", "run": run, "arm": arm, "config": config,
            "dense_run": None if of_dense else dense, "mask_run": None}  # fmt: skip
    synthetic.write(root, f"runs/{run}/config.json", head)
    last = settings["levels"] - 1
    for seed in seeds:
        for level in [0] if of_dense else range(1, last + 1):
            if level == last and (arm, seed) in left_out:
                continue
            points = _points(arm, level, settings, lead, effects[seed] + rng.normal(0, noise))
            record = _level(run, arm, seed, level, settings, points)
            if level == last and (arm, seed) in diverged:
                record |= {"status": "diverged", "reason": "made up"}
            synthetic.write(root, f"runs/{run}/seed-{seed}/level-{level:02d}/level.json", record)


def _points(arm: str, level: int, settings: dict, lead: float | str, noise: float) -> float:
    """Test accuracy in points; at chance it falls to ten, where there is nothing to lead in."""
    sparse = np.log((1 - settings["prune_rate"]) ** level) / np.log(0.0078)
    if lead == CHANCE:
        return 97 - 87 * min(1.0, 2 * sparse) + noise
    return 97 - 9 * sparse**3 + (lead * sparse**2 if arm == "lrr" else 0.0) + noise


def _level(run, arm, seed, level, settings, points) -> dict:
    """A level's record, of layers that grow with the square of the width, with the masks taken on the way."""
    density, factor = (1 - settings["prune_rate"]) ** level, (settings["width"] / 8) ** 2
    layers = {}
    for name, size in synthetic.TOTAL.items():
        kept = max(1, round(size * factor * density))
        flips = dict.fromkeys(("level_start", "initial", "previous"), kept // 4)
        layers[name] = {"size": max(1, round(size * factor)), "n_kept": kept, "flips": flips}
    kept, total = (sum(layer[name] for layer in layers.values()) for name in ("n_kept", "size"))
    later = round(kept * (1 - settings["prune_rate"]))
    taken = [{"epoch": e, "n_kept": later, "shared": round(later * share(arm, seed, level, e))}
             for e in settings["mask_snapshot_epochs"]]  # fmt: skip
    accuracy = float(np.clip(points / 100, 0, 1))
    return {"schema": 2, "kind": "level", "run": run, "arm": arm, "seed": seed, "level": level, "status": "complete",
            "reason": None, "density": kept / total, "n_kept": kept, "total": total,
            "epochs": int(settings["cycles"]) * settings["epochs"], "train_loss": 0.1, "train_accuracy": accuracy,
            "test_loss": 0.2, "test_accuracy": accuracy, "seconds": 1.0, "images_per_s": 3000.0, "layers": layers,
            "mask_snapshots": taken, "files": {}, "provenance": synthetic.PROVENANCE}  # fmt: skip


def share(arm: str, seed: int, level: int, epoch: int) -> float:
    """Share of the last mask that the mask taken after `epoch` of 64 keeps: LRR's changes less, and less with level."""
    slow = {"dense": 0.3, "imp": 0.3, "lrr": 0.2}[arm] - 0.02 * level + 0.004 * seed
    return 1 - slow * (1 - epoch / 64)
