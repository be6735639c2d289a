"""The paper's methods as pure functions of tensors: masks, criteria, densities, rewinding, signs."""
