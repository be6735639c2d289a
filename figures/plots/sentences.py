"""Sentences that captions share: seeds, data and their number, and what is not drawn."""

from collections.abc import Iterable, Sequence

from figures.analysis import measures
from figures.plots import style
from figures.plots.builder import Missing
from figures.plots.choose import dataset_name, panel_name
from figures.results.network import StudyResults

MOST_STUDIES_NAMED = 3  # in the opening of a caption


def format_seeds(results: StudyResults, arms: Sequence[str], signs: bool = False) -> str:
    """Which seeds the panel's means are over, and which runs were left out.

    `signs`: only seeds with sign statistics count.
    """
    study = results.study
    complete = {}
    left_out = []
    for arm in arms:
        seeds, diverged, missing = measures.seeds_of(results, arm)
        bare = [s for s in seeds if signs and results.arms[arm].seeds[s].signs is None]
        label = style.arm_style(arm).label
        complete.setdefault(tuple(s for s in seeds if s not in bare), []).append(label)
        left_out += [f"{label} seed {s} diverged" for s in diverged]
        left_out += [f"{label} seed {s} without sign statistics" for s in bare]
        left_out += [_why_missing(results, arm, s) for s in missing]
    if len(complete) == 1:
        (seeds,) = complete
        number = "n = 1 seed, no intervals" if len(seeds) == 1 else f"n = {len(seeds)} seeds"
        words = f"{number} ({' '.join(map(str, seeds))})"
    else:
        parts = (f"{', '.join(names)}: {' '.join(map(str, seeds))}" for seeds, names in complete.items())
        words = "seeds by arm (" + "; ".join(parts) + ")"
    words += f"; left out: {', '.join(dict.fromkeys(left_out))}" if left_out else ""
    words += _interim(results, arms)
    return f"{dataset_name(study)} (preset {study.preset}, {study.network}), {words}"


def _interim(results: StudyResults, arms: Sequence[str]) -> str:
    """That a study has not reached the number of seeds that was planned; "" where it has, or has no plan."""
    planned = {arm: results.study.planned[arm] for arm in arms if arm in results.study.planned}
    if all(measures.is_final(results, [arm]) for arm in planned):
        return ""
    numbers = " to ".join(map(str, sorted({min(map(len, planned.values())), max(map(len, planned.values()))})))
    return f"; interim, {numbers} seeds are planned"


def format_data(kept: Iterable[tuple[StudyResults, Sequence[str]]], signs: bool = False) -> str:
    """The networks, data sets and numbers of seeds in few words: `resnet20 on digits, n = 4 seeds`.

    `kept`: the studies that are drawn, each with its arms. `signs`: only seeds with sign statistics count.
    """
    found: dict[str, list[str]] = {}
    for results, arms in kept:
        counts = [len(_seeds_drawn(results, arm, signs)) for arm in arms]
        found.setdefault(format_n(counts), []).append(f"{results.study.model} on {panel_name(results.study)}")
    return "; ".join(f"{_listed(names)}, {n}" for n, names in found.items())


def _seeds_drawn(results: StudyResults, arm: str, signs: bool) -> list[int]:
    seeds, _, _ = measures.seeds_of(results, arm)
    return [seed for seed in seeds if not signs or results.arms[arm].seeds[seed].signs is not None]


def format_n(counts: Sequence[int], unit: str = "seed") -> str:
    """The number of seeds (or of another unit), or its range: `n = 3 to 4 seeds`."""
    numbers = " to ".join(f"{number:,}" for number in sorted({min(counts), max(counts)}))
    return f"n = {numbers} {unit}{'s' if max(counts) != 1 else ''}"


def _listed(names: Sequence[str]) -> str:
    """Names joined by commas and `and`; of many, the first three and the number of the others."""
    if len(names) > MOST_STUDIES_NAMED:
        others = len(names) - MOST_STUDIES_NAMED
        names = [*names[:MOST_STUDIES_NAMED], f"{others} other stud{'y' if others == 1 else 'ies'}"]
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _why_missing(results: StudyResults, arm: str, seed: int) -> str:
    for run, name in ((results.dense_of(arm), "dense"), (results.arms.get(arm), arm)):
        if run and seed in run.unreadable:
            return f"{style.arm_style(name).label} seed {seed} could not be trusted"
    return f"{style.arm_style(arm).label} seed {seed} not complete"


def format_missing(missing: Sequence[Missing]) -> str:
    """The sentence of a caption that names what is not drawn, by panel; each command occurs once."""
    if not missing:
        return ""
    panels: dict[str, dict[str, list[str]]] = {}
    for item in missing:
        labels = panels.setdefault(item.panel, {}).setdefault(item.command, [])
        labels += [f'"{item.what}"'] if item.what else []
    first = {}
    parts = []
    for panel, commands in panels.items():
        how = []
        for command, labels in commands.items():
            with_what = f"as for {first[command]}" if command in first else f"`{command}`"
            first.setdefault(command, panel)
            how.append(f"{', '.join(labels)} ({with_what})" if labels else f"({with_what})")
        parts.append(f"{panel}{':' if any(commands.values()) else ''} {'; '.join(how)}")
    return "Not drawn: " + "; ".join(parts) + "."
