"""The texts of captions, apart from the drawing.

`figures.plots.finish` fills in what a figure says of its own data.
"""
