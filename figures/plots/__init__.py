"""The figures' drawing functions, one module per subject."""
