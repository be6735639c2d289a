"""Arms: the runs that a study compares, each given by its differences from the study's settings.

torch is not imported, so that planning is fast.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from empirics.choices import AS_LONG_AS_LRR, ConfigError, check_choice
from empirics.config import RunConfig, check_names
from empirics.pruning.rules import REWINDS

Settings = Mapping[str, Any]


@dataclass(frozen=True)
class Arm:
    """How one arm differs from the others of its study.

    Args:
        about: one line for `list`.
        changes: fields of `RunConfig`; a function gets the study's settings and returns the value.
        mask_arm: the arm whose masks it takes, for mask sources `run` and `shuffled`.
        last_levels: train only the last so many levels, unless the study says how many; 0 trains all.
        sign_arm: the arm whose signs it takes (setting `sign_run`).
        same_as: (settings of the study) -> the arm whose run it would be in such a study; None if it differs.
    """

    about: str
    changes: Mapping[str, Any]
    mask_arm: str = ""
    last_levels: int = 0
    sign_arm: str = ""
    same_as: Callable[[Settings], str | None] = lambda settings: None

    def __post_init__(self) -> None:
        """Refuse a change of what is no setting."""
        check_names(self.changes, f"the arm {self.about!r}")


def resolve(arm: str, settings: Settings, control_levels: int | None = None) -> RunConfig:
    """The run of an arm in a study of these settings.

    Settings without effect on the arm are left out: those of a perturbation for arms that are not perturbed, those of
    the choice of masks for arms that take the masks of another source, and the rewind point for a fresh network.

    Args:
        arm: key of `ARMS`.
        settings: fields of `RunConfig`.
        control_levels: how many of the last levels the study's controls of training length train; None: as the arm
            says (`Arm.last_levels`).

    Raises:
        ConfigError: an unknown arm, nearest name offered; a setting that the arm cannot be run with.
    """
    spec = ARMS[check_choice(arm, ARMS, "arm")]
    check_names(settings, "a study")
    if settings["levels"] < 2:
        raise ConfigError(f"levels must be at least 2 for arm {arm!r}, which prunes, got {settings['levels']}")
    last_levels = control_levels if spec.last_levels and control_levels else spec.last_levels
    if last_levels >= settings["levels"]:
        raise ConfigError(
            f"arm {arm!r} trains the last {last_levels} levels, and there are {settings['levels']}: use more"
        )
    if (other := spec.same_as(settings)) is not None:
        raise ConfigError(f"arm {arm!r} is the same as the arm {other!r} with these settings: leave it out")
    first_level = settings["levels"] - last_levels if last_levels else 1
    mask_run = resolve(spec.mask_arm, settings).name if spec.mask_arm else ""
    sign_run = resolve(spec.sign_arm, settings).name if spec.sign_arm else ""
    changes = {name: value(settings) if callable(value) else value for name, value in spec.changes.items()}
    idle = set() if "perturb_rate" in changes else {"perturb_rate", "perturb_level", "perturb_scope"}
    idle |= {"pruning", "scores_from"} if changes.get("mask_source", "own") != "own" else set()
    idle |= {"rewind_epoch"} if REWINDS[changes.get("rewind", "imp")].point == "fresh" else set()
    kept = {name: value for name, value in settings.items() if name not in idle}
    try:
        places = {"first_level": first_level, "mask_run": mask_run, "sign_run": sign_run}
        return RunConfig(**{**kept, **places, **changes}, arm=arm)
    except ConfigError as error:
        raise ConfigError(f"arm {arm!r}: {error}") from None


def differs(arm: str, settings: Settings) -> bool:
    """Whether an arm's run differs from those of the other arms of a study."""
    return ARMS[check_choice(arm, ARMS, "arm")].same_as(settings) is None


def needed_arms(arms: Sequence[str]) -> list[str]:
    """`arms` and the arms whose masks or signs they take, each once, with sources before their users."""
    ordered: list[str] = []
    for arm in arms:
        spec = ARMS[check_choice(arm, ARMS, "arm")]
        sources = needed_arms([source for source in (spec.mask_arm, spec.sign_arm) if source])
        ordered += [a for a in (*sources, arm) if a not in ordered]
    return ordered


def _end_of_warm_up(settings: Settings) -> int:
    return settings["warmup_epochs"]


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
_WITHOUT_WARM_UP = {
    "warmup_epochs": 0, "warmup": "every", "warmup_shape": "linear", "rewind_epoch": 0, "initial_epoch": 0,
}  # fmt: skip
_WARM_UP_EVERY = {"warmup": "every", "milestones": lambda settings: _after_warm_up(settings)}
_TO_WARM = {**IMP, "rewind_epoch": _end_of_warm_up}
# three strikes in the schedule of ImageNet, five in the others (code: imp-lrr-lts)
_STRUCK = {
    "strikes": lambda settings: 3 if settings["dataset"] == "imagenet" else 5,
    "strike_rate": 0.3,
}
_SIGN: dict[str, Any] = {"rewind": "sign", "bn_rewind": True}
_MAGNITUDE: dict[str, Any] = {"rewind": "magnitude", "bn_rewind": True}
_FIXED = {"fixed_signs": True}


def _after_warm_up(settings: Settings) -> tuple[float, ...]:
    """The milestones of a level that begins with the warm-up: as far behind it as without.

    Those that would come after the level's end fall away.
    """
    shift = settings["warmup_epochs"] / settings["epochs"]
    return tuple(milestone + shift for milestone in settings.get("milestones", ()) if milestone + shift < 1)


def _as_imp_if_warm(settings: Settings) -> str | None:
    return "imp" if settings.get("rewind_epoch") or not settings["warmup_epochs"] else None


def _if_no_warm_up(arm: str) -> Callable[[Settings], str | None]:
    return lambda settings: None if settings["warmup_epochs"] else arm


def _if_warm_up_every(arm: str) -> Callable[[Settings], str | None]:
    return lambda settings: None if settings.get("warmup") == "once" else arm


# A new arm: one entry here.
ARMS: dict[str, Arm] = {
    "imp": Arm("iterative magnitude pruning", IMP),
    "imp-bn-kept": Arm("IMP that keeps its trained batch norm and biases", {**IMP, "bn_rewind": False}),
    "lrr": Arm("learning rate rewinding", LRR),
    "lrr-bn-rewind": Arm("LRR with batch norm and biases rewound", {**LRR, "bn_rewind": True}),
    "imp-warm": Arm("IMP that rewinds to the end of the first warm-up", _TO_WARM, same_as=_as_imp_if_warm),
    "wr": Arm("weight rewinding: to the end of the warm-up, the schedule resumes there", {**_TO_WARM, "rewind": "wr"},
              same_as=_as_imp_if_warm),
    "fine-tune": Arm("trained weights at the schedule's last rate", {"rewind": "fine-tune", "bn_rewind": False}),
    "sign": Arm("sign rewind: initial magnitudes, trained signs", _SIGN),
    "sign-shuffled": Arm("the same, initial magnitudes permuted in each layer", {**_SIGN, "shuffled_magnitudes": True}),
    "signs-of-lrr": Arm("sign rewind with the signs of LRR, on its own masks", _SIGN, sign_arm="lrr"),
    "signs-of-lrr-shuffled": Arm("the same, initial magnitudes permuted in each layer",
                                 {**_SIGN, "shuffled_magnitudes": True}, sign_arm="lrr"),
    "magnitude": Arm("magnitude rewind: trained magnitudes, initial signs", _MAGNITUDE),
    "magnitude-bn-kept": Arm("magnitude rewind that keeps batch norm and biases", {**_MAGNITUDE, "bn_rewind": False}),
    "imp-fixed-signs": Arm("IMP; from level 1 on no weight changes its sign", {**IMP, **_FIXED}),
    "lrr-fixed-signs": Arm("LRR; from level 1 on no weight changes its sign", {**LRR, **_FIXED}),
    "imp-on-lrr-mask": Arm("IMP on the masks of LRR", {**IMP, **_RUN}, "lrr"),
    "lrr-on-imp-mask": Arm("LRR on the masks of IMP", {**LRR, **_RUN}, "imp"),
    "lrr-bn-rewind-on-imp-mask": Arm("the same, batch norm and biases rewound", {**LRR, **_RUN, "bn_rewind": True},
                                     "imp"),
    "imp-on-shuffled-mask": Arm("IMP on IMP's masks, shuffled in each layer", {**IMP, **_SHUFFLED}, "imp"),
    "lrr-on-shuffled-mask": Arm("LRR on IMP's masks, shuffled in each layer", {**LRR, **_SHUFFLED}, "imp"),
    "imp-on-random-mask": Arm("IMP on random masks of ERK densities", {**IMP, **_RANDOM}),
    "lrr-on-random-mask": Arm("LRR on random masks of ERK densities", {**LRR, **_RANDOM}),
    "imp-bn-kept-on-random-mask": Arm("the same, batch norm kept", {**IMP, **_RANDOM, "bn_rewind": False}),
    "lrr-bn-rewind-on-random-mask": Arm("the same, batch norm rewound", {**LRR, **_RANDOM, "bn_rewind": True}),
    "imp-long": Arm("control: IMP trained as long as LRR, on IMP's masks", {**_LONG, **_RUN}, "imp", 2),
    "imp-long-on-shuffled-mask": Arm("the control on shuffled masks", {**_LONG, **_SHUFFLED}, "imp", 2),
    "imp-long-on-random-mask": Arm("the control on random masks", {**_LONG, **_RANDOM}, "", 2),
    "cyclic-random": Arm("cyclic training of random masks: level + 1 cycles at every level", {**_LONG, **_RANDOM}),
    "sculpt": Arm("cyclic training of a random mask of 4 times the density, pruned before its last cycle",
                  {**_LONG, **_RANDOM, "sculpt_factor": 4.0}),
    "dense-long": Arm("control: the dense network trained as long as LRR", {**LRR, "mask_source": "dense"}),
    "imp-perturbed": Arm("IMP, signs perturbed at the middle level", {**IMP, **_PERTURBED}),
    "lrr-perturbed": Arm("LRR, signs perturbed at the middle level", {**LRR, **_PERTURBED}),
    "imp-perturbed-at-start": Arm("IMP, signs perturbed at initialisation", {**IMP, **_PERTURBED_AT_START}),
    "lrr-perturbed-at-start": Arm("LRR, signs perturbed at initialisation", {**LRR, **_PERTURBED_AT_START}),
    "imp-perturbed-often": Arm("IMP, signs flipped again and again in every level", {**IMP, **_STRUCK}),
    "lrr-perturbed-often": Arm("LRR, signs flipped again and again in every level", {**LRR, **_STRUCK}),
    "imp-without-warmup": Arm("IMP without warm-up", {**IMP, **_WITHOUT_WARM_UP}, same_as=_if_no_warm_up("imp")),
    "lrr-without-warmup": Arm("LRR without warm-up", {**LRR, **_WITHOUT_WARM_UP}, same_as=_if_no_warm_up("lrr")),
    "imp-warmup-every": Arm("IMP with the warm-up at every level", {**IMP, **_WARM_UP_EVERY},
                            same_as=_if_warm_up_every("imp")),
    "lrr-warmup-every": Arm("LRR with the warm-up at every level", {**LRR, **_WARM_UP_EVERY},
                            same_as=_if_warm_up_every("lrr")),
    "one-shot": Arm("pruned once, at initialisation, trained from there", {**IMP, **_AT_INITIALISATION}),
    "one-shot-trained": Arm("the trained dense network pruned once, rewound to initialisation",
                            {**IMP, "pruning": "one-shot"}),
    "one-shot-lrr": Arm("the trained dense network pruned once, weights kept", {**LRR, "pruning": "one-shot"}),
    "fresh-on-lrr-mask": Arm("a fresh initialisation on LRR's masks", {"rewind": "fresh", **_RUN}, "lrr"),
    "sign-transfer": Arm("the same with the signs that LRR ended with", {"rewind": "sign-transfer", **_RUN}, "lrr"),
    "sign-transfer-from-imp": Arm("IMP's masks and signs on it", {"rewind": "sign-transfer", **_RUN}, "imp"),
}  # fmt: skip
