"""Sentences of a sweep's caption, from its numbers.

It names the network, the seeds, what was left out, and where the lead holds.
"""

from collections.abc import Callable, Sequence

from figures.analysis import measures
from figures.analysis.sweeps import IMP_AND_LRR, Sweep, Value, differing, format_value
from figures.claims.verdicts import FEWEST_SEEDS
from figures.plots import style
from figures.plots.choose import dataset_name
from figures.plots.sentences import format_n
from figures.results.variants import AUTHORS_PROTOCOL


def origin(protocol: str) -> str:
    """What sign flips are counted from as initial: under the authors' protocol it is the rewind point."""
    return "the rewind point" if protocol == AUTHORS_PROTOCOL else "initialisation"


def network_name(sweep: Sweep) -> str:
    """Data set and network, for a panel and the opening of a caption."""
    return f"{dataset_name(sweep.study)}, {sweep.study.model}"


def heading(sweep: Sweep) -> str:
    """Data set and preset, with what is changed in it at every value."""
    return f"{dataset_name(sweep.study)}, preset {format_preset(sweep)}"


def format_preset(sweep: Sweep) -> str:
    """The preset and what is changed in it at every value.

    Another network is named together with the one that it replaces.
    """
    own = sweep.own
    changes = [
        f"{name}={value}" + (f" in place of {own.study.model}" if name == "model" and own else "")
        for name, value in differing(sweep).items()
    ]
    return sweep.preset + (f" with {', '.join(changes)}" if changes else "")


def format_sweep_data(sweep: Sweep, values: Sequence[Value]) -> str:
    """The data of a sweep and their number in few words."""
    count = f"each of {len(values)} values" if len(values) > 1 else "one value"
    return f"{heading(sweep)}, {format_n([value.lead['n'] for value in values])} at {count}"


def format_sweep(sweep: Sweep, values: Sequence[Value], sizes: bool = False) -> str:
    """The text of a caption on one preset and data set."""
    sentences = [
        f"{heading(sweep)}{_network(values)}; {_seeds(values)}.",
        _left_out(values),
        _levels(values),
        _own_value(sweep, values),
        _verdicts(values),
        _at_chance(values),
        _sizes(values) if sizes else "",
    ]
    return " ".join(sentence for sentence in sentences if sentence)


def _network(values: Sequence[Value]) -> str:
    """The network, if all values have the same one; its width is omitted where that is varied."""
    models, widths = ({getattr(value.results.study, name) for value in values} for name in ("model", "width"))
    if len(models) > 1 and len(widths) > 1 and None not in widths:
        studies = [value.results.study for value in values]
        return "; " + ", ".join(dict.fromkeys(f"{study.model} of width {study.width}" for study in studies))
    if len(models) > 1:
        return f"; networks of width {widths.pop()}" if len(widths) == 1 and None not in widths else ""
    width = f" of width {widths.pop()}" if len(widths) == 1 and None not in widths else ""
    return f"; {models.pop()}{width}"


def grouped(values: Sequence[Value], of: Callable[[Value], object]) -> dict[object, str]:
    """Group the values by the result of `of`: result -> the values that have it, in words."""
    found: dict[object, list[str]] = {}
    for value in values:
        found.setdefault(of(value), []).append(format_value(value.x))
    return {key: ", ".join(names) for key, names in found.items()}


def _seeds(values: Sequence[Value]) -> str:
    groups = grouped(values, lambda value: tuple(value.lead["seeds"]))
    parts = []
    for seeds, names in groups.items():
        number = {0: "no pair of seeds", 1: "n = 1 seed, no intervals"}.get(len(seeds), f"n = {len(seeds)} seeds")
        words = f"{number} ({' '.join(map(str, seeds))})" if seeds else number
        parts.append(f"{words}{f' at {names}' if len(groups) > 1 else ''}")
    return "; ".join(parts)


def _left_out(values: Sequence[Value]) -> str:
    """Seeds that are in no curve, each with its value and the reason."""
    parts = []
    for value in values:
        for arm in IMP_AND_LRR:
            label = style.arm_style(arm).label
            at = format_value(value.x)
            lost = set(value.results.study.seeds) - set(value.complete[arm]) - set(value.diverged[arm])
            for seeds, why in ((value.diverged[arm], "diverged"), (sorted(lost), "not complete")):
                if seeds:
                    parts.append(f"{label} at {at}, seed{'s' * (len(seeds) > 1)} {' '.join(map(str, seeds))} ({why})")
    return f"Left out: {'; '.join(parts)}." if parts else ""


def _levels(values: Sequence[Value]) -> str:
    groups = grouped(values, lambda value: value.levels)
    parts = []
    for levels, names in groups.items():
        number = f"{len(levels)} level{'s' * (len(levels) != 1)}"
        which = f" ({levels[0]} to {levels[-1]})" if len(levels) > 1 else f" ({levels[0]})" if levels else ""
        parts.append(f"{number}{which}{f' at {names}' if len(groups) > 1 else ''}")
    return f"High-sparsity accuracy is over {'; '.join(parts)}."


def _own_value(sweep: Sweep, values: Sequence[Value]) -> str:
    """Which value is the preset's own.

    A preset may have a network that is none of those compared here.
    """
    if sweep.name == "model":
        there = {value.results.study.model for value in values}
        own = sweep.own.study.model if sweep.own else None
        return f"The preset's own network, {own}, is none of them." if own and own not in there else ""
    shared_overrides = dict(sweep.shared_overrides)
    own = [format_value(value.x) for value in values if dict(value.results.study.overrides) == shared_overrides]
    whose = "The value of the common settings" if shared_overrides else "The preset's own value"
    return f"{whose}: {own[0]}." if own else ""


def _verdicts(values: Sequence[Value]) -> str:
    """Where the lead's interval lies, by value.

    With fewer seeds than a verdict needs, the text says that they are too few.
    """
    groups = grouped([value for value in values if value.lead["n"]], _verdict)
    parts = [f"{says} at {groups[says]}" for says in (_ABOVE, _BELOW, _BOTH, _NONE, _FEW) if says in groups]
    return f"LRR's lead: {'; '.join(parts)}." if parts else ""


_ABOVE = "interval above 0"
_BELOW = "interval below 0"
_BOTH = "interval contains 0"
_NONE = "both rules at chance, so no lead can be measured,"
_FEW = f"under {FEWEST_SEEDS} seeds, too few to tell,"


def _verdict(value: Value) -> str:
    low = value.lead["low"]
    high = value.lead["high"]
    if value.lead["n"] < FEWEST_SEEDS:
        return _FEW
    if value.nothing_left:
        return _NONE
    return _ABOVE if low > 0 else _BELOW if high < 0 else _BOTH


def _at_chance(values: Sequence[Value]) -> str:
    parts = []
    for value in values:
        arms = [f"{style.arm_style(arm).label} {value.at_chance[arm]} of {value.h[arm]['n']}"
                for arm in IMP_AND_LRR if value.at_chance[arm]]  # fmt: skip
        parts += [f"{', '.join(arms)} at {format_value(value.x)}"] if arms else []
    if not parts:
        return ""
    limit = measures.CHANCE_FACTOR * values[0].chance
    return (
        f"Unfilled: seeds that have learnt nothing, high-sparsity accuracy of at most {limit:.3g} ({'; '.join(parts)})."
    )


def _sizes(values: Sequence[Value]) -> str:
    parts = [f"{value.weights[0]:,} ({value.weights[1]:,}) at {format_value(value.x)}" for value in values
             if value.weights]  # fmt: skip
    return f"Prunable weights (kept at the last level): {'; '.join(parts)}." if parts else ""
