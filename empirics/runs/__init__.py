"""Training of one run: its levels, the start of each, resuming, records."""
