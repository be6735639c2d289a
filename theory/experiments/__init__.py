"""The neuron's experiments: the data of the figures and of the claims."""
