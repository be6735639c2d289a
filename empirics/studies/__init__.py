"""Studies: arms, presets and sweeps; their plans and records."""
