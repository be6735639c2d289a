"""Pruning experiments on networks: IMP, LRR and their variants, on image classification.

`pruning` and `schedules` are pure functions of tensors and numbers; `train` holds the only loop over batches and
`runs.levels` the only loop over levels; results are read and written only in `storage`. Nothing is imported here, so
that the command line starts without loading torch.
"""

from typing import Any


def register(kind: str, name: str, entry: Any) -> None:
    """Add an entry to a registry: a criterion, arm, data set, model and so on.

    Call it at the top of a script or module, before the run is planned: `empirics.registries.register`.
    """
    from empirics.registries import register

    register(kind, name, entry)
