"""The page of the phase planes: one HTML file that draws the flow and tells the story of the paper."""
