"""Where a picture came from: sidecars beside the pictures, and what explains them."""
