"""Comparison of two sets of results: a figure remade and compared, or two figures overlaid."""
