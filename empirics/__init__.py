"""Pruning experiments on networks: IMP, LRR and their variants, on image classification.

Everything computed is a pure function of tensors and numbers (`pruning`, `schedules`); `train` holds the only loop over
batches, `runs.levels` the only loop over levels, and results are read and written in `storage` alone.
Nothing is imported here, so that the command line answers without loading torch.
"""
