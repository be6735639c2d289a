"""A folder of made-up results with known effects: a test fixture, never evidence. Everything comes from a seed."""

import hashlib
import io
import json
from itertools import product
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
    "imp-perturbed": (-2.0, False),
    "lrr-perturbed": (1.8, True),
    "imp-without-warmup": (-0.4, False),
    "lrr-without-warmup": (2.0, True),
    "imp-bn-kept-on-random-mask": (-3.8, False),
    "lrr-bn-rewind-on-random-mask": (-1.2, True),
    # arms that a study may have: last, so that the numbers of the others do not depend on them
    "imp-warm": (1.2, False),
    "lrr-bn-rewind-on-imp-mask": (2.2, True),
    "cyclic-random": (-2.5, False),
    "sculpt": (0.8, False),
    "magnitude-bn-kept": (0.7, False),
    "imp-perturbed-often": (-3.0, False),
    "lrr-perturbed-often": (1.0, True),
    "imp-warmup-every": (-0.2, False),
    "lrr-warmup-every": (2.1, True),
}
OPTIONAL = list(ARMS)[list(ARMS).index("imp-warm") :]
WITHOUT_WARM_UP = "-without-warmup"
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
    record = {
        "schema": 2,
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
    }
    write(root, f"studies/{preset}-{dataset}.json", record)
    if {"imp", "lrr"} <= set(arms):
        connectivity(root, record)
    own_dense = f"dense-{dataset}-resnet20-0000feed"  # of the arms without warm-up
    for arm, (lead, early) in ({"dense": (0.0, False)} | dict(arms)).items():
        origin = None if arm == "dense" else own_dense if arm.endswith(WITHOUT_WARM_UP) else dense
        run = runs.get(arm, dense)
        _run(root, run, arm, seeds, levels, rate, rng, seed_effect, lead * scale, early, noise, origin)
    if any(arm.endswith(WITHOUT_WARM_UP) for arm in arms):
        _run(root, own_dense, "dense", seeds, levels, rate, rng, seed_effect, 0.0, False, noise, None)


def connectivity(root, study, seed=11, diverged=()):
    """The connectivity of a study's networks: barriers grow over levels, two seeds share half of their signs.

    `diverged` lists (arm, seed, level) of networks that cannot be used.
    """
    rng, alphas, total = np.random.default_rng(seed), [k / 10 for k in range(11)], sum(TOTAL.values())
    levels, seeds, runs = study["levels"], study["seeds"], {arm: study["arms"][arm] for arm in ("imp", "lrr")}
    labels = [("rules", ["imp", "lrr"], [s, s], [k, k]) for s in seeds for k in range(1, levels)]
    for arm in runs:
        labels += [
            ("levels", [arm if k > 1 else "dense", arm], [s, s], [k - 1, k]) for s in seeds for k in range(1, levels)
        ]
    for arm in ("dense", *runs):
        numbers = range(1) if arm == "dense" else range(1, levels)
        labels += [
            ("seeds", [arm] * 2, list(two), [k, k])
            for two in zip(seeds[::2], seeds[1::2], strict=False)
            for k in numbers
        ]
    pairs, left_out = [], []
    for between, arms, two, numbers in labels:
        label = {"between": between, "arms": arms, "seeds": two, "levels": numbers}
        reasons = ["diverged" if end in diverged else None for end in zip(arms, two, numbers, strict=True)]
        if any(reasons):
            left_out.append(label | {"reasons": reasons})
            continue
        kept = [max(1, round(total * (1 - study["prune_rate"]) ** k)) for k in numbers]
        height, share = {"rules": (0.06 * numbers[1], 0.9), "levels": (0.01, 0.97), "seeds": (0.7, 0.5)}[between]
        shared = max(round(0.8 * min(kept)), sum(kept) - total)
        same = int(rng.binomial(shared, share))
        row = label | {"contents": ["0" * 64] * 2, "n_kept": kept, "total": total, "shared": shared, "same_sign": same}
        row |= {"union_density": (sum(kept) - shared) / total, "sign_similarity": same / shared if shared else None}
        for treated, more in (("", 0.0), ("_not_recomputed", 0.1)):
            top = height + more + rng.uniform(0, 0.03)
            errors = [0.05 + 0.05 * a + 4 * top * a * (1 - a) for a in alphas]
            excess = max(e - ((1 - a) * errors[0] + a * errors[-1]) for a, e in zip(alphas, errors, strict=True))
            row |= {f"errors{treated}": errors, f"barrier{treated}": excess}
        pairs.append(row)
    record = {"schema": 2, "kind": "connectivity", "study": study["study"], "of_arms": runs}
    record |= {"dense_run": study["dense_run"], "of_seeds": seeds, "levels": levels, "alphas": alphas}
    record |= {"pairs": pairs, "left_out": left_out, "environments": [], "provenance": PROVENANCE}
    write(root, f"connectivity/{study['study']}.json", record)


def metrics(root: Path, gain=0.01, every=1) -> None:
    """Metrics of every epoch, for levels that are there: the best epoch, the third, is `gain` better than the last.

    `every`: only each so many epochs are evaluated, and the last.
    """
    for seed in sorted(root.glob("runs/*/seed-*")):
        content = b""
        for path in sorted(seed.glob("level-*/level.json")):
            record = json.loads(path.read_text())
            accuracy, epochs = record["test_accuracy"], record["epochs"]
            values = [accuracy / 2] * 2 + [min(accuracy + gain, 1.0)] + [accuracy - 0.001] * (epochs - 4) + [accuracy]
            seen = [v if (e + 1) % every == 0 or e + 1 == epochs else None for e, v in enumerate(values)]
            lines = [
                {"level": record["level"], "cycle": 0, "epoch": epoch, "lr": 0.1, "test_accuracy": value}
                for epoch, value in enumerate(seen)
            ]
            text = b"".join((json.dumps(line) + "\n").encode() for line in lines)
            path.write_text(json.dumps(record | {"metrics_sha256": hashlib.sha256(text).hexdigest()}, indent=1))
            content += text
        (seed / "metrics.jsonl").write_bytes(content)


def _run(root, run, arm, seeds, levels, rate, rng, seed_effect, lead, early, noise, origin):
    first = 0 if arm == "dense" else levels - 2 if arm.startswith("imp-long") else 1
    last = 1 if arm == "dense" else levels
    config = {"dataset": "made up", "epochs": 16, "first_level": max(first, 1), "levels": last}
    config |= {"warmup_epochs": 0 if arm.endswith(WITHOUT_WARM_UP) or run.endswith("feed") else 1}
    if arm.endswith("-perturbed"):
        config |= {"perturb_rate": 0.2, "perturb_level": levels // 2, "perturb_scope": "global"}
    write(
        root,
        f"runs/{run}/config.json",
        {"schema": 2, "kind": "run", "run": run, "arm": arm, "config": config, "dense_run": origin, "mask_run": None},
    )
    for s in seeds:
        for level in range(first, last):
            density = (1 - rate) ** level
            sparse = np.log(density) / np.log(0.0078)
            points = 97 - 9 * sparse**3 + lead * sparse**2 + seed_effect[s] + rng.normal(0, noise)
            write(
                root,
                f"runs/{run}/seed-{s}/level-{level:02d}/level.json",
                _level(run, arm, s, level, density, points, early),
            )
        if first == 1:
            write(root, f"runs/{run}/seed-{s}/signs.json", signs(run, arm, s, levels, rng, early))


def _flips(place, level, kept, early):
    """Earlier layers flip more; IMP-like arms flip less at later levels, LRR-like ones keep what they flipped."""
    share = 0.25 / (1 + place)
    initial = int(kept * share * (1 if early else 0.8**level))
    return {"level_start": initial // 8 if early else initial, "initial": initial, "previous": initial // 2}


def _level(run, arm, s, level, density, points, early):
    kept = {name: max(1, round(size * density)) for name, size in TOTAL.items()}
    accuracy = float(np.clip(points / 100, 0, 1))
    layers = {
        name: {
            "size": size,
            "n_kept": kept[name],
            "flips": _flips(place, level, kept[name], early),
        }
        for place, (name, size) in enumerate(TOTAL.items())
    }
    return {
        "schema": 2,
        "kind": "level",
        "run": run,
        "arm": arm,
        "seed": s,
        "level": level,
        "status": "complete",
        "reason": None,
        "density": sum(kept.values()) / sum(TOTAL.values()),
        "n_kept": sum(kept.values()),
        "total": sum(TOTAL.values()),
        "epochs": 16,
        "train_loss": max(3 * (1 - accuracy), 1e-4),
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
        "schema": 2,
        "kind": "signs",
        "run": run,
        "arm": arm,
        "seed": s,
        "levels": list(range(levels)),
        "layers": layers,
    }


def theory(root: Path, trials=20_000) -> None:
    """Every theory experiment; flows by small Euler steps, counts drawn from the exact probabilities."""
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
    _theory_file(root, "dimension", {"trials": trials, "seed": 0}, dimension(np.random.default_rng(14), trials), {})
    for place, name in enumerate(("sample-size", "mask-recovery")):
        _theory_file(root, name, {"trials": 2000, "seed": 0}, finite(np.random.default_rng(16 + place), name, 2000), {})
    _theory_file(root, "pruned-samples", {"trials": 300, "seed": 0}, pruned_samples(np.random.default_rng(19), 300), {})
    _theory_file(root, "basins", {"trials": trials, "seed": 0}, *basins(np.random.default_rng(15), trials))
    _theory_file(root, "large-steps", {"max_steps": 10**6}, *large_steps())
    _theory_file(root, "hidden-neurons", {"trials": 300, "seed": 0}, hidden(np.random.default_rng(18), 300), {})


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
            "schema": 2,
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


def _success(rng, trials, exact):
    count, low, high = _cell(rng, trials, exact)
    return {
        "successes": count,
        "trials": trials,
        "share": count / trials,
        "low": min(low, count / trials),
        "high": max(high, count / trials),
        "exact": exact,
    }


def _near(value, half):
    return {"value": value, "low": value - half, "high": value + half}


def _unbalanced(rule, d, ratio=1.0):
    from scipy.special import stdtr

    line = 0.25 + np.arctan(ratio) / (2 * np.pi)
    return float(line if rule == "imp" or d == 1 else stdtr(d, np.sqrt(d) * ratio))


def dimension(rng, trials):
    inputs, inits = [1, 2, 3, 5, 10, 20, 50, 100], {}
    for init in ("balanced", "normal", "bounded"):
        exact = {rule: [_unbalanced(rule, d) for d in inputs] for rule in ("imp", "lrr")}
        if init == "balanced":
            exact = {"imp": [0.25] * 8, "lrr": [0.25] + [0.5] * 7}
        if init == "bounded":
            exact = {"imp": [0.5, 0.409, 0.375, 0.344, 0.315, 0.295, 0.278, 0.27], "lrr": [0.5] + [1.0] * 7}
        exact["switches"] = [0.0] + [p / 2 for p in exact["lrr"][1:]]
        inits[init] = {name: [_success(rng, trials, p) for p in column] for name, column in exact.items()}
        lead = [second - first for first, second in zip(exact["imp"], exact["lrr"], strict=True)]
        inits[init] |= {"lrr - imp": [_near(x, 0.006) for x in lead], "overparametrisation": _near(lead[4], 0.006)}
    return {"dimensions": inputs, "trials": trials, "compared": [1, 10], "inits": inits}


def finite(rng, name, trials):
    ratios, noises, cells = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0], [0.0, 0.5, 1.0], []
    exact = {"imp": 0.25, "lrr": 0.5} if name == "sample-size" else {"imp": 0.375, "lrr": 0.995}
    for ratio in ratios:
        for noise in noises:
            found = ratio / (ratio + 1 + 3 * noise)
            cell = {"ratio": ratio, "n": int(10 * ratio), "noise": noise}
            for rule, more in (("imp", 0.0), ("lrr", 0.1)):
                cell[rule] = {"trials": trials, "unsettled": 0}
                for key, p in (("learns", exact[rule] * found), ("recovered", min(1.0, found * (0.9 + more)))):
                    count, low, high = _cell(rng, trials, p)
                    cell[rule][key] = {"count": count, "low": low, "high": high}
            for key in ("learns", "recovered"):
                lead = (cell["lrr"][key]["count"] - cell["imp"][key]["count"]) / trials
                cell[f"lrr - imp, {key}"] = _near(lead, 0.01)
            cells.append(cell)
    survivors = [10, 1] if name == "sample-size" else [10, 5, 2, 1]
    values = {"d": 10, "survivors": survivors, "trials": trials, "ratios": ratios, "noises": noises, "cells": cells}
    values |= {"population": exact, "init": "balanced" if name == "sample-size" else "normal"}
    return values | ({} if name == "sample-size" else {"decides": {"ratio": 10.0, "noise": 0.5}})


def pruned_samples(rng, trials):
    axes = {"ends": [5, 3, 1], "inits": ["bounded", "balanced"], "inputs": ["normal", "uniform"]}
    axes |= {"noises": [0.0, 0.5], "sizes": [100, 300, 1000]}
    exact = {"bounded": {5: None, 3: None, 1: 0.315}, "balanced": {5: 0.5, 3: 0.5, 1: 0.25}}
    cells = []
    for end, init, inputs, noise, n in product(*axes.values()):
        chances = {"imp": exact[init][end] or 0.8, "lrr": 1.0 if init == "bounded" else 0.5}
        cell = {"end": end, "init": init, "inputs": inputs, "noise": noise, "n": n}
        for rule, p in chances.items():
            count, low, high = _cell(rng, trials, p - 0.1 * noise)
            cell[rule] = {"successes": count, "trials": trials, "low": low, "high": high, "unsettled": 0}
        cells.append(cell | {"lrr - imp": _near(chances["lrr"] - chances["imp"], 0.02)})
    known = [{"end": end, "init": init, "imp": exact[init][end], "lrr": 1.0 if init == "bounded" else 0.5}
             for end in axes["ends"] for init in axes["inits"]]  # fmt: skip
    schedules = [[10, 8, 6, 5], [10, 7, 4, 3], [10, 5, 2, 1]]
    return {"d": 10, "trials": trials, "schedules": schedules, **axes, "exact": known, "cells": cells}


def basins(rng, trials, starts=120):
    inputs, ratios = [1, 2, 10], [0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0, 10.0]
    fine, edge, witnesses = np.geomspace(0.1, 10, 31), np.linspace(0, 2.1, 3), {}
    arrays = {"separatrix": np.stack([-edge, edge], 1), "curve_ratio": fine}
    for panel, least in (("one", -2), ("several", 0)):
        a, w = rng.uniform(-2, 2, starts), rng.uniform(least, 2, starts)
        verdict = np.where((w > 0) & (a > -w), 1, 0).astype(np.int8)
        verdict[:3] = 2
        arrays |= {f"{panel}_start": np.stack([a, w], 1), f"{panel}_verdict": verdict}
        counts = {word: int((verdict == code).sum()) for code, word in enumerate(("fails", "learns", "undecided"))}
        witnesses[panel] = {"starts": starts, **counts, "contradictions": 0}
    witnesses["several"]["d"] = [2, 10]
    success = {}
    for rule in ("imp", "lrr"):
        arrays[f"curve_{rule}"] = np.array([[_unbalanced(rule, d, r) for r in fine] for d in inputs])
        success[rule] = [[_success(rng, trials, _unbalanced(rule, d, r)) for r in ratios] for d in inputs]
    values = {"trials": trials, "dimensions": inputs, "ratios": ratios, "horizon": 2000.0}
    return values | {"witnesses": witnesses, "success": success}, arrays


def _descents(status, steps, least, c):
    return {"status": status, "steps": steps, "least_loss": least, "c": c}


def large_steps(horizon=10**6):
    grid, starts = np.geomspace(0.1, 2.2, 15), []
    for angle, most in ((0.5, 10**6), (1.0, 10**5), (2.0, 10**7)):
        taken = np.maximum(most * (grid / 0.1) ** -4, 20).astype(int).tolist()
        late = [n >= horizon or step > 2 for n, step in zip(taken, grid, strict=True)]
        status = ["max_steps" if x else "learned" for x in late]
        steps = [horizon if x else n for n, x in zip(taken, late, strict=True)]
        starts.append({"angle": angle, **_descents(status, steps, [1e-7] * 15, [-0.01] * 15)})
    failed = ["stationary"] * 14 + ["diverged"]
    alone = {**_descents(failed, [5000] * 15, [0.25] * 14 + [None], [0.0] * 15), "largest_c": 0.0}
    shown, arrays = [], {}
    for step, end in ((1.0, 30), (0.5, 100), (0.25, 20_000), (0.1, horizon)):
        for d in (2, 1):
            at = np.unique([0, *np.geomspace(1, end, 60).astype(int)]).astype(float)
            loss, i = 0.25 + 0.75 * np.exp(-at * step), len(shown)
            loss[-1] = 5e-7 if d == 2 else 0.25
            arrays |= {f"shown_{i}_at": at, f"shown_{i}_loss": loss}
            arrays[f"shown_{i}_c"] = -0.1 * step * (1 - np.exp(-at)) * (d == 2)
            status = "learned" if d == 2 else "stationary"
            shown.append({"d": d, "angle": 0.5, "step": step, "status": status, "steps": int(at[-1])})
    steps = np.linspace(0.6, 2.2, 17)
    edge, minima = np.sqrt(np.maximum(16 / steps**2 - 4, 0)), []
    for c in (3.0, -3.0):
        left = (edge < abs(c)).tolist()
        status = ["learned" if step < 2 else "max_steps" for step in steps]
        found = _descents(status, [50] * 17, [1e-13] * 17, (np.sign(c) * np.minimum(edge, abs(c))).tolist())
        minima.append({"balance": c, "limit": 4 / np.hypot(2, c), "step": steps.tolist(), "left": left, **found})
    values = {"step": grid.tolist(), "learned_below": 1e-6, "starts": starts, "d1": alone, "shown": shown}
    return values | {"pushed": {"push": 0.001, "left": 100.0, "minima": minima}}, arrays


def hidden(rng, trials):
    cells = []
    for d in (2, 5, 10):
        for k in (1, 2, 4, 8):
            cell = {"d": d, "k": k, "survivors": [k * d, k]}
            for rule, quarter in (("imp", 0.25), ("lrr", 0.5)):
                heuristic = 1 - (1 - quarter) ** k
                count, low, high = _cell(rng, trials, heuristic)
                late, first = 3 * (rule == "imp"), min(trials, count + 5)
                cell[rule] = {
                    "learned": [first, count],
                    "stationary": [trials - first, max(0, trials - count - late)],
                    "undecided": [0, min(late, trials - count)],
                    "successes": count,
                    "trials": trials,
                    "low": min(low, count / trials),
                    "high": max(high, count / trials),
                    "heuristic": heuristic,
                    "n_as_predicted": trials - 2,
                    "n_contradicting": 1,
                }
            lead = (cell["lrr"]["successes"] - cell["imp"]["successes"]) / trials
            cell["difference"] = {"lrr - imp": _near(lead, 0.04)}
            if k == 1:
                exact = {"imp": 0.25, "lrr": 0.5}
                cell["against_exact"] = {rule: {"exact": p, "contradictions": 0} for rule, p in exact.items()}
            cells.append(cell)
    values = {"dimensions": [2, 5, 10], "neurons": [1, 2, 4, 8], "trials": trials, "prune_rate": 0.5, "cells": cells}
    return values | {"criterion": {"learned": 1e-6, "stationary": 1e-8}}


def in_memory(accuracy, arms_signs=None, levels=8, rate=0.5, dataset="digits", diverged=()):
    """Records built without a disk: `accuracy` is arm -> seed -> fraction (all levels alike) or a list, one a level."""
    from figures.results.datasets import facts_unstated
    from figures.results.network import ArmRun, LevelRecord, Records, SeedRecord, SignsRecord, Study, StudyResults

    title, classes = facts_unstated(dataset)
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
        title=title,
        classes=classes,
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
