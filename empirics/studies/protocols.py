"""Protocols: whose choices a study follows, this project's or those of the authors' code.

A protocol changes settings of a preset, never what an arm means. Explicit options win over it. Sources are in Table 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from empirics.choices import check_choice
from empirics.config import RunConfig
from empirics.studies.arms import Settings, differs

if TYPE_CHECKING:
    from empirics.studies.presets import Preset

OURS = "ours"
AUTHORS = "authors"
FLOOR = 0.01  # rate at which the authors' cosine schedule ends
STEPS = (60 / 150, 120 / 150)  # milestones of their step schedule, after a once-only warm-up


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
    """A once-only warm-up with the rewind point at its end; no bias in the classifier; clamped densities."""
    warm = settings["warmup_epochs"]
    changes: dict[str, Any] = {"classifier_bias": False, "densities": "erk-clamped"}
    if warm:
        changes |= {"warmup": "once", "rewind_epoch": warm, "initial_epoch": warm}
    if settings["schedule"] == "cosine" and settings["lr"] > FLOOR:
        changes["lr_floor"] = FLOOR
    if settings["schedule"] == "step":
        changes["milestones"] = STEPS
    return changes


# What a protocol changes in one preset alone stands in `Preset.protocols`. Figures know the names too
# (`figures.results.variants`): a verdict of one protocol is never shown as another's.
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
    spec = PROTOCOLS[check_choice(protocol, PROTOCOLS, "protocol")]
    overrides = overrides or {}
    special = preset.protocols[protocol].settings if protocol in preset.protocols else {}
    base = {**preset.settings, **special, **overrides}
    whole = {**vars(RunConfig()), **base}  # a preset may leave settings at their defaults
    found = {**base, **spec.changes(whole), **special, **overrides}
    if not whole["warmup_epochs"]:  # then there is no warm-up to choose, and the rewind point is the initialisation
        found = {name: value for name, value in found.items() if name in overrides or name not in _OF_WARM_UP}
    return found


def arms_under(protocol: str, preset: "Preset") -> tuple[str, ...]:
    """The arms of a preset under a protocol, without those that are another arm there."""
    own = preset.protocols[protocol].arms if protocol in preset.protocols else ()
    settings = settings_under(protocol, preset)
    return tuple(arm for arm in own or preset.arms if differs(arm, settings))


LTS = "code: imp-lrr-lts"
UNKNOWN = "unknown"
# sources of what the authors' protocol states for the paper's presets, besides what it changes in all
SOURCES: Mapping[str, str] = {
    **dict.fromkeys(("lr", "momentum", "schedule", "warmup_epochs", "prune_rate", "optimizer"), LTS),
    "weight_decay": f"{LTS}; of each figure unknown",
    **dict.fromkeys(("batch_size", "initialisation"), LTS),
    "epochs": "code: sparse_to_sparse",
    **dict.fromkeys(("levels", "seeds", "accuracy"), UNKNOWN),
}
# what of the authors' code the protocol leaves out, and why
LEFT_OUT: Mapping[str, str] = {
    "running statistics of batch norm, kept by IMP": "they are forgotten within an epoch",
    "momentum between levels (IMP: that of the warm-up's end; LRR: carried over)": "it fades within an epoch, and LRR "
    "with batch norm rewound resets it, which would confound that comparison: reset at every level in all arms",
    "rate of the warm-up by epoch, lr (e + 1) / 10": "by step here; the same rate at the end of each epoch",
    "rate of the cosine schedule by epoch": "by step here; it moves nothing visible",
    "the last short batch of an epoch, kept": "dropped here, as in both protocols all epochs then have equal steps",
    "160 epochs at the last density (a YAML file)": "150 as at the others: no visible difference",
    "the classifier as a 1x1 convolution": "a linear layer without bias is the same function",
    "a random mask of density .5 from the start (the default that the CIFAR-100 YAML file leaves)": "unless it was "
    "overridden, a fault of that file",
    "which weight decay belongs to which figure": "unknown; TurboPrune has 5e-4 for CIFAR-10 and CIFAR-100",
    "the ladder of densities of each figure": "unknown; the prune rate is .2",
    "a once-only warm-up before ImageNet's levels": "unknown; each level begins with 10 epochs at a tenth of the rate",
    "scores at initialisation, before or after the warm-up": "unknown; taken before it",
}


def source_of(protocol: str, preset: "Preset", setting: str) -> str:
    """The source of a setting of a preset under a protocol, for Table 1.

    It is `summary`, `code: NAME`, `ours` (chosen by this project), or `unknown` (the authors' code does not say).
    """
    own = preset.sources.get(setting, OURS)
    if protocol == OURS:
        return own
    special = preset.protocols[protocol].sources if protocol in preset.protocols else {}
    changed = settings_under(protocol, preset)
    if setting not in special and setting in changed and changed[setting] != preset.settings.get(setting):
        return LTS
    return special.get(setting, own)


_OF_WARM_UP = ("warmup", "warmup_shape", "rewind_epoch", "initial_epoch")
# the authors' choices that change the training of IMP and LRR in any preset; they are made one at a time, to find what
# a verdict depends on
SWITCHES: Mapping[str, tuple[str, ...]] = {
    "rewind point": ("rewind_epoch", "initial_epoch"),
    "warm-up": ("warmup",),
    "floor": ("lr_floor",),
    "bias": ("classifier_bias",),
    "milestones": ("milestones",),
}


def usual_milestones(settings: Settings) -> tuple[float, ...]:
    """Milestones of the step schedule in a preset that has another: the authors' under their protocol."""
    return STEPS if settings.get("initial_epoch") else (0.5, 0.75)


def one_switch_at_a_time(settings: Settings) -> list[dict[str, Any]]:
    """The changes of each of the authors' switches alone, where they differ from these settings."""
    theirs = authors(settings)
    wanted = [{name: theirs[name] for name in names if name in theirs} for names in SWITCHES.values()]
    return [changes for changes in wanted if any(settings.get(name) != value for name, value in changes.items())]
