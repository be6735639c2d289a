"""What numba compiles: the flows of many starts, step by step."""
