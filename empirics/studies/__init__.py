"""What is compared: arms, presets, sweeps; plans, and the records of studies."""
