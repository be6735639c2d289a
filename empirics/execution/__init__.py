"""Tasks side by side: workers, progress, estimates, interrupts."""
