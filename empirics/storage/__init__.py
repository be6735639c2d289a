"""Disk access: files, run folders, checkpoints, layout, locks. No other package writes results."""
