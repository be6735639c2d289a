"""What is on the disk, the only place that touches it: files, run folders, checkpoints, names, locks."""
