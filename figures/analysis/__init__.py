"""Numbers from records: measures, sweeps, statistics."""
