"""The pilot of a study: can its network be trained and pruned at all?

The rule is stated before the pilot (`tiers.Pilot`). It compares nothing that the study judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from empirics.choices import ConfigError, check_choice
from empirics.storage.files import names_in, read_record
from empirics.storage.run_folder import RunFolder
from empirics.storage.schemas import Study
from empirics.studies.presets import PRESETS
from empirics.studies.records import study_file
from empirics.studies.tiers import Pilot

Level = Mapping[str, Any]


@dataclass(frozen=True)
class PilotVerdict:
    """Whether a pilot has been passed, and a line for each of its conditions.

    Args:
        passed: None as long as a run of it is missing.
        lines: the conditions, with what was measured.
    """

    passed: bool | None
    lines: Sequence[str]


def judge(pilot: Pilot, seed: int, levels: Sequence[Level | None]) -> PilotVerdict:
    """Judge one seed of a pilot from the records of its levels.

    Args:
        pilot: the rule.
        seed: the seed.
        levels: `level.json` of the dense network, and of each later level of the arm; None where it is missing.
    """
    if missing := [number for number, record in enumerate(levels) if record is None]:
        return PilotVerdict(None, [f"seed {seed}: level {missing[0]} is not trained yet"])
    if diverged := [record["level"] for record in levels if record["status"] != "complete"]:
        return PilotVerdict(False, [f"seed {seed}, failed: level {diverged[0]} diverged"])
    dense = levels[0]["test_accuracy"]
    last = levels[-1]["test_accuracy"]
    emptied = [
        f"{name} at level {record['level']}"
        for record in levels[:-1]
        for name, layer in record["layers"].items()
        if not layer["n_kept"]
    ]
    conditions = [
        (dense > pilot.least_dense, f"dense {dense:.1%}, above {pilot.least_dense:.0%}"),
        (
            dense - last >= pilot.least_drop,
            f"last level {last:.1%}, {100 * (dense - last):.1f} accuracy points below dense, "
            f"at least {100 * pilot.least_drop:.0f}",
        ),
        (last > pilot.least_last, f"last level {last:.1%}, above {pilot.least_last:.0%}"),
        (not emptied, f"layers without a weight before the last level: {', '.join(emptied) or 'none'}"),
    ]
    lines = [f"seed {seed}, {'passed' if right else 'failed'}: {text}" for right, text in conditions]
    return PilotVerdict(all(right for right, _ in conditions), lines)


def joined(verdicts: Sequence[PilotVerdict]) -> PilotVerdict:
    """The verdict on all seeds: passed if each is, and failed as soon as one is."""
    known = [verdict.passed for verdict in verdicts]
    passed = False if False in known else None if None in known or not known else True
    return PilotVerdict(passed, [line for verdict in verdicts for line in verdict.lines])


def pilots(results: Path, preset: str) -> dict[str, PilotVerdict]:
    """The verdict on the pilot of each study of a preset in a results folder, by the study's name.

    Args:
        results: results folder.
        preset: key of `PRESETS`.

    Raises:
        ConfigError: an unknown preset, or one without a pilot.
        StoreError: a record cannot be read.
    """
    plan = PRESETS[check_choice(preset, PRESETS, "preset")].plan
    if plan is None or plan.pilot is None:
        having = ", ".join(name for name, spec in PRESETS.items() if spec.plan and spec.plan.pilot)
        raise ConfigError(f"preset {preset!r} has no pilot: presets with one are {having}")
    found = {}
    for name in names_in(results / "studies"):
        study = read_record(study_file(results, name.removesuffix(".json")), Study)
        if study and study.get("base") == preset and not study.get("swept"):
            found[study["study"]] = _of_study(results, study, plan.pilot)
    return found


def _of_study(results: Path, study: Mapping[str, Any], pilot: Pilot) -> PilotVerdict:
    verdicts = []
    for seed in pilot.seeds:
        for run in (study["arms"].get(arm, "") for arm in pilot.arms):
            runs = [study["dense_run"], *[run] * (study["levels"] - 1)]
            levels = [RunFolder(results, name, seed).level_record(k) if name else None for k, name in enumerate(runs)]
            verdicts.append(judge(pilot, seed, levels))
    return joined(verdicts)


def pilot_text(preset: str, found: Mapping[str, PilotVerdict]) -> str:
    """The verdicts of `pilots` as text."""
    pilot = PRESETS[preset].plan.pilot
    if not found:
        seeds = " ".join(map(str, pilot.seeds))
        return f"no pilot here: run `paper_repro.py train --preset {preset} --seeds {seeds}` with this --results"
    words = {True: "passed", False: "failed", None: "not complete"}
    return "\n".join(f"pilot of {name}: {words[v.passed]}\n  " + "\n  ".join(v.lines) for name, v in found.items())
