"""Sweeps: a setting that is varied in a preset, and the arms that are trained at each of its values."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.studies.arms import Settings
from empirics.studies.protocols import one_switch_at_a_time, usual_milestones


@dataclass(frozen=True)
class Sweep:
    """A setting that is varied in a preset, with one study for each of its values.

    Args:
        about: one line for `list`.
        arms: arms that are trained at each value.
        values: (settings of the preset, brief) -> the settings of each value; the preset's own value may be one of
            them. `brief` asks for few values: one command runs all sweeps of the preset.
        on_preset: whether it runs on the preset's own settings, although other sweeps run on a small network
            (`sweep_on`).
    """

    about: str
    arms: Sequence[str]
    values: Callable[[Settings, bool], Sequence[dict[str, Any]]]
    on_preset: bool = False


def _widths(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """Widths of 1/2, 1 and 2 times the preset's.

    In brief 1/4, 1/2 and 1 times: twice the width would take as long as four other values. Networks that have only one
    width are replaced by ResNet20.
    """
    if settings["model"] in ("resnet18", "resnet50"):
        return [{"model": "resnet20", "width": width} for width in (16, 32, 64)]
    narrowest = settings["width"] // (4 if brief else 2)
    return [{"width": max(1, narrowest) * factor} for factor in (1, 2, 4)]


def _prune_rates(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """Rates around the preset's.

    Each has the number of levels that ends nearest to the preset's last density. A rate whose whole levels all miss it
    by more than half a level of the rate .5 is changed to one that meets it.
    """
    last = (settings["levels"] - 1) * math.log1p(-settings["prune_rate"])
    # .5, .75 and .875 keep 1/2, 1/4 and 1/8, and so end at the same density
    rates = {0.1, 0.2, 0.5} if settings["prune_rate"] < 0.4 else {0.5, 0.75, 0.875}
    if settings["prune_rate"] not in rates:
        rates = {0.5, settings["prune_rate"], 0.75}
    return [_ending_at(last, rate) for rate in sorted(rates)]


def _ending_at(last: float, rate: float) -> dict[str, Any]:
    """A rate near the given one and its levels, which end at a density whose logarithm is `last`."""
    prunings = max(1, round(last / math.log1p(-rate)))
    if abs(prunings * math.log1p(-rate) - last) > math.log(2) / 2:
        rate = round(-math.expm1(last / prunings), 3)
    return {"prune_rate": rate, "levels": 1 + prunings}


def _schedules(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    milestones = settings.get("milestones") or usual_milestones(settings)
    return [
        {"schedule": name, "milestones": milestones if name == "step" else ()}
        for name in ("constant", "cosine", "step")
    ]


def _warm_ups(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """No warm-up, the preset's, and two longer ones, if they fit into a level."""
    epochs = settings["epochs"]
    wanted = {0, settings["warmup_epochs"], epochs // 8, epochs // 4}
    return [{"warmup_epochs": n} for n in sorted(wanted) if n < epochs]


def _criteria(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    names = ("magnitude", "random", "snip", "synflow")
    if not brief:
        names = (*names, "magnitude-layerwise", "magnitude-bn", "grasp")
    return [{"criterion": name} for name in names]


def _densities(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    clamped = "-clamped" if settings.get("densities", "").endswith("-clamped") else ""
    return [{"densities": name} for name in (f"balanced{clamped}", f"erk{clamped}", "uniform")]


def _perturbations(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """Rates .2 (claim 11) and .5 at the middle level; rate .2 also at level 1, and drawn layer by layer.

    In brief only the first two.
    """
    middle = settings["levels"] // 2
    rates = [{"perturb_rate": rate, "perturb_level": middle} for rate in (0.2, 0.5)]
    if brief:
        return rates
    first = [{"perturb_rate": 0.2, "perturb_level": 1}] if middle > 1 else []
    return [*rates, *first, {"perturb_rate": 0.2, "perturb_level": middle, "perturb_scope": "layerwise"}]


def _longer_levels(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """Three cycles per level with four mask snapshots in each, the last at its end.

    Only the first levels are trained, to save time.
    """
    epochs = settings["epochs"]
    cycles = 3
    taken = {cycle * epochs + round(quarter * epochs / 4) for cycle in range(cycles) for quarter in (1, 2, 3, 4)}
    levels = min(2 if brief else 3, settings["levels"])
    return [{"cycles": str(cycles), "mask_snapshot_epochs": tuple(sorted(taken - {0})), "levels": levels}]


def _other_models(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """The preset's network, and a VGG: in brief 8 convolutions and half the width, otherwise 13."""
    if brief:
        return [{}, {"model": "vgg11", "width": settings["width"] // 2}]
    return [{}, {"model": "vgg16"}]


def _switches(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    """Each of the authors' choices alone."""
    return one_switch_at_a_time(settings)


def _as_it_is(settings: Settings, brief: bool) -> list[dict[str, Any]]:
    return [{}]


_PERTURBED = ("imp-perturbed", "lrr-perturbed")
_REWINDS = (
    "wr",
    "fine-tune",
    "dense-long",
    "one-shot",
    "one-shot-trained",
    "one-shot-lrr",
    "fresh-on-lrr-mask",
    "sign-transfer",
    "sign-transfer-from-imp",
    "imp-perturbed-at-start",
    "lrr-perturbed-at-start",
)

_SIGN_ARMS = (
    "magnitude-bn-kept",
    "lrr-bn-rewind-on-imp-mask",
    "imp-perturbed-often",
    "lrr-perturbed-often",
    "sign-shuffled",
    "signs-of-lrr",
    "signs-of-lrr-shuffled",
    "imp-fixed-signs",
    "lrr-fixed-signs",
    "sculpt",
)

# A new sweep: one entry here.
SWEEPS: dict[str, Sweep] = {
    "arms": Sweep("the arms that the preset leaves out", _REWINDS, _as_it_is),
    "criterion": Sweep("pruning criteria", ("imp", "lrr", "one-shot"), _criteria),
    "densities": Sweep("layer densities of random masks", ("imp-on-random-mask", "lrr-on-random-mask"), _densities),
    "mask-convergence": Sweep("levels trained longer: does the mask still change?", ("imp", "lrr"), _longer_levels),
    "model": Sweep("another architecture (VGG)", ("imp", "lrr"), _other_models),
    "perturbation": Sweep("share and level of perturbed signs", ("imp", "lrr", *_PERTURBED), _perturbations),
    "prune-rate": Sweep("prune rates, to the same density", ("imp", "lrr"), _prune_rates),
    "protocol": Sweep("the authors' choices, one at a time", ("imp", "lrr"), _switches, on_preset=True),
    "schedule": Sweep("learning-rate schedules", ("imp", "lrr"), _schedules),
    "signs": Sweep("arms on signs that the preset leaves out", _SIGN_ARMS, _as_it_is, on_preset=True),
    "warm-up": Sweep("epochs of warm-up", ("imp", "lrr"), _warm_ups),
    "width": Sweep("width of the network (overparametrisation)", ("imp", "lrr"), _widths),
}
