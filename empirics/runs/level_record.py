"""The records of a run's result files, as pure functions without disk access."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from empirics.config import SCHEMA, RunConfig
from empirics.provenance import gpu_facts, instruction_set, provenance
from empirics.pruning import masks as m
from empirics.pruning import signs
from empirics.schedules import kept_weights

if TYPE_CHECKING:
    from torch import Tensor

    from empirics.runs.context import RunSetup

MEASURED = (
    "epochs",
    "strike",
    "train_loss",
    "train_accuracy",
    "test_loss",
    "test_accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
    "images_per_s",
    "overlap_with_previous_level",
    "n_kept_previous_level",
)


def header(config: RunConfig, seed: int, level: int, masks: m.Masks | None = None) -> dict[str, Any]:
    """The part of `level.json` that is known before training; counts are null if no masks were made."""
    return {
        "schema": SCHEMA,
        "kind": "level",
        "run": config.name,
        "arm": config.arm,
        "seed": seed,
        "level": level,
        "status": "complete",
        "reason": None,
        "density": None if masks is None else m.density(masks),
        "nominal_density": None if masks is None else nominal_density(config, level, masks),
        "n_kept": None if masks is None else m.count(masks),
        "total": None if masks is None else sum(mask.numel() for mask in masks.values()),
    }


def nominal_density(config: RunConfig, level: int, masks: m.Masks) -> float:
    """The fraction of weights that the prune rate asks for; clamped layer densities keep fewer."""
    total = sum(mask.numel() for mask in masks.values())
    return 1.0 if config.mask_source == "dense" else kept_weights(total, config.prune_rate, level) / total


def diverged(header: Mapping[str, Any], reason: str, made: Mapping[str, Any]) -> dict[str, Any]:
    """`level.json` of a level whose loss was not finite: the reason and `made`, without numbers."""
    nothing = dict.fromkeys(MEASURED)
    empty = {"mask_snapshots": [], "layers": {}}
    return {**header, "status": "diverged", "reason": reason, **nothing, **empty, **made}


def layers(
    masks: m.Masks,
    end: signs.Signs,
    moments: Mapping[str, signs.Signs | None],
    first: "Mapping[str, Tensor]",
    last: "Mapping[str, Tensor]",
) -> dict[str, Any]:
    """Size, kept weights, flips by each reading (over the level's survivors) and norms of each layer.

    Args:
        masks: of the level.
        end, moments: sign bits, see `signs.level_flips`.
        first, last: the network's state at the start and at the end of the level. `norm` is the Euclidean norm of the
            layer's weights at the end, `weight_change_norm` that of their change over the level.
    """
    flips = signs.level_flips(end, moments, masks)
    return {
        name: {
            "size": mask.numel(),
            "n_kept": int(mask.sum()),
            "flips": flips[name],
            "norm": float(last[name].double().norm()),
            "weight_change_norm": float((last[name].double() - first[name].double()).norm()),
        }
        for name, mask in masks.items()
    }


def run_signs(config: RunConfig, seed: int, statistics: Mapping[str, Any]) -> dict[str, Any]:
    """The content of `signs.json`."""
    return {
        "schema": SCHEMA,
        "kind": "signs",
        "run": config.name,
        "arm": config.arm,
        "seed": seed,
        "levels": list(range(config.levels)),
        "layers": statistics,
    }


def made(setup: "RunSetup", environments: Sequence[Mapping[str, Any]], depends_on: Mapping[str, str]) -> dict[str, Any]:
    """The origin of a level: the levels that it depends on, all their environments, and this process."""
    return {"depends_on": dict(depends_on), "environments": list(environments), "provenance": provenance_of(setup)}


def provenance_of(setup: "RunSetup") -> dict[str, Any]:
    """Versions, commit, hardware and threads of this process."""
    return provenance(setup.threads, gpu_facts(setup.device), instruction_set())
