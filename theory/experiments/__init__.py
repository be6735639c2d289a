"""The neuron's experiments: what the figures show and the claims judge."""
