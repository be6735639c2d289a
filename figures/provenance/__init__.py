"""Where a picture came from: the sidecars next to the pictures, and the text that explains them."""
