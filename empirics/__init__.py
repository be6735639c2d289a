"""Pruning experiments on networks: IMP, LRR and their variants, on image classification.

Everything computed is a pure function of tensors and numbers (`masks`, `criteria`, `rewinding`, `signs`, `schedules`);
`train` holds the only loop over batches, `levels` the only loop over levels, `store` the only disk access.
Nothing is imported here, so that the command line answers without loading torch.
"""
