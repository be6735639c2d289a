"""Parallel execution of tasks: workers, progress, estimates, interrupts."""
