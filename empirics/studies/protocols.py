"""Protocols: whose choices a study follows, this project's or those of the authors' code.

A protocol changes settings of a preset, never what an arm means. Explicit options win over it. Sources are in Table 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from empirics.choices import check_choice
from empirics.studies.arms import Settings

if TYPE_CHECKING:
    from empirics.studies.presets import Preset

OURS, AUTHORS = "ours", "authors"
FLOOR = 0.01  # rate at which the authors' cosine schedule ends


@dataclass(frozen=True)
class Protocol:
    """A protocol.

    Args:
        about: one line for `list`.
        changes: (settings) -> the settings that it changes in any preset.
    """

    about: str
    changes: Callable[[Settings], dict[str, Any]]


def ours(settings: Settings) -> dict[str, Any]:
    """Nothing: the presets state this project's choices."""
    return {}


def authors(settings: Settings) -> dict[str, Any]:
    """A once-only warm-up, at whose end the rewind point lies; no bias in the classifier; clamped densities."""
    warm = settings["warmup_epochs"]
    changes: dict[str, Any] = {"classifier_bias": False, "densities": "erk-clamped"}
    if warm:
        changes |= {"warmup": "once", "rewind_epoch": warm, "initial_epoch": warm}
    if settings["schedule"] == "cosine":
        changes["lr_floor"] = FLOOR
    if settings["schedule"] == "step":
        changes["milestones"] = (60 / 150, 120 / 150)
    return changes


# A new protocol: one function above, one line here; what it changes in one preset stands in `Preset.protocols`.
PROTOCOLS: dict[str, Protocol] = {
    OURS: Protocol("this project's choices, after open_lth, Renda et al. and TurboPrune", ours),
    AUTHORS: Protocol("the choices of the first author's research code, imp-lrr-lts", authors),
}


def settings_under(protocol: str, preset: "Preset", overrides: Settings | None = None) -> dict[str, Any]:
    """The settings of a preset under a protocol.

    The protocol's changes are derived from the preset with its overrides (the rewind point follows the warm-up), and
    overrides win over them.

    Args:
        protocol: key of `PROTOCOLS`.
        preset: the preset.
        overrides: explicitly changed settings.

    Raises:
        ConfigError: an unknown protocol.
    """
    spec, overrides = PROTOCOLS[check_choice(protocol, PROTOCOLS, "protocol")], overrides or {}
    special = preset.protocols[protocol].settings if protocol in preset.protocols else {}
    base = {**preset.settings, **special, **overrides}
    found = {**base, **spec.changes(base), **special, **overrides}
    if not found["warmup_epochs"]:  # then there is no warm-up to choose, and the rewind point is the initialisation
        found = {name: value for name, value in found.items() if name in overrides or name not in _OF_WARM_UP}
    return found


def arms_under(protocol: str, preset: "Preset") -> tuple[str, ...]:
    """The arms of a preset under a protocol."""
    own = preset.protocols[protocol].arms if protocol in preset.protocols else ()
    return tuple(own or preset.arms)


_OF_WARM_UP = ("warmup", "warmup_shape", "rewind_epoch", "initial_epoch")
# the authors' choices that change the training of IMP and LRR in any preset; they are made one at a time, to find what
# a verdict depends on
SWITCHES: Mapping[str, tuple[str, ...]] = {
    "rewind point": ("rewind_epoch",),
    "warm-up": ("warmup",),
    "floor": ("lr_floor",),
    "bias": ("classifier_bias",),
    "milestones": ("milestones",),
}


def one_switch_at_a_time(settings: Settings) -> list[dict[str, Any]]:
    """The changes of each of the authors' switches alone, where they differ from these settings."""
    theirs = authors(settings)
    wanted = [{name: theirs[name] for name in names if name in theirs} for names in SWITCHES.values()]
    return [changes for changes in wanted if any(settings.get(name) != value for name, value in changes.items())]
