"""The numerical flow: one start by scipy's solvers, or many at once."""
