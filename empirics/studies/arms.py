"""Arms: the runs that a study compares, each given by its differences from the study's settings.

torch is not imported, so that planning is fast.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.choices import AS_LONG_AS_LRR, ConfigError, check_choice
from empirics.config import RunConfig, check_names

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """How one arm differs from the others of its study.

    Args:
        about: one line for `list`.
        changes: fields of `RunConfig`; a function gets the study's settings and returns the value.
        mask_arm: the arm whose masks it takes, for mask sources `run` and `shuffled`.
        last_levels: train only the last so many levels; 0 trains all.
    """

    about: str
    changes: Mapping[str, Any]
    mask_arm: str = ""
    last_levels: int = 0

    def __post_init__(self) -> None:
        """Refuse a change of what is no setting."""
        check_names(self.changes, f"the arm {self.about!r}")


def resolve(arm: str, settings: Settings) -> RunConfig:
    """The run of an arm in a study of these settings.

    Settings without effect on the arm are left out: those of a perturbation for arms that are not perturbed, and those
    of the choice of masks for arms that take the masks of another source.

    Raises:
        ConfigError: an unknown arm, nearest name offered; a setting that the arm cannot be run with.
    """
    spec = ARMS[check_choice(arm, ARMS, "arm")]
    check_names(settings, "a study")
    if settings["levels"] < 2:
        raise ConfigError(f"levels must be at least 2 for arm {arm!r}, which prunes, got {settings['levels']}")
    if spec.last_levels >= settings["levels"]:
        raise ConfigError(
            f"arm {arm!r} trains the last {spec.last_levels} levels, and there are {settings['levels']}: use more"
        )
    if not differs(arm, settings):
        raise ConfigError(f"arm {arm!r} is the same as the arm without that ending if warmup_epochs is 0: leave it out")
    first_level = settings["levels"] - spec.last_levels if spec.last_levels else 1
    mask_run = resolve(spec.mask_arm, settings).name if spec.mask_arm else ""
    changes = {name: value(settings) if callable(value) else value for name, value in spec.changes.items()}
    idle = set() if "perturb_rate" in changes else {"perturb_rate", "perturb_level", "perturb_scope"}
    idle |= {"pruning", "scores_from"} if changes.get("mask_source", "own") != "own" else set()
    kept = {name: value for name, value in settings.items() if name not in idle}
    try:
        return RunConfig(**{**kept, "first_level": first_level, "mask_run": mask_run, **changes}, arm=arm)
    except ConfigError as error:
        raise ConfigError(f"arm {arm!r}: {error}") from None


def differs(arm: str, settings: Settings) -> bool:
    """Whether an arm differs from the other arms of a study.

    Arms without warm-up do not if the study has no warm-up.
    """
    return ARMS[check_choice(arm, ARMS, "arm")].changes.get("warmup_epochs") != settings["warmup_epochs"]


def needed_arms(arms: Sequence[str]) -> list[str]:
    """`arms` and the arms whose masks they take, each once, with sources of masks before their users."""
    ordered: list[str] = []
    for arm in arms:
        source = ARMS[check_choice(arm, ARMS, "arm")].mask_arm
        ordered += [a for a in (*(needed_arms([source]) if source else []), arm) if a not in ordered]
    return ordered


def _first_epoch_after_warm_up(settings: Settings) -> int:
    return settings["warmup_epochs"] + 1


def _asked_for(name: str, otherwise: Callable[[Settings], Any]) -> Callable[[Settings], Any]:
    return lambda settings: settings[name] if name in settings else otherwise(settings)


IMP: dict[str, Any] = {"rewind": "imp", "bn_rewind": True}
LRR: dict[str, Any] = {"rewind": "lrr", "bn_rewind": False}
_LONG = {**IMP, "cycles": AS_LONG_AS_LRR}
_RANDOM, _RUN, _SHUFFLED = ({"mask_source": source} for source in ("random", "run", "shuffled"))
# a fifth of the surviving signs at the start of the middle level, unless the study says otherwise
_PERTURBED = {
    "perturb_rate": _asked_for("perturb_rate", lambda settings: 0.2),
    "perturb_level": _asked_for("perturb_level", lambda settings: settings["levels"] // 2),
}
_PERTURBED_AT_START = {**_PERTURBED, "perturb_level": 0}
_AT_INITIALISATION = {"pruning": "one-shot", "scores_from": "initialisation"}
_WITHOUT_WARM_UP = {"warmup_epochs": 0}

# A new arm: one entry here.
ARMS: dict[str, Arm] = {
    "imp": Arm("iterative magnitude pruning", IMP),
    "imp-bn-kept": Arm("IMP that keeps its trained batch norm and biases", {**IMP, "bn_rewind": False}),
    "lrr": Arm("learning rate rewinding", LRR),
    "lrr-bn-rewind": Arm("LRR with batch norm and biases rewound", {**LRR, "bn_rewind": True}),
    "wr": Arm(
        "weight rewinding to the first epoch after the warm-up",
        {"rewind": "wr", "bn_rewind": True, "rewind_epoch": _first_epoch_after_warm_up},
    ),
    "fine-tune": Arm("trained weights at the schedule's last rate", {"rewind": "fine-tune", "bn_rewind": False}),
    "sign": Arm("sign rewind: initial magnitudes, trained signs", {"rewind": "sign", "bn_rewind": True}),
    "magnitude": Arm("magnitude rewind: trained magnitudes, initial signs", {"rewind": "magnitude", "bn_rewind": True}),
    "imp-on-lrr-mask": Arm("IMP on the masks of LRR", {**IMP, **_RUN}, "lrr"),
    "lrr-on-imp-mask": Arm("LRR on the masks of IMP", {**LRR, **_RUN}, "imp"),
    "imp-on-shuffled-mask": Arm("IMP on IMP's masks, shuffled in each layer", {**IMP, **_SHUFFLED}, "imp"),
    "lrr-on-shuffled-mask": Arm("LRR on IMP's masks, shuffled in each layer", {**LRR, **_SHUFFLED}, "imp"),
    "imp-on-random-mask": Arm("IMP on random masks of ERK densities", {**IMP, **_RANDOM}),
    "lrr-on-random-mask": Arm("LRR on random masks of ERK densities", {**LRR, **_RANDOM}),
    "imp-bn-kept-on-random-mask": Arm("the same, batch norm kept", {**IMP, **_RANDOM, "bn_rewind": False}),
    "lrr-bn-rewind-on-random-mask": Arm("the same, batch norm rewound", {**LRR, **_RANDOM, "bn_rewind": True}),
    "imp-long": Arm("control: IMP trained as long as LRR, on IMP's masks", {**_LONG, **_RUN}, "imp", 2),
    "imp-long-on-shuffled-mask": Arm("the control on shuffled masks", {**_LONG, **_SHUFFLED}, "imp", 2),
    "imp-long-on-random-mask": Arm("the control on random masks", {**_LONG, **_RANDOM}, "", 2),
    "dense-long": Arm("control: the dense network trained as long as LRR", {**LRR, "mask_source": "dense"}),
    "imp-perturbed": Arm("IMP, signs perturbed at the middle level", {**IMP, **_PERTURBED}),
    "lrr-perturbed": Arm("LRR, signs perturbed at the middle level", {**LRR, **_PERTURBED}),
    "imp-perturbed-at-start": Arm("IMP, signs perturbed at initialisation", {**IMP, **_PERTURBED_AT_START}),
    "lrr-perturbed-at-start": Arm("LRR, signs perturbed at initialisation", {**LRR, **_PERTURBED_AT_START}),
    "imp-without-warmup": Arm("IMP without warm-up", {**IMP, **_WITHOUT_WARM_UP}),
    "lrr-without-warmup": Arm("LRR without warm-up", {**LRR, **_WITHOUT_WARM_UP}),
    "one-shot": Arm("pruned once, at initialisation, trained from there", {**IMP, **_AT_INITIALISATION}),
    "one-shot-trained": Arm("the trained dense network pruned once, rewound to initialisation",
                            {**IMP, "pruning": "one-shot"}),
    "one-shot-lrr": Arm("the trained dense network pruned once, weights kept", {**LRR, "pruning": "one-shot"}),
    "fresh-on-lrr-mask": Arm("a fresh initialisation on LRR's masks", {"rewind": "fresh", **_RUN}, "lrr"),
    "sign-transfer": Arm("the same with the signs that LRR ended with", {"rewind": "sign-transfer", **_RUN}, "lrr"),
    "sign-transfer-from-imp": Arm("IMP's masks and signs on it", {"rewind": "sign-transfer", **_RUN}, "imp"),
}  # fmt: skip
