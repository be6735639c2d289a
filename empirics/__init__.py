"""Pruning experiments on networks: IMP, LRR and their variants, on image classification.

`pruning` and `schedules` are pure functions of tensors and numbers; `train` holds the only loop over batches and
`runs.levels` the only loop over levels; results are read and written only in `storage`. Nothing is imported here, so
that the command line starts without loading torch.
"""
