"""A folder of made-up results with known effects: a test fixture, never evidence. Everything comes from a seed."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np

ARMS = {  # arm -> (lead over imp in accuracy points at the lowest density, is it like LRR in its signs)
    "imp": (0.0, False),
    "imp-bn-kept": (0.3, False),
    "lrr": (3.0, True),
    "lrr-bn-rewind": (3.4, True),
    "sign": (2.6, True),
    "magnitude": (0.5, False),
    "imp-on-lrr-mask": (1.4, False),
    "lrr-on-imp-mask": (2.0, True),
    "imp-on-shuffled-mask": (-3.0, False),
    "lrr-on-shuffled-mask": (-1.0, True),
    "imp-on-random-mask": (-4.0, False),
    "lrr-on-random-mask": (-1.5, True),
    "imp-long": (1.0, False),
    "imp-long-on-shuffled-mask": (-2.2, False),
    "imp-long-on-random-mask": (-3.0, False),
}
TOTAL = {"conv1": 1600, "layer1.conv": 12800, "linear": 3200}
PROVENANCE = {
    "versions": {"python": "3.11.0", "numpy": "2.0.0"},
    "git": {"commit": "0" * 40, "dirty": False},
    "hardware": {"cpu": "synthetic", "cores": 2, "accelerator": None},
    "threads": 1,
}


def write(root: Path, path: str, data) -> None:
    target = root / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(data if isinstance(data, bytes) else (json.dumps(data, indent=1) + "\n").encode())


def study(
    root,
    dataset="digits",
    preset="quick",
    seeds=(0, 1, 2, 3),
    levels=8,
    rate=0.5,
    noise=0.3,
    scale=1.0,
    arms=ARMS,
    seed=7,
):
    """A study whose arms lead IMP by `scale` times the table's points, with seed noise of `noise` points."""
    rng = np.random.default_rng([seed, *dataset.encode()])
    seed_effect = {s: rng.normal(0, 2 * noise) for s in seeds}
    runs = {arm: f"{arm}-{dataset}-resnet20-0000cafe" for arm in arms}
    dense = f"dense-{dataset}-resnet20-0000cafe"
    write(
        root,
        f"studies/{preset}-{dataset}.json",
        {
            "schema": 1,
            "kind": "study",
            "study": f"{preset}-{dataset}",
            "preset": preset,
            "dataset": dataset,
            "model": "resnet20",
            "width": 8,
            "dense_run": dense,
            "arms": runs,
            "seeds": list(seeds),
            "levels": levels,
            "prune_rate": rate,
            "command": f"paper_repro.py train --preset {preset}",
        },
    )
    for arm, (lead, early) in ({"dense": (0.0, False)} | dict(arms)).items():
        _run(root, runs.get(arm, dense), arm, seeds, levels, rate, rng, seed_effect, lead * scale, early, noise)


def _run(root, run, arm, seeds, levels, rate, rng, seed_effect, lead, early, noise):
    first = 0 if arm == "dense" else levels - 2 if arm.startswith("imp-long") else 1
    last = 1 if arm == "dense" else levels
    config = {"dataset": "made up", "epochs": 16, "first_level": max(first, 1), "levels": last}
    write(
        root,
        f"runs/{run}/config.json",
        {"schema": 1, "kind": "run", "run": run, "arm": arm, "config": config, "dense_run": None, "mask_run": None},
    )
    for s in seeds:
        for level in range(first, last):
            density = (1 - rate) ** level
            sparse = np.log(density) / np.log(0.0078)
            points = 97 - 9 * sparse**3 + lead * sparse**2 + seed_effect[s] + rng.normal(0, noise)
            write(
                root, f"runs/{run}/seed-{s}/level-{level:02d}/level.json", _level(run, arm, s, level, density, points)
            )
        if first == 1:
            write(root, f"runs/{run}/seed-{s}/signs.json", signs(run, arm, s, levels, rng, early))


def _level(run, arm, s, level, density, points):
    kept = {name: max(1, round(size * density)) for name, size in TOTAL.items()}
    accuracy = float(np.clip(points / 100, 0, 1))
    layers = {
        name: {
            "size": size,
            "kept": kept[name],
            "flips": {"level_start": kept[name] // 4, "initial": kept[name] // 3, "previous": kept[name] // 5},
        }
        for name, size in TOTAL.items()
    }
    return {
        "schema": 1,
        "kind": "level",
        "run": run,
        "arm": arm,
        "seed": s,
        "level": level,
        "status": "complete",
        "reason": None,
        "density": sum(kept.values()) / sum(TOTAL.values()),
        "kept": sum(kept.values()),
        "total": sum(TOTAL.values()),
        "epochs": 16,
        "train_loss": 0.1,
        "train_accuracy": accuracy,
        "test_loss": 0.2,
        "test_accuracy": accuracy,
        "seconds": 6.0,
        "images_per_s": 3000.0,
        "layers": layers,
        "files": {},
        "provenance": PROVENANCE,
    }


def signs(run, arm, s, levels, rng, early):
    """Each weight flips at level k with a probability that falls with k: faster for `early` arms."""
    flip = np.array([0.3 if early else 0.2] + [0.35 * 0.45**k if early else 0.2 * 0.9**k for k in range(levels - 1)])
    layers = {}
    for name, size in TOTAL.items():
        n = max(8, size // 64)
        flips = rng.random((n, levels)) < flip
        at = np.where(flips.any(1), levels - np.argmax(flips[:, ::-1], axis=1), 0)
        before = flips[:, :-1]
        at_before = np.where(before.any(1), levels - 1 - np.argmax(before[:, ::-1], axis=1), 0)
        layers[name] = {
            "survivors": n,
            "flips": {
                "level_start": flips.sum(0).tolist(),
                "initial": (np.cumsum(flips, 1) % 2).sum(0).tolist(),
                "previous": flips.sum(0).tolist(),
            },
            "settles_at": np.bincount(at, minlength=levels + 1).tolist(),
            "settles_before_last": np.bincount(at_before, minlength=levels).tolist(),
            "switches": np.bincount(flips.sum(1), minlength=levels + 1).tolist(),
        }
    return {
        "schema": 1,
        "kind": "signs",
        "run": run,
        "arm": arm,
        "seed": s,
        "levels": list(range(levels)),
        "layers": layers,
    }


def theory(root: Path, trials=20_000) -> None:
    """The five theory experiments; flows by small Euler steps, counts drawn from the exact probabilities."""
    rng = np.random.default_rng(3)
    _theory_file(root, "quadrants", {"points": 41}, *quadrants())
    _theory_file(root, "stories", {"d": 2}, *stories())
    _theory_file(root, "pruning-iterations", {"d": 10, "trials": trials, "seed": 0}, iterations(rng, trials), {})
    _theory_file(root, "factorial", {"d": 10, "trials": trials, "seed": 0}, factorial(rng, trials), {})
    found = {
        "starts": 20_000,
        "contradictions": 0,
        "low": 0.0,
        "high": 0.0002,
        "symbolic": True,
        "symbolic_seconds": 1.0,
        "statement": "made up",
    }
    _theory_file(root, "theorem-check", {"starts": 20_000}, {"claims": {"1": found, "2": found}}, {})


def _theory_file(root, experiment, params, values, arrays):
    stem = f"{experiment}-0000cafe"
    listed = None
    if arrays:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        write(root, f"theory/{stem}.npz", buffer.getvalue())
        listed = {
            "file": f"{stem}.npz",
            "sha256": hashlib.sha256(buffer.getvalue()).hexdigest(),
            "names": {name: list(array.shape) for name, array in arrays.items()},
        }
    write(
        root,
        f"theory/{stem}.json",
        {
            "schema": 1,
            "kind": "theory",
            "experiment": experiment,
            "params": params,
            "values": values,
            "arrays": listed,
            "seconds": 1.0,
            "command": f"paper_repro.py theory {experiment}",
            "provenance": PROVENANCE,
        },
    )


def _field(a, w):
    side = np.where(w > 0, 1.0, 0.0)
    g = 0.5 * (a * w - side)
    return -w * g, -a * g


def quadrants():
    grid = np.linspace(-2, 2, 41)
    a, w = np.meshgrid(grid, grid)
    field_a, field_w = _field(a, w)
    verdict = np.where((w > 0) & (a > -w), 1, 0).astype(np.int8)
    verdict[(w > 0) & (a == -w)] = 2
    starts = [(0.3, 0.3), (1.6, 1.6), (0.4, 1.6), (-0.8, 0.8), (-1.2, -1.2), (1.0, -1.0), (-0.5, 1.5), (-1.6, 0.9)]
    times = np.linspace(0, 20, 400)
    tracks = np.empty((len(starts), len(times), 2))
    for i, start in enumerate(starts):
        point = np.array(start)
        for j in range(len(times)):
            tracks[i, j] = point
            for _ in range(5):
                point = point + 0.01 * np.array(_field(*point))
    line = np.linspace(0, 2, 50)
    counts = {"++": (250, 250), "+-": (240, 0), "-+": (260, 0), "--": (250, 0)}
    return {"quadrants": {k: {"starts": n, "learns": m} for k, (n, m) in counts.items()}}, {
        "grid_a": grid,
        "grid_w": grid,
        "field_a": field_a,
        "field_w": field_w,
        "verdict": verdict,
        "separatrix": np.stack([-line, line], 1),
        "minimum": np.stack([1 / (line[1:] + 0.45), line[1:] + 0.45], 1),
        "stationary": np.stack([-line, 0 * line], 1),
        "trajectories": tracks,
        "times": times,
        "trajectory_verdict": np.array([1, 1, 1, 2, 0, 0, 1, 0], np.int8),
        "balanced": np.array([1, 1, 0, 1, 1, 1, 0, 0], bool),
    }


def _flow(a, w, mask, steps=4000, dt=0.02):
    path = []
    w = np.array(w, float) * mask
    for _ in range(steps):
        r = np.hypot(*w) + 1e-300
        theta = np.arccos(np.clip(w[0] / r, -1, 1))
        g = np.sin(theta) + (np.pi - theta) * np.cos(theta)
        path.append((a, *w, a * a * r * r / 4 - a * r * g / (2 * np.pi) + 0.25))
        pull = a / (2 * np.pi) * ((np.pi - theta) * np.array([1, 0]) + np.sin(theta) * w / r)
        a, w = a + dt * (-a * r * r / 2 + r * g / (2 * np.pi)), w + dt * (-a * a * w / 2 + pull) * mask
    return np.array(path)[::8], np.arange(steps)[::8] * dt


def stories():
    a0, w0 = 0.9, np.array([-0.7, 0.565685])
    paths = {"dense": _flow(a0, w0, np.array([1, 1]))}
    end = paths["dense"][0][-1]
    paths["imp"] = _flow(a0, w0, np.array([1, 0]))
    paths["lrr"] = _flow(end[0], end[1:3], np.array([1, 0]))
    arrays, start, limit = {}, {}, {}
    for phase, (path, times) in paths.items():
        arrays |= {
            f"{phase}_times": times,
            f"{phase}_a": path[:, 0],
            f"{phase}_w": path[:, 1:3],
            f"{phase}_loss": path[:, 3],
        }
        start[phase] = {"a": path[0, 0], "w": path[0, 1:3].tolist()}
        limit[phase] = {"a": path[-1, 0], "w": path[-1, 1:3].tolist()}
    verdict = {"dense": "learns", "imp": "fails", "lrr": "learns"}
    return {"mask": [1, 0], "verdict": verdict, "start": start, "limit": limit}, arrays


def _cell(rng, trials, exact):
    count = int(rng.binomial(trials, exact))
    half = 1.96 * np.sqrt(exact * (1 - exact) / trials)
    return count, max(0.0, count / trials - half), min(1.0, count / trials + half)


def iterations(rng, trials):
    survivors = [10, 8, 6, 5, 4, 3, 2, 1]
    rules = {}
    for rule, last in (("imp", 0.25), ("lrr", 0.5)):
        exact = [0.5] * (len(survivors) - 1) + [last]
        cells = [_cell(rng, trials, p) for p in exact]
        counts, low, high = (list(column) for column in zip(*cells, strict=True))
        rules[rule] = {
            "successes": counts,
            "low": low,
            "high": high,
            "exact": exact,
            "mask_recovered": [trials] * len(survivors),
        }
    return {"d": 10, "survivors": survivors, "trials": trials, "rules": rules}


def factorial(rng, trials):
    exact = {
        "balanced": {"imp": 0.25, "sign": 0.5, "magnitude": 0.25, "lrr": 0.5},
        "normal": {"imp": 0.375, "sign": 0.995, "magnitude": 0.497, "lrr": 0.995},
    }
    inits = {}
    for init, cells in exact.items():
        inits[init] = {}
        share = {}
        for rule, p in cells.items():
            count, low, high = _cell(rng, trials, p)
            share[rule] = count / trials
            inits[init][rule] = {"successes": count, "trials": trials, "low": low, "high": high, "exact": p}
        i, s, m, r = (share[k] for k in ("imp", "sign", "magnitude", "lrr"))
        effects = {"signs": (s + r - i - m) / 2, "magnitudes": (m + r - i - s) / 2, "interaction": r - s - m + i}
        inits[init]["effects"] = {k: {"value": v, "low": v - 0.005, "high": v + 0.005} for k, v in effects.items()}
        inits[init]["difference"] = {"lrr - imp": {"value": r - i, "low": r - i - 0.005, "high": r - i + 0.005}}
    return {"d": 10, "trials": trials, "inits": inits}


def in_memory(accuracy, arms_signs=None, levels=8, rate=0.5, dataset="digits", diverged=()):
    """Records built without a disk: `accuracy` is arm -> seed -> fraction (all levels alike) or a list, one a level."""
    from figures.records import ArmRun, LevelRecord, Records, SeedRecord, SignsRecord, Study, StudyResults

    seeds = sorted({seed for values in accuracy.values() for seed in values})
    study_record = Study(
        "s",
        "quick",
        dataset,
        "resnet20",
        8,
        "dense",
        {arm: f"run-{arm}" for arm in accuracy},
        tuple(seeds),
        levels,
        rate,
        "paper_repro.py train --preset quick",
    )

    def level(k, value, status="complete"):
        return LevelRecord(k, status, None, (1 - rate) ** k, 0.1, value, 0.1, value, 16, {}, {})

    def seed_record(arm, s, values):
        first = levels - 2 if arm.startswith("imp-long") else 1
        values = values if isinstance(values, list) else [values] * levels
        found = {k: level(k, values[k]) for k in range(first, levels)}
        if (arm, s) in diverged:
            found[levels - 1] = level(levels - 1, None, "diverged")
        signs_found = None
        if arms_signs and arm in arms_signs:
            flips, settles, late = arms_signs[arm][s]  # late: weights that flip at the last level only
            signs_found = SignsRecord(
                tuple(range(levels)),
                sum(settles),
                {reading: tuple(counts) for reading, counts in flips.items()},
                (settles[0] - late, *settles[1:], late),
                tuple(settles),
                (sum(settles), *[0] * levels),
                {},
            )
        return SeedRecord(found, signs_found)

    arms = {}
    for arm, by_seed in accuracy.items():
        first = levels - 2 if arm.startswith("imp-long") else 1
        arms[arm] = ArmRun(
            f"run-{arm}", arm, {"first_level": first}, {s: seed_record(arm, s, v) for s, v in by_seed.items()}, ()
        )
    return Records((StudyResults(study_record, None, arms, ()),), {}, ())
