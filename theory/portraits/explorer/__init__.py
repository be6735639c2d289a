"""The page of the phase planes: one HTML file that draws the flow, its curves and the story of the paper by itself."""
