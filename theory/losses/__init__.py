"""What the neuron is trained on: the population, one input, finite samples; their formulas, kinks and regions."""
