"""The losses of the neuron: the population, one input, finite samples.

Also their formulas, kinks and smooth regions.
"""
